//! Signals of the login manager's objects.
use super::properties::{self, Facts};
use super::{MANAGER_PATH, decode, object, tables};
use runstead_core::sessions::Sessions;
use runstead_core::sessions::event::Object;
use runstead_core::sessions::power::operation::Operation;
use runstead_core::sessions::{seat, session, user};
use runstead_wire::dbus::{Message, Value};
use std::borrow::Cow;

/// The path of an object.
pub fn path(object: &Object) -> String {
    match object {
        Object::Manager => MANAGER_PATH.to_owned(),
        Object::Session(id) => session::object_path(id),
        Object::User(uid) => user::object_path(*uid),
        Object::Seat(id) => seat::object_path(id),
    }
}

/// `SessionNew` and its like (`new`), or `SessionRemoved` and its like.
pub fn came_or_went(thing: &Object, new: bool) -> Option<Message> {
    let member = match (thing, new) {
        (Object::Manager, _) => return None,
        (Object::Session(_), true) => "SessionNew",
        (Object::Session(_), false) => "SessionRemoved",
        (Object::User(_), true) => "UserNew",
        (Object::User(_), false) => "UserRemoved",
        (Object::Seat(_), true) => "SeatNew",
        (Object::Seat(_), false) => "SeatRemoved",
    };
    let signal = Message::signal(MANAGER_PATH, tables::MANAGER.name, member).build(|body| {
        match thing {
            Object::User(uid) => body.u32(*uid),
            Object::Session(id) | Object::Seat(id) => body.str(id),
            Object::Manager => body,
        };
        body.object_path(&path(thing));
    });
    signal.ok()
}

/// `PropertiesChanged`.
pub fn changed(sessions: &Sessions, facts: &Facts, thing: &Object, names: &[&str]) -> Option<Message> {
    let target = match thing {
        Object::Manager => object::Object::Manager,
        Object::Session(id) => object::Object::Session(id.clone()),
        Object::User(uid) => object::Object::User(Some(*uid)),
        Object::Seat(id) => object::Object::Seat(id.clone()),
    };
    let interface = decode::interface_of(&target)?.name;
    let signal = Message::signal(&path(thing), "org.freedesktop.DBus.Properties", "PropertiesChanged");
    let signal = signal.build(|body| {
        body.str(interface);
        properties::write(sessions, facts, &target, names.iter().copied(), body);
        body.strings::<&str>([]);
    });
    signal.ok()
}

/// `a{sv}` of these.
pub(super) fn metadata(rows: impl Iterator<Item = (&'static str, Value)>) -> Value {
    let row = |(key, value): (&str, Value)| (Value::Str(key.to_owned()), Value::variant(value));
    Value::Dict(Cow::Borrowed("sv"), rows.map(row).collect())
}

/// `PrepareForShutdown` or `PrepareForSleep`: an operation begins, or is over.
pub fn prepare(operation: Operation, begins: bool) -> Vec<Message> {
    let signal = |member: &str| Message::signal(MANAGER_PATH, tables::MANAGER.name, member);
    let plain = |member: &str| {
        signal(member).build(|body| {
            body.bool(begins);
        })
    };
    if !operation.ends() {
        return plain("PrepareForSleep").into_iter().collect();
    }
    let with_metadata = signal("PrepareForShutdownWithMetadata").build(|body| {
        let kind = Value::Str(operation.name().to_owned());
        body.bool(begins).value(&metadata([("type", kind)].into_iter()));
    });
    [with_metadata, plain("PrepareForShutdown")].into_iter().flatten().collect()
}
