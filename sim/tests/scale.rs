//! What a job costs does not depend on how many units there are. Work is counted in effects and in units touched, not in time.
use runstead_core::engine::effect::{JobMode, JobType};
use runstead_sim::World;

fn crowd(count: usize) -> World {
    let mut world = World::new(1);
    world.file("sysinit.target", "[Unit]\nDefaultDependencies=no\n");
    world.file("basic.target", "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n");
    world.file("shutdown.target", "[Unit]\nDefaultDependencies=no\n");
    let wants: Vec<String> = (0..count).map(|index| format!("u{index}.service")).collect();
    world.file("all.target", &format!("[Unit]\nWants={}\n", wants.join(" ")));
    for unit in &wants {
        world.file(unit, "[Service]\nExecStart=/sim/daemon\n");
    }
    world.file("one.service", "[Service]\nType=oneshot\nExecStart=/sim/ok\n");
    world.start("all.target").expect("the crowd starts");
    world
}

#[test]
fn a_job_touches_as_much_among_two_thousand_units_as_among_twenty() {
    let touched = |count: usize| {
        let mut world = crowd(count);
        assert_eq!(world.state("all.target"), "active");
        world.engine.take_dirty();
        let before = world.trace.len();
        world.job("one.service", JobType::Start, JobMode::Replace).expect("it starts");
        (world.engine.take_dirty().len(), world.trace.len() - before)
    };
    assert_eq!(touched(20), touched(2_000));
}
