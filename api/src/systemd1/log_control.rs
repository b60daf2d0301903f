//! `org.freedesktop.LogControl1` (org.freedesktop.LogControl1(5)): the log level and target, as every daemon may offer them.
use super::errors::Error;
use super::facts::{Facts, ManagerFacts};
use runstead_wire::dbus::Writer;

/// Object path.
pub const PATH: &str = "/org/freedesktop/LogControl1";
/// Interface.
pub const INTERFACE: &str = "org.freedesktop.LogControl1";

/// A property, all of them texts that are not announced.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Only root may set it.
    pub writable: bool,
    value: fn(&ManagerFacts) -> &str,
}

/// The properties.
pub static ROWS: [Row; 3] = [
    Row { name: "LogLevel", writable: true, value: |facts| &facts.log_level },
    Row { name: "LogTarget", writable: true, value: |facts| &facts.log_target },
    // Journal fields and filters of existing machines know the manager under this name.
    Row { name: "SyslogIdentifier", writable: false, value: |_| "systemd" },
];

/// `Get`.
pub fn get(facts: &dyn Facts, property: &str, writer: &mut Writer) -> Result<(), Error> {
    let row = ROWS.iter().find(|row| row.name == property);
    let row = row.ok_or_else(|| Error::unknown_property(INTERFACE, property))?;
    writer.variant("s", |w| {
        w.str((row.value)(&facts.manager()));
    });
    Ok(())
}

/// `GetAll`.
pub fn get_all(facts: &dyn Facts, interface: &str, writer: &mut Writer) -> Result<(), Error> {
    if !interface.is_empty() && interface != INTERFACE {
        return Err(Error::unknown_interface(interface));
    }
    let facts = facts.manager();
    writer.array("{sv}", |w| {
        for row in &ROWS {
            w.entry_sv(row.name, "s", |w| {
                w.str((row.value)(&facts));
            });
        }
    });
    Ok(())
}
