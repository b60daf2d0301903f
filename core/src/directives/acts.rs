//! Where a directive acts: what the enforcement ledger starts from.

/// What it means when a directive cannot be put into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It decides which file runs, as whom, or on which data: it works, or the unit fails.
    Must,
    /// It protects: it may be weakened where the kernel or missing privileges refuse it, which is said.
    Hardening,
    /// It tunes: as [`Weight::Hardening`], but nothing is less safe without it.
    Comfort,
}

/// Where a directive acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// In the state machines and the job engine.
    Engine,
    /// In the spawn plan.
    Plan(Weight),
    /// On the unit's control group.
    Cgroup(Weight),
    /// On the sockets of a socket unit.
    Socket,
    /// On the manager itself.
    Manager,
    /// In `systemctl enable` and its like.
    Install,
    /// Nowhere yet, and why.
    Skipped(&'static str),
    /// Taken for compatibility with older unit files only, as in the reference.
    Compat,
}

impl Acts {
    /// Whether the unit must fail when the directive cannot be put into force.
    pub const fn must(self) -> bool {
        matches!(self, Acts::Plan(Weight::Must) | Acts::Cgroup(Weight::Must))
    }
}

/// The short names that the table uses.
#[allow(non_upper_case_globals, missing_docs)]
pub mod short {
    pub use super::Acts::{Compat, Engine, Install, Manager, Skipped, Socket};
    pub use super::reason;
    use super::{Acts, Weight};
    pub const Must: Acts = Acts::Plan(Weight::Must);
    pub const Hardening: Acts = Acts::Plan(Weight::Hardening);
    pub const Plan: Acts = Acts::Plan(Weight::Comfort);
    pub const Cgroup: Acts = Acts::Cgroup(Weight::Comfort);
    pub const CgroupHardening: Acts = Acts::Cgroup(Weight::Hardening);
}

/// Reasons of [`Acts::Skipped`].
pub mod reason {
    /// No SELinux support.
    pub const SELINUX: &str = "SELinux is not supported";
    /// No SMACK support.
    pub const SMACK: &str = "SMACK is not supported";
    /// No BPF programs yet.
    pub const BPF: &str = "BPF programs are not loaded yet";
    /// PID 1 executes itself again, and has a minimal mode.
    pub const CRASH: &str = "the manager goes on after a crash";
    /// No hardware watchdog yet.
    pub const WATCHDOG: &str = "the machine's watchdog is not driven yet";
    /// What is set for the manager's own process.
    pub const OWN_PROCESS: &str = "the manager leaves its own process as it is";
    /// One form of log lines.
    pub const LOG_FORM: &str = "log lines have one form";
    /// No limit of reloads yet.
    pub const RELOAD_LIMIT: &str = "reloads are not limited yet";
    /// No user namespaces for services yet.
    pub const USERNS: &str = "user namespaces are not made yet";
    /// No AppArmor yet.
    pub const APPARMOR: &str = "AppArmor is not supported yet";
    /// Virtual terminals stay allocated.
    pub const VT: &str = "virtual terminals are not cleared yet";
    /// No utmp.
    pub const UTMP: &str = "utmp records are not written yet";
    /// No images yet.
    pub const IMAGES: &str = "images are not mounted yet";
    /// What journald reads from the control group.
    pub const JOURNALD: &str = "journald is not told yet";
    /// `systemctl clean`
    pub const CLEANING: &str = "cleaning is not ended by time";
    /// `Startup*=`
    pub const STARTUP: &str = "values for the time of start-up are not used yet";
    /// `DefaultMemory*=`
    pub const PASSED_ON: &str = "protection of memory is not passed on to units below yet";
    /// `DisableControllers=`
    pub const CONTROLLERS: &str = "controllers are enabled where a unit needs them";
    /// systemd-oomd's preferences.
    pub const OOMD: &str = "preferences of who is killed are not passed on yet";
    /// Cores of containers.
    pub const CORES: &str = "cores are not passed on to containers";
    /// `FlushPending=`
    pub const FLUSHING: &str = "what waits in sockets is kept";
    /// `DeferReactivation=`
    pub const DEFERRING: &str = "timers elapse when they are due";
    /// The end of a shutdown.
    pub const FINAL_KILL: &str = "all processes end with the system";
    /// `RootDirectoryStartOnly=`
    pub const CHROOT: &str = "all commands run in the root directory";
    /// `CtrlAltDelBurstAction=`
    pub const BURST: &str = "Ctrl-Alt-Del starts its target, however often";
    /// No netfilter sets yet.
    pub const NFT: &str = "netfilter sets are not filled yet";
}
