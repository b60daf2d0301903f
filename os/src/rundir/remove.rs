//! Removing trees that others may be changing.
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Deeper trees are not ours.
const DEPTH_MAX: usize = 256;

/// Remove `name` in `parent` and all below it. Links are removed, never followed; mount points stay (`EBUSY`).
pub fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let bytes = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    empty_below(parent, &bytes, 0)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Remove what is in the directory `name`, leaving the directory.
pub fn empty_tree(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let bytes = std::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
    empty_below(parent, &bytes, 0)
}

fn empty_below(parent: BorrowedFd<'_>, name: &std::ffi::CStr, depth: usize) -> Result<(), Errno> {
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
        let removed = match rustix::fs::unlinkat(&fd, child, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) if entry.file_type() != FileType::Symlink => {
                empty_below(fd.as_fd(), child, depth + 1)
                    .and_then(|()| rustix::fs::unlinkat(&fd, child, AtFlags::REMOVEDIR))
            }
            other => other,
        };
        // What can be removed is, even when something cannot.
        if !matches!(removed, Ok(()) | Err(Errno::NOENT)) && first_error.is_ok() {
            first_error = removed;
        }
    }
    first_error
}
