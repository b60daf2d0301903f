//! The system bus: our name, and who calls.
use super::daemon::{Daemon, Token};
use super::link::Link;
use runstead_api::login1::BUS_NAME;
use runstead_wire::dbus::{Kind, Message, Value, Writer};
use std::collections::BTreeMap;

const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
const DRIVER: &str = "org.freedesktop.DBus";
const DRIVER_PATH: &str = "/org/freedesktop/DBus";
/// Callers that are remembered: the bus gives no name twice.
const MAX_CALLERS: usize = 512;
/// Calls that wait for the bus to tell who their callers are.
const MAX_HELD: usize = 1024;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub uid: u32,
    pub pid: i32,
}

/// What an answer of the bus driver is for.
#[derive(Debug)]
enum Question {
    Hello,
    RequestName,
    Credentials(String),
    /// Of who asks for a session: nothing else of it matters, and the bus has less to look up.
    User(String),
    /// What was sent before is with its receivers: this unit can be started.
    Told(&'static str),
}

/// Our side of the bus.
#[derive(Debug, Default)]
pub(super) struct Bus {
    pub link: Option<Link>,
    questions: BTreeMap<u32, Question>,
    callers: BTreeMap<String, Caller>,
    held: BTreeMap<String, Vec<Message>>,
}

impl Daemon {
    /// Connects, and asks for our name.
    pub(super) fn connect_bus(&mut self) -> Result<(), String> {
        let link = Link::connect(SYSTEM_BUS, &mut self.reactor, Token::Bus);
        self.bus.link = Some(link.map_err(|error| format!("cannot connect to the system bus: {error}"))?);
        self.ask_driver("Hello", |_| {}, Question::Hello);
        self.ask_driver(
            "RequestName",
            |body| {
                body.str(BUS_NAME).u32(0);
            },
            Question::RequestName,
        );
        Ok(())
    }

    fn ask_driver(&mut self, member: &str, write: impl FnOnce(&mut Writer), question: Question) {
        let call = Message::method_call(Some(DRIVER), DRIVER_PATH, DRIVER, member).build(write);
        if let Ok(call) = call
            && let Some(serial) = self.send(&call)
        {
            self.bus.questions.insert(serial, question);
        }
    }

    /// Starts the unit of an operation as soon as the bus has passed on what it got from us: it may be the first to be stopped.
    pub(super) fn start_when_told(&mut self, unit: &'static str) {
        let ping = Message::method_call(Some(DRIVER), DRIVER_PATH, "org.freedesktop.DBus.Peer", "Ping");
        match self.send(&ping) {
            Some(serial) => {
                self.bus.questions.insert(serial, Question::Told(unit));
            }
            None => self.start_target(unit),
        }
    }

    /// Queues a message on the bus.
    pub(super) fn send(&mut self, message: &Message) -> Option<u32> {
        self.bus.link.as_mut()?.send(message)
    }

    /// Something came; `false` when the bus is gone.
    pub(super) fn read_bus(&mut self) -> bool {
        let Some(link) = self.bus.link.as_mut() else { return false };
        if !link.read() {
            return false;
        }
        while let Some(next) = self.bus.link.as_mut().and_then(Link::next) {
            let Ok(message) = next else { return false };
            let kept = self.handle(&message);
            if let Some(link) = self.bus.link.as_mut().filter(|_| !kept) {
                link.close_fds(&message);
            }
        }
        true
    }

    /// Handles a message; whether it is kept for later, with its descriptors.
    fn handle(&mut self, message: &Message) -> bool {
        match message.kind() {
            Kind::MethodCall => self.called(message),
            Kind::MethodReturn | Kind::Error => {
                self.answered(message);
                false
            }
            Kind::Signal => false,
        }
    }

    fn called(&mut self, message: &Message) -> bool {
        let Some(sender) = message.sender() else { return false };
        if let Some(caller) = self.bus.callers.get(sender) {
            let caller = *caller;
            return self.method_call(message, caller);
        }
        if self.bus.held.values().map(Vec::len).sum::<usize>() >= MAX_HELD {
            let error = Message::error(
                message,
                "org.freedesktop.DBus.Error.LimitsExceeded",
                "Too many calls wait to be looked at",
            );
            self.send(&error);
            return false;
        }
        let sender = sender.to_owned();
        let held = self.bus.held.entry(sender.clone()).or_default();
        held.push(message.clone());
        if held.len() == 1 {
            let name = sender.clone();
            let ask = move |body: &mut Writer| {
                body.str(&name);
            };
            match message.member() {
                Some("CreateSessionWithPIDFD") => {
                    self.ask_driver("GetConnectionUnixUser", ask, Question::User(sender));
                }
                _ => self.ask_driver("GetConnectionCredentials", ask, Question::Credentials(sender)),
            }
        }
        true
    }

    fn answered(&mut self, message: &Message) {
        if self.polkit_answered(message) || self.probe_answered(message) {
            return;
        }
        let question = message.reply_serial().and_then(|serial| self.bus.questions.remove(&serial));
        let failed = message.kind() == Kind::Error;
        match question {
            Some(Question::RequestName) => {
                // 1: we own it now. Anything else means that another login manager runs.
                if failed || message.body_reader().u32() != Ok(1) {
                    self.fail("the name org.freedesktop.login1 is taken, or refused by the bus");
                } else {
                    self.ready();
                }
            }
            Some(Question::Hello) if failed => self.fail("the system bus refuses us"),
            Some(Question::Told(unit)) => self.start_target(unit),
            Some(Question::Credentials(sender)) => {
                let caller = if failed { None } else { credentials(message) };
                self.caller_known(&sender, caller, true);
            }
            Some(Question::User(sender)) => {
                let uid = if failed { None } else { message.body_reader().u32().ok() };
                self.caller_known(&sender, uid.map(|uid| Caller { uid, pid: 0 }), false);
            }
            _ => {}
        }
    }

    /// The bus has told who a sender is; `whole`: with its process, so that it is remembered.
    fn caller_known(&mut self, sender: &str, caller: Option<Caller>, whole: bool) {
        let mut held = self.bus.held.remove(sender).unwrap_or_default();
        if !whole && held.len() > 1 {
            // What came meanwhile may need more: it is asked about anew.
            let others = held.split_off(1);
            let (name, question) = (sender.to_owned(), Question::Credentials(sender.to_owned()));
            let ask = move |body: &mut Writer| {
                body.str(&name);
            };
            self.bus.held.insert(sender.to_owned(), others);
            self.ask_driver("GetConnectionCredentials", ask, question);
        }
        if let Some(caller) = caller.filter(|_| whole) {
            if self.bus.callers.len() >= MAX_CALLERS {
                self.bus.callers.clear();
            }
            self.bus.callers.insert(sender.to_owned(), caller);
        }
        for message in held {
            // Who has left already gets no answer.
            let kept = caller.is_some_and(|caller| self.method_call(&message, caller));
            if let Some(link) = self.bus.link.as_mut().filter(|_| !kept) {
                link.close_fds(&message);
            }
        }
    }
}

/// `a{sv}` of `GetConnectionCredentials`.
fn credentials(answer: &Message) -> Option<Caller> {
    let Ok(Value::Dict(_, rows)) = answer.body_reader().value() else { return None };
    let find = |name: &str| {
        let row = rows.iter().find(|(key, _)| key.as_str() == Some(name));
        row.and_then(|(_, value)| value.as_u64())
    };
    let pid = find("ProcessID").and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    Some(Caller { uid: u32::try_from(find("UnixUserID")?).ok()?, pid })
}
