//! What clients ask for.
use super::bus::Caller;
use super::daemon::{Coming, Daemon};
use runstead_api::error::Error;
use runstead_api::login1::action::{Action, Creation, Process, Switch, Whom};
use runstead_api::login1::authority::{Access, access};
use runstead_api::login1::object::Object;
use runstead_api::login1::power::Power;
use runstead_api::login1::{decode, introspect, properties, tables};
use runstead_api::polkit::{Question, Verdict};
use runstead_core::sessions::event::{Event, Hint, NewSession};
use runstead_core::sessions::seat::SEAT0;
use runstead_core::sessions::session::{self, Class, Kind, Session};
use runstead_core::sessions::{seat, user};
use runstead_os::{logins, process};
use runstead_wire::dbus::{ALLOW_INTERACTIVE_AUTHORIZATION, Message, Writer};
use std::time::{Duration, Instant};

/// How long polkit, and the person whom it asks, may take.
const PATIENCE: Duration = Duration::from_secs(25);
/// Calls that wait for polkit.
const MAX_ASKED: usize = 512;

const NO_OWN_SESSION: &str = "Caller does not belong to any known session.";

/// A call that waits for polkit.
#[derive(Debug)]
pub(super) struct Asked {
    message: Message,
    caller: Caller,
    /// What it allowed already, and what it is asked.
    passed: Vec<&'static str>,
    pub until: Instant,
}

/// What a call came to.
pub(super) enum Outcome {
    /// The answer.
    Answer(Message),
    /// It is answered later, or was already.
    Later,
    /// Likewise, and looked at again as a whole: its descriptors are still needed.
    Kept,
}

pub(super) type Answer = Result<Outcome, Error>;

fn no_session(id: &str) -> Error {
    Error::new("org.freedesktop.login1.NoSuchSession", format!("No session '{id}' known"))
}

fn no_user(uid: u32) -> Error {
    Error::new("org.freedesktop.login1.NoSuchUser", format!("User ID {uid} is not logged in or lingering"))
}

/// There is no such user at all.
pub(super) fn nobody() -> Error {
    Error::new("org.freedesktop.DBus.Error.UnixProcessIdUnknown", "No such process")
}

fn not_supported(text: &str) -> Error {
    Error::new("org.freedesktop.DBus.Error.NotSupported", text)
}

fn no_seat(id: &str) -> Error {
    Error::new("org.freedesktop.login1.NoSuchSeat", format!("No seat '{id}' known"))
}

/// Brings a virtual terminal to the foreground.
fn show_vt(number: u32) -> Result<(), Error> {
    logins::show_vt(number)
        .map_err(|error| Error::new("org.freedesktop.DBus.Error.Failed", error.to_string()))
}

pub(super) fn answer(call: &Message, write: impl FnOnce(&mut Writer)) -> Answer {
    Message::method_return(call)
        .build(write)
        .map(Outcome::Answer)
        .map_err(|error| Error::new("org.freedesktop.DBus.Error.Failed", error.to_string()))
}

pub(super) fn done(call: &Message) -> Answer {
    Ok(Outcome::Answer(Message::method_return(call)))
}

impl Daemon {
    /// A client calls; whether the message's descriptors are still needed.
    pub(super) fn method_call(&mut self, message: &Message, caller: Caller) -> bool {
        self.dispatch(message, caller, Vec::new())
    }

    fn dispatch(&mut self, message: &Message, caller: Caller, passed: Vec<&'static str>) -> bool {
        let outcome = self.target(message, caller).and_then(|object| {
            let action = decode::call(message, &object)?;
            if let Some(question) = self.open_question(&action, &object, caller, &passed)? {
                let asks = matches!(action, Action::Power(Power::Do(.., true)));
                return self.ask_polkit(message, caller, &question, passed, asks);
            }
            self.act(message, caller, &object, action)
        });
        let answer = match outcome {
            Ok(Outcome::Kept) => return true,
            // What it needs of the message is taken.
            Ok(Outcome::Later) => return false,
            Ok(Outcome::Answer(answer)) => answer,
            Err(error) => Message::error(message, error.name, &error.message),
        };
        if message.wants_reply() {
            self.send(&answer);
        }
        false
    }

    /// The object that a call is for; `self` and `auto` are the caller's.
    fn target(&self, message: &Message, caller: Caller) -> Result<Object, Error> {
        let path = message.path().unwrap_or("/");
        let object = Object::at(path).ok_or_else(|| Error::unknown_object(path))?;
        match object {
            Object::Session(id) => self.find_session(&id, caller).map(|one| Object::Session(one.id.clone())),
            Object::User(uid) => {
                let uid = uid.map_or_else(|| self.user_of(caller), Ok)?;
                self.sessions.user(uid).map(|_| Object::User(Some(uid))).ok_or_else(|| no_user(uid))
            }
            Object::Seat(id) => self.find_seat(&id, caller).map(Object::Seat),
            other => return Ok(other),
        }
        .map_err(|_| Error::unknown_object(path))
    }

    pub(super) fn session_of(&self, pid: i32) -> Option<&Session> {
        let cgroup = process::cgroup(pid).ok()?;
        self.sessions.session(session::of_cgroup(&cgroup)?)
    }

    fn user_of(&self, caller: Caller) -> Result<u32, Error> {
        let cgroup = process::cgroup(caller.pid).unwrap_or_default();
        session::user_of_cgroup(&cgroup).ok_or_else(|| {
            Error::new(
                "org.freedesktop.login1.NoUserForPID",
                "Caller does not belong to any logged in user or lingering user",
            )
        })
    }

    /// A session by name; `self` (or nothing) is the caller's, `auto` that or the one its user sees.
    fn find_session(&self, id: &str, caller: Caller) -> Result<&Session, Error> {
        if !matches!(id, "" | "self" | "auto") {
            return self.sessions.session(id).ok_or_else(|| no_session(id));
        }
        if let Some(own) = self.session_of(caller.pid) {
            return Ok(own);
        }
        let none = |text: &str| Error::new("org.freedesktop.login1.NoSessionForPID", text);
        if id != "auto" {
            return Err(none(NO_OWN_SESSION));
        }
        let user = self.user_of(caller).ok().or(Some(caller.uid)).and_then(|uid| self.sessions.user(uid));
        let display = user.and_then(|user| user.display.as_deref());
        display.and_then(|id| self.sessions.session(id)).ok_or_else(|| {
            none("Caller does not belong to any known session and doesn't own any suitable session.")
        })
    }

    fn find_seat(&self, id: &str, caller: Caller) -> Result<String, Error> {
        let id = match id {
            "" | "self" | "auto" => self
                .find_session(id, caller)?
                .seat
                .clone()
                .ok_or_else(|| Error::new("org.freedesktop.login1.NoSuchSeat", "Session has no seat."))?,
            other => other.to_owned(),
        };
        self.sessions.seat(&id).map(|seat| seat.id.clone()).ok_or_else(|| no_seat(&id))
    }

    /// What polkit has to be asked next, given what it allowed.
    fn open_question(
        &self,
        action: &Action,
        object: &Object,
        caller: Caller,
        passed: &[&'static str],
    ) -> Result<Option<Question>, Error> {
        if let Action::Power(power) = action {
            let needed = self.power_rights(power, caller)?;
            let open = needed.into_iter().find(|action| !passed.contains(action));
            return Ok(open.map(|action| Question { action, details: Vec::new() }));
        }
        if passed.is_empty() { self.permit(action, object, caller) } else { Ok(None) }
    }

    /// Whether the caller may: `Some` has to be asked of polkit.
    fn permit(&self, action: &Action, object: &Object, caller: Caller) -> Result<Option<Question>, Error> {
        if caller.uid == 0 {
            return Ok(None);
        }
        let own = self.owner(action, object, caller)? == Some(caller.uid);
        let denied = || Error::new("org.freedesktop.DBus.Error.AccessDenied", "Access denied");
        match access(action, own) {
            Access::Everybody => Ok(None),
            Access::Owner | Access::OwnerOrAsk(_) if own => Ok(None),
            Access::Owner | Access::Root => Err(denied()),
            Access::Ask(question) | Access::OwnerOrAsk(question) => Ok(Some(question)),
        }
    }

    /// Whom an action concerns.
    fn owner(&self, action: &Action, object: &Object, caller: Caller) -> Result<Option<u32>, Error> {
        let of_session = |id: &str| self.find_session(id, caller).map(|session| Some(session.uid));
        match (action, object) {
            (Action::SetLinger(uid, _), _) => Ok(Some(if *uid == u32::MAX { caller.uid } else { *uid })),
            (Action::KillUser(Some(uid), _) | Action::TerminateUser(Some(uid)), _) => Ok(Some(*uid)),
            (Action::Activate(Some(id), _), _) => of_session(id),
            (Action::TerminateSession(Some(id)) | Action::KillSession(Some(id), ..), _) => of_session(id),
            (Action::Lock(Some(id), _), Object::Manager) => of_session(id),
            (_, Object::Session(id)) => of_session(id),
            (_, Object::User(uid)) => Ok(*uid),
            _ => Ok(None),
        }
    }

    fn ask_polkit(
        &mut self,
        message: &Message,
        caller: Caller,
        question: &Question,
        mut passed: Vec<&'static str>,
        asks: bool,
    ) -> Answer {
        let full = self.asked.len() >= MAX_ASKED;
        let interactive = asks || message.flags & ALLOW_INTERACTIVE_AUTHORIZATION != 0;
        let sender = message.sender().unwrap_or("").to_owned();
        let call = question.call(&sender, interactive).filter(|_| !full);
        let serial = call.and_then(|call| self.send(&call)).ok_or_else(|| {
            Error::new("org.freedesktop.DBus.Error.LimitsExceeded", "Too many calls wait for polkit")
        })?;
        let until = Instant::now() + PATIENCE;
        passed.push(question.action);
        self.asked.insert(serial, Asked { message: message.clone(), caller, passed, until });
        Ok(Outcome::Kept)
    }

    /// An answer came; whether it was polkit's.
    pub(super) fn polkit_answered(&mut self, message: &Message) -> bool {
        let Some(asked) = message.reply_serial().and_then(|serial| self.asked.remove(&serial)) else {
            return false;
        };
        self.judge(asked, Verdict::read(message));
        true
    }

    /// Refuses what polkit did not answer in time.
    pub(super) fn refuse_late_questions(&mut self) {
        let now = Instant::now();
        let late: Vec<u32> =
            self.asked.iter().filter(|(_, asked)| asked.until <= now).map(|(serial, _)| *serial).collect();
        for asked in late.iter().filter_map(|serial| self.asked.remove(serial)).collect::<Vec<_>>() {
            self.judge(asked, Verdict::timed_out());
        }
    }

    fn judge(&mut self, asked: Asked, verdict: Verdict) {
        let Asked { message, caller, passed, .. } = asked;
        let kept = match verdict {
            Verdict::Allowed => self.dispatch(&message, caller, passed),
            Verdict::Refused(name, text) => {
                self.send(&Message::error(&message, &name, &text));
                false
            }
        };
        if let Some(link) = self.bus.link.as_mut().filter(|_| !kept) {
            link.close_fds(&message);
        }
    }

    fn act(&mut self, call: &Message, caller: Caller, object: &Object, action: Action) -> Answer {
        match action {
            Action::Ping => done(call),
            Action::MachineId => {
                let id = runstead_os::identity::machine_id_of(std::path::Path::new("/")).unwrap_or_default();
                answer(call, |body| {
                    body.str(&id);
                })
            }
            Action::Introspect => {
                let text = introspect::text(&self.sessions, object);
                answer(call, |body| {
                    body.str(&text);
                })
            }
            Action::Get(interface, name) => {
                let (sessions, facts) = (&self.sessions, &self.facts);
                let mut outcome = Ok(());
                let built = answer(call, |body| {
                    outcome = properties::get(sessions, facts, object, (&interface, &name), body);
                });
                outcome.and(built)
            }
            Action::GetAll(interface) => {
                let (sessions, facts) = (&self.sessions, &self.facts);
                let mut outcome = Ok(());
                let built = answer(call, |body| {
                    outcome = properties::get_all(sessions, facts, object, &interface, body);
                });
                outcome.and(built)
            }
            Action::Set(_, name, value) => self.set(call, object, &name, value),
            Action::Create(creation) => self.create(call, caller, *creation),
            Action::Release(id) => self.release(call, caller, &id),
            Action::Power(power) => self.power_act(call, caller, power),
            Action::Unsupported(member) => Err(self.unsupported(object, member)),
            other => match self.look(call, caller, &other) {
                Some(answer) => answer,
                None => self.change(call, caller, object, other),
            },
        }
    }

    /// Devices are not handed out yet: nobody is in control of a session, and what needs that is refused as ever.
    fn unsupported(&self, object: &Object, member: &str) -> Error {
        let session = match object {
            Object::Session(id) => self.sessions.session(id),
            _ => None,
        };
        match (member, session) {
            ("ReleaseControl" | "ReleaseDevice" | "PauseDeviceComplete", Some(_)) => {
                Error::new("org.freedesktop.login1.NotInControl", "You are not in control of this session")
            }
            ("TakeDevice", Some(session)) if !session.class.can_take_device() => {
                not_supported("Session class doesn't support taking device control.")
            }
            ("SetBrightness", Some(session)) if session.seat.is_none() => {
                Error::new("org.freedesktop.login1.NotYourDevice", "Your session has no seat, refusing.")
            }
            _ => not_supported(&format!("{member} is not supported by this login manager yet")),
        }
    }

    /// `Set`: the two properties that can be.
    fn set(
        &mut self,
        call: &Message,
        object: &Object,
        name: &str,
        value: runstead_wire::dbus::Value,
    ) -> Answer {
        match (object, name, value.as_bool(), value.as_str()) {
            (Object::Manager, "EnableWallMessages", Some(on), _) => self.sessions.power.wall = on,
            (Object::Manager, "WallMessage", _, Some(text)) => {
                self.sessions.power.wall_message = text.to_owned()
            }
            _ => {
                return Err(Error::new(
                    "org.freedesktop.DBus.Error.PropertyReadOnly",
                    format!("Property '{name}' is not writable."),
                ));
            }
        }
        done(call)
    }

    /// Questions; `None` when it is none.
    fn look(&self, call: &Message, caller: Caller, action: &Action) -> Option<Answer> {
        let path = |path: String| {
            answer(call, |body| {
                body.object_path(&path);
            })
        };
        Some(match action {
            Action::GetSession(id) => self.find_session(id, caller).map(Session::object_path).and_then(path),
            Action::GetSessionOf(Process::Pid(0)) => {
                self.find_session("self", caller).map(Session::object_path).and_then(path)
            }
            Action::GetSessionOf(process) => self.pid_of(*process, caller).and_then(|pid| {
                let session = self.session_of(pid).ok_or_else(|| {
                    let text = format!("PID {pid} does not belong to any known session");
                    Error::new("org.freedesktop.login1.NoSessionForPID", text)
                });
                session.map(Session::object_path).and_then(path)
            }),
            Action::GetUser(uid) => match self.sessions.user(*uid) {
                Some(user) => path(user.object_path()),
                None => Err(no_user(*uid)),
            },
            Action::GetUserOf(process) => self.pid_of(*process, caller).and_then(|pid| {
                let cgroup = process::cgroup(pid).unwrap_or_default();
                let uid = session::user_of_cgroup(&cgroup).filter(|uid| self.sessions.user(*uid).is_some());
                let text = format!("PID {pid} does not belong to any logged in user or lingering user");
                let uid = uid.ok_or_else(|| Error::new("org.freedesktop.login1.NoUserForPID", text));
                uid.map(user::object_path).and_then(path)
            }),
            Action::GetSeat(id) => self.find_seat(id, caller).map(|id| seat::object_path(&id)).and_then(path),
            Action::ListSessions => answer(call, |body| {
                body.array("(susso)", |list| {
                    for session in self.newest_sessions() {
                        list.open_struct().str(&session.id).u32(session.uid).str(self.name(session.uid));
                        list.str(session.seat.as_deref().unwrap_or(""))
                            .object_path(&session.object_path())
                            .close();
                    }
                });
            }),
            Action::ListSessionsEx => answer(call, |body| {
                body.array("(sussussbto)", |list| {
                    for session in self.newest_sessions() {
                        let idle = session.class.can_idle() && session.idle;
                        list.open_struct().str(&session.id).u32(session.uid).str(self.name(session.uid));
                        list.str(session.seat.as_deref().unwrap_or("")).u32(session.leader.cast_unsigned());
                        list.str(session.class.name()).str(&session.tty).bool(idle);
                        list.u64(session.idle_since.monotonic).object_path(&session.object_path()).close();
                    }
                });
            }),
            Action::ListUsers => answer(call, |body| {
                body.array("(uso)", |list| {
                    for user in self.sessions.users() {
                        list.open_struct().u32(user.record.uid).str(&user.record.name);
                        list.object_path(&user.object_path()).close();
                    }
                });
            }),
            Action::ListSeats => answer(call, |body| {
                body.array("(so)", |list| {
                    for seat in self.sessions.seats() {
                        list.open_struct().str(&seat.id).object_path(&seat.object_path()).close();
                    }
                });
            }),
            Action::ListInhibitors => self.list_inhibitors(call),
            _ => return None,
        })
    }

    fn newest_sessions(&self) -> Vec<&Session> {
        let mut sessions: Vec<&Session> = self.sessions.sessions().collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.since.monotonic));
        sessions
    }

    fn name(&self, uid: u32) -> &str {
        self.sessions.user(uid).map_or("", |user| &user.record.name)
    }

    fn pid_of(&self, process: Process, caller: Caller) -> Result<i32, Error> {
        let pid = match process {
            Process::Pid(0) => Some(caller.pid),
            Process::Pid(pid) => i32::try_from(pid).ok(),
            Process::Fd(id) => {
                let fd = self.bus.link.as_ref().and_then(|link| link.get(id));
                fd.and_then(process::pid_of_pidfd)
            }
        };
        pid.filter(|pid| *pid > 0).ok_or_else(|| Error::invalid_args("Invalid leader PID"))
    }

    /// `CreateSession`.
    fn create(&mut self, call: &Message, caller: Caller, creation: Creation) -> Answer {
        let leader = self.pid_of(creation.leader, caller)?;
        if leader == 1 || leader == std::process::id().cast_signed() {
            return Err(Error::invalid_args("Invalid leader PID"));
        }
        if self.session_of(leader).is_some() {
            let text = "Already running in a session or user slice";
            return Err(Error::new("org.freedesktop.login1.SessionBusy", text));
        }
        let user = self.record(creation.uid).ok_or_else(nobody)?;
        let fd = match creation.leader {
            Process::Fd(id) => self.bus.link.as_mut().and_then(|link| link.take(id)),
            Process::Pid(_) => process::open(leader).ok(),
        };
        let id = self.keep(call);
        self.coming = Some(Coming { leader: fd, properties: creation.properties });
        let audit = logins::audit_session(leader);
        let new = NewSession { user, leader, audit, request: creation.request };
        self.pending.push_back(Event::Create(id, Box::new(new)));
        self.run_pending();
        // Left over where it was refused.
        self.coming = None;
        Ok(Outcome::Later)
    }

    /// `ReleaseSession`: of the caller's own.
    fn release(&mut self, call: &Message, caller: Caller, id: &str) -> Answer {
        let session = self.find_session(id, caller)?.id.clone();
        if self.find_session("self", caller)?.id != session {
            return Err(Error::new("org.freedesktop.DBus.Error.AccessDenied", "Access denied"));
        }
        self.pending.push_back(Event::Release(session));
        // Whoever logs out waits for this alone, and not for what we write because of it.
        if call.wants_reply() {
            self.send(&Message::method_return(call));
            self.flush_bus();
        }
        Ok(Outcome::Later)
    }

    fn change(&mut self, call: &Message, caller: Caller, object: &Object, action: Action) -> Answer {
        let here = |named: Option<String>| match (named, object) {
            (Some(id), _) if !id.is_empty() => id,
            (_, Object::Session(id)) => id.clone(),
            _ => String::new(),
        };
        match action {
            Action::TerminateSession(id) => {
                let id = self.find_session(&here(id), caller)?.id.clone();
                self.pending.push_back(Event::Terminate(id));
                done(call)
            }
            Action::KillSession(id, whom, signal) => {
                let id = self.find_session(&here(id), caller)?.id.clone();
                self.kill_session(call, &id, whom, signal)
            }
            Action::TerminateUser(uid) | Action::KillUser(uid, _) => {
                let uid = match (uid, object) {
                    (Some(uid), _) => uid,
                    (None, Object::User(Some(uid))) => *uid,
                    _ => caller.uid,
                };
                let user = self.sessions.user(uid).ok_or_else(|| no_user(uid))?;
                if let Action::KillUser(_, signal) = action {
                    let slice = user.slice();
                    self.kill_unit(call, &slice, "all", signal);
                    return Ok(Outcome::Later);
                }
                self.pending.push_back(Event::TerminateUser(uid));
                done(call)
            }
            Action::TerminateSeat(id) => {
                let id = match (id, object) {
                    (Some(id), _) => self.find_seat(&id, caller)?,
                    (None, Object::Seat(id)) => id.clone(),
                    _ => SEAT0.to_owned(),
                };
                let ids: Vec<String> = self.sessions.sessions_on(&id).map(|one| one.id.clone()).collect();
                self.pending.extend(ids.into_iter().map(Event::Terminate));
                done(call)
            }
            Action::Lock(id, lock) => {
                let ids: Vec<String> = match id {
                    Some(id) => {
                        let session = self.find_session(&here(Some(id)), caller)?;
                        if !session.class.can_lock() {
                            return Err(not_supported("Session does not support lock screen."));
                        }
                        vec![session.id.clone()]
                    }
                    None => self.sessions.sessions().map(|one| one.id.clone()).collect(),
                };
                self.lock(&ids, lock);
                done(call)
            }
            Action::SetLinger(uid, on) => {
                let uid = if uid == u32::MAX { caller.uid } else { uid };
                self.set_linger(uid, on)?;
                done(call)
            }
            Action::Activate(id, seat) => {
                let seat = match (seat, object) {
                    (Some(_), Object::Seat(id)) => Some(id.clone()),
                    (seat, _) => seat,
                };
                self.activate(call, caller, &here(id), seat.as_deref())
            }
            Action::SwitchTo(switch) => self.switch_to(call, object, switch),
            hint => self.hint(call, object, hint),
        }
    }

    fn kill_session(&mut self, call: &Message, id: &str, whom: Whom, signal: i32) -> Answer {
        let session = self.sessions.session(id).ok_or_else(|| no_session(id))?;
        if whom == Whom::All
            && let Some(scope) = session.scope.clone()
        {
            self.kill_unit(call, &scope, "all", signal);
            return Ok(Outcome::Later);
        }
        let gone = |errno: rustix::io::Errno| {
            Error::new("org.freedesktop.DBus.Error.UnixProcessIdUnknown", errno.to_string())
        };
        match self.leaders.get(id) {
            Some(leader) => runstead_os::sys::signal::pidfd_kill(leader, signal).map_err(gone)?,
            None => return Err(gone(rustix::io::Errno::SRCH)),
        }
        done(call)
    }

    pub(super) fn lock(&mut self, ids: &[String], lock: bool) {
        let member = if lock { "Lock" } else { "Unlock" };
        for id in ids {
            if self.sessions.session(id).is_some_and(|session| session.class.can_lock()) {
                self.send(&Message::signal(&session::object_path(id), tables::SESSION.name, member));
            }
        }
    }

    fn activate(&mut self, call: &Message, caller: Caller, id: &str, on: Option<&str>) -> Answer {
        let session = self.find_session(id, caller)?;
        if let Some(on) = on.filter(|on| !on.is_empty()) {
            let seat = self.find_seat(on, caller)?;
            if session.seat.as_deref() != Some(&seat) {
                let text = format!("Session {} not on seat {seat}", session.id);
                return Err(Error::new("org.freedesktop.login1.SessionNotOnSeat", text));
            }
        }
        if session.seat.is_none() {
            return Err(not_supported("Operation not supported"));
        }
        if session.vtnr != 0 {
            show_vt(session.vtnr)?;
        }
        done(call)
    }

    fn switch_to(&mut self, call: &Message, object: &Object, switch: Switch) -> Answer {
        let Object::Seat(id) = object else { return done(call) };
        let seat = self.sessions.seat(id).ok_or_else(|| no_seat(id))?;
        if switch == Switch::To(0) {
            return Err(Error::invalid_args("Invalid virtual terminal"));
        }
        if !seat.can_tty {
            return Err(Error::invalid_args("Invalid argument"));
        }
        let active =
            seat.active.as_deref().and_then(|id| self.sessions.session(id)).map_or(0, |one| one.vtnr);
        let mut vts: Vec<u32> = self.sessions.sessions_on(id).map(|one| one.vtnr).collect();
        vts.sort_unstable();
        let to = match switch {
            Switch::To(number) => Some(number).filter(|number| (1..=63).contains(number)),
            Switch::Next => vts.iter().find(|vt| **vt > active).or(vts.first()).copied(),
            Switch::Previous => vts.iter().rev().find(|vt| **vt < active).or(vts.last()).copied(),
        };
        let to = to.ok_or_else(|| Error::invalid_args("Invalid virtual terminal"))?;
        show_vt(to)?;
        done(call)
    }

    /// What a client says of its session.
    fn hint(&mut self, call: &Message, object: &Object, action: Action) -> Answer {
        let Object::Session(id) = object else { return done(call) };
        let Some(session) = self.sessions.session(id) else { return Err(no_session(id)) };
        let class = session.class;
        // Nobody can be: devices are not handed out yet.
        let control = |what: &str| {
            let text = format!("You must be in control of this session to set {what}");
            Err(Error::new("org.freedesktop.login1.NotInControl", text))
        };
        let hint = match action {
            Action::SetIdle(_) if !(class.can_idle() && session.kind.is_graphical()) => {
                return Err(not_supported(
                    "Idle hint control is not supported on non-graphical and non-user sessions.",
                ));
            }
            Action::SetLocked(_) if !class.can_lock() => {
                return Err(not_supported("Session does not support lock screen."));
            }
            Action::SetIdle(idle) => Hint::Idle(idle),
            Action::SetLocked(locked) => Hint::Locked(locked),
            Action::SetKind(kind) if Kind::parse(&kind).is_none() => {
                return Err(Error::invalid_args(format!("Invalid session type '{kind}'")));
            }
            Action::SetKind(_) if !class.can_take_device() => {
                return Err(not_supported("Session class doesn't support changing type."));
            }
            Action::SetKind(_) => return control("type"),
            Action::SetDisplay(_) => return control("display"),
            Action::SetTty(_) => return control("tty"),
            Action::SetClass(name) => {
                let invalid = || Error::invalid_args(format!("Invalid session class '{name}'"));
                match Class::parse(&name).ok_or_else(invalid)? {
                    new if new == class => return done(call),
                    Class::User if class == Class::UserIncomplete => Hint::Class(Class::User),
                    _ => {
                        let text = "Only sessions with class 'user-incomplete' may change class";
                        return Err(not_supported(text));
                    }
                }
            }
            _ => return done(call),
        };
        self.pending.push_back(Event::Hint(id.clone(), hint));
        done(call)
    }

    /// A virtual terminal without a session came to the foreground: somebody may want to log in.
    pub(super) fn offer_login(&mut self, number: u32) {
        let taken = self.sessions.sessions_on(SEAT0).any(|session| session.vtnr == number);
        let wanted = (1..=self.sessions.config.auto_vts).contains(&number);
        if wanted && !taken {
            self.start_quietly(&format!("autovt@tty{number}.service"));
        }
    }
}
