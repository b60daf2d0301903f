//! What can happen to the manager. Every event comes with a [`super::clock::Now`].
use super::clock::Usec;
use super::effect::{CallId, ChainId, FdId};
use crate::names::UnitName;
use crate::units::service::config::NotifyAccess;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// A process id in our PID namespace.
pub type Pid = i32;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The manager starts: build the first transaction (`default.target` or what was asked for).
    Boot {
        /// The unit to start, and what to fall back on when it cannot be loaded (`rescue.target`).
        target: UnitName,
    },
    /// The answer to [`super::effect::Effect::Load`]: one entry for each name asked for, in that order.
    Loaded(Vec<LoadedUnit>),
    /// Generators have run and the unit directories were listed anew; a `daemon-reload` goes on.
    GeneratorsDone,
    /// A chain of effects ended.
    ChainDone {
        /// The id the chain was emitted with.
        chain: ChainId,
        /// What it achieved, or where it failed.
        result: Result<ChainOutput, ChainError>,
    },
    /// A process runs, and its set-up could not put hardening into force.
    Weakened {
        /// Whose process.
        unit: UnitName,
        /// For the ledger: setting and reason.
        settings: Vec<(Rc<str>, Rc<str>)>,
    },
    /// A child of ours, or a process whose reaper we are, ended.
    ProcessExited {
        /// Its id; not reused before this event is handled.
        pid: Pid,
        /// How it ended.
        exit: Exit,
    },
    /// The last process of a cgroup that we watch has left it (relative path).
    CgroupEmpty(Rc<str>),
    /// The kernel's OOM killer (or systemd-oomd, `managed`) killed in this cgroup.
    CgroupOom {
        /// Relative path of the cgroup.
        cgroup: Rc<str>,
        /// Killed by user space.
        managed: bool,
    },
    /// A datagram on the notification socket (sd_notify(3)), already decoded.
    Notify(Box<Notify>),
    /// A descriptor that we poll became ready: a listening socket, an automount pipe, a stored descriptor that was closed.
    FdReady {
        /// Which.
        fd: FdId,
        /// The peer hung up (`EPOLLHUP`/`EPOLLERR`) rather than sent something.
        hangup: bool,
    },
    /// A connection was accepted for an `Accept=yes` socket.
    Accepted(Box<Accepted>),
    /// Time passed: fire what is due.
    Tick,
    /// The wall clock was set.
    ClockChanged,
    /// The answer to [`super::effect::Effect::ReadZone`], or the machine's time zone changed.
    TimeZone {
        /// The name that was asked for; `None`: the machine's.
        name: Option<Rc<str>>,
        /// The zone's file (tzfile(5)); `None`: there is no such zone. A machine without one is in UTC.
        file: Option<Rc<[u8]>>,
    },
    /// The whole mount table (`/proc/self/mountinfo`), in its order.
    MountTable(Vec<MountEntry>),
    /// The whole swap table (`/proc/swaps`), in its order.
    SwapTable(Vec<SwapEntry>),
    /// A device appeared, changed or went (udev's monitor, or enumeration).
    Device(Box<DeviceEvent>),
    /// Something under a watched path changed.
    PathTriggered {
        /// The path unit that asked.
        unit: UnitName,
        /// Index of the watch in what was asked for.
        watch: u32,
    },
    /// The answer to [`super::effect::Effect::CheckPaths`].
    PathChecked {
        /// The path unit that asked.
        unit: UnitName,
        /// For each of its specs, whether its condition holds now.
        holds: Vec<bool>,
    },
    /// An autofs mount asks for its contents or wants to expire.
    Automount(Box<AutomountRequest>),
    /// A name on the bus changed its owner (empty: none).
    BusName {
        /// The well-known name.
        name: Rc<str>,
        /// The new owner's unique name, empty when it was released.
        owner: Rc<str>,
        /// The PID of the owner, when the bus told.
        pid: Option<Pid>,
    },
    /// A client asks for something.
    Call {
        /// Answer with this.
        call: CallId,
        /// Who asks.
        caller: Caller,
        /// What.
        request: Box<super::effect::Request>,
    },
    /// A client connection went: its subscriptions, references and held units are dropped.
    CallerGone(u64),
    /// A signal to PID 1 which stands for a request (`SIGRTMIN+3` = halt.target ...), with the job mode it implies.
    StartTarget {
        /// The target.
        target: UnitName,
        /// `replace`, `replace-irreversibly`, `isolate` ...
        mode: super::effect::JobMode,
    },
    /// The answers to conditions and asserts asked with `Effect::CheckConditions`.
    Conditions {
        /// The unit they belong to.
        unit: UnitName,
        /// One verdict for each condition, in order.
        conditions: Vec<ConditionVerdict>,
        /// One verdict for each assert, in order.
        asserts: Vec<ConditionVerdict>,
    },
}

/// The verdict over one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionVerdict {
    /// Holds.
    Holds,
    /// Does not hold.
    Fails,
    /// Could not be evaluated (errno).
    Error(i32),
}

/// How a process ended (waitid(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// `CLD_EXITED` with this status.
    Status(i32),
    /// `CLD_KILLED` by this signal.
    Killed(i32),
    /// `CLD_DUMPED` by this signal.
    Dumped(i32),
    /// It is gone and how is unknown (it was not our child, or ended while we could not look).
    Unknown,
}

impl Exit {
    /// Whether `SIGKILL` ended it, as the OOM killer does.
    pub fn is_kill(self) -> bool {
        const SIGKILL: i32 = 9;
        matches!(self, Exit::Killed(SIGKILL))
    }
}

/// One unit as the shell found it on disk.
#[derive(Debug, Clone)]
pub struct LoadedUnit {
    /// The name that was asked for.
    pub name: UnitName,
    /// What was found.
    pub found: Found,
    /// All names that are links to the same fragment, and this one.
    pub aliases: Vec<UnitName>,
    /// Drop-in files in effective order: path and bytes.
    pub dropins: Vec<UnitFile>,
    /// Names found in `NAME.wants/`, `NAME.requires/` and `NAME.upholds/`.
    pub wants: Vec<UnitName>,
    /// See `wants`.
    pub requires: Vec<UnitName>,
    /// See `wants`.
    pub upholds: Vec<UnitName>,
}

/// What stands for a name on disk.
#[derive(Debug, Clone)]
pub enum Found {
    /// A fragment; `name` in it is the unit's primary name (the asked one may be an alias).
    Fragment {
        /// The primary name: the file's own.
        primary: UnitName,
        /// The file.
        file: UnitFile,
        /// It lies in the transient directory.
        transient: bool,
    },
    /// Nothing.
    NotFound,
    /// A link to `/dev/null` or an empty file; the path that masks.
    Masked(Rc<str>),
    /// It could not be read: which file, and why.
    Error(Rc<str>),
}

/// A file with its bytes.
#[derive(Debug, Clone)]
pub struct UnitFile {
    /// Absolute path.
    pub path: Rc<str>,
    /// Contents.
    pub bytes: Rc<[u8]>,
    /// Modification time, microseconds since the epoch.
    pub mtime: Usec,
}

/// What a finished chain gives back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainOutput {
    /// The process that a `Step::Spawn` made.
    pub pid: Option<Pid>,
    /// Its execve(2) failed, as a step that waited for it learnt: it is about to end.
    pub exec_failed: bool,
    /// How many processes a `Step::Kill` reached that are still alive.
    pub alive: u32,
    /// What a `Step::ReadPidFile` found: the PID, or the refusal in words (with file, component and owner).
    pub pid_file: Option<Result<Pid, Rc<str>>>,
    /// Whether [`ChainOutput::pid_file`]'s process is a child of ours.
    pub is_child: bool,
    /// What a `Step::ReadStamp` found: the modification time, `None` when there is no stamp.
    pub stamp: Option<Usec>,
    /// The uid that `DynamicUser=` was given.
    pub dynamic_uid: Option<u32>,
    /// What the ledger gets: setting and reason, for each thing that was weakened or skipped.
    pub weakened: Vec<(Rc<str>, Rc<str>)>,
}

/// Where and why a chain ended early.
#[derive(Debug, Clone)]
pub struct ChainError {
    /// Index of the failed step.
    pub step: usize,
    /// errno, 0 when none applies.
    pub errno: i32,
    /// What was attempted on what, for people.
    pub message: Rc<str>,
    /// The exit code the reference would use (systemd.exec(5), 200 and up), when the failure is a spawn's.
    pub exit_status: Option<i32>,
}

impl ChainError {
    /// The manager crashed while it worked on the chain: how far it came is not known.
    pub fn lost() -> ChainError {
        ChainError {
            step: 0,
            errno: ECANCELED,
            message: "the manager crashed meanwhile".into(),
            exit_status: None,
        }
    }

    /// Whether it is [`ChainError::lost`].
    pub fn is_lost(&self) -> bool {
        self.errno == ECANCELED && self.exit_status.is_none()
    }
}

const ECANCELED: i32 = 125;

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The connection, unique while it lasts: subscriptions and references hang on it.
    pub connection: u64,
    /// Its sender name on the bus, empty on the private socket.
    pub sender: String,
    /// Effective uid.
    pub uid: u32,
    /// Its process, 0 when unknown.
    pub pid: Pid,
}

/// A notification of a process (sd_notify(3)).
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// The sender.
    pub pid: Pid,
    /// Its effective uid.
    pub uid: u32,
    /// The sender's cgroup (relative), when known.
    pub cgroup: Option<Rc<str>>,
    /// `READY=1`.
    pub ready: bool,
    /// `RELOADING=1`.
    pub reloading: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `STATUS=`.
    pub status: Option<Rc<str>>,
    /// `ERRNO=`.
    pub errno: Option<i32>,
    /// `BUSERROR=`.
    pub bus_error: Option<Rc<str>>,
    /// `VARLINKERROR=`.
    pub varlink_error: Option<Rc<str>>,
    /// `MAINPID=`.
    pub main_pid: Option<Pid>,
    /// Whether `main_pid` is in the unit's cgroup, or else a child of ours (the shell looked).
    pub main_pid_is_ours: bool,
    /// `WATCHDOG=1`.
    pub watchdog: bool,
    /// `WATCHDOG=trigger`.
    pub watchdog_trigger: bool,
    /// `WATCHDOG_USEC=`.
    pub watchdog_usec: Option<Usec>,
    /// `EXTEND_TIMEOUT_USEC=`.
    pub extend_timeout_usec: Option<Usec>,
    /// `MONOTONIC_USEC=`.
    pub monotonic_usec: Option<Usec>,
    /// `RESTART_RESET=1`.
    pub restart_reset: bool,
    /// `NOTIFYACCESS=`.
    pub notify_access: Option<NotifyAccess>,
    /// `FDSTORE=1`: the shell registered the descriptors under these ids (already deduplicated with kcmp(2)).
    pub fds: Vec<FdId>,
    /// `FDNAME=` for `fds`, or what to remove with `FDSTOREREMOVE=1`.
    pub fd_name: Option<Rc<str>>,
    /// `FDSTOREREMOVE=1`.
    pub fd_store_remove: bool,
    /// `FDPOLL=0` was given.
    pub no_poll: bool,
}

/// A connection accepted on an `Accept=yes` socket.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The listening descriptor.
    pub listener: FdId,
    /// The connection; the engine owns it now (pass it on or close it).
    pub connection: FdId,
    /// Peer address text as in the instance name of the reference ("127.0.0.1:22-127.0.0.1:40000"), or for AF_UNIX "PID-UID".
    pub peer: Rc<str>,
    /// `REMOTE_ADDR` and `REMOTE_PORT`, when IP.
    pub remote: Option<(Rc<str>, u16)>,
    /// Peer's uid and pid (AF_UNIX), for the per-source limit and the instance name.
    pub peer_uid: Option<u32>,
    /// See `peer_uid`.
    pub peer_pid: Option<Pid>,
    /// Inode-like cookie of the socket (`SO_COOKIE`), used in instance names of the reference.
    pub cookie: u64,
}

/// A line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Where it is mounted.
    pub target: Rc<str>,
    /// The source.
    pub source: Rc<str>,
    /// File system type.
    pub fstype: Rc<str>,
    /// Mount and superblock options joined with `,`.
    pub options: Rc<str>,
    /// The source is the node of a device.
    pub device: bool,
}

/// A line of the swap table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapEntry {
    /// Device node or file.
    pub what: Rc<str>,
    /// It is the node of a device.
    pub device: bool,
    /// Priority.
    pub priority: i32,
}

/// A device's change.
#[derive(Debug, Clone, Default)]
pub struct DeviceEvent {
    /// Found by looking at what is there: nothing has happened to it.
    pub looked_up: bool,
    /// "add", "change", "remove", "move", "bind" ...
    pub action: Rc<str>,
    /// Absolute path below `/sys`.
    pub sysfs: Rc<str>,
    /// It carries the tag `systemd` now (udev's `CURRENT_TAGS`).
    pub tagged: bool,
    /// Properties of the device.
    pub properties: Vec<(Rc<str>, Rc<str>)>,
    /// Device node, if any, and its links.
    pub node: Option<Rc<str>>,
    /// Links under `/dev`.
    pub links: Vec<Rc<str>>,
}

/// A request of the kernel's autofs.
#[derive(Debug, Clone)]
pub struct AutomountRequest {
    /// The pipe it came from.
    pub fd: FdId,
    /// Token to answer with.
    pub token: u32,
    /// It wants to expire (else: to be mounted).
    pub expire: bool,
    /// Who asked.
    pub pid: Pid,
}
