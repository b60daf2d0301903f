//! Errors for clients, with the names that the D-Bus specification gives.
use runstead_wire::dbus::Message;

/// An error for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// D-Bus error name.
    pub name: &'static str,
    /// For people.
    pub message: String,
}

impl Error {
    /// An error of that name.
    pub fn new(name: &'static str, message: impl Into<String>) -> Error {
        Error { name, message: message.into() }
    }

    /// `org.freedesktop.DBus.Error.InvalidArgs`.
    pub fn invalid_args(message: impl Into<String>) -> Error {
        Error::new("org.freedesktop.DBus.Error.InvalidArgs", message)
    }

    /// `org.freedesktop.DBus.Error.UnknownMethod`.
    pub fn unknown_method(member: &str, interface: &str) -> Error {
        Error::new(
            "org.freedesktop.DBus.Error.UnknownMethod",
            format!("Unknown method {member} or interface {interface}."),
        )
    }

    /// `org.freedesktop.DBus.Error.UnknownInterface`.
    pub fn unknown_interface(interface: &str) -> Error {
        Error::new("org.freedesktop.DBus.Error.UnknownInterface", format!("Unknown interface '{interface}'."))
    }

    /// `org.freedesktop.DBus.Error.UnknownProperty`.
    pub fn unknown_property(interface: &str, property: &str) -> Error {
        Error::new(
            "org.freedesktop.DBus.Error.UnknownProperty",
            format!("Unknown interface {interface} or property {property}."),
        )
    }

    /// `org.freedesktop.DBus.Error.UnknownObject`.
    pub fn unknown_object(path: &str) -> Error {
        Error::new("org.freedesktop.DBus.Error.UnknownObject", format!("Unknown object '{path}'."))
    }

    /// `org.freedesktop.DBus.Error.InvalidArgs`: a body of another type than the method takes.
    pub fn unexpected_arguments(call: &Message, interface: &str, expected: &str) -> Error {
        Error::invalid_args(format!(
            "Invalid arguments '{}' to call {interface}.{}(), expecting '{expected}'.",
            call.signature(),
            call.member().unwrap_or("")
        ))
    }
}
