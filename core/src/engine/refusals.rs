//! What is wrong with a request whoever makes it: said before anybody is asked whether the caller may.
use super::Engine;
use super::actions::{NO_SOFT_REBOOT, SOFT_REBOOT};
use super::effect::{Failure, FailureKind, JobType, Request};
use super::event::Caller;
use crate::names::UnitName;
use crate::values::signal;

/// SIGRTMIN and SIGRTMAX as programs see them (signal(7)): the C library keeps the first two for itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

impl Engine {
    /// Why a request cannot be done, as far as that shows before it is begun.
    pub fn refuses(&self, caller: &Caller, request: &Request) -> Option<Failure> {
        let fail = |kind, message: String| Some(Failure { kind, message: message.into() });
        let is_gone = |unit: &UnitName| self.find(unit).is_none();
        match request {
            Request::Kill { unit, .. } | Request::ResetFailed(Some(unit)) | Request::Ref(unit, false)
                if is_gone(unit) =>
            {
                fail(FailureKind::NoSuchUnit, format!("Unit {unit} not loaded."))
            }
            Request::Kill { signal, .. } if !(0..=64).contains(signal) => {
                fail(FailureKind::InvalidArgs, "Signal number out of range.".to_owned())
            }
            Request::Kill { signal, value: Some(_), .. } if !REAL_TIME.contains(signal) => {
                let name = signal::format(u8::try_from(*signal).unwrap_or(0));
                fail(
                    FailureKind::InvalidArgs,
                    format!(
                        "A value goes only with real-time signals (SIGRTMIN to SIGRTMAX), and SIG{name} is none."
                    ),
                )
            }
            Request::Enqueue { unit, job, .. } if unit.as_str() == SOFT_REBOOT && *job != JobType::Stop => {
                fail(FailureKind::NotSupported, NO_SOFT_REBOOT.to_owned())
            }
            Request::CancelJob(job) if self.job(*job).is_none() => {
                fail(FailureKind::NoSuchJob, format!("Job {} does not exist.", job.0))
            }
            Request::Ref(unit, false) => {
                let unit = self.find_unit(unit)?;
                let holds = unit.refs.contains_key(&caller.connection);
                let text = "Unit has not been referenced yet.".to_owned();
                if holds { None } else { fail(FailureKind::NotReferenced, text) }
            }
            Request::Attach { subgroup, .. } if !subgroup.is_empty() && !subgroup.starts_with('/') => {
                fail(FailureKind::InvalidArgs, format!("Control group path is not absolute: {subgroup}"))
            }
            Request::Attach { subgroup, .. }
                if subgroup.split('/').any(|part| part == "." || part == "..") =>
            {
                fail(FailureKind::InvalidArgs, format!("Control group path is not normalized: {subgroup}"))
            }
            Request::Attach { unit, .. } => {
                let settings = &self.find_unit(unit)?.settings;
                let text = "Processes are moved only into units with Delegate=.".to_owned();
                if settings.delegate().is_some() { None } else { fail(FailureKind::InvalidArgs, text) }
            }
            _ => None,
        }
    }
}
