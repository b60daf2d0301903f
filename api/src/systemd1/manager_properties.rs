//! `org.freedesktop.DBus.Properties` on the manager object.
use super::action::Operation;
use super::errors::Error;
use super::facts::Facts;
use super::interfaces::MANAGER;
use super::manager_table::{Context, ROWS, write};
use runstead_core::engine::Engine;
use runstead_wire::dbus::{Value, Writer};

/// `Get`: the value as a variant.
pub fn get(
    engine: &Engine,
    facts: &dyn Facts,
    interface: &str,
    property: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let ours = interface.is_empty() || interface == MANAGER.name;
    let row = ROWS.iter().find(|row| ours && row.name == property);
    let row = row.ok_or_else(|| Error::unknown_property(interface, property))?;
    let context = Context { engine, facts, host: &facts.host_values(), manager: &facts.manager() };
    writer.variant(row.signature, |w| write(&context, row, w));
    Ok(())
}

/// `GetAll`: an `a{sv}`.
pub fn get_all(
    engine: &Engine,
    facts: &dyn Facts,
    interface: &str,
    writer: &mut Writer,
) -> Result<(), Error> {
    let ours = interface.is_empty() || interface == MANAGER.name;
    if !ours && !interface.starts_with("org.freedesktop.DBus.") {
        return Err(Error::unknown_interface(interface));
    }
    let context = Context { engine, facts, host: &facts.host_values(), manager: &facts.manager() };
    writer.array("{sv}", |w| {
        for row in ROWS.iter().filter(|_| ours) {
            w.entry_sv(row.name, row.signature, |w| write(&context, row, w));
        }
    });
    Ok(())
}

/// `Set`: what the shell is to do.
pub fn set(property: &str, value: &Value) -> Result<Operation, Error> {
    let row = ROWS.iter().find(|row| row.name == property);
    let row = row.ok_or_else(|| Error::unknown_property(MANAGER.name, property))?;
    if !row.writable {
        return Err(Error::new(
            "org.freedesktop.DBus.Error.PropertyReadOnly",
            format!("Property '{property}' is not writable."),
        ));
    }
    if value.signature() != row.signature {
        return Err(Error::invalid_args(format!(
            "Incorrect parameters for property '{property}', expected '{}', got '{}'.",
            row.signature,
            value.signature()
        )));
    }
    let text = || value.as_str().unwrap_or_default().to_owned();
    Ok(match row.name {
        "LogLevel" => Operation::SetLogLevel(text()),
        "LogTarget" => Operation::SetLogTarget(text()),
        "ServiceWatchdogs" => Operation::SetServiceWatchdogs(value.as_bool().unwrap_or(true)),
        "RuntimeWatchdogPreGovernor" => Operation::SetWatchdogGovernor(text()),
        name => Operation::SetWatchdog(name, value.as_u64().unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_writable_is_set_and_only_with_its_type() {
        assert_eq!(set("LogLevel", &Value::from("debug")), Ok(Operation::SetLogLevel("debug".to_owned())));
        let error = |property, value: Value| set(property, &value).expect_err("refused").name;
        assert_eq!(error("Version", Value::from("x")), "org.freedesktop.DBus.Error.PropertyReadOnly");
        assert_eq!(error("LogLevel", Value::from(1u32)), "org.freedesktop.DBus.Error.InvalidArgs");
        assert_eq!(error("Nonsense", Value::from(1u32)), "org.freedesktop.DBus.Error.UnknownProperty");
    }
}
