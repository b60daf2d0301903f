//! Varlink, sans I/O: JSON objects with a NUL behind each (<https://varlink.org/Method-Call>).
//!
//! [`Server`] is one peer that calls us, [`Client`] one that we call. Calls of one peer are answered in their order, one at
//! a time, so a peer cannot make us hold more than one open call and one buffer.

mod client;
mod framing;
pub mod managed_oom;
mod server;
pub mod service;
pub mod userdb;

pub use client::{Client, Reply};
pub use server::{Call, Server};

use std::fmt;

/// The parameters of calls, replies and errors.
pub type Parameters = serde_json::Map<String, serde_json::Value>;

/// What a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message, in bytes.
    pub message: usize,
    /// Most bytes waiting to be written.
    pub outgoing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { message: 256 << 10, outgoing: 4 << 20 }
    }
}

/// A fault of a peer or in how a connection was driven. After any but [`Error::NoCall`] and [`Error::NotMore`] the connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A message is longer than the limit.
    TooLong,
    /// A message is not a JSON object, or its fields have other types than they should.
    Malformed,
    /// More waits to be written than the limit allows.
    QueueFull,
    /// There is no call to answer, or no answer was asked for.
    NoCall,
    /// A reply that others follow needs a call made with `more`.
    NotMore,
    /// The connection has failed before.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::TooLong => "message is too long",
            Error::Malformed => "message is malformed",
            Error::QueueFull => "too much waits to be written",
            Error::NoCall => "no call waits for an answer",
            Error::NotMore => "the caller wants one reply only",
            Error::Closed => "connection is closed",
        })
    }
}

impl std::error::Error for Error {}
