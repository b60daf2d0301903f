//! How the machine ends or sleeps: who holds it back, who is told, and when.
//!
//! | stage | what it waits for | then |
//! |---|---|---|
//! | `Looking` | whether the operation's unit can be started at all | `Delayed`, `Starting`, or nothing is done |
//! | `Delayed` | the last delay lock's release, or `InhibitDelayMaxSec=` | `Starting` |
//! | `Starting` | the service manager's word on the job | `Running`, or it failed |
//! | `Running` | the job's end: after sleep, or when a shutdown was overtaken | nothing is done |
//!
//! Clients see the last three as `PreparingForShutdown` or `PreparingForSleep`. One operation is done at a time.
mod idle;
pub mod inhibit;
pub mod keys;
pub mod operation;
pub mod schedule;
pub mod sleep;
#[cfg(test)]
mod tests;

use super::Sessions;
use super::event::{CallId, Effect as Outer, Object};
use crate::engine::clock::Now;
use inhibit::{Inhibitor, Inhibitors, Mode, What};
use operation::Operation;
use schedule::Schedule;

const IN_PROGRESS: &str = "org.freedesktop.login1.OperationInProgress";
const LIMITS: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
/// A schedule is looked at again after this time, us: the wall clock may have been set.
const LOOK_AGAIN: u64 = 60 * 1_000_000;
/// Flag of a request: root minds weak locks, too.
pub const ROOT_CHECK_INHIBITORS: u64 = 1;
/// Flag of a request: no lock counts, for whom polkit allows it.
pub const SKIP_INHIBITORS: u64 = 1 << 4;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A client that may wants a lock.
    Inhibit(Box<Inhibitor>),
    /// Nobody holds its descriptor any more.
    Released(u64),
    /// A client that may wants an operation; or none did.
    Begin(Option<CallId>, Operation, u32),
    /// How the operation's unit was found.
    Looked(Unit),
    /// The service manager queued the job, at this object path.
    Started(String),
    /// It did not: the error's name and text.
    Failed(String, String),
    /// Somebody who may schedules a shutdown.
    Schedule(CallId, Box<Schedule>),
    /// A key goes down, or up.
    Key(keys::Key, bool),
    /// The lid, or what is around it, changed.
    Lid(keys::Lid),
    /// Somebody who may cancels it: user and terminal.
    Cancel(CallId, u32, String),
}

/// How a unit was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Masked, or not there.
    Missing,
    /// It may refuse to be started.
    Doubtful,
    /// Nothing speaks against its start.
    Ready,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make the FIFO and the state file of a lock, and wait for its release.
    OpenInhibitor(u64),
    /// Remove both.
    CloseInhibitor(u64),
    /// Answer who wants the lock.
    Inhibited(CallId, u64),
    /// A call is done.
    Done(CallId),
    /// A schedule was cancelled, or there was none.
    Cancelled(CallId, bool),
    /// A call failed with the service manager's error.
    Refuse(CallId, String, String),
    /// Find out whether the unit can be started ([`Event::Looked`]).
    Look(&'static str),
    /// Start it irreversibly, once clients have got what was sent before ([`Event::Started`], [`Event::Failed`]).
    Start(&'static str),
    /// Tell clients that it begins, or is over.
    Prepare(Operation, bool),
    /// Write the file of the schedule, or remove it.
    SaveSchedule,
    /// Forbid logins, or allow them again.
    NoLogins(bool),
    /// Tell everybody: text, on behalf of whom, on which terminal.
    Wall(String, u32, String),
    /// What a key is set to.
    Perform(String),
    /// For the log: level, text.
    Log(u8, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Looking,
    Delayed { until: u64 },
    Starting,
    Running(String),
}

/// What is being done.
#[derive(Debug)]
struct Doing {
    call: Option<CallId>,
    operation: Operation,
    stage: Stage,
    /// Somebody was answered before it began.
    promised: bool,
    /// Its time had come.
    scheduled: bool,
}

/// All that is known of it.
#[derive(Debug)]
pub struct Power {
    /// The locks.
    pub inhibitors: Inhibitors,
    last_inhibitor: u64,
    doing: Option<Doing>,
    /// The scheduled shutdown.
    pub schedule: Option<Schedule>,
    /// `EnableWallMessages`.
    pub wall: bool,
    /// `WallMessage`.
    pub wall_message: String,
    /// The local time zone (tzfile(5)).
    pub zone: Vec<u8>,
    /// Keys that are down.
    held: keys::Held,
    lid: keys::Lid,
    /// When something was done last because nobody did anything.
    idle_done: u64,
    /// When the machine was started, or woke: lids are not minded at once.
    lid_from: u64,
    seen: Now,
    effects: Vec<Outer>,
}

impl Default for Power {
    fn default() -> Power {
        Power {
            inhibitors: Inhibitors::new(),
            last_inhibitor: 0,
            doing: None,
            schedule: None,
            wall: true,
            wall_message: String::new(),
            zone: Vec::new(),
            held: keys::Held::new(),
            lid: keys::Lid::default(),
            idle_done: 0,
            lid_from: 0,
            seen: Now::default(),
            effects: Vec::new(),
        }
    }
}

/// Why somebody may not: the error's name and text.
pub type Refusal = (&'static str, String);

impl Sessions {
    /// What happened, and what is to be done about it.
    pub(super) fn power_step(&mut self, now: Now, event: Event) {
        match event {
            Event::Key(key, down) => return self.key(now, key, down),
            Event::Lid(lid) => return self.lid(now, lid),
            _ => {}
        }
        self.power.step(now, event, (self.config.inhibit_delay_max, self.config.inhibitors_max));
        self.power_effects();
    }

    /// The time of a timer has come, or a job ended (`Some`).
    pub(super) fn power_wake(&mut self, now: Now, job: Option<&str>) {
        match job {
            Some(path) => self.power.job_removed(now, path),
            None => {
                self.power.tick(now);
                self.held_keys(now);
                self.act_on_idleness(now);
            }
        }
        self.power_effects();
    }

    /// The service manager closed the connection.
    pub(super) fn power_lost(&mut self) {
        self.power.manager_lost();
        self.power_effects();
    }

    fn power_effects(&mut self) {
        self.effects.append(&mut self.power.effects);
    }

    /// The polkit actions that a user needs for an operation, or why not even these help. `asking`: it is only a question.
    pub fn rights(
        &self,
        operation: Operation,
        uid: u32,
        flags: u64,
        asking: bool,
    ) -> Result<Vec<&'static str>, Refusal> {
        let rights = operation.rights();
        let skip = flags & SKIP_INHIBITORS != 0;
        let held = |mode: Mode, by: &dyn Fn(u32) -> bool| {
            let holds = |lock: &Inhibitor| lock.mode == mode && lock.what.meets(operation.inhibited_by());
            self.power.inhibitors.values().any(|lock| holds(lock) && by(lock.uid))
        };
        let blocked = held(Mode::Block, &|_| true);
        // Weak ones are not for who holds them, nor for root, who can ask that they be.
        let weak = held(Mode::BlockWeak, &|holder| holder != uid)
            && (uid != 0 || flags & ROOT_CHECK_INHIBITORS != 0);
        if !asking && !skip && (blocked || (weak && uid == 0)) {
            return Err((DENIED, "Access denied due to active block inhibitor".to_owned()));
        }
        let others = self.sessions.values().any(|session| session.uid != uid && session.class.can_lock());
        let mut needed = Vec::new();
        if others && uid != 0 {
            needed.push(rights.multiple_sessions);
        }
        // Not even root ignores a lock without polkit's word.
        if (blocked || weak) && (uid != 0 || !asking) {
            needed.push(rights.ignore_inhibit);
        }
        if needed.is_empty() && uid != 0 {
            needed.push(rights.plain);
        }
        Ok(needed)
    }
}

impl Power {
    /// Monotonic time of the next look, us.
    pub fn next_timer(&self) -> Option<u64> {
        let delayed = match self.doing.as_ref().map(|doing| &doing.stage) {
            Some(Stage::Delayed { until }) => Some(*until),
            _ => None,
        };
        let schedule = self.schedule.as_ref().and_then(Schedule::next).map(|at| {
            let wait = at.saturating_sub(self.seen.realtime).min(LOOK_AGAIN);
            self.seen.monotonic.saturating_add(wait)
        });
        [delayed, schedule, self.next_held()].into_iter().flatten().min()
    }

    /// What locks of a mode hold back.
    pub fn inhibited(&self, mode: Mode) -> What {
        let of_mode = self.inhibitors.values().filter(|lock| lock.mode == mode);
        of_mode.fold(What::default(), |all, lock| all.and(lock.what))
    }

    /// The operation that clients are told to prepare for.
    pub fn preparing(&self) -> Option<Operation> {
        let doing = self.doing.as_ref().filter(|doing| doing.stage != Stage::Looking)?;
        Some(doing.operation)
    }

    /// Why a lock cannot be had any more.
    pub fn refuse_lock(&self, what: What, limit: u64) -> Option<Refusal> {
        if self.preparing().is_some_and(|operation| operation.inhibited_by().meets(what)) {
            let text = "The operation inhibition has been requested for is already running";
            return Some((IN_PROGRESS, text.to_owned()));
        }
        (self.inhibitors.len() as u64 >= limit).then(|| {
            let text =
                format!("Maximum number of inhibitors ({limit}) reached, refusing further inhibitors.");
            (LIMITS, text)
        })
    }

    /// Takes over a lock of an earlier login manager.
    pub fn restore_inhibitor(&mut self, id: u64, inhibitor: Inhibitor) {
        self.last_inhibitor = self.last_inhibitor.max(id);
        self.inhibitors.insert(id, inhibitor);
    }

    fn out(&mut self, effect: Effect) {
        self.effects.push(Outer::Power(effect));
    }

    fn changed(&mut self, names: &'static [&'static str]) {
        self.effects.push(Outer::Changed(Object::Manager, names));
    }

    fn step(&mut self, now: Now, event: Event, (delay, locks): (u64, u64)) {
        self.seen = now;
        match event {
            Event::Inhibit(lock) => self.inhibit(*lock, locks),
            Event::Released(id) => self.released(id),
            Event::Begin(call, operation, uid) => self.begin(call, operation, uid, false),
            Event::Key(..) | Event::Lid(_) => {}
            Event::Looked(unit) => self.looked(now, unit, delay),
            Event::Started(path) => self.started(path),
            Event::Failed(name, text) => self.failed(&name, &text),
            Event::Schedule(call, schedule) => {
                self.plan(*schedule);
                self.tick(now);
                self.out(Effect::Done(call));
            }
            Event::Cancel(call, uid, tty) => self.cancel(call, uid, tty),
        }
    }

    fn inhibit(&mut self, mut lock: Inhibitor, limit: u64) {
        let call = lock.call.take();
        if let Some((name, text)) = self.refuse_lock(lock.what, limit) {
            if let Some(call) = call {
                self.effects.push(Outer::Refuse(call, name, text));
            }
            return;
        }
        self.last_inhibitor += 1;
        let (id, mode) = (self.last_inhibitor, lock.mode);
        let before = self.inhibited(mode);
        self.inhibitors.insert(id, lock);
        self.out(Effect::OpenInhibitor(id));
        if self.inhibited(mode) != before {
            self.changed(mode.property());
        }
        if let Some(call) = call {
            self.out(Effect::Inhibited(call, id));
        }
    }

    fn released(&mut self, id: u64) {
        let Some(lock) = self.inhibitors.get(&id) else { return };
        let mode = lock.mode;
        let before = self.inhibited(mode);
        self.inhibitors.remove(&id);
        self.out(Effect::CloseInhibitor(id));
        if self.inhibited(mode) != before {
            self.changed(mode.property());
        }
        self.start_unless_delayed();
    }

    fn begin(&mut self, call: Option<CallId>, operation: Operation, uid: u32, scheduled: bool) {
        if let Some(doing) = &self.doing {
            let text = format!(
                "Action {} already in progress, refusing requested {} operation.",
                doing.operation.name(),
                operation.name()
            );
            match call {
                Some(call) => self.effects.push(Outer::Refuse(call, IN_PROGRESS, text)),
                None => self.failed_quietly(operation, scheduled, &text),
            }
            return;
        }
        if !scheduled && operation.ends() {
            // What is done now is not done later.
            self.forget_schedule();
            self.warn(operation, None, uid, String::new());
        }
        self.doing = Some(Doing { call, operation, stage: Stage::Looking, promised: false, scheduled });
        self.out(Effect::Look(operation.target()));
    }

    fn looked(&mut self, now: Now, unit: Unit, delay: u64) {
        let Some(doing) = self.doing.as_mut().filter(|doing| doing.stage == Stage::Looking) else { return };
        let operation = doing.operation;
        if unit == Unit::Missing {
            let text = format!("Unit {} is masked or missing, refusing operation.", operation.target());
            self.out(Effect::Log(4, text));
            return self.failed(DENIED, "Permission denied");
        }
        doing.stage = Stage::Delayed { until: now.monotonic.saturating_add(delay) };
        self.out(Effect::Prepare(operation, true));
        // Whoever asked need not wait as long as the locks can; and once a shutdown begins, the bus may be gone before the answer.
        if unit == Unit::Ready || self.delaying(operation).next().is_some() {
            self.promise();
        }
        self.start_unless_delayed();
    }

    fn promise(&mut self) {
        let Some(doing) = self.doing.as_mut() else { return };
        let call = doing.call.take();
        doing.promised = call.is_some();
        if let Some(call) = call {
            self.out(Effect::Done(call));
        }
    }

    fn delaying(&self, operation: Operation) -> impl Iterator<Item = &Inhibitor> {
        let holds =
            move |lock: &&Inhibitor| lock.mode == Mode::Delay && lock.what.meets(operation.inhibited_by());
        self.inhibitors.values().filter(holds)
    }

    fn start_unless_delayed(&mut self) {
        let Some(doing) = &self.doing else { return };
        if matches!(doing.stage, Stage::Delayed { .. }) && self.delaying(doing.operation).next().is_none() {
            self.start();
        }
    }

    fn start(&mut self) {
        let Some(doing) = self.doing.as_mut() else { return };
        doing.stage = Stage::Starting;
        let operation = doing.operation;
        self.log_begin(operation);
        self.out(Effect::Start(operation.target()));
    }

    fn log_begin(&mut self, operation: Operation) {
        let Some(line) = operation.log_line() else { return };
        let line = match self.wall_message.as_str() {
            "" => format!("{line}."),
            message => format!("{line} ({message})."),
        };
        self.out(Effect::Log(5, line));
    }

    fn started(&mut self, path: String) {
        let Some(doing) = self.doing.as_mut().filter(|doing| doing.stage == Stage::Starting) else { return };
        doing.stage = Stage::Running(path);
        if let Some(call) = doing.call.take() {
            self.out(Effect::Done(call));
        }
    }

    fn failed(&mut self, name: &str, text: &str) {
        let Some(doing) = self.doing.take() else { return };
        if doing.stage != Stage::Looking {
            self.out(Effect::Prepare(doing.operation, false));
        }
        match doing.call {
            Some(call) => self.out(Effect::Refuse(call, name.to_owned(), text.to_owned())),
            None if doing.promised => {
                self.out(Effect::Log(
                    3,
                    format!("{} failed after it was promised: {text}", doing.operation.name()),
                ));
            }
            None => self.failed_quietly(doing.operation, doing.scheduled, text),
        }
    }

    fn failed_quietly(&mut self, operation: Operation, scheduled: bool, text: &str) {
        if scheduled {
            return self.schedule_failed(operation, text);
        }
        self.out(Effect::Log(4, format!("{} failed: {text}", operation.name())));
    }

    fn schedule_failed(&mut self, operation: Operation, text: &str) {
        self.out(Effect::Log(3, format!("Scheduled shutdown to {} failed: {text}", operation.target())));
        self.forget_schedule();
    }

    /// A job ended: that of a sleep is over, or a shutdown's was replaced.
    fn job_removed(&mut self, now: Now, path: &str) {
        self.seen = now;
        let running = |doing: &&mut Doing| matches!(&doing.stage, Stage::Running(own) if own == path);
        let Some(doing) = self.doing.as_mut().filter(running) else { return };
        let operation = doing.operation;
        self.doing = None;
        self.lid_from = now.monotonic;
        self.out(Effect::Log(6, format!("Operation '{}' finished.", operation.name())));
        self.out(Effect::Prepare(operation, false));
    }

    /// Nobody answers any more, and a sleep's job cannot be waited for. A shutdown that runs goes on.
    fn manager_lost(&mut self) {
        let runs = |doing: &Doing| doing.operation.ends() && matches!(doing.stage, Stage::Running(_));
        let waits = |doing: &Doing| !runs(doing) && !matches!(doing.stage, Stage::Delayed { .. });
        if self.doing.as_ref().is_some_and(waits) {
            self.failed("org.freedesktop.DBus.Error.NoReply", "The service manager went away");
        }
    }

    /// Time went by.
    fn tick(&mut self, now: Now) {
        self.seen = now;
        if let Some(Doing { stage: Stage::Delayed { until }, operation, .. }) = &self.doing
            && *until <= now.monotonic
        {
            let late: Vec<String> = self
                .delaying(*operation)
                .map(|lock| {
                    format!(
                        "Delay lock is active (UID {}, PID {}) but inhibitor timeout is reached.",
                        lock.uid, lock.pid
                    )
                })
                .collect();
            late.into_iter().for_each(|line| self.out(Effect::Log(6, line)));
            self.start();
        }
        self.tick_schedule(now.realtime);
    }

    fn tick_schedule(&mut self, now: u64) {
        let Some(schedule) = self.schedule.as_mut().filter(|schedule| !schedule.begun) else { return };
        let (operation, at, uid, tty) = (schedule.operation, schedule.at, schedule.uid, schedule.tty.clone());
        let tells = schedule.tell_at <= now && !(schedule.dry && at <= now);
        if tells {
            schedule.tell_at = schedule::next_telling(at, now);
        }
        let due = at.saturating_sub(schedule::NO_LOGINS_BEFORE) <= now;
        let forbids = due && !std::mem::replace(&mut schedule.no_logins, due);
        schedule.begun = at <= now;
        let (begins, dry) = (schedule.begun, schedule.dry);
        if tells {
            self.warn(operation, Some(at).filter(|at| *at > now), uid, tty);
        }
        if forbids {
            self.out(Effect::NoLogins(true));
        }
        if begins && dry {
            self.log_begin(operation);
            self.out(Effect::Log(5, "Running in dry run, suppressing action.".to_owned()));
            self.forget_schedule();
        } else if begins {
            self.begin(None, operation, uid, true);
        }
    }

    /// Tells everybody, and the log.
    fn warn(&mut self, operation: Operation, at: Option<u64>, uid: u32, tty: String) {
        let date = at.map(|at| schedule::date(at, &self.zone));
        self.out(Effect::Log(6, schedule::warning(operation, date.as_deref(), "")));
        if self.wall {
            let text = schedule::warning(operation, date.as_deref(), &self.wall_message);
            self.out(Effect::Wall(text, uid, tty));
        }
    }

    fn plan(&mut self, schedule: Schedule) {
        if self.schedule.take().is_some_and(|old| old.no_logins) {
            self.out(Effect::NoLogins(false));
        }
        self.schedule = Some(schedule);
        self.out(Effect::SaveSchedule);
        self.changed(&["ScheduledShutdown"]);
    }

    /// Nothing is scheduled any more.
    fn forget_schedule(&mut self) {
        if let Some(old) = self.schedule.take() {
            if old.no_logins {
                self.out(Effect::NoLogins(false));
            }
            self.out(Effect::SaveSchedule);
        }
        // Like the reference, also when there was none.
        self.changed(&["ScheduledShutdown"]);
    }

    fn cancel(&mut self, call: CallId, uid: u32, tty: String) {
        let was = self.schedule.is_some();
        if was {
            self.forget_schedule();
            let text = "System shutdown has been cancelled".to_owned();
            self.out(Effect::Log(6, text.clone()));
            if self.wall {
                self.out(Effect::Wall(text, uid, tty));
            }
        }
        self.out(Effect::Cancelled(call, was));
    }

    /// Takes over what an earlier login manager had scheduled.
    pub fn restore_schedule<'a>(&mut self, lines: impl Iterator<Item = (&'a str, &'a str)>, now: Now) {
        let Some((schedule, wall, message)) = Schedule::read(lines, now.realtime) else { return };
        (self.wall, self.wall_message) = (wall, message);
        self.seen = now;
        self.schedule = Some(schedule);
    }
}
