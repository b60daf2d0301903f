//! Callers on the system bus who send descriptors and leave before anybody knows who they were.

use crate::client::{MANAGER, MANAGER_PATH};
use runstead_wire::dbus::{ClientAuth, Connection, Limits, Message};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

const BUS: &str = "/run/dbus/system_bus_socket";
/// As many as the bus lets through with one message.
const FDS: usize = 16;

/// That many of them.
pub fn send(callers: usize) -> io::Result<()> {
    for _ in 0..callers {
        call_and_leave()?;
    }
    println!("sent {callers}");
    Ok(())
}

fn call_and_leave() -> io::Result<()> {
    let mut stream = UnixStream::connect(BUS)?;
    let mut connection = Connection::client(ClientAuth::external(true), Limits::default());
    let driver = "org.freedesktop.DBus";
    let hello = Message::method_call(Some(driver), "/org/freedesktop/DBus", driver, "Hello");
    connection.send(&hello).map_err(io::Error::other)?;
    write(&stream, &mut connection)?;
    let mut buffer = [0; 4096];
    while connection.next_message().is_none() {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => connection.feed(&buffer[..count], []).map_err(io::Error::other)?,
        }
        write(&stream, &mut connection)?;
    }
    let call = Message::method_call(Some("org.freedesktop.systemd1"), MANAGER_PATH, MANAGER, "ListJobs");
    let call = call.build(|body| (0..FDS).for_each(|_| _ = body.fd(0))).map_err(io::Error::other)?;
    connection.send(&call).map_err(io::Error::other)?;
    write(&stream, &mut connection)
}

/// Writes all that waits; whatever descriptor a message names is our null device.
fn write(stream: &UnixStream, connection: &mut Connection) -> io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    while connection.wants_write() {
        let outgoing = connection.outgoing();
        let all: Vec<BorrowedFd<'_>> = outgoing.fds.iter().map(|_| null.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !all.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&all));
        }
        let bytes = [IoSlice::new(outgoing.bytes)];
        let count = rustix::net::sendmsg(stream, &bytes, &mut control, SendFlags::empty())?;
        connection.advance_written(count);
    }
    Ok(())
}
