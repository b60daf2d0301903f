//! What clients ask for. Requests wait until the units they name are loaded with all that these need.
use super::Engine;
use super::effect::{
    CallId, CleanUp, Effect, Failure, FailureKind, JobMode, JobType, Request, Response, RunEntry, Setting,
    UnitId,
};
use super::event::{Caller, Pid};
use crate::jobs::JobResult;
use crate::jobs::transaction::load_failure;
use crate::names::{UnitName, UnitType};
use crate::units::{LoadState, machine, scope};
use std::rc::Rc;

type Answer = Result<Response, Failure>;

fn refuse(kind: FailureKind, message: impl Into<Rc<str>>) -> Failure {
    Failure { kind, message: message.into() }
}

/// Units that must be loaded before a request can be answered.
pub(crate) fn names(request: &Request) -> Vec<UnitName> {
    let usable = |name: &UnitName| (!name.is_template()).then(|| name.clone());
    match request {
        Request::Enqueue { unit, .. }
        | Request::LoadUnit(unit)
        | Request::SetProperties { unit, .. }
        | Request::Kill { unit, .. }
        | Request::ResetFailed(Some(unit))
        | Request::Ref(unit, _)
        | Request::Freeze(unit, _)
        | Request::Abandon(unit)
        | Request::Attach { unit, .. }
        | Request::Clean(unit, _)
        | Request::ActivateBusName { unit, .. } => usable(unit).into_iter().collect(),
        Request::LoadUnits(units) => units.iter().filter_map(usable).collect(),
        _ => Vec::new(),
    }
}

impl Engine {
    /// What a request needs done before its units are asked for: transient files are written first.
    pub(crate) fn prepare(&mut self, request: &Request) {
        let Request::StartTransient { unit, text, aux, .. } = request else { return };
        for (name, text) in aux.iter().map(|(name, text)| (name, text)).chain([(unit, text)]) {
            if self.find_unit(name).is_none_or(can_be_made) {
                self.write_transient(name, text);
            }
        }
    }

    fn write_transient(&mut self, name: &UnitName, text: &Rc<str>) {
        let bytes: Rc<[u8]> = Rc::from(text.as_bytes());
        self.run_tree(format!("systemd/transient/{name}"), Some(RunEntry::File { bytes, mode: 0o644 }));
        let id = self.ensure(name);
        let unit = self.unit_mut(id);
        unit.transient = true;
        unit.load = LoadState::Stub;
        unit.pins += 1;
        self.store.to_load.insert(id);
    }

    /// Answer a request: all that it names is loaded.
    pub(crate) fn answer_loaded(&mut self, call: CallId, caller: Caller, request: Request) {
        let answer = match request {
            Request::Reload => return self.begin_reload_all(Some(call)),
            Request::Reexec => {
                // The reply comes from the new image: the shell keeps the call.
                return self.emit(Effect::Reexec);
            }
            request => match self.begin_asked(call, request) {
                Some(request) => self.answer(&caller, request),
                None => return,
            },
        };
        self.emit(Effect::Reply { call, result: answer });
    }

    fn answer(&mut self, caller: &Caller, request: Request) -> Answer {
        match request {
            Request::Enqueue { unit, job, mode, reload_if_possible, .. } => {
                let id = self.named(&unit)?;
                self.enqueue_answer(id, job, mode, reload_if_possible)
            }
            Request::LoadUnit(unit) => {
                let id = self.named(&unit)?;
                self.queues.lookups.insert(id);
                Ok(Response::Unit(self.unit(id).name.clone()))
            }
            Request::LoadUnits(units) => self.load_units(&units),
            Request::StartTransient { unit, mode, pids, fds, aux, controller, add_ref, .. } => {
                self.start_transient(caller, &unit, mode, pids, fds, &aux, controller, add_ref)
            }
            Request::SetProperties { unit, runtime, text } => {
                let id = self.named(&unit)?;
                load_failure(self.unit(id))?;
                self.emit(Effect::WriteDropin { unit: self.unit(id).name.clone(), runtime, text });
                self.store.to_load.insert(id);
                Ok(Response::Done)
            }
            Request::ResetFailed(unit) => self.reset_failed(unit),
            Request::CancelJob(job) => match self.job(job).is_some() {
                true => {
                    self.finish_job(job, JobResult::Canceled, true, false);
                    Ok(Response::Done)
                }
                false => Err(refuse(FailureKind::NoSuchJob, format!("Job {} does not exist.", job.0))),
            },
            Request::ClearJobs => {
                let all: Vec<_> = self.jobs().map(|job| job.id).collect();
                all.into_iter().for_each(|job| self.finish_job(job, JobResult::Canceled, false, false));
                Ok(Response::Done)
            }
            Request::Ref(unit, hold) => self.hold(caller, &unit, hold),
            Request::Abandon(unit) => {
                let id = self.named(&unit)?;
                scope::abandon(self, id).map(|()| Response::Done)
            }
            Request::AttachToOwn { .. } => {
                Err(refuse(FailureKind::NoUnitForPid, "The caller belongs to no unit."))
            }
            Request::Clean(unit, what) => self.clean(&unit, what),
            Request::Exit(exit) => {
                self.emit(Effect::Exit(exit));
                Ok(Response::Done)
            }
            Request::Environment(set, unset) => {
                self.change_environment(set, &unset);
                Ok(Response::Done)
            }
            Request::ActivateBusName { name, unit } => Ok(self.activate_bus_name(&name, &unit)),
            // What is answered elsewhere.
            Request::Reload
            | Request::Reexec
            | Request::Kill { .. }
            | Request::Freeze(..)
            | Request::Attach { .. } => Ok(Response::Done),
        }
    }

    pub(super) fn named(&self, name: &UnitName) -> Result<UnitId, Failure> {
        if name.is_template() {
            let text = format!("Unit name {name} is missing the instance name.");
            return Err(refuse(FailureKind::InvalidArgs, text));
        }
        self.find(name).ok_or_else(|| refuse(FailureKind::NoSuchUnit, format!("Unit {name} not found.")))
    }

    /// They stay until who asked has looked at all of them.
    fn load_units(&mut self, units: &[UnitName]) -> Answer {
        for unit in units {
            let id = self.named(unit)?;
            self.queues.lookups.insert(id);
        }
        Ok(Response::Done)
    }

    fn enqueue_answer(
        &mut self,
        id: UnitId,
        job: JobType,
        mode: JobMode,
        reload_if_possible: bool,
    ) -> Answer {
        let made = self.enqueue_for_client(id, job, mode, reload_if_possible)?;
        let told = |e: &Engine, job| e.job(job).map(|job| (job.id, e.unit(job.unit).name.clone(), job.kind));
        let Some((job, unit, kind)) = told(self, made.job) else {
            return Err(refuse(FailureKind::NoSuchJob, "The job is gone already."));
        };
        let others = made.others.into_iter().filter_map(|job| told(self, job)).collect();
        Ok(Response::Job { job, unit, kind, others })
    }

    #[allow(clippy::too_many_arguments)]
    fn start_transient(
        &mut self,
        caller: &Caller,
        unit: &UnitName,
        mode: JobMode,
        pids: Vec<Pid>,
        fds: Vec<(Rc<str>, super::effect::FdId)>,
        aux: &[(UnitName, Rc<str>)],
        controller: Option<Rc<str>>,
        add_ref: bool,
    ) -> Answer {
        let id = self.named(unit)?;
        if !self.unit(id).transient || self.unit(id).pins == 0 {
            let text = format!("Unit {unit} was already loaded or has a fragment file.");
            return Err(refuse(FailureKind::UnitExists, text));
        }
        let made = aux.iter().filter_map(|(name, _)| self.find(name)).chain([id]).collect::<Vec<_>>();
        for id in made {
            let unit = self.unit_mut(id);
            unit.pins = unit.pins.saturating_sub(1);
            self.queues.collect.insert(id);
        }
        load_failure(self.unit(id))?;
        fds.iter().for_each(|(_, fd)| self.own_fd(*fd, id));
        self.unit_mut(id).given_fds = fds;
        if add_ref {
            self.add_ref(id, caller.connection);
        }
        if unit.kind() == UnitType::Scope {
            scope::adopt(self, id, pids, controller);
        }
        self.enqueue_answer(id, JobType::Start, mode, false)
    }

    fn reset_failed(&mut self, unit: Option<UnitName>) -> Answer {
        let ids: Vec<UnitId> = match unit {
            Some(name) => vec![self.named(&name)?],
            None => self.units().filter(|unit| unit.load != LoadState::Stub).map(|unit| unit.id).collect(),
        };
        for id in ids {
            let kind = self.unit(id).unit_type();
            if self.failed.contains(&id) {
                machine::call::reset_failed(kind, self, id);
            }
            if self.unit(id).start_limit.count > 0 || self.unit(id).start_limit_was_hit {
                let unit = self.unit_mut(id);
                unit.start_limit.reset();
                unit.start_limit_was_hit = false;
            }
            self.queues.collect.insert(id);
        }
        Ok(Response::Done)
    }

    fn hold(&mut self, caller: &Caller, unit: &UnitName, hold: bool) -> Answer {
        let id = self.named(unit)?;
        if hold {
            if self.unit(id).load == LoadState::NotFound {
                return Err(refuse(FailureKind::NoSuchUnit, format!("Unit {unit} not found.")));
            }
            self.add_ref(id, caller.connection);
            return Ok(Response::Done);
        }
        let refs = &mut self.unit_mut(id).refs;
        let Some(count) = refs.get_mut(&caller.connection) else {
            return Err(refuse(FailureKind::NotReferenced, "Unit has not been referenced yet."));
        };
        *count -= 1;
        if *count == 0 {
            refs.remove(&caller.connection);
            if let Some(held) = self.held.get_mut(&caller.connection) {
                held.remove(&id);
            }
        }
        self.queues.collect.insert(id);
        Ok(Response::Done)
    }

    fn add_ref(&mut self, id: UnitId, connection: u64) {
        *self.unit_mut(id).refs.entry(connection).or_default() += 1;
        self.held.entry(connection).or_default().insert(id);
    }

    fn clean(&mut self, unit: &UnitName, what: u32) -> Answer {
        let id = self.named(unit)?;
        load_failure(self.unit(id))?;
        if !self.unit(id).active_state().is_down() || self.unit(id).job.is_some() {
            return Err(refuse(FailureKind::UnitBusy, "Unit is not inactive or has pending job."));
        }
        if what & self.unit(id).cleanable() == 0 {
            return Err(refuse(FailureKind::NothingToClean, "No matching resources found."));
        }
        const FD_STORE: u32 = 32;
        if what & FD_STORE != 0 && self.unit(id).unit_type() == crate::names::UnitType::Service {
            crate::units::service::clear_fd_store(self, id);
        }
        let (unit, settings) = (self.unit(id).name.clone(), self.unit(id).settings.clone());
        self.emit(Effect::CleanUp { unit, settings, what: CleanUp::Directories(what) });
        Ok(Response::Done)
    }

    fn change_environment(&mut self, set: Vec<Rc<str>>, unset: &[Rc<str>]) {
        fn variable(text: &str) -> &str {
            text.split_once('=').map_or(text, |(name, _)| name)
        }
        let dropped = |known: &Rc<str>| {
            unset.iter().any(|gone| gone == known || **gone == *variable(known))
                || set.iter().any(|new| variable(new) == variable(known))
        };
        self.environment.retain(|known| !dropped(known));
        self.environment.extend(set);
        let all = self.environment.clone();
        self.emit(Effect::Configure(Setting::Environment(all)));
    }

    fn activate_bus_name(&mut self, name: &Rc<str>, unit: &UnitName) -> Response {
        let result = self.named(unit).and_then(|id| {
            load_failure(self.unit(id))?;
            match self.unit(id).refuse_manual_start() {
                true => Err(refuse(
                    FailureKind::OnlyByDependency,
                    format!("Operation refused, {unit} may be requested by dependency only."),
                )),
                false => self.enqueue_job(id, JobType::Start, JobMode::Replace),
            }
        });
        if let Err(failure) = result {
            let error = match failure.kind {
                FailureKind::NoSuchUnit => "org.freedesktop.systemd1.NoSuchUnit",
                FailureKind::UnitMasked => "org.freedesktop.systemd1.UnitMasked",
                FailureKind::OnlyByDependency => "org.freedesktop.systemd1.OnlyByDependency",
                _ => "org.freedesktop.DBus.Error.Failed",
            };
            self.emit(Effect::ActivationFailed { name: name.clone(), error, message: failure.message });
        }
        Response::Done
    }
}

/// Whether a transient unit may be made under this name: nothing stands for it yet.
fn can_be_made(unit: &super::Unit) -> bool {
    let nothing = matches!(unit.load, LoadState::NotFound | LoadState::Stub);
    nothing && unit.job.is_none() && unit.active_state().is_down() && !unit.loading
}
