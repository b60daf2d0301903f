//! What a plan does not put into force: hardening is skipped and said, the rest fails the unit.
use super::builder::Builder;
use super::{ExitStatus, PlanError};
use crate::directives::{Acts, Row, ids, row};
use crate::settings::{DirectiveId, Settings, Value};

/// What has a meaning only together with a root directory.
const OF_A_ROOT: [(DirectiveId, &str, &str); 1] =
    [(ids::MOUNT_APIVFS, "MountAPIVFS", "without a root directory there is nothing to mount")];

/// What decides which file runs, as whom, or on which data, and is not there yet.
const REFUSED: [(DirectiveId, &str, ExitStatus); 12] = [
    (ids::ROOT_IMAGE, "RootImage", ExitStatus::Namespace),
    (ids::ROOT_EPHEMERAL, "RootEphemeral", ExitStatus::Namespace),
    (ids::EXTENSION_DIRECTORIES, "ExtensionDirectories", ExitStatus::Namespace),
    (ids::EXTENSION_IMAGES, "ExtensionImages", ExitStatus::Namespace),
    (ids::MOUNT_IMAGES, "MountImages", ExitStatus::Namespace),
    (ids::PRIVATE_PIDS, "PrivatePIDs", ExitStatus::Namespace),
    (ids::LOG_NAMESPACE, "LogNamespace", ExitStatus::Namespace),
    (ids::SET_CREDENTIAL_ENCRYPTED, "SetCredentialEncrypted", ExitStatus::Credentials),
    (ids::LOAD_CREDENTIAL_ENCRYPTED, "LoadCredentialEncrypted", ExitStatus::Credentials),
    (ids::OPEN_FILE, "OpenFile", ExitStatus::Fds),
    (ids::USB_FUNCTION_DESCRIPTORS, "USBFunctionDescriptors", ExitStatus::Fds),
    (ids::USB_FUNCTION_STRINGS, "USBFunctionStrings", ExitStatus::Fds),
];

pub(super) fn is_on(value: &Value) -> bool {
    match value {
        Value::Bool(false) | Value::Word(0) => false,
        Value::Rows(rows) => !rows.is_empty(),
        Value::List(list) => !list.is_empty(),
        _ => true,
    }
}

/// Settings that are asked for and act nowhere, each with the reason.
pub(crate) fn not_acting(settings: &Settings) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
    settings.iter().filter(|(_, value)| is_on(value)).filter_map(|(id, _)| match row(*id) {
        Row { name, acts: Acts::Skipped(reason), .. } => Some((*name, *reason)),
        _ => None,
    })
}

/// Look at what is set.
pub(super) fn refuse_or_skip(b: &mut Builder) -> Result<(), PlanError> {
    let s = b.settings();
    let is_on = |id| s.get(id).is_some_and(is_on);
    for (id, setting, exit) in REFUSED {
        if is_on(id) {
            return Err(b.error(setting, exit, "not supported yet"));
        }
    }
    let without_root = OF_A_ROOT.iter().filter(|_| !s.is_set(ids::ROOT_DIRECTORY));
    let without_root = without_root.filter(|(id, ..)| is_on(*id)).map(|&(_, name, reason)| (name, reason));
    let skipped: Vec<_> = not_acting(s).chain(without_root).collect();
    for (setting, reason) in skipped {
        b.skip(setting, reason);
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
