//! `org.freedesktop.DBus.Properties` on unit objects.
use super::errors::Error;
use super::facts::Facts;
use super::state::{Context, write};
use super::{interfaces, rundir};
use runstead_core::directives::properties::{self, PropertyRow};
use runstead_core::engine::effect::UnitId;
use runstead_core::engine::{Engine, Unit};
use runstead_core::names::UnitType;
use runstead_wire::dbus::Writer;

/// The properties of an interface on units of a type; all of them for the empty name, the type's first.
fn rows(kind: UnitType, interface: &str) -> Vec<&'static PropertyRow> {
    let mut rows = Vec::new();
    if interface.is_empty() || interface == interfaces::of_type(kind).name {
        rows.extend(properties::of(kind));
    }
    if interface.is_empty() || interface == interfaces::UNIT.name {
        rows.extend(properties::UNIT);
    }
    rows
}

/// Interfaces that every object has; they have no properties.
fn is_common(interface: &str) -> bool {
    matches!(
        interface,
        "org.freedesktop.DBus.Peer"
            | "org.freedesktop.DBus.Introspectable"
            | "org.freedesktop.DBus.Properties"
            | "org.freedesktop.DBus.ObjectManager"
    )
}

fn unit(engine: &Engine, id: UnitId) -> Result<&Unit, Error> {
    engine
        .get(id)
        .ok_or_else(|| Error::new("org.freedesktop.systemd1.NoSuchUnit", "The unit is not loaded any more."))
}

/// `Get`: the value as a variant.
pub fn get(
    engine: &Engine,
    facts: &dyn Facts,
    id: UnitId,
    interface: &str,
    property: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let context = Context { engine, facts, host: &facts.host_values(), unit: unit(engine, id)? };
    let kind = context.unit.unit_type();
    if rundir::is_asked(interface, property) {
        return rundir::get(facts, context.unit, property, writer);
    }
    let known = rows(kind, interface);
    let row = known.iter().find(|row| row.name == property);
    let row = row.ok_or_else(|| Error::unknown_property(interface, property))?;
    writer.variant(row.signature, |w| write(&context, row, w));
    Ok(())
}

/// `GetAll`: an `a{sv}`.
pub fn get_all(
    engine: &Engine,
    facts: &dyn Facts,
    id: UnitId,
    interface: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let context = Context { engine, facts, host: &facts.host_values(), unit: unit(engine, id)? };
    let rows = rows(context.unit.unit_type(), interface);
    if rows.is_empty()
        && !is_common(interface)
        && interface != rundir::INTERFACE
        && interface != interfaces::of_type(context.unit.unit_type()).name
    {
        return Err(Error::unknown_interface(interface));
    }
    writer.array("{sv}", |w| {
        for row in rows {
            w.entry_sv(row.name, row.signature, |w| write(&context, row, w));
        }
        // Not among all: `systemctl show` would print what the reference does not have, and wait for a look each time.
        if interface == rundir::INTERFACE {
            rundir::entries(facts, context.unit, w);
        }
    });
    Ok(())
}
