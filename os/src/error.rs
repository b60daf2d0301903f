//! The error of this crate: what was attempted, on what, and what the kernel said.
use rustix::io::Errno;
use std::fmt;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsError {
    /// What was attempted, as a verb ("open", "mount").
    pub attempted: &'static str,
    /// On what: a path, an address, a PID.
    pub on: String,
    /// What the kernel answered.
    pub errno: Errno,
}

impl OsError {
    /// An error about `on`.
    pub fn new(attempted: &'static str, on: impl Into<String>, errno: Errno) -> Self {
        OsError { attempted, on: on.into(), errno }
    }

    /// The raw errno, positive.
    pub fn raw(&self) -> i32 {
        self.errno.raw_os_error()
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.raw());
        if self.on.is_empty() {
            write!(f, "{}: {text}", self.attempted)
        } else {
            write!(f, "{} {}: {text}", self.attempted, self.on)
        }
    }
}

impl std::error::Error for OsError {}

/// Says what was attempted when a bare errno comes back.
pub trait Attempt<T> {
    /// Wrap the errno.
    fn attempt(self, attempted: &'static str, on: impl Into<String>) -> Result<T, OsError>;
}

impl<T> Attempt<T> for Result<T, Errno> {
    fn attempt(self, attempted: &'static str, on: impl Into<String>) -> Result<T, OsError> {
        self.map_err(|errno| OsError::new(attempted, on, errno))
    }
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn attempt(self, attempted: &'static str, on: impl Into<String>) -> Result<T, OsError> {
        self.map_err(|error| OsError::new(attempted, on, errno_of(&error)))
    }
}

/// The errno in a standard library error; `EIO` for those that carry none.
pub fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
