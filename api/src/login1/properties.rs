//! Values of properties.
use super::object::Object;
use super::{signals, tables};
use crate::error::Error;
use crate::interface::Property;
use runstead_core::engine::clock::Stamp;
use runstead_core::sessions::Sessions;
use runstead_core::sessions::power::inhibit::Mode;
use runstead_core::sessions::seat::{self, Seat};
use runstead_core::sessions::session::{self, Session};
use runstead_core::sessions::user::{self, User};
use runstead_wire::dbus::{Value, Writer};
use std::borrow::Cow;

/// What the login manager's properties show and its deciding part does not know.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Size of the memory, bytes.
    pub memory: u64,
    /// `/var/lib/systemd/linger` names this user.
    pub lingering: Vec<u32>,
    /// The lid is closed.
    pub lid_closed: bool,
    /// In a docking station.
    pub docked: bool,
    /// On mains, or on a machine without a battery.
    pub external_power: bool,
    /// `RebootParameter`.
    pub reboot_parameter: String,
}

/// One inode for each four kilobytes, as the reference reckons.
const BYTES_AN_INODE: u64 = 4096;

/// The rows of an object's own interface.
pub fn rows(object: &Object) -> &'static [Property] {
    match object {
        Object::Manager => tables::MANAGER_PROPERTIES,
        Object::Session(_) => tables::SESSION_PROPERTIES,
        Object::User(_) => tables::USER_PROPERTIES,
        Object::Seat(_) => tables::SEAT_PROPERTIES,
        Object::Node(_) => &[],
    }
}

/// The value of one property of an object that is there.
pub fn value(sessions: &Sessions, facts: &Facts, object: &Object, name: &str) -> Option<Value> {
    match object {
        Object::Manager => of_manager(sessions, facts, name),
        Object::Session(id) => of_session(sessions, sessions.session(id)?, name),
        Object::User(uid) => of_user(sessions, facts, sessions.user((*uid)?)?, name),
        Object::Seat(id) => of_seat(sessions, sessions.seat(id)?, name),
        Object::Node(_) => None,
    }
}

/// `Get`.
pub fn get(
    sessions: &Sessions,
    facts: &Facts,
    object: &Object,
    (interface, name): (&str, &str),
    writer: &mut Writer,
) -> Result<(), Error> {
    let own =
        super::decode::interface_of(object).is_some_and(|own| own.name == interface || interface.is_empty());
    let value = own.then(|| value(sessions, facts, object, name)).flatten();
    let value = value.ok_or_else(|| Error::unknown_property(interface, name))?;
    writer.value(&Value::Variant(Box::new(value)));
    Ok(())
}

/// `GetAll`.
pub fn get_all(
    sessions: &Sessions,
    facts: &Facts,
    object: &Object,
    interface: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let own = super::decode::interface_of(object);
    if !interface.is_empty() && own.is_none_or(|own| own.name != interface) {
        return Err(Error::unknown_interface(interface));
    }
    write(sessions, facts, object, rows(object).iter().map(|row| row.name), writer);
    Ok(())
}

/// Properties as a dictionary of names and values.
pub fn write<'a>(
    sessions: &Sessions,
    facts: &Facts,
    object: &Object,
    names: impl Iterator<Item = &'a str>,
    writer: &mut Writer,
) {
    writer.array("{sv}", |writer| {
        for name in names {
            if let Some(value) = value(sessions, facts, object, name) {
                writer.open_dict_entry().str(name).value(&Value::Variant(Box::new(value))).close();
            }
        }
    });
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Str(text.to_owned()))
}

fn strings(list: &[String]) -> Option<Value> {
    Some(Value::strings(list.iter().cloned()))
}

/// A name and its object: `(so)`; nothing is an empty name at `/`.
fn named(id: Option<&str>, path: fn(&str) -> String) -> Value {
    let path = id.map_or_else(|| "/".to_owned(), path);
    Value::Struct(vec![Value::Str(id.unwrap_or("").to_owned()), Value::ObjectPath(path)])
}

fn session_list<'a>(sessions: impl Iterator<Item = &'a Session>) -> Option<Value> {
    let items = sessions.map(|one| named(Some(&one.id), session::object_path)).collect();
    Some(Value::Array(Cow::Borrowed("(so)"), items))
}

fn of_session(sessions: &Sessions, session: &Session, name: &str) -> Option<Value> {
    match name {
        "Id" => text(&session.id),
        "User" => Some(Value::Struct(vec![
            Value::U32(session.uid),
            Value::ObjectPath(user::object_path(session.uid)),
        ])),
        "Name" => text(sessions.user(session.uid).map_or("", |user| &user.record.name)),
        "Timestamp" => Some(Value::U64(session.since.realtime)),
        "TimestampMonotonic" => Some(Value::U64(session.since.monotonic)),
        "VTNr" => Some(Value::U32(session.vtnr)),
        "Seat" => Some(named(session.seat.as_deref(), seat::object_path)),
        "TTY" => text(&session.tty),
        "Display" => text(&session.display),
        "Remote" => Some(Value::Bool(session.remote)),
        "RemoteHost" => text(&session.remote_host),
        "RemoteUser" => text(&session.remote_user),
        "Service" => text(&session.service),
        "Desktop" => text(&session.desktop),
        "Scope" => text(session.scope.as_deref().unwrap_or("")),
        "Leader" => Some(Value::U32(session.leader.cast_unsigned())),
        "Audit" => Some(Value::U32(session.audit)),
        "Type" => text(session.kind.name()),
        "Class" => text(session.class.name()),
        "Active" => Some(Value::Bool(sessions.is_active(session))),
        "State" => text(sessions.state_of(session).name()),
        "IdleHint" => Some(Value::Bool(session.class.can_idle() && session.idle)),
        "IdleSinceHint" => Some(Value::U64(session.idle_since.realtime)),
        "IdleSinceHintMonotonic" => Some(Value::U64(session.idle_since.monotonic)),
        "CanIdle" => Some(Value::Bool(session.class.can_idle())),
        "CanLock" => Some(Value::Bool(session.class.can_lock())),
        "LockedHint" => Some(Value::Bool(session.locked)),
        _ => None,
    }
}

/// Whether all sessions that can be idle are, and since when.
fn idle<'a>(sessions: impl Iterator<Item = &'a Session>) -> (bool, Stamp) {
    let mut since = Stamp::default();
    for session in sessions.filter(|session| session.class.can_idle() && !session.stopping) {
        if !session.idle {
            return (false, Stamp::default());
        }
        if session.idle_since.monotonic > since.monotonic {
            since = session.idle_since;
        }
    }
    (true, since)
}

fn of_user(sessions: &Sessions, facts: &Facts, user: &User, name: &str) -> Option<Value> {
    let uid = user.record.uid;
    match name {
        "UID" => Some(Value::U32(uid)),
        "GID" => Some(Value::U32(user.record.gid)),
        "Name" => text(&user.record.name),
        "Timestamp" => Some(Value::U64(user.since.realtime)),
        "TimestampMonotonic" => Some(Value::U64(user.since.monotonic)),
        "RuntimePath" => text(&user.runtime_path()),
        "Service" => text(&user.manager_unit()),
        "Slice" => text(&user.slice()),
        "Display" => Some(named(user.display.as_deref(), session::object_path)),
        "State" => text(sessions.state_of_user(user).name()),
        "Sessions" => session_list(sessions.sessions_of(uid)),
        "IdleHint" => Some(Value::Bool(idle(sessions.sessions_of(uid)).0)),
        "IdleSinceHint" => Some(Value::U64(idle(sessions.sessions_of(uid)).1.realtime)),
        "IdleSinceHintMonotonic" => Some(Value::U64(idle(sessions.sessions_of(uid)).1.monotonic)),
        "Linger" => Some(Value::Bool(facts.lingering.contains(&uid))),
        _ => None,
    }
}

fn of_seat(sessions: &Sessions, seat: &Seat, name: &str) -> Option<Value> {
    match name {
        "Id" => text(&seat.id),
        "ActiveSession" => Some(named(seat.active.as_deref(), session::object_path)),
        "CanTTY" => Some(Value::Bool(seat.can_tty)),
        "CanGraphical" => Some(Value::Bool(seat.can_graphical)),
        "Sessions" => session_list(sessions.sessions_on(&seat.id)),
        "IdleHint" => Some(Value::Bool(idle(sessions.sessions_on(&seat.id)).0)),
        "IdleSinceHint" => Some(Value::U64(idle(sessions.sessions_on(&seat.id)).1.realtime)),
        "IdleSinceHintMonotonic" => Some(Value::U64(idle(sessions.sessions_on(&seat.id)).1.monotonic)),
        _ => None,
    }
}

fn of_manager(sessions: &Sessions, facts: &Facts, name: &str) -> Option<Value> {
    let config = &sessions.config;
    let size = config.runtime_directory_size.resolve(facts.memory);
    let inhibited = |mode| Value::Str(sessions.power.inhibited(mode).to_string());
    let preparing = |ends| sessions.power.preparing().filter(|operation| operation.ends() == ends);
    Some(match name {
        "EnableWallMessages" => Value::Bool(sessions.power.wall),
        "WallMessage" => Value::Str(sessions.power.wall_message.clone()),
        "NAutoVTs" => Value::U32(config.auto_vts),
        "KillOnlyUsers" => return strings(&config.kill_only_users),
        "KillExcludeUsers" => return strings(&config.kill_exclude_users),
        "KillUserProcesses" => Value::Bool(config.kill_user_processes),
        "RebootParameter" => Value::Str(facts.reboot_parameter.clone()),
        "RebootToFirmwareSetup" => Value::Bool(false),
        "RebootToBootLoaderMenu" => Value::U64(u64::MAX),
        "RebootToBootLoaderEntry" | "DesignatedMaintenanceTime" => Value::Str(String::new()),
        "BootLoaderEntries" => return strings(&[]),
        "IdleHint" => Value::Bool(sessions.idle_since().is_some()),
        "IdleSinceHint" => Value::U64(sessions.idle_since().unwrap_or_default().realtime),
        "IdleSinceHintMonotonic" => Value::U64(sessions.idle_since().unwrap_or_default().monotonic),
        "BlockInhibited" => inhibited(Mode::Block),
        "BlockWeakInhibited" => inhibited(Mode::BlockWeak),
        "DelayInhibited" => inhibited(Mode::Delay),
        "InhibitDelayMaxUSec" => Value::U64(config.inhibit_delay_max),
        "UserStopDelayUSec" => Value::U64(config.user_stop_delay),
        "SleepOperation" => return strings(&config.sleep_operations),
        "HoldoffTimeoutUSec" => Value::U64(config.holdoff),
        "IdleAction" => Value::Str(config.idle_action.clone()),
        "IdleActionUSec" => Value::U64(config.idle_action_usec),
        "PreparingForShutdown" => Value::Bool(preparing(true).is_some()),
        "PreparingForShutdownWithMetadata" => signals::metadata(
            [("preparing", Value::Bool(preparing(true).is_some()))]
                .into_iter()
                .chain(preparing(true).map(|operation| ("type", Value::Str(operation.name().to_owned())))),
        ),
        "PreparingForSleep" => Value::Bool(preparing(false).is_some()),
        "ScheduledShutdown" => {
            let schedule = sessions.power.schedule.as_ref();
            let (kind, at) = schedule.map_or(("", u64::MAX), |one| (one.operation.name(), one.at));
            Value::Struct(vec![Value::Str(kind.to_owned()), Value::U64(at)])
        }
        "Docked" => Value::Bool(facts.docked),
        "LidClosed" => Value::Bool(facts.lid_closed),
        "OnExternalPower" => Value::Bool(facts.external_power),
        "RemoveIPC" => Value::Bool(config.remove_ipc),
        "RuntimeDirectorySize" => Value::U64(size),
        "RuntimeDirectoryInodesMax" => {
            Value::U64(config.runtime_directory_inodes.unwrap_or(size / BYTES_AN_INODE))
        }
        "InhibitorsMax" => Value::U64(config.inhibitors_max),
        "NCurrentInhibitors" => Value::U64(sessions.power.inhibitors.len() as u64),
        "SessionsMax" => Value::U64(config.sessions_max),
        "NCurrentSessions" => Value::U64(sessions.sessions().count() as u64),
        "StopIdleSessionUSec" => Value::U64(config.stop_idle_session),
        handler => return text(config.handlers.iter().find(|(key, _)| *key == handler)?.1.as_str()),
    })
}
