//! `Condition*=` and `Assert*=` (`systemd.unit(5)` "Conditions and Asserts"): from text to data, and from data and
//! the host's facts to a verdict. What a fact is on a real machine is somebody else's affair: [`HostFacts`].

mod evaluate;
mod facts;

pub use evaluate::{evaluate, evaluate_list, holds};
pub use facts::{HostFacts, PathTest, Pressure, Virtualization};

use crate::values::ValueError;
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// What a condition looks at; named like the setting behind `Condition` or `Assert`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum Kind { $($name),* }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The name without `Condition` or `Assert`.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$name => stringify!($name)),* }
            }
        }
    };
}

kinds! {
    Architecture, Firmware, Host, Virtualization, KernelCommandLine, KernelVersion, Security, Capability, ACPower,
    NeedsUpdate, FirstBoot, PathExists, PathExistsGlob, PathIsDirectory, PathIsSymbolicLink, PathIsMountPoint,
    PathIsReadWrite, PathIsEncrypted, DirectoryNotEmpty, FileNotEmpty, FileIsExecutable, User, Group,
    ControlGroupController, CPUs, Memory, Environment, CPUFeature, OSRelease, MemoryPressure, CPUPressure,
    IOPressure, Credential, KernelModuleLoaded,
}

impl Kind {
    /// The kind of a setting's full name, e.g. `ConditionPathExists`.
    pub fn from_setting(setting: &str) -> Option<Kind> {
        let name = setting.strip_prefix("Condition").or_else(|| setting.strip_prefix("Assert"))?;
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether the parameter must be an absolute path.
    pub fn takes_path(self) -> bool {
        use Kind::*;
        matches!(
            self,
            NeedsUpdate
                | PathExists
                | PathExistsGlob
                | PathIsDirectory
                | PathIsSymbolicLink
                | PathIsMountPoint
                | PathIsReadWrite
                | PathIsEncrypted
                | DirectoryNotEmpty
                | FileNotEmpty
                | FileIsExecutable
        )
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it looks at.
    pub kind: Kind,
    /// `|`: one of these must hold.
    pub trigger: bool,
    /// `!`
    pub negate: bool,
    /// What is behind the signs, specifiers expanded.
    pub parameter: String,
}

/// Parses the value of a condition, `|` before `!`. `Ok(None)` for the empty value, which resets the whole list,
/// conditions of other kinds included.
pub fn parse(kind: Kind, value: &str) -> Result<Option<Condition>, ValueError> {
    if value.is_empty() {
        return Ok(None);
    }
    let (trigger, rest) = value.strip_prefix('|').map_or((false, value), |rest| (true, rest));
    let (negate, rest) = rest.strip_prefix('!').map_or((false, rest), |rest| (true, rest));
    let mut parameter = rest.to_owned();
    if kind.takes_path() {
        if !rest.starts_with('/') {
            return Err(ValueError::new("condition", rest, "the path is not absolute"));
        }
        parameter = simplify(rest);
    }
    Ok(Some(Condition { kind, trigger, negate, parameter }))
}

/// Removes double slashes, `.` components and the slash at the end.
fn simplify(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// The value as it would stand in a unit file.
pub fn format(condition: &Condition) -> String {
    let trigger = if condition.trigger { "|" } else { "" };
    let negate = if condition.negate { "!" } else { "" };
    format!("{trigger}{negate}{}", condition.parameter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing() {
        let kind = Kind::from_setting("AssertPathExists").expect("known");
        assert_eq!(kind, Kind::PathExists);
        assert_eq!(Kind::from_setting("ConditionNope"), None);
        let condition = parse(kind, "|!/a//b/").expect("valid").expect("not empty");
        assert!(condition.trigger && condition.negate);
        assert_eq!(format(&condition), "|!/a/b");
        assert_eq!(parse(kind, ""), Ok(None));
        // Observed: no space may stand between the signs, and their order is fixed.
        for value in ["| ! /nope", "!|/nope", "nope"] {
            assert!(parse(kind, value).is_err(), "{value}");
        }
    }

    #[test]
    fn the_reference_has_these() {
        let items = include_str!("../../tests/facts/configuration-items.txt");
        let mut known: Vec<&str> = items
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter_map(|(name, _)| name.strip_prefix("Condition"))
            .collect();
        known.sort_unstable();
        known.dedup();
        let mut ours: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        ours.sort_unstable();
        for name in &known {
            assert!(ours.contains(name), "{name}");
        }
        // Accepted, but not in the dump of a build without modules.
        ours.retain(|name| !known.contains(name));
        assert!(ours.iter().all(|name| *name == "KernelModuleLoaded"), "{ours:?}");
    }
}
