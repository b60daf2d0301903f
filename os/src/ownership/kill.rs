//! Signalling the processes of a unit where no cgroup holds them together (systemd.kill(5)).
use super::snapshot::Snapshot;
use super::tree::{Member, ProcessTree};
use crate::cgroup::signal_one;
use crate::children;
use crate::error::OsError;
use crate::process;
use crate::sys::signal;
use runstead_core::engine::effect::KillSpec;
use runstead_core::engine::event::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Signals are repeated this often, until no new process appears. Who forks faster than we list has won then; before
/// `SIGKILL` nobody can, since all are stopped first.
const ROUNDS_MAX: usize = 64;

/// Other signals are not chased as far: who forks because of them, or regardless, meets `SIGKILL` in the end, and each
/// round is a look at all processes.
const GENTLE_ROUNDS_MAX: usize = 4;

/// A killed process is gone long before, unless the kernel cannot end it.
const PATIENCE: Duration = Duration::from_secs(10);

impl ProcessTree {
    /// Signal as told; how many of the signalled processes were alive. Ourselves we spare always.
    pub fn kill(&mut self, spec: &KillSpec) -> Result<u32, OsError> {
        let mut done: BTreeSet<Pid> = spec.spare.iter().copied().collect();
        done.insert(self.root);
        let whole = spec.cgroup.as_deref().filter(|_| spec.whole_cgroup && spec.cgroup_signal != 0);
        let place = whole.map(|path| match &spec.subgroup {
            Some(below) => format!("{path}/{}", below.trim_matches('/')),
            None => path.to_owned(),
        });
        if let Some(place) = place.as_deref().filter(|_| spec.cgroup_signal == libc::SIGKILL) {
            self.stop_all(place, &done)?;
        }
        let mut reached = 0;
        for pid in [spec.main, spec.control].into_iter().flatten() {
            if pid > 0 && done.insert(pid) {
                reached += u32::from(signal_one(pid, spec.signal, spec));
            }
        }
        let Some(place) = place else { return Ok(reached) };
        let rounds = if spec.cgroup_signal == libc::SIGKILL { ROUNDS_MAX } else { GENTLE_ROUNDS_MAX };
        for _ in 0..rounds {
            self.refresh()?;
            let new: Vec<(Pid, Member)> = self.new_in(&place, &mut done);
            if new.is_empty() {
                break;
            }
            let signalled = new.iter().filter(|(pid, member)| send(*pid, member.start, spec));
            reached += u32::try_from(signalled.count()).unwrap_or(u32::MAX);
        }
        Ok(reached)
    }

    /// Stop everybody, until nobody is left who could fork: a child whose parents died before it was seen may be lost.
    fn stop_all(&mut self, place: &str, spared: &BTreeSet<Pid>) -> Result<(), OsError> {
        let mut done = spared.clone();
        for _ in 0..ROUNDS_MAX {
            self.refresh()?;
            let new = self.new_in(place, &mut done);
            if new.is_empty() {
                break;
            }
            for (pid, member) in new {
                send_held(pid, member.start, libc::SIGSTOP);
            }
        }
        Ok(())
    }

    fn new_in(&self, place: &str, done: &mut BTreeSet<Pid>) -> Vec<(Pid, Member)> {
        let all = self.known(place).filter(|(pid, _)| done.insert(*pid));
        all.map(|(pid, member)| (pid, member.clone())).collect()
    }
}

fn is_same(pid: Pid, start: u64) -> bool {
    process::stat(pid).is_ok_and(|stat| stat.start_time == start && stat.is_alive())
}

/// Signal a process unless its number is another's by now. It may have ended by itself.
fn send_held(pid: Pid, start: u64, number: i32) {
    let held = process::open(pid);
    if is_same(pid, start) {
        let _ =
            held.map_or_else(|_| signal::kill(pid, number), |process| signal::pidfd_kill(&process, number));
    }
}

/// Signal a process that need not be our child, so that its number may be another's by now; whether it was there.
fn send(pid: Pid, start: u64, spec: &KillSpec) -> bool {
    // The descriptor holds the process: what is asked about it then cannot be about its successor.
    let held = process::open(pid);
    if !is_same(pid, start) {
        return false;
    }
    let (Ok(process), None) = (held, spec.value) else {
        return signal_one(pid, spec.cgroup_signal, spec);
    };
    let number = spec.cgroup_signal;
    if signal::pidfd_kill(&process, number).is_err_and(|errno| errno == rustix::io::Errno::SRCH) {
        return false;
    }
    let others = [(spec.hup, libc::SIGHUP), (spec.cont && number != libc::SIGKILL, libc::SIGCONT)];
    for (_, other) in others.into_iter().filter(|(wanted, other)| *wanted && *other != number) {
        let _ = signal::pidfd_kill(&process, other);
    }
    true
}

/// Kill everything below this process, which must be the reaper of its descendants, and reap it.
pub fn end_descendants() -> Result<(), OsError> {
    let own = std::process::id().cast_signed();
    let living = |snapshot: &Snapshot| -> Vec<(Pid, u64)> {
        let below = snapshot.descendants(own).into_iter();
        let stats = below.filter_map(|pid| Some((pid, snapshot.get(pid)?)));
        stats.filter(|(_, stat)| stat.is_alive()).map(|(pid, stat)| (pid, stat.start_time)).collect()
    };
    for number in [libc::SIGSTOP, libc::SIGKILL] {
        let mut done = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let mut new = living(&Snapshot::take()?);
            new.retain(|process| done.insert(*process));
            if new.is_empty() {
                break;
            }
            new.into_iter().for_each(|(pid, start)| send_held(pid, start, number));
        }
    }
    let end = Instant::now() + PATIENCE;
    while !living(&Snapshot::take()?).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    while let Some(ended) = children::peek()? {
        children::reap(ended.pid)?;
    }
    Ok(())
}
