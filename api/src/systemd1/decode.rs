//! From a message's member and body to an [`Action`].
use super::action::{Action, InstallFlags, Operation, Read, Shape, UnitFiles};
use super::errors::Error;
use super::transient;
use runstead_core::engine::NO_SOFT_REBOOT;
use runstead_core::engine::effect::{Exit, JobId, JobMode, JobType, Request};
use runstead_core::names::UnitName;
use runstead_core::values::environment;
use runstead_wire::dbus::Reader;

type Decoded = Result<Action, Error>;

/// Flags of `EnableUnitFilesWithFlags` and `DisableUnitFilesWithFlags`.
const FLAG_RUNTIME: u64 = 1;
const FLAG_FORCE: u64 = 2;
const FLAG_PORTABLE: u64 = 4;

/// A method of the manager object.
pub fn manager(member: &str, body: &mut Reader<'_>) -> Decoded {
    if let Some(action) = manager_units(member, body)? {
        return Ok(action);
    }
    if let Some(action) = manager_reads(member, body)? {
        return Ok(action);
    }
    if let Some(action) = manager_files(member, body)? {
        return Ok(action);
    }
    manager_self(member, body)
}

/// Methods that name a unit and act on it.
fn manager_units(member: &str, body: &mut Reader<'_>) -> Result<Option<Action>, Error> {
    let action = match member {
        "StartUnitReplace" => {
            let _old = unit_name(body.str()?)?;
            let unit = unit_name(body.str()?)?;
            enqueue(unit, JobType::Start, body.str()?, false)?
        }
        "StartUnitWithFlags" => {
            let unit = unit_name(body.str()?)?;
            let mode = body.str()?;
            if body.u64()? != 0 {
                return Err(Error::invalid_args("Invalid 'flags' parameter: no flags are known"));
            }
            enqueue(unit, JobType::Start, mode, false)?
        }
        "EnqueueUnitJob" => {
            let unit = unit_name(body.str()?)?;
            let (job, reload) = job_type(body.str()?)?;
            Action::Engine(enqueue_request(unit, job, body.str()?, reload, true)?, Shape::JobDetailed)
        }
        "KillUnit"
        | "QueueSignalUnit"
        | "KillUnitSubgroup"
        | "CleanUnit"
        | "FreezeUnit"
        | "ThawUnit"
        | "ResetFailedUnit"
        | "SetUnitProperties"
        | "RefUnit"
        | "UnrefUnit"
        | "GetUnitProcesses"
        | "AttachProcessesToUnit"
        | "AbandonScope"
        | "DumpUnitFileDescriptorStore"
        | "BindMountUnit"
        | "MountImageUnit"
        | "LoadUnit"
        | "GetUnit" => {
            let name = body.str()?;
            if member == "AttachProcessesToUnit" && name.is_empty() {
                let subgroup = body.str()?.into();
                let request = Request::AttachToOwn { subgroup, pids: transient::pids(body)? };
                return Ok(Some(Action::Engine(request, Shape::Nothing)));
            }
            on_unit(short_member(member), known_unit(member, name)?, body)?
        }
        "StartTransientUnit" => transient::start_transient(body)?,
        _ => match member.strip_suffix("Unit").and_then(simple_job) {
            Some((job, reload)) => {
                let unit = unit_name(body.str()?)?;
                enqueue(unit, job, body.str()?, reload)?
            }
            None => return Ok(None),
        },
    };
    Ok(Some(action))
}

/// The name that the same method has on the unit object.
fn short_member(member: &str) -> &str {
    match member {
        "QueueSignalUnit" => "QueueSignal",
        "SetUnitProperties" => "SetProperties",
        "GetUnitProcesses" => "GetProcesses",
        "AttachProcessesToUnit" => "AttachProcesses",
        "AbandonScope" => "Abandon",
        "DumpUnitFileDescriptorStore" => "DumpFileDescriptorStore",
        "KillUnitSubgroup" => "KillSubgroup",
        "LoadUnit" | "GetUnit" => member,
        _ => member.strip_suffix("Unit").unwrap_or(member),
    }
}

/// A method of a unit object, of whichever interface.
pub fn on_unit(member: &str, unit: UnitName, body: &mut Reader<'_>) -> Decoded {
    if let Some((job, reload)) = simple_job(member) {
        return enqueue(unit, job, body.str()?, reload);
    }
    let request = match member {
        "LoadUnit" => return Ok(Action::Engine(Request::LoadUnit(unit), Shape::UnitPath)),
        "GetUnit" => return Ok(Action::Read(Read::Unit(unit))),
        "EnqueueJob" => {
            let (job, reload) = job_type(body.str()?)?;
            let request = enqueue_request(unit, job, body.str()?, reload, true)?;
            return Ok(Action::Engine(request, Shape::JobDetailed));
        }
        "Kill" => Request::Kill {
            unit,
            whom: body.str()?.into(),
            signal: signal(body.i32()?)?,
            value: None,
            subgroup: None,
        },
        "QueueSignal" => Request::Kill {
            unit,
            whom: body.str()?.into(),
            signal: signal(body.i32()?)?,
            value: Some(body.i32()?),
            subgroup: None,
        },
        "KillSubgroup" => {
            let whom = body.str()?.into();
            let subgroup = body.str()?.into();
            Request::Kill { unit, whom, signal: signal(body.i32()?)?, value: None, subgroup: Some(subgroup) }
        }
        "ResetFailed" => Request::ResetFailed(Some(unit)),
        "Ref" => Request::Ref(unit, true),
        "Unref" => Request::Ref(unit, false),
        "Clean" => Request::Clean(unit, clean_mask(&body.strings()?)?),
        "Freeze" => Request::Freeze(unit, true),
        "Thaw" => Request::Freeze(unit, false),
        "Abandon" => Request::Abandon(unit),
        "SetProperties" => {
            let runtime = body.bool()?;
            Request::SetProperties { text: transient::property_text(unit.kind(), body)?, unit, runtime }
        }
        "AttachProcesses" => {
            let subgroup = body.str()?.into();
            Request::Attach { unit, subgroup, pids: transient::pids(body)? }
        }
        "GetProcesses" => return Ok(Action::Read(Read::Processes(unit))),
        "DumpFileDescriptorStore" => return Ok(Action::Read(Read::FdStore(unit))),
        "BindMount" | "MountImage" => {
            return Err(Error::new(
                "org.freedesktop.DBus.Error.NotSupported",
                "Mounting into a running unit is not supported",
            ));
        }
        _ => return Err(Error::unknown_method(member, "org.freedesktop.systemd1.Unit")),
    };
    Ok(Action::Engine(request, Shape::Nothing))
}

/// A method of a job object.
pub fn on_job(member: &str, job: JobId) -> Decoded {
    match member {
        "Cancel" => Ok(Action::Engine(Request::CancelJob(job), Shape::Nothing)),
        "GetAfter" => Ok(Action::Read(Read::JobsAfter(job))),
        "GetBefore" => Ok(Action::Read(Read::JobsBefore(job))),
        _ => Err(Error::unknown_method(member, "org.freedesktop.systemd1.Job")),
    }
}

/// Methods of the manager that only look.
fn manager_reads(member: &str, body: &mut Reader<'_>) -> Result<Option<Action>, Error> {
    let none = Vec::new;
    let read = match member {
        "GetUnitByPID" => Read::UnitByPid(body.u32()?),
        "GetUnitByPIDFD" => Read::UnitByPidFd(body.fd()?),
        "GetUnitByInvocationID" => Read::UnitByInvocation(body.bytes()?.to_vec()),
        "GetUnitByControlGroup" => Read::UnitByCgroup(body.str()?.to_owned()),
        "ListUnits" => Read::ListUnits { states: none(), patterns: none() },
        "ListUnitsFiltered" => Read::ListUnits { states: texts(body)?, patterns: none() },
        "ListUnitsByPatterns" => Read::ListUnits { states: texts(body)?, patterns: texts(body)? },
        "ListUnitsByNames" => Read::ListUnitsByNames(texts(body)?),
        "ListJobs" => Read::ListJobs,
        "GetJob" => Read::Job(JobId(body.u32()?)),
        "GetJobAfter" => Read::JobsAfter(JobId(body.u32()?)),
        "GetJobBefore" => Read::JobsBefore(JobId(body.u32()?)),
        "Dump" => Read::Dump { patterns: none(), by_fd: false },
        "DumpByFileDescriptor" => Read::Dump { patterns: none(), by_fd: true },
        "DumpUnitsMatchingPatterns" => Read::Dump { patterns: texts(body)?, by_fd: false },
        "DumpUnitsMatchingPatternsByFileDescriptor" => Read::Dump { patterns: texts(body)?, by_fd: true },
        _ => return Ok(None),
    };
    Ok(Some(Action::Read(read)))
}

/// Methods of the manager about unit files.
fn manager_files(member: &str, body: &mut Reader<'_>) -> Result<Option<Action>, Error> {
    let files = match member {
        "ListUnitFiles" => UnitFiles::List { states: Vec::new(), patterns: Vec::new() },
        "ListUnitFilesByPatterns" => UnitFiles::List { states: texts(body)?, patterns: texts(body)? },
        "GetUnitFileState" => UnitFiles::GetState { file: body.str()?.to_owned() },
        "GetDefaultTarget" => UnitFiles::GetDefault,
        "GetUnitFileLinks" => {
            UnitFiles::GetLinks { name: body.str()?.to_owned(), flags: runtime_flag(body)? }
        }
        "EnableUnitFiles" => UnitFiles::Enable { files: texts(body)?, flags: both_flags(body)? },
        "EnableUnitFilesWithFlags" => UnitFiles::Enable { files: texts(body)?, flags: word_flags(body)? },
        "ReenableUnitFiles" => UnitFiles::Reenable { files: texts(body)?, flags: both_flags(body)? },
        "LinkUnitFiles" => UnitFiles::Link { files: texts(body)?, flags: both_flags(body)? },
        "MaskUnitFiles" => UnitFiles::Mask { files: texts(body)?, flags: both_flags(body)? },
        "UnmaskUnitFiles" => UnitFiles::Unmask { files: texts(body)?, flags: runtime_flag(body)? },
        "RevertUnitFiles" => UnitFiles::Revert { files: texts(body)? },
        "DisableUnitFiles" => {
            UnitFiles::Disable { files: texts(body)?, flags: runtime_flag(body)?, with_info: false }
        }
        "DisableUnitFilesWithFlags" => {
            UnitFiles::Disable { files: texts(body)?, flags: word_flags(body)?, with_info: false }
        }
        "DisableUnitFilesWithFlagsAndInstallInfo" => {
            UnitFiles::Disable { files: texts(body)?, flags: word_flags(body)?, with_info: true }
        }
        "PresetUnitFiles" => {
            UnitFiles::Preset { files: texts(body)?, mode: "full".to_owned(), flags: both_flags(body)? }
        }
        "PresetUnitFilesWithMode" => {
            UnitFiles::Preset { files: texts(body)?, mode: body.str()?.to_owned(), flags: both_flags(body)? }
        }
        "PresetAllUnitFiles" => {
            UnitFiles::PresetAll { mode: body.str()?.to_owned(), flags: both_flags(body)? }
        }
        "SetDefaultTarget" => UnitFiles::SetDefault { name: body.str()?.to_owned(), force: body.bool()? },
        "AddDependencyUnitFiles" => {
            let (files, target) = (texts(body)?, body.str()?.to_owned());
            UnitFiles::AddDependency { files, target, kind: body.str()?.to_owned(), flags: both_flags(body)? }
        }
        _ => return Ok(None),
    };
    Ok(Some(Action::Shell(Operation::UnitFiles(files))))
}

/// Methods of the manager about itself.
fn manager_self(member: &str, body: &mut Reader<'_>) -> Decoded {
    let request = match member {
        "Reload" => Request::Reload,
        "Reexecute" => Request::Reexec,
        "Exit" => Request::Exit(Exit::Exit),
        "PowerOff" => Request::Exit(Exit::Poweroff),
        "Reboot" => Request::Exit(Exit::Reboot),
        "Halt" => Request::Exit(Exit::Halt),
        "KExec" => Request::Exit(Exit::Kexec),
        "SoftReboot" => {
            return Err(Error::new("org.freedesktop.DBus.Error.NotSupported", NO_SOFT_REBOOT));
        }
        "ResetFailed" => Request::ResetFailed(None),
        "ClearJobs" => Request::ClearJobs,
        "CancelJob" => Request::CancelJob(JobId(body.u32()?)),
        "SetEnvironment" => Request::Environment(assignments(body)?, Vec::new()),
        "UnsetEnvironment" => Request::Environment(Vec::new(), variables(body)?),
        "UnsetAndSetEnvironment" => {
            let drop = variables(body)?;
            Request::Environment(assignments(body)?, drop)
        }
        _ => return manager_shell(member, body),
    };
    Ok(Action::Engine(request, Shape::Nothing))
}

fn manager_shell(member: &str, body: &mut Reader<'_>) -> Decoded {
    Ok(Action::Shell(match member {
        "Subscribe" => Operation::Subscribe,
        "Unsubscribe" => Operation::Unsubscribe,
        "SetExitCode" => Operation::SetExitCode(body.byte()?),
        "SetShowStatus" => Operation::SetShowStatus(body.str()?.to_owned()),
        "SwitchRoot" => Operation::SwitchRoot { root: body.str()?.to_owned(), init: body.str()?.to_owned() },
        "LookupDynamicUserByName" => Operation::DynamicUserByName(body.str()?.to_owned()),
        "LookupDynamicUserByUID" => Operation::DynamicUserByUid(body.u32()?),
        "GetDynamicUsers" => Operation::DynamicUsers,
        _ => return Err(Error::unknown_method(member, "org.freedesktop.systemd1.Manager")),
    }))
}

fn enqueue(unit: UnitName, job: JobType, mode: &str, reload: bool) -> Decoded {
    Ok(Action::Engine(enqueue_request(unit, job, mode, reload, false)?, Shape::JobPath))
}

fn enqueue_request(
    unit: UnitName,
    job: JobType,
    mode: &str,
    reload_if_possible: bool,
    detailed: bool,
) -> Result<Request, Error> {
    Ok(Request::Enqueue { unit, job, mode: job_mode(mode)?, reload_if_possible, detailed })
}

/// `Start`, `Stop` ... with whether a reload stands in for a restart.
fn simple_job(member: &str) -> Option<(JobType, bool)> {
    Some(match member {
        "Start" => (JobType::Start, false),
        "Stop" => (JobType::Stop, false),
        "Reload" => (JobType::Reload, false),
        "Restart" => (JobType::Restart, false),
        "TryRestart" => (JobType::TryRestart, false),
        "ReloadOrRestart" => (JobType::Restart, true),
        "ReloadOrTryRestart" => (JobType::TryRestart, true),
        _ => return None,
    })
}

/// A job type as clients spell it.
fn job_type(text: &str) -> Result<(JobType, bool), Error> {
    Ok(match text {
        "start" => (JobType::Start, false),
        "verify-active" => (JobType::VerifyActive, false),
        "stop" => (JobType::Stop, false),
        "reload" => (JobType::Reload, false),
        "restart" => (JobType::Restart, false),
        "nop" => (JobType::Nop, false),
        "try-restart" => (JobType::TryRestart, false),
        "try-reload" => (JobType::TryReload, false),
        "reload-or-start" => (JobType::ReloadOrStart, false),
        "reload-or-restart" => (JobType::Restart, true),
        "reload-or-try-restart" => (JobType::TryRestart, true),
        _ => return Err(Error::invalid_args(format!("Job type {text} invalid"))),
    })
}

/// A job mode as clients spell it.
pub fn job_mode(text: &str) -> Result<JobMode, Error> {
    Ok(match text {
        "fail" => JobMode::Fail,
        "replace" => JobMode::Replace,
        "replace-irreversibly" => JobMode::ReplaceIrreversibly,
        "isolate" => JobMode::Isolate,
        "flush" => JobMode::Flush,
        "ignore-dependencies" => JobMode::IgnoreDependencies,
        "ignore-requirements" => JobMode::IgnoreRequirements,
        "triggering" => JobMode::Triggering,
        "restart-dependencies" => JobMode::RestartDependencies,
        _ => return Err(Error::invalid_args(format!("Job mode {text} invalid"))),
    })
}

/// A unit name from outside.
pub fn unit_name(text: &str) -> Result<UnitName, Error> {
    UnitName::parse(text).map_err(|_| {
        Error::new("org.freedesktop.DBus.Error.InvalidArgs", format!("Unit name {text} is not valid."))
    })
}

/// A unit name of a method that only looks: what is no name is not loaded.
fn known_unit(member: &str, text: &str) -> Result<UnitName, Error> {
    match member {
        "GetUnit" | "GetUnitProcesses" => UnitName::parse(text).map_err(|_| Error::not_loaded(text)),
        _ => unit_name(text),
    }
}

fn signal(number: i32) -> Result<i32, Error> {
    if (1..=64).contains(&number) {
        Ok(number)
    } else {
        Err(Error::invalid_args("Signal number out of range."))
    }
}

/// `CleanUnit`'s words to the bits of `CleanUp::Directories`.
fn clean_mask(words: &[&str]) -> Result<u32, Error> {
    words.iter().try_fold(0, |mask, word| {
        Ok(mask
            | match *word {
                "runtime" => 1,
                "state" => 2,
                "cache" => 4,
                "logs" => 8,
                "configuration" => 16,
                "fdstore" => 32,
                "all" => 63,
                other => return Err(Error::invalid_args(format!("Invalid resource type: {other}"))),
            })
    })
}

fn texts(body: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    Ok(body.strings()?.into_iter().map(str::to_owned).collect())
}

/// `NAME=value` each.
fn assignments(body: &mut Reader<'_>) -> Result<Vec<std::rc::Rc<str>>, Error> {
    let words = body.strings()?;
    if words.iter().any(|word| environment::parse_assignment(word).is_err()) {
        return Err(Error::invalid_args("Invalid environment assignments"));
    }
    Ok(words.into_iter().map(Into::into).collect())
}

/// `NAME` or `NAME=value` each.
fn variables(body: &mut Reader<'_>) -> Result<Vec<std::rc::Rc<str>>, Error> {
    let words = body.strings()?;
    let good = |word: &&str| environment::is_valid_name(word) || environment::parse_assignment(word).is_ok();
    if !words.iter().all(|word| good(&&**word)) {
        return Err(Error::invalid_args("Invalid environment variable names or assignments"));
    }
    Ok(words.into_iter().map(Into::into).collect())
}

fn runtime_flag(body: &mut Reader<'_>) -> Result<InstallFlags, Error> {
    Ok(InstallFlags { runtime: body.bool()?, ..InstallFlags::default() })
}

fn both_flags(body: &mut Reader<'_>) -> Result<InstallFlags, Error> {
    let runtime = body.bool()?;
    Ok(InstallFlags { runtime, force: body.bool()?, portable: false })
}

fn word_flags(body: &mut Reader<'_>) -> Result<InstallFlags, Error> {
    let word = body.u64()?;
    if word & !(FLAG_RUNTIME | FLAG_FORCE | FLAG_PORTABLE) != 0 {
        return Err(Error::invalid_args("Invalid 'flags' parameter"));
    }
    Ok(InstallFlags {
        runtime: word & FLAG_RUNTIME != 0,
        force: word & FLAG_FORCE != 0,
        portable: word & FLAG_PORTABLE != 0,
    })
}

impl From<runstead_wire::dbus::Error> for Error {
    fn from(error: runstead_wire::dbus::Error) -> Error {
        Error::invalid_args(format!("Invalid message body: {error}"))
    }
}
