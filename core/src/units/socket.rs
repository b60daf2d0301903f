//! Sockets (systemd.socket(5)).
//!
//! # State table
//!
//! | state | what happens | goes to |
//! |---|---|---|
//! | `dead`, `failed` | nothing is open | a start job: `start-pre` |
//! | `start-pre` | `ExecStartPre=` | `start-chown`; failure: `final-sigterm` |
//! | `start-chown` | the descriptors are opened, their files given to `SocketUser=` | `start-post`; failure: `stop-pre-sigterm`, then `failed` |
//! | `start-post` | `ExecStartPost=` | `listening`; failure: `stop-pre-sigterm` |
//! | `listening` | the descriptors are polled | traffic: a start job for the service, `running`; with `Accept=yes` an instance a connection, and it stays |
//! | `running` | the service has the descriptors | the service is down: `listening` |
//! | `stop-pre` | `ExecStopPre=` | `stop-post` |
//! | `stop-pre-sigterm`, `stop-pre-sigkill` | commands are signalled | all gone: `stop-post` |
//! | `stop-post` | all is closed; `ExecStopPost=` | `final-sigterm` |
//! | `final-sigterm`, `final-sigkill` | left-over processes are signalled | `dead` or `failed` |
//!
//! `socket_accept` makes instances for connections, `socket_load` verifies and adds dependencies.
use super::exec::{self, Special, say, say_with};
use super::kill::{self, Operation};
use super::service::{self, Service, ServiceResult};
use super::{ActiveState, LoadProblem, Machine, Refusal, socket_accept, socket_load};
use crate::directives::ids;
use crate::engine::clock::NEVER;
use crate::engine::effect::{ChainId, Effect, Failure, FdId, JobMode, JobType, SocketSpec, Step, UnitId};
use crate::engine::event::{Accepted, ChainError, ChainOutput, Exit, Pid};
use crate::engine::timers::TimerKind;
use crate::engine::{Engine, RateLimit};
use crate::graph::Dependency;
use crate::settings::{DirectiveId, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;

/// `SubState` of sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SocketState {
    #[default]
    Dead,
    StartPre,
    StartChown,
    StartPost,
    Listening,
    Running,
    StopPre,
    StopPreSigterm,
    StopPreSigkill,
    StopPost,
    FinalSigterm,
    FinalSigkill,
    Failed,
    Cleaning,
}

use SocketState::*;

/// `Result` of sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SocketResult {
    #[default]
    Success,
    Resources,
    Timeout,
    ExitCode,
    Signal,
    CoreDump,
    StartLimitHit,
    TriggerLimitHit,
    ServiceStartLimitHit,
}

impl SocketResult {
    /// The word clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            SocketResult::Success => "success",
            SocketResult::Resources => "resources",
            SocketResult::Timeout => "timeout",
            SocketResult::ExitCode => "exit-code",
            SocketResult::Signal => "signal",
            SocketResult::CoreDump => "core-dump",
            SocketResult::StartLimitHit => "start-limit-hit",
            SocketResult::TriggerLimitHit => "trigger-limit-hit",
            SocketResult::ServiceStartLimitHit => "service-start-limit-hit",
        }
    }
}

/// Which chain is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    Command,
    Open,
    Signal,
}

/// Run-time state of a socket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Socket {
    /// Where it is.
    pub state: SocketState,
    /// `Result`.
    pub result: SocketResult,
    /// `CleanResult`.
    pub clean_result: SocketResult,
    /// Descriptors in the order of the `Listen*=` lines.
    pub fds: Vec<FdId>,
    /// `ControlPID`.
    pub control: Option<Pid>,
    /// What the control process runs.
    command: Option<(u8, u16)>,
    pending: Option<(ChainId, Purpose)>,
    /// `NConnections`.
    pub n_connections: u32,
    /// `NAccepted`.
    pub n_accepted: u32,
    /// `NRefused`.
    pub n_refused: u32,
    /// Connections by source, for `MaxConnectionsPerSource=`.
    pub sources: BTreeMap<Rc<str>, u32>,
    pub(super) trigger_limit: RateLimit,
    pub(super) poll_limit: RateLimit,
}

/// Lists of commands, as the control process remembers them.
const COMMANDS: [(DirectiveId, &str); 4] = [
    (ids::EXEC_START_PRE, "ExecStartPre"),
    (ids::EXEC_START_POST, "ExecStartPost"),
    (ids::EXEC_STOP_PRE, "ExecStopPre"),
    (ids::EXEC_STOP_POST, "ExecStopPost"),
];
const START_PRE: u8 = 0;
const START_POST: u8 = 1;
const STOP_PRE: u8 = 2;
const STOP_POST: u8 = 3;

fn socket(e: &Engine, id: UnitId) -> &Socket {
    e.machine::<Socket>(id)
}

fn socket_mut(e: &mut Engine, id: UnitId) -> &mut Socket {
    e.machine_mut::<Socket>(id)
}

pub(super) fn accepts(s: &Settings) -> bool {
    s.bool(ids::ACCEPT)
}

/// The service that traffic starts (not with `Accept=yes`).
fn service_of(e: &Engine, id: UnitId) -> Option<UnitId> {
    let unit = e.unit(id);
    unit.dependencies(Dependency::Triggers)
        .find(|&other| e.unit(other).unit_type() == crate::names::UnitType::Service)
}

/// The descriptors that a service gets, with their name.
pub fn descriptors(e: &Engine, id: UnitId) -> Vec<(FdId, Rc<str>)> {
    let unit = e.unit(id);
    if accepts(&unit.settings) {
        return Vec::new();
    }
    let name: Rc<str> = descriptor_name(&unit.settings).unwrap_or_else(|| unit.name.as_str().into());
    socket(e, id).fds.iter().map(|&fd| (fd, name.clone())).collect()
}

/// `FileDescriptorName=`.
pub(super) fn descriptor_name(s: &Settings) -> Option<Rc<str>> {
    s.text(ids::FILE_DESCRIPTOR_NAME).map(Rc::from)
}

pub use socket_accept::connection_ended;

impl Machine for Socket {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        socket_load::loaded(e, id)
    }

    fn reloaded(e: &mut Engine, id: UnitId) {
        if socket(e, id).state == Listening {
            poll(e, id, true);
        }
    }

    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(socket(e, id).state, Dead | Failed) && e.start_limit_hit(id) {
            enter_dead(e, id, SocketResult::StartLimitHit);
            return Err(Refusal::StartLimit);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match socket(e, id).state {
            Dead | Failed => {}
            StartPre | StartChown | StartPost => return Ok(()),
            Listening | Running => return Err(Refusal::Already),
            _ => return Err(Refusal::Again),
        }
        if let Some(service) = service_of(e, id).filter(|&service| e.is_loaded(service)) {
            let state = e.machine::<Service>(service).state;
            if state.has_processes() {
                let text = format!("Socket service {} already active, refusing.", e.unit(service).name);
                say(e, id, 3, &text);
                return Err(Refusal::Failed);
            }
        }
        e.new_invocation(id);
        let s = socket_mut(e, id);
        s.result = SocketResult::Success;
        run_or(e, id, START_PRE, StartPre, enter_open);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match socket(e, id).state {
            Dead | Failed => return Err(Refusal::Already),
            StartPre | StartChown | StartPost => enter_signal(e, id, StopPreSigterm, SocketResult::Success),
            Listening | Running => enter_stop_pre(e, id, SocketResult::Success),
            _ => {}
        }
        Ok(())
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            Dead => ActiveState::Inactive,
            StartPre | StartChown | StartPost => ActiveState::Activating,
            Listening | Running => ActiveState::Active,
            Failed => ActiveState::Failed,
            Cleaning => ActiveState::Maintenance,
            _ => ActiveState::Deactivating,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            Dead => "dead",
            StartPre => "start-pre",
            StartChown => "start-chown",
            StartPost => "start-post",
            Listening => "listening",
            Running => "running",
            StopPre => "stop-pre",
            StopPreSigterm => "stop-pre-sigterm",
            StopPreSigkill => "stop-pre-sigkill",
            StopPost => "stop-post",
            FinalSigterm => "final-sigterm",
            FinalSigkill => "final-sigkill",
            Failed => "failed",
            Cleaning => "cleaning",
        }
    }

    fn may_collect(&self) -> bool {
        self.n_connections == 0
    }

    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        let Some((_, purpose)) = socket(e, id).pending.filter(|pending| pending.0 == chain) else { return };
        socket_mut(e, id).pending = None;
        match purpose {
            Purpose::Command => command_made(e, id, result),
            Purpose::Open => opened(e, id, result),
            Purpose::Signal => {
                let alive = result.map_or_else(|error| u32::from(error.is_lost()), |output| output.alive);
                if alive > 0 || socket(e, id).control.is_some() {
                    return;
                }
                all_gone(e, id);
            }
        }
    }

    fn process_exited(e: &mut Engine, id: UnitId, pid: Pid, exit: Exit) {
        if socket(e, id).control == Some(pid) {
            command_ended(e, id, exit);
        }
    }

    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        match which {
            TimerKind::State => timed_out(e, id),
            TimerKind::Pause if socket(e, id).state == Listening => poll(e, id, true),
            _ => {}
        }
    }

    fn cgroup_empty(e: &mut Engine, id: UnitId) {
        let s = socket(e, id);
        if s.control.is_none() && s.pending.is_none() {
            all_gone(e, id);
        }
    }

    fn fd_ready(e: &mut Engine, id: UnitId, fd: FdId, hangup: bool) {
        if socket(e, id).state != Listening || !socket(e, id).fds.contains(&fd) {
            return e.emit(Effect::PollFd { fd, on: false, accept: false });
        }
        if !within_poll_limit(e, id) {
            return;
        }
        if hangup && accepts(&e.unit(id).settings) {
            say(
                e,
                id,
                3,
                "Got POLLHUP on a listening socket. The service probably invoked shutdown() on it.",
            );
            return enter_stop_pre(e, id, SocketResult::Resources);
        }
        traffic(e, id);
    }

    fn accepted(e: &mut Engine, id: UnitId, connection: &Accepted) {
        if socket(e, id).state != Listening {
            return e.close_fd(connection.connection);
        }
        if within_poll_limit(e, id) {
            socket_accept::accepted(e, id, connection);
        } else {
            e.close_fd(connection.connection);
        }
    }

    fn triggered(e: &mut Engine, id: UnitId, by: UnitId) {
        service_changed(e, id, by);
    }

    fn trigger_refused(e: &mut Engine, id: UnitId, target: UnitId, failure: &Failure) {
        if accepts(&e.unit(id).settings) {
            return socket_accept::refused(e, target, failure);
        }
        let text = format!("Failed to queue service startup job: {}", failure.message);
        say(e, id, 4, &text);
        enter_stop_pre(e, id, SocketResult::Resources);
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if socket(e, id).state == Failed {
            set_state(e, id, Dead);
        }
        let s = socket_mut(e, id);
        s.result = SocketResult::Success;
        s.clean_result = SocketResult::Success;
    }

    fn removed(e: &mut Engine, id: UnitId) {
        close_all(e, id);
    }

    fn processes(&self) -> (Option<Pid>, Option<Pid>) {
        (None, self.control)
    }

    fn result(&self) -> &'static str {
        self.result.as_str()
    }
}

/// Enter a state; what does not belong to it ends.
fn set_state(e: &mut Engine, id: UnitId, new: SocketState) {
    let old_active = e.unit(id).active_state();
    let old = socket(e, id).state;
    socket_mut(e, id).state = new;
    if matches!(new, Dead | Failed | Listening | Running) {
        e.disarm(id, TimerKind::State);
        drop_control(e, id);
    }
    if new != Listening {
        e.disarm(id, TimerKind::Pause);
        if old == Listening {
            poll(e, id, false);
        }
    }
    if matches!(new, Dead | StartPre | StopPost | FinalSigterm | FinalSigkill | Failed) {
        close_all(e, id);
    }
    if old != new {
        let (from, to) = (old, e.unit(id).sub_state());
        say(e, id, 7, &format!("Changed {from:?} -> {to}"));
    }
    e.state_changed(id, old_active);
}

fn note(e: &mut Engine, id: UnitId, result: SocketResult) {
    let s = socket_mut(e, id);
    if s.result == SocketResult::Success {
        s.result = result;
    }
}

fn drop_control(e: &mut Engine, id: UnitId) {
    if let Some((chain, _)) = socket_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    let s = socket_mut(e, id);
    s.command = None;
    if let Some(pid) = s.control.take() {
        e.unwatch_pid(pid);
    }
}

fn arm_timeout(e: &mut Engine, id: UnitId) {
    let span = e.unit(id).settings.uint(ids::TIMEOUT_SEC);
    if span == NEVER { e.disarm(id, TimerKind::State) } else { e.arm_in(id, TimerKind::State, span) }
}

/// Run the first command of a list in `state`, or go on at once when there is none.
fn run_or(e: &mut Engine, id: UnitId, list: u8, state: SocketState, next: fn(&mut Engine, UnitId)) {
    drop_control(e, id);
    if e.unit(id).settings.commands(COMMANDS[usize::from(list)].0).is_empty() {
        return next(e, id);
    }
    run(e, id, list, 0);
    set_state(e, id, state);
}

fn run(e: &mut Engine, id: UnitId, list: u8, index: u16) {
    let (row, role) = COMMANDS[usize::from(list)];
    let cfg = e.unit(id).settings.clone();
    let Some(command) = cfg.commands(row).get(usize::from(index)).cloned() else { return };
    arm_timeout(e, id);
    let fds = match cfg.bool(ids::PASS_FILE_DESCRIPTORS_TO_EXEC) && list != START_PRE {
        true => descriptors(e, id),
        false => Vec::new(),
    };
    let special = Special { sockets: fds.len(), fds, control_cgroup: true, ..Special::default() };
    let steps = exec::steps(e, id, command, role, special, true);
    let chain = e.chain(id, steps);
    let s = socket_mut(e, id);
    s.pending = Some((chain, Purpose::Command));
    s.command = Some((list, index));
}

fn command_made(e: &mut Engine, id: UnitId, result: Result<ChainOutput, ChainError>) {
    match result {
        Ok(ChainOutput { pid: Some(pid), .. }) => {
            socket_mut(e, id).control = Some(pid);
            e.watch_pid(id, pid);
        }
        Err(ChainError { exit_status: Some(status), .. }) => command_ended(e, id, Exit::Status(status)),
        _ => {
            say(e, id, 4, "Failed to run a command of the socket.");
            after_command(e, id, SocketResult::Resources);
        }
    }
}

fn command_ended(e: &mut Engine, id: UnitId, exit: Exit) {
    let Some((list, index)) = socket(e, id).command else { return };
    drop_control(e, id);
    let (row, role) = COMMANDS[usize::from(list)];
    let commands = e.unit(id).settings.commands(row);
    let more = usize::from(index) + 1 < commands.len();
    let ignore = commands.get(usize::from(index)).is_some_and(|command| command.ignore_failure);
    let result = match exit {
        _ if ignore => SocketResult::Success,
        Exit::Status(0) | Exit::Unknown => SocketResult::Success,
        Exit::Status(_) => SocketResult::ExitCode,
        Exit::Killed(_) => SocketResult::Signal,
        Exit::Dumped(_) => SocketResult::CoreDump,
    };
    if let Some((code, _)) = exec::exit_words(exit).filter(|_| result != SocketResult::Success) {
        let text = format!("Control process exited, code={code}, status={}", exec::exit_status_text(exit));
        say_with(e, id, 5, &text, exec::MESSAGE_PROCESS_EXIT, &[("COMMAND", role)]);
    }
    note(e, id, result);
    let orderly = matches!(socket(e, id).state, StartPre | StartPost | StopPre | StopPost);
    if more && orderly && result == SocketResult::Success {
        return run(e, id, list, index + 1);
    }
    after_command(e, id, result);
}

fn after_command(e: &mut Engine, id: UnitId, result: SocketResult) {
    let well = result == SocketResult::Success;
    match socket(e, id).state {
        StartPre if well => enter_open(e, id),
        StartPre => enter_signal(e, id, FinalSigterm, result),
        StartPost if well => enter_listening(e, id),
        StartPost => enter_stop_pre(e, id, result),
        StopPre | StopPreSigterm | StopPreSigkill => enter_stop_post(e, id, result),
        StopPost => enter_signal(e, id, FinalSigterm, result),
        FinalSigterm | FinalSigkill => enter_dead(e, id, result),
        _ => {}
    }
}

/// Open the descriptors.
fn enter_open(e: &mut Engine, id: UnitId) {
    if !socket(e, id).fds.is_empty() {
        return run_or(e, id, START_POST, StartPost, enter_listening);
    }
    drop_control(e, id);
    let settings = e.unit(id).settings.clone();
    let ports: Vec<_> = settings.ports().iter().map(|port| (port.clone(), e.new_fd())).collect();
    let fds: Vec<FdId> = ports.iter().map(|port| port.1).collect();
    for &fd in &fds {
        e.own_fd(fd, id);
    }
    // Its cgroup is made for the first process.
    let cgroup = e.cgroup_path(id);
    let chain = e.chain(id, vec![Step::OpenSocket(Box::new(SocketSpec { settings, ports, cgroup }))]);
    let s = socket_mut(e, id);
    s.pending = Some((chain, Purpose::Open));
    s.fds = fds;
    arm_timeout(e, id);
    set_state(e, id, StartChown);
}

fn opened(e: &mut Engine, id: UnitId, result: Result<ChainOutput, ChainError>) {
    match result {
        Ok(_) => run_or(e, id, START_POST, StartPost, enter_listening),
        Err(error) => {
            say(e, id, 3, &format!("Failed to create listening socket: {}", error.message));
            enter_signal(e, id, StopPreSigterm, SocketResult::Resources);
        }
    }
}

fn enter_listening(e: &mut Engine, id: UnitId) {
    poll(e, id, true);
    set_state(e, id, Listening);
}

fn poll(e: &mut Engine, id: UnitId, on: bool) {
    let accept = accepts(&e.unit(id).settings);
    for fd in socket(e, id).fds.clone() {
        e.emit(Effect::PollFd { fd, on, accept });
    }
}

/// `PollLimit*=`: too busy descriptors are left alone for the rest of the interval.
fn within_poll_limit(e: &mut Engine, id: UnitId) -> bool {
    let now = e.now().monotonic;
    let s = socket_mut(e, id);
    if s.poll_limit.pass(now) {
        return true;
    }
    let until = s.poll_limit.begin.saturating_add(s.poll_limit.interval).saturating_sub(now);
    poll(e, id, false);
    e.arm_in(id, TimerKind::Pause, until.max(1));
    false
}

/// Count one activation; `false` when it is one too many, and the socket fails.
pub(super) fn within_trigger_limit(e: &mut Engine, id: UnitId) -> bool {
    let now = e.now().monotonic;
    if socket_mut(e, id).trigger_limit.pass(now) {
        return true;
    }
    say(e, id, 4, "Trigger limit hit, refusing further activation.");
    enter_stop_pre(e, id, SocketResult::TriggerLimitHit);
    false
}

/// Something came in on a socket whose service takes the descriptors itself.
fn traffic(e: &mut Engine, id: UnitId) {
    if exec::has_job(e, id, &[JobType::Stop]) {
        // Going down: what comes now is not served.
        return poll(e, id, false);
    }
    if !within_trigger_limit(e, id) {
        return;
    }
    let Some(service) = service_of(e, id) else { return };
    let busy = e.unit(service).active_state().is_up_or_activating() && !waits_to_restart(e, service);
    if !busy && !exec::has_job(e, service, &[JobType::Start, JobType::Restart]) {
        e.enqueue_start_by(service, JobType::Start, JobMode::Replace, Some(id));
    }
    set_state(e, id, Running);
}

fn waits_to_restart(e: &Engine, service: UnitId) -> bool {
    !e.machine::<Service>(service).state.has_processes()
}

/// The service changed its state.
fn service_changed(e: &mut Engine, id: UnitId, by: UnitId) {
    if accepts(&e.unit(id).settings) || !matches!(socket(e, id).state, Listening | Running) {
        return;
    }
    if e.unit(by).unit_type() != crate::names::UnitType::Service
        || !e.unit(id).depends(Dependency::Triggers, by)
    {
        return;
    }
    let s = e.machine::<Service>(by);
    if s.state == service::State::Failed && s.result == ServiceResult::StartLimitHit {
        return enter_stop_pre(e, id, SocketResult::ServiceStartLimitHit);
    }
    if !s.state.has_processes() {
        // A start that is queued will take what comes in.
        if socket(e, id).state == Running && !exec::has_job(e, by, &[JobType::Start, JobType::Restart]) {
            enter_listening(e, id);
        }
    } else if socket(e, id).state == Listening && s.state == service::State::Running {
        set_state(e, id, Running);
    }
}

pub(super) fn enter_stop_pre(e: &mut Engine, id: UnitId, result: SocketResult) {
    note(e, id, result);
    run_or(e, id, STOP_PRE, StopPre, |e, id| enter_stop_post(e, id, SocketResult::Success));
}

fn enter_stop_post(e: &mut Engine, id: UnitId, result: SocketResult) {
    note(e, id, result);
    close_all(e, id);
    run_or(e, id, STOP_POST, StopPost, |e, id| {
        enter_signal(e, id, FinalSigterm, SocketResult::Success);
    });
}

fn enter_signal(e: &mut Engine, id: UnitId, state: SocketState, result: SocketResult) {
    note(e, id, result);
    if let Some((chain, _)) = socket_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    let control = socket(e, id).control;
    let operation = match state {
        StopPreSigkill | FinalSigkill => Operation::Kill,
        _ => Operation::Terminate,
    };
    // A socket has processes only while it runs commands.
    let step = control.and_then(|_| kill::step(e, id, operation, None, control));
    set_state(e, id, state);
    match step {
        Some(step) => {
            let chain = e.chain(id, vec![step]);
            socket_mut(e, id).pending = Some((chain, Purpose::Signal));
            arm_timeout(e, id);
        }
        None => all_gone(e, id),
    }
}

fn all_gone(e: &mut Engine, id: UnitId) {
    match socket(e, id).state {
        StopPreSigterm | StopPreSigkill => enter_stop_post(e, id, SocketResult::Success),
        FinalSigterm | FinalSigkill => enter_dead(e, id, SocketResult::Success),
        _ => {}
    }
}

fn timed_out(e: &mut Engine, id: UnitId) {
    let timeout = SocketResult::Timeout;
    let sigkill = kill::send_sigkill(&e.unit(id).settings);
    let sub = e.unit(id).sub_state();
    say(e, id, 4, &format!("State '{sub}' timed out."));
    match socket(e, id).state {
        StartPre => enter_signal(e, id, FinalSigterm, timeout),
        StartChown | StartPost => enter_stop_pre(e, id, timeout),
        StopPre => enter_signal(e, id, StopPreSigterm, timeout),
        StopPreSigterm if sigkill => enter_signal(e, id, StopPreSigkill, timeout),
        StopPreSigterm | StopPreSigkill => enter_stop_post(e, id, timeout),
        StopPost => enter_signal(e, id, FinalSigterm, timeout),
        FinalSigterm if sigkill => enter_signal(e, id, FinalSigkill, timeout),
        FinalSigterm | FinalSigkill => enter_dead(e, id, timeout),
        _ => {}
    }
}

fn enter_dead(e: &mut Engine, id: UnitId, result: SocketResult) {
    note(e, id, result);
    let result = socket(e, id).result;
    if result != SocketResult::Success {
        let text = format!("Failed with result '{}'.", result.as_str());
        say_with(e, id, 4, &text, exec::MESSAGE_UNIT_FAILURE, &[("UNIT_RESULT", result.as_str())]);
    }
    set_state(e, id, if result == SocketResult::Success { Dead } else { Failed });
    exec::unpublish(e, id);
}

fn close_all(e: &mut Engine, id: UnitId) {
    let fds = std::mem::take(&mut socket_mut(e, id).fds);
    if fds.is_empty() {
        return;
    }
    for fd in fds {
        e.close_fd(fd);
    }
    let cfg = e.unit(id).settings.clone();
    if cfg.bool(ids::REMOVE_ON_STOP) {
        let mut paths: Vec<Rc<str>> = cfg.list(ids::SYMLINKS).to_vec();
        paths.extend(
            cfg.ports().iter().filter(|port| port.address.starts_with('/')).map(|p| p.address.clone()),
        );
        e.chain(id, vec![Step::RemovePaths(paths)]);
    }
}
