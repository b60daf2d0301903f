//! Stop jobs, signals, and the end of a run.
use super::super::Refusal;
use super::super::exec::{self, say, say_with};
use super::super::kill::{self, Operation};
use super::state::{Purpose, Role, ServiceResult, State};
use super::{
    arm_state_timer, begin_chain, commands, config, disarm_state_timer, drop_control, drop_main, fdstore,
    note_result, restart, restart_job_pending, service, service_mut, set_state, settings, spawn_control,
    stop_job_pending,
};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::{CleanUp, Effect, UnitId};
use crate::engine::event::{ChainError, ChainOutput};
use crate::graph::Dependency;
use crate::settings::Settings;
use std::rc::Rc;

/// A stop job runs.
pub(super) fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
    service_mut(e, id).forbid_restart = true;
    let success = ServiceResult::Success;
    match service(e, id).state {
        State::Dead | State::Failed | State::DeadResourcesPinned => return Err(Refusal::Already),
        State::AutoRestart
        | State::AutoRestartQueued
        | State::DeadBeforeAutoRestart
        | State::FailedBeforeAutoRestart => {
            // Nothing runs: give the restart up.
            let end = dead_state(e, id);
            service_mut(e, id).will_auto_restart = false;
            service_mut(e, id).flush_n_restarts = true;
            set_state(e, id, end);
            fdstore::release_if_idle(e, id);
        }
        State::Condition | State::StartPre | State::Start | State::StartPost | State::Cleaning => {
            enter_signal(e, id, State::StopSigterm, success)
        }
        State::Reload | State::ReloadSignal | State::ReloadNotify | State::Mounting => {
            kill_control(e, id);
            enter_stop(e, id, success);
        }
        State::Running | State::Exited => enter_stop(e, id, success),
        state if state.is_stopping() => {}
        _ => {}
    }
    Ok(())
}

/// `ResetFailedUnit`.
pub(super) fn reset_failed(e: &mut Engine, id: UnitId) {
    if service(e, id).state == State::Failed {
        let end = dead_state(e, id);
        set_state(e, id, end);
    }
    let s = service_mut(e, id);
    s.result = ServiceResult::Success;
    s.reload_result = ServiceResult::Success;
    s.clean_result = ServiceResult::Success;
    s.n_restarts = 0;
    s.flush_n_restarts = false;
}

/// `dead`, or `dead-resources-pinned` while the descriptor store is kept.
pub(super) fn dead_state(e: &Engine, id: UnitId) -> State {
    if !service(e, id).fd_store.is_empty() && config::fd_store_preserve(&e.unit(id).settings) == "yes" {
        State::DeadResourcesPinned
    } else {
        State::Dead
    }
}

/// End a control process that is no longer wanted, without waiting for it.
pub(super) fn kill_control(e: &mut Engine, id: UnitId) {
    if let Some(pid) = service(e, id).control {
        e.chain(id, vec![kill::one(pid, 9)]);
    }
    drop_control(e, id);
}

pub(super) fn enter_stop(e: &mut Engine, id: UnitId, result: ServiceResult) {
    note_result(e, id, result);
    drop_control(e, id);
    service_mut(e, id).awaiting_pid_file = false;
    if commands(e, id, Role::Stop) == 0 {
        return enter_signal(e, id, State::StopSigterm, ServiceResult::Success);
    }
    let timeout = config::timeout_stop(e, id);
    spawn_control(e, id, Role::Stop, 0, timeout);
    set_state(e, id, State::Stop);
}

/// `STOPPING=1`: the service stops by itself, as if it had got `KillSignal=`.
pub(super) fn enter_by_notify(e: &mut Engine, id: UnitId) {
    let timeout = config::timeout_stop(e, id);
    arm_state_timer(e, id, timeout);
    set_state(e, id, State::StopSigterm);
}

/// Signal what runs and wait in `state` until it is gone.
pub(super) fn enter_signal(e: &mut Engine, id: UnitId, state: State, result: ServiceResult) {
    note_result(e, id, result);
    service_mut(e, id).awaiting_pid_file = false;
    let operation = operation(e, id, state);
    // A process still being made is undone with its chain.
    super::cancel_pending(e, id);
    let s = service(e, id);
    let (main, control) = (s.main.map(|m| m.pid), s.control);
    let nothing = main.is_none() && control.is_none() && !s.populated;
    let step = if nothing { None } else { kill::step(e, id, operation, main, control) };
    match step {
        None => nothing_left(e, id, state),
        Some(step) => {
            let timeout = match operation {
                Operation::Watchdog => config::timeout_abort(e, id),
                _ => config::timeout_stop(e, id),
            };
            begin_chain(e, id, Purpose::Signal, vec![step]);
            arm_state_timer(e, id, timeout);
            set_state(e, id, state);
        }
    }
}

fn operation(e: &Engine, id: UnitId, state: State) -> Operation {
    match state {
        State::StopWatchdog | State::FinalWatchdog => Operation::Watchdog,
        State::StopSigkill | State::FinalSigkill => Operation::Kill,
        _ if restart_job_pending(e, id) => Operation::Restart,
        _ => Operation::Terminate,
    }
}

/// The signals of the current state were sent.
pub(super) fn signalled(e: &mut Engine, id: UnitId, result: Result<ChainOutput, ChainError>) {
    let alive = match result {
        Ok(output) => output.alive,
        // The signal may not have been sent. The state's timer sends the next one, and an empty cgroup is told.
        Err(error) if error.is_lost() => 1,
        Err(error) => {
            say(e, id, 4, &format!("Failed to kill processes: {}", error.message));
            let state = service(e, id).state;
            return if state < State::StopPost {
                enter_stop_post(e, id, ServiceResult::Resources)
            } else {
                enter_dead(e, id, ServiceResult::Resources, true)
            };
        }
    };
    if alive == 0 {
        let s = service(e, id);
        if s.main.is_some_and(|main| !main.alien) || s.control.is_some() {
            // They are zombies: their exit events are on their way.
            return;
        }
        let state = s.state;
        drop_main(e, id);
        nothing_left(e, id, state);
    }
}

/// There is nothing (left) to wait for in a signalling state: go to the next one.
fn nothing_left(e: &mut Engine, id: UnitId, state: State) {
    let success = ServiceResult::Success;
    let sigkill = kill::send_sigkill(&settings(e, id));
    match state {
        State::StopWatchdog | State::StopSigterm if sigkill && left_behind(e, id) => {
            enter_signal(e, id, State::StopSigkill, success)
        }
        State::StopWatchdog | State::StopSigterm | State::StopSigkill => enter_stop_post(e, id, success),
        State::FinalWatchdog | State::FinalSigterm if sigkill && left_behind(e, id) => {
            enter_signal(e, id, State::FinalSigkill, success)
        }
        _ => enter_dead(e, id, success, true),
    }
}

/// With `KillMode=mixed` the first round may have spared processes which the second one kills.
fn left_behind(e: &Engine, id: UnitId) -> bool {
    service(e, id).populated && kill::mode(&e.unit(id).settings) == kill::Mode::Mixed
}

pub(super) fn enter_stop_post(e: &mut Engine, id: UnitId, result: ServiceResult) {
    note_result(e, id, result);
    drop_control(e, id);
    if commands(e, id, Role::StopPost) == 0 {
        return enter_signal(e, id, State::FinalSigterm, ServiceResult::Success);
    }
    let timeout = config::timeout_stop(e, id);
    spawn_control(e, id, Role::StopPost, 0, timeout);
    set_state(e, id, State::StopPost);
}

/// The run is over.
pub(super) fn enter_dead(e: &mut Engine, id: UnitId, result: ServiceResult, allow_restart: bool) {
    note_result(e, id, result);
    let result = service(e, id).result;
    let failed = !matches!(result, ServiceResult::Success | ServiceResult::SkipCondition);
    log_result(e, id, result);
    let restart = allow_restart && !stop_job_pending(e, id) && restart::wanted(e, id);
    service_mut(e, id).will_auto_restart = restart;
    // The state that is set below ends the job.
    let again = restart || restart_job_pending(e, id);
    disarm_state_timer(e, id);
    if restart {
        restart::wait(e, id, failed);
    } else {
        let end = if failed { State::Failed } else { dead_state(e, id) };
        let s = service_mut(e, id);
        s.flush_n_restarts = true;
        s.notify_access_override = None;
        set_state(e, id, end);
    }
    clean_up(e, id, restart, again);
    service_mut(e, id).forbid_restart = false;
    tell_monitors(e, id, failed);
    if !restart {
        e.unit_mut(id).activation = None;
        fdstore::release_if_idle(e, id);
    }
}

/// What the units of `OnSuccess=` or `OnFailure=` learn about the one that starts them (systemd.exec(5), `$MONITOR_*`).
fn tell_monitors(e: &mut Engine, id: UnitId, failed: bool) {
    let kind = if failed { Dependency::OnFailure } else { Dependency::OnSuccess };
    let told: Vec<UnitId> = e.unit(id).dependencies(kind).collect();
    if told.is_empty() {
        return;
    }
    let (unit, s) = (e.unit(id), service(e, id));
    let mut all: Vec<(Rc<str>, Rc<str>)> = vec![("MONITOR_SERVICE_RESULT".into(), s.result.as_str().into())];
    if let Some((code, status)) = s.main_status.exit.and_then(exec::exit_words) {
        all.push(("MONITOR_EXIT_CODE".into(), code.into()));
        all.push(("MONITOR_EXIT_STATUS".into(), status.into()));
    }
    if let Some(invocation) = &unit.invocation {
        all.push(("MONITOR_INVOCATION_ID".into(), invocation.clone()));
    }
    all.push(("MONITOR_UNIT".into(), unit.name.as_str().into()));
    for other in told {
        e.unit_mut(other).activation = Some(all.clone());
    }
}

fn log_result(e: &mut Engine, id: UnitId, result: ServiceResult) {
    match result {
        ServiceResult::Success => {
            say_with(e, id, 6, "Deactivated successfully.", exec::MESSAGE_UNIT_SUCCESS, &[]);
        }
        ServiceResult::SkipCondition => {
            say_with(
                e,
                id,
                6,
                "Skipped due to 'exec-condition'.",
                exec::MESSAGE_UNIT_SKIPPED,
                &[("UNIT_RESULT", result.as_str())],
            );
        }
        _ => {
            let text = format!("Failed with result '{}'.", result.as_str());
            say_with(e, id, 4, &text, exec::MESSAGE_UNIT_FAILURE, &[("UNIT_RESULT", result.as_str())]);
        }
    }
}

/// What only a service's processes may have, removed when there are none.
fn of_processes(cfg: &Settings) -> impl Iterator<Item = CleanUp> + use<> {
    let credentials = config::has_credentials(cfg).then_some(CleanUp::Credentials);
    // Whether there was a mount namespace only the plan knows, and removing nothing costs nothing.
    credentials.into_iter().chain([CleanUp::Propagation])
}

/// The service stays up without processes (`RemainAfterExit=`).
pub(super) fn clean_up_processes(e: &mut Engine, id: UnitId) {
    let (cfg, unit) = (settings(e, id), e.unit(id).name.clone());
    for what in of_processes(&cfg) {
        e.emit(Effect::CleanUp { unit: unit.clone(), settings: cfg.clone(), what });
    }
}

/// Take away what only a running service may have. `restart` is an automatic one, `again` also one that a client asked for.
fn clean_up(e: &mut Engine, id: UnitId, restart: bool, again: bool) {
    let cfg = settings(e, id);
    let unit = e.unit(id).name.clone();
    let preserve = config::runtime_directory_preserve(&cfg);
    let mut what = Vec::new();
    if config::has_runtime_directory(&cfg) && (preserve == "no" || (preserve == "restart" && !again)) {
        what.push(CleanUp::RuntimeDirectories);
    }
    what.extend(of_processes(&cfg));
    if !restart {
        // Whoever reads the other end of a pipe waits for the last writer.
        let given = std::mem::take(&mut e.unit_mut(id).given_fds);
        given.into_iter().for_each(|(_, fd)| e.close_fd(fd));
        exec::unpublish(e, id);
        e.leave_shared(id);
        if cfg.bool(ids::DYNAMIC_USER) && !e.shares_dynamic_user(id) {
            what.push(CleanUp::DynamicUser);
        }
    }
    for what in what {
        e.emit(Effect::CleanUp { unit: unit.clone(), settings: cfg.clone(), what });
    }
    if let Some(path) = config::pid_file(&cfg) {
        e.chain(id, vec![crate::engine::effect::Step::RemovePidFile(path)]);
    }
}
