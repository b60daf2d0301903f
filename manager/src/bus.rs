//! The system bus: we are its client, asynchronously, and never wait for it. It comes and goes; the manager does not mind.
use crate::calls::LIMITS_EXCEEDED;
use crate::clients::{BUS, Peer};
use crate::persist::{MessageRecord, ShellRecord};
use crate::shell::Shell;
use runstead_api::systemd1::BUS_NAME;
use runstead_core::engine::effect::{FdId, Request};
use runstead_core::engine::event::{Caller, Event};
use runstead_core::names::UnitName;
use runstead_os::socket::{Credentials, unix};
use runstead_wire::dbus::auth::ClientAuth;
use runstead_wire::dbus::{Connection, Kind, Limits, Message, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const DRIVER: &str = "org.freedesktop.DBus";
const DRIVER_PATH: &str = "/org/freedesktop/DBus";
/// That a name has another owner, or none any more.
const OWNER_RULE: &str = "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',\
                          interface='org.freedesktop.DBus',member='NameOwnerChanged'";
/// How long to wait before the bus is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Calls of callers that the bus has not told us of yet, the bytes of their bodies (the longest message is one of them), and
/// their descriptors.
const MAX_HELD: usize = 1024;
const MAX_HELD_BYTES: usize = 32 << 20;
const MAX_HELD_FDS: usize = 512;

/// What an answer of the bus driver is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Question {
    Hello,
    RequestName,
    /// To be told of something, or no longer: the rule.
    Match(String),
    /// Who a sender is; the calls that wait for it are in `held`.
    Credentials(String),
    /// Who owns a name of `BusName=`.
    Owner(String),
    OwnerPid {
        name: String,
        owner: String,
    },
}

/// What the bus was asked, and the calls that wait for its answer, for the next image.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BusRecord {
    questions: Vec<(u32, Question)>,
    held: Vec<(String, MessageRecord)>,
}

/// Our side of the system bus.
#[derive(Debug, Default)]
pub(crate) struct SystemBus {
    /// Senders that called `Subscribe`.
    pub subscribers: BTreeSet<String>,
    /// Jobs that callers on the bus made: these are told of them without subscribing.
    pub jobs: BTreeSet<u32>,
    /// Where its socket is.
    pub address: String,
    /// `dbus.service` (or what provides it) is up: worth connecting.
    pub wanted: bool,
    pub unique_name: Option<String>,
    questions: BTreeMap<u32, Question>,
    senders: BTreeMap<String, Caller>,
    held: BTreeMap<String, Vec<Message>>,
    watched_names: BTreeSet<String>,
    /// The bus tells us who leaves.
    pub sees_leavers: bool,
    retry_at: Option<Instant>,
}

impl SystemBus {
    /// Not connected.
    pub fn new(address: String) -> SystemBus {
        SystemBus { address, ..SystemBus::default() }
    }

    /// As the image before had it.
    /// With `connected` its connection lives on, too.
    pub fn restore(&mut self, record: &ShellRecord, connected: bool) {
        self.subscribers = record.subscribers.iter().cloned().collect();
        self.wanted = record.bus_wanted;
        self.jobs = record.bus_jobs.iter().copied().collect();
        if connected {
            self.unique_name.clone_from(&record.bus_name);
            self.sees_leavers = record.sees_leavers;
            self.watched_names = record.watched_names.iter().cloned().collect();
            let senders = record.senders.iter().map(|caller| (caller.sender.clone(), caller.clone()));
            self.senders = senders.collect();
        }
    }

    /// Names whose owners the bus tells us of.
    pub fn watched_names(&self) -> Vec<String> {
        self.watched_names.iter().cloned().collect()
    }

    /// Everybody who called.
    pub fn senders(&self) -> Vec<Caller> {
        self.senders.values().cloned().collect()
    }

    /// Whether one more call may wait until we know who sent it.
    fn has_room(&self, message: &Message) -> bool {
        let held = || self.held.values().flatten();
        let bytes: usize = held().map(|message| message.body().len()).sum();
        let fds: usize = held().map(|message| message.fds().len()).sum();
        held().count() < MAX_HELD
            && bytes.saturating_add(message.body().len()) <= MAX_HELD_BYTES
            && fds + message.fds().len() <= MAX_HELD_FDS
    }

    /// Whether a call that waits brought this descriptor.
    pub fn holds_fd(&self, fd: FdId) -> bool {
        self.held.values().flatten().any(|message| message.fds().contains(&fd.0))
    }

    /// What the next image has to know: the answers come to it.
    pub fn record(&self) -> BusRecord {
        let questions = self.questions.iter().map(|(serial, question)| (*serial, question.clone())).collect();
        let held = self.held.iter().flat_map(|(sender, held)| held.iter().map(move |one| (sender, one)));
        let held = held.filter_map(|(sender, one)| Some((sender.clone(), MessageRecord::of(one)?))).collect();
        BusRecord { questions, held }
    }

    /// As the image before had it, on the same connection.
    pub fn go_on(&mut self, record: BusRecord) {
        self.questions = record.questions.into_iter().collect();
        for (sender, message) in record.held {
            self.held.entry(sender).or_default().extend(message.message());
        }
    }

    /// Whether nobody on the bus has to do with us.
    pub fn is_alone(&self) -> bool {
        self.senders.is_empty()
    }

    /// Whether one of these connections is a sender's on the bus.
    pub fn holds(&self, mut connections: impl Iterator<Item = u64>) -> bool {
        connections.any(|id| self.senders.values().any(|caller| caller.connection == id))
    }

    /// The name of a caller by its connection's number.
    pub fn sender_of(&self, connection: u64) -> Option<String> {
        self.senders
            .values()
            .find(|caller| caller.connection == connection)
            .map(|caller| caller.sender.clone())
    }

    /// When to try again, from now.
    pub fn retry_in(&self) -> Option<Duration> {
        self.retry_at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

impl Shell {
    /// Somebody says that the bus is there (`SIGUSR1`), or its unit came up.
    pub(crate) fn bus_wanted(&mut self) {
        self.bus.wanted = true;
        self.connect_bus();
    }

    /// Connect when the bus is up and we are not connected.
    pub(crate) fn connect_bus(&mut self) {
        if self.clients.peers.contains_key(&BUS) || !self.bus.wanted {
            self.bus.retry_at = None;
            return;
        }
        match unix::connect_stream(&self.bus.address) {
            Ok(socket) => {
                self.bus.retry_at = None;
                let connection = Connection::client(ClientAuth::external(true), Limits::default());
                let credentials = Credentials { pid: 0, uid: u32::MAX, gid: u32::MAX };
                self.add_peer(BUS, Peer::new(socket, connection, credentials));
                self.ask(driver_call("Hello", |_| {}), Question::Hello);
            }
            Err(_) => self.bus.retry_at = Some(Instant::now() + RETRY),
        }
    }

    /// The connection broke: names of services are not known any more, and we try again.
    pub(crate) fn bus_lost(&mut self) {
        self.forget_questions();
        let address = std::mem::take(&mut self.bus.address);
        let wanted = self.bus.wanted;
        let lost = std::mem::replace(&mut self.bus, SystemBus { address, wanted, ..SystemBus::default() });
        lost.held.into_values().flatten().for_each(|message| self.close_unclaimed(&message));
        if wanted {
            self.bus.retry_at = Some(Instant::now() + RETRY);
        }
    }

    /// Ask the bus's driver; whether that was possible.
    fn ask(&mut self, message: Option<Message>, question: Question) -> bool {
        let serial = message.and_then(|message| self.send(BUS, &message));
        serial.map(|serial| self.bus.questions.insert(serial, question)).is_some()
    }

    /// An answer came.
    pub(crate) fn bus_reply(&mut self, message: &Message) {
        if self.authority_answered(message) {
            return;
        }
        let Some(question) = message.reply_serial().and_then(|serial| self.bus.questions.remove(&serial))
        else {
            return;
        };
        let failed = message.kind() == Kind::Error;
        match question {
            Question::Hello if !failed => {
                self.bus.unique_name = message.body_reader().str().ok().map(str::to_owned);
                self.introduce_ourselves();
            }
            Question::Hello | Question::RequestName if failed => {
                let text = message.error_text().unwrap_or("no reason given").to_owned();
                self.complain(3, &format!("the system bus refuses us: {text}"));
            }
            Question::Credentials(sender) => self.sender_known(&sender, (!failed).then_some(message)),
            Question::Owner(name) => {
                let owner = if failed { "" } else { message.body_reader().str().unwrap_or("") }.to_owned();
                self.name_owner(&name, &owner);
            }
            Question::OwnerPid { name, owner } => {
                let pid = (!failed).then(|| message.body_reader().u32().ok()).flatten();
                let pid = pid.and_then(|pid| i32::try_from(pid).ok());
                self.pending.push_back(Event::BusName { name: name.into(), owner: owner.into(), pid });
            }
            Question::Match(rule) if failed => {
                let text = message.error_text().unwrap_or("no reason given").to_owned();
                self.complain(4, &format!("the system bus does not tell us of {rule}: {text}"));
            }
            Question::Hello | Question::RequestName | Question::Match(_) => {}
        }
    }

    /// Own our name, and hear of the signals that concern us.
    fn introduce_ourselves(&mut self) {
        self.watch_leavers();
        let name = driver_call("RequestName", |writer| {
            writer.str(BUS_NAME).u32(0);
        });
        self.ask(name, Question::RequestName);
        let activation = "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',\
                          interface='org.freedesktop.systemd1.Activator',member='ActivationRequest'";
        self.add_match(activation);
        self.watch_bus_names();
        // Those that a crash left us with, if they are still there.
        for sender in self.bus.subscribers.iter().cloned().collect::<Vec<_>>() {
            self.ask_who_is(&sender);
        }
    }

    /// Hear of everybody who leaves the bus: one rule for all, since the bus allows a connection only so many.
    pub(crate) fn watch_leavers(&mut self) {
        if self.bus.unique_name.is_some() && !self.bus.sees_leavers {
            self.bus.sees_leavers = true;
            self.add_match(&format!("{OWNER_RULE},arg2=''"));
        }
    }

    /// Follow the owners of all names that services wait for, those that were loaded meanwhile among them.
    pub(crate) fn watch_bus_names(&mut self) {
        let watched = &self.bus.watched_names;
        let new = self.engine.bus_names().map(|(name, _)| name).filter(|name| !watched.contains(&***name));
        let new: Vec<String> = new.map(|name| name.to_string()).collect();
        for name in new {
            self.watch_bus_name(&name);
        }
    }

    fn add_match(&mut self, rule: &str) {
        let call = driver_call("AddMatch", |writer| {
            writer.str(rule);
        });
        self.ask(call, Question::Match(rule.to_owned()));
    }

    /// Follow the owner of a name of `BusName=`.
    pub(crate) fn watch_bus_name(&mut self, name: &str) {
        if self.bus.unique_name.is_none() || !self.bus.watched_names.insert(name.to_owned()) {
            return;
        }
        self.add_match(&owner_rule(name));
        let call = driver_call("GetNameOwner", |writer| {
            writer.str(name);
        });
        self.ask(call, Question::Owner(name.to_owned()));
    }

    /// The unit with this `BusName=` is not in memory any more.
    pub(crate) fn forget_bus_name(&mut self, name: &str) {
        if self.bus.watched_names.remove(name) {
            let rule = owner_rule(name);
            let call = driver_call("RemoveMatch", |writer| {
                writer.str(&rule);
            });
            self.ask(call, Question::Match(rule));
        }
    }

    fn name_owner(&mut self, name: &str, owner: &str) {
        if owner.is_empty() {
            self.pending.push_back(Event::BusName { name: name.into(), owner: "".into(), pid: None });
            return;
        }
        let call = driver_call("GetConnectionUnixProcessID", |writer| {
            writer.str(owner);
        });
        self.ask(call, Question::OwnerPid { name: name.to_owned(), owner: owner.to_owned() });
    }

    /// A signal from the bus.
    pub(crate) fn bus_signal(&mut self, message: &Message) {
        if message.sender() != Some(DRIVER) {
            return;
        }
        let mut body = message.body_reader();
        match message.member() {
            Some("NameOwnerChanged") => {
                if let (Ok(name), Ok(_), Ok(new)) = (body.str(), body.str(), body.str()) {
                    let (name, new) = (name.to_owned(), new.to_owned());
                    self.owner_changed(&name, &new);
                }
            }
            Some("ActivationRequest") => {
                if let Ok(unit) = body.str() {
                    let unit = unit.to_owned();
                    self.activation_request(&unit);
                }
            }
            _ => {}
        }
    }

    fn owner_changed(&mut self, name: &str, new: &str) {
        if name.starts_with(':') {
            if new.is_empty() {
                self.bus.subscribers.remove(name);
                self.forget_questions_of(name);
                if let Some(caller) = self.bus.senders.remove(name) {
                    self.pending.push_back(Event::CallerGone(caller.connection));
                }
            }
        } else if self.bus.watched_names.contains(name) {
            self.name_owner(name, new);
        }
    }

    /// The bus asks for the unit of a service (dbus-daemon(1), systemd activation). It knows the request by the unit's name.
    fn activation_request(&mut self, name: &str) {
        match UnitName::parse(name) {
            Ok(unit) => self.request_ourselves(Request::ActivateBusName { name: name.into(), unit }),
            Err(_) => self.activation_failed(
                name,
                "org.freedesktop.systemd1.NoSuchUnit",
                &format!("{name} is not a unit name"),
            ),
        }
    }

    /// Tell the bus that a unit it asked for does not come.
    pub(crate) fn activation_failed(&mut self, name: &str, error: &str, why: &str) {
        let signal = Message::signal(
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Activator",
            "ActivationFailure",
        )
        .with_destination(DRIVER)
        .build(|writer| {
            writer.str(name).str(error).str(why);
        });
        if let Ok(signal) = signal {
            self.send(BUS, &signal);
        }
    }

    /// A call over the bus: done at once when the caller is known, else when the bus has told who it is.
    pub(crate) fn bus_call(&mut self, message: &Message) {
        let Some(sender) = message.sender().map(str::to_owned) else { return };
        if let Some(caller) = self.bus.senders.get(&sender).cloned() {
            self.dispatch(BUS, message, caller);
            return;
        }
        if !self.bus.has_room(message) {
            let error = Message::error(message, LIMITS_EXCEEDED, "Too many calls wait");
            self.reply(BUS, message, error);
            return;
        }
        let first = !self.bus.held.contains_key(&sender);
        self.bus.held.entry(sender.clone()).or_default().push(message.clone());
        if first {
            self.ask_who_is(&sender);
        }
    }

    fn ask_who_is(&mut self, sender: &str) {
        let call = driver_call("GetConnectionCredentials", |writer| {
            writer.str(sender);
        });
        if !self.ask(call, Question::Credentials(sender.to_owned())) {
            self.sender_known(sender, None);
        }
    }

    fn sender_known(&mut self, sender: &str, answer: Option<&Message>) {
        let held = self.bus.held.remove(sender).unwrap_or_default();
        let Some(answer) = answer else {
            // It left before the bus could tell.
            self.bus.subscribers.remove(sender);
            return held.iter().for_each(|message| self.close_unclaimed(message));
        };
        let mut caller =
            Caller { connection: self.clients.new_id(), sender: sender.to_owned(), uid: u32::MAX, pid: 0 };
        if let Ok(Value::Dict(_, entries)) = answer.body_reader().value() {
            for (key, value) in &entries {
                let number = match value {
                    Value::Variant(inner) => inner.as_u64(),
                    _ => None,
                };
                match (key.as_str(), number) {
                    (Some("UnixUserID"), Some(uid)) => caller.uid = u32::try_from(uid).unwrap_or(u32::MAX),
                    (Some("ProcessID"), Some(pid)) => caller.pid = i32::try_from(pid).unwrap_or(0),
                    _ => {}
                }
            }
        }
        self.bus.senders.insert(sender.to_owned(), caller.clone());
        for message in held {
            self.dispatch(BUS, &message, caller.clone());
            self.close_unclaimed(&message);
        }
    }
}

fn owner_rule(name: &str) -> String {
    format!("{OWNER_RULE},arg0='{name}'")
}

fn driver_call(member: &str, write: impl FnOnce(&mut runstead_wire::dbus::Writer)) -> Option<Message> {
    Message::method_call(Some(DRIVER), DRIVER_PATH, DRIVER, member).build(write).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(bytes: usize, fds: u64) -> Message {
        let call = Message::method_call(None, "/", "a.b", "C").build(|body| {
            body.str(&"x".repeat(bytes));
            (0..fds).for_each(|fd| {
                body.fd(fd);
            });
        });
        call.expect("it can be built")
    }

    #[test]
    fn what_the_bus_was_asked_outlives_the_image() {
        let mut before = SystemBus::default();
        before.questions.insert(3, Question::Hello);
        before.questions.insert(7, Question::Credentials(":1.1".to_owned()));
        let (mut one, mut other) = (call(3, 2), call(4, 0));
        (one.serial, other.serial) = (5, 6);
        before.held.insert(":1.1".to_owned(), vec![one, other]);
        let bytes = serde_json::to_vec(&before.record()).expect("records are text");
        let mut after = SystemBus::default();
        after.go_on(serde_json::from_slice(&bytes).expect("they are read again"));
        assert_eq!(serde_json::to_vec(&after.record()).expect("again"), bytes);
        assert!(matches!(after.questions.remove(&3), Some(Question::Hello)));
        assert!(
            matches!(after.questions.remove(&7), Some(Question::Credentials(sender)) if sender == ":1.1")
        );
        assert!(after.holds_fd(FdId(1)), "their descriptors are kept");
    }

    #[test]
    fn what_waits_to_be_known_is_bounded() {
        let mut bus = SystemBus::default();
        assert!(bus.has_room(&call(MAX_HELD_BYTES - 16, 0)), "one message fits, however long");
        bus.held.insert(":1.1".to_owned(), vec![call(MAX_HELD_BYTES / 2, 250), call(0, 250)]);
        assert!(bus.has_room(&call(1000, 12)) && !bus.has_room(&call(0, 13)));
        assert!(!bus.has_room(&call(MAX_HELD_BYTES / 2, 0)), "bodies count, whoever sent them");
        bus.held.insert(":1.2".to_owned(), vec![call(0, 0); MAX_HELD - 2]);
        assert!(!bus.has_room(&call(0, 0)));
    }
}
