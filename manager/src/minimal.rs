//! What the manager still does while it crashes in a loop, or could not start as PID 1 (DESIGN 6): it reaps, tells clients what
//! is wrong, and shuts the machine down when asked. After a pause that grows it tries to be whole again.
//!
//! Units and jobs are not looked at here: they may be what makes it crash. Their records stay in the state log, and how
//! children end is added to it.
use crate::console::Console;
use crate::persist::exit_key;
use crate::recovery::History;
use crate::shutdown;
use runstead_api::systemd1::BUS_NAME;
use runstead_core::engine::effect::Exit;
use runstead_os::signals::{RTMIN, Signals};
use runstead_os::socket::{recv_with_fds, send_with_fds, unix};
use runstead_os::statelog::StateLog;
use runstead_os::{children, reexec};
use runstead_wire::dbus::{Connection, Kind, Limits, Message, ServerAuth};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The reason of an execution that only tries again.
pub(crate) const RETRY: &str = "retry";

/// Clients at a time; the oldest goes for a new one.
const PEERS: usize = 16;
/// Ends of children that are kept for later.
const EXITS: usize = 4096;
/// Bytes read from a client in one round.
const READ: usize = 16 << 10;

/// The mode.
#[derive(Debug)]
pub(crate) struct Minimal {
    why: String,
    /// When to try again; `None`: only when asked.
    retry: Option<Instant>,
    listener: Option<OwnedFd>,
    log: Option<StateLog>,
    exits: usize,
    peers: Vec<(OwnedFd, Connection)>,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    End(Exit),
    Retry,
}

impl Minimal {
    /// After too many crashes, with the sockets of the image before.
    pub fn new(history: &mut History, log: &StateLog) -> Minimal {
        let pause = history.pause();
        let why = format!(
            "The manager crashed {} times in a short time, at last over {}. It tries again in {} s.",
            history.times.len(),
            history.last.describe(),
            pause.as_secs()
        );
        let listener = log.get("socket/private").and_then(crate::persist::take_fd);
        let retry = Some(Instant::now() + pause);
        Minimal { why, retry, listener, log: None, exits: 0, peers: Vec::new() }
    }

    /// Keep the log: the next try needs it, and the ends of children go there.
    pub fn with_log(mut self, log: StateLog) -> Minimal {
        self.log = Some(log);
        self
    }

    /// PID 1 that could not start at all.
    pub fn without_log(why: &str) -> Minimal {
        Minimal {
            why: format!("The manager cannot start: {why}."),
            retry: None,
            listener: unix::listen("/run/systemd/private", 0o700).ok(),
            log: None,
            exits: 0,
            peers: Vec::new(),
        }
    }

    /// Serve until the machine is to end; executes the manager anew when the time has come.
    pub fn run(mut self) -> ExitCode {
        let console = Console::new(true);
        console.always(&format!(
            "{}\r\nUntil then it reaps, answers on its private socket, and shuts down when asked.",
            self.why
        ));
        let signals = Signals::open().ok();
        loop {
            self.reap();
            let signalled = signals.as_ref().and_then(wish_of_signals);
            match signalled.or_else(|| self.serve()) {
                Some(Wish::End(exit)) => {
                    runstead_os::crash::disarm();
                    let container = runstead_os::identity::Identity::read().container.is_some();
                    return shutdown::end(exit, 0, container, &console);
                }
                Some(Wish::Retry) => self.retry(&console),
                None => {}
            }
            if self.retry.is_some_and(|at| at <= Instant::now()) {
                self.retry(&console);
            }
            self.wait(signals.as_ref());
        }
    }

    fn retry(&mut self, console: &Console) {
        let error = reexec::execute(RETRY);
        console.always(&format!("cannot execute the manager: {error}"));
        self.retry = self.retry.map(|_| Instant::now() + Duration::from_secs(60));
    }

    fn wait(&self, signals: Option<&Signals>) {
        let left =
            self.retry.map_or(Duration::from_secs(60), |at| at.saturating_duration_since(Instant::now()));
        // Without a signalfd children are looked for now and then.
        let left = if signals.is_some() { left } else { left.min(Duration::from_secs(1)) };
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let mut fds = Vec::with_capacity(PEERS + 2);
        let signal_fd = signals.map(Signals::fd);
        fds.extend(signal_fd.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.listener.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.peers.iter().map(|(fd, _)| PollFd::new(fd, PollFlags::IN)));
        if poll(&mut fds, Some(&timeout)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Note how children ended, for the manager when it is whole again, and let them go.
    fn reap(&mut self) {
        while let Ok(Some(ended)) = children::peek() {
            if let Some(log) = self.log.as_mut().filter(|_| self.exits < EXITS)
                && let Ok(bytes) = serde_json::to_vec(&ended.exit)
            {
                log.put(&exit_key(ended.pid), &bytes);
                self.exits += 1;
            }
            if children::reap(ended.pid).is_err() {
                return;
            }
        }
    }

    /// One round with the clients.
    fn serve(&mut self) -> Option<Wish> {
        if let Some(listener) = &self.listener {
            while let Ok(Some(socket)) = unix::accept(listener) {
                let uid = unix::peer_credentials(&socket).map_or(u32::MAX, |who| who.uid);
                if uid != 0 && uid != rustix::process::geteuid().as_raw() {
                    continue;
                }
                if self.peers.len() >= PEERS {
                    self.peers.remove(0);
                }
                let guid = runstead_os::identity::random_id().unwrap_or_else(|_| "0".repeat(32));
                let mut connection =
                    Connection::server(ServerAuth::new(&guid, Some(uid), false, true), Limits::default());
                connection.name_sender(BUS_NAME).expect("the bus name is valid");
                self.peers.push((socket, connection));
            }
        }
        let why = self.why.clone();
        let mut wish = None;
        self.peers
            .retain_mut(|(socket, connection)| serve_one(socket, connection, &why, &mut wish).is_some());
        wish
    }
}

/// Read, answer, write; `None` when the connection ended.
fn serve_one(
    socket: &OwnedFd,
    connection: &mut Connection,
    why: &str,
    wish: &mut Option<Wish>,
) -> Option<()> {
    let mut buffer = [0; READ];
    match recv_with_fds(socket, &mut buffer) {
        Ok(received) if received.len == 0 => return None,
        // Descriptors that came along are closed: nothing here takes any.
        Ok(received) => connection.feed(&buffer[..received.len], Vec::new()).ok()?,
        Err(rustix::io::Errno::AGAIN) => {}
        Err(_) => return None,
    }
    while let Some(message) = connection.next_message() {
        let message = message.ok()?;
        if message.kind() != Kind::MethodCall {
            continue;
        }
        let wanted = wish_of_call(&message);
        if message.wants_reply() {
            let reply = match wanted {
                Some(_) => Message::method_return(&message),
                None => Message::error(&message, "org.freedesktop.DBus.Error.Failed", why),
            };
            connection.send(&reply).ok()?;
        }
        *wish = wish.or(wanted);
    }
    while connection.wants_write() {
        match send_with_fds(socket, connection.outgoing().bytes, &[]) {
            Ok(count) => connection.advance_written(count),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(_) => return None,
        }
    }
    Some(())
}

/// The calls that end the machine, or that ask for another try.
fn wish_of_call(message: &Message) -> Option<Wish> {
    let unit = || message.body_reader().str().ok().map(str::to_owned).unwrap_or_default();
    Some(match message.member()? {
        "PowerOff" => Wish::End(Exit::Poweroff),
        "Reboot" => Wish::End(Exit::Reboot),
        "Halt" => Wish::End(Exit::Halt),
        "KExec" => Wish::End(Exit::Kexec),
        "Exit" => Wish::End(Exit::Exit),
        "Reexecute" | "Reload" => Wish::Retry,
        "StartUnit" | "StartUnitWithFlags" | "EnqueueUnitJob" => return wish_of_target(&unit()),
        _ => return None,
    })
}

fn wish_of_target(unit: &str) -> Option<Wish> {
    Some(Wish::End(match unit {
        "poweroff.target" => Exit::Poweroff,
        "reboot.target" | "ctrl-alt-del.target" => Exit::Reboot,
        "halt.target" => Exit::Halt,
        "kexec.target" => Exit::Kexec,
        "exit.target" => Exit::Exit,
        _ => return None,
    }))
}

/// The signals of systemd(1), "Signals", that still mean something.
fn wish_of_signals(signals: &Signals) -> Option<Wish> {
    let pid1 = std::process::id() == 1;
    let mut wish = None;
    while let Ok(Some(signal)) = signals.next() {
        wish = wish.or(wish_of_signal(signal.signal, pid1));
    }
    wish
}

fn wish_of_signal(signal: i32, pid1: bool) -> Option<Wish> {
    const HUP: i32 = 1;
    const INT: i32 = 2;
    const TERM: i32 = 15;
    const PWR: i32 = 30;
    Some(match signal {
        // Whoever is not PID 1 may simply go (systemd(1), "Signals").
        INT | TERM if !pid1 => Wish::End(Exit::Exit),
        HUP | TERM => Wish::Retry,
        INT => Wish::End(Exit::Reboot),
        PWR => Wish::End(Exit::Poweroff),
        _ => match signal - RTMIN {
            3 | 13 => Wish::End(Exit::Halt),
            4 | 14 => Wish::End(Exit::Poweroff),
            5 | 15 => Wish::End(Exit::Reboot),
            6 | 16 => Wish::End(Exit::Kexec),
            25 => Wish::Retry,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstead_wire::dbus::auth::ClientAuth;

    #[test]
    fn calls_and_signals_that_still_mean_something() {
        let start = |unit: &str| {
            Message::method_call(
                None,
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
                "StartUnit",
            )
            .build(|writer| {
                writer.str(unit).str("replace");
            })
            .expect("a small message")
        };
        assert_eq!(wish_of_call(&start("poweroff.target")), Some(Wish::End(Exit::Poweroff)));
        assert_eq!(wish_of_call(&start("a.service")), None);
        assert_eq!(wish_of_signal(RTMIN + 5, true), Some(Wish::End(Exit::Reboot)));
        assert_eq!(wish_of_signal(15, true), Some(Wish::Retry));
        assert_eq!(wish_of_signal(15, false), Some(Wish::End(Exit::Exit)));
        assert_eq!(wish_of_signal(17, true), None);
    }

    #[test]
    fn clients_are_told_what_is_wrong() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("sockets");
        let uid = rustix::process::geteuid().as_raw();
        let auth = ServerAuth::new(&"0".repeat(32), Some(uid), false, true);
        let mut server = Connection::server(auth, Limits::default());
        let mut client = Connection::client(ClientAuth::external(false), Limits::default());
        let list = Message::method_call(
            None,
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
            "ListUnits",
        );
        client.send(&list).expect("queued");
        let mut wish = None;
        let mut answer = None;
        for _ in 0..10 {
            while client.wants_write() {
                let sent = send_with_fds(&theirs, client.outgoing().bytes, &[]).expect("room");
                client.advance_written(sent);
            }
            serve_one(&ours, &mut server, "It crashed.", &mut wish).expect("the connection lives");
            let mut buffer = [0; 4096];
            if let Ok(got) = recv_with_fds(&theirs, &mut buffer) {
                client.feed(&buffer[..got.len], Vec::new()).expect("it speaks D-Bus");
            }
            if let Some(message) = client.next_message() {
                answer = Some(message.expect("a whole message"));
                break;
            }
        }
        let answer = answer.expect("an answer came");
        assert_eq!((answer.kind(), answer.error_text(), wish), (Kind::Error, Some("It crashed."), None));
    }
}
