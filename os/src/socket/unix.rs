//! The manager's own AF_UNIX sockets.
use crate::error::{Attempt, OsError};
use crate::sys::socket::{get_bytes, peer_pidfd, set_int};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, socket_with,
};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process, 0 when it is not in our PID namespace.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// Receive buffer of the notification socket: as large as the reference's.
const NOTIFY_BUFFER: i32 = 8 * 1024 * 1024;

fn open(kind: SocketType) -> Result<OwnedFd, OsError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, kind, flags, None).attempt("socket", "AF_UNIX")
}

/// Bind to a path, whose file is then there with exactly this mode; an old socket there is removed.
fn bind_path(fd: &OwnedFd, path: &str, mode: u32) -> Result<(), OsError> {
    let address = SocketAddrUnix::new(path).attempt("bind", path)?;
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(OsError::new("unlink", path, errno)),
    }
    // The mode of the inode, set before bind, becomes the file's (less the umask): no moment with a wider one.
    let _ = rustix::fs::fchmod(fd, Mode::from_raw_mode(mode));
    bind(fd, &address).attempt("bind", path)?;
    rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), rustix::fs::AtFlags::empty())
        .attempt("chmod", path)
}

/// A listening stream socket at a path (at most 107 bytes), its file with this mode.
pub fn listen(path: &str, mode: u32) -> Result<OwnedFd, OsError> {
    let fd = open(SocketType::STREAM)?;
    bind_path(&fd, path, mode)?;
    rustix::net::listen(&fd, 4096).attempt("listen", path)?;
    Ok(fd)
}

/// The notification socket (sd_notify(3)): datagrams with the sender's credentials, large receive buffer.
pub fn notify_socket(path: &str, mode: u32) -> Result<OwnedFd, OsError> {
    let fd = open(SocketType::DGRAM)?;
    set_receive_buffer(&fd, NOTIFY_BUFFER);
    bind_path(&fd, path, mode)?;
    set_int(&fd, libc::SOL_SOCKET, libc::SO_PASSCRED, 1).attempt("set SO_PASSCRED", path)?;
    Ok(fd)
}

/// Set the receive buffer past the system's limit where we may, else up to it.
pub fn set_receive_buffer(fd: impl AsFd, bytes: i32) {
    if set_int(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes).is_err() {
        let _ = set_int(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes);
    }
}

/// Set the send buffer past the system's limit where we may, else up to it.
pub fn set_send_buffer(fd: impl AsFd, bytes: i32) {
    if set_int(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes).is_err() {
        let _ = set_int(&fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes);
    }
}

/// Take a connection, non-blocking and close-on-exec; `None` when there is none (any more).
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>, OsError> {
    match accept_with(&listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Ok(fd) => Ok(Some(fd)),
        // The peer gave up, or the network told of an error of another connection (accept(2)).
        Err(
            Errno::AGAIN
            | Errno::INTR
            | Errno::CONNABORTED
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH,
        ) => Ok(None),
        Err(errno) => Err(OsError::new("accept", "", errno)),
    }
}

/// Connect to a path without waiting: `EAGAIN` when the listener's queue is full.
pub fn connect_stream(path: &str) -> Result<OwnedFd, OsError> {
    let fd = open(SocketType::STREAM)?;
    let address = SocketAddrUnix::new(path).attempt("connect", path)?;
    connect(&fd, &address).attempt("connect", path)?;
    Ok(fd)
}

/// A datagram socket connected to a path, with as large a send buffer as the reference's loggers use.
pub fn connect_datagram(path: &str) -> Result<OwnedFd, OsError> {
    let fd = open(SocketType::DGRAM)?;
    set_send_buffer(&fd, NOTIFY_BUFFER);
    // A name in the abstract name space is written with "@" (unix(7)).
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(path),
    };
    let address = address.attempt("connect", path)?;
    connect(&fd, &address).attempt("connect", path)?;
    Ok(fd)
}

/// Who connected (unix(7), `SO_PEERCRED`): as of connect(2).
pub fn peer_credentials(fd: impl AsFd) -> Result<Credentials, OsError> {
    let mut raw = [0u8; 12];
    get_bytes(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut raw).attempt("get SO_PEERCRED", "")?;
    let word = |at: usize| [raw[at], raw[at + 1], raw[at + 2], raw[at + 3]];
    Ok(Credentials {
        pid: i32::from_ne_bytes(word(0)),
        uid: u32::from_ne_bytes(word(4)),
        gid: u32::from_ne_bytes(word(8)),
    })
}

/// A pidfd of who connected, where the kernel gives one.
pub fn peer_process(fd: impl AsFd) -> Option<OwnedFd> {
    peer_pidfd(fd).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    fn directory(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("runstead-unix-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory of our own");
        path
    }

    #[test]
    fn a_listener_has_its_mode_and_knows_its_peer() {
        let home = directory("listen");
        let path = home.join("private").to_str().expect("ascii").to_owned();
        let listener = listen(&path, 0o700).expect("listen");
        let again = listen(&path, 0o700).expect("an old socket is replaced");
        drop(listener);
        let metadata = std::fs::metadata(&path).expect("bound");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o700);
        assert!(accept(&again).expect("nothing yet").is_none());
        let _client = connect_stream(&path).expect("connect");
        let server = accept(&again).expect("accept").expect("a connection");
        let peer = peer_credentials(&server).expect("peer");
        assert_eq!(peer.pid.cast_unsigned(), std::process::id());
        if let Some(pidfd) = peer_process(&server) {
            crate::sys::signal::pidfd_kill(&pidfd, 0).expect("it is us");
        }
        std::fs::remove_dir_all(home).expect("ours");
    }

    #[test]
    fn notifications_carry_credentials() {
        let home = directory("notify");
        let path = home.join("notify").to_str().expect("ascii").to_owned();
        let socket = notify_socket(&path, 0o777).expect("bind");
        assert_eq!(std::fs::metadata(&path).expect("bound").permissions().mode() & 0o777, 0o777);
        let client = connect_datagram(&path).expect("connect");
        crate::socket::send_with_fds(&client, b"READY=1", &[]).expect("send");
        let mut buffer = [0; 64];
        let got = crate::socket::recv_with_fds(&socket, &mut buffer).expect("receive");
        assert_eq!(&buffer[..got.len], b"READY=1");
        assert_eq!(got.credentials.expect("SO_PASSCRED").pid.cast_unsigned(), std::process::id());
        std::fs::remove_dir_all(home).expect("ours");
    }
}
