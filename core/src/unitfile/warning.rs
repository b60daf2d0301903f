//! What can be wrong with a unit file.

use std::fmt;
use std::rc::Rc;

/// Something that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file's path.
    pub file: Rc<str>,
    /// Its line, from 1.
    pub line: u32,
    /// What it is.
    pub kind: WarningKind,
}

/// Why something was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarningKind {
    /// The line is not UTF-8.
    NotUtf8,
    /// A NUL byte, which ends a line like a newline.
    Nul,
    /// An assignment stands before the first section.
    OutsideSection,
    /// A line without `=`.
    NoEquals,
    /// Nothing stands before `=`.
    NoKey,
    /// No such section in this type of file; carries the name. Given by the reader of the settings.
    UnknownSection(String),
    /// No such setting in this section: key, section. Given by the reader of the settings.
    UnknownKey(String, String),
    /// The value was refused. Given by the reader of the settings.
    Value(String),
    /// What follows was not read.
    Broken(Broken),
}

/// Why the rest of a file cannot be read. A fragment that is broken fails to load; a drop-in counts up to there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// A line begins with `[` and does not end with `]`, or its name has characters it must not have: `EBADMSG`.
    SectionHeader(String),
    /// A line, with what is joined to it, is too long: `ENOBUFS`.
    LineTooLong,
}

impl Broken {
    /// The error number with which the reference fails the load.
    pub fn errno(&self) -> i32 {
        match self {
            Broken::SectionHeader(_) => 74,
            Broken::LineTooLong => 105,
        }
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WarningKind::NotUtf8 => f.write_str("String is not UTF-8 clean, ignoring assignment."),
            WarningKind::Nul => f.write_str("NUL byte, taken as the end of the line."),
            WarningKind::OutsideSection => f.write_str("Assignment outside of section. Ignoring."),
            WarningKind::NoEquals => f.write_str("Missing '=', ignoring line."),
            WarningKind::NoKey => f.write_str("Missing key name before '=', ignoring line."),
            WarningKind::UnknownSection(name) => write!(f, "Unknown section '{name}'. Ignoring."),
            WarningKind::UnknownKey(key, section) => {
                write!(f, "Unknown key '{key}' in section [{section}], ignoring.")
            }
            WarningKind::Value(text) => f.write_str(text),
            WarningKind::Broken(Broken::SectionHeader(line)) => write!(f, "Invalid section header '{line}'"),
            WarningKind::Broken(Broken::LineTooLong) => f.write_str("Line too long"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.kind)
    }
}
