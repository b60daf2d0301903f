//! What a method call is about: which object, and which of the interfaces that every object has.
use super::action::Action;
use super::errors::Error;
use super::{JOB_PREFIX, MANAGER_PATH, UNIT_PREFIX, decode, interfaces, log_control};
use runstead_core::engine::effect::JobId;
use runstead_core::names::{UnitName, from_object_path};
use runstead_wire::dbus::{Message, Reader, Value};

/// The object a call is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/org/freedesktop/systemd1`.
    Manager,
    /// A unit, loaded or not.
    Unit(UnitName),
    /// A unit by its invocation id (32 hex digits).
    Invocation(String),
    /// The caller's own unit (`.../unit/self`).
    CallersUnit,
    /// A job.
    Job(JobId),
    /// `/org/freedesktop/LogControl1`.
    LogControl,
    /// An object that only has children (`/`, `/org`, `.../unit`, `.../job`).
    Node(String),
}

/// What is asked of it.
#[derive(Debug)]
pub enum Call {
    /// A method of ours.
    Action(Action),
    /// A method of a unit: decoded once the unit is known.
    UnitMethod,
    /// `org.freedesktop.DBus.Properties.Get`.
    Get {
        /// Interface, possibly empty.
        interface: String,
        /// Property.
        property: String,
    },
    /// `GetAll`.
    GetAll {
        /// Interface, possibly empty: all.
        interface: String,
    },
    /// `Set`.
    Set {
        /// Property.
        property: String,
        /// New value.
        value: Value,
    },
    /// `Introspect`.
    Introspect,
    /// `Ping`.
    Ping,
    /// `GetMachineId`.
    MachineId,
}

/// The object of a path.
pub fn target(path: &str) -> Result<Target, Error> {
    if path == MANAGER_PATH {
        return Ok(Target::Manager);
    }
    if path == log_control::PATH {
        return Ok(Target::LogControl);
    }
    if let Some(label) = path.strip_prefix(UNIT_PREFIX) {
        if label == "self" {
            return Ok(Target::CallersUnit);
        }
        // A label that starts with a digit is escaped, so an invocation id may start with `_3` and a digit.
        if let Some(name) = from_object_path(path) {
            return Ok(Target::Unit(name));
        }
        return match invocation_label(label) {
            Some(id) => Ok(Target::Invocation(id)),
            None => {
                let name = runstead_core::names::bus_path_unescape(label).unwrap_or_else(|| label.to_owned());
                Err(Error::invalid_args(format!(
                    "Unit name {name} is neither a valid invocation ID nor unit name."
                )))
            }
        };
    }
    if let Some(number) = path.strip_prefix(JOB_PREFIX) {
        return number.parse().map(|id| Target::Job(JobId(id))).map_err(|_| Error::unknown_object(path));
    }
    let is_parent = path == "/" || MANAGER_PATH.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    if is_parent || path == UNIT_PREFIX.trim_end_matches('/') || path == JOB_PREFIX.trim_end_matches('/') {
        return Ok(Target::Node(path.to_owned()));
    }
    Err(Error::unknown_object(path))
}

fn invocation_label(label: &str) -> Option<String> {
    let id = runstead_core::names::bus_path_unescape(label)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// What a message asks, of what.
pub fn route(message: &Message) -> Result<(Target, Call), Error> {
    let target = target(message.path().unwrap_or("/"))?;
    let (interface, member) = (message.interface().unwrap_or(""), message.member().unwrap_or(""));
    let mut body = message.body_reader();
    let call = match interface {
        "org.freedesktop.DBus.Peer" => peer(member)?,
        "org.freedesktop.DBus.Introspectable" if member == "Introspect" => Call::Introspect,
        "org.freedesktop.DBus.Properties" => properties(member, &mut body)?,
        _ => method(&target, interface, member, message)?,
    };
    Ok((target, call))
}

fn peer(member: &str) -> Result<Call, Error> {
    match member {
        "Ping" => Ok(Call::Ping),
        "GetMachineId" => Ok(Call::MachineId),
        _ => Err(Error::unknown_method(member, "org.freedesktop.DBus.Peer")),
    }
}

fn properties(member: &str, body: &mut Reader<'_>) -> Result<Call, Error> {
    Ok(match member {
        "Get" => Call::Get { interface: body.str()?.to_owned(), property: body.str()?.to_owned() },
        "GetAll" => Call::GetAll { interface: body.str()?.to_owned() },
        "Set" => {
            let _interface = body.str()?;
            let property = body.str()?.to_owned();
            let value = match body.value()? {
                Value::Variant(inner) => *inner,
                other => other,
            };
            Call::Set { property, value }
        }
        _ => return Err(Error::unknown_method(member, "org.freedesktop.DBus.Properties")),
    })
}

fn method(target: &Target, interface: &str, member: &str, message: &Message) -> Result<Call, Error> {
    match target {
        Target::Manager => {
            let known = interfaces::MANAGER
                .method(member)
                .filter(|_| interface.is_empty() || interface == interfaces::MANAGER.name);
            let method = known.ok_or_else(|| Error::unknown_method(member, interface))?;
            check_signature(message, interfaces::MANAGER.name, &method.input_signature())?;
            Ok(Call::Action(decode::manager(member, &mut message.body_reader())?))
        }
        Target::Unit(_) | Target::Invocation(_) | Target::CallersUnit => Ok(Call::UnitMethod),
        Target::Job(id) => Ok(Call::Action(decode::on_job(member, *id)?)),
        Target::LogControl | Target::Node(_) => Err(Error::unknown_method(member, interface)),
    }
}

/// Decode a method of a unit object.
pub fn unit_method(unit: &UnitName, message: &Message) -> Result<Action, Error> {
    let (interface, member) = (message.interface().unwrap_or(""), message.member().unwrap_or(""));
    let own = interfaces::of_type(unit.kind());
    let method = [&interfaces::UNIT, own]
        .into_iter()
        .filter(|candidate| interface.is_empty() || candidate.name == interface)
        .find_map(|candidate| candidate.method(member).map(|method| (candidate.name, method)));
    let (name, method) = method.ok_or_else(|| Error::unknown_method(member, interface))?;
    check_signature(message, name, &method.input_signature())?;
    decode::on_unit(member, unit.clone(), &mut message.body_reader())
}

fn check_signature(message: &Message, interface: &str, expected: &str) -> Result<(), Error> {
    if message.signature() == expected {
        return Ok(());
    }
    Err(Error::unexpected_arguments(message, interface, expected))
}
