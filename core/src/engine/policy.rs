//! What a unit's settings say about jobs and memory, in the engine's words.
use super::Unit;
use super::clock::{NEVER, Usec};
use super::effect::JobMode;
use crate::directives::ids;
use crate::settings::DirectiveId;

impl Unit {
    /// `Description`: what the file says, else what the type gives, else the name.
    pub fn description(&self) -> &str {
        let set = self.settings.text(ids::DESCRIPTION);
        set.or(self.default_description.as_deref()).unwrap_or_else(|| self.name.as_str())
    }

    /// The unit as messages call it (`StatusUnitFormat=`).
    pub fn status_name(&self, format: &str) -> String {
        let described = self.settings.is_set(ids::DESCRIPTION) || self.default_description.is_some();
        match format {
            "name" => self.name.to_string(),
            "combined" if described => format!("{} - {}", self.name, self.description()),
            _ => self.description().to_owned(),
        }
    }

    /// `StopWhenUnneeded=`.
    pub fn stop_when_unneeded(&self) -> bool {
        self.settings.bool(ids::STOP_WHEN_UNNEEDED)
    }

    /// `RefuseManualStart=`.
    pub fn refuse_manual_start(&self) -> bool {
        self.settings.bool(ids::REFUSE_MANUAL_START)
    }

    /// `RefuseManualStop=`.
    pub fn refuse_manual_stop(&self) -> bool {
        self.settings.bool(ids::REFUSE_MANUAL_STOP)
    }

    /// `AllowIsolate=`.
    pub fn allow_isolate(&self) -> bool {
        self.settings.bool(ids::ALLOW_ISOLATE)
    }

    /// `IgnoreOnIsolate=`; types that are not started by people default to yes.
    pub fn ignore_on_isolate(&self) -> bool {
        use crate::names::UnitType::{Device, Scope, Slice};
        let by_type = matches!(self.unit_type(), Device | Scope | Slice);
        self.perpetual
            || self
                .settings
                .tristate(ids::IGNORE_ON_ISOLATE)
                .unwrap_or(by_type || self.implied_ignore_on_isolate)
    }

    /// `DefaultDependencies=`.
    pub fn default_dependencies(&self) -> bool {
        self.settings.bool(ids::DEFAULT_DEPENDENCIES)
    }

    /// `CollectMode=inactive-or-failed`.
    pub fn collect_failed(&self) -> bool {
        self.settings.word(ids::COLLECT_MODE) == "inactive-or-failed"
    }

    /// `JobTimeoutUSec`.
    pub fn job_timeout(&self) -> Usec {
        or_never(self.settings.uint(ids::JOB_TIMEOUT_SEC))
    }

    /// `JobRunningTimeoutUSec`; devices have a default.
    pub fn job_running_timeout(&self) -> Usec {
        let set = self.settings.is_set(ids::JOB_RUNNING_TIMEOUT_SEC);
        match self.implied_job_running_timeout {
            // `JobTimeoutSec=` alone also bounds the running time.
            Some(_) if !set && self.settings.is_set(ids::JOB_TIMEOUT_SEC) => self.job_timeout(),
            Some(implied) if !set => implied,
            _ => or_never(self.settings.uint(ids::JOB_RUNNING_TIMEOUT_SEC)),
        }
    }

    /// `OnFailureJobMode=` or `OnSuccessJobMode=`.
    pub fn job_mode(&self, row: DirectiveId) -> JobMode {
        job_mode(self.settings.word(row)).unwrap_or(JobMode::Replace)
    }

    /// An emergency action (`FailureAction=` and the like), with its exit status if one is set.
    pub fn action(&self, row: DirectiveId) -> &'static str {
        self.settings.word(row)
    }
}

fn or_never(span: Usec) -> Usec {
    if span == 0 { NEVER } else { span }
}

/// A job mode by its word (`systemctl --job-mode=`).
pub fn job_mode(word: &str) -> Option<JobMode> {
    Some(match word {
        "fail" => JobMode::Fail,
        "replace" => JobMode::Replace,
        "replace-irreversibly" => JobMode::ReplaceIrreversibly,
        "isolate" => JobMode::Isolate,
        "flush" => JobMode::Flush,
        "ignore-dependencies" => JobMode::IgnoreDependencies,
        "ignore-requirements" => JobMode::IgnoreRequirements,
        "triggering" => JobMode::Triggering,
        "restart-dependencies" => JobMode::RestartDependencies,
        _ => return None,
    })
}
