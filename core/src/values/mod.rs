//! Values of settings: text to data and back, one file each. `parse` refuses with a [`ValueError`], `format`
//! gives the reference's canonical text back.
//!
//! Sources: `systemd.syntax(7)`, `systemd.time(7)`, `systemd.exec(5)`, `systemd.resource-control(5)`.

pub mod address;
pub mod boolean;
pub mod bytes;
pub mod calendar;
mod calendar_elapse;
pub mod capability;
pub mod command;
pub mod cpuset;
pub mod device;
pub mod environment;
pub mod errno;
pub mod exitstatus;
pub mod families;
pub mod id128;
pub mod mode;
pub mod percent;
pub mod quoting;
pub mod rlimit;
pub mod scheduling;
pub mod signal;
pub mod span;
pub mod syscall_groups;
pub mod syscalls;
pub mod version;

use std::fmt;

/// Why a text is not the value that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// What was expected, e.g. `time span`.
    pub what: &'static str,
    /// The text, cut to a sensible length.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ValueError {
    /// Longest part of the offending text that an error keeps, in characters.
    const TEXT_MAX: usize = 128;

    /// Makes an error about `text`.
    pub fn new(what: &'static str, text: &str, reason: &'static str) -> ValueError {
        ValueError { what, text: text.chars().take(Self::TEXT_MAX).collect(), reason }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no valid {}: {}", self.text, self.what, self.reason)
    }
}

impl std::error::Error for ValueError {}

/// Splits leading ASCII digits off.
pub(crate) fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The white space of unit files.
pub(crate) const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];
