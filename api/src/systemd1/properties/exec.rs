//! What surrounds processes (systemd.exec(5)).
use super::prelude::*;
use super::setting;
use runstead_core::settings::Value;

/// `coredump_filter` that the kernel starts with (core(5)).
const DEFAULT_COREDUMP_FILTER: u64 = 0x33;

/// What images may look like when no policy is set.
const DEFAULT_IMAGE_POLICY: &str = "root=verity+signed+encrypted+unprotected+absent:\
usr=verity+signed+encrypted+unprotected+absent:home=encrypted+unprotected+absent:\
srv=encrypted+unprotected+absent:tmp=encrypted+unprotected+absent:var=encrypted+unprotected+absent";

/// The properties of all types that run processes.
pub const ROWS: &[UnitProperty] = &[
    p("Environment", "as", Const, set(ids::ENVIRONMENT)),
    p("EnvironmentFiles", "a(sb)", Const, set(ids::ENVIRONMENT_FILE)),
    p("PassEnvironment", "as", Const, set(ids::PASS_ENVIRONMENT)),
    p("UnsetEnvironment", "as", Const, set(ids::UNSET_ENVIRONMENT)),
    p("UMask", "u", Const, set(ids::UMASK)),
    p("LimitCPU", "t", Const, hard(ids::LIMIT_CPU)),
    p("LimitCPUSoft", "t", Const, soft(ids::LIMIT_CPU)),
    p("LimitFSIZE", "t", Const, hard(ids::LIMIT_FSIZE)),
    p("LimitFSIZESoft", "t", Const, soft(ids::LIMIT_FSIZE)),
    p("LimitDATA", "t", Const, hard(ids::LIMIT_DATA)),
    p("LimitDATASoft", "t", Const, soft(ids::LIMIT_DATA)),
    p("LimitSTACK", "t", Const, hard(ids::LIMIT_STACK)),
    p("LimitSTACKSoft", "t", Const, soft(ids::LIMIT_STACK)),
    p("LimitCORE", "t", Const, hard(ids::LIMIT_CORE)),
    p("LimitCORESoft", "t", Const, soft(ids::LIMIT_CORE)),
    p("LimitRSS", "t", Const, hard(ids::LIMIT_RSS)),
    p("LimitRSSSoft", "t", Const, soft(ids::LIMIT_RSS)),
    p("LimitNOFILE", "t", Const, hard(ids::LIMIT_NOFILE)),
    p("LimitNOFILESoft", "t", Const, soft(ids::LIMIT_NOFILE)),
    p("LimitAS", "t", Const, hard(ids::LIMIT_AS)),
    p("LimitASSoft", "t", Const, soft(ids::LIMIT_AS)),
    p("LimitNPROC", "t", Const, hard(ids::LIMIT_NPROC)),
    p("LimitNPROCSoft", "t", Const, soft(ids::LIMIT_NPROC)),
    p("LimitMEMLOCK", "t", Const, hard(ids::LIMIT_MEMLOCK)),
    p("LimitMEMLOCKSoft", "t", Const, soft(ids::LIMIT_MEMLOCK)),
    p("LimitLOCKS", "t", Const, hard(ids::LIMIT_LOCKS)),
    p("LimitLOCKSSoft", "t", Const, soft(ids::LIMIT_LOCKS)),
    p("LimitSIGPENDING", "t", Const, hard(ids::LIMIT_SIGPENDING)),
    p("LimitSIGPENDINGSoft", "t", Const, soft(ids::LIMIT_SIGPENDING)),
    p("LimitMSGQUEUE", "t", Const, hard(ids::LIMIT_MSGQUEUE)),
    p("LimitMSGQUEUESoft", "t", Const, soft(ids::LIMIT_MSGQUEUE)),
    p("LimitNICE", "t", Const, hard(ids::LIMIT_NICE)),
    p("LimitNICESoft", "t", Const, soft(ids::LIMIT_NICE)),
    p("LimitRTPRIO", "t", Const, hard(ids::LIMIT_RTPRIO)),
    p("LimitRTPRIOSoft", "t", Const, soft(ids::LIMIT_RTPRIO)),
    p("LimitRTTIME", "t", Const, hard(ids::LIMIT_RTTIME)),
    p("LimitRTTIMESoft", "t", Const, soft(ids::LIMIT_RTTIME)),
    p("WorkingDirectory", "s", Const, state(working_directory)),
    p("RootDirectory", "s", Const, set(ids::ROOT_DIRECTORY)),
    p("RootImage", "s", Const, set(ids::ROOT_IMAGE)),
    p("RootImageOptions", "a(ss)", Const, set(ids::ROOT_IMAGE_OPTIONS)),
    p("RootHash", "ay", Const, state(|c, w| blob(c, ids::ROOT_HASH, w))),
    p("RootHashPath", "s", Const, state(|c, w| blob_path(c, ids::ROOT_HASH, w))),
    p("RootHashSignature", "ay", Const, state(|c, w| blob(c, ids::ROOT_HASH_SIGNATURE, w))),
    p("RootHashSignaturePath", "s", Const, state(|c, w| blob_path(c, ids::ROOT_HASH_SIGNATURE, w))),
    p("RootVerity", "s", Const, set(ids::ROOT_VERITY)),
    p("RootEphemeral", "b", Const, set(ids::ROOT_EPHEMERAL)),
    p("ExtensionDirectories", "as", Const, set(ids::EXTENSION_DIRECTORIES)),
    p("ExtensionImages", "a(sba(ss))", Const, set(ids::EXTENSION_IMAGES)),
    p("MountImages", "a(ssba(ss))", Const, set(ids::MOUNT_IMAGES)),
    p("OOMScoreAdjust", "i", Const, state(oom_score_adjust)),
    p("CoredumpFilter", "t", Const, state(|c, w| or(c, ids::COREDUMP_FILTER, DEFAULT_COREDUMP_FILTER, w))),
    p("Nice", "i", Const, set(ids::NICE)),
    p("IOSchedulingClass", "i", Const, state(|c, w| or_int(c, ids::IO_SCHEDULING_CLASS, 2, w))),
    p("IOSchedulingPriority", "i", Const, state(|c, w| or_int(c, ids::IO_SCHEDULING_PRIORITY, 4, w))),
    p("CPUSchedulingPolicy", "i", Const, set(ids::CPU_SCHEDULING_POLICY)),
    p("CPUSchedulingPriority", "i", Const, set(ids::CPU_SCHEDULING_PRIORITY)),
    p("CPUAffinity", "ay", Const, set(ids::CPU_AFFINITY)),
    p(
        "CPUAffinityFromNUMA",
        "b",
        Const,
        state(|c, w| {
            w.bool(c.unit.settings.text(ids::CPU_AFFINITY) == Some("numa"));
        }),
    ),
    p("NUMAPolicy", "i", Const, set(ids::NUMA_POLICY)),
    p("NUMAMask", "ay", Const, set(ids::NUMA_MASK)),
    p(
        "TimerSlackNSec",
        "t",
        Const,
        state(|c, w| {
            w.u64(timer_slack(c));
        }),
    ),
    p("CPUSchedulingResetOnFork", "b", Const, set(ids::CPU_SCHEDULING_RESET_ON_FORK)),
    p("NonBlocking", "b", Const, set(ids::NON_BLOCKING)),
    p("StandardInput", "s", Const, state(|c, w| stream(c, ids::STANDARD_INPUT, w))),
    p("StandardInputFileDescriptorName", "s", Const, state(|c, w| stream_name(c, ids::STANDARD_INPUT, w))),
    p("StandardInputData", "ay", Const, set(ids::STANDARD_INPUT_DATA)),
    p("StandardOutput", "s", Const, state(|c, w| stream(c, ids::STANDARD_OUTPUT, w))),
    p("StandardOutputFileDescriptorName", "s", Const, state(|c, w| stream_name(c, ids::STANDARD_OUTPUT, w))),
    p("StandardError", "s", Const, state(|c, w| stream(c, ids::STANDARD_ERROR, w))),
    p("StandardErrorFileDescriptorName", "s", Const, state(|c, w| stream_name(c, ids::STANDARD_ERROR, w))),
    p("TTYPath", "s", Const, set(ids::TTY_PATH)),
    p("TTYReset", "b", Const, set(ids::TTY_RESET)),
    p("TTYVHangup", "b", Const, set(ids::TTY_VHANGUP)),
    p("TTYVTDisallocate", "b", Const, set(ids::TTY_VT_DISALLOCATE)),
    p("TTYRows", "q", Const, set(ids::TTY_ROWS)),
    p("TTYColumns", "q", Const, set(ids::TTY_COLUMNS)),
    p("SyslogPriority", "i", Const, state(syslog_priority)),
    p("SyslogIdentifier", "s", Const, set(ids::SYSLOG_IDENTIFIER)),
    p("SyslogLevelPrefix", "b", Const, set(ids::SYSLOG_LEVEL_PREFIX)),
    p("SyslogLevel", "i", Const, set(ids::SYSLOG_LEVEL)),
    p("SyslogFacility", "i", Const, set(ids::SYSLOG_FACILITY)),
    p("LogLevelMax", "i", Const, set(ids::LOG_LEVEL_MAX)),
    p("LogRateLimitIntervalUSec", "t", Const, set(ids::LOG_RATE_LIMIT_INTERVAL_SEC)),
    p("LogRateLimitBurst", "u", Const, set(ids::LOG_RATE_LIMIT_BURST)),
    p("LogExtraFields", "aay", Const, set(ids::LOG_EXTRA_FIELDS)),
    p("LogFilterPatterns", "a(bs)", Const, set(ids::LOG_FILTER_PATTERNS)),
    p("LogNamespace", "s", Const, set(ids::LOG_NAMESPACE)),
    p("SecureBits", "i", Const, set(ids::SECURE_BITS)),
    p("CapabilityBoundingSet", "t", Const, set(ids::CAPABILITY_BOUNDING_SET)),
    p("AmbientCapabilities", "t", Const, set(ids::AMBIENT_CAPABILITIES)),
    p("User", "s", Const, set(ids::USER)),
    p("Group", "s", Const, set(ids::GROUP)),
    p("DynamicUser", "b", Const, set(ids::DYNAMIC_USER)),
    p(
        "SetLoginEnvironment",
        "b",
        Const,
        state(|c, w| {
            w.bool(login_environment(c));
        }),
    ),
    p("RemoveIPC", "b", Const, set(ids::REMOVE_IPC)),
    p("SetCredential", "a(say)", Const, set(ids::SET_CREDENTIAL)),
    p("SetCredentialEncrypted", "a(say)", Const, set(ids::SET_CREDENTIAL_ENCRYPTED)),
    p("LoadCredential", "a(ss)", Const, set(ids::LOAD_CREDENTIAL)),
    p("LoadCredentialEncrypted", "a(ss)", Const, set(ids::LOAD_CREDENTIAL_ENCRYPTED)),
    p("ImportCredential", "as", Const, set(ids::IMPORT_CREDENTIAL)),
    p("ImportCredentialEx", "a(ss)", Const, set(ids::IMPORT_CREDENTIAL)),
    p("SupplementaryGroups", "as", Const, set(ids::SUPPLEMENTARY_GROUPS)),
    p("PAMName", "s", Const, set(ids::PAM_NAME)),
    p("ReadWritePaths", "as", Const, set(ids::READ_WRITE_PATHS)),
    p("ReadOnlyPaths", "as", Const, set(ids::READ_ONLY_PATHS)),
    p("InaccessiblePaths", "as", Const, set(ids::INACCESSIBLE_PATHS)),
    p("ExecPaths", "as", Const, set(ids::EXEC_PATHS)),
    p("NoExecPaths", "as", Const, set(ids::NO_EXEC_PATHS)),
    p("ExecSearchPath", "as", Const, set(ids::EXEC_SEARCH_PATH)),
    p("MountFlags", "t", Const, set(ids::MOUNT_FLAGS)),
    p("PrivateTmp", "b", Const, state(|c, w| not_no(c, ids::PRIVATE_TMP, w))),
    p("PrivateTmpEx", "s", Const, set(ids::PRIVATE_TMP)),
    p("PrivateDevices", "b", Const, set(ids::PRIVATE_DEVICES)),
    p("ProtectClock", "b", Const, set(ids::PROTECT_CLOCK)),
    p("ProtectKernelTunables", "b", Const, set(ids::PROTECT_KERNEL_TUNABLES)),
    p("ProtectKernelModules", "b", Const, set(ids::PROTECT_KERNEL_MODULES)),
    p("ProtectKernelLogs", "b", Const, set(ids::PROTECT_KERNEL_LOGS)),
    p("ProtectControlGroups", "b", Const, state(|c, w| not_no(c, ids::PROTECT_CONTROL_GROUPS, w))),
    p("ProtectControlGroupsEx", "s", Const, set(ids::PROTECT_CONTROL_GROUPS)),
    p("PrivateNetwork", "b", Const, set(ids::PRIVATE_NETWORK)),
    p("PrivateUsers", "b", Const, state(|c, w| not_no(c, ids::PRIVATE_USERS, w))),
    p("PrivateUsersEx", "s", Const, set(ids::PRIVATE_USERS)),
    p("PrivateMounts", "b", Const, set(ids::PRIVATE_MOUNTS)),
    p("PrivateIPC", "b", Const, set(ids::PRIVATE_IPC)),
    p("PrivatePIDs", "s", Const, set(ids::PRIVATE_PIDS)),
    p("ProtectHome", "s", Const, set(ids::PROTECT_HOME)),
    p("ProtectSystem", "s", Const, set(ids::PROTECT_SYSTEM)),
    p(
        "SameProcessGroup",
        "b",
        Const,
        state(|_, w| {
            w.bool(false);
        }),
    ),
    p("UtmpIdentifier", "s", Const, set(ids::UTMP_IDENTIFIER)),
    p("UtmpMode", "s", Const, set(ids::UTMP_MODE)),
    p("SELinuxContext", "(bs)", Const, set(ids::SELINUX_CONTEXT)),
    p("AppArmorProfile", "(bs)", Const, set(ids::APP_ARMOR_PROFILE)),
    p("SmackProcessLabel", "(bs)", Const, set(ids::SMACK_PROCESS_LABEL)),
    p("IgnoreSIGPIPE", "b", Const, set(ids::IGNORE_SIGPIPE)),
    p("NoNewPrivileges", "b", Const, set(ids::NO_NEW_PRIVILEGES)),
    p("SystemCallFilter", "(bas)", Const, set(ids::SYSTEM_CALL_FILTER)),
    p("SystemCallArchitectures", "as", Const, set(ids::SYSTEM_CALL_ARCHITECTURES)),
    p("SystemCallErrorNumber", "i", Const, set(ids::SYSTEM_CALL_ERROR_NUMBER)),
    p("SystemCallLog", "(bas)", Const, set(ids::SYSTEM_CALL_LOG)),
    p("Personality", "s", Const, set(ids::PERSONALITY)),
    p("LockPersonality", "b", Const, set(ids::LOCK_PERSONALITY)),
    p("RestrictAddressFamilies", "(bas)", Const, set(ids::RESTRICT_ADDRESS_FAMILIES)),
    p("RuntimeDirectorySymlink", "a(sst)", Const, state(|c, w| links(c, ids::RUNTIME_DIRECTORY, w))),
    p("RuntimeDirectoryPreserve", "s", Const, set(ids::RUNTIME_DIRECTORY_PRESERVE)),
    p("RuntimeDirectoryMode", "u", Const, set(ids::RUNTIME_DIRECTORY_MODE)),
    p("RuntimeDirectory", "as", Const, set(ids::RUNTIME_DIRECTORY)),
    p("StateDirectorySymlink", "a(sst)", Const, state(|c, w| links(c, ids::STATE_DIRECTORY, w))),
    p("StateDirectoryMode", "u", Const, set(ids::STATE_DIRECTORY_MODE)),
    p("StateDirectory", "as", Const, set(ids::STATE_DIRECTORY)),
    p("CacheDirectorySymlink", "a(sst)", Const, state(|c, w| links(c, ids::CACHE_DIRECTORY, w))),
    p("CacheDirectoryMode", "u", Const, set(ids::CACHE_DIRECTORY_MODE)),
    p("CacheDirectory", "as", Const, set(ids::CACHE_DIRECTORY)),
    p("LogsDirectorySymlink", "a(sst)", Const, state(|c, w| links(c, ids::LOGS_DIRECTORY, w))),
    p("LogsDirectoryMode", "u", Const, set(ids::LOGS_DIRECTORY_MODE)),
    p("LogsDirectory", "as", Const, set(ids::LOGS_DIRECTORY)),
    p("ConfigurationDirectoryMode", "u", Const, set(ids::CONFIGURATION_DIRECTORY_MODE)),
    p("ConfigurationDirectory", "as", Const, set(ids::CONFIGURATION_DIRECTORY)),
    p("TimeoutCleanUSec", "t", Const, set(ids::TIMEOUT_CLEAN_SEC)),
    p("MemoryDenyWriteExecute", "b", Const, set(ids::MEMORY_DENY_WRITE_EXECUTE)),
    p("RestrictRealtime", "b", Const, set(ids::RESTRICT_REALTIME)),
    p("RestrictSUIDSGID", "b", Const, set(ids::RESTRICT_SUIDSGID)),
    p("RestrictNamespaces", "t", Const, set(ids::RESTRICT_NAMESPACES)),
    p("RestrictFileSystems", "(bas)", Const, set(ids::RESTRICT_FILE_SYSTEMS)),
    p("BindPaths", "a(ssbt)", Const, set(ids::BIND_PATHS)),
    p("BindReadOnlyPaths", "a(ssbt)", Const, set(ids::BIND_READ_ONLY_PATHS)),
    p("TemporaryFileSystem", "a(ss)", Const, set(ids::TEMPORARY_FILE_SYSTEM)),
    p("MountAPIVFS", "b", Const, set(ids::MOUNT_APIVFS)),
    p("BindLogSockets", "b", Const, set(ids::BIND_LOG_SOCKETS)),
    p("KeyringMode", "s", Const, state(keyring_mode)),
    p("ProtectProc", "s", Const, set(ids::PROTECT_PROC)),
    p("ProcSubset", "s", Const, set(ids::PROC_SUBSET)),
    p("ProtectHostname", "b", Const, set(ids::PROTECT_HOSTNAME)),
    p("MemoryKSM", "b", Const, set(ids::MEMORY_KSM)),
    p("NetworkNamespacePath", "s", Const, set(ids::NETWORK_NAMESPACE_PATH)),
    p("IPCNamespacePath", "s", Const, set(ids::IPC_NAMESPACE_PATH)),
    p("RootImagePolicy", "s", Const, state(|c, w| image_policy(c, ids::ROOT_IMAGE_POLICY, w))),
    p("MountImagePolicy", "s", Const, state(|c, w| image_policy(c, ids::MOUNT_IMAGE_POLICY, w))),
    p("ExtensionImagePolicy", "s", Const, state(|c, w| image_policy(c, ids::EXTENSION_IMAGE_POLICY, w))),
];

/// `!` stands for "may be missing".
fn working_directory(context: &Context<'_>, writer: &mut Writer) {
    let text = context.unit.settings.text(ids::WORKING_DIRECTORY).unwrap_or("");
    match text.strip_prefix('-') {
        Some(rest) => writer.str(&format!("!{rest}")),
        None => writer.str(text),
    };
}

fn blob(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    writer.bytes(context.unit.settings.bytes(id));
}

fn blob_path(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    writer.str(match context.unit.settings.get(id) {
        Some(Value::Text(path)) => path,
        _ => "",
    });
}

fn oom_score_adjust(context: &Context<'_>, writer: &mut Writer) {
    writer.i32(match context.unit.settings.get(ids::OOM_SCORE_ADJUST) {
        Some(Value::Int(adjust)) => i32::try_from(*adjust).unwrap_or(0),
        _ => context.facts.oom_score_adjust(),
    });
}

fn or(context: &Context<'_>, id: DirectiveId, default: u64, writer: &mut Writer) {
    let settings = &context.unit.settings;
    writer.u64(if settings.is_set(id) { settings.uint(id) } else { default });
}

fn or_int(context: &Context<'_>, id: DirectiveId, default: i32, writer: &mut Writer) {
    let settings = &context.unit.settings;
    let set = settings.is_set(id).then(|| i32::try_from(settings.int(id)).unwrap_or(default));
    writer.i32(set.unwrap_or(default));
}

fn timer_slack(context: &Context<'_>) -> u64 {
    let settings = &context.unit.settings;
    match settings.is_set(ids::TIMER_SLACK_NSEC) {
        true => settings.uint(ids::TIMER_SLACK_NSEC),
        false => context.facts.timer_slack_nsec(),
    }
}

/// `fd:NAME` is shown in two properties.
fn stream(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    let text = context.unit.settings.text(id).unwrap_or("");
    writer.str(if text.starts_with("fd:") { "fd" } else { text });
}

fn stream_name(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    let text = context.unit.settings.text(id).unwrap_or("");
    writer.str(text.strip_prefix("fd:").unwrap_or(""));
}

fn syslog_priority(context: &Context<'_>, writer: &mut Writer) {
    let settings = &context.unit.settings;
    let priority = settings.int(ids::SYSLOG_FACILITY) * 8 + settings.int(ids::SYSLOG_LEVEL);
    writer.i32(i32::try_from(priority).unwrap_or(0));
}

/// Set by itself where a user other than the manager's is given.
fn login_environment(context: &Context<'_>) -> bool {
    let settings = &context.unit.settings;
    let user =
        || settings.is_set(ids::USER) || settings.bool(ids::DYNAMIC_USER) || settings.is_set(ids::PAM_NAME);
    settings.tristate(ids::SET_LOGIN_ENVIRONMENT).unwrap_or_else(user)
}

fn not_no(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    writer.bool(context.unit.settings.word(id) != "no");
}

fn keyring_mode(context: &Context<'_>, writer: &mut Writer) {
    let default = if context.engine.config.user { "inherit" } else { "private" };
    let word = context.unit.settings.word(ids::KEYRING_MODE);
    writer.str(if word.is_empty() { default } else { word });
}

fn image_policy(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    let text = setting::text(&context.unit.settings, id);
    writer.str(if text.is_empty() { DEFAULT_IMAGE_POLICY } else { &text });
}

/// `RuntimeDirectory=` and its like: (directory, link to it, flags).
fn links(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    writer.array("(sst)", |w| {
        for row in context.unit.settings.rows(id) {
            let [directory, links, flags] = &row[..] else { continue };
            let flags = u64::from(&**flags == "ro");
            if links.is_empty() && flags != 0 {
                w.open_struct().str(directory).str("").u64(flags).close();
            }
            for link in links.split(':').filter(|link| !link.is_empty()) {
                w.open_struct().str(directory).str(link).u64(flags).close();
            }
        }
    });
}
