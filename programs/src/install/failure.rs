//! How an installation can fail, and with which exit status.
use runstead_os::OsError;
use std::fmt;

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Something stands in the way; nothing was changed. The text names it and the remedy.
    Refused(String),
    /// An act failed; those before it are done.
    Act(String),
}

impl Failure {
    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Failure::Act(_) => 1,
            Failure::Refused(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(why) => write!(f, "{why}. Nothing was changed."),
            Failure::Act(why) => write!(
                f,
                "{why}. The system still boots; when that is mended, 'runstead install' finishes and 'runstead uninstall' undoes it."
            ),
        }
    }
}

impl From<OsError> for Failure {
    fn from(error: OsError) -> Failure {
        Failure::Act(format!("cannot {error}"))
    }
}
