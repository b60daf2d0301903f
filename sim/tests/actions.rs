//! What units make the machine do (systemd.unit(5), `FailureAction=` and its like).
use runstead_sim::World;

/// Effects after the unit ended that concern the machine.
fn done_by(lines: &str) -> Vec<String> {
    let mut world = World::with(&[("reboot.target", "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n")]);
    world.file("a.service", &format!("[Unit]\nDefaultDependencies=no\n{lines}"));
    let _ = world.start("a.service");
    world.settle();
    let concerns = |line: &&String| line.starts_with("Exit") || line.contains("reboot");
    world.trace.iter().filter(concerns).cloned().collect()
}

fn contains(trace: &[String], text: &str) -> bool {
    trace.iter().any(|line| line.contains(text))
}

#[test]
fn a_failure_reboots_with_its_argument() {
    let trace =
        done_by("FailureAction=reboot\nRebootArgument=bios\n[Service]\nType=oneshot\nExecStart=/sim/fail\n");
    assert!(contains(&trace, "systemd/reboot-param"), "{trace:?}");
    assert!(contains(&trace, "reboot.target done"), "{trace:?}");
    let trace = done_by("FailureAction=reboot-force\n[Service]\nType=oneshot\nExecStart=/sim/fail\n");
    assert!(contains(&trace, "Exit(Reboot)"), "{trace:?}");
    assert!(!contains(&trace, "reboot-param"), "{trace:?}");
}

#[test]
fn what_works_does_nothing() {
    let trace = done_by("FailureAction=reboot-force\n[Service]\nType=oneshot\nExecStart=/sim/ok\n");
    assert!(trace.is_empty(), "{trace:?}");
}

#[test]
fn a_job_that_takes_too_long_has_an_argument_of_its_own() {
    let lines = "JobTimeoutSec=1\nJobTimeoutAction=reboot-force\nJobTimeoutRebootArgument=slow\nRebootArgument=other\n\
                 After=b.service\nWants=b.service\n[Service]\nExecStart=/sim/daemon\n";
    let mut world = World::with(&[(
        "b.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=notify\nTimeoutStartSec=1h\nExecStart=/sim/daemon\n",
    )]);
    world.file("a.service", &format!("[Unit]\nDefaultDependencies=no\n{lines}"));
    let _ = world.start("a.service");
    world.pass(5_000_000);
    let slow = format!("{:?}", b"slow");
    assert!(
        world.trace.iter().any(|line| line.contains("reboot-param") && line.contains(&slow)),
        "{:?}",
        world.trace
    );
    assert!(world.trace.iter().any(|line| line == "Exit(Reboot)"), "{:?}", world.trace);
}
