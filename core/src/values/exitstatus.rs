//! Names of process exit codes (`systemd.exec(5)` "Process Exit Codes").

use super::ValueError;

/// Which list a code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Class {
    Libc,
    Lsb,
    Bsd,
    /// Codes with which the manager itself ends a child that it could not set up.
    Manager,
}

/// All named codes, rising.
pub const CODES: &[(u8, &str, Class)] = &[
    (0, "SUCCESS", Class::Libc),
    (1, "FAILURE", Class::Libc),
    (2, "INVALIDARGUMENT", Class::Lsb),
    (3, "NOTIMPLEMENTED", Class::Lsb),
    (4, "NOPERMISSION", Class::Lsb),
    (5, "NOTINSTALLED", Class::Lsb),
    (6, "NOTCONFIGURED", Class::Lsb),
    (7, "NOTRUNNING", Class::Lsb),
    (64, "USAGE", Class::Bsd),
    (65, "DATAERR", Class::Bsd),
    (66, "NOINPUT", Class::Bsd),
    (67, "NOUSER", Class::Bsd),
    (68, "NOHOST", Class::Bsd),
    (69, "UNAVAILABLE", Class::Bsd),
    (70, "SOFTWARE", Class::Bsd),
    (71, "OSERR", Class::Bsd),
    (72, "OSFILE", Class::Bsd),
    (73, "CANTCREAT", Class::Bsd),
    (74, "IOERR", Class::Bsd),
    (75, "TEMPFAIL", Class::Bsd),
    (76, "PROTOCOL", Class::Bsd),
    (77, "NOPERM", Class::Bsd),
    (78, "CONFIG", Class::Bsd),
    (200, "CHDIR", Class::Manager),
    (201, "NICE", Class::Manager),
    (202, "FDS", Class::Manager),
    (203, "EXEC", Class::Manager),
    (204, "MEMORY", Class::Manager),
    (205, "LIMITS", Class::Manager),
    (206, "OOM_ADJUST", Class::Manager),
    (207, "SIGNAL_MASK", Class::Manager),
    (208, "STDIN", Class::Manager),
    (209, "STDOUT", Class::Manager),
    (210, "CHROOT", Class::Manager),
    (211, "IOPRIO", Class::Manager),
    (212, "TIMERSLACK", Class::Manager),
    (213, "SECUREBITS", Class::Manager),
    (214, "SETSCHEDULER", Class::Manager),
    (215, "CPUAFFINITY", Class::Manager),
    (216, "GROUP", Class::Manager),
    (217, "USER", Class::Manager),
    (218, "CAPABILITIES", Class::Manager),
    (219, "CGROUP", Class::Manager),
    (220, "SETSID", Class::Manager),
    (221, "CONFIRM", Class::Manager),
    (222, "STDERR", Class::Manager),
    (224, "PAM", Class::Manager),
    (225, "NETWORK", Class::Manager),
    (226, "NAMESPACE", Class::Manager),
    (227, "NO_NEW_PRIVILEGES", Class::Manager),
    (228, "SECCOMP", Class::Manager),
    (229, "SELINUX_CONTEXT", Class::Manager),
    (230, "PERSONALITY", Class::Manager),
    (231, "APPARMOR", Class::Manager),
    (232, "ADDRESS_FAMILIES", Class::Manager),
    (233, "RUNTIME_DIRECTORY", Class::Manager),
    (235, "CHOWN", Class::Manager),
    (236, "SMACK_PROCESS_LABEL", Class::Manager),
    (237, "KEYRING", Class::Manager),
    (238, "STATE_DIRECTORY", Class::Manager),
    (239, "CACHE_DIRECTORY", Class::Manager),
    (240, "LOGS_DIRECTORY", Class::Manager),
    (241, "CONFIGURATION_DIRECTORY", Class::Manager),
    (242, "NUMA_POLICY", Class::Manager),
    (243, "CREDENTIALS", Class::Manager),
    (244, "BPF", Class::Manager),
    (245, "KSM", Class::Manager),
    (255, "EXCEPTION", Class::Manager),
];

/// Parses a name or a number of 0 to 255.
pub fn parse(text: &str) -> Result<u8, ValueError> {
    if let Ok(number) = text.parse::<u8>() {
        return Ok(number);
    }
    let hit = CODES.iter().find(|(_, name, _)| *name == text);
    hit.map(|(code, ..)| *code).ok_or(ValueError::new("exit status", text, "no such name"))
}

/// The name of a code, if it has one.
pub fn name(code: u8) -> Option<&'static str> {
    CODES.iter().find(|(known, ..)| *known == code).map(|(_, name, _)| *name)
}

/// The name, or the number where there is none.
pub fn format(code: u8) -> String {
    name(code).map_or_else(|| code.to_string(), str::to_owned)
}

/// The code of one of the manager's own failures, e.g. `EXEC` is 203.
pub const fn code(wanted: &str) -> Option<u8> {
    let mut index = 0;
    while index < CODES.len() {
        let (code, name, _) = CODES[index];
        if equal(name.as_bytes(), wanted.as_bytes()) {
            return Some(code);
        }
        index += 1;
    }
    None
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(parse("EXEC"), Ok(203));
        assert_eq!(parse("NOTRUNNING"), Ok(7));
        assert_eq!(parse("203"), Ok(203));
        assert!(parse("256").is_err());
        assert!(parse("exec").is_err());
        assert_eq!(format(203), "EXEC");
        assert_eq!(format(100), "100");
        assert_eq!(const { code("NAMESPACE") }, Some(226));
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for code in 0..=255 {
            assert_eq!(parse(&format(code)), Ok(code));
        }
    }
}
