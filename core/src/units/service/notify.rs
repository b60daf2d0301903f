//! sd_notify(3) and bus names.
use super::super::exec::say;
use super::config::{self, NotifyAccess};
use super::state::{NotifyState, Service, State};
use super::{
    ServiceType, fdstore, main_pid, reload, service, service_mut, service_unannounced, settings, start, stop,
    timeout,
};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::engine::event::{Notify, Pid};

/// A notification came from a process of this service.
pub(super) fn notify(e: &mut Engine, id: UnitId, n: &Notify) {
    if !authorized(e, id, n) {
        for &fd in &n.fds {
            e.close_fd(fd);
        }
        return;
    }
    if n.notify_access.is_some() {
        keep(e, id, |s| &mut s.notify_access_override, n.notify_access);
    }
    main_pid_told(e, id, n);
    state_told(e, id, n);
    texts_told(e, id, n);
    if let Some(by) = n.extend_timeout_usec {
        timeout::extend(e, id, by);
    }
    if n.watchdog_trigger {
        timeout::trigger_watchdog(e, id);
    } else if n.watchdog {
        timeout::reset_watchdog(e, id);
    }
    if let Some(limit) = n.watchdog_usec {
        service_unannounced(e, id).watchdog_override = Some(limit);
        timeout::reset_watchdog(e, id);
    }
    if n.restart_reset {
        let s = service_mut(e, id);
        s.n_restarts = 0;
        s.flush_n_restarts = false;
    }
    fdstore::told(e, id, n);
    if service(e, id).awaiting_pid_file {
        main_pid::retry(e, id);
    }
}

/// Whose notifications are taken now: `NotifyAccess=`, or what the service itself said instead.
pub fn notify_access(e: &Engine, id: UnitId) -> NotifyAccess {
    let told = service(e, id).notify_access_override;
    told.unwrap_or_else(|| config::notify_access(&e.unit(id).settings))
}

fn authorized(e: &mut Engine, id: UnitId, n: &Notify) -> bool {
    let s = service(e, id);
    let is_main = s.main.is_some_and(|main| main.pid == n.pid);
    let is_control = s.control == Some(n.pid);
    let main = s.main.map_or_else(|| "which is currently not known".to_owned(), |m| m.pid.to_string());
    let (ok, only) = match notify_access(e, id) {
        NotifyAccess::None => (false, "reception is disabled".to_owned()),
        NotifyAccess::Main => (is_main, format!("reception only permitted for main PID {main}")),
        NotifyAccess::Exec => {
            (is_main || is_control, format!("reception only permitted for main PID {main} and control PID"))
        }
        NotifyAccess::All => (true, String::new()),
    };
    if !ok {
        say(e, id, 4, &format!("Got notification message from PID {}, but {only}", n.pid));
    }
    ok
}

/// `MAINPID=`: a process in the cgroup or a child of ours may be named by anybody, others only by root.
fn main_pid_told(e: &mut Engine, id: UnitId, n: &Notify) {
    let Some(pid) = n.main_pid else { return };
    let state = service(e, id).state;
    let fits = matches!(state, State::Start | State::StartPost | State::Running | State::StopSigterm)
        || state.is_reloading();
    if !fits || pid <= 1 || service(e, id).main_pid() == pid {
        return;
    }
    if !n.main_pid_is_ours && n.uid != 0 {
        let text = format!("New main PID {pid} does not belong to service, refusing.");
        return say(e, id, 4, &text);
    }
    main_pid::set_main(e, id, pid, !n.main_pid_is_ours);
}

/// `READY=1`, `RELOADING=1`, `STOPPING=1`.
fn state_told(e: &mut Engine, id: UnitId, n: &Notify) {
    let state = service(e, id).state;
    let kind = config::kind(&settings(e, id));
    if n.stopping {
        service_mut(e, id).notify_state = NotifyState::Stopping;
        if state == State::Running {
            stop::enter_by_notify(e, id);
        }
        return;
    }
    if n.ready {
        service_mut(e, id).notify_state = NotifyState::Ready;
        match state {
            State::Start if kind.notifies() => start::enter_start_post(e, id),
            // One that reloads by a handshake may say READY=1 in the same breath.
            State::ReloadNotify if !n.reloading => start::enter_running(e, id, super::ServiceResult::Success),
            State::ReloadSignal if n.reloading && is_fresh(e, id, n) => {
                start::enter_running(e, id, super::ServiceResult::Success)
            }
            _ => {}
        }
        return;
    }
    if n.reloading {
        service_mut(e, id).notify_state = NotifyState::Reloading;
        match state {
            State::Running => reload::enter_by_notify(e, id),
            State::ReloadSignal if kind == ServiceType::NotifyReload && is_fresh(e, id, n) => {
                super::set_state(e, id, State::ReloadNotify)
            }
            _ => {}
        }
    }
}

/// The reload that is spoken of began after ours was asked for.
fn is_fresh(e: &Engine, id: UnitId, n: &Notify) -> bool {
    n.monotonic_usec.is_some_and(|at| at >= service(e, id).reload_begin)
}

/// Keep a value; a signal goes out when it is another than before.
fn keep<T: PartialEq>(e: &mut Engine, id: UnitId, field: impl Fn(&mut Service) -> &mut T, value: T) {
    if *field(e.machine_quiet::<Service>(id)) != value {
        *field(service_mut(e, id)) = value;
    }
}

/// `STATUS=`, `ERRNO=`, `BUSERROR=`, `VARLINKERROR=`.
fn texts_told(e: &mut Engine, id: UnitId, n: &Notify) {
    if let Some(text) = &n.status {
        keep(e, id, |s| &mut s.status_text, (!text.is_empty()).then(|| text.clone()));
    }
    if let Some(errno) = n.errno.filter(|errno| *errno >= 0) {
        keep(e, id, |s| &mut s.status_errno, errno);
    }
    if let Some(text) = &n.bus_error {
        keep(e, id, |s| &mut s.status_bus_error, Some(text.clone()));
    }
    if let Some(text) = &n.varlink_error {
        keep(e, id, |s| &mut s.status_varlink_error, Some(text.clone()));
    }
}

/// The name of `BusName=` has a new owner (empty: none).
pub(super) fn bus_name(e: &mut Engine, id: UnitId, owner: &str, pid: Option<Pid>) {
    let owned = !owner.is_empty();
    service_mut(e, id).bus_name_owner = owned.then(|| owner.into());
    let state = service(e, id).state;
    if config::kind(&settings(e, id)) == ServiceType::Dbus {
        match state {
            State::Start if owned && !service(e, id).pending_main() => {
                return start::enter_start_post(e, id);
            }
            State::Running if !owned => {
                return start::enter_running(e, id, super::ServiceResult::Success);
            }
            _ => {}
        }
    }
    let live = matches!(state, State::Start | State::StartPost | State::Running) || state.is_reloading();
    if let (true, true, false, Some(pid)) = (owned, live, service(e, id).main_alive(), pid) {
        main_pid::set_main(e, id, pid, true);
    }
}
