//! Signals about units and jobs. Those of the manager are one line each where they are sent.
use super::facts::Facts;
use super::interfaces::{self, JOB, UNIT};
use super::jobs;
use super::properties::{self, Context, Emits, UnitProperty};
use runstead_core::engine::Engine;
use runstead_core::engine::effect::{JobId, UnitId};
use runstead_core::names::unit_object_path;
use runstead_wire::dbus::{Message, Writer};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The object path of a job.
pub fn job_path(job: JobId) -> String {
    format!("{}{}", super::JOB_PREFIX, job.0)
}

/// `PropertiesChanged` for a unit: its type's interface first, then the one of all units. Values of the properties that
/// announce their changes, names of those that announce only that; a type without either has no signal.
pub fn unit_changed(engine: &Engine, facts: &dyn Facts, id: UnitId) -> Vec<Message> {
    let Some(unit) = engine.get(id) else { return Vec::new() };
    let context = Context { engine, facts, unit };
    let path = unit_object_path(&unit.name);
    let own = interfaces::of_type(unit.unit_type()).name;
    let of_type: Vec<&UnitProperty> = properties::of_type(unit.unit_type()).collect();
    let common: Vec<&UnitProperty> = properties::unit::ROWS.iter().collect();
    let write = |row: &UnitProperty, w: &mut Writer| properties::write(&context, row, w);
    [(own, of_type), (UNIT.name, common)]
        .into_iter()
        .filter(|(_, rows)| rows.iter().any(|row| matches!(row.emits, Emits::Changes | Emits::Invalidates)))
        .filter_map(|(interface, rows)| changed(&path, interface, &rows, write))
        .collect()
}

/// `PropertiesChanged` for a job.
pub fn job_changed(engine: &Engine, id: JobId) -> Vec<Message> {
    let Some(job) = engine.job(id) else { return Vec::new() };
    let rows: Vec<_> = jobs::ROWS.iter().collect();
    let write = |row: &properties::Property<jobs::JobFn>, w: &mut Writer| jobs::write(engine, job, row, w);
    changed(&job_path(id), JOB.name, &rows, write).into_iter().collect()
}

fn changed<F>(
    path: &str,
    interface: &str,
    rows: &[&properties::Property<F>],
    write: impl Fn(&properties::Property<F>, &mut Writer),
) -> Option<Message> {
    let message = Message::signal(path, PROPERTIES, "PropertiesChanged").build(|w| {
        w.str(interface);
        w.array("{sv}", |w| {
            for row in rows.iter().filter(|row| row.emits == Emits::Changes) {
                w.entry_sv(row.name, row.signature, |w| write(row, w));
            }
        });
        w.strings(rows.iter().filter(|row| row.emits == Emits::Invalidates).map(|row| row.name));
    });
    message.ok()
}
