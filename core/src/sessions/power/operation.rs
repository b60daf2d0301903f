//! The ways in which a machine ends or sleeps (org.freedesktop.login1(5), systemctl(1)).
use super::inhibit::What;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Off.
    PowerOff,
    /// Again from the firmware.
    Reboot,
    /// Off, with the power on.
    Halt,
    /// Again with another kernel that is loaded.
    Kexec,
    /// Again with the same kernel.
    SoftReboot,
    /// Sleep with the memory powered.
    Suspend,
    /// Sleep with the memory on disk.
    Hibernate,
    /// Both.
    HybridSleep,
    /// The one, and the other after a while.
    SuspendThenHibernate,
}

/// The polkit actions of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Where nothing is in its way.
    pub plain: &'static str,
    /// While others are logged in.
    pub multiple_sessions: &'static str,
    /// In spite of inhibitors.
    pub ignore_inhibit: &'static str,
}

macro_rules! rights {
    ($name:literal) => {
        Rights {
            plain: concat!("org.freedesktop.login1.", $name),
            multiple_sessions: concat!("org.freedesktop.login1.", $name, "-multiple-sessions"),
            ignore_inhibit: concat!("org.freedesktop.login1.", $name, "-ignore-inhibit"),
        }
    };
}

use Operation::{
    Halt, Hibernate, HybridSleep, Kexec, PowerOff, Reboot, SoftReboot, Suspend, SuspendThenHibernate,
};

const NAMES: [(Operation, &str); 9] = [
    (PowerOff, "poweroff"),
    (Reboot, "reboot"),
    (Halt, "halt"),
    (Kexec, "kexec"),
    (SoftReboot, "soft-reboot"),
    (Suspend, "suspend"),
    (Hibernate, "hibernate"),
    (HybridSleep, "hybrid-sleep"),
    (SuspendThenHibernate, "suspend-then-hibernate"),
];

impl Operation {
    /// The operation of that name.
    pub fn parse(name: &str) -> Option<Operation> {
        NAMES.iter().find(|(_, other)| *other == name).map(|(operation, _)| *operation)
    }

    /// Its name, as in `logind.conf` and in signals.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(other, _)| *other == self).map_or("", |(_, name)| name)
    }

    /// Whether the machine ends, rather than sleeps.
    pub fn ends(self) -> bool {
        matches!(self, PowerOff | Reboot | Halt | Kexec | SoftReboot)
    }

    /// What inhibitors hold it back.
    pub fn inhibited_by(self) -> What {
        if self.ends() { What::SHUTDOWN } else { What::SLEEP }
    }

    /// The unit that does it.
    pub fn target(self) -> &'static str {
        match self {
            PowerOff => "poweroff.target",
            Reboot => "reboot.target",
            Halt => "halt.target",
            Kexec => "kexec.target",
            SoftReboot => "soft-reboot.target",
            Suspend => "suspend.target",
            Hibernate => "hibernate.target",
            HybridSleep => "hybrid-sleep.target",
            SuspendThenHibernate => "suspend-then-hibernate.target",
        }
    }

    /// What polkit is asked. Like the reference, all reboots are one thing, and all that involves the disk.
    pub fn rights(self) -> Rights {
        match self {
            PowerOff => rights!("power-off"),
            Reboot | Kexec | SoftReboot => rights!("reboot"),
            Halt => rights!("halt"),
            Suspend => rights!("suspend"),
            Hibernate | HybridSleep | SuspendThenHibernate => rights!("hibernate"),
        }
    }

    /// What the log says when it begins; nothing for sleep.
    pub fn log_line(self) -> Option<&'static str> {
        Some(match self {
            PowerOff => "System is powering down",
            Reboot => "System is rebooting",
            Halt => "System is halting",
            Kexec => "System is rebooting with kexec",
            SoftReboot => "System userspace is rebooting",
            _ => return None,
        })
    }

    /// As it stands in a sentence for everybody.
    pub fn verb(self) -> &'static str {
        match self {
            PowerOff => "power off",
            other => other.name(),
        }
    }
}
