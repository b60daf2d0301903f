//! The end of jobs: results, what fails with them, what may run now.
use super::kinds;
use super::transaction::neighbours;
use super::{Job, JobResult, JobState, messages};
use crate::directives::ids;
use crate::engine::effect::{Announcement, Effect, JobId, JobType, UnitId};
use crate::engine::timers::TimerKey;
use crate::engine::{Change, Engine};
use crate::graph::{Atom, Dependency};
use crate::names::UnitType;
use crate::units::ActiveState;

impl Engine {
    /// End a job, and (with `spread`) the jobs that cannot go on because of it. `already`: nothing was to be done.
    pub(crate) fn finish_job(&mut self, id: JobId, result: JobResult, spread: bool, already: bool) {
        let mut stack = vec![(id, result, already)];
        while let Some((id, result, already)) = stack.pop() {
            let Some(job) = self.job(id).cloned() else { continue };
            if self.goes_on_as_start(&job, result) {
                continue;
            }
            self.drop_job(&job, result);
            messages::finished(self, &job, result, already);
            if spread {
                self.spread_failure(&job, result, &mut stack);
            }
            let fails = matches!(result, JobResult::Timeout | JobResult::Dependency);
            if fails && matches!(job.kind, JobType::Start | JobType::VerifyActive | JobType::Restart) {
                let word = if result == JobResult::Timeout { "timed out" } else { "dependency failed" };
                let text = format!(
                    "{}: Job {}/{} {word}.",
                    self.unit(job.unit).name,
                    self.unit(job.unit).name,
                    kinds::as_str(job.kind)
                );
                self.log(7, Some(job.unit), text);
                // Two units that name each other here would go on for ever within one step: no start of theirs is counted.
                let now = self.now().monotonic;
                if self.unit_mut(job.unit).auto_limit.pass(now) {
                    self.start_on_termination(job.unit, Dependency::OnFailure, ids::ON_FAILURE_JOB_MODE);
                } else {
                    let text =
                        format!("{}: OnFailure= is triggered too often, ignoring.", self.unit(job.unit).name);
                    self.log(4, Some(job.unit), text);
                }
            }
            self.wake_blocked(job.unit);
            self.collect_jobs_around(job.unit, &mut stack);
            self.queues_mut().collect.insert(job.unit);
        }
    }

    /// The stop half of a restart is done: the same job goes on as a start.
    fn goes_on_as_start(&mut self, job: &Job, result: JobResult) -> bool {
        if !matches!(job.kind, JobType::Restart | JobType::TryRestart) || result != JobResult::Done {
            return false;
        }
        if job.state == JobState::Running {
            messages::stopped_for_restart(self, job);
        }
        if let Some(job) = self.job_mut(job.id) {
            job.kind = JobType::Start;
            job.state = JobState::Waiting;
            job.untold = false;
        }
        self.dirty_unit(job.unit);
        self.queues_mut().announce_jobs.insert(job.id);
        self.queues_mut().run.insert(job.id);
        self.wake_blocked(job.unit);
        true
    }

    fn drop_job(&mut self, job: &Job, result: JobResult) {
        self.remove_job(job.id);
        self.timers_mut().disarm(TimerKey::Job(job.id));
        let unit = self.unit_mut(job.unit);
        if unit.job == Some(job.id) {
            unit.job = None;
        }
        if unit.nop_job == Some(job.id) {
            unit.nop_job = None;
        }
        let name = unit.name.clone();
        // Readers see the unit without its job before they hear that the job is gone.
        self.announce_unit_now(job.unit);
        self.emit(Effect::Announce(Announcement::JobRemoved {
            job: job.id,
            unit: name,
            result: result.as_str(),
        }));
    }

    fn spread_failure(&mut self, job: &Job, result: JobResult, stack: &mut Vec<(JobId, JobResult, bool)>) {
        let starts = matches!(job.kind, JobType::Start | JobType::VerifyActive);
        if result != JobResult::Done {
            match job.kind {
                JobType::Start | JobType::VerifyActive => {
                    self.fail_dependents(job.unit, Atom::PropagateStartFailure, stack)
                }
                JobType::Stop => self.fail_dependents(job.unit, Atom::PropagateStopFailure, stack),
                _ => {}
            }
        } else if starts && !self.unit(job.unit).active_state().is_up_or_activating() {
            // Done without being up: a condition did not hold.
            self.fail_dependents(job.unit, Atom::InactiveStartFails, stack);
        }
    }

    fn fail_dependents(&self, unit: UnitId, atom: Atom, stack: &mut Vec<(JobId, JobResult, bool)>) {
        for other in neighbours(self, unit, atom) {
            let job = self.unit(other).job.and_then(|job| self.job(job));
            if let Some(job) = job.filter(|job| matches!(job.kind, JobType::Start | JobType::VerifyActive)) {
                stack.push((job.id, JobResult::Dependency, false));
            }
        }
    }

    /// A device's start job only waits: without anybody who waits for it, it goes.
    fn collect_jobs_around(&mut self, unit: UnitId, stack: &mut Vec<(JobId, JobResult, bool)>) {
        let around = self.unit(unit).dependencies(Dependency::After);
        let devices: Vec<UnitId> =
            around.filter(|&other| self.unit(other).unit_type() == UnitType::Device).collect();
        for device in devices {
            let Some(job) = self.unit(device).job.and_then(|job| self.job(job)) else { continue };
            let waited_for = self
                .unit(device)
                .dependencies(Dependency::Before)
                .any(|other| self.unit(other).job.is_some());
            if job.kind == JobType::Start && !waited_for {
                stack.push((job.id, JobResult::Collected, false));
            }
        }
    }

    /// What a unit's new state means for its job; `true` when no job asked for it.
    pub(crate) fn job_sees(&mut self, change: Change) -> bool {
        let Some(job) = self.unit(change.unit).job.and_then(|job| self.job(job)) else { return true };
        let (id, kind, new) = (job.id, job.kind, change.new);
        if job.checking {
            return change.old != change.new;
        }
        if job.state == JobState::Waiting {
            self.queues_mut().run.insert(id);
            return true;
        }
        let failed = if new == ActiveState::Failed { JobResult::Failed } else { JobResult::Done };
        match kind {
            JobType::Start | JobType::VerifyActive if new.is_up() => {
                self.finish_job(id, JobResult::Done, true, false)
            }
            JobType::Start | JobType::VerifyActive if new != ActiveState::Activating => {
                if new.is_down() {
                    self.finish_job(id, failed, true, false);
                }
                return true;
            }
            JobType::Reload | JobType::ReloadOrStart | JobType::TryReload => match new {
                ActiveState::Active => {
                    let result = if change.reload_ok { JobResult::Done } else { JobResult::Failed };
                    self.finish_job(id, result, true, false);
                }
                ActiveState::Activating | ActiveState::Reloading | ActiveState::Refreshing => {}
                _ => {
                    if new.is_down() {
                        self.finish_job(id, failed, true, false);
                    }
                    return true;
                }
            },
            JobType::Stop | JobType::Restart | JobType::TryRestart => {
                if new.is_down() {
                    self.finish_job(id, JobResult::Done, true, false);
                } else if new != ActiveState::Deactivating {
                    self.finish_job(id, JobResult::Failed, true, false);
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    /// A job's timer elapsed.
    pub(crate) fn job_timed_out(&mut self, id: JobId) {
        let Some(job) = self.job(id) else { return };
        let unit = job.unit;
        let text = format!(
            "{}: Job {}/{} timed out.",
            self.unit(unit).name,
            self.unit(unit).name,
            kinds::as_str(job.kind)
        );
        self.log(4, Some(unit), text);
        self.finish_job(id, JobResult::Timeout, true, false);
        let action = self.unit(unit).action(ids::JOB_TIMEOUT_ACTION);
        self.watchdog_action(action, unit, ids::JOB_TIMEOUT_REBOOT_ARGUMENT, "job timed out");
    }
}
