//! D-Bus, sans I/O: bytes and descriptor ids go in, messages come out, and the reverse.
//!
//! - [`Writer`] and [`Reader`] encode and decode bodies; [`Value`] is a tree for where types are not known beforehand.
//! - [`Message`] is one message with its typed header.
//! - [`Connection`] is one peer: handshake, framing, queues, limits.
//! - [`MatchRule`] tells which signals somebody wants.
//!
//! Source: D-Bus specification 0.43.

pub mod auth;
pub mod conn;
pub mod error;
mod header;
pub mod marshal;
pub mod matchrule;
pub mod message;
pub mod names;
pub mod signature;
pub mod unmarshal;
pub mod value;

pub use auth::{ClientAuth, ServerAuth};
pub use conn::{Connection, ConnectionState, Limits, Phase};
pub use error::{AuthFault, Error, Result, SignatureFault};
pub use marshal::{Body, Writer};
pub use matchrule::MatchRule;
pub use message::{ALLOW_INTERACTIVE_AUTHORIZATION, Kind, Message};
pub use unmarshal::{Endian, Reader};
pub use value::Value;
