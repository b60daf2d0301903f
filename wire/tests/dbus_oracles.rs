//! Others speak D-Bus with us: libsystemd (through busctl) as a client of ours, and dbus-daemon as our bus.
//!
//! Where a program is not installed its test says so and passes, but not in CI (`CI` set), which installs them.

#![allow(clippy::unwrap_used)] // A panic is the report.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runstead_wire::dbus::{ClientAuth, Connection, Kind, Limits, MatchRule, Message, ServerAuth, Value};

fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    assert!(found || std::env::var_os("CI").is_none(), "{program} must be installed in CI");
    if !found {
        println!("not tested: {program} is not installed");
    }
    found
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("runstead-wire-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection and its socket, driven by blocking reads and writes.
struct Peer {
    stream: UnixStream,
    connection: Connection,
}

impl Peer {
    fn new(stream: UnixStream, connection: Connection) -> Peer {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Peer { stream, connection }
    }

    fn send(&mut self, message: &Message) -> u32 {
        let serial = self.connection.send(message).unwrap();
        self.flush();
        serial
    }

    fn flush(&mut self) {
        while self.connection.wants_write() {
            let count = self.stream.write(self.connection.outgoing().bytes).unwrap();
            self.connection.advance_written(count);
        }
    }

    /// The next message; `None` when the other side is gone.
    fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.connection.next_message() {
                return Some(message.unwrap());
            }
            let mut buffer = [0; 512];
            let count = self.stream.read(&mut buffer).unwrap();
            if count == 0 {
                return None;
            }
            self.connection.feed(&buffer[..count], []).unwrap();
            self.flush();
        }
    }

    fn call(&mut self, message: &Message) -> Message {
        let serial = self.send(message);
        loop {
            let answer = self.receive().unwrap();
            if answer.reply_serial() == Some(serial) {
                return answer;
            }
        }
    }
}

/// Gives back what it is called with, until the caller goes.
fn echo(listener: UnixListener, uid: u32) {
    let (stream, _) = listener.accept().unwrap();
    let auth = ServerAuth::new("0123456789abcdef0123456789abcdef", Some(uid), false, true);
    let mut peer = Peer::new(stream, Connection::server(auth, Limits::default()));
    while let Some(call) = peer.receive() {
        let answer = match call.member() {
            Some("Hello") => Message::method_return(&call).build(|w| {
                w.str(":1.1");
            }),
            Some("Echo") => Message::method_return(&call).build(|w| {
                let mut reader = call.body_reader();
                while reader.has_more() {
                    w.value(&reader.value().unwrap());
                }
            }),
            _ => Ok(Message::error(&call, "org.freedesktop.DBus.Error.UnknownMethod", "no such method")),
        };
        if call.wants_reply() {
            peer.send(&answer.unwrap().with_sender("org.example.Echo").with_destination(":1.1"));
        }
    }
}

fn busctl(socket: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("busctl")
        .arg(format!("--address=unix:path={}", socket.display()))
        .args(["--", "call", "org.example.Echo", "/", "org.example.Echo"])
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn libsystemd_calls_us() {
    if !installed("busctl") {
        return;
    }
    let folder = Folder::new("busctl");
    let socket = folder.0.join("socket");
    let uid = std::fs::metadata(&folder.0).unwrap().uid();
    let serve = || {
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || echo(listener, uid))
    };

    let server = serve();
    let types = "sybnqiuxtdoga{sv}as(ia(ss))v";
    let values = "text 7 true -5 5 -70000 70000 -8000000000 8000000000 1.5 /a/b a{sv} \
        2 one s x two ay 3 1 2 3 2 p q 9 1 k l (sv) deep u 3";
    let arguments: Vec<&str> = ["Echo", types].into_iter().chain(values.split_whitespace()).collect();
    let output = busctl(&socket, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = "sybnqiuxtdoga{sv}as(ia(ss))v \"text\" 7 true -5 5 -70000 70000 -8000000000 8000000000 1.5 \
        \"/a/b\" \"a{sv}\" 2 \"one\" s \"x\" \"two\" ay 3 1 2 3 2 \"p\" \"q\" 9 1 \"k\" \"l\" (sv) \"deep\" u 3\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    server.join().unwrap();

    let server = serve();
    let output = busctl(&socket, &["Nothing"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Call failed: no such method\n");
    server.join().unwrap();
}

fn start_daemon(folder: &Folder) -> Daemon {
    let configuration = folder.0.join("bus.conf");
    let socket = folder.0.join("bus");
    let text = format!(
        "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
        socket.display()
    );
    std::fs::write(&configuration, text).unwrap();
    let mut child = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", configuration.display()))
        .args(["--nofork", "--nopidfile", "--print-address"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.starts_with("unix:path="), "{address}");
    Daemon(child)
}

fn on_bus(folder: &Folder) -> (Peer, String) {
    let stream = UnixStream::connect(folder.0.join("bus")).unwrap();
    let client = Connection::client(ClientAuth::external(true), Limits::default());
    let mut peer = Peer::new(stream, client);
    let answer = peer.call(&bus_call("Hello"));
    assert!(peer.connection.fds_agreed());
    let name = answer.body_reader().str().unwrap().to_owned();
    (peer, name)
}

fn bus_call(member: &str) -> Message {
    let bus = "org.freedesktop.DBus";
    Message::method_call(Some(bus), "/org/freedesktop/DBus", bus, member)
}

#[test]
fn we_live_on_a_bus() {
    if !installed("dbus-daemon") {
        return;
    }
    let folder = Folder::new("daemon");
    let _daemon = start_daemon(&folder);
    let (mut a, a_name) = on_bus(&folder);
    let (mut b, b_name) = on_bus(&folder);
    assert_eq!((a_name.as_str(), b_name.as_str()), (":1.0", ":1.1"));

    let request = bus_call("RequestName").build(|w| {
        w.str("org.example.Name").u32(4);
    });
    assert_eq!(a.call(&request.unwrap()).body_reader().u32(), Ok(1));
    let rule = "type='signal',sender='org.example.Name',arg0='x',path_namespace='/org/example'";
    let add = bus_call("AddMatch").build(|w| {
        w.str(rule);
    });
    assert_eq!(b.call(&add.unwrap()).kind(), Kind::MethodReturn);

    let value = Value::Struct(vec!["x".into(), Value::variant(Value::strings(["p", "q"]))]);
    let signal = |first: &str| {
        Message::signal("/org/example/object", "org.example.I", "Happened")
            .build(|w| {
                w.str(first).value(&value);
            })
            .unwrap()
    };
    a.send(&signal("y"));
    a.send(&signal("x"));
    let got = loop {
        let got = b.receive().unwrap();
        if got.member() == Some("Happened") {
            break got;
        }
    };
    got.check_body().unwrap();
    let mut reader = got.body_reader();
    assert_eq!((reader.str(), reader.value()), (Ok("x"), Ok(value.clone())));
    assert_eq!(got.sender(), Some(":1.0"));
    let owns = |name: &str, unique: &str| name == "org.example.Name" && unique == ":1.0";
    assert!(MatchRule::parse(rule).unwrap().matches_owned(&got, owns));

    let missing = Message::method_call(Some("org.example.Nobody"), "/", "a.b", "C");
    let answer = b.call(&missing);
    assert_eq!(answer.error_name(), Some("org.freedesktop.DBus.Error.ServiceUnknown"));
}
