//! System call filters (systemd.exec(5), "System Call Filtering"), and the privilege that installing one takes.
use super::builder::Builder;
use super::ledger::is_on;
use super::{ExitStatus, Op};
use crate::directives::ids;
use crate::directives::parse::exec::NAMESPACES_ALL;
use crate::filter::{Instruction, KNOWN_MACHINE, Rules};
use crate::settings::{DirectiveId, Value};
use std::fmt;

const PR_SET_MDWE: u64 = 65;
const PR_MDWE_REFUSE_EXEC_GAIN: u64 = 1;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// What filters put into force; for messages the first that is set counts.
const SETTINGS: [(DirectiveId, &str); 15] = [
    (ids::SYSTEM_CALL_FILTER, "SystemCallFilter"),
    (ids::SYSTEM_CALL_ARCHITECTURES, "SystemCallArchitectures"),
    (ids::SYSTEM_CALL_LOG, "SystemCallLog"),
    (ids::RESTRICT_ADDRESS_FAMILIES, "RestrictAddressFamilies"),
    (ids::RESTRICT_NAMESPACES, "RestrictNamespaces"),
    (ids::RESTRICT_REALTIME, "RestrictRealtime"),
    (ids::RESTRICT_SUIDSGID, "RestrictSUIDSGID"),
    (ids::LOCK_PERSONALITY, "LockPersonality"),
    (ids::MEMORY_DENY_WRITE_EXECUTE, "MemoryDenyWriteExecute"),
    (ids::PROTECT_KERNEL_TUNABLES, "ProtectKernelTunables"),
    (ids::PROTECT_KERNEL_MODULES, "ProtectKernelModules"),
    (ids::PROTECT_KERNEL_LOGS, "ProtectKernelLogs"),
    (ids::PROTECT_CLOCK, "ProtectClock"),
    (ids::PRIVATE_DEVICES, "PrivateDevices"),
    (ids::PROTECT_HOSTNAME, "ProtectHostname"),
];

/// A program of the kernel's classic BPF machine.
#[derive(Clone, PartialEq)]
pub struct Filter {
    /// The program.
    pub program: Vec<Instruction>,
    /// The directives that it puts into force.
    pub settings: Vec<&'static str>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} instructions", self.settings.join(" "), self.program.len())
    }
}

/// What the settings ask for.
pub(super) struct Wanted {
    filter: Filter,
    /// Capabilities can be given up behind it ([`Rules::let_privileges_go`]).
    lets_privileges_go: bool,
}

pub(super) fn wanted(b: &Builder) -> Option<Wanted> {
    if !KNOWN_MACHINE || !b.facts.kernel.filters || !b.sandboxed() {
        return None;
    }
    let rules = Rules::of(b.settings(), b.facts.kernel.denies_write_execute);
    let filter = Filter { program: rules.program()?, settings: set(b) };
    Some(Wanted { filter, lets_privileges_go: rules.let_privileges_go() })
}

/// Whether what is wanted takes `NoNewPrivileges=`: where the process has no privilege to install a filter
/// (seccomp(2)), and may not keep it until then.
pub(super) fn implies_no_new_privileges(b: &Builder) -> bool {
    let manager_may = b.facts.kernel.admin;
    let stays_root = !b.changes_user() || b.user().is_none_or(|user| user.uid == 0);
    match &b.filter {
        Some(wanted) => !manager_may || !stays_root && !wanted.lets_privileges_go,
        None => b.settings().bool(ids::MEMORY_DENY_WRITE_EXECUTE) && b.sandboxed() && !manager_may,
    }
}

/// For messages: the directive that a filter is first of all for.
pub(super) fn setting(b: &Builder) -> &'static str {
    let first = b.filter.as_ref().and_then(|wanted| wanted.filter.settings.first().copied());
    first.unwrap_or("SecureBits")
}

/// The capability that has to last until the filter is there: execve(2) right behind it takes it away again.
pub(super) fn capability(b: &Builder) -> u64 {
    let needed = b.filter.is_some() && !super::privileges::no_new_privileges(b);
    if needed { CAP_SYS_ADMIN } else { 0 }
}

/// Those of [`SETTINGS`] that ask for something.
fn set(b: &Builder) -> Vec<&'static str> {
    let by_kernel = b.facts.kernel.denies_write_execute;
    let asks = |value: &Value| match value {
        Value::Filter { deny, items } => !deny || !items.is_empty(),
        Value::Bits(allowed) => allowed & NAMESPACES_ALL != NAMESPACES_ALL,
        value => is_on(value),
    };
    let set = SETTINGS.iter().filter(|(id, _)| b.settings().get(*id).is_some_and(asks));
    set.filter(|(id, _)| *id != ids::MEMORY_DENY_WRITE_EXECUTE || !by_kernel).map(|(_, name)| *name).collect()
}

/// Last of all: from here on only what is allowed may be called.
pub(super) fn install(b: &mut Builder) {
    if b.sandboxed() && !KNOWN_MACHINE {
        set(b).into_iter().for_each(|name| b.skip(name, "system calls are filtered on x86-64 only"));
    } else if b.sandboxed() && !b.facts.kernel.filters {
        set(b).into_iter().for_each(|name| b.skip(name, "the kernel does not filter system calls"));
    }
    let s = b.settings();
    if b.sandboxed() && s.bool(ids::MEMORY_DENY_WRITE_EXECUTE) && b.facts.kernel.denies_write_execute {
        let op = Op::Prctl([PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0]);
        b.fail(op, "MemoryDenyWriteExecute", ExitStatus::Seccomp);
    }
    if let Some(Wanted { filter, .. }) = b.filter.take() {
        let setting = filter.settings.first().copied().unwrap_or(SETTINGS[0].1);
        b.fail(Op::Filter(filter), setting, ExitStatus::Seccomp);
    }
}
