//! How long units stay: in memory for those who look at them, and running when they fail again and again.
use runstead_core::engine::effect::Request;
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
fn automatic_restarts_count_against_the_start_limit() {
    let text = "[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=100\nStartLimitBurst=3\n\
                [Service]\nRestart=always\nRestartSec=10ms\nExecStart=/sim/fail\n";
    let mut world = World::with(&[("a.service", text)]);
    world.start("a.service").expect("the first start is not refused");
    world.pass(10 * SECOND);
    assert_eq!(world.spawned().len(), 3);
    assert_eq!(world.state("a.service"), "failed");
}
