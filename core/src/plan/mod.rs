//! Compiles settings into a spawn plan: a flat list of steps for a child, every string and buffer prepared.
//!
//! [`compile`] is pure: what the host knows (users, descriptor numbers, file contents) comes in as [`SpawnFacts`].
//! `os/spawn` turns the plan into bytes and a child interprets them with raw system calls only.
mod builder;
mod compile;
mod credentials;
mod devices;
mod directories;
mod environment;
mod exit;
mod facts;
mod filters;
mod ledger;
pub(crate) use ledger::not_acting;
mod limits;
mod mount_settings;
mod mounts;
mod namespace;
mod op;
mod privileges;
mod stdio;

pub use compile::compile;
pub use environment::expand;
pub(crate) use stdio::is_tty;

pub use exit::ExitStatus;
pub use facts::{Credential, Kernel, Prefixes, Scope, SpawnFacts, UserFacts, private_tmp_suffix};
pub use filters::Filter;
pub use op::{Fd, HeldTty, OnError, Op, Reg, Slot, Step, Text};

/// A child's life until execve(2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What it does, in order; the last step is [`Op::Exec`].
    pub steps: Vec<Step>,
    /// Absolute path of the cgroup it is made in (`CLONE_INTO_CGROUP`, else it moves itself).
    pub cgroup: Option<String>,
    /// Settings that were asked for and are not enforced, with the reason (the enforcement ledger).
    pub skipped: Vec<(&'static str, String)>,
}

/// A plan that cannot be made; the unit's process counts as having exited with the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// The directive.
    pub setting: &'static str,
    /// The reference's exit status.
    pub exit: ExitStatus,
    /// Why, for the log.
    pub message: String,
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} (exit status {})", self.setting, self.message, self.exit.code())
    }
}

impl std::error::Error for PlanError {}
