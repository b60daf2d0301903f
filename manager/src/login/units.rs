//! PID 1, whom we speak to directly: jobs of units, and the end of scopes.
//!
//! Whoever is on its private socket hears of everything; with `Unsubscribe` we hear only of jobs that we made and of units
//! that we hold a reference to.
use super::daemon::{Daemon, Token};
use super::link::Link;
use runstead_api::systemd1::MANAGER_PATH;
use runstead_core::names::{UnitName, unit_object_path};
use runstead_core::sessions::event::{AskId, Event};
use runstead_core::sessions::power;
use runstead_core::sessions::session::Session;
use runstead_wire::dbus::{Kind, Message, Value, Writer};
use std::collections::BTreeMap;

const SOCKET: &str = "/run/systemd/private";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SCOPE: &str = "org.freedesktop.systemd1.Scope";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What an answer is for.
#[derive(Debug)]
enum Question {
    Job(AskId),
    /// Whether a scope that was left to itself is still there.
    State(String),
    /// Signals sent on behalf of a client.
    Kill(Box<Message>),
    /// Whether the unit of an operation is there.
    Look(Looking),
    /// Whether it can be started.
    CanStart,
    /// The unit of an operation was started.
    Target,
}

/// For what somebody looks at the unit of an operation.
#[derive(Debug)]
pub(super) enum Looking {
    /// It, of this unit, is to be done.
    Operation(&'static str),
    /// A client asks whether it could be, and needs these rights.
    Can(Box<Message>, Vec<&'static str>),
}

/// Our side of the manager's private socket.
#[derive(Debug, Default)]
pub(super) struct Units {
    pub link: Option<Link>,
    questions: BTreeMap<u32, Question>,
    /// Scopes that are watched until they end, by object path.
    watched: BTreeMap<String, String>,
}

impl Daemon {
    /// Connects.
    pub(super) fn connect_units(&mut self) -> Result<(), String> {
        let link = Link::connect(SOCKET, &mut self.reactor, Token::Units);
        self.units.link = Some(link.map_err(|error| format!("cannot connect to PID 1: {error}"))?);
        self.tell_manager("Unsubscribe", |_| {});
        Ok(())
    }

    fn send_units(&mut self, message: &Message) -> Option<u32> {
        self.units.link.as_mut()?.send(message)
    }

    fn tell_manager(&mut self, member: &str, write: impl FnOnce(&mut Writer)) -> Option<u32> {
        let call = Message::method_call(None, MANAGER_PATH, MANAGER, member).build(write).ok()?;
        self.send_units(&call)
    }

    fn ask_job(&mut self, ask: AskId, member: &str, write: impl FnOnce(&mut Writer)) {
        match self.tell_manager(member, write) {
            Some(serial) => {
                self.units.questions.insert(serial, Question::Job(ask));
            }
            None => {
                self.pending.push_back(Event::Refused(ask, "The service manager is not there".to_owned()))
            }
        }
    }

    /// `StartUnit`.
    pub(super) fn start_unit(&mut self, ask: AskId, unit: &str) {
        self.ask_job(ask, "StartUnit", |body| {
            body.str(unit).str("replace");
        });
    }

    /// `StartUnit` of what nobody waits for, and what may not exist.
    pub(super) fn start_quietly(&mut self, unit: &str) {
        self.tell_manager("StartUnit", |body| {
            body.str(unit).str("fail");
        });
    }

    /// Finds out whether the unit of an operation can be started at all.
    pub(super) fn look_at(&mut self, unit: &str, looking: Looking) {
        match self.get_property(unit, "LoadState") {
            Some(serial) => {
                self.units.questions.insert(serial, Question::Look(looking));
            }
            None => self.looked(looking, false),
        }
    }

    fn get_property(&mut self, unit: &str, property: &str) -> Option<u32> {
        let name = UnitName::parse(unit).ok()?;
        let get = Message::method_call(None, &unit_object_path(&name), PROPERTIES, "Get");
        let get = get.build(|body| {
            body.str(UNIT).str(property);
        });
        self.send_units(&get.ok()?)
    }

    fn looked(&mut self, looking: Looking, there: bool) {
        match looking {
            Looking::Operation(unit) => {
                let asked = if there { self.get_property(unit, "CanStart") } else { None };
                match asked {
                    Some(serial) => {
                        self.units.questions.insert(serial, Question::CanStart);
                    }
                    None => self.found(power::Unit::Missing),
                }
            }
            Looking::Can(call, needed) => self.can_looked(&call, needed, there),
        }
    }

    fn found(&mut self, unit: power::Unit) {
        self.pending.push_back(Event::Power(power::Event::Looked(unit)));
    }

    /// Starts the unit of an operation: nothing may take it back.
    pub(super) fn start_target(&mut self, unit: &str) {
        let serial = self.tell_manager("StartUnit", |body| {
            body.str(unit).str("replace-irreversibly");
        });
        match serial {
            Some(serial) => {
                self.units.questions.insert(serial, Question::Target);
            }
            None => {
                self.target_failed("org.freedesktop.DBus.Error.NoReply", "The service manager is not there")
            }
        }
    }

    fn target_failed(&mut self, name: &str, text: &str) {
        self.pending.push_back(Event::Power(power::Event::Failed(name.to_owned(), text.to_owned())));
    }

    /// `StopUnit`.
    pub(super) fn stop_unit(&mut self, ask: AskId, unit: &str) {
        self.ask_job(ask, "StopUnit", |body| {
            body.str(unit).str("fail");
        });
    }

    /// `StartTransientUnit` of a session's scope, with its leader and what PAM wants set.
    pub(super) fn start_scope(&mut self, ask: AskId, id: &str) {
        let Some(session) = self.sessions.session(id) else { return };
        let user = self.sessions.user(session.uid);
        let (name, home) = user.map_or(("", ""), |user| (&*user.record.name, &*user.record.home));
        let rows = scope_properties(session, name, home);
        let coming = self.coming.as_mut();
        let leader = coming.as_ref().and_then(|coming| coming.leader.as_ref()?.try_clone().ok());
        let more = coming.map(|coming| std::mem::take(&mut coming.properties)).unwrap_or_default();
        let scope = session.scope.clone().unwrap_or_default();
        let pid = session.leader.cast_unsigned();
        let fd = leader.and_then(|leader| self.units.link.as_mut().map(|link| link.put(leader)));
        self.ask_job(ask, "StartTransientUnit", |body| {
            body.str(&scope).str("fail").array("(sv)", |list| {
                for (name, value) in rows.iter().chain(&more) {
                    list.open_struct().str(name).value(&Value::variant(value.clone())).close();
                }
                list.open_struct();
                match fd {
                    Some(fd) => list.str("PIDFDs").variant("ah", |value| {
                        value.array("h", |list| {
                            list.fd(fd);
                        });
                    }),
                    None => list.str("PIDs").variant("au", |value| {
                        value.array("u", |list| {
                            list.u32(pid);
                        });
                    }),
                };
                list.close();
            });
            body.array("(sa(sv))", |_| {});
        });
        self.flush_units();
    }

    /// Leaves a scope to itself, and watches it until it is empty.
    pub(super) fn abandon(&mut self, scope: &str) {
        let Ok(name) = UnitName::parse(scope) else { return };
        let path = unit_object_path(&name);
        self.send_units(&Message::method_call(None, &path, SCOPE, "Abandon"));
        self.tell_manager("RefUnit", |body| {
            body.str(scope);
        });
        let get = Message::method_call(None, &path, PROPERTIES, "Get").build(|body| {
            body.str(UNIT).str("ActiveState");
        });
        let Some(serial) = get.ok().and_then(|get| self.send_units(&get)) else { return };
        self.units.questions.insert(serial, Question::State(scope.to_owned()));
        self.units.watched.insert(path, scope.to_owned());
    }

    fn scope_ended(&mut self, scope: &str) {
        let Ok(name) = UnitName::parse(scope) else { return };
        if self.units.watched.remove(&unit_object_path(&name)).is_some() {
            self.tell_manager("UnrefUnit", |body| {
                body.str(scope);
            });
            self.pending.push_back(Event::UnitGone(scope.to_owned()));
        }
    }

    /// `KillUnit` on behalf of a client, who is answered when it is done.
    pub(super) fn kill_unit(&mut self, call: &Message, unit: &str, whom: &str, signal: i32) {
        let serial = self.tell_manager("KillUnit", |body| {
            body.str(unit).str(whom).i32(signal);
        });
        if let Some(serial) = serial {
            self.units.questions.insert(serial, Question::Kill(Box::new(call.clone())));
        }
    }

    /// Something came; `false` when PID 1 closed the connection.
    pub(super) fn read_units(&mut self) -> bool {
        let Some(link) = self.units.link.as_mut() else { return false };
        if !link.read() {
            return false;
        }
        while let Some(next) = self.units.link.as_mut().and_then(Link::next) {
            let Ok(message) = next else { return false };
            match message.kind() {
                Kind::Signal => self.unit_signal(&message),
                Kind::MethodReturn | Kind::Error => self.unit_answer(&message),
                Kind::MethodCall => {}
            }
            if let Some(link) = self.units.link.as_mut() {
                link.close_fds(&message);
            }
        }
        true
    }

    fn unit_answer(&mut self, message: &Message) {
        let question = message.reply_serial().and_then(|serial| self.units.questions.remove(&serial));
        let failed = message.kind() == Kind::Error;
        match question {
            Some(Question::Job(ask)) if failed => {
                let why = message.error_text().unwrap_or("refused by the service manager").to_owned();
                self.log(4, &format!("a unit of a session: {why}"));
                self.pending.push_back(Event::Refused(ask, why));
            }
            Some(Question::Job(ask)) => {
                let path = message.body_reader().object_path().unwrap_or("/").to_owned();
                self.pending.push_back(Event::Queued(ask, path));
            }
            Some(Question::Look(looking)) => {
                let mut body = message.body_reader();
                let there = !failed
                    && body.enter_variant().is_ok()
                    && body.str().is_ok_and(|state| state == "loaded");
                self.looked(looking, there);
            }
            Some(Question::CanStart) => {
                let mut body = message.body_reader();
                let can = !failed && body.enter_variant().is_ok() && body.bool() == Ok(true);
                self.found(if can { power::Unit::Ready } else { power::Unit::Doubtful });
            }
            Some(Question::Target) if failed => {
                let name = message.error_name().unwrap_or("org.freedesktop.DBus.Error.Failed");
                self.target_failed(name, message.error_text().unwrap_or(""));
            }
            Some(Question::Target) => {
                let path = message.body_reader().object_path().unwrap_or("/").to_owned();
                self.pending.push_back(Event::Power(power::Event::Started(path)));
            }
            Some(Question::State(scope)) => {
                let mut body = message.body_reader();
                let lives = !failed && body.enter_variant().is_ok() && body.str().is_ok_and(lives);
                if !lives {
                    self.scope_ended(&scope);
                }
            }
            Some(Question::Kill(call)) => {
                let answer = match message.kind() {
                    Kind::Error => {
                        let (name, text) = (message.error_name(), message.error_text());
                        Message::error(
                            &call,
                            name.unwrap_or("org.freedesktop.DBus.Error.Failed"),
                            text.unwrap_or(""),
                        )
                    }
                    _ => Message::method_return(&call),
                };
                self.send(&answer);
            }
            None => {}
        }
    }

    fn unit_signal(&mut self, message: &Message) {
        let mut body = message.body_reader();
        match message.member() {
            Some("JobRemoved") => {
                let row = (body.u32(), body.object_path(), body.str(), body.str());
                if let (Ok(_), Ok(path), Ok(_), Ok(result)) = row {
                    let event = Event::JobRemoved { path: path.to_owned(), result: result.to_owned() };
                    self.pending.push_back(event);
                }
            }
            Some("PropertiesChanged") => {
                let scope = message.path().and_then(|path| self.units.watched.get(path)).cloned();
                let (Some(scope), Ok(UNIT), Ok(Value::Dict(_, rows))) = (scope, body.str(), body.value())
                else {
                    return;
                };
                let state = rows.iter().find(|(key, _)| key.as_str() == Some("ActiveState"));
                if state.and_then(|(_, value)| value.as_str()).is_some_and(|state| !lives(state)) {
                    self.scope_ended(&scope);
                }
            }
            _ => {}
        }
    }
}

/// Whether a unit in that state may still have processes.
fn lives(state: &str) -> bool {
    !matches!(state, "inactive" | "failed")
}

/// What a session's scope is like.
fn scope_properties(session: &Session, name: &str, home: &str) -> Vec<(String, Value)> {
    let uid = session.uid;
    let runtime = format!("user-runtime-dir@{uid}.service");
    let manager = format!("user@{uid}.service");
    let mut after = vec![runtime.clone()];
    let mut rows = vec![
        ("Slice", Value::Str(format!("user-{uid}.slice"))),
        ("Description", Value::Str(format!("Session {} of User {name}", session.id))),
        ("Requires", Value::strings([runtime])),
    ];
    if session.class.wants_manager() {
        rows.push(("Wants", Value::strings([manager.clone()])));
        after.push(manager);
    }
    after.push("systemd-logind.service".to_owned());
    if !session.class.is_early() {
        after.push("systemd-user-sessions.service".to_owned());
    }
    rows.push(("After", Value::strings(after)));
    if home.starts_with('/') {
        rows.push(("RequiresMountsFor", Value::strings([home])));
    }
    rows.push(("SendSIGHUP", Value::Bool(true)));
    rows.push(("OOMPolicy", Value::Str("continue".to_owned())));
    rows.push(("TasksMax", Value::U64(u64::MAX)));
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
