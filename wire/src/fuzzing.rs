//! What the fuzz targets run: each function takes any bytes and panics if a codec breaks a promise.
//!
//! The targets of `fuzz/` call these; a test runs them over mutations of good inputs on every `cargo test`.

use crate::dbus::{ClientAuth, Connection, Limits, MatchRule, Message, Phase, Reader, ServerAuth, Writer};
use crate::{journal, mountinfo, netlink, notify, varlink};

/// Takes any bytes; panics when a parser breaks a promise.
pub type Target = fn(&[u8]);

/// The targets by the name of their program and corpus (`fuzz/`).
pub const TARGETS: &[(&str, Target)] = &[
    ("dbus_message", dbus_message),
    ("dbus_connection", dbus_connection),
    ("dbus_auth", dbus_auth),
    ("dbus_match_rule", dbus_match_rule),
    ("notify", notification),
    ("varlink", varlink),
    ("netlink", device_event),
    ("mountinfo", mount_table),
    ("journal", journal),
];

const GUID: &str = "0123456789abcdef0123456789abcdef";

/// Most bytes a target looks at: long inputs only slow the search.
const MAX_INPUT: usize = 64 << 10;

/// One D-Bus message: whatever decodes can be read to its end, copied value by value, and written again.
pub fn dbus_message(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT)];
    let decoded = Message::decode(data, |count| Ok((0..count as u64).collect()));
    let Ok(Some(message)) = decoded else { return };
    let copied = copy_body(&message.body_reader());
    assert_eq!(copied.is_some(), message.check_body().is_ok(), "value() and skip() judge alike");
    let rule =
        MatchRule::parse("type='signal',arg0='x',arg1path='/',arg0namespace='a'").expect("a good rule");
    rule.matches(&message);
    if let Some(body) = copied {
        let again = message.clone().with_body(body);
        let mut bytes = Vec::new();
        again.encode(message.serial, None, 1 << 20, &mut bytes).expect("what was read can be written");
        let back = Message::decode(&bytes, |count| Ok((0..count as u64).collect()));
        let back = back.expect("what was written can be read").expect("of a known type");
        assert_eq!((back.body(), back.path(), back.member()), (again.body(), again.path(), again.member()));
    }
}

/// The body as little-endian bytes, if all of it is valid (and its fields are few enough for a tree).
fn copy_body(reader: &Reader<'_>) -> Option<crate::dbus::Body> {
    let mut reader = reader.clone();
    let mut writer = Writer::new();
    while reader.has_more() {
        writer.value(&reader.value().ok()?);
    }
    reader.finish().ok()?;
    Some(writer.finish().expect("a value that was read can be written"))
}

/// A D-Bus peer: the first byte says how the rest is cut into pieces. Both roles, with descriptors, and a state that
/// moves to another image between pieces.
pub fn dbus_connection(data: &[u8]) {
    let Some((first, rest)) = data[..data.len().min(MAX_INPUT)].split_first() else { return };
    let step = usize::from(first & 0x3f) + 1;
    let limits = Limits {
        message: 1 << 16,
        sent_message: 1 << 16,
        outgoing_bytes: 1 << 18,
        outgoing_messages: 64,
        incoming_fds: 300,
    };
    let mut server = Connection::server(ServerAuth::new(GUID, Some(0), first & 0x80 != 0, true), limits);
    let mut client = Connection::client(ClientAuth::external(true), limits);
    for (number, piece) in rest.chunks(step).enumerate() {
        let fd = (number % 7 == 3).then_some(number as u64);
        let _ = server.feed(piece, fd);
        let _ = client.feed(piece, None);
        drain(&mut server);
        drain(&mut client);
        if first & 0x40 != 0 && number % 5 == 4 {
            server = Connection::from_state(server.into_state());
        }
    }
}

fn drain(connection: &mut Connection) {
    while let Some(Ok(message)) = connection.next_message() {
        if message.wants_reply() {
            let _ = connection.send(&Message::method_return(&message));
        }
    }
    let ready = connection.outgoing().bytes.len();
    connection.advance_written(ready.min(17));
    connection.take_unwanted_fds();
    let wanted = connection.wanted();
    assert!(connection.phase() != Phase::Open || wanted <= 1 << 16, "never asks for more than the limit");
}

/// A whole handshake, then more.
pub fn dbus_auth(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT)];
    let mut at_once = ServerAuth::new(GUID, Some(0), true, true);
    let mut output = Vec::new();
    let result = at_once.feed(data, &mut output);
    assert!(output.len() <= 64 * crate::dbus::auth::MAX_LINES, "answers are bounded");
    let mut by_bytes = ServerAuth::new(GUID, Some(0), true, true);
    let (mut buffer, mut answers) = (Vec::new(), Vec::new());
    for byte in data {
        buffer.push(*byte);
        match by_bytes.feed(&buffer, &mut answers) {
            Ok((used, _)) => drop(buffer.drain(..used)),
            Err(fault) => {
                assert_eq!(result, Err(fault), "pieces end like the whole");
                return;
            }
        }
    }
    assert!(result.is_ok() && answers == output, "pieces are answered like the whole");
    let _ = ClientAuth::external(true).feed(data);
}

/// A match rule.
pub fn dbus_match_rule(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = MatchRule::parse(text);
    }
}

/// A notification; the first byte is the number of descriptors.
pub fn notification(data: &[u8]) {
    let Some((fds, datagram)) = data.split_first() else { return };
    if let Ok(parsed) = notify::parse(datagram, usize::from(*fds)) {
        assert!(parsed.ignored.len() <= 32);
        assert!(parsed.main_pid.is_none_or(|pid| pid > 0));
    }
}

/// Varlink, as server and as client; the first byte cuts.
pub fn varlink(data: &[u8]) {
    let Some((first, rest)) = data[..data.len().min(MAX_INPUT)].split_first() else { return };
    let limits = varlink::Limits { message: 1 << 14, outgoing: 1 << 15 };
    let mut server = varlink::Server::new(limits);
    let mut client = varlink::Client::new(limits);
    let _ = client.call("a.B", varlink::Parameters::new(), true);
    let ours = varlink::service::Service {
        product: "fuzz",
        version: "0",
        interfaces: &[(varlink::userdb::INTERFACE, varlink::userdb::DESCRIPTION)],
    };
    for piece in rest.chunks(usize::from(*first) + 1) {
        let _ = server.feed(piece);
        let _ = client.feed(piece);
        while let Some(Ok(call)) = server.next_call() {
            if varlink::service::answer(&mut server, &call, &ours) == Ok(false) {
                let _ =
                    varlink::userdb::answer(&mut server, &call, &[("a".to_owned(), 1), ("b".to_owned(), 2)]);
            }
            assert!(!server.has_open_call() || server.has_failed(), "every call is answered");
        }
        while let Some(Ok(_)) = client.next_reply() {}
        server.advance_written(100);
    }
}

/// A device event.
pub fn device_event(data: &[u8]) {
    if let Ok(event) = netlink::parse(data) {
        assert!(event.devpath().starts_with('/') && !event.action().is_empty());
        event.links().for_each(drop);
        event.has_current_tag("systemd");
    }
}

/// Both tables of the kernel.
pub fn mount_table(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let mounts = mountinfo::parse_mounts(data);
    assert_eq!(mounts.entries.len() + mounts.skipped, lines);
    mountinfo::parse_swaps(data);
}

/// Everything of the journal that is read.
pub fn journal(data: &[u8]) {
    let mut entry = journal::Entry::new();
    for (name, value) in journal::parse_entry(data) {
        if let Ok(name) = std::str::from_utf8(name) {
            entry.field(name, value);
        }
    }
    let again: Vec<_> = journal::parse_entry(entry.bytes());
    assert!(again.iter().all(|(name, _)| std::str::from_utf8(name).is_ok_and(journal::is_field_name)));
    if let Some((header, _)) = journal::StreamHeader::parse(data) {
        let bytes = header.encode();
        assert_eq!(journal::StreamHeader::parse(&bytes), Some((header, &[][..])));
    }
    let (priority, rest) = journal::split_priority(data);
    assert!(rest.len() + if priority.is_some() { 3 } else { 0 } <= data.len());
    if let Some(record) = journal::parse_kmsg(data) {
        assert!(record.message.len() < data.len());
    }
    let text = String::from_utf8_lossy(data);
    let line = journal::kmsg_line(journal::Priority { level: 6, facility: 3 }, "fuzz", 1, &text);
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
}
