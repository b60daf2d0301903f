//! `org.freedesktop.DBus.Introspectable`: the XML of an object, from the same tables that answer for it.
use super::interfaces::{self, Interface, Method, Signal};
use super::route::Target;
use super::{JOB_PREFIX, MANAGER_PATH, UNIT_PREFIX, log_control};
use runstead_core::directives::properties::{self, Emits};
use runstead_core::engine::Engine;
use runstead_core::engine::effect::UnitId;
use runstead_core::names::{UnitType, bus_path_escape};
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

/// Methods that end or replace the manager: marked so that bus policies can tell.
const PRIVILEGED: [&str; 7] = ["Exit", "Reboot", "SoftReboot", "PowerOff", "Halt", "KExec", "SwitchRoot"];

/// Methods which stand behind the facts about the cgroup rather than behind the type's own properties.
const OF_CGROUP: [&str; 2] = ["GetProcesses", "AttachProcesses"];
const FIRST_OF_CGROUP: &str = "Slice";
const LAST_FACT_OF_CGROUP: &str = "IOWriteOperations";

/// The XML of an object. `unit`: the unit that the target names, when it is loaded.
pub fn text(engine: &Engine, target: &Target, unit: Option<UnitId>) -> String {
    let mut xml = String::from(DOCTYPE);
    xml.push_str("<node>\n");
    for (name, members) in &COMMON {
        let _ = writeln!(xml, " <interface name=\"{name}\">");
        members.iter().for_each(|member| common_member(&mut xml, member));
        xml.push_str(" </interface>\n");
    }
    match target {
        Target::Manager => {
            manager(&mut xml);
            node(&mut xml, "unit");
            node(&mut xml, "job");
        }
        Target::LogControl => log_control(&mut xml),
        Target::Job(_) => job(&mut xml),
        Target::Unit(_) | Target::Invocation(_) | Target::CallersUnit => {
            if let Some(unit) = unit.and_then(|id| engine.get(id)) {
                of_type(&mut xml, unit.unit_type());
                plain(&mut xml, &interfaces::UNIT, properties::UNIT);
            }
        }
        Target::Node(path) => children(&mut xml, engine, path),
    }
    xml.push_str("</node>\n");
    xml
}

fn children(xml: &mut String, engine: &Engine, path: &str) {
    if path == UNIT_PREFIX.trim_end_matches('/') {
        for unit in engine.units() {
            node(xml, &bus_path_escape(unit.name.as_str()));
        }
    } else if path == JOB_PREFIX.trim_end_matches('/') {
        for job in engine.jobs() {
            node(xml, &job.id.0.to_string());
        }
    } else if let Some(rest) = MANAGER_PATH.strip_prefix(path.trim_end_matches('/')) {
        if log_control::PATH.rsplit_once('/').is_some_and(|(parent, _)| parent == path) {
            node(xml, "LogControl1");
        }
        node(xml, rest.trim_start_matches('/').split('/').next().unwrap_or(""));
    }
}

fn node(xml: &mut String, name: &str) {
    let _ = writeln!(xml, " <node name=\"{name}\"/>");
}

fn open(xml: &mut String, interface: &Interface) {
    let _ = writeln!(xml, " <interface name=\"{}\">", interface.name);
}

fn manager(xml: &mut String) {
    open(xml, &interfaces::MANAGER);
    super::manager_table::ROWS.iter().for_each(|row| {
        property(xml, row.name, row.signature, row.emits, row.writable);
    });
    interfaces::MANAGER.methods.iter().for_each(|row| method(xml, row));
    interfaces::MANAGER.signals.iter().for_each(|row| signal(xml, row));
    xml.push_str(" </interface>\n");
}

fn plain(xml: &mut String, interface: &Interface, rows: &[properties::PropertyRow]) {
    open(xml, interface);
    rows.iter().for_each(|row| property(xml, row.name, row.signature, row.emits, false));
    interface.methods.iter().for_each(|row| method(xml, row));
    interface.signals.iter().for_each(|row| signal(xml, row));
    xml.push_str(" </interface>\n");
}

fn log_control(xml: &mut String) {
    let _ = writeln!(xml, " <interface name=\"{}\">", log_control::INTERFACE);
    for row in &log_control::ROWS {
        property(xml, row.name, "s", Emits::No, row.writable);
    }
    xml.push_str(" </interface>\n");
}

fn job(xml: &mut String) {
    open(xml, &interfaces::JOB);
    interfaces::JOB.methods.iter().for_each(|row| method(xml, row));
    super::jobs::ROWS.iter().for_each(|row| property(xml, row.name, row.signature, row.emits, false));
    xml.push_str(" </interface>\n");
}

/// A type's interface: its own members first, then what it has in common with others.
fn of_type(xml: &mut String, kind: UnitType) {
    let interface = interfaces::of_type(kind);
    open(xml, interface);
    let mut own = true;
    for row in properties::of(kind) {
        if row.name == FIRST_OF_CGROUP {
            own_members(xml, interface);
            own = false;
        }
        property(xml, row.name, row.signature, row.emits, false);
        if row.name == LAST_FACT_OF_CGROUP {
            let shared = interface.methods.iter().filter(|row| OF_CGROUP.contains(&row.name));
            shared.for_each(|row| method(xml, row));
        }
    }
    if own {
        own_members(xml, interface);
    }
    xml.push_str(" </interface>\n");
}

fn own_members(xml: &mut String, interface: &Interface) {
    interface.signals.iter().for_each(|row| signal(xml, row));
    let own = interface.methods.iter().filter(|row| !OF_CGROUP.contains(&row.name));
    own.for_each(|row| method(xml, row));
}

fn property(xml: &mut String, name: &str, signature: &str, emits: Emits, writable: bool) {
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

fn annotation(xml: &mut String, name: &str, value: &str) {
    let _ = writeln!(xml, "   <annotation name=\"{name}\" value=\"{value}\"/>");
}

fn method(xml: &mut String, row: &Method) {
    let _ = writeln!(xml, "  <method name=\"{}\">", row.name);
    args(xml, row.input, " direction=\"in\"");
    args(xml, row.output, " direction=\"out\"");
    if row.deprecated {
        annotation(xml, "org.freedesktop.DBus.Deprecated", "true");
    }
    if row.name == "Reexecute" {
        annotation(xml, "org.freedesktop.DBus.Method.NoReply", "true");
    }
    if PRIVILEGED.contains(&row.name) {
        annotation(xml, "org.freedesktop.systemd1.Privileged", "true");
    }
    xml.push_str("  </method>\n");
}

fn signal(xml: &mut String, row: &Signal) {
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
