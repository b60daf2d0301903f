//! Introspection and `GetAll` against what the reference says (`tests/facts`): `interfaces.txt` is its introspection, one
//! member a line; `values.json` is what `GetAll` gives for units that do not exist, so that all values are defaults.
use runstead_api::systemd1::facts::{Facts, ManagerFacts};
use runstead_api::systemd1::route::{Target, target};
use runstead_api::systemd1::{introspect, manager_properties, signals, unit_properties};
use runstead_core::directives::properties::HostValues;
use runstead_core::engine::{Engine, ManagerConfig, Unit};
use runstead_core::names::{UnitName, UnitType, unit_object_path};
use runstead_wire::dbus::{Endian, Reader, Value, Writer};
use serde_json::{Map, Value as Json, json};

/// The machine on which the facts were taken, as far as they show it.
struct Machine;

impl Facts for Machine {
    fn cgroup_attribute(&self, _: &str, _: &str) -> Option<String> {
        None
    }
    fn cgroup_of(&self, _: i32) -> Option<String> {
        None
    }
    fn cgroup_processes(&self, _: &str) -> Vec<(String, i32)> {
        Vec::new()
    }
    fn cmdline(&self, _: i32) -> String {
        String::new()
    }
    fn unit_file_state(&self, _: &UnitName) -> String {
        String::new()
    }
    fn unit_file_preset(&self, _: &UnitName) -> String {
        String::new()
    }
    fn need_daemon_reload(&self, _: &Unit) -> bool {
        false
    }
    fn host_values(&self) -> HostValues {
        let mut host = HostValues { memory: 25_276_514_304, tasks: 192_731, ..HostValues::default() };
        let set = [(3, 8_388_608, u64::MAX), (4, 0, u64::MAX), (6, 96_365, 96_365), (7, 1024, 524_288)];
        let more =
            [(8, 8_388_608, 8_388_608), (11, 96_365, 96_365), (12, 819_200, 819_200), (13, 0, 0), (14, 0, 0)];
        for (at, soft, hard) in set.into_iter().chain(more) {
            host.limits[at] = (soft, hard);
        }
        host
    }
    fn manager(&self) -> ManagerFacts {
        ManagerFacts::default()
    }
}

fn engine() -> Engine {
    Engine::new(ManagerConfig { default_tasks_max: 28_909, container: true, ..ManagerConfig::default() })
}

fn ensure(engine: &mut Engine, name: &str) -> runstead_core::engine::effect::UnitId {
    engine.ensure(&UnitName::parse(name).expect("a unit name"))
}

/// The members of an introspection text in the form of the facts.
fn members(xml: &str) -> Vec<String> {
    let attribute = |line: &str, name: &str| -> String {
        let from = line.find(&format!(" {name}=\"")).map(|at| at + name.len() + 3);
        from.map_or(String::new(), |from| line[from..].split('"').next().unwrap_or("").to_owned())
    };
    let mut lines: Vec<String> = Vec::new();
    for line in xml.lines().map(str::trim) {
        let mut add = |text: String| lines.last_mut().expect("inside a member").push_str(&text);
        match line.split([' ', '>']).next() {
            Some("<interface") => lines.push(format!("[{}]", attribute(line, "name"))),
            Some("<property") => {
                let [name, kind, access] = ["name", "type", "access"].map(|name| attribute(line, name));
                lines.push(format!("property {name} {kind} {access}"));
            }
            Some("<method") => lines.push(format!("method {}", attribute(line, "name"))),
            Some("<signal") => lines.push(format!("signal {}", attribute(line, "name"))),
            Some("<arg") => {
                let direction = attribute(line, "direction");
                let direction = if direction.is_empty() { "-" } else { &direction };
                add(format!(" {direction}:{}:{}", attribute(line, "name"), attribute(line, "type")));
            }
            Some("<annotation") => {
                let name = attribute(line, "name");
                let name = name.rsplit('.').next().unwrap_or("");
                add(format!(" @{name}={}", attribute(line, "value")));
            }
            _ => {}
        }
    }
    lines
}

/// The lines of each interface.
fn by_interface(lines: impl Iterator<Item = String>) -> Map<String, Json> {
    let mut all = Map::new();
    let mut current = String::new();
    for line in lines {
        if line.starts_with('[') {
            current = line;
            all.insert(current.clone(), json!([]));
        } else if let Some(list) = all.get_mut(&current).and_then(Json::as_array_mut) {
            list.push(Json::String(line));
        }
    }
    all
}

#[test]
fn introspection_names_the_reference_s_members_in_its_order() {
    let facts = by_interface(include_str!("facts/interfaces.txt").lines().map(str::to_owned));
    let mut engine = engine();
    let mut ours = Map::new();
    for kind in UnitType::ALL {
        let name = format!("a.{}", kind.suffix());
        let id = ensure(&mut engine, &name);
        let object = target(&unit_object_path(&engine.unit(id).name)).expect("an object");
        ours.append(&mut by_interface(members(&introspect::text(&engine, &object, Some(id))).into_iter()));
    }
    let manager = introspect::text(&engine, &Target::Manager, None);
    ours.append(&mut by_interface(members(&manager).into_iter()));
    for (interface, expected) in &facts {
        let found = ours.get(interface).unwrap_or_else(|| panic!("{interface} is not there"));
        let (found, expected) = (found.as_array().expect("lines"), expected.as_array().expect("lines"));
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected, "in {interface}");
        }
        assert_eq!(found.len(), expected.len(), "in {interface}");
    }
    assert!(manager.contains(" <node name=\"unit\"/>\n <node name=\"job\"/>\n"));
}

fn as_json(value: &Value) -> Json {
    match value {
        Value::Byte(n) => json!(n),
        Value::Bool(on) => json!(on),
        Value::I16(n) => json!(n),
        Value::U16(n) => json!(n),
        Value::I32(n) => json!(n),
        Value::U32(n) => json!(n),
        Value::I64(n) => json!(n),
        Value::U64(n) | Value::UnixFd(n) => json!(n),
        Value::F64(n) => json!(n),
        Value::Str(text) | Value::ObjectPath(text) | Value::Signature(text) => json!(text),
        Value::Bytes(bytes) => json!(bytes),
        Value::Array(_, items) | Value::Struct(items) => Json::Array(items.iter().map(as_json).collect()),
        Value::Dict(_, pairs) => {
            Json::Array(pairs.iter().map(|(key, value)| json!([as_json(key), as_json(value)])).collect())
        }
        Value::Variant(inner) => as_json(inner),
    }
}

/// `GetAll` read back: name, signature, value.
fn all_of(writer: Writer) -> Vec<(String, String, Json)> {
    let body = writer.finish().expect("well-formed");
    let mut reader =
        Reader::new(body.bytes(), body.signature(), Endian::Little, body.fds()).expect("readable");
    let Value::Dict(_, entries) = reader.value().expect("readable") else { panic!("no dictionary") };
    let row = |(name, value): &(Value, Value)| {
        let Value::Variant(inner) = value else { panic!("no variant") };
        (name.as_str().expect("a name").to_owned(), inner.signature(), as_json(inner))
    };
    entries.iter().map(row).collect()
}

fn facts() -> Map<String, Json> {
    serde_json::from_str(include_str!("facts/values.json")).expect("the facts are JSON")
}

/// Values that are there only once a unit was looked for on disk: what settings imply, and what was not found.
const LATER: [&str; 13] = [
    "LoadState",
    "LoadError",
    "CanFreeze",
    "IgnoreOnIsolate",
    "Type",
    "WatchdogUSec",
    "OOMPolicy",
    "LimitCORESoft",
    "LimitNOFILE",
    "LimitNOFILESoft",
    "StandardOutput",
    "KeyringMode",
    "TimeoutStartUSec",
];

#[test]
fn get_all_gives_the_reference_s_names_types_and_defaults_in_its_order() {
    let mut engine = engine();
    let mut wrong = Vec::new();
    for (name, rows) in facts().iter().filter(|(name, _)| *name != "manager") {
        let id = ensure(&mut engine, name);
        let mut writer = Writer::new();
        unit_properties::get_all(&engine, &Machine, id, "", &mut writer).expect("all interfaces");
        compare(name, rows, &all_of(writer), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare(name: &str, rows: &Json, ours: &[(String, String, Json)], wrong: &mut Vec<String>) {
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), ours.len(), "{name}");
    for (row, (ours, signature, value)) in rows.iter().zip(ours) {
        assert_eq!((row[0].as_str(), row[1].as_str()), (Some(&**ours), Some(&**signature)), "{name}");
        if !LATER.contains(&ours.as_str()) && row[2] != *value {
            wrong.push(format!("{name} {ours}: {value} and not {}", row[2]));
        }
    }
}

#[test]
fn the_manager_s_properties_stand_in_the_reference_s_order() {
    let mut writer = Writer::new();
    manager_properties::get_all(&engine(), &Machine, "", &mut writer).expect("all interfaces");
    let ours = all_of(writer);
    let facts = facts();
    let rows = facts["manager"].as_array().expect("rows");
    assert_eq!(rows.len(), ours.len());
    for (row, (name, signature, value)) in rows.iter().zip(&ours) {
        assert_eq!((row[0].as_str(), row[1].as_str()), (Some(&**name), Some(&**signature)));
        if name.starts_with("Default") {
            assert_eq!(row[2], *value, "{name}");
        }
    }
}

#[test]
fn get_finds_a_property_in_its_interface_only() {
    let mut engine = engine();
    let id = ensure(&mut engine, "a.service");
    let get = |interface: &str, property: &str| {
        let mut writer = Writer::new();
        unit_properties::get(&engine, &Machine, id, interface, property, &mut writer)
            .map_err(|error| error.name)
    };
    assert_eq!(get("org.freedesktop.systemd1.Unit", "Id"), Ok(()));
    assert_eq!(get("", "MainPID"), Ok(()));
    let unknown = Err("org.freedesktop.DBus.Error.UnknownProperty");
    assert_eq!(get("org.freedesktop.systemd1.Service", "Id"), unknown);
    assert_eq!(get("org.freedesktop.systemd1.Socket", "Id"), unknown);
}

#[test]
fn a_change_is_announced_for_the_type_first_and_only_where_something_can_change() {
    let mut engine = engine();
    let interfaces = |engine: &Engine, id| -> Vec<String> {
        let signals = signals::unit_changed(engine, &Machine, id);
        signals.iter().map(|signal| signal.body_reader().str().expect("an interface").to_owned()).collect()
    };
    let service = ensure(&mut engine, "a.service");
    let unit = "org.freedesktop.systemd1.Unit";
    assert_eq!(interfaces(&engine, service), ["org.freedesktop.systemd1.Service", unit]);
    let target = ensure(&mut engine, "a.target");
    assert_eq!(interfaces(&engine, target), [unit]);
}
