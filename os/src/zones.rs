//! Files of time zones (tzfile(5)).
use crate::rundir::read_limited;
use std::path::PathBuf;

/// What the machine's time zone is: a link into the database, or a file.
pub const LOCAL: &str = "/etc/localtime";
const DATABASE: &str = "/usr/share/zoneinfo";
/// The largest of the database has 4 KiB.
const FILE_MAX: u64 = 256 << 10;

fn read(path: &str) -> Option<Vec<u8>> {
    read_limited(path, FILE_MAX).ok().filter(|file| file.starts_with(b"TZif"))
}

/// A zone of the database; `None` when it has none of this name (a path below it, which the caller has looked at).
pub fn named(name: &str) -> Option<Vec<u8>> {
    read(&format!("{DATABASE}/{name}"))
}

/// The machine's time zone as it is found: to see whether it became another one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Local {
    link: Option<PathBuf>,
    /// The zone's file; `None`: UTC.
    pub file: Option<Vec<u8>>,
}

impl Local {
    /// Look at it.
    pub fn read() -> Local {
        Local { link: std::fs::read_link(LOCAL).ok(), file: local() }
    }
}

/// The local time zone: that of `TZ`, when it is a name, or the machine's. `None`: UTC.
pub fn local() -> Option<Vec<u8>> {
    use runstead_core::values::calendar::looks_like_zone;
    let variable = std::env::var("TZ").ok();
    let name = variable.as_deref().map(|text| text.strip_prefix(':').unwrap_or(text));
    name.filter(|name| looks_like_zone(name)).and_then(named).or_else(|| read(LOCAL))
}
