//! The files below `/run/systemd/{sessions,users,seats}`, which sd-login(3) reads: `KEY=VALUE` lines.
use super::Sessions;
use super::event::Object;
use super::session::{Session, State};
use std::fmt::Write as _;

const HEADER: &str = "# This is private data. Do not parse.\n";

/// The path of an object's file, below `/run/systemd`; the manager has none.
pub fn path(object: &Object) -> Option<String> {
    Some(match object {
        Object::Manager => return None,
        Object::Session(id) => format!("sessions/{id}"),
        Object::User(uid) => format!("users/{uid}"),
        Object::Seat(id) => format!("seats/{id}"),
    })
}

/// What is to be in it; `None` when the object is not there.
pub fn text(sessions: &Sessions, object: &Object) -> Option<String> {
    match object {
        Object::Manager => None,
        Object::Session(id) => sessions.session(id).map(|session| of_session(sessions, session)),
        Object::User(uid) => of_user(sessions, *uid),
        Object::Seat(id) => of_seat(sessions, id),
    }
}

fn line(text: &mut String, key: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{key}={value}");
}

/// Lines of what may be empty, and of what others choose: escaped as in C.
fn given(text: &mut String, key: &str, value: &str) {
    if !value.is_empty() {
        line(text, key, escape(value));
    }
}

fn escape(value: &str) -> String {
    let mut text = String::new();
    for character in value.chars() {
        match character {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\'' => text.push_str("\\'"),
            c if c.is_control() => {
                let _ = write!(text, "\\{:03o}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text
}

fn of_session(sessions: &Sessions, session: &Session) -> String {
    let mut text = HEADER.to_owned();
    let user = sessions.user(session.uid);
    let display = user.is_some_and(|user| user.display.as_deref() == Some(&session.id));
    line(&mut text, "UID", session.uid);
    given(&mut text, "USER", user.map_or("", |user| &user.record.name));
    line(&mut text, "ACTIVE", u8::from(sessions.is_active(session)));
    line(&mut text, "IS_DISPLAY", u8::from(display));
    line(&mut text, "STATE", sessions.state_of(session).name());
    line(&mut text, "REMOTE", u8::from(session.remote));
    // Leaders are found again by their scopes, not kept by the service manager.
    line(&mut text, "LEADER_FD_SAVED", 0);
    line(&mut text, "TYPE", session.kind.name());
    line(&mut text, "ORIGINAL_TYPE", session.original_kind.name());
    line(&mut text, "CLASS", session.class.name());
    given(&mut text, "SCOPE", session.scope.as_deref().unwrap_or(""));
    given(&mut text, "SCOPE_JOB", session.scope_job.as_deref().unwrap_or(""));
    if session.fifo {
        line(&mut text, "FIFO", session.fifo_path());
    }
    given(&mut text, "SEAT", session.seat.as_deref().unwrap_or(""));
    given(&mut text, "TTY", &session.tty);
    given(&mut text, "DISPLAY", &session.display);
    given(&mut text, "REMOTE_HOST", &session.remote_host);
    given(&mut text, "REMOTE_USER", &session.remote_user);
    given(&mut text, "SERVICE", &session.service);
    given(&mut text, "DESKTOP", &session.desktop);
    match session.vtnr {
        0 => line(&mut text, "POSITION", session.position),
        number => line(&mut text, "VTNR", number),
    }
    line(&mut text, "LEADER", session.leader);
    if session.audit != u32::MAX {
        line(&mut text, "AUDIT", session.audit);
    }
    line(&mut text, "REALTIME", session.since.realtime);
    line(&mut text, "MONOTONIC", session.since.monotonic);
    text
}

fn of_user(sessions: &Sessions, uid: u32) -> Option<String> {
    let user = sessions.user(uid)?;
    let mut text = HEADER.to_owned();
    let answer = |yes| if yes { "yes" } else { "no" };
    line(&mut text, "NAME", &user.record.name);
    line(&mut text, "STATE", sessions.state_of_user(user).name());
    line(&mut text, "STOPPING", answer(user.stopping));
    line(&mut text, "GC_MODE", "pin");
    line(&mut text, "RUNTIME", user.runtime_path());
    given(&mut text, "SERVICE_JOB", user.manager_job.as_deref().unwrap_or(""));
    given(&mut text, "DISPLAY", user.display.as_deref().unwrap_or(""));
    line(&mut text, "REALTIME", user.since.realtime);
    line(&mut text, "MONOTONIC", user.since.monotonic);
    if let Some(last) = user.last_session {
        line(&mut text, "LAST_SESSION_TIMESTAMP", last.realtime);
    }
    let own: Vec<&Session> = sessions.sessions_of(uid).collect();
    let active = |session: &Session| sessions.is_active(session);
    let online = |session: &Session| sessions.state_of(session) != State::Closing;
    let ids = |wanted: &dyn Fn(&Session) -> bool| {
        join(own.iter().filter(|session| wanted(session)).map(|session| &*session.id))
    };
    let seats = |wanted: &dyn Fn(&Session) -> bool| {
        let here = own.iter().filter(|session| wanted(session));
        let mut seats: Vec<&str> = here.filter_map(|session| session.seat.as_deref()).collect();
        seats.dedup();
        join(seats.into_iter())
    };
    line(&mut text, "SESSIONS", ids(&|_| true));
    line(&mut text, "SEATS", seats(&|_| true));
    line(&mut text, "ACTIVE_SESSIONS", ids(&active));
    line(&mut text, "ONLINE_SESSIONS", ids(&online));
    line(&mut text, "ACTIVE_SEATS", seats(&active));
    line(&mut text, "ONLINE_SEATS", seats(&online));
    Some(text)
}

fn of_seat(sessions: &Sessions, id: &str) -> Option<String> {
    let seat = sessions.seat(id)?;
    let mut text = HEADER.to_owned();
    line(&mut text, "IS_SEAT0", u8::from(id == super::seat::SEAT0));
    line(&mut text, "CAN_MULTI_SESSION", 1);
    line(&mut text, "CAN_TTY", u8::from(seat.can_tty));
    line(&mut text, "CAN_GRAPHICAL", u8::from(seat.can_graphical));
    if let Some(session) = seat.active.as_deref().and_then(|id| sessions.session(id)) {
        line(&mut text, "ACTIVE", &session.id);
        line(&mut text, "ACTIVE_UID", session.uid);
    }
    let here: Vec<&Session> = sessions.sessions_on(id).collect();
    if !here.is_empty() {
        line(&mut text, "SESSIONS", join(here.iter().map(|session| &*session.id)));
        let mut uids: Vec<String> = here.iter().map(|session| session.uid.to_string()).collect();
        uids.dedup();
        line(&mut text, "UIDS", uids.join(" "));
    }
    Some(text)
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// What one of our own files says, when the login manager starts anew: keys and values, comments left out.
pub fn parse(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
}
