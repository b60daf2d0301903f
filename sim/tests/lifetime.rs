//! How long units stay: in memory for those who look at them, and running when they fail again and again.
use runstead_core::engine::effect::Request;
use runstead_core::engine::event::Event;
use runstead_core::graph::Dependency;
use runstead_sim::World;
use runstead_sim::world::name;

const SECOND: u64 = 1_000_000;

#[test]
fn a_unit_stays_until_who_asked_for_it_has_looked() {
    let mut world = World::with(&[("a.service", "[Service]\nExecStart=/sim/daemon\n")]);
    let call = world.post(Request::LoadUnit(name("a.service")));
    while !world.replies.contains_key(&call) {
        assert!(world.step(), "the call is never answered");
    }
    assert!(world.unit("a.service").is_some(), "gone with the step that answered");
    world.pass(SECOND);
    assert!(world.unit("a.service").is_none(), "nobody needs it");
}

#[test]
fn a_unit_that_ended_is_there_until_that_is_told() {
    let mut world =
        World::with(&[("a.service", "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/sim/daemon\n")]);
    world.start("a.service").expect("it starts");
    world.stop("a.service").expect("it stops");
    assert!(world.unit("a.service").is_none(), "nobody needs it");
    let told = |what: &str| {
        let line = format!("Announce({what}(\"a.service\"))");
        world.trace.iter().rposition(|told| *told == line)
    };
    let (new, changed, removed) = (told("UnitNew"), told("UnitChanged"), told("UnitRemoved"));
    assert!(new.is_some() && new < changed && changed < removed, "{:#?}", world.trace);
    let job = world.trace.iter().position(|told| told.starts_with("Announce(JobNew"));
    assert!(new < job, "{:#?}", world.trace);
}

/// A package is purged: its link and its file go, and with the reload the unit and the target's order after it.
#[test]
fn a_target_forgets_what_it_no_longer_pulls_in() {
    let service = "[Service]\nExecStart=/sim/daemon\n";
    let mut world = World::with(&[
        ("a.target", "[Unit]\nWants=c.service\n"),
        ("b.service", service),
        ("c.service", service),
    ]);
    world.link("a.target", "wants", "b.service");
    let after = |world: &World, other: &str| {
        let target = world.unit("a.target").expect("it is up");
        world.unit(other).is_some_and(|other| target.depends(Dependency::After, other.id))
    };
    world.start("a.target").expect("it starts");
    assert!(after(&world, "b.service") && after(&world, "c.service"));
    world.stop("b.service").expect("it stops");
    world.unlink("a.target", "wants", "b.service");
    world.remove_file("b.service");
    world.file("c.service", "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/sim/daemon\n");
    world.call(Request::Reload).expect("answered").expect("reloaded");
    world.settle();
    assert!(world.unit("b.service").is_none(), "nobody refers to it");
    assert!(!after(&world, "c.service"), "it wants no default dependencies now");
    world.file("c.service", service);
    world.call(Request::Reload).expect("answered").expect("reloaded");
    assert!(after(&world, "c.service"));
}

#[test]
fn automatic_restarts_count_against_the_start_limit() {
    let text = "[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=100\nStartLimitBurst=3\n\
                [Service]\nRestart=always\nRestartSec=10ms\nExecStart=/sim/fail\n";
    let mut world = World::with(&[("a.service", text)]);
    world.start("a.service").expect("the first start is not refused");
    world.pass(10 * SECOND);
    assert_eq!(world.spawned().len(), 3);
    assert_eq!(world.state("a.service"), "failed");
}

#[test]
fn a_reload_follows_links_that_lead_elsewhere_now() {
    let target = "[Unit]\nDefaultDependencies=no\n";
    let mut world = World::with(&[("old.target", target), ("new.target", target), ("other.target", target)]);
    world.file("a.target", "[Unit]\nDefaultDependencies=no\nAfter=default.target\n");
    world.alias("default.target", "old.target");
    world.start("default.target").expect("it starts");
    // The new one is known already, in the second round.
    for (target, started) in [("new.target", "a.target"), ("old.target", "new.target")] {
        world.start(started).expect("it starts");
        world.alias("default.target", target);
        world.call(Request::Reload).expect("answered").expect("reloaded");
        assert_eq!(world.state("old.target"), "active", "what runs goes on");
        world.start("default.target").expect("it starts");
        let found = |name: &str| world.unit(name).expect("it is loaded").id;
        assert_eq!(found("default.target"), found(target));
        assert_ne!(found("old.target"), found("new.target"));
        assert!(world.unit("a.target").is_some_and(|unit| unit.depends(Dependency::After, found(target))));
        let names: Vec<String> =
            world.unit(target).expect("loaded").aliases.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["default.target", target]);
    }
    world.alias("default.target", "other.target");
    world.call(Request::Reload).expect("answered").expect("reloaded");
    let names = &world.unit("old.target").expect("it runs").aliases;
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["old.target"]);
    world.check_settled().expect("nothing is left to do");
}

#[test]
fn a_name_does_not_stay_with_an_owner_that_is_gone() {
    let target = "[Unit]\nDefaultDependencies=no\n";
    for masked in [false, true] {
        let mut world = World::with(&[("old.target", target), ("new.target", target)]);
        world.file("user.target", "[Unit]\nDefaultDependencies=no\nWants=manager.target\n");
        world.alias("manager.target", "old.target");
        world.start("user.target").expect("it starts");
        assert_eq!(world.state("old.target"), "active");
        world.stop("old.target").expect("it stops");
        match masked {
            true => world.mask("old.target"),
            false => world.remove_file("old.target"),
        }
        world.alias("manager.target", "new.target");
        world.call(Request::Reload).expect("answered").expect("reloaded");
        world.start("manager.target").expect("it is the new one");
        assert_eq!(world.state("new.target"), "active");
    }
}

#[test]
fn a_reexecution_follows_links_too() {
    let target = "[Unit]\nDefaultDependencies=no\n";
    let mut world = World::with(&[("old.target", target), ("new.target", target)]);
    world.alias("manager.target", "old.target");
    world.start("manager.target").expect("it starts");
    world.alias("manager.target", "new.target");
    world.reexec();
    world.settle();
    world.start("manager.target").expect("it is the new one");
    assert_eq!((world.state("old.target"), world.state("new.target")), ("active", "active"));
}

#[test]
fn the_ledger_of_a_slice_outlives_a_reexecution() {
    let mut world =
        World::with(&[("a.slice", "[Unit]\nDefaultDependencies=no\n[Slice]\nStartupCPUWeight=50\n")]);
    world.start("a.slice").expect("it starts");
    let refused = vec![("CPUWeight".into(), "the kernel refused it".into())];
    world.happen(Event::Weakened { unit: name("a.slice"), settings: refused });
    world.settle();
    world.reexec();
    world.settle();
    let names: Vec<&str> =
        world.unit("a.slice").expect("it is up").ledger.iter().map(|entry| &*entry.0).collect();
    assert_eq!(names, ["StartupCPUWeight", "CPUWeight"]);
}

#[test]
fn units_that_are_looked_at_side_by_side_stay_until_then() {
    let service = "[Service]\nExecStart=/sim/daemon\n";
    let mut world = World::with(&[("a.service", service), ("b.service", service)]);
    let names = ["a.service", "none.service", "b.service"];
    let call = world.post(Request::LoadUnits(names.map(name).into()));
    while !world.replies.contains_key(&call) {
        assert!(world.step(), "the call is never answered");
    }
    for name in names {
        assert!(world.unit(name).is_some(), "{name} is gone with the step that answered");
    }
    world.pass(SECOND);
    assert!(names.iter().all(|name| world.unit(name).is_none()), "nobody needs them");
}
