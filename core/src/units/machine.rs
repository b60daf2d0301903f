//! What the engine calls on a unit type, and the enum over all types.
use super::{
    ActiveState, LoadProblem, Refusal, automount::Automount, device::Device, mount::Mount, path::Path,
    scope::Scope, service::Service, slice::Slice, socket::Socket, swap::Swap, target::Target, timer::Timer,
};
use crate::engine::Engine;
use crate::engine::effect::{ChainId, Failure, FdId, UnitId};
use crate::engine::event::{ChainError, ChainOutput, Exit, Notify, Pid};
use crate::engine::timers::TimerKind;
use crate::names::UnitType;
use serde::{Deserialize, Serialize};

/// A unit type's state machine. The value is its run-time state; the functions take the engine and the unit's id, since
/// they change more than the value. None may call another unit's machine: they change their own state (then
/// [`Engine::state_changed`]), emit effects and enqueue jobs.
#[allow(unused_variables)]
pub trait Machine: Default {
    /// Settings are parsed: verify them, add implied and default dependencies.
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        Ok(())
    }
    /// Whether the unit may exist without a file (devices, slices, what the kernel's tables show).
    fn exists_without_file(e: &mut Engine, id: UnitId) -> bool {
        false
    }
    /// After `Event::GeneratorsDone` or a re-execution: settings may be new, the state is what it was.
    fn reloaded(e: &mut Engine, id: UnitId) {}
    /// Asked before conditions: start limits and the like.
    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        Ok(())
    }
    /// Conditions hold: a start job runs.
    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal>;
    /// A stop job runs.
    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal>;
    /// A reload job runs.
    fn reload(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        Err(Refusal::Invalid)
    }
    /// Whether a reload job applies (`CanReload`).
    fn can_reload(e: &Engine, id: UnitId) -> bool {
        false
    }
    /// `ActiveState`.
    fn active_state(&self) -> ActiveState;
    /// `SubState`.
    fn sub_state(&self) -> &'static str;
    /// Whether the state alone (apart from being inactive) lets the unit leave memory.
    fn may_collect(&self) -> bool {
        true
    }
    /// A chain that this unit emitted ended.
    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {}
    /// A watched process ended.
    fn process_exited(e: &mut Engine, id: UnitId, pid: Pid, exit: Exit) {}
    /// A timer armed with [`Engine::arm`] elapsed.
    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {}
    /// The wall clock was set.
    fn clock_changed(e: &mut Engine, id: UnitId) {}
    /// The machine is in another time zone.
    fn zone_changed(e: &mut Engine, id: UnitId) {}
    /// Its cgroup became empty.
    fn cgroup_empty(e: &mut Engine, id: UnitId) {}
    /// The OOM killer was at work in its cgroup.
    fn cgroup_oom(e: &mut Engine, id: UnitId, managed: bool) {}
    /// A descriptor it owns became ready.
    fn fd_ready(e: &mut Engine, id: UnitId, fd: FdId, hangup: bool) {}
    /// A connection for an `Accept=yes` socket.
    fn accepted(e: &mut Engine, id: UnitId, connection: &crate::engine::event::Accepted) {}
    /// An autofs request.
    fn automount(e: &mut Engine, id: UnitId, request: &crate::engine::event::AutomountRequest) {}
    /// Something under a watched path changed.
    fn path_triggered(e: &mut Engine, id: UnitId, watch: u32) {}
    /// The answer to `Effect::CheckPaths`.
    fn path_checked(e: &mut Engine, id: UnitId, holds: &[bool]) {}
    /// sd_notify(3).
    fn notify(e: &mut Engine, id: UnitId, message: &Notify) {}
    /// The name of `BusName=` has a new owner (empty: none).
    fn bus_name(e: &mut Engine, id: UnitId, owner: &str, pid: Option<Pid>) {}
    /// A unit that it triggers (`Triggers`) changed state.
    fn triggered(e: &mut Engine, id: UnitId, by: UnitId) {}
    /// A job asked for with [`Engine::enqueue_start_by`] was refused.
    fn trigger_refused(e: &mut Engine, id: UnitId, target: UnitId, failure: &Failure) {}
    /// A client asks to forget a failure.
    fn reset_failed(e: &mut Engine, id: UnitId) {}
    /// The unit leaves memory: close descriptors, disarm.
    fn removed(e: &mut Engine, id: UnitId) {}
    /// Main and control process, for `Kill` requests and readers.
    fn processes(&self) -> (Option<Pid>, Option<Pid>) {
        (None, None)
    }
    /// Result word ("success", "exit-code", "timeout" ...).
    fn result(&self) -> &'static str {
        "success"
    }
    /// The exit status that stands for the unit in `SuccessActionExitStatus=` and `exit.target`, if it has one.
    fn exit_status(&self) -> Option<u8> {
        None
    }
}

macro_rules! kinds {
    ($($name:ident),*) => {
        /// The run-time state of a unit, by type.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum UnitKind { $($name(Box<$name>)),* }

        impl UnitKind {
            /// The state a new unit of this type has.
            pub fn new(kind: UnitType) -> UnitKind {
                match kind { $(UnitType::$name => UnitKind::$name(Box::default())),* }
            }
            /// Which type.
            pub fn unit_type(&self) -> UnitType {
                match self { $(UnitKind::$name(_) => UnitType::$name),* }
            }
            /// `ActiveState`.
            pub fn active_state(&self) -> ActiveState {
                match self { $(UnitKind::$name(m) => m.active_state()),* }
            }
            /// `SubState`.
            pub fn sub_state(&self) -> &'static str {
                match self { $(UnitKind::$name(m) => m.sub_state()),* }
            }
            /// See [`Machine::may_collect`].
            pub fn may_collect(&self) -> bool {
                match self { $(UnitKind::$name(m) => m.may_collect()),* }
            }
            /// Types that never own chains, processes, descriptors or bus names.
            pub(crate) fn holds_nothing(&self) -> bool {
                matches!(self.unit_type(), UnitType::Target | UnitType::Device | UnitType::Slice)
            }
            /// A service between two runs that waits for the start job of the next.
            pub(crate) fn awaits_restart(&self) -> bool {
                matches!(self, UnitKind::Service(service) if service.awaits_restart())
            }
            /// See [`Machine::processes`].
            pub fn processes(&self) -> (Option<Pid>, Option<Pid>) {
                match self { $(UnitKind::$name(m) => m.processes()),* }
            }
            /// See [`Machine::result`].
            pub fn result(&self) -> &'static str {
                match self { $(UnitKind::$name(m) => m.result()),* }
            }
            /// See [`Machine::exit_status`].
            pub fn exit_status(&self) -> Option<u8> {
                match self { $(UnitKind::$name(m) => m.exit_status()),* }
            }
        }

        $(impl OfKind for $name {
            fn of(kind: &UnitKind) -> Option<&Self> {
                match kind { UnitKind::$name(m) => Some(m), _ => None }
            }
            fn of_mut(kind: &mut UnitKind) -> Option<&mut Self> {
                match kind { UnitKind::$name(m) => Some(m), _ => None }
            }
        })*
    };
}

/// Picks one type's state out of a [`UnitKind`].
pub trait OfKind: Sized {
    /// The state, when the unit has this type.
    fn of(kind: &UnitKind) -> Option<&Self>;
    /// Likewise, to change.
    fn of_mut(kind: &mut UnitKind) -> Option<&mut Self>;
}

kinds!(Service, Mount, Swap, Socket, Target, Device, Automount, Timer, Path, Slice, Scope);

macro_rules! dispatch {
    ($(fn $f:ident($($arg:ident: $t:ty),*) $(-> $ret:ty)?;)*) => {
        /// Calls of the engine into the machine of whatever type a unit has.
        pub(crate) mod call {
            use super::*;
            $(pub(crate) fn $f(kind: UnitType, e: &mut Engine, id: UnitId $(, $arg: $t)*) $(-> $ret)? {
                match kind {
                    UnitType::Service => Service::$f(e, id $(, $arg)*),
                    UnitType::Mount => Mount::$f(e, id $(, $arg)*),
                    UnitType::Swap => Swap::$f(e, id $(, $arg)*),
                    UnitType::Socket => Socket::$f(e, id $(, $arg)*),
                    UnitType::Target => Target::$f(e, id $(, $arg)*),
                    UnitType::Device => Device::$f(e, id $(, $arg)*),
                    UnitType::Automount => Automount::$f(e, id $(, $arg)*),
                    UnitType::Timer => Timer::$f(e, id $(, $arg)*),
                    UnitType::Path => Path::$f(e, id $(, $arg)*),
                    UnitType::Slice => Slice::$f(e, id $(, $arg)*),
                    UnitType::Scope => Scope::$f(e, id $(, $arg)*),
                }
            })*
        }
    };
}

dispatch! {
    fn loaded() -> Result<(), LoadProblem>;
    fn exists_without_file() -> bool;
    fn reloaded();
    fn can_start() -> Result<(), Refusal>;
    fn start() -> Result<(), Refusal>;
    fn stop() -> Result<(), Refusal>;
    fn reload() -> Result<(), Refusal>;
    fn chain_done(chain: ChainId, result: Result<ChainOutput, ChainError>);
    fn process_exited(pid: Pid, exit: Exit);
    fn timer(which: TimerKind);
    fn clock_changed();
    fn zone_changed();
    fn cgroup_empty();
    fn cgroup_oom(managed: bool);
    fn fd_ready(fd: FdId, hangup: bool);
    fn accepted(connection: &crate::engine::event::Accepted);
    fn automount(request: &crate::engine::event::AutomountRequest);
    fn path_triggered(watch: u32);
    fn path_checked(holds: &[bool]);
    fn notify(message: &Notify);
    fn bus_name(owner: &str, pid: Option<Pid>);
    fn triggered(by: UnitId);
    fn trigger_refused(target: UnitId, failure: &Failure);
    fn reset_failed();
    fn removed();
}

/// Whether a reload job applies to a unit.
pub(crate) fn can_reload(e: &Engine, id: UnitId, kind: UnitType) -> bool {
    match kind {
        UnitType::Service => Service::can_reload(e, id),
        UnitType::Mount => Mount::can_reload(e, id),
        UnitType::Scope => Scope::can_reload(e, id),
        _ => false,
    }
}
