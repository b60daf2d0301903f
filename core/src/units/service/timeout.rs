//! Time-outs of the states, `EXTEND_TIMEOUT_USEC=`, and the watchdog.
use super::super::{exec, kill};
use super::state::{ServiceResult, State};
use super::{config, restart, service, service_mut, service_unannounced, settings, start, stop};
use crate::engine::Engine;
use crate::engine::clock::{Clock, NEVER, Usec};
use crate::engine::effect::UnitId;
use crate::engine::timers::TimerKind;

/// A timer of this service elapsed.
pub(super) fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
    match which {
        TimerKind::State => {
            service_unannounced(e, id).deadline = None;
            state_timer(e, id);
        }
        TimerKind::Watchdog => watchdog_elapsed(e, id),
        _ => {}
    }
}

fn state_timer(e: &mut Engine, id: UnitId) {
    let timeout = ServiceResult::Timeout;
    let state = service(e, id).state;
    match state {
        State::Condition | State::StartPre | State::Start | State::StartPost => {
            let mode = config::start_failure_mode(&settings(e, id));
            say(e, id, &format!("{} operation timed out. {}", state.as_str(), mode.what_is_done()));
            give_up(e, id, mode, false);
        }
        State::Running => {
            say(e, id, "Service reached runtime time limit. Stopping.");
            stop::enter_stop(e, id, timeout);
        }
        State::Reload | State::ReloadSignal | State::ReloadNotify | State::Mounting => {
            say(e, id, "Reload operation timed out. Killing reload process.");
            stop::kill_control(e, id);
            let s = service_mut(e, id);
            s.reload_result = timeout;
            s.notify_state = super::NotifyState::Unknown;
            start::enter_running(e, id, ServiceResult::Success);
        }
        State::Stop => {
            let mode = config::stop_failure_mode(&settings(e, id));
            say(e, id, &format!("Stopping timed out. {}", mode.what_is_done()));
            give_up(e, id, mode, false);
        }
        State::StopPost => {
            let mode = config::stop_failure_mode(&settings(e, id));
            say(e, id, &format!("State 'stop-post' timed out. {}", mode.what_is_done()));
            give_up(e, id, mode, true);
        }
        State::StopWatchdog | State::StopSigterm | State::FinalWatchdog | State::FinalSigterm => {
            signal_timer(e, id, state)
        }
        State::StopSigkill => {
            say(e, id, "Processes still around after SIGKILL. Ignoring.");
            stop::enter_stop_post(e, id, timeout);
        }
        State::FinalSigkill => {
            say(e, id, "Processes still around after final SIGKILL. Entering failed mode.");
            stop::enter_dead(e, id, timeout, true);
        }
        State::AutoRestart => restart::due(e, id),
        _ => {}
    }
}

/// What is done about a step that takes too long (`TimeoutStartFailureMode=`, `TimeoutStopFailureMode=`).
fn give_up(e: &mut Engine, id: UnitId, mode: config::TimeoutMode, last: bool) {
    let timeout = ServiceResult::Timeout;
    let sigkill = kill::send_sigkill(&settings(e, id));
    let state = match (mode, last) {
        (config::TimeoutMode::Terminate, false) => State::StopSigterm,
        (config::TimeoutMode::Terminate, true) => State::FinalSigterm,
        (config::TimeoutMode::Abort, false) => State::StopWatchdog,
        (config::TimeoutMode::Abort, true) => State::FinalWatchdog,
        (config::TimeoutMode::Kill, false) if sigkill => State::StopSigkill,
        (config::TimeoutMode::Kill, true) if sigkill => State::FinalSigkill,
        (config::TimeoutMode::Kill, false) => return stop::enter_stop_post(e, id, timeout),
        (config::TimeoutMode::Kill, true) => return stop::enter_dead(e, id, timeout, false),
    };
    stop::enter_signal(e, id, state, timeout);
}

/// What was asked to end by a signal did not.
fn signal_timer(e: &mut Engine, id: UnitId, state: State) {
    let cfg = settings(e, id);
    let timeout = ServiceResult::Timeout;
    let last = matches!(state, State::FinalWatchdog | State::FinalSigterm);
    let gentle = matches!(state, State::StopSigterm | State::FinalSigterm);
    if gentle && config::stop_failure_mode(&cfg) == config::TimeoutMode::Abort {
        say(e, id, &format!("State '{}' timed out. Aborting.", state.as_str()));
        let next = if last { State::FinalWatchdog } else { State::StopWatchdog };
        stop::enter_signal(e, id, next, timeout);
    } else if kill::send_sigkill(&cfg) {
        say(e, id, &format!("State '{}' timed out. Killing.", state.as_str()));
        let next = if last { State::FinalSigkill } else { State::StopSigkill };
        stop::enter_signal(e, id, next, timeout);
    } else {
        say(e, id, &format!("State '{}' timed out. Skipping SIGKILL. Ignoring.", state.as_str()));
        if last { stop::enter_dead(e, id, timeout, false) } else { stop::enter_stop_post(e, id, timeout) }
    }
}

fn say(e: &mut Engine, id: UnitId, text: &str) {
    exec::say(e, id, 4, text);
}

/// `EXTEND_TIMEOUT_USEC=`: a running time-out ends no earlier than this much after now.
pub(super) fn extend(e: &mut Engine, id: UnitId, by: Usec) {
    if by == 0 || by == NEVER {
        return;
    }
    let Some(deadline) = service(e, id).deadline else { return };
    let at = e.now().monotonic.saturating_add(by);
    if at > deadline {
        e.arm(id, TimerKind::State, Clock::Monotonic, at);
        service_unannounced(e, id).deadline = Some(at);
    }
}

/// The watchdog's limit that holds now; `None`: off.
pub fn watchdog_limit(e: &Engine, id: UnitId) -> Option<Usec> {
    let own = service(e, id).watchdog_override;
    let limit = own.unwrap_or_else(|| config::watchdog(&e.unit(id).settings));
    (limit != 0 && limit != NEVER).then_some(limit)
}

/// The service is alive. Where nobody watches, nobody notes when.
pub(super) fn reset_watchdog(e: &mut Engine, id: UnitId) {
    if watchdog_limit(e, id).is_some() {
        let now = e.now();
        // `WatchdogTimestamp` changes without a signal, as on the reference.
        service_unannounced(e, id).watchdog_stamp = now.into();
    }
    arm_watchdog(e, id);
}

pub(super) fn arm_watchdog(e: &mut Engine, id: UnitId) {
    let s = service(e, id);
    let since = s.watchdog_stamp.monotonic;
    match watchdog_limit(e, id) {
        Some(limit) if service(e, id).state.watchdog_applies() && since != 0 => {
            e.arm(id, TimerKind::Watchdog, Clock::Monotonic, since.saturating_add(limit));
        }
        _ => e.disarm(id, TimerKind::Watchdog),
    }
}

fn watchdog_elapsed(e: &mut Engine, id: UnitId) {
    let Some(limit) = watchdog_limit(e, id) else { return };
    if !e.watches_services() {
        let limit = crate::values::span::format(limit, 1);
        return say(e, id, &format!("Silent for longer than {limit}, but watchdogs are off."));
    }
    say(e, id, &format!("Watchdog timeout (limit {})!", crate::values::span::format(limit, 1)));
    stop::enter_signal(e, id, State::StopWatchdog, ServiceResult::Watchdog);
}

/// `WATCHDOG=trigger`: the service declares itself hung.
pub(super) fn trigger_watchdog(e: &mut Engine, id: UnitId) {
    if !e.watches_services() {
        return say(e, id, "Declares itself hung, but watchdogs are off.");
    }
    say(e, id, "Watchdog request (last status: triggered by the service)!");
    stop::enter_signal(e, id, State::StopWatchdog, ServiceResult::Watchdog);
}
