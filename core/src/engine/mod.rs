//! The engine: `step(now, event) -> effects`.
//!
//! | file | what it holds |
//! |---|---|
//! | `event` | what can happen to the manager |
//! | `effect` | what the manager can cause |
//! | `clock`, `timers` | the three clocks, the timer queue, whose timers there are |
//! | `config` | what the manager is told when it starts |
//! | `unit` | what all units have in common |
//! | `store` | units by index and name, dependencies between them |
//! | `services` | what unit types call: chains, timers, processes, descriptors, log lines |
//! | `state` | what follows from a unit's change of state |
mod cgroup;
pub mod clock;
pub mod config;
pub mod effect;
pub mod event;
mod services;
mod state;
mod store;
pub mod timers;
pub mod unit;

pub use config::ManagerConfig;
pub use store::Store;
pub use unit::{CheckResult, RateLimit, SourceFile, Stamps, Unit};

use crate::jobs::Job;
use crate::units::ActiveState;
use clock::{Clock, Now, TimerQueue, Usec};
use effect::{ChainId, Effect, FdId, JobId, JobMode, JobType, UnitId};
use event::{Event, Pid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use timers::TimerKey;

/// A change of a unit's state whose consequences are still to be drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub unit: UnitId,
    pub old: ActiveState,
    pub new: ActiveState,
    pub reload_ok: bool,
}

/// Units and jobs to look at before the step ends. All are sets: what is queued twice is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub changes: VecDeque<Change>,
    pub triggered: VecDeque<(UnitId, UnitId)>,
    pub run: BTreeSet<JobId>,
    pub unneeded: BTreeSet<UnitId>,
    pub upheld: BTreeSet<UnitId>,
    pub bound: BTreeSet<UnitId>,
    pub collect: BTreeSet<UnitId>,
    pub announce: BTreeSet<UnitId>,
    pub announce_jobs: BTreeSet<JobId>,
    /// Jobs asked for by units, to be enqueued once nothing is missing: (target, job, mode, by).
    pub starts: VecDeque<(UnitId, JobType, JobMode, Option<UnitId>)>,
}

/// The manager's decisions: everything it knows, and what it does about what happens.
#[derive(Debug)]
pub struct Engine {
    /// What the manager was told when it started.
    pub config: ManagerConfig,
    now: Now,
    random: [u64; 2],
    store: Store,
    jobs: BTreeMap<JobId, Job>,
    next_job: u32,
    next_chain: u64,
    next_fd: u64,
    timers: TimerQueue<TimerKey>,
    chains: BTreeMap<ChainId, UnitId>,
    pids: BTreeMap<Pid, UnitId>,
    fds: BTreeMap<FdId, UnitId>,
    cgroups: BTreeMap<Rc<str>, UnitId>,
    bus_names: BTreeMap<Rc<str>, UnitId>,
    queues: Queues,
    effects: Vec<Effect>,
    dirty: BTreeSet<UnitId>,
}

impl Engine {
    /// An engine that knows no unit yet.
    pub fn new(config: ManagerConfig) -> Engine {
        let (low, high) = config.seed.split_at(8);
        let word = |bytes: &[u8]| bytes.iter().fold(0u64, |all, &byte| all << 8 | u64::from(byte));
        Engine {
            random: [word(low), word(high)],
            config,
            now: Now::default(),
            store: Store::default(),
            jobs: BTreeMap::new(),
            next_job: 1,
            next_chain: 1,
            next_fd: 2,
            timers: TimerQueue::default(),
            chains: BTreeMap::new(),
            pids: BTreeMap::new(),
            fds: BTreeMap::new(),
            cgroups: BTreeMap::new(),
            bus_names: BTreeMap::new(),
            queues: Queues::default(),
            effects: Vec::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// Let `event` happen at `now`; what follows from it is to be done in order.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        self.now = now;
        self.handle(event);
        std::mem::take(&mut self.effects)
    }

    fn handle(&mut self, event: Event) {
        let _ = event;
    }

    /// The clocks at the event that is being handled.
    pub fn now(&self) -> Now {
        self.now
    }

    /// When the next timer on `clock` is due: then an `Event::Tick` is expected.
    pub fn deadline(&self, clock: Clock) -> Option<Usec> {
        self.timers.next(clock)
    }

    /// Units whose record changed since the last call, for the state log.
    pub fn take_dirty(&mut self) -> BTreeSet<UnitId> {
        std::mem::take(&mut self.dirty)
    }

    /// A job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// All jobs by number.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }
}
