//! Values of unit properties: the tables of `core` say which there are, in which order and with which signature; what is no
//! setting is read here from the engine's state and from facts.
//!
//! | file | what it holds |
//! |---|---|
//! | `context` | what is read |
//! | `unit` | what all units have, and types without processes |
//! | `types` | services, sockets, mounts, swaps, timers, scopes, devices |
//! | `cgroup` | what the kernel says about a control group, and other facts |
//! | `lists` | commands, timers and checks with how they went |
pub mod cgroup;
pub mod context;
pub mod lists;
pub mod types;
pub mod unit;

pub use context::Context;

use super::value::to_wire;
use runstead_core::directives::properties::{PropertyRow, Source, property_value};
use runstead_wire::dbus::Writer;

/// Writes the value of a property, without its variant.
pub fn write(context: &Context<'_>, row: &PropertyRow, writer: &mut Writer) {
    match row.source {
        Source::Directive(..) => {
            let unit = context.unit;
            if let Some(value) = property_value(row, &unit.name, &unit.settings, context.host) {
                to_wire(writer, row.signature, &value);
            }
        }
        Source::Commands(id, extended) => lists::commands(context, id, extended, writer),
        Source::Timers(true) => lists::calendar_timers(context, writer),
        Source::Timers(false) => lists::monotonic_timers(context, writer),
        Source::Checks(true) => lists::checks(context.unit.settings.asserts(), &context.unit.assert, writer),
        Source::Checks(false) => {
            lists::checks(context.unit.settings.conditions(), &context.unit.condition, writer);
        }
        Source::State(which) => unit::write(context, which, writer),
        Source::Fact(which) => cgroup::write(context, which, writer),
    }
}
