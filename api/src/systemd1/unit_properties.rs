//! `org.freedesktop.DBus.Properties` on unit objects.
use super::errors::Error;
use super::facts::Facts;
use super::interfaces;
use super::properties::{self, Context, UnitProperty};
use runstead_core::engine::effect::UnitId;
use runstead_core::engine::{Engine, Unit};
use runstead_core::names::UnitType;
use runstead_wire::dbus::Writer;

/// The properties of an interface on units of a type; all of them for the empty name, the type's first.
fn rows(kind: UnitType, interface: &str) -> Vec<&'static UnitProperty> {
    let mut rows = Vec::new();
    if interface.is_empty() || interface == interfaces::of_type(kind).name {
        rows.extend(properties::of_type(kind));
    }
    if interface.is_empty() || interface == interfaces::UNIT.name {
        rows.extend(properties::unit::ROWS);
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
    let context = Context { engine, facts, unit: unit(engine, id)? };
    let kind = context.unit.unit_type();
    let known = rows(kind, interface);
    let row = known.iter().find(|row| row.name == property);
    let row = row.ok_or_else(|| unknown(&context.unit.name, interface, property, known.is_empty()))?;
    writer.variant(row.signature, |w| properties::write(&context, row, w));
    Ok(())
}

fn unknown(
    unit: &runstead_core::names::UnitName,
    interface: &str,
    property: &str,
    no_interface: bool,
) -> Error {
    if no_interface && !is_common(interface) {
        return Error::unknown_interface(interface);
    }
    let path = runstead_core::names::unit_object_path(unit);
    Error::unknown_property(interface, property, &path)
}

/// `GetAll`: an `a{sv}`.
pub fn get_all(
    engine: &Engine,
    facts: &dyn Facts,
    id: UnitId,
    interface: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let context = Context { engine, facts, unit: unit(engine, id)? };
    let rows = rows(context.unit.unit_type(), interface);
    if rows.is_empty()
        && !is_common(interface)
        && interface != interfaces::of_type(context.unit.unit_type()).name
    {
        return Err(Error::unknown_interface(interface));
    }
    writer.array("{sv}", |w| {
        for row in rows {
            w.entry_sv(row.name, row.signature, |w| properties::write(&context, row, w));
        }
    });
    Ok(())
}
