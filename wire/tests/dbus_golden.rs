//! Bytes that systemctl 257 and the reference exchanged on /run/systemd/private, taken with strace: we read them, and
//! writing the same message gives the same bytes.

#![allow(clippy::unwrap_used)] // A panic is the report.

use runstead_wire::dbus::{Connection, Kind, Limits, Message, Phase, ServerAuth, Writer};

const STOP_CALL: &[u8] =
    b"l\x01\x04\x01 \x00\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00\x01\x01o\x00\x19\x00\x00\x00/org/free\
desktop/systemd1\x00\x00\x00\x00\x00\x00\x00\x03\x01s\x00\x08\x00\x00\x00StopUnit\x00\x00\x00\
\x00\x00\x00\x00\x00\x02\x01s\x00 \x00\x00\x00org.freedesktop.systemd1.Manager\x00\x00\x00\x00\
\x00\x00\x00\x00\x06\x01s\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\
\x00\x00\x08\x01g\x00\x02ss\x00\x0e\x00\x00\x00nosuch.service\x00\x00\x07\x00\x00\x00replace\x00";

const STOP_ERROR: &[u8] =
    b"l\x03\x01\x01$\x00\x00\x00\x01\x00\x00\x00g\x00\x00\x00\x05\x01u\x00\x01\x00\x00\x00\x04\x01s\
\x00#\x00\x00\x00org.freedesktop.systemd1.NoSuchUnit\x00\x00\x00\x00\x00\x07\x01s\x00\x18\x00\
\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00\x08\x01g\x00\x01s\x00\x00\x1f\
\x00\x00\x00Unit nosuch.service not loaded.\x00";

const START_RETURN: &[u8] =
    b"l\x02\x01\x01&\x00\x00\x00\x04\x00\x00\x007\x00\x00\x00\x05\x01u\x00\x01\x00\x00\x00\x07\x01s\
\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00\x08\x01g\x00\x01o\
\x00\x00!\x00\x00\x00/org/freedesktop/systemd1/job/114\x00";

const JOB_NEW: &[u8] =
    b"l\x04\x01\x01O\x00\x00\x00\x03\x00\x00\x00\x99\x00\x00\x00\x01\x01o\x00\x19\x00\x00\x00/org/free\
desktop/systemd1\x00\x00\x00\x00\x00\x00\x00\x02\x01s\x00 \x00\x00\x00org.freedesktop.systemd1.M\
anager\x00\x00\x00\x00\x00\x00\x00\x00\x03\x01s\x00\x06\x00\x00\x00JobNew\x00\x00\x07\x01s\x00\
\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00\x08\x01g\x00\x03uos\x00\
\x00\x00\x00\x00\x00\x00\x00r\x00\x00\x00!\x00\x00\x00/org/freedesktop/systemd1/job/114\x00\x00\
\x00\x1e\x00\x00\x00systemd-tmpfiles-clean.service\x00";

const JOB_CHANGED: &[u8] =
    b"l\x04\x01\x01H\x00\x00\x00\x0b\x00\x00\x00\xae\x00\x00\x00\x01\x01o\x00!\x00\x00\x00/org/freedes\
ktop/systemd1/job/114\x00\x00\x00\x00\x00\x00\x00\x02\x01s\x00\x1f\x00\x00\x00org.freedesktop.DB\
us.Properties\x00\x03\x01s\x00\x11\x00\x00\x00PropertiesChanged\x00\x00\x00\x00\x00\x00\x00\x07\
\x01s\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00\x08\x01g\x00\
\x08sa{sv}as\x00\x00\x00\x1c\x00\x00\x00org.freedesktop.systemd1.Job\x00\x00\x00\x00\x1c\x00\x00\
\x00\x05\x00\x00\x00State\x00\x01s\x00\x00\x00\x00\x07\x00\x00\x00running\x00\x00\x00\x00\x00";

const PROPERTY: &[u8] =
    b"l\x02\x01\x01\x08\x00\x00\x00\x0d\x00\x00\x007\x00\x00\x00\x05\x01u\x00\x03\x00\x00\x00\x07\x01s\
\x00\x18\x00\x00\x00org.freedesktop.systemd1\x00\x00\x00\x00\x00\x00\x00\x00\x08\x01g\x00\x01v\
\x00\x00\x01b\x00\x00\x00\x00\x00\x00";

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const JOB: &str = "/org/freedesktop/systemd1/job/114";

fn decode(bytes: &[u8]) -> Message {
    let message = Message::decode(bytes, |count| Ok((0..count as u64).collect())).unwrap().unwrap();
    message.check_body().unwrap();
    message
}

/// Writes `message` as the manager does on its private socket.
fn encode(message: Message, serial: u32, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Vec::new();
    let message = message.build(write).unwrap();
    message.encode(serial, Some("org.freedesktop.systemd1"), 1 << 20, &mut out).unwrap();
    out
}

/// A call with nothing but the serial that replies need.
fn call(serial: u32) -> Message {
    let mut call = Message::method_call(None, "/", "", "X");
    call.serial = serial;
    call
}

#[test]
fn a_call_of_systemctl() {
    let call = decode(STOP_CALL);
    assert_eq!((call.kind(), call.flags, call.serial), (Kind::MethodCall, 4, 1));
    assert_eq!(call.path(), Some("/org/freedesktop/systemd1"));
    assert_eq!((call.interface(), call.member()), (Some(MANAGER), Some("StopUnit")));
    let mut r = call.body_reader();
    assert_eq!((r.str().unwrap(), r.str().unwrap()), ("nosuch.service", "replace"));
    let ours = Message::method_call(
        Some("org.freedesktop.systemd1"),
        "/org/freedesktop/systemd1",
        MANAGER,
        "StopUnit",
    )
    .with_flags(4)
    .build(|w| {
        w.str("nosuch.service").str("replace");
    })
    .unwrap();
    let mut out = Vec::new();
    ours.encode(1, None, 1 << 20, &mut out).unwrap();
    assert_eq!(out, STOP_CALL);
}

#[test]
fn an_error_of_the_manager() {
    let error = decode(STOP_ERROR);
    assert_eq!(error.error_name(), Some("org.freedesktop.systemd1.NoSuchUnit"));
    assert_eq!(error.error_text(), Some("Unit nosuch.service not loaded."));
    let ours = Message::error(&call(1), "org.freedesktop.systemd1.NoSuchUnit", "");
    let ours = encode(ours, 1, |w| {
        w.str("Unit nosuch.service not loaded.");
    });
    assert_eq!(ours, STOP_ERROR);
}

#[test]
fn returns_of_the_manager() {
    assert_eq!(decode(START_RETURN).body_reader().object_path(), Ok(JOB));
    let ours = encode(Message::method_return(&call(1)), 4, |w| {
        w.object_path(JOB);
    });
    assert_eq!(ours, START_RETURN);
    let ours = encode(Message::method_return(&call(3)), 13, |w| {
        w.variant("b", |w| {
            w.bool(false);
        });
    });
    assert_eq!(ours, PROPERTY);
}

#[test]
fn signals_of_the_manager() {
    let signal = Message::signal("/org/freedesktop/systemd1", MANAGER, "JobNew");
    let ours = encode(signal, 3, |w| {
        w.u32(114).object_path(JOB).str("systemd-tmpfiles-clean.service");
    });
    assert_eq!(ours, JOB_NEW);
    let ours = encode(Message::signal(JOB, PROPERTIES, "PropertiesChanged"), 11, |w| {
        w.str("org.freedesktop.systemd1.Job");
        w.array("{sv}", |w| {
            w.entry_sv("State", "s", |w| {
                w.str("running");
            });
        });
        w.array("s", |_| {});
    });
    assert_eq!(ours, JOB_CHANGED);
}

#[test]
fn a_whole_conversation() {
    let guid = "590dcf25f5d04c5cb9b7e6710bd26cdd";
    let mut server = Connection::server(ServerAuth::new(guid, Some(0), false, true), Limits::default());
    server.name_sender("org.freedesktop.systemd1").unwrap();
    server.feed(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", []).unwrap();
    assert_eq!(server.outgoing().bytes, format!("DATA\r\nOK {guid}\r\nAGREE_UNIX_FD\r\n").as_bytes());
    server.advance_written(58);
    assert_eq!(server.phase(), Phase::Open);
    server.feed(STOP_CALL, []).unwrap();
    let call = server.next_message().unwrap().unwrap();
    let text = "Unit nosuch.service not loaded.";
    server.send(&Message::error(&call, "org.freedesktop.systemd1.NoSuchUnit", text)).unwrap();
    assert_eq!(server.outgoing().bytes, STOP_ERROR);
}
