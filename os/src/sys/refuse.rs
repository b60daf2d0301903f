//! A system call filter that refuses some calls, as containers have it (seccomp(2)).
use super::check;
use rustix::io::Errno;

/// From now on these calls fail with `errno` in this process and all that it starts.
///
/// # Errors
/// As seccomp(2).
pub fn refuse_calls(numbers: &[libc::c_long], errno: i32) -> Result<(), Errno> {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    // The number of the call is the first word of what the filter sees.
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for number in numbers {
        let number = u32::try_from(*number).map_err(|_| Errno::INVAL)?;
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number));
        let answer = libc::SECCOMP_RET_ERRNO | (errno.cast_unsigned() & libc::SECCOMP_RET_DATA);
        program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, answer));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let install = || {
        // SAFETY: the kernel copies the program, which is as long as `filter` says, during the call.
        check(unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
                &raw const filter,
            )
        })
    };
    // Who may not change privileges on his own must first give up changing them by execve(2).
    if install() == Err(Errno::ACCESS) {
        // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers only.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        install()?;
    }
    Ok(())
}

/// Whether the kernel has filters that can kill a process, and nothing keeps us from asking (seccomp(2)).
pub fn can_filter() -> bool {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads the word that the pointer leads to, during the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    answer == 0
}

/// The number of a call that makes namespaces, mounts or processes, by its name.
pub fn number_of(name: &str) -> Option<libc::c_long> {
    Some(match name {
        "mount" => libc::SYS_mount,
        "unshare" => libc::SYS_unshare,
        "clone3" => libc::SYS_clone3,
        "pidfd_open" => libc::SYS_pidfd_open,
        _ => return None,
    })
}
