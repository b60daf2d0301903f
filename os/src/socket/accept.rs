//! Connections of `Accept=yes` sockets, and leftovers of `FlushPending=`.
use super::open::parse_ip;
use super::pass::recv_with_fds;
use super::unix::{self, peer_credentials};
use crate::error::OsError;
use crate::sys::socket::{get_bytes, get_int, name_raw};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::net::{IpAddr, SocketAddr};

/// A connection and who made it.
#[derive(Debug)]
pub struct Connection {
    /// The connection, non-blocking and close-on-exec.
    pub fd: OwnedFd,
    /// "LOCAL:PORT-REMOTE:PORT" for IP, "PID-UID" for AF_UNIX, "CID:PORT-CID:PORT" for vsock, else empty.
    pub peer: String,
    /// Peer's address and port, when IP.
    pub remote: Option<(String, u16)>,
    /// Peer's uid (AF_UNIX).
    pub uid: Option<u32>,
    /// Peer's process (AF_UNIX).
    pub pid: Option<i32>,
    /// `SO_COOKIE`.
    pub cookie: u64,
}

/// Take one connection; `None` when there is none.
pub fn accept_described(listener: impl AsFd) -> Result<Option<Connection>, OsError> {
    Ok(unix::accept(listener)?.map(describe))
}

/// Look who is at the other end.
pub fn describe(fd: OwnedFd) -> Connection {
    const SO_COOKIE: i32 = 57;
    let mut raw = [0u8; 8];
    let cookie = get_bytes(&fd, libc::SOL_SOCKET, SO_COOKIE, &mut raw).map_or(0, |_| u64::from_ne_bytes(raw));
    let mut connection = Connection { fd, peer: String::new(), remote: None, uid: None, pid: None, cookie };
    let local = name_raw(&connection.fd, false).unwrap_or_default();
    let family = local.first().zip(local.get(1)).map_or(0, |(&a, &b)| i32::from(u16::from_ne_bytes([a, b])));
    match family {
        libc::AF_UNIX => {
            if let Ok(peer) = peer_credentials(&connection.fd) {
                connection.peer = format!("{}-{}", peer.pid, peer.uid);
                connection.uid = Some(peer.uid);
                connection.pid = Some(peer.pid);
            }
        }
        libc::AF_INET | libc::AF_INET6 => {
            let remote = name_raw(&connection.fd, true).unwrap_or_default();
            if let Some((local, remote)) = parse_ip(&local).zip(parse_ip(&remote)) {
                connection.peer = format!("{}-{}", plain(local), plain(remote));
                connection.remote = Some((canonical(remote.ip()).to_string(), remote.port()));
            }
        }
        libc::AF_VSOCK => {
            let remote = name_raw(&connection.fd, true).unwrap_or_default();
            if let Some((local, remote)) = vsock(&local).zip(vsock(&remote)) {
                connection.peer = format!("{local}-{remote}");
            }
        }
        _ => {}
    }
    connection
}

/// IPv4 in IPv6 is shown as IPv4.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn plain(address: SocketAddr) -> String {
    format!("{}:{}", canonical(address.ip()), address.port())
}

fn vsock(raw: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u32::from_ne_bytes(raw.get(at..at + 4)?.try_into().ok()?));
    Some(format!("{}:{}", word(8)?, word(4)?))
}

/// Take away what waits on a socket (`FlushPending=`): connections are closed, messages dropped.
pub fn flush(fd: impl AsFd) {
    let is_listener = get_int(&fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).is_ok_and(|value| value != 0);
    // Bounded: a flood must not keep us here.
    for _ in 0..4096 {
        let more = if is_listener {
            unix::accept(&fd).is_ok_and(|connection| connection.is_some())
        } else {
            let mut buffer = [0u8; 4096];
            match recv_with_fds(&fd, &mut buffer) {
                Ok(received) => received.len > 0,
                // FIFOs and special files.
                Err(Errno::NOTSOCK) => rustix::io::read(&fd, &mut buffer).is_ok_and(|got| got > 0),
                Err(_) => false,
            }
        };
        if !more {
            return;
        }
    }
}
