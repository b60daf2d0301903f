//! Each state and each result at least once, driven as the engine would.
use super::super::test_world::World;
use super::*;
use crate::engine::clock::Now;
use crate::engine::effect::{CleanUp, Effect, Setting, UnitId};
use crate::engine::event::{Event, Notify};

fn world(lines: &[&str]) -> (World, UnitId) {
    let mut w = World::new();
    let id = w.unit("a.service", lines);
    (w, id)
}

fn started(lines: &[&str]) -> (World, UnitId) {
    let (mut w, id) = world(lines);
    w.start(id).unwrap();
    (w, id)
}

fn tell(w: &mut World, id: UnitId, from: &str, fill: impl FnOnce(&mut Notify)) {
    let mut message = Notify { pid: w.pid(from), ..Notify::default() };
    fill(&mut message);
    w.with(|e| notify::notify(e, id, &message));
}

fn state(w: &World, id: UnitId) -> State {
    w.machine::<Service>(id).state
}

const CRASH: Exit = Exit::Dumped(11);

#[test]
fn simple_runs_at_once_and_dies_with_its_process() {
    let (mut w, id) = started(&["ExecStart=/a"]);
    assert_eq!((w.sub(id), w.machine::<Service>(id).main_pid()), ("running", w.pid("/a")));
    assert_eq!(w.start(id), Err(Refusal::Already));
    w.done(id, "/a");
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
}

#[test]
fn all_steps_of_a_start_run_in_order() {
    let (mut w, id) = started(&[
        "Type=oneshot",
        "ExecCondition=/c",
        "ExecStartPre=/p1",
        "ExecStartPre=/p2",
        "ExecStart=/a",
        "ExecStart=/b",
        "ExecStartPost=/post",
        "RemainAfterExit=yes",
        "ExecStop=/stop",
        "ExecStopPost=/after",
    ]);
    let mut seen = Vec::new();
    for path in ["/c", "/p1", "/p2", "/a", "/b", "/post"] {
        seen.push(w.sub(id));
        w.done(id, path);
    }
    assert_eq!(seen, ["condition", "start-pre", "start-pre", "start", "start", "start-post"]);
    assert_eq!(w.sub(id), "exited");
    w.stop(id).unwrap();
    assert_eq!(w.sub(id), "stop");
    w.done(id, "/stop");
    assert_eq!(w.sub(id), "stop-post");
    w.done(id, "/after");
    assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
}

#[test]
fn a_condition_skips_or_fails() {
    let (mut w, id) = started(&["ExecCondition=/c", "ExecStart=/a"]);
    w.exit(id, "/c", Exit::Status(3));
    assert_eq!((w.sub(id), w.result(id)), ("dead", "skip-condition"));
    let (mut w, id) = started(&["ExecCondition=/c", "ExecStart=/a"]);
    w.exit(id, "/c", Exit::Status(255));
    assert_eq!((w.sub(id), w.result(id)), ("failed", "exec-condition"));
}

#[test]
fn a_failed_step_fails_the_start_unless_it_may() {
    let (mut w, id) = started(&["ExecStartPre=/p", "ExecStart=/a"]);
    w.exit(id, "/p", Exit::Status(1));
    assert_eq!((w.sub(id), w.result(id)), ("failed", "exit-code"));
    let (mut w, id) = started(&["ExecStartPre=-/p", "ExecStart=/a"]);
    w.exit(id, "/p", Exit::Status(1));
    assert_eq!(w.sub(id), "running");
    let (mut w, id) = started(&["ExecStart=/a", "ExecStartPost=/p"]);
    w.exit(id, "/p", Exit::Killed(9));
    assert_eq!((w.sub(id), w.result(id)), ("stop-sigterm", "signal"));
}

#[test]
fn what_cannot_be_spawned_is_lack_of_resources() {
    let (mut w, id) = world(&["ExecStart=/a"]);
    let error = ChainError { step: 0, errno: 11, message: "fork".into(), exit_status: None };
    w.answers.push_back(Err(error.clone()));
    w.start(id).unwrap();
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "resources"));
    let (mut w, id) = world(&["Type=exec", "ExecStart=/a"]);
    w.answers.push_back(Err(ChainError { exit_status: Some(203), ..error }));
    w.start(id).unwrap();
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "exit-code"));
    assert_eq!(w.machine::<Service>(id).main_status.status(), 203);
}

#[test]
fn exec_waits_for_execve() {
    let (mut w, id) = world(&["Type=exec", "ExecStart=/a"]);
    w.hold = true;
    w.start(id).unwrap();
    assert_eq!(w.sub(id), "start");
    assert!(w.last_spawn().wait_exec);
}

#[test]
fn forking_ends_its_start_with_its_parent() {
    let (mut w, id) = started(&["Type=forking", "ExecStart=/a", "PIDFile=/run/a.pid"]);
    assert_eq!((w.sub(id), w.machine::<Service>(id).main_pid()), ("start", 0));
    let found = ChainOutput { pid_file: Some(Ok(77)), is_child: true, ..ChainOutput::default() };
    w.answers.push_back(Ok(found));
    w.done(id, "/a");
    assert_eq!((w.sub(id), w.machine::<Service>(id).main_pid()), ("running", 77));
    let status = w.machine::<Service>(id).main_status;
    assert!(status.start.is_set() && !status.handoff().is_set(), "nobody saw when its program took over");
}

#[test]
fn nobody_notes_signs_of_life_that_nobody_waits_for() {
    let (mut w, id) = started(&["Type=notify", "NotifyAccess=main", "ExecStart=/a"]);
    tell(&mut w, id, "/a", |n| n.ready = true);
    tell(&mut w, id, "/a", |n| n.watchdog = true);
    assert_eq!(w.sub(id), "running");
    assert!(!w.machine::<Service>(id).watchdog_stamp.is_set());
    assert!(w.machine::<Service>(id).main_status.handoff().is_set());
    tell(&mut w, id, "/a", |n| n.watchdog_usec = Some(5_000_000));
    assert!(w.machine::<Service>(id).watchdog_stamp.is_set());
}

#[test]
fn forking_waits_for_its_pid_file_while_processes_live() {
    let (mut w, id) = started(&["Type=forking", "ExecStart=/a", "PIDFile=/run/a.pid"]);
    let missing = ChainOutput { pid_file: Some(Err("not there".into())), ..ChainOutput::default() };
    w.answers.push_back(Ok(missing));
    w.done(id, "/a");
    assert_eq!(w.sub(id), "start");
    assert!(
        w.effects.iter().any(|effect| matches!(effect, Effect::WatchPaths { specs, .. } if specs.len() == 1))
    );
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "protocol"));
}

#[test]
fn forking_guesses_its_main_process() {
    let (mut w, id) = started(&["Type=forking", "ExecStart=/a"]);
    w.answers.push_back(Ok(ChainOutput { pid_file: Some(Ok(78)), is_child: true, ..ChainOutput::default() }));
    w.done(id, "/a");
    assert_eq!((w.sub(id), w.machine::<Service>(id).main_pid()), ("running", 78));
    w.with(|e| exit::process_exited(e, id, 78, Exit::Status(0)));
    w.empty(id);
    assert_eq!(w.sub(id), "dead");
}

#[test]
fn notify_is_ready_when_it_says_so() {
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a"]);
    assert_eq!(w.sub(id), "start");
    let mut stranger = Notify { pid: 4242, ready: true, ..Notify::default() };
    w.with(|e| notify::notify(e, id, &stranger));
    assert_eq!(w.sub(id), "start");
    stranger.ready = false;
    tell(&mut w, id, "/a", |n| {
        n.ready = true;
        n.status = Some("well".into());
    });
    assert_eq!((w.sub(id), w.machine::<Service>(id).status_text.as_deref()), ("running", Some("well")));
    tell(&mut w, id, "/a", |n| n.stopping = true);
    assert_eq!(w.sub(id), "stop-sigterm");
    w.done(id, "/a");
    assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
}

#[test]
fn notify_that_ends_before_it_is_ready_broke_the_protocol() {
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a"]);
    w.done(id, "/a");
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "protocol"));
}

#[test]
fn dbus_is_ready_with_its_name_and_stops_without() {
    let (mut w, id) = started(&["BusName=org.a", "ExecStart=/a"]);
    assert_eq!(w.sub(id), "start");
    w.with(|e| notify::bus_name(e, id, ":1.5", None));
    assert_eq!(w.sub(id), "running");
    w.with(|e| notify::bus_name(e, id, "", None));
    assert_eq!(w.sub(id), "stop-sigterm");
}

#[test]
fn stop_terminates_then_kills() {
    let (mut w, id) = started(&["ExecStart=/a"]);
    w.stop(id).unwrap();
    assert_eq!(w.sub(id), "stop-sigterm");
    assert_eq!(w.elapse(id, TimerKind::State), 90_000_000);
    assert_eq!(w.sub(id), "stop-sigkill");
    assert_eq!(w.signals(), [(true, 15), (true, 9)]);
    w.exit(id, "/a", Exit::Killed(9));
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
}

#[test]
fn unkillable_processes_are_left_behind() {
    let (mut w, id) = started(&["ExecStart=/a", "ExecStopPost=/post"]);
    w.stop(id).unwrap();
    w.elapse(id, TimerKind::State);
    w.elapse(id, TimerKind::State);
    assert_eq!(w.sub(id), "stop-post");
    w.done(id, "/post");
    assert_eq!(w.sub(id), "final-sigterm");
    w.elapse(id, TimerKind::State);
    assert_eq!(w.sub(id), "final-sigkill");
    w.elapse(id, TimerKind::State);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
}

#[test]
fn kill_mode_mixed_spares_the_others_at_first() {
    let (mut w, id) = started(&["ExecStart=/a", "KillMode=mixed"]);
    w.stop(id).unwrap();
    assert_eq!(w.signals(), [(false, 15)]);
    w.done(id, "/a");
    assert_eq!(w.sub(id), "dead");
}

#[test]
fn kill_mode_none_signals_nobody() {
    let (mut w, id) = started(&["ExecStart=/a", "KillMode=none"]);
    w.stop(id).unwrap();
    assert_eq!((w.sub(id), w.signals().len()), ("dead", 0));
}

#[test]
fn failure_modes_of_time_outs() {
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a", "TimeoutStartFailureMode=abort"]);
    w.elapse(id, TimerKind::State);
    assert_eq!((w.sub(id), w.signals()), ("stop-watchdog", vec![(true, 6)]));
    w.exit(id, "/a", Exit::Dumped(6));
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a", "TimeoutStartFailureMode=kill"]);
    w.elapse(id, TimerKind::State);
    assert_eq!(w.sub(id), "stop-sigkill");
    let (mut w, id) = started(&["ExecStart=/a", "ExecStopPost=/post", "TimeoutStopFailureMode=abort"]);
    w.exit(id, "/a", Exit::Status(1));
    assert_eq!(w.sub(id), "stop-post");
    w.elapse(id, TimerKind::State);
    assert_eq!(w.sub(id), "final-watchdog");
}

#[test]
fn watchdog_aborts_a_silent_service() {
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a", "WatchdogSec=5000000"]);
    assert_eq!(w.last_spawn().watchdog_usec, Some(5_000_000));
    tell(&mut w, id, "/a", |n| n.ready = true);
    w.pass(4_000_000);
    tell(&mut w, id, "/a", |n| n.watchdog = true);
    assert_eq!(w.elapse(id, TimerKind::Watchdog), 5_000_000);
    assert_eq!((w.sub(id), w.signals()), ("stop-watchdog", vec![(true, 6)]));
    w.exit(id, "/a", Exit::Dumped(6));
    w.empty(id);
    assert_eq!((w.sub(id), w.result(id)), ("failed", "watchdog"));
}

#[test]
fn watchdogs_can_be_switched_off() {
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a", "WatchdogSec=5000000"]);
    tell(&mut w, id, "/a", |n| n.ready = true);
    w.e.watch_services(false);
    w.elapse(id, TimerKind::Watchdog);
    tell(&mut w, id, "/a", |n| n.watchdog_trigger = true);
    assert_eq!((w.sub(id), w.signals()), ("running", vec![]));
    w.e.watch_services(true);
    tell(&mut w, id, "/a", |n| n.watchdog_trigger = true);
    assert_eq!(w.sub(id), "stop-watchdog");
}

#[test]
fn a_service_says_itself_whom_to_listen_to() {
    let (mut w, id) = started(&["Type=notify", "NotifyAccess=main", "ExecStart=/a"]);
    let heard = |w: &mut World, text: &str| {
        let message = Notify { pid: 4242, status: Some(text.into()), ..Notify::default() };
        w.with(|e| notify::notify(e, id, &message));
        w.machine::<Service>(id).status_text.as_deref() == Some(text)
    };
    assert!(!heard(&mut w, "one"));
    tell(&mut w, id, "/a", |n| n.notify_access = Some(config::NotifyAccess::All));
    assert!(heard(&mut w, "two"));
    tell(&mut w, id, "/a", |n| n.notify_access = Some(config::NotifyAccess::None));
    tell(&mut w, id, "/a", |n| n.notify_access = Some(config::NotifyAccess::All));
    assert!(!heard(&mut w, "three"), "it has closed its own ears, too");
    w.stop(id).unwrap();
    w.done(id, "/a");
    assert_eq!(notify_access(&w.e, id), config::NotifyAccess::Main);
}

#[test]
fn a_service_may_ask_for_more_time() {
    let (mut w, id) = started(&["Type=notify", "ExecStart=/a"]);
    w.pass(89_000_000);
    tell(&mut w, id, "/a", |n| n.extend_timeout_usec = Some(30_000_000));
    assert_eq!(w.elapse(id, TimerKind::State), 30_000_000);
    assert_eq!(w.sub(id), "stop-sigterm");
}

#[test]
fn run_time_is_limited() {
    let (mut w, id) = started(&["ExecStart=/a", "RuntimeMaxSec=7000000"]);
    assert_eq!(w.elapse(id, TimerKind::State), 7_000_000);
    w.done(id, "/a");
    assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
}

#[test]
fn restart_waits_and_counts() {
    let (mut w, id) = started(&["ExecStart=/a", "Restart=on-failure", "RestartSec=100000"]);
    w.exit(id, "/a", CRASH);
    assert_eq!((w.sub(id), w.result(id)), ("auto-restart", "core-dump"));
    assert_eq!(w.start(id), Err(Refusal::Again));
    assert_eq!(w.elapse(id, TimerKind::State), 100_000);
    assert_eq!((w.sub(id), w.machine::<Service>(id).n_restarts), ("auto-restart-queued", 1));
    w.start(id).unwrap();
    assert_eq!((w.sub(id), w.result(id)), ("running", "success"));
    w.stop(id).unwrap();
    w.exit(id, "/a", CRASH);
    assert_eq!(w.sub(id), "failed");
    w.with(|e| stop::reset_failed(e, id));
    assert_eq!(w.sub(id), "dead");
}

#[test]
fn a_stop_ends_the_wait_for_a_restart() {
    let (mut w, id) = started(&["ExecStart=/a", "Restart=always"]);
    w.done(id, "/a");
    assert_eq!(w.sub(id), "auto-restart");
    w.stop(id).unwrap();
    assert_eq!(w.sub(id), "dead");
}

#[test]
fn the_restart_table_of_the_manual() {
    // systemd.service(5), table 1: rows are exits, columns are no, always, on-success, on-failure, on-abnormal, on-abort, on-watchdog.
    let settings = ["no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog"];
    let table = [
        (Exit::Status(0), [0, 1, 1, 0, 0, 0, 0]),
        (Exit::Status(1), [0, 1, 0, 1, 0, 0, 0]),
        (Exit::Killed(9), [0, 1, 0, 1, 1, 1, 0]),
        (Exit::Killed(15), [0, 1, 1, 0, 0, 0, 0]),
    ];
    for (exit, row) in table {
        for (setting, expected) in settings.iter().zip(row) {
            let (mut w, id) = started(&["ExecStart=/a", &format!("Restart={setting}")]);
            w.exit(id, "/a", exit);
            w.empty(id);
            assert_eq!(w.sub(id) == "auto-restart", expected == 1, "{setting} {exit:?}");
        }
    }
}

#[test]
fn exit_statuses_override_the_table() {
    let (mut w, id) = started(&["ExecStart=/a", "Restart=always", "RestartPreventExitStatus=7"]);
    w.exit(id, "/a", Exit::Status(7));
    assert_eq!(w.sub(id), "failed");
    let (mut w, id) = started(&["ExecStart=/a", "RestartForceExitStatus=7", "SuccessExitStatus=7"]);
    w.exit(id, "/a", Exit::Status(7));
    assert_eq!((w.sub(id), w.result(id)), ("auto-restart", "success"));
}

#[test]
fn an_exit_that_is_asked_for_has_the_main_process_s_status() {
    let lines = ["ExecStart=/a", "FailureAction=exit", "SuccessAction=exit-force"];
    let told = |more: &[&str], status| {
        let (mut w, id) = started(&[&lines, more].concat());
        w.exit(id, "/a", status);
        w.effects.iter().rev().find_map(|effect| match effect {
            Effect::Configure(Setting::ExitStatus(status)) => Some(*status),
            _ => None,
        })
    };
    assert_eq!(told(&[], Exit::Status(7)), Some(7));
    assert_eq!(told(&[], Exit::Status(0)), Some(0));
    assert_eq!(told(&["FailureActionExitStatus=42"], Exit::Status(7)), Some(42));
    assert_eq!(told(&["SuccessActionExitStatus=0"], Exit::Status(0)), Some(0));
    assert_eq!(told(&[], CRASH), None, "what was set before counts");
}

#[test]
fn a_soft_reboot_is_no_reboot() {
    for action in ["FailureAction=soft-reboot", "FailureAction=soft-reboot-force"] {
        let (mut w, id) = started(&["ExecStart=/a", action]);
        w.exit(id, "/a", Exit::Status(7));
        let refused = w.effects.iter().any(|effect| match effect {
            Effect::Log(line) => line.level == 3 && line.text.contains("soft reboot"),
            _ => false,
        });
        assert!(refused, "{action}");
        assert!(!w.effects.iter().any(|effect| matches!(effect, Effect::Exit(_))), "{action}");
    }
}

#[test]
fn too_many_starts_fail() {
    let (mut w, id) = world(&["ExecStart=/a"]);
    w.e.unit_mut(id).start_limit = crate::engine::RateLimit::new(10_000_000, 1);
    w.start(id).unwrap();
    w.done(id, "/a");
    w.empty(id);
    assert_eq!(w.start(id), Err(Refusal::StartLimit));
    assert_eq!((w.sub(id), w.result(id)), ("failed", "start-limit-hit"));
}

#[test]
fn reload_runs_its_commands_and_keeps_their_result() {
    let (mut w, id) = started(&["ExecStart=/a", "ExecReload=/r"]);
    w.reload(id).unwrap();
    assert_eq!(w.sub(id), "reload");
    assert_eq!(w.last_spawn().environment[0], ("MAINPID".into(), w.pid("/a").to_string().into()));
    w.exit(id, "/r", Exit::Status(2));
    let s = w.machine::<Service>(id);
    assert_eq!(
        (s.state, s.result, s.reload_result),
        (State::Running, ServiceResult::Success, ServiceResult::ExitCode)
    );
    w.reload(id).unwrap();
    w.elapse(id, TimerKind::State);
    let s = w.machine::<Service>(id);
    assert_eq!((s.state, s.reload_result), (State::Running, ServiceResult::Timeout));
}

#[test]
fn notify_reload_shakes_hands() {
    let (mut w, id) = started(&["Type=notify-reload", "ExecStart=/a"]);
    tell(&mut w, id, "/a", |n| n.ready = true);
    w.reload(id).unwrap();
    assert_eq!((w.sub(id), w.signals()), ("reload-signal", vec![(false, 1)]));
    let began = w.now;
    tell(&mut w, id, "/a", |n| (n.reloading, n.monotonic_usec) = (true, Some(began - 1)));
    assert_eq!(w.sub(id), "reload-signal");
    tell(&mut w, id, "/a", |n| (n.reloading, n.monotonic_usec) = (true, Some(began)));
    assert_eq!(w.sub(id), "reload-notify");
    tell(&mut w, id, "/a", |n| n.ready = true);
    assert_eq!(w.sub(id), "running");
}

#[test]
fn the_oom_policy_decides() {
    for (policy, sub) in [("continue", "running"), ("stop", "stop-sigterm"), ("kill", "stop-sigkill")] {
        let (mut w, id) = started(&["ExecStart=/a", &format!("OOMPolicy={policy}")]);
        w.with(|e| exit::cgroup_oom(e, id, false));
        assert_eq!(w.sub(id), sub);
        let result = w.machine::<Service>(id).result;
        assert_eq!(result == ServiceResult::OomKill, policy != "continue");
    }
}

#[test]
fn exit_type_cgroup_outlives_its_main_process() {
    let (mut w, id) = started(&["ExecStart=/a", "ExitType=cgroup"]);
    w.done(id, "/a");
    assert_eq!(w.sub(id), "running");
    w.empty(id);
    assert_eq!(w.sub(id), "dead");
}

#[test]
fn stop_post_learns_how_it_ended() {
    let (mut w, id) = started(&["ExecStart=/a", "ExecStopPost=/post"]);
    w.exit(id, "/a", Exit::Killed(9));
    assert_eq!(w.sub(id), "stop-post");
    let told: Vec<_> = w.last_spawn().environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(told, ["SERVICE_RESULT=signal", "EXIT_CODE=killed", "EXIT_STATUS=KILL"]);
}

#[test]
fn a_dynamic_user_is_given_back_by_the_last_of_its_units() {
    let (mut w, id) = started(&["ExecStart=/a", "DynamicUser=yes", "User=shared"]);
    let other = w.unit("other.service", &["ExecStart=/b", "DynamicUser=yes", "User=shared"]);
    let alone = w.unit("alone.service", &["ExecStart=/c", "DynamicUser=yes", "User=own"]);
    let nameless = ["d", "e"].map(|name| {
        let start = format!("ExecStart=/{name}");
        w.unit(&format!("{name}.service"), &[&start, "DynamicUser=yes"])
    });
    for id in [other, alone, nameless[0], nameless[1]] {
        w.start(id).unwrap();
    }
    let mut given_back = |id, path| {
        w.done(id, path);
        w.empty(id);
        let is_user = |f: &Effect| matches!(f, Effect::CleanUp { what: CleanUp::DynamicUser, .. });
        let found = w.effects.iter().any(is_user);
        w.effects.clear();
        found
    };
    assert!(given_back(alone, "/c"));
    assert!(!given_back(id, "/a"), "the other one has it still");
    assert!(given_back(other, "/b"));
    assert!(given_back(nameless[0], "/d"), "without a name each has its own");
}

#[test]
fn stored_descriptors_come_back_with_a_restart_and_go_with_a_stop() {
    let (mut w, id) = started(&["ExecStart=/a", "FileDescriptorStoreMax=2", "Restart=always"]);
    w.e.take_dirty();
    w.e.queues_mut().announce.clear();
    let (pid, fds) = (w.pid("/a"), vec![FdId(1), FdId(3), FdId(5)]);
    w.with(|e| {
        notify::notify(e, id, &Notify { pid, fds, fd_name: Some("x".into()), ..Notify::default() });
        assert!(e.queues_mut().announce.is_empty(), "no signal");
    });
    assert!(w.e.take_dirty_stored().into_iter().eq([FdId(1), FdId(3)]), "each has its record");
    assert!(w.e.take_dirty().is_empty(), "the unit's is as it was");
    let closed = |w: &World| w.effects.iter().filter(|f| matches!(f, Effect::CloseFd(_))).count();
    assert_eq!((w.machine::<Service>(id).fd_store.len(), closed(&w)), (2, 1));
    w.done(id, "/a");
    w.elapse(id, TimerKind::State);
    w.start(id).unwrap();
    assert_eq!(w.last_spawn().fds, [(FdId(1), "x".into()), (FdId(3), "x".into())]);
    assert_eq!(w.last_spawn().socket_fds, 0, "none is a socket's");
    w.with(|e| fdstore::fd_ready(e, id, FdId(1), true));
    tell(&mut w, id, "/a", |n| (n.fd_store_remove, n.fd_name) = (true, Some("y".into())));
    assert_eq!(w.machine::<Service>(id).fd_store.len(), 1);
    w.stop(id).unwrap();
    w.done(id, "/a");
    assert_eq!((w.sub(id), w.machine::<Service>(id).fd_store.len()), ("dead", 0));
}

#[test]
fn only_services_keep_descriptors_that_come_with_a_notification() {
    let (mut w, service) = started(&["ExecStart=/a", "FileDescriptorStoreMax=2"]);
    let slice = w.unit("user-1.slice", &[]);
    let path = w.e.cgroup_spec(slice).expect("a path").path;
    let kept =
        |w: &World, fd| !w.effects.iter().any(|effect| matches!(effect, Effect::CloseFd(id) if *id == fd));
    let sent = |w: &mut World, pid, cgroup: Option<&str>, fd| {
        let message = Notify { pid, cgroup: cgroup.map(Into::into), fds: vec![fd], ..Notify::default() };
        let now = Now { monotonic: w.now, ..Now::default() };
        let effects = w.e.step(now, Event::Notify(Box::new(message)));
        w.effects.extend(effects);
    };
    let pid = w.pid("/a");
    sent(&mut w, pid, None, FdId(1));
    sent(&mut w, 4242, Some(&path), FdId(3));
    sent(&mut w, 4242, Some("/nobody's"), FdId(5));
    assert_eq!([FdId(1), FdId(3), FdId(5)].map(|fd| kept(&w, fd)), [true, false, false]);
    assert_eq!((w.e.store_of(FdId(1)), w.e.store_of(FdId(3))), (Some(service), None));
}

#[test]
fn signs_of_life_and_texts_that_stand_already_are_told_to_nobody() {
    let (mut w, id) = started(&["ExecStart=/a", "Type=notify", "WatchdogSec=10"]);
    tell(&mut w, id, "/a", |n| (n.ready, n.status) = (true, Some("fine".into())));
    for (what, told) in [("fine", false), ("busy", true)] {
        w.e.queues_mut().announce.clear();
        let pid = w.pid("/a");
        notify::notify(&mut w.e, id, &Notify { pid, watchdog: true, ..Notify::default() });
        let beat = w.e.queues_mut().announce.contains(&id);
        w.e.take_dirty();
        notify::notify(&mut w.e, id, &Notify { pid, status: Some(what.into()), ..Notify::default() });
        assert_eq!((beat, w.e.queues_mut().announce.contains(&id)), (false, told), "{what}");
        assert_eq!(w.e.take_dirty().contains(&id), told, "a record that is as it was: {what}");
    }
}

#[test]
fn stored_descriptors_are_restored_from_their_records_and_from_lists_of_earlier_images() {
    let (mut w, id) = started(&["ExecStart=/a", "FileDescriptorStoreMax=9"]);
    tell(&mut w, id, "/a", |n| (n.fds, n.fd_name) = (vec![FdId(1), FdId(3)], Some("x".into())));
    let restored = |records: &[(String, Vec<u8>)]| {
        let mut fresh = Engine::new(Default::default());
        let problems = fresh.restore(records.iter().map(|(key, bytes)| (key.as_str(), bytes.as_slice())));
        assert_eq!(problems, []);
        let store = fresh.machine::<Service>(id).fd_store.clone();
        (store, fresh.fd_owner(FdId(3)), fresh)
    };
    let mut records = w.e.record_all();
    let (store, owner, mut fresh) = restored(&records);
    assert_eq!((&store, owner), (&w.machine::<Service>(id).fd_store, Some(id)));
    assert!(fresh.take_dirty_stored().is_empty(), "they stand in the log as they are");

    // As it was before each had its own.
    records.retain(|(key, _)| !key.starts_with("stored/"));
    let own = crate::engine::record::key(id);
    let (_, record) = records.iter_mut().find(|(key, _)| *key == own).unwrap();
    let list = r#"{"fd_store":[{"fd":1,"name":"x","poll":true},{"fd":3,"name":"x","poll":true}],"#;
    let text = String::from_utf8(record.clone()).unwrap();
    let (before, after) = text.split_once(r#""kind":{"Service":{"#).unwrap();
    *record = format!(r#"{before}"fds":[1,3],"kind":{{"Service":{list}{after}"#).into_bytes();
    let (listed, owner, mut fresh) = restored(&records);
    assert_eq!((listed, owner), (store, Some(id)));
    assert!(fresh.take_dirty_stored().into_iter().eq([FdId(1), FdId(3)]), "to be written");
    assert!(fresh.take_dirty().contains(&id));
}

#[test]
fn preserved_descriptors_pin_a_dead_service() {
    let (mut w, id) =
        started(&["ExecStart=/a", "FileDescriptorStoreMax=2", "FileDescriptorStorePreserve=yes"]);
    tell(&mut w, id, "/a", |n| n.fds = vec![FdId(1)]);
    w.done(id, "/a");
    w.empty(id);
    assert_eq!(state(&w, id), State::DeadResourcesPinned);
    w.with(|e| fdstore::fd_ready(e, id, FdId(1), true));
    assert_eq!(w.sub(id), "dead");
}

#[test]
fn the_invocation_is_published_while_it_runs() {
    let (mut w, id) = started(&["ExecStart=/a"]);
    let link = |step: &Step| matches!(step, Step::RunTree { path, entry: Some(_) } if &**path == "systemd/units/invocation:a.service");
    assert!(w.steps.iter().any(link));
    w.done(id, "/a");
    w.empty(id);
    let gone = |effect: &Effect| matches!(effect, Effect::RunTree { path, entry: None } if &**path == "systemd/units/invocation:a.service");
    assert!(w.effects.iter().any(gone));
}

#[test]
fn idle_does_not_hold_others_up() {
    let (mut w, id) = world(&["Type=idle", "ExecStartPre=/p", "ExecStart=/a"]);
    w.start(id).unwrap();
    assert_eq!((w.sub(id), w.e.unit(id).active_state()), ("start-pre", ActiveState::Active));
}

#[test]
fn main_process_may_be_another_one() {
    let (mut w, id) = started(&["Type=notify", "NotifyAccess=all", "ExecStart=/a"]);
    tell(&mut w, id, "/a", |n| (n.main_pid, n.main_pid_is_ours, n.ready) = (Some(500), true, true));
    assert_eq!((w.sub(id), w.machine::<Service>(id).main_pid()), ("running", 500));
    tell(&mut w, id, "/a", |n| (n.main_pid, n.uid) = (Some(600), 1000));
    assert_eq!(w.machine::<Service>(id).main_pid(), 500);
}

#[test]
fn bad_settings_are_refused() {
    let bad: [&[&str]; 7] = [
        &["Restart=no"],
        &["Type=simple", "ExecStop=/s"],
        &["Type=oneshot", "ExecStop=/s"],
        &["ExecStart=/a", "ExecStart=/b"],
        &["Type=oneshot", "ExecStart=/a", "Restart=always"],
        &["Type=dbus", "ExecStart=/a"],
        &["ExecStart=/a", "PAMName=login", "KillMode=process"],
    ];
    for lines in bad {
        let mut w = World::new();
        let name = crate::names::UnitName::parse("a.service").unwrap();
        let id = w.e.ensure(&name);
        w.e.unit_mut(id).settings = super::super::test_world::settings(&name, lines);
        assert!(load::loaded(&mut w.e, id).is_err(), "{lines:?}");
    }
}
