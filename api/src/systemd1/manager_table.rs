//! `org.freedesktop.systemd1.Manager`.
use super::facts::{Facts, ManagerFacts};
use super::state::context::{monotonic, realtime};
use runstead_core::directives::properties::Emits::{self, Change, Const, No};
use runstead_core::directives::properties::HostValues;
use runstead_core::directives::{ids, row};
use runstead_core::engine::Engine;
use runstead_core::settings::DirectiveId;
use runstead_core::values::rlimit::Resource;
use runstead_wire::dbus::Writer;

/// What the manager's properties are read from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The kernel's side.
    pub facts: &'a dyn Facts,
    /// What stands for settings that are not set.
    pub host: &'a HostValues,
    /// The shell's side.
    pub manager: &'a ManagerFacts,
}

/// Writes a value.
type Write = fn(&Context<'_>, &mut Writer);

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// `[Manager]` of system.conf.
    Setting(DirectiveId),
    /// The soft one of a resource limit.
    Soft(DirectiveId),
    /// The hard one.
    Hard(DirectiveId),
    /// The engine or the shell.
    State(Write),
}

/// A property of the manager.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub signature: &'static str,
    /// How a change is announced.
    pub emits: Emits,
    /// Only root may set it.
    pub writable: bool,
    source: Source,
}

const fn p(name: &'static str, signature: &'static str, emits: Emits, source: Source) -> Row {
    Row { name, signature, emits, writable: false, source }
}

const fn rw(name: &'static str, signature: &'static str, emits: Emits, source: Source) -> Row {
    Row { name, signature, emits, writable: true, source }
}

const fn set(id: DirectiveId) -> Source {
    Source::Setting(id)
}

const fn soft(id: DirectiveId) -> Source {
    Source::Soft(id)
}

const fn hard(id: DirectiveId) -> Source {
    Source::Hard(id)
}

const fn state(write: Write) -> Source {
    Source::State(write)
}

/// Its properties.
pub static ROWS: &[Row] = &[
    p("Version", "s", Const, state(|c, w| text(w, &c.manager.version))),
    p("Features", "s", Const, state(|c, w| text(w, &c.manager.features))),
    p("Virtualization", "s", Const, state(|c, w| text(w, &c.manager.virtualization))),
    p(
        "ConfidentialVirtualization",
        "s",
        Const,
        state(|c, w| text(w, &c.manager.confidential_virtualization)),
    ),
    p("Architecture", "s", Const, state(|c, w| text(w, &c.manager.architecture))),
    p("Tainted", "s", Const, state(|c, w| text(w, &c.manager.tainted))),
    p("FirmwareTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.firmware))),
    p("FirmwareTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.firmware))),
    p("LoaderTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.loader))),
    p("LoaderTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.loader))),
    p("KernelTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.kernel))),
    p("KernelTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.kernel))),
    p("InitRDTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.initrd))),
    p("InitRDTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.initrd))),
    p("UserspaceTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.userspace))),
    p("UserspaceTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.userspace))),
    p("FinishTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.finish))),
    p("FinishTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.finish))),
    p("ShutdownStartTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.shutdown_start))),
    p(
        "ShutdownStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.shutdown_start)),
    ),
    p("SecurityStartTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.security_start))),
    p(
        "SecurityStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.security_start)),
    ),
    p("SecurityFinishTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.security_finish))),
    p(
        "SecurityFinishTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.security_finish)),
    ),
    p("GeneratorsStartTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.generators_start))),
    p(
        "GeneratorsStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.generators_start)),
    ),
    p("GeneratorsFinishTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.generators_finish))),
    p(
        "GeneratorsFinishTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.generators_finish)),
    ),
    p("UnitsLoadStartTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.units_load_start))),
    p(
        "UnitsLoadStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.units_load_start)),
    ),
    p("UnitsLoadFinishTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.units_load_finish))),
    p(
        "UnitsLoadFinishTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.units_load_finish)),
    ),
    p("UnitsLoadTimestamp", "t", Const, state(|c, w| realtime(w, c.manager.stamps.units_load))),
    p("UnitsLoadTimestampMonotonic", "t", Const, state(|c, w| monotonic(w, c.manager.stamps.units_load))),
    p(
        "InitRDSecurityStartTimestamp",
        "t",
        Const,
        state(|c, w| realtime(w, c.manager.stamps.initrd_security_start)),
    ),
    p(
        "InitRDSecurityStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.initrd_security_start)),
    ),
    p(
        "InitRDSecurityFinishTimestamp",
        "t",
        Const,
        state(|c, w| realtime(w, c.manager.stamps.initrd_security_finish)),
    ),
    p(
        "InitRDSecurityFinishTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.initrd_security_finish)),
    ),
    p(
        "InitRDGeneratorsStartTimestamp",
        "t",
        Const,
        state(|c, w| realtime(w, c.manager.stamps.initrd_generators_start)),
    ),
    p(
        "InitRDGeneratorsStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.initrd_generators_start)),
    ),
    p(
        "InitRDGeneratorsFinishTimestamp",
        "t",
        Const,
        state(|c, w| realtime(w, c.manager.stamps.initrd_generators_finish)),
    ),
    p(
        "InitRDGeneratorsFinishTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.initrd_generators_finish)),
    ),
    p(
        "InitRDUnitsLoadStartTimestamp",
        "t",
        Const,
        state(|c, w| realtime(w, c.manager.stamps.initrd_units_load_start)),
    ),
    p(
        "InitRDUnitsLoadStartTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.initrd_units_load_start)),
    ),
    p(
        "InitRDUnitsLoadFinishTimestamp",
        "t",
        Const,
        state(|c, w| realtime(w, c.manager.stamps.initrd_units_load_finish)),
    ),
    p(
        "InitRDUnitsLoadFinishTimestampMonotonic",
        "t",
        Const,
        state(|c, w| monotonic(w, c.manager.stamps.initrd_units_load_finish)),
    ),
    rw("LogLevel", "s", No, state(|c, w| text(w, &c.manager.log_level))),
    rw("LogTarget", "s", No, state(|c, w| text(w, &c.manager.log_target))),
    p("NNames", "u", No, state(|c, w| count(w, c.engine.names().count()))),
    p("NFailedUnits", "u", Change, state(|c, w| count(w, failed(c.engine)))),
    p("NJobs", "u", No, state(|c, w| count(w, c.engine.jobs().count()))),
    p("NInstalledJobs", "u", No, state(|c, w| number32(w, c.manager.installed_jobs))),
    p("NFailedJobs", "u", No, state(|c, w| number32(w, c.manager.failed_jobs))),
    p("Progress", "d", No, state(progress)),
    p("Environment", "as", No, state(|c, w| texts(w, &c.manager.environment))),
    p("ConfirmSpawn", "b", Const, state(|c, w| truth(w, c.manager.confirm_spawn))),
    p("ShowStatus", "b", No, state(|c, w| truth(w, c.manager.show_status))),
    p("UnitPath", "as", Const, state(|c, w| texts(w, &c.manager.unit_path))),
    p("DefaultStandardOutput", "s", Const, set(ids::DEFAULT_STANDARD_OUTPUT)),
    p("DefaultStandardError", "s", Const, set(ids::DEFAULT_STANDARD_ERROR)),
    p("WatchdogDevice", "s", Const, state(|c, w| text(w, &c.manager.watchdog_device))),
    p("WatchdogLastPingTimestamp", "t", No, state(|c, w| realtime(w, c.manager.watchdog_last_ping))),
    p(
        "WatchdogLastPingTimestampMonotonic",
        "t",
        No,
        state(|c, w| monotonic(w, c.manager.watchdog_last_ping)),
    ),
    rw("RuntimeWatchdogUSec", "t", No, state(|c, w| number(w, c.manager.runtime_watchdog))),
    rw("RuntimeWatchdogPreUSec", "t", No, state(|c, w| number(w, c.manager.runtime_watchdog_pre))),
    rw(
        "RuntimeWatchdogPreGovernor",
        "s",
        No,
        state(|c, w| text(w, &c.manager.runtime_watchdog_pre_governor)),
    ),
    rw("RebootWatchdogUSec", "t", No, state(|c, w| number(w, c.manager.reboot_watchdog))),
    rw("KExecWatchdogUSec", "t", No, state(|c, w| number(w, c.manager.kexec_watchdog))),
    rw("ServiceWatchdogs", "b", No, state(|c, w| truth(w, c.manager.service_watchdogs))),
    p("ControlGroup", "s", No, state(|c, w| text(w, &c.facts.cgroup_root()))),
    p("SystemState", "s", No, state(|c, w| text(w, system_state(c)))),
    p("ExitCode", "y", No, state(exit_code)),
    p("DefaultTimerAccuracyUSec", "t", Const, set(ids::DEFAULT_TIMER_ACCURACY_SEC)),
    p("DefaultTimeoutStartUSec", "t", Const, set(ids::DEFAULT_TIMEOUT_START_SEC)),
    p("DefaultTimeoutStopUSec", "t", Const, set(ids::DEFAULT_TIMEOUT_STOP_SEC)),
    p("DefaultTimeoutAbortUSec", "t", No, state(|c, w| number(w, timeout_abort(c)))),
    p("DefaultDeviceTimeoutUSec", "t", Const, set(ids::DEFAULT_DEVICE_TIMEOUT_SEC)),
    p("DefaultRestartUSec", "t", Const, set(ids::DEFAULT_RESTART_SEC)),
    p("DefaultStartLimitIntervalUSec", "t", Const, set(ids::DEFAULT_START_LIMIT_INTERVAL_SEC)),
    p("DefaultStartLimitBurst", "u", Const, set(ids::DEFAULT_START_LIMIT_BURST)),
    p("DefaultCPUAccounting", "b", Const, set(ids::DEFAULT_CPU_ACCOUNTING)),
    p("DefaultBlockIOAccounting", "b", Const, set(ids::DEFAULT_BLOCK_IO_ACCOUNTING)),
    p("DefaultIOAccounting", "b", Const, set(ids::DEFAULT_IO_ACCOUNTING)),
    p("DefaultIPAccounting", "b", Const, set(ids::DEFAULT_IP_ACCOUNTING)),
    p("DefaultMemoryAccounting", "b", Const, set(ids::DEFAULT_MEMORY_ACCOUNTING)),
    p("DefaultTasksAccounting", "b", Const, set(ids::DEFAULT_TASKS_ACCOUNTING)),
    p("DefaultLimitCPU", "t", Const, hard(ids::DEFAULT_LIMIT_CPU)),
    p("DefaultLimitCPUSoft", "t", Const, soft(ids::DEFAULT_LIMIT_CPU)),
    p("DefaultLimitFSIZE", "t", Const, hard(ids::DEFAULT_LIMIT_FSIZE)),
    p("DefaultLimitFSIZESoft", "t", Const, soft(ids::DEFAULT_LIMIT_FSIZE)),
    p("DefaultLimitDATA", "t", Const, hard(ids::DEFAULT_LIMIT_DATA)),
    p("DefaultLimitDATASoft", "t", Const, soft(ids::DEFAULT_LIMIT_DATA)),
    p("DefaultLimitSTACK", "t", Const, hard(ids::DEFAULT_LIMIT_STACK)),
    p("DefaultLimitSTACKSoft", "t", Const, soft(ids::DEFAULT_LIMIT_STACK)),
    p("DefaultLimitCORE", "t", Const, hard(ids::DEFAULT_LIMIT_CORE)),
    p("DefaultLimitCORESoft", "t", Const, soft(ids::DEFAULT_LIMIT_CORE)),
    p("DefaultLimitRSS", "t", Const, hard(ids::DEFAULT_LIMIT_RSS)),
    p("DefaultLimitRSSSoft", "t", Const, soft(ids::DEFAULT_LIMIT_RSS)),
    p("DefaultLimitNOFILE", "t", Const, hard(ids::DEFAULT_LIMIT_NOFILE)),
    p("DefaultLimitNOFILESoft", "t", Const, soft(ids::DEFAULT_LIMIT_NOFILE)),
    p("DefaultLimitAS", "t", Const, hard(ids::DEFAULT_LIMIT_AS)),
    p("DefaultLimitASSoft", "t", Const, soft(ids::DEFAULT_LIMIT_AS)),
    p("DefaultLimitNPROC", "t", Const, hard(ids::DEFAULT_LIMIT_NPROC)),
    p("DefaultLimitNPROCSoft", "t", Const, soft(ids::DEFAULT_LIMIT_NPROC)),
    p("DefaultLimitMEMLOCK", "t", Const, hard(ids::DEFAULT_LIMIT_MEMLOCK)),
    p("DefaultLimitMEMLOCKSoft", "t", Const, soft(ids::DEFAULT_LIMIT_MEMLOCK)),
    p("DefaultLimitLOCKS", "t", Const, hard(ids::DEFAULT_LIMIT_LOCKS)),
    p("DefaultLimitLOCKSSoft", "t", Const, soft(ids::DEFAULT_LIMIT_LOCKS)),
    p("DefaultLimitSIGPENDING", "t", Const, hard(ids::DEFAULT_LIMIT_SIGPENDING)),
    p("DefaultLimitSIGPENDINGSoft", "t", Const, soft(ids::DEFAULT_LIMIT_SIGPENDING)),
    p("DefaultLimitMSGQUEUE", "t", Const, hard(ids::DEFAULT_LIMIT_MSGQUEUE)),
    p("DefaultLimitMSGQUEUESoft", "t", Const, soft(ids::DEFAULT_LIMIT_MSGQUEUE)),
    p("DefaultLimitNICE", "t", Const, hard(ids::DEFAULT_LIMIT_NICE)),
    p("DefaultLimitNICESoft", "t", Const, soft(ids::DEFAULT_LIMIT_NICE)),
    p("DefaultLimitRTPRIO", "t", Const, hard(ids::DEFAULT_LIMIT_RTPRIO)),
    p("DefaultLimitRTPRIOSoft", "t", Const, soft(ids::DEFAULT_LIMIT_RTPRIO)),
    p("DefaultLimitRTTIME", "t", Const, hard(ids::DEFAULT_LIMIT_RTTIME)),
    p("DefaultLimitRTTIMESoft", "t", Const, soft(ids::DEFAULT_LIMIT_RTTIME)),
    p("DefaultTasksMax", "t", No, state(|c, w| number(w, c.engine.config.default_tasks_max))),
    p("DefaultMemoryPressureThresholdUSec", "t", No, set(ids::DEFAULT_MEMORY_PRESSURE_THRESHOLD_SEC)),
    p("DefaultMemoryPressureWatch", "s", No, set(ids::DEFAULT_MEMORY_PRESSURE_WATCH)),
    p("TimerSlackNSec", "t", Const, state(|c, w| number(w, c.host.timer_slack_nsec))),
    p("DefaultOOMPolicy", "s", Const, set(ids::DEFAULT_OOM_POLICY)),
    p("DefaultOOMScoreAdjust", "i", Const, state(oom_score_adjust)),
    p("CtrlAltDelBurstAction", "s", Const, set(ids::CTRL_ALT_DEL_BURST_ACTION)),
    p("SoftRebootsCount", "u", Const, state(|c, w| number32(w, c.manager.soft_reboots))),
];

/// Writes a value, without its variant.
pub fn write(context: &Context<'_>, row: &Row, writer: &mut Writer) {
    match row.source {
        Source::Setting(id) => setting(context, id, row.signature, writer),
        Source::Soft(id) => number(writer, limit(context, id).0),
        Source::Hard(id) => number(writer, limit(context, id).1),
        Source::State(write) => write(context, writer),
    }
}

fn setting(context: &Context<'_>, id: DirectiveId, signature: &str, writer: &mut Writer) {
    let settings = &context.manager.settings;
    match signature {
        "b" => writer.bool(settings.bool(id)),
        "u" => writer.u32(u32::try_from(settings.uint(id)).unwrap_or(u32::MAX)),
        "s" if row(id).words().is_some() => writer.str(settings.word(id)),
        "s" => writer.str(settings.text(id).unwrap_or("")),
        _ => writer.u64(settings.uint(id)),
    };
}

/// A default limit; what nothing sets is the manager's own.
fn limit(context: &Context<'_>, id: DirectiveId) -> (u64, u64) {
    let own = || {
        let resource = row(id).name.strip_prefix("DefaultLimit").and_then(Resource::from_name)?;
        context.host.limits.get(resource as usize).copied()
    };
    context.manager.settings.rlimit(id).or_else(own).unwrap_or((u64::MAX, u64::MAX))
}

fn text(writer: &mut Writer, text: &str) {
    writer.str(text);
}

fn texts(writer: &mut Writer, texts: &[String]) {
    writer.strings(texts);
}

fn truth(writer: &mut Writer, on: bool) {
    writer.bool(on);
}

fn number(writer: &mut Writer, number: u64) {
    writer.u64(number);
}

fn number32(writer: &mut Writer, number: u32) {
    writer.u32(number);
}

fn count(writer: &mut Writer, count: usize) {
    writer.u32(u32::try_from(count).unwrap_or(u32::MAX));
}

/// Units that failed.
pub fn failed(engine: &Engine) -> usize {
    engine.failed_units().count()
}

fn progress(context: &Context<'_>, writer: &mut Writer) {
    writer.f64(context.manager.progress);
}

fn exit_code(context: &Context<'_>, writer: &mut Writer) {
    writer.byte(context.manager.exit_code);
}

fn oom_score_adjust(context: &Context<'_>, writer: &mut Writer) {
    writer.i32(context.host.oom_score_adjust);
}

fn timeout_abort(context: &Context<'_>) -> u64 {
    let configured = &context.engine.config.defaults;
    match configured.is_set(ids::DEFAULT_TIMEOUT_ABORT_SEC) {
        true => configured.uint(ids::DEFAULT_TIMEOUT_ABORT_SEC),
        false => configured.uint(ids::DEFAULT_TIMEOUT_STOP_SEC),
    }
}

/// `SystemState` (systemctl(1), `is-system-running`).
pub fn system_state(context: &Context<'_>) -> &'static str {
    if let Some(told) = context.manager.system_state {
        return told;
    }
    context.engine.system_state().as_str()
}
