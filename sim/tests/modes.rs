//! Job types, modes and ordering, seen from outside.
use runstead_core::engine::effect::{CallId, FailureKind, JobMode, JobType, Request};
use runstead_sim::World;
use runstead_sim::world::name;

const DAEMON: &str = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/sim/daemon\n";

fn daemon(unit: &str) -> String {
    format!("[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\nExecStart=/sim/daemon\n")
}

fn oneshot(unit: &str) -> String {
    format!(
        "[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/sim/ok\n"
    )
}

fn failure(
    result: Result<runstead_core::engine::effect::Response, runstead_core::engine::effect::Failure>,
) -> FailureKind {
    result.expect_err("refused").kind
}

fn answered(world: &mut World, call: CallId) {
    while !world.replies.contains_key(&call) {
        assert!(world.step(), "the call is never answered");
    }
}

#[test]
fn a_start_pulls_in_what_is_required_in_order() {
    let mut world = World::new(3);
    world.file("a.service", &oneshot("Requires=b.service\nAfter=b.service"));
    world.file("b.service", &oneshot("Wants=c.service\nAfter=c.service"));
    world.file("c.service", &oneshot(""));
    world.start("a.service").unwrap();
    assert_eq!(world.spawned(), ["c.service", "b.service", "a.service"]);
    assert_eq!(world.state("a.service"), "active");
    assert_eq!(world.check_settled(), Ok(()));
}

#[test]
fn stops_run_in_the_opposite_order() {
    let mut world = World::new(3);
    world.file("a.service", &daemon("BindsTo=b.service\nAfter=b.service"));
    world.file("b.service", DAEMON);
    world.start("a.service").unwrap();
    world.stop("b.service").unwrap();
    let ends: Vec<_> = world.removed_jobs.iter().rev().take(2).map(|(_, unit, _)| unit.as_str()).collect();
    assert_eq!(ends, ["b.service", "a.service"]);
    assert_eq!(world.state("b.service"), "gone");
}

#[test]
fn a_failed_requirement_fails_the_dependent_but_a_wish_does_not() {
    let bad = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/sim/fail\n";
    let mut world = World::with(&[("bad.service", bad)]);
    world.file("needs.service", &daemon("Requires=bad.service\nAfter=bad.service"));
    world.file("likes.service", &daemon("Wants=bad.service\nAfter=bad.service"));
    world.start("needs.service").unwrap();
    assert_eq!(world.result("needs.service"), Some("dependency"));
    world.start("likes.service").unwrap();
    assert_eq!(world.result("likes.service"), Some("done"));
}

#[test]
fn missing_masked_and_bad_units_are_refused_by_kind() {
    let mut world = World::with(&[("bad.service", "[Service]\nType=simple\n")]);
    world.mask("masked.service");
    world.file("needs.service", &daemon("Requires=missing.service"));
    assert_eq!(failure(world.start("missing.service")), FailureKind::NoSuchUnit);
    assert_eq!(failure(world.start("masked.service")), FailureKind::UnitMasked);
    assert_eq!(failure(world.start("bad.service")), FailureKind::BadUnitSetting);
    assert_eq!(failure(world.start("needs.service")), FailureKind::NoSuchUnit);
}

#[test]
fn conflicts_stop_the_other() {
    let mut world = World::with(&[("b.service", DAEMON)]);
    world.file("a.service", &daemon("Conflicts=b.service"));
    world.start("b.service").unwrap();
    world.start("a.service").unwrap();
    assert_eq!((world.state("a.service"), world.state("b.service")), ("active", "inactive"));
    world.start("b.service").unwrap();
    assert_eq!(world.state("b.service"), "active");
}

#[test]
fn mode_fail_refuses_what_would_replace_a_job() {
    let mut world = World::with(&[(
        "b.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/sim/daemon\n",
    )]);
    let start = |mode| Request::Enqueue {
        unit: name("b.service"),
        job: JobType::Start,
        mode,
        reload_if_possible: false,
        detailed: false,
    };
    world.post(start(JobMode::Replace));
    while world.spawned().is_empty() {
        world.step();
    }
    let stop = Request::Enqueue {
        unit: name("b.service"),
        job: JobType::Stop,
        mode: JobMode::Fail,
        reload_if_possible: false,
        detailed: false,
    };
    let call = world.post(stop);
    answered(&mut world, call);
    assert_eq!(failure(world.replies[&call].clone()), FailureKind::TransactionIsDestructive);
    world.stop("b.service").unwrap();
    let results: Vec<_> = world.removed_jobs.iter().map(|(_, _, result)| *result).collect();
    assert_eq!(results, ["canceled", "done"]);
}

#[test]
fn an_irreversible_job_is_not_replaced() {
    let mut world = World::with(&[(
        "b.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/sim/daemon\n",
    )]);
    let ask = |job, mode| Request::Enqueue {
        unit: name("b.service"),
        job,
        mode,
        reload_if_possible: false,
        detailed: false,
    };
    world.post(ask(JobType::Start, JobMode::ReplaceIrreversibly));
    while world.spawned().is_empty() {
        world.step();
    }
    let call = world.post(ask(JobType::Stop, JobMode::Replace));
    answered(&mut world, call);
    assert_eq!(failure(world.replies[&call].clone()), FailureKind::TransactionIsDestructive);
}

#[test]
fn isolate_stops_the_rest_and_needs_permission() {
    let mut world = World::with(&[("b.service", DAEMON)]);
    world.file("t.target", "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\nWants=a.service\n");
    world.file("a.service", DAEMON);
    world.file("keep.service", &daemon("IgnoreOnIsolate=yes"));
    world.start("b.service").unwrap();
    world.start("keep.service").unwrap();
    assert_eq!(failure(world.job("a.service", JobType::Start, JobMode::Isolate)), FailureKind::NoIsolation);
    assert_eq!(failure(world.job("t.target", JobType::Stop, JobMode::Isolate)), FailureKind::InvalidArgs);
    world.job("t.target", JobType::Start, JobMode::Isolate).unwrap();
    assert_eq!(world.state("a.service"), "active");
    assert_eq!(world.state("b.service"), "gone");
    assert_eq!(world.state("keep.service"), "active");
}

#[test]
fn ignore_dependencies_and_requirements_pull_nothing_in() {
    for mode in [JobMode::IgnoreDependencies, JobMode::IgnoreRequirements] {
        let mut world = World::with(&[("b.service", DAEMON)]);
        world.file("a.service", &daemon("Requires=b.service\nAfter=b.service"));
        world.job("a.service", JobType::Start, mode).unwrap();
        assert_eq!(world.spawned(), ["a.service"]);
    }
}

#[test]
fn triggering_stops_what_would_start_it_again() {
    let mut world = World::with(&[(
        "a.timer",
        "[Unit]\nDefaultDependencies=no\n[Timer]\nOnUnitInactiveSec=1d\nOnActiveSec=1d\n",
    )]);
    world.file("a.service", DAEMON);
    world.start("a.timer").unwrap();
    world.start("a.service").unwrap();
    world.job("a.service", JobType::Stop, JobMode::Triggering).unwrap();
    assert_eq!(world.state("a.timer"), "gone");
}

#[test]
fn restart_dependencies_restarts_dependents_on_start() {
    let mut world = World::with(&[("b.service", DAEMON)]);
    world.file("a.service", &daemon("Requires=b.service\nAfter=b.service"));
    world.start("a.service").unwrap();
    world.job("b.service", JobType::Start, JobMode::RestartDependencies).unwrap();
    assert_eq!(world.spawned().iter().filter(|unit| *unit == "a.service").count(), 2);
}

#[test]
fn try_restart_of_a_unit_that_is_down_does_nothing() {
    let mut world = World::with(&[("a.service", DAEMON)]);
    world.job("a.service", JobType::TryRestart, JobMode::Replace).unwrap();
    assert!(world.spawned().is_empty());
    world.start("a.service").unwrap();
    world.job("a.service", JobType::TryRestart, JobMode::Replace).unwrap();
    assert_eq!(world.spawned().len(), 2);
    assert_eq!(world.state("a.service"), "active");
}

#[test]
fn a_cycle_loses_a_wish_and_names_all_of_it() {
    let mut world = World::new(1);
    world.file("t.target", "[Unit]\nDefaultDependencies=no\nRequires=a.service\nWants=b.service c.service\n");
    world.file("a.service", &oneshot("After=c.service"));
    world.file("b.service", &oneshot("After=a.service"));
    world.file("c.service", &oneshot("After=b.service"));
    world.start("t.target").unwrap();
    assert_eq!(world.state("t.target"), "active");
    assert_eq!(world.state("a.service"), "active");
    let text = world.log.iter().find(|line| line.contains("Found ordering cycle")).expect("told");
    assert!(["a.service", "b.service", "c.service"].iter().all(|unit| text.contains(unit)), "{text}");
    assert_eq!(world.log.iter().filter(|line| line.contains("deleted to break ordering cycle")).count(), 1);
}

#[test]
fn a_cycle_of_requirements_is_refused() {
    let mut world = World::new(1);
    world.file("a.service", &oneshot("Requires=b.service\nAfter=b.service"));
    world.file("b.service", &oneshot("Requires=a.service\nAfter=a.service"));
    assert_eq!(failure(world.start("a.service")), FailureKind::TransactionOrderIsCyclic);
}

/// Found by a random plan: the second half of the restart and the start waited for each other for ever.
#[test]
fn a_cycle_that_only_the_start_after_a_restart_has_is_refused() {
    let mut world = World::new(1);
    world.file("a.service", &daemon("Requires=b.service"));
    world.file("b.service", &daemon("After=a.service\nBefore=a.service"));
    let restart = world.job("a.service", JobType::Restart, JobMode::Replace);
    assert_eq!(failure(restart), FailureKind::TransactionOrderIsCyclic);
    assert_eq!(world.engine.jobs().count(), 0);
}

#[test]
fn contradicting_requirements_are_refused() {
    let mut world = World::with(&[("c.service", DAEMON)]);
    world.file("a.service", &daemon("Requires=b.service c.service"));
    world.file("b.service", &daemon("Conflicts=c.service"));
    assert_eq!(failure(world.start("a.service")), FailureKind::TransactionJobsConflicting);
}

#[test]
fn manual_starts_and_stops_can_be_refused() {
    let mut world = World::new(1);
    world.file("a.service", &daemon("RefuseManualStart=yes\nRefuseManualStop=yes"));
    world.file("b.service", &daemon("Requires=a.service"));
    assert_eq!(failure(world.start("a.service")), FailureKind::OnlyByDependency);
    world.start("b.service").unwrap();
    assert_eq!(failure(world.stop("a.service")), FailureKind::OnlyByDependency);
}

#[test]
fn unmet_conditions_skip_and_unmet_asserts_fail() {
    let mut world = World::new(1);
    world.file("a.service", &daemon("ConditionPathExists=/no"));
    world.file("b.service", &daemon("AssertPathExists=/no"));
    world.file("c.service", &daemon("Requires=a.service\nAfter=a.service"));
    world.start("a.service").unwrap();
    world.start("b.service").unwrap();
    world.start("c.service").unwrap();
    assert_eq!((world.result("a.service"), world.result("b.service")), (Some("done"), Some("assert")));
    assert_eq!(world.state("c.service"), "active");
    world.paths.insert("/no".into());
    world.start("a.service").unwrap();
    assert_eq!(world.state("a.service"), "active");
}

#[test]
fn a_job_times_out() {
    let mut world = World::new(1);
    world.file(
        "a.service",
        "[Unit]\nDefaultDependencies=no\nJobTimeoutSec=5\n[Service]\nType=oneshot\nExecStart=/sim/daemon\n",
    );
    world.file("f.service", &oneshot(""));
    world.start("a.service").unwrap();
    assert_eq!(world.result("a.service"), Some("timeout"));
}

#[test]
fn units_nobody_needs_stop_and_upheld_ones_come_back() {
    let mut world = World::new(1);
    world.file("lib.service", &daemon("StopWhenUnneeded=yes"));
    world.file("user.service", &daemon("Requires=lib.service\nAfter=lib.service"));
    world.start("user.service").unwrap();
    assert_eq!(world.state("lib.service"), "active");
    world.stop("user.service").unwrap();
    assert_eq!(world.state("lib.service"), "gone");
    world.file("t.target", "[Unit]\nDefaultDependencies=no\nUpholds=up.service\n");
    world.file("up.service", DAEMON);
    world.start("t.target").unwrap();
    world.stop("up.service").unwrap();
    assert_eq!(world.state("up.service"), "active");
}

#[test]
fn on_failure_and_on_success_start_units() {
    let mut world = World::new(1);
    world.file(
        "a.service",
        "[Unit]\nDefaultDependencies=no\nOnFailure=f.service\n[Service]\nType=oneshot\nExecStart=/sim/fail\n",
    );
    world.file(
        "b.service",
        "[Unit]\nDefaultDependencies=no\nOnSuccess=s.service\n[Service]\nType=oneshot\nExecStart=/sim/ok\n",
    );
    world.file("f.service", DAEMON);
    world.file("s.service", DAEMON);
    world.start("a.service").unwrap();
    world.start("b.service").unwrap();
    assert_eq!((world.state("f.service"), world.state("s.service")), ("active", "active"));
}

#[test]
fn aliases_find_the_same_unit() {
    let mut world = World::with(&[("a.service", DAEMON)]);
    world.alias("b.service", "a.service");
    world.file("c.service", &daemon("Requires=b.service\nAfter=b.service"));
    world.start("c.service").unwrap();
    assert_eq!(world.unit("b.service").map(|unit| unit.name.to_string()), Some("a.service".into()));
    assert_eq!(world.state("a.service"), "active");
    assert_eq!(world.check_settled(), Ok(()));
}

#[test]
fn a_reload_takes_new_settings_and_keeps_state() {
    let mut world = World::with(&[("a.service", DAEMON), ("b.service", DAEMON), ("same.service", DAEMON)]);
    world.start("a.service").unwrap();
    world.start("same.service").unwrap();
    world.file("a.service", &daemon("Description=New\nWants=b.service"));
    world.call(Request::Reload).expect("answered").unwrap();
    let unit = world.unit("a.service").expect("loaded");
    assert_eq!((unit.description(), unit.active_state().as_str()), ("New", "active"));
    assert!(unit.depends(runstead_core::graph::Dependency::Wants, world.id("b.service")));
    assert_eq!(world.state("same.service"), "active");
    world.stop("a.service").unwrap();
    assert_eq!(world.check_settled(), Ok(()));
}

#[test]
fn units_that_load_while_generators_run_do_not_end_a_reload() {
    let mut world = World::with(&[("a.service", DAEMON), ("new.service", DAEMON)]);
    world.start("a.service").unwrap();
    world.file("a.service", &daemon("Description=New"));
    world.post(Request::Reload);
    // Its unit is loaded before the generators are done.
    world.start("new.service").unwrap();
    assert_eq!(world.unit("a.service").map(|unit| unit.description()), Some("New"));
    assert_eq!(world.state("new.service"), "active");
    assert_eq!(world.check_settled(), Ok(()));
}

#[test]
fn a_new_image_goes_on_where_the_old_one_was() {
    let mut world = World::new(5);
    world.file("a.service", &oneshot("Requires=b.service\nAfter=b.service"));
    world.file("b.service", &oneshot(""));
    world.file("d.service", DAEMON);
    world.start("d.service").unwrap();
    let request = Request::Enqueue {
        unit: name("a.service"),
        job: JobType::Start,
        mode: JobMode::Replace,
        reload_if_possible: false,
        detailed: false,
    };
    world.post(request);
    while world.spawned().len() < 2 {
        world.step();
    }
    let before =
        world.unit("d.service").map(|unit| (unit.stamps, unit.invocation.clone(), unit.kind.processes()));
    world.reexec();
    world.settle();
    assert_eq!(
        world.unit("d.service").map(|unit| (unit.stamps, unit.invocation.clone(), unit.kind.processes())),
        before
    );
    assert_eq!(world.state("a.service"), "active");
    assert_eq!(world.spawned(), ["d.service", "b.service", "a.service"]);
    world.stop("d.service").unwrap();
    assert_eq!(world.check_settled(), Ok(()));
}
