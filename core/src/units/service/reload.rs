//! Reload jobs, and reloads that the service does by itself.
use super::super::{Refusal, kill};
use super::state::{NotifyState, Role, ServiceResult, State};
use super::{
    ServiceType, arm_state_timer, commands, config, drop_control, main_pid, service, service_mut, set_state,
    settings, spawn_control, start,
};
use crate::engine::Engine;
use crate::engine::effect::{JobMode, JobType, UnitId};
use crate::graph::Dependency;

/// `CanReload`.
pub(super) fn can_reload(e: &Engine, id: UnitId) -> bool {
    let cfg = &e.unit(id).settings;
    config::kind(cfg) == ServiceType::NotifyReload || !config::commands(cfg, Role::Reload).is_empty()
}

/// A reload job runs.
pub(super) fn reload(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
    if !matches!(service(e, id).state, State::Running | State::Exited) {
        return Err(Refusal::Invalid);
    }
    drop_control(e, id);
    let began = e.now().monotonic;
    let timeout = config::timeout_start(e, id);
    let s = service_mut(e, id);
    s.reload_result = ServiceResult::Success;
    s.reload_begin = began;
    let main = s.main.map(|main| main.pid);
    let cfg = settings(e, id);
    let signal = config::kind(&cfg) == ServiceType::NotifyReload && main.is_some();
    if let (true, Some(pid)) = (signal, main) {
        let step = kill::one(pid, config::reload_signal(&cfg));
        e.chain(id, vec![step]);
    }
    if commands(e, id, Role::Reload) > 0 {
        spawn_control(e, id, Role::Reload, 0, timeout);
        set_state(e, id, State::Reload);
    } else if signal {
        arm_state_timer(e, id, timeout);
        set_state(e, id, State::ReloadSignal);
    } else {
        start::enter_running(e, id, ServiceResult::Success);
    }
    Ok(())
}

/// The last `ExecReload=` ended.
pub(super) fn command_ended(e: &mut Engine, id: UnitId, result: ServiceResult) {
    service_mut(e, id).reload_result = result;
    if result == ServiceResult::Success && main_pid::read_after_reload(e, id) {
        return;
    }
    finish_command(e, id);
}

/// Leave `reload`: to `reload-notify` when the service still says that it reloads.
pub(super) fn finish_command(e: &mut Engine, id: UnitId) {
    if service(e, id).notify_state == NotifyState::Reloading {
        set_state(e, id, State::ReloadNotify);
    } else {
        start::enter_running(e, id, ServiceResult::Success);
    }
}

/// `RELOADING=1` without a job.
pub(super) fn enter_by_notify(e: &mut Engine, id: UnitId) {
    let timeout = config::timeout_start(e, id);
    arm_state_timer(e, id, timeout);
    set_state(e, id, State::ReloadNotify);
    // A reload that nobody asked for reaches the others all the same.
    let others: Vec<UnitId> = e.unit(id).dependencies(Dependency::PropagatesReloadTo).collect();
    for other in others {
        e.enqueue_start_by(other, JobType::TryReload, JobMode::Fail, None);
    }
}
