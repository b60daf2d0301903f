//! Swap devices and files (systemd.swap(5)).
//!
//! # State table
//!
//! | state | what happens | goes to |
//! |---|---|---|
//! | `dead`, `failed` | it is not used | a start job: `activating`; it appears in the swap table: `active` |
//! | `activating` | swapon(8) runs | it appears in the table: `activating-done`; swapon(8) failed: `failed` |
//! | `activating-done` | in use, but swapon(8) still runs | it ends: `active` |
//! | `active` | | a stop job: `deactivating`; gone from the table: `dead` |
//! | `deactivating` | swapoff(8) runs | it ends: `dead`, or `active` when that failed |
//! | `deactivating-sigterm`, `deactivating-sigkill` | the helper is signalled | it is gone: `dead` or `active` |
use super::device;
use super::exec::{self, Special, known_name, say, say_with};
use super::kill::{self, Operation};
use super::mount::{MountResult, plain_command};
use super::{ActiveState, LoadProblem, Machine, Refusal};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::NEVER;
use crate::engine::effect::{ChainId, UnitId};
use crate::engine::event::{ChainError, ChainOutput, Exit, Pid, SwapEntry};
use crate::engine::timers::TimerKind;
use crate::graph::{Dependency, Origins};
use crate::names::{UnitName, UnitType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::rc::Rc;

/// `SubState` of swaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SwapState {
    #[default]
    Dead,
    Activating,
    ActivatingDone,
    Active,
    Deactivating,
    DeactivatingSigterm,
    DeactivatingSigkill,
    Failed,
    Cleaning,
}

use SwapState::*;

/// Run-time state of a swap.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Swap {
    /// Where it is.
    pub state: SwapState,
    /// `Result`.
    pub result: MountResult,
    /// `CleanResult`.
    pub clean_result: MountResult,
    /// Its line in the swap table: device or file, and priority.
    pub used: Option<(Rc<str>, i32)>,
    /// `ControlPID`.
    pub control: Option<Pid>,
    pending: Option<ChainId>,
    signalling: bool,
}

fn swap(e: &Engine, id: UnitId) -> &Swap {
    e.machine::<Swap>(id)
}

fn swap_mut(e: &mut Engine, id: UnitId) -> &mut Swap {
    e.machine_mut::<Swap>(id)
}

/// `What=`, or what the table or the name says.
pub fn what(e: &Engine, id: UnitId) -> Rc<str> {
    let unit = e.unit(id);
    unit.settings.text(ids::WHAT).map_or_else(|| unit.name.to_path().unwrap_or_default().into(), Rc::from)
}

/// The unit at the head of those that stand for one swap device (`Following`): one that somebody wrote, else the one
/// named as in the swap table; `None` for that one itself, and while it is not used.
pub fn head(e: &Engine, id: UnitId) -> Option<UnitId> {
    let (node, _) = swap(e, id).used.as_ref()?;
    let names = device::nodes(e, node);
    let names = names.iter().filter_map(|path| UnitName::from_path(path, UnitType::Swap).ok());
    let units: Vec<UnitId> = names.filter_map(|name| e.find(&name)).collect();
    let written = |id: &&UnitId| e.unit(**id).fragment.is_some();
    let head = units.iter().find(written).or_else(|| units.first());
    head.copied().filter(|head| *head != id)
}

impl Machine for Swap {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        loaded(e, id)
    }

    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(swap(e, id).state, Dead | Failed) && e.start_limit_hit(id) {
            enter_dead(e, id, MountResult::StartLimitHit);
            return Err(Refusal::StartLimit);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match swap(e, id).state {
            Dead | Failed => {}
            Activating | ActivatingDone => return Ok(()),
            Active => return Err(Refusal::Already),
            _ => return Err(Refusal::Again),
        }
        // The kernel's swap is not a container's to use.
        if e.config.container {
            return Err(Refusal::Unsupported);
        }
        e.new_invocation(id);
        swap_mut(e, id).result = MountResult::Success;
        let s = e.unit(id).settings.clone();
        let mut argv: Vec<Rc<str>> = vec!["/usr/sbin/swapon".into()];
        let priority = s.int(ids::SWAP_PRIORITY);
        let mut options = s.text(ids::OPTIONS).map_or_else(String::new, swap_options);
        if priority >= 0 && !options.split(',').any(|option| option.starts_with("pri=")) {
            options = if options.is_empty() {
                format!("pri={priority}")
            } else {
                format!("{options},pri={priority}")
            };
        }
        if !options.is_empty() {
            argv.extend(["-o".into(), options.into()]);
        }
        argv.push(what(e, id));
        run(e, id, "ExecActivate", argv);
        set_state(e, id, Activating);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match swap(e, id).state {
            Dead | Failed => return Err(Refusal::Already),
            Activating | ActivatingDone => enter_signal(e, id, DeactivatingSigterm, MountResult::Success),
            Active if e.config.container => return Err(Refusal::Unsupported),
            Active => {
                let path = what(e, id);
                run(e, id, "ExecDeactivate", vec!["/usr/sbin/swapoff".into(), path]);
                set_state(e, id, Deactivating);
            }
            _ => {}
        }
        Ok(())
    }

    fn exists_without_file(e: &mut Engine, id: UnitId) -> bool {
        swap(e, id).used.is_some()
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            Dead => ActiveState::Inactive,
            Activating => ActiveState::Activating,
            ActivatingDone | Active => ActiveState::Active,
            Deactivating | DeactivatingSigterm | DeactivatingSigkill => ActiveState::Deactivating,
            Failed => ActiveState::Failed,
            Cleaning => ActiveState::Maintenance,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            Dead => "dead",
            Activating => "activating",
            ActivatingDone => "activating-done",
            Active => "active",
            Deactivating => "deactivating",
            DeactivatingSigterm => "deactivating-sigterm",
            DeactivatingSigkill => "deactivating-sigkill",
            Failed => "failed",
            Cleaning => "cleaning",
        }
    }

    fn may_collect(&self) -> bool {
        self.used.is_none()
    }

    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        if swap(e, id).pending != Some(chain) {
            return;
        }
        swap_mut(e, id).pending = None;
        if std::mem::take(&mut swap_mut(e, id).signalling) {
            // Where the end of the signalling is not known, the state's timer goes on.
            if result.map_or_else(|error| u32::from(error.is_lost()), |output| output.alive) == 0
                && swap(e, id).control.is_none()
            {
                settle(e, id, MountResult::Success);
            }
            return;
        }
        match result {
            Ok(ChainOutput { pid: Some(pid), .. }) => {
                swap_mut(e, id).control = Some(pid);
                e.watch_pid(id, pid);
            }
            Err(ChainError { exit_status: Some(status), .. }) => command_ended(e, id, Exit::Status(status)),
            _ => settle(e, id, MountResult::Resources),
        }
    }

    fn process_exited(e: &mut Engine, id: UnitId, pid: Pid, exit: Exit) {
        if swap(e, id).control == Some(pid) {
            swap_mut(e, id).control = None;
            command_ended(e, id, exit);
        }
    }

    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        if which != TimerKind::State {
            return;
        }
        let sigkill = kill::send_sigkill(&e.unit(id).settings);
        let sub = e.unit(id).sub_state();
        say(e, id, 4, &format!("State '{sub}' timed out."));
        match swap(e, id).state {
            Activating | ActivatingDone | Deactivating => {
                enter_signal(e, id, DeactivatingSigterm, MountResult::Timeout)
            }
            DeactivatingSigterm if sigkill => enter_signal(e, id, DeactivatingSigkill, MountResult::Timeout),
            DeactivatingSigterm | DeactivatingSigkill => settle(e, id, MountResult::Timeout),
            _ => {}
        }
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if swap(e, id).state == Failed {
            set_state(e, id, Dead);
        }
        let s = swap_mut(e, id);
        s.result = MountResult::Success;
        s.clean_result = MountResult::Success;
    }

    fn processes(&self) -> (Option<Pid>, Option<Pid>) {
        (None, self.control)
    }

    fn result(&self) -> &'static str {
        self.result.as_str()
    }
}

/// Options without those that only fstab(5) knows.
fn swap_options(options: &str) -> String {
    let keep = |option: &&str| !matches!(*option, "nofail" | "noauto" | "auto" | "defaults" | "sw" | "");
    options.split(',').filter(keep).collect::<Vec<_>>().join(",")
}

fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    let path = what(e, id);
    let fits = UnitName::from_path(&path, UnitType::Swap).is_ok_and(|name| name == e.unit(id).name);
    if !fits {
        let why = "What= setting doesn't match unit name. Refusing.";
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    e.unit_mut(id).default_description = Some(path.clone());
    exec::need_mounts_for(e, id, &path, true, Origins::IMPLICIT);
    device_dependencies(e, id);
    if !path.starts_with("/dev/") {
        // The file system must be writable.
        let name = known_name("systemd-remount-fs.service");
        e.add_dependency_by_name(id, Dependency::After, &name, Origins::IMPLICIT);
    }
    exec::add_exec_dependencies(e, id);
    let applies =
        e.unit(id).settings.bool(ids::DEFAULT_DEPENDENCIES) && !e.config.user && !e.config.container;
    if applies {
        let all = [
            (Dependency::Before, "swap.target"),
            (Dependency::Before, "umount.target"),
            (Dependency::Conflicts, "umount.target"),
        ];
        for (kind, name) in all {
            e.add_dependency_by_name(id, kind, &known_name(name), Origins::DEFAULT);
        }
    }
    Ok(())
}

/// The device that the swap table names, while it is used, else the one of `What=`.
fn device_dependencies(e: &mut Engine, id: UnitId) {
    e.drop_dependencies(id, Origins::KERNEL_TABLE);
    let path = swap(e, id).used.as_ref().map(|(node, _)| node.clone());
    let path = path.unwrap_or_else(|| what(e, id));
    if !path.starts_with("/dev/") || !e.config.devices {
        return;
    }
    if let Ok(name) = UnitName::from_path(&path, UnitType::Device) {
        let device = e.ensure(&name);
        e.add_two(id, Dependency::Requires, Dependency::After, device, Origins::KERNEL_TABLE);
        super::mount_load::add_preparation(e, id, &path);
    }
}

fn set_state(e: &mut Engine, id: UnitId, new: SwapState) {
    let old = e.unit(id).active_state();
    swap_mut(e, id).state = new;
    if matches!(new, Dead | Active | Failed) {
        e.disarm(id, TimerKind::State);
        drop_control(e, id);
    }
    e.state_changed(id, old);
}

fn drop_control(e: &mut Engine, id: UnitId) {
    swap_mut(e, id).signalling = false;
    if let Some(chain) = swap_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    if let Some(pid) = swap_mut(e, id).control.take() {
        e.unwatch_pid(pid);
    }
}

fn note(e: &mut Engine, id: UnitId, result: MountResult) {
    let s = swap_mut(e, id);
    if s.result == MountResult::Success {
        s.result = result;
    }
}

fn arm_timeout(e: &mut Engine, id: UnitId) {
    let span = e.unit(id).settings.uint(ids::TIMEOUT_SEC);
    if span == NEVER { e.disarm(id, TimerKind::State) } else { e.arm_in(id, TimerKind::State, span) }
}

fn run(e: &mut Engine, id: UnitId, role: &'static str, argv: Vec<Rc<str>>) {
    drop_control(e, id);
    arm_timeout(e, id);
    let steps = exec::steps(e, id, plain_command(argv), role, Special::default(), true);
    let chain = e.chain(id, steps);
    swap_mut(e, id).pending = Some(chain);
}

fn command_ended(e: &mut Engine, id: UnitId, exit: Exit) {
    let result = MountResult::of(exit);
    if let Some((code, _)) = exec::exit_words(exit).filter(|_| result != MountResult::Success) {
        let text = format!("Swap process exited, code={code}, status={}", exec::exit_status_text(exit));
        say_with(e, id, 5, &text, exec::MESSAGE_PROCESS_EXIT, &[]);
    }
    settle(e, id, result);
}

/// Nothing runs any more: the swap table says where this ends.
fn settle(e: &mut Engine, id: UnitId, result: MountResult) {
    note(e, id, result);
    match swap(e, id).used {
        Some(_) => set_state(e, id, Active),
        None => enter_dead(e, id, MountResult::Success),
    }
}

fn enter_dead(e: &mut Engine, id: UnitId, result: MountResult) {
    note(e, id, result);
    let result = swap(e, id).result;
    if result != MountResult::Success {
        let text = format!("Failed with result '{}'.", result.as_str());
        say_with(e, id, 4, &text, exec::MESSAGE_UNIT_FAILURE, &[("UNIT_RESULT", result.as_str())]);
    }
    set_state(e, id, if result == MountResult::Success { Dead } else { Failed });
}

fn enter_signal(e: &mut Engine, id: UnitId, state: SwapState, result: MountResult) {
    note(e, id, result);
    if let Some(chain) = swap_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    let operation = if state == DeactivatingSigkill { Operation::Kill } else { Operation::Terminate };
    let control = swap(e, id).control;
    let step = control.and_then(|_| kill::step(e, id, operation, None, control));
    set_state(e, id, state);
    match step {
        Some(step) => {
            let chain = e.chain(id, vec![step]);
            swap_mut(e, id).pending = Some(chain);
            swap_mut(e, id).signalling = true;
            arm_timeout(e, id);
        }
        None => settle(e, id, MountResult::Success),
    }
}

/// The swap table (`/proc/swaps`) changed: what appears there is in use, whoever did it.
pub fn swap_table_changed(e: &mut Engine, table: Vec<SwapEntry>) {
    if e.config.container {
        return;
    }
    let used: Vec<UnitId> =
        e.units().filter(|unit| unit.unit_type() == UnitType::Swap).map(|unit| unit.id).collect();
    let old: BTreeSet<Rc<str>> =
        used.iter().filter_map(|id| Some(swap(e, *id).used.as_ref()?.0.clone())).collect();
    let new = table.iter().filter(|entry| entry.device).map(|entry| entry.what.clone()).collect();
    device::table_changed(e, device::Finder::Swap, &old, &new);
    let mut seen = Vec::new();
    for entry in &table {
        // All names of the device are names of the swap.
        for path in device::nodes(e, &entry.what) {
            let Ok(name) = UnitName::from_path(&path, UnitType::Swap) else { continue };
            let id = e.ensure(&name);
            seen.push(id);
            appeared(e, id, &entry.what, entry.priority);
        }
    }
    for id in used.into_iter().filter(|id| !seen.contains(id)) {
        if swap_mut(e, id).used.take().is_some() {
            device_dependencies(e, id);
            match swap(e, id).state {
                Active => enter_dead(e, id, MountResult::Success),
                ActivatingDone => set_state(e, id, Activating),
                _ => {}
            }
        }
    }
}

/// udev told more names of a device, which may be one that is used.
pub(super) fn device_named(e: &mut Engine, node: &str) {
    let Some(main) = UnitName::from_path(node, UnitType::Swap).ok().and_then(|name| e.find(&name)) else {
        return;
    };
    let Some((what, priority)) = swap(e, main).used.clone() else { return };
    for path in device::nodes(e, node) {
        if let Ok(name) = UnitName::from_path(&path, UnitType::Swap) {
            let id = e.ensure(&name);
            appeared(e, id, &what, priority);
        }
    }
}

fn appeared(e: &mut Engine, id: UnitId, node: &Rc<str>, priority: i32) {
    let before = swap_mut(e, id).used.replace((node.clone(), priority));
    if before.is_none_or(|(old, _)| old != *node) {
        device_dependencies(e, id);
    }
    match swap(e, id).state {
        Dead | Failed => {
            e.new_invocation(id);
            swap_mut(e, id).result = MountResult::Success;
            set_state(e, id, Active);
        }
        Activating => set_state(e, id, ActivatingDone),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_world::World;
    use super::*;

    fn table(w: &mut World, paths: &[&str]) {
        let entry = |path: &&str| SwapEntry { what: (*path).into(), device: false, priority: -2 };
        let entries = paths.iter().map(entry).collect();
        w.with(|e| swap_table_changed(e, entries));
    }

    fn world() -> (World, UnitId) {
        let mut w = World::new();
        let id = w.unit("swapfile.swap", &["What=/swapfile", "Priority=3"]);
        w.start(id).unwrap();
        assert_eq!(w.sub(id), "activating");
        (w, id)
    }

    #[test]
    fn swaps_on_and_off() {
        let (mut w, id) = world();
        let argv: Vec<_> = w.last_spawn().command.argv.iter().map(|arg| &**arg).collect();
        assert_eq!(argv, ["/usr/sbin/swapon", "-o", "pri=3", "/swapfile"]);
        table(&mut w, &["/swapfile"]);
        assert_eq!(w.sub(id), "activating-done");
        w.done(id, "/usr/sbin/swapon");
        assert_eq!(w.sub(id), "active");
        w.stop(id).unwrap();
        assert_eq!(w.sub(id), "deactivating");
        table(&mut w, &[]);
        w.done(id, "/usr/sbin/swapoff");
        assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
    }

    #[test]
    fn a_failed_helper_fails_it() {
        let (mut w, id) = world();
        w.exit(id, "/usr/sbin/swapon", Exit::Status(255));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "exit-code"));
        w.with(|e| Swap::reset_failed(e, id));
        assert_eq!(w.sub(id), "dead");
    }

    #[test]
    fn a_hanging_helper_is_killed() {
        let (mut w, id) = world();
        w.elapse(id, TimerKind::State);
        assert_eq!(w.sub(id), "deactivating-sigterm");
        w.elapse(id, TimerKind::State);
        assert_eq!(w.sub(id), "deactivating-sigkill");
        w.exit(id, "/usr/sbin/swapon", Exit::Killed(9));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
    }

    #[test]
    fn the_table_is_followed() {
        let mut w = World::new();
        table(&mut w, &["/dev/sda2"]);
        let id = w.e.find(&known_name("dev-sda2.swap")).unwrap();
        assert_eq!(w.sub(id), "active");
        table(&mut w, &[]);
        assert_eq!(w.sub(id), "dead");
    }
}
