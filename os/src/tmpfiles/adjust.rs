//! Mode, owner, extended attributes, access control lists and flags of what is there.
use super::Runner;
use super::report::{Failed, Level};
use crate::chase::Found;
use runstead_core::tmpfiles::argument::DIRSYNC;
use runstead_core::tmpfiles::{Argument, Item, Kind, ModeField, OwnerField, acl};
use rustix::fs::{AtFlags, FileType, Gid, IFlags, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;
use std::path::Path;

/// Whether something is there since before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made for this line.
    New,
    /// It was there.
    Existing,
}

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// More than a list of the kernel has.
const ACL_MAX: usize = 64 << 10;

impl Runner<'_> {
    /// What a line adds to what is there.
    pub(super) fn adjust(&self, item: &Item, found: &Found, path: &Path) -> Result<(), Failed> {
        match item.kind {
            Kind::Xattr | Kind::XattrAll => self.xattrs(item, found, path),
            Kind::Acl | Kind::AclAll => self.acls(item, found, path),
            Kind::Flags | Kind::FlagsAll => self.flags(item, found, path),
            _ => self.permissions(item, found, path, Creation::Existing),
        }
    }

    /// Mode and owner.
    pub(super) fn permissions(
        &self,
        item: &Item,
        found: &Found,
        path: &Path,
        creation: Creation,
    ) -> Result<(), Failed> {
        if item.mode.is_none() && item.user.is_none() && item.group.is_none() {
            return Ok(());
        }
        let stat = &found.stat;
        let is_directory = found.kind() == FileType::Directory;
        if !is_directory && stat.st_nlink > 1 && !self.hard_links_are_protected() {
            let why = "it has several names, and fs.protected_hardlinks is off";
            self.report.say(Level::Error, format_args!("cannot adjust {}: {why}", path.display()));
            return Err(Failed);
        }
        let applies = |only_new: bool| creation == Creation::New || !only_new;
        let id = |field: Option<OwnerField>, current: u32| {
            field.filter(|field| applies(field.only_new)).map_or(current, |field| field.id)
        };
        let (uid, gid) = (id(item.user, stat.st_uid), id(item.group, stat.st_gid));
        let over = |mode: ModeField| mode.over(stat.st_mode, is_directory);
        let mode = item.mode.filter(|mode| applies(mode.only_new)).map_or(stat.st_mode & 0o7777, over);
        self.set(found, path, (uid, gid), mode)
    }

    fn set(&self, found: &Found, path: &Path, owner: (u32, u32), mode: u32) -> Result<(), Failed> {
        let stat = &found.stat;
        let is_link = found.kind() == FileType::Symlink;
        let chown = owner != (stat.st_uid, stat.st_gid);
        let chmod = mode != stat.st_mode & 0o7777;
        if self.options.dry_run {
            if (chmod && !is_link) || chown {
                let (uid, gid) = owner;
                let text = format_args!("would set mode {mode:04o}, owner {uid}:{gid} of {}", path.display());
                self.report.say(Level::Info, text);
            }
            return Ok(());
        }
        let failed = |errno| self.report.failed("adjust mode and owner of", path.display(), errno);
        let change = |mode| rustix::fs::chmod(found.proc_path(), Mode::from_raw_mode(mode));
        // Nobody may get at it for a moment who neither could before nor can afterwards.
        if chmod && chown && !is_link && mode & stat.st_mode & 0o7777 != stat.st_mode & 0o7777 {
            change(mode & stat.st_mode & 0o7777).map_err(failed)?;
        }
        if chown {
            let uid = (owner.0 != stat.st_uid).then(|| Uid::from_raw(owner.0));
            let gid = (owner.1 != stat.st_gid).then(|| Gid::from_raw(owner.1));
            rustix::fs::chownat(&found.fd, "", uid, gid, AtFlags::EMPTY_PATH).map_err(failed)?;
        }
        if (chmod || chown) && !is_link {
            change(mode).map_err(failed)?;
        }
        Ok(())
    }

    fn xattrs(&self, item: &Item, found: &Found, path: &Path) -> Result<(), Failed> {
        let Argument::Xattrs(list) = &item.argument else { return Ok(()) };
        let mut outcome = Ok(());
        for (name, value) in list {
            if self.would(|| format!("set attribute {name} of {}", path.display())) {
                continue;
            }
            let set =
                rustix::fs::setxattr(found.proc_path(), name.as_str(), value.as_bytes(), XattrFlags::empty());
            if let Err(errno) = set {
                let on = format!("{name} of {}", path.display());
                outcome = Err(self.report.failed("set extended attribute", on, errno));
            }
        }
        outcome
    }

    fn acls(&self, item: &Item, found: &Found, path: &Path) -> Result<(), Failed> {
        let Argument::Acl(list) = &item.argument else { return Ok(()) };
        if found.kind() == FileType::Symlink {
            self.report.say(Level::Debug, format_args!("{} is a link and has no list", path.display()));
            return Ok(());
        }
        let is_directory = found.kind() == FileType::Directory;
        for (entries, name) in [(&list.access, ACCESS), (&list.default, DEFAULT)] {
            if entries.is_empty() || (name == DEFAULT && !is_directory) {
                continue;
            }
            if self.would(|| format!("set access control list of {}", path.display())) {
                continue;
            }
            let old = current_list(found, name).unwrap_or_default();
            // The first list has changed it.
            let mode = rustix::fs::fstat(&found.fd).map_or(found.stat.st_mode, |stat| stat.st_mode);
            let new = acl::apply(entries, &old, item.force, mode, is_directory);
            let set = rustix::fs::setxattr(found.proc_path(), name, &acl::encode(&new), XattrFlags::empty());
            match set {
                Ok(()) => {}
                Err(Errno::NOTSUP | Errno::NOSYS) => {
                    let text = format_args!("no access control lists where {} is", path.display());
                    self.report.say(Level::Debug, text);
                }
                Err(errno) => {
                    return Err(self.report.failed("set access control list of", path.display(), errno));
                }
            }
        }
        Ok(())
    }

    fn flags(&self, item: &Item, found: &Found, path: &Path) -> Result<(), Failed> {
        let Argument::Flags { mut value, mask } = item.argument else { return Ok(()) };
        if !matches!(found.kind(), FileType::RegularFile | FileType::Directory) {
            let text =
                format_args!("cannot set file attributes of {}: no file, no directory", path.display());
            self.report.say(Level::Error, text);
            return Err(Failed);
        }
        if found.kind() != FileType::Directory {
            value &= !DIRSYNC;
        }
        if self.would(|| format!("set file attributes of {}", path.display())) {
            return Ok(());
        }
        // Whose it is not may not open it so, and cannot set them either.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOATIME;
        let fd = rustix::fs::open(found.proc_path(), flags, Mode::empty())
            .map_err(|errno| self.report.failed("open", path.display(), errno))?;
        let set = rustix::fs::ioctl_getflags(&fd).and_then(|old| {
            let new = old.bits() & !mask | value & mask;
            if new == old.bits() {
                return Ok(());
            }
            rustix::fs::ioctl_setflags(&fd, IFlags::from_bits_retain(new))
        });
        if let Err(errno) = set {
            let common = matches!(errno, Errno::NOTTY | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL);
            let level = if common { Level::Debug } else { Level::Warning };
            let why = std::io::Error::from(errno);
            self.report.say(level, format_args!("cannot set file attributes of {}: {why}", path.display()));
        }
        Ok(())
    }
}

fn current_list(found: &Found, name: &str) -> Option<Vec<acl::Entry>> {
    let mut bytes = vec![0; ACL_MAX];
    let length = rustix::fs::getxattr(found.proc_path(), name, bytes.as_mut_slice()).ok()?;
    acl::decode(bytes.get(..length)?)
}
