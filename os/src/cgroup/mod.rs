//! The control group tree (cgroups(7), the kernel's `cgroup-v2` document).
//!
//! Paths given and returned are relative to the manager's root and start with `/`: "/system.slice/a.service".
//! Controllers are enabled only where something needs them: a cgroup with five of them costs four times a bare one.
mod attributes;
mod controllers;
mod deep;
mod kill;
mod watch;

use attributes::file;
use controllers::Controllers;
pub use kill::signal_one;
pub use watch::{Change, Watch};

use crate::error::{Attempt, OsError};
use crate::process;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{WaitOptions, waitpid};
use std::collections::BTreeSet;

/// Where PID 1 itself lives below its root, since a cgroup with children may not hold processes.
pub const INIT_SCOPE: &str = "/init.scope";

/// The child that moves us.
#[derive(Debug)]
#[must_use]
pub struct Entering(i32);

/// How deep a tree is followed: deeper ones are made by somebody who wants to exhaust us.
const DEPTH_MAX: usize = 64;

/// The part of the cgroup tree that is ours.
#[derive(Debug)]
pub struct Cgroups {
    mount: String,
    root: String,
    dir: OwnedFd,
    available: BTreeSet<String>,
    controllers: Controllers,
    /// Killed by `cgroup.kill`: made anew before anything is cloned into them.
    killed: BTreeSet<String>,
    /// Taken out while it looks at us.
    watch: Option<Watch>,
}

impl Cgroups {
    /// Find the unified hierarchy and our own place in it. Without one (or outside our namespace) the manager is in
    /// plain mode.
    pub fn find() -> Result<Cgroups, OsError> {
        let mount = find_mount()?;
        let own = process::cgroup(std::process::id().cast_signed())?;
        if own == "/.." || own.starts_with("/../") {
            return Err(OsError::new("find own cgroup", own, Errno::XDEV));
        }
        let root = own.strip_suffix(INIT_SCOPE).unwrap_or(&own).trim_end_matches('/').to_owned();
        Cgroups::at(mount, root)
    }

    /// The tree below `root` ("" for the top) of the hierarchy mounted at `mount`.
    pub fn at(mount: String, root: String) -> Result<Cgroups, OsError> {
        let path = format!("{mount}{root}");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).attempt("open cgroup", &path)?;
        let mut cgroups = Cgroups {
            mount,
            root,
            dir,
            available: BTreeSet::new(),
            controllers: Controllers::default(),
            killed: BTreeSet::new(),
            watch: Some(Watch::new()?),
        };
        let controllers = cgroups.read("/", "cgroup.controllers").unwrap_or_default();
        cgroups.available = controllers.split_ascii_whitespace().map(str::to_owned).collect();
        Ok(cgroups)
    }

    /// Where the hierarchy is mounted.
    pub fn mount_point(&self) -> &str {
        &self.mount
    }

    /// The manager's root as `/proc/PID/cgroup` would tell it, "" for the top (the `ControlGroup` property shows the
    /// full path).
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Controllers that may be used here.
    pub fn controllers(&self) -> impl Iterator<Item = &str> {
        self.available.iter().map(String::as_str)
    }

    /// The absolute path of a cgroup's directory.
    pub fn absolute(&self, path: &str) -> String {
        format!("{}{}{}", self.mount, self.root, if path == "/" { "" } else { path })
    }

    /// What `/proc/PID/cgroup` tells, relative to the manager's root; `None` when it lies outside.
    pub fn relative<'a>(&self, full: &'a str) -> Option<&'a str> {
        match full.strip_prefix(self.root.as_str())? {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }

    /// The cgroup of a process, relative to the manager's root.
    pub fn of_process(&self, pid: i32) -> Option<String> {
        let full = process::cgroup(pid).ok()?;
        self.relative(&full).map(str::to_owned)
    }

    /// Poll this for reading: [`Cgroups::changes`] tells what happened.
    pub fn watch_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::fd)
    }

    /// What happened to watched cgroups.
    pub fn changes(&mut self) -> Result<Vec<Change>, OsError> {
        let Some(mut watch) = self.watch.take() else { return Ok(Vec::new()) };
        let changes = watch.drain(self);
        self.watch = Some(watch);
        changes
    }

    /// What happened to watched cgroups while nobody read: after a re-execution.
    pub fn changes_of_all(&mut self) -> Vec<Change> {
        let Some(mut watch) = self.watch.take() else { return Vec::new() };
        let changes = watch.look_at_all(self);
        self.watch = Some(watch);
        changes
    }

    /// Watch a cgroup (`CgroupSpec::watch`), or no longer. [`Cgroups::trim`] ends a watch.
    pub fn watch(&mut self, path: &str, on: bool) -> Result<(), OsError> {
        let Some(mut watch) = self.watch.take() else { return Ok(()) };
        let done = if on {
            watch.add(self, path, false)
        } else {
            watch.remove(path);
            Ok(())
        };
        self.watch = Some(watch);
        done
    }

    /// Whether the OOM killer killed in a watched cgroup since this, or [`Cgroups::changes`], last told.
    pub fn oom_killed(&mut self, path: &str) -> bool {
        let Some(mut watch) = self.watch.take() else { return false };
        let killed = watch.oom_killed(self, path);
        self.watch = Some(watch);
        killed
    }

    /// A child of ours in this cgroup ended: what is to be told of the cgroup.
    pub fn process_ended(&mut self, path: &str) -> Result<Vec<Change>, OsError> {
        let Some(mut watch) = self.watch.take() else { return Ok(Vec::new()) };
        let changes = watch.process_ended(self, path);
        self.watch = Some(watch);
        changes
    }

    /// Watch a cgroup that was just made: nothing can have happened in it.
    pub(super) fn watch_new(&mut self, path: &str) -> Result<(), OsError> {
        let Some(mut watch) = self.watch.take() else { return Ok(()) };
        let done = watch.add(self, path, true);
        self.watch = Some(watch);
        done
    }

    /// Whether we are in [`INIT_SCOPE`] already.
    pub fn is_entered(&self) -> bool {
        self.of_process(std::process::id().cast_signed()).is_some_and(|path| path == INIT_SCOPE)
    }

    /// Begin to move ourselves into [`INIT_SCOPE`]: a throw-away child does it, since the kernel lets who moves a process wait
    /// for many milliseconds. [`Cgroups::entered_init_scope`] waits for it.
    pub fn enter_init_scope(&mut self) -> Result<Entering, OsError> {
        self.create(INIT_SCOPE)?;
        let (name, flags) = (file(INIT_SCOPE, "cgroup.procs")?, OFlags::WRONLY | OFlags::CLOEXEC);
        let procs = rustix::fs::openat(&self.dir, &name, flags, Mode::empty()).attempt("open", &name)?;
        let own = std::process::id().to_string();
        let helper = crate::sys::process::offload(move || {
            i32::from(rustix::io::write(&procs, own.as_bytes()).is_err())
        });
        helper.map(Entering).attempt("fork to enter", INIT_SCOPE)
    }

    /// Wait until we are there, and move whatever else sits in the root.
    pub fn entered_init_scope(&mut self, entering: Entering) -> Result<(), OsError> {
        let helper = rustix::process::Pid::from_raw(entering.0);
        let status = rustix::io::retry_on_intr(|| waitpid(helper, WaitOptions::empty()))
            .attempt("wait for", "helper")?;
        if status.is_none_or(|(_, status)| status.exit_status() != Some(0)) {
            // Ourselves, to know why not.
            self.write(INIT_SCOPE, "cgroup.procs", "0")?;
        }
        for pid in self.pids("/")? {
            // Kernel threads and processes of outer namespaces (0) cannot be moved, and need not be.
            if pid > 0 {
                let _ = self.write(INIT_SCOPE, "cgroup.procs", &pid.to_string());
            }
        }
        Ok(())
    }

    /// Make a cgroup and its parents; whether it is new.
    pub fn create(&self, path: &str) -> Result<bool, OsError> {
        let name = inside(path)?;
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdirat(&self.dir, name, mode) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(OsError::new("make cgroup", path, errno)),
        }
        for (at, _) in name.match_indices('/') {
            match rustix::fs::mkdirat(&self.dir, &name[..at], mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(OsError::new("make cgroup", &name[..at], errno)),
            }
        }
        match rustix::fs::mkdirat(&self.dir, name, mode) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(OsError::new("make cgroup", path, errno)),
        }
    }

    /// A descriptor of the cgroup, for `CLONE_INTO_CGROUP`.
    pub fn open_dir(&self, path: &str) -> Result<OwnedFd, OsError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, inside(path)?, flags, Mode::empty()).attempt("open cgroup", path)
    }

    fn open_listable(&self, path: &str) -> Result<OwnedFd, OsError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, inside(path)?, flags, Mode::empty()).attempt("open cgroup", path)
    }

    /// Whether it exists.
    pub fn exists(&self, path: &str) -> bool {
        inside(path).is_ok_and(|name| rustix::fs::statat(&self.dir, name, AtFlags::empty()).is_ok())
    }

    /// Whether no process is in it or below; a cgroup that does not exist is empty.
    pub fn is_empty(&self, path: &str) -> bool {
        self.event(path, "populated").is_none_or(|value| value == 0)
    }

    /// A line of `cgroup.events`.
    fn event(&self, path: &str, key: &str) -> Option<u64> {
        let text = self.read(path, "cgroup.events").ok()?;
        keyed(&text, key)
    }

    /// How often the OOM killer killed here (`memory.events`, `oom_kill`).
    pub fn oom_kills(&self, path: &str) -> Option<u64> {
        keyed(&self.read(path, "memory.events").ok()?, "oom_kill")
    }

    /// Processes in this cgroup, not below it; 0 stands for one outside our PID namespace.
    pub fn pids(&self, path: &str) -> Result<Vec<i32>, OsError> {
        let text = match self.read(path, "cgroup.procs") {
            Ok(text) => text,
            // A threaded cgroup does not list processes.
            Err(error) if error.errno == Errno::OPNOTSUPP => String::new(),
            Err(error) => return Err(error),
        };
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Processes in this cgroup and below it, as deep as it is followed.
    pub fn pids_recursive(&self, path: &str) -> Result<Vec<i32>, OsError> {
        self.pids_below(path).map(|(pids, _)| pids)
    }

    /// The same, and whether these are all: there is nothing so deep that it is not followed.
    fn pids_below(&self, path: &str) -> Result<(Vec<i32>, bool), OsError> {
        let mut found = Vec::new();
        // Most that are asked about are empty: one file says so for all below. What cannot be read says nothing.
        if self.event(path, "populated") == Some(0) {
            return Ok((found, true));
        }
        let (cgroups, mut whole) = self.walk(path)?;
        for cgroup in cgroups {
            match self.pids(&cgroup) {
                Ok(pids) => found.extend(pids),
                Err(error) if matches!(error.errno, Errno::NOENT | Errno::NODEV) => {}
                Err(error) if error.errno == Errno::NAMETOOLONG => whole = false,
                Err(error) => return Err(error),
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok((found, whole))
    }

    /// Names of the direct children.
    pub fn children(&self, path: &str) -> Result<Vec<String>, OsError> {
        let fd = self.open_listable(path)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).attempt("list cgroup", path)?.flatten() {
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == FileType::Directory && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A cgroup and all below it, parents first, as deep as it is followed.
    pub fn subtree(&self, path: &str) -> Result<Vec<String>, OsError> {
        self.walk(path).map(|(cgroups, _)| cgroups)
    }

    /// The same, and whether that is all.
    fn walk(&self, path: &str) -> Result<(Vec<String>, bool), OsError> {
        let (mut found, mut whole) = (vec![path.to_owned()], true);
        let mut next = 0;
        while let Some(current) = found.get(next).cloned() {
            next += 1;
            if current.matches('/').count() > DEPTH_MAX {
                whole = false;
                continue;
            }
            match self.children(&current) {
                Ok(names) => {
                    let base = current.trim_end_matches('/');
                    found.extend(names.into_iter().map(|name| format!("{base}/{name}")));
                }
                Err(error) if next > 1 && error.errno == Errno::NOENT => {}
                // Whoever makes it need not name it whole.
                Err(error) if next > 1 && error.errno == Errno::NAMETOOLONG => whole = false,
                Err(error) => return Err(error),
            }
        }
        Ok((found, whole))
    }

    /// Remove a cgroup and the empty ones below it, deepest first. Whether it is gone: a process may still be there.
    pub fn trim(&mut self, path: &str) -> Result<bool, OsError> {
        if path == "/" {
            return Ok(false);
        }
        // Most have no children: one call then, and no listing.
        match rustix::fs::unlinkat(&self.dir, inside(path)?, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {
                self.forget(path);
                return Ok(true);
            }
            Err(_) => {}
        }
        let tree = match self.walk(path) {
            Ok((tree, true)) => tree,
            Ok((tree, false)) => {
                deep::empty(self.open_listable(path)?).attempt("empty cgroup", path)?;
                tree
            }
            Err(error) if error.errno == Errno::NOENT => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut gone = true;
        for cgroup in tree.iter().rev() {
            match rustix::fs::unlinkat(&self.dir, inside(cgroup)?, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {
                    self.forget(cgroup);
                    gone = true;
                }
                Err(Errno::BUSY | Errno::NOTEMPTY | Errno::NAMETOOLONG) => gone = false,
                Err(errno) => return Err(OsError::new("remove cgroup", cgroup.as_str(), errno)),
            }
        }
        Ok(gone)
    }

    fn forget(&mut self, path: &str) {
        self.need(path, &[]).ok();
        self.killed.remove(path);
        if let Some(watch) = &mut self.watch {
            watch.remove(path);
        }
    }

    /// Move processes into a cgroup. Those that are gone do not matter; another failure ends it.
    pub fn attach(&mut self, path: &str, pids: &[i32]) -> Result<(), OsError> {
        if let Some(mut watch) = self.watch.take() {
            let watched = watch.expect_strangers(self, path);
            self.watch = Some(watch);
            watched?;
        }
        for pid in pids {
            match self.write(path, "cgroup.procs", &pid.to_string()) {
                Ok(()) => {}
                Err(error) if error.errno == Errno::SRCH => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Freeze or thaw; done when `cgroup.events` says `frozen 1` (a watch tells: [`Change::Frozen`]).
    pub fn freeze(&self, path: &str, on: bool) -> Result<(), OsError> {
        self.write(path, "cgroup.freeze", if on { "1" } else { "0" })
    }

    /// Whether all processes in it are frozen.
    pub fn is_frozen(&self, path: &str) -> bool {
        self.event(path, "frozen") == Some(1)
    }

    /// Set an extended attribute ("user.invocation_id", "trusted.delegate" ...).
    pub fn set_xattr(&self, path: &str, name: &str, value: &str) -> Result<(), OsError> {
        let fd = self.open_listable(path)?;
        rustix::fs::fsetxattr(&fd, name, value.as_bytes(), rustix::fs::XattrFlags::empty())
            .attempt("set attribute of", path)
    }

    /// Remove an extended attribute; one that is not there is fine.
    pub fn remove_xattr(&self, path: &str, name: &str) -> Result<(), OsError> {
        match rustix::fs::fremovexattr(self.open_listable(path)?, name) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(errno) => Err(OsError::new("remove attribute of", path, errno)),
        }
    }

    /// Read an extended attribute.
    pub fn xattr(&self, path: &str, name: &str) -> Option<String> {
        let mut value = [0u8; 256];
        let fd = self.open_listable(path).ok()?;
        let size = rustix::fs::fgetxattr(&fd, name, &mut value[..]).ok()?;
        Some(String::from_utf8_lossy(value.get(..size)?).into_owned())
    }

    /// The invocation of the unit, as clients read it: for the manager `trusted.`, for everybody `user.`.
    pub fn set_invocation(&self, path: &str, id: &str) {
        // Not every kernel and not every user namespace lets us: nothing depends on them here.
        let _ = self.set_xattr(path, "trusted.invocation_id", id);
        let _ = self.set_xattr(path, "user.invocation_id", id);
    }

    /// Mark a cgroup as delegated (or not) and give it to its owner: the directory and the files that move processes.
    pub fn delegate(&self, path: &str, owner: Option<(u32, u32)>) -> Result<(), OsError> {
        let Some((uid, gid)) = owner else {
            self.remove_xattr(path, "trusted.delegate").ok();
            self.remove_xattr(path, "user.delegate").ok();
            return Ok(());
        };
        let _ = self.set_xattr(path, "trusted.delegate", "1");
        let _ = self.set_xattr(path, "user.delegate", "1");
        let dir = self.open_dir(path)?;
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        let chown =
            |name: &str| rustix::fs::chownat(dir.as_fd(), name, Some(uid), Some(gid), AtFlags::EMPTY_PATH);
        chown("").attempt("give away cgroup", path)?;
        for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(file).attempt("give away", format!("{path}/{file}"))?;
        }
        let _ = chown("memory.oom.group");
        Ok(())
    }
}

impl Cgroups {
    /// A cgroup with all its files: for those inside a delegated one, which the owner would make himself.
    pub fn give_away(&self, path: &str, (uid, gid): (u32, u32)) -> Result<(), OsError> {
        let dir = self.open_listable(path)?;
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::fchown(&dir, Some(uid), Some(gid)).attempt("give away cgroup", path)?;
        for entry in Dir::read_from(&dir).attempt("list cgroup", path)?.flatten() {
            if entry.file_type() != FileType::Directory {
                let changed =
                    rustix::fs::chownat(&dir, entry.file_name(), Some(uid), Some(gid), AtFlags::empty());
                changed.attempt("give away", path)?;
            }
        }
        Ok(())
    }
}

/// The path below the root directory, for the `*at` calls; what would leave the root is refused.
fn inside(path: &str) -> Result<&str, OsError> {
    let name = path.trim_matches('/');
    if name.split('/').any(|part| part == ".." || part == ".") || name.contains('\0') {
        return Err(OsError::new("use cgroup", path, Errno::INVAL));
    }
    Ok(if name.is_empty() { "." } else { name })
}

/// The number behind a key in a flat keyed file.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where the unified hierarchy is mounted: `/sys/fs/cgroup`, on hybrid machines `/sys/fs/cgroup/unified`, else the
/// first there is.
fn find_mount() -> Result<String, OsError> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").attempt("read", "/proc/self/mountinfo")?;
    let mut found: Option<String> = None;
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        if !right.starts_with("cgroup2 ") {
            continue;
        }
        let Some(target) = left.split(' ').nth(4) else { continue };
        if target == "/sys/fs/cgroup" {
            return Ok(target.to_owned());
        }
        if found.is_none() || target == "/sys/fs/cgroup/unified" {
            found = Some(target.to_owned());
        }
    }
    found.ok_or_else(|| OsError::new("find mounted", "cgroup2", Errno::NODEV))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cgroup of this test, removed at the end. Tests of this module need root and a cgroup2 hierarchy.
    pub(crate) struct Scratch(pub Cgroups);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Scratch {
            let mount = find_mount().expect("a cgroup2 hierarchy");
            let root = format!("/runstead-test-{}-{name}", std::process::id());
            std::fs::create_dir(format!("{mount}{root}")).expect("root may make cgroups");
            Scratch(Cgroups::at(mount, root).expect("just made"))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = self.0.write("/", "cgroup.kill", "1");
            let home = self.0.absolute("/");
            for _ in 0..500 {
                for child in self.0.children("/").unwrap_or_default() {
                    let _ = self.0.trim(&format!("/{child}"));
                }
                if std::fs::remove_dir(&home).is_ok() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn cgroups_are_made_listed_and_trimmed() {
        let mut scratch = Scratch::new("tree");
        let cgroups = &mut scratch.0;
        assert!(cgroups.create("/a.slice/b.slice/c.service").expect("mkdir"));
        assert!(!cgroups.create("/a.slice/b.slice/c.service").expect("mkdir"));
        let tree = cgroups.subtree("/a.slice").expect("list");
        assert_eq!(tree, ["/a.slice", "/a.slice/b.slice", "/a.slice/b.slice/c.service"]);
        assert!(cgroups.is_empty("/a.slice") && cgroups.is_empty("/nothing"));
        assert!(cgroups.trim("/a.slice").expect("rmdir") && !cgroups.exists("/a.slice"));
        assert!(cgroups.create("/../escape").is_err() && cgroups.open_dir("/a/../..").is_err());
    }

    #[test]
    fn attributes_of_files_and_owners() {
        let scratch = Scratch::new("xattr");
        let cgroups = &scratch.0;
        cgroups.create("/a.service").expect("mkdir");
        cgroups.set_invocation("/a.service", "0123");
        assert_eq!(cgroups.xattr("/a.service", "user.invocation_id").as_deref(), Some("0123"));
        cgroups.delegate("/a.service", Some((12345, 12345))).expect("chown");
        assert_eq!(cgroups.xattr("/a.service", "user.delegate").as_deref(), Some("1"));
        use std::os::unix::fs::MetadataExt;
        let owner = |file: &str| std::fs::metadata(cgroups.absolute(file)).expect("there").uid();
        assert_eq!((owner("/a.service"), owner("/a.service/cgroup.procs")), (12345, 12345));
        assert_eq!(owner("/a.service/cgroup.freeze"), 0);
        cgroups.delegate("/a.service", None).expect("unmark");
        assert_eq!(cgroups.xattr("/a.service", "user.delegate"), None);
    }

    #[test]
    fn paths_are_relative_to_the_root() {
        let scratch = Scratch::new("paths");
        let cgroups = &scratch.0;
        let full = format!("{}/x.service", cgroups.root());
        assert_eq!(cgroups.relative(&full), Some("/x.service"));
        assert_eq!(cgroups.relative(cgroups.root()), Some("/"));
        assert_eq!(cgroups.relative(&format!("{}x", cgroups.root())), None);
    }
}
