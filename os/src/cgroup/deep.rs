//! Removing cgroups that are nested deeper than paths reach.
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// Most steps: nobody who makes cgroups meanwhile keeps us for ever.
const STEPS_MAX: usize = 100_000;

/// Remove all below a cgroup, by names and the one at hand. It ends at the first that is in use.
pub(super) fn empty(top: OwnedFd) -> Result<(), Errno> {
    let mut here = top;
    let mut names: Vec<CString> = Vec::new();
    for _ in 0..STEPS_MAX {
        if let Some(name) = first_child(&here)? {
            match rustix::fs::unlinkat(&here, &name, AtFlags::REMOVEDIR) {
                Err(Errno::BUSY | Errno::NOTEMPTY) => {
                    here = open(&here, &name)?;
                    names.push(name);
                }
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            continue;
        }
        let Some(name) = names.pop() else { return Ok(()) };
        here = open(&here, c"..")?;
        match rustix::fs::unlinkat(&here, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            // A process is there.
            Err(Errno::BUSY) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn open(directory: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

fn first_child(directory: impl AsFd) -> Result<Option<CString>, Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
