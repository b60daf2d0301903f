//! Properties that clients set: for transient units, and at run time. They become unit file text, so that one parser
//! judges them and one writer stores them.
use super::action::{Action, Shape};
use super::decode::{job_mode, unit_name};
use super::errors::Error;
use super::value::from_wire;
use runstead_core::directives::{self, NotSettable};
use runstead_core::engine::effect::{FdId, Request};
use runstead_core::names::UnitType;
use runstead_wire::dbus::{Reader, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

/// Most processes one call may hand over.
const MAX_PIDS: usize = 4096;

/// What the properties of one unit amount to.
#[derive(Debug, Default)]
struct Properties {
    sections: BTreeMap<&'static str, Vec<String>>,
    pids: Vec<i32>,
    fds: Vec<(Rc<str>, FdId)>,
    controller: Option<Rc<str>>,
    add_ref: bool,
}

impl Properties {
    fn text(&self) -> String {
        let mut text = String::new();
        for (section, lines) in &self.sections {
            let _ = writeln!(text, "[{section}]");
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
            text.push('\n');
        }
        text
    }
}

/// `StartTransientUnit(name, mode, properties, aux)`.
pub fn start_transient(body: &mut Reader<'_>) -> Result<Action, Error> {
    let unit = unit_name(body.str()?)?;
    let mode = job_mode(body.str()?)?;
    let properties = read_properties(unit.kind(), body)?;
    let mut aux = Vec::new();
    body.enter_array("(sa(sv))")?;
    while body.has_more() {
        body.enter_struct()?;
        let name = unit_name(body.str()?)?;
        let text = read_properties(name.kind(), body)?.text();
        aux.push((name, text.into()));
        body.exit()?;
    }
    body.exit()?;
    let text = properties.text().into();
    let Properties { pids, fds, controller, add_ref, .. } = properties;
    let request = Request::StartTransient { unit, mode, text, pids, fds, aux, controller, add_ref };
    Ok(Action::Engine(request, Shape::JobPath))
}

/// The `a(sv)` of `SetUnitProperties` as drop-in text.
pub fn property_text(kind: UnitType, body: &mut Reader<'_>) -> Result<Rc<str>, Error> {
    Ok(read_properties(kind, body)?.text().into())
}

/// An `au` of process ids.
pub fn pids(body: &mut Reader<'_>) -> Result<Vec<i32>, Error> {
    let mut pids = Vec::new();
    body.enter_array("u")?;
    while body.has_more() {
        if pids.len() == MAX_PIDS {
            return Err(Error::new(
                "org.freedesktop.DBus.Error.LimitsExceeded",
                "Too many processes in one call",
            ));
        }
        pids.push(pid(u64::from(body.u32()?))?);
    }
    body.exit()?;
    Ok(pids)
}

fn pid(number: u64) -> Result<i32, Error> {
    i32::try_from(number)
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| Error::invalid_args(format!("Process id {number} is out of range")))
}

fn read_properties(kind: UnitType, body: &mut Reader<'_>) -> Result<Properties, Error> {
    let mut properties = Properties::default();
    body.enter_array("(sv)")?;
    while body.has_more() {
        body.enter_struct()?;
        let name = body.str()?;
        let value = match body.value()? {
            Value::Variant(inner) => *inner,
            other => other,
        };
        body.exit()?;
        read_property(kind, name, value, &mut properties)?;
    }
    body.exit()?;
    Ok(properties)
}

/// What is not text (processes, descriptors, references) is kept apart; the rest is the table's business.
fn read_property(kind: UnitType, name: &str, value: Value, into: &mut Properties) -> Result<(), Error> {
    match (name, &value) {
        ("PIDs", Value::Array(_, items)) => {
            for item in items.iter().take(MAX_PIDS) {
                into.pids.push(pid(item.as_u64().unwrap_or(0))?);
            }
        }
        ("PIDFDs", Value::Array(_, items)) => {
            for item in items.iter().take(MAX_PIDS) {
                if let Value::UnixFd(fd) = item {
                    into.fds.push(("PIDFDs".into(), FdId(*fd)));
                }
            }
        }
        ("Controller", _) => into.controller = value.as_str().map(Into::into),
        ("AddRef", _) => into.add_ref = value.as_bool().unwrap_or(false),
        (
            "StandardInputFileDescriptor" | "StandardOutputFileDescriptor" | "StandardErrorFileDescriptor",
            Value::UnixFd(fd),
        ) => {
            into.fds.push((name.into(), FdId(*fd)));
        }
        ("ExtraFileDescriptors", Value::Array(_, items)) => {
            for item in items {
                if let Value::Struct(fields) = item
                    && let [Value::UnixFd(fd), label] = fields.as_slice()
                {
                    let label = label.as_str().unwrap_or_default();
                    into.fds.push((format!("{name}:{label}").into(), FdId(*fd)));
                }
            }
        }
        _ => {
            let lines = directives::transient_text(kind, name, &from_wire(&value))
                .map_err(|error| not_settable(&error))?;
            for (section, line) in lines {
                into.sections.entry(section).or_default().push(line);
            }
        }
    }
    Ok(())
}

fn not_settable(error: &NotSettable) -> Error {
    let name = match error {
        NotSettable::Unknown(_) => "org.freedesktop.DBus.Error.PropertyReadOnly",
        NotSettable::Type(_) => "org.freedesktop.DBus.Error.InvalidArgs",
    };
    Error::new(name, error.to_string())
}
