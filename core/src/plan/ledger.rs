//! What a plan does not put into force: hardening is skipped and said, the rest fails the unit.
use super::builder::Builder;
use super::{ExitStatus, PlanError};
use crate::directives::ids;
use crate::settings::DirectiveId;

const SECCOMP: &str = "system call filters are not installed yet";

/// Hardening that is not there yet.
const SKIPPED: [(DirectiveId, &str, &str); 18] = [
    (ids::SYSTEM_CALL_FILTER, "SystemCallFilter", SECCOMP),
    (ids::SYSTEM_CALL_ARCHITECTURES, "SystemCallArchitectures", SECCOMP),
    (ids::SYSTEM_CALL_LOG, "SystemCallLog", SECCOMP),
    (ids::MEMORY_DENY_WRITE_EXECUTE, "MemoryDenyWriteExecute", SECCOMP),
    (ids::RESTRICT_NAMESPACES, "RestrictNamespaces", SECCOMP),
    (ids::RESTRICT_REALTIME, "RestrictRealtime", SECCOMP),
    (ids::RESTRICT_SUIDSGID, "RestrictSUIDSGID", SECCOMP),
    (ids::RESTRICT_ADDRESS_FAMILIES, "RestrictAddressFamilies", SECCOMP),
    (ids::LOCK_PERSONALITY, "LockPersonality", SECCOMP),
    (ids::RESTRICT_FILE_SYSTEMS, "RestrictFileSystems", "BPF programs are not loaded yet"),
    (ids::PRIVATE_USERS, "PrivateUsers", "user namespaces are not made yet"),
    (ids::APP_ARMOR_PROFILE, "AppArmorProfile", "AppArmor is not supported yet"),
    (ids::SELINUX_CONTEXT, "SELinuxContext", "SELinux is not supported"),
    (ids::SMACK_PROCESS_LABEL, "SmackProcessLabel", "SMACK is not supported"),
    (ids::TTY_VT_DISALLOCATE, "TTYVTDisallocate", "virtual terminals are not cleared yet"),
    (ids::UTMP_IDENTIFIER, "UtmpIdentifier", "utmp records are not written yet"),
    (ids::MOUNT_APIVFS, "MountAPIVFS", "without a root directory there is nothing to mount"),
    (ids::BIND_LOG_SOCKETS, "BindLogSockets", "without a root directory the sockets are there"),
];

/// What decides which file runs, as whom, or on which data, and is not there yet.
const REFUSED: [(DirectiveId, &str, ExitStatus); 9] = [
    (ids::ROOT_IMAGE, "RootImage", ExitStatus::Namespace),
    (ids::ROOT_EPHEMERAL, "RootEphemeral", ExitStatus::Namespace),
    (ids::EXTENSION_DIRECTORIES, "ExtensionDirectories", ExitStatus::Namespace),
    (ids::EXTENSION_IMAGES, "ExtensionImages", ExitStatus::Namespace),
    (ids::MOUNT_IMAGES, "MountImages", ExitStatus::Namespace),
    (ids::PRIVATE_PIDS, "PrivatePIDs", ExitStatus::Namespace),
    (ids::LOG_NAMESPACE, "LogNamespace", ExitStatus::Namespace),
    (ids::SET_CREDENTIAL_ENCRYPTED, "SetCredentialEncrypted", ExitStatus::Credentials),
    (ids::LOAD_CREDENTIAL_ENCRYPTED, "LoadCredentialEncrypted", ExitStatus::Credentials),
];

/// Look at what is set.
pub(super) fn refuse_or_skip(b: &mut Builder) -> Result<(), PlanError> {
    use crate::settings::Value;
    let s = b.settings();
    let is_on = |id| match s.get(id) {
        None | Some(Value::Bool(false) | Value::Word(0)) => false,
        Some(Value::Rows(rows)) => !rows.is_empty(),
        Some(Value::List(list)) => !list.is_empty(),
        Some(_) => true,
    };
    for (id, setting, exit) in REFUSED {
        if is_on(id) {
            return Err(b.error(setting, exit, "not supported yet"));
        }
    }
    let has_root = s.is_set(ids::ROOT_DIRECTORY);
    for (id, setting, reason) in SKIPPED {
        let only_with_root = id == ids::MOUNT_APIVFS || id == ids::BIND_LOG_SOCKETS;
        if is_on(id) && !(only_with_root && has_root) {
            b.skip(setting, reason);
        }
    }
    if matches!(s.word(ids::PROTECT_CONTROL_GROUPS), "private" | "strict") {
        b.skip("ProtectControlGroups", "cgroup namespaces are not made yet; the tree is read-only instead");
    }
    let user_missing = s.text(ids::USER).is_some_and(|name| !name.is_empty()) || b.dynamic_user();
    if user_missing && b.facts.user.is_none() {
        return Err(b.error("User", ExitStatus::User, "no such user"));
    }
    if s.text(ids::GROUP).is_some_and(|name| !name.is_empty()) && b.facts.group.is_none() && !b.dynamic_user()
    {
        return Err(b.error("Group", ExitStatus::Group, "no such group"));
    }
    Ok(())
}
