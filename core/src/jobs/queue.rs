//! Enqueueing jobs: from a request to a consistent transaction to installed jobs.
use super::transaction::{Pull, Transaction, check};
use super::{Job, JobResult, JobState, kinds};
use crate::engine::Engine;
use crate::engine::clock::{Clock, NEVER, Stamp};
use crate::engine::effect::{Announcement, Effect, Failure, FailureKind, JobId, JobMode, JobType, UnitId};
use crate::engine::timers::TimerKey;
use crate::graph::Dependency;
use crate::units::ActiveState;

/// What enqueueing made.
#[derive(Debug, Clone)]
pub struct Enqueued {
    /// The job that was asked for.
    pub job: JobId,
    /// The others of its transaction.
    pub others: Vec<JobId>,
}

fn refuse<T>(kind: FailureKind, message: impl Into<std::rc::Rc<str>>) -> Result<T, Failure> {
    Err(Failure { kind, message: message.into() })
}

impl Engine {
    /// Enqueue a job and what it needs, at once. The unit and its dependencies must be loaded; unit types use
    /// [`Engine::enqueue_start_by`], which waits for that.
    pub fn enqueue_job(&mut self, id: UnitId, kind: JobType, mode: JobMode) -> Result<JobId, Failure> {
        self.enqueue(id, kind, mode).map(|made| made.job)
    }

    /// Likewise, and tell of the whole transaction.
    pub fn enqueue(&mut self, id: UnitId, kind: JobType, mode: JobMode) -> Result<Enqueued, Failure> {
        self.check_mode(id, kind, mode)?;
        let kind = kinds::collapse(kind, self.unit(id).active_state());
        let mut tr = Transaction::default();
        let pull = Pull {
            ignore_requirements: matches!(mode, JobMode::IgnoreDependencies | JobMode::IgnoreRequirements),
            ignore_order: mode == JobMode::IgnoreDependencies,
            start_as_restart: mode == JobMode::RestartDependencies,
            irreversible: mode == JobMode::ReplaceIrreversibly,
            ..Pull::default()
        };
        tr.add(self, kind, id, None, pull)?;
        match mode {
            JobMode::Isolate => self.add_isolated(&mut tr)?,
            JobMode::Triggering => self.add_triggering(&mut tr, id)?,
            _ => {}
        }
        tr.mark_what_matters();
        if mode == JobMode::Fail {
            tr.minimize_impact(self);
        }
        tr.drop_redundant(self);
        tr.collect_garbage();
        tr.merge(self)?;
        tr.break_cycles(self)?;
        tr.drop_redundant(self);
        tr.check_destructive(self, mode)?;
        Ok(self.install_all(tr, mode))
    }

    fn check_mode(&self, id: UnitId, kind: JobType, mode: JobMode) -> Result<(), Failure> {
        let unit = self.unit(id);
        match mode {
            JobMode::Isolate if kind != JobType::Start => {
                refuse(FailureKind::InvalidArgs, "Isolate is only valid for start.")
            }
            JobMode::Isolate if !unit.allow_isolate() => {
                refuse(FailureKind::NoIsolation, "Operation refused, unit may not be isolated.")
            }
            JobMode::Triggering if kind != JobType::Stop => {
                refuse(FailureKind::InvalidArgs, "--job-mode=triggering is only valid for stop.")
            }
            JobMode::RestartDependencies if kind != JobType::Start => {
                refuse(FailureKind::InvalidArgs, "--job-mode=restart-dependencies is only valid for start.")
            }
            _ => Ok(()),
        }
    }

    /// Stop all that the transaction does not start. Walks all units: only for `isolate`.
    fn add_isolated(&mut self, tr: &mut Transaction) -> Result<(), Failure> {
        let all: Vec<UnitId> = self.units().map(|unit| unit.id).collect();
        for id in all {
            let kept = |tr: &Transaction, e: &Engine, id: UnitId| {
                let unit = e.unit(id);
                let idle = unit.active_state().is_down() && unit.job.is_none();
                unit.ignore_on_isolate() || idle || tr.has_unit(id)
            };
            let triggered_by_kept = self
                .unit(id)
                .dependencies(Dependency::TriggeredBy)
                .any(|by| self.unit(by).ignore_on_isolate() || tr.has_unit(by));
            if kept(tr, self, id) || triggered_by_kept {
                continue;
            }
            let pull = Pull { matters: true, ..Pull::default() };
            if let Err(failure) = tr.add(self, JobType::Stop, id, Some(tr.anchor), pull) {
                let text =
                    format!("{}: Cannot add isolate job, ignoring: {}", self.unit(id).name, failure.message);
                self.log(4, Some(id), text);
            }
        }
        Ok(())
    }

    /// Stop units that would start this one again.
    fn add_triggering(&mut self, tr: &mut Transaction, id: UnitId) -> Result<(), Failure> {
        let by: Vec<UnitId> = self.unit(id).dependencies(Dependency::TriggeredBy).collect();
        for unit in by {
            if self.unit(unit).active_state().is_down() {
                continue;
            }
            let pull = Pull { matters: true, ..Pull::default() };
            if let Err(failure) = tr.add(self, JobType::Stop, unit, Some(tr.anchor), pull) {
                let text = format!(
                    "{}: Cannot add triggered by job, ignoring: {}",
                    self.unit(unit).name,
                    failure.message
                );
                self.log(4, Some(unit), text);
            }
        }
        Ok(())
    }

    fn install_all(&mut self, tr: Transaction, mode: JobMode) -> Enqueued {
        if matches!(mode, JobMode::Isolate | JobMode::Flush) {
            let others: Vec<JobId> =
                self.jobs().filter(|job| !tr.has_unit(job.unit)).map(|job| job.id).collect();
            for job in others {
                self.finish_job(job, JobResult::Canceled, false, false);
            }
        }
        let anchor = tr.anchor;
        let mut made = Enqueued { job: JobId(0), others: Vec::new() };
        for (index, draft) in tr.drafts.into_iter().enumerate() {
            let Some(draft) = draft else { continue };
            let job = self.install(draft.unit, draft.kind, draft.irreversible, draft.ignore_order);
            if index == anchor {
                made.job = job;
            } else {
                made.others.push(job);
            }
        }
        made
    }

    /// Put one job into the queue: beside, into or instead of the one its unit has.
    fn install(&mut self, unit: UnitId, kind: JobType, irreversible: bool, ignore_order: bool) -> JobId {
        if kind == JobType::Nop {
            if let Some(job) = self.unit(unit).nop_job {
                return job;
            }
        } else if let Some(old) = self.unit(unit).job.and_then(|job| self.job(job)).cloned() {
            match kinds::merge_and_collapse(old.kind, kind, self.unit(unit).active_state()) {
                None => self.finish_job(old.id, JobResult::Canceled, false, false),
                Some(merged) => return self.merge_into(old, kind, merged, irreversible, ignore_order),
            }
        }
        self.install_new(unit, kind, irreversible, ignore_order)
    }

    fn merge_into(
        &mut self,
        old: Job,
        kind: JobType,
        merged: JobType,
        irreversible: bool,
        ignore_order: bool,
    ) -> JobId {
        // A service that waits between two runs (`RestartMode=direct`) still has the start job of the first: it runs anew.
        let joins = old.state == JobState::Running
            && kinds::may_join_late(kind)
            && kinds::covers(old.kind, kind)
            && !self.unit(old.unit).kind.awaits_restart();
        self.dirty_unit(old.unit);
        if let Some(job) = self.job_mut(old.id) {
            job.irreversible |= irreversible;
            job.ignore_order |= ignore_order;
            if !joins {
                job.kind = merged;
                job.state = JobState::Waiting;
                job.checking = false;
            }
        }
        self.queues_mut().announce_jobs.insert(old.id);
        if !joins {
            self.wake_blocked(old.unit);
            self.queues_mut().run.insert(old.id);
        }
        old.id
    }

    fn install_new(&mut self, unit: UnitId, kind: JobType, irreversible: bool, ignore_order: bool) -> JobId {
        let id = self.take_job_id();
        let deadline = deadline_after(self.now().monotonic, self.unit(unit).job_timeout());
        let job = Job {
            id,
            unit,
            kind,
            state: JobState::Waiting,
            enqueued: self.now().into(),
            began: Stamp::default(),
            irreversible,
            ignore_order,
            untold: false,
            checking: false,
            deadline,
        };
        let name = self.unit(unit).name.clone();
        self.put_job(job);
        if kind == JobType::Nop {
            self.unit_mut(unit).nop_job = Some(id);
        } else {
            self.unit_mut(unit).job = Some(id);
        }
        if deadline != NEVER {
            self.timers_mut().arm(TimerKey::Job(id), Clock::Monotonic, deadline);
        }
        self.queues_mut().run.insert(id);
        if !self.unit(unit).announced {
            self.announce_unit_now(unit);
        }
        self.announce_unit(unit);
        self.emit(Effect::Announce(Announcement::JobNew { job: id, unit: name }));
        id
    }

    /// The first transaction of a client's request, with what only clients are refused.
    pub fn enqueue_for_client(
        &mut self,
        id: UnitId,
        kind: JobType,
        mode: JobMode,
        reload_if_possible: bool,
    ) -> Result<Enqueued, Failure> {
        let mut kind = kind;
        if reload_if_possible && self.can_reload(id) {
            kind = match kind {
                JobType::Restart => JobType::ReloadOrStart,
                JobType::TryRestart => JobType::TryReload,
                other => other,
            };
        }
        let unit = self.unit(id);
        let starts =
            matches!(kind, JobType::Start | JobType::Restart | JobType::TryRestart | JobType::ReloadOrStart);
        let stops = matches!(kind, JobType::Stop | JobType::Restart | JobType::TryRestart);
        let down =
            unit.active_state() == ActiveState::Inactive && unit.load == crate::units::LoadState::NotFound;
        if kind == JobType::Stop && down && unit.job.is_none() {
            return refuse(FailureKind::NoSuchUnit, format!("Unit {} not loaded.", unit.name));
        }
        if (starts && unit.refuse_manual_start()) || (stops && unit.refuse_manual_stop()) {
            let text = format!(
                "Operation refused, unit {} may be requested by dependency only (it is configured to refuse manual start/stop).",
                unit.name
            );
            return refuse(FailureKind::OnlyByDependency, text);
        }
        // A unit that is not there may not be isolated either: that is what the reference says of it.
        self.check_mode(id, kind, mode)?;
        check(self, kind, id)?;
        self.enqueue(id, kind, mode)
    }
}

/// `now + span`, or never.
pub(crate) fn deadline_after(now: u64, span: u64) -> u64 {
    if span == NEVER { NEVER } else { now.saturating_add(span) }
}
