//! One D-Bus connection of the login manager's, with the descriptors that come and go over it.
use runstead_os::OsError;
use runstead_os::reactor::{Interest, Priority, Reactor};
use runstead_os::socket::{recv_with_fds, send_with_fds, unix};
use runstead_wire::dbus::auth::ClientAuth;
use runstead_wire::dbus::{Connection, Limits, Message};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Bytes read in one round.
const READ: usize = 64 << 10;

/// The connection.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    connection: Connection,
    fds: BTreeMap<u64, OwnedFd>,
    next_fd: u64,
    writing: bool,
}

impl Link {
    /// Connects, and has the reactor wait for it.
    pub fn connect<T: Copy>(path: &str, reactor: &mut Reactor<T>, token: T) -> Result<Link, OsError> {
        let socket = unix::connect_stream(path)?;
        let connection = Connection::client(ClientAuth::external(true), Limits::default());
        reactor.add(&socket, token, Priority::Client, Interest::READ)?;
        let mut link = Link { socket, connection, fds: BTreeMap::new(), next_fd: 1, writing: false };
        link.flush(reactor);
        Ok(link)
    }

    /// Takes what came; `false` when the connection ended.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; READ];
        let received = match recv_with_fds(&self.socket, &mut buffer) {
            Ok(received) => received,
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        };
        if received.len == 0 {
            return false;
        }
        let ids: Vec<u64> = received.fds.into_iter().map(|fd| self.put(fd)).collect();
        self.connection.feed(&buffer[..received.len], ids).is_ok()
    }

    /// The next whole message; an error ends the connection.
    pub fn next(&mut self) -> Option<Result<Message, ()>> {
        self.connection.next_message().map(|message| message.map_err(drop))
    }

    /// A descriptor that is to go out with a message, under the number by which the message names it.
    pub fn put(&mut self, fd: OwnedFd) -> u64 {
        let id = self.next_fd;
        self.next_fd += 1;
        self.fds.insert(id, fd);
        id
    }

    /// A descriptor that came with a message.
    pub fn get(&self, id: u64) -> Option<BorrowedFd<'_>> {
        self.fds.get(&id).map(|fd| fd.as_fd())
    }

    /// The same, taken over.
    pub fn take(&mut self, id: u64) -> Option<OwnedFd> {
        self.fds.remove(&id)
    }

    /// Closes what came with a message and nobody took.
    pub fn close_fds(&mut self, message: &Message) {
        for id in message.fds() {
            self.fds.remove(id);
        }
    }

    /// Queues a message; its serial. What it carries is closed when it cannot go out.
    pub fn send(&mut self, message: &Message) -> Option<u32> {
        let serial = self.connection.send(message).ok();
        if serial.is_none() {
            self.close_fds(message);
        }
        serial
    }

    /// Queues an answer. A caller that wants none does not get what it carries either: a lock ends with its last holder.
    pub fn answer(&mut self, call: &Message, answer: &Message) {
        if call.wants_reply() {
            self.send(answer);
        } else {
            self.close_fds(answer);
        }
    }

    /// Writes what waits; `false` when the connection ended.
    pub fn flush<T: Copy>(&mut self, reactor: &mut Reactor<T>) -> bool {
        while self.connection.wants_write() {
            let outgoing = self.connection.outgoing();
            let fds: Vec<BorrowedFd<'_>> =
                outgoing.fds.iter().filter_map(|fd| self.fds.get(fd)).map(|fd| fd.as_fd()).collect();
            match send_with_fds(&self.socket, outgoing.bytes, &fds) {
                Ok(count) => self.connection.advance_written(count),
                Err(Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        for fd in self.connection.take_unwanted_fds() {
            self.fds.remove(&fd);
        }
        let writing = self.connection.wants_write();
        if writing == std::mem::replace(&mut self.writing, writing) {
            return true;
        }
        reactor.modify(&self.socket, if writing { Interest::BOTH } else { Interest::READ }).is_ok()
    }

    /// Waits for it no longer.
    pub fn forget<T: Copy>(&self, reactor: &mut Reactor<T>) {
        reactor.remove(&self.socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstead_wire::dbus::message::NO_REPLY_EXPECTED;
    use std::io::Read as _;

    /// Whether the writing end is held by nobody once an answer to a call with these flags was queued.
    fn ends(call: &Message) -> bool {
        let path =
            std::env::temp_dir().join(format!("runstead-link-{}-{}", std::process::id(), call.wants_reply()));
        let path = path.to_str().expect("text");
        let _listener = std::os::unix::net::UnixListener::bind(path).expect("listen");
        let mut reactor = Reactor::new().expect("a reactor");
        let mut link = Link::connect(path, &mut reactor, ()).expect("connect");
        std::fs::remove_file(path).expect("it is there");
        let (mut read, write) = std::io::pipe().expect("a pipe");
        let fd = link.put(write.into());
        let answer = Message::method_return(call).build(|body| {
            body.fd(fd);
        });
        link.answer(call, &answer.expect("an answer"));
        let held = link.get(fd).is_some();
        !held && read.read(&mut [0]).expect("the end") == 0
    }

    #[test]
    fn what_does_not_go_out_is_closed() {
        let call = || Message::method_call(None, "/a", "a.b", "C");
        assert!(ends(&call().with_flags(NO_REPLY_EXPECTED)), "the caller wants no answer");
        assert!(ends(&call()), "the other side has not agreed to descriptors");
    }
}
