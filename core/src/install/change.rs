//! What a plan gives.

use super::view::Errno;
use std::fmt;

/// What kind of change or notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Make the link `path`, pointing to `source`, with the directories above it.
    Symlink,
    /// Remove `path`; then the directories above it that are left empty, up to the load path's own.
    Unlink,
    /// Notice: `path` is masked and was passed over.
    Masked,
    /// Notice: `path` is a link to nothing.
    Dangling,
    /// Notice: `path` becomes a dependency of the unit `source`, which does not exist.
    DestinationNotPresent,
    /// Notice: the unit `path` of an `Also=` could not be enabled.
    AuxiliaryFailed,
}

impl ChangeKind {
    /// The word that stands for it on the bus.
    pub fn wire_name(self) -> &'static str {
        match self {
            ChangeKind::Symlink => "symlink",
            ChangeKind::Unlink => "unlink",
            ChangeKind::Masked => "masked",
            ChangeKind::Dangling => "dangling",
            ChangeKind::DestinationNotPresent => "destination not present",
            ChangeKind::AuxiliaryFailed => "auxiliary unit failed",
        }
    }

    /// Whether something is to be done on disk.
    pub fn acts(self) -> bool {
        matches!(self, ChangeKind::Symlink | ChangeKind::Unlink)
    }
}

/// One step of a plan, or a notice for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// Where.
    pub path: String,
    /// See [`ChangeKind`]; empty where nothing is said there.
    pub source: String,
}

impl Change {
    pub(super) fn new(kind: ChangeKind, path: impl Into<String>, source: impl Into<String>) -> Change {
        Change { kind, path: path.into(), source: source.into() }
    }
}

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Changes in order.
    pub changes: Vec<Change>,
    /// Whether any of the units has an `[Install]` section that says something.
    pub carries_install_info: bool,
    /// Why the plan stops behind its changes, which still count, as in the reference.
    pub error: Option<InstallError>,
}

/// Why a plan cannot be made. Texts are those that clients see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallError {
    /// No such unit file.
    NotFound(String),
    /// The unit at this path is masked.
    Masked(String),
    /// The name is an alias.
    Linked(String),
    /// The file at this path is transient or generated.
    Generated(String),
    /// Something else lies where a link is to be made; with the target if it is a link.
    Exists(String, Option<String>),
    /// The template (first) cannot be wanted by the unit (second).
    Template(String, String),
    /// The unit (first) cannot have that alias (second).
    Alias(String, String),
    /// Not a unit name.
    InvalidName(String),
    /// A specifier in this file cannot be resolved.
    Specifier(String),
    /// The argument makes no sense for the command.
    Invalid(String),
    /// Reading the file failed.
    File(String, Errno),
    /// The load path has no directory to make links in.
    NoDirectory,
}

impl InstallError {
    /// The error number that the reference has for it.
    pub fn errno(&self) -> Errno {
        match self {
            InstallError::NotFound(_) => 2,
            InstallError::Masked(_) => 132,
            InstallError::Linked(_) => 40,
            InstallError::Generated(_) => 99,
            InstallError::Exists(..) => 17,
            InstallError::Template(..) => 43,
            InstallError::Alias(..) => 18,
            InstallError::InvalidName(_) => 117,
            InstallError::Specifier(_) => 49,
            InstallError::Invalid(_) => 22,
            InstallError::File(_, errno) => *errno,
            InstallError::NoDirectory => 2,
        }
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallError::NotFound(unit) => write!(f, "Unit {unit} does not exist"),
            InstallError::Masked(path) => write!(f, "Unit {path} is masked"),
            InstallError::Linked(unit) => write!(f, "Refusing to operate on linked unit file {unit}"),
            InstallError::Generated(path) => write!(f, "Unit {path} is transient or generated"),
            InstallError::Exists(path, None) => write!(f, "File '{path}' already exists"),
            InstallError::Exists(path, Some(target)) => {
                write!(f, "File '{path}' already exists and is a symlink to {target}")
            }
            InstallError::Template(unit, destination) => write!(
                f,
                "Refusing to operate on template unit {unit} when destination unit {destination} is a non-template unit"
            ),
            InstallError::Alias(unit, alias) => write!(f, "Cannot alias {unit} as {alias}"),
            InstallError::InvalidName(name) => write!(f, "\"{name}\" is not a valid unit name"),
            InstallError::Specifier(path) => write!(f, "Cannot resolve specifiers in {path}"),
            InstallError::Invalid(what) => write!(f, "Invalid argument: {what}"),
            InstallError::File(path, errno) => write!(f, "File {path}: error {errno}"),
            InstallError::NoDirectory => f.write_str("No directory for unit file links"),
        }
    }
}

impl std::error::Error for InstallError {}
