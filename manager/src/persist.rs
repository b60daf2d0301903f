//! What outlives this image: the state log (DESIGN 6). Records are written before the effect that they describe is done.
//!
//! | key | record |
//! |---|---|
//! | `fd/ID` | the descriptor's number |
//! | `unit/INDEX`, `stored/ID`, `manager` | the engine's, opaque here |
//! | `chain/ID` | what a chain that is not answered yet has made: its process |
//! | `crashes` | when the manager crashed, over what, what it leaves alone since (`recovery`) |
//! | `exit/PID` | how a child ended that was reaped in minimal mode |
//! | `shell` | log level, status output, environment, subscribers |
//! | `polkit` | calls that wait for its answer (planned re-execution only) |
//! | `bus` | what the bus was asked, and calls that wait for its answer (planned re-execution only) |
//! | `usage` | what units that are down have used (planned re-execution only) |
//! | `peer/ID` | a connection with its buffers (planned re-execution only) |
use crate::clients::{Peer, PeerId};
use crate::recovery::Marker;
use crate::shell::Shell;
use runstead_api::systemd1::facts::ManagerStamps;
use runstead_core::engine::effect::{ChainId, FdId, Request};
use runstead_core::engine::event::{Caller, ChainOutput, Event, Exit, Pid};
use runstead_core::engine::record;
use runstead_core::names::UnitName;
use runstead_os::reexec;
use runstead_os::statelog::StateLog;
use runstead_wire::dbus::{Connection, ConnectionState, Message};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

const POLKIT_KEY: &str = "polkit";
const BUS_KEY: &str = "bus";
const USAGE_KEY: &str = "usage";

/// The log and what goes with it.
#[derive(Debug)]
pub(crate) struct Persist {
    log: StateLog,
}

/// State of the shell itself.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ShellRecord {
    pub log_level: u8,
    /// Empty when no client has set level or target.
    pub log_target: String,
    pub show_status: bool,
    pub exit_code: u8,
    pub environment: Vec<String>,
    pub subscribers: Vec<String>,
    pub bus_wanted: bool,
    pub bus_name: Option<String>,
    pub bus_jobs: Vec<u32>,
    pub watched_names: Vec<String>,
    pub sees_leavers: bool,
    pub senders: Vec<Caller>,
    /// The last number given to a connection.
    pub connections: PeerId,
    pub stamps: ManagerStamps,
    pub calls: u64,
}

/// A connection that is kept.
#[derive(Debug, Serialize, Deserialize)]
struct PeerRecord {
    fd: i32,
    pid: i32,
    uid: u32,
    gid: u32,
    state: ConnectionState,
    #[serde(default)]
    quiet: Option<BTreeSet<u32>>,
    /// Units of whose changes it has yet to hear.
    #[serde(default)]
    changed: Vec<String>,
}

/// A message that waits, for the next image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    message: Vec<u8>,
    fds: Vec<u64>,
}

impl MessageRecord {
    /// Of a message that came; others cannot be recorded.
    pub fn of(message: &Message) -> Option<MessageRecord> {
        let mut bytes = Vec::new();
        message.encode(message.serial, None, usize::MAX, &mut bytes).ok()?;
        Some(MessageRecord { message: bytes, fds: message.fds().to_vec() })
    }

    /// The message again.
    pub fn message(self) -> Option<Message> {
        Message::decode(&self.message, |_| Ok(self.fds)).ok().flatten()
    }
}

/// What is taken up when everything is open again.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    pub records: Vec<(String, Vec<u8>)>,
    pub chains: BTreeMap<ChainId, ChainOutput>,
    pub exits: Vec<(Pid, Exit)>,
}

/// What an earlier image left.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Descriptors by id.
    pub fds: Vec<(FdId, OwnedFd)>,
    /// The engine's records.
    pub engine: Vec<(String, Vec<u8>)>,
    /// The shell's.
    pub shell: ShellRecord,
    /// Connections.
    pub peers: Vec<(PeerId, Peer)>,
    /// Calls that wait for polkit.
    pub asked: Vec<crate::authority::AskedRecord>,
    /// What the bus was asked.
    pub bus: crate::bus::BusRecord,
    /// The socket for clients, and that for notifications.
    pub sockets: BTreeMap<String, OwnedFd>,
    /// What chains had made by then.
    pub chains: BTreeMap<ChainId, ChainOutput>,
    /// Children that ended while nobody could handle it.
    pub exits: Vec<(Pid, Exit)>,
    /// What units have used.
    pub usage: crate::usage::Usage,
}

impl Persist {
    /// On an existing or a new log.
    pub fn new(log: StateLog) -> Persist {
        Persist { log }
    }

    /// An event begins: should it crash us twice, it is not tried again.
    pub fn begin(&mut self, event: &Event, unit: Option<&UnitName>) {
        let unit = unit.or_else(|| unit_of_call(event));
        self.log.in_flight(Some(&Marker::of(event, unit.map(UnitName::as_str)).to_text()));
    }

    /// The process that a chain made: known after a crash, before the engine knows of it.
    pub fn keep_chain(&mut self, chain: ChainId, output: &ChainOutput) {
        if let Ok(bytes) = serde_json::to_vec(output) {
            self.put(&chain_key(chain), &bytes);
        }
    }

    /// The engine has been told.
    pub fn forget_chain(&mut self, chain: ChainId) {
        self.log.remove(&chain_key(chain));
    }

    /// It is done.
    pub fn end(&mut self) {
        self.log.in_flight(None);
    }

    /// The loop goes to sleep: no alarm while nothing happens.
    pub fn idle(&mut self) {
        runstead_os::crash::alarm(false);
    }

    /// The loop works: an alarm goes off when it works for too long.
    pub fn busy(&mut self) {
        runstead_os::crash::alarm(true);
    }

    /// The loop has ended.
    pub fn stop_watching(&mut self) {
        runstead_os::crash::alarm(false);
        runstead_os::crash::disarm();
    }

    /// Keep a descriptor of a unit.
    pub fn keep_fd(&mut self, id: FdId, fd: BorrowedFd<'_>) {
        self.put(&format!("fd/{}", id.0), fd.as_raw_fd().to_string().as_bytes());
    }

    /// It is closed.
    pub fn forget_fd(&mut self, id: FdId) {
        self.log.remove(&format!("fd/{}", id.0));
    }

    /// Keep one of the manager's own sockets.
    pub fn keep_socket(&mut self, name: &str, fd: BorrowedFd<'_>) {
        self.put(&format!("socket/{name}"), fd.as_raw_fd().to_string().as_bytes());
    }

    /// Write a record.
    pub fn put(&mut self, key: &str, bytes: &[u8]) {
        self.log.put(key, bytes);
    }

    /// Drop a record.
    pub fn remove(&mut self, key: &str) {
        self.log.remove(key);
    }
}

/// The unit that a call, or the files that were read, are about.
fn unit_of_call(event: &Event) -> Option<&UnitName> {
    match event {
        Event::Call { request, .. } => match &**request {
            Request::Enqueue { unit, .. } => Some(unit),
            _ => None,
        },
        // Of several files any may be at fault.
        Event::Loaded(units) => match &units[..] {
            [unit] => Some(&unit.name),
            _ => None,
        },
        Event::Boot { target } | Event::StartTarget { target, .. } => Some(target),
        _ => None,
    }
}

/// The record of a child that was reaped in minimal mode.
pub(crate) fn exit_key(pid: Pid) -> String {
    format!("exit/{pid}")
}

fn chain_key(chain: ChainId) -> String {
    format!("chain/{}", chain.0)
}

impl Shell {
    /// Write what the last step changed.
    pub(crate) fn record(&mut self) {
        let (dirty, stored) = (self.engine.take_dirty(), self.engine.take_dirty_stored());
        if dirty.is_empty() && stored.is_empty() {
            return;
        }
        for fd in stored {
            match self.engine.record_stored(fd) {
                Some(bytes) => self.persist.put(&record::stored_key(fd), &bytes),
                None => self.persist.remove(&record::stored_key(fd)),
            }
        }
        for id in dirty {
            match self.engine.record(id) {
                Some(bytes) => self.persist.put(&record::key(id), &bytes),
                None => self.persist.remove(&record::key(id)),
            }
        }
        self.record_manager();
    }

    /// Write what the engine keeps beside its units, if that changed.
    pub(crate) fn record_manager(&mut self) {
        if let Some(bytes) = self.engine.record_manager_if_changed() {
            self.persist.put(record::MANAGER_KEY, &bytes);
        }
    }

    /// Give a new engine what the image before knew.
    pub(crate) fn restore_engine(&mut self, records: &[(String, Vec<u8>)]) {
        let records = records.iter().map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
        for problem in self.engine.restore(records) {
            self.complain(
                3,
                &format!("a record of the state log is left out: {}: {}", problem.key, problem.message),
            );
        }
    }

    pub(crate) fn record_shell(&mut self) {
        let record = ShellRecord {
            log_level: self.log.level,
            log_target: if self.log.is_set() { self.log.target_word.clone() } else { String::new() },
            show_status: self.console.enabled,
            exit_code: self.host.exit_code,
            environment: self.host.environment.iter().map(|line| line.to_string()).collect(),
            subscribers: self.bus.subscribers.iter().cloned().collect(),
            bus_wanted: self.bus.wanted,
            bus_name: self.bus.unique_name.clone(),
            bus_jobs: self.bus.jobs.iter().copied().collect(),
            watched_names: self.bus.watched_names(),
            sees_leavers: self.bus.sees_leavers,
            senders: self.bus.senders(),
            connections: self.clients.last_id(),
            stamps: self.host.stamps,
            calls: self.calls.last(),
        };
        if let Ok(bytes) = serde_json::to_vec(&record) {
            self.persist.put("shell", &bytes);
        }
    }

    /// Execute ourselves again with everything: `daemon-reexec`, an upgrade.
    pub(crate) fn reexecute(&mut self) {
        self.reexec = false;
        self.supervisor.reloading();
        self.flush();
        self.record();
        // Who asked is answered by the next image: the answer says that it is there.
        self.answer_reexecution();
        self.record_shell();
        for (id, fd) in self.fds.iter() {
            self.persist.keep_fd(id, fd);
        }
        for (id, peer) in &self.clients.peers {
            let record = PeerRecord {
                fd: peer.socket.as_raw_fd(),
                pid: peer.credentials.pid,
                uid: peer.credentials.uid,
                gid: peer.credentials.gid,
                state: peer.connection.clone().into_state(),
                quiet: peer.quiet.clone(),
                changed: peer.changed.iter().map(UnitName::to_string).collect(),
            };
            if let Ok(bytes) = serde_json::to_vec(&record) {
                self.persist.put(&peer_key(*id), &bytes);
            }
        }
        if let Ok(bytes) = serde_json::to_vec(&self.authority.records()) {
            self.persist.put(POLKIT_KEY, &bytes);
        }
        if let Ok(bytes) = serde_json::to_vec(&self.bus.record()) {
            self.persist.put(BUS_KEY, &bytes);
        }
        if let Ok(bytes) = serde_json::to_vec(&self.usage) {
            self.persist.put(USAGE_KEY, &bytes);
        }
        if let Err(error) = reexec::take_newer() {
            self.complain(3, &format!("the new image is not used: {error}; the running one goes on"));
        }
        let error = reexec::execute("reexec");
        // Still here: the image could not be executed. Go on with the old one.
        self.complain(2, &format!("cannot execute the manager again: {error}"));
        self.forget_peers();
    }

    /// Connections are in the log only while no image runs: what stands there later would be stale.
    pub(crate) fn forget_peers(&mut self) {
        let ids: Vec<PeerId> = self.clients.peers.keys().copied().collect();
        for id in ids {
            self.persist.remove(&peer_key(id));
        }
        self.persist.remove(POLKIT_KEY);
        self.persist.remove(BUS_KEY);
        self.persist.remove(USAGE_KEY);
    }
}

fn peer_key(id: PeerId) -> String {
    format!("peer/{id}")
}

impl Inherited {
    /// Read the log of the image before.
    pub fn read(log: &StateLog) -> Inherited {
        let mut found = Inherited::default();
        for (key, bytes) in log.iter() {
            // The names of sockets have slashes, too.
            match key.split_once('/') {
                Some(("fd", id)) => {
                    if let (Some(id), Some(fd)) = (id.parse().ok(), take_fd(bytes)) {
                        found.fds.push((FdId(id), fd));
                    }
                }
                Some(("socket", name)) => {
                    if let Some(fd) = take_fd(bytes) {
                        found.sockets.insert(name.to_owned(), fd);
                    }
                }
                Some(("peer", id)) => {
                    if let Some(peer) = read_peer(bytes)
                        && let Ok(id) = id.parse()
                    {
                        found.peers.push((id, peer));
                    }
                }
                Some(("chain", id)) => {
                    if let (Ok(id), Ok(output)) = (id.parse(), serde_json::from_slice(bytes)) {
                        found.chains.insert(ChainId(id), output);
                    }
                }
                Some(("exit", pid)) => {
                    if let (Ok(pid), Ok(exit)) = (pid.parse(), serde_json::from_slice(bytes)) {
                        found.exits.push((pid, exit));
                    }
                }
                _ if key == crate::recovery::KEY => {}
                _ if key == POLKIT_KEY => found.asked = serde_json::from_slice(bytes).unwrap_or_default(),
                _ if key == BUS_KEY => found.bus = serde_json::from_slice(bytes).unwrap_or_default(),
                _ if key == USAGE_KEY => found.usage = serde_json::from_slice(bytes).unwrap_or_default(),
                _ if key == "shell" => found.shell = serde_json::from_slice(bytes).unwrap_or_default(),
                _ => found.engine.push((key.to_owned(), bytes.to_vec())),
            }
        }
        found
    }
}

pub(crate) fn take_fd(bytes: &[u8]) -> Option<OwnedFd> {
    let number = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    runstead_os::handover::inherited_fd(number)
}

fn read_peer(bytes: &[u8]) -> Option<Peer> {
    let record: PeerRecord = serde_json::from_slice(bytes).ok()?;
    let socket = runstead_os::handover::inherited_fd(record.fd)?;
    let credentials = runstead_os::socket::Credentials { pid: record.pid, uid: record.uid, gid: record.gid };
    let mut peer = Peer::new(socket, Connection::from_state(record.state), credentials);
    peer.quiet = record.quiet;
    peer.changed = record.changed.iter().filter_map(|name| UnitName::parse(name).ok()).collect();
    Some(peer)
}
