//! `C`: copies of files and trees.
use super::Runner;
use super::adjust::Creation;
use super::create::Spot;
use super::report::{Failed, Level};
use crate::chase::{Found, Missing, Trust, place};
use runstead_core::tmpfiles::{Argument, Item};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Deeper trees are not copied.
const DEPTH_MAX: usize = 1024;
const XATTR_MAX: usize = 64 << 10;

/// One copy.
struct Copier {
    /// Into directories that are not empty, too.
    merge: bool,
    owner: (Option<u32>, Option<u32>),
    /// Copies of what has several names, by device and inode of the source.
    names: BTreeMap<(u64, u64), OwnedFd>,
    /// Device and inode of the copy, when it is a directory: it may be in what is copied, and is no part of it.
    top: Option<(u64, u64)>,
}

/// Where a copy is to be.
#[derive(Clone, Copy)]
struct Target<'a> {
    directory: BorrowedFd<'a>,
    name: &'a CStr,
}

fn identity(found: &Found) -> (u64, u64) {
    (found.stat.st_dev, found.stat.st_ino)
}

impl Runner<'_> {
    pub(super) fn copy(&self, item: &Item, spot: &Spot<'_>) -> Result<(), Failed> {
        let Argument::Target(source) = &item.argument else { return Ok(()) };
        let way = self.way(Trust::Links, Missing::Fails);
        let from = way
            .open(Path::new(source), false)
            .map_err(|refusal| self.refused("open", Path::new(source), &refusal))?;
        if self.would(|| format!("copy {source} to {}", spot.path.display())) {
            return Ok(());
        }
        let owner = (item.user.map(|user| user.id), item.group.map(|group| group.id));
        let mut copier = Copier { merge: item.force, owner, names: BTreeMap::new(), top: None };
        let name = std::ffi::CString::new(spot.name.as_bytes()).unwrap_or_default();
        let copied = copier.entry(&from, Target { directory: spot.parent.fd.as_fd(), name: &name }, 0);
        let to = spot.look().map_err(|errno| {
            let errno = copied.err().unwrap_or(errno);
            self.report.failed("copy to", spot.path.display(), errno)
        })?;
        // What is there already is compared with what a link leads to, and counts as made if it is alike.
        let from = match copied {
            Err(Errno::EXIST) if from.kind() == FileType::Symlink => self
                .way(Trust::Look, Missing::Fails)
                .open(Path::new(source), true)
                .map_err(|refusal| self.refused("look at", Path::new(source), &refusal))?,
            _ => from,
        };
        if to.kind() != from.kind() {
            let text = format_args!("{} is there already and of another type", spot.path.display());
            self.report.say(Level::Debug, text);
            return Ok(());
        }
        self.permissions(item, &to, spot.path, Creation::New)
    }
}

impl Copier {
    fn entry(&mut self, from: &Found, to: Target<'_>, depth: usize) -> Result<(), Errno> {
        if from.kind() == FileType::Directory {
            return self.directory(from, to, depth);
        }
        let Target { directory, name } = to;
        if let Some(first) = self.names.get(&identity(from)) {
            let first = format!("/proc/self/fd/{}", first.as_raw_fd());
            return rustix::fs::linkat(CWD, first, directory, name, AtFlags::SYMLINK_FOLLOW);
        }
        match from.kind() {
            FileType::RegularFile => self.file(from, to)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&from.fd, "", Vec::new())?;
                rustix::fs::symlinkat(&target, directory, name)?;
                let (uid, gid) = self.ids(from);
                rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                rustix::fs::utimensat(directory, name, &times(from), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            kind
            @ (FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice) => {
                rustix::fs::mknodat(directory, name, kind, mode_of(from), from.stat.st_rdev)?;
                self.finish(from, &place(directory, name)?)?;
            }
            _ => return Err(Errno::NOTSUP),
        }
        if from.stat.st_nlink > 1 {
            self.names.insert(identity(from), place(directory, name)?.fd);
        }
        Ok(())
    }

    fn file(&self, from: &Found, to: Target<'_>) -> Result<(), Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let source = rustix::fs::open(from.proc_path(), source, Mode::empty())?;
        let made = rustix::fs::openat(to.directory, to.name, flags, Mode::from_raw_mode(0o600))?;
        let mut target = File::from(made);
        let copied = std::io::copy(&mut File::from(source), &mut target)
            .map_err(|error| crate::error::errno_of(&error))
            .and_then(|_| self.finish(from, &Found::of(target.into())?));
        if copied.is_err() {
            let _ = rustix::fs::unlinkat(to.directory, to.name, AtFlags::empty());
        }
        copied
    }

    fn directory(&mut self, from: &Found, to: Target<'_>, depth: usize) -> Result<(), Errno> {
        if depth > DEPTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let made = match rustix::fs::mkdirat(to.directory, to.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = Found::of(rustix::fs::openat(to.directory, to.name, flags, Mode::empty())?)?;
        if !made && !is_empty(&target.fd)? && !self.merge {
            return Err(Errno::EXIST);
        }
        self.top.get_or_insert(identity(&target));
        let outcome = self.content(from, &target, depth);
        if made {
            self.finish(from, &target)?;
        }
        outcome
    }

    fn content(&mut self, from: &Found, target: &Found, depth: usize) -> Result<(), Errno> {
        let mut outcome = Ok(());
        let mut source = Dir::new(from.directory(OFlags::empty())?)?;
        while let Some(entry) = source.read() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = place(source.fd()?, name);
            if found.as_ref().is_ok_and(|found| Some(identity(found)) == self.top) {
                continue;
            }
            let to = Target { directory: target.fd.as_fd(), name };
            match found.and_then(|found| self.entry(&found, to, depth + 1)) {
                Err(Errno::EXIST) if self.merge => {}
                Err(errno) => outcome = Err(errno),
                Ok(()) => {}
            }
        }
        outcome
    }

    fn ids(&self, from: &Found) -> (Uid, Gid) {
        let uid = self.owner.0.unwrap_or(from.stat.st_uid);
        (Uid::from_raw(uid), Gid::from_raw(self.owner.1.unwrap_or(from.stat.st_gid)))
    }

    /// Owner, mode, extended attributes of users, and times, as the source has them.
    fn finish(&self, from: &Found, to: &Found) -> Result<(), Errno> {
        let (uid, gid) = self.ids(from);
        rustix::fs::chownat(&to.fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        rustix::fs::chmod(to.proc_path(), mode_of(from))?;
        copy_xattrs(from, to);
        rustix::fs::utimensat(CWD, to.proc_path(), &times(from), AtFlags::empty())
    }
}

fn mode_of(from: &Found) -> Mode {
    Mode::from_raw_mode(from.stat.st_mode & 0o7777)
}

fn times(from: &Found) -> Timestamps {
    let at = |sec, nsec: u64| Timespec { tv_sec: sec, tv_nsec: i64::try_from(nsec).unwrap_or(0) };
    let stat = &from.stat;
    Timestamps {
        last_access: at(stat.st_atime, stat.st_atime_nsec),
        last_modification: at(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn is_empty(directory: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(directory)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What cannot be copied is left out: not every file system has them.
fn copy_xattrs(from: &Found, to: &Found) {
    let mut names = vec![0; XATTR_MAX];
    let Ok(length) = rustix::fs::listxattr(from.proc_path(), names.as_mut_slice()) else { return };
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        if !name.starts_with(b"user.") {
            continue;
        }
        let mut value = vec![0; XATTR_MAX];
        if let Ok(length) = rustix::fs::getxattr(from.proc_path(), name, value.as_mut_slice()) {
            let value = value.get(..length).unwrap_or_default();
            let _ = rustix::fs::setxattr(to.proc_path(), name, value, XattrFlags::empty());
        }
    }
}
