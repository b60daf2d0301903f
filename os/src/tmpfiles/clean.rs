//! What goes by age, and what is removed with all below it.
//!
//! Times are nanoseconds since 1970. Of a directory that something is removed from, the times are put back: being cleaned makes
//! nothing younger.
use super::glob::below;
use super::report::{Failed, Level, Report};
use crate::rundir::socket_paths;
use runstead_core::names::pattern::matches_name;
use runstead_core::tmpfiles::AgeBy;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, RawDir, Statx, StatxAttributes, StatxFlags, Timespec,
    Timestamps,
};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// Deeper down nothing is cleaned.
const DEPTH_MAX: usize = 256;
/// How much of a directory is read at once.
const READ_AT_ONCE: usize = 32 << 10;
/// With fewer directories inside, a second thread is not worth its start.
const SIDE_BY_SIDE: usize = 8;

/// A path or pattern that has a line of its own, in components.
#[derive(Debug)]
pub struct Rule {
    /// Its components.
    pub components: Vec<String>,
    /// They are names.
    pub is_plain: bool,
}

impl Rule {
    fn matches_at(&self, depth: usize, name: &str) -> bool {
        let component = self.components.get(depth);
        component.is_some_and(|part| if self.is_plain { part == name } else { matches_name(part, name) })
    }
}

/// Those that may concern something in a directory, and how deep that is.
#[derive(Debug, Clone, Default)]
pub struct RulesBelow<'a> {
    rules: Vec<&'a Rule>,
    depth: usize,
}

impl<'a> RulesBelow<'a> {
    /// Of all rules, those for what is in a directory.
    pub fn of(rules: &'a [Rule], directory: &Path) -> RulesBelow<'a> {
        let mut all = RulesBelow { rules: rules.iter().collect(), depth: 0 };
        for component in directory.components() {
            if let std::path::Component::Normal(name) = component {
                all = all.below(&name.to_string_lossy());
            }
        }
        all
    }

    fn below(&self, name: &str) -> RulesBelow<'a> {
        let fits = |rule: &&&Rule| rule.components.len() > self.depth && rule.matches_at(self.depth, name);
        RulesBelow { rules: self.rules.iter().filter(fits).copied().collect(), depth: self.depth + 1 }
    }

    /// Whether something in the directory has a line of its own.
    fn has(&self, name: &CStr) -> bool {
        let ends_here = |rule: &&&Rule| rule.components.len() == self.depth + 1;
        !self.rules.is_empty() && {
            let name = name.to_string_lossy();
            self.rules.iter().filter(ends_here).any(|rule| rule.matches_at(self.depth, &name))
        }
    }
}

/// What is too old.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What is from this time or younger stays; `None`: everything goes.
    pub cutoff: Option<i128>,
    /// Which times count of directories.
    pub of_directories: AgeBy,
    /// And of the rest.
    pub of_files: AgeBy,
}

/// One cleaning.
#[derive(Debug)]
pub struct Cleaner<'a> {
    /// What is too old.
    pub limit: Limit,
    /// Only told.
    pub dry_run: bool,
    /// Where it is told.
    pub report: &'a Report,
    /// Sockets that somebody has; looked at when the first is met.
    pub sockets: &'a OnceLock<Option<HashSet<String>>>,
    /// Where `/` of the paths is.
    pub root: &'a Path,
}

/// A directory that is cleaned.
struct Visit<'a> {
    path: PathBuf,
    fd: OwnedFd,
    /// Last access and modification before.
    times: Option<(Timespec, Timespec)>,
    is_mount: bool,
    depth: usize,
    keep: bool,
    rules: RulesBelow<'a>,
}

/// A directory, to be read; its time of access stays where that may be asked for. `None`: there is none.
pub fn open_directory(
    parent: impl AsFd,
    name: impl rustix::path::Arg + Copy,
) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(&parent, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(&parent, name, flags, Mode::empty()),
        other => other,
    };
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn statx(directory: impl AsFd, name: &CStr, flags: AtFlags) -> Result<Statx, Errno> {
    let flags = flags | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}

fn is_mount(stat: &Statx) -> bool {
    stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        && stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
}

fn nanoseconds(time: &rustix::fs::StatxTimestamp) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

impl<'a> Cleaner<'a> {
    /// Removes what is in a directory and too old.
    pub fn clean(
        &self,
        path: &Path,
        fd: OwnedFd,
        keep_first_level: bool,
        rules: &'a [Rule],
    ) -> Result<(), Failed> {
        let stat = statx(&fd, c"", AtFlags::EMPTY_PATH)
            .map_err(|errno| self.report.failed("look at", path.display(), errno))?;
        let times = self.limit.cutoff.map(|_| times(&stat));
        self.directory(&Visit {
            path: path.to_owned(),
            fd,
            times,
            is_mount: is_mount(&stat),
            depth: 0,
            keep: keep_first_level,
            rules: RulesBelow::of(rules, path),
        })
    }

    fn directory(&self, visit: &Visit<'a>) -> Result<(), Failed> {
        let mut buffer = vec![MaybeUninit::uninit(); READ_AT_ONCE];
        let mut entries = RawDir::new(visit.fd.as_fd(), &mut buffer);
        let (mut outcome, mut removed) = (Ok(()), false);
        let mut aside = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    outcome = Err(self.report.failed("read directory", visit.path.display(), errno));
                    break;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // The first level is the widest: its directories can be cleaned side by side.
            if visit.depth == 0 && entry.file_type() == FileType::Directory {
                aside.push(name.to_owned());
                continue;
            }
            match self.entry(visit, name) {
                // A directory that goes is a change that its parent may show.
                Ok(gone) => removed |= gone && entry.file_type() != FileType::Directory,
                Err(failed) => outcome = Err(failed),
            }
        }
        outcome = self.side_by_side(visit, aside).and(outcome);
        if removed && let Some((access, modification)) = visit.times {
            let times = Timestamps { last_access: access, last_modification: modification };
            if let Err(errno) = rustix::fs::futimens(&visit.fd, &times) {
                self.warn("put back the times of", &visit.path, errno);
            }
        }
        outcome
    }

    fn side_by_side(&self, visit: &Visit<'a>, names: Vec<std::ffi::CString>) -> Result<(), Failed> {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let workers = if names.len() < SIDE_BY_SIDE { 1 } else { workers };
        let queue = Mutex::new((names.into_iter(), Ok(())));
        let lock = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let work = || {
            loop {
                let Some(name) = lock().0.next() else { return };
                if self.entry(visit, &name).is_err() {
                    lock().1 = Err(Failed);
                }
            }
        };
        if workers == 1 {
            work();
        } else {
            std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
        }
        lock().1
    }

    fn debug(&self, visit: &Visit<'_>, name: &CStr, why: &str) {
        if self.report.tells(Level::Debug) {
            let path = visit.path.join(OsStr::from_bytes(name.to_bytes()));
            self.report.say(Level::Debug, format_args!("{} stays: {why}", path.display()));
        }
    }

    fn warn(&self, attempted: &str, path: &Path, errno: Errno) -> Failed {
        let why = std::io::Error::from(errno);
        self.report.say(Level::Warning, format_args!("cannot {attempted} {}: {why}", path.display()));
        Failed
    }

    /// Whether something was removed.
    fn entry(&self, visit: &Visit<'a>, name: &CStr) -> Result<bool, Failed> {
        let path = || visit.path.join(OsStr::from_bytes(name.to_bytes()));
        let stat = match statx(&visit.fd, name, AtFlags::empty()) {
            Err(Errno::NOENT) => return Ok(false),
            other => other.map_err(|errno| self.warn("look at", &path(), errno))?,
        };
        if is_mount(&stat) {
            self.debug(visit, name, "something is mounted there");
            return Ok(false);
        }
        if visit.rules.has(name) {
            self.debug(visit, name, "it has a line of its own");
            return Ok(false);
        }
        match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::Directory => self.subdirectory(visit, name, &stat),
            kind => self.file(visit, name, &stat, kind),
        }
    }

    fn subdirectory(&self, visit: &Visit<'a>, name: &CStr, stat: &Statx) -> Result<bool, Failed> {
        if visit.is_mount && name == c"lost+found" && stat.stx_uid == 0 {
            return Ok(false);
        }
        let path = visit.path.join(OsStr::from_bytes(name.to_bytes()));
        let mut outcome = Ok(());
        // Held until it is removed: who locks it wants it to stay.
        let mut held = None;
        if visit.depth >= DEPTH_MAX {
            self.report.say(Level::Warning, format_args!("{} is too deep, it stays", path.display()));
        } else {
            let Some(fd) =
                open_directory(&visit.fd, name).map_err(|errno| self.warn("open", &path, errno))?
            else {
                return Ok(false);
            };
            if !self.dry_run && is_locked(&fd) {
                self.debug(visit, name, "somebody has locked it");
                return Ok(false);
            }
            let inner = Visit {
                path: path.clone(),
                fd,
                times: Some(times(stat)),
                is_mount: false,
                depth: visit.depth + 1,
                keep: false,
                rules: visit.rules.below(&name.to_string_lossy()),
            };
            outcome = self.directory(&inner);
            held = Some(inner.fd);
        }
        if visit.keep || !self.is_old(stat, self.limit.of_directories) {
            self.debug(visit, name, "it is not old enough");
            return outcome.map(|()| false);
        }
        let gone = self.remove(visit, name, AtFlags::REMOVEDIR)?;
        drop(held);
        outcome.map(|()| gone)
    }

    fn file(&self, visit: &Visit<'a>, name: &CStr, stat: &Statx, kind: FileType) -> Result<bool, Failed> {
        let by_root = stat.stx_uid == 0;
        let why = match kind {
            _ if stat.stx_mode & 0o1000 != 0 => Some("its sticky bit is set"),
            FileType::RegularFile
                if visit.is_mount && by_root && BELONGS_TO_FILE_SYSTEM.contains(&name.to_bytes()) =>
            {
                Some("it belongs to the file system")
            }
            FileType::Socket if self.is_in_use(visit, name) => Some("somebody has it"),
            FileType::CharacterDevice | FileType::BlockDevice => Some("it is a device"),
            _ if visit.keep => Some("the first level is kept"),
            _ if !self.is_old(stat, self.limit.of_files) => Some("it is not old enough"),
            _ => None,
        };
        if let Some(why) = why {
            self.debug(visit, name, why);
            return Ok(false);
        }
        // Links, FIFOs and sockets cannot be locked.
        let _held = if kind == FileType::RegularFile && !self.dry_run {
            let flags =
                OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            let opened = rustix::fs::openat(&visit.fd, name, flags | OFlags::NOATIME, Mode::empty());
            let fd = opened.ok();
            if fd.as_ref().is_some_and(is_locked) {
                self.debug(visit, name, "somebody has locked it");
                return Ok(false);
            }
            fd
        } else {
            None
        };
        self.remove(visit, name, AtFlags::empty())
    }

    fn remove(&self, visit: &Visit<'_>, name: &CStr, flags: AtFlags) -> Result<bool, Failed> {
        let path = || visit.path.join(OsStr::from_bytes(name.to_bytes()));
        if self.dry_run {
            self.report.say(Level::Info, format_args!("would remove {}", path().display()));
            return Ok(false);
        }
        match rustix::fs::unlinkat(&visit.fd, name, flags) {
            Ok(()) => {
                if self.report.tells(Level::Debug) {
                    self.report.say(Level::Debug, format_args!("removed {}", path().display()));
                }
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::NOTEMPTY | Errno::EXIST) if flags == AtFlags::REMOVEDIR => Ok(false),
            Err(errno) => Err(self.warn("remove", &path(), errno)),
        }
    }

    /// When nobody can tell, a socket is in use.
    fn is_in_use(&self, visit: &Visit<'_>, name: &CStr) -> bool {
        let path = below(self.root, &visit.path).join(OsStr::from_bytes(name.to_bytes()));
        let paths = self.sockets.get_or_init(socket_paths);
        paths.as_ref().is_none_or(|paths| paths.contains(&*path.to_string_lossy()))
    }

    fn is_old(&self, stat: &Statx, by: AgeBy) -> bool {
        let Some(cutoff) = self.limit.cutoff else { return true };
        // What no time is given for does not age.
        if !(by.access || by.birth || by.change || by.modification) {
            return false;
        }
        let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        let young = |counts: bool, time: &rustix::fs::StatxTimestamp| counts && nanoseconds(time) >= cutoff;
        !(young(by.modification, &stat.stx_mtime)
            || young(by.access, &stat.stx_atime)
            || young(by.change, &stat.stx_ctime)
            || young(by.birth && has_birth, &stat.stx_btime))
    }
}

const BELONGS_TO_FILE_SYSTEM: [&[u8]; 3] = [b".journal", b"aquota.user", b"aquota.group"];

fn times(stat: &Statx) -> (Timespec, Timespec) {
    let of = |time: &rustix::fs::StatxTimestamp| Timespec {
        tv_sec: time.tv_sec,
        tv_nsec: i64::from(time.tv_nsec),
    };
    (of(&stat.stx_atime), of(&stat.stx_mtime))
}

/// Whether somebody else has a lock (flock(2)); otherwise it is ours until the descriptor is closed.
fn is_locked(fd: &OwnedFd) -> bool {
    rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}

/// The time before which something is too old.
pub fn cutoff(age_usec: u64) -> Option<i128> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let now = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    let cutoff = now - i128::from(age_usec) * 1_000;
    (cutoff > 0).then_some(cutoff)
}

/// Removes one name.
pub fn unlink(parent: BorrowedFd<'_>, name: &OsStr, directory: bool) -> Result<(), Errno> {
    let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    rustix::fs::unlinkat(parent, name, flags)
}
