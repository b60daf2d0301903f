//! Method calls of clients: answered at once, handed to the engine, or held until something is known.
use crate::clients::{BUS, PeerId};
use crate::shell::Shell;
use runstead_api::systemd1::action::{Action, Operation, Read, Shape};
use runstead_api::systemd1::authority::Access;
use runstead_api::systemd1::errors::Error;
use runstead_api::systemd1::route::{self, Call, Target};
use runstead_api::systemd1::{answer, introspect, manager_properties, objects};
use runstead_core::directives::ids;
use runstead_core::engine::RateLimit;
use runstead_core::engine::effect::{CallId, Failure, FdId, Request, Response};
use runstead_core::engine::event::{Caller, Event};
use runstead_core::names::UnitName;
use runstead_wire::dbus::{self, Message};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

/// Calls under way; one more is refused.
const MAX_CALLS: usize = 16384;
/// Names in one list, and those among them that are not in memory; of a longer list the answer would be too long.
const MAX_NAMES: usize = 1 << 17;
const MAX_MISSING: usize = 16384;

/// Instead of a connection that went while its call was under way.
const GONE: PeerId = PeerId::MAX;

/// The error of what is refused because too much waits already.
pub(crate) const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";

/// A call the engine works on.
#[derive(Debug)]
pub(crate) struct Pending {
    pub peer: PeerId,
    pub message: Message,
    pub what: Wanted,
    pub caller: Caller,
}

/// What happens with the engine's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It becomes the reply.
    Reply(Shape),
    /// The unit was loaded for the call, which had got so far: now do it.
    Again(Past),
}

/// What a call has waited for and got. The unit that it is about may be out of memory again by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nothing yet.
    Nothing,
    /// A look at the run root.
    Look,
    /// polkit, which allowed it.
    Polkit,
}

/// How far a call is.
#[derive(Debug, Clone, Copy)]
struct Standing {
    past: Past,
    /// What it needs in memory was loaded just now, and is not loaded once more.
    loaded: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Calls {
    pub pending: BTreeMap<CallId, Pending>,
    next: u64,
    /// Dumps for callers who are not root: each costs a walk over all units.
    dumps: RateLimit,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls { pending: BTreeMap::new(), next: 0, dumps: RateLimit::new(600_000_000, 10) }
    }
}

impl Calls {
    /// The id of a new call.
    pub fn new_id(&mut self) -> CallId {
        self.next += 1;
        CallId(self.next)
    }

    /// The last id that was given out.
    pub fn last(&self) -> u64 {
        self.next
    }

    /// Give out ids after those of the image before.
    pub fn resume_after(&mut self, last: u64) {
        self.next = self.next.max(last);
    }
}

impl Shell {
    /// A method call came in.
    pub(crate) fn method_call(&mut self, peer: PeerId, message: &Message) {
        if peer == BUS {
            // Who sent it must be asked from the bus first.
            self.bus_call(message);
        } else {
            let caller = self.private_caller(peer);
            self.dispatch(peer, message, caller);
        }
    }

    /// Do a call of a known caller.
    pub(crate) fn dispatch(&mut self, peer: PeerId, message: &Message, caller: Caller) {
        self.dispatch_past(peer, message, caller, Past::Nothing);
    }

    /// Do a call that waited for something.
    pub(crate) fn dispatch_past(&mut self, peer: PeerId, message: &Message, caller: Caller, past: Past) {
        self.dispatch_as(peer, message, caller, Standing { past, loaded: false });
    }

    fn dispatch_as(&mut self, peer: PeerId, message: &Message, caller: Caller, standing: Standing) {
        match self.try_dispatch(peer, message, &caller, standing) {
            Ok(Some(reply)) => self.reply(peer, message, reply),
            Ok(None) => {}
            Err(error) => self.reply(peer, message, Message::error(message, error.name, &error.message)),
        }
    }

    fn try_dispatch(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
        standing: Standing,
    ) -> Result<Option<Message>, Error> {
        let Standing { past, loaded } = standing;
        let again = Wanted::Again(past);
        let (target, call) = route::route(message)?;
        let unit = match self.unit_target(&target, caller)? {
            Some(unit) if self.unit_id(&unit).is_none() && needs_loaded(&call) => {
                if loaded {
                    return Err(Error::unknown_object(message.path().unwrap_or("/")));
                }
                self.request(peer, message, caller, Request::LoadUnit(unit), again)?;
                return Ok(None);
            }
            unit => unit,
        };
        if let Call::Action(Action::Read(Read::ListUnitsByNames(names))) = &call
            && !loaded
            && self.load_names(peer, message, caller, names, again)?
        {
            return Ok(None);
        }
        match call {
            Call::Action(action) => self.act(peer, message, caller, action, standing),
            Call::UnitMethod => match unit {
                Some(unit) => {
                    let action = route::unit_method(&unit, message)?;
                    self.act(peer, message, caller, action, standing)
                }
                None => Err(Error::unknown_object(message.path().unwrap_or("/"))),
            },
            Call::Set { property, value } => {
                require_root(caller)?;
                let operation = manager_properties::set(&property, &value)?;
                self.operate(peer, message, caller, operation)
            }
            call if unit.is_some() && past != Past::Look && self.awaits_shares(&call) => {
                self.await_shares(peer, message, caller).map(|()| None)
            }
            call => self.look(message, &target, unit.as_ref(), &call).map(Some),
        }
    }

    /// Load the units of a list that are not in memory; whether there were any. The call is done again when they are: one request
    /// for all of them, so that none goes before the others are there, and that a long list is held once.
    fn load_names(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
        names: &[String],
        again: Wanted,
    ) -> Result<bool, Error> {
        let mut seen = BTreeSet::new();
        let names_of_units = names.iter().filter_map(|name| UnitName::parse(name).ok());
        let missing: Vec<UnitName> =
            names_of_units.filter(|name| self.unit_id(name).is_none() && seen.insert(name.clone())).collect();
        if names.len() > MAX_NAMES || missing.len() > MAX_MISSING {
            return Err(Error::new(LIMITS_EXCEEDED, "The list has too many names"));
        }
        if missing.is_empty() {
            return Ok(false);
        }
        self.request(peer, message, caller, Request::LoadUnits(missing.into()), again)?;
        Ok(true)
    }

    /// The unit that a path names, whatever way.
    fn unit_target(&self, target: &Target, caller: &Caller) -> Result<Option<UnitName>, Error> {
        match target {
            Target::Unit(name) => Ok(Some(name.clone())),
            Target::Invocation(id) => {
                let unit = self.engine.units().find(|unit| unit.invocation.as_deref() == Some(id));
                unit.map(|unit| Some(unit.name.clone())).ok_or_else(|| {
                    Error::new(
                        "org.freedesktop.systemd1.NoUnitForInvocationID",
                        format!("No unit with the specified invocation ID {id} known."),
                    )
                })
            }
            Target::CallersUnit => answer::unit_of_pid(&self.engine, &self.facts(), caller.pid).map(Some),
            _ => Ok(None),
        }
    }

    /// Properties, introspection and the like.
    fn look(
        &self,
        message: &Message,
        target: &Target,
        unit: Option<&UnitName>,
        call: &Call,
    ) -> Result<Message, Error> {
        let reply = Message::method_return(message);
        let facts = self.facts();
        let id = unit.and_then(|name| self.unit_id(name));
        let body = |write: &mut dyn FnMut(&mut runstead_wire::dbus::Writer) -> Result<(), Error>| {
            let mut failed = Ok(());
            let reply = reply.clone().build(|writer| failed = write(writer));
            failed?;
            reply.map_err(Error::from)
        };
        match call {
            Call::Ping => Ok(reply.clone()),
            Call::MachineId => body(&mut |writer| {
                writer.str(&self.host.host.identity.machine_id);
                Ok(())
            }),
            Call::Introspect => {
                let text = introspect::text(&self.engine, target, id);
                body(&mut |writer| {
                    writer.str(&text);
                    Ok(())
                })
            }
            Call::Get { interface, property } => body(&mut |writer| {
                objects::get(&self.engine, &facts, (target, id), (interface, property), writer)
            }),
            Call::GetAll { interface } => {
                body(&mut |writer| objects::get_all(&self.engine, &facts, (target, id), interface, writer))
            }
            Call::Action(_) | Call::UnitMethod | Call::Set { .. } => Ok(reply.clone()),
        }
    }

    fn act(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
        action: Action,
        standing: Standing,
    ) -> Result<Option<Message>, Error> {
        let Standing { past, loaded } = standing;
        match action {
            Action::Read(read) => self.read_action(message, caller, &read).map(Some),
            Action::Engine(request, shape) => {
                let request = self.with_own_unit(request, caller)?;
                if let Some(failure) = self.engine.refuses(caller, &request) {
                    return Err(Error::from(&failure));
                }
                if require_root(caller).is_err() && !self.is_allowed_to_attach(&request, caller) {
                    if !loaded && let Some(unit) = self.unit_to_judge(&request) {
                        self.request(peer, message, caller, Request::LoadUnit(unit), Wanted::Again(past))?;
                        return Ok(None);
                    }
                    let access = Access::to_request(&request, |name| self.primary_name(name));
                    if !self.may(peer, message, caller, access, past)? {
                        return Ok(None);
                    }
                }
                let request = self.with_pids(request);
                self.request(peer, message, caller, request, Wanted::Reply(shape))?;
                Ok(None)
            }
            Action::Shell(operation) => {
                if !self.may(peer, message, caller, Access::to_operation(&operation), past)? {
                    return Ok(None);
                }
                self.operate(peer, message, caller, operation)
            }
        }
    }

    /// The unit of a request that has to be in memory before polkit is asked: its rules know units by their own names.
    fn unit_to_judge(&self, request: &Request) -> Option<UnitName> {
        match request {
            Request::Enqueue { unit, .. }
            | Request::SetProperties { unit, .. }
            | Request::Ref(unit, true) => Some(unit.clone()).filter(|unit| self.unit_id(unit).is_none()),
            _ => None,
        }
    }

    fn primary_name(&self, name: &UnitName) -> UnitName {
        self.engine.find_unit(name).map_or_else(|| name.clone(), |unit| unit.name.clone())
    }

    /// Whether a call may be done now. When polkit has to be asked it is done later, or refused.
    fn may(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
        access: Access,
        past: Past,
    ) -> Result<bool, Error> {
        match access {
            Access::Everybody => Ok(true),
            // Users' managers have no actions of their own.
            Access::Ask(question) if peer == BUS && !self.options.user && require_root(caller).is_err() => {
                if past == Past::Polkit {
                    return Ok(true);
                }
                self.ask_authority(message, caller, &question).map(|()| false)
            }
            Access::Ask(_) | Access::Root => require_root(caller).map(|()| true),
        }
    }

    /// `PIDFDs` of a transient scope as process ids.
    fn with_pids(&mut self, mut request: Request) -> Request {
        if let Request::StartTransient { pids, fds, .. } = &mut request {
            let (by_fd, kept) = std::mem::take(fds).into_iter().partition(|(role, _)| &**role == "PIDFDs");
            *fds = kept;
            let by_fd: Vec<(Rc<str>, FdId)> = by_fd;
            for (_, fd) in by_fd {
                pids.extend(self.fds.get(fd).and_then(runstead_os::process::pid_of_pidfd));
                self.close_fd(fd);
            }
        }
        request
    }

    /// `AttachProcessesToUnit` without a unit means the caller's.
    fn with_own_unit(&self, request: Request, caller: &Caller) -> Result<Request, Error> {
        let Request::AttachToOwn { subgroup, pids } = request else { return Ok(request) };
        let cgroup = self.ownership.cgroups().and_then(|cgroups| cgroups.of_process(caller.pid));
        let unit = cgroup.and_then(|path| self.engine.unit_of_cgroup(&path));
        let unit = unit.map(|id| self.engine.unit(id).name.clone());
        let unit = unit.ok_or_else(|| Error::invalid_args("The caller's process belongs to no unit"))?;
        Ok(Request::Attach { unit, subgroup, pids })
    }

    /// Users may move their own processes into what is delegated to them: their manager asks for it.
    fn is_allowed_to_attach(&self, request: &Request, caller: &Caller) -> bool {
        let Request::Attach { unit, pids, .. } = request else { return false };
        let settings = self.engine.find_unit(unit).map(|unit| &unit.settings);
        let owner = settings.filter(|settings| settings.delegate().is_some());
        let owner = owner.and_then(|settings| settings.text(ids::USER));
        let is_callers = |name: &str| self.host.users.user(name).is_ok_and(|user| user.uid == caller.uid);
        let theirs = |pid: &i32| runstead_os::process::uid(*pid).is_ok_and(|uid| uid == caller.uid);
        owner.is_some_and(is_callers) && pids.iter().all(theirs)
    }

    fn may_dump(&mut self, caller: &Caller) -> Result<(), Error> {
        let now = runstead_os::timer::now().monotonic;
        if require_root(caller).is_ok() || self.calls.dumps.pass(now) {
            return Ok(());
        }
        let limit = &self.calls.dumps;
        let left = (limit.begin + limit.interval).saturating_sub(now);
        let left = runstead_core::values::span::format(left, 1_000_000);
        let text =
            format!("Unprivileged callers asked for too many dumps; the next one is possible in {left}");
        Err(Error::new(LIMITS_EXCEEDED, text))
    }

    fn read_action(&mut self, message: &Message, caller: &Caller, read: &Read) -> Result<Message, Error> {
        if let Read::UnitByPidFd(fd) = read {
            let pid = self.fds.get(FdId(*fd)).and_then(runstead_os::process::pid_of_pidfd);
            let pid = pid.ok_or_else(|| {
                Error::invalid_args("The descriptor is not a pidfd of a process that is alive")
            })?;
            return answer::unit_by_pidfd(&self.engine, &self.facts(), pid, message);
        }
        if let Read::Dump { .. } = read {
            self.may_dump(caller)?;
        }
        let text = match read {
            Read::Dump { patterns, by_fd: true } => Some(answer::dump(&self.engine, patterns)),
            _ => None,
        };
        match text {
            Some(text) => {
                let file = runstead_os::rundir::memory_file("systemd-dump", text.as_bytes())
                    .map_err(|error| Error::new("org.freedesktop.DBus.Error.IOError", error.to_string()))?;
                let id = self.fds.arrived(file);
                Message::method_return(message)
                    .build(|writer| {
                        writer.fd(id.0);
                    })
                    .map_err(Error::from)
            }
            None => answer::read(&self.engine, &self.facts(), caller, read, message),
        }
    }

    /// Hand a request to the engine on behalf of a call.
    fn request(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
        request: Request,
        what: Wanted,
    ) -> Result<(), Error> {
        if self.calls.pending.len() >= MAX_CALLS {
            return Err(Error::new(LIMITS_EXCEEDED, "Too many calls are under way"));
        }
        let call = self.calls.new_id();
        let pending = Pending { peer, message: message.clone(), what, caller: caller.clone() };
        self.calls.pending.insert(call, pending);
        self.pending.push_back(Event::Call { call, caller: caller.clone(), request: Box::new(request) });
        Ok(())
    }

    /// A request of the shell itself: nobody waits for the answer.
    pub(crate) fn request_ourselves(&mut self, request: Request) {
        let call = self.calls.new_id();
        self.pending.push_back(Event::Call { call, caller: Caller::default(), request: Box::new(request) });
    }

    /// Who made a job is told how it ended.
    fn remember_job(&mut self, peer: PeerId, job: u32) {
        if peer == BUS {
            self.bus.jobs.insert(job);
        } else if let Some(jobs) = self.clients.peers.get_mut(&peer).and_then(|peer| peer.quiet.as_mut()) {
            jobs.insert(job);
        }
    }

    /// The engine answers a call.
    pub(crate) fn answered(&mut self, call: CallId, result: Result<Response, Failure>) {
        let Some(pending) = self.calls.pending.remove(&call) else { return };
        let Pending { peer, message, what, caller } = pending;
        if peer == GONE {
            return self.close_unclaimed(&message);
        }
        let reply = match (what, result) {
            (Wanted::Again(past), Ok(_)) => {
                self.dispatch_as(peer, &message, caller, Standing { past, loaded: true });
                return self.close_unclaimed(&message);
            }
            (Wanted::Reply(shape), Ok(response)) => {
                if let Response::Job { job, .. } = &response {
                    self.remember_job(peer, job.0);
                }
                answer::response(&message, shape, &response)
            }
            (_, Err(failure)) => {
                let error = Error::from(&failure);
                Message::error(&message, error.name, &error.message)
            }
        };
        self.reply(peer, &message, reply);
        self.close_unclaimed(&message);
    }

    /// Queue the answers to `Reexecute` without sending them.
    pub(crate) fn answer_reexecution(&mut self) {
        let asked: Vec<CallId> = self
            .calls
            .pending
            .iter()
            .filter(|(_, pending)| pending.message.member() == Some("Reexecute"))
            .map(|(call, _)| *call)
            .collect();
        for call in asked {
            self.answered(call, Ok(Response::Done));
        }
    }

    /// Send a reply, if the caller wants one. One that cannot be sent is an error for that call, and nothing else.
    pub(crate) fn reply(&mut self, peer: PeerId, call: &Message, reply: Message) {
        let reply = match call.sender() {
            Some(sender) => reply.with_destination(sender),
            None => reply,
        };
        let sent = call.wants_reply().then(|| self.queue(peer, &reply));
        if let Some(Err(fault)) = &sent {
            self.send(peer, &unsent(call, fault));
        }
        if !matches!(sent, Some(Ok(_))) {
            reply.fds().iter().for_each(|fd| self.close_fd(FdId(*fd)));
        }
    }

    /// A connection went: its calls go on, with the descriptors that they brought, but nobody is told.
    pub(crate) fn forget_calls(&mut self, peer: PeerId) {
        let theirs = self.calls.pending.values_mut().filter(|pending| pending.peer == peer);
        theirs.for_each(|pending| pending.peer = GONE);
        self.shares.forget(peer);
    }

    /// Whether a call that is under way took this descriptor over.
    pub(crate) fn is_claimed(&self, fd: FdId) -> bool {
        self.calls.pending.values().any(|pending| pending.message.fds().contains(&fd.0))
    }

    fn operate(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
        operation: Operation,
    ) -> Result<Option<Message>, Error> {
        let done = || Some(Message::method_return(message));
        match operation {
            Operation::Subscribe => self.subscribe(peer, caller),
            Operation::Unsubscribe => self.unsubscribe(peer, caller),
            Operation::UnitFiles(files) => return self.unit_files(message, files).map(Some),
            Operation::SetExitCode(code) => self.host.exit_code = code,
            Operation::SetShowStatus(mode) => {
                self.console.enabled = mode != "no" && mode != "false" && mode != "off"
            }
            Operation::SetLogLevel(word) => self.set_log_level(&word)?,
            Operation::SetLogTarget(word) => self.set_log_target(&word)?,
            // Without a device nothing is promised: the reference takes the value then, too.
            Operation::SetWatchdog(_, 1..) if Path::new("/dev/watchdog0").exists() => {
                return Err(Error::new(
                    "org.freedesktop.DBus.Error.NotSupported",
                    "The machine's watchdog device is not used",
                ));
            }
            Operation::SetWatchdog(property, usec) => {
                self.host.watchdogs.insert(property, usec);
            }
            Operation::SetWatchdogGovernor(_) => {
                return Err(Error::new(
                    "org.freedesktop.DBus.Error.NotSupported",
                    "No watchdog device is in use",
                ));
            }
            Operation::SetServiceWatchdogs(on) => {
                self.engine.watch_services(on);
                self.record_manager();
            }
            Operation::SwitchRoot { root, init } => self.plan_switch_root(&root, &init)?,
            Operation::DynamicUserByName(_) | Operation::DynamicUserByUid(_) | Operation::DynamicUsers => {
                return answer::dynamic_users(&self.engine, &operation, message).map(Some);
            }
        }
        Ok(done())
    }

    fn set_log_level(&mut self, word: &str) -> Result<(), Error> {
        let level = crate::configuration::log_level(word);
        self.log.set_level(level.ok_or_else(|| Error::invalid_args(format!("Invalid log level '{word}'")))?);
        Ok(())
    }

    fn set_log_target(&mut self, word: &str) -> Result<(), Error> {
        match self.log.set_target(word) {
            true => Ok(()),
            false => Err(Error::invalid_args(format!("Invalid log target '{word}'"))),
        }
    }
}

/// What a caller is told whose answer cannot be sent.
fn unsent(call: &Message, fault: &dbus::Error) -> Message {
    let name = match fault {
        dbus::Error::FdsNotNegotiated => "org.freedesktop.DBus.Error.NotSupported",
        dbus::Error::MessageTooLong { .. } | dbus::Error::QueueFull { .. } => LIMITS_EXCEEDED,
        _ => "org.freedesktop.DBus.Error.Failed",
    };
    Message::error(call, name, &format!("The answer cannot be sent: {fault}"))
}

/// Whether a call about a unit needs it in memory.
fn needs_loaded(call: &Call) -> bool {
    matches!(call, Call::Get { .. } | Call::GetAll { .. } | Call::UnitMethod | Call::Introspect)
}

/// Only root, and for a user manager its own user, may do what nobody can be allowed.
fn require_root(caller: &Caller) -> Result<(), Error> {
    if caller.uid == 0 || caller.uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Error::new("org.freedesktop.DBus.Error.AccessDenied", "Access denied"))
}
