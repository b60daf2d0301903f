//! Shutdown, sleep, and what the next boot is told: what clients ask for, and what comes of it.
use super::bus::Caller;
use super::calls::{Answer, Outcome, answer, done};
use super::daemon::Daemon;
use super::units::Looking;
use runstead_api::error::Error;
use runstead_api::login1::power::{KEXEC_REBOOT, NextBoot, Power, SOFT_REBOOT};
use runstead_api::login1::signals;
use runstead_api::polkit::{Question, Verdict};
use runstead_core::sessions::event::{CallId, Event};
use runstead_core::sessions::power::inhibit::Inhibitor;
use runstead_core::sessions::power::operation::Operation;
use runstead_core::sessions::power::schedule::{self, Schedule};
use runstead_core::sessions::power::{self, Effect, Refusal, sleep};
use runstead_core::sessions::state_file;
use runstead_os::logins::{power as machine, wall};
use runstead_os::timer::now;
use runstead_wire::dbus::{Kind, Message};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long polkit may take with a question that asks nobody.
const PATIENCE: Duration = Duration::from_secs(25);
/// A shutdown without a time is so far away, us.
const DEFAULT_DELAY: u64 = 60 * 1_000_000;
/// The verb is known, and the machine cannot.
const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";
const NO_SUCH_SLEEP: &str = "org.freedesktop.login1.SleepVerbNotSupported";
const IN_CONTAINER: &str = "Reboot parameter not supported in containers, refusing.";

/// A client that wants to know whether it may: polkit is asked one thing after the other.
#[derive(Debug)]
pub(super) struct Probe {
    call: Message,
    /// What is left to be asked.
    rest: Vec<&'static str>,
    /// The worst that was said: 0 yes, 1 challenge, 2 no.
    worst: usize,
    pub until: Instant,
}

/// What waits for polkit without being urgent, by the serial of the question.
pub(super) type Probes = BTreeMap<u32, Probe>;

/// PID 1 cannot begin anew without the machine.
fn no_soft_reboot() -> Error {
    Error::new(NOT_SUPPORTED, "A soft reboot is not supported.")
}

fn refused((name, text): Refusal) -> Error {
    Error::new(name, text)
}

impl Daemon {
    /// The polkit actions that somebody needs, all of them; or why even these would not help.
    pub(super) fn power_rights(&self, power: &Power, caller: Caller) -> Result<Vec<&'static str>, Error> {
        let unless_root = |action| if caller.uid == 0 { Vec::new() } else { vec![action] };
        let of =
            |operation, flags| self.sessions.rights(operation, caller.uid, flags, false).map_err(refused);
        match power {
            Power::Can(_) | Power::CanSet(_) => Ok(Vec::new()),
            Power::Do(operation, flags, _) => of(self.resolve(*operation, *flags)?, *flags),
            Power::Schedule(Operation::SoftReboot, ..) => Err(no_soft_reboot()),
            Power::Schedule(operation, ..) => of(*operation, 0),
            Power::Cancel => match &self.sessions.power.schedule {
                Some(schedule) => Ok(unless_root(schedule.operation.rights().plain)),
                None => Ok(Vec::new()),
            },
            Power::Inhibit(what, mode, ..) => {
                let limit = self.sessions.config.inhibitors_max;
                match self.sessions.power.refuse_lock(*what, limit) {
                    Some(refusal) => Err(refused(refusal)),
                    None if caller.uid == 0 => Ok(Vec::new()),
                    None => Ok(what.rights(*mode)),
                }
            }
            Power::Set(next) => self.can_set(next).map(unless_root),
            Power::Wall(message, on) => {
                let power = &self.sessions.power;
                let same = power.wall_message == *message && power.wall == *on;
                Ok(if same { Vec::new() } else { unless_root("org.freedesktop.login1.set-wall-message") })
            }
        }
    }

    /// Does what somebody who may asks for.
    pub(super) fn power_act(&mut self, call: &Message, caller: Caller, power: Power) -> Answer {
        match power {
            Power::Do(operation, flags, _) => {
                let operation = self.resolve(operation, flags)?;
                let id = self.keep(call);
                self.power_event(power::Event::Begin(Some(id), operation, caller.uid));
                Ok(Outcome::Later)
            }
            Power::Can(operation) => self.can(call, caller, operation),
            Power::Schedule(operation, dry, at) => {
                let id = self.keep(call);
                let now = now().realtime;
                let at = if at == u64::MAX { now.saturating_add(DEFAULT_DELAY) } else { at };
                let mut schedule = Schedule::new(operation, at, now);
                (schedule.dry, schedule.uid, schedule.tty) = (dry, caller.uid, self.tty_of_caller(caller));
                self.power_event(power::Event::Schedule(id, Box::new(schedule)));
                Ok(Outcome::Later)
            }
            Power::Cancel => {
                let (id, tty) = (self.keep(call), self.tty_of_caller(caller));
                self.power_event(power::Event::Cancel(id, caller.uid, tty));
                Ok(Outcome::Later)
            }
            Power::Inhibit(what, mode, who, why) => {
                let call = Some(self.keep(call));
                let (uid, pid, since) = (caller.uid, caller.pid, now().into());
                let lock = Inhibitor { what, mode, who, why, uid, pid, call, since };
                self.power_event(power::Event::Inhibit(Box::new(lock)));
                Ok(Outcome::Later)
            }
            Power::Set(next) => self.set_next_boot(call, &next),
            Power::CanSet(next) => match self.can_set(&next) {
                Ok(_) if caller.uid == 0 => word(call, "yes"),
                Ok(action) => self.probe(call, vec![action]),
                Err(_) => word(call, "na"),
            },
            Power::Wall(message, on) => {
                (self.sessions.power.wall_message, self.sessions.power.wall) = (message, on);
                done(call)
            }
        }
    }

    fn power_event(&mut self, event: power::Event) {
        self.pending.push_back(Event::Power(event));
    }

    /// A call that is answered later.
    pub(super) fn keep(&mut self, call: &Message) -> CallId {
        self.next_call += 1;
        let id = CallId(self.next_call);
        self.kept.insert(id, call.clone());
        id
    }

    fn tty_of_caller(&self, caller: Caller) -> String {
        self.session_of(caller.pid).map_or_else(String::new, |session| session.tty.clone())
    }

    /// What an operation with flags, or the best way to sleep, is on this machine.
    pub(super) fn resolve(&self, operation: Option<Operation>, flags: u64) -> Result<Operation, Error> {
        // With `SOFT_REBOOT_IF_NEXTROOT` the whole machine will do.
        match operation {
            Some(Operation::Reboot) if flags & SOFT_REBOOT != 0 => Err(no_soft_reboot()),
            Some(Operation::SoftReboot) => Err(no_soft_reboot()),
            Some(Operation::Reboot) if flags & KEXEC_REBOOT != 0 && machine::kexec_loaded() => {
                Ok(Operation::Kexec)
            }
            Some(operation) if operation.ends() => Ok(operation),
            Some(operation) if self.can_sleep(operation)? => Ok(operation),
            Some(operation) => Err(Error::new(
                NO_SUCH_SLEEP,
                format!(
                    "Sleep verb '{}' is not configured or configuration is not supported by kernel",
                    operation.name()
                ),
            )),
            None => self.best_sleep().ok_or_else(|| {
                Error::new(NO_SUCH_SLEEP, "None of the configured sleep operations are supported")
            }),
        }
    }

    fn best_sleep(&self) -> Option<Operation> {
        let ways = self.sessions.config.sleep_operations.iter();
        ways.filter_map(|name| Operation::parse(name)).find(|way| self.can_sleep(*way).unwrap_or(false))
    }

    /// Whether the machine can sleep so; where its switch is read-only (containers) the reference answers with that.
    fn can_sleep(&self, operation: Operation) -> Result<bool, Error> {
        match machine::sleep() {
            Ok(kernel) => Ok(self.sleep.supports(operation, &kernel)),
            Err(Errno::ROFS) if operation != Operation::SuspendThenHibernate => {
                Err(Error::new("System.Error.EROFS", "Read-only file system"))
            }
            Err(_) => Ok(false),
        }
    }

    /// `CanPowerOff` and its like: first whether the machine can, then whether the caller may.
    fn can(&mut self, call: &Message, caller: Caller, operation: Option<Operation>) -> Answer {
        let operation = match operation {
            None => self.best_sleep(),
            Some(operation) if operation.ends() || self.can_sleep(operation)? => Some(operation),
            Some(_) => None,
        };
        let Some(operation) = operation else { return word(call, "na") };
        let needed = self.sessions.rights(operation, caller.uid, 0, true).map_err(refused)?;
        self.look_at(operation.target(), Looking::Can(Box::new(call.clone()), needed));
        Ok(Outcome::Later)
    }

    /// Whether the unit of an operation that somebody asks about is there.
    pub(super) fn can_looked(&mut self, call: &Message, needed: Vec<&'static str>, there: bool) {
        let answer = if there { self.probe(call, needed) } else { word(call, "no") };
        self.reply(call, answer);
    }

    fn reply(&mut self, call: &Message, answer: Answer) {
        let message = match answer {
            Ok(Outcome::Later | Outcome::Kept) => return,
            Ok(Outcome::Answer(message)) => message,
            Err(error) => Message::error(call, error.name, &error.message),
        };
        self.send(&message);
    }

    /// Asks polkit whether all of it is allowed, without asking anybody.
    fn probe(&mut self, call: &Message, needed: Vec<&'static str>) -> Answer {
        self.probe_on(Probe { call: call.clone(), rest: needed, worst: 0, until: Instant::now() + PATIENCE })
    }

    fn probe_on(&mut self, mut probe: Probe) -> Answer {
        let Some(action) = probe.rest.pop() else {
            return word(&probe.call, ["yes", "challenge", "no"][probe.worst.min(2)]);
        };
        let sender = probe.call.sender().unwrap_or("").to_owned();
        let question = Question { action, details: Vec::new() }.call(&sender, false);
        let serial = question.and_then(|question| self.send(&question)).ok_or_else(|| {
            Error::new("org.freedesktop.DBus.Error.LimitsExceeded", "Too many calls wait for polkit")
        })?;
        self.probes.insert(serial, probe);
        Ok(Outcome::Later)
    }

    /// An answer came; whether it was polkit's to one of these questions.
    pub(super) fn probe_answered(&mut self, message: &Message) -> bool {
        let Some(mut probe) = message.reply_serial().and_then(|serial| self.probes.remove(&serial)) else {
            return false;
        };
        let call = probe.call.clone();
        let answer = match Verdict::read(message) {
            Verdict::Refused(name, text) if message.kind() == Kind::Error => {
                self.send(&Message::error(&call, &name, &text));
                return true;
            }
            Verdict::Allowed => self.probe_on(probe),
            Verdict::Refused(name, _) => {
                let challenge = name.ends_with("InteractiveAuthorizationRequired");
                probe.worst = probe.worst.max(if challenge { 1 } else { 2 });
                self.probe_on(probe)
            }
        };
        self.reply(&call, answer);
        true
    }

    /// Questions that polkit did not answer in time are answered with no.
    pub(super) fn refuse_late_probes(&mut self) {
        let now = Instant::now();
        let late: Vec<u32> =
            self.probes.iter().filter(|(_, probe)| probe.until <= now).map(|(serial, _)| *serial).collect();
        for probe in late.iter().filter_map(|serial| self.probes.remove(serial)).collect::<Vec<_>>() {
            let answer = word(&probe.call, "no");
            self.reply(&probe.call, answer);
        }
    }

    /// The polkit action that allows to tell the next boot something, where it can be told. Firmware and boot loaders
    /// cannot be: that needs EFI variables, which are not written here.
    fn can_set(&self, next: &NextBoot) -> Result<&'static str, Error> {
        let no = |text: String| Err(Error::new(NOT_SUPPORTED, text));
        match next {
            NextBoot::Parameter(_) if machine::in_container() => no(IN_CONTAINER.to_owned()),
            NextBoot::Parameter(_) => Ok("org.freedesktop.login1.set-reboot-parameter"),
            NextBoot::Firmware => no("Firmware does not support boot into firmware.".to_owned()),
            NextBoot::Menu => no("Boot loader does not support boot into boot loader menu.".to_owned()),
            NextBoot::Entry(name) if name.is_empty() => {
                no("Loader does not support boot into boot loader entry.".to_owned())
            }
            NextBoot::Entry(name) => no(format!("Boot loader entry '{name}' is not known.")),
        }
    }

    fn set_next_boot(&mut self, call: &Message, next: &NextBoot) -> Answer {
        let NextBoot::Parameter(text) = next else { return done(call) };
        machine::set_reboot_parameter(text)
            .map_err(|error| Error::new("org.freedesktop.DBus.Error.Failed", error.to_string()))?;
        self.facts.reboot_parameter.clone_from(text);
        done(call)
    }

    /// Does what was decided.
    pub(super) fn power_effect(&mut self, effect: Effect) {
        match effect {
            Effect::OpenInhibitor(id) => self.open_inhibitor(id),
            Effect::CloseInhibitor(id) => self.close_inhibitor(id),
            Effect::Inhibited(call, id) => self.inhibited(call, id),
            Effect::Done(call) => {
                self.answer_kept(call, Message::method_return);
            }
            Effect::Cancelled(call, was) => {
                self.answer_kept(call, |call| {
                    let answer = Message::method_return(call).build(|body| {
                        body.bool(was);
                    });
                    answer.unwrap_or_else(|_| Message::method_return(call))
                });
            }
            Effect::Refuse(call, name, text) => {
                self.answer_kept(call, |call| Message::error(call, &name, &text));
            }
            Effect::Look(unit) => self.look_at(unit, Looking::Operation(unit)),
            Effect::Start(unit) => self.start_when_told(unit),
            Effect::Prepare(operation, begins) => {
                signals::prepare(operation, begins).into_iter().for_each(|signal| self.emit(Some(signal)));
            }
            Effect::SaveSchedule => {
                let power = &self.sessions.power;
                let schedule = power.schedule.as_ref();
                let text = schedule.map(|schedule| schedule.text(power.wall, &power.wall_message));
                self.write_state("shutdown/scheduled", text.as_deref());
            }
            Effect::NoLogins(forbid) => {
                if forbid {
                    self.log(6, "Creating /run/nologin, blocking further logins...");
                }
                self.log_failure(machine::forbid_logins(forbid));
            }
            Effect::Wall(text, uid, tty) => self.wall(&text, uid, &tty),
            Effect::Perform(action) => self.perform(&action),
            Effect::Log(level, text) => self.log(level, &text),
        }
    }

    pub(super) fn log_failure(&self, outcome: Result<(), runstead_os::OsError>) {
        if let Err(error) = outcome {
            self.log(3, &error.to_string());
        }
    }

    /// Answers a call that was kept.
    pub(super) fn answer_kept(&mut self, call: CallId, answer: impl FnOnce(&Message) -> Message) {
        if let Some(call) = self.kept.remove(&call) {
            let answer = answer(&call);
            if let Some(link) = &mut self.bus.link {
                link.answer(&call, &answer);
            }
        }
    }

    /// Tells everybody who has a terminal.
    fn wall(&self, text: &str, uid: u32, tty: &str) {
        let user = self.record(uid).map_or_else(|| uid.to_string(), |record| record.name);
        let on = if tty.is_empty() { String::new() } else { format!(" on {tty}") };
        let date = schedule::date(now().realtime, &self.sessions.power.zone);
        let host = machine::host_name();
        let text = format!("\r\nBroadcast message from {user}@{host}{on} ({date}):\r\n\r\n{text}\r\n\r\n");
        wall::tell(&text, self.sessions.sessions().map(|session| session.tty.clone()));
    }

    /// Takes over what an earlier login manager was asked for.
    pub(super) fn restore_power(&mut self) {
        self.restore_inhibitors();
        self.sessions.power.zone = runstead_os::zones::local().unwrap_or_default();
        self.facts.reboot_parameter = machine::reboot_parameter();
        let files = runstead_os::loader::config_files("systemd/sleep.conf", "/run");
        self.sleep = sleep::Config::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        if let Some(text) = machine::saved_schedule() {
            self.sessions.power.restore_schedule(state_file::parse(&text), now());
        }
        self.pending.push_back(Event::Timer);
    }
}

/// Answers with one word.
fn word(call: &Message, text: &str) -> Answer {
    answer(call, |body| {
        body.str(text);
    })
}
