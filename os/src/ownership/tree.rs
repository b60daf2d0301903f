//! Without control groups: a process belongs where its nearest known ancestor does. One that lost its ancestors became
//! our child, since we are its reaper: its session tells, or the `INVOCATION_ID` it was started with (systemd.exec(5)).
//!
//! What was found once is remembered, so that a process stays known when its parent ends. Only a process that nobody
//! looked at before its ancestors ended, in a session of its own and without its environment, belongs to nobody.
use super::snapshot::Snapshot;
use crate::cgroup::Change;
use crate::error::OsError;
use crate::process::{self, Stat};
use runstead_core::engine::event::Pid;
use runstead_core::names::path::is_within;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How many ancestors are asked for: a longer line is made by somebody who wants to keep us busy.
const DEPTH_MAX: usize = 1024;

/// An execve(2) is over by then.
const BETWEEN_LOOKS: Duration = Duration::from_micros(300);

/// A process that is known.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// With the PID it names the process for good.
    pub(super) start: u64,
    pub(super) place: Rc<str>,
}

/// The processes below us, by the place (what would be the cgroup's path) of the unit that they belong to.
#[derive(Clone, Debug)]
pub struct ProcessTree {
    /// Ourselves: orphans below us become our children.
    pub(super) root: Pid,
    pub(super) members: BTreeMap<Pid, Member>,
    /// Sessions (setsid(2)) in which members were seen.
    sessions: BTreeMap<Pid, Rc<str>>,
    invocations: BTreeMap<Rc<str>, Rc<str>>,
    /// Places that had a process when last looked at.
    occupied: BTreeSet<Rc<str>>,
    /// Those of them in which one ended since.
    doubtful: BTreeSet<Rc<str>>,
}

impl Default for ProcessTree {
    fn default() -> ProcessTree {
        ProcessTree::below(std::process::id().cast_signed())
    }
}

impl ProcessTree {
    /// Nothing known yet of what is below this process, the reaper of its descendants.
    pub fn below(root: Pid) -> ProcessTree {
        ProcessTree {
            root,
            members: BTreeMap::new(),
            sessions: BTreeMap::new(),
            invocations: BTreeMap::new(),
            occupied: BTreeSet::new(),
            doubtful: BTreeSet::new(),
        }
    }

    /// Processes with this `INVOCATION_ID` belong here.
    pub fn expect(&mut self, place: &str, invocation: &str) {
        let place: Rc<str> = place.into();
        if !invocation.is_empty() {
            self.invocations.insert(invocation.into(), Rc::clone(&place));
        }
        self.occupied.insert(Rc::clone(&place));
        self.doubtful.insert(place);
    }

    /// This process belongs here, with all that it starts.
    pub fn add(&mut self, place: &str, pid: Pid) {
        let Ok(stat) = process::stat(pid) else { return };
        let place: Rc<str> = place.into();
        self.occupied.insert(Rc::clone(&place));
        // A new process of ours begins a session, whose number is its own.
        self.sessions.insert(pid, Rc::clone(&place));
        self.members.insert(pid, Member { start: stat.start_time, place });
    }

    /// Where a process belongs, by looking at it and its ancestors only.
    pub fn place_of(&self, pid: Pid) -> Option<Rc<str>> {
        let mut at = pid;
        for _ in 0..DEPTH_MAX {
            if at <= 0 || at == self.root {
                return None;
            }
            let stat = process::stat(at).ok()?;
            if let Some(member) = self.members.get(&at).filter(|member| member.start == stat.start_time) {
                return Some(Rc::clone(&member.place));
            }
            if stat.parent == self.root {
                return self.place_of_orphan(at, &stat);
            }
            at = stat.parent;
        }
        None
    }

    /// A child of ours that we did not make.
    fn place_of_orphan(&self, pid: Pid, stat: &Stat) -> Option<Rc<str>> {
        let by_session = self.sessions.get(&stat.session);
        let place = by_session.or_else(|| self.invocations.get(process::invocation_id(pid)?.as_str()));
        place.cloned()
    }

    /// The living processes that belong here or to a place below.
    pub fn processes(&mut self, place: &str) -> Result<Vec<Pid>, OsError> {
        self.refresh()?;
        Ok(self.known(place).map(|(pid, _)| pid).collect())
    }

    /// Those that the last look found.
    pub(super) fn known<'a>(&'a self, place: &'a str) -> impl Iterator<Item = (Pid, &'a Member)> {
        let all = self.members.iter().map(|(pid, member)| (*pid, member));
        all.filter(move |(_, member)| is_within(&member.place, place))
    }

    /// Look at all processes: forget the dead, take up what is new.
    pub(super) fn refresh(&mut self) -> Result<(), OsError> {
        let snapshot = Snapshot::take()?;
        let is_same = |pid: Pid, member: &Member| {
            snapshot.get(pid).is_some_and(|stat| stat.start_time == member.start && stat.is_alive())
        };
        self.members.retain(|pid, member| is_same(*pid, member));
        let mut sessions = BTreeSet::new();
        for (pid, stat) in snapshot.iter() {
            sessions.insert(stat.session);
            self.take_up(pid, &snapshot);
        }
        // A new process may not have come to begin its session.
        let members = &self.members;
        self.sessions.retain(|pid, _| sessions.contains(pid) || members.contains_key(pid));
        let own = snapshot.get(self.root).map_or(0, |stat| stat.session);
        for (pid, member) in &self.members {
            let session = snapshot.get(*pid).map_or(0, |stat| stat.session);
            if session > 0 && session != own {
                self.sessions.entry(session).or_insert_with(|| Rc::clone(&member.place));
            }
        }
        Ok(())
    }

    /// Find where a process belongs, and with it its unknown ancestors.
    fn take_up(&mut self, pid: Pid, snapshot: &Snapshot) {
        let mut line = Vec::new();
        let mut at = pid;
        let place = loop {
            if let Some(member) = self.members.get(&at) {
                break Some(Rc::clone(&member.place));
            }
            let Some(stat) = snapshot.get(at).filter(|_| at != self.root && line.len() < DEPTH_MAX) else {
                break None;
            };
            line.push((at, stat));
            if stat.parent == self.root {
                break self.place_of_orphan(at, stat);
            }
            at = stat.parent;
        };
        let Some(place) = place else { return };
        for (pid, stat) in line.into_iter().filter(|(_, stat)| stat.is_alive()) {
            self.occupied.insert(Rc::clone(&place));
            self.members.insert(pid, Member { start: stat.start_time, place: Rc::clone(&place) });
        }
    }

    /// A child of ours ended that belonged here, as far as it is known. [`ProcessTree::emptied`] tells what that means.
    pub fn process_ended(&mut self, pid: Pid, place: Option<&str>) {
        self.members.remove(&pid);
        match place.and_then(|place| self.occupied.get(place)) {
            Some(place) => drop(self.doubtful.insert(Rc::clone(place))),
            None => self.doubtful.extend(self.occupied.iter().cloned()),
        }
    }

    /// The places that were left by their last process. The last process of a unit is our child, or becomes it before it
    /// ends: this is asked when children ended.
    pub fn emptied(&mut self) -> Result<Vec<Change>, OsError> {
        let doubtful = std::mem::take(&mut self.doubtful);
        let is_alive = |(pid, member): (&Pid, &Member)| {
            process::stat(*pid).is_ok_and(|stat| stat.start_time == member.start && stat.is_alive())
        };
        let is_empty =
            |place: &Rc<str>| !self.members.iter().filter(|(_, member)| member.place == *place).any(is_alive);
        // Mostly somebody known is still there: nothing needs to be searched.
        if !doubtful.iter().any(is_empty) {
            return Ok(Vec::new());
        }
        self.refresh()?;
        let mut empty = self.empty_places();
        if !empty.is_empty() {
            // One look may miss who forked behind its back (numbers start again from below), or who has no environment
            // for a moment, between two programs.
            std::thread::sleep(BETWEEN_LOOKS);
            self.refresh()?;
            let still = self.empty_places();
            empty.retain(|place| still.contains(place));
        }
        empty.iter().for_each(|place| self.forget(place));
        Ok(empty.into_iter().map(Change::Empty).collect())
    }

    fn empty_places(&self) -> BTreeSet<Rc<str>> {
        let inhabited: BTreeSet<Rc<str>> =
            self.members.values().map(|member| Rc::clone(&member.place)).collect();
        self.occupied.difference(&inhabited).cloned().collect()
    }

    /// The unit is down. Where processes are left they stay known until they end.
    pub fn release(&mut self, place: &str) {
        if self.known(place).next().is_none() {
            self.forget(place);
        }
    }

    fn forget(&mut self, place: &str) {
        self.occupied.remove(place);
        self.invocations.retain(|_, of| **of != *place);
        self.sessions.retain(|_, of| **of != *place);
    }
}
