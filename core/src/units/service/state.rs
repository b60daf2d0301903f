//! The states and results of services, and what a service remembers while it runs.
use super::super::ActiveState;
use super::config::{NotifyAccess, ServiceType};
use crate::engine::clock::{Stamp, Usec};
use crate::engine::effect::{ChainId, FdId, UnitId};
use crate::engine::event::{Exit, Pid};
use crate::engine::record::is_default;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;

/// `SubState` of services (`systemctl --state=help`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum State {
    #[default]
    Dead,
    Condition,
    StartPre,
    Start,
    StartPost,
    Running,
    Exited,
    Reload,
    ReloadSignal,
    ReloadNotify,
    Mounting,
    Stop,
    StopWatchdog,
    StopSigterm,
    StopSigkill,
    StopPost,
    FinalWatchdog,
    FinalSigterm,
    FinalSigkill,
    Failed,
    DeadBeforeAutoRestart,
    FailedBeforeAutoRestart,
    DeadResourcesPinned,
    AutoRestart,
    AutoRestartQueued,
    Cleaning,
}

impl State {
    /// The word clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Dead => "dead",
            State::Condition => "condition",
            State::StartPre => "start-pre",
            State::Start => "start",
            State::StartPost => "start-post",
            State::Running => "running",
            State::Exited => "exited",
            State::Reload => "reload",
            State::ReloadSignal => "reload-signal",
            State::ReloadNotify => "reload-notify",
            State::Mounting => "mounting",
            State::Stop => "stop",
            State::StopWatchdog => "stop-watchdog",
            State::StopSigterm => "stop-sigterm",
            State::StopSigkill => "stop-sigkill",
            State::StopPost => "stop-post",
            State::FinalWatchdog => "final-watchdog",
            State::FinalSigterm => "final-sigterm",
            State::FinalSigkill => "final-sigkill",
            State::Failed => "failed",
            State::DeadBeforeAutoRestart => "dead-before-auto-restart",
            State::FailedBeforeAutoRestart => "failed-before-auto-restart",
            State::DeadResourcesPinned => "dead-resources-pinned",
            State::AutoRestart => "auto-restart",
            State::AutoRestartQueued => "auto-restart-queued",
            State::Cleaning => "cleaning",
        }
    }

    /// The state as jobs and other units see it. `Type=idle` does not hold others up: it counts as active while it starts.
    pub fn active_state(self, kind: ServiceType) -> ActiveState {
        use State::*;
        match self {
            StartPre | Start | StartPost if kind == ServiceType::Idle => ActiveState::Active,
            Dead | DeadBeforeAutoRestart | DeadResourcesPinned => ActiveState::Inactive,
            Condition | StartPre | Start | StartPost | AutoRestart | AutoRestartQueued => {
                ActiveState::Activating
            }
            Running | Exited => ActiveState::Active,
            Reload | ReloadSignal | ReloadNotify => ActiveState::Reloading,
            Mounting => ActiveState::Refreshing,
            Stop | StopWatchdog | StopSigterm | StopSigkill | StopPost | FinalWatchdog | FinalSigterm
            | FinalSigkill => ActiveState::Deactivating,
            Failed | FailedBeforeAutoRestart => ActiveState::Failed,
            Cleaning => ActiveState::Maintenance,
        }
    }

    /// A process of the service may run, or is being waited for.
    pub fn has_processes(self) -> bool {
        use State::*;
        !matches!(
            self,
            Dead | Failed
                | DeadBeforeAutoRestart
                | FailedBeforeAutoRestart
                | DeadResourcesPinned
                | AutoRestart
                | AutoRestartQueued
        )
    }

    /// Going down, in any step of it.
    pub fn is_stopping(self) -> bool {
        self >= State::Stop && self <= State::FinalSigkill
    }

    /// One of the three ways of reloading.
    pub fn is_reloading(self) -> bool {
        matches!(self, State::Reload | State::ReloadSignal | State::ReloadNotify)
    }

    /// The watchdog is armed only here.
    pub fn watchdog_applies(self) -> bool {
        matches!(self, State::StartPost | State::Running | State::Mounting) || self.is_reloading()
    }

    /// A time-out may be running here.
    pub fn has_timer(self) -> bool {
        !matches!(
            self,
            State::Dead
                | State::Exited
                | State::Failed
                | State::DeadBeforeAutoRestart
                | State::FailedBeforeAutoRestart
                | State::DeadResourcesPinned
                | State::AutoRestartQueued
        )
    }
}

/// `Result` of services (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ServiceResult {
    #[default]
    Success,
    Resources,
    Protocol,
    Timeout,
    ExitCode,
    Signal,
    CoreDump,
    Watchdog,
    StartLimitHit,
    OomKill,
    ExecCondition,
    SkipCondition,
}

impl ServiceResult {
    /// The word clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceResult::Success => "success",
            ServiceResult::Resources => "resources",
            ServiceResult::Protocol => "protocol",
            ServiceResult::Timeout => "timeout",
            ServiceResult::ExitCode => "exit-code",
            ServiceResult::Signal => "signal",
            ServiceResult::CoreDump => "core-dump",
            ServiceResult::Watchdog => "watchdog",
            ServiceResult::StartLimitHit => "start-limit-hit",
            ServiceResult::OomKill => "oom-kill",
            ServiceResult::ExecCondition => "exec-condition",
            ServiceResult::SkipCondition => "skip-condition",
        }
    }
}

/// Which list of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Role {
    Condition,
    StartPre,
    Start,
    StartPost,
    Reload,
    Stop,
    StopPost,
}

impl Role {
    /// The directive that lists the commands.
    pub fn directive(self) -> &'static str {
        match self {
            Role::Condition => "ExecCondition",
            Role::StartPre => "ExecStartPre",
            Role::Start => "ExecStart",
            Role::StartPost => "ExecStartPost",
            Role::Reload => "ExecReload",
            Role::Stop => "ExecStop",
            Role::StopPost => "ExecStopPost",
        }
    }
}

/// When a command ran and how it ended: what `ExecMain*` and the last fields of `ExecStart` show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStatus {
    /// Its process, 0 when it never ran.
    pub pid: Pid,
    /// Start.
    pub start: Stamp,
    /// End; unset while it runs.
    pub end: Stamp,
    /// How it ended.
    pub exit: Option<Exit>,
    /// We did not start it: a daemon's own child, which it told us of.
    #[serde(default)]
    pub adopted: bool,
}

impl ExecStatus {
    /// A process that begins now.
    pub fn begin(pid: Pid, at: Stamp) -> ExecStatus {
        ExecStatus { pid, start: at, end: Stamp::default(), exit: None, adopted: false }
    }

    /// A process that somebody else started, seen first now.
    pub fn adopt(pid: Pid, at: Stamp) -> ExecStatus {
        ExecStatus { adopted: true, ..ExecStatus::begin(pid, at) }
    }

    /// When its program took over; unset for what we did not start.
    pub fn handoff(&self) -> Stamp {
        if self.adopted { Stamp::default() } else { self.start }
    }

    /// `si_code` (`CLD_EXITED` 1, `CLD_KILLED` 2, `CLD_DUMPED` 3), 0 while it runs.
    pub fn code(&self) -> i32 {
        match self.exit {
            Some(Exit::Status(_)) => 1,
            Some(Exit::Killed(_)) => 2,
            Some(Exit::Dumped(_)) => 3,
            Some(Exit::Unknown) | None => 0,
        }
    }

    /// `si_status`.
    pub fn status(&self) -> i32 {
        match self.exit {
            Some(Exit::Status(n) | Exit::Killed(n) | Exit::Dumped(n)) => n,
            Some(Exit::Unknown) | None => 0,
        }
    }
}

/// The main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainProcess {
    /// Its id.
    pub pid: Pid,
    /// Not our child: its end is seen only by the cgroup or a pidfd.
    pub alien: bool,
}

/// What the last notifications said about where the service is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum NotifyState {
    #[default]
    Unknown,
    Ready,
    Reloading,
    Stopping,
}

/// Why a chain of this service is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// A control process is being made.
    Control,
    /// The main process is being made.
    Main,
    /// Processes are being signalled in this state.
    Signal,
    /// The PID file is read after the daemon's parent ended.
    PidFileStart,
    /// The PID file is read after `ExecStartPost=`.
    PidFileStartPost,
    /// The PID file is read after a reload.
    PidFileReload,
    /// The PID file is read again because something happened in the cgroup.
    PidFileRetry,
    /// The main process is guessed; then `start-post`.
    GuessStart,
    /// The main process is guessed; then `running`.
    GuessStartPost,
}

/// What is known of a descriptor in the store (`FDSTORE=1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFd {
    /// Its `FDNAME=`.
    pub name: Rc<str>,
    /// It goes when the other side hangs up.
    pub poll: bool,
}

/// A store as a list in the service's record.
fn listed_store<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<FdId, StoredFd>, D::Error> {
    #[derive(Deserialize)]
    struct Listed {
        fd: FdId,
        #[serde(flatten)]
        stored: StoredFd,
    }
    let list = Vec::<Listed>::deserialize(deserializer)?;
    Ok(list.into_iter().map(|listed| (listed.fd, listed.stored)).collect())
}

/// The connection of a service that a socket with `Accept=yes` made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The connection; `None` once the service got it and it was closed here.
    pub fd: Option<FdId>,
    /// The socket unit.
    pub socket: UnitId,
    /// `REMOTE_ADDR` and `REMOTE_PORT`.
    pub remote: Option<(Rc<str>, u16)>,
    /// What the per-source limit counts under.
    pub source: Option<Rc<str>>,
}

/// Run-time state of a service; the settings stand in the unit. A record leaves out what is as in a new one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Where it is.
    #[serde(skip_serializing_if = "is_default")]
    pub state: State,
    /// `Result`.
    #[serde(skip_serializing_if = "is_default")]
    pub result: ServiceResult,
    /// `ReloadResult`.
    #[serde(skip_serializing_if = "is_default")]
    pub reload_result: ServiceResult,
    /// `CleanResult`.
    #[serde(skip_serializing_if = "is_default")]
    pub clean_result: ServiceResult,
    /// The main process, while it runs.
    #[serde(skip_serializing_if = "is_default")]
    pub main: Option<MainProcess>,
    /// The main process is (or was) known, so that its absence means it ended.
    #[serde(skip_serializing_if = "is_default")]
    pub main_known: bool,
    /// What `ExecMain*` shows.
    #[serde(skip_serializing_if = "is_default")]
    pub main_status: ExecStatus,
    /// Which `ExecStart=` the main process runs (oneshots have several).
    #[serde(skip_serializing_if = "is_default")]
    pub main_command: Option<u16>,
    /// The control process, while it runs.
    #[serde(skip_serializing_if = "is_default")]
    pub control: Option<Pid>,
    /// Which command the control process runs.
    #[serde(skip_serializing_if = "is_default")]
    pub control_command: Option<(Role, u16)>,
    /// How each command that ran ended.
    #[serde(skip_serializing_if = "is_default")]
    pub commands: Vec<(Role, u16, ExecStatus)>,
    /// The chain under way.
    #[serde(skip_serializing_if = "is_default")]
    pub pending: Option<(ChainId, Purpose)>,
    /// The cgroup holds processes, as far as events told.
    #[serde(skip_serializing_if = "is_default")]
    pub populated: bool,
    /// The PID file is awaited: look again when something happens in the cgroup.
    #[serde(skip_serializing_if = "is_default")]
    pub awaiting_pid_file: bool,
    /// No automatic restart: somebody asked for the stop.
    #[serde(skip_serializing_if = "is_default")]
    pub forbid_restart: bool,
    /// An automatic restart is coming (`will_auto_restart`).
    #[serde(skip_serializing_if = "is_default")]
    pub will_auto_restart: bool,
    /// `NRestarts`.
    #[serde(skip_serializing_if = "is_default")]
    pub n_restarts: u32,
    /// Forget `n_restarts` with the next start.
    #[serde(skip_serializing_if = "is_default")]
    pub flush_n_restarts: bool,
    /// Where the service says it is.
    #[serde(skip_serializing_if = "is_default")]
    pub notify_state: NotifyState,
    /// `StatusText`.
    #[serde(skip_serializing_if = "is_default")]
    pub status_text: Option<Rc<str>>,
    /// `StatusErrno`.
    #[serde(skip_serializing_if = "is_default")]
    pub status_errno: i32,
    /// `StatusBusError`.
    #[serde(skip_serializing_if = "is_default")]
    pub status_bus_error: Option<Rc<str>>,
    /// `StatusVarlinkError`.
    #[serde(skip_serializing_if = "is_default")]
    pub status_varlink_error: Option<Rc<str>>,
    /// The unique name that owns `BusName=`.
    #[serde(skip_serializing_if = "is_default")]
    pub bus_name_owner: Option<Rc<str>>,
    /// `WatchdogTimestamp`.
    #[serde(skip_serializing_if = "is_default")]
    pub watchdog_stamp: Stamp,
    /// `WATCHDOG_USEC=` in place of `WatchdogSec=`.
    #[serde(skip_serializing_if = "is_default")]
    pub watchdog_override: Option<Usec>,
    /// `NOTIFYACCESS=` in place of `NotifyAccess=`.
    #[serde(skip_serializing_if = "is_default")]
    pub notify_access_override: Option<NotifyAccess>,
    /// Reloading began (monotonic): an older `MONOTONIC_USEC=` belongs to an earlier reload.
    #[serde(skip_serializing_if = "is_default")]
    pub reload_begin: Usec,
    /// The state's time-out (monotonic), for `EXTEND_TIMEOUT_USEC=`.
    #[serde(skip_serializing_if = "is_default")]
    pub deadline: Option<Usec>,
    /// The random part of `RuntimeRandomizedExtraSec=` for this run.
    #[serde(skip_serializing_if = "is_default")]
    pub runtime_extra: Usec,
    /// Descriptor store, in the order of arrival. Each has a record of its own (`engine::stored`); images before that had a list here.
    #[serde(skip_serializing, deserialize_with = "listed_store")]
    pub fd_store: BTreeMap<FdId, StoredFd>,
    /// The connection it serves.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: Option<Connection>,
    /// The OOM killer was here during this run.
    #[serde(skip_serializing_if = "is_default")]
    pub oom_killed: bool,
    /// The type as it was when the unit was loaded, for the idle table.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: ServiceType,
}

impl Service {
    /// `RestartSec=` is over, and the start job of the next run has not begun.
    pub fn awaits_restart(&self) -> bool {
        self.state == State::AutoRestartQueued
    }

    /// `MainPID`.
    pub fn main_pid(&self) -> Pid {
        self.main.map_or(0, |main| main.pid)
    }

    /// `ControlPID`.
    pub fn control_pid(&self) -> Pid {
        self.control.unwrap_or(0)
    }

    /// How one command fared the last time it ran.
    pub fn command_status(&self, role: Role, index: u16) -> Option<&ExecStatus> {
        self.commands.iter().find(|c| c.0 == role && c.1 == index).map(|c| &c.2)
    }

    /// Where the status of one command is kept.
    pub fn command_status_mut(&mut self, role: Role, index: u16) -> &mut ExecStatus {
        let at = match self.commands.iter().position(|c| c.0 == role && c.1 == index) {
            Some(at) => at,
            None => {
                self.commands.push((role, index, ExecStatus::default()));
                self.commands.len() - 1
            }
        };
        &mut self.commands[at].2
    }

    /// A main process runs (or is being made).
    pub fn main_alive(&self) -> bool {
        self.main.is_some() || matches!(self.pending, Some((_, Purpose::Main)))
    }

    /// The main process is being made.
    pub fn pending_main(&self) -> bool {
        matches!(self.pending, Some((_, Purpose::Main)))
    }

    /// A control process runs (or is being made).
    pub fn control_alive(&self) -> bool {
        self.control.is_some() || matches!(self.pending, Some((_, Purpose::Control)))
    }
}
