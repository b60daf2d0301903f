//! Services (systemd.service(5)).
//!
//! # State table
//!
//! | state | what runs | goes to |
//! |---|---|---|
//! | `dead`, `failed` | nothing | a start job: `condition` |
//! | `condition` | `ExecCondition=` | all 0: `start-pre`; 1..254: `stop-sigterm` with `skip-condition`; else with `exec-condition` |
//! | `start-pre` | `ExecStartPre=` | all succeed: `start`; failure: `stop-sigterm` |
//! | `start` | `ExecStart=` | simple, idle: at once `start-post`; exec: when execve succeeded; forking: when its parent ended (and the PID file is there); oneshot: when all commands ended; dbus: when the name is owned; notify: on `READY=1` |
//! | `start-post` | `ExecStartPost=` | `running`, or `exited`/`stop` when nothing is left; failure: `stop-sigterm` (or `stop`) |
//! | `running` | the main process | it ended: `exited` with `RemainAfterExit=`, else `stop`; `RuntimeMaxSec=`: `stop` |
//! | `exited` | nothing (perhaps a left-over process) | a stop job: `stop` |
//! | `reload` | `ExecReload=` | `running` (the result stands in `ReloadResult`), `reload-notify` |
//! | `reload-signal` | `ReloadSignal=` was sent | `RELOADING=1` with a fresh `MONOTONIC_USEC=`: `reload-notify`; time-out: `running` |
//! | `reload-notify` | the service reloads | `READY=1`: `running`; time-out: `running` |
//! | `stop` | `ExecStop=` | `stop-sigterm` |
//! | `stop-watchdog` | `WatchdogSignal=` was sent | all gone: `stop-post`; time-out: `stop-sigkill` |
//! | `stop-sigterm` | `KillSignal=` was sent | all gone: `stop-post`; time-out: `stop-sigkill` (or `stop-watchdog`, or `stop-post`) |
//! | `stop-sigkill` | `FinalKillSignal=` was sent | all gone or time-out: `stop-post` |
//! | `stop-post` | `ExecStopPost=` | `final-sigterm` |
//! | `final-watchdog`, `final-sigterm` | left-over processes are signalled | all gone: end; time-out: `final-sigkill` |
//! | `final-sigkill` | likewise | end |
//! | end | | `dead`, `failed`, or (`Restart=`) for an instant `dead-before-auto-restart`/`failed-before-auto-restart` (not with `RestartMode=direct`), then `auto-restart`; `dead-resources-pinned` instead of `dead` while the descriptor store is kept |
//! | `auto-restart` | nothing; `RestartSec=` runs | `auto-restart-queued` |
//! | `auto-restart-queued` | nothing; a start job is queued | `condition` |
//! | `cleaning` | directories are removed | `dead` |
//!
//! Every state that waits for a process has a time-out (`TimeoutStartSec=`, `TimeoutStopSec=`, `TimeoutAbortSec=`).
//!
//! | file | what it decides |
//! |---|---|
//! | `state` | states, results, what is remembered |
//! | `config` | typed access to the settings |
//! | `load` | verification, implied and default dependencies |
//! | `start` | start jobs up to `running` |
//! | `reload` | reload jobs |
//! | `stop` | stop jobs, signals, the end |
//! | `restart` | whether and when it starts again |
//! | `exit` | processes that ended, the cgroup, OOM |
//! | `timeout` | time-outs and the watchdog |
//! | `main_pid` | PID files, guessing, `MAINPID=` |
//! | `notify` | sd_notify(3), bus names |
//! | `fdstore` | the descriptor store and the descriptors a start passes on |
pub mod config;
mod exit;
mod fdstore;
mod load;
mod main_pid;
mod notify;
mod reload;
mod restart;
mod start;
mod state;
mod stop;
#[cfg(test)]
mod tests;
mod timeout;

pub use config::ServiceType;
pub use fdstore::{
    clear as clear_fd_store, close_connection as drop_connection, to_pass as descriptors_to_pass,
};
pub use notify::notify_access;
pub use restart::next_delay;
pub use start::take_connection;
pub use state::{
    Connection, ExecStatus, MainProcess, NotifyState, Purpose, Role, Service, ServiceResult, State, StoredFd,
};
pub use timeout::watchdog_limit;

use super::{ActiveState, LoadProblem, Machine, Refusal, exec};
use crate::engine::Engine;
use crate::engine::clock::{Clock, NEVER, Usec};
use crate::engine::effect::{ChainId, Effect, Failure, FdId, JobType, Step, UnitId};
use crate::engine::event::{ChainError, ChainOutput, Exit, Notify, Pid};
use crate::engine::timers::TimerKind;
use crate::settings::Settings;

impl Machine for Service {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        load::loaded(e, id)
    }
    fn reloaded(e: &mut Engine, id: UnitId) {
        fdstore::poll_again(e, id);
        main_pid::watch_again(e, id);
    }
    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        start::can_start(e, id)
    }
    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        start::start(e, id)
    }
    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        stop::stop(e, id)
    }
    fn reload(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        reload::reload(e, id)
    }
    fn can_reload(e: &Engine, id: UnitId) -> bool {
        reload::can_reload(e, id)
    }
    fn active_state(&self) -> ActiveState {
        self.state.active_state(self.kind)
    }
    fn sub_state(&self) -> &'static str {
        self.state.as_str()
    }
    fn may_collect(&self) -> bool {
        self.fd_store.is_empty() && self.main.is_none() && self.control.is_none()
    }
    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        chain_done(e, id, chain, result);
    }
    fn process_exited(e: &mut Engine, id: UnitId, pid: Pid, exit: Exit) {
        exit::process_exited(e, id, pid, exit);
    }
    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        timeout::timer(e, id, which);
    }
    fn cgroup_empty(e: &mut Engine, id: UnitId) {
        exit::cgroup_empty(e, id);
    }
    fn cgroup_oom(e: &mut Engine, id: UnitId, managed: bool) {
        exit::cgroup_oom(e, id, managed);
    }
    fn fd_ready(e: &mut Engine, id: UnitId, fd: FdId, hangup: bool) {
        fdstore::fd_ready(e, id, fd, hangup);
    }
    fn path_triggered(e: &mut Engine, id: UnitId, _: u32) {
        main_pid::pid_file_appeared(e, id);
    }
    fn notify(e: &mut Engine, id: UnitId, message: &Notify) {
        notify::notify(e, id, message);
    }
    fn bus_name(e: &mut Engine, id: UnitId, owner: &str, pid: Option<Pid>) {
        notify::bus_name(e, id, owner, pid);
    }
    fn trigger_refused(e: &mut Engine, id: UnitId, target: UnitId, failure: &Failure) {
        restart::refused(e, id, target, failure);
    }
    fn reset_failed(e: &mut Engine, id: UnitId) {
        stop::reset_failed(e, id);
    }
    fn removed(e: &mut Engine, id: UnitId) {
        fdstore::clear(e, id);
        fdstore::close_connection(e, id);
    }
    fn processes(&self) -> (Option<Pid>, Option<Pid>) {
        (self.main.map(|main| main.pid), self.control)
    }
    fn result(&self) -> &'static str {
        self.result.as_str()
    }
    fn exit_status(&self) -> Option<u8> {
        match self.main_status.exit {
            Some(Exit::Status(status)) => u8::try_from(status).ok(),
            _ => None,
        }
    }
}

fn stop_job_pending(e: &Engine, id: UnitId) -> bool {
    exec::has_job(e, id, &[JobType::Stop])
}

fn restart_job_pending(e: &Engine, id: UnitId) -> bool {
    exec::has_job(e, id, &[JobType::Restart, JobType::TryRestart])
}

fn service(e: &Engine, id: UnitId) -> &Service {
    e.machine::<Service>(id)
}

fn service_mut(e: &mut Engine, id: UnitId) -> &mut Service {
    e.machine_mut::<Service>(id)
}

fn settings(e: &Engine, id: UnitId) -> Settings {
    e.unit(id).settings.clone()
}

/// To change what is not shown, or of whose change no signal tells.
fn service_unannounced(e: &mut Engine, id: UnitId) -> &mut Service {
    e.machine_unannounced::<Service>(id)
}

/// Enter a state: what does not belong to it ends, and everybody who waits is told.
fn set_state(e: &mut Engine, id: UnitId, new: State) {
    let old_active = service(e, id).active_state();
    let old = service(e, id).state;
    service_mut(e, id).state = new;
    if !new.has_timer() {
        disarm_state_timer(e, id);
    }
    if !new.watchdog_applies() {
        e.disarm(id, TimerKind::Watchdog);
    }
    if !new.has_processes() {
        forget_processes(e, id);
    }
    if old != new {
        exec::say(e, id, 7, &format!("Changed {} -> {}", old.as_str(), new.as_str()));
    }
    let reload_ok = service(e, id).reload_result == ServiceResult::Success;
    e.state_changed_by_reload(id, old_active, reload_ok);
}

/// No process of the service is of interest any more.
fn forget_processes(e: &mut Engine, id: UnitId) {
    cancel_pending(e, id);
    drop_control(e, id);
    drop_main(e, id);
    let s = service_mut(e, id);
    s.main_command = None;
    s.awaiting_pid_file = false;
    // The engine lets the cgroup go with the unit: the next start makes it anew.
    s.populated = false;
    fdstore::close_connection(e, id);
}

/// Stop watching the control process.
fn drop_control(e: &mut Engine, id: UnitId) {
    if matches!(service(e, id).pending, Some((_, Purpose::Control))) {
        cancel_pending(e, id);
    }
    let s = service_mut(e, id);
    s.control_command = None;
    if let Some(pid) = s.control.take() {
        e.unwatch_pid(pid);
    }
}

/// Stop watching the main process.
fn drop_main(e: &mut Engine, id: UnitId) {
    if let Some(main) = service_mut(e, id).main.take() {
        e.unwatch_pid_of(id, main.pid);
        if main.alien && !e.is_watched(main.pid) {
            e.emit(Effect::UnwatchProcess(main.pid));
        }
    }
}

/// Forget the chain under way.
fn cancel_pending(e: &mut Engine, id: UnitId) {
    if let Some((chain, _)) = service_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
}

/// Begin a chain; one at a time, so that an earlier one is forgotten.
fn begin_chain(e: &mut Engine, id: UnitId, purpose: Purpose, steps: Vec<Step>) {
    cancel_pending(e, id);
    let chain = e.chain(id, steps);
    service_mut(e, id).pending = Some((chain, purpose));
}

/// Keep the first failure: it is the reason that clients see.
fn note_result(e: &mut Engine, id: UnitId, result: ServiceResult) {
    let s = service_mut(e, id);
    if s.result == ServiceResult::Success {
        s.result = result;
    }
}

/// (Re)start the state's time-out.
fn arm_state_timer(e: &mut Engine, id: UnitId, after: Usec) {
    if after == NEVER {
        return disarm_state_timer(e, id);
    }
    let at = e.now().monotonic.saturating_add(after);
    e.arm(id, TimerKind::State, Clock::Monotonic, at);
    service_unannounced(e, id).deadline = Some(at);
}

fn disarm_state_timer(e: &mut Engine, id: UnitId) {
    e.disarm(id, TimerKind::State);
    service_unannounced(e, id).deadline = None;
}

/// The commands of a role.
fn commands(e: &Engine, id: UnitId, role: Role) -> usize {
    config::commands(&e.unit(id).settings, role).len()
}

/// Run a control process: command `index` of `role`, with a time-out.
fn spawn_control(e: &mut Engine, id: UnitId, role: Role, index: u16, timeout: Usec) {
    drop_control(e, id);
    arm_state_timer(e, id, timeout);
    let steps = exec::service_steps(e, id, role, index, false);
    begin_chain(e, id, Purpose::Control, steps);
    let s = service_mut(e, id);
    s.control_command = Some((role, index));
    s.populated = true;
}

/// Run the main process: `ExecStart=` number `index`.
fn spawn_main(e: &mut Engine, id: UnitId, index: u16, timeout: Usec) {
    drop_main(e, id);
    arm_state_timer(e, id, timeout);
    let steps = exec::service_steps(e, id, Role::Start, index, true);
    begin_chain(e, id, Purpose::Main, steps);
    let s = service_mut(e, id);
    s.main_command = Some(index);
    s.main_known = false;
    s.populated = true;
}

/// A chain that this service began has ended.
fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
    let purpose = match service(e, id).pending {
        Some((pending, purpose)) if pending == chain => purpose,
        _ => return,
    };
    service_mut(e, id).pending = None;
    match purpose {
        Purpose::Control => start::control_made(e, id, result),
        Purpose::Main => start::main_made(e, id, result),
        Purpose::Signal => stop::signalled(e, id, result),
        Purpose::PidFileStart
        | Purpose::PidFileStartPost
        | Purpose::PidFileReload
        | Purpose::PidFileRetry => main_pid::pid_file_read(e, id, purpose, result),
        Purpose::GuessStart | Purpose::GuessStartPost => main_pid::guessed(e, id, purpose, result),
    }
}
