//! Which units nobody needs in memory any more (systemd.unit(5), `CollectMode=`).
//!
//! A unit stays while something pins it (a job, a state other than down, a client, a pin), or while a unit that stays
//! refers to it. The search goes from a candidate backward over `ReferencedBy` until it meets one that stays.
use super::{Dependency, Edge, Origins};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::units::{ActiveState, LoadState, machine};
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// Whether the unit itself gives no reason to stay.
    fn may_collect(&self, id: UnitId) -> bool {
        let unit = self.unit(id);
        let down = match unit.active_state() {
            ActiveState::Inactive => true,
            ActiveState::Failed => unit.collect_failed() || unit.load == LoadState::NotFound,
            _ => false,
        };
        down && !unit.perpetual
            && unit.job.is_none()
            && unit.nop_job.is_none()
            && unit.refs.is_empty()
            && unit.pins == 0
            && !unit.loading
            && unit.load != LoadState::Stub
            && !self.is_looked_at(id)
            && unit.kind.may_collect()
    }

    /// Remove what nobody needs among the queued units. Whether a unit stays is found once a pass.
    pub(crate) fn collect_units(&mut self) {
        let mut stays: BTreeMap<UnitId, bool> = BTreeMap::new();
        while let Some(id) = self.queues_mut().collect.pop_first() {
            if self.get(id).is_none() || !self.may_collect(id) {
                continue;
            }
            if self.is_held(id, &mut stays) {
                continue;
            }
            if self.is_news(id) {
                self.queues_mut().lookups.insert(id);
                stays.clear();
            } else {
                stays.remove(&id);
                self.unload(id);
            }
        }
    }

    fn is_held(&self, id: UnitId, known: &mut BTreeMap<UnitId, bool>) -> bool {
        if let Some(&held) = known.get(&id) {
            return held;
        }
        let mut seen = BTreeSet::from([id]);
        let mut stack = vec![id];
        let mut held = false;
        while let Some(unit) = stack.pop() {
            for by in self.unit(unit).dependencies(Dependency::ReferencedBy) {
                if known.get(&by) == Some(&true) || !self.may_collect(by) {
                    held = true;
                    break;
                }
                if known.get(&by) != Some(&false) && seen.insert(by) {
                    stack.push(by);
                }
            }
            if held {
                break;
            }
        }
        if held {
            known.insert(id, true);
        } else {
            // Nothing that leads here is held, so none of what was seen is.
            known.extend(seen.into_iter().map(|unit| (unit, false)));
        }
        held
    }

    /// Take a unit out of memory.
    pub(crate) fn unload(&mut self, id: UnitId) {
        let kind = self.unit(id).unit_type();
        machine::call::removed(kind, self, id);
        self.forget_resources(id);
        let deps: Vec<(Dependency, UnitId)> = self.unit(id).deps.keys().copied().collect();
        let all = Edge { mine: Origins(u16::MAX), theirs: Origins(u16::MAX) };
        for (kind, other) in deps {
            self.unlink(other, kind.inverse(), id, all);
            if kind == Dependency::References {
                self.queues_mut().collect.insert(other);
            }
        }
        self.remove_unit(id);
    }
}
