//! Exit statuses of a child that could not be set up (systemd.exec(5), "Process Exit Codes").

/// The step that failed, as the child's exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ExitStatus {
    Chdir = 200,
    Nice = 201,
    Fds = 202,
    Exec = 203,
    Memory = 204,
    Limits = 205,
    OomAdjust = 206,
    SignalMask = 207,
    Stdin = 208,
    Stdout = 209,
    Chroot = 210,
    Ioprio = 211,
    TimerSlack = 212,
    SecureBits = 213,
    SetScheduler = 214,
    CpuAffinity = 215,
    Group = 216,
    User = 217,
    Capabilities = 218,
    Cgroup = 219,
    Setsid = 220,
    Confirm = 221,
    Stderr = 222,
    Pam = 224,
    Network = 225,
    Namespace = 226,
    NoNewPrivileges = 227,
    Seccomp = 228,
    SelinuxContext = 229,
    Personality = 230,
    Apparmor = 231,
    AddressFamilies = 232,
    RuntimeDirectory = 233,
    Chown = 235,
    SmackProcessLabel = 236,
    Keyring = 237,
    StateDirectory = 238,
    CacheDirectory = 239,
    LogsDirectory = 240,
    ConfigurationDirectory = 241,
    NumaPolicy = 242,
    Credentials = 243,
    Bpf = 245,
}

impl ExitStatus {
    /// Every status with the word the reference prints for it ("status=203/EXEC").
    const WORDS: [(ExitStatus, &'static str); 43] = [
        (ExitStatus::Chdir, "CHDIR"),
        (ExitStatus::Nice, "NICE"),
        (ExitStatus::Fds, "FDS"),
        (ExitStatus::Exec, "EXEC"),
        (ExitStatus::Memory, "MEMORY"),
        (ExitStatus::Limits, "LIMITS"),
        (ExitStatus::OomAdjust, "OOM_ADJUST"),
        (ExitStatus::SignalMask, "SIGNAL_MASK"),
        (ExitStatus::Stdin, "STDIN"),
        (ExitStatus::Stdout, "STDOUT"),
        (ExitStatus::Chroot, "CHROOT"),
        (ExitStatus::Ioprio, "IOPRIO"),
        (ExitStatus::TimerSlack, "TIMERSLACK"),
        (ExitStatus::SecureBits, "SECUREBITS"),
        (ExitStatus::SetScheduler, "SETSCHEDULER"),
        (ExitStatus::CpuAffinity, "CPUAFFINITY"),
        (ExitStatus::Group, "GROUP"),
        (ExitStatus::User, "USER"),
        (ExitStatus::Capabilities, "CAPABILITIES"),
        (ExitStatus::Cgroup, "CGROUP"),
        (ExitStatus::Setsid, "SETSID"),
        (ExitStatus::Confirm, "CONFIRM"),
        (ExitStatus::Stderr, "STDERR"),
        (ExitStatus::Pam, "PAM"),
        (ExitStatus::Network, "NETWORK"),
        (ExitStatus::Namespace, "NAMESPACE"),
        (ExitStatus::NoNewPrivileges, "NO_NEW_PRIVILEGES"),
        (ExitStatus::Seccomp, "SECCOMP"),
        (ExitStatus::SelinuxContext, "SELINUX_CONTEXT"),
        (ExitStatus::Personality, "PERSONALITY"),
        (ExitStatus::Apparmor, "APPARMOR"),
        (ExitStatus::AddressFamilies, "ADDRESS_FAMILIES"),
        (ExitStatus::RuntimeDirectory, "RUNTIME_DIRECTORY"),
        (ExitStatus::Chown, "CHOWN"),
        (ExitStatus::SmackProcessLabel, "SMACK_PROCESS_LABEL"),
        (ExitStatus::Keyring, "KEYRING"),
        (ExitStatus::StateDirectory, "STATE_DIRECTORY"),
        (ExitStatus::CacheDirectory, "CACHE_DIRECTORY"),
        (ExitStatus::LogsDirectory, "LOGS_DIRECTORY"),
        (ExitStatus::ConfigurationDirectory, "CONFIGURATION_DIRECTORY"),
        (ExitStatus::NumaPolicy, "NUMA_POLICY"),
        (ExitStatus::Credentials, "CREDENTIALS"),
        (ExitStatus::Bpf, "BPF"),
    ];

    /// The word for an exit status of 200 and up, if it is one of these.
    pub fn word_of(code: u8) -> Option<&'static str> {
        Self::WORDS.iter().find(|(status, _)| *status as u8 == code).map(|(_, word)| *word)
    }

    /// The status as the number the child exits with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_order_and_complete() {
        assert!(ExitStatus::WORDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(ExitStatus::word_of(203), Some("EXEC"));
        assert_eq!(ExitStatus::word_of(223), None);
        assert_eq!(ExitStatus::Credentials.code(), 243);
    }
}
