//! A synchronous client of the manager's private socket. It runs inside the machine: peers from another PID
//! namespace have no process id there, and the reference talks to none of those.

use runstead_wire::dbus::{ClientAuth, Connection, Kind, Limits, Message, Phase, Writer};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Where the manager listens.
pub const SOCKET: &str = "/run/systemd/private";
/// Its object.
pub const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// Its interface.
pub const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// One connection.
pub struct Client {
    stream: UnixStream,
    connection: Connection,
}

/// A call of the manager's own interface.
pub fn manager_call(member: &str, body: impl FnOnce(&mut Writer)) -> Message {
    let call = Message::method_call(None, MANAGER_PATH, MANAGER, member);
    call.build(body).expect("the programs write bodies of known types")
}

impl Client {
    /// Connects, and waits for the end of the handshake: the reference overlooks a call that comes along with it.
    pub fn connect() -> io::Result<Client> {
        let stream = UnixStream::connect(SOCKET)?;
        let connection = Connection::client(ClientAuth::external(false), Limits::default());
        let mut client = Client { stream, connection };
        let end = Instant::now() + HANDSHAKE;
        client.flush()?;
        while client.connection.phase() == Phase::Handshake {
            if !client.read(end)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no end of the handshake"));
            }
        }
        Ok(client)
    }

    /// Sends a call; gives its serial.
    pub fn send(&mut self, call: &Message) -> io::Result<u32> {
        self.send_all(std::slice::from_ref(call))
    }

    /// Sends calls at one blow; gives the last one's serial.
    pub fn send_all(&mut self, calls: &[Message]) -> io::Result<u32> {
        let mut serial = 0;
        for call in calls {
            serial = self.connection.send(call).map_err(io::Error::other)?;
        }
        self.flush()?;
        Ok(serial)
    }

    /// Sends a call and waits for its answer, which may be an error.
    pub fn call(&mut self, call: &Message, limit: Duration) -> io::Result<Message> {
        let serial = self.send(call)?;
        let end = Instant::now() + limit;
        while let Some(message) = self.receive(end)? {
            if message.reply_serial() == Some(serial) {
                return Ok(message);
            }
        }
        let text = format!("no answer to {} within {limit:?}", call.member().unwrap_or("a call"));
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// As [`Client::call`]; an error is an error.
    pub fn ask(&mut self, call: &Message, limit: Duration) -> io::Result<Message> {
        let answer = self.call(call, limit)?;
        if answer.kind() == Kind::Error {
            let name = answer.error_name().unwrap_or("");
            let text =
                format!("{}: {name}: {}", call.member().unwrap_or(""), answer.error_text().unwrap_or(""));
            return Err(io::Error::other(text));
        }
        Ok(answer)
    }

    /// The next message, or `None` at `end`.
    pub fn receive(&mut self, end: Instant) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.connection.next_message() {
                return message.map(Some).map_err(io::Error::other);
            }
            self.flush()?;
            if !self.read(end)? {
                return Ok(None);
            }
        }
    }

    /// Takes in what the manager sends next; `false` at `end`.
    fn read(&mut self, end: Instant) -> io::Result<bool> {
        let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
            return Ok(false);
        };
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the manager hung up")),
            Ok(count) => {
                self.connection.feed(&buffer[..count], []).map_err(io::Error::other)?;
                Ok(true)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(e) => Err(e),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            let count = self.stream.write(self.connection.outgoing().bytes)?;
            self.connection.advance_written(count);
        }
        Ok(())
    }
}
