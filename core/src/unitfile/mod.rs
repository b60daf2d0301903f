//! Unit files: bytes to assignments with line numbers (`systemd.syntax(7)`), drop-ins, and where files are
//! looked for (`systemd.unit(5)` "Unit File Load Path"). Nothing here fails: what is wrong is said with file and
//! line, and the rest is used.

mod files;
mod fuzz;
mod parse;
pub mod search;
mod warning;

pub use files::{Located, UnitFiles};
pub use fuzz::fuzz;
pub use parse::{Assignment, LINE_MAX, Section, UnitFile, parse};
pub use warning::{Broken, Warning, WarningKind};
