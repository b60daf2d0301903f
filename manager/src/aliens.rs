//! Processes that matter and are not our children: a descriptor of each tells its end (pidfd_open(2)); and how lately which
//! number was free.
use crate::shell::{Shell, Token};
use runstead_core::engine::event::{Event, Exit, Pid};
use runstead_os::pidfile::Named;
use runstead_os::process;
use runstead_os::reactor::{Interest, Priority};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Ends that are remembered: the question is about the last hundredths of a second.
const ENDS_MAX: usize = 1024;

/// Of so many that are brought at a time the ends are looked at; who brings more is told by the kernel, when it gets to it.
const GUESTS_MAX: usize = 8;

/// What the shell knows of processes that are not its children.
#[derive(Debug, Default)]
pub(crate) struct Aliens {
    /// Main processes.
    watched: BTreeMap<Pid, OwnedFd>,
    /// Those that were brought to a unit, and its cgroup.
    guests: BTreeMap<Pid, (OwnedFd, Rc<str>)>,
    /// The last one that a PID file named: the engine decides whether it is to be watched.
    pub named: Option<Named>,
    /// Children that were reaped, and when (clock of boottime, nanoseconds).
    ends: VecDeque<(Pid, i128)>,
}

impl Aliens {
    /// A child was reaped: its number is free.
    pub fn reaped(&mut self, pid: Pid) {
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back((pid, process::boottime()));
    }

    /// Whether a child with this number was reaped after this moment.
    pub fn reaped_since(&self, pid: Pid, moment: i128) -> bool {
        self.ends.iter().any(|&(of, at)| of == pid && at >= moment)
    }
}

impl Shell {
    /// Tell the engine when this process has ended; at once if it has.
    pub(crate) fn watch_process(&mut self, pid: Pid) {
        if self.aliens.watched.contains_key(&pid) {
            return;
        }
        let named = self.aliens.named.take().filter(|named| named.pid == pid);
        let process = named.and_then(|named| named.process).map_or_else(|| process::open(pid), Ok);
        let watched = process.and_then(|process| {
            self.reactor.add(&process, Token::Process(pid), Priority::Exit, Interest::READ)?;
            Ok(process)
        });
        match watched {
            Ok(process) => drop(self.aliens.watched.insert(pid, process)),
            Err(_) if !process::is_alive(pid) => {
                self.pending.push_back(Event::ProcessExited { pid, exit: Exit::Unknown });
            }
            Err(error) => {
                self.complain(
                    4,
                    &format!("the end of process {pid} is seen with that of its cgroup: {error}"),
                );
            }
        }
    }

    /// It is nobody's main process any more.
    pub(crate) fn unwatch_process(&mut self, pid: Pid) {
        if let Some(process) = self.aliens.watched.remove(&pid) {
            self.reactor.remove(&process);
        }
    }

    /// These were brought to a unit. The kernel tells that a cgroup is empty ten milliseconds after it last told something of
    /// it: most sessions end with the process that began them, and whoever waits need not wait for that.
    pub(crate) fn watch_guests(&mut self, cgroup: &str, pids: &[Pid]) {
        if pids.len() > GUESTS_MAX || self.ownership.cgroups_mut().is_none() {
            return;
        }
        for &pid in pids {
            if self.aliens.watched.contains_key(&pid) || process::is_child(pid) {
                continue;
            }
            // Who goes on to another cgroup was watched for the one before.
            if let Some((process, _)) = self.aliens.guests.remove(&pid) {
                self.reactor.remove(&process);
            }
            // Without, it is seen with the end of its cgroup.
            let Ok(process) = process::open(pid) else { continue };
            if self.reactor.add(&process, Token::Process(pid), Priority::Exit, Interest::READ).is_ok() {
                self.aliens.guests.insert(pid, (process, cgroup.into()));
            }
        }
    }

    /// One of them has ended.
    pub(crate) fn process_ended(&mut self, pid: Pid) {
        if let Some((process, cgroup)) = self.aliens.guests.remove(&pid) {
            self.reactor.remove(&process);
            let changes = self.ownership.process_ended(pid, Some(&cgroup));
            return self.tell_of_ownership(changes);
        }
        let Some(process) = self.aliens.watched.remove(&pid) else { return };
        self.reactor.remove(&process);
        // It was given to us when its parent ended: how it ended is told with the other children.
        if !process::is_child(pid) {
            let exit = process::end_of(pid, &process);
            self.pending.push_back(Event::ProcessExited { pid, exit });
        }
    }
}
