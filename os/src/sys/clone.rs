//! Making a child: clone3(2) into a cgroup, with signal handlers cleared; and what older kernels have.
//!
//! The child runs on a stack of its own, which is empty: the manager never touches it.
use super::program::Program;
use super::raw::{errno_of, syscall_clone};
use super::{child, last_errno};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

/// `struct clone_args` of clone3(2), as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Size of `struct clone_args` in its first version (Linux 5.3), without the cgroup.
const SIZE_V0: usize = 64;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How a child is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// clone3 with everything (Linux 5.7).
    IntoCgroup,
    /// clone3 without the cgroup (Linux 5.5).
    Clone3,
    /// What fork(2) does.
    Clone,
}

impl How {
    /// Whether the child begins without our signal handlers; what we ignore it ignores, too.
    pub fn clears_handlers(self) -> bool {
        matches!(self, How::IntoCgroup | How::Clone3)
    }
}

/// Room for the child: the deepest tree that it walks needs a third of this.
const STACK: usize = 256 << 10;

/// The stack of all children: each has a copy of it, which is empty when it begins. Its lowest address.
fn stack() -> Result<usize, Errno> {
    static BASE: OnceLock<usize> = OnceLock::new();
    if let Some(base) = BASE.get() {
        return Ok(*base);
    }
    let guard = rustix::param::page_size();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping wherever the kernel likes; it is never unmapped.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), guard + STACK, libc::PROT_NONE, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(last_errno());
    }
    // SAFETY: inside the mapping just made.
    let stack = unsafe { base.byte_add(guard) };
    // SAFETY: as above; the lowest page stays without access.
    super::check(unsafe { libc::mprotect(stack, STACK, libc::PROT_READ | libc::PROT_WRITE) })?;
    Ok(*BASE.get_or_init(|| stack as usize))
}

/// Make a child that runs the program and nothing else; its PID. `share_files` lets it begin with our descriptor table
/// (the program must unshare it first). Without `cgroup` the child stays in ours until the program moves it.
pub fn clone_child(
    program: &Program,
    cgroup: Option<BorrowedFd<'_>>,
    share_files: bool,
    how: How,
) -> Result<i32, Errno> {
    let files = if share_files { libc::CLONE_FILES as u64 } else { 0 };
    let stack = stack()?;
    super::inherit::refresh();
    let begin = program.address();
    let result = match how {
        How::IntoCgroup | How::Clone3 => {
            let into = if how == How::IntoCgroup { cgroup } else { None };
            let args = CloneArgs {
                flags: CLONE_CLEAR_SIGHAND | files | if into.is_some() { CLONE_INTO_CGROUP } else { 0 },
                exit_signal: libc::SIGCHLD as u64,
                stack: stack as u64,
                stack_size: STACK as u64,
                cgroup: into.map_or(0, |fd| fd.as_raw_fd() as u64),
                ..CloneArgs::default()
            };
            let size = if into.is_some() { size_of::<CloneArgs>() } else { SIZE_V0 };
            let args = [(&raw const args) as usize, size, 0, 0, 0];
            // SAFETY: without CLONE_VM the child has a copy of the stack, which nobody uses here; `child::run` uses
            // that, the program and code.
            unsafe { syscall_clone(libc::SYS_clone3 as usize, args, child::run, begin) }
        }
        How::Clone => {
            let flags = (files | libc::SIGCHLD as u64) as usize;
            // SAFETY: as above.
            unsafe {
                syscall_clone(libc::SYS_clone as usize, [flags, stack + STACK, 0, 0, 0], child::run, begin)
            }
        }
    };
    match errno_of(result) {
        Some(errno) => Err(Errno::from_raw_os_error(errno)),
        None => Ok(result as i32),
    }
}

/// Make a process with this number, which waits to be killed: what tests give to whoever must not take it for another one with
/// the same number. `EEXIST` while there is one; takes privileges over the PID namespace (clone3(2), `set_tid`).
pub fn process_with_number(pid: i32) -> Result<(), Errno> {
    let args = CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        set_tid: (&raw const pid) as u64,
        set_tid_size: 1,
        ..CloneArgs::default()
    };
    // SAFETY: as fork(2); the child makes nothing but system calls.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match result {
        0 => loop {
            // SAFETY: no pointers.
            unsafe { libc::pause() };
        },
        result if result < 0 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// A copy of a descriptor known by number only, close-on-exec. A number that is not open gives `EBADF`.
pub fn duplicate(fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: the borrow ends with this call, which checks the number; what comes back is owned by nobody else.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    let copy = super::check(copy)?;
    // SAFETY: a fresh descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
