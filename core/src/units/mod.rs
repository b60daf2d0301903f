//! The unit types, one file and one state machine each; the state table stands in prose at the top of each file.
//!
//! Contract between the engine and a unit type (`service.rs` shows all of it). A type module has a state struct
//! (`Service`, `Socket` ...: run-time state only, `Serialize + Deserialize`, so that it can be logged and restored),
//! and these functions; all take the engine and the unit's id, none recurses into another unit's machine: they
//! change their own state, emit effects and enqueue jobs.
//!
//! | function | when |
//! |---|---|
//! | `loaded(e, id) -> Result<(), LoadProblem>` | settings are parsed: verify, add implied and default dependencies |
//! | `start(e, id) -> Result<(), Refusal>` | a start job runs (conditions hold already) |
//! | `stop(e, id) -> Result<(), Refusal>` | a stop job runs |
//! | `reload(e, id) -> Result<(), Refusal>` | a reload job runs (`can_reload`) |
//! | `active_state(&self) -> ActiveState`, `sub_state(&self) -> &'static str` | asked at any time |
//! | `chain_done(e, id, chain, result)` | a chain that this unit emitted ended |
//! | `process_exited(e, id, pid, exit)` | a process that it watches ended |
//! | `timer(e, id, which)` | a timer it armed with `e.arm(id, which, ...)` elapsed |
//! | `cgroup_empty(e, id)`, `cgroup_oom(e, id)` | its cgroup |
//! | `fd_ready(e, id, fd, hangup)` | a descriptor it owns |
//! | `notify(e, id, &Notify)` | sd_notify(3) (services) |
//! | `bus_name(e, id, owner)` | the name of `BusName=` |
//! | `triggered(e, id, by)` | a unit that it triggers (its service) changed state |
//! | `reset_failed(e, id)` | a client asks |
//! | `kill(...)` | shared: `crate::units::kill` |
use serde::{Deserialize, Serialize};

/// `ActiveState` (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ActiveState {
    Active,
    Reloading,
    Inactive,
    Failed,
    Activating,
    Deactivating,
    Maintenance,
    Refreshing,
}

/// `LoadState` (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LoadState {
    Stub,
    Loaded,
    NotFound,
    BadSetting,
    Error,
    Merged,
    Masked,
}

/// Why a unit type does not do what a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is that way already: the job is done.
    Already,
    /// Not now; run the job again when the unit's state changes.
    Again,
    /// The unit cannot do this (bad settings, wrong state): the job fails as "invalid".
    Invalid,
    /// Its start limit was hit: the job fails.
    StartLimit,
    /// Not supported here.
    Unsupported,
    /// May be started only once (`RefuseOnce`, oneshots at `soft-reboot`).
    Once,
    /// It is frozen.
    Frozen,
    /// The start could not even begin.
    Failed,
}
