//! Scopes (systemd.scope(5)): processes that somebody else started.
use super::{ActiveState, Machine, Refusal};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use serde::{Deserialize, Serialize};

/// Run-time state of a scope.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Scope {
    /// It runs.
    pub up: bool,
}

impl Machine for Scope {
    fn start(_: &mut Engine, _: UnitId) -> Result<(), Refusal> {
        Err(Refusal::Invalid)
    }

    fn stop(_: &mut Engine, _: UnitId) -> Result<(), Refusal> {
        Err(Refusal::Invalid)
    }

    fn active_state(&self) -> ActiveState {
        if self.up { ActiveState::Active } else { ActiveState::Inactive }
    }

    fn sub_state(&self) -> &'static str {
        if self.up { "running" } else { "dead" }
    }
}
