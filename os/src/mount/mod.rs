//! Mounts that PID 1 makes itself, the kernel's mount and swap tables, autofs, and the last umount.
//!
//! Mount and swap units run mount(8) and swapon(8): PID 1 makes no call that may hang on a foreign file system.
pub mod autofs;
pub(crate) mod early;
mod favor;
mod run;
mod shutdown;
mod table;

pub use early::{EarlyMount, early_mounts, is_mount_point, proc_first};
pub use run::settle_aliases;
pub use shutdown::{Leftover, swap_off_all, unmount_all};
pub use table::{KernelTable, MountLine, parse_mounts};

use crate::error::{Attempt, OsError};
use rustix::fs::{Mode, OFlags};
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

/// Make a directory and its parents (`MakeDirectory=`, mount points). One that is there is left as it is.
pub fn make_directory(path: &str, mode: u32) -> Result<(), OsError> {
    let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).filter(|&at| at > 0).collect();
    ends.push(path.len());
    for &end in &ends {
        // Parents must be passable for others whatever the mode of the last one.
        let mode = if end == path.len() { mode } else { 0o755 };
        match rustix::fs::mkdir(&path[..end], Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            // A read-only file system or a foreign directory on the way: only the end matters.
            Err(_) if end != path.len() => {}
            Err(errno) => return Err(OsError::new("make directory", path, errno)),
        }
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).attempt("open", path).map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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

    #[test]
    fn directories_are_made_with_parents() {
        let scratch = crate::rundir::tests::Scratch::new("makedir");
        make_directory(&scratch.join("a/b/c"), 0o700).expect("made");
        make_directory(&scratch.join("a/b/c"), 0o755).expect("there already");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(scratch.join("a/b/c")).expect("there").mode() & 0o777, 0o700);
        std::fs::write(scratch.join("file"), "").expect("write");
        assert!(make_directory(&scratch.join("file"), 0o755).is_err());
        assert!(unmount(&scratch.join("a")).is_err());
    }
}
