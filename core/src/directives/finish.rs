//! What settings imply, once all lines are read.

use super::words::Words;
use super::{Kind, ids, row};
use crate::names::{Specifiers, UnitType};
use crate::settings::{DirectiveId, Settings, Value};
use std::rc::Rc;

/// Adds what follows from the settings and the type of the unit.
pub(super) fn finish(kind: UnitType, specifiers: &Specifiers<'_>, settings: &mut Settings) {
    let ignored = matches!(
        kind,
        UnitType::Device
            | UnitType::Mount
            | UnitType::Automount
            | UnitType::Swap
            | UnitType::Slice
            | UnitType::Scope
    );
    if ignored && !settings.is_set(ids::IGNORE_ON_ISOLATE) {
        settings.set(ids::IGNORE_ON_ISOLATE, Value::Bool(true));
    }
    match kind {
        UnitType::Service => service(settings),
        UnitType::Socket => socket(settings),
        UnitType::Path => trigger_limit(settings, 200),
        UnitType::Scope => delegated_oom_policy(settings),
        // The default is for units that run processes.
        UnitType::Slice if !settings.is_set(ids::TASKS_MAX) => {
            settings.set(ids::TASKS_MAX, Value::Uint(u64::MAX))
        }
        _ => {}
    }
    if matches!(kind, UnitType::Service | UnitType::Socket | UnitType::Mount | UnitType::Swap) {
        // Each service of the system has a keyring of its own; others share theirs.
        let own_keyring = kind == UnitType::Service && specifiers.manager.config_root == "/etc";
        if !own_keyring && !settings.is_set(ids::KEYRING_MODE) {
            word(settings, ids::KEYRING_MODE, "shared");
        }
        dynamic_user(specifiers, settings);
        protections(settings);
    }
}

fn word(settings: &mut Settings, id: DirectiveId, word: &str) {
    let words: Option<&Words> = match row(id).kind {
        Kind::Words(words) => Some(words),
        _ => None,
    };
    if let Some(index) = words.and_then(|words| words.index(word)) {
        settings.set(id, Value::Word(index));
    }
}

fn service(settings: &mut Settings) {
    if !settings.is_set(ids::SERVICE_TYPE) {
        let derived = if settings.is_set(ids::BUS_NAME) {
            "dbus"
        } else if settings.commands(ids::EXEC_START).is_empty() {
            "oneshot"
        } else if has_credentials(settings) {
            // Whether the credentials could be set up shall be known when the start is over.
            "exec"
        } else {
            "simple"
        };
        if derived != "simple" {
            word(settings, ids::SERVICE_TYPE, derived);
        }
    }
    let kind = settings.word(ids::SERVICE_TYPE);
    // A oneshot may take its time unless it was told otherwise.
    if kind == "oneshot" && !settings.is_set(ids::TIMEOUT_START_SEC) {
        settings.set(ids::TIMEOUT_START_SEC, Value::Uint(u64::MAX));
    }
    let listens = kind.starts_with("notify")
        || settings.uint(ids::WATCHDOG_SEC) > 0
        || settings.uint(ids::FILE_DESCRIPTOR_STORE_MAX) > 0;
    if listens && settings.word(ids::NOTIFY_ACCESS) == "none" {
        word(settings, ids::NOTIFY_ACCESS, "main");
    }
    if settings.text(ids::STANDARD_INPUT) == Some("null") && settings.is_set(ids::STANDARD_INPUT_DATA) {
        settings.set(ids::STANDARD_INPUT, Value::Text("data".into()));
    }
    let input = settings.text(ids::STANDARD_INPUT).unwrap_or("null");
    if (matches!(input, "tty" | "tty-force" | "tty-fail" | "socket") || input.starts_with("fd:"))
        && !settings.is_set(ids::STANDARD_OUTPUT)
    {
        // What talks over its input answers there.
        settings.set(ids::STANDARD_OUTPUT, Value::Text("inherit".into()));
    }
    delegated_oom_policy(settings);
}

fn has_credentials(settings: &Settings) -> bool {
    [
        ids::SET_CREDENTIAL,
        ids::SET_CREDENTIAL_ENCRYPTED,
        ids::LOAD_CREDENTIAL,
        ids::LOAD_CREDENTIAL_ENCRYPTED,
        ids::IMPORT_CREDENTIAL,
    ]
    .iter()
    .any(|id| settings.is_set(*id))
}

fn delegated_oom_policy(settings: &mut Settings) {
    if !settings.is_set(ids::OOM_POLICY) && settings.delegate().is_some() {
        word(settings, ids::OOM_POLICY, "continue");
    }
}

fn socket(settings: &mut Settings) {
    trigger_limit(settings, if settings.bool(ids::ACCEPT) { 200 } else { 20 });
    let poll = if settings.bool(ids::ACCEPT) { 150 } else { 15 };
    if !settings.is_set(ids::POLL_LIMIT_INTERVAL_SEC) {
        settings.set(ids::POLL_LIMIT_INTERVAL_SEC, Value::Uint(2_000_000));
    }
    if !settings.is_set(ids::POLL_LIMIT_BURST) {
        settings.set(ids::POLL_LIMIT_BURST, Value::Uint(poll));
    }
}

fn trigger_limit(settings: &mut Settings, burst: u64) {
    if !settings.is_set(ids::TRIGGER_LIMIT_INTERVAL_SEC) {
        settings.set(ids::TRIGGER_LIMIT_INTERVAL_SEC, Value::Uint(2_000_000));
    }
    if !settings.is_set(ids::TRIGGER_LIMIT_BURST) {
        settings.set(ids::TRIGGER_LIMIT_BURST, Value::Uint(burst));
    }
}

/// `DynamicUser=` names the user after the unit and locks the service up (`systemd.exec(5)`).
fn dynamic_user(specifiers: &Specifiers<'_>, settings: &mut Settings) {
    if !settings.bool(ids::DYNAMIC_USER) {
        return;
    }
    if !settings.is_set(ids::USER) {
        let prefix = specifiers.unit.prefix();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let fits = prefix.len() <= 31
            && prefix.chars().all(plain)
            && prefix.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let name = if fits { prefix.to_owned() } else { format!("_du{:016x}", hash(prefix.as_bytes())) };
        settings.set(ids::USER, Value::Text(name.into()));
    }
    if !settings.is_set(ids::GROUP) {
        let user: Rc<str> = settings.text(ids::USER).unwrap_or("").into();
        settings.set(ids::GROUP, Value::Text(user));
    }
    for (id, from, to) in [
        (ids::PRIVATE_TMP, "no", "disconnected"),
        (ids::PROTECT_SYSTEM, "no", "strict"),
        (ids::PROTECT_HOME, "no", "read-only"),
    ] {
        if settings.word(id) == from {
            word(settings, id, to);
        }
    }
    for id in [ids::REMOVE_IPC, ids::NO_NEW_PRIVILEGES, ids::RESTRICT_SUIDSGID] {
        settings.set(id, Value::Bool(true));
    }
}

/// A stable number of a name (FNV-1a).
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_RAWIO: u64 = 1 << 17;
const CAP_SYS_TIME: u64 = 1 << 25;
const CAP_MKNOD: u64 = 1 << 27;
const CAP_SYSLOG: u64 = 1 << 34;
const CAP_WAKE_ALARM: u64 = 1 << 35;

/// What is protected loses its capabilities and devices too.
fn protections(settings: &mut Settings) {
    let mut lost = 0;
    for (id, capabilities) in [
        (ids::PRIVATE_DEVICES, CAP_MKNOD | CAP_SYS_RAWIO),
        (ids::PROTECT_KERNEL_MODULES, CAP_SYS_MODULE),
        (ids::PROTECT_KERNEL_LOGS, CAP_SYSLOG),
        (ids::PROTECT_CLOCK, CAP_SYS_TIME | CAP_WAKE_ALARM),
    ] {
        if settings.bool(id) {
            lost |= capabilities;
        }
    }
    if lost != 0 {
        let kept = settings.bits(ids::CAPABILITY_BOUNDING_SET) & !lost;
        settings.set(ids::CAPABILITY_BOUNDING_SET, Value::Bits(kept));
    }
    if settings.bool(ids::PRIVATE_DEVICES) && settings.word(ids::DEVICE_POLICY) == "auto" {
        word(settings, ids::DEVICE_POLICY, "closed");
    }
    if settings.bool(ids::PROTECT_CLOCK) {
        let rule: Rc<[Rc<str>]> = Rc::from([Rc::from("char-rtc"), Rc::from("r")]);
        let mut rules = settings.rows(ids::DEVICE_ALLOW).to_vec();
        if !rules.contains(&rule) {
            rules.push(rule);
            settings.set(ids::DEVICE_ALLOW, Value::Rows(rules.into()));
        }
    }
}
