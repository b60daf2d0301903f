//! Every fuzz target over mutations of good inputs, from a fixed seed: the same inputs on every run.

#![allow(clippy::unwrap_used)] // A panic is the report.

use runstead_wire::dbus::{ClientAuth, Message, Value};
use runstead_wire::{fuzzing, journal};

const ROUNDS: usize = 20_000;

/// A small generator of numbers that only depend on the seed (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let end = at + random.below((bytes.len() - at).min(24) + 1);
        match random.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 if at + 4 <= bytes.len() => {
                let edges = [0u32, 1, 0x7fff_ffff, u32::MAX, 1 << 26, (1 << 26) + 1, 253, 254, 64];
                bytes[at..at + 4].copy_from_slice(&edges[random.below(edges.len())].to_le_bytes());
            }
            _ => bytes.insert(at, b"\0\n\r ='\\<>,;{}()avs/:-0"[random.below(22)]),
        }
    }
    bytes
}

fn run(seed: u64, seeds: &[Vec<u8>], target: fn(&[u8])) {
    run_rounds(ROUNDS, seed, seeds, target);
}

fn run_rounds(rounds: usize, seed: u64, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let mut random = Random(seed);
    for good in seeds {
        target(good);
        (0..good.len()).step_by(1 + good.len() / 200).for_each(|len| target(&good[..len]));
    }
    for _ in 0..rounds {
        target(&mutate(&mut random, seeds));
    }
}

fn messages() -> Vec<Vec<u8>> {
    let mut call = Message::method_call(Some("org.example"), "/a/b", "org.example.I", "Do")
        .with_sender(":1.7")
        .build(|w| {
            w.str("dbus.service").u32(7).fd(1);
            w.array("{sv}", |w| {
                w.entry_sv("Nice", "i", |w| {
                    w.i32(5);
                });
                w.entry_sv("List", "a(sv)", |w| {
                    w.value(&Value::Array(
                        "(sv)".into(),
                        vec![Value::Struct(vec!["x".into(), Value::variant(1u8)])],
                    ));
                });
            });
            w.bytes(b"bytes").bool(true).f64(1.5).object_path("/").signature("a{sv}");
        })
        .unwrap();
    call.serial = 3;
    let signal = Message::signal("/", "a.b", "C").build(|w| {
        w.str("x").object_path("/y").strings(["p", "q"]);
    });
    let all =
        [call.clone(), Message::method_return(&call), Message::error(&call, "a.b", "text"), signal.unwrap()];
    let encode = |message: &Message| {
        let mut bytes = Vec::new();
        message.encode(9, None, 1 << 20, &mut bytes).unwrap();
        bytes
    };
    all.iter().map(encode).collect()
}

fn with_first(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn handshakes() -> Vec<Vec<u8>> {
    let mut all = vec![
        ClientAuth::external(true).opening(),
        ClientAuth::anonymous(false).opening(),
        b"\0AUTH\r\nAUTH EXTERNAL 30\r\nCANCEL\r\nAUTH EXTERNAL\r\nDATA 30\r\nERROR\r\nBEGIN\r\n".to_vec(),
        b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n".to_vec(),
    ];
    all.push(b"\0AUTH EXTERNAL\n\n\n\r\n".to_vec());
    all
}

#[test]
fn dbus_messages() {
    run(1, &messages(), fuzzing::dbus_message);
}

#[test]
fn dbus_connections() {
    let mut seeds = Vec::new();
    for first in [0x00, 0x3f, 0x45, 0x9f, 0xff] {
        for handshake in handshakes() {
            seeds.push(with_first(first, &[handshake, messages().concat()].concat()));
        }
    }
    // Each is a whole conversation, some a byte at a time.
    run_rounds(ROUNDS / 10, 2, &seeds, fuzzing::dbus_connection);
}

#[test]
fn dbus_handshakes() {
    run(3, &handshakes(), fuzzing::dbus_auth);
}

#[test]
fn dbus_match_rules() {
    let rules = [
        r"type='signal',sender='org.a.b',arg0='x',arg1path='/y/',arg0namespace='a.b'",
        r"arg0=a\'b,path_namespace='/',eavesdrop=true",
    ];
    run(4, &rules.map(|rule| rule.as_bytes().to_vec()), fuzzing::dbus_match_rule);
}

#[test]
fn notifications() {
    let datagrams: [&[u8]; 3] = [
        b"\0READY=1\nSTATUS=fine\nMAINPID=12\nWATCHDOG_USEC=5000000\nERRNO=2\nBUSERROR=a.b",
        b"\x01BARRIER=1",
        b"\x03FDSTORE=1\nFDNAME=x\nFDPOLL=0\nEXTEND_TIMEOUT_USEC=1\nX_Y=z\nINVOCATION_ID=0123456789abcdef0123456789abcdef",
    ];
    run(5, &datagrams.map(<[u8]>::to_vec), fuzzing::notification);
}

#[test]
fn varlink() {
    let calls: [&[u8]; 3] = [
        b"\x05{\"method\":\"org.varlink.service.GetInfo\"}\0{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"a.b\"}}\0",
        b"\xff{\"method\":\"io.systemd.UserDatabase.GetUserRecord\",\"parameters\":{\"service\":\"io.systemd.DynamicUser\",\"uid\":1},\"more\":true}\0",
        b"\x30{\"parameters\":{},\"continues\":true}\0{\"error\":\"a.b\",\"parameters\":{\"x\":[1,{}]}}\0",
    ];
    run(6, &calls.map(<[u8]>::to_vec), fuzzing::varlink);
}

#[test]
fn device_events() {
    let properties =
        b"ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=tty\0DEVLINKS=/dev/a /dev/b\0TAGS=:systemd:\0";
    let kernel = [&b"add@/devices/x\0"[..], properties].concat();
    let mut udev = b"libudev\0\xfe\xed\xca\xfe".to_vec();
    for word in [40u32, 40, properties.len() as u32, 0, 0, 0, 0] {
        udev.extend_from_slice(&word.to_ne_bytes());
    }
    udev.extend_from_slice(properties);
    run(7, &[kernel, udev], fuzzing::device_event);
}

#[test]
fn mount_tables() {
    let tables: [&[u8]; 2] = [
        b"36 35 98:0 /a /b\\040c rw,noatime master:1 shared:2 - ext3 /dev/root rw\n25 1 0:22 / /run rw - tmpfs tmpfs rw\n",
        b"Filename Type Size Used Priority\n/dev/sda2 partition\t1048572\t0\t-2\n/x\\040(deleted) file 4 1 5\n",
    ];
    run(8, &tables.map(<[u8]>::to_vec), fuzzing::mount_table);
}

#[test]
fn journal_formats() {
    let mut entry = journal::Entry::new();
    entry.field("MESSAGE", "two\nlines").field("PRIORITY", "6");
    let header: &[u8] = b"dbus\ndbus.service\n30\n1\n0\n0\n0\n<3>line\n";
    let record: &[u8] = b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=pci\n DEVICE=+pci:0\n";
    let seeds = [entry.bytes().to_vec(), header.to_vec(), record.to_vec(), b"<30>text".to_vec()];
    run(9, &seeds, fuzzing::journal);
}
