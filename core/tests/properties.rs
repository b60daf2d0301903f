//! Settings of our own unit files, shown as properties, against what the reference shows for the same files
//! (`tests/facts/units`; recorded with `busctl call ... GetAll`).

use runstead_core::directives::properties::{self, HostValues, PropertyValue, Source, property_value};
use runstead_core::directives::{Loaded, load, transient_text};
use runstead_core::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
use runstead_core::names::{Specifiers, UnitName, UnitType};
use runstead_core::settings::Settings;
use runstead_core::unitfile::{UnitFile, UnitFiles, parse};
use runstead_core::values::calendar::looks_like_zone;
use serde_json::{Map, Value, json};
use std::path::Path;

fn as_json(value: &PropertyValue) -> Value {
    use PropertyValue::*;
    match value {
        Bool(on) => json!(on),
        Uint(number) | Fd(number) => json!(number),
        Int(number) => json!(number),
        Float(number) => json!(number),
        Text(text) => json!(text),
        Bytes(bytes) => json!(bytes),
        Dict(pairs) => {
            Value::Array(pairs.iter().map(|(key, value)| json!([as_json(key), as_json(value)])).collect())
        }
        Array(_, items) | Struct(items) => Value::Array(items.iter().map(as_json).collect()),
    }
}

fn loaded(name: &UnitName, files: Vec<UnitFile>) -> Loaded {
    let host = HostSpecifiers { host_name: "host".into(), ..HostSpecifiers::default() };
    let manager = ManagerSpecifiers::system("/run");
    let specifiers = Specifiers { unit: name, fragment_path: None, host: &host, manager: &manager };
    let mut files = files.into_iter();
    let files = UnitFiles { fragment: files.next(), dropins: files.collect() };
    load(name.kind(), &files, &specifiers, &Settings::default(), &looks_like_zone)
}

/// The machine on which the facts were taken.
fn machine(expected: &Map<String, Value>) -> HostValues {
    let limit = |name: &str| {
        let number = |suffix: &str| expected.get(&format!("Limit{name}{suffix}")).and_then(Value::as_u64);
        (number("Soft").unwrap_or(u64::MAX), number("").unwrap_or(u64::MAX))
    };
    let names = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    HostValues { limits: names.map(limit), tasks: 192_730, memory: 25_276_514_304, ..HostValues::default() }
}

/// What of our properties differs from the expected ones.
fn differences(
    name: &UnitName,
    loaded: &Loaded,
    expected: &Map<String, Value>,
    host: &HostValues,
) -> Vec<String> {
    let mut found = Vec::new();
    for row in properties::UNIT.iter().chain(properties::of(name.kind())) {
        let Some(ours) = property_value(row, name, &loaded.settings, host) else { continue };
        let Some(theirs) = expected.get(row.name) else { continue };
        let (ours, theirs) = match row.source {
            _ if ["IPAddressAllow", "IPAddressDeny", "LoadCredential"].contains(&row.name) => {
                // The reference keeps these in hash tables: their order means nothing.
                (sorted(&as_json(&ours)), sorted(theirs))
            }
            // How they went is not a setting.
            Source::Commands(..) => (first_columns(&as_json(&ours), 3), first_columns(theirs, 3)),
            Source::Timers(_) => (first_columns(&as_json(&ours), 2), first_columns(theirs, 2)),
            Source::Checks(_) => (first_columns(&as_json(&ours), 4), first_columns(theirs, 4)),
            _ => (as_json(&ours), theirs.clone()),
        };
        if ours != theirs {
            found.push(format!("{} {}: {ours} and not {theirs}", name.as_str(), row.name));
        }
    }
    found
}

fn sorted(rows: &Value) -> Value {
    let mut rows: Vec<Value> = rows.as_array().into_iter().flatten().cloned().collect();
    rows.sort_by_key(Value::to_string);
    Value::Array(rows)
}

fn first_columns(rows: &Value, columns: usize) -> Value {
    let cut =
        |row: &Value| Value::Array(row.as_array().into_iter().flatten().take(columns).cloned().collect());
    Value::Array(rows.as_array().into_iter().flatten().map(cut).collect())
}

#[test]
fn settings_are_shown_as_the_reference_shows_them() {
    let facts: Map<String, Value> =
        serde_json::from_str(include_str!("facts/properties.json")).expect("the facts are JSON");
    // Others hold only what differs from the plain service.
    let base = facts["rs-plain.service"].as_object().expect("an object");
    let host = machine(base);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/units");
    let mut found = Vec::new();
    for (name, facts) in &facts {
        let unit = UnitName::parse(name).expect("a unit name");
        let bytes = std::fs::read(directory.join(name)).expect("each unit has its file");
        let mut expected = base.clone();
        expected.extend(facts.as_object().expect("an object").clone());
        let loaded = loaded(&unit, vec![parse(name, &bytes)]);
        found.extend(differences(&unit, &loaded, &expected, &host));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What the properties do not say: the path of a stream, and whether an empty list of controllers was written.
const UNSAID: [&str; 4] = ["StandardInput", "StandardOutput", "Delegate", "DelegateControllers"];

/// Shown values, set as a client would on an empty unit, are shown alike.
#[test]
fn what_is_shown_can_be_set() {
    let host = HostValues::default();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/units");
    let mut found = Vec::new();
    let mut names: Vec<_> =
        std::fs::read_dir(directory).expect("the facts").map(|entry| entry.expect("a file").path()).collect();
    names.sort();
    for path in names {
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        let unit = UnitName::parse(name).expect("a unit name");
        let wanted = loaded(&unit, vec![parse(name, &std::fs::read(&path).expect("readable"))]).settings;
        let rows = || properties::UNIT.iter().chain(properties::of(unit.kind()));
        let (mut text, empty) = (String::new(), Settings::default());
        for row in rows() {
            // What another property says too, or which a client would say otherwise.
            let twice = ["Delegate", "ImportCredential", "SyslogPriority", "StandardInput", "StandardOutput"];
            if (unit.kind() == UnitType::Service && matches!(row.source, Source::Commands(_, false)))
                || twice.contains(&row.name)
            {
                continue;
            }
            let Some(value) = property_value(row, &unit, &wanted, &host) else { continue };
            if property_value(row, &unit, &empty, &host).as_ref() == Some(&value) {
                continue;
            }
            let last_first = matches!(row.source, Source::Timers(_) | Source::Checks(_))
                || ["Paths", "DeviceAllow"].contains(&row.name);
            let value = match value {
                PropertyValue::Array(element, items) if last_first => {
                    PropertyValue::Array(element, items.into_iter().rev().collect())
                }
                other => other,
            };
            match transient_text(unit.kind(), row.name, &value) {
                Ok(lines) => {
                    lines.iter().for_each(|(section, line)| text += &format!("[{section}]\n{line}\n"))
                }
                Err(error) => found.push(format!("{name}: {error}")),
            }
        }
        let ours = loaded(&unit, vec![parse(name, text.as_bytes())]);
        found.extend(ours.warnings.iter().map(|warning| format!("{name}: {}", warning.kind)));
        for row in rows() {
            let shown = |settings| property_value(row, &unit, settings, &host);
            if shown(&ours.settings) != shown(&wanted) && !UNSAID.contains(&row.name) {
                found.push(format!(
                    "{name} {}: {:?} and not {:?}",
                    row.name,
                    shown(&ours.settings),
                    shown(&wanted)
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
