//! The queues that an event fills, until all are empty: changes of state first, then what is due because of them, then
//! requests, then jobs; memory and announcements last.
use super::effect::{Announcement, Effect, JobMode, JobType, StatusMark, UnitId};
use super::{Deferred, Engine};
use crate::graph::{Atom, Dependency};
use crate::jobs::transaction::neighbours;
use crate::units::{LoadState, machine};

/// So many queue entries are worked off in one step; the rest in the next, which is due at once.
const BUDGET: usize = 1_000_000;

impl Engine {
    pub(crate) fn has_work(&self) -> bool {
        let queues = &self.queues;
        let ready = !queues.deferred.is_empty() && self.is_settled();
        let runs = !queues.run.is_empty() && !self.progress.restoring;
        !queues.changes.is_empty() || runs || !queues.triggered.is_empty() || ready
    }

    /// Whether no unit's files are missing, nor a zone that one names.
    pub fn is_settled(&self) -> bool {
        self.store.to_load.is_empty() && self.store.loading == 0 && self.zones.are_known()
    }

    pub(crate) fn drain(&mut self) {
        for _ in 0..BUDGET {
            if !self.work_off_one() {
                break;
            }
        }
        self.ask_for_units();
        if self.is_settled() && !self.has_work() {
            self.collect_units();
            self.check_startup_finished();
        }
        self.announce();
    }

    fn work_off_one(&mut self) -> bool {
        if let Some(change) = self.queues.changes.pop_front() {
            self.follow(change);
        } else if let Some((id, by)) = self.queues.triggered.pop_front() {
            if let Some(kind) = self.get(id).map(|unit| unit.unit_type()) {
                machine::call::triggered(kind, self, id, by);
            }
        } else if let Some(id) = self.queues.begun.pop_first() {
            self.tell_beginning(id);
        } else if self.progress.restoring {
            // Nothing new is begun before all settings are there.
            return false;
        } else if let Some(id) = self.queues.bound.pop_first() {
            self.stop_when_bound(id);
        } else if let Some(id) = self.queues.unneeded.pop_first() {
            self.stop_when_unneeded(id);
        } else if let Some(id) = self.queues.upheld.pop_first() {
            self.start_when_upheld(id);
        } else if let Some(deferred) = self.next_deferred() {
            self.undefer(deferred);
        } else if let Some(job) = self.queues.run.pop_first() {
            self.run_job(job);
        } else {
            return false;
        }
        true
    }

    fn next_deferred(&mut self) -> Option<Deferred> {
        if !self.is_settled() || self.progress.reloading || self.progress.restoring {
            return None;
        }
        self.queues.deferred.pop_front()
    }

    fn undefer(&mut self, deferred: Deferred) {
        match deferred {
            Deferred::Call(call, caller, request) => self.answer_loaded(call, caller, *request),
            Deferred::Boot(target) => self.boot(&target),
            Deferred::Target(name, mode, why) => {
                let id = self.ensure(&name);
                if !self.is_settled() {
                    return self.queues.deferred.push_front(Deferred::Target(name, mode, why));
                }
                if let Err(failure) = self.enqueue_job(id, JobType::Start, mode) {
                    self.log(3, None, format!("Failed to enqueue {name} job ({why}): {}", failure.message));
                }
            }
            Deferred::Start(target, job, mode, by) => self.start_by(target, job, mode, by),
        }
    }

    fn start_by(&mut self, target: UnitId, job: JobType, mode: JobMode, by: Option<UnitId>) {
        if self.get(target).is_none() {
            return;
        }
        let result = self.enqueue_job(target, job, mode);
        let (Err(failure), Some(by)) = (result, by.filter(|&by| self.get(by).is_some())) else { return };
        let text = format!(
            "{}: Failed to queue job for {}: {}",
            self.unit(by).name,
            self.unit(target).name,
            failure.message
        );
        self.log(4, Some(by), text);
        let kind = self.unit(by).unit_type();
        machine::call::trigger_refused(kind, self, by, target, &failure);
    }

    /// Ask the shell for the files of all stubs.
    fn ask_for_units(&mut self) {
        if self.store.to_load.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.store.to_load);
        let mut names = Vec::with_capacity(ids.len());
        for id in ids {
            if self.get(id).is_none() {
                continue;
            }
            let unit = self.unit_quiet(id);
            unit.loading = true;
            names.push(unit.name.clone());
        }
        if !names.is_empty() {
            self.store.loading += names.len();
            self.effects.push(Effect::Load(names));
        }
    }

    /// `StopWhenUnneeded=`: nobody that is up, or about to be, needs it.
    fn stop_when_unneeded(&mut self, id: UnitId) {
        let Some(unit) = self.get(id) else { return };
        let idle = unit.job.is_none() && unit.active_state().is_up_or_activating();
        if !unit.stop_when_unneeded() || !idle {
            return;
        }
        let needs = |other: &UnitId| {
            let other = self.unit(*other);
            other.job.is_some() || !other.active_state().is_down()
        };
        if neighbours(self, id, Atom::PinsNeeded).any(|other| needs(&other)) {
            return;
        }
        self.auto_job(id, JobType::Stop, "Unit not needed anymore.", "StopWhenUnneeded=");
    }

    /// `BindsTo=`: what this is bound to is down.
    fn stop_when_bound(&mut self, id: UnitId) {
        let Some(unit) = self.get(id) else { return };
        if unit.job.is_some() || !unit.active_state().is_up_or_activating() {
            return;
        }
        let gone = |other: &UnitId| {
            let other = self.unit(*other);
            other.job.is_none() && other.active_state().is_down()
        };
        let Some(culprit) = neighbours(self, id, Atom::NotWithout).find(gone) else { return };
        let text = format!("Unit is bound to inactive unit {}. Stopping, too.", self.unit(culprit).name);
        self.auto_job(id, JobType::Stop, &text, "BindsTo=");
    }

    /// `Upholds=`: somebody that is up wants it up all the time.
    fn start_when_upheld(&mut self, id: UnitId) {
        let Some(unit) = self.get(id) else { return };
        let state = unit.active_state();
        if unit.job.is_some() || state.is_up_or_activating() || unit.load != LoadState::Loaded {
            return;
        }
        let upholder = |other: &UnitId| self.unit(*other).active_state().is_up_or_activating();
        let Some(by) = neighbours(self, id, Atom::StartSteadily).find(upholder) else { return };
        let text = format!("Unit is inactive, but is upheld by {}. Starting.", self.unit(by).name);
        self.auto_job(id, JobType::Start, &text, "Upholds=");
    }

    fn auto_job(&mut self, id: UnitId, job: JobType, text: &str, why: &str) {
        let now = self.now.monotonic;
        let name = self.unit(id).name.clone();
        if !self.unit_mut(id).auto_limit.pass(now) {
            return self.log(4, Some(id), format!("{name}: {why} acted too often, not trying anymore."));
        }
        self.log(6, Some(id), format!("{name}: {text}"));
        if let Err(failure) = self.enqueue_job(id, job, JobMode::Fail) {
            self.log(
                4,
                Some(id),
                format!("{name}: Failed to enqueue {why} job, ignoring: {}", failure.message),
            );
        }
    }

    /// Tell subscribers, each unit and job once a step.
    fn announce(&mut self) {
        for id in std::mem::take(&mut self.queues.announce) {
            self.announce_unit_now(id);
        }
        for job in std::mem::take(&mut self.queues.announce_jobs) {
            if self.job(job).is_some() {
                self.effects.push(Effect::Announce(Announcement::JobChanged(job)));
            }
        }
    }

    /// Properties of the unit changed.
    pub(crate) fn announce_unit(&mut self, id: UnitId) {
        self.queues.announce.insert(id);
    }

    /// Tell now, because what follows in the effects refers to it.
    pub(crate) fn announce_unit_now(&mut self, id: UnitId) {
        self.queues.announce.remove(&id);
        self.queues.told.insert(id);
        let Some(unit) = self.get(id) else { return };
        if unit.load == LoadState::Stub {
            return;
        }
        let (name, new) = (unit.name.clone(), !unit.announced);
        if new {
            self.unit_quiet(id).announced = true;
            self.effects.push(Effect::Announce(Announcement::UnitNew(name)));
        } else {
            self.effects.push(Effect::Announce(Announcement::UnitChanged(name)));
        }
    }

    /// `OnFailure=` and `OnSuccess=`.
    pub(crate) fn start_on_termination(
        &mut self,
        id: UnitId,
        kind: Dependency,
        row: crate::settings::DirectiveId,
    ) {
        let units: Vec<UnitId> = self.unit(id).dependencies(kind).collect();
        if units.is_empty() {
            return;
        }
        let name = self.unit(id).name.clone();
        let mode = self.unit(id).job_mode(row);
        self.log(6, Some(id), format!("{name}: Triggering {}= dependencies.", kind.name()));
        for unit in units {
            if let Err(failure) = self.enqueue_job(unit, JobType::Start, mode) {
                let text =
                    format!("{name}: Failed to enqueue {}= job, ignoring: {}", kind.name(), failure.message);
                self.log(4, Some(id), text);
            }
        }
    }

    /// The target of the boot, with what to fall back on.
    fn boot(&mut self, target: &crate::names::UnitName) {
        let id = self.ensure(target);
        let rescue = crate::names::UnitName::parse("rescue.target").expect("a valid name");
        if !self.is_settled() {
            return self.queues.deferred.push_front(Deferred::Boot(target.clone()));
        }
        let loaded = self.unit(id).load == LoadState::Loaded;
        let result = match loaded {
            true => self.enqueue_job(id, JobType::Start, JobMode::Isolate).or_else(|failure| {
                self.log(
                    0,
                    None,
                    format!("Failed to isolate default target, starting instead: {}", failure.message),
                );
                self.enqueue_job(id, JobType::Start, JobMode::Replace)
            }),
            false => crate::jobs::transaction::load_failure(self.unit(id)).and(Err(super::effect::Failure {
                kind: super::effect::FailureKind::NoSuchUnit,
                message: "not loaded".into(),
            })),
        };
        self.progress.booted = true;
        if let Err(failure) = result {
            self.log(0, None, format!("Failed to start {target}: {}", failure.message));
            if *target != rescue {
                self.status(
                    StatusMark::Failed,
                    format!("Failed to start {target}, falling back to {rescue}."),
                );
                self.queues.deferred.push_front(Deferred::Boot(rescue));
            }
        }
    }
}
