//! Connections that speak D-Bus with us: peers on the private socket, and the system bus.
use crate::shell::{Shell, Token};
use runstead_api::systemd1::BUS_NAME;
use runstead_core::engine::effect::FdId;
use runstead_core::engine::event::{Caller, Event};
use runstead_core::names::UnitName;
use runstead_os::reactor::{Interest, Priority, Ready};
use runstead_os::socket::{Credentials, peer_credentials, recv_with_fds, send_with_fds, unix};
use runstead_wire::dbus::{self, Connection, Kind, Limits, Message, Phase, ServerAuth};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A connection; 0 is the system bus.
pub(crate) type PeerId = u64;

/// The system bus.
pub(crate) const BUS: PeerId = 0;

/// Peers at a time; one more is turned away.
const MAX_PEERS: usize = 4096;
/// Connections accepted in one round.
const ACCEPTS: usize = 32;
/// Bytes read from one peer in one round.
const READ: usize = 64 << 10;
/// Messages of one peer handled in one round.
const MESSAGES: usize = 32;

/// Bytes that wait to be written to somebody who cannot keep up with what happens.
const BEHIND: usize = 1 << 20;
/// Whoever has not said who it is by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub socket: OwnedFd,
    pub connection: Connection,
    pub credentials: Credentials,
    /// What the reactor waits for.
    writing: bool,
    /// Units that changed while this one was behind: one signal will do for all the changes of each.
    pub changed: BTreeSet<UnitName>,
    /// It wants to hear only of the units that it holds a reference to, and of these jobs, which it made.
    pub quiet: Option<BTreeSet<u32>>,
}

impl Peer {
    /// A connection of which nothing is known to the reactor yet.
    pub fn new(socket: OwnedFd, connection: Connection, credentials: Credentials) -> Peer {
        Peer { socket, connection, credentials, writing: false, changed: BTreeSet::new(), quiet: None }
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Clients {
    pub listener: Option<OwnedFd>,
    pub peers: BTreeMap<PeerId, Peer>,
    next: PeerId,
    backlog: BTreeSet<PeerId>,
    /// When the handshake of these has to be over, in the order in which they came.
    handshakes: BTreeMap<PeerId, Instant>,
    guid: String,
    /// Those who have yet to hear of changed units.
    deferred: BTreeSet<PeerId>,
}

impl Clients {
    /// None yet; `guid` names this server (32 hex digits).
    pub fn new(listener: Option<OwnedFd>, guid: String) -> Clients {
        Clients {
            listener,
            peers: BTreeMap::new(),
            next: 1,
            backlog: BTreeSet::new(),
            handshakes: BTreeMap::new(),
            guid,
            deferred: BTreeSet::new(),
        }
    }

    /// The id of a new connection (callers on the bus count as such).
    pub fn new_id(&mut self) -> PeerId {
        let id = self.next;
        self.next += 1;
        id
    }

    /// The last id that was given.
    pub fn last_id(&self) -> PeerId {
        self.next - 1
    }

    /// Give ids behind those of the image before.
    pub fn resume_after(&mut self, last: PeerId) {
        self.next = self.next.max(last + 1);
    }

    /// Whether a connection has messages that no readiness will tell of.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// A connection of the image before: whole messages may have been read from it already, of which no readiness will tell,
    /// and it may have been behind.
    pub fn resume(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        self.backlog.insert(id);
        if !peer.changed.is_empty() {
            self.deferred.insert(id);
        }
    }

    /// How long until somebody may have to be dropped.
    pub fn next_look(&self) -> Option<Duration> {
        self.handshakes.values().next().map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Those whose time for the handshake is over.
    fn late(&mut self, now: Instant) -> Vec<PeerId> {
        let late: Vec<PeerId> =
            self.handshakes.iter().take_while(|(_, end)| **end <= now).map(|(id, _)| *id).collect();
        for id in &late {
            self.handshakes.remove(id);
        }
        late
    }

    fn is_behind(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.connection.outgoing_bytes() > BEHIND)
    }

    /// Whether somebody who reads slower than we write hears of this change later.
    pub fn defer_if_behind(&mut self, id: PeerId, unit: &UnitName) -> bool {
        if !self.is_behind(id) {
            return false;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        peer.changed.insert(unit.clone());
        self.deferred.insert(id);
        true
    }

    /// A unit is no more: its changes do not matter.
    pub fn forget_change(&mut self, unit: &UnitName) {
        for id in &self.deferred {
            if let Some(peer) = self.peers.get_mut(id) {
                peer.changed.remove(unit);
            }
        }
    }

    /// Somebody who has caught up, and a unit of which it has to hear.
    pub fn next_deferred(&mut self) -> Option<(PeerId, UnitName)> {
        while let Some(id) = self.deferred.iter().copied().find(|id| !self.is_behind(*id)) {
            if let Some(unit) = self.peers.get_mut(&id).and_then(|peer| peer.changed.pop_first()) {
                return Some((id, unit));
            }
            self.deferred.remove(&id);
        }
        None
    }

    /// Connections on the private socket that have shown who they are.
    pub fn private(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers
            .iter()
            .filter(|(id, peer)| **id != BUS && peer.connection.phase() == Phase::Open)
            .map(|(id, _)| *id)
    }
}

impl Shell {
    /// Take connections on the private socket.
    pub(crate) fn accept_private(&mut self) {
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.clients.listener else { return };
            let socket = match unix::accept(listener) {
                Ok(Some(socket)) => socket,
                Ok(None) => return,
                Err(error) => {
                    self.complain(4, &format!("cannot accept on the private socket: {error}"));
                    return;
                }
            };
            if self.clients.peers.len() >= MAX_PEERS {
                self.complain(4, "too many connections on the private socket; one was turned away");
                continue;
            }
            let Ok(credentials) = peer_credentials(&socket) else { continue };
            // Only root may drive the system manager this way (the socket's mode says so too), and only we ourselves a
            // user manager.
            if credentials.uid != 0 && credentials.uid != rustix::process::geteuid().as_raw() {
                continue;
            }
            let auth = ServerAuth::new(&self.clients.guid, Some(credentials.uid), false, true);
            let mut connection = Connection::server(auth, Limits::trusted());
            connection.name_sender(BUS_NAME).expect("the bus name is valid");
            let id = self.clients.new_id();
            self.add_peer(id, Peer::new(socket, connection, credentials));
        }
    }

    /// Start to serve a connection.
    pub(crate) fn add_peer(&mut self, id: PeerId, peer: Peer) {
        self.clients.next = self.clients.next.max(id + 1);
        if let Err(error) = self.reactor.add(&peer.socket, Token::Peer(id), Priority::Client, Interest::READ)
        {
            self.complain(4, &format!("cannot wait for a client: {error}"));
            return;
        }
        if peer.connection.phase() == Phase::Handshake {
            self.clients.handshakes.insert(id, Instant::now() + HANDSHAKE);
        }
        self.clients.peers.insert(id, peer);
    }

    /// Drop connections on which nobody says who it is.
    pub(crate) fn drop_silent_peers(&mut self) {
        if self.clients.handshakes.is_empty() {
            return;
        }
        let late = self.clients.late(Instant::now());
        if !late.is_empty() {
            let text = format!("dropping {} connections that did not finish their handshake", late.len());
            self.complain(4, &text);
        }
        late.into_iter().for_each(|id| self.drop_peer(id));
    }

    /// A connection is ready.
    pub(crate) fn serve(&mut self, id: PeerId, ready: &Ready<Token>) {
        if ready.write {
            self.write_peer(id);
        }
        // What is buffered comes first: of who sends faster than it is served, the rest waits in the kernel and not in our memory.
        let may_read = !self.clients.backlog.contains(&id);
        if may_read && (ready.read || ready.hangup) && !self.read_peer(id) {
            self.drop_peer(id);
        }
    }

    /// Read and handle messages; `false` when the connection ended.
    fn read_peer(&mut self, id: PeerId) -> bool {
        let mut buffer = [0; READ];
        let Some(peer) = self.clients.peers.get_mut(&id) else { return true };
        let received = match recv_with_fds(&peer.socket, &mut buffer) {
            Ok(received) => received,
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        };
        if received.len == 0 {
            return false;
        }
        let ids: Vec<u64> = received.fds.into_iter().map(|fd| self.fds.arrived(fd).0).collect();
        if peer.connection.feed(&buffer[..received.len], ids).is_err() {
            return false;
        }
        if peer.connection.phase() == Phase::Open {
            self.clients.handshakes.remove(&id);
        }
        self.handle_messages(id)
    }

    /// Handle whole messages that were received; `false` when the connection ended.
    pub(crate) fn handle_messages(&mut self, id: PeerId) -> bool {
        // What happened before is heard before any answer.
        self.say();
        for _ in 0..MESSAGES {
            let Some(peer) = self.clients.peers.get_mut(&id) else { return true };
            match peer.connection.next_message() {
                None => {
                    self.write_peer(id);
                    return true;
                }
                Some(Ok(message)) => self.handle_message(id, &message),
                Some(Err(_)) => return false,
            }
            self.run_pending();
            self.say();
        }
        // More may be buffered that no readiness will tell of: come back after the others had their turn.
        self.clients.backlog.insert(id);
        true
    }

    /// Go on with those that had more than one round's messages.
    pub(crate) fn serve_backlog(&mut self) {
        for id in std::mem::take(&mut self.clients.backlog) {
            if !self.handle_messages(id) {
                self.drop_peer(id);
            }
        }
    }

    fn handle_message(&mut self, id: PeerId, message: &Message) {
        self.shell_dirty = true;
        match message.kind() {
            Kind::MethodCall => self.method_call(id, message),
            Kind::MethodReturn | Kind::Error if id == BUS => self.bus_reply(message),
            Kind::Signal if id == BUS => self.bus_signal(message),
            _ => {}
        }
        self.close_unclaimed(message);
    }

    /// Close the descriptors that came with a message and that nobody took over; keep what units own.
    pub(crate) fn close_unclaimed(&mut self, message: &Message) {
        for id in message.fds().iter().map(|fd| FdId(*fd)) {
            if self.engine.fd_owner(id).is_some() {
                if let Some(fd) = self.fds.get(id) {
                    self.persist.keep_fd(id, fd);
                }
            } else if !self.is_claimed(id) && !self.bus.holds_fd(id) && !self.authority.holds_fd(id) {
                self.close_fd(id);
            }
        }
    }

    /// Who a private peer is.
    pub(crate) fn private_caller(&self, id: PeerId) -> Caller {
        let credentials = self.clients.peers.get(&id).map(|peer| peer.credentials);
        Caller {
            connection: id,
            sender: String::new(),
            uid: credentials.map_or(u32::MAX, |who| who.uid),
            pid: credentials.map_or(0, |who| who.pid),
        }
    }

    /// Queue a message; it is written when the loop flushes.
    pub(crate) fn send(&mut self, id: PeerId, message: &Message) -> Option<u32> {
        self.queue(id, message).ok()
    }

    /// The same; why it was not queued. Who sends us a call may be told.
    pub(crate) fn queue(&mut self, id: PeerId, message: &Message) -> Result<u32, dbus::Error> {
        let peer = self.clients.peers.get_mut(&id).ok_or(dbus::Error::Closed)?;
        let error = match peer.connection.send(message) {
            Ok(serial) => return Ok(serial),
            Err(error) => error,
        };
        if ends_connection(id, &error) {
            self.complain(4, &format!("dropping a client: {error}"));
            self.drop_peer(id);
        } else {
            self.complain(
                if message.reply_serial().is_some() { 7 } else { 4 },
                &format!("not sent: {error}"),
            );
        }
        Err(error)
    }

    /// Write what waits, to everybody.
    pub(crate) fn flush(&mut self) {
        let waiting: Vec<PeerId> = self
            .clients
            .peers
            .iter()
            .filter(|(_, peer)| peer.connection.wants_write() && !peer.writing)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.write_peer(id);
        }
        self.log.flush();
        self.console.flush();
    }

    fn write_peer(&mut self, id: PeerId) {
        let mut failed = false;
        if let Some(peer) = self.clients.peers.get_mut(&id) {
            while peer.connection.wants_write() {
                let outgoing = peer.connection.outgoing();
                let fds: Vec<BorrowedFd<'_>> =
                    outgoing.fds.iter().filter_map(|fd| self.fds.get(FdId(*fd))).collect();
                match send_with_fds(&peer.socket, outgoing.bytes, &fds) {
                    Ok(count) => {
                        drop(fds);
                        peer.connection.advance_written(count);
                    }
                    Err(Errno::AGAIN) => break,
                    Err(_) => {
                        failed = true;
                        break;
                    }
                }
            }
            for fd in peer.connection.take_unwanted_fds() {
                self.fds.take(FdId(fd));
                self.persist.forget_fd(FdId(fd));
            }
            let writing = peer.connection.wants_write();
            if writing != peer.writing {
                peer.writing = writing;
                let interest = if writing { Interest::BOTH } else { Interest::READ };
                failed |= self.reactor.modify(peer.socket.as_fd(), interest).is_err();
            }
        }
        if failed {
            self.drop_peer(id);
        }
    }

    /// End a connection, and what hangs on it.
    pub(crate) fn drop_peer(&mut self, id: PeerId) {
        let Some(peer) = self.clients.peers.remove(&id) else { return };
        self.reactor.remove(&peer.socket);
        for fd in peer.connection.into_fds() {
            self.close_fd(FdId(fd));
        }
        self.clients.handshakes.remove(&id);
        self.clients.deferred.remove(&id);
        self.forget_calls(id);
        self.pending.push_back(Event::CallerGone(id));
        if id == BUS {
            self.bus_lost();
        }
    }
}

/// Whether a message that could not be queued costs its receiver the connection. That to the bus is everybody's: there the message is
/// lost, and no more.
fn ends_connection(id: PeerId, error: &dbus::Error) -> bool {
    match error {
        dbus::Error::Closed => true,
        dbus::Error::QueueFull { .. } => id != BUS,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(outgoing: usize) -> Peer {
        let (socket, _) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let auth = ServerAuth::new("0123456789abcdef0123456789abcdef", Some(0), false, true);
        let mut connection = Connection::server(auth, Limits::default());
        connection.feed(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n", []).expect("a handshake");
        let signal = Message::signal("/a", "a.b", "C").build(|writer| {
            writer.str(&"x".repeat(outgoing));
        });
        connection.send(&signal.expect("a signal")).expect("it fits");
        Peer::new(socket.into(), connection, Credentials { pid: 1, uid: 0, gid: 0 })
    }

    #[test]
    fn who_is_behind_hears_of_each_unit_once_and_holds_nobody_up() {
        let unit = |name| UnitName::parse(name).expect("a name");
        let mut clients = Clients::new(None, String::new());
        clients.peers.insert(7, peer(2 * BEHIND));
        clients.peers.insert(8, peer(0));
        for name in ["a.service", "b.service", "a.service", "c.service"] {
            assert!(clients.defer_if_behind(7, &unit(name)));
            assert!(!clients.defer_if_behind(8, &unit(name)), "nobody waits for another");
        }
        clients.forget_change(&unit("b.service"));
        assert_eq!(clients.next_deferred(), None);
        clients.peers.get_mut(&7).expect("there").connection.advance_written(usize::MAX);
        assert_eq!(clients.next_deferred(), Some((7, unit("a.service"))));
        assert_eq!(clients.next_deferred(), Some((7, unit("c.service"))));
        assert_eq!(clients.next_deferred(), None);
        assert!(clients.deferred.is_empty());
    }

    #[test]
    fn what_an_image_did_not_come_to_is_done_by_the_next() {
        let unit = UnitName::parse("a.service").expect("a name");
        let mut clients = Clients::new(None, String::new());
        clients.peers.insert(7, peer(0));
        clients.peers.get_mut(&7).expect("there").changed.insert(unit.clone());
        clients.resume(7);
        assert!(clients.has_backlog(), "nothing may be ready that tells of messages in the buffer");
        assert_eq!(clients.next_deferred(), Some((7, unit)));
    }

    #[test]
    fn a_message_that_cannot_be_sent_costs_nobody_the_bus() {
        let too_long = dbus::Error::MessageTooLong { len: 9, limit: 8 };
        let full = dbus::Error::QueueFull { queue: "bytes", limit: 8 };
        assert!(!ends_connection(7, &too_long) && !ends_connection(BUS, &too_long));
        assert!(ends_connection(7, &full) && !ends_connection(BUS, &full));
        assert!(ends_connection(BUS, &dbus::Error::Closed));
    }

    #[test]
    fn only_unfinished_handshakes_are_late_and_each_once() {
        let mut clients = Clients::new(None, String::new());
        let start = Instant::now();
        for id in 1..=3 {
            clients.handshakes.insert(id, start + HANDSHAKE * id as u32);
        }
        assert!(clients.next_look().is_some_and(|left| left <= HANDSHAKE));
        assert!(clients.late(start).is_empty());
        clients.handshakes.remove(&2);
        assert_eq!(clients.late(start + HANDSHAKE * 2), [1]);
        assert!(clients.late(start + HANDSHAKE * 2).is_empty());
        assert_eq!(clients.late(start + HANDSHAKE * 3), [3]);
        assert!(clients.next_look().is_none());
    }
}
