//! Random graphs, random jobs: what must hold whatever happens.
use proptest::prelude::*;
use runstead_core::engine::effect::{JobMode, JobType, Request};
use runstead_sim::World;
use runstead_sim::world::name;

const KINDS: [&str; 11] = [
    "Requires",
    "Wants",
    "BindsTo",
    "Requisite",
    "PartOf",
    "Upholds",
    "Conflicts",
    "After",
    "Before",
    "OnFailure",
    "PropagatesStopTo",
];
const COMMANDS: [(&str, &str); 6] = [
    ("simple", "/sim/daemon"),
    ("oneshot", "/sim/ok"),
    ("oneshot", "/sim/fail"),
    ("simple", "/sim/stubborn"),
    ("exec", "/sim/missing"),
    ("simple", "/sim/fail"),
];
const JOBS: [JobType; 6] = [
    JobType::Start,
    JobType::Stop,
    JobType::Restart,
    JobType::TryRestart,
    JobType::Start,
    JobType::ReloadOrStart,
];
const MODES: [JobMode; 6] = [
    JobMode::Replace,
    JobMode::Fail,
    JobMode::IgnoreDependencies,
    JobMode::Flush,
    JobMode::IgnoreRequirements,
    JobMode::Replace,
];

/// Index of its command, `RemainAfterExit=`, and edges: kind and unit.
type Unit = (usize, bool, Vec<(usize, usize)>);

#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    units: Vec<Unit>,
    jobs: Vec<(usize, usize, usize, u8)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let edges = prop::collection::vec((0..KINDS.len(), 0..12usize), 0..4);
    let unit = (0..COMMANDS.len(), any::<bool>(), edges);
    let job = (0..12usize, 0..JOBS.len(), 0..MODES.len(), any::<u8>());
    (any::<u64>(), prop::collection::vec(unit, 1..12), prop::collection::vec(job, 1..10))
        .prop_map(|(seed, units, jobs)| Plan { seed, units, jobs })
}

fn unit(index: usize) -> String {
    format!("u{index}.service")
}

fn build(plan: &Plan) -> World {
    let mut world = World::new(plan.seed);
    for (index, (command, remain, edges)) in plan.units.iter().enumerate() {
        let (kind, path) = COMMANDS[*command];
        let lines: Vec<String> =
            edges.iter().map(|(kind, other)| format!("{}={}\n", KINDS[*kind], unit(*other))).collect();
        let remain = if *remain { "RemainAfterExit=yes\n" } else { "" };
        let text = format!(
            "[Unit]\nDefaultDependencies=no\n{}[Service]\nType={kind}\nExecStart={path}\nTimeoutSec=2\n{remain}",
            lines.concat()
        );
        world.file(&unit(index), &text);
    }
    world
}

/// Runs a plan; `reexec_at`: execute anew after so many steps.
fn run(plan: &Plan, reexec: bool) -> World {
    let mut world = build(plan);
    let mut calls = Vec::new();
    for (target, job, mode, pause) in &plan.jobs {
        let request = Request::Enqueue {
            unit: name(&unit(*target)),
            job: JOBS[*job],
            mode: MODES[*mode],
            reload_if_possible: false,
            detailed: false,
        };
        calls.push(world.post(request));
        for _ in 0..*pause % 16 {
            world.step();
        }
        // Calls are lost with an image only before they are answered.
        if reexec && calls.iter().all(|call| world.replies.contains_key(call)) && world.engine.is_settled() {
            world.reexec();
        }
    }
    world.pass(600_000_000);
    for call in calls {
        assert!(world.replies.contains_key(&call), "a call is not answered");
    }
    world
}

/// For `a After b`, both started by jobs: no process of a starts while b's start job is there. Seen from the outside, it
/// is enough that nothing hangs and that both ends agree; the order itself is tested in `modes`.
fn check(world: &World) -> Result<(), TestCaseError> {
    if let Err(text) = world.check_settled() {
        return Err(TestCaseError::fail(text));
    }
    let mut ended: Vec<u32> = world.removed_jobs.iter().map(|(job, _, _)| *job).collect();
    let count = ended.len();
    ended.sort_unstable();
    ended.dedup();
    prop_assert_eq!(ended.len(), count, "a job ended twice");
    let made = world.trace.iter().filter(|line| line.starts_with("Announce(JobNew")).count();
    prop_assert_eq!(made, count + world.engine.jobs().count(), "a job was lost");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_hangs(plan in plans()) {
        let world = run(&plan, false);
        check(&world)?;
    }

    #[test]
    fn the_same_seed_gives_the_same_run(plan in plans()) {
        prop_assert_eq!(run(&plan, false).trace, run(&plan, false).trace);
    }

    #[test]
    fn executing_anew_at_any_time_loses_nothing(plan in plans()) {
        let world = run(&plan, true);
        check(&world)?;
    }
}
