//! Removing trees that others may be changing.
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Deeper trees are not ours.
const DEPTH_MAX: usize = 256;

/// Remove `name` in `parent` and all below it. Links are removed, never followed; mount points stay (`EBUSY`).
pub fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let mut all = usize::MAX;
    remove_within(parent, name, &mut all)
}

/// The same of a small tree: `E2BIG` when there were more than `entries` below it; these many are gone then.
pub fn remove_small_tree(parent: BorrowedFd<'_>, name: &str, entries: usize) -> Result<(), Errno> {
    let mut budget = entries;
    remove_within(parent, name, &mut budget)
}

fn remove_within(parent: BorrowedFd<'_>, name: &str, budget: &mut usize) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let bytes = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    empty_below(parent, &bytes, 0, budget)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Remove what is in the directory `name`, leaving the directory.
pub fn empty_tree(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let bytes = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    let mut all = usize::MAX;
    empty_below(parent, &bytes, 0, &mut all)
}

fn empty_below(
    parent: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    depth: usize,
    budget: &mut usize,
) -> Result<(), Errno> {
    if depth > DEPTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut first_error = Ok(());
    for entry in Dir::read_from(&fd)? {
        let entry = entry?;
        let child = entry.file_name();
        if matches!(child.to_bytes(), b"." | b"..") {
            continue;
        }
        *budget = budget.checked_sub(1).ok_or(Errno::TOOBIG)?;
        let removed = match rustix::fs::unlinkat(&fd, child, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) if entry.file_type() != FileType::Symlink => {
                empty_below(fd.as_fd(), child, depth + 1, budget)
                    .and_then(|()| rustix::fs::unlinkat(&fd, child, AtFlags::REMOVEDIR))
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
