//! The unit types, one file and one state machine each; the state table stands in prose at the top of each file.
//!
//! A type module has a state struct (`Service`, `Socket` ...: run-time state only, `Serialize + Deserialize`, so that it can be
//! logged and restored) and implements [`Machine`] for it: that trait is the contract between the engine and a type. All
//! functions take the engine and the unit's id; none recurses into another unit's machine: they change their own state, call
//! [`Engine::state_changed`](crate::engine::Engine::state_changed), emit effects and enqueue jobs. `e.machine::<Service>(id)` and
//! `e.machine_mut::<Service>(id)` give the state.
pub mod automount;
pub mod device;
pub mod exec;
pub mod kill;
pub mod machine;
pub mod mount;
mod mount_load;
mod mount_table;
pub mod path;
pub mod scope;
pub mod service;
pub mod slice;
pub mod socket;
mod socket_accept;
mod socket_load;
#[cfg(test)]
mod socket_tests;
pub mod swap;
pub mod target;
#[cfg(test)]
pub(crate) mod test_world;
pub mod timer;

pub use machine::{Machine, OfKind, UnitKind};

use serde::{Deserialize, Serialize};
use std::rc::Rc;

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

impl ActiveState {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            ActiveState::Active => "active",
            ActiveState::Reloading => "reloading",
            ActiveState::Inactive => "inactive",
            ActiveState::Failed => "failed",
            ActiveState::Activating => "activating",
            ActiveState::Deactivating => "deactivating",
            ActiveState::Maintenance => "maintenance",
            ActiveState::Refreshing => "refreshing",
        }
    }

    /// Up: active, or re-reading its configuration.
    pub const fn is_up(self) -> bool {
        matches!(self, ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing)
    }

    /// Up or on the way.
    pub const fn is_up_or_activating(self) -> bool {
        self.is_up() || matches!(self, ActiveState::Activating)
    }

    /// Down, well or not.
    pub const fn is_down(self) -> bool {
        matches!(self, ActiveState::Inactive | ActiveState::Failed)
    }

    /// Down or on the way.
    pub const fn is_down_or_deactivating(self) -> bool {
        self.is_down() || matches!(self, ActiveState::Deactivating)
    }
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

impl LoadState {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            LoadState::Stub => "stub",
            LoadState::Loaded => "loaded",
            LoadState::NotFound => "not-found",
            LoadState::BadSetting => "bad-setting",
            LoadState::Error => "error",
            LoadState::Merged => "merged",
            LoadState::Masked => "masked",
        }
    }
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
    /// The start could not even begin.
    Failed,
    /// The unit does nothing for this job: it ends as "skipped".
    Skipped,
}

/// Why a unit type does not accept the settings of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadProblem {
    /// What it becomes: `BadSetting` or `Error`.
    pub state: LoadState,
    /// For the log ("Service has no ExecStart=, ... Refusing.").
    pub message: Rc<str>,
}

impl LoadProblem {
    /// The settings do not make a unit.
    pub fn bad_setting(message: impl Into<Rc<str>>) -> LoadProblem {
        LoadProblem { state: LoadState::BadSetting, message: message.into() }
    }
}
