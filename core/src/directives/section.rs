//! The sections of unit files as a set.

use crate::names::UnitType;

/// A set of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sections(pub u16);

/// `[Unit]`
pub const UNIT: Sections = Sections(1);
/// `[Service]`
pub const SERVICE: Sections = Sections(2);
/// `[Socket]`
pub const SOCKET: Sections = Sections(4);
/// `[Mount]`
pub const MOUNT: Sections = Sections(8);
/// `[Automount]`
pub const AUTOMOUNT: Sections = Sections(16);
/// `[Swap]`
pub const SWAP: Sections = Sections(32);
/// `[Timer]`
pub const TIMER: Sections = Sections(64);
/// `[Path]`
pub const PATH: Sections = Sections(128);
/// `[Slice]`
pub const SLICES: Sections = Sections(256);
/// `[Scope]`
pub const SCOPE: Sections = Sections(512);
/// `[Install]`
pub const INSTALL: Sections = Sections(1024);
/// `[Manager]` of system.conf and user.conf
pub const MANAGER: Sections = Sections(2048);
/// Sections of units that run processes (`systemd.exec(5)`).
pub const EXEC: Sections = Sections(SERVICE.0 | SOCKET.0 | MOUNT.0 | SWAP.0);
/// Sections of units whose processes are ended by the manager (`systemd.kill(5)`).
pub const KILL: Sections = Sections(EXEC.0 | SCOPE.0);
/// Sections of units with a control group (`systemd.resource-control(5)`).
pub const CGROUP: Sections = Sections(KILL.0 | SLICES.0);

/// The sections by name, in the reference's order.
pub const NAMES: [(&str, Sections); 12] = [
    ("Unit", UNIT),
    ("Service", SERVICE),
    ("Socket", SOCKET),
    ("Mount", MOUNT),
    ("Automount", AUTOMOUNT),
    ("Swap", SWAP),
    ("Timer", TIMER),
    ("Path", PATH),
    ("Slice", SLICES),
    ("Scope", SCOPE),
    ("Install", INSTALL),
    ("Manager", MANAGER),
];

impl Sections {
    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Sections) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub const fn or(self, other: Sections) -> Sections {
        Sections(self.0 | other.0)
    }

    /// The section of a name without its brackets; `None` for one that no directive stands in
    /// (`[Target]`, `[Device]`, unknown ones).
    pub fn named(name: &str) -> Option<Sections> {
        NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// The names of all sections in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |row| self.contains(row.1)).map(|row| row.0)
    }

    /// The section of a unit type; empty for targets and devices, which have no directives of their own.
    pub const fn of(kind: UnitType) -> Sections {
        match kind {
            UnitType::Service => SERVICE,
            UnitType::Mount => MOUNT,
            UnitType::Swap => SWAP,
            UnitType::Socket => SOCKET,
            UnitType::Automount => AUTOMOUNT,
            UnitType::Timer => TIMER,
            UnitType::Path => PATH,
            UnitType::Slice => SLICES,
            UnitType::Scope => SCOPE,
            UnitType::Target | UnitType::Device => Sections(0),
        }
    }
}
