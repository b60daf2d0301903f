//! Sans-I/O codecs of the protocols a service manager speaks.
//!
//! Nothing here opens, reads or waits: bytes and descriptor ids come in, typed messages go out, and the reverse.
//! Outside data is bytes until proven text, every length is bounded, and no input makes a codec panic.

#![forbid(unsafe_code)]

pub mod dbus;
pub mod fuzzing;
pub mod journal;
pub mod mountinfo;
pub mod netlink;
pub mod notify;
pub mod varlink;
