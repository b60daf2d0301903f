//! The engine: `step(now, event) -> effects`.
//!
//! | file | what it holds |
//! |---|---|
//! | `event`, `effect` | what can happen to the manager, what it can cause |
//! | `clock`, `timers` | the three clocks, the timer queue, whose timers there are |
//! | `config` | what the manager is told when it starts |
//! | `unit`, `policy` | what all units have in common; what their settings say about jobs and memory |
//! | `store` | units by index and name, dependencies between them |
//! | `load`, `read`, `defaults` | loading as a closure; bytes to settings; implied dependencies |
//! | `owned` | whose process, descriptor, chain something is |
//! | `services` | what unit types call: chains, timers, processes, descriptors, log lines |
//! | `cgroup` | control groups |
//! | `handle`, `drain` | events to machines; the queues that follow |
//! | `state` | what follows from a unit's change of state |
//! | `refusals` | what is wrong with a request whoever makes it |
//! | `requests` | what clients ask |
//! | `asked` | requests that are answered when their chain ends |
//! | `actions` | emergency actions, end of start-up |
//! | `zones` | time zones of calendar events |
//! | `record` | state records, for the state log and re-execution |
//! | `shared` | temporary directories and namespaces that processes and units share |
//! | `stored` | descriptors that services stored, with records of their own |
mod actions;
mod asked;
pub mod cgroup;
pub mod clock;
pub mod config;
pub mod console;
mod defaults;
mod drain;
pub mod effect;
pub mod event;
mod handle;
mod load;
mod owned;
mod policy;
mod read;
pub mod record;
mod refusals;
mod requests;
mod services;
pub mod shared;
mod state;
mod store;
mod stored;
pub mod system_state;
pub mod timers;
pub mod unit;
mod zones;

pub use actions::NO_SOFT_REBOOT;
pub use config::ManagerConfig;
pub use policy::job_mode;
pub use store::Store;
pub use unit::{CheckResult, RateLimit, SourceFile, Stamps, Unit};

use crate::graph::mounts::MountIndex;
use crate::jobs::table::JobTable;
use crate::names::UnitName;
use crate::units::ActiveState;
use clock::{Clock, Now, TimerQueue, Usec};
use effect::{ChainId, Effect, FdId, JobId, JobMode, JobType, UnitId};
use event::{Event, Pid};
use owned::Owned;
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

/// What waits until nothing is missing.
#[derive(Debug)]
pub(crate) enum Deferred {
    /// A client's request.
    Call(effect::CallId, event::Caller, Box<effect::Request>),
    /// A target that a signal or an action asks for.
    Target(UnitName, JobMode, &'static str),
    /// The first transaction.
    Boot(UnitName),
    /// A job that a unit asks for.
    Start(UnitId, JobType, JobMode, Option<UnitId>),
}

/// Units and jobs to look at before the step ends. What is queued twice in a set is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub changes: VecDeque<Change>,
    pub triggered: VecDeque<(UnitId, UnitId)>,
    pub run: BTreeSet<JobId>,
    pub unneeded: BTreeSet<UnitId>,
    pub upheld: BTreeSet<UnitId>,
    pub bound: BTreeSet<UnitId>,
    pub collect: BTreeSet<UnitId>,
    /// Somebody looks at them before the next step, a client or the shell for what it announces: they stay until then.
    pub lookups: BTreeSet<UnitId>,
    /// Jobs of these units may have begun visibly.
    pub begun: BTreeSet<UnitId>,
    pub announce: BTreeSet<UnitId>,
    /// Announced in this step: they stay until that is heard.
    pub told: BTreeSet<UnitId>,
    pub announce_jobs: BTreeSet<JobId>,
    pub deferred: VecDeque<Deferred>,
}

/// How far starting up, reloading and shutting down are.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The first transaction was enqueued.
    pub booted: bool,
    /// When it was done (monotonic).
    pub finished: Option<clock::Stamp>,
    /// A `daemon-reload` is under way.
    pub reloading: bool,
    /// Its generators run: units that are read now may be read too early.
    pub generating: bool,
    /// These calls wait for the end of the reload.
    pub reload_calls: Vec<effect::CallId>,
    /// A client wants no service to end because of a time-out of its watchdog, nor what follows from limits and time-outs.
    pub watchdogs_off: bool,
    /// Records were restored, and the units' files are being read.
    pub restoring: bool,
}

/// The manager's decisions: everything it knows, and what it does about what happens.
#[derive(Debug)]
pub struct Engine {
    /// What the manager was told when it started.
    pub config: ManagerConfig,
    now: Now,
    random: [u64; 2],
    store: Store,
    jobs: JobTable,
    next_chain: u64,
    next_fd: u64,
    timers: TimerQueue<TimerKey>,
    chains: Owned<ChainId>,
    /// Chains that a client asked for, and waits for.
    asked: BTreeMap<ChainId, asked::Asked>,
    pids: Owned<Pid>,
    /// Units that have a process of another one for their main process.
    guests: BTreeSet<(Pid, UnitId)>,
    fds: Owned<FdId>,
    cgroups: BTreeMap<Rc<str>, UnitId>,
    bus_names: Owned<Rc<str>>,
    /// Units that have a user of `DynamicUser=`.
    dynamic_users: BTreeSet<UnitId>,
    /// Units that may write to the console.
    on_console: BTreeSet<UnitId>,
    mounts: MountIndex,
    /// Units that a client connection holds.
    held: BTreeMap<u64, BTreeSet<UnitId>>,
    /// Device units by their path below `/sys`.
    devices: BTreeSet<(Rc<str>, UnitId)>,
    failed: BTreeSet<UnitId>,
    queues: Queues,
    progress: Progress,
    environment: Vec<Rc<str>>,
    effects: Vec<Effect>,
    dirty: BTreeSet<UnitId>,
    stored: stored::Stored,
    /// How many units have each [`shared::Shared`].
    sharing: BTreeMap<effect::FdId, u32>,
    /// The manager's record as it was written last.
    recorded: Option<record::ManagerRecord>,
    mount_table: Vec<event::MountEntry>,
    zones: zones::Zones,
}

impl Engine {
    /// An engine that knows no unit yet.
    pub fn new(config: ManagerConfig) -> Engine {
        let (low, high) = config.seed.split_at(8);
        let word = |bytes: &[u8]| bytes.iter().fold(0u64, |all, &byte| all << 8 | u64::from(byte));
        Engine {
            random: [word(low), word(high)],
            zones: zones::Zones::new(&config.zone_file),
            config,
            now: Now::default(),
            store: Store::default(),
            jobs: JobTable::default(),
            next_chain: 1,
            next_fd: 2,
            timers: TimerQueue::default(),
            chains: Owned::default(),
            asked: BTreeMap::new(),
            pids: Owned::default(),
            guests: BTreeSet::new(),
            fds: Owned::default(),
            cgroups: BTreeMap::new(),
            bus_names: Owned::default(),
            dynamic_users: BTreeSet::new(),
            on_console: BTreeSet::new(),
            mounts: MountIndex::default(),
            held: BTreeMap::new(),
            devices: BTreeSet::new(),
            failed: BTreeSet::new(),
            queues: Queues::default(),
            progress: Progress::default(),
            environment: Vec::new(),
            effects: Vec::new(),
            dirty: BTreeSet::new(),
            stored: stored::Stored::default(),
            sharing: BTreeMap::new(),
            recorded: None,
            mount_table: Vec::new(),
        }
    }

    /// Let `event` happen at `now`; what follows from it is to be done in order.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        self.now = now;
        self.queues.told.clear();
        let looked_at = std::mem::take(&mut self.queues.lookups);
        self.queues.collect.extend(looked_at);
        self.handle(event);
        self.drain();
        std::mem::take(&mut self.effects)
    }

    /// The clocks at the event that is being handled.
    pub fn now(&self) -> Now {
        self.now
    }

    /// When the next timer on `clock` is due: then an `Event::Tick` is expected.
    pub fn deadline(&self, clock: Clock) -> Option<Usec> {
        if clock == Clock::Monotonic && (self.has_work() || self.may_unload_next()) {
            return Some(self.now.monotonic);
        }
        self.timers.next(clock)
    }

    /// Units whose record changed since the last call, for the state log ([`Engine::record`]).
    pub fn take_dirty(&mut self) -> BTreeSet<UnitId> {
        std::mem::take(&mut self.dirty)
    }

    /// Whether the next step may take units out of memory of which the last ones told.
    pub fn may_unload_next(&self) -> bool {
        !self.queues.lookups.is_empty()
    }

    /// Whether somebody may look at the unit before the next step.
    pub(crate) fn is_looked_at(&self, id: UnitId) -> bool {
        self.queues.lookups.contains(&id)
    }

    /// Whether listeners know of the unit and are told of a change in this step: they hear of its end after that.
    pub(crate) fn is_news(&self, id: UnitId) -> bool {
        let queues = &self.queues;
        self.unit(id).announced && (queues.announce.contains(&id) || queues.told.contains(&id))
    }

    /// Units in the state "failed" (`NFailedUnits`).
    pub fn failed_units(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.failed.iter().copied()
    }

    /// What the manager's environment block begins with.
    pub fn set_environment(&mut self, block: Vec<Rc<str>>) {
        self.environment = block;
    }

    /// The manager's environment block, as clients set it.
    pub fn environment(&self) -> &[Rc<str>] {
        &self.environment
    }

    /// A `daemon-reload` is under way.
    pub fn is_reloading(&self) -> bool {
        self.progress.reloading
    }

    pub(crate) fn table(&self) -> &JobTable {
        &self.jobs
    }

    pub(crate) fn table_mut(&mut self) -> &mut JobTable {
        &mut self.jobs
    }

    pub(crate) fn queues_mut(&mut self) -> &mut Queues {
        &mut self.queues
    }

    pub(crate) fn timers_mut(&mut self) -> &mut TimerQueue<TimerKey> {
        &mut self.timers
    }

    pub(crate) fn devices_mut(&mut self) -> &mut BTreeSet<(Rc<str>, UnitId)> {
        &mut self.devices
    }

    /// Paths below `/sys` of the devices that are units; one for each unit.
    pub fn device_paths(&self) -> impl Iterator<Item = Rc<str>> + '_ {
        self.devices.iter().map(|(path, _)| path.clone())
    }

    /// Device units of a path below `/sys`.
    pub fn devices_of<'a>(&'a self, sysfs: &'a Rc<str>) -> impl Iterator<Item = UnitId> + 'a {
        let from = (sysfs.clone(), UnitId(0));
        self.devices.range(from..).take_while(move |(path, _)| path == sysfs).map(|&(_, id)| id)
    }

    pub(crate) fn dirty_unit(&mut self, id: UnitId) {
        self.dirty.insert(id);
    }
}
