//! The same scenarios on runstead and on the reference.
//!
//! [`root`] builds the Debian root once, [`layer`] what only some machines have on top of it, [`machine`] boots it under either PID 1 in namespaces, [`vm`] under a kernel of its own, [`compare`]
//! lays two boots side by side, and [`scenario`] is the shape of one scenario. The scenarios themselves are
//! in `scenarios/`, run by `cargo test -p runstead-compat --test scenarios`.

pub mod archives;
pub mod arguments;
pub mod compare;
pub mod console;
pub mod installed;
pub mod kernel;
pub mod layer;
pub mod machine;
pub mod proof;
pub mod root;
pub mod scenario;
pub mod transcript;
pub mod vm;

use std::fmt;
use std::path::PathBuf;

/// What went wrong in the harness: what was attempted, on what, and why it failed.
#[derive(Debug, Clone)]
pub struct Error(String);

impl Error {
    /// An error with a message that already says what and on what.
    pub fn new(why: impl Into<String>) -> Self {
        Error(why.into())
    }

    /// `map_err` adaptor: `what` failed on `path` with the error that follows.
    pub fn on<E: fmt::Display>(what: &str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> Error {
        let place = path.into();
        let what = what.to_owned();
        move |e| Error(format!("{what} {}: {e}", place.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(e: Error) -> String {
        e.0
    }
}

/// Result of a harness step.
pub type Result<T> = std::result::Result<T, Error>;
