//! Processes that ended, cgroups that emptied, and the OOM killer.
use super::super::exec::{self, say, say_with};
use super::state::{Role, ServiceResult, State};
use super::{
    ServiceType, commands, config, drop_main, main_pid, note_result, notify, reload, service, service_mut,
    settings, start, stop,
};
use crate::engine::Engine;
use crate::engine::effect::{Effect, UnitId};
use crate::engine::event::{Exit, Pid};

/// A process that this service watches ended.
pub(super) fn process_exited(e: &mut Engine, id: UnitId, pid: Pid, exit: Exit) {
    let s = service(e, id);
    if s.main.is_some_and(|main| main.pid == pid) {
        main_ended(e, id, exit);
    } else if s.control == Some(pid) {
        control_ended(e, id, exit);
    } else if s.awaiting_pid_file {
        main_pid::retry(e, id);
    }
}

/// What an exit means, before `-` and the conditions' own rules.
fn judge(e: &Engine, id: UnitId, exit: Exit, daemon: bool) -> ServiceResult {
    if config::is_clean(&e.unit(id).settings, exit, daemon) {
        return ServiceResult::Success;
    }
    match exit {
        Exit::Status(_) => ServiceResult::ExitCode,
        Exit::Killed(_) => ServiceResult::Signal,
        Exit::Dumped(_) => ServiceResult::CoreDump,
        Exit::Unknown => ServiceResult::Success,
    }
}

/// The main process ended.
pub(super) fn main_ended(e: &mut Engine, id: UnitId, exit: Exit) {
    let cfg = settings(e, id);
    let kind = config::kind(&cfg);
    let mut result = judge(e, id, exit, kind != ServiceType::Oneshot);
    drop_main(e, id);
    let now = e.now().into();
    let s = service_mut(e, id);
    s.main_status.end = now;
    s.main_status.exit = Some(exit);
    let index = s.main_command;
    if let Some(index) = index {
        let status = s.command_status_mut(Role::Start, index);
        status.end = now;
        status.exit = Some(exit);
        if config::commands(&cfg, Role::Start).get(usize::from(index)).is_some_and(|c| c.ignore_failure) {
            result = ServiceResult::Success;
        }
    }
    log_exit(e, id, "Main process", Role::Start, exit, result);
    note_result(e, id, result);
    let more = index.map(|index| index + 1).filter(|&next| usize::from(next) < commands(e, id, Role::Start));
    let starting = matches!(service(e, id).state, State::Start);
    if let (true, Some(next), ServiceResult::Success, ServiceType::Oneshot) = (starting, more, result, kind) {
        return start::next_main(e, id, next);
    }
    service_mut(e, id).main_command = None;
    after_main(e, id, kind, result);
}

fn after_main(e: &mut Engine, id: UnitId, kind: ServiceType, result: ServiceResult) {
    let control = service(e, id).control_alive();
    match service(e, id).state {
        State::StartPost | State::Reload | State::ReloadSignal | State::ReloadNotify | State::Mounting
            // With neither of them nothing will ever end this state.
            if !control => {
                stop::enter_stop(e, id, result);
            }
        State::Start => main_ended_early(e, id, kind, result),
        State::Running => start::enter_running(e, id, result),
        State::StopWatchdog | State::StopSigterm | State::StopSigkill if !control => wait_or(e, id, result),
        State::StopPost if !control => stop::enter_signal(e, id, State::FinalSigterm, result),
        State::FinalWatchdog | State::FinalSigterm | State::FinalSigkill if !control => {
            wait_or(e, id, result)
        }
        _ => {}
    }
}

/// Both processes of a signalling state are gone: go on, whatever else is left in the cgroup.
fn wait_or(e: &mut Engine, id: UnitId, result: ServiceResult) {
    if service(e, id).state < State::StopPost {
        stop::enter_stop_post(e, id, result);
    } else {
        stop::enter_dead(e, id, result, true);
    }
}

/// The main process ended before the service counted as started.
fn main_ended_early(e: &mut Engine, id: UnitId, kind: ServiceType, result: ServiceResult) {
    match kind {
        ServiceType::Oneshot if result == ServiceResult::Success => start::enter_start_post(e, id),
        ServiceType::Oneshot => stop::enter_signal(e, id, State::StopSigterm, result),
        ServiceType::Notify | ServiceType::NotifyReload => {
            let cfg = settings(e, id);
            if result != ServiceResult::Success {
                stop::enter_signal(e, id, State::StopSigterm, result);
            } else if !config::remain_after_exit(&cfg)
                || notify::notify_access(e, id) == config::NotifyAccess::Main
            {
                // Nobody is left who might say READY=1.
                stop::enter_signal(e, id, State::StopSigterm, ServiceResult::Protocol);
            }
        }
        _ => start::enter_running(e, id, result),
    }
}

/// The control process ended.
pub(super) fn control_ended(e: &mut Engine, id: UnitId, exit: Exit) {
    let cfg = settings(e, id);
    let mut result = judge(e, id, exit, false);
    let now = e.now().into();
    if let Some(pid) = service_mut(e, id).control.take() {
        e.unwatch_pid(pid);
    }
    let Some((role, index)) = service_mut(e, id).control_command.take() else { return };
    let s = service_mut(e, id);
    let status = s.command_status_mut(role, index);
    status.end = now;
    status.exit = Some(exit);
    let ignore = config::commands(&cfg, role).get(usize::from(index)).is_some_and(|c| c.ignore_failure);
    if ignore {
        result = ServiceResult::Success;
    }
    if role == Role::Condition && result != ServiceResult::Success {
        result = match exit {
            Exit::Status(1..=254) => ServiceResult::SkipCondition,
            _ => ServiceResult::ExecCondition,
        };
    }
    log_exit(e, id, "Control process", role, exit, result);
    if role != Role::Reload {
        note_result(e, id, result);
    }
    let next = index + 1;
    if result == ServiceResult::Success && usize::from(next) < commands(e, id, role) && role_runs(e, id, role)
    {
        return start::next_control(e, id, role, next);
    }
    after_control(e, id, result);
}

/// The state is still the one in which this role's commands run one after the other.
fn role_runs(e: &Engine, id: UnitId, role: Role) -> bool {
    let state = service(e, id).state;
    matches!(
        (role, state),
        (Role::Condition, State::Condition)
            | (Role::StartPre, State::StartPre)
            | (Role::StartPost, State::StartPost)
            | (Role::Reload, State::Reload)
            | (Role::Stop, State::Stop)
            | (Role::StopPost, State::StopPost)
    )
}

fn after_control(e: &mut Engine, id: UnitId, result: ServiceResult) {
    let success = result == ServiceResult::Success;
    let main = service(e, id).main_alive();
    match service(e, id).state {
        State::Condition if success => start::enter_start_pre(e, id),
        State::StartPre if success => start::enter_start(e, id),
        State::Condition | State::StartPre => stop::enter_signal(e, id, State::StopSigterm, result),
        State::Start => {
            if config::kind(&settings(e, id)) != ServiceType::Forking {
                return;
            }
            if success {
                main_pid::daemon_forked(e, id);
            } else {
                stop::enter_signal(e, id, State::StopSigterm, result);
            }
        }
        State::StartPost if success => main_pid::start_post_ended(e, id),
        State::StartPost => stop::enter_signal(e, id, State::StopSigterm, result),
        State::Reload => reload::command_ended(e, id, result),
        State::Stop => stop::enter_signal(e, id, State::StopSigterm, result),
        State::StopWatchdog | State::StopSigterm | State::StopSigkill if !main => wait_or(e, id, result),
        State::StopPost => stop::enter_signal(e, id, State::FinalSigterm, result),
        State::FinalWatchdog | State::FinalSigterm | State::FinalSigkill if !main => wait_or(e, id, result),
        State::Cleaning => {
            service_mut(e, id).clean_result = result;
            stop::enter_dead(e, id, ServiceResult::Success, false);
        }
        _ => {}
    }
}

fn log_exit(e: &mut Engine, id: UnitId, what: &str, role: Role, exit: Exit, result: ServiceResult) {
    let Some((code, status)) = exec::exit_words(exit) else { return };
    let level = match result {
        ServiceResult::Success => 7,
        // The service itself has said why, as a rule.
        _ if matches!(exit, Exit::Status(_)) => 5,
        _ => 4,
    };
    let note = if result == ServiceResult::Success { " (success)" } else { "" };
    let text = format!("{what} exited, code={code}, status={}{note}", exec::exit_status_text(exit));
    let fields = [("COMMAND", role.directive()), ("EXIT_CODE", code), ("EXIT_STATUS", &*status)];
    say_with(e, id, level, &text, exec::MESSAGE_PROCESS_EXIT, &fields);
}

/// The last process of the cgroup is gone.
pub(super) fn cgroup_empty(e: &mut Engine, id: UnitId) {
    service_mut(e, id).populated = false;
    let s = service(e, id);
    let (main, control) = (s.main_alive(), s.control_alive());
    // Where the end of a main process that is not our child cannot be waited for, it most likely comes with that of its cgroup.
    if let Some(pid) = s.main.filter(|main| main.alien).map(|main| main.pid) {
        e.emit(Effect::WatchProcess(pid));
    }
    let s = service(e, id);
    let alone = !main && !control;
    let kind = config::kind(&settings(e, id));
    match s.state {
        State::Start if alone && matches!(kind, ServiceType::Notify | ServiceType::NotifyReload) => {
            stop::enter_signal(e, id, State::StopSigterm, ServiceResult::Protocol)
        }
        State::Start | State::StartPost if alone && s.awaiting_pid_file => {
            say(e, id, 4, "Daemon never wrote its PID file. Failing.");
            stop::enter_stop_post(e, id, ServiceResult::Protocol);
        }
        // It stays up without processes.
        State::Exited if alone => e.release_cgroup(id),
        State::Running if !main => start::enter_running(e, id, ServiceResult::Success),
        state if alone && s.pending.is_none() && is_signalling(state) => {
            wait_or(e, id, ServiceResult::Success)
        }
        _ => {}
    }
}

fn is_signalling(state: State) -> bool {
    use State::*;
    matches!(state, StopWatchdog | StopSigterm | StopSigkill | FinalWatchdog | FinalSigterm | FinalSigkill)
}

/// The OOM killer (or with `managed` systemd-oomd) killed in the cgroup.
pub(super) fn cgroup_oom(e: &mut Engine, id: UnitId, managed: bool) {
    let who = if managed { "systemd-oomd" } else { "the OOM killer" };
    say(e, id, 5, &format!("A process of this unit has been killed by {who}."));
    service_mut(e, id).oom_killed = true;
    let policy = config::oom_policy(e, id);
    if policy == "continue" {
        return;
    }
    let kill = policy == "kill";
    let oom = ServiceResult::OomKill;
    match service(e, id).state {
        State::Condition | State::StartPre | State::Start | State::StartPost | State::Stop => {
            let state = if kill { State::StopSigkill } else { State::StopSigterm };
            stop::enter_signal(e, id, state, oom);
        }
        State::Exited | State::Running if kill => stop::enter_signal(e, id, State::StopSigkill, oom),
        State::Exited | State::Running => stop::enter_stop(e, id, oom),
        State::StopWatchdog | State::StopSigterm => stop::enter_signal(e, id, State::StopSigkill, oom),
        State::StopPost | State::FinalSigterm => stop::enter_signal(e, id, State::FinalSigkill, oom),
        State::StopSigkill | State::FinalSigkill => note_result(e, id, oom),
        _ => {}
    }
}
