//! How a session comes to be.
use super::event::{CallId, Effect, NewSession, Object, Request};
use super::seat::{self, SEAT0};
use super::session::{Class, Kind, Session, is_valid_id};
use super::user::User;
use super::{Asked, Sessions, stamp};
use crate::engine::clock::Now;

/// What clients know of refusals by.
const INVALID: &str = "org.freedesktop.DBus.Error.InvalidArgs";
const LIMITS: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
const BUSY: &str = "org.freedesktop.login1.SessionBusy";
const NO_SUCH_SEAT: &str = "org.freedesktop.login1.NoSuchSeat";
const FAILED: &str = "org.freedesktop.systemd1.JobFailed";

/// Why a session is not made: the error's name and text.
type Refusal = (&'static str, String);

impl Sessions {
    pub(super) fn create(&mut self, now: Now, call: CallId, new: NewSession) {
        let session = match self.plan(now, call, &new) {
            Ok(session) => session,
            Err((name, text)) => return self.out(Effect::Refuse(call, name, text)),
        };
        let (id, uid, class) = (session.id.clone(), session.uid, session.class);
        let seat = session.seat.clone();
        self.users.entry(uid).or_insert_with(|| User::new(new.user));
        self.sessions.insert(id.clone(), session);
        if class.pins_user() {
            self.start_user(now, uid, class);
        }
        if class.wants_scope() {
            let ask = self.ask(Asked::Scope(id.clone()));
            self.out(Effect::Scope { ask, session: id.clone() });
        }
        // While the scope is made.
        self.out(Effect::OpenFifo(id.clone()));
        self.elect_display(uid);
        if let Some(seat) = seat {
            self.update_seat(&seat);
            self.out(Effect::Changed(Object::Seat(seat.clone()), &["Sessions"]));
            self.out(Effect::Save(Object::Seat(seat)));
        }
        self.out(Effect::Save(Object::Session(id.clone())));
        self.out(Effect::Save(Object::User(uid)));
        self.out(Effect::Added(Object::Session(id.clone())));
        self.answer_if_ready(&id);
    }

    /// The session that is asked for, if it can be.
    fn plan(&mut self, now: Now, call: CallId, new: &NewSession) -> Result<Session, Refusal> {
        let request = &new.request;
        let kind = request.kind.unwrap_or(match (request.display.is_empty(), request.tty.is_empty()) {
            (false, _) => Kind::X11,
            (true, false) => Kind::Tty,
            (true, true) => Kind::Unspecified,
        });
        let class = match (request.class, kind) {
            (Some(class), _) => class,
            (None, Kind::Unspecified) => Class::Background,
            (None, _) => Class::User,
        };
        let (seat, vtnr) = self.place(request)?;
        if self.sessions.len() as u64 >= self.config.sessions_max {
            let text = format!(
                "Maximum number of sessions ({}) reached, refusing further sessions.",
                self.config.sessions_max
            );
            return Err((LIMITS, text));
        }
        let id = self.new_id(new.audit);
        Ok(Session {
            desktop: request.desktop.clone(),
            position: seat.as_deref().map_or(0, |seat| self.free_position(seat)),
            seat,
            vtnr,
            tty: request.tty.clone(),
            display: request.display.clone(),
            remote: request.remote,
            remote_host: request.remote_host.clone(),
            remote_user: request.remote_user.clone(),
            service: request.service.clone(),
            leader: new.leader,
            audit: new.audit.unwrap_or(u32::MAX),
            since: stamp(now),
            creation: Some(call),
            ..Session::new(id, new.user.uid, class, kind)
        })
    }

    /// Seat and virtual terminal: as named, else by the terminal of somebody who is here.
    fn place(&self, request: &Request) -> Result<(Option<String>, u32), Refusal> {
        let named = (!request.seat.is_empty()).then(|| request.seat.clone());
        if let Some(id) = &named
            && !self.seats.contains_key(id)
        {
            return Err((NO_SUCH_SEAT, format!("No seat '{id}' known")));
        }
        let by_tty = seat::vt_of(&request.tty).filter(|_| !request.remote);
        let vtnr = if request.vtnr != 0 { request.vtnr } else { by_tty.unwrap_or(0) };
        let has_vts = self.seats.get(SEAT0).is_some_and(|seat| seat.can_tty);
        let seat = named.or_else(|| by_tty.filter(|_| has_vts).map(|_| SEAT0.to_owned()));
        let on_seat0 = seat.as_deref() == Some(SEAT0);
        if on_seat0 && has_vts {
            if vtnr == 0 || vtnr > 63 {
                return Err((INVALID, "Seat has VTs but VT number not valid".to_owned()));
            }
            if self.sessions_on(SEAT0).any(|other| other.vtnr == vtnr && other.class != Class::Greeter) {
                return Err((BUSY, "Virtual terminal already occupied by a session".to_owned()));
            }
            return Ok((seat, vtnr));
        }
        if seat.is_some() && vtnr != 0 {
            return Err((INVALID, "Seat has no VTs but VT number not 0".to_owned()));
        }
        Ok((seat, vtnr))
    }

    /// The audit session's number where there is one, else a number of our own.
    fn new_id(&mut self, audit: Option<u32>) -> String {
        if let Some(id) = audit.map(|number| number.to_string())
            && is_valid_id(&id)
            && !self.sessions.contains_key(&id)
        {
            return id;
        }
        loop {
            self.numbered += 1;
            let id = format!("c{}", self.numbered);
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    fn free_position(&self, seat: &str) -> u32 {
        let taken = |position: &u32| self.sessions_on(seat).any(|other| other.position == *position);
        (1..).find(|position| !taken(position)).unwrap_or(0)
    }

    /// Answer who waits for a session, when nothing of it is still on its way.
    pub(super) fn answer_if_ready(&mut self, id: &str) {
        let Some(session) = self.sessions.get(id) else { return };
        let asked = |asked: &Asked| match asked {
            Asked::Scope(other) => other == id,
            Asked::Manager(uid) => *uid == session.uid && session.class.wants_manager(),
            _ => false,
        };
        let manager = self.users.get(&session.uid).is_some_and(|user| user.manager_job.is_some());
        let waits = session.scope_job.is_some() || (manager && session.class.wants_manager());
        if !waits && !self.asked.values().any(asked) {
            self.answer_creation(id, Ok(()));
        }
    }

    pub(super) fn answer_creation(&mut self, id: &str, outcome: Result<(), String>) {
        let Some(call) = self.sessions.get_mut(id).and_then(|session| session.creation.take()) else {
            return;
        };
        self.out(match outcome {
            Ok(()) => Effect::Created { call, session: id.to_owned() },
            Err(text) => Effect::Refuse(call, FAILED, text),
        });
    }
}
