//! What a decoded call asks for.
use runstead_core::engine::effect::{JobId, Request};
use runstead_core::names::UnitName;

/// How the engine's answer becomes the body of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Shape {
    /// No body.
    Nothing,
    /// The job's object path.
    JobPath,
    /// `EnqueueUnitJob`'s six values.
    JobDetailed,
    /// The unit's object path.
    UnitPath,
}

/// What to do about a call.
#[derive(Debug)]
pub enum Action {
    /// Hand it to the engine and answer with its response.
    Engine(Request, Shape),
    /// Answer from what the engine and the kernel know.
    Read(Read),
    /// The shell does it: it changes files or the shell's own state.
    Shell(Operation),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Path of a loaded unit.
    Unit(UnitName),
    /// Unit of a process (0: the caller).
    UnitByPid(u32),
    /// Unit of a process given by a descriptor (shell's descriptor id).
    UnitByPidFd(u64),
    /// Unit with this invocation id (16 bytes; empty: the caller's).
    UnitByInvocation(Vec<u8>),
    /// Unit of a cgroup path.
    UnitByCgroup(String),
    /// Units by state, pattern or name.
    ListUnits {
        /// Load, active or sub states; empty: all.
        states: Vec<String>,
        /// Shell patterns; empty: all.
        patterns: Vec<String>,
    },
    /// Units by name, loaded or not.
    ListUnitsByNames(Vec<String>),
    /// All jobs.
    ListJobs,
    /// Path of a job.
    Job(JobId),
    /// Jobs which this one waits for (`GetJobAfter`).
    JobsAfter(JobId),
    /// Jobs which wait for this one (`GetJobBefore`).
    JobsBefore(JobId),
    /// Processes of a unit.
    Processes(UnitName),
    /// The descriptor store of a unit.
    FdStore(UnitName),
    /// State of everything as text.
    Dump {
        /// Only units that match; empty: all.
        patterns: Vec<String>,
        /// Answer with a descriptor instead of a string.
        by_fd: bool,
    },
}

/// How far an installation reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstallFlags {
    /// Below the run root, until reboot.
    pub runtime: bool,
    /// Replace what is in the way.
    pub force: bool,
    /// Into the portable directories.
    pub portable: bool,
}

/// A change or question about unit files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UnitFiles {
    Enable { files: Vec<String>, flags: InstallFlags },
    Disable { files: Vec<String>, flags: InstallFlags, with_info: bool },
    Reenable { files: Vec<String>, flags: InstallFlags },
    Link { files: Vec<String>, flags: InstallFlags },
    Preset { files: Vec<String>, mode: String, flags: InstallFlags },
    PresetAll { mode: String, flags: InstallFlags },
    Mask { files: Vec<String>, flags: InstallFlags },
    Unmask { files: Vec<String>, flags: InstallFlags },
    Revert { files: Vec<String> },
    SetDefault { name: String, force: bool },
    AddDependency { files: Vec<String>, target: String, kind: String, flags: InstallFlags },
    GetDefault,
    GetState { file: String },
    GetLinks { name: String, flags: InstallFlags },
    List { states: Vec<String>, patterns: Vec<String> },
}

/// What the shell does itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    Subscribe,
    Unsubscribe,
    UnitFiles(UnitFiles),
    SetExitCode(u8),
    SetShowStatus(String),
    SetLogLevel(String),
    SetLogTarget(String),
    SetWatchdog(&'static str, u64),
    SetWatchdogGovernor(String),
    SetServiceWatchdogs(bool),
    SwitchRoot { root: String, init: String },
    DynamicUserByName(String),
    DynamicUserByUid(u32),
    DynamicUsers,
}
