//! Answers to questions: who is asked for, in which shape, and what is refused with which error name.
use runstead_api::systemd1::action::{Read, Shape};
use runstead_api::systemd1::facts::{Facts, ManagerFacts};
use runstead_api::systemd1::route::{self, Call, Target};
use runstead_api::systemd1::{answer, objects};
use runstead_core::engine::effect::{JobId, JobType, Response, UnitId};
use runstead_core::engine::event::Caller;
use runstead_core::engine::{Engine, ManagerConfig, Unit};
use runstead_core::names::UnitName;
use runstead_wire::dbus::{Message, Value, Writer};

struct Nothing;

impl Facts for Nothing {
    fn cgroup_attribute(&self, _: &str, _: &str) -> Option<String> {
        None
    }
    fn cgroup_of(&self, _: i32) -> Option<String> {
        None
    }
    fn cgroup_processes(&self, path: &str) -> Vec<(String, i32)> {
        vec![(path.to_owned(), 7)]
    }
    fn cmdline(&self, pid: i32) -> String {
        format!("process {pid}")
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
    fn manager(&self) -> ManagerFacts {
        ManagerFacts::default()
    }
}

const MANAGER: &str = "org.freedesktop.systemd1.Manager";

fn name(text: &str) -> UnitName {
    UnitName::parse(text).expect("a unit name")
}

fn engine(units: &[&str]) -> Engine {
    let mut engine = Engine::new(ManagerConfig::default());
    for unit in units {
        engine.ensure(&name(unit));
    }
    engine
}

fn call(member: &str) -> Message {
    Message::method_call(None, "/org/freedesktop/systemd1", MANAGER, member)
}

fn ask(engine: &Engine, read: Read) -> Result<Value, &'static str> {
    let reply = answer::read(engine, &Nothing, &Caller::default(), &read, &call("Question"));
    let reply = reply.map_err(|error| error.name)?;
    Ok(reply.body_reader().value().expect("a value"))
}

fn names_of(value: &Value) -> Vec<String> {
    let Value::Array(_, rows) = value else { panic!("no array") };
    let first = |row: &Value| match row {
        Value::Struct(fields) => fields[0].as_str().expect("a name").to_owned(),
        _ => panic!("no struct"),
    };
    rows.iter().map(first).collect()
}

#[test]
fn units_are_listed_by_state_and_pattern() {
    let engine = engine(&["a.service", "ab.service", "b.socket"]);
    let list = |states: &[&str], patterns: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        names_of(
            &ask(&engine, Read::ListUnits { states: texts(states), patterns: texts(patterns) })
                .expect("a list"),
        )
    };
    assert_eq!(list(&[], &[]), ["a.service", "ab.service", "b.socket"]);
    assert_eq!(list(&["inactive"], &["a*"]), ["a.service", "ab.service"]);
    assert_eq!(list(&["dead", "failed"], &["?.socket"]), ["b.socket"]);
    assert_eq!(list(&["active"], &[]), Vec::<String>::new());
    // Suffixes are the client's affair.
    assert_eq!(list(&[], &["a"]), Vec::<String>::new());
    let named = Read::ListUnitsByNames(vec!["b.socket".into(), "nonsense".into(), "c.service".into()]);
    assert_eq!(names_of(&ask(&engine, named).expect("a list")), ["b.socket", "c.service"]);
}

#[test]
fn a_row_of_the_list_has_the_reference_s_shape() {
    let reply = answer::read(
        &engine(&["a.service"]),
        &Nothing,
        &Caller::default(),
        &Read::ListUnits { states: Vec::new(), patterns: Vec::new() },
        &call("ListUnits"),
    );
    assert_eq!(reply.expect("a list").signature(), "a(ssssssouso)");
}

#[test]
fn what_is_not_there_is_refused_by_the_reference_s_names() {
    let engine = engine(&["a.service", "a.target"]);
    let refused = |read| ask(&engine, read).expect_err("refused");
    assert_eq!(refused(Read::Unit(name("b.service"))), "org.freedesktop.systemd1.NoSuchUnit");
    assert_eq!(refused(Read::UnitByPid(99)), "org.freedesktop.systemd1.NoUnitForPID");
    assert_eq!(refused(Read::UnitByCgroup("/x".into())), "org.freedesktop.systemd1.NoSuchUnit");
    assert_eq!(refused(Read::UnitByInvocation(vec![1])), "org.freedesktop.DBus.Error.InvalidArgs");
    let unknown = Read::UnitByInvocation(vec![1; 16]);
    assert_eq!(refused(unknown), "org.freedesktop.systemd1.NoUnitForInvocationID");
    assert_eq!(refused(Read::Job(JobId(9))), "org.freedesktop.systemd1.NoSuchJob");
    assert_eq!(refused(Read::JobsAfter(JobId(9))), "org.freedesktop.systemd1.NoSuchJob");
    assert_eq!(refused(Read::FdStore(name("a.target"))), "org.freedesktop.DBus.Error.NotSupported");
    assert_eq!(refused(Read::Processes(name("b.service"))), "org.freedesktop.systemd1.NoSuchUnit");
}

#[test]
fn calls_find_their_object_and_method() {
    let error = |message: &Message| route::route(message).map(|_| ()).expect_err("refused").name;
    let call =
        |path: &str, interface: &str, member: &str| Message::method_call(None, path, interface, member);
    let missing = call("/org/freedesktop/systemd1", MANAGER, "Nonsense");
    assert_eq!(error(&missing), "org.freedesktop.DBus.Error.UnknownMethod");
    let wrong = call("/org/freedesktop/systemd1", MANAGER, "GetUnit");
    assert_eq!(error(&wrong), "org.freedesktop.DBus.Error.InvalidArgs");
    let not_a_name = wrong.clone().build(|w| {
        w.str("foo");
    });
    let not_a_name = not_a_name.expect("well-formed");
    assert_eq!(error(&not_a_name), "org.freedesktop.systemd1.NoSuchUnit");
    let nowhere = call("/org/freedesktop/systemd1/unit/x", "org.freedesktop.DBus.Peer", "Ping");
    assert_eq!(error(&nowhere), "org.freedesktop.DBus.Error.InvalidArgs");
    let unit = call("/org/freedesktop/systemd1/unit/a_2eservice", "org.freedesktop.DBus.Peer", "Ping");
    let (target, what) = route::route(&unit).expect("known");
    assert_eq!(target, Target::Unit(name("a.service")));
    assert!(matches!(what, Call::Ping));
}

#[test]
fn a_granted_request_is_answered_in_the_shape_it_asked_for() {
    let response = Response::Job {
        job: JobId(4),
        unit: name("a.service"),
        kind: JobType::Start,
        others: vec![(JobId(5), name("b.service"), JobType::Stop)],
    };
    let body = |shape| answer::response(&call("StartUnit"), shape, &response).signature().to_owned();
    assert_eq!(body(Shape::JobPath), "o");
    assert_eq!(body(Shape::JobDetailed), "uososa(uosos)");
    assert_eq!(body(Shape::Nothing), "");
}

#[test]
fn objects_without_properties_have_an_empty_dictionary() {
    let engine = engine(&[]);
    let mut writer = Writer::new();
    let node = Target::Node("/org".to_owned());
    objects::get_all(&engine, &Nothing, (&node, None), "", &mut writer).expect("empty");
    assert_eq!(writer.finish().expect("well-formed").signature(), "a{sv}");
    let mut writer = Writer::new();
    let log = (&Target::LogControl, None::<UnitId>);
    objects::get(&engine, &Nothing, log, ("org.freedesktop.LogControl1", "LogLevel"), &mut writer)
        .expect("a text");
}

#[test]
fn a_dump_names_every_unit_that_matches() {
    let engine = engine(&["a.service", "b.target"]);
    let all = answer::dump(&engine, &[]);
    assert!(
        all.starts_with("Manager: ") && all.contains("→ Unit a.service:") && all.contains("→ Unit b.target:")
    );
    let some = answer::dump(&engine, &["b.*".to_owned()]);
    assert!(some.starts_with("→ Unit b.target:") && !some.contains("a.service"));
}

/// The share of a list is measured against that of the names alone, so that the machine's speed does not matter.
#[test]
fn listing_thousands_of_units_costs_no_more_than_a_few_times_their_names() {
    let names: Vec<String> = (0..4000).map(|number| format!("unit-{number}.service")).collect();
    let engine = engine(&names.iter().map(String::as_str).collect::<Vec<_>>());
    // The best of several rounds: others use the machine too.
    let time = |work: &dyn Fn()| {
        let rounds = (0..5).map(|_| {
            let from = std::time::Instant::now();
            work();
            from.elapsed()
        });
        rounds.min().expect("there are rounds")
    };
    let list = time(&|| {
        ask_raw(&engine, Read::ListUnits { states: Vec::new(), patterns: Vec::new() });
    });
    let paths = time(&|| {
        let all = engine.units().map(|unit| runstead_core::names::unit_object_path(&unit.name));
        assert_eq!(all.collect::<Vec<_>>().len(), 4000);
    });
    assert!(list < paths * 20, "{list:?} and {paths:?}");
}

fn ask_raw(engine: &Engine, read: Read) {
    let reply = answer::read(engine, &Nothing, &Caller::default(), &read, &call("Question"));
    assert!(reply.expect("a list").body().len() > 4000);
}
