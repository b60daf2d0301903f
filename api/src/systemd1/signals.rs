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

/// Room for the values of a service, which has most.
const ROOM: usize = 2048;

/// `PropertiesChanged` for a unit: its type's interface first, then the one of all units. Values of the properties that
/// announce their changes, names of those that announce only that; a type without either has no signal.
pub fn unit_changed(engine: &Engine, facts: &dyn Facts, id: UnitId) -> Vec<Message> {
    let Some(unit) = engine.get(id) else { return Vec::new() };
    let context = Context { engine, facts, host: &facts.host_values(), unit };
    let path = unit_object_path(&unit.name);
    let own = interfaces::of_type(unit.unit_type()).name;
    let interfaces =
        [(own, properties::signalled(unit.unit_type())), (UNIT.name, properties::signalled_of_all())];
    let shape = |row: &&PropertyRow| Shape { name: row.name, signature: row.signature, emits: row.emits };
    let signal = |(interface, rows)| {
        changed(&path, interface, rows, shape, |row: &&PropertyRow, w| state::write(&context, row, w))
    };
    interfaces.into_iter().filter_map(signal).collect()
}

/// `PropertiesChanged` for a job.
pub fn job_changed(engine: &Engine, id: JobId) -> Option<Message> {
    let job = engine.job(id)?;
    let shape = |row: &jobs::Row| Shape { name: row.name, signature: row.signature, emits: row.emits };
    changed(&job_path(id), JOB.name, jobs::ROWS, shape, |row, w| jobs::write(engine, job, row, w))
}

/// A property as far as signals need it.
struct Shape {
    name: &'static str,
    signature: &'static str,
    emits: Emits,
}

/// `None` when nothing of `rows` is signalled.
fn changed<R>(
    path: &str,
    interface: &str,
    rows: &[R],
    shape: impl Fn(&R) -> Shape,
    write: impl Fn(&R, &mut Writer),
) -> Option<Message> {
    let is = |row: &&R, emits: Emits| shape(row).emits == emits;
    if !rows.iter().any(|row| is(&row, Emits::Change) || is(&row, Emits::Invalidates)) {
        return None;
    }
    let mut w = Writer::reusing(Vec::with_capacity(ROOM));
    w.str(interface);
    w.array("{sv}", |w| {
        for row in rows.iter().filter(|row| is(row, Emits::Change)) {
            let Shape { name, signature, .. } = shape(row);
            w.entry_sv(name, signature, |w| write(row, w));
        }
    });
    w.strings(rows.iter().filter(|row| is(row, Emits::Invalidates)).map(|row| shape(row).name));
    let message = Message::signal(path, PROPERTIES, "PropertiesChanged");
    w.finish().ok().map(|body| message.with_body(body))
}
