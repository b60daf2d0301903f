//! A unit as the engine keeps it: what all types have in common.
use super::clock::{Stamp, Usec};
use super::effect::{Failure, JobId, UnitId};
use super::event::ConditionVerdict;
use crate::directives::ids;
use crate::graph::{Dependency, Edges, Origins};
use crate::names::{UnitName, UnitType};
use crate::settings::Settings;
use crate::units::{ActiveState, LoadState, UnitKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A file a unit was read from, with its modification time (microseconds): `NeedDaemonReload` compares these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Absolute path.
    pub path: Rc<str>,
    /// Modification time when it was read.
    pub mtime: Usec,
}

/// When the unit went through its states (org.freedesktop.systemd1(5), `*Timestamp`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps {
    /// `StateChangeTimestamp`.
    pub state_change: Stamp,
    /// `InactiveExitTimestamp`.
    pub inactive_exit: Stamp,
    /// `ActiveEnterTimestamp`.
    pub active_enter: Stamp,
    /// `ActiveExitTimestamp`.
    pub active_exit: Stamp,
    /// `InactiveEnterTimestamp`.
    pub inactive_enter: Stamp,
}

/// The last evaluation of `Condition*=` or `Assert*=` lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// When.
    pub at: Stamp,
    /// Whether they held together.
    pub result: bool,
    /// Each line's verdict, in file order; empty when never evaluated.
    pub verdicts: Vec<ConditionVerdict>,
}

/// Counts events in a window: at most `burst` in `interval` (0: no limit).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Window, microseconds.
    pub interval: Usec,
    /// Events allowed in it.
    pub burst: u32,
    /// When the window began (monotonic), 0: not yet.
    pub begin: Usec,
    /// Events so far.
    pub count: u32,
}

impl RateLimit {
    /// A limit.
    pub const fn new(interval: Usec, burst: u32) -> RateLimit {
        RateLimit { interval, burst, begin: 0, count: 0 }
    }

    /// Count one event at `now` (monotonic); `false` when it is one too many.
    pub fn pass(&mut self, now: Usec) -> bool {
        if self.interval == 0 || self.burst == 0 {
            return true;
        }
        if self.begin == 0 || now.saturating_sub(self.begin) > self.interval {
            self.begin = now;
            self.count = 1;
            return true;
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.burst
    }

    /// Forget what was counted.
    pub fn reset(&mut self) {
        self.begin = 0;
        self.count = 0;
    }
}

/// A loaded unit.
#[derive(Debug)]
pub struct Unit {
    /// Its index.
    pub id: UnitId,
    /// The primary name (`Id`).
    pub name: UnitName,
    /// All names, the primary one included, in order.
    pub aliases: Vec<UnitName>,
    /// The type's own state.
    pub kind: UnitKind,
    /// `LoadState`.
    pub load: LoadState,
    /// `LoadError`, when `load` is an error.
    pub load_error: Option<Failure>,
    /// What its files set.
    pub settings: Settings,
    /// `FragmentPath`.
    pub fragment: Option<SourceFile>,
    /// `DropInPaths`.
    pub dropins: Vec<SourceFile>,
    /// Description given by the type when the file has none.
    pub default_description: Option<Rc<str>>,
    /// Dependencies of both directions, each with where it comes from.
    pub deps: Edges,
    /// Absolute paths of `RequiresMountsFor=` (true) and `WantsMountsFor=` (false), implied ones included.
    pub mounts_for: BTreeMap<Rc<str>, (bool, Origins)>,
    /// Its job, if any.
    pub job: Option<JobId>,
    /// Its `nop` job, if any; these live beside others.
    pub nop_job: Option<JobId>,
    /// State change times.
    pub stamps: Stamps,
    /// Conditions.
    pub condition: CheckResult,
    /// Asserts.
    pub assert: CheckResult,
    /// `InvocationID`, 32 hex digits.
    pub invocation: Option<Rc<str>>,
    /// The slice it lives in.
    pub slice: Option<UnitId>,
    /// Relative cgroup path, once realized.
    pub cgroup: Option<Rc<str>>,
    /// Start rate limit.
    pub start_limit: RateLimit,
    /// The start limit was hit and not reset since.
    pub start_limit_was_hit: bool,
    /// Limits starts and stops made by `Upholds=`, `StopWhenUnneeded=` and `BindsTo=`.
    pub auto_limit: RateLimit,
    /// Made at run time.
    pub transient: bool,
    /// Never stops (`-.slice`, `init.scope`, `-.mount`).
    pub perpetual: bool,
    /// References of clients by connection.
    pub refs: BTreeMap<u64, u32>,
    /// Made by `StartTransientUnit` with `AddRef=`, or referenced from elsewhere in the engine.
    pub pins: u32,
    /// What could not be enforced: setting and reason.
    pub ledger: Vec<(Rc<str>, Rc<str>)>,
    /// Frozen, thawing ...: `FreezerState`.
    pub frozen: bool,
    /// uid given by `DynamicUser=`, while it is held.
    pub dynamic_uid: Option<u32>,
    /// Descriptors given at creation (`StandardInputFileDescriptor`, `ExtraFileDescriptors:NAME`).
    pub given_fds: Vec<(Rc<str>, super::effect::FdId)>,
    /// What its processes share, while there are any.
    pub shared: Option<super::shared::Shared>,
    /// Why it runs: `TRIGGER_*` and `MONITOR_*` for the environment of its processes.
    pub activation: Option<Vec<(Rc<str>, Rc<str>)>>,
    /// The type keeps it over `isolate` unless the file says otherwise.
    pub implied_ignore_on_isolate: bool,
    /// The type's default for `JobRunningTimeoutSec=`.
    pub implied_job_running_timeout: Option<Usec>,
    pub(crate) announced: bool,
    pub(crate) loading: bool,
}

impl Unit {
    /// What `CleanUnit` would find here: the bits of [`super::effect::CleanUp::Directories`].
    pub fn cleanable(&self) -> u32 {
        let rows = [
            ids::RUNTIME_DIRECTORY,
            ids::STATE_DIRECTORY,
            ids::CACHE_DIRECTORY,
            ids::LOGS_DIRECTORY,
            ids::CONFIGURATION_DIRECTORY,
        ];
        let set = rows.into_iter().enumerate().filter(|(_, row)| !self.settings.rows(*row).is_empty());
        let directories = set.fold(0, |mask, (bit, _)| mask | 1 << bit);
        directories
            | match &self.kind {
                // The stamp file.
                UnitKind::Timer(_) if self.settings.bool(ids::PERSISTENT) => 2,
                UnitKind::Service(service) if !service.fd_store.is_empty() => 32,
                _ => 0,
            }
    }

    /// A unit of which only the name is known.
    pub(crate) fn stub(id: UnitId, name: UnitName) -> Unit {
        Unit {
            id,
            kind: UnitKind::new(name.kind()),
            aliases: vec![name.clone()],
            name,
            load: LoadState::Stub,
            load_error: None,
            settings: Settings::default(),
            fragment: None,
            dropins: Vec::new(),
            default_description: None,
            deps: Edges::default(),
            mounts_for: BTreeMap::new(),
            job: None,
            nop_job: None,
            stamps: Stamps::default(),
            condition: CheckResult::default(),
            assert: CheckResult::default(),
            invocation: None,
            slice: None,
            cgroup: None,
            start_limit: RateLimit::default(),
            start_limit_was_hit: false,
            auto_limit: RateLimit::new(10_000_000, 16),
            transient: false,
            perpetual: false,
            refs: BTreeMap::new(),
            pins: 0,
            ledger: Vec::new(),
            frozen: false,
            dynamic_uid: None,
            given_fds: Vec::new(),
            shared: None,
            activation: None,
            implied_ignore_on_isolate: false,
            implied_job_running_timeout: None,
            announced: false,
            loading: false,
        }
    }

    /// The type.
    pub fn unit_type(&self) -> UnitType {
        self.name.kind()
    }

    /// `ActiveState`.
    pub fn active_state(&self) -> ActiveState {
        self.kind.active_state()
    }

    /// `SubState`.
    pub fn sub_state(&self) -> &'static str {
        self.kind.sub_state()
    }

    /// Units at the other end of a kind of dependency, in index order.
    pub fn dependencies(&self, kind: Dependency) -> impl Iterator<Item = UnitId> + '_ {
        self.deps.of_kind(kind)
    }

    /// Whether there is this dependency.
    pub fn depends(&self, kind: Dependency, on: UnitId) -> bool {
        self.deps.contains_key(&(kind, on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_lets_burst_events_pass_in_a_window() {
        let mut limit = RateLimit::new(10, 2);
        assert_eq!([limit.pass(1), limit.pass(2), limit.pass(3)], [true, true, false]);
        assert!(limit.pass(12));
    }
}
