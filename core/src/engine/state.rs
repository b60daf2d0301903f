//! What follows from a unit's change of state.
use super::effect::UnitId;
use super::{Change, Engine};
use crate::units::ActiveState;

impl Engine {
    /// A type changed its unit's state from `old`: call it after each change, also when only the sub-state is new.
    /// What follows (jobs, other units) is drawn later in the same step.
    pub fn state_changed(&mut self, id: UnitId, old: ActiveState) {
        self.state_changed_by_reload(id, old, true);
    }

    /// Likewise, after a reload: `reload_ok` tells the reload job how it went.
    pub fn state_changed_by_reload(&mut self, id: UnitId, old: ActiveState, reload_ok: bool) {
        let now = self.now.into();
        let unit = self.unit_mut(id);
        let new = unit.active_state();
        if new != old {
            unit.stamps.state_change = now;
        }
        match (old.is_down(), new.is_down()) {
            (true, false) => unit.stamps.inactive_exit = now,
            (false, true) => unit.stamps.inactive_enter = now,
            _ => {}
        }
        match (old.is_up(), new.is_up()) {
            (true, false) => unit.stamps.active_exit = now,
            (false, true) => unit.stamps.active_enter = now,
            _ => {}
        }
        self.queues.changes.push_back(Change { unit: id, old, new, reload_ok });
    }
}
