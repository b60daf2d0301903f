//! A login from the first call to the last trace.
use super::event::{AskId, CallId, Effect, Event, NewSession, Object, Request};
use super::session::{Class, Kind};
use super::user::UserRecord;
use super::{Config, Sessions};
use crate::engine::clock::Now;

fn at(seconds: u64) -> Now {
    let usec = seconds * 1_000_000;
    Now { realtime: 1_000_000_000 + usec, monotonic: usec, boottime: usec }
}

fn ann() -> UserRecord {
    UserRecord { uid: 1000, gid: 1000, name: "ann".into(), home: "/home/ann".into() }
}

fn new(class: Class) -> Box<NewSession> {
    let request = Request {
        service: "sshd".into(),
        kind: Some(Kind::Tty),
        class: Some(class),
        remote: true,
        remote_host: "::1".into(),
        ..Request::default()
    };
    Box::new(NewSession { user: ann(), leader: 77, audit: None, request })
}

/// The requests to the service manager among effects, as (number, unit).
fn asks(effects: &[Effect]) -> Vec<(AskId, String)> {
    let ask = |effect: &Effect| match effect {
        Effect::Start { ask, unit } => Some((*ask, format!("+{unit}"))),
        Effect::Stop { ask, unit } => Some((*ask, format!("-{unit}"))),
        Effect::Scope { ask, session } => Some((*ask, format!("scope {session}"))),
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}

fn removed(path: &str, result: &str) -> Event {
    Event::JobRemoved { path: path.into(), result: result.into() }
}

#[test]
fn from_the_first_login_to_the_last_trace() {
    let mut login = Sessions::new(Config::default(), false, at(1));
    login.effects();
    let effects = login.step(at(2), Event::Create(CallId(1), new(Class::User)));
    let asked = asks(&effects);
    let units: Vec<&str> = asked.iter().map(|(_, unit)| unit.as_str()).collect();
    assert_eq!(units, ["+user-runtime-dir@1000.service", "+user@1000.service", "scope c1"]);
    assert!(effects.contains(&Effect::Added(Object::User(1000))));
    for (number, (ask, _)) in asked.iter().enumerate() {
        assert_eq!(login.step(at(2), Event::Queued(*ask, format!("/job/{number}"))), []);
    }
    assert_eq!(login.state_of(login.session("c1").expect("there")).name(), "opening");
    login.step(at(2), removed("/job/0", "done"));
    // The manager's own session needs nothing.
    let effects = login.step(at(2), Event::Create(CallId(2), new(Class::Manager)));
    assert!(effects.contains(&Effect::Created { call: CallId(2), session: "c2".into() }), "{effects:?}");
    login.step(at(2), removed("/job/2", "done"));
    let effects = login.step(at(3), removed("/job/1", "done"));
    assert_eq!(effects, [Effect::Created { call: CallId(1), session: "c1".into() }]);
    let user = login.user(1000).expect("there");
    assert_eq!((login.state_of_user(user).name(), user.display.as_deref()), ("active", Some("c1")));

    let effects = login.step(at(9), Event::Release("c1".into()));
    assert!(effects.contains(&Effect::Abandon("session-c1.scope".into())));
    let effects = login.step(at(10), Event::UnitGone("session-c1.scope".into()));
    assert!(effects.contains(&Effect::Removed(Object::Session("c1".into()))));
    assert_eq!(login.next_timer(), Some(20_000_000));
    let effects = login.step(at(20), Event::Timer);
    let asked = asks(&effects);
    assert_eq!(asked[0].1, "-user-runtime-dir@1000.service");
    login.step(at(20), Event::Queued(asked[0].0, "/job/9".into()));
    login.step(at(20), Event::Release("c2".into()));
    let effects = login.step(at(21), removed("/job/9", "done"));
    assert_eq!(effects, [Effect::CleanIpc(1000), Effect::Removed(Object::User(1000))]);
    assert_eq!((login.users().count(), login.sessions().count(), login.next_timer()), (0, 0, None));
}

#[test]
fn who_comes_back_while_all_is_stopped_is_served() {
    let mut login = Sessions::new(Config { user_stop_delay: 0, ..Config::default() }, false, at(1));
    let effects = login.step(at(2), Event::Create(CallId(1), new(Class::UserLight)));
    let asked = asks(&effects);
    assert_eq!(asked.len(), 2, "no manager: {asked:?}");
    login.step(at(2), Event::Queued(asked[0].0, "/job/0".into()));
    login.step(at(2), Event::Queued(asked[1].0, "/job/1".into()));
    login.step(at(2), removed("/job/0", "done"));
    login.step(at(2), removed("/job/1", "done"));
    login.step(at(3), Event::Release("c1".into()));
    let stop = asks(&login.step(at(3), Event::UnitGone("session-c1.scope".into())));
    assert_eq!(stop[0].1, "-user-runtime-dir@1000.service");
    login.step(at(3), Event::Queued(stop[0].0, "/job/2".into()));
    let again = asks(&login.step(at(4), Event::Create(CallId(2), new(Class::User))));
    assert_eq!(again[0].1, "+user-runtime-dir@1000.service");
    login.step(at(4), Event::Queued(again[0].0, "/job/3".into()));
    // The end of what was replaced stops nothing.
    assert_eq!(login.step(at(4), removed("/job/2", "canceled")), []);
    assert!(login.user(1000).is_some_and(|user| user.started && !user.stopping));
}

#[test]
fn a_scope_that_cannot_be_made_ends_the_session_and_tells_why() {
    let mut login = Sessions::new(Config::default(), false, at(1));
    let asked = asks(&login.step(at(2), Event::Create(CallId(1), new(Class::Background))));
    let effects = login.step(at(2), Event::Refused(asked[2].0, "no".into()));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Refuse(CallId(1), _, text) if text == "no"))
    );
    assert_eq!(login.sessions().count(), 0);
}

#[test]
fn terminals_are_places_on_seat0() {
    let mut login = Sessions::new(Config::default(), true, at(1));
    login.step(at(1), Event::VtActive(1));
    let here = |tty: &str| {
        let mut new = new(Class::User);
        (new.request.tty, new.request.remote) = (tty.into(), false);
        new
    };
    login.step(at(2), Event::Create(CallId(1), here("tty1")));
    login.step(at(2), Event::Create(CallId(2), here("tty2")));
    login.step(at(2), Event::Create(CallId(3), here("ttyS0")));
    let effects = login.step(at(2), Event::Create(CallId(4), here("tty2")));
    assert!(matches!(&effects[..], [Effect::Refuse(CallId(4), "org.freedesktop.login1.SessionBusy", _)]));
    let places: Vec<(Option<&str>, u32)> =
        login.sessions().map(|session| (session.seat.as_deref(), session.vtnr)).collect();
    assert_eq!(places, [(Some("seat0"), 1), (Some("seat0"), 2), (None, 0)]);
    let effects = login.step(at(3), Event::VtActive(2));
    assert!(effects.contains(&Effect::Changed(Object::Seat("seat0".into()), &["ActiveSession"])));
    assert_eq!(login.seat("seat0").and_then(|seat| seat.active.as_deref()), Some("c2"));
}

#[test]
fn a_session_that_is_terminated_ends_with_the_job_that_stops_its_scope() {
    let mut login = Sessions::new(Config::default(), false, at(1));
    let asked = asks(&login.step(at(2), Event::Create(CallId(1), new(Class::UserLight))));
    login.step(at(2), Event::Queued(asked[1].0, "/job/1".into()));
    login.step(at(2), removed("/job/1", "done"));
    let stop = asks(&login.step(at(3), Event::Terminate("c1".into())));
    assert_eq!(stop[0].1, "-session-c1.scope");
    login.step(at(3), Event::Queued(stop[0].0, "/job/2".into()));
    assert_eq!(login.state_of(login.session("c1").expect("there")).name(), "closing");
    login.step(at(4), removed("/job/2", "done"));
    assert!(login.session("c1").is_none());
}

#[test]
fn who_waits_when_the_service_manager_crashes_is_answered() {
    let mut login = Sessions::new(Config::default(), false, at(1));
    let asked = asks(&login.step(at(2), Event::Create(CallId(1), new(Class::User))));
    for (number, (ask, _)) in asked.iter().enumerate() {
        login.step(at(2), Event::Queued(*ask, format!("/job/{number}")));
    }
    let other = asks(&login.step(at(2), Event::Create(CallId(2), new(Class::User))));
    assert_eq!(other.len(), 1, "the user is there: {other:?}");
    login.manager_lost(at(3));
    let effects = login.effects();
    assert!(effects.contains(&Effect::Created { call: CallId(1), session: "c1".into() }), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Refuse(CallId(2), ..))), "{effects:?}");
    let ids: Vec<&str> = login.sessions().map(|session| session.id.as_str()).collect();
    assert_eq!(ids, ["c1"]);
}

#[test]
fn what_is_terminated_while_it_begins_is_stopped_when_it_is_there() {
    let mut login = Sessions::new(Config::default(), false, at(1));
    let asked = asks(&login.step(at(2), Event::Create(CallId(1), new(Class::UserLight))));
    login.step(at(2), Event::Queued(asked[1].0, "/job/1".into()));
    assert_eq!(asks(&login.step(at(2), Event::Terminate("c1".into()))), []);
    let stop = asks(&login.step(at(3), removed("/job/1", "done")));
    assert_eq!(stop[0].1, "-session-c1.scope");
    let effects = login.step(at(3), Event::Refused(stop[0].0, "a job is in the way".into()));
    assert_eq!(effects, [Effect::Abandon("session-c1.scope".into())]);
}
