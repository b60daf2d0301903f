//! A small synchronous D-Bus client: of the manager's private socket, for the live display, and of the system bus, for what a
//! user's manager asks PID 1 for.
use runstead_wire::dbus::auth::ClientAuth;
use runstead_wire::dbus::{Connection, Kind, Limits, Message, Phase};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to `RUNROOT/systemd/private`.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    connection: Connection,
    signals: Vec<Message>,
}

/// One line of `ListUnits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitLine {
    /// Unit name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// `active`, `failed` ...
    pub active: String,
    /// `running`, `waiting` ...
    pub sub: String,
    /// Number of its job, 0 for none.
    pub job: u32,
}

/// How long the other side may take to accept us.
const HANDSHAKE: Duration = Duration::from_secs(5);
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// Let PID 1 move processes into a cgroup below that of the unit we run in: what a user's manager may not do itself with
/// processes of a login session.
pub fn attach_by_system_manager(below: &str, pids: &[i32], wait: Duration) -> io::Result<()> {
    let mut client = Client::of_system_bus(wait)?;
    let call = Message::method_call(
        Some(runstead_api::systemd1::BUS_NAME),
        runstead_api::systemd1::MANAGER_PATH,
        MANAGER,
        "AttachProcessesToUnit",
    );
    let call = call.build(|writer| {
        writer.str("").str(below).array("u", |list| {
            for pid in pids {
                list.u32(pid.cast_unsigned());
            }
        });
    });
    client.ask(&call.map_err(io::Error::other)?, wait).map(drop)
}

impl Client {
    /// Connect, and wait until the other side has accepted us: systemd looks at a message that comes with the handshake only when
    /// more comes.
    pub fn connect(socket: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        let connection = Connection::client(ClientAuth::external(false), Limits::default());
        let mut client = Client { stream, connection, signals: Vec::new() };
        let end = Instant::now() + HANDSHAKE;
        while client.connection.phase() != Phase::Open {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the handshake"));
            }
            client.write()?;
            client.read(left)?;
        }
        Ok(client)
    }

    /// Connect to the system bus and ask its driver for a name.
    pub fn of_system_bus(wait: Duration) -> io::Result<Client> {
        let mut client = Client::connect(Path::new(SYSTEM_BUS))?;
        let hello = Message::method_call(
            Some("org.freedesktop.DBus"),
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "Hello",
        );
        client.ask(&hello, wait)?;
        Ok(client)
    }

    /// Call a method of the manager and wait for its answer.
    pub fn call(&mut self, member: &str, wait: Duration) -> io::Result<Message> {
        self.ask(&Message::method_call(None, runstead_api::systemd1::MANAGER_PATH, MANAGER, member), wait)
    }

    /// `StartUnit`, `StopUnit`, `RestartUnit` and the like: queue a job, in that mode.
    pub fn change_unit(&mut self, method: &str, unit: &str, mode: &str, wait: Duration) -> io::Result<()> {
        let call = Message::method_call(None, runstead_api::systemd1::MANAGER_PATH, MANAGER, method);
        let call = call.build(|writer| {
            writer.str(unit).str(mode);
        });
        self.ask(&call.map_err(io::Error::other)?, wait).map(drop)
    }

    /// `SwitchRoot`: from an initramfs to the system at `root`; an empty `init` is the system's own.
    pub fn switch_root(&mut self, root: &str, init: &str, wait: Duration) -> io::Result<()> {
        let call = Message::method_call(None, runstead_api::systemd1::MANAGER_PATH, MANAGER, "SwitchRoot");
        let call = call.build(|writer| {
            writer.str(root).str(init);
        });
        self.ask(&call.map_err(io::Error::other)?, wait).map(drop)
    }

    /// Send a call and wait for its answer.
    pub fn ask(&mut self, call: &Message, wait: Duration) -> io::Result<Message> {
        let member = call.member().unwrap_or("a call").to_owned();
        let serial = self.connection.send(call).map_err(io::Error::other)?;
        let end = Instant::now() + wait;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let Some(message) = self.receive(left)? else { break };
            if message.reply_serial() == Some(serial) {
                return match message.kind() {
                    Kind::Error => {
                        Err(io::Error::other(message.error_text().unwrap_or("refused").to_owned()))
                    }
                    _ => Ok(message),
                };
            }
            self.signals.push(message);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {member}")))
    }

    /// All units.
    pub fn units(&mut self) -> io::Result<Vec<UnitLine>> {
        let reply = self.call("ListUnits", Duration::from_secs(5))?;
        read_units(&reply).map_err(io::Error::other)
    }

    /// Send what is queued, then wait for a message.
    fn receive(&mut self, wait: Duration) -> io::Result<Option<Message>> {
        let end = Instant::now() + wait;
        loop {
            if let Some(message) = self.connection.next_message() {
                return message.map(Some).map_err(io::Error::other);
            }
            self.write()?;
            let Some(left) = end.checked_duration_since(Instant::now()) else { return Ok(None) };
            if !self.read(left)? {
                return Ok(None);
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            let count = self.stream.write(self.connection.outgoing().bytes)?;
            self.connection.advance_written(count);
        }
        Ok(())
    }

    /// Take what comes within `wait`; whether something came.
    fn read(&mut self, wait: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.connection.feed(&buffer[..count], []).map_err(io::Error::other)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn read_units(reply: &Message) -> Result<Vec<UnitLine>, runstead_wire::dbus::Error> {
    let mut body = reply.body_reader();
    let mut units = Vec::new();
    body.enter_array("(ssssssouso)")?;
    while body.has_more() {
        body.enter_struct()?;
        let (name, description) = (body.str()?.to_owned(), body.str()?.to_owned());
        let _load = body.str()?;
        let (active, sub) = (body.str()?.to_owned(), body.str()?.to_owned());
        let _following = body.str()?;
        body.object_path()?;
        let job = body.u32()?;
        body.str()?;
        body.object_path()?;
        body.exit()?;
        units.push(UnitLine { name, description, active, sub, job });
    }
    body.exit()?;
    Ok(units)
}
