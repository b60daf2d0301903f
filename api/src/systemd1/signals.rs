//! Signals about units and jobs. Those of the manager are one line each where they are sent.
use super::facts::Facts;
use super::interfaces::{self, JOB, UNIT};
use super::jobs;
use super::state::{self, Context};
use runstead_core::directives::properties::{self, Emits, PropertyRow};
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
    let context = Context { engine, facts, host: &facts.host_values(), unit };
    let path = unit_object_path(&unit.name);
    let own = interfaces::of_type(unit.unit_type()).name;
    let shown = |row: &'static PropertyRow| {
        let context = &context;
        Shown {
            name: row.name,
            signature: row.signature,
            emits: row.emits,
            write: move |w: &mut Writer| state::write(context, row, w),
        }
    };
    let of_type: Vec<_> = properties::of(unit.unit_type()).map(shown).collect();
    let common: Vec<_> = properties::UNIT.iter().map(shown).collect();
    let signals = [changed(&path, own, &of_type), changed(&path, UNIT.name, &common)];
    signals.into_iter().flatten().collect()
}

/// `PropertiesChanged` for a job.
pub fn job_changed(engine: &Engine, id: JobId) -> Vec<Message> {
    let Some(job) = engine.job(id) else { return Vec::new() };
    let shown = |row: &'static jobs::Row| Shown {
        name: row.name,
        signature: row.signature,
        emits: row.emits,
        write: move |w: &mut Writer| jobs::write(engine, job, row, w),
    };
    let rows: Vec<_> = jobs::ROWS.iter().map(shown).collect();
    changed(&job_path(id), JOB.name, &rows).into_iter().collect()
}

/// A property as far as signals need it.
struct Shown<F> {
    name: &'static str,
    signature: &'static str,
    emits: Emits,
    write: F,
}

fn changed<F: Fn(&mut Writer)>(path: &str, interface: &str, rows: &[Shown<F>]) -> Option<Message> {
    if !rows.iter().any(|row| matches!(row.emits, Emits::Change | Emits::Invalidates)) {
        return None;
    }
    let message = Message::signal(path, PROPERTIES, "PropertiesChanged").build(|w| {
        w.str(interface);
        w.array("{sv}", |w| {
            for row in rows.iter().filter(|row| row.emits == Emits::Change) {
                w.entry_sv(row.name, row.signature, |w| (row.write)(w));
            }
        });
        w.strings(rows.iter().filter(|row| row.emits == Emits::Invalidates).map(|row| row.name));
    });
    message.ok()
}
