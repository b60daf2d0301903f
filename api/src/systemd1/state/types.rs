//! State that belongs to types.
use super::Context;
use super::context::{control_pid, gid, monotonic, realtime, result, uid};
use runstead_core::directives::ids;
use runstead_core::directives::properties::StateProperty as P;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::event::Pid;
use runstead_core::graph::Dependency;
use runstead_core::names::UnitType;
use runstead_core::settings::DirectiveId;
use runstead_core::units::mount::Mounted;
use runstead_core::units::service::{Service, next_delay, notify_access, watchdog_limit};
use runstead_core::units::socket::Socket;
use runstead_core::units::timer::{Timer, TimerState};
use runstead_core::units::{LoadState, UnitKind};
use runstead_wire::dbus::Writer;
use std::rc::Rc;

/// Writes what the engine knows of a type.
pub fn write(c: &Context<'_>, which: P, w: &mut Writer) {
    match which {
        P::Result => result(c, w),
        P::ControlPID => control_pid(c, w),
        P::UID => uid(c, w),
        P::GID => gid(c, w),
        P::RestartUSecNext => {
            w.u64(restart_next(c));
        }
        P::WatchdogUSec => {
            w.u64(watchdog(c));
        }
        P::MainPID => number(c, w, |s| s.main_pid()),
        P::NFileDescriptorStore => {
            w.u32(service(c).map_or(0, |s| u32::try_from(s.fd_store.len()).unwrap_or(u32::MAX)));
        }
        P::StatusText => text(c, w, |s| s.status_text.as_deref()),
        P::StatusErrno => {
            w.i32(service(c).map_or(0, |s| s.status_errno));
        }
        P::StatusBusError => text(c, w, |s| s.status_bus_error.as_deref()),
        P::StatusVarlinkError => text(c, w, |s| s.status_varlink_error.as_deref()),
        P::ReloadResult => text(c, w, |s| Some(s.reload_result.as_str())),
        P::CleanResult => text(c, w, |s| Some(s.clean_result.as_str())),
        P::LiveMountResult => {
            w.str("success");
        }
        P::NRestarts => {
            w.u32(service(c).map_or(0, |s| s.n_restarts));
        }
        P::ExtraFileDescriptorNames => extra_descriptors(c, w),
        P::ExecMainPID => number(c, w, |s| s.main_status.pid),
        P::ExecMainCode => {
            w.i32(service(c).map_or(0, |s| s.main_status.code()));
        }
        P::ExecMainStatus => {
            w.i32(service(c).map_or(0, |s| s.main_status.status()));
        }
        P::WatchdogTimestamp => realtime(w, at(c, |s| s.watchdog_stamp)),
        P::WatchdogTimestampMonotonic => monotonic(w, at(c, |s| s.watchdog_stamp)),
        P::ExecMainStartTimestamp => realtime(w, at(c, |s| s.main_status.start)),
        P::ExecMainStartTimestampMonotonic => monotonic(w, at(c, |s| s.main_status.start)),
        P::ExecMainExitTimestamp => realtime(w, at(c, |s| s.main_status.end)),
        P::ExecMainExitTimestampMonotonic => monotonic(w, at(c, |s| s.main_status.end)),
        P::ExecMainHandoffTimestamp => realtime(w, at(c, |s| s.main_status.handoff())),
        P::ExecMainHandoffTimestampMonotonic => monotonic(w, at(c, |s| s.main_status.handoff())),
        P::NotifyAccess => {
            w.str(notify_access(c.engine, c.unit.id).as_str());
        }
        other => without_main(c, other, w),
    }
}

/// Types without a main process.
fn without_main(c: &Context<'_>, which: P, w: &mut Writer) {
    match which {
        P::NConnections => count(c, w, |s| s.n_connections),
        P::NAccepted => count(c, w, |s| s.n_accepted),
        P::NRefused => count(c, w, |s| s.n_refused),
        P::Where => place(c, w),
        P::MountWhat => table(c, ids::WHAT, |line| &line.what, w),
        P::MountOptions => table(c, ids::OPTIONS, |line| &line.options, w),
        P::MountType => table(c, ids::MOUNT_TYPE, |line| &line.fstype, w),
        P::SwapWhat => {
            w.str(&swap_what(c));
        }
        P::SwapOptions => {
            w.str(c.unit.settings.text(ids::OPTIONS).unwrap_or(""));
        }
        P::SwapPriority => {
            let set = || i32::try_from(c.unit.settings.int(ids::SWAP_PRIORITY)).unwrap_or(-1);
            w.i32(used(c).map_or_else(set, |(_, priority)| *priority));
        }
        P::ExecMount | P::ExecUnmount | P::ExecRemount | P::ExecActivate | P::ExecDeactivate => {
            w.array("(sasbttttuii)", |_| {});
        }
        P::TriggeredUnit => triggered(c, w),
        P::NextElapseUSecRealtime => {
            w.u64(next_elapse(c, |timer| timer.next_realtime));
        }
        P::NextElapseUSecMonotonic => {
            w.u64(next_elapse(c, |timer| timer.next_monotonic));
        }
        P::LastTriggerUSec => realtime(w, last(c)),
        P::LastTriggerUSecMonotonic => monotonic(w, last(c)),
        P::Controller => controller(c, w),
        P::SysFSPath => sysfs(c, w),
        _ => {
            // `SameProcessGroup`: the same for all.
            w.bool(false);
        }
    }
}

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
    service(context).map_or(Stamp::default(), of)
}

fn restart_next(context: &Context<'_>) -> u64 {
    service(context).map_or(0, |_| next_delay(context.engine, context.unit.id))
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

fn count(context: &Context<'_>, writer: &mut Writer, of: fn(&Socket) -> u32) {
    writer.u32(match &context.unit.kind {
        UnitKind::Socket(socket) => of(socket),
        _ => 0,
    });
}

/// `Where`: set, or what the name says.
fn place(context: &Context<'_>, writer: &mut Writer) {
    let set = context.unit.settings.text(ids::WHERE);
    let by_name = || match context.unit.load {
        LoadState::Loaded => context.unit.name.to_path().unwrap_or_default(),
        _ => String::new(),
    };
    writer.str(&set.map_or_else(by_name, str::to_owned));
}

/// What the kernel's table says, else the file.
fn table(context: &Context<'_>, id: DirectiveId, of: fn(&Mounted) -> &str, writer: &mut Writer) {
    let line = match &context.unit.kind {
        UnitKind::Mount(mount) => mount.mounted.as_ref(),
        _ => None,
    };
    writer.str(line.map_or(context.unit.settings.text(id).unwrap_or(""), of));
}

/// The line of a swap in the kernel's table.
/// `What`: as the unit was written, else the name under which it is used; empty for what is neither.
fn swap_what(context: &Context<'_>) -> String {
    match context.unit.settings.text(ids::WHAT) {
        Some(path) => path.to_owned(),
        None if used(context).is_some() => context.unit.name.to_path().unwrap_or_default(),
        None => String::new(),
    }
}

fn used<'a>(context: &Context<'a>) -> Option<&'a (Rc<str>, i32)> {
    match &context.unit.kind {
        UnitKind::Swap(swap) => swap.used.as_ref(),
        _ => None,
    }
}

/// What is triggered.
fn triggered(context: &Context<'_>, writer: &mut Writer) {
    let settings = &context.unit.settings;
    let by_dependency = context.unit.dependencies(Dependency::Triggers).find_map(|id| context.engine.get(id));
    let name = match (settings.unit(ids::UNIT), by_dependency) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(unit)) => Some(unit.name.clone()),
        (None, None) => context.unit.name.with_type(UnitType::Service).ok(),
    };
    writer.str(name.as_ref().map_or("", |name| name.as_str()));
}

pub(super) fn timer<'a>(context: &Context<'a>) -> Option<&'a Timer> {
    match &context.unit.kind {
        UnitKind::Timer(timer) => Some(timer),
        _ => None,
    }
}

/// When a timer elapses next: never unless it waits, 0 when it waits for the other clock.
fn next_elapse(context: &Context<'_>, of: fn(&Timer) -> u64) -> u64 {
    timer(context).filter(|timer| timer.state == TimerState::Waiting).map_or(u64::MAX, of)
}

fn last(context: &Context<'_>) -> Stamp {
    timer(context).map_or(Stamp::default(), |timer| timer.last_trigger)
}

/// The name on the bus of who controls the scope.
fn controller(context: &Context<'_>, writer: &mut Writer) {
    writer.str(match &context.unit.kind {
        UnitKind::Scope(scope) => scope.controller.as_deref().unwrap_or(""),
        _ => "",
    });
}

fn sysfs(context: &Context<'_>, writer: &mut Writer) {
    writer.str(match &context.unit.kind {
        UnitKind::Device(device) => device.sysfs.as_deref().unwrap_or(""),
        _ => "",
    });
}
