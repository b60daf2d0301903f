//! Watching cgroups: one inotify(7) instance for all, one watch for each `cgroup.events` and `memory.events`.
//!
//! A cgroup that was just made cannot become empty before a child of ours ends in it, unless strangers were moved there: its `cgroup.events` is looked at
//! only then ([`Watch::process_ended`]), and watched only if somebody else is still there. Most cgroups need no watch at all.
use super::Cgroups;
use crate::error::{Attempt, OsError};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::rc::Rc;

/// What happened to a watched cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The OOM killer killed in it.
    Oom(Rc<str>),
    /// No process is left in it.
    Empty(Rc<str>),
    /// All its processes are frozen (true), or run again.
    Frozen(Rc<str>, bool),
}

#[derive(Debug)]
struct Watched {
    path: Rc<str>,
    /// Descriptors of the two watches; the first comes late, the second is there only with its controller.
    events: Option<i32>,
    memory: Option<i32>,
    oom_kills: u64,
    frozen: bool,
}

/// The watched cgroups.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
    by_path: BTreeMap<Rc<str>, Watched>,
    by_descriptor: BTreeMap<i32, Rc<str>>,
}

impl Watch {
    /// Watch nothing yet.
    pub fn new() -> Result<Watch, OsError> {
        let inotify =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).attempt("inotify_init", "")?;
        Ok(Watch { inotify, by_path: BTreeMap::new(), by_descriptor: BTreeMap::new() })
    }

    /// Poll this for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Watch a cgroup that exists; of one that is new nothing needs to be read. One that is empty already stays silent
    /// until a process came and left.
    pub fn add(&mut self, cgroups: &Cgroups, path: &str, new: bool) -> Result<(), OsError> {
        if self.by_path.contains_key(path) {
            return Ok(());
        }
        let path: Rc<str> = path.into();
        let mut watched = Watched {
            path: Rc::clone(&path),
            events: None,
            memory: None,
            oom_kills: if new { 0 } else { cgroups.oom_kills(&path).unwrap_or(0) },
            frozen: !new && cgroups.is_frozen(&path),
        };
        if cgroups.available.contains("memory") {
            watched.memory = self.follow(cgroups, &path, "memory.events").ok();
        }
        if !new {
            watched.events = Some(self.follow(cgroups, &path, "cgroup.events")?);
        }
        self.by_path.insert(path, watched);
        Ok(())
    }

    fn follow(&mut self, cgroups: &Cgroups, path: &Rc<str>, file: &str) -> Result<i32, OsError> {
        let file = format!("{}/{file}", cgroups.absolute(path));
        let descriptor =
            inotify::add_watch(&self.inotify, file, WatchFlags::MODIFY).attempt("watch", &**path)?;
        self.by_descriptor.insert(descriptor, Rc::clone(path));
        Ok(descriptor)
    }

    /// Somebody who is not our child comes into this cgroup, and may be the last to leave it.
    pub fn expect_strangers(&mut self, cgroups: &Cgroups, path: &str) -> Result<(), OsError> {
        let Some(watched) = self.by_path.get(path).filter(|watched| watched.events.is_none()) else {
            return Ok(());
        };
        let path = Rc::clone(&watched.path);
        let events = self.follow(cgroups, &path, "cgroup.events")?;
        if let Some(watched) = self.by_path.get_mut(&path) {
            watched.events = Some(events);
        }
        Ok(())
    }

    /// A process of this cgroup ended of which we hear at once: what is to be told of the cgroup. One that is not empty is
    /// watched from now on. The kernel would tell, too, but not before ten milliseconds after it last told of the same cgroup.
    pub fn process_ended(&mut self, cgroups: &Cgroups, path: &str) -> Result<Vec<Change>, OsError> {
        let mut changes = Vec::new();
        let Some(watched) = self.by_path.get(path) else { return Ok(changes) };
        let (path, is_watched) = (Rc::clone(&watched.path), watched.events.is_some());
        self.look(cgroups, &path, &mut changes);
        if is_watched || changes.iter().any(|change| matches!(change, Change::Empty(_))) {
            return Ok(changes);
        }
        self.expect_strangers(cgroups, &path)?;
        // It may have emptied before the watch was there.
        self.look(cgroups, &path, &mut changes);
        Ok(changes)
    }

    /// Watch it no longer.
    pub fn remove(&mut self, path: &str) {
        let Some(watched) = self.by_path.remove(path) else { return };
        for descriptor in watched.events.into_iter().chain(watched.memory) {
            self.by_descriptor.remove(&descriptor);
            // A removed cgroup took its watches along.
            let _ = inotify::remove_watch(&self.inotify, descriptor);
        }
    }

    /// Whether it is watched.
    pub fn contains(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// Read what happened: out-of-memory kills before emptiness, each cgroup at most once of a kind.
    pub fn drain(&mut self, cgroups: &Cgroups) -> Result<Vec<Change>, OsError> {
        let mut touched: Vec<Rc<str>> = Vec::new();
        let mut everything = false;
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => everything = true,
                Ok(event) => {
                    if let Some(path) = self.by_descriptor.get(&event.wd())
                        && !touched.contains(path)
                    {
                        touched.push(Rc::clone(path));
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(OsError::new("read", "inotify", errno)),
            }
        }
        if everything {
            touched = self.by_path.keys().cloned().collect();
        }
        let mut changes = Vec::new();
        for path in &touched {
            self.look(cgroups, path, &mut changes);
        }
        changes.sort_by_key(|change| !matches!(change, Change::Oom(_)));
        Ok(changes)
    }

    /// Look at every watched cgroup, as after a re-execution: what happened while nobody read.
    pub fn look_at_all(&mut self, cgroups: &Cgroups) -> Vec<Change> {
        let mut changes = Vec::new();
        let all: Vec<Rc<str>> = self.by_path.keys().cloned().collect();
        for path in &all {
            self.look(cgroups, path, &mut changes);
        }
        changes
    }

    /// Whether the OOM killer killed in it since the last look.
    pub fn oom_killed(&mut self, cgroups: &Cgroups, path: &str) -> bool {
        let Some(watched) = self.by_path.get_mut(path).filter(|watched| watched.memory.is_some()) else {
            return false;
        };
        let kills = cgroups.oom_kills(path).unwrap_or(watched.oom_kills);
        let more = kills > watched.oom_kills;
        watched.oom_kills = watched.oom_kills.max(kills);
        more
    }

    fn look(&mut self, cgroups: &Cgroups, path: &str, changes: &mut Vec<Change>) {
        let killed = self.oom_killed(cgroups, path);
        let Some(watched) = self.by_path.get_mut(path) else { return };
        if killed {
            changes.push(Change::Oom(Rc::clone(&watched.path)));
        }
        let text = cgroups.read(path, "cgroup.events").unwrap_or_default();
        let frozen = super::keyed(&text, "frozen") == Some(1);
        if frozen != watched.frozen {
            watched.frozen = frozen;
            changes.push(Change::Frozen(Rc::clone(&watched.path), frozen));
        }
        // A process that came and left between two looks leaves `populated 0` both times: the event itself tells.
        let populated = super::keyed(&text, "populated") == Some(1);
        if !populated {
            changes.push(Change::Empty(Rc::clone(&watched.path)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::tests::Scratch;
    use std::process::Command;
    use std::time::Duration;

    fn wait_for(cgroups: &mut Cgroups, wanted: &Change) {
        for _ in 0..2000 {
            if cgroups.changes().expect("read").contains(wanted) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{wanted:?} did not come");
    }

    #[test]
    fn a_new_cgroup_is_looked_at_when_a_process_ended() {
        let mut scratch = Scratch::new("late");
        let cgroups = &mut scratch.0;
        cgroups.create("/a.service").expect("mkdir");
        cgroups.watch_new("/a.service").expect("watch");
        let start = || Command::new("sleep").arg("1000").spawn().expect("sleep");
        let mut children = [start(), start()];
        let pids: Vec<i32> = children.iter().map(|child| child.id().cast_signed()).collect();
        cgroups.attach("/a.service", &pids).expect("attach");
        assert!(cgroups.changes().expect("read").is_empty());
        children[0].kill().expect("kill");
        children[0].wait().expect("wait");
        assert_eq!(cgroups.process_ended("/a.service").expect("watch"), [], "one is left: now it is watched");
        children[1].kill().expect("kill");
        children[1].wait().expect("wait");
        wait_for(cgroups, &Change::Empty("/a.service".into()));
        assert!(cgroups.trim("/a.service").expect("rmdir"));
        cgroups.create("/a.service").expect("mkdir");
        cgroups.watch_new("/a.service").expect("watch");
        let mut child = Command::new("true").spawn().expect("true");
        child.wait().expect("wait");
        let empty = [Change::Empty("/a.service".into())];
        assert_eq!(cgroups.process_ended("/a.service").expect("look"), empty);
    }

    #[test]
    fn emptiness_and_frost_are_told() {
        let mut scratch = Scratch::new("watch");
        scratch.0.create("/a.service").expect("mkdir");
        scratch.0.watch("/a.service", true).expect("watch");
        assert!(scratch.0.changes().expect("read").is_empty());
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        scratch.0.attach("/a.service", &[child.id().cast_signed()]).expect("attach");
        scratch.0.freeze("/a.service", true).expect("freeze");
        wait_for(&mut scratch.0, &Change::Frozen("/a.service".into(), true));
        scratch.0.freeze("/a.service", false).expect("thaw");
        wait_for(&mut scratch.0, &Change::Frozen("/a.service".into(), false));
        child.kill().expect("kill");
        child.wait().expect("wait");
        wait_for(&mut scratch.0, &Change::Empty("/a.service".into()));
        assert!(scratch.0.trim("/a.service").expect("rmdir"));
        assert!(scratch.0.changes_of_all().is_empty(), "a removed cgroup is not watched");
    }
}
