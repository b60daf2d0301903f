//! `org.freedesktop.systemd1.Service`.
use super::commands::{self, Run};
use super::context::{self, monotonic, realtime};
use super::prelude::*;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::event::Pid;
use runstead_core::units::UnitKind;
use runstead_core::units::service::{ExecStatus, Role, Service, next_delay, watchdog_limit};

/// Its own properties.
pub const ROWS: &[UnitProperty] = &[
    p("Type", "s", Const, set(ids::SERVICE_TYPE)),
    p("ExitType", "s", Const, set(ids::EXIT_TYPE)),
    p("Restart", "s", Const, set(ids::RESTART)),
    p("RestartMode", "s", Const, set(ids::RESTART_MODE)),
    p("PIDFile", "s", Const, set(ids::PID_FILE)),
    p("NotifyAccess", "s", Changes, set(ids::NOTIFY_ACCESS)),
    p("RestartUSec", "t", Const, set(ids::RESTART_SEC)),
    p("RestartSteps", "u", Const, set(ids::RESTART_STEPS)),
    p("RestartMaxDelayUSec", "t", Const, set(ids::RESTART_MAX_DELAY_SEC)),
    p(
        "RestartUSecNext",
        "t",
        No,
        state(|c, w| {
            w.u64(restart_next(c));
        }),
    ),
    p("TimeoutStartUSec", "t", Const, set(ids::TIMEOUT_START_SEC)),
    p("TimeoutStopUSec", "t", Const, set(ids::TIMEOUT_STOP_SEC)),
    p(
        "TimeoutAbortUSec",
        "t",
        No,
        state(|c, w| {
            w.u64(timeout_abort(c));
        }),
    ),
    p("TimeoutStartFailureMode", "s", Const, set(ids::TIMEOUT_START_FAILURE_MODE)),
    p("TimeoutStopFailureMode", "s", Const, set(ids::TIMEOUT_STOP_FAILURE_MODE)),
    p("RuntimeMaxUSec", "t", Const, set(ids::RUNTIME_MAX_SEC)),
    p("RuntimeRandomizedExtraUSec", "t", Const, set(ids::RUNTIME_RANDOMIZED_EXTRA_SEC)),
    p(
        "WatchdogUSec",
        "t",
        No,
        state(|c, w| {
            w.u64(watchdog(c));
        }),
    ),
    p("WatchdogTimestamp", "t", No, state(|c, w| realtime(w, at(c, |s| s.watchdog_stamp)))),
    p("WatchdogTimestampMonotonic", "t", No, state(|c, w| monotonic(w, at(c, |s| s.watchdog_stamp)))),
    p("RootDirectoryStartOnly", "b", Const, set(ids::ROOT_DIRECTORY_START_ONLY)),
    p("RemainAfterExit", "b", Const, set(ids::REMAIN_AFTER_EXIT)),
    p("GuessMainPID", "b", Const, set(ids::GUESS_MAIN_PID)),
    p("RestartPreventExitStatus", "(aiai)", Const, set(ids::RESTART_PREVENT_EXIT_STATUS)),
    p("RestartForceExitStatus", "(aiai)", Const, set(ids::RESTART_FORCE_EXIT_STATUS)),
    p("SuccessExitStatus", "(aiai)", Const, set(ids::SUCCESS_EXIT_STATUS)),
    p("MainPID", "u", Changes, state(|c, w| number(c, w, |s| s.main_pid()))),
    p("ControlPID", "u", Changes, state(context::control_pid)),
    p("BusName", "s", Const, set(ids::BUS_NAME)),
    p("FileDescriptorStoreMax", "u", Const, set(ids::FILE_DESCRIPTOR_STORE_MAX)),
    p(
        "NFileDescriptorStore",
        "u",
        No,
        state(|c, w| {
            w.u32(service(c).map_or(0, |s| u32::try_from(s.fd_store.len()).unwrap_or(u32::MAX)));
        }),
    ),
    p("FileDescriptorStorePreserve", "s", No, set(ids::FILE_DESCRIPTOR_STORE_PRESERVE)),
    p("StatusText", "s", Changes, state(|c, w| text(c, w, |s| s.status_text.as_deref()))),
    p(
        "StatusErrno",
        "i",
        Changes,
        state(|c, w| {
            w.i32(service(c).map_or(0, |s| s.status_errno));
        }),
    ),
    p("StatusBusError", "s", Changes, state(|c, w| text(c, w, |s| s.status_bus_error.as_deref()))),
    p("StatusVarlinkError", "s", Changes, state(|c, w| text(c, w, |s| s.status_varlink_error.as_deref()))),
    p("Result", "s", Changes, state(|c, w| text(c, w, |s| Some(s.result.as_str())))),
    p("ReloadResult", "s", Changes, state(|c, w| text(c, w, |s| Some(s.reload_result.as_str())))),
    p("CleanResult", "s", Changes, state(|c, w| text(c, w, |s| Some(s.clean_result.as_str())))),
    p(
        "LiveMountResult",
        "s",
        Changes,
        state(|_, w| {
            w.str("success");
        }),
    ),
    p("USBFunctionDescriptors", "s", Const, set(ids::USB_FUNCTION_DESCRIPTORS)),
    p("USBFunctionStrings", "s", Const, set(ids::USB_FUNCTION_STRINGS)),
    p("UID", "u", Changes, state(context::uid)),
    p("GID", "u", Changes, state(context::gid)),
    p(
        "NRestarts",
        "u",
        Changes,
        state(|c, w| {
            w.u32(service(c).map_or(0, |s| s.n_restarts));
        }),
    ),
    p("OOMPolicy", "s", Const, set(ids::OOM_POLICY)),
    p("OpenFile", "a(sst)", Const, set(ids::OPEN_FILE)),
    p("ExtraFileDescriptorNames", "as", Const, state(extra_descriptors)),
    p("ReloadSignal", "i", Const, set(ids::RELOAD_SIGNAL)),
    p("ExecMainStartTimestamp", "t", Changes, state(|c, w| realtime(w, at(c, |s| s.main_status.start)))),
    p(
        "ExecMainStartTimestampMonotonic",
        "t",
        Changes,
        state(|c, w| monotonic(w, at(c, |s| s.main_status.start))),
    ),
    p("ExecMainExitTimestamp", "t", Changes, state(|c, w| realtime(w, at(c, |s| s.main_status.end)))),
    p(
        "ExecMainExitTimestampMonotonic",
        "t",
        Changes,
        state(|c, w| monotonic(w, at(c, |s| s.main_status.end))),
    ),
    p("ExecMainHandoffTimestamp", "t", Changes, state(|c, w| realtime(w, at(c, |s| s.main_status.start)))),
    p(
        "ExecMainHandoffTimestampMonotonic",
        "t",
        Changes,
        state(|c, w| monotonic(w, at(c, |s| s.main_status.start))),
    ),
    p("ExecMainPID", "u", Changes, state(|c, w| number(c, w, |s| s.main_status.pid))),
    p(
        "ExecMainCode",
        "i",
        Changes,
        state(|c, w| {
            w.i32(service(c).map_or(0, |s| s.main_status.code()));
        }),
    ),
    p(
        "ExecMainStatus",
        "i",
        Changes,
        state(|c, w| {
            w.i32(service(c).map_or(0, |s| s.main_status.status()));
        }),
    ),
    p(
        "ExecCondition",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_CONDITION, w)),
    ),
    p(
        "ExecConditionEx",
        "a(sasasttttuii)",
        Invalidates,
        state(|c, w| commands::extended(c, ids::EXEC_CONDITION, w)),
    ),
    p(
        "ExecStartPre",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_START_PRE, w)),
    ),
    p(
        "ExecStartPreEx",
        "a(sasasttttuii)",
        Invalidates,
        state(|c, w| commands::extended(c, ids::EXEC_START_PRE, w)),
    ),
    p("ExecStart", "a(sasbttttuii)", Invalidates, state(|c, w| commands::plain(c, ids::EXEC_START, w))),
    p("ExecStartEx", "a(sasasttttuii)", Invalidates, state(|c, w| commands::extended(c, ids::EXEC_START, w))),
    p(
        "ExecStartPost",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_START_POST, w)),
    ),
    p(
        "ExecStartPostEx",
        "a(sasasttttuii)",
        Invalidates,
        state(|c, w| commands::extended(c, ids::EXEC_START_POST, w)),
    ),
    p("ExecReload", "a(sasbttttuii)", Invalidates, state(|c, w| commands::plain(c, ids::EXEC_RELOAD, w))),
    p(
        "ExecReloadEx",
        "a(sasasttttuii)",
        Invalidates,
        state(|c, w| commands::extended(c, ids::EXEC_RELOAD, w)),
    ),
    p("ExecStop", "a(sasbttttuii)", Invalidates, state(|c, w| commands::plain(c, ids::EXEC_STOP, w))),
    p("ExecStopEx", "a(sasasttttuii)", Invalidates, state(|c, w| commands::extended(c, ids::EXEC_STOP, w))),
    p(
        "ExecStopPost",
        "a(sasbttttuii)",
        Invalidates,
        state(|c, w| commands::plain(c, ids::EXEC_STOP_POST, w)),
    ),
    p(
        "ExecStopPostEx",
        "a(sasasttttuii)",
        Invalidates,
        state(|c, w| commands::extended(c, ids::EXEC_STOP_POST, w)),
    ),
];

fn service<'a>(context: &Context<'a>) -> Option<&'a Service> {
    match &context.unit.kind {
        UnitKind::Service(service) => Some(service),
        _ => None,
    }
}

fn text(context: &Context<'_>, writer: &mut Writer, of: fn(&Service) -> Option<&str>) {
    writer.str(service(context).and_then(|s| of(s)).unwrap_or(""));
}

fn number(context: &Context<'_>, writer: &mut Writer, of: fn(&Service) -> Pid) {
    writer.u32(service(context).map_or(0, |s| u32::try_from(of(s)).unwrap_or(0)));
}

fn at(context: &Context<'_>, of: fn(&Service) -> Stamp) -> Stamp {
    service(context).map_or(Stamp::default(), |s| of(s))
}

fn restart_next(context: &Context<'_>) -> u64 {
    service(context).map_or(0, |_| next_delay(context.engine, context.unit.id))
}

/// `TimeoutAbortUSec`: as `TimeoutStopUSec` unless set.
fn timeout_abort(context: &Context<'_>) -> u64 {
    let settings = &context.unit.settings;
    if settings.is_set(ids::TIMEOUT_ABORT_SEC) {
        return settings.uint(ids::TIMEOUT_ABORT_SEC);
    }
    context.engine.config.default_timeout_abort.unwrap_or_else(|| settings.uint(ids::TIMEOUT_STOP_SEC))
}

fn watchdog(context: &Context<'_>) -> u64 {
    let limit = service(context).and_then(|_| watchdog_limit(context.engine, context.unit.id));
    limit.unwrap_or_else(|| context.unit.settings.uint(ids::WATCHDOG_SEC))
}

fn extra_descriptors(context: &Context<'_>, writer: &mut Writer) {
    let given =
        context.unit.given_fds.iter().filter_map(|(role, _)| role.strip_prefix("ExtraFileDescriptors:"));
    writer.strings(given);
}

/// How one of a unit's commands fared.
pub fn command_run(context: &Context<'_>, id: DirectiveId, index: usize) -> Run {
    let role = match id {
        ids::EXEC_CONDITION => Role::Condition,
        ids::EXEC_START_PRE => Role::StartPre,
        ids::EXEC_START => Role::Start,
        ids::EXEC_START_POST => Role::StartPost,
        ids::EXEC_RELOAD => Role::Reload,
        ids::EXEC_STOP => Role::Stop,
        ids::EXEC_STOP_POST => Role::StopPost,
        _ => return Run::default(),
    };
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    let status = service(context).and_then(|service| {
        let is_main = role == Role::Start && service.main_command == Some(index);
        service.command_status(role, index).or(is_main.then_some(&service.main_status))
    });
    status.map_or(Run::default(), run)
}

fn run(status: &ExecStatus) -> Run {
    Run {
        pid: status.pid,
        start: status.start,
        handoff: status.start,
        end: status.end,
        code: status.code(),
        status: status.status(),
    }
}
