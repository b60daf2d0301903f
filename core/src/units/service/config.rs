//! Typed access to the settings of a service.
use super::state::Role;
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::{NEVER, Usec};
use crate::engine::effect::{Command, UnitId};
use crate::engine::event::Exit;
use crate::settings::{DirectiveId, Settings};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// `Type=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ServiceType {
    #[default]
    Simple,
    Exec,
    Forking,
    Oneshot,
    Dbus,
    Notify,
    NotifyReload,
    Idle,
}

impl ServiceType {
    /// The word in unit files.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceType::Simple => "simple",
            ServiceType::Exec => "exec",
            ServiceType::Forking => "forking",
            ServiceType::Oneshot => "oneshot",
            ServiceType::Dbus => "dbus",
            ServiceType::Notify => "notify",
            ServiceType::NotifyReload => "notify-reload",
            ServiceType::Idle => "idle",
        }
    }

    /// Readiness comes with `READY=1`.
    pub fn notifies(self) -> bool {
        matches!(self, ServiceType::Notify | ServiceType::NotifyReload)
    }
}

/// `Type=`, or what follows from the other settings: with `BusName=` dbus, without `ExecStart=` oneshot, else simple.
pub fn kind(s: &Settings) -> ServiceType {
    if !s.is_set(ids::SERVICE_TYPE) {
        return match s {
            _ if s.text(ids::BUS_NAME).is_some() => ServiceType::Dbus,
            _ if s.commands(ids::EXEC_START).is_empty() => ServiceType::Oneshot,
            _ => ServiceType::Simple,
        };
    }
    match s.word(ids::SERVICE_TYPE) {
        "exec" => ServiceType::Exec,
        "forking" => ServiceType::Forking,
        "oneshot" => ServiceType::Oneshot,
        "dbus" => ServiceType::Dbus,
        "notify" => ServiceType::Notify,
        "notify-reload" => ServiceType::NotifyReload,
        "idle" => ServiceType::Idle,
        _ => ServiceType::Simple,
    }
}

/// The row that holds the commands of a role.
pub fn role_row(role: Role) -> DirectiveId {
    match role {
        Role::Condition => ids::EXEC_CONDITION,
        Role::StartPre => ids::EXEC_START_PRE,
        Role::Start => ids::EXEC_START,
        Role::StartPost => ids::EXEC_START_POST,
        Role::Reload => ids::EXEC_RELOAD,
        Role::Stop => ids::EXEC_STOP,
        Role::StopPost => ids::EXEC_STOP_POST,
    }
}

/// The commands of a role.
pub fn commands(s: &Settings, role: Role) -> &[Command] {
    s.commands(role_row(role))
}

/// `TimeoutStartSec=`; oneshots have none by default.
pub fn timeout_start(e: &Engine, id: UnitId) -> Usec {
    timeout_start_of(&e.unit(id).settings)
}

/// See [`timeout_start`].
pub fn timeout_start_of(s: &Settings) -> Usec {
    // What is inherited from the manager's configuration does not count for oneshots.
    if kind(s) == ServiceType::Oneshot && !s.is_set(ids::TIMEOUT_START_SEC) {
        return NEVER;
    }
    s.uint(ids::TIMEOUT_START_SEC)
}

/// `TimeoutStopSec=`.
pub fn timeout_stop(e: &Engine, id: UnitId) -> Usec {
    e.unit(id).settings.uint(ids::TIMEOUT_STOP_SEC)
}

/// `TimeoutAbortSec=`, by default as `TimeoutStopSec=`.
pub fn timeout_abort(e: &Engine, id: UnitId) -> Usec {
    let s = &e.unit(id).settings;
    match s.is_set(ids::TIMEOUT_ABORT_SEC) {
        true => s.uint(ids::TIMEOUT_ABORT_SEC),
        false => s.uint(ids::TIMEOUT_STOP_SEC),
    }
}

/// What is done when a start or stop takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TimeoutMode {
    Terminate,
    Abort,
    Kill,
}

impl TimeoutMode {
    fn parse(word: &str) -> TimeoutMode {
        match word {
            "abort" => TimeoutMode::Abort,
            "kill" => TimeoutMode::Kill,
            _ => TimeoutMode::Terminate,
        }
    }

    /// For the log.
    pub fn what_is_done(self) -> &'static str {
        match self {
            TimeoutMode::Terminate => "Terminating.",
            TimeoutMode::Abort => "Aborting.",
            TimeoutMode::Kill => "Killing.",
        }
    }
}

/// `TimeoutStartFailureMode=`.
pub fn start_failure_mode(s: &Settings) -> TimeoutMode {
    TimeoutMode::parse(s.word(ids::TIMEOUT_START_FAILURE_MODE))
}

/// `TimeoutStopFailureMode=`.
pub fn stop_failure_mode(s: &Settings) -> TimeoutMode {
    TimeoutMode::parse(s.word(ids::TIMEOUT_STOP_FAILURE_MODE))
}

/// Whose notifications are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum NotifyAccess {
    None,
    Main,
    Exec,
    All,
}

impl NotifyAccess {
    /// By the word of `NotifyAccess=` and `NOTIFYACCESS=`.
    pub fn parse(word: &str) -> Option<NotifyAccess> {
        let all = [NotifyAccess::None, NotifyAccess::Main, NotifyAccess::Exec, NotifyAccess::All];
        all.into_iter().find(|access| access.as_str() == word)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            NotifyAccess::None => "none",
            NotifyAccess::Main => "main",
            NotifyAccess::Exec => "exec",
            NotifyAccess::All => "all",
        }
    }
}

/// `NotifyAccess=`; a service that must notify lets its main process do it.
pub fn notify_access(s: &Settings) -> NotifyAccess {
    let implied = kind(s).notifies() || watchdog(s) != 0 || fd_store_max(s) > 0;
    match NotifyAccess::parse(s.word(ids::NOTIFY_ACCESS)) {
        None | Some(NotifyAccess::None) if implied => NotifyAccess::Main,
        configured => configured.unwrap_or(NotifyAccess::None),
    }
}

/// `WatchdogSec=`.
pub fn watchdog(s: &Settings) -> Usec {
    s.uint(ids::WATCHDOG_SEC)
}

/// `FileDescriptorStoreMax=`.
pub fn fd_store_max(s: &Settings) -> usize {
    usize::try_from(s.uint(ids::FILE_DESCRIPTOR_STORE_MAX)).unwrap_or(usize::MAX)
}

/// `FileDescriptorStorePreserve=`: "no", "yes", "restart".
pub fn fd_store_preserve(s: &Settings) -> &'static str {
    s.word(ids::FILE_DESCRIPTOR_STORE_PRESERVE)
}

/// `ExitType=cgroup`.
pub fn exit_type_cgroup(s: &Settings) -> bool {
    s.word(ids::EXIT_TYPE) == "cgroup"
}

/// `OOMPolicy=`; delegated cgroups look after themselves.
pub fn oom_policy(e: &Engine, id: UnitId) -> &'static str {
    let s = &e.unit(id).settings;
    match s.is_set(ids::OOM_POLICY) {
        false if s.delegate().is_some() => "continue",
        _ => s.word(ids::OOM_POLICY),
    }
}

/// `PIDFile=`.
pub fn pid_file(s: &Settings) -> Option<Rc<str>> {
    s.text(ids::PID_FILE).map(Rc::from)
}

/// `RuntimeMaxSec=`.
pub fn runtime_max(s: &Settings) -> Usec {
    match s.uint(ids::RUNTIME_MAX_SEC) {
        _ if kind(s) == ServiceType::Oneshot => NEVER,
        0 => NEVER,
        limit => limit,
    }
}

/// Signals that end a daemon cleanly: SIGHUP, SIGINT, SIGTERM, SIGPIPE (systemd.service(5), "SuccessExitStatus=").
const CLEAN_SIGNALS: [i32; 4] = [1, 2, 15, 13];

/// Whether an exit is a success: status 0, for daemons (not plain commands) an ordinary termination signal, and
/// `SuccessExitStatus=`.
pub fn is_clean(s: &Settings, exit: Exit, daemon: bool) -> bool {
    let (statuses, signals) = s.exit_set(ids::SUCCESS_EXIT_STATUS);
    match exit {
        Exit::Status(0) => true,
        Exit::Status(n) => u8::try_from(n).is_ok_and(|n| statuses.contains(&n)),
        Exit::Killed(n) => (daemon && CLEAN_SIGNALS.contains(&n)) || signals.contains(&n),
        Exit::Dumped(n) => signals.contains(&n),
        Exit::Unknown => true,
    }
}

/// Whether an exit is in a set of statuses and signals.
pub fn matches(s: &Settings, row: DirectiveId, exit: Exit) -> bool {
    let (statuses, signals) = s.exit_set(row);
    match exit {
        Exit::Status(n) => u8::try_from(n).is_ok_and(|n| statuses.contains(&n)),
        Exit::Killed(n) | Exit::Dumped(n) => signals.contains(&n),
        Exit::Unknown => false,
    }
}

/// `RuntimeRandomizedExtraSec=`.
pub fn runtime_extra(s: &Settings) -> Usec {
    s.uint(ids::RUNTIME_RANDOMIZED_EXTRA_SEC)
}

/// `RemainAfterExit=`.
pub fn remain_after_exit(s: &Settings) -> bool {
    s.bool(ids::REMAIN_AFTER_EXIT)
}

/// `GuessMainPID=`.
pub fn guess_main_pid(s: &Settings) -> bool {
    s.bool(ids::GUESS_MAIN_PID)
}

/// `Restart=`.
pub fn restart(s: &Settings) -> &'static str {
    s.word(ids::RESTART)
}

/// `RestartMode=`.
pub fn restart_mode(s: &Settings) -> &'static str {
    s.word(ids::RESTART_MODE)
}

/// `RestartSec=`.
pub fn restart_usec(s: &Settings) -> Usec {
    s.uint(ids::RESTART_SEC)
}

/// `RestartSteps=`.
pub fn restart_steps(s: &Settings) -> u32 {
    u32::try_from(s.uint(ids::RESTART_STEPS)).unwrap_or(u32::MAX)
}

/// `RestartMaxDelaySec=`.
pub fn restart_max_delay(s: &Settings) -> Usec {
    s.uint(ids::RESTART_MAX_DELAY_SEC)
}

/// `ReloadSignal=`.
pub fn reload_signal(s: &Settings) -> i32 {
    i32::try_from(s.int(ids::RELOAD_SIGNAL)).unwrap_or(1)
}

/// `RuntimeDirectory=` is set.
pub fn has_runtime_directory(s: &Settings) -> bool {
    !s.rows(ids::RUNTIME_DIRECTORY).is_empty()
}

/// `RuntimeDirectoryPreserve=`: "no", "yes", "restart".
pub fn runtime_directory_preserve(s: &Settings) -> &'static str {
    s.word(ids::RUNTIME_DIRECTORY_PRESERVE)
}

/// Any credential is passed.
pub fn has_credentials(s: &Settings) -> bool {
    [
        ids::SET_CREDENTIAL,
        ids::SET_CREDENTIAL_ENCRYPTED,
        ids::LOAD_CREDENTIAL,
        ids::LOAD_CREDENTIAL_ENCRYPTED,
        ids::IMPORT_CREDENTIAL,
    ]
    .into_iter()
    .any(|row| s.is_set(row))
}
