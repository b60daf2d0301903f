//! Objects by path.
use super::MANAGER_PATH;
use runstead_core::names::bus_path_unescape;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The manager.
    Manager,
    /// A session: its name, or `self` or `auto`.
    Session(String),
    /// A user: its number, or the caller's.
    User(Option<u32>),
    /// A seat: its name, or `self` or `auto`.
    Seat(String),
    /// A node above those, of which only the children are of interest.
    Node(&'static str),
}

const NODES: [&str; 6] = [
    "/",
    "/org",
    "/org/freedesktop",
    "/org/freedesktop/login1/session",
    "/org/freedesktop/login1/user",
    "/org/freedesktop/login1/seat",
];

impl Object {
    /// What this path names, whether it is there or not.
    pub fn at(path: &str) -> Option<Object> {
        if path == MANAGER_PATH {
            return Some(Object::Manager);
        }
        if let Some(node) = NODES.iter().find(|node| **node == path) {
            return Some(Object::Node(node));
        }
        let (kind, name) = path.strip_prefix(MANAGER_PATH)?.strip_prefix('/')?.split_once('/')?;
        match kind {
            "session" => Some(Object::Session(bus_path_unescape(name)?)),
            "seat" => Some(Object::Seat(bus_path_unescape(name)?)),
            "user" if name == "self" => Some(Object::User(None)),
            "user" => Some(Object::User(Some(name.strip_prefix('_')?.parse().ok()?))),
            _ => None,
        }
    }
}
