//! Capability names and sets (`capabilities(7)`, `systemd.exec(5)` `CapabilityBoundingSet=`).

use super::{ValueError, WHITESPACE};

/// Names by the kernel's number.
pub const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// Every known capability.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// Parses one name (in any letter case) or number.
pub fn parse(text: &str) -> Result<u8, ValueError> {
    let fail = || ValueError::new("capability", text, "no such capability");
    if let Ok(number) = text.parse::<u8>() {
        return if number < 63 { Ok(number) } else { Err(fail()) };
    }
    let index = NAMES.iter().position(|name| name.eq_ignore_ascii_case(text)).ok_or_else(fail)?;
    Ok(u8::try_from(index).expect("41 names"))
}

/// The name, or the number where there is none.
pub fn format(number: u8) -> String {
    NAMES.get(usize::from(number)).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// One assignment of a capability set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The list began with `~`: all but these.
    pub invert: bool,
    /// The capabilities that were named.
    pub set: u64,
}

/// Parses a list of names, `~` in front inverting it. Unknown names are given back for a warning.
pub fn parse_set(text: &str) -> (Assignment, Vec<ValueError>) {
    let (invert, list) = match text.strip_prefix('~') {
        Some(list) => (true, list),
        None => (false, text),
    };
    let mut set = 0;
    let mut errors = Vec::new();
    for word in list.split(WHITESPACE).filter(|word| !word.is_empty()) {
        match parse(word) {
            Ok(number) => set |= 1 << number,
            Err(error) => errors.push(error),
        }
    }
    (Assignment { invert, set }, errors)
}

/// Applies a further assignment: lists add up, inverted ones take away; the first inverted list takes from all
/// and the empty list starts over.
pub fn merge(current: Option<u64>, assignment: Assignment) -> u64 {
    match (current, assignment.invert) {
        (_, false) if assignment.set == 0 => 0,
        (_, true) if assignment.set == 0 => ALL,
        (None, false) => assignment.set,
        (None, true) => ALL & !assignment.set,
        (Some(current), false) => current | assignment.set,
        (Some(current), true) => current & !assignment.set,
    }
}

/// Names separated by spaces.
pub fn format_set(set: u64) -> String {
    let names: Vec<String> = (0..64).filter(|bit| set & (1 << bit) != 0).map(format).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets() {
        assert_eq!(parse("CAP_SYS_ADMIN"), Ok(21));
        assert_eq!(parse("cap_chown"), Ok(0));
        assert_eq!(format(40), "cap_checkpoint_restore");
        assert!(parse("CAP_NOPE").is_err());
        let (assignment, errors) = parse_set("~CAP_CHOWN CAP_NOPE 1");
        assert_eq!((assignment, errors.len()), (Assignment { invert: true, set: 3 }, 1));
        assert_eq!(merge(None, assignment), ALL & !3);
        assert_eq!(merge(Some(7), assignment), 4);
        assert_eq!(merge(Some(7), parse_set("").0), 0);
        assert_eq!(merge(Some(7), parse_set("~").0), ALL);
        assert_eq!(merge(Some(4), parse_set("cap_chown").0), 5);
        assert_eq!(format_set(5), "cap_chown cap_dac_read_search");
        assert_eq!(parse_set(&format_set(ALL)).0.set, ALL);
    }
}
