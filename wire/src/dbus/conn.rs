//! One peer: handshake, framing, queues and their limits, as a state machine without I/O.
//!
//! Whoever holds the socket reads from it and calls [`Connection::feed`], takes messages with
//! [`Connection::next_message`], queues answers with [`Connection::send`], and writes what
//! [`Connection::outgoing`] gives. Descriptors appear as ids of the caller's (their numbers will do): the caller owns
//! those of messages it took out, and closes what [`Connection::take_unwanted_fds`] returns.
//!
//! The whole state can leave as plain data ([`ConnectionState`]) and come back in another process image.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::auth::{ClientAuth, Progress, ServerAuth};
use super::error::{Error, Result};
use super::message::{FIXED_HEADER, MAX_FDS, MAX_MESSAGE, Message};

/// Buffers that grew beyond this are given back once empty.
const KEEP_CAPACITY: usize = 64 << 10;

/// What a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest message that is taken in, in bytes (at most 128 MiB).
    pub message: usize,
    /// Longest message that is sent: a bus hangs up on who sends a longer one than it allows.
    #[serde(default = "system_bus_message")]
    pub sent_message: usize,
    /// Most bytes waiting to be written.
    pub outgoing_bytes: usize,
    /// Most messages waiting to be written.
    pub outgoing_messages: usize,
    /// Most descriptors received and not yet part of a message taken out.
    pub incoming_fds: usize,
}

/// What dbus-daemon allows on the system bus unless it is told otherwise.
fn system_bus_message() -> usize {
    32 << 20
}

impl Default for Limits {
    /// For a client of a bus: whatever that lets through is taken in.
    fn default() -> Self {
        Limits {
            message: MAX_MESSAGE,
            sent_message: system_bus_message(),
            outgoing_bytes: 64 << 20,
            outgoing_messages: 64 << 10,
            incoming_fds: 2 * MAX_FDS,
        }
    }
}

impl Limits {
    /// For peers who are trusted, without a bus in between: all that the protocol allows.
    pub fn trusted() -> Limits {
        let outgoing_bytes = MAX_MESSAGE + Limits::default().outgoing_bytes;
        Limits { sent_message: MAX_MESSAGE, outgoing_bytes, ..Limits::default() }
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The handshake runs.
    Handshake,
    /// Messages flow.
    Open,
    /// A fault ended it; nothing more will be read or queued.
    Failed,
}

/// What can be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The bytes; write as many as possible, then tell [`Connection::advance_written`].
    pub bytes: &'a [u8],
    /// Descriptors that must go along with the first of the bytes.
    pub fds: &'a [u64],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Auth {
    Server(ServerAuth),
    Client(ClientAuth),
    Done,
    Failed,
}

/// Descriptors that go along with the byte at `at`, counted from the first byte ever queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attached {
    at: u64,
    fds: Vec<u64>,
}

/// A connection with one peer.
#[derive(Clone, Debug)]
pub struct Connection {
    limits: Limits,
    auth: Auth,
    fds_agreed: bool,
    server_guid: String,
    sender: Option<String>,
    input: Vec<u8>,
    /// How much of `input` is used up.
    used: usize,
    input_fds: VecDeque<u64>,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    /// The place of `output[0]`, counted from the first byte ever queued.
    output_base: u64,
    /// Where each message in `output` ends, counted alike.
    ends: VecDeque<u64>,
    attached: VecDeque<Attached>,
    unwanted_fds: Vec<u64>,
    last_serial: u32,
}

/// The state of a [`Connection`] as plain data. Descriptor ids in it must still be valid when it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionState {
    limits: Limits,
    auth: Auth,
    fds_agreed: bool,
    server_guid: String,
    sender: Option<String>,
    input: Vec<u8>,
    input_fds: Vec<u64>,
    output: Vec<u8>,
    output_base: u64,
    ends: Vec<u64>,
    attached: Vec<Attached>,
    unwanted_fds: Vec<u64>,
    last_serial: u32,
}

impl Connection {
    /// The accepting side of a peer-to-peer connection.
    pub fn server(auth: ServerAuth, limits: Limits) -> Connection {
        Connection::new(Auth::Server(auth), limits)
    }

    /// The connecting side. On a bus the caller's first message is `Hello`; it may be queued at once.
    pub fn client(auth: ClientAuth, limits: Limits) -> Connection {
        let opening = auth.opening();
        let mut connection = Connection::new(Auth::Client(auth), limits);
        connection.output = opening;
        connection
    }

    fn new(auth: Auth, limits: Limits) -> Connection {
        Connection {
            limits,
            auth,
            fds_agreed: false,
            server_guid: String::new(),
            sender: None,
            input: Vec::new(),
            used: 0,
            input_fds: VecDeque::new(),
            output: Vec::new(),
            written: 0,
            output_base: 0,
            ends: VecDeque::new(),
            attached: VecDeque::new(),
            unwanted_fds: Vec::new(),
            last_serial: 0,
        }
    }

    /// Names us as the sender of every message sent from now on that has none (the reference does so on its private
    /// socket, where no bus fills it in).
    pub fn name_sender(&mut self, name: &str) -> Result<()> {
        if !super::names::is_bus_name(name) {
            return Err(Error::Name("sender"));
        }
        self.sender = Some(name.to_owned());
        Ok(())
    }

    /// How far the connection is.
    pub fn phase(&self) -> Phase {
        match self.auth {
            Auth::Server(_) | Auth::Client(_) => Phase::Handshake,
            Auth::Done => Phase::Open,
            Auth::Failed => Phase::Failed,
        }
    }

    /// Whether both sides agreed on passing descriptors (known once [`Phase::Open`]).
    pub fn fds_agreed(&self) -> bool {
        self.fds_agreed
    }

    /// The id that the server gave (client side).
    pub fn server_guid(&self) -> &str {
        &self.server_guid
    }

    /// How many more bytes complete the message that is being received; 0 when a whole one waits to be taken out.
    ///
    /// Reading no more than this keeps later messages in the kernel, where a crash cannot lose them.
    pub fn wanted(&self) -> usize {
        let waiting = &self.input[self.used..];
        if self.phase() != Phase::Open {
            return super::auth::MAX_LINE;
        }
        match Message::frame_len(waiting, self.limits.message) {
            Ok(None) => FIXED_HEADER - waiting.len(),
            Ok(Some(len)) => len.saturating_sub(waiting.len()),
            Err(_) => 0,
        }
    }

    /// Whether nothing of this connection is only in our memory: no partial message, no unwritten byte.
    pub fn is_idle(&self) -> bool {
        self.phase() == Phase::Open
            && self.used == self.input.len()
            && self.written == self.output.len()
            && self.input_fds.is_empty()
    }

    /// Takes in bytes that were read, with the descriptors that came along.
    ///
    /// A fault ends the connection; its descriptors are then found in [`Connection::take_unwanted_fds`].
    pub fn feed(&mut self, bytes: &[u8], fds: impl IntoIterator<Item = u64>) -> Result<()> {
        self.input_fds.extend(fds);
        let fed = self.try_feed(bytes);
        if fed.is_err() {
            self.fail();
        }
        fed
    }

    fn try_feed(&mut self, bytes: &[u8]) -> Result<()> {
        if self.phase() == Phase::Failed {
            return Err(Error::Closed);
        }
        if self.input_fds.len() > self.limits.incoming_fds {
            return Err(Error::TooManyFds { count: self.input_fds.len() });
        }
        let waiting = self.input.len() - self.used;
        // One whole message and the beginning of the next may wait; more means that nobody takes them out.
        let limit = self.limits.message.saturating_add(KEEP_CAPACITY);
        if waiting.saturating_add(bytes.len()) > limit.saturating_mul(2) {
            return Err(Error::QueueFull { queue: "input", limit: limit.saturating_mul(2) });
        }
        self.compact_input();
        self.input.extend_from_slice(bytes);
        self.handshake()?;
        if !self.input_fds.is_empty() && self.phase() == Phase::Open && !self.fds_agreed {
            return Err(Error::FdsNotNegotiated);
        }
        Ok(())
    }

    fn handshake(&mut self) -> Result<()> {
        let waiting = &self.input[self.used..];
        let (used, progress) = match &mut self.auth {
            Auth::Server(server) => {
                let result = server.feed(waiting, &mut self.output)?;
                self.fds_agreed = server.fds_agreed();
                result
            }
            Auth::Client(client) => {
                let result = client.feed(waiting)?;
                self.fds_agreed = client.fds_agreed();
                if result.1 == Progress::Done {
                    self.server_guid = client.server_guid().to_owned();
                }
                result
            }
            Auth::Done | Auth::Failed => return Ok(()),
        };
        self.used += used;
        if progress == Progress::Done {
            self.auth = Auth::Done;
        }
        Ok(())
    }

    /// Takes the next message out, if a whole one is there. A fault ends the connection.
    pub fn next_message(&mut self) -> Option<Result<Message>> {
        while self.phase() == Phase::Open {
            let waiting = &self.input[self.used..];
            let len = match Message::frame_len(waiting, self.limits.message) {
                Ok(Some(len)) if len <= waiting.len() => len,
                Ok(_) => return None,
                Err(fault) => {
                    self.fail();
                    return Some(Err(fault));
                }
            };
            let queue = &mut self.input_fds;
            let mut count_taken = 0;
            let decoded = Message::decode(&waiting[..len], |count| {
                if count > queue.len() {
                    return Err(Error::TooManyFds { count });
                }
                count_taken = count;
                Ok(queue.iter().take(count).copied().collect())
            });
            match decoded {
                Ok(message) => {
                    let taken = queue.drain(..count_taken);
                    if message.is_none() {
                        self.unwanted_fds.extend(taken);
                    } else {
                        drop(taken);
                    }
                    self.used += len;
                    self.compact_input();
                    if let Some(message) = message {
                        return Some(Ok(message));
                    }
                }
                Err(fault) => {
                    self.fail();
                    return Some(Err(fault));
                }
            }
        }
        None
    }

    /// Queues `message` and gives the serial it got. Nothing is queued on a fault, and the connection stays usable;
    /// the message's descriptors then remain the caller's.
    pub fn send(&mut self, message: &Message) -> Result<u32> {
        if self.phase() == Phase::Failed {
            return Err(Error::Closed);
        }
        if !message.fds().is_empty() && !self.fds_agreed {
            return Err(Error::FdsNotNegotiated);
        }
        if self.ends.len() >= self.limits.outgoing_messages {
            return Err(Error::QueueFull { queue: "messages", limit: self.limits.outgoing_messages });
        }
        self.compact_output();
        let before = self.output.len();
        let serial = self.last_serial.checked_add(1).unwrap_or(1);
        let sender = self.sender.as_deref();
        message.encode(serial, sender, self.limits.sent_message, &mut self.output)?;
        if self.output.len() - self.written > self.limits.outgoing_bytes {
            self.output.truncate(before);
            return Err(Error::QueueFull { queue: "bytes", limit: self.limits.outgoing_bytes });
        }
        self.ends.push_back(self.output_base + self.output.len() as u64);
        if !message.fds().is_empty() {
            let at = self.output_base + before as u64;
            self.attached.push_back(Attached { at, fds: message.fds().to_vec() });
        }
        self.last_serial = serial;
        Ok(serial)
    }

    /// What to write next: up to the next message that has descriptors of its own.
    pub fn outgoing(&self) -> Outgoing<'_> {
        let head = self.output_base + self.written as u64;
        let mut next = self.attached.iter();
        let mut barrier = next.next();
        let mut fds: &[u64] = &[];
        if let Some(here) = barrier.filter(|attached| attached.at == head) {
            fds = &here.fds;
            barrier = next.next();
        }
        let end = match barrier {
            Some(attached) => (attached.at - self.output_base) as usize,
            None => self.output.len(),
        };
        Outgoing { bytes: &self.output[self.written..end], fds }
    }

    /// Whether something waits to be written.
    pub fn wants_write(&self) -> bool {
        self.written < self.output.len()
    }

    /// How many bytes wait to be written.
    pub fn outgoing_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// Notes that the first `count` bytes of [`Connection::outgoing`] were written, with the descriptors if any.
    /// Those descriptors are the peer's now: they move to [`Connection::take_unwanted_fds`].
    pub fn advance_written(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.written = (self.written + count).min(self.output.len());
        let head = self.output_base + self.written as u64;
        while self.ends.front().is_some_and(|end| *end <= head) {
            self.ends.pop_front();
        }
        while self.attached.front().is_some_and(|attached| attached.at < head) {
            let sent = self.attached.pop_front();
            self.unwanted_fds.extend(sent.into_iter().flat_map(|attached| attached.fds));
        }
        if self.written == self.output.len() {
            self.compact_output();
        }
    }

    /// Descriptors that the connection has no more use for: sent ones, those of ignored messages, and all of them
    /// after a fault. The caller closes its copies.
    pub fn take_unwanted_fds(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.unwanted_fds)
    }

    /// The end: all descriptors that the connection still has, received or yet to be sent. The caller closes them.
    pub fn into_fds(self) -> Vec<u64> {
        let unsent = self.attached.into_iter().flat_map(|attached| attached.fds);
        self.unwanted_fds.into_iter().chain(self.input_fds).chain(unsent).collect()
    }

    /// Ends the connection from our side: input is dropped, output can still be written.
    pub fn close(&mut self) {
        self.fail();
    }

    /// The state as plain data.
    pub fn into_state(self) -> ConnectionState {
        ConnectionState {
            limits: self.limits,
            auth: self.auth,
            fds_agreed: self.fds_agreed,
            server_guid: self.server_guid,
            sender: self.sender,
            input: self.input[self.used..].to_vec(),
            input_fds: self.input_fds.into(),
            output: self.output[self.written..].to_vec(),
            output_base: self.output_base + self.written as u64,
            ends: self.ends.into(),
            attached: self.attached.into(),
            unwanted_fds: self.unwanted_fds,
            last_serial: self.last_serial,
        }
    }

    /// A connection that goes on where `state` left off.
    pub fn from_state(state: ConnectionState) -> Connection {
        // The state is ours but went through a file: keep its places inside the buffer.
        let end = state.output_base.saturating_add(state.output.len() as u64);
        let mut attached: VecDeque<Attached> = state.attached.into();
        attached.retain(|attached| (state.output_base..end).contains(&attached.at));
        Connection {
            limits: state.limits,
            auth: state.auth,
            fds_agreed: state.fds_agreed,
            server_guid: state.server_guid,
            sender: state.sender,
            input: state.input,
            used: 0,
            input_fds: state.input_fds.into(),
            output: state.output,
            written: 0,
            output_base: state.output_base,
            ends: state.ends.into(),
            attached,
            unwanted_fds: state.unwanted_fds,
            last_serial: state.last_serial,
        }
    }

    fn fail(&mut self) {
        self.auth = Auth::Failed;
        self.input = Vec::new();
        self.used = 0;
        self.unwanted_fds.extend(self.input_fds.drain(..));
    }

    /// Drops used input, moving what is left only when that is cheap.
    fn compact_input(&mut self) {
        if self.used == self.input.len() {
            self.input.clear();
            if self.input.capacity() > KEEP_CAPACITY {
                self.input = Vec::new();
            }
            self.used = 0;
        } else if self.used > self.input.len() / 2 {
            self.input.drain(..self.used);
            self.used = 0;
        }
    }

    fn compact_output(&mut self) {
        if self.written == self.output.len() || self.written > self.output.len() / 2 {
            self.output_base += self.written as u64;
            self.output.drain(..self.written);
            self.written = 0;
            if self.output.is_empty() && self.output.capacity() > KEEP_CAPACITY {
                self.output = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::{AuthFault, Kind};

    const GUID: &str = "0123456789abcdef0123456789abcdef";

    fn server() -> Connection {
        Connection::server(ServerAuth::new(GUID, Some(0), false, true), Limits::default())
    }

    fn client() -> Connection {
        Connection::client(ClientAuth::external(true), Limits::default())
    }

    /// Moves what waits in `from` to `to`, `step` bytes at a time.
    fn pump(from: &mut Connection, to: &mut Connection, step: usize) {
        while from.wants_write() {
            let out = from.outgoing();
            let count = out.bytes.len().min(step);
            to.feed(&out.bytes[..count], out.fds.iter().copied()).unwrap();
            from.advance_written(count);
        }
    }

    fn call(n: u32) -> Message {
        Message::method_call(None, "/a", "org.example.I", "Do")
            .build(|w| {
                w.u32(n);
            })
            .unwrap()
    }

    #[test]
    fn two_of_them_talk() {
        for step in [1, 7, 100_000] {
            let (mut a, mut b) = (client(), server());
            assert_eq!(a.send(&call(5)), Ok(1));
            pump(&mut a, &mut b, step);
            assert_eq!(b.phase(), Phase::Open);
            let got = b.next_message().unwrap().unwrap();
            assert_eq!((got.serial, got.body_reader().u32()), (1, Ok(5)));
            assert!(b.next_message().is_none());
            b.send(&Message::method_return(&got)).unwrap();
            pump(&mut b, &mut a, step);
            assert_eq!(a.phase(), Phase::Open);
            assert_eq!(a.server_guid(), GUID);
            let answer = a.next_message().unwrap().unwrap();
            assert_eq!((answer.kind(), answer.reply_serial()), (Kind::MethodReturn, Some(1)));
            assert!(a.is_idle() && b.is_idle());
        }
    }

    #[test]
    fn descriptors_stay_with_their_message() {
        let (mut a, mut b) = (client(), server());
        pump(&mut a, &mut b, 1000);
        pump(&mut b, &mut a, 1000);
        let with = |ids: &[u64]| {
            Message::method_call(None, "/a", "", "Do")
                .build(|w| {
                    ids.iter().for_each(|id| {
                        w.fd(*id);
                    })
                })
                .unwrap()
        };
        a.send(&call(0)).unwrap();
        a.send(&with(&[7, 8])).unwrap();
        a.send(&call(1)).unwrap();
        a.send(&with(&[9])).unwrap();
        assert_eq!(a.outgoing().fds, [0u64; 0]);
        pump(&mut a, &mut b, 33);
        assert_eq!(a.take_unwanted_fds(), [7, 8, 9]);
        let fds: Vec<Vec<u64>> = (0..4).map(|_| b.next_message().unwrap().unwrap().fds().to_vec()).collect();
        assert_eq!(fds, [vec![], vec![7, 8], vec![], vec![9]]);
        assert!(b.take_unwanted_fds().is_empty());
    }

    #[test]
    fn faults_give_descriptors_back() {
        let mut b = server();
        assert_eq!(b.feed(b"\n", [5]), Err(Error::Auth(AuthFault::NoNulByte)));
        assert_eq!((b.phase(), b.take_unwanted_fds()), (Phase::Failed, vec![5]));
        assert_eq!(b.feed(b"x", [6]), Err(Error::Closed));
        assert_eq!(b.take_unwanted_fds(), [6]);
        assert_eq!(b.send(&call(1)), Err(Error::Closed));

        let mut b = server();
        b.feed(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n", []).unwrap();
        assert_eq!(b.feed(b"l", [5]), Err(Error::FdsNotNegotiated));

        let (mut a, mut b) = (client(), server());
        pump(&mut a, &mut b, 1000);
        b.feed(b"garbage, sixteen", [4]).unwrap();
        assert!(b.next_message().unwrap().is_err());
        assert!(b.next_message().is_none());
        assert_eq!(b.take_unwanted_fds(), [4]);
        let _ = a.next_message();
    }

    #[test]
    fn the_end_gives_all_descriptors_back() {
        let (mut a, mut b) = (client(), server());
        pump(&mut a, &mut b, 1000);
        pump(&mut b, &mut a, 1000);
        let call = Message::method_call(None, "/a", "", "Do").build(|w| {
            w.fd(7);
        });
        a.send(&call.unwrap()).unwrap();
        let outgoing = a.outgoing();
        b.feed(&outgoing.bytes[..20], outgoing.fds.iter().copied()).unwrap();
        assert_eq!(b.into_fds(), [7], "of a message that did not come whole");
        assert_eq!(a.clone().into_fds(), [7], "of one that did not go out");
        a.advance_written(1000);
        assert_eq!(a.into_fds(), [7], "of one that went");
    }

    #[test]
    fn queues_are_bounded() {
        let limits = Limits {
            outgoing_messages: 3,
            outgoing_bytes: 1000,
            message: 100,
            sent_message: 400,
            incoming_fds: 2,
        };
        let mut b = Connection::server(ServerAuth::new(GUID, Some(0), false, true), limits);
        b.feed(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", []).unwrap();
        (0..3).for_each(|n| {
            b.send(&call(n)).unwrap();
        });
        assert_eq!(b.send(&call(3)), Err(Error::QueueFull { queue: "messages", limit: 3 }));
        b.advance_written(usize::MAX);
        let long = |n: usize| {
            Message::method_call(None, "/a", "", "Do")
                .build(|w| {
                    w.str(&"x".repeat(n));
                })
                .unwrap()
        };
        assert!(matches!(b.send(&long(400)), Err(Error::MessageTooLong { .. })));
        b.send(&long(300)).unwrap();
        b.send(&long(300)).unwrap();
        let before = b.outgoing_bytes();
        assert_eq!(b.send(&long(300)), Err(Error::QueueFull { queue: "bytes", limit: 1000 }));
        assert_eq!(b.outgoing_bytes(), before);
        assert_eq!(b.feed(b"", [1, 2, 3]), Err(Error::TooManyFds { count: 3 }));
    }

    #[test]
    fn tells_how_much_to_read() {
        let mut b = server();
        b.feed(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n", []).unwrap();
        let mut bytes = Vec::new();
        call(1).encode(1, None, 1 << 20, &mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        while b.wanted() > 0 {
            let (now, later) = rest.split_at(b.wanted());
            b.feed(now, []).unwrap();
            rest = later;
        }
        assert!(rest.is_empty());
        assert!(b.next_message().unwrap().is_ok());
        assert_eq!(b.wanted(), FIXED_HEADER);
    }

    #[test]
    fn goes_on_in_another_image() {
        let move_over = |connection: Connection| {
            let text = serde_json::to_vec(&connection.into_state()).unwrap();
            Connection::from_state(serde_json::from_slice(&text).unwrap())
        };
        let (mut a, mut b) = (client(), server());
        for n in 0..20 {
            a.send(&call(n)).unwrap();
        }
        let mut seen = Vec::new();
        while a.wants_write() {
            let out = a.outgoing();
            let count = out.bytes.len().min(37);
            b.feed(&out.bytes[..count], out.fds.iter().copied()).unwrap();
            a.advance_written(count);
            (a, b) = (move_over(a), move_over(b));
            while let Some(message) = b.next_message() {
                seen.push(message.unwrap().body_reader().u32().unwrap());
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<u32>>());
        assert_eq!(a.send(&call(0)), Ok(21));
    }
}
