//! The XML of an object, from the tables that answer for it.
use super::object::Object;
use super::{decode, properties};
use crate::introspection::{document, method, node, open, property, signal};
use runstead_core::names::bus_path_escape;
use runstead_core::sessions::Sessions;

/// The XML of an object.
pub fn text(sessions: &Sessions, object: &Object) -> String {
    document(|xml| match (object, decode::interface_of(object)) {
        (Object::Node(path), _) => children(xml, sessions, path),
        (_, Some(interface)) => {
            open(xml, interface);
            for row in properties::rows(object) {
                property(xml, row.name, row.signature, row.emits, row.writable);
            }
            interface.methods.iter().for_each(|row| method(xml, row));
            interface.signals.iter().for_each(|row| signal(xml, row));
            xml.push_str(" </interface>\n");
            if *object == Object::Manager {
                ["seat", "session", "user"].into_iter().for_each(|name| node(xml, name));
            }
        }
        _ => {}
    })
}

fn children(xml: &mut String, sessions: &Sessions, path: &str) {
    match path.rsplit('/').next().unwrap_or("") {
        "session" => sessions.sessions().for_each(|session| node(xml, &bus_path_escape(&session.id))),
        "user" => sessions.users().for_each(|user| node(xml, &format!("_{}", user.record.uid))),
        "seat" => sessions.seats().for_each(|seat| node(xml, &bus_path_escape(&seat.id))),
        "" => node(xml, "org"),
        "org" => node(xml, "freedesktop"),
        _ => node(xml, "login1"),
    }
}
