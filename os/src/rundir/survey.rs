//! A look at all of `/run`, of this system or of an image, that changes nothing and follows no link.
use super::sockets;
use crate::error::{Attempt, OsError};
use crate::process;
use runstead_core::engine::clock::Usec;
use runstead_core::rundir::requirements::{self, Breach};
use runstead_core::rundir::{Alias, Entry, Kind, PidFile, Process, Root, Survey};
use runstead_pidfile::State;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, Statx, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::Path;

/// Deeper trees and longer PID files are nobody's.
const DEPTH_MAX: usize = 64;
const PID_FILE_MAX: usize = 4096;
const TICKS: u64 = 100;

/// Look at the tree whose root is `top`: `/` is this system, anything else an image.
///
/// # Errors
/// When `top` cannot be opened; what cannot be read below it is listed in the survey.
pub fn survey(top: &Path) -> Result<Survey, OsError> {
    let place = top.to_string_lossy();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tree = rustix::fs::open(top, flags, Mode::empty()).attempt("open", &*place)?;
    let live = place == "/";
    let mounts = if live { mounts() } else { BTreeMap::new() };
    let mut walk = Walk { mounts: &mounts, live, entries: BTreeMap::new(), unseen: Vec::new() };
    let root = root(&tree, &mounts);
    if root.kind == Some(Kind::Directory) {
        walk.directory(tree.as_fd(), "run", "", 0);
    }
    let Walk { entries, unseen, .. } = walk;
    Ok(Survey {
        var_run: alias(&tree, "var/run", "run"),
        var_lock: alias(&tree, "var/lock", "run/lock"),
        sockets: if live { sockets::list() } else { BTreeMap::new() },
        booted: if live { Some(booted()) } else { None },
        container: live && !process::in_first_pid_namespace(),
        root,
        entries,
        unseen,
    })
}

/// What of `/run` itself is not as a manager needs it.
pub fn preconditions() -> Vec<Breach> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tree = rustix::fs::open("/", flags, Mode::empty());
    tree.map_or_else(|_| Vec::new(), |tree| requirements::preconditions(&root(&tree, &mounts())))
}

/// Type of the file system that is mounted last at each path.
fn mounts() -> BTreeMap<String, String> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    crate::mount::parse_mounts(&table).into_iter().map(|line| (line.target, line.fstype)).collect()
}

fn root(tree: &OwnedFd, mounts: &BTreeMap<String, String>) -> Root {
    let seen = look(tree.as_fd(), "run").ok();
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let system =
        rustix::fs::openat(tree, "run", flags, Mode::empty()).and_then(|run| rustix::fs::fstatvfs(&run)).ok();
    let set = |flag| system.as_ref().is_some_and(|system| system.f_flag.contains(flag));
    let bits = |of: fn(&Statx) -> u32| seen.as_ref().map_or(0, |(stat, _)| of(stat));
    Root {
        mode: bits(|stat| u32::from(stat.stx_mode) & 0o7777),
        uid: bits(|stat| stat.stx_uid),
        gid: bits(|stat| stat.stx_gid),
        kind: seen.map(|(_, kind)| kind),
        mounted: mounts.contains_key("/run"),
        fstype: mounts.get("/run").cloned().unwrap_or_default(),
        read_only: set(StatVfsMountFlags::RDONLY),
        noexec: set(StatVfsMountFlags::NOEXEC),
        bytes: system
            .as_ref()
            .map_or((0, 0), |system| (system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize)),
        inodes: system.map_or((0, 0), |system| (system.f_ffree, system.f_files)),
    }
}

/// What is at a name, and what kind of thing that is.
fn look(parent: BorrowedFd<'_>, name: &str) -> Result<(Statx, Kind), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(parent, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    let kind = match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
            Kind::Link(target.to_string_lossy().into_owned())
        }
        FileType::Socket => Kind::Socket,
        FileType::Fifo => Kind::Fifo,
        FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
        _ => Kind::File,
    };
    Ok((stat, kind))
}

/// Where an old name leads, within the tree.
fn alias(tree: &OwnedFd, name: &str, place: &str) -> Alias {
    let identity = |path: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat2(tree, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
        let stat = rustix::fs::fstat(opened).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    let kind = look(tree.as_fd(), name).ok().map(|(_, kind)| kind);
    // In an image the place may be missing until it boots: what the link says counts then.
    let says = |target: &str| target.trim_start_matches('/').trim_start_matches("../") == place;
    let leads_there = match (identity(name), identity(place)) {
        (Some(one), Some(other)) => one == other,
        _ => matches!(&kind, Some(Kind::Link(target)) if says(target)),
    };
    Alias { kind, leads_there }
}

/// When PID 1 started, by this system's clock as it is now.
fn booted() -> Usec {
    let now = crate::timer::now();
    let kernel = now.realtime.saturating_sub(now.boottime);
    kernel + process::start_time(1).unwrap_or(0) * (1_000_000 / TICKS)
}

struct Walk<'a> {
    mounts: &'a BTreeMap<String, String>,
    live: bool,
    entries: BTreeMap<String, Entry>,
    unseen: Vec<(String, String)>,
}

impl Walk<'_> {
    /// All that is in the directory `name` of `parent`, which is `path` below `/run`.
    fn directory(&mut self, parent: BorrowedFd<'_>, name: &str, path: &str, depth: usize) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(parent, name, flags, Mode::empty())
            .and_then(|open| Dir::read_from(&open).map(|list| (open, list)));
        let (open, list) = match opened {
            Ok(pair) if depth < DEPTH_MAX => pair,
            Ok(_) => return self.unseen.push((format!("/run/{path}"), "too deep".to_owned())),
            Err(errno) => return self.unseen.push((format!("/run/{path}"), errno.to_string())),
        };
        for entry in list {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return self.unseen.push((format!("/run/{path}"), errno.to_string())),
            };
            let name = entry.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            let below = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            self.entry(open.as_fd(), &name, below, depth);
        }
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, name: &str, path: String, depth: usize) {
        let (stat, kind) = match look(parent, name) {
            Ok(pair) => pair,
            // Gone meanwhile.
            Err(Errno::NOENT) => return,
            Err(errno) => return self.unseen.push((format!("/run/{path}"), errno.to_string())),
        };
        let mount = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT).then(|| {
            self.mounts.get(&format!("/run/{path}")).cloned().unwrap_or_else(|| "unknown".to_owned())
        });
        let descends = kind == Kind::Directory && mount.is_none();
        let pid = (kind == Kind::File && name.ends_with(".pid")).then(|| self.pid_file(parent, name));
        let made =
            if stat.stx_mask & StatxFlags::BTIME.bits() == 0 { stat.stx_ctime } else { stat.stx_btime };
        let seconds = u64::try_from(made.tv_sec).unwrap_or(0);
        self.entries.insert(
            path.clone(),
            Entry {
                mode: u32::from(stat.stx_mode) & 0o7777,
                uid: stat.stx_uid,
                gid: stat.stx_gid,
                bytes: stat.stx_blocks * 512,
                since: seconds * 1_000_000 + u64::from(made.tv_nsec) / 1000,
                kind,
                mount,
                pid,
            },
        );
        if descends {
            self.directory(parent, name, &path, depth + 1);
        }
    }

    fn pid_file(&self, parent: BorrowedFd<'_>, name: &str) -> PidFile {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut bytes = vec![0; PID_FILE_MAX];
        let read = rustix::fs::openat(parent, name, flags, Mode::empty())
            .and_then(|file| rustix::io::pread(&file, &mut bytes, 0).map(|count| (file, count)));
        match read {
            Ok((file, count)) => {
                let (pid, exact) = parse_pid(&bytes[..count]);
                let process = if self.live { process_of(name, &file) } else { Process::Unknown };
                PidFile { pid, exact, process }
            }
            Err(errno) => PidFile {
                pid: Err(format!("cannot be read: {errno}")),
                exact: false,
                process: Process::Unknown,
            },
        }
    }
}

/// What the text of a PID file says, and whether it is exactly as the standard wants it.
fn parse_pid(bytes: &[u8]) -> (Result<i32, String>, bool) {
    let number = runstead_pidfile::parse(bytes);
    let exact = number.is_ok_and(|number| bytes == format!("{number}\n").as_bytes());
    (number.map(u32::cast_signed).map_err(|why| why.to_string()), exact)
}

fn process_of(name: &str, file: &OwnedFd) -> Process {
    let comm = |pid: u32| process::comm(pid.cast_signed()).unwrap_or_default();
    match runstead_pidfile::check_open(name, file) {
        Ok(State::Live(pid)) => Process::Live(comm(pid)),
        Ok(State::Reused(pid)) => Process::Reused(comm(pid)),
        Ok(State::Unsure(pid)) => Process::Unsure(comm(pid)),
        Ok(State::Stale(_)) => Process::Gone,
        Err(_) => Process::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use runstead_core::rundir::requirements::{Verdict, check};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn pid_files_are_read_leniently_and_judged_strictly() {
        for (text, pid, exact) in [
            ("12\n", Some(12), true),
            ("12", Some(12), false),
            (" 0012 \nmore\n", Some(12), false),
            ("\n12\n", Some(12), false),
            ("0\n", None, false),
            ("-3\n", None, false),
            ("x\n", None, false),
            ("", None, false),
            ("99999999999\n", None, false),
        ] {
            let (found, strict) = parse_pid(text.as_bytes());
            assert_eq!((found.ok(), strict), (pid, exact), "{text:?}");
        }
    }

    #[test]
    fn an_image_is_judged_by_what_it_holds() {
        let scratch = Scratch::new("survey");
        let top = Path::new(scratch.path());
        for directory in ["run/lock", "run/user/1000", "var"] {
            std::fs::create_dir_all(top.join(directory)).expect("mkdir");
        }
        std::fs::set_permissions(top.join("run/user/1000"), std::fs::Permissions::from_mode(0o700))
            .expect("chmod");
        std::fs::write(top.join("run/left.pid"), "7").expect("write");
        symlink("/run", top.join("var/run")).expect("link");
        let seen = survey(top).expect("seen");
        assert!(seen.is_image() && seen.var_run.leads_there && seen.var_lock.kind.is_none());
        assert_eq!(seen.entries.keys().collect::<Vec<_>>(), ["left.pid", "lock", "user", "user/1000"]);
        let verdict =
            |name: &str| check(&seen).into_iter().find(|row| row.name == name).map(|row| row.verdict);
        assert!(
            matches!(verdict("cleared"), Some(Verdict::Broken(found)) if found[0].path == "/run/left.pid")
        );
        assert!(matches!(verdict("pid-files"), Some(Verdict::Broken(_))));
        assert_eq!(verdict("var-run"), Some(Verdict::Holds));
        assert!(matches!(verdict("var-lock"), Some(Verdict::Broken(_))));
        assert!(matches!(verdict("usable"), Some(Verdict::Unknown(_))));
    }

    #[test]
    fn this_system_is_seen() {
        let seen = survey(Path::new("/")).expect("seen");
        assert!(seen.booted.is_some_and(|booted| booted > 1_000_000_000_000_000) && seen.root.bytes.1 > 0);
    }
}
