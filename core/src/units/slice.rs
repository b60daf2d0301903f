//! Slices (systemd.slice(5)): groups of units that share resources.
//!
//! | state | ActiveState | SubState | leaves to |
//! |---|---|---|---|
//! | down | inactive | dead | up: a start job |
//! | up | active | active | down: a stop job |
//!
//! `-.slice` and the slices the manager itself needs are up from the beginning and never stop.
use super::{ActiveState, LoadProblem, Machine, Refusal};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::names::slice;
use crate::settings::Value;
use serde::{Deserialize, Serialize};

/// Run-time state of a slice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Slice {
    /// It was started.
    pub up: bool,
}

fn set(e: &mut Engine, id: UnitId, up: bool) {
    let old = e.unit(id).active_state();
    e.machine_mut::<Slice>(id).up = up;
    e.state_changed(id, old);
}

/// Slices that are always there, with what describes them when no file does.
fn built_in(name: &str) -> Option<(&'static str, bool)> {
    match name {
        "-.slice" => Some(("Root Slice", true)),
        "system.slice" => Some(("System Slice", true)),
        _ => None,
    }
}

impl Machine for Slice {
    fn exists_without_file(e: &mut Engine, id: UnitId) -> bool {
        slice::is_valid_slice(&e.unit(id).name)
    }

    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        let name = e.unit(id).name.clone();
        if !slice::is_valid_slice(&name) {
            return Err(LoadProblem::bad_setting(format!("Slice name {name} is not valid. Refusing.")));
        }
        let built_in =
            built_in(name.as_str()).filter(|_| !e.config.user || name.as_str() == slice::ROOT_SLICE);
        let unit = e.unit_mut(id);
        match built_in {
            Some((description, perpetual)) => {
                unit.perpetual = perpetual;
                unit.settings.set(ids::DEFAULT_DEPENDENCIES, Value::Bool(false));
                if !unit.settings.is_set(ids::DOCUMENTATION) {
                    unit.settings
                        .set(ids::DOCUMENTATION, Value::List(["man:systemd.special(7)".into()].into()));
                }
                unit.default_description = Some(description.into());
            }
            None => {
                let path = name.prefix().replace('-', "/");
                let text = crate::names::unescape(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                unit.default_description = Some(format!("Slice /{}", text.unwrap_or(path)).into());
            }
        }
        if unit.perpetual {
            if !e.machine::<Slice>(id).up {
                set(e, id, true);
            }
        } else if e.unit(id).default_dependencies() {
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
