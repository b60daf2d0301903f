//! Sockets: those of socket units (`open`, `options`, `address`), connections (`accept`), our own (`unix`), and
//! descriptors and credentials that travel through them (`pass`).
pub mod pass;
pub mod unix;

pub use pass::{Received, recv_with_fds, send_with_fds};
pub use unix::{Credentials, listen, notify_socket, peer_credentials};
