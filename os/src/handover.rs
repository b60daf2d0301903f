//! Descriptors that a process was started with (sd_listen_fds(3)).
use rustix::fd::AsFd;
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;

pub use crate::sys::namespaces::inherited_fd;

/// Whether a descriptor is an IP socket.
pub fn is_inet(fd: impl AsFd) -> bool {
    socket_domain(fd).is_ok_and(|domain| domain == AddressFamily::INET || domain == AddressFamily::INET6)
}
