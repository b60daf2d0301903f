//! The eleven unit types.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A unit's type, told by the suffix of its name; in the order in which the reference lists them
/// (`systemctl --type=help`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum UnitType {
    /// `systemd.service(5)`
    Service,
    /// `systemd.mount(5)`
    Mount,
    /// `systemd.swap(5)`
    Swap,
    /// `systemd.socket(5)`
    Socket,
    /// `systemd.target(5)`
    Target,
    /// `systemd.device(5)`
    Device,
    /// `systemd.automount(5)`
    Automount,
    /// `systemd.timer(5)`
    Timer,
    /// `systemd.path(5)`
    Path,
    /// `systemd.slice(5)`
    Slice,
    /// `systemd.scope(5)`
    Scope,
}

impl UnitType {
    /// Every type, in the reference's order.
    pub const ALL: [UnitType; 11] = [
        UnitType::Service,
        UnitType::Mount,
        UnitType::Swap,
        UnitType::Socket,
        UnitType::Target,
        UnitType::Device,
        UnitType::Automount,
        UnitType::Timer,
        UnitType::Path,
        UnitType::Slice,
        UnitType::Scope,
    ];

    /// The suffix without its dot, e.g. `service`.
    pub const fn suffix(self) -> &'static str {
        match self {
            UnitType::Service => "service",
            UnitType::Mount => "mount",
            UnitType::Swap => "swap",
            UnitType::Socket => "socket",
            UnitType::Target => "target",
            UnitType::Device => "device",
            UnitType::Automount => "automount",
            UnitType::Timer => "timer",
            UnitType::Path => "path",
            UnitType::Slice => "slice",
            UnitType::Scope => "scope",
        }
    }

    /// The section of a unit file that belongs to this type alone, e.g. `Service`; the reference uses the same
    /// word in the names of its D-Bus interfaces.
    pub const fn section(self) -> &'static str {
        match self {
            UnitType::Service => "Service",
            UnitType::Mount => "Mount",
            UnitType::Swap => "Swap",
            UnitType::Socket => "Socket",
            UnitType::Target => "Target",
            UnitType::Device => "Device",
            UnitType::Automount => "Automount",
            UnitType::Timer => "Timer",
            UnitType::Path => "Path",
            UnitType::Slice => "Slice",
            UnitType::Scope => "Scope",
        }
    }

    /// The type of a suffix given without its dot.
    pub fn from_suffix(suffix: &str) -> Option<UnitType> {
        UnitType::ALL.into_iter().find(|kind| kind.suffix() == suffix)
    }
}

impl fmt::Display for UnitType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_round_trip_in_order() {
        for (index, kind) in UnitType::ALL.into_iter().enumerate() {
            assert_eq!(UnitType::from_suffix(kind.suffix()), Some(kind));
            assert_eq!(kind as usize, index);
            assert_eq!(kind.section().to_ascii_lowercase(), kind.suffix());
        }
        assert_eq!(UnitType::from_suffix(".service"), None);
        assert_eq!(UnitType::from_suffix("Service"), None);
    }
}
