//! `org.freedesktop.DBus.Introspectable`: the XML of tables.
use crate::interface::{Interface, Method, Signal};
use runstead_core::directives::properties::Emits;
use std::fmt::Write as _;

/// The document type that the D-Bus specification names.
const DOCTYPE: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n\
                       \"https://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";

/// What every object has (D-Bus specification, "Standard Interfaces").
const COMMON: [(&str, &[Member]); 3] = [
    (
        "org.freedesktop.DBus.Peer",
        &[Member::Method("Ping", &[], &[]), Member::Method("GetMachineId", &[], &[("machine_uuid", "s")])],
    ),
    ("org.freedesktop.DBus.Introspectable", &[Member::Method("Introspect", &[], &[("xml_data", "s")])]),
    (
        "org.freedesktop.DBus.Properties",
        &[
            Member::Method("Get", &[("interface_name", "s"), ("property_name", "s")], &[("value", "v")]),
            Member::Method("GetAll", &[("interface_name", "s")], &[("props", "a{sv}")]),
            Member::Method("Set", &[("interface_name", "s"), ("property_name", "s"), ("value", "v")], &[]),
            Member::Signal(
                "PropertiesChanged",
                &[("interface_name", "s"), ("changed_properties", "a{sv}"), ("invalidated_properties", "as")],
            ),
        ],
    ),
];

type Args = [(&'static str, &'static str)];

enum Member {
    Method(&'static str, &'static Args, &'static Args),
    Signal(&'static str, &'static Args),
}

/// The document of one object: what every object has, then what `write` adds.
pub(crate) fn document(write: impl FnOnce(&mut String)) -> String {
    let mut xml = String::from(DOCTYPE);
    xml.push_str("<node>\n");
    for (name, members) in &COMMON {
        let _ = writeln!(xml, " <interface name=\"{name}\">");
        members.iter().for_each(|member| common_member(&mut xml, member));
        xml.push_str(" </interface>\n");
    }
    write(&mut xml);
    xml.push_str("</node>\n");
    xml
}

pub(crate) fn node(xml: &mut String, name: &str) {
    let _ = writeln!(xml, " <node name=\"{name}\"/>");
}

pub(crate) fn open(xml: &mut String, interface: &Interface) {
    let _ = writeln!(xml, " <interface name=\"{}\">", interface.name);
}

pub(crate) fn property(xml: &mut String, name: &str, signature: &str, emits: Emits, writable: bool) {
    let access = if writable { "readwrite" } else { "read" };
    let _ = writeln!(xml, "  <property name=\"{name}\" type=\"{signature}\" access=\"{access}\">");
    if let Some(word) = emits.annotation() {
        annotation(xml, "org.freedesktop.DBus.Property.EmitsChangedSignal", word);
    }
    if writable {
        annotation(xml, "org.freedesktop.systemd1.Privileged", "true");
    }
    xml.push_str("  </property>\n");
}

pub(crate) fn annotation(xml: &mut String, name: &str, value: &str) {
    let _ = writeln!(xml, "   <annotation name=\"{name}\" value=\"{value}\"/>");
}

pub(crate) fn method(xml: &mut String, row: &Method) {
    let _ = writeln!(xml, "  <method name=\"{}\">", row.name);
    args(xml, row.input, " direction=\"in\"");
    args(xml, row.output, " direction=\"out\"");
    if row.deprecated {
        annotation(xml, "org.freedesktop.DBus.Deprecated", "true");
    }
    if row.name == "Reexecute" {
        annotation(xml, "org.freedesktop.DBus.Method.NoReply", "true");
    }
    if row.privileged {
        annotation(xml, "org.freedesktop.systemd1.Privileged", "true");
    }
    xml.push_str("  </method>\n");
}

pub(crate) fn signal(xml: &mut String, row: &Signal) {
    let _ = writeln!(xml, "  <signal name=\"{}\">", row.name);
    args(xml, row.args, "");
    xml.push_str("  </signal>\n");
}

fn args(xml: &mut String, args: &Args, direction: &str) {
    for (name, signature) in args {
        let _ = writeln!(xml, "   <arg type=\"{signature}\" name=\"{name}\"{direction}/>");
    }
}

fn common_member(xml: &mut String, member: &Member) {
    match member {
        Member::Method(name, input, output) => {
            let _ = writeln!(xml, "  <method name=\"{name}\">");
            args(xml, input, " direction=\"in\"");
            args(xml, output, " direction=\"out\"");
            xml.push_str("  </method>\n");
        }
        Member::Signal(name, given) => {
            let _ = writeln!(xml, "  <signal name=\"{name}\">");
            args(xml, given, "");
            xml.push_str("  </signal>\n");
        }
    }
}
