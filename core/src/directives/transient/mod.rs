//! Properties as clients set them, and the lines of a unit file that they stand for (org.freedesktop.systemd1(5),
//! `StartTransientUnit` and `SetUnitProperties`).

mod text;

use super::properties::PropertyValue;
use super::{Kind, Row, Sections, find, section};
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

/// The lines, with their sections, that set a property of a unit of this type. An empty list resets what stands
/// before it.
pub fn transient_text(
    kind: UnitType,
    name: &str,
    value: &PropertyValue,
) -> Result<Vec<(&'static str, String)>, NotSettable> {
    if name == "Conditions" || name == "Asserts" {
        return checks(name, value).ok_or_else(|| NotSettable::Type(name.to_owned()));
    }
    if let Some(lines) = listed_by_name(kind, name, value) {
        return lines.ok_or_else(|| NotSettable::Type(name.to_owned()));
    }
    let setting = setting_of(name);
    let sections = [Sections::of(kind), section::UNIT];
    let found =
        sections.into_iter().filter(|at| at.0 != 0).find_map(|at| Some((at, find(at, &setting.name)?)));
    let unknown = || NotSettable::Unknown(name.to_owned());
    let (at, row) = found.filter(|(_, row)| settable(row)).ok_or_else(unknown)?;
    let section = at.names().next().ok_or_else(unknown)?;
    let texts = text::of(row, &setting, value).ok_or_else(|| NotSettable::Type(name.to_owned()))?;
    if texts.iter().any(|text| text.contains(['\n', '\0'])) {
        return Err(NotSettable::Type(name.to_owned()));
    }
    Ok(texts.into_iter().map(|text| (section, format!("{}={text}", row.name))).collect())
}

/// Conditions come all in one property, names of old settings not at all.
fn settable(row: &Row) -> bool {
    !matches!(
        row.kind,
        Kind::Condition
            | Kind::Assert
            | Kind::Install
            | Kind::Obsolete(_)
            | Kind::Ignored
            | Kind::OnFailureIsolate
    )
}

/// What a property says about a setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// The setting's name.
    pub name: String,
    /// What of it the property is.
    pub part: Part,
}

/// What of a setting a property is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// The soft limit.
    Soft,
    /// A part of what the machine has, in parts of 2^32.
    Scale,
    /// A text with this before it.
    Prefixed(&'static str),
    /// Directories with links to them.
    Links,
}

/// Properties that are not called as their setting.
fn setting_of(name: &str) -> Setting {
    let part = |name: &str, part| Setting { name: name.to_owned(), part };
    match name {
        "EnvironmentFiles" => return part("EnvironmentFile", Part::Whole),
        "DelegateControllers" => return part("Delegate", Part::Whole),
        "CPUQuotaPerSecUSec" => return part("CPUQuota", Part::Whole),
        "RootHashPath" => return part("RootHash", Part::Whole),
        "RootHashSignaturePath" => return part("RootHashSignature", Part::Whole),
        _ => {}
    }
    for (end, how) in [
        ("FileDescriptorName", Part::Prefixed("fd:")),
        ("FileToAppend", Part::Prefixed("append:")),
        ("FileToTruncate", Part::Prefixed("truncate:")),
        ("File", Part::Prefixed("file:")),
    ] {
        if let Some(stem) = name.strip_suffix(end)
            && ["StandardInput", "StandardOutput", "StandardError"].contains(&stem)
        {
            return part(stem, how);
        }
    }
    if let Some(stem) =
        name.strip_suffix("Scale").filter(|stem| stem.contains("Memory") || *stem == "TasksMax")
    {
        return part(stem, Part::Scale);
    }
    if let Some(stem) = name.strip_suffix("Soft").filter(|stem| stem.starts_with("Limit")) {
        return part(stem, Part::Soft);
    }
    if let Some(stem) = name.strip_suffix("Symlink").filter(|stem| stem.ends_with("Directory")) {
        return part(stem, Part::Links);
    }
    let extended = ["PrivateTmp", "PrivateUsers", "ProtectControlGroups", "ImportCredential"];
    if let Some(stem) = name.strip_suffix("Ex")
        && (stem.starts_with("Exec") || extended.contains(&stem))
    {
        return part(stem, Part::Whole);
    }
    match name.strip_suffix("USec") {
        Some(stem) => Setting { name: format!("{stem}Sec"), part: Part::Whole },
        None => part(name, Part::Whole),
    }
}

/// Properties whose items name the settings: timers, paths, listening addresses.
fn listed_by_name(
    kind: UnitType,
    name: &str,
    value: &PropertyValue,
) -> Option<Option<Vec<(&'static str, String)>>> {
    let (section, prefix, resets) = match (kind, name) {
        (UnitType::Timer, "TimersMonotonic") => ("Timer", "", "OnActiveSec="),
        (UnitType::Timer, "TimersCalendar") => ("Timer", "", "OnCalendar="),
        (UnitType::Path, "Paths") => ("Path", "", "PathExists="),
        (UnitType::Socket, "Listen") => ("Socket", "Listen", "ListenStream="),
        _ => return None,
    };
    let line = |item: &PropertyValue| {
        let [setting, value, ..] = item.items()? else { return None };
        let setting = setting.as_text()?;
        let setting = setting.strip_suffix("USec").map_or(setting.to_owned(), |stem| format!("{stem}Sec"));
        let known = format!("{prefix}{setting}");
        find(Sections::named(section)?, &known)?;
        let text = match value {
            PropertyValue::Uint(usec) => format!("{usec}us"),
            other => text::escaped(other.as_text()?)?,
        };
        Some((section, format!("{known}={text}")))
    };
    let items = value.items();
    Some(match items {
        Some([]) => Some(vec![(section, resets.to_owned())]),
        Some(items) => items.iter().map(line).collect(),
        None => None,
    })
}

/// `Conditions` and `Asserts`: `a(sbbs)`, name, trigger, negate, parameter.
fn checks(name: &str, value: &PropertyValue) -> Option<Vec<(&'static str, String)>> {
    let stem = name.strip_suffix('s')?;
    let line = |item: &PropertyValue| {
        let [setting, trigger, negate, parameter, ..] = item.items()? else { return None };
        let setting = setting.as_text().filter(|setting| setting.starts_with(stem))?;
        find(section::UNIT, setting)?;
        let trigger = if trigger.as_bool()? { "|" } else { "" };
        let negate = if negate.as_bool()? { "!" } else { "" };
        Some(("Unit", format!("{setting}={trigger}{negate}{}", text::escaped(parameter.as_text()?)?)))
    };
    match value.items()? {
        [] => Some(vec![("Unit", format!("{stem}PathExists="))]),
        items => items.iter().map(line).collect(),
    }
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
