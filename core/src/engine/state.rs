//! What follows from a unit's change of state.
use super::effect::{Effect, JobMode, JobType, UnitId};
use super::{Change, Engine};
use crate::directives::ids;
use crate::graph::{Atom, Dependency};
use crate::jobs::transaction::neighbours;
use crate::names::UnitType;
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
        unit.stamps.state_change = now;
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

    /// Draw the consequences of a change.
    pub(crate) fn follow(&mut self, change: Change) {
        let Change { unit: id, old, new, .. } = change;
        if self.get(id).is_none() {
            return;
        }
        if new == ActiveState::Failed {
            self.failed.insert(id);
        } else {
            self.failed.remove(&id);
        }
        if new.is_down() && !old.is_down() {
            self.release(id);
        }
        if new.is_down() != old.is_down() {
            self.note_console(id);
        }
        let by_itself = self.job_sees(change);
        if old != new {
            if by_itself {
                self.follow_late(id, old, new);
            }
            self.follow_end(id, old, new);
        }
        self.notify_triggering(id);
        self.check_neighbours(id, new);
        self.queues.collect.insert(id);
        if old.is_down() && !new.is_down() && self.unit(id).cgroup.is_none() {
            self.realize_later(id);
        }
    }

    /// The unit came up or went down without a job that asked for it: its dependencies follow.
    fn follow_late(&mut self, id: UnitId, old: ActiveState, new: ActiveState) {
        if old.is_down() && new.is_up_or_activating() {
            self.late_jobs(id, Atom::LateStartReplace, JobType::Start, JobMode::Replace, false);
            self.late_jobs(id, Atom::LateStartFail, JobType::Start, JobMode::Fail, false);
            self.late_jobs(id, Atom::LateStopOnStart, JobType::Stop, JobMode::Replace, true);
        } else if old.is_up_or_activating() && new.is_down_or_deactivating() {
            self.late_jobs(id, Atom::LateStopOnStop, JobType::Stop, JobMode::Replace, true);
        }
    }

    fn late_jobs(&mut self, id: UnitId, atom: Atom, job: JobType, mode: JobMode, stop: bool) {
        let others: Vec<UnitId> = neighbours(self, id, atom).collect();
        for other in others {
            let state = self.unit(other).active_state();
            let ordered_after = self.unit(id).depends(Dependency::After, other);
            let wanted = match stop {
                true => !state.is_down_or_deactivating(),
                // What is ordered before a unit that is up already is not started after it.
                false => !ordered_after && !state.is_up_or_activating(),
            };
            if !wanted {
                continue;
            }
            // A conflict or a missing unit leaves things as they are, as the unit is where it is.
            match stop {
                true => drop(self.enqueue_job(other, job, mode)),
                // It may have to be loaded first.
                false => self.enqueue_start_by(other, job, mode, None),
            }
        }
    }

    /// The unit ended: `OnFailure=`, `OnSuccess=`, `FailureAction=`, `SuccessAction=`.
    fn follow_end(&mut self, id: UnitId, old: ActiveState, new: ActiveState) {
        if new == ActiveState::Failed && old != new {
            self.start_on_termination(id, Dependency::OnFailure, ids::ON_FAILURE_JOB_MODE);
            let status = self.end_status(id, ids::FAILURE_ACTION_EXIT_STATUS);
            let action = self.unit(id).action(ids::FAILURE_ACTION);
            self.emergency_action(action, id, status, ids::REBOOT_ARGUMENT, "unit failed");
        } else if new == ActiveState::Inactive && !old.is_down() {
            self.start_on_termination(id, Dependency::OnSuccess, ids::ON_SUCCESS_JOB_MODE);
            let status = self.end_status(id, ids::SUCCESS_ACTION_EXIT_STATUS);
            let action = self.unit(id).action(ids::SUCCESS_ACTION);
            self.emergency_action(action, id, status, ids::REBOOT_ARGUMENT, "unit succeeded");
        }
    }

    fn end_status(&self, id: UnitId, row: crate::settings::DirectiveId) -> Option<u8> {
        let unit = self.unit(id);
        u8::try_from(unit.settings.int(row)).ok().or_else(|| unit.kind.exit_status())
    }

    /// Sockets, timers, paths and automounts hear of the unit they trigger.
    pub(crate) fn notify_triggering(&mut self, id: UnitId) {
        let by: Vec<UnitId> = self.unit(id).dependencies(Dependency::TriggeredBy).collect();
        self.queues.triggered.extend(by.into_iter().map(|by| (by, id)));
    }

    /// Whose needs may be different now.
    fn check_neighbours(&mut self, id: UnitId, new: ActiveState) {
        if new.is_up_or_activating() {
            if self.unit(id).stop_when_unneeded() {
                self.queues.unneeded.insert(id);
            }
            self.queues.bound.insert(id);
            let upheld: Vec<UnitId> = neighbours(self, id, Atom::CheckUpheld).collect();
            self.queues.upheld.extend(upheld);
        }
        if new.is_down() {
            self.queues.upheld.insert(id);
            let unneeded: Vec<UnitId> = neighbours(self, id, Atom::CheckUnneeded).collect();
            self.queues.unneeded.extend(unneeded);
        }
        if new.is_down_or_deactivating() {
            let bound: Vec<UnitId> = neighbours(self, id, Atom::CheckBound).collect();
            self.queues.bound.extend(bound);
        }
    }

    /// The unit is down: its cgroup goes.
    fn release(&mut self, id: UnitId) {
        // It may be coming up again already.
        if self.unit(id).active_state().is_down() {
            self.release_cgroup(id);
            // A service that is to be restarted is down for a moment, and says itself when it is for good.
            if self.unit(id).unit_type() != UnitType::Service {
                self.leave_shared(id);
            }
            if self.dynamic_users.remove(&id) {
                self.unit_mut(id).dynamic_uid = None;
            }
        }
    }

    /// The unit has no cgroup any more; a process that still comes makes it anew.
    pub(crate) fn release_cgroup(&mut self, id: UnitId) {
        self.unit_mut(id).frozen = false;
        if let Some(cgroup) = self.unit_mut(id).cgroup.take() {
            self.cgroups.remove(&cgroup);
            self.dirty.insert(id);
            let unit = self.unit(id).name.clone();
            self.emit(Effect::ReleaseCgroup { unit, cgroup });
        }
    }

    /// Slices have no process that would make their cgroup.
    fn realize_later(&mut self, id: UnitId) {
        if self.unit(id).unit_type() == UnitType::Slice
            && let Some(spec) = self.cgroup_spec(id)
        {
            self.chain(id, vec![super::effect::Step::Cgroup(spec)]);
        }
    }
}
