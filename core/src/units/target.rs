//! Targets (systemd.target(5)).
//!
//! | state | ActiveState | SubState | leaves to |
//! |---|---|---|---|
//! | down | inactive | dead | up: a start job |
//! | up | active | active | down: a stop job |
use super::{ActiveState, LoadProblem, Machine, Refusal};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use serde::{Deserialize, Serialize};

/// Run-time state of a target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Target {
    /// It was started.
    pub up: bool,
}

fn set(e: &mut Engine, id: UnitId, up: bool) {
    let old = e.unit(id).active_state();
    e.machine_mut::<Target>(id).up = up;
    e.state_changed(id, old);
}

impl Machine for Target {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        if e.unit(id).default_dependencies() {
            e.add_shutdown_conflict(id);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        e.new_invocation(id);
        set(e, id, true);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        set(e, id, false);
        Ok(())
    }

    fn active_state(&self) -> ActiveState {
        if self.up { ActiveState::Active } else { ActiveState::Inactive }
    }

    fn sub_state(&self) -> &'static str {
        if self.up { "active" } else { "dead" }
    }
}
