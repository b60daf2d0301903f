//! What the manager can cause. Effects carry no protocol bytes; the shell executes them in order.
use super::clock::Usec;
use super::event::Pid;
use crate::names::UnitName;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// A call of a client that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// A chain of steps under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainId(pub u64);

/// A descriptor the shell holds for the engine. Ids are given out by whoever makes the descriptor:
/// the engine for what it opens (even numbers), the shell for what arrives (odd numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FdId(pub u64);

/// Index of a unit in the engine; stable while the unit is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId(pub u32);

/// A job's number, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u32);

/// One thing to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Read these units' files and answer with `Event::Loaded`.
    Load(Vec<UnitName>),
    /// Evaluate these (lines of `Condition*=` and `Assert*=`) and answer with `Event::Conditions`.
    CheckConditions {
        /// For this unit.
        unit: UnitName,
        /// `(directive name, value)` with specifiers expanded.
        conditions: Vec<(Rc<str>, Rc<str>)>,
        /// Likewise the asserts.
        asserts: Vec<(Rc<str>, Rc<str>)>,
    },
    /// Do these one after the other; the first failure ends it; answer with `Event::ChainDone`.
    Chain {
        /// Comes back with the result.
        chain: ChainId,
        /// On whose behalf.
        unit: UnitName,
        /// What.
        steps: Vec<Step>,
    },
    /// Forget a chain: what it still does is undone or ignored, and no result comes.
    CancelChain(ChainId),
    /// Close a descriptor, and take it out of the poll set.
    CloseFd(FdId),
    /// Start or stop polling a descriptor for input (`Event::FdReady`).
    PollFd {
        /// Which.
        fd: FdId,
        /// Poll or not.
        on: bool,
        /// Accept connections and report them with `Event::Accepted` rather than report readiness.
        accept: bool,
    },
    /// Tell when this process, which is not our child, has ended: by `Event::ProcessExited`. Once more if it is watched already.
    WatchProcess(Pid),
    /// No longer.
    UnwatchProcess(Pid),
    /// Watch paths for a path unit (replaces its earlier watches; empty: none).
    WatchPaths {
        /// The path unit.
        unit: UnitName,
        /// What to watch.
        specs: Vec<PathSpec>,
    },
    /// Look whether the path conditions hold now; answer with `Event::PathChecked`.
    CheckPaths {
        /// The path unit.
        unit: UnitName,
        /// What to check.
        specs: Vec<PathSpec>,
    },
    /// Read the file of a time zone; answer with `Event::TimeZone`. The name has no `..` and does not begin with a slash.
    ReadZone(Rc<str>),
    /// Touch the stamp file of a persistent timer.
    TouchStamp {
        /// The timer.
        unit: UnitName,
        /// New modification time.
        at: Usec,
    },
    /// Remove empty cgroups of a unit that is down.
    ReleaseCgroup {
        /// The unit, which may be out of memory by then.
        unit: UnitName,
        /// Relative path.
        cgroup: Rc<str>,
    },
    /// Remove `RuntimeDirectory=` and its like, namespaces' temporary directories, credentials.
    CleanUp {
        /// The unit, which may be out of memory by then.
        unit: UnitName,
        /// Its settings.
        settings: Settings,
        /// What.
        what: CleanUp,
    },
    /// Write (or with `None` remove) a file or link below `RUNROOT/systemd`, for people and clients.
    RunTree {
        /// Path relative to the run root ("systemd/units/invocation:a.service").
        path: Rc<str>,
        /// What it shall be.
        entry: Option<RunEntry>,
    },
    /// Answer a client.
    Reply {
        /// Which call.
        call: CallId,
        /// The answer.
        result: Result<Response, Failure>,
    },
    /// Tell subscribers.
    Announce(Announcement),
    /// A line for the log, about a unit.
    Log(LogLine),
    /// Console status line (`[  OK  ] Started ...`).
    Status {
        /// What stands in the brackets, if any.
        mark: StatusMark,
        /// The text.
        text: Rc<str>,
    },
    /// Write the drop-ins that a client's `SetUnitProperties` asks for: each assignment of `text` (lines with their
    /// section headers) into `NAME.d/50-PROPERTY.conf` below `system.control`. A `Load` follows.
    WriteDropin {
        /// The unit.
        unit: UnitName,
        /// Below the run root, until the next boot; else below `/etc`.
        runtime: bool,
        /// The assignments.
        text: Rc<str>,
    },
    /// Hand a bus name's start to the bus, or answer its activation request (`ActivationRequest` failed).
    ActivationFailed {
        /// The unit, as the bus named it.
        name: Rc<str>,
        /// The reference's error name.
        error: &'static str,
        /// Why.
        message: Rc<str>,
    },
    /// Follow who owns a bus name (`BusName=`), beginning with who owns it now; or no longer.
    WatchBusName {
        /// The bus name.
        name: Rc<str>,
        /// Follow, or no longer.
        on: bool,
    },
    /// Answer the kernel's autofs.
    AutomountAnswer {
        /// Its pipe.
        fd: FdId,
        /// Tokens to answer.
        tokens: Vec<u32>,
        /// 0 or an errno.
        errno: i32,
    },
    /// Let the kernel look whether what is mounted behind this autofs pipe is idle; it answers with a request.
    AutomountExpire(FdId),
    /// Run the generators and list the unit directories anew; answer with `Event::GeneratorsDone`.
    RunGenerators,
    /// Execute ourselves again, keeping everything (`daemon-reexec`), once the calls are answered.
    Reexec,
    /// Leave: the last stage of a shutdown or the end of a user manager.
    Exit(Exit),
    /// Change log level, environment, status output and the like of the shell.
    Configure(Setting),
}

impl Effect {
    /// Whether it only tells somebody what happened, and may wait for what is to be done.
    pub fn is_said(&self) -> bool {
        matches!(self, Effect::Announce(_) | Effect::Reply { .. })
    }
}

/// A step of a chain.
#[derive(Debug, Clone)]
pub enum Step {
    /// Make the cgroup (and its parents) and write its attributes.
    Cgroup(CgroupSpec),
    /// Run a process.
    Spawn(Box<SpawnSpec>),
    /// Open and bind descriptors of a socket unit.
    OpenSocket(Box<SocketSpec>),
    /// Adopt processes into the cgroup (scopes, `AttachProcessesToUnit`).
    Attach {
        /// Relative cgroup path.
        cgroup: Rc<str>,
        /// Who.
        pids: Vec<Pid>,
    },
    /// Signal processes; `ChainOutput::alive` says how many are left.
    Kill(KillSpec),
    /// Read and verify a PID file (systemd.service(5) `PIDFile=`).
    ReadPidFile {
        /// Absolute path.
        path: Rc<str>,
        /// The unit's cgroup: the process must be in it, else the file must belong to root.
        cgroup: Option<Rc<str>>,
    },
    /// Guess the main process of a forking service (`GuessMainPID=`): the only process of the cgroup, apart from
    /// descendants of others in it; `ChainOutput::pid_file` and `ChainOutput::is_child` say what was found.
    GuessMainPid {
        /// Relative cgroup path.
        cgroup: Rc<str>,
    },
    /// Read when the stamp file of a persistent timer was touched (`ChainOutput::stamp`).
    ReadStamp,
    /// Make a directory (and parents) for a path unit (`MakeDirectory=`).
    MakeDirectory {
        /// Absolute path.
        path: Rc<str>,
        /// Mode.
        mode: u32,
    },
    /// Make what a mount unit mounts on. That it cannot be made is told, and left to mount(8).
    MakeMountPoint {
        /// Absolute path.
        path: Rc<str>,
        /// What a bind mount shows there: it decides between file and directory, and is made when it is missing.
        source: Option<Rc<str>>,
        /// Mode of the directories that are made.
        mode: u32,
    },
    /// Mount autofs; the pipe becomes `fd`.
    MountAutofs {
        /// Where.
        path: Rc<str>,
        /// Mode of the mount point when it is made.
        mode: u32,
        /// Extra options.
        options: Rc<str>,
        /// Expire after this, 0: never.
        idle: Usec,
        /// The pipe.
        fd: FdId,
    },
    /// Unmount (umount2(2)), for automounts and clean-up; mount units use umount(8).
    Unmount {
        /// Where.
        path: Rc<str>,
    },
    /// Write a run-time file as part of a chain.
    RunTree {
        /// See [`Effect::RunTree`].
        path: Rc<str>,
        /// See [`Effect::RunTree`].
        entry: Option<RunEntry>,
    },
    /// Freeze or thaw a cgroup.
    Freeze {
        /// Relative path.
        cgroup: Rc<str>,
        /// Freeze (else thaw).
        on: bool,
    },
    /// Remove `RemoveOnStop=` paths, `Symlinks=`.
    RemovePaths(Vec<Rc<str>>),
    /// Unlink a PID file.
    RemovePidFile(Rc<str>),
}

/// What cgroup to make.
#[derive(Debug, Clone, Default)]
pub struct CgroupSpec {
    /// Path relative to the manager's root ("/system.slice/a.service").
    pub path: Rc<str>,
    /// Attribute file and what to write, in order; refused ones weaken (ledger).
    pub attributes: Vec<(Rc<str>, Rc<str>)>,
    /// Controllers that it needs, enabled in the cgroups above it.
    pub controllers: Vec<Rc<str>>,
    /// `Delegate=`: owned by the unit's user.
    pub delegate: bool,
    /// Watch for it becoming empty (`Event::CgroupEmpty`).
    pub watch: bool,
}

/// Everything needed to compile a spawn plan (`core/plan`); the shell adds what only the host knows.
#[derive(Debug, Clone)]
pub struct SpawnSpec {
    /// The unit.
    pub unit: UnitName,
    /// Its settings: the execution rows (systemd.exec(5)) are read from here.
    pub settings: Settings,
    /// What to execute.
    pub command: Command,
    /// Which of the unit's commands this is ("ExecStart", "ExecStartPre" ...), for messages and credentials.
    pub role: &'static str,
    /// Invocation id, 32 hex digits.
    pub invocation: Rc<str>,
    /// Its cgroup (relative); with `subgroup` for control processes of delegated units (".control").
    pub cgroup: Option<Rc<str>>,
    /// See `cgroup`.
    pub subgroup: Option<Rc<str>>,
    /// What it shares with others of the unit.
    pub shared: Option<super::shared::Shared>,
    /// Descriptors to pass (from 3 on), with their names for `LISTEN_FDNAMES`.
    pub fds: Vec<(FdId, Rc<str>)>,
    /// How many of `fds`, the first ones, are those of sockets: `NonBlocking=` is for them alone.
    pub socket_fds: usize,
    /// The descriptor for `StandardInput=socket`.
    pub socket: Option<FdId>,
    /// Extra environment: `MAINPID`, `SERVICE_RESULT`, `WATCHDOG_USEC`, `MONITOR_*`, `TRIGGER_*`, `REMOTE_*`.
    pub environment: Vec<(Rc<str>, Rc<str>)>,
    /// Pass `NOTIFY_SOCKET`.
    pub notify: bool,
    /// Pass `WATCHDOG_PID` with `WATCHDOG_USEC`.
    pub watchdog_usec: Option<Usec>,
    /// Apply sandboxing and credentials (false for commands with `+`).
    pub full_privileges: bool,
    /// It is the main process.
    pub is_main: bool,
    /// Wait with the result until execve succeeded (`Type=exec`, or to report 203 at once).
    pub wait_exec: bool,
    /// Descriptors that a client gave for standard input, output and error.
    pub stdio: [Option<FdId>; 3],
    /// `Type=idle`: wait for the idle pipe (at most 5 s).
    pub idle: bool,
}

/// A parsed command line (systemd.service(5), "Command lines").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The executable: absolute, or to be searched.
    pub path: Rc<str>,
    /// argv, argv\[0\] included; variables are not expanded yet.
    pub argv: Rc<[Rc<str>]>,
    /// `-`: failure is success.
    pub ignore_failure: bool,
    /// `+`: with full privileges.
    pub full_privileges: bool,
    /// `!` or `!!`: credentials are not changed by us.
    pub no_setuid: bool,
    /// `:`: no environment substitution.
    pub no_env_expand: bool,
    /// `|`: through the user's shell.
    pub via_shell: bool,
}

/// Descriptors of a socket unit.
#[derive(Debug, Clone)]
pub struct SocketSpec {
    /// The unit's settings (`SocketUser=`, `Backlog=` ...).
    pub settings: Settings,
    /// What to listen on, with the id each gets.
    pub ports: Vec<(ListenPort, FdId)>,
    /// Its cgroup, for BPF-free accounting and `SO_PASS*`.
    pub cgroup: Option<Rc<str>>,
}

/// One `Listen*=` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenPort {
    /// "Stream", "Datagram", "SequentialPacket", "FIFO", "Special", "Netlink", "MessageQueue", "USBFunction".
    pub kind: Rc<str>,
    /// The address, as written back on the bus.
    pub address: Rc<str>,
}

/// Whom to signal.
#[derive(Debug, Clone, Default)]
pub struct KillSpec {
    /// The unit's cgroup (relative).
    pub cgroup: Option<Rc<str>>,
    /// Whole cgroup, or only the processes named (`KillMode=`).
    pub whole_cgroup: bool,
    /// Main process.
    pub main: Option<Pid>,
    /// Control process.
    pub control: Option<Pid>,
    /// For `KillMode=mixed`: signal for main and control; the others get `cgroup_signal`.
    pub signal: i32,
    /// Signal for the rest of the cgroup (0: none).
    pub cgroup_signal: i32,
    /// Also `SIGHUP` (`SendSIGHUP=`).
    pub hup: bool,
    /// Also `SIGCONT`.
    pub cont: bool,
    /// Never signal these.
    pub spare: Vec<Pid>,
    /// Value to queue (sigqueue(3)), for `QueueSignalUnit`.
    pub value: Option<i32>,
    /// Relative cgroup path below the unit's, for `KillUnitSubgroup`.
    pub subgroup: Option<Rc<str>>,
}

/// A `PathExists=` (and so on) line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSpec {
    /// "PathExists", "PathExistsGlob", "PathChanged", "PathModified", "DirectoryNotEmpty".
    pub kind: Rc<str>,
    /// The path.
    pub path: Rc<str>,
}

/// What is removed when a unit goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanUp {
    /// `RuntimeDirectory=` (unless preserved).
    RuntimeDirectories,
    /// `PrivateTmp=` directories.
    Namespace,
    /// `/run/credentials/UNIT`.
    Credentials,
    /// Where mounts that are propagated into its namespace arrive.
    Propagation,
    /// The uid of `DynamicUser=`.
    DynamicUser,
    /// `CleanUnit` of a client: bit mask of runtime 1, state 2, cache 4, logs 8, configuration 16, fdstore 32.
    Directories(u32),
}

/// An entry in the run-time tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEntry {
    /// A symbolic link to this.
    Link(Rc<str>),
    /// A file.
    File {
        /// Contents.
        bytes: Rc<[u8]>,
        /// Mode.
        mode: u32,
    },
}

/// What to do in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// Power off.
    Poweroff,
    /// Reboot.
    Reboot,
    /// Halt.
    Halt,
    /// kexec.
    Kexec,
    /// End (containers, user managers), with the status that was set last.
    Exit,
}

/// Something of the shell that clients may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// syslog level 0..=7.
    LogLevel(u8),
    /// "journal-or-kmsg", "console" ...
    LogTarget(Rc<str>),
    /// Show status on the console.
    ShowStatus(bool),
    /// The manager's environment block changed.
    Environment(Vec<Rc<str>>),
    /// What the manager itself shall end with.
    ExitStatus(u8),
}

/// A line for the log.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// syslog level.
    pub level: u8,
    /// The unit it speaks of.
    pub unit: Option<UnitName>,
    /// Text.
    pub text: Rc<str>,
    /// Further journal fields (`MESSAGE_ID`, `JOB_ID`, `INVOCATION_ID`, `CODE`...).
    pub fields: Vec<(&'static str, Rc<str>)>,
}

/// Bracketed mark of a status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMark {
    /// No bracket.
    None,
    /// `[  OK  ]`.
    Ok,
    /// `[FAILED]`.
    Failed,
    /// `[DEPEND]`.
    Depend,
    /// `[ INFO ]`.
    Info,
    /// `[ SKIP ]`.
    Skip,
    /// `[ASSERT]`.
    Assert,
    /// `[UNSUPP]`.
    Unsupported,
    /// `[ ONCE ]`.
    Once,
    /// `[ TIME ]`.
    Time,
}

/// What subscribers are told (org.freedesktop.systemd1(5), signals).
#[derive(Debug, Clone)]
pub enum Announcement {
    /// A unit came.
    UnitNew(UnitName),
    /// A unit went.
    UnitRemoved(UnitName),
    /// A unit's properties changed; at most one a unit and step.
    UnitChanged(UnitName),
    /// A job came.
    JobNew {
        /// Its number.
        job: JobId,
        /// Its unit.
        unit: UnitName,
    },
    /// A job's state changed.
    JobChanged(JobId),
    /// A job went.
    JobRemoved {
        /// Its number.
        job: JobId,
        /// Its unit.
        unit: UnitName,
        /// "done", "canceled", "timeout", "failed", "dependency", "skipped", "invalid", "assert", "unsupported", "collected", "once", "frozen".
        result: &'static str,
    },
    /// A reload begins (true) or ended.
    Reloading(bool),
    /// The first transaction is done; the times are `StartupFinished`'s arguments.
    StartupFinished([Usec; 6]),
    /// Unit files changed on disk by a request.
    UnitFilesChanged,
}

/// `JobMode` (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum JobMode {
    Fail,
    Replace,
    ReplaceIrreversibly,
    Isolate,
    Flush,
    IgnoreDependencies,
    IgnoreRequirements,
    Triggering,
    RestartDependencies,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum JobType {
    Start,
    VerifyActive,
    Stop,
    Reload,
    Restart,
    Nop,
    TryRestart,
    TryReload,
    ReloadOrStart,
}

/// What a client asks the engine for. Reading is not here: it is done on `&Engine`.
#[derive(Debug, Clone)]
pub enum Request {
    /// Enqueue a job; `reload_if_possible` turns a restart into a reload where the unit can.
    Enqueue {
        /// The unit.
        unit: UnitName,
        /// The job.
        job: JobType,
        /// The mode.
        mode: JobMode,
        /// `ReloadOrRestart*`.
        reload_if_possible: bool,
        /// Answer with the list of all jobs of the transaction too (`EnqueueUnitJob`).
        detailed: bool,
    },
    /// Load the unit, answer with its primary name.
    LoadUnit(UnitName),
    /// Load all of them, to look at them side by side.
    LoadUnits(Rc<[UnitName]>),
    /// Make a transient unit with auxiliary ones and start it.
    StartTransient {
        /// The unit.
        unit: UnitName,
        /// The mode.
        mode: JobMode,
        /// Unit file text that stands for the properties (also written to the transient directory), checked.
        text: Rc<str>,
        /// What cannot be written: `PIDs=` of scopes, descriptors.
        pids: Vec<Pid>,
        /// Descriptors by role ("StandardInputFileDescriptor", "ExtraFileDescriptors:NAME").
        fds: Vec<(Rc<str>, FdId)>,
        /// Auxiliary units and their text.
        aux: Vec<(UnitName, Rc<str>)>,
        /// A controller's bus name (scopes).
        controller: Option<Rc<str>>,
        /// The caller holds a reference on the unit (`AddRef`).
        add_ref: bool,
    },
    /// Change properties at run time: text as for a drop-in.
    SetProperties {
        /// The unit.
        unit: UnitName,
        /// Only until reboot.
        runtime: bool,
        /// `[Section]` text of the drop-in, one assignment a line.
        text: Rc<str>,
    },
    /// Signal processes of a unit.
    Kill {
        /// The unit.
        unit: UnitName,
        /// "main", "control", "all", "cgroup", "main-fail", "control-fail", "all-fail" ...
        whom: Rc<str>,
        /// The signal.
        signal: i32,
        /// For `QueueSignalUnit`.
        value: Option<i32>,
        /// For `KillUnitSubgroup`.
        subgroup: Option<Rc<str>>,
    },
    /// Forget failure and start limits; of all units when `None`.
    ResetFailed(Option<UnitName>),
    /// Cancel a job.
    CancelJob(JobId),
    /// Cancel all jobs.
    ClearJobs,
    /// Read all units again.
    Reload,
    /// Execute anew.
    Reexec,
    /// Hold a unit in memory (true) or let go.
    Ref(UnitName, bool),
    /// Freeze (true) or thaw.
    Freeze(UnitName, bool),
    /// Abandon a scope.
    Abandon(UnitName),
    /// Attach processes.
    Attach {
        /// The unit.
        unit: UnitName,
        /// Below its cgroup.
        subgroup: Rc<str>,
        /// Who.
        pids: Vec<Pid>,
    },
    /// The same to the caller's own unit, which the shell finds out: the engine gets [`Request::Attach`].
    AttachToOwn {
        /// Below its cgroup.
        subgroup: Rc<str>,
        /// Who.
        pids: Vec<Pid>,
    },
    /// `CleanUnit`.
    Clean(UnitName, u32),
    /// End: poweroff and so on through `PowerOff`, `Reboot`, `Exit` calls, at once.
    Exit(self::Exit),
    /// Set or unset manager environment; assignments, then names to drop.
    Environment(Vec<Rc<str>>, Vec<Rc<str>>),
    /// A bus name is asked for: start its unit.
    ActivateBusName {
        /// The unit, as the bus named it: an alias as a rule.
        name: Rc<str>,
        /// The unit that provides it.
        unit: UnitName,
    },
}

/// An answer to a client.
#[derive(Debug, Clone)]
pub enum Response {
    /// Nothing to say.
    Done,
    /// The job that was made (and for detailed calls the others of its transaction: job, unit, type).
    Job {
        /// Its number.
        job: JobId,
        /// Its unit.
        unit: UnitName,
        /// Its type.
        kind: JobType,
        /// Others of the transaction.
        others: Vec<(JobId, UnitName, JobType)>,
    },
    /// A unit.
    Unit(UnitName),
}

/// Why a request was refused; the api gives it the reference's error name.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which kind.
    pub kind: FailureKind,
    /// For people; the reference's wording where clients show it.
    pub message: Rc<str>,
}

/// Kinds of refusal, each with a D-Bus error name of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FailureKind {
    NoSuchUnit,
    NoSuchJob,
    NoUnitForPid,
    UnitExists,
    LoadFailed,
    BadUnitSetting,
    UnitMasked,
    UnitGenerated,
    UnitLinked,
    JobTypeNotApplicable,
    NoIsolation,
    OnlyByDependency,
    TransactionIsDestructive,
    TransactionJobsConflicting,
    TransactionOrderIsCyclic,
    NoSuchProcess,
    NotReferenced,
    UnitInactive,
    FileExists,
    NotSupported,
    InvalidArgs,
    AccessDenied,
    LimitsExceeded,
    Busy,
    ScopeNotRunning,
    ShuttingDown,
    Io,
    NothingToClean,
    UnitBusy,
}
