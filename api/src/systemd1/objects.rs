//! `org.freedesktop.DBus.Properties` on any object.
use super::errors::Error;
use super::facts::Facts;
use super::route::Target;
use super::{jobs, log_control, manager_properties, unit_properties};
use runstead_core::engine::Engine;
use runstead_core::engine::effect::UnitId;
use runstead_wire::dbus::Writer;

/// `Get`: the value as a variant. `unit`: the unit that the target names, when it is loaded.
pub fn get(
    engine: &Engine,
    facts: &dyn Facts,
    (target, unit): (&Target, Option<UnitId>),
    (interface, property): (&str, &str),
    writer: &mut Writer,
) -> Result<(), Error> {
    match (target, unit) {
        (Target::Manager, _) => manager_properties::get(engine, facts, interface, property, writer),
        (Target::LogControl, _) => log_control::get(facts, property, writer),
        (Target::Job(job), _) => jobs::job_property(engine, *job, property, writer),
        (_, Some(id)) => unit_properties::get(engine, facts, id, interface, property, writer),
        _ => Err(Error::unknown_property(interface, property)),
    }
}

/// `GetAll`: an `a{sv}`; an object that only has children has none.
pub fn get_all(
    engine: &Engine,
    facts: &dyn Facts,
    (target, unit): (&Target, Option<UnitId>),
    interface: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    match (target, unit) {
        (Target::Manager, _) => manager_properties::get_all(engine, facts, interface, writer),
        (Target::LogControl, _) => log_control::get_all(facts, interface, writer),
        (Target::Job(job), _) => jobs::job_properties(engine, *job, writer),
        (_, Some(id)) => unit_properties::get_all(engine, facts, id, interface, writer),
        _ => {
            writer.array("{sv}", |_| {});
            Ok(())
        }
    }
}
