//! Waiting for children and a few prctl(2)s that rustix lacks.
use super::{check, last_errno};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::mem::MaybeUninit;

/// Whom to wait for.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// Any child.
    Any,
    /// The child with this id.
    Pid(i32),
}

/// A child's end as waitid(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Whose.
    pub pid: i32,
    /// `CLD_EXITED`, `CLD_KILLED`, `CLD_DUMPED`.
    pub code: i32,
    /// The exit status or signal.
    pub status: i32,
}

/// Look for an ended child without blocking; `reap` takes it from the table, else it stays a zombie.
pub fn wait(whom: Whom, reap: bool) -> Result<Option<Waited>, Errno> {
    let (kind, id) = match whom {
        Whom::Any => (libc::P_ALL, 0),
        Whom::Pid(pid) => (libc::P_PID, libc::id_t::try_from(pid).map_err(|_| Errno::INVAL)?),
    };
    let flags = libc::WEXITED | libc::WNOHANG | if reap { 0 } else { libc::WNOWAIT };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the pointer is to a siginfo_t of ours, zeroed so that "nothing" reads as PID 0.
    let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), flags) };
    if result < 0 {
        return match last_errno() {
            Errno::CHILD => Ok(None),
            other => Err(other),
        };
    }
    // SAFETY: zeroed, then filled by the kernel.
    let info = unsafe { info.assume_init() };
    // SAFETY: for WEXITED the SIGCHLD members are the valid ones; zeroed when there was nothing.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then_some(Waited { pid, code: info.si_code, status }))
}

/// The process group; 0 when it is of an outer PID namespace (rustix takes that for impossible).
pub fn group() -> i32 {
    // SAFETY: no pointers, cannot fail.
    unsafe { libc::getpgrp() }
}

/// pidfd_open(2), close-on-exec.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(last_errno());
    }
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `struct pidfd_info` in its first version (Linux 6.13; the exit status since 6.15).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)`
const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// How the process of a pidfd ended, as wait(2) tells it: once it is reaped, by whomever; `None` before, and on older kernels.
pub fn pidfd_exit_status(process: impl AsFd) -> Option<i32> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel writes no more than the size that is part of the request, which is that of the structure.
    let result = unsafe { libc::ioctl(process.as_fd().as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// Whether two descriptors are one open file (kcmp(2) `KCMP_FILE`), both in this process.
pub fn same_file(a: impl AsFd, b: impl AsFd) -> Result<bool, Errno> {
    let me = std::process::id();
    let (a, b) = (a.as_fd().as_raw_fd(), b.as_fd().as_raw_fd());
    // SAFETY: no pointers; KCMP_FILE is 0.
    let result = unsafe { libc::syscall(libc::SYS_kcmp, me, me, 0, a, b) };
    if result < 0 { Err(last_errno()) } else { Ok(result == 0) }
}

/// Become the reaper of orphaned descendants (or stop being it).
pub fn set_child_subreaper(on: bool) -> Result<(), Errno> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes one integer.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(on), 0, 0, 0) }).map(drop)
}

/// Whether processes of this process's making can dump core and be traced by its user (`PR_SET_DUMPABLE`).
pub fn set_dumpable(on: bool) -> Result<(), Errno> {
    // SAFETY: PR_SET_DUMPABLE takes one integer.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(on), 0, 0, 0) }).map(drop)
}

/// Let children begin with ordinary scheduling, whatever ours is (`SCHED_RESET_ON_FORK`, sched(7)).
pub fn reset_scheduling_on_fork() -> Result<(), Errno> {
    let policy = libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK;
    // SAFETY: an all-zero parameter is the one that SCHED_OTHER asks for.
    let parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads the parameter during the call; 0 means this thread.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) }).map(drop)
}

/// The child gets this signal when the thread that makes it ends (`PR_SET_PDEATHSIG`).
pub fn signal_with_parent(command: &mut std::process::Command, signal: i32) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt as _;
    let number = libc::c_ulong::from(signal.cast_unsigned());
    let ask = move || {
        // SAFETY: PR_SET_PDEATHSIG takes one integer.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number, 0, 0, 0) }).map(drop).map_err(Into::into)
    };
    // SAFETY: the closure makes one system call and touches no memory but its own.
    unsafe { command.pre_exec(ask) }
}

/// Do nothing in the child before execve(2): that there is something to do lets the standard library use fork(2).
pub fn prepare_in_child(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: the closure touches nothing.
    unsafe { command.pre_exec(|| Ok(())) }
}

/// Whether this thread's effective set has the capability.
pub fn has_capability(capability: u32) -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0);
    bits & 1u64.checked_shl(capability).unwrap_or(0) != 0
}

/// Have no controlling terminal any more; whoever has none does not mind.
pub fn leave_terminal(terminal: impl AsFd) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the request has no argument, and the descriptor is open.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCNOTTY, 0) }).map(drop)
}

/// Run something that may block in a forked child, which ends with the status returned. The child has only this
/// thread; it must not wait for locks of others, so callers are single-threaded or the work makes system calls only.
pub fn offload(work: impl FnOnce() -> i32) -> Result<i32, Errno> {
    let _whole = super::inherit::whole();
    // SAFETY: fork(2) has no preconditions; the child runs `work` and leaves with _exit, so nothing of the parent's
    // is dropped or flushed twice.
    let pid = check(unsafe { libc::fork() })?;
    if pid != 0 {
        return Ok(pid);
    }
    let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
    // SAFETY: _exit does not return and touches no state.
    unsafe { libc::_exit(status) }
}

/// In a child of [`offload`]: close every descriptor from 3 on but this one, which the child's work uses.
pub fn close_all_but(keep: i32) {
    let keep = libc::c_uint::try_from(keep).unwrap_or(2);
    // SAFETY: the child owns its table and leaves by _exit: nobody there uses the descriptors that are closed.
    unsafe {
        libc::syscall(libc::SYS_close_range, keep.max(2) + 1, libc::c_uint::MAX, 0);
        if keep > 3 {
            libc::syscall(libc::SYS_close_range, 3, keep - 1, 0);
        }
    }
}

/// Let every descriptor from 3 on end with this program.
pub fn close_on_execution() -> Result<(), Errno> {
    // SAFETY: no descriptor is closed now.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Give this thread a mount namespace of its own, whose mounts nobody else sees.
pub fn unshare_mounts() -> Result<(), Errno> {
    // SAFETY: no pointers; CLONE_NEWNS (with its CLONE_FS) concerns this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    use rustix::mount::{MountPropagationFlags, mount_change};
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Make a directory the root of this thread, after [`unshare_mounts`].
pub fn chroot_thread(path: &str) -> Result<(), Errno> {
    rustix::process::chroot(path)?;
    rustix::process::chdir("/")
}
