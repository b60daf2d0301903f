//! What the parts of the compiler share: the plan under construction.
use super::filters::Wanted;
use super::{ExitStatus, OnError, Op, Plan, PlanError, Reg, Scope, SpawnFacts, Step, UserFacts};
use crate::directives::ids;
use crate::engine::effect::{FdId, SpawnSpec};
use crate::settings::Settings;

/// A plan under construction.
pub(super) struct Builder<'a> {
    pub(super) spec: &'a SpawnSpec,
    pub(super) facts: &'a SpawnFacts,
    pub(super) plan: Plan,
    /// The system call filter that is going to be installed.
    pub(super) filter: Option<Wanted>,
    registers: u16,
}

impl<'a> Builder<'a> {
    pub(super) fn new(spec: &'a SpawnSpec, facts: &'a SpawnFacts) -> Self {
        let cgroup = facts.cgroup_root.as_deref().zip(spec.cgroup.as_deref()).map(|(root, unit)| {
            let below = spec.subgroup.as_deref().map(|name| format!("/{}", name.trim_start_matches('/')));
            format!("{}{unit}{}", root.trim_end_matches('/'), below.unwrap_or_default())
        });
        let plan = Plan { cgroup, ..Plan::default() };
        let mut builder = Builder { spec, facts, plan, filter: None, registers: 0 };
        builder.filter = super::filters::wanted(&builder);
        builder
    }

    pub(super) fn settings(&self) -> &'a Settings {
        &self.spec.settings
    }

    /// Sandboxing applies: not for commands with `+`.
    pub(super) fn sandboxed(&self) -> bool {
        !self.spec.command.full_privileges
    }

    /// The user's ids apply: not for commands with `+` or `!`.
    pub(super) fn changes_user(&self) -> bool {
        self.sandboxed() && !self.spec.command.no_setuid
    }

    /// The user of `User=` or `DynamicUser=`.
    pub(super) fn user(&self) -> Option<&'a UserFacts> {
        self.facts.user.as_ref()
    }

    /// User and group the unit's files belong to.
    pub(super) fn owner(&self) -> (u32, u32) {
        let own = &self.facts.own_user;
        let uid = self.user().map_or(own.uid, |user| user.uid);
        let gid = self.facts.group.or(self.user().map(|user| user.gid)).unwrap_or(own.gid);
        (uid, gid)
    }

    pub(super) fn is_system(&self) -> bool {
        self.facts.scope == Scope::System
    }

    pub(super) fn dynamic_user(&self) -> bool {
        self.settings().bool(ids::DYNAMIC_USER)
    }

    pub(super) fn push(&mut self, op: Op, setting: &'static str, on_error: OnError) {
        self.plan.steps.push(Step { op, setting, on_error });
    }

    pub(super) fn fail(&mut self, op: Op, setting: &'static str, exit: ExitStatus) {
        self.push(op, setting, OnError::Fail(exit));
    }

    pub(super) fn weaken(&mut self, op: Op, setting: &'static str) {
        self.push(op, setting, OnError::Weaken);
    }

    pub(super) fn ignore(&mut self, op: Op, setting: &'static str) {
        self.push(op, setting, OnError::Ignore);
    }

    pub(super) fn skip(&mut self, setting: &'static str, reason: impl Into<String>) {
        self.plan.skipped.push((setting, reason.into()));
    }

    pub(super) fn error(
        &self,
        setting: &'static str,
        exit: ExitStatus,
        message: impl Into<String>,
    ) -> PlanError {
        PlanError { setting, exit, message: message.into() }
    }

    /// A register of its own.
    pub(super) fn register(&mut self) -> Reg {
        self.registers += 1;
        Reg(self.registers - 1)
    }

    /// The manager's number of a descriptor.
    pub(super) fn fd(&self, id: FdId) -> Option<i32> {
        self.facts.fds.iter().find(|(known, _)| *known == id).map(|(_, fd)| *fd)
    }

    /// Directories on the way to a path, and the path itself.
    pub(super) fn mkdir_all(&mut self, path: &str, mode: u32, setting: &'static str, on_error: OnError) {
        for parent in parents(path) {
            self.push(Op::Mkdir { path: parent, mode: 0o755 }, setting, on_error);
        }
        self.push(Op::Mkdir { path: path.to_owned(), mode }, setting, on_error);
    }

    /// The name of the PAM configuration: processes with all privileges have no session.
    pub(super) fn pam_service(&self) -> Option<&'a str> {
        self.settings().text(ids::PAM_NAME).filter(|name| !name.is_empty() && self.changes_user())
    }

    /// What is passed, and how many of them (the sockets) are made non-blocking or not. How the service keeps its stored
    /// ones is its own affair: the flag belongs to what is open, not to the descriptor.
    pub(super) fn passed_fds(&self) -> (Vec<i32>, Option<(usize, bool)>) {
        let fds = self.spec.fds.iter().filter_map(|(id, _)| self.fd(*id)).collect();
        let nonblock = (self.spec.socket_fds > 0)
            .then(|| (self.spec.socket_fds, self.settings().bool(ids::NON_BLOCKING)));
        (fds, nonblock)
    }

    /// Descriptors at 3 and up, unless a PAM session has them there already.
    pub(super) fn fail_placing_fds(&mut self) {
        let (fds, nonblock) = self.passed_fds();
        if !fds.is_empty() && self.pam_service().is_none() {
            self.fail(Op::PlaceFds { fds, nonblock }, "Sockets", ExitStatus::Fds);
        }
    }
}

/// The directories above a path, from the root down, without `/`.
pub(super) fn parents(path: &str) -> Vec<String> {
    path.match_indices('/')
        .map(|(at, _)| &path[..at])
        .filter(|dir| !dir.is_empty())
        .map(str::to_owned)
        .collect()
}
