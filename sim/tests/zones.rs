//! Time zones of calendar events. The clock begins at 2023-11-14 22:13:21 UTC.
use runstead_core::engine::effect::Request;
use runstead_core::engine::event::Event;
use runstead_core::units::timer::Timer;
use runstead_sim::World;
use std::rc::Rc;

/// A zone file (tzfile(5), version 2) that has no transitions, only a rule.
fn zone(rule: &str) -> Rc<[u8]> {
    let block = |version: u8| {
        let mut bytes = b"TZif".to_vec();
        bytes.push(version);
        bytes.extend([0; 15]);
        // One type of local time, and four bytes of names.
        for count in [0u32, 0, 0, 0, 1, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend([0, 0, 0, 0, 0, 0]);
        bytes.extend(b"UTC\0");
        bytes
    };
    [block(b'2'), block(b'2'), format!("\n{rule}\n").into_bytes()].concat().into()
}

fn berlin() -> Rc<[u8]> {
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
}

/// The machine comes into another zone.
fn travel(world: &mut World, file: Option<Rc<[u8]>>) {
    world.happen(Event::TimeZone { name: None, file });
    world.settle();
}

fn reload(world: &mut World) {
    world.call(Request::Reload).expect("an answer").expect("it reloads");
}

/// Seconds since the epoch; 0: never.
fn next_elapse(world: &World, timer: &str) -> u64 {
    let id = world.id(timer);
    world.engine.machine::<Timer>(id).next_realtime / 1_000_000
}

/// 2023-11-15 02:30:00 UTC
const AT_NIGHT: u64 = 1_700_015_400;
const HOUR: u64 = 3600;

fn world(timer: &str) -> World {
    let mut world = World::with(&[(
        "a.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/sim/ok\n",
    )]);
    world.file("a.timer", &format!("[Unit]\nDefaultDependencies=no\n[Timer]\nAccuracySec=1us\n{timer}"));
    world.zones.insert("Europe/Berlin".into(), berlin());
    world
}

#[test]
fn an_event_is_by_the_clock_of_the_zone_it_names() {
    let mut world = world("OnCalendar=*-*-* 02:30:00 Europe/Berlin\n");
    world.start("a.timer").expect("it starts");
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT - HOUR);
    travel(&mut world, Some(zone("JST-9")));
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT - HOUR, "wherever the machine is");
}

#[test]
fn other_events_are_by_the_machines_clock() {
    let mut world = world("OnCalendar=*-*-* 02:30:00\n");
    world.start("a.timer").expect("it starts");
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT);
    travel(&mut world, Some(berlin()));
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT - HOUR);
    travel(&mut world, None);
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT);
    travel(&mut world, Some(Rc::from(*b"no zone file")));
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT, "what cannot be read is UTC");
    assert!(world.spawned().is_empty(), "what is not due does not run");
}

#[test]
fn a_zone_that_is_not_there_is_no_part_of_an_event() {
    let mut two = world("OnCalendar=*-*-* 02:30:00 Mars/Phobos\nOnCalendar=*-*-* 02:30:00 Europe/Berlin\n");
    two.start("a.timer").expect("the other line counts");
    assert_eq!(next_elapse(&two, "a.timer"), AT_NIGHT - HOUR);
    let said = |world: &World| world.log.iter().filter(|line| line.contains("Mars/Phobos")).count();
    assert_eq!(said(&two), 1, "{:?}", two.log);
    let mut one = world("OnCalendar=*-*-* 02:30:00 Mars/Phobos\n");
    let failure = one.start("a.timer").expect_err("it has no line left");
    assert_eq!(&*failure.message, "Unit a.timer has a bad unit file setting.");
    assert_eq!(said(&one), 1, "{:?}", one.log);
}

#[test]
fn a_reload_asks_again_for_zones() {
    let mut world = world("OnCalendar=*-*-* 02:30:00 Mars/Phobos\nOnCalendar=*-*-* 02:30:00 Europe/Berlin\n");
    world.start("a.timer").expect("the other line counts");
    world.zones.insert("Mars/Phobos".into(), zone("MPT-2"));
    world.zones.insert("Europe/Berlin".into(), zone("YYY-1:30"));
    reload(&mut world);
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT - 2 * HOUR);
    world.zones.remove("Mars/Phobos");
    reload(&mut world);
    assert_eq!(next_elapse(&world, "a.timer"), AT_NIGHT - 3 * HOUR / 2);
}

#[test]
fn a_timer_may_wait_for_another_zone() {
    let mut world = world("OnTimezoneChange=yes\n");
    world.start("a.timer").expect("it starts");
    assert!(world.spawned().is_empty());
    travel(&mut world, Some(berlin()));
    assert_eq!(world.spawned(), ["a.service"]);
}

#[test]
fn a_reexecution_asks_again_for_zones() {
    let mut world = world("OnCalendar=*-*-* 02:30:00 Mars/Phobos\nOnCalendar=*-*-* 02:30:00 Europe/Berlin\n");
    world.start("a.timer").expect("the other line counts");
    world.reexec();
    world.settle();
    assert_eq!((world.state("a.timer"), next_elapse(&world, "a.timer")), ("active", AT_NIGHT - HOUR));
    world.check_settled().expect("nothing is left to do");
    reload(&mut world);
    assert_eq!((world.state("a.timer"), next_elapse(&world, "a.timer")), ("active", AT_NIGHT - HOUR));
}

/// A start waits for the zone, whatever else is read meanwhile.
#[test]
fn nothing_starts_before_its_zone_is_known() {
    let mut world = world("OnCalendar=*-*-* 02:30:00 Europe/Berlin\n");
    world.file(
        "a.timer",
        "[Unit]\nDefaultDependencies=no\nWants=x.target\n[Timer]\nOnCalendar=*-*-* 02:30:00 Europe/Berlin\n",
    );
    world.file("b.target", "[Unit]\nDefaultDependencies=no\nAfter=x.target\n");
    world.alias("x.target", "b.target");
    world.start("a.timer").expect("it starts");
    assert_eq!(world.state("a.timer"), "active");
    assert!(next_elapse(&world, "a.timer") >= AT_NIGHT - HOUR, "it waits for something");
}
