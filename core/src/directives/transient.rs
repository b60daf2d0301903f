//! Properties as clients set them, and the lines of a unit file that they stand for (org.freedesktop.systemd1(5),
//! `StartTransientUnit` and `SetUnitProperties`).

use super::properties::PropertyValue;
use super::{Kind, Sections, find, section};
use crate::names::UnitType;
use std::fmt;

/// Why a property cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSettable {
    /// There is none of this name, or it is not for clients to set.
    Unknown(String),
    /// Its value has another type.
    Type(String),
}

impl fmt::Display for NotSettable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSettable::Unknown(name) => write!(f, "Cannot set property {name}, or unknown property."),
            NotSettable::Type(name) => {
                write!(f, "The value of property {name} does not have the right type.")
            }
        }
    }
}

/// The lines, with their sections, that set a property of a unit of this type.
pub fn transient_text(
    kind: UnitType,
    name: &str,
    value: &PropertyValue,
) -> Result<Vec<(&'static str, String)>, NotSettable> {
    let directive = match name.strip_suffix("USec") {
        Some(stem) => format!("{stem}Sec"),
        None => name.to_owned(),
    };
    let sections = [Sections::of(kind), section::UNIT];
    let row = sections.into_iter().find_map(|at| find(at, &directive).map(|row| (at, row)));
    let (at, row) = row.ok_or_else(|| NotSettable::Unknown(name.to_owned()))?;
    let section = at.names().next().ok_or_else(|| NotSettable::Unknown(name.to_owned()))?;
    let wrong = || NotSettable::Type(name.to_owned());
    let text = match value {
        PropertyValue::Bool(on) => if *on { "yes" } else { "no" }.to_owned(),
        PropertyValue::Uint(u64::MAX) => "infinity".to_owned(),
        PropertyValue::Uint(number) if name.ends_with("USec") => format!("{number}us"),
        PropertyValue::Uint(number) if matches!(row.kind, Kind::Mode) => format!("{number:04o}"),
        PropertyValue::Uint(number) => number.to_string(),
        PropertyValue::Int(number) => number.to_string(),
        PropertyValue::Text(text) => text.replace('%', "%%"),
        PropertyValue::Array(_, items) => {
            let words: Option<Vec<String>> = items.iter().map(quoted).collect();
            words.ok_or_else(wrong)?.join(" ")
        }
        _ => return Err(wrong()),
    };
    if text.contains(['\n', '\0']) {
        return Err(wrong());
    }
    Ok(vec![(section, format!("{}={text}", row.name))])
}

/// A word of a list, in quotes where it needs them.
fn quoted(item: &PropertyValue) -> Option<String> {
    let PropertyValue::Text(text) = item else { return None };
    let text = text.replace('%', "%%");
    if !text.is_empty() && !text.contains([' ', '\t', '"', '\'', '\\', ';']) {
        return Some(text);
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_become_lines() {
        let lines = |name: &str, value| transient_text(UnitType::Service, name, &value);
        assert_eq!(
            lines("RemainAfterExit", PropertyValue::Bool(true)),
            Ok(vec![("Service", "RemainAfterExit=yes".to_owned())])
        );
        assert_eq!(
            lines("RestartUSec", PropertyValue::Uint(5)),
            Ok(vec![("Service", "RestartSec=5us".to_owned())])
        );
        assert_eq!(
            lines("Description", PropertyValue::Text("100%".to_owned())),
            Ok(vec![("Unit", "Description=100%%".to_owned())])
        );
        assert_eq!(lines("MainPID", PropertyValue::Uint(1)), Err(NotSettable::Unknown("MainPID".to_owned())));
        assert_eq!(
            lines("Description", PropertyValue::Text("a\n[Service]".to_owned())),
            Err(NotSettable::Type("Description".to_owned()))
        );
    }
}
