//! Messages with descriptors and credentials (unix(7), `SCM_RIGHTS` and `SCM_CREDENTIALS`).
use super::unix::Credentials;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::mem::MaybeUninit;

/// The kernel passes at most this many descriptors in one message.
pub const FDS_MAX: usize = 253;

/// What one call received.
#[derive(Debug, Default)]
pub struct Received {
    /// How many bytes are in the buffer.
    pub len: usize,
    /// Descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// The sender, where `SO_PASSCRED` is set.
    pub credentials: Option<Credentials>,
    /// The message was longer than the buffer (datagrams).
    pub truncated: bool,
    /// More descriptors came than could be taken: some are lost.
    pub fds_truncated: bool,
}

/// Receive into `buffer` without blocking. Zero bytes on a stream: the peer has closed.
pub fn recv_with_fds(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Errno> {
    const SPACE: usize = rustix::cmsg_space!(ScmRights(FDS_MAX), ScmCredentials(1)) + 64;
    let mut space = [MaybeUninit::<u8>::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut parts = [IoSliceMut::new(buffer)];
    let message = loop {
        match recvmsg(&socket, &mut parts, &mut control, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut received = Received {
        len: message.bytes,
        truncated: message.flags.contains(ReturnFlags::TRUNC),
        fds_truncated: message.flags.contains(ReturnFlags::CTRUNC),
        ..Received::default()
    };
    for part in control.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(fds) => received.fds.extend(fds),
            RecvAncillaryMessage::ScmCredentials(peer) => {
                received.credentials = Some(Credentials {
                    pid: peer.pid.as_raw_nonzero().get(),
                    uid: peer.uid.as_raw(),
                    gid: peer.gid.as_raw(),
                });
            }
            _ => {}
        }
    }
    Ok(received)
}

/// Send without blocking and without `SIGPIPE`; how many bytes went. The descriptors go with the first byte.
pub fn send_with_fds(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
    if fds.len() > FDS_MAX {
        return Err(Errno::INVAL);
    }
    const SPACE: usize = rustix::cmsg_space!(ScmRights(FDS_MAX));
    let mut space = [MaybeUninit::<u8>::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::same_file;
    use crate::sys::socket::set_int;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn descriptors_and_credentials_travel() {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).expect("pair");
        set_int(&b, libc::SOL_SOCKET, libc::SO_PASSCRED, 1).expect("passcred");
        let mut buffer = [0u8; 16];
        assert_eq!(recv_with_fds(&b, &mut buffer).expect_err("nothing came"), Errno::AGAIN);
        send_with_fds(&a, b"hello", &[a.as_fd(), b.as_fd()]).expect("send");
        let got = recv_with_fds(&b, &mut buffer).expect("receive");
        assert_eq!((&buffer[..got.len], got.truncated, got.fds_truncated), (&b"hello"[..], false, false));
        assert_eq!(got.fds.len(), 2);
        assert!(same_file(&got.fds[0], &a).expect("kcmp") && !same_file(&got.fds[0], &b).expect("kcmp"));
        assert_eq!(got.credentials.expect("asked for").pid.cast_unsigned(), std::process::id());
        send_with_fds(&a, &[b'x'; 100], &[]).expect("send");
        assert!(recv_with_fds(&b, &mut buffer).expect("receive").truncated);
    }

    #[test]
    fn the_largest_number_of_descriptors_arrives() {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).expect("pair");
        let many = vec![a.as_fd(); FDS_MAX];
        send_with_fds(&a, b"x", &many).expect("send");
        let got = recv_with_fds(&b, &mut [0; 8]).expect("receive");
        assert_eq!((got.fds.len(), got.fds_truncated), (FDS_MAX, false));
        assert!(send_with_fds(&a, b"x", &vec![a.as_fd(); FDS_MAX + 1]).is_err());
    }
}
