//! What `--create` makes.
use super::Runner;
use super::adjust::Creation;
use super::report::{Failed, Level};
use crate::chase::{Found, Missing, Refusal, Trust, place};
use runstead_core::tmpfiles::{Argument, Item, Kind};
use rustix::fd::AsFd as _;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Where something is to be made.
pub(super) struct Spot<'a> {
    pub(super) parent: Found,
    pub(super) name: &'a OsStr,
    pub(super) path: &'a Path,
}

impl Spot<'_> {
    pub(super) fn look(&self) -> Result<Found, Errno> {
        place(&self.parent.fd, self.name)
    }
}

impl Runner<'_> {
    /// Makes what a line is for.
    pub(super) fn make(&self, item: &Item) -> Result<(), Failed> {
        let path = Path::new(&item.path);
        let spot = self.spot(item, path);
        if let (true, Ok(Some(spot))) = (item.replace, &spot) {
            self.clear_wrong_type(item, spot)?;
        }
        // The directories above are made all the same, and what is wrong with them does not matter then.
        if item.if_target && !self.has_target(item)? {
            return Ok(());
        }
        let Some(spot) = spot? else { return Ok(()) };
        match item.kind {
            Kind::File => self.file(item, &spot),
            Kind::Truncate => self.truncate(item, &spot),
            Kind::Directory | Kind::TruncateDirectory => self.directory(item, &spot),
            Kind::Copy => self.copy(item, &spot),
            _ => self.node(item, &spot),
        }
    }

    /// The directory that it belongs into, made if need be. `None` when nothing is to be done.
    fn spot<'p>(&self, item: &Item, path: &'p Path) -> Result<Option<Spot<'p>>, Failed> {
        if has_dots(path) {
            return Err(self.report.failed("use", path.display(), Errno::INVAL));
        }
        let missing = match (self.options.dry_run, item.replace) {
            (true, _) => Missing::Fails,
            (false, true) => Missing::MadeAndReplaced,
            (false, false) => Missing::Made,
        };
        match self.way(Trust::Strict, missing).parent(path) {
            Ok((parent, name)) => Ok(Some(Spot { parent, name, path })),
            Err(Refusal::Errno(Errno::NOENT)) if self.options.dry_run => {
                self.would(|| format!("make {} and the directories above", path.display()));
                Ok(None)
            }
            // What it would be in is there, and so is what is in the way.
            Err(Refusal::Errno(Errno::NOTDIR)) if item.kind.is_directory() && self.has_parent(path) => {
                let text = format_args!("{} is in what is not a directory", path.display());
                self.report.say(Level::Warning, text);
                Ok(None)
            }
            Err(refusal @ Refusal::Unsafe { .. }) if self.options.dry_run && !item.replace => {
                let text = format_args!("would not make {}: {refusal}", path.display());
                self.report.say(Level::Warning, text);
                Ok(None)
            }
            Err(Refusal::Automount(at)) => {
                self.report
                    .say(Level::Debug, format_args!("{} is an automount point, skipped", at.display()));
                Ok(None)
            }
            Err(Refusal::Errno(Errno::PERM | Errno::ACCESS)) if is_device(item.kind) => {
                self.no_devices(path);
                Ok(None)
            }
            Err(refusal) => Err(self.refused("open the directory of", path, &refusal)),
        }
    }

    fn no_devices(&self, path: &Path) {
        let text = format_args!("devices may not be made here: {}", path.display());
        self.report.say(Level::Debug, text);
    }

    /// `?`: whether there is something where the link is to lead. A relative one is taken as if it began at the root.
    fn has_target(&self, item: &Item) -> Result<bool, Failed> {
        let Argument::Target(target) = &item.argument else { return Ok(true) };
        match self.way(Trust::Strict, Missing::Fails).open(Path::new(target), false) {
            Ok(_) | Err(Refusal::Automount(_)) => Ok(true),
            Err(Refusal::Errno(Errno::NOENT)) => {
                self.report
                    .say(Level::Info, format_args!("{target} is not there, {} is not made", item.path));
                Ok(false)
            }
            Err(refusal) => Err(self.refused("look for", Path::new(target), &refusal)),
        }
    }

    fn has_parent(&self, path: &Path) -> bool {
        let parent = path.parent().unwrap_or(Path::new("/"));
        self.way(Trust::Look, Missing::Fails).open(parent, true).is_ok()
    }

    /// `=`: what is of another type goes.
    fn clear_wrong_type(&self, item: &Item, spot: &Spot<'_>) -> Result<(), Failed> {
        let Some(wanted) = type_of(item.kind) else { return Ok(()) };
        let Ok(found) = spot.look() else { return Ok(()) };
        if found.kind() == wanted || self.would(|| format!("replace {}", spot.path.display())) {
            return Ok(());
        }
        self.clear(spot)
    }

    fn clear(&self, spot: &Spot<'_>) -> Result<(), Failed> {
        let removed = crate::rundir::remove_tree(spot.parent.fd.as_fd(), spot.name);
        removed.map_err(|errno| self.report.failed("remove", spot.path.display(), errno))
    }

    fn file(&self, item: &Item, spot: &Spot<'_>) -> Result<(), Failed> {
        if let Ok(found) = spot.look() {
            if found.kind() != FileType::RegularFile {
                return Err(self.report.failed("make file", spot.path.display(), Errno::EXIST));
            }
            return self.permissions(item, &found, spot.path, Creation::Existing);
        }
        if self.would(|| format!("make file {}", spot.path.display())) {
            return Ok(());
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(item.new_mode());
        let failed = |errno| self.report.failed("make file", spot.path.display(), errno);
        let fd = rustix::fs::openat(&spot.parent.fd, spot.name, flags, mode).map_err(failed)?;
        self.write(item, &mut File::from(fd.try_clone().map_err(|_| failed(Errno::MFILE))?), spot.path)?;
        let found = Found::of(fd).map_err(failed)?;
        self.permissions(item, &found, spot.path, Creation::New)
    }

    fn truncate(&self, item: &Item, spot: &Spot<'_>) -> Result<(), Failed> {
        let there = match spot.look() {
            Err(Errno::NOENT) => return self.file(item, spot),
            other => other.map_err(|errno| self.report.failed("open", spot.path.display(), errno))?,
        };
        let failed = |errno| self.report.failed("truncate", spot.path.display(), errno);
        match there.kind() {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(failed(Errno::LOOP)),
            _ => return Err(failed(Errno::EXIST)),
        }
        if self.would(|| format!("truncate {}", spot.path.display())) {
            return Ok(());
        }
        let flags = OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        match rustix::fs::openat(&spot.parent.fd, spot.name, flags, Mode::empty()) {
            Ok(fd) => {
                let found = Found::of(fd.try_clone().map_err(|_| failed(Errno::MFILE))?).map_err(failed)?;
                if found.kind() != FileType::RegularFile {
                    return Err(failed(Errno::EXIST));
                }
                if found.stat.st_size > 0 {
                    rustix::fs::ftruncate(&fd, 0).map_err(failed)?;
                }
                self.write(item, &mut File::from(fd), spot.path)?;
                self.permissions(item, &found, spot.path, Creation::Existing)
            }
            // On a read-only file system it may be as it should be.
            Err(Errno::ROFS) if there.stat.st_size == 0 && item.argument == Argument::None => {
                self.permissions(item, &there, spot.path, Creation::Existing)
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    fn write(&self, item: &Item, file: &mut File, path: &Path) -> Result<(), Failed> {
        let Argument::Content(bytes) = &item.argument else { return Ok(()) };
        file.write_all(bytes)
            .map_err(|error| self.report.failed("write", path.display(), crate::error::errno_of(&error)))
    }

    /// `w`: into what is there, whatever it is; it may be a link itself.
    pub(super) fn write_into(&self, item: &Item, path: &Path) -> Result<(), Failed> {
        let failed = |errno| self.report.failed("write to", path.display(), errno);
        if has_dots(path) {
            return Err(failed(Errno::INVAL));
        }
        let found = match self.written(path) {
            Ok(found) => found,
            Err(Refusal::Errno(Errno::NOENT)) => return Ok(()),
            Err(refusal) => return Err(self.refused("open", path, &refusal)),
        };
        if self.would(|| format!("write to {}", path.display())) {
            return Ok(());
        }
        let mut flags = OFlags::NONBLOCK | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        if item.force {
            flags |= OFlags::APPEND;
        }
        let fd = rustix::fs::open(found.proc_path(), flags, Mode::empty()).map_err(failed)?;
        self.write(item, &mut File::from(fd.try_clone().map_err(|_| failed(Errno::MFILE))?), path)?;
        let found = Found::of(fd).map_err(failed)?;
        self.permissions(item, &found, path, Creation::Existing)
    }

    /// The way to it is to be safe; the last link may be a user's that leads to what is his.
    fn written(&self, path: &Path) -> Result<Found, Refusal> {
        let (parent, name) = self.way(Trust::Strict, Missing::Fails).parent(path)?;
        let found = place(&parent.fd, name)?;
        match found.kind() {
            FileType::Symlink => self.way(Trust::Links, Missing::Fails).open(path, true),
            _ => Ok(found),
        }
    }

    fn directory(&self, item: &Item, spot: &Spot<'_>) -> Result<(), Failed> {
        let failed = |errno| self.report.failed("make directory", spot.path.display(), errno);
        let mut creation = Creation::Existing;
        if matches!(spot.look(), Err(Errno::NOENT)) {
            if self.would(|| format!("make directory {}", spot.path.display())) {
                return Ok(());
            }
            let mode = Mode::from_raw_mode(item.new_mode());
            match rustix::fs::mkdirat(&spot.parent.fd, spot.name, mode) {
                Ok(()) => creation = Creation::New,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        let found = spot.look().map_err(failed)?;
        if found.kind() != FileType::Directory {
            return self.in_the_way(spot, "a directory");
        }
        self.permissions(item, &found, spot.path, creation)
    }

    fn in_the_way(&self, spot: &Spot<'_>, what: &str) -> Result<(), Failed> {
        let text = format_args!("{} is there already and is not {what}", spot.path.display());
        self.report.say(Level::Warning, text);
        Ok(())
    }

    /// `e`: mode and owner of a directory that is there.
    pub(super) fn existing_directory(&self, item: &Item, path: &Path) -> Result<(), Failed> {
        let Some(found) = self.look(path, Trust::Strict, true)? else { return Ok(()) };
        if found.kind() != FileType::Directory {
            let text = format_args!("{} is there already and is not a directory", path.display());
            self.report.say(Level::Warning, text);
            return Ok(());
        }
        self.permissions(item, &found, path, Creation::Existing)
    }

    /// FIFOs, links and devices.
    fn node(&self, item: &Item, spot: &Spot<'_>) -> Result<(), Failed> {
        let failed = |errno| self.report.failed("make", spot.path.display(), errno);
        let mut creation = Creation::Existing;
        match spot.look() {
            Ok(found) if is_as_wanted(item, &found) => {}
            Ok(_) if !item.force => {
                let what = node_word(item.kind);
                if item.kind == Kind::Link {
                    let text = format_args!("{} is not {what}", spot.path.display());
                    self.report.say(Level::Debug, text);
                    return Ok(());
                }
                return self.in_the_way(spot, what);
            }
            there => {
                if self.would(|| format!("make {} {}", node_word(item.kind), spot.path.display())) {
                    return Ok(());
                }
                creation = Creation::New;
                match self.replace(item, spot, there.is_ok()) {
                    Err(Errno::PERM | Errno::ACCESS) if is_device(item.kind) => {
                        self.no_devices(spot.path);
                        return Ok(());
                    }
                    other => other.map_err(failed)?,
                }
            }
        }
        let found = spot.look().map_err(failed)?;
        self.permissions(item, &found, spot.path, creation)
    }

    /// Puts a new node in its place; one that is there gives way in one step where that is possible.
    fn replace(&self, item: &Item, spot: &Spot<'_>, there: bool) -> Result<(), Errno> {
        if !there {
            return make_node(item, spot, spot.name);
        }
        let temporary = format!(".#{}{:x}", std::process::id(), u64::from_le_bytes(random()));
        make_node(item, spot, OsStr::new(&temporary))?;
        let parent = &spot.parent.fd;
        match rustix::fs::renameat(parent, temporary.as_str(), parent, spot.name) {
            Ok(()) => return Ok(()),
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(errno) => {
                let _ = rustix::fs::unlinkat(parent, temporary.as_str(), AtFlags::empty());
                return Err(errno);
            }
        }
        // That something may not be removed says nothing of whether devices may be made.
        let done = crate::rundir::remove_tree(parent.as_fd(), spot.name)
            .map_err(
                |errno| if matches!(errno, Errno::PERM | Errno::ACCESS) { Errno::NOTEMPTY } else { errno },
            )
            .and_then(|()| rustix::fs::renameat(parent, temporary.as_str(), parent, spot.name));
        if done.is_err() {
            let _ = rustix::fs::unlinkat(parent, temporary.as_str(), AtFlags::empty());
        }
        done
    }
}

fn random() -> [u8; 8] {
    crate::identity::random().unwrap_or_default()
}

/// `..` on the way could lead anywhere once somebody moves a directory.
pub(super) fn has_dots(path: &Path) -> bool {
    path.components().any(|component| component == std::path::Component::ParentDir)
}

fn type_of(kind: Kind) -> Option<FileType> {
    Some(match kind {
        Kind::File | Kind::Truncate => FileType::RegularFile,
        Kind::Directory | Kind::TruncateDirectory => FileType::Directory,
        Kind::Fifo => FileType::Fifo,
        Kind::Link => FileType::Symlink,
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => return None,
    })
}

fn is_device(kind: Kind) -> bool {
    matches!(kind, Kind::CharDevice | Kind::BlockDevice)
}

fn node_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Fifo => "a FIFO",
        Kind::Link => "a link that leads where the line says",
        Kind::CharDevice => "that character device",
        _ => "that block device",
    }
}

fn is_as_wanted(item: &Item, found: &Found) -> bool {
    if Some(found.kind()) != type_of(item.kind) {
        return false;
    }
    match &item.argument {
        Argument::Target(target) => rustix::fs::readlinkat(&found.fd, "", Vec::new())
            .is_ok_and(|leads| leads.as_bytes() == target.as_bytes()),
        Argument::Device(major, minor) => found.stat.st_rdev == rustix::fs::makedev(*major, *minor),
        _ => true,
    }
}

fn make_node(item: &Item, spot: &Spot<'_>, name: &OsStr) -> Result<(), Errno> {
    let parent = &spot.parent.fd;
    match &item.argument {
        Argument::Target(target) => rustix::fs::symlinkat(target.as_str(), parent, name),
        other => {
            let device = match other {
                Argument::Device(major, minor) => rustix::fs::makedev(*major, *minor),
                _ => 0,
            };
            let kind = type_of(item.kind).ok_or(Errno::INVAL)?;
            rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(item.new_mode()), device)
        }
    }
}
