//! Signals to the processes of a unit (systemd.kill(5)), and what clients ask with `KillUnit`.
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::{Failure, FailureKind, KillSpec, Step, UnitId};
use crate::engine::event::Pid;
use crate::settings::Settings;

/// `KillMode=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mode {
    ControlGroup,
    Process,
    Mixed,
    None,
}

/// `KillMode=`.
pub fn mode(s: &Settings) -> Mode {
    match s.word(ids::KILL_MODE) {
        "process" => Mode::Process,
        "mixed" => Mode::Mixed,
        "none" => Mode::None,
        _ => Mode::ControlGroup,
    }
}

/// Why processes are signalled; it decides which signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    Terminate,
    Restart,
    Kill,
    Watchdog,
}

const SIGKILL: i32 = 9;

/// The signal of an operation (`KillSignal=`, `RestartKillSignal=`, `FinalKillSignal=`, `WatchdogSignal=`).
pub fn signal(s: &Settings, operation: Operation) -> i32 {
    let row = match operation {
        Operation::Terminate => ids::KILL_SIGNAL,
        Operation::Restart if s.is_set(ids::RESTART_KILL_SIGNAL) => ids::RESTART_KILL_SIGNAL,
        Operation::Restart => ids::KILL_SIGNAL,
        Operation::Kill => ids::FINAL_KILL_SIGNAL,
        Operation::Watchdog => ids::WATCHDOG_SIGNAL,
    };
    i32::try_from(s.int(row)).unwrap_or(SIGKILL)
}

fn nobody() -> KillSpec {
    KillSpec {
        cgroup: None,
        whole_cgroup: false,
        main: None,
        control: None,
        signal: 0,
        cgroup_signal: 0,
        hup: false,
        cont: false,
        spare: Vec::new(),
        value: None,
        subgroup: None,
    }
}

/// The step that signals a unit's processes for `operation`; `None` when nobody is to be signalled.
pub fn step(
    e: &Engine,
    id: UnitId,
    operation: Operation,
    main: Option<Pid>,
    control: Option<Pid>,
) -> Option<Step> {
    let s = &e.unit(id).settings;
    let mode = mode(s);
    if mode == Mode::None {
        return None;
    }
    let signal = signal(s, operation);
    // With mixed the others are killed only in the second round, with the final signal.
    let whole = mode == Mode::ControlGroup || (mode == Mode::Mixed && operation == Operation::Kill);
    let cgroup = if mode == Mode::Process { None } else { e.cgroup_path(id) };
    let gentle = matches!(operation, Operation::Terminate | Operation::Restart);
    Some(Step::Kill(KillSpec {
        cgroup,
        whole_cgroup: whole,
        main,
        control,
        signal,
        cgroup_signal: if whole { signal } else { 0 },
        hup: gentle && s.bool(ids::SEND_SIGHUP),
        // A stopped process could not act on the signal.
        cont: signal != SIGKILL,
        ..nobody()
    }))
}

/// One process gets one signal, and goes on if it was stopped.
pub fn one(pid: Pid, signal: i32) -> Step {
    Step::Kill(KillSpec { main: Some(pid), signal, cont: signal != SIGKILL, ..nobody() })
}

/// `SendSIGKILL=`.
pub fn send_sigkill(s: &Settings) -> bool {
    s.bool(ids::SEND_SIGKILL)
}

/// What a client asks with `KillUnit`, `QueueSignalUnit` and `KillUnitSubgroup`.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// "main", "control", "all", "cgroup", and with "-fail" behind.
    pub whom: &'a str,
    /// The signal.
    pub signal: i32,
    /// With a value (sigqueue(3)).
    pub value: Option<i32>,
    /// Only below this part of the cgroup.
    pub subgroup: Option<&'a str>,
}

/// The step for a client's wish, or why not. `main` and `control` are the unit's processes, where its type has such.
pub fn asked(e: &Engine, id: UnitId, ask: &Ask) -> Result<Step, Failure> {
    let unit = e.unit(id);
    let (main, control) = unit.kind.processes();
    let fail = |kind, message: String| Err(Failure { kind, message: message.into() });
    let (whom, must) = match ask.whom.strip_suffix("-fail") {
        Some(whom) => (whom, true),
        None => (ask.whom, false),
    };
    if !matches!(whom, "main" | "control" | "all" | "cgroup") {
        return fail(FailureKind::InvalidArgs, format!("Invalid whom argument: {}", ask.whom));
    }
    if !(0..=64).contains(&ask.signal) {
        return fail(FailureKind::InvalidArgs, "Signal number out of range.".to_owned());
    }
    if ask.subgroup.is_some_and(|path| !path.is_empty()) && whom != "cgroup" {
        let text = "Subgroup can only be specified in combination with 'cgroup' or 'cgroup-fail'.";
        return fail(FailureKind::InvalidArgs, text.to_owned());
    }
    use crate::names::UnitType::*;
    let has_processes = matches!(unit.unit_type(), Service | Socket | Mount | Swap | Slice | Scope);
    if !has_processes {
        return fail(FailureKind::NotSupported, "Unit type does not support process killing.".to_owned());
    }
    let has_main = matches!(unit.unit_type(), Service);
    let has_control = matches!(unit.unit_type(), Service | Socket | Mount | Swap);
    match whom {
        "main" if !has_main => {
            return fail(
                FailureKind::NoSuchProcess,
                format!("{} units have no main processes", unit.unit_type().suffix()),
            );
        }
        "main" if main.is_none() => {
            return fail(FailureKind::NoSuchProcess, "No main process to kill".to_owned());
        }
        "control" if !has_control => {
            return fail(
                FailureKind::NoSuchProcess,
                format!("{} units have no control processes", unit.unit_type().suffix()),
            );
        }
        "control" if control.is_none() => {
            return fail(FailureKind::NoSuchProcess, "No control process to kill".to_owned());
        }
        _ => {}
    }
    let cgroup = if matches!(whom, "all" | "cgroup") { e.unit(id).cgroup.clone() } else { None };
    let main = main.filter(|_| matches!(whom, "main" | "all"));
    let control = control.filter(|_| matches!(whom, "control" | "all"));
    if must && cgroup.is_none() && main.is_none() && control.is_none() {
        return fail(FailureKind::NoSuchProcess, "No matching processes to kill".to_owned());
    }
    Ok(Step::Kill(KillSpec {
        whole_cgroup: cgroup.is_some(),
        cgroup,
        main,
        control,
        signal: ask.signal,
        cgroup_signal: ask.signal,
        value: ask.value,
        subgroup: ask.subgroup.filter(|path| !path.is_empty()).map(Into::into),
        ..nobody()
    }))
}
