//! Sockets, driven as the engine would.
use super::service::Service;
use super::socket::*;
use super::test_world::World;
use super::{Machine, Refusal};
use crate::engine::effect::{Effect, FdId, Step, UnitId};
use crate::engine::event::{Accepted, ChainError, Exit};
use crate::engine::timers::TimerKind;

fn world(lines: &[&str]) -> (World, UnitId, UnitId) {
    let mut w = World::new();
    let service = w.unit("a.service", &["ExecStart=/a"]);
    let id = w.unit("a.socket", lines);
    (w, id, service)
}

fn listening(lines: &[&str]) -> (World, UnitId, UnitId) {
    let (mut w, id, service) = world(lines);
    w.start(id).unwrap();
    assert_eq!(w.sub(id), "listening");
    (w, id, service)
}

fn traffic(w: &mut World, id: UnitId) {
    let fd = w.machine::<Socket>(id).fds[0];
    w.with(|e| Socket::fd_ready(e, id, fd, false));
}

fn connect(w: &mut World, id: UnitId, number: u64, peer: &str) -> FdId {
    let connection = FdId(number * 2 + 1);
    let accepted = Accepted {
        listener: w.machine::<Socket>(id).fds[0],
        connection,
        peer: format!("127.0.0.1:22-{peer}:{number}").into(),
        remote: Some((peer.into(), 4000)),
        peer_uid: None,
        peer_pid: None,
        cookie: number,
    };
    w.with(|e| Socket::accepted(e, id, &accepted));
    connection
}

fn closed(w: &World, fd: FdId) -> bool {
    w.effects.iter().any(|effect| matches!(effect, Effect::CloseFd(other) if *other == fd))
}

#[test]
fn descriptors_outlive_the_service_and_are_passed_to_it() {
    let (mut w, id, service) =
        listening(&["ListenStream=/run/a", "ListenDatagram=/run/b", "FileDescriptorName=x"]);
    let fds = w.machine::<Socket>(id).fds.clone();
    traffic(&mut w, id);
    assert_eq!(w.sub(id), "running");
    w.start(service).unwrap();
    assert_eq!(w.last_spawn().fds, [(fds[0], "x".into()), (fds[1], "x".into())]);
    w.done(service, "/a");
    w.empty(service);
    w.with(|e| Socket::triggered(e, id, service));
    assert_eq!((w.sub(id), w.machine::<Socket>(id).fds.clone()), ("listening", fds.clone()));
    w.stop(id).unwrap();
    assert_eq!((w.sub(id), closed(&w, fds[1])), ("dead", true));
}

#[test]
fn commands_run_around_it() {
    let (mut w, id, _) = world(&[
        "ListenStream=/run/a",
        "ExecStartPre=/pre",
        "ExecStartPost=/post",
        "ExecStopPre=/stop",
        "ExecStopPost=/after",
    ]);
    w.start(id).unwrap();
    let mut seen = vec![w.sub(id)];
    w.done(id, "/pre");
    seen.push(w.sub(id));
    w.done(id, "/post");
    w.stop(id).unwrap();
    seen.push(w.sub(id));
    w.done(id, "/stop");
    seen.push(w.sub(id));
    w.done(id, "/after");
    assert_eq!(seen, ["start-pre", "start-post", "stop-pre", "stop-post"]);
    assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
}

#[test]
fn a_command_that_fails_or_hangs_fails_the_socket() {
    let (mut w, id, _) = world(&["ListenStream=/run/a", "ExecStartPre=/pre"]);
    w.start(id).unwrap();
    w.exit(id, "/pre", Exit::Status(1));
    assert_eq!((w.sub(id), w.result(id)), ("failed", "exit-code"));
    w.with(|e| Socket::reset_failed(e, id));
    w.start(id).unwrap();
    w.elapse(id, TimerKind::State);
    assert_eq!(w.sub(id), "final-sigterm");
    w.elapse(id, TimerKind::State);
    assert_eq!(w.sub(id), "final-sigkill");
    w.exit(id, "/pre", Exit::Killed(9));
    assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
}

#[test]
fn what_cannot_be_opened_is_lack_of_resources() {
    let (mut w, id, _) = world(&["ListenStream=80"]);
    w.answers.push_back(Err(ChainError { step: 1, errno: 98, message: "in use".into(), exit_status: None }));
    w.start(id).unwrap();
    assert_eq!((w.sub(id), w.result(id)), ("failed", "resources"));
}

#[test]
fn opening_is_a_state_of_its_own() {
    let (mut w, id, _) = world(&["ListenStream=80"]);
    w.hold = true;
    w.start(id).unwrap();
    assert_eq!(w.sub(id), "start-chown");
}

#[test]
fn an_active_service_keeps_its_socket_from_starting() {
    let (mut w, id, service) = world(&["ListenStream=80"]);
    w.start(service).unwrap();
    assert_eq!(w.start(id), Err(Refusal::Failed));
}

#[test]
fn each_connection_gets_an_instance() {
    let (mut w, id, _) = listening(&["ListenStream=22", "Accept=yes", "MaxConnections=2"]);
    let fds: Vec<_> = (0..3).map(|n| connect(&mut w, id, n, "10.0.0.1")).collect();
    assert!(closed(&w, fds[2]) && !closed(&w, fds[1]));
    let s = w.machine::<Socket>(id);
    assert_eq!((s.n_connections, s.n_accepted, s.n_refused), (2, 2, 1));
    let name = crate::names::UnitName::parse("a@1-127.0.0.1:22-10.0.0.1:1.service").unwrap();
    let instance = w.e.find(&name).expect("an instance");
    w.unit(name.as_str(), &["ExecStart=/i"]);
    w.start(instance).unwrap();
    let spawn = w.last_spawn();
    assert_eq!((spawn.socket, spawn.fds[0].1.as_ref()), (Some(fds[1]), "connection"));
    assert!(spawn.environment.contains(&("REMOTE_ADDR".into(), "10.0.0.1".into())));
    assert!(w.machine::<Service>(instance).connection.is_some());
    w.done(instance, "/i");
    w.empty(instance);
    assert_eq!(w.machine::<Socket>(id).n_connections, 1);
    assert!(closed(&w, fds[1]));
}

#[test]
fn connections_of_one_source_are_limited() {
    let (mut w, id, _) = listening(&["ListenStream=22", "Accept=yes", "MaxConnectionsPerSource=1"]);
    let fds = [
        connect(&mut w, id, 0, "10.0.0.1"),
        connect(&mut w, id, 1, "10.0.0.1"),
        connect(&mut w, id, 2, "10.0.0.2"),
    ];
    assert_eq!(fds.map(|fd| closed(&w, fd)), [false, true, false]);
}

#[test]
fn too_many_triggers_fail_the_socket() {
    let (mut w, id, service) = listening(&["ListenStream=80", "TriggerLimitBurst=2"]);
    for _ in 0..3 {
        traffic(&mut w, id);
        w.with(|e| Socket::triggered(e, id, service));
    }
    assert_eq!((w.sub(id), w.result(id)), ("failed", "trigger-limit-hit"));
}

#[test]
fn a_busy_descriptor_rests() {
    let (mut w, id, service) = listening(&["ListenStream=80", "PollLimitBurst=1"]);
    traffic(&mut w, id);
    w.with(|e| Socket::triggered(e, id, service));
    traffic(&mut w, id);
    assert_eq!(w.sub(id), "listening");
    assert_eq!(w.elapse(id, TimerKind::Pause), 2_000_000);
    let last = w.effects.iter().rev().find_map(|effect| match effect {
        Effect::PollFd { on, .. } => Some(*on),
        _ => None,
    });
    assert_eq!(last, Some(true));
}

#[test]
fn the_services_start_limit_fails_the_socket() {
    let (mut w, id, service) = listening(&["ListenStream=80"]);
    w.e.unit_mut(service).start_limit = crate::engine::RateLimit::new(10_000_000, 1);
    w.start(service).unwrap();
    w.done(service, "/a");
    w.empty(service);
    assert_eq!(w.start(service), Err(Refusal::StartLimit));
    w.with(|e| Socket::triggered(e, id, service));
    assert_eq!((w.sub(id), w.result(id)), ("failed", "service-start-limit-hit"));
}

#[test]
fn its_own_start_limit_fails_it() {
    let (mut w, id, _) = world(&["ListenStream=80"]);
    w.e.unit_mut(id).start_limit = crate::engine::RateLimit::new(10_000_000, 1);
    w.start(id).unwrap();
    w.stop(id).unwrap();
    assert_eq!(w.start(id), Err(Refusal::StartLimit));
    assert_eq!(w.result(id), "start-limit-hit");
}

#[test]
fn paths_go_with_the_socket_when_asked() {
    let (mut w, id, _) = listening(&["ListenStream=/run/a", "RemoveOnStop=yes"]);
    w.stop(id).unwrap();
    assert!(w.steps.iter().any(|step| matches!(step, Step::RemovePaths(paths) if &*paths[0] == "/run/a")));
}

#[test]
fn bad_settings_are_refused() {
    let bad: [&[&str]; 4] = [
        &["Accept=no"],
        &["ListenDatagram=1", "Accept=yes"],
        &["ListenStream=1", "Accept=yes", "MaxConnections=0"],
        &["ListenStream=1", "Accept=yes", "Service=b.service"],
    ];
    for lines in bad {
        let mut w = World::new();
        let name = crate::names::UnitName::parse("b.socket").unwrap();
        let id = w.e.ensure(&name);
        w.e.unit_mut(id).settings = super::test_world::settings(&name, lines);
        assert!(Socket::loaded(&mut w.e, id).is_err(), "{lines:?}");
    }
}
