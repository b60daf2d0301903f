//! Methods about shutdown, sleep and what holds them back.
use super::action::Action;
use crate::error::Error;
use runstead_core::sessions::power::inhibit::{Mode, What};
use runstead_core::sessions::power::operation::Operation;
use runstead_wire::dbus::Reader;

/// Reboot with another kernel, when one is loaded.
pub const KEXEC_REBOOT: u64 = 1 << 1;
/// Reboot with the same kernel.
pub const SOFT_REBOOT: u64 = 1 << 2;
/// The same, when a new root is at `/run/nextroot`.
pub const SOFT_REBOOT_IF_NEXTROOT: u64 = 1 << 3;
const ALL_FLAGS: u64 = (1 << 5) - 1;
const WALL_MAX: usize = 4096;

/// What the next boot can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextBoot {
    /// `SetRebootParameter`.
    Parameter(String),
    /// `SetRebootToFirmwareSetup`.
    Firmware,
    /// `SetRebootToBootLoaderMenu`.
    Menu,
    /// `SetRebootToBootLoaderEntry`.
    Entry(String),
}

/// What is asked of power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Power {
    /// An operation, or the best way to sleep; flags; whether a person may be asked.
    Do(Option<Operation>, u64, bool),
    /// Whether that can be done.
    Can(Option<Operation>),
    /// `ScheduleShutdown`: what, only in words, when.
    Schedule(Operation, bool, u64),
    /// `CancelScheduledShutdown`.
    Cancel,
    /// `Inhibit`: what, how, who, why.
    Inhibit(What, Mode, String, String),
    /// What the next boot is to be told.
    Set(NextBoot),
    /// Whether it can be.
    CanSet(NextBoot),
    /// `SetWallMessage`.
    Wall(String, bool),
}

type Parsed = runstead_wire::dbus::Result<Result<Action, Error>>;

/// The action of a method, when it is one of these.
pub(super) fn read(member: &str, body: &mut Reader<'_>) -> Option<Parsed> {
    if let Some(name) = member.strip_prefix("CanRebootTo").or(member.strip_prefix("CanRebootP")) {
        let next = match name {
            "arameter" => NextBoot::Parameter(String::new()),
            "FirmwareSetup" => NextBoot::Firmware,
            "BootLoaderMenu" => NextBoot::Menu,
            _ => NextBoot::Entry(String::new()),
        };
        return Some(Ok(Ok(Action::Power(Power::CanSet(next)))));
    }
    if let Some(operation) = member.strip_prefix("Can").and_then(verb) {
        return Some(Ok(Ok(Action::Power(Power::Can(operation)))));
    }
    if let Some(operation) = member.strip_suffix("WithFlags").and_then(verb) {
        return Some(body.u64().map(|flags| with_flags(operation, flags)));
    }
    if let Some(operation) = verb(member) {
        // `Sleep` came after the others, and has flags only.
        return Some(match operation {
            None => body.u64().map(|flags| with_flags(None, flags)),
            some => body.bool().map(|asks| Ok(Action::Power(Power::Do(some, 0, asks)))),
        });
    }
    Some(match member {
        "ScheduleShutdown" => schedule(body),
        "CancelScheduledShutdown" => Ok(Ok(Action::Power(Power::Cancel))),
        "Inhibit" => inhibit(body),
        "SetWallMessage" => wall(body),
        "SetRebootParameter" => text(body).map(|text| set(NextBoot::Parameter(text))),
        "SetRebootToFirmwareSetup" => Ok(set(NextBoot::Firmware)),
        "SetRebootToBootLoaderMenu" => Ok(set(NextBoot::Menu)),
        "SetRebootToBootLoaderEntry" => text(body).map(|text| set(NextBoot::Entry(text))),
        _ => return None,
    })
}

fn set(next: NextBoot) -> Result<Action, Error> {
    Ok(Action::Power(Power::Set(next)))
}

fn text(body: &mut Reader<'_>) -> runstead_wire::dbus::Result<String> {
    body.str().map(str::to_owned)
}

/// The operation of a method's name; `Some(None)` is `Sleep`.
fn verb(name: &str) -> Option<Option<Operation>> {
    Some(Some(match name {
        "PowerOff" => Operation::PowerOff,
        "Reboot" => Operation::Reboot,
        "Halt" => Operation::Halt,
        "Suspend" => Operation::Suspend,
        "Hibernate" => Operation::Hibernate,
        "HybridSleep" => Operation::HybridSleep,
        "SuspendThenHibernate" => Operation::SuspendThenHibernate,
        "Sleep" => return Some(None),
        _ => return None,
    }))
}

fn with_flags(operation: Option<Operation>, flags: u64) -> Result<Action, Error> {
    let wrong = |text: &str| Err(Error::invalid_args(text));
    let reboots = operation == Some(Operation::Reboot);
    let soft = SOFT_REBOOT | SOFT_REBOOT_IF_NEXTROOT;
    if flags & !ALL_FLAGS != 0 {
        return wrong("Invalid flags parameter");
    }
    if flags & SOFT_REBOOT != 0 && flags & KEXEC_REBOOT != 0 {
        return wrong("Both reboot via kexec and soft reboot selected, which is not supported");
    }
    if !reboots && flags & KEXEC_REBOOT != 0 {
        return wrong("Reboot via kexec option is only applicable with reboot operations");
    }
    if !reboots && flags & soft != 0 {
        return wrong("Soft reboot option is only applicable with reboot operations");
    }
    Ok(Action::Power(Power::Do(operation, flags, false)))
}

fn schedule(body: &mut Reader<'_>) -> Parsed {
    let (kind, at) = (body.str()?, body.u64()?);
    let (dry, name) = kind.strip_prefix("dry-").map_or((false, kind), |name| (true, name));
    Ok(match Operation::parse(name).filter(|operation| operation.ends()) {
        Some(operation) => Ok(Action::Power(Power::Schedule(operation, dry, at))),
        None => Err(Error::invalid_args(format!("Unsupported shutdown type: {kind}"))),
    })
}

fn inhibit(body: &mut Reader<'_>) -> Parsed {
    let (what, who, why, mode) = (body.str()?, text(body)?, text(body)?, body.str()?);
    let Some(parsed) = What::parse(what) else {
        return Ok(Err(Error::invalid_args(format!("Invalid what specification {what}"))));
    };
    let Some(mode) = Mode::parse(mode) else {
        return Ok(Err(Error::invalid_args(format!("Invalid mode specification {mode}"))));
    };
    if mode == Mode::Delay && !parsed.within(What::SHUTDOWN.and(What::SLEEP)) {
        let text = "Delay inhibitors only supported for shutdown and sleep";
        return Ok(Err(Error::invalid_args(text)));
    }
    Ok(Ok(Action::Power(Power::Inhibit(parsed, mode, who, why))))
}

fn wall(body: &mut Reader<'_>) -> Parsed {
    let (message, on) = (text(body)?, body.bool()?);
    Ok(match message.len() > WALL_MAX {
        false => Ok(Action::Power(Power::Wall(message, on))),
        true => Err(Error::invalid_args(format!(
            "Wall message too long, maximum permitted length is {WALL_MAX} characters."
        ))),
    })
}
