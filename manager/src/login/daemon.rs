//! The login manager's state and loop.
use super::bus::Bus;
use super::calls::Asked;
use super::keys::Keys;
use super::power::Probes;
use super::units::Units;
use crate::supervisor::Supervisor;
use runstead_api::login1::properties::Facts;
use runstead_api::login1::signals;
use runstead_core::engine::clock::Clock;
use runstead_core::sessions::Sessions;
use runstead_core::sessions::event::{CallId, Effect, Event, Object};
use runstead_core::sessions::power::{self, sleep};
use runstead_os::logins::{self, Fifo};
use runstead_os::reactor::{Interest, Priority, Reactor, Ready};
use runstead_os::rundir::RunDir;
use runstead_os::timer::{Timer, now};
use runstead_os::users::Users;
use runstead_wire::dbus::{Message, Value};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a descriptor that is ready belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Bus,
    Units,
    /// The FIFO of a session.
    Fifo(u64),
    /// The leader of a session.
    Leader(u64),
    /// The FIFO of a lock on shutdown or sleep.
    Inhibitor(u64),
    /// A device with keys.
    Buttons(u64),
    /// udev's monitor.
    Udev,
    Timer,
    /// The virtual terminal in the foreground changed.
    Vt,
}

/// The login manager.
#[derive(Debug)]
pub(super) struct Daemon {
    pub reactor: Reactor<Token>,
    pub sessions: Sessions,
    pub facts: Facts,
    pub bus: Bus,
    pub units: Units,
    pub users: Users,
    /// Events that effects and connections made.
    pub pending: VecDeque<Event>,
    /// Calls that are answered later.
    pub kept: BTreeMap<CallId, Message>,
    /// Calls that wait for polkit, by the serial of the question.
    pub asked: BTreeMap<u32, Asked>,
    pub next_call: u64,
    /// The processes that lead sessions.
    pub leaders: BTreeMap<String, OwnedFd>,
    /// What came with the creation that is being decided on.
    pub coming: Option<Coming>,
    /// The FIFOs of locks on shutdown and sleep.
    pub locks: BTreeMap<u64, Fifo>,
    /// Devices with keys.
    pub keys: Keys,
    /// Clients that want to know whether they may.
    pub probes: Probes,
    /// Which ways to sleep are configured.
    pub sleep: sleep::Config,
    /// Where state files are.
    state: RunDir,
    fifos: BTreeMap<String, Fifo>,
    /// Sessions by the numbers in tokens.
    numbers: BTreeMap<u64, String>,
    next_number: u64,
    /// Objects whose files are to be written, each once.
    unsaved: Vec<Object>,
    timer: Timer,
    vt: Option<std::fs::File>,
    supervisor: Supervisor,
    watchdog: Option<Duration>,
    failure: Option<String>,
}

/// What belongs to a session that is about to be made.
#[derive(Debug)]
pub(super) struct Coming {
    pub leader: Option<OwnedFd>,
    /// What PAM wants set for its scope.
    pub properties: Vec<(String, Value)>,
}

impl Daemon {
    /// Reads what is configured and what an earlier one left, and connects.
    pub(super) fn start() -> Result<Daemon, String> {
        let failed = |error: runstead_os::OsError| error.to_string();
        let files = runstead_os::loader::config_files("systemd/logind.conf", "/run");
        let texts = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let (config, wrong) = runstead_core::sessions::config::Config::read(texts);
        for problem in &wrong {
            eprintln!("<4>{problem}");
        }
        logins::make_directories().map_err(failed)?;
        let vt = logins::foreground_vt();
        let mut daemon = Daemon {
            reactor: Reactor::new().map_err(failed)?,
            sessions: Sessions::new(config, vt.is_some(), now()),
            facts: Facts { external_power: true, memory: logins::memory(), ..Facts::default() },
            bus: Bus::default(),
            units: Units::default(),
            users: Users::default(),
            pending: VecDeque::new(),
            kept: BTreeMap::new(),
            next_call: 0,
            asked: BTreeMap::new(),
            leaders: BTreeMap::new(),
            coming: None,
            locks: BTreeMap::new(),
            keys: Keys::default(),
            probes: Probes::new(),
            sleep: sleep::Config::default(),
            state: RunDir::open(logins::BASE).map_err(failed)?,
            fifos: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: 0,
            unsaved: Vec::new(),
            timer: Timer::new(Clock::Monotonic).map_err(failed)?,
            vt,
            supervisor: Supervisor::find(),
            watchdog: crate::supervisor::watchdog(),
            failure: None,
        };
        daemon
            .reactor
            .add(daemon.timer.fd(), Token::Timer, Priority::Timer, Interest::READ)
            .map_err(failed)?;
        if let Some(vt) = &daemon.vt {
            daemon.reactor.add(vt, Token::Vt, Priority::Kernel, Interest::URGENT).map_err(failed)?;
        }
        daemon.connect_units()?;
        daemon.connect_bus()?;
        daemon.restore();
        daemon.restore_power();
        daemon.watch_keys();
        daemon.vt_changed();
        daemon.find_lingering();
        Ok(daemon)
    }

    /// Serves until it is told to end, or cannot go on.
    pub(super) fn run(mut self) -> ExitCode {
        let mut ready = Vec::new();
        let mut alive = Instant::now();
        loop {
            self.run_pending();
            if let Some(why) = self.failure.take() {
                eprintln!("<3>cannot go on: {why}");
                return ExitCode::FAILURE;
            }
            let wait = self.watchdog.map(|every| every.saturating_sub(alive.elapsed()));
            let asked = self.asked.values().map(|asked| asked.until);
            let polkit = asked.chain(self.probes.values().map(|probe| probe.until)).min();
            let polkit = polkit.map(|until| until.saturating_duration_since(Instant::now()));
            let wait = [wait, polkit].into_iter().flatten().min();
            if let Err(error) = self.reactor.wait(wait, &mut ready) {
                eprintln!("<3>{error}");
                return ExitCode::FAILURE;
            }
            if self.watchdog.is_some_and(|every| alive.elapsed() >= every) {
                self.supervisor.alive();
                alive = Instant::now();
            }
            for source in std::mem::take(&mut ready) {
                self.handle_ready(&source);
            }
            self.refuse_late_questions();
            self.refuse_late_probes();
        }
    }

    fn handle_ready(&mut self, source: &Ready<Token>) {
        match source.token {
            Token::Bus => {
                if source.read && !self.read_bus() {
                    self.fail("the system bus is gone");
                }
            }
            Token::Units => {
                if (source.read || source.hangup) && !self.read_units() {
                    self.manager_lost();
                }
            }
            Token::Fifo(number) | Token::Leader(number) => {
                if let Some(id) = self.numbers.get(&number).cloned() {
                    self.pending.push_back(Event::Release(id));
                }
            }
            Token::Buttons(number) => self.read_buttons(number),
            Token::Udev => self.read_udev(),
            Token::Inhibitor(id) => {
                self.pending.push_back(Event::Power(power::Event::Released(id)));
            }
            Token::Timer => {
                self.timer.drain();
                self.pending.push_back(Event::Timer);
            }
            Token::Vt => self.vt_changed(),
        }
    }

    /// PID 1 closed our connection, as it does when it crashed: ask anew for what is on its way.
    fn manager_lost(&mut self) {
        if let Some(link) = self.units.link.take() {
            link.forget(&mut self.reactor);
        }
        self.units = Units::default();
        self.sessions.manager_lost(now());
        if let Err(why) = self.connect_units() {
            self.fail(&why);
            return;
        }
        let ending: Vec<String> = self
            .sessions
            .sessions()
            .filter(|session| session.stopping)
            .filter_map(|session| session.scope.clone())
            .collect();
        ending.iter().for_each(|scope| self.abandon(scope));
    }

    /// Decides on what happened, and does it.
    pub(super) fn run_pending(&mut self) {
        let effects = self.sessions.effects();
        self.execute(effects);
        while let Some(event) = self.pending.pop_front() {
            let effects = self.sessions.step(now(), event);
            self.execute(effects);
        }
        // PID 1 works while we write our files.
        self.flush_units();
        self.save();
        if let Some(at) = self.sessions.next_timer()
            && let Err(error) = self.timer.arm(at)
        {
            self.log(3, &error.to_string());
        }
        self.flush_bus();
    }

    /// Writes what waits for PID 1. That it is gone shows when it is read from.
    pub(super) fn flush_units(&mut self) {
        if let Some(link) = &mut self.units.link {
            link.flush(&mut self.reactor);
        }
    }

    /// Writes what waits for the bus.
    pub(super) fn flush_bus(&mut self) {
        if let Some(link) = &mut self.bus.link
            && !link.flush(&mut self.reactor)
        {
            self.fail("the system bus is gone");
        }
    }

    fn execute(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start { ask, unit } => self.start_unit(ask, &unit),
                Effect::Stop { ask, unit } => self.stop_unit(ask, &unit),
                Effect::Scope { ask, session } => self.start_scope(ask, &session),
                Effect::Abandon(scope) => self.abandon(&scope),
                Effect::OpenFifo(id) => self.open_fifo(&id),
                Effect::CloseFifo(id) => self.close_fifo(&id),
                Effect::Created { call, session } => self.created(call, &session),
                Effect::Refuse(call, name, text) => {
                    self.answer_kept(call, |call| Message::error(call, name, &text));
                }
                Effect::Added(object) => self.emit(signals::came_or_went(&object, true)),
                Effect::Removed(object) => {
                    self.emit(signals::came_or_went(&object, false));
                    self.unsaved.push(object);
                }
                Effect::Changed(object, names) => {
                    let signal = signals::changed(&self.sessions, &self.facts, &object, names);
                    self.emit(signal);
                }
                Effect::Save(object) => self.unsaved.push(object),
                Effect::CleanIpc(uid) => logins::clean_ipc(uid),
                Effect::Power(effect) => self.power_effect(effect),
            }
        }
    }

    /// Queues a signal.
    pub(super) fn emit(&mut self, signal: Option<Message>) {
        if let Some(signal) = signal {
            self.send(&signal);
        }
    }

    /// Writes the files of what changed, and removes those of what is gone.
    fn save(&mut self) {
        let mut unsaved = std::mem::take(&mut self.unsaved);
        let mut seen: Vec<Object> = Vec::new();
        unsaved.retain(|object| {
            let new = !seen.contains(object);
            if new {
                seen.push(object.clone());
            }
            new
        });
        for object in unsaved {
            let text = runstead_core::sessions::state_file::text(&self.sessions, &object);
            let Some(path) = runstead_core::sessions::state_file::path(&object) else { continue };
            self.write_state(&path, text.as_deref());
        }
    }

    /// Writes a file below `/run/systemd` whole, or removes it.
    pub(super) fn write_state(&self, path: &str, text: Option<&str>) {
        self.log_failure(match text {
            Some(text) => self.state.write(path, text.as_bytes(), 0o644),
            None => self.state.remove(path),
        });
    }

    /// Makes, or takes over, a session's FIFO, and waits for it and for the leader.
    pub(super) fn open_fifo(&mut self, id: &str) {
        self.next_number += 1;
        let number = self.next_number;
        self.numbers.insert(number, id.to_owned());
        if let Some(leader) = self.coming.take().and_then(|coming| coming.leader) {
            let waited = self.reactor.add(&leader, Token::Leader(number), Priority::Exit, Interest::READ);
            if let Err(error) = waited {
                self.log(4, &format!("session {id}: cannot wait for its leader: {error}"));
            }
            self.leaders.insert(id.to_owned(), leader);
        }
        let Some(path) = self.sessions.session(id).map(|session| session.fifo_path()) else { return };
        match logins::open_fifo(&path) {
            Ok(fifo) => {
                let waited =
                    self.reactor.add(&fifo.read, Token::Fifo(number), Priority::Unit, Interest::HANGUP);
                if let Err(error) = waited {
                    self.log(4, &format!("session {id}: cannot wait for its FIFO: {error}"));
                }
                self.fifos.insert(id.to_owned(), fifo);
            }
            Err(error) => self.log(3, &format!("session {id}: {error}")),
        }
    }

    /// Leaves the writing end to whoever opened the session; with nobody there it hangs up at once.
    pub(super) fn let_fifo_go(&mut self, id: &str) {
        if let Some(fifo) = self.fifos.get_mut(id) {
            fifo.write = None;
        }
    }

    fn close_fifo(&mut self, id: &str) {
        if let Some(fifo) = self.fifos.remove(id) {
            self.reactor.remove(&fifo.read);
        }
        if let Some(leader) = self.leaders.remove(id) {
            self.reactor.remove(&leader);
        }
        self.numbers.retain(|_, other| other != id);
        self.write_state(&format!("sessions/{id}.ref"), None);
    }

    /// Answers who asked for a session: it is there.
    fn created(&mut self, call: CallId, id: &str) {
        // Whoever opened the session holds the other end, and closes it with its last copy.
        let write = self.fifos.get_mut(id).and_then(|fifo| fifo.write.take());
        let fd = write.and_then(|write| self.bus.link.as_mut().map(|link| link.put(write)));
        let (Some(session), Some(fd)) = (self.sessions.session(id), fd) else {
            // Without it nobody would notice the session's end.
            self.pending.push_back(Event::Release(id.to_owned()));
            let failed = "org.freedesktop.DBus.Error.Failed";
            return self
                .answer_kept(call, |call| Message::error(call, failed, "Cannot make the session's FIFO"));
        };
        let (uid, vtnr, path) = (session.uid, session.vtnr, session.object_path());
        let seat = session.seat.clone().unwrap_or_default();
        // The file is there before its name is known.
        self.save();
        self.answer_kept(call, |call| {
            let answer = Message::method_return(call).build(|body| {
                body.str(id).object_path(&path).str(&format!("/run/user/{uid}")).fd(fd).u32(uid);
                body.str(&seat).u32(vtnr).bool(false);
            });
            answer.unwrap_or_else(|error| {
                Message::error(call, "org.freedesktop.DBus.Error.Failed", &error.to_string())
            })
        });
    }

    fn vt_changed(&mut self) {
        if let Some(number) = self.vt.as_ref().and_then(logins::read_vt) {
            self.pending.push_back(Event::VtActive(number));
            self.offer_login(number);
        }
    }

    /// We own our name: whoever waits for it can call.
    pub(super) fn ready(&mut self) {
        self.supervisor.serving();
    }

    /// We cannot go on: the service manager starts another.
    pub(super) fn fail(&mut self, why: &str) {
        self.failure.get_or_insert_with(|| why.to_owned());
    }

    /// To the journal, through standard error.
    pub(super) fn log(&self, level: u8, text: &str) {
        eprintln!("<{level}>{text}");
    }
}
