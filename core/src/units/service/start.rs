//! A start job, up to `running`.
use super::super::Refusal;
use super::super::exec::say;
use super::state::{ExecStatus, MainProcess, NotifyState, Role, ServiceResult, State};
use super::{
    Connection, ServiceType, arm_state_timer, commands, config, disarm_state_timer, drop_control, drop_main,
    note_result, reload, service, service_mut, set_state, settings, spawn_control, spawn_main, stop, timeout,
};
use crate::engine::Engine;
use crate::engine::clock::NEVER;
use crate::engine::effect::UnitId;
use crate::engine::event::{ChainError, ChainOutput, Exit};

/// A start job runs.
pub(super) fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
    let state = service(e, id).state;
    if state.is_stopping() || matches!(state, State::Cleaning | State::AutoRestart) {
        // A pending automatic restart goes through a job of its own; an explicit start waits for it.
        return Err(Refusal::Again);
    }
    if matches!(state, State::Condition | State::StartPre | State::Start | State::StartPost) {
        return Ok(());
    }
    if state.has_processes() {
        return Err(Refusal::Already);
    }
    begin_run(e, id);
    enter_condition(e, id);
    Ok(())
}

/// Asked before the conditions: start limits.
pub(super) fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
    let state = service(e, id).state;
    if state.has_processes() || state == State::AutoRestart || !e.start_limit_hit(id) {
        return Ok(());
    }
    stop::enter_dead(e, id, ServiceResult::StartLimitHit, false);
    Err(Refusal::StartLimit)
}

/// Forget the last run.
fn begin_run(e: &mut Engine, id: UnitId) {
    let cfg = settings(e, id);
    let extra = config::runtime_extra(&cfg);
    let extra = if extra == 0 { 0 } else { e.random_word() % extra };
    e.new_invocation(id);
    let s = service_mut(e, id);
    if s.flush_n_restarts {
        s.n_restarts = 0;
    }
    s.flush_n_restarts = false;
    s.result = ServiceResult::Success;
    s.reload_result = ServiceResult::Success;
    s.main_known = false;
    s.main_command = None;
    s.forbid_restart = false;
    s.will_auto_restart = false;
    s.notify_state = NotifyState::Unknown;
    s.status_text = None;
    s.status_errno = 0;
    s.status_bus_error = None;
    s.status_varlink_error = None;
    s.watchdog_override = None;
    s.notify_access_override = None;
    s.main_status = ExecStatus::default();
    s.commands.clear();
    s.oom_killed = false;
    s.awaiting_pid_file = false;
    s.runtime_extra = extra;
}

/// Give an instance of an `Accept=yes` socket its connection, before its start job is enqueued.
pub fn take_connection(e: &mut Engine, id: UnitId, connection: Connection) -> Result<(), Connection> {
    let s = service_mut(e, id);
    if s.connection.is_some() || s.state.has_processes() {
        return Err(connection);
    }
    s.connection = Some(connection);
    Ok(())
}

fn enter_condition(e: &mut Engine, id: UnitId) {
    if commands(e, id, Role::Condition) == 0 {
        return enter_start_pre(e, id);
    }
    let timeout = config::timeout_start(e, id);
    spawn_control(e, id, Role::Condition, 0, timeout);
    set_state(e, id, State::Condition);
}

pub(super) fn enter_start_pre(e: &mut Engine, id: UnitId) {
    drop_control(e, id);
    if commands(e, id, Role::StartPre) == 0 {
        return enter_start(e, id);
    }
    let timeout = config::timeout_start(e, id);
    spawn_control(e, id, Role::StartPre, 0, timeout);
    set_state(e, id, State::StartPre);
}

pub(super) fn enter_start(e: &mut Engine, id: UnitId) {
    drop_control(e, id);
    drop_main(e, id);
    let kind = config::kind(&settings(e, id));
    if commands(e, id, Role::Start) == 0 {
        if kind != ServiceType::Oneshot {
            // Only a reload that took ExecStart= away leads here.
            return stop::enter_signal(e, id, State::StopSigterm, ServiceResult::Resources);
        }
        // Nothing to wait for, but it was started: `SuccessAction=` and `OnSuccess=` follow its end.
        set_state(e, id, State::Start);
        return enter_start_post(e, id);
    }
    let timeout = match kind {
        ServiceType::Simple | ServiceType::Idle => NEVER,
        _ => config::timeout_start(e, id),
    };
    match kind {
        ServiceType::Forking => spawn_control(e, id, Role::Start, 0, timeout),
        _ => spawn_main(e, id, 0, timeout),
    }
    set_state(e, id, State::Start);
}

/// The next of several commands.
pub(super) fn next_control(e: &mut Engine, id: UnitId, role: Role, index: u16) {
    let timeout = match role {
        Role::Stop | Role::StopPost => config::timeout_stop(e, id),
        _ => config::timeout_start(e, id),
    };
    spawn_control(e, id, role, index, timeout);
}

/// The next `ExecStart=` of a oneshot.
pub(super) fn next_main(e: &mut Engine, id: UnitId, index: u16) {
    let timeout = config::timeout_start(e, id);
    spawn_main(e, id, index, timeout);
}

/// The control process exists, or could not be made.
pub(super) fn control_made(e: &mut Engine, id: UnitId, result: Result<ChainOutput, ChainError>) {
    let Some((role, index)) = service(e, id).control_command else { return };
    match result {
        Ok(ChainOutput { pid: Some(pid), .. }) => {
            let now = e.now().into();
            let s = service_mut(e, id);
            s.control = Some(pid);
            *s.command_status_mut(role, index) = ExecStatus::begin(pid, now);
            e.watch_pid(id, pid);
        }
        Ok(_) => control_not_made(e, id, role, index),
        Err(error) => {
            say(e, id, 3, &format!("Failed to run '{}' task: {}", role.directive(), error.message));
            match error.exit_status {
                Some(status) => {
                    // A child was made and failed before execve: the same as if it had exited.
                    service_mut(e, id).control_command = Some((role, index));
                    super::exit::control_ended(e, id, Exit::Status(status));
                }
                None => control_not_made(e, id, role, index),
            }
        }
    }
}

fn control_not_made(e: &mut Engine, id: UnitId, role: Role, index: u16) {
    service_mut(e, id).control_command = None;
    let resources = ServiceResult::Resources;
    match role {
        Role::Condition | Role::StartPre if index == 0 => stop::enter_dead(e, id, resources, true),
        Role::Condition | Role::StartPre | Role::Start | Role::Stop => {
            stop::enter_signal(e, id, State::StopSigterm, resources)
        }
        Role::StartPost => stop::enter_stop(e, id, resources),
        Role::Reload => {
            service_mut(e, id).reload_result = resources;
            enter_running(e, id, ServiceResult::Success);
        }
        Role::StopPost => stop::enter_signal(e, id, State::FinalSigterm, resources),
    }
}

/// The main process exists (`Type=exec`: and execve succeeded), or could not be made.
pub(super) fn main_made(e: &mut Engine, id: UnitId, result: Result<ChainOutput, ChainError>) {
    let index = service(e, id).main_command.unwrap_or(0);
    match result {
        Ok(ChainOutput { pid: Some(pid), exec_failed, .. }) => {
            let now = e.now().into();
            let s = service_mut(e, id);
            s.main = Some(MainProcess { pid, alien: false });
            s.main_known = true;
            s.main_status = ExecStatus::begin(pid, now);
            *s.command_status_mut(Role::Start, index) = ExecStatus::begin(pid, now);
            e.watch_pid(id, pid);
            // Without a program it is about to end with the status that says why.
            if !exec_failed {
                main_runs(e, id);
            }
        }
        Ok(_) => main_not_made(e, id, index),
        Err(error) => {
            say(e, id, 3, &format!("Failed to run 'start' task: {}", error.message));
            match error.exit_status {
                Some(status) => {
                    service_mut(e, id).main_known = true;
                    super::exit::main_ended(e, id, Exit::Status(status));
                }
                None => main_not_made(e, id, index),
            }
        }
    }
}

fn main_runs(e: &mut Engine, id: UnitId) {
    if service(e, id).state != State::Start {
        return;
    }
    match config::kind(&settings(e, id)) {
        ServiceType::Simple | ServiceType::Idle | ServiceType::Exec => enter_start_post(e, id),
        // Its name may have been taken in the meantime.
        ServiceType::Dbus if service(e, id).bus_name_owner.is_some() => enter_start_post(e, id),
        _ => {}
    }
}

fn main_not_made(e: &mut Engine, id: UnitId, index: u16) {
    service_mut(e, id).main_command = None;
    if index == 0 {
        stop::enter_signal(e, id, State::StopSigterm, ServiceResult::Resources);
    } else {
        stop::enter_stop(e, id, ServiceResult::Resources);
    }
}

pub(super) fn enter_start_post(e: &mut Engine, id: UnitId) {
    drop_control(e, id);
    service_mut(e, id).awaiting_pid_file = false;
    timeout::reset_watchdog(e, id);
    if commands(e, id, Role::StartPost) == 0 {
        return enter_running(e, id, ServiceResult::Success);
    }
    let timeout = config::timeout_start(e, id);
    spawn_control(e, id, Role::StartPost, 0, timeout);
    set_state(e, id, State::StartPost);
    timeout::arm_watchdog(e, id);
}

/// The service still does what it is for.
pub(super) fn is_good(e: &Engine, id: UnitId) -> bool {
    let s = service(e, id);
    let cfg = &e.unit(id).settings;
    if config::kind(cfg) == ServiceType::Dbus && s.bus_name_owner.is_none() {
        return false;
    }
    if s.main_alive() {
        return true;
    }
    if s.main_known && !config::exit_type_cgroup(cfg) {
        return false;
    }
    s.populated
}

pub(super) fn enter_running(e: &mut Engine, id: UnitId, result: ServiceResult) {
    drop_control(e, id);
    if result != ServiceResult::Success {
        note_result(e, id, result);
        return stop::enter_signal(e, id, State::StopSigterm, result);
    }
    let cfg = settings(e, id);
    if is_good(e, id) {
        match service(e, id).notify_state {
            NotifyState::Reloading => reload::enter_by_notify(e, id),
            NotifyState::Stopping => stop::enter_by_notify(e, id),
            NotifyState::Unknown | NotifyState::Ready => {
                let limit = config::runtime_max(&cfg);
                let extra = service(e, id).runtime_extra;
                disarm_state_timer(e, id);
                set_state(e, id, State::Running);
                arm_state_timer(e, id, limit.saturating_add(extra));
                timeout::arm_watchdog(e, id);
            }
        }
    } else if config::remain_after_exit(&cfg) {
        set_state(e, id, State::Exited);
        stop::clean_up_processes(e, id);
    } else {
        stop::enter_stop(e, id, ServiceResult::Success);
    }
}
