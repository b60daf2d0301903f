//! Words that directives take, in the reference's order, and what booleans mean where these are taken too.

/// A list of words.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// The words; [`crate::settings::Value::Word`] is an index into these.
    pub words: &'static [&'static str],
    /// The words that "yes" and "no" stand for, where booleans are taken.
    pub booleans: Option<(&'static str, &'static str)>,
}

impl Words {
    /// The index of a word, a boolean taken for the word it stands for.
    pub fn index(&self, text: &str) -> Option<u16> {
        let at = |word: &str| self.words.iter().position(|known| *known == word).map(|at| at as u16);
        at(text).or_else(|| {
            let (yes, no) = self.booleans?;
            at(if crate::directives::parse::boolean(text)? { yes } else { no })
        })
    }
}

const fn plain(words: &'static [&'static str]) -> Words {
    Words { words, booleans: None }
}

const fn or_bool(words: &'static [&'static str], yes: &'static str, no: &'static str) -> Words {
    Words { words, booleans: Some((yes, no)) }
}

/// `Type=` of services.
pub const SERVICE_TYPE: Words =
    plain(&["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"]);
/// `ExitType=`
pub const EXIT_TYPE: Words = plain(&["main", "cgroup"]);
/// `Restart=`
pub const RESTART: Words =
    plain(&["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"]);
/// `RestartMode=`
pub const RESTART_MODE: Words = plain(&["normal", "direct", "debug"]);
/// `NotifyAccess=`
pub const NOTIFY_ACCESS: Words = plain(&["none", "all", "exec", "main"]);
/// `TimeoutStartFailureMode=`, `TimeoutStopFailureMode=`
pub const TIMEOUT_FAILURE_MODE: Words = plain(&["terminate", "abort", "kill"]);
/// `OOMPolicy=`
pub const OOM_POLICY: Words = plain(&["continue", "stop", "kill"]);
/// `KillMode=`
pub const KILL_MODE: Words = plain(&["control-group", "process", "mixed", "none"]);
/// `CollectMode=`
pub const COLLECT_MODE: Words = plain(&["inactive", "inactive-or-failed"]);
/// `OnSuccessJobMode=`, `OnFailureJobMode=`
pub const JOB_MODE: Words = plain(&[
    "fail",
    "lenient",
    "replace",
    "replace-irreversibly",
    "isolate",
    "flush",
    "ignore-dependencies",
    "ignore-requirements",
    "triggering",
    "restart-dependencies",
]);
/// `FailureAction=`, `SuccessAction=`, `StartLimitAction=`, `JobTimeoutAction=`, `CtrlAltDelBurstAction=`
pub const EMERGENCY_ACTION: Words = plain(&[
    "none",
    "exit",
    "exit-force",
    "reboot",
    "reboot-force",
    "reboot-immediate",
    "poweroff",
    "poweroff-force",
    "poweroff-immediate",
    "soft-reboot",
    "soft-reboot-force",
    "kexec",
    "kexec-force",
    "halt",
    "halt-force",
    "halt-immediate",
]);
/// `RuntimeDirectoryPreserve=`, `FileDescriptorStorePreserve=`
pub const PRESERVE: Words = or_bool(&["no", "yes", "restart"], "yes", "no");
/// `BindIPv6Only=`
pub const BIND_IPV6_ONLY: Words = plain(&["default", "both", "ipv6-only"]);
/// `Timestamping=`
pub const TIMESTAMPING: Words = plain(&["off", "us", "ns"]);
/// `DevicePolicy=`
pub const DEVICE_POLICY: Words = plain(&["auto", "closed", "strict"]);
/// `ManagedOOMSwap=`, `ManagedOOMMemoryPressure=`
pub const MANAGED_OOM: Words = plain(&["auto", "kill"]);
/// `ManagedOOMPreference=`
pub const OOM_PREFERENCE: Words = plain(&["none", "avoid", "omit"]);
/// `MemoryPressureWatch=`
pub const PRESSURE_WATCH: Words = or_bool(&["no", "yes", "auto", "skip"], "yes", "no");
/// `KeyringMode=`
pub const KEYRING_MODE: Words = plain(&["inherit", "private", "shared"]);
/// `ProtectProc=`
pub const PROTECT_PROC: Words = plain(&["default", "noaccess", "invisible", "ptraceable"]);
/// `ProcSubset=`
pub const PROC_SUBSET: Words = plain(&["all", "pid"]);
/// `PrivateTmp=`
pub const PRIVATE_TMP: Words = or_bool(&["no", "connected", "disconnected"], "connected", "no");
/// `PrivateUsers=`
pub const PRIVATE_USERS: Words = or_bool(&["no", "self", "identity"], "self", "no");
/// `PrivatePIDs=`
pub const PRIVATE_PIDS: Words = or_bool(&["no", "yes"], "yes", "no");
/// `ProtectControlGroups=`
pub const PROTECT_CONTROL_GROUPS: Words = or_bool(&["no", "yes", "private", "strict"], "yes", "no");
/// `ProtectSystem=` of units
pub const PROTECT_SYSTEM: Words = or_bool(&["no", "yes", "full", "strict"], "yes", "no");
/// `ProtectHome=`
pub const PROTECT_HOME: Words = or_bool(&["no", "yes", "read-only", "tmpfs"], "yes", "no");
/// `UtmpMode=`
pub const UTMP_MODE: Words = plain(&["init", "login", "user"]);
/// `ProtectSystem=` of system.conf
pub const MANAGER_PROTECT_SYSTEM: Words = or_bool(&["no", "yes", "auto"], "yes", "no");
/// `CrashAction=`
pub const CRASH_ACTION: Words = plain(&["freeze", "reboot", "poweroff"]);
/// `ShowStatus=`
pub const SHOW_STATUS: Words = or_bool(&["no", "error", "auto", "temporary", "yes"], "yes", "no");
/// `StatusUnitFormat=`
pub const STATUS_UNIT_FORMAT: Words = plain(&["name", "description", "combined"]);

/// Words that stand for numbers; the bus shows the number.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Words and their numbers.
    pub words: &'static [(&'static str, i64)],
    /// Whether a plain number up to this is taken as well.
    pub number_max: Option<i64>,
}

/// `SocketProtocol=`
pub const SOCKET_PROTOCOL: Numbers =
    Numbers { words: &[("udplite", 136), ("sctp", 132), ("mptcp", 262)], number_max: None };
/// `IPTOS=`
pub const IP_TOS: Numbers = Numbers {
    words: &[("low-delay", 0x10), ("throughput", 0x08), ("reliability", 0x04), ("low-cost", 0x02)],
    number_max: Some(255),
};
/// `IOSchedulingClass=`
pub const IO_CLASS: Numbers =
    Numbers { words: &[("none", 0), ("realtime", 1), ("best-effort", 2), ("idle", 3)], number_max: Some(3) };
/// `CPUSchedulingPolicy=`
pub const CPU_POLICY: Numbers = Numbers {
    words: &[("other", 0), ("batch", 3), ("idle", 5), ("fifo", 1), ("rr", 2), ("ext", 7)],
    number_max: Some(7),
};
/// `NUMAPolicy=`
pub const NUMA_POLICY: Numbers = Numbers {
    words: &[("default", 0), ("preferred", 1), ("bind", 2), ("interleave", 3), ("local", 4)],
    number_max: None,
};
/// `MountFlags=`: mount propagation, as the flags of mount(2).
pub const MOUNT_FLAGS: Numbers =
    Numbers { words: &[("shared", 1 << 20), ("slave", 1 << 19), ("private", 1 << 18)], number_max: None };
/// `SyslogLevel=`, `LogLevelMax=`
pub const LEVEL: Numbers = Numbers {
    words: &[
        ("emerg", 0),
        ("alert", 1),
        ("crit", 2),
        ("err", 3),
        ("warning", 4),
        ("notice", 5),
        ("info", 6),
        ("debug", 7),
    ],
    number_max: Some(7),
};
/// `SyslogFacility=`
pub const FACILITY: Numbers = Numbers {
    words: &[
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ],
    number_max: Some(127),
};
