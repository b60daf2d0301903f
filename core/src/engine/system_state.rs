//! What the manager does as a whole: it comes up, runs, or goes down.
use super::Engine;
use super::effect::JobType;
use crate::jobs::Job;
use crate::names::UnitName;

/// What the manager does as a whole (systemctl(1), `is-system-running`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SystemState {
    Initializing,
    Starting,
    Running,
    Degraded,
    Maintenance,
    Stopping,
}

impl SystemState {
    /// As clients know it.
    pub fn as_str(self) -> &'static str {
        match self {
            SystemState::Initializing => "initializing",
            SystemState::Starting => "starting",
            SystemState::Running => "running",
            SystemState::Degraded => "degraded",
            SystemState::Maintenance => "maintenance",
            SystemState::Stopping => "stopping",
        }
    }
}

impl Engine {
    /// What the manager does as a whole.
    pub fn system_state(&self) -> SystemState {
        if self.progress.finished.is_none() {
            let basic = UnitName::parse("basic.target").ok().and_then(|name| self.find_unit(&name));
            return match basic.is_some_and(|unit| unit.active_state().is_up()) {
                true => SystemState::Starting,
                false => SystemState::Initializing,
            };
        }
        let is_system = !self.config.user;
        if is_system && self.is_there_or_coming("shutdown.target") {
            return SystemState::Stopping;
        }
        if is_system && ["rescue.target", "emergency.target"].iter().any(|name| self.is_there_or_coming(name))
        {
            return SystemState::Maintenance;
        }
        if self.failed.is_empty() { SystemState::Running } else { SystemState::Degraded }
    }

    pub(super) fn is_there_or_coming(&self, name: &str) -> bool {
        let Some(unit) = UnitName::parse(name).ok().and_then(|name| self.find_unit(&name)) else {
            return false;
        };
        let comes = |job: &Job| matches!(job.kind, JobType::Start | JobType::Restart);
        unit.active_state().is_up_or_activating() || unit.job.and_then(|job| self.job(job)).is_some_and(comes)
    }
}
