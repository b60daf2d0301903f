//! What can be wrong with bytes that claim to be D-Bus.

use std::fmt;

/// Result of everything in [`crate::dbus`].
pub type Result<T> = std::result::Result<T, Error>;

/// A fault in a message, a signature, a handshake, or in how a codec was driven.
///
/// Offsets (`at`) count bytes from the start of the buffer that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end inside a value.
    Truncated {
        /// Where the value begins.
        at: usize,
    },
    /// Alignment padding holds something other than zero.
    Padding {
        /// Where the padding begins.
        at: usize,
    },
    /// A boolean is neither 0 nor 1.
    Boolean {
        /// Where it stands.
        at: usize,
        /// What was found.
        value: u32,
    },
    /// A string is not UTF-8, holds a NUL inside, or lacks the NUL behind it.
    Text {
        /// Where the string begins.
        at: usize,
    },
    /// A type signature is malformed.
    Signature(SignatureFault),
    /// An object path is malformed.
    ObjectPath {
        /// Where it begins (0 when it is being written).
        at: usize,
    },
    /// A name is not valid for what it names.
    Name(&'static str),
    /// An array is longer than 64 MiB.
    ArrayTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Containers are nested more than 64 deep.
    TooDeep,
    /// A message is longer than the limit.
    MessageTooLong {
        /// Its length in bytes.
        len: u64,
        /// The limit in force.
        limit: usize,
    },
    /// More file descriptors than one message or the queue may carry.
    TooManyFds {
        /// How many there are.
        count: usize,
    },
    /// A descriptor index points past the descriptors that came along.
    FdIndex {
        /// The index found.
        index: u32,
    },
    /// Descriptors were used although the peers did not agree on passing them.
    FdsNotNegotiated,
    /// Another type was expected here (`0` stands for the end).
    Mismatch {
        /// The type code asked for.
        expected: u8,
        /// The type code that stands there.
        found: u8,
    },
    /// A container was closed that was not open, or left open at the end.
    Nesting,
    /// Bytes are left behind the last value.
    Trailing {
        /// Where they begin.
        at: usize,
    },
    /// A tree of values would have more nodes than allowed.
    TooManyValues,
    /// The fixed part or a field of the message header is wrong.
    Header(&'static str),
    /// The handshake failed.
    Auth(AuthFault),
    /// A match rule is malformed.
    MatchRule(&'static str),
    /// A queue of the connection is full.
    QueueFull {
        /// Which queue, or which measure of it.
        queue: &'static str,
        /// The limit in force.
        limit: usize,
    },
    /// The connection has failed or was closed before.
    Closed,
}

/// Why a signature is refused (D-Bus specification, "Type System").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// Longer than 255 bytes.
    TooLong,
    /// A byte that is no type code.
    UnknownCode(u8),
    /// `a` without an element type.
    ArrayWithoutElement,
    /// `()`.
    EmptyStruct,
    /// An opening bracket that is never closed, or the reverse.
    Unbalanced,
    /// A dict entry outside an array, with a container as key, or without exactly two fields.
    DictEntry,
    /// More than 32 arrays or 32 structs inside each other.
    TooDeep,
    /// Exactly one complete type is needed here.
    NotSingle,
}

/// Why a handshake is refused (D-Bus specification, "Authentication Protocol").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFault {
    /// The first byte of a client is not NUL.
    NoNulByte,
    /// A line or the whole handshake is longer than the limit.
    TooLong,
    /// More lines, or more refused attempts, than the limit.
    TooManyLines,
    /// `BEGIN` came before the peer was authenticated.
    BeginTooEarly,
    /// The server refused us.
    Rejected,
    /// The server said something that is no answer to what we sent.
    Unexpected,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Truncated { at } => write!(f, "value at byte {at} is cut short"),
            Error::Padding { at } => write!(f, "padding at byte {at} is not zero"),
            Error::Boolean { at, value } => write!(f, "boolean at byte {at} is {value}"),
            Error::Text { at } => write!(f, "string at byte {at} is not valid"),
            Error::Signature(fault) => write!(f, "signature is not valid: {fault:?}"),
            Error::ObjectPath { at } => write!(f, "object path at byte {at} is not valid"),
            Error::Name(what) => write!(f, "{what} is not valid"),
            Error::ArrayTooLong { len } => write!(f, "array of {len} bytes is too long"),
            Error::TooDeep => f.write_str("containers are nested too deep"),
            Error::MessageTooLong { len, limit } => {
                write!(f, "message of {len} bytes is longer than {limit}")
            }
            Error::TooManyFds { count } => write!(f, "{count} file descriptors are too many"),
            Error::FdIndex { index } => write!(f, "no file descriptor with index {index} came along"),
            Error::FdsNotNegotiated => f.write_str("passing of file descriptors was not agreed on"),
            Error::Mismatch { expected, found } => {
                write!(f, "expected type {}, found {}", code_text(*expected), code_text(*found))
            }
            Error::Nesting => f.write_str("containers are not opened and closed in pairs"),
            Error::Trailing { at } => write!(f, "bytes are left over from byte {at} on"),
            Error::TooManyValues => f.write_str("too many values in one tree"),
            Error::Header(what) => write!(f, "message header: {what}"),
            Error::Auth(fault) => write!(f, "handshake failed: {fault:?}"),
            Error::MatchRule(what) => write!(f, "match rule: {what}"),
            Error::QueueFull { queue, limit } => write!(f, "{queue} reached its limit of {limit}"),
            Error::Closed => f.write_str("connection is closed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<SignatureFault> for Error {
    fn from(fault: SignatureFault) -> Self {
        Error::Signature(fault)
    }
}

impl From<AuthFault> for Error {
    fn from(fault: AuthFault) -> Self {
        Error::Auth(fault)
    }
}

fn code_text(code: u8) -> String {
    if code == 0 { "end".to_owned() } else { char::from(code).to_string() }
}
