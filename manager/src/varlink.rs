//! Varlink sockets of the system manager: `userdb/io.systemd.DynamicUser`, which every name look-up on the machine asks, and
//! `io.systemd.ManagedOOM`, from which the out-of-memory daemon learns what to watch.
use crate::shell::{Shell, Token};
use runstead_api::systemd1::answer;
use runstead_core::directives::ids;
use runstead_core::engine::Unit;
use runstead_core::engine::effect::Announcement;
use runstead_os::OsError;
use runstead_os::reactor::{Interest, Priority, Ready};
use runstead_os::socket::{peer_credentials, recv_with_fds, send_with_fds, unix};
use runstead_wire::varlink::managed_oom::{self, ControlGroup};
use runstead_wire::varlink::{Call, Error, Limits, Parameters, Server, service, userdb};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};

/// Connections at a time; one more is turned away.
const MAX_CONNECTIONS: usize = 1024;
/// Connections of one user other than root.
const MAX_OF_USER: usize = 128;
/// Connections accepted in one round.
const ACCEPTS: usize = 32;
/// Bytes read from one connection in one round.
const READ: usize = 16 << 10;
/// The first number of a connection; smaller ones are listening sockets.
const FIRST_CONNECTION: u64 = 16;
/// The daemon that may subscribe.
const OOM_DAEMON: &str = "systemd-oomd.service";

/// What a socket serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    DynamicUsers,
    ManagedOom,
}

/// Where the sockets are below `RUNROOT/systemd`, and their modes.
const SOCKETS: [(&str, Serves); 2] =
    [("userdb/io.systemd.DynamicUser", Serves::DynamicUsers), ("io.systemd.ManagedOOM", Serves::ManagedOom)];
const MODE: u32 = 0o666;

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    server: Server,
    serves: Serves,
    uid: u32,
    pid: i32,
    writing: bool,
}

/// Limit and duration of one line.
type Numbers = (Option<u32>, Option<u64>);

/// The listening sockets and the connections.
#[derive(Debug)]
pub(crate) struct Varlink {
    listeners: Vec<(OwnedFd, Serves)>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// The connection of the out-of-memory daemon.
    subscriber: Option<u64>,
    /// What the daemon was told: cgroup and property of everything it is to kill in.
    told: BTreeMap<(String, &'static str), Numbers>,
}

impl Varlink {
    /// Open the sockets. A user manager has none: there is one directory of dynamic users.
    /// `listen` gives a listening socket below `RUNROOT/systemd`: a new one, or that of the image before.
    pub fn open(
        user: bool,
        mut listen: impl FnMut(&str, u32) -> Result<OwnedFd, OsError>,
    ) -> Result<Varlink, OsError> {
        let mut listeners = Vec::new();
        for (path, serves) in SOCKETS.iter().filter(|_| !user) {
            listeners.push((listen(path, MODE)?, *serves));
        }
        Ok(Varlink {
            listeners,
            connections: BTreeMap::new(),
            next: FIRST_CONNECTION,
            subscriber: None,
            told: BTreeMap::new(),
        })
    }
}

impl Shell {
    /// Wait for connections.
    pub(crate) fn listen_varlink(&mut self) -> Result<(), OsError> {
        for (number, (listener, _)) in (0..).zip(&self.varlink.listeners) {
            self.reactor.add(listener, Token::Varlink(number), Priority::Client, Interest::READ)?;
        }
        Ok(())
    }

    /// A listening socket or a connection is ready.
    pub(crate) fn serve_varlink(&mut self, id: u64, ready: &Ready<Token>) {
        if id < FIRST_CONNECTION {
            self.accept_varlink(id);
            return;
        }
        let read = !(ready.read || ready.hangup) || self.read_varlink(id);
        if !read || !self.write_varlink(id) {
            self.drop_varlink(id);
        }
    }

    fn accept_varlink(&mut self, number: u64) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        for _ in 0..ACCEPTS {
            let Some((listener, serves)) = self.varlink.listeners.get(index) else { return };
            let serves = *serves;
            let socket = match unix::accept(listener) {
                Ok(Some(socket)) => socket,
                Ok(None) => return,
                Err(error) => {
                    self.complain(4, &format!("cannot accept a varlink connection: {error}"));
                    return;
                }
            };
            let Ok(who) = peer_credentials(&socket) else { continue };
            let of_user = self.varlink.connections.values().filter(|other| other.uid == who.uid).count();
            let is_full = self.varlink.connections.len() >= MAX_CONNECTIONS;
            if is_full || (who.uid != 0 && of_user >= MAX_OF_USER) {
                continue;
            }
            let id = self.varlink.next;
            self.varlink.next += 1;
            if let Err(error) =
                self.reactor.add(&socket, Token::Varlink(id), Priority::Client, Interest::READ)
            {
                self.complain(4, &format!("cannot wait for a varlink client: {error}"));
                continue;
            }
            let server = Server::new(Limits::default());
            let connection =
                Connection { socket, server, serves, uid: who.uid, pid: who.pid, writing: false };
            self.varlink.connections.insert(id, connection);
        }
    }

    /// Read and answer; `false` when the connection ended.
    fn read_varlink(&mut self, id: u64) -> bool {
        let mut buffer = [0; READ];
        let Some(connection) = self.varlink.connections.get_mut(&id) else { return true };
        // Descriptors that came along are closed: nothing here takes any.
        let len = match recv_with_fds(&connection.socket, &mut buffer) {
            Ok(received) => received.len,
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        };
        if len == 0 || connection.server.feed(&buffer[..len]).is_err() {
            return false;
        }
        // What is buffered is bounded, and no readiness would tell of it: all of it is handled now.
        loop {
            let Some(connection) = self.varlink.connections.get_mut(&id) else { return true };
            match connection.server.next_call() {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(call)) => {
                    if self.answer_varlink(id, &call).is_err() {
                        return false;
                    }
                }
            }
        }
    }

    fn answer_varlink(&mut self, id: u64, call: &Call) -> Result<(), Error> {
        let Some(connection) = self.varlink.connections.get_mut(&id) else { return Ok(()) };
        let interfaces: &[(&str, &str)] = match connection.serves {
            Serves::DynamicUsers => &[(userdb::INTERFACE, userdb::DESCRIPTION)],
            Serves::ManagedOom => &[(managed_oom::INTERFACE, managed_oom::DESCRIPTION)],
        };
        let about = service::Service { product: "runstead", version: env!("CARGO_PKG_VERSION"), interfaces };
        if service::answer(&mut connection.server, call, &about)? {
            return Ok(());
        }
        match connection.serves {
            Serves::DynamicUsers => {
                userdb::answer(&mut connection.server, call, &answer::dynamic_user_list(&self.engine))
            }
            Serves::ManagedOom => self.subscribe_oom(id, call),
        }
    }

    /// The daemon wants the list, and every change of it.
    fn subscribe_oom(&mut self, id: u64, call: &Call) -> Result<(), Error> {
        let taken = self.varlink.subscriber.is_some();
        let Some(pid) = self.varlink.connections.get(&id).map(|connection| connection.pid) else {
            return Ok(());
        };
        let unit = answer::unit_of_pid(&self.engine, &self.facts(), pid);
        let is_daemon = unit.is_ok_and(|unit| unit.as_str() == OOM_DAEMON);
        let groups: Vec<Told> = self.engine.units().flat_map(|unit| self.oom_settings(unit)).collect();
        let Some(connection) = self.varlink.connections.get_mut(&id) else { return Ok(()) };
        let server = &mut connection.server;
        if call.oneway {
            return Ok(());
        }
        if call.split_method().1 != managed_oom::SUBSCRIBE {
            return service::method_not_found(server, call);
        }
        if !call.more {
            return server.error(service::EXPECTED_MORE, Parameters::new());
        }
        if !is_daemon {
            return server.error(service::PERMISSION_DENIED, Parameters::new());
        }
        if taken {
            return server.error(managed_oom::SUBSCRIPTION_TAKEN, Parameters::new());
        }
        let wanted: Vec<Told> = groups.into_iter().filter(|told| told.kill).collect();
        server.reply_continues(managed_oom::control_groups(wanted.iter().map(Told::group)))?;
        self.varlink.subscriber = Some(id);
        self.varlink.told =
            wanted.into_iter().map(|told| ((told.path, told.property), told.numbers)).collect();
        Ok(())
    }

    /// What the daemon is to know of a unit: what is not active is left alone.
    fn oom_settings(&self, unit: &Unit) -> Vec<Told> {
        let Some(cgroup) = unit.cgroup.as_ref().filter(|_| self.ownership.cgroups().is_some()) else {
            return Vec::new();
        };
        let is_up = unit.active_state().is_up_or_activating();
        let rows = [
            (ids::MANAGED_OOM_SWAP, "ManagedOOMSwap"),
            (ids::MANAGED_OOM_MEMORY_PRESSURE, "ManagedOOMMemoryPressure"),
        ];
        let settings = &unit.settings;
        let told = |(id, property)| {
            let is_pressure = id == ids::MANAGED_OOM_MEMORY_PRESSURE;
            let limit = settings.uint(ids::MANAGED_OOM_MEMORY_PRESSURE_LIMIT);
            let duration = settings.uint(ids::MANAGED_OOM_MEMORY_PRESSURE_DURATION_SEC);
            let limit = u32::try_from(limit).ok().filter(|limit| is_pressure && *limit != 0);
            let duration = Some(duration).filter(|usec| is_pressure && *usec != u64::MAX);
            let kill = is_up && settings.word(id) == "kill";
            Told { kill, path: cgroup.to_string(), property, numbers: (limit, duration) }
        };
        rows.into_iter().map(told).collect()
    }

    /// A unit changed: if that matters to the daemon, it is told.
    pub(crate) fn tell_oom_daemon(&mut self, announcement: &Announcement) {
        let (Some(id), Announcement::UnitChanged(name)) = (self.varlink.subscriber, announcement) else {
            return;
        };
        let Some(unit) = self.engine.find_unit(name) else { return };
        let known = &self.varlink.told;
        let changed = |told: &Told| {
            let key = (told.path.clone(), told.property);
            known.get(&key) != told.kill.then_some(&told.numbers)
        };
        let changes: Vec<Told> = self.oom_settings(unit).into_iter().filter(changed).collect();
        if changes.is_empty() {
            return;
        }
        let sent = self.varlink.connections.get_mut(&id).is_some_and(|connection| {
            let groups = managed_oom::control_groups(changes.iter().map(Told::group));
            connection.server.reply_continues(groups).is_ok()
        });
        for told in changes {
            let key = (told.path, told.property);
            match told.kill {
                true => self.varlink.told.insert(key, told.numbers),
                false => self.varlink.told.remove(&key),
            };
        }
        if !sent || !self.write_varlink(id) {
            self.drop_varlink(id);
        }
    }

    /// Write what waits; `false` when the connection ended.
    fn write_varlink(&mut self, id: u64) -> bool {
        let Some(connection) = self.varlink.connections.get_mut(&id) else { return true };
        while !connection.server.outgoing().is_empty() {
            match send_with_fds(&connection.socket, connection.server.outgoing(), &[]) {
                Ok(count) => connection.server.advance_written(count),
                Err(Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        let writing = !connection.server.outgoing().is_empty();
        if writing == connection.writing {
            return true;
        }
        connection.writing = writing;
        let interest = if writing { Interest::BOTH } else { Interest::READ };
        self.reactor.modify(connection.socket.as_fd(), interest).is_ok()
    }

    fn drop_varlink(&mut self, id: u64) {
        let Some(connection) = self.varlink.connections.remove(&id) else { return };
        self.reactor.remove(&connection.socket);
        if self.varlink.subscriber == Some(id) {
            self.varlink.subscriber = None;
            self.varlink.told.clear();
        }
    }
}

/// One line of what the daemon is told.
#[derive(Debug, Clone)]
struct Told {
    kill: bool,
    path: String,
    property: &'static str,
    numbers: Numbers,
}

impl Told {
    fn group(&self) -> ControlGroup<'_> {
        ControlGroup {
            kill: self.kill,
            path: &self.path,
            property: self.property,
            limit: self.numbers.0,
            duration_usec: self.numbers.1,
        }
    }
}
