//! Decides on logins: sessions, users, seats. [`Sessions::step`] takes what happened and gives what is to be done.
//!
//! A user's first session starts `user-runtime-dir@UID.service` and, where the class wants one, `user@UID.service`; each session
//! gets a scope below `user-UID.slice`. Whoever asked is answered when the jobs of both are done. A session that is released leaves
//! its scope to itself; when that is empty, it is gone. Some seconds after the last one the user's services are stopped, unless they
//! linger.
//!
//! Sources: logind.conf(5), org.freedesktop.login1(5), pam_systemd(8), sd-login(3), and the reference's behaviour.

pub mod config;
mod creation;
pub mod event;
pub mod power;
mod restore;
pub mod seat;
pub mod session;
pub mod state_file;
#[cfg(test)]
mod tests;
pub mod user;

use crate::engine::clock::{Now, Stamp};
use config::Config;
use event::{AskId, Effect, Event, Hint, Object};
use seat::Seat;
use session::{Class, Session, State};
use std::collections::BTreeMap;
use user::{User, UserRecord};

/// First number of ordinary users: what system users leave behind is not removed.
const FIRST_ORDINARY: u32 = 1000;

/// What an answer of the service manager is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Scope(String),
    StopScope(String),
    RuntimeDirectory(u32),
    Manager(u32),
    StopUser(u32),
}

/// All that is known of logins.
#[derive(Debug)]
pub struct Sessions {
    /// What is configured.
    pub config: Config,
    users: BTreeMap<u32, User>,
    sessions: BTreeMap<String, Session>,
    seats: BTreeMap<String, Seat>,
    /// The virtual terminal in the foreground.
    vt: u32,
    asked: BTreeMap<AskId, Asked>,
    next_ask: u64,
    /// How many sessions were numbered here.
    numbered: u64,
    effects: Vec<Effect>,
    idle_since: Stamp,
    /// Shutdown, sleep, and what holds them back.
    pub power: power::Power,
}

impl Sessions {
    /// Nobody is there; `seat0` has virtual terminals or not.
    pub fn new(config: Config, can_tty: bool, now: Now) -> Sessions {
        let seat0 = Seat::seat0(can_tty);
        Sessions {
            config,
            users: BTreeMap::new(),
            sessions: BTreeMap::new(),
            seats: BTreeMap::from([(seat0.id.clone(), seat0)]),
            vt: 0,
            asked: BTreeMap::new(),
            next_ask: 0,
            numbered: 0,
            effects: vec![Effect::Save(Object::Seat(seat::SEAT0.to_owned()))],
            idle_since: stamp(now),
            power: power::Power::default(),
        }
    }

    /// What happened, and what is to be done about it.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        match event {
            Event::Create(call, new) => self.create(now, call, *new),
            Event::Release(id) => self.release(now, &id, false),
            Event::Terminate(id) => self.release(now, &id, true),
            Event::TerminateUser(uid) => self.terminate_user(now, uid),
            Event::Queued(ask, path) => self.queued(ask, path),
            Event::Refused(ask, why) => self.refused(now, ask, &why),
            Event::JobRemoved { path, result } => {
                self.power_wake(now, Some(&path));
                self.job_removed(now, &path, &result);
            }
            Event::UnitGone(unit) => self.unit_gone(now, &unit),
            Event::Linger(record, on) => self.set_linger(now, record, on),
            Event::Timer => {
                self.stop_users(now);
                self.power_wake(now, None);
            }
            Event::Power(event) => self.power_step(now, event),
            Event::VtActive(number) => self.vt_active(number),
            Event::Hint(id, hint) => self.hint(now, &id, hint),
        }
        self.effects()
    }

    /// What is to be done already, before anything happens.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Monotonic time of the next [`Event::Timer`], us.
    pub fn next_timer(&self) -> Option<u64> {
        let users = self.users.values().filter_map(|user| user.stop_at);
        users.chain(self.power.next_timer()).chain(self.next_idle_action()).min()
    }

    /// A session.
    pub fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// All sessions.
    pub fn sessions(&self) -> impl DoubleEndedIterator<Item = &Session> {
        self.sessions.values()
    }

    /// A user who is logged in, or lingers.
    pub fn user(&self, uid: u32) -> Option<&User> {
        self.users.get(&uid)
    }

    /// All of them.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// A seat.
    pub fn seat(&self, id: &str) -> Option<&Seat> {
        self.seats.get(id)
    }

    /// All seats.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.values()
    }

    /// The sessions of a user, newest first as the reference lists them.
    pub fn sessions_of(&self, uid: u32) -> impl Iterator<Item = &Session> {
        newest_first(self.sessions.values().filter(move |session| session.uid == uid)).into_iter()
    }

    /// The sessions of a seat, newest first.
    pub fn sessions_on<'a>(&'a self, seat: &'a str) -> impl Iterator<Item = &'a Session> {
        let here = move |session: &&Session| session.seat.as_deref() == Some(seat);
        newest_first(self.sessions.values().filter(here)).into_iter()
    }

    /// Whether a session is in the foreground: those without a seat always are.
    pub fn is_active(&self, session: &Session) -> bool {
        let Some(seat) = session.seat.as_deref().and_then(|id| self.seats.get(id)) else { return true };
        seat.active.as_deref() == Some(&session.id)
    }

    /// A session's state.
    pub fn state_of(&self, session: &Session) -> State {
        session.state(self.is_active(session))
    }

    /// A user's state.
    pub fn state_of_user(&self, user: &User) -> user::State {
        if user.stopping {
            return user::State::Closing;
        }
        if !user.started || user.runtime_job.is_some() {
            return user::State::Opening;
        }
        let mut all_closing = true;
        let mut online = false;
        for session in self.sessions.values().filter(|s| s.uid == user.record.uid && s.class.pins_user()) {
            match self.state_of(session) {
                State::Active => return user::State::Active,
                State::Closing => {}
                _ => all_closing = false,
            }
            online = true;
        }
        if online {
            return if all_closing { user::State::Closing } else { user::State::Online };
        }
        if user.linger { user::State::Lingering } else { user::State::Closing }
    }

    /// Since when nobody does anything, if nobody does: a session that can be idle and is not counts.
    pub fn idle_since(&self) -> Option<Stamp> {
        let mut since = self.idle_since;
        for session in self.sessions.values().filter(|session| session.class.can_idle() && !session.stopping)
        {
            if !session.idle {
                return None;
            }
            if session.idle_since.monotonic > since.monotonic {
                since = session.idle_since;
            }
        }
        Some(since)
    }

    fn out(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn ask(&mut self, asked: Asked) -> AskId {
        self.next_ask += 1;
        let ask = AskId(self.next_ask);
        self.asked.insert(ask, asked);
        ask
    }

    fn release(&mut self, now: Now, id: &str, by_force: bool) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if std::mem::replace(&mut session.stopping, true) && !by_force {
            return;
        }
        session.forced |= by_force;
        let uid = session.uid;
        let lives = session.scope_lives && session.scope_job.is_none();
        if std::mem::take(&mut session.fifo) {
            self.out(Effect::CloseFifo(id.to_owned()));
        }
        self.answer_creation(id, Err("The session ended before it was there".to_owned()));
        if lives {
            self.end_scope(id);
        }
        self.update_foreground(id);
        self.out(Effect::Changed(Object::Session(id.to_owned()), &["Active", "State"]));
        self.out(Effect::Save(Object::Session(id.to_owned())));
        self.finish_if_empty(now, id);
        self.elect_display(uid);
        self.out(Effect::Save(Object::User(uid)));
    }

    /// Stop a session's scope, or leave it to itself.
    fn end_scope(&mut self, id: &str) {
        let Some(session) = self.sessions.get(id) else { return };
        let (uid, forced) = (session.uid, session.forced);
        if let Some(unit) = session.scope.clone().filter(|_| forced || self.kills(uid)) {
            let ask = self.ask(Asked::StopScope(id.to_owned()));
            self.out(Effect::Stop { ask, unit });
        } else {
            self.leave_scope(id);
        }
    }

    /// Whether what this user leaves behind is ended (`KillUserProcesses=` and its exceptions).
    fn kills(&self, uid: u32) -> bool {
        let (config, user) = (&self.config, self.users.get(&uid));
        let listed = |list: &[String]| {
            let name = user.map_or("", |user| &user.record.name);
            list.iter().any(|entry| entry == name || entry.parse() == Ok(uid))
        };
        let spared = listed(&config.kill_exclude_users) || (uid == 0 && config.kill_exclude_users.is_empty());
        config.kill_user_processes
            && !spared
            && (config.kill_only_users.is_empty() || listed(&config.kill_only_users))
    }

    /// A session that is to end and has no scope any more is gone.
    fn finish_if_empty(&mut self, now: Now, id: &str) {
        let over = |session: &&Session| session.stopping && !session.scope_lives;
        let Some(session) = self.sessions.get(id).filter(over) else { return };
        let (uid, seat) = (session.uid, session.seat.clone());
        self.sessions.remove(id);
        self.out(Effect::Removed(Object::Session(id.to_owned())));
        if let Some(seat) = seat {
            self.update_seat(&seat);
            self.out(Effect::Changed(Object::Seat(seat.clone()), &["Sessions"]));
            self.out(Effect::Save(Object::Seat(seat)));
        }
        self.elect_display(uid);
        if let Some(user) = self.users.get_mut(&uid) {
            user.last_session = Some(stamp(now));
        }
        self.out(Effect::Save(Object::User(uid)));
        self.look_after_user(now, uid);
    }

    fn terminate_user(&mut self, now: Now, uid: u32) {
        let ids: Vec<String> = self.sessions_of(uid).map(|session| session.id.clone()).collect();
        for id in ids {
            self.release(now, &id, true);
        }
        if self.users.contains_key(&uid) {
            self.stop_user(uid);
        }
    }

    fn queued(&mut self, ask: AskId, path: String) {
        match self.asked.remove(&ask) {
            Some(Asked::Scope(id)) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.scope_job = Some(path);
                }
            }
            Some(Asked::RuntimeDirectory(uid) | Asked::StopUser(uid)) => {
                if let Some(user) = self.users.get_mut(&uid) {
                    user.runtime_job = Some(path);
                }
            }
            Some(Asked::Manager(uid)) => {
                if let Some(user) = self.users.get_mut(&uid) {
                    user.manager_job = Some(path);
                }
            }
            Some(Asked::StopScope(id)) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.scope_job = Some(path);
                    session.scope_ending = true;
                }
            }
            None => {}
        }
    }

    fn refused(&mut self, now: Now, ask: AskId, why: &str) {
        match self.asked.remove(&ask) {
            Some(Asked::Scope(id)) => self.scope_failed(now, &id, why),
            // It may be there, and be somebody else's to stop: its end is watched.
            Some(Asked::StopScope(id)) => self.leave_scope(&id),
            Some(Asked::RuntimeDirectory(uid)) => self.runtime_job_done(now, uid),
            Some(Asked::Manager(uid)) => self.manager_job_done(uid),
            Some(Asked::StopUser(uid)) => self.user_stopped(now, uid),
            None => {}
        }
    }

    fn job_removed(&mut self, now: Now, path: &str, result: &str) {
        let is = |job: &Option<String>| job.as_deref() == Some(path);
        if let Some(session) = self.sessions.values_mut().find(|session| is(&session.scope_job)) {
            let id = session.id.clone();
            session.scope_job = None;
            let ending = std::mem::take(&mut session.scope_ending);
            return match result {
                "done" if ending => self.scope_gone(now, &id),
                "done" => self.scope_started(&id),
                // Whoever took the job's place leaves it to us to see the end.
                _ if ending => self.leave_scope(&id),
                _ => self.scope_failed(now, &id, &format!("The job of its scope ended with '{result}'")),
            };
        }
        if let Some(user) = self.users.values_mut().find(|user| is(&user.manager_job)) {
            let uid = user.record.uid;
            return self.manager_job_done(uid);
        }
        if let Some(user) = self.users.values_mut().find(|user| is(&user.runtime_job)) {
            let (uid, stopping) = (user.record.uid, user.stopping);
            if stopping { self.user_stopped(now, uid) } else { self.runtime_job_done(now, uid) }
        }
    }

    fn leave_scope(&mut self, id: &str) {
        if let Some(scope) = self.sessions.get(id).and_then(|session| session.scope.clone()) {
            self.out(Effect::Abandon(scope));
        }
    }

    fn scope_started(&mut self, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.stopping {
            // It was released meanwhile.
            return self.end_scope(id);
        }
        let uid = session.uid;
        self.out(Effect::Save(Object::Session(id.to_owned())));
        self.out(Effect::Save(Object::User(uid)));
        self.answer_if_ready(id);
    }

    fn scope_failed(&mut self, now: Now, id: &str, why: &str) {
        self.answer_creation(id, Err(why.to_owned()));
        self.scope_gone(now, id);
    }

    /// There is no scope: the session ends, too.
    fn scope_gone(&mut self, now: Now, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.scope_lives = false;
        session.scope_job = None;
        self.release(now, id, false);
        self.finish_if_empty(now, id);
    }

    fn unit_gone(&mut self, now: Now, unit: &str) {
        let of = |session: &&Session| session.scope.as_deref() == Some(unit);
        if let Some(id) = self.sessions.values().find(of).map(|session| session.id.clone()) {
            self.scope_gone(now, &id);
        }
    }

    /// The service manager closed the connection, as it does when it crashed: nobody tells of what is on its way any more. What it
    /// had not taken is refused; its jobs go on, and count as done. A scope that came to nothing is noticed with its leader's end.
    pub fn manager_lost(&mut self, now: Now) {
        for ask in self.asked.keys().copied().collect::<Vec<_>>() {
            self.refused(now, ask, "The service manager went away");
        }
        let of_sessions = self.sessions.values().filter_map(|session| session.scope_job.clone());
        let users = self.users.values();
        let of_users = users.flat_map(|user| [user.manager_job.clone(), user.runtime_job.clone()]).flatten();
        for job in of_sessions.chain(of_users).collect::<Vec<_>>() {
            self.job_removed(now, &job, "done");
        }
        self.power_lost();
    }

    fn runtime_job_done(&mut self, now: Now, uid: u32) {
        if let Some(user) = self.users.get_mut(&uid) {
            user.runtime_job = None;
        }
        self.out(Effect::Save(Object::User(uid)));
        self.look_after_user(now, uid);
    }

    fn manager_job_done(&mut self, uid: u32) {
        let Some(user) = self.users.get_mut(&uid) else { return };
        user.manager_job = None;
        let waiting: Vec<String> = self
            .sessions
            .values()
            .filter(|session| session.uid == uid && session.creation.is_some())
            .map(|session| session.id.clone())
            .collect();
        waiting.iter().for_each(|id| self.answer_if_ready(id));
    }

    /// `user-runtime-dir@UID.service` was stopped, and all that needs it.
    fn user_stopped(&mut self, now: Now, uid: u32) {
        let Some(user) = self.users.get_mut(&uid) else { return };
        user.runtime_job = None;
        user.stopping = false;
        user.started = false;
        user.manager_started = false;
        if self.config.remove_ipc && uid >= FIRST_ORDINARY {
            self.out(Effect::CleanIpc(uid));
        }
        self.look_after_user(now, uid);
    }

    /// Start, stop or forget a user, by what needs it.
    fn look_after_user(&mut self, now: Now, uid: u32) {
        let sessions = || self.sessions.values().filter(|session| session.uid == uid);
        let pinned = sessions().any(|session| session.class.pins_user());
        let any = sessions().next().is_some();
        let delay = self.config.user_stop_delay;
        let Some(user) = self.users.get_mut(&uid) else { return };
        if pinned || user.linger {
            user.stop_at = None;
            if !user.started && !user.stopping {
                self.start_user(now, uid, Class::User);
            }
        } else if user.started && !user.stopping {
            let at = user.stop_at.get_or_insert(now.monotonic.saturating_add(delay));
            if *at <= now.monotonic {
                self.stop_user(uid);
            }
        } else if !user.started && !any {
            let announced = user.announced;
            self.users.remove(&uid);
            if announced {
                self.out(Effect::Removed(Object::User(uid)));
            }
        }
    }

    fn start_user(&mut self, now: Now, uid: u32, class: Class) {
        let Some(user) = self.users.get_mut(&uid) else { return };
        user.stop_at = None;
        let (runtime, manager) = (user.runtime_unit(), user.manager_unit());
        let begins = !user.started || user.stopping;
        let with_manager = class.wants_manager() && (begins || !user.manager_started);
        user.stopping = false;
        user.started = true;
        if begins {
            user.since = stamp(now);
            let ask = self.ask(Asked::RuntimeDirectory(uid));
            self.out(Effect::Start { ask, unit: runtime });
        }
        if with_manager {
            let ask = self.ask(Asked::Manager(uid));
            self.out(Effect::Start { ask, unit: manager });
        }
        let Some(user) = self.users.get_mut(&uid) else { return };
        user.manager_started |= with_manager;
        if !std::mem::replace(&mut user.announced, true) {
            self.out(Effect::Added(Object::User(uid)));
        }
        self.out(Effect::Save(Object::User(uid)));
    }

    fn stop_user(&mut self, uid: u32) {
        let Some(user) = self.users.get_mut(&uid).filter(|user| user.started && !user.stopping) else {
            return;
        };
        user.stopping = true;
        user.stop_at = None;
        let unit = user.runtime_unit();
        let ask = self.ask(Asked::StopUser(uid));
        self.out(Effect::Stop { ask, unit });
        self.out(Effect::Save(Object::User(uid)));
    }

    /// Those whose time is up.
    fn stop_users(&mut self, now: Now) {
        let due = |user: &&User| user.stop_at.is_some_and(|at| at <= now.monotonic);
        let uids: Vec<u32> = self.users.values().filter(due).map(|user| user.record.uid).collect();
        uids.into_iter().for_each(|uid| self.look_after_user(now, uid));
    }

    fn set_linger(&mut self, now: Now, record: UserRecord, on: bool) {
        let uid = record.uid;
        let user = self.users.entry(uid).or_insert_with(|| User::new(record));
        user.linger = on;
        self.look_after_user(now, uid);
        if self.users.contains_key(&uid) {
            self.out(Effect::Save(Object::User(uid)));
        }
    }

    fn hint(&mut self, now: Now, id: &str, hint: Hint) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let changed: &[&str] = match hint {
            Hint::Idle(idle) => {
                if !session.set_idle(idle, now) {
                    return;
                }
                self.idle_since = stamp(now);
                self.out(Effect::Changed(
                    Object::Manager,
                    &["IdleHint", "IdleSinceHint", "IdleSinceHintMonotonic"],
                ));
                &["IdleHint", "IdleSinceHint", "IdleSinceHintMonotonic"]
            }
            Hint::Locked(locked) => {
                session.locked = locked;
                &["LockedHint"]
            }
            Hint::Class(class) => {
                session.class = class;
                &["Class"]
            }
        };
        let Some(uid) = self.sessions.get(id).map(|session| session.uid) else { return };
        self.out(Effect::Changed(Object::Session(id.to_owned()), changed));
        self.out(Effect::Save(Object::Session(id.to_owned())));
        self.elect_display(uid);
    }

    fn vt_active(&mut self, number: u32) {
        self.vt = number;
        self.update_seat(seat::SEAT0);
    }

    fn update_foreground(&mut self, id: &str) {
        if let Some(seat) = self.sessions.get(id).and_then(|session| session.seat.clone()) {
            self.update_seat(&seat);
        }
    }

    /// Which session of a seat is in the foreground: that on the virtual terminal, where there are such, else the newest.
    fn update_seat(&mut self, id: &str) {
        let Some(seat) = self.seats.get(id) else { return };
        let old = seat.active.clone();
        let wanted = |session: &&Session| {
            !session.stopping && (!seat.can_tty || (session.vtnr != 0 && session.vtnr == self.vt))
        };
        let new = self.sessions_on(id).find(wanted).map(|session| session.id.clone());
        if old == new {
            return;
        }
        if let Some(seat) = self.seats.get_mut(id) {
            seat.active.clone_from(&new);
        }
        self.out(Effect::Changed(Object::Seat(id.to_owned()), &["ActiveSession"]));
        self.out(Effect::Save(Object::Seat(id.to_owned())));
        for id in [old, new].into_iter().flatten() {
            let Some(uid) = self.sessions.get(&id).map(|session| session.uid) else { continue };
            self.out(Effect::Changed(Object::Session(id.clone()), &["Active", "State"]));
            self.out(Effect::Save(Object::Session(id)));
            self.out(Effect::Save(Object::User(uid)));
        }
    }

    /// Which session shows the user's screen: a graphical one rather than a terminal, one that lasts, the one that was it.
    fn elect_display(&mut self, uid: u32) {
        let Some(user) = self.users.get(&uid) else { return };
        let rank = |session: &Session| {
            (
                session.kind.is_graphical(),
                user.display.as_deref() == Some(&session.id),
                session.since.monotonic,
            )
        };
        let new = self
            .sessions
            .values()
            .filter(|session| session.uid == uid && !session.stopping && session.class.can_display())
            .filter(|session| session.kind != session::Kind::Unspecified)
            .max_by_key(|session| rank(session))
            .map(|session| session.id.clone());
        if user.display == new {
            return;
        }
        if let Some(user) = self.users.get_mut(&uid) {
            user.display = new;
        }
        self.out(Effect::Changed(Object::User(uid), &["Display"]));
    }
}

/// The reference puts new ones in front.
fn newest_first<'a>(sessions: impl Iterator<Item = &'a Session>) -> Vec<&'a Session> {
    let mut sessions: Vec<&Session> = sessions.collect();
    sessions.sort_by_key(|session| std::cmp::Reverse((session.since.monotonic, session.position)));
    sessions
}

fn stamp(now: Now) -> Stamp {
    Stamp { realtime: now.realtime, monotonic: now.monotonic }
}
