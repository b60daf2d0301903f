//! Removing trees that others may be changing. What is mounted in them is somebody's data: it stays, with the way to it.
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// What is deeper is first moved to the top of the tree: each directory on the way is open meanwhile.
const DEPTH_MAX: usize = 256;
/// How often that is done: nobody who makes directories meanwhile keeps us for ever.
const PASSES_MAX: usize = 4096;

/// A removal that is under way.
struct Removal<'a> {
    /// How many entries may still go.
    budget: &'a mut usize,
    /// The directory that everything is in.
    top: BorrowedFd<'a>,
    /// Directories that were moved there so far.
    moved: usize,
}

/// Remove `name` in `parent` and all below it. Links are removed, never followed; mounts stay as they are (`EBUSY`).
pub fn remove_tree(parent: BorrowedFd<'_>, name: impl AsRef<OsStr>) -> Result<(), Errno> {
    let mut all = usize::MAX;
    remove_within(parent, name.as_ref(), &mut all)
}

/// The same of a small tree: `E2BIG` when there were more than `entries` below it; these many are gone then.
pub fn remove_small_tree(parent: BorrowedFd<'_>, name: &str, entries: usize) -> Result<(), Errno> {
    let mut budget = entries;
    remove_within(parent, name.as_ref(), &mut budget)
}

fn remove_within(parent: BorrowedFd<'_>, name: &OsStr, budget: &mut usize) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let bytes = std::ffi::CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    empty(parent, &bytes, budget)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// A directory on the same mount; `EBUSY` for one that something is mounted on.
fn open_unmounted(parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve) {
        Err(Errno::XDEV) => Err(Errno::BUSY),
        // Before Linux 5.6, or filtered: the device tells most mounts.
        Err(Errno::NOSYS | Errno::PERM) => {
            let fd = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            let same = rustix::fs::fstat(&fd)?.st_dev == rustix::fs::fstat(parent)?.st_dev;
            if same { Ok(fd) } else { Err(Errno::BUSY) }
        }
        other => other,
    }
}

/// Remove what is in a directory; mounts stay (`EBUSY`), and what is not on the way to one goes.
pub fn empty_tree(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut all = usize::MAX;
    empty(directory, c".", &mut all)
}

/// The same of the directory `name` in `parent`.
fn empty(parent: BorrowedFd<'_>, name: &std::ffi::CStr, budget: &mut usize) -> Result<(), Errno> {
    let top = match open_unmounted(parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut removal = Removal { budget, top: top.as_fd(), moved: 0 };
    for _ in 0..PASSES_MAX {
        let before = removal.moved;
        let outcome = removal.empty_below(&top, 0);
        if removal.moved == before || outcome == Err(Errno::TOOBIG) {
            return outcome;
        }
    }
    Err(Errno::NAMETOOLONG)
}

impl Removal<'_> {
    fn empty_below(&mut self, fd: &OwnedFd, depth: usize) -> Result<(), Errno> {
        let mut first_error = Ok(());
        for entry in Dir::read_from(fd)? {
            let entry = entry?;
            let child = entry.file_name();
            if matches!(child.to_bytes(), b"." | b"..") {
                continue;
            }
            *self.budget = self.budget.checked_sub(1).ok_or(Errno::TOOBIG)?;
            let removed = match rustix::fs::unlinkat(fd, child, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM)
                    if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) =>
                {
                    self.directory(fd.as_fd(), child, depth + 1)
                }
                other => other,
            };
            if removed == Err(Errno::TOOBIG) {
                return removed;
            }
            // What can be removed is, even when something cannot.
            if !matches!(removed, Ok(()) | Err(Errno::NOENT)) && first_error.is_ok() {
                first_error = removed;
            }
        }
        first_error
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &std::ffi::CStr,
        depth: usize,
    ) -> Result<(), Errno> {
        if depth > DEPTH_MAX {
            return self.move_up(parent, name);
        }
        match open_unmounted(parent, name) {
            Err(Errno::NOENT) => return Ok(()),
            other => self.empty_below(&other?, depth)?,
        }
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
    }

    fn move_up(&mut self, parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<(), Errno> {
        self.moved += 1;
        let new = format!(".removed-{}", self.moved);
        match rustix::fs::renameat_with(parent, name, self.top, &new, RenameFlags::NOREPLACE) {
            // Somebody guessed the name: the next pass tries the next one.
            Err(Errno::EXIST | Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::early::tests::in_empty_root;
    use rustix::fs::CWD;
    use rustix::mount::{MountFlags, mount, mount_bind};

    #[test]
    fn trees_may_be_deep() {
        let scratch = crate::rundir::tests::Scratch::new("remove-deep");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open =
            |at: BorrowedFd<'_>, name| rustix::fs::openat(at, name, flags, Mode::empty()).expect("open");
        let mut here = open(CWD, scratch.path());
        for name in ["tree"].into_iter().chain(std::iter::repeat_n("d", 3000)) {
            rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o700)).expect("mkdir");
            here = open(here.as_fd(), name);
        }
        assert_eq!(remove_tree(CWD, scratch.join("tree")), Ok(()));
        assert!(!std::fs::exists(scratch.join("tree")).expect("look"));
    }

    #[test]
    fn what_is_mounted_is_somebody_elses() {
        in_empty_root("remove-mounts", || {
            for directory in ["/data/deep", "/tree/gone/deep", "/tree/way/bound", "/tree/tmp"] {
                std::fs::create_dir_all(directory).expect("mkdir");
            }
            std::fs::write("/data/deep/kept", "1").expect("write");
            std::fs::write("/tree/gone/deep/file", "1").expect("write");
            // The same device, which a look at numbers would not tell, and another.
            mount_bind("/data", "/tree/way/bound").expect("bind");
            mount("tmpfs", "/tree/tmp", "tmpfs", MountFlags::empty(), None).expect("mount");
            std::fs::write("/tree/tmp/kept", "1").expect("write");
            assert_eq!(remove_tree(CWD, "tree"), Err(Errno::BUSY));
            for kept in ["/data/deep/kept", "/tree/way/bound/deep/kept", "/tree/tmp/kept"] {
                assert!(std::fs::exists(kept).expect("look"), "{kept}");
            }
            assert!(!std::fs::exists("/tree/gone").expect("look"));
            assert_eq!(remove_tree(CWD, "tree/tmp"), Err(Errno::BUSY));
            assert!(std::fs::exists("/tree/tmp/kept").expect("look"));
        });
    }
}
