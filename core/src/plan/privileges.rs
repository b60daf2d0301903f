//! Users, groups, capabilities, keyrings (systemd.exec(5), "Credentials", "Capabilities", "Security").
use super::builder::Builder;
use super::{ExitStatus, Op};
use crate::directives::ids;

const PR_SET_KEEPCAPS: u64 = 8;
const PR_SET_SECUREBITS: u64 = 28;
const PR_SET_NO_NEW_PRIVS: u64 = 38;
/// `SECBIT_KEEP_CAPS`: capabilities survive setuid until execve.
const SECBIT_KEEP_CAPS: u64 = 1 << 4;
/// `PR_GET_SECUREBITS` is not asked: children of the manager start without any.
const CAP_SETPCAP: u64 = 1 << 8;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_RAWIO: u64 = 1 << 17;
const CAP_SYS_TIME: u64 = 1 << 25;
const CAP_MKNOD: u64 = 1 << 27;
const CAP_SYSLOG: u64 = 1 << 34;
const CAP_WAKE_ALARM: u64 = 1 << 35;

/// The keyring, by the reference's default private in the system manager.
pub(super) fn keyring(b: &mut Builder) {
    let default = if b.is_system() { "private" } else { "inherit" };
    let mode = match b.settings().is_set(ids::KEYRING_MODE) {
        true => b.settings().word(ids::KEYRING_MODE),
        false => default,
    };
    if mode == "inherit" || !b.sandboxed() {
        return;
    }
    let invocation = crate_hex(&b.spec.invocation);
    b.weaken(Op::Keyring { shared: mode == "shared", invocation }, "KeyringMode");
}

fn crate_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The PAM session of `PAMName=`.
pub(super) fn session(b: &mut Builder) {
    let Some(service) = b.pam_service() else { return };
    let user = b.user().unwrap_or(&b.facts.own_user);
    let tty = match b.settings().text(ids::STANDARD_INPUT) {
        Some(word) if word.starts_with("tty") => b.settings().text(ids::TTY_PATH).unwrap_or("/dev/console"),
        _ => "",
    };
    let (fds, nonblock) = b.passed_fds();
    let (uid, gid) = b.owner();
    let (service, user, tty) = (service.to_owned(), user.name.clone(), tty.to_owned());
    let expand = !b.spec.command.no_env_expand;
    b.fail(
        Op::PamSession { service, user, uid, gid, tty, expand, fds, nonblock },
        "PAMName",
        ExitStatus::Pam,
    );
}

/// Groups, as early as privileges are no longer needed for files.
pub(super) fn groups(b: &mut Builder) {
    if !b.changes_user() {
        return;
    }
    let (_, gid) = b.owner();
    let user_groups = b.user().map(|user| user.groups.clone());
    let set = b.user().is_some() || b.facts.group.is_some() || !b.facts.supplementary_groups.is_empty();
    if !set {
        return;
    }
    let mut groups = user_groups.unwrap_or_default();
    groups.extend(&b.facts.supplementary_groups);
    // The reference hands the primary group to setgroups(2) as well.
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    b.fail(Op::SetGroups(groups), "Group", ExitStatus::Group);
    b.fail(Op::SetGid(gid), "Group", ExitStatus::Group);
}

/// The bounding set without what other settings take away.
fn bounding_set(b: &Builder) -> u64 {
    let s = b.settings();
    let mut keep = s.bits(ids::CAPABILITY_BOUNDING_SET);
    let takes = [
        (ids::PRIVATE_DEVICES, CAP_MKNOD | CAP_SYS_RAWIO),
        (ids::PROTECT_KERNEL_MODULES, CAP_SYS_MODULE),
        (ids::PROTECT_KERNEL_LOGS, CAP_SYSLOG),
        (ids::PROTECT_CLOCK, CAP_SYS_TIME | CAP_WAKE_ALARM),
    ];
    for (id, capabilities) in takes {
        if s.bool(id) {
            keep &= !capabilities;
        }
    }
    keep
}

/// The bounding set, and what lets ambient capabilities pass the change of user.
pub(super) fn capabilities_before_user(b: &mut Builder) {
    if !b.sandboxed() {
        return;
    }
    let keep = bounding_set(b);
    if keep != u64::MAX {
        b.weaken(Op::BoundingSet(keep), "CapabilityBoundingSet");
    }
    let ambient = b.settings().bits(ids::AMBIENT_CAPABILITIES);
    if ambient != 0 || keep != u64::MAX {
        b.weaken(Op::Capabilities { inheritable: ambient, keep: u64::MAX }, "AmbientCapabilities");
    }
    if ambient != 0 {
        b.fail(Op::Ambient(ambient), "AmbientCapabilities", ExitStatus::Capabilities);
        if b.user().is_some() && b.changes_user() {
            let bits = b.settings().bits(ids::SECURE_BITS) | SECBIT_KEEP_CAPS;
            b.fail(
                Op::Prctl([PR_SET_SECUREBITS, bits, 0, 0, 0]),
                "AmbientCapabilities",
                ExitStatus::SecureBits,
            );
        }
    }
}

/// The user; ambient capabilities are raised again, since the change of user clears them.
pub(super) fn user(b: &mut Builder) {
    let Some(user) = b.user().filter(|_| b.changes_user()) else { return };
    let ambient = b.settings().bits(ids::AMBIENT_CAPABILITIES);
    let kept = if user.uid == 0 { 0 } else { kept_until_exec(b) };
    // With ambient capabilities the secure bits say so already.
    if kept != 0 && ambient == 0 {
        b.weaken(Op::Prctl([PR_SET_KEEPCAPS, 1, 0, 0, 0]), super::filters::setting(b));
    }
    b.fail(Op::SetUid(user.uid), "User", ExitStatus::User);
    if kept != 0 {
        b.weaken(Op::Capabilities { inheritable: ambient, keep: kept | ambient }, super::filters::setting(b));
    }
    if ambient != 0 {
        b.fail(Op::Ambient(ambient), "AmbientCapabilities", ExitStatus::Capabilities);
    }
}

/// What would stand in the way of the steps before.
pub(super) fn lock_down(b: &mut Builder) {
    if !b.sandboxed() {
        return;
    }
    let s = b.settings();
    let keep = bounding_set(b);
    if keep != u64::MAX && b.user().is_none() {
        // What is kept beyond the bounding set ends with execve(2).
        let keep = keep | kept_until_exec(b);
        let inheritable = s.bits(ids::AMBIENT_CAPABILITIES);
        b.weaken(Op::Capabilities { inheritable, keep }, "CapabilityBoundingSet");
    }
    let secure = s.bits(ids::SECURE_BITS);
    if secure != 0 {
        b.fail(Op::Prctl([PR_SET_SECUREBITS, secure, 0, 0, 0]), "SecureBits", ExitStatus::SecureBits);
    }
    if no_new_privileges(b) {
        let op = Op::Prctl([PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
        b.fail(op, "NoNewPrivileges", ExitStatus::NoNewPrivileges);
    }
}

/// Set, or implied by `DynamicUser=`, and by system call filters where the manager may not install them otherwise.
pub(super) fn no_new_privileges(b: &Builder) -> bool {
    b.settings().bool(ids::NO_NEW_PRIVILEGES)
        || b.dynamic_user()
        || super::filters::implies_no_new_privileges(b)
}

/// Capabilities that steps behind the change of user need, and that execve(2) takes away again.
fn kept_until_exec(b: &Builder) -> u64 {
    let secure = if b.settings().bits(ids::SECURE_BITS) != 0 { CAP_SETPCAP } else { 0 };
    super::filters::capability(b) | secure
}
