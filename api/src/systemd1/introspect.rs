//! `org.freedesktop.DBus.Introspectable`: the XML of an object, from the same tables that answer for it.
use super::interfaces;
use super::route::Target;
use super::{JOB_PREFIX, MANAGER_PATH, UNIT_PREFIX, log_control, rundir};
use crate::interface::Interface;
use crate::introspection::{self, method, node, open, property, signal};
use runstead_core::directives::properties::{self, Emits};
use runstead_core::engine::Engine;
use runstead_core::engine::effect::UnitId;
use runstead_core::names::{UnitType, bus_path_escape};
use std::fmt::Write as _;

/// Methods which stand behind the facts about the cgroup rather than behind the type's own properties.
const OF_CGROUP: [&str; 2] = ["GetProcesses", "AttachProcesses"];
const FIRST_OF_CGROUP: &str = "Slice";
const LAST_FACT_OF_CGROUP: &str = "IOWriteOperations";

/// The XML of an object. `unit`: the unit that the target names, when it is loaded.
pub fn text(engine: &Engine, target: &Target, unit: Option<UnitId>) -> String {
    introspection::document(|xml| of_target(xml, engine, target, unit))
}

fn of_target(xml: &mut String, engine: &Engine, target: &Target, unit: Option<UnitId>) {
    match target {
        Target::Manager => {
            manager(xml);
            node(xml, "unit");
            node(xml, "job");
        }
        Target::LogControl => log_control(xml),
        Target::Job(_) => job(xml),
        Target::Unit(_) | Target::Invocation(_) | Target::CallersUnit => {
            if let Some(unit) = unit.and_then(|id| engine.get(id)) {
                of_type(xml, unit.unit_type());
                plain(xml, &interfaces::UNIT, properties::UNIT);
                of_ours(xml);
            }
        }
        Target::Node(path) => children(xml, engine, path),
    }
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

fn of_ours(xml: &mut String) {
    let _ = writeln!(xml, " <interface name=\"{}\">", rundir::INTERFACE);
    for (name, _) in rundir::ROWS {
        property(xml, name, "t", Emits::No, false);
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
