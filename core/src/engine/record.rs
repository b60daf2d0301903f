//! State records: everything that is not read again from files, for the state log and for re-execution.
//!
//! One record a unit (key `unit/INDEX`), one a stored descriptor (key `stored/DESCRIPTOR`) and one for the manager (key `manager`),
//! as JSON: a newer engine reads an older one's.
//! Indices and job numbers stay the same. After [`Engine::restore`] the shell steps once (`Event::Tick`) and answers the
//! `Load` that comes before any other event: then settings are there again.
use super::clock::{Clock, Stamp, Usec};
use super::effect::{ChainId, FdId, UnitId};
use super::event::{Event, Pid};
use super::shared::Shared;
use super::timers::{TimerKey, TimerKind};
use super::unit::{CheckResult, RateLimit, Stamps};
use super::{Engine, Unit, stored};
use crate::jobs::{Job, JobState};
use crate::names::UnitName;
use crate::units::{LoadState, UnitKind, machine};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

pub use super::stored::key as stored_key;

/// Key of the manager's own record.
pub const MANAGER_KEY: &str = "manager";

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreProblem {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

type Pairs = Vec<(Rc<str>, Rc<str>)>;

/// What a unit's state is worth keeping of; fields that are as in a new unit are left out.
#[derive(Debug, Serialize, Deserialize)]
struct UnitRecord<'a> {
    id: UnitId,
    name: UnitName,
    #[serde(default, skip_serializing_if = "is_default")]
    aliases: Cow<'a, [UnitName]>,
    kind: Cow<'a, UnitKind>,
    #[serde(default, skip_serializing_if = "is_default")]
    stamps: Stamps,
    #[serde(default, skip_serializing_if = "is_default")]
    condition: Cow<'a, CheckResult>,
    #[serde(default, skip_serializing_if = "is_default")]
    assert: Cow<'a, CheckResult>,
    #[serde(default, skip_serializing_if = "is_default")]
    invocation: Option<Rc<str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    slice: Option<UnitId>,
    #[serde(default, skip_serializing_if = "is_default")]
    cgroup: Option<Rc<str>>,
    #[serde(default, skip_serializing_if = "is_default")]
    start_limit: RateLimit,
    #[serde(default, skip_serializing_if = "is_default")]
    start_limit_was_hit: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    auto_limit: RateLimit,
    #[serde(default, skip_serializing_if = "is_default")]
    transient: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    perpetual: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    refs: Cow<'a, BTreeMap<u64, u32>>,
    #[serde(default, skip_serializing_if = "is_default")]
    ledger: Cow<'a, Pairs>,
    #[serde(default, skip_serializing_if = "is_default")]
    frozen: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    dynamic_uid: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    given_fds: Cow<'a, [(Rc<str>, FdId)]>,
    #[serde(default, skip_serializing_if = "is_default")]
    shared: Cow<'a, Option<Shared>>,
    #[serde(default, skip_serializing_if = "is_default")]
    activation: Cow<'a, Option<Pairs>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    jobs: Vec<Job>,
    #[serde(default, skip_serializing_if = "is_default")]
    timers: Vec<(TimerKind, Clock, Usec)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pids: Vec<Pid>,
    #[serde(default, skip_serializing_if = "is_default")]
    fds: Vec<FdId>,
    #[serde(default, skip_serializing_if = "is_default")]
    chains: Vec<ChainId>,
}

/// Whether a field need not be written, because reading it gives it this value when it is not there.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ManagerRecord {
    random: [u64; 2],
    next_job: u32,
    next_chain: u64,
    next_fd: u64,
    #[serde(default)]
    environment: Vec<Rc<str>>,
    #[serde(default)]
    booted: bool,
    #[serde(default)]
    finished: Option<Stamp>,
    #[serde(default)]
    watchdogs_off: bool,
}

/// The key of a unit's record.
pub fn key(id: UnitId) -> String {
    format!("unit/{}", id.0)
}

/// The unit that a record is of; `None` when it is of something else.
pub fn unit_name(bytes: &[u8]) -> Option<UnitName> {
    #[derive(Deserialize)]
    struct Named {
        name: UnitName,
    }
    serde_json::from_slice::<Named>(bytes).ok().map(|named| named.name)
}

impl Engine {
    /// A unit's record; `None` when it is not loaded (any more): its key is to be deleted.
    pub fn record(&self, id: UnitId) -> Option<Vec<u8>> {
        let unit = self.get(id)?;
        serde_json::to_vec(&self.unit_record(unit)).ok()
    }

    /// The manager's own record, if it is another than the last one that was asked for.
    pub fn record_manager_if_changed(&mut self) -> Option<Vec<u8>> {
        let record = self.manager_record();
        if self.recorded.as_ref() == Some(&record) {
            return None;
        }
        let bytes = serde_json::to_vec(&record).ok()?;
        self.recorded = Some(record);
        Some(bytes)
    }

    fn manager_record(&self) -> ManagerRecord {
        ManagerRecord {
            random: self.random,
            next_job: self.jobs.next,
            next_chain: self.next_chain,
            next_fd: self.next_fd,
            environment: self.environment.clone(),
            booted: self.progress.booted,
            finished: self.progress.finished,
            watchdogs_off: self.progress.watchdogs_off,
        }
    }

    /// All records, for a planned re-execution or a new log.
    pub fn record_all(&self) -> Vec<(String, Vec<u8>)> {
        let units = self.units().filter_map(|unit| Some((key(unit.id), self.record(unit.id)?)));
        let manager = serde_json::to_vec(&self.manager_record()).ok();
        let manager = manager.map(|manager| (MANAGER_KEY.to_owned(), manager));
        units.chain(manager).chain(self.record_all_stored()).collect()
    }

    fn unit_record<'a>(&self, unit: &'a Unit) -> UnitRecord<'a> {
        let id = unit.id;
        let timers = TimerKind::ALL.into_iter().filter_map(|kind| {
            let (clock, at) = self.timers.armed(TimerKey::Unit(id, kind))?;
            Some((kind, clock, at))
        });
        UnitRecord {
            id,
            name: unit.name.clone(),
            aliases: Cow::Borrowed(&unit.aliases),
            kind: Cow::Borrowed(&unit.kind),
            stamps: unit.stamps,
            condition: Cow::Borrowed(&unit.condition),
            assert: Cow::Borrowed(&unit.assert),
            invocation: unit.invocation.clone(),
            slice: unit.slice,
            cgroup: unit.cgroup.clone(),
            start_limit: unit.start_limit,
            start_limit_was_hit: unit.start_limit_was_hit,
            auto_limit: unit.auto_limit,
            transient: unit.transient,
            perpetual: unit.perpetual,
            refs: Cow::Borrowed(&unit.refs),
            ledger: Cow::Borrowed(&unit.ledger),
            frozen: unit.frozen,
            dynamic_uid: unit.dynamic_uid,
            given_fds: Cow::Borrowed(&unit.given_fds),
            shared: Cow::Borrowed(&unit.shared),
            activation: Cow::Borrowed(&unit.activation),
            jobs: [unit.job, unit.nop_job]
                .into_iter()
                .flatten()
                .filter_map(|job| self.job(job).cloned())
                .collect(),
            timers: timers.collect(),
            pids: self.pids.of(id).copied().collect(),
            fds: self.fds.of(id).copied().collect(),
            chains: self.chains.of(id).copied().collect(),
        }
    }

    /// Take records into a new engine. What cannot be read is told and left out; the rest counts.
    pub fn restore<'a>(
        &mut self,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Vec<RestoreProblem> {
        let mut problems = Vec::new();
        let mut take = |key: &str, result: Result<(), String>| {
            let problem = |message| RestoreProblem { key: key.to_owned(), message };
            problems.extend(result.err().map(problem));
        };
        // Stored descriptors need their units.
        let (stored, others): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|(key, _)| key.starts_with(stored::KEY_PREFIX));
        for (key, bytes) in others {
            take(
                key,
                if key == MANAGER_KEY { self.restore_manager(bytes) } else { self.restore_unit(bytes) },
            );
        }
        for (key, bytes) in stored {
            take(key, self.restore_stored(bytes));
        }
        self.progress.restoring = true;
        problems
    }

    fn restore_manager(&mut self, bytes: &[u8]) -> Result<(), String> {
        let record: ManagerRecord = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        self.random = record.random;
        self.jobs.next = self.jobs.next.max(record.next_job);
        self.next_chain = self.next_chain.max(record.next_chain);
        self.next_fd = self.next_fd.max(record.next_fd);
        self.environment = record.environment;
        self.progress.booted = record.booted;
        self.progress.finished = record.finished;
        self.progress.watchdogs_off = record.watchdogs_off;
        Ok(())
    }

    fn restore_unit(&mut self, bytes: &[u8]) -> Result<(), String> {
        let record: UnitRecord = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let id = record.id;
        if record.kind.unit_type() != record.name.kind() || !self.insert_with_id(id, &record.name) {
            return Err(format!("{} is there twice, or is not what its name says", record.name));
        }
        for name in record.aliases.iter() {
            if self.find(name).is_none() {
                self.add_name(id, name);
            }
        }
        for mut job in record.jobs {
            let slot = self.unit_mut(id);
            match job.kind {
                super::effect::JobType::Nop => slot.nop_job = Some(job.id),
                _ => slot.job = Some(job.id),
            }
            if job.checking {
                // Its conditions are asked for again.
                job.checking = false;
                job.state = JobState::Waiting;
            }
            self.timers.arm(TimerKey::Job(job.id), Clock::Monotonic, job.deadline);
            self.queues.run.insert(job.id);
            self.jobs.next = self.jobs.next.max(job.id.0.wrapping_add(1));
            self.put_job(job);
        }
        for (kind, clock, at) in record.timers {
            self.timers.arm(TimerKey::Unit(id, kind), clock, at);
        }
        record.pids.into_iter().for_each(|pid| self.pids.insert(pid, id));
        record.fds.into_iter().for_each(|fd| self.fds.insert(fd, id));
        record.chains.into_iter().for_each(|chain| self.chains.insert(chain, id));
        if let Some(cgroup) = &record.cgroup {
            self.cgroups.insert(cgroup.clone(), id);
        }
        for &connection in record.refs.keys() {
            self.held.entry(connection).or_default().insert(id);
        }
        if let Some(shared) = record.shared.into_owned() {
            self.share(id, shared);
        }
        let unit = self.unit_mut(id);
        unit.kind = record.kind.into_owned();
        unit.stamps = record.stamps;
        unit.condition = record.condition.into_owned();
        unit.assert = record.assert.into_owned();
        unit.invocation = record.invocation;
        unit.slice = record.slice;
        unit.cgroup = record.cgroup;
        unit.start_limit = record.start_limit;
        unit.start_limit_was_hit = record.start_limit_was_hit;
        unit.auto_limit = record.auto_limit;
        unit.transient = record.transient;
        unit.perpetual = record.perpetual;
        unit.refs = record.refs.into_owned();
        unit.ledger = record.ledger.into_owned();
        unit.frozen = record.frozen;
        unit.dynamic_uid = record.dynamic_uid;
        unit.given_fds = record.given_fds.into_owned();
        unit.activation = record.activation.into_owned();
        unit.announced = true;
        if unit.dynamic_uid.is_some() {
            self.dynamic_users.insert(id);
        }
        self.adopt_stored(id);
        let unit = self.unit(id);
        if let UnitKind::Device(device) = &unit.kind {
            let sysfs = device.sysfs.clone();
            self.devices.extend(sysfs.map(|sysfs| (sysfs, id)));
        }
        let unit = self.unit_mut(id);
        unit.load = LoadState::Stub;
        if unit.active_state() == crate::units::ActiveState::Failed {
            self.failed.insert(id);
        }
        Ok(())
    }

    /// Client connections that hold units: those that did not survive are to be told gone.
    pub fn holding_connections(&self) -> Vec<u64> {
        self.held.keys().copied().collect()
    }

    /// Whether the first transaction was made. When not, a restored engine has to be told to boot.
    pub fn is_booted(&self) -> bool {
        self.progress.booted
    }

    /// Whose unit an event is about, as far as that is known before it is handled.
    pub fn unit_concerned(&self, event: &Event) -> Option<&UnitName> {
        let id = match event {
            Event::ChainDone { chain, .. } => self.chains.owner(chain),
            Event::ProcessExited { pid, .. } => self.unit_of_pid(*pid),
            Event::CgroupEmpty(path) => self.cgroups.get(path).copied(),
            Event::CgroupOom { cgroup, .. } => self.unit_of_cgroup(cgroup),
            Event::Notify(message) => self.unit_of_sender(message.pid, message.cgroup.as_deref()),
            Event::FdReady { fd, .. } => self.fd_owner(*fd),
            Event::Accepted(connection) => self.fd_owner(connection.listener),
            Event::PathTriggered { unit, .. }
            | Event::PathChecked { unit, .. }
            | Event::Conditions { unit, .. } => self.find(unit),
            Event::Automount(request) => self.fd_owner(request.fd),
            Event::BusName { name, .. } => self.bus_names.owner(name),
            _ => None,
        };
        id.and_then(|id| self.get(id)).map(|unit| &unit.name)
    }

    /// All files were read again after a restore.
    pub(crate) fn after_restore(&mut self) {
        let all: Vec<UnitId> = self.units().map(|unit| unit.id).collect();
        for id in all {
            // A slice that is gone from the log was not worth keeping.
            if self.unit(id).slice.is_some_and(|slice| self.get(slice).is_none()) {
                self.unit_mut(id).slice = None;
            }
            machine::call::reloaded(self.unit(id).unit_type(), self, id);
            self.queues.collect.insert(id);
        }
    }
}
