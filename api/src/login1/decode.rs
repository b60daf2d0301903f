//! Method calls to actions.
use super::action::{Action, Creation, Process, Switch, Whom};
use super::object::Object;
use super::{power, tables};
use crate::error::Error;
use crate::interface::Interface;
use runstead_core::sessions::event::Request;
use runstead_core::sessions::session::{Class, Kind};
use runstead_wire::dbus::{Message, Reader};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const PEER: &str = "org.freedesktop.DBus.Peer";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

type Decoded = Result<Action, Error>;

/// What a call to an object asks for.
pub fn call(message: &Message, object: &Object) -> Decoded {
    let member = message.member().unwrap_or("");
    let interface = message.interface();
    let of = |name: &str| interface.is_none_or(|interface| interface == name);
    let standard = match member {
        "Introspect" if of(INTROSPECTABLE) => Some(("", Standard::Introspect)),
        "Ping" if of(PEER) => Some(("", Standard::Ping)),
        "GetMachineId" if of(PEER) => Some(("", Standard::MachineId)),
        "Get" if of(PROPERTIES) => Some(("ss", Standard::Get)),
        "GetAll" if of(PROPERTIES) => Some(("s", Standard::GetAll)),
        "Set" if of(PROPERTIES) => Some(("ssv", Standard::Set)),
        _ => None,
    };
    if let Some((signature, standard)) = standard {
        check(message, signature)?;
        return read(message, |body| standard.read(body));
    }
    let own = interface_of(object).filter(|own| of(own.name));
    let method = own.and_then(|own| own.method(member));
    let method = method.ok_or_else(|| Error::unknown_method(member, interface.unwrap_or("")))?;
    check(message, &method.input_signature())?;
    match object {
        Object::Manager => read(message, |body| of_manager(method.name, body)),
        Object::Session(_) => read(message, |body| of_session(method.name, body)),
        Object::User(_) => read(message, |body| of_user(method.name, body)),
        Object::Seat(_) => read(message, |body| of_seat(method.name, body)),
        Object::Node(_) => Err(Error::unknown_method(member, interface.unwrap_or(""))),
    }
}

/// The interface of an object's own.
pub fn interface_of(object: &Object) -> Option<&'static Interface> {
    match object {
        Object::Manager => Some(&tables::MANAGER),
        Object::Session(_) => Some(&tables::SESSION),
        Object::User(_) => Some(&tables::USER),
        Object::Seat(_) => Some(&tables::SEAT),
        Object::Node(_) => None,
    }
}

#[derive(Clone, Copy)]
enum Standard {
    Introspect,
    Ping,
    MachineId,
    Get,
    GetAll,
    Set,
}

impl Standard {
    fn read(self, body: &mut Reader<'_>) -> Parsed {
        Ok(Ok(match self {
            Standard::Introspect => Action::Introspect,
            Standard::Ping => Action::Ping,
            Standard::MachineId => Action::MachineId,
            Standard::Get => Action::Get(text(body)?, text(body)?),
            Standard::GetAll => Action::GetAll(text(body)?),
            Standard::Set => Action::Set(text(body)?, text(body)?, body.value()?),
        }))
    }
}

/// What came of a body: an encoding error, or what its meaning is.
type Parsed = runstead_wire::dbus::Result<Decoded>;

fn check(message: &Message, signature: &str) -> Result<(), Error> {
    if message.signature() == signature {
        return Ok(());
    }
    Err(Error::unexpected_arguments(message, message.interface().unwrap_or(""), signature))
}

fn read(message: &Message, parse: impl FnOnce(&mut Reader<'_>) -> Parsed) -> Decoded {
    let mut body = message.body_reader();
    parse(&mut body).unwrap_or_else(|error| Err(Error::invalid_args(error.to_string())))
}

fn text(body: &mut Reader<'_>) -> runstead_wire::dbus::Result<String> {
    body.str().map(str::to_owned)
}

fn of_manager(member: &'static str, body: &mut Reader<'_>) -> Parsed {
    if let Some(power) = power::read(member, body) {
        return power;
    }
    Ok(Ok(match member {
        "GetSession" => Action::GetSession(text(body)?),
        "GetSessionByPID" => Action::GetSessionOf(Process::Pid(body.u32()?)),
        "GetSessionByPIDFD" => Action::GetSessionOf(Process::Fd(body.fd()?)),
        "GetUser" => Action::GetUser(body.u32()?),
        "GetUserByPID" => Action::GetUserOf(Process::Pid(body.u32()?)),
        "GetUserByPIDFD" => Action::GetUserOf(Process::Fd(body.fd()?)),
        "GetSeat" => Action::GetSeat(text(body)?),
        "ListSessions" => Action::ListSessions,
        "ListSessionsEx" => Action::ListSessionsEx,
        "ListUsers" => Action::ListUsers,
        "ListSeats" => Action::ListSeats,
        "ListInhibitors" => Action::ListInhibitors,
        "CreateSession" => return creation(body, false),
        "CreateSessionWithPIDFD" => return creation(body, true),
        "ReleaseSession" => Action::Release(text(body)?),
        "ActivateSession" => Action::Activate(Some(text(body)?), None),
        "ActivateSessionOnSeat" => Action::Activate(Some(text(body)?), Some(text(body)?)),
        "LockSession" => Action::Lock(Some(text(body)?), true),
        "UnlockSession" => Action::Lock(Some(text(body)?), false),
        "LockSessions" => Action::Lock(None, true),
        "UnlockSessions" => Action::Lock(None, false),
        "KillSession" => {
            let (id, whom) = (text(body)?, whom(body.str()?));
            return kill(whom, body.i32()?, |whom, signal| Action::KillSession(Some(id), whom, signal));
        }
        "KillUser" => {
            let uid = body.u32()?;
            let all = Ok(Whom::All);
            return kill(all, body.i32()?, |_, signal| Action::KillUser(Some(uid), signal));
        }
        "TerminateSession" => Action::TerminateSession(Some(text(body)?)),
        "TerminateUser" => Action::TerminateUser(Some(body.u32()?)),
        "TerminateSeat" => Action::TerminateSeat(Some(text(body)?)),
        "SetUserLinger" => Action::SetLinger(body.u32()?, body.bool()?),
        other => Action::Unsupported(other),
    }))
}

fn of_session(member: &'static str, body: &mut Reader<'_>) -> Parsed {
    Ok(Ok(match member {
        "Terminate" => Action::TerminateSession(None),
        "Activate" => Action::Activate(None, None),
        "Lock" => Action::Lock(Some(String::new()), true),
        "Unlock" => Action::Lock(Some(String::new()), false),
        "SetIdleHint" => Action::SetIdle(body.bool()?),
        "SetLockedHint" => Action::SetLocked(body.bool()?),
        "Kill" => {
            let whom = whom(body.str()?);
            return kill(whom, body.i32()?, |whom, signal| Action::KillSession(None, whom, signal));
        }
        "SetType" => Action::SetKind(text(body)?),
        "SetClass" => Action::SetClass(text(body)?),
        "SetDisplay" => Action::SetDisplay(text(body)?),
        "SetTTY" => Action::SetTty(body.fd()?),
        other => Action::Unsupported(other),
    }))
}

fn of_user(member: &'static str, body: &mut Reader<'_>) -> Parsed {
    Ok(Ok(match member {
        "Terminate" => Action::TerminateUser(None),
        "Kill" => return kill(Ok(Whom::All), body.i32()?, |_, signal| Action::KillUser(None, signal)),
        other => Action::Unsupported(other),
    }))
}

fn of_seat(member: &'static str, body: &mut Reader<'_>) -> Parsed {
    Ok(Ok(match member {
        "Terminate" => Action::TerminateSeat(None),
        "ActivateSession" => Action::Activate(Some(text(body)?), Some(String::new())),
        "SwitchTo" => Action::SwitchTo(Switch::To(body.u32()?)),
        "SwitchToNext" => Action::SwitchTo(Switch::Next),
        "SwitchToPrevious" => Action::SwitchTo(Switch::Previous),
        other => Action::Unsupported(other),
    }))
}

fn whom(word: &str) -> Result<Whom, Error> {
    match word {
        "" | "all" => Ok(Whom::All),
        "leader" => Ok(Whom::Leader),
        other => Err(Error::invalid_args(format!("Invalid kill parameter '{other}'"))),
    }
}

fn kill(whom: Result<Whom, Error>, signal: i32, action: impl FnOnce(Whom, i32) -> Action) -> Parsed {
    if !(1..=64).contains(&signal) {
        return Ok(Err(Error::invalid_args(format!("Invalid signal {signal}"))));
    }
    Ok(whom.map(|whom| action(whom, signal)))
}

fn creation(body: &mut Reader<'_>, by_fd: bool) -> Parsed {
    let uid = body.u32()?;
    let leader = if by_fd { Process::Fd(body.fd()?) } else { Process::Pid(body.u32()?) };
    let (service, kind, class) = (text(body)?, body.str()?, body.str()?);
    let desktop = text(body)?;
    let (seat, vtnr, tty, display) = (text(body)?, body.u32()?, text(body)?, text(body)?);
    let (remote, remote_user, remote_host) = (body.bool()?, text(body)?, text(body)?);
    let flags = if by_fd { body.u64()? } else { 0 };
    let mut properties = Vec::new();
    body.enter_array("(sv)")?;
    while body.has_more() {
        body.enter_struct()?;
        properties.push((text(body)?, body.value()?));
        body.exit()?;
    }
    body.exit()?;
    if flags != 0 {
        return Ok(Err(Error::invalid_args("Flags must be zero.")));
    }
    let (kind, class) = match (named(kind, Kind::parse), named(class, Class::parse)) {
        (Ok(kind), Ok(class)) => (kind, class),
        (Err(()), _) => return Ok(Err(Error::invalid_args(format!("Invalid session type {kind}")))),
        (_, Err(())) => return Ok(Err(Error::invalid_args(format!("Invalid session class {class}")))),
    };
    let request =
        Request { service, kind, class, desktop, seat, vtnr, tty, display, remote, remote_user, remote_host };
    Ok(Ok(Action::Create(Box::new(Creation { uid, leader, request, properties }))))
}

/// Nothing, or a name that has to be one.
fn named<T>(word: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    if word.is_empty() { Ok(None) } else { parse(word).map(Some).ok_or(()) }
}
