//! Mounts that PID 1 makes itself, the kernel's mount and swap tables, autofs, and the last umount.
//!
//! Mount and swap units run mount(8) and swapon(8): PID 1 makes no call that may hang on a foreign file system.
pub mod autofs;
pub(crate) mod early;
mod favor;
mod points;
mod run;
mod shutdown;
mod table;

pub use early::{EarlyMount, early_mounts, is_mount_point, proc_first};
pub use points::{make_directories, make_directory, make_mount_point};
pub use run::settle_aliases;
pub use shutdown::{Leftover, swap_off_all, unmount_all};
pub use table::{KernelTable, MountLine, parse_mounts};

use crate::error::{Attempt, OsError};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

/// Most mounts at one place that are taken away at once.
const STACKED_MAX: usize = 64;

/// Unmount without following a link.
pub fn unmount(path: &str) -> Result<(), OsError> {
    rustix::mount::unmount(path, UnmountFlags::NOFOLLOW).attempt("unmount", path)
}

/// Take a mount out of the tree at once; it is freed when nobody uses it any more.
pub fn detach(path: &str) -> Result<(), OsError> {
    rustix::mount::unmount(path, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH).attempt("detach", path)
}

/// Take everything that is mounted at a path out of the tree, what lies on top first.
pub fn detach_all(path: &str) -> Result<(), OsError> {
    for _ in 0..STACKED_MAX {
        match detach(path) {
            // Not a mount point any more.
            Err(error) if error.errno == Errno::INVAL => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    /// Run in a thread with a mount namespace of its own; needs root. Nothing mounted there outlives it.
    pub(crate) fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = std::thread::spawn(move || {
            crate::sys::process::unshare_mounts().expect("root may unshare");
            test()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
