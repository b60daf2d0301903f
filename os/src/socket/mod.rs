//! Sockets: those of socket units (`open`, `options`, `address`), connections (`accept`), our own (`unix`), and
//! descriptors and credentials that travel through them (`pass`).
mod accept;
mod open;
mod options;
pub mod pass;
pub mod unix;

pub use accept::{Connection, accept_described, describe, flush};
pub use open::{Opened, Owner, open_all, remove_paths};

pub use pass::{Received, recv_with_fds, send_with_fds};
pub use unix::{
    Credentials, accept, connect_datagram, connect_stream, listen, notify_socket, peer_credentials,
    peer_process,
};
