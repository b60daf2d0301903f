//! Running jobs: when one may run, what it makes its unit do.
//!
//! A job that must wait remembers one unit it waits for and is looked at again when that unit's job ends or changes; then
//! the search goes on from there. So a job costs its unit's neighbours once, not once a neighbour.
use super::order::waits;
use super::queue::deadline_after;
use super::{JobResult, JobState, messages};
use crate::engine::Engine;
use crate::engine::clock::{Clock, NEVER};
use crate::engine::effect::{JobId, JobType, UnitId};
use crate::engine::timers::TimerKey;
use crate::graph::{Atom, Dependency};
use crate::units::{ActiveState, LoadState, Refusal, machine};

use super::transaction::neighbours;

/// What trying to run a unit's job came to, beside refusals of the unit itself.
enum Attempt {
    /// The unit works on it.
    Runs,
    /// Conditions are being evaluated.
    Asks,
    /// It ended.
    Ends(JobResult, bool),
    /// It waits for the unit's state to change.
    Waits,
}

impl From<Result<(), Refusal>> for Attempt {
    fn from(result: Result<(), Refusal>) -> Attempt {
        match result {
            Ok(()) => Attempt::Runs,
            Err(Refusal::Already) => Attempt::Ends(JobResult::Done, true),
            Err(Refusal::Again) => Attempt::Waits,
            Err(Refusal::Invalid) => Attempt::Ends(JobResult::Invalid, false),
            Err(Refusal::Unsupported) => Attempt::Ends(JobResult::Unsupported, false),
            Err(Refusal::Once) => Attempt::Ends(JobResult::Once, false),
            Err(Refusal::Skipped) => Attempt::Ends(JobResult::Skipped, false),
            Err(Refusal::StartLimit | Refusal::Failed) => Attempt::Ends(JobResult::Failed, false),
        }
    }
}

impl Engine {
    /// The unit whose job this job must wait for, searching from where the last search stopped.
    fn blocker(&self, id: JobId) -> Option<(Dependency, UnitId)> {
        let job = self.job(id)?;
        if job.ignore_order || job.kind == JobType::Nop {
            return None;
        }
        let deps = &self.unit(job.unit).deps;
        let first = (Dependency::Before, UnitId(0));
        let last = (Dependency::After, UnitId(u32::MAX));
        let from = self.blocked_on(id).unwrap_or(first);
        let all = deps.range(from..=last).chain(deps.range(first..from));
        all.map(|(&key, _)| key).find(|&(kind, other)| self.blocks(job.kind, kind, other))
    }

    fn blocks(&self, mine: JobType, kind: Dependency, other: UnitId) -> bool {
        let theirs = self.get(other).and_then(|unit| unit.job).and_then(|job| self.job(job));
        theirs.is_some_and(|theirs| waits(mine, kind, theirs.kind))
    }

    /// Run a job of the run queue, or leave it waiting.
    pub(crate) fn run_job(&mut self, id: JobId) {
        let Some(job) = self.job(id) else { return };
        if job.state != JobState::Waiting {
            return;
        }
        let (unit, kind) = (job.unit, job.kind);
        if let Some(blocker) = self.blocker(id) {
            self.block_on(id, blocker);
            return;
        }
        let now = self.now();
        if let Some(job) = self.job_mut(id) {
            job.state = JobState::Running;
            if !job.began.is_set() {
                job.began = now.into();
            }
        }
        self.dirty_unit(unit);
        self.queues_mut().announce_jobs.insert(id);
        self.arm_running_timeout(id, unit);
        let attempt = match kind {
            JobType::Start => self.begin_start(unit),
            JobType::VerifyActive => match self.unit(unit).active_state() {
                state if state.is_up() => Attempt::Ends(JobResult::Done, true),
                ActiveState::Activating => Attempt::Waits,
                _ => Attempt::Ends(JobResult::Skipped, false),
            },
            JobType::Stop | JobType::Restart | JobType::TryRestart => self.begin_stop(unit),
            JobType::Reload | JobType::TryReload | JobType::ReloadOrStart => self.begin_reload(unit),
            JobType::Nop => Attempt::Ends(JobResult::Done, true),
        };
        self.settle(id, attempt);
    }

    fn settle(&mut self, id: JobId, attempt: Attempt) {
        match attempt {
            Attempt::Runs => {}
            Attempt::Asks => {
                if let Some(job) = self.job_mut(id) {
                    job.checking = true;
                }
            }
            Attempt::Waits => {
                if let Some(job) = self.job_mut(id) {
                    job.state = JobState::Waiting;
                }
            }
            Attempt::Ends(result, already) => self.finish_job(id, result, true, already),
        }
    }

    fn arm_running_timeout(&mut self, id: JobId, unit: UnitId) {
        let running = self.unit(unit).job_running_timeout();
        let deadline = deadline_after(self.now().monotonic, running);
        let known = self.job(id).map_or(NEVER, |job| job.deadline);
        if deadline < known {
            if let Some(job) = self.job_mut(id) {
                job.deadline = deadline;
            }
            self.timers_mut().arm(TimerKey::Job(id), Clock::Monotonic, deadline);
        }
    }

    fn begin_start(&mut self, id: UnitId) -> Attempt {
        let unit = self.unit(id);
        let (state, kind) = (unit.active_state(), unit.unit_type());
        if state.is_up() {
            return Attempt::Ends(JobResult::Done, true);
        }
        if self.is_frozen(id) {
            return Attempt::Ends(JobResult::Frozen, false);
        }
        if state == ActiveState::Maintenance {
            return Attempt::Waits;
        }
        if unit.load != LoadState::Loaded {
            return Attempt::Ends(JobResult::Failed, false);
        }
        // An automatic restart counts as activating, but it counts against the limit all the same.
        if let Err(refusal) = machine::call::can_start(kind, self, id) {
            return Err(refusal).into();
        }
        if state != ActiveState::Activating && self.ask_conditions(id) {
            return Attempt::Asks;
        }
        self.start_now(id)
    }

    /// Conditions and asserts hold: start.
    fn start_now(&mut self, id: UnitId) -> Attempt {
        let not_up = |e: &Engine, other: &UnitId| !e.unit(*other).active_state().is_up();
        let unit = self.unit(id);
        let missing = neighbours(self, id, Atom::NotWithout)
            .filter(|&other| unit.depends(Dependency::After, other))
            .find(|other| not_up(self, other));
        if let Some(other) = missing {
            let text =
                format!("{}: Bound to unit {}, but unit isn't active.", unit.name, self.unit(other).name);
            self.log(5, Some(id), text);
            return Attempt::Ends(JobResult::Dependency, false);
        }
        let (kind, before) = (unit.unit_type(), unit.sub_state());
        let result = machine::call::start(kind, self, id);
        self.began_from(id, before);
        result.into()
    }

    /// The unit was made to act: people are told when it did something.
    fn began_from(&mut self, id: UnitId, before: &str) {
        let Some(unit) = self.get(id) else { return };
        if let (Some(job), true) = (unit.job, unit.sub_state() != before) {
            if let Some(job) = self.job_mut(job) {
                job.untold = true;
            }
            self.queues_mut().begun.insert(id);
        }
    }

    /// Tell that the unit's job began, unless its first chain is under way still.
    pub(crate) fn tell_beginning(&mut self, id: UnitId) {
        let Some(job) = self.get(id).and_then(|unit| unit.job).and_then(|job| self.job(job)) else { return };
        if !job.untold || self.has_chain(id) {
            return;
        }
        let (job, kind) = (job.id, job.kind);
        if let Some(job) = self.job_mut(job) {
            job.untold = false;
        }
        match kind {
            JobType::Start => messages::starting(self, id),
            JobType::Stop | JobType::Restart | JobType::TryRestart => messages::stopping(self, id, job),
            JobType::Reload | JobType::TryReload | JobType::ReloadOrStart => {
                messages::reloading(self, id, job)
            }
            JobType::Nop | JobType::VerifyActive => {}
        }
    }

    /// The answer to the conditions of a start job came.
    pub(crate) fn conditions_checked(&mut self, id: UnitId, conditions: bool, asserts: bool) {
        let Some(job) = self.get(id).and_then(|unit| unit.job).and_then(|job| self.job(job)) else { return };
        if !job.checking {
            return;
        }
        let job = job.id;
        if let Some(job) = self.job_mut(job) {
            job.checking = false;
        }
        let attempt = match (conditions, asserts) {
            (true, true) => self.start_now(id),
            (false, _) => Attempt::Ends(JobResult::Done, false),
            (true, false) => Attempt::Ends(JobResult::Assert, false),
        };
        self.settle(job, attempt);
    }

    fn begin_stop(&mut self, id: UnitId) -> Attempt {
        let unit = self.unit(id);
        if unit.active_state().is_down() {
            return Attempt::Ends(JobResult::Done, true);
        }
        if self.is_frozen(id) {
            return Attempt::Ends(JobResult::Frozen, false);
        }
        let (kind, before) = (unit.unit_type(), unit.sub_state());
        let result = machine::call::stop(kind, self, id);
        self.began_from(id, before);
        result.into()
    }

    fn begin_reload(&mut self, id: UnitId) -> Attempt {
        let unit = self.unit(id);
        let kind = unit.unit_type();
        match unit.active_state() {
            _ if unit.load != LoadState::Loaded => return Attempt::Ends(JobResult::Failed, false),
            _ if !self.can_reload(id) => return Attempt::Ends(JobResult::Skipped, false),
            _ if self.is_frozen(id) => return Attempt::Ends(JobResult::Frozen, false),
            ActiveState::Reloading | ActiveState::Refreshing => return Attempt::Waits,
            ActiveState::Active => {}
            _ => {
                let text = format!("{}: Unit cannot be reloaded because it is inactive.", unit.name);
                self.log(4, Some(id), text);
                return Attempt::Ends(JobResult::Invalid, false);
            }
        }
        let before = self.unit(id).sub_state();
        let result = machine::call::reload(kind, self, id);
        self.began_from(id, before);
        result.into()
    }

    /// Whether the unit can be reloaded (`CanReload`).
    pub fn can_reload(&self, id: UnitId) -> bool {
        machine::can_reload(self, id, self.unit(id).unit_type())
    }
}
