//! Making a child: clone3(2) with a pidfd, into a cgroup, with signal handlers cleared; and what older kernels have.
use super::child;
use super::program::Program;
use super::raw::{errno_of, syscall};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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
    /// clone with a pidfd (Linux 5.2).
    Clone,
    /// What fork(2) does.
    Fork,
}

impl How {
    /// Whether the child begins without our signal handlers; what we ignore it ignores, too.
    pub fn clears_handlers(self) -> bool {
        matches!(self, How::IntoCgroup | How::Clone3)
    }
}

/// A child that was made.
#[derive(Debug)]
pub struct Made {
    /// Its PID.
    pub pid: i32,
    /// Its pidfd, where the kernel gives one.
    pub pidfd: Option<OwnedFd>,
    /// Which way worked.
    pub how: How,
}

/// Make a child that runs the program and nothing else. `share_files` lets it begin with our descriptor table
/// (the program must unshare it first). Without `cgroup` the child stays in ours until the program moves it.
pub fn clone_child(
    program: &Program,
    cgroup: Option<BorrowedFd<'_>>,
    share_files: bool,
    how: How,
) -> Result<Made, Errno> {
    let mut pidfd: i32 = -1;
    let files = if share_files { libc::CLONE_FILES as u64 } else { 0 };
    // The child reads the program, which is a mapping of its own, and its stack.
    let hidden = super::heap::hide();
    let result = match how {
        How::IntoCgroup | How::Clone3 => {
            let into = if how == How::IntoCgroup { cgroup } else { None };
            let args = CloneArgs {
                flags: libc::CLONE_PIDFD as u64
                    | CLONE_CLEAR_SIGHAND
                    | files
                    | if into.is_some() { CLONE_INTO_CGROUP } else { 0 },
                pidfd: (&raw mut pidfd) as u64,
                exit_signal: libc::SIGCHLD as u64,
                cgroup: into.map_or(0, |fd| fd.as_raw_fd() as u64),
                ..CloneArgs::default()
            };
            let size = if into.is_some() { size_of::<CloneArgs>() } else { SIZE_V0 };
            // SAFETY: without CLONE_VM the child runs on its own copy of this stack; it calls only `child::run`.
            unsafe { syscall(libc::SYS_clone3 as usize, [(&raw const args) as usize, size, 0, 0, 0, 0]) }
        }
        How::Clone | How::Fork => {
            let wants_pidfd = if how == How::Clone { libc::CLONE_PIDFD as u64 } else { 0 };
            let flags = (wants_pidfd | files | libc::SIGCHLD as u64) as usize;
            // SAFETY: as above; a null stack means a copy of ours. The third argument receives the pidfd.
            unsafe { syscall(libc::SYS_clone as usize, [flags, 0, (&raw mut pidfd) as usize, 0, 0, 0]) }
        }
    };
    if let Some(errno) = errno_of(result) {
        return Err(Errno::from_raw_os_error(errno));
    }
    if result == 0 {
        child::run(program);
    }
    drop(hidden);
    // SAFETY: the kernel stored a fresh descriptor there, close-on-exec, which nobody else owns.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Made { pid: result as i32, pidfd, how })
}

/// A copy of a descriptor known by number only, close-on-exec. A number that is not open gives `EBADF`.
pub fn duplicate(fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: the borrow ends with this call, which checks the number; what comes back is owned by nobody else.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    let copy = super::check(copy)?;
    // SAFETY: a fresh descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
