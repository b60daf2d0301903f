//! The senders of the storm: what clients and services really send, and what is left of it after damage.

use crate::client::{MANAGER_PATH, SOCKET, manager_call};
use runstead_wire::dbus::Message;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A peer that neither answers nor hangs up for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
/// Threads that send messages.
const SENDERS: u64 = 2;
/// Longest message, as the specification has it.
const LONGEST: usize = 128 << 20;
/// The serial of the call behind each bundle of messages: its answer shows that all before it were looked at.
const LAST_SERIAL: u32 = 0x7ead_beef;

/// Numbers that depend on the seed only (xorshift64*).
pub struct Random(u64);

impl Random {
    /// From any seed.
    pub fn new(seed: u64) -> Random {
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Random((mixed ^ (mixed >> 29)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(1).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

const UNIT_PATH: &str = "/org/freedesktop/systemd1/unit/dbus_2eservice";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What systemctl and its like call, as far as it changes nothing that matters.
fn good_messages() -> Vec<Message> {
    let with = |member: &str, words: &'static [&'static str]| {
        manager_call(member, |body| {
            for word in words {
                body.str(word);
            }
        })
    };
    let call = |path: &str, interface: &str, member: &str, words: &'static [&'static str]| {
        Message::method_call(None, path, interface, member)
            .build(|body| {
                for word in words {
                    body.str(word);
                }
            })
            .expect("texts without NUL")
    };
    let mut all = vec![
        with("GetUnit", &["dbus.service"]),
        with("GetUnit", &["no-such.service"]),
        with("LoadUnit", &["no-such@instance.service"]),
        with("LoadUnit", &["a-b-c.slice"]),
        with("GetUnitFileState", &["cron.service"]),
        with("StartUnit", &["no-such.service", "replace"]),
        with("StopUnit", &["no-such.service", "nonsense"]),
        with("ReloadUnit", &["basic.target", "fail"]),
        with("StartUnit", &["basic.target", "fail"]),
        with("ResetFailedUnit", &["no-such.service"]),
        with("GetDefaultTarget", &[]),
        with("ListJobs", &[]),
        with("Subscribe", &[]),
        with("GetDynamicUsers", &[]),
        with("UnsetEnvironment", &[]),
        call(MANAGER_PATH, "org.freedesktop.DBus.Peer", "Ping", &[]),
        call(MANAGER_PATH, "org.freedesktop.DBus.Peer", "GetMachineId", &[]),
        call(UNIT_PATH, PROPERTIES, "GetAll", &["org.freedesktop.systemd1.Service"]),
        call(UNIT_PATH, PROPERTIES, "Get", &["org.freedesktop.systemd1.Unit", "ActiveState"]),
        call(UNIT_PATH, "org.freedesktop.DBus.Introspectable", "Introspect", &[]),
        call(MANAGER_PATH, PROPERTIES, "Get", &["org.freedesktop.systemd1.Manager", "Version"]),
        call("/no/such/object", PROPERTIES, "GetAll", &["x.y"]),
        call("/", "", "Whatever", &["a"]),
        manager_call("GetUnitByPID", |body| {
            body.u32(1);
        }),
        manager_call("ListUnitsByPatterns", |body| {
            body.strings(["failed"]).strings(["*.service"]);
        }),
        manager_call("ListUnitsByNames", |body| {
            body.strings(["dbus.service", "a b", ""]);
        }),
        manager_call("KillUnit", |body| {
            body.str("no-such.service").str("all").i32(15);
        }),
        manager_call("SetUnitProperties", |body| {
            body.str("no-such.service").bool(true).array("(sv)", |rows| {
                rows.structure(|row| {
                    row.str("CPUWeight").variant("t", |value| {
                        value.u64(100);
                    });
                });
            });
        }),
    ];
    let transient = manager_call("StartTransientUnit", |body| {
        body.str("bad name").str("fail");
        body.array("(sv)", |rows| {
            rows.structure(|row| {
                row.str("Description").variant("s", |value| {
                    value.str("x");
                });
            });
        });
        body.array("(sa(sv))", |_| {});
    });
    all.push(transient);
    all
}

fn encode(message: &Message, serial: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(serial, None, LONGEST, &mut bytes).expect("a good message is encoded");
    bytes
}

/// Damage that leaves the lengths of header and body alone, so that the next message is found.
fn damage_gently(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..random.below(6) {
        // Bytes 4 to 16 hold the lengths; 0 to 4 the byte order, type, flags and version.
        let at =
            if random.below(12) == 0 { 1 + random.below(2) } else { 16 + random.below(bytes.len() - 16) };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = match random.below(4) {
                0 => *byte ^ (1 << random.below(8)),
                1 => random.byte(),
                2 => b"/.-_@%\\\0sayv({"[random.below(14)],
                _ => byte.wrapping_add(1),
            };
        }
    }
}

/// Damage to anything: what follows is lost.
fn damage_roughly(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.byte()),
            2 if at + 4 <= bytes.len() => {
                let edge: [u32; 7] = [0, 1, 0x7fff_ffff, u32::MAX, 1 << 26, (1 << 27) + 1, 65];
                bytes[at..at + 4].copy_from_slice(&edge[random.below(7)].to_le_bytes());
            }
            3 => {
                let part = bytes[at..].to_vec();
                bytes.extend_from_slice(&part[..part.len().min(64)]);
            }
            4 => bytes.extend((0..random.below(300)).map(|_| 0_u8)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.byte();
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(random.byte());
        }
    }
}

/// Whole handshakes, and what is none.
fn damaged_handshake(random: &mut Random) -> Vec<u8> {
    let lines: [&[u8]; 12] = [
        b"\0",
        b"AUTH\r\n",
        b"AUTH EXTERNAL 30\r\n",
        b"AUTH EXTERNAL\r\n",
        b"DATA\r\n",
        b"DATA 30\r\n",
        b"BEGIN\r\n",
        b"NEGOTIATE_UNIX_FD\r\n",
        b"CANCEL\r\n",
        b"ERROR what\r\n",
        b"\n",
        b"AUTH ANONYMOUS 00\r\n",
    ];
    let mut bytes = Vec::new();
    for _ in 0..random.below(8) {
        bytes.extend_from_slice(random.pick(&lines));
    }
    if random.below(20) == 0 {
        bytes.extend(std::iter::repeat_n(b'A', random.below(100_000)));
    }
    if random.below(2) == 0 {
        bytes.push(random.byte());
        damage_roughly(random, &mut bytes);
    }
    bytes
}

/// Sends messages from some connections side by side; says how many, and how many connections that took.
pub fn send_messages(seed: u64, count: u64) -> io::Result<()> {
    let good = good_messages();
    let (sent, connections) = (AtomicU64::new(0), AtomicU64::new(0));
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let sender = |n: u64| {
            let (good, sent, connections) = (&good, &sent, &connections);
            move || {
                let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(n));
                while sent.load(Ordering::Relaxed) < count {
                    connections.fetch_add(1, Ordering::Relaxed);
                    sent.fetch_add(one_connection(&mut random, good)?, Ordering::Relaxed);
                }
                Ok(())
            }
        };
        let all: Vec<_> = (0..SENDERS).map(|n| scope.spawn(sender(n))).collect();
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))).collect()
    });
    println!("sent {} over {} connections", sent.into_inner(), connections.into_inner());
    results.into_iter().collect()
}

/// One connection with up to two dozen messages; how many were sent.
fn one_connection(random: &mut Random, good: &[Message]) -> io::Result<u64> {
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if random.below(10) == 0 {
        let bytes = damaged_handshake(random);
        return finish(&mut stream, &bytes, None).map(|()| 1);
    }
    let mut bytes = b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n".to_vec();
    let count = 1 + random.below(24);
    for serial in 1..=u32::try_from(count).unwrap_or(1) {
        let mut message = encode(&good[random.below(good.len())], serial);
        damage_gently(random, &mut message);
        bytes.extend_from_slice(&message);
    }
    let sent = count as u64;
    if random.below(3) == 0 {
        let mut message = encode(&good[random.below(good.len())], 77);
        damage_roughly(random, &mut message);
        bytes.extend_from_slice(&message);
        return finish(&mut stream, &bytes, None).map(|()| sent + 1);
    }
    let ping = Message::method_call(None, MANAGER_PATH, "org.freedesktop.DBus.Peer", "Ping");
    bytes.extend_from_slice(&encode(&ping, LAST_SERIAL));
    finish(&mut stream, &bytes, Some(LAST_SERIAL.to_le_bytes())).map(|()| sent)
}

/// Writes, then reads until the peer hangs up or the mark comes; that neither happens is an error.
fn finish(stream: &mut UnixStream, bytes: &[u8], mark: Option<[u8; 4]>) -> io::Result<()> {
    if is_stuck(&stream.write_all(bytes)) {
        return Err(io::Error::other("the manager reads no more"));
    }
    if mark.is_none() {
        // It may have hung up already.
        let _ = stream.shutdown(Shutdown::Write);
    }
    let (mut buffer, mut tail) = ([0; 65536], Vec::new());
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                tail.extend_from_slice(&buffer[..count]);
                if mark.is_some_and(|mark| tail.windows(4).any(|part| part == mark)) {
                    return Ok(());
                }
                tail.drain(..tail.len().saturating_sub(3));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                let stuck = io::Error::other("the manager neither answers nor hangs up");
                return if is_stuck(&Err(e)) { Err(stuck) } else { Ok(()) };
            }
        }
    }
}

fn is_stuck(result: &io::Result<()>) -> bool {
    let timed_out = |e: &io::Error| matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    result.as_ref().is_err_and(timed_out)
}

/// What services notify (sd_notify(3)); none of these ends a service.
const TAME: &[&[u8]] = &[
    b"READY=1",
    b"READY=1\nSTATUS=serving 17 clients",
    b"STATUS=half way \xc3\xa9",
    b"STATUS=",
    b"ERRNO=2\nSTATUS=failed",
    b"BUSERROR=org.freedesktop.DBus.Error.TimedOut",
    b"EXTEND_TIMEOUT_USEC=5000000",
    b"FDSTORE=1\nFDNAME=one",
    b"FDSTORE=1",
    b"FDSTOREREMOVE=1\nFDNAME=one",
    b"FDSTORE=1\nFDNAME=one\nFDPOLL=0",
    b"X_WHATEVER=1\n\n\nREADY=1\n",
    b"BARRIER=1",
    b"VARLINKERROR=org.varlink.service.InvalidParameter",
    b"NOTIFYACCESS=all",
    b"RESTART_RESET=1",
    b"\n=\n==\nREADY\n=1",
    b"",
];
/// What may end one.
const WILD: &[&[u8]] = &[
    b"RELOADING=1\nMONOTONIC_USEC=1",
    b"RELOADING=1",
    b"STOPPING=1",
    b"WATCHDOG=1",
    b"WATCHDOG=trigger",
    b"WATCHDOG_USEC=20000000",
    b"WATCHDOG_USEC=1",
    b"MAINPID=1",
    b"MAINPID=4194304",
    b"MAINPID=99999999999999999999",
    b"EXIT_STATUS=99",
    b"NOTIFYACCESS=none",
];

/// Sends notifications; `wild` ones without end, since they may end their sender.
pub fn send_notifications(manner: &str, seed: u64, count: u64) -> io::Result<()> {
    let mut random =
        Random::new(if manner == "wild" { u64::from(std::process::id()) } else { seed ^ 0x5eed });
    let socket = UnixDatagram::unbound()?;
    let place = std::env::var("NOTIFY_SOCKET").unwrap_or_else(|_| "/run/systemd/notify".to_owned());
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(place.as_str())?,
    };
    let null = std::fs::File::open("/dev/null")?;
    let mut sent = 0;
    while manner == "wild" || sent < count {
        let wild = manner != "tame" && random.below(4) == 0;
        let mut bytes = random.pick(if wild { WILD } else { TAME }).to_vec();
        if random.below(4) != 0 {
            damage_text(&mut random, &mut bytes, manner);
        }
        let descriptors = [null.as_fd(), null.as_fd()];
        let with = if random.below(16) == 0 { 1 + random.below(2) } else { 0 };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if with > 0 {
            control.push(SendAncillaryMessage::ScmRights(&descriptors[..with]));
        }
        rustix::net::sendmsg_addr(
            &socket,
            &address,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::empty(),
        )?;
        sent += 1;
        if manner == "wild" {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    println!("sent {sent}");
    if manner == "tame" {
        std::fs::write("/run/.storm.sent", sent.to_string())?;
        std::fs::rename("/run/.storm.sent", "/run/storm.sent")?;
        std::thread::sleep(Duration::from_secs(3600));
    }
    Ok(())
}

fn damage_text(random: &mut Random, bytes: &mut Vec<u8>, manner: &str) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 => bytes.insert(at, random.byte()),
            1 => bytes.insert(at, b"\n=\0 1-\xff"[random.below(7)]),
            2 => bytes.truncate(at),
            3 => {
                let more = random.pick(if manner == "tame" { TAME } else { WILD });
                bytes.push(b'\n');
                bytes.extend_from_slice(more);
            }
            _ => {
                let fill = random.byte();
                let most = if random.below(50) == 0 { 60_000 } else { 100 };
                bytes.extend(std::iter::repeat_n(fill, random.below(most)));
            }
        }
    }
}
