//! Mounts (systemd.mount(5)).
//!
//! # State table
//!
//! | state | what happens | goes to |
//! |---|---|---|
//! | `dead`, `failed` | it is not mounted | a start job: `mounting`; it appears in the mount table: `mounted` |
//! | `mounting` | mount(8) runs | it appears in the mount table: `mounting-done`; mount(8) ends without: `failed` with `protocol` |
//! | `mounting-done` | mounted, but mount(8) still runs | it ends: `mounted` |
//! | `mounted` | | a stop job: `unmounting`; a reload job: `remounting`; it is gone from the table: `dead` |
//! | `remounting` | mount(8) with `remount` runs | it ends: `mounted`; time-out: `remounting-sigterm` |
//! | `remounting-sigterm`, `remounting-sigkill` | mount(8) is signalled | it is gone: `mounted` |
//! | `unmounting` | umount(8) runs | it ends: `dead`, or `mounted` when that failed; again when another mount was below |
//! | `unmounting-sigterm`, `unmounting-sigkill` | mount(8) or umount(8) is signalled | it is gone: `dead` or `mounted` |
//!
//! `mount_load` adds dependencies, `mount_table` follows `/proc/self/mountinfo`.
use super::exec::{self, Special, say, say_with};
use super::kill::{self, Operation};
use super::{ActiveState, LoadProblem, Machine, Refusal, mount_load};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::NEVER;
use crate::engine::effect::{ChainId, Command, Step, UnitId};
use crate::engine::event::{ChainError, ChainOutput, Exit, MountEntry, Pid};
use crate::engine::timers::TimerKind;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

pub use super::mount_table::mount_table_changed;

/// `SubState` of mounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum MountState {
    #[default]
    Dead,
    Mounting,
    MountingDone,
    Mounted,
    Remounting,
    Unmounting,
    RemountingSigterm,
    RemountingSigkill,
    UnmountingSigterm,
    UnmountingSigkill,
    Failed,
    Cleaning,
}

use MountState::*;

/// `Result` of mounts and swaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum MountResult {
    #[default]
    Success,
    Resources,
    Timeout,
    ExitCode,
    Signal,
    CoreDump,
    StartLimitHit,
    Protocol,
}

impl MountResult {
    /// The word clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            MountResult::Success => "success",
            MountResult::Resources => "resources",
            MountResult::Timeout => "timeout",
            MountResult::ExitCode => "exit-code",
            MountResult::Signal => "signal",
            MountResult::CoreDump => "core-dump",
            MountResult::StartLimitHit => "start-limit-hit",
            MountResult::Protocol => "protocol",
        }
    }

    /// What the end of a helper program means.
    pub(super) fn of(exit: Exit) -> MountResult {
        match exit {
            Exit::Status(0) | Exit::Unknown => MountResult::Success,
            Exit::Status(_) => MountResult::ExitCode,
            Exit::Killed(_) => MountResult::Signal,
            Exit::Dumped(_) => MountResult::CoreDump,
        }
    }
}

/// A line of the mount table, as the properties show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// `What`.
    pub what: Rc<str>,
    /// `Options`.
    pub options: Rc<str>,
    /// `Type`.
    pub fstype: Rc<str>,
}

impl From<&MountEntry> for Mounted {
    fn from(entry: &MountEntry) -> Mounted {
        Mounted { what: entry.source.clone(), options: entry.options.clone(), fstype: entry.fstype.clone() }
    }
}

/// Run-time state of a mount.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is.
    pub state: MountState,
    /// `Result`.
    pub result: MountResult,
    /// `ReloadResult`.
    pub reload_result: MountResult,
    /// `CleanResult`.
    pub clean_result: MountResult,
    /// Its line in the mount table, while it is there.
    pub mounted: Option<Mounted>,
    /// `ControlPID`.
    pub control: Option<Pid>,
    /// The last `ExecMount`, `ExecUnmount`, `ExecRemount` as run.
    pub last_command: Option<(Rc<str>, Vec<Rc<str>>)>,
    pending: Option<ChainId>,
    signalling: bool,
    /// How often umount(8) was repeated for mounts stacked on each other.
    retries: u32,
}

/// So many stacked mounts are unmounted by one stop job.
const RETRIES_MAX: u32 = 32;

pub(super) fn mount(e: &Engine, id: UnitId) -> &Mount {
    e.machine::<Mount>(id)
}

pub(super) fn mount_mut(e: &mut Engine, id: UnitId) -> &mut Mount {
    e.machine_mut::<Mount>(id)
}

/// `Where=`, or what the name says.
pub fn mount_point(e: &Engine, id: UnitId) -> Rc<str> {
    let unit = e.unit(id);
    match unit.settings.text(ids::WHERE) {
        Some(path) => path.into(),
        None => unit.name.to_path().unwrap_or_default().into(),
    }
}

impl Machine for Mount {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        mount_load::loaded(e, id)
    }

    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(mount(e, id).state, Dead | Failed) && e.start_limit_hit(id) {
            enter_dead(e, id, MountResult::StartLimitHit);
            return Err(Refusal::StartLimit);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match mount(e, id).state {
            Dead | Failed => {}
            Mounting | MountingDone => return Ok(()),
            Mounted => return Err(Refusal::Already),
            _ => return Err(Refusal::Again),
        }
        e.new_invocation(id);
        let m = mount_mut(e, id);
        m.result = MountResult::Success;
        m.reload_result = MountResult::Success;
        m.retries = 0;
        enter_mounting(e, id);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match mount(e, id).state {
            Dead | Failed => return Err(Refusal::Already),
            Mounted => {
                mount_mut(e, id).retries = 0;
                enter_unmounting(e, id);
            }
            Mounting | MountingDone | Remounting | RemountingSigterm => {
                enter_signal(e, id, UnmountingSigterm, MountResult::Success)
            }
            RemountingSigkill => enter_signal(e, id, UnmountingSigkill, MountResult::Success),
            _ => {}
        }
        Ok(())
    }

    fn reload(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if mount(e, id).state != Mounted {
            return Err(Refusal::Invalid);
        }
        mount_mut(e, id).reload_result = MountResult::Success;
        let mut command = parameters(e, id);
        let options = command.2.take().filter(|options| !options.is_empty());
        let options = options.map_or_else(|| "remount".to_owned(), |options| format!("remount,{options}"));
        command.2 = Some(options);
        run(e, id, "ExecRemount", mount_command(e, id, command), Vec::new());
        set_state(e, id, Remounting);
        Ok(())
    }

    fn can_reload(_: &Engine, _: UnitId) -> bool {
        true
    }

    fn exists_without_file(e: &mut Engine, id: UnitId) -> bool {
        mount(e, id).mounted.is_some() || e.unit(id).perpetual
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            Dead => ActiveState::Inactive,
            Mounting | MountingDone => ActiveState::Activating,
            Mounted => ActiveState::Active,
            Remounting | RemountingSigterm | RemountingSigkill => ActiveState::Reloading,
            Unmounting | UnmountingSigterm | UnmountingSigkill => ActiveState::Deactivating,
            Failed => ActiveState::Failed,
            Cleaning => ActiveState::Maintenance,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            Dead => "dead",
            Mounting => "mounting",
            MountingDone => "mounting-done",
            Mounted => "mounted",
            Remounting => "remounting",
            Unmounting => "unmounting",
            RemountingSigterm => "remounting-sigterm",
            RemountingSigkill => "remounting-sigkill",
            UnmountingSigterm => "unmounting-sigterm",
            UnmountingSigkill => "unmounting-sigkill",
            Failed => "failed",
            Cleaning => "cleaning",
        }
    }

    fn may_collect(&self) -> bool {
        self.mounted.is_none()
    }

    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        if mount(e, id).pending != Some(chain) {
            return;
        }
        mount_mut(e, id).pending = None;
        if std::mem::take(&mut mount_mut(e, id).signalling) {
            // Where the end of the signalling is not known, the state's timer goes on.
            if result.map_or_else(|error| u32::from(error.is_lost()), |output| output.alive) == 0
                && mount(e, id).control.is_none()
            {
                settle(e, id, MountResult::Success);
            }
            return;
        }
        match result {
            Ok(ChainOutput { pid: Some(pid), .. }) => {
                mount_mut(e, id).control = Some(pid);
                e.watch_pid(id, pid);
            }
            Err(ChainError { exit_status: Some(status), .. }) => command_ended(e, id, Exit::Status(status)),
            Err(error) => {
                say(e, id, 4, &format!("Failed to run the mount helper: {}", error.message));
                settle(e, id, MountResult::Resources);
            }
            Ok(_) => settle(e, id, MountResult::Resources),
        }
    }

    fn process_exited(e: &mut Engine, id: UnitId, pid: Pid, exit: Exit) {
        if mount(e, id).control == Some(pid) {
            mount_mut(e, id).control = None;
            command_ended(e, id, exit);
        }
    }

    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        if which == TimerKind::State {
            timed_out(e, id);
        }
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if mount(e, id).state == Failed {
            set_state(e, id, Dead);
        }
        let m = mount_mut(e, id);
        m.result = MountResult::Success;
        m.reload_result = MountResult::Success;
        m.clean_result = MountResult::Success;
    }

    fn processes(&self) -> (Option<Pid>, Option<Pid>) {
        (None, self.control)
    }

    fn result(&self) -> &'static str {
        self.result.as_str()
    }
}

pub(super) fn set_state(e: &mut Engine, id: UnitId, new: MountState) {
    let old = e.unit(id).active_state();
    mount_mut(e, id).state = new;
    if matches!(new, Dead | Mounted | Failed) {
        e.disarm(id, TimerKind::State);
        drop_control(e, id);
    }
    let ok = mount(e, id).reload_result == MountResult::Success;
    e.state_changed_by_reload(id, old, ok);
}

fn drop_control(e: &mut Engine, id: UnitId) {
    mount_mut(e, id).signalling = false;
    if let Some(chain) = mount_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    if let Some(pid) = mount_mut(e, id).control.take() {
        e.unwatch_pid(pid);
    }
}

fn note(e: &mut Engine, id: UnitId, result: MountResult) {
    let m = mount_mut(e, id);
    if m.result == MountResult::Success {
        m.result = result;
    }
}

fn arm_timeout(e: &mut Engine, id: UnitId) {
    let span = e.unit(id).settings.uint(ids::TIMEOUT_SEC);
    if span == NEVER { e.disarm(id, TimerKind::State) } else { e.arm_in(id, TimerKind::State, span) }
}

/// What, type and options: of the unit's file, else of the mount table.
type Parameters = (Rc<str>, Option<Rc<str>>, Option<String>);

fn parameters(e: &Engine, id: UnitId) -> Parameters {
    let unit = e.unit(id);
    let (s, table) = (&unit.settings, mount(e, id).mounted.as_ref());
    if s.text(ids::WHAT).is_none()
        && let Some(line) = table
    {
        return (line.what.clone(), Some(line.fstype.clone()), Some(line.options.to_string()));
    }
    let what = s.text(ids::WHAT).unwrap_or("none").into();
    let fstype = s.text(ids::MOUNT_TYPE).filter(|kind| *kind != "auto").map(Rc::from);
    (what, fstype, s.text(ids::OPTIONS).map(mount_options))
}

/// Options without those that only fstab(5) knows.
fn mount_options(options: &str) -> String {
    let keep = |option: &&str| !matches!(*option, "nofail" | "fail" | "noauto" | "auto" | "");
    options.split(',').filter(keep).collect::<Vec<_>>().join(",")
}

fn mount_command(e: &Engine, id: UnitId, (what, fstype, options): Parameters) -> Command {
    let s = &e.unit(id).settings;
    let mut argv: Vec<Rc<str>> = vec!["/usr/bin/mount".into(), what, mount_point(e, id)];
    if s.bool(ids::SLOPPY_OPTIONS) {
        argv.push("-s".into());
    }
    if s.bool(ids::READ_WRITE_ONLY) {
        argv.push("-w".into());
    }
    if let Some(fstype) = fstype {
        argv.extend(["-t".into(), fstype]);
    }
    if let Some(options) = options.filter(|options| !options.is_empty()) {
        argv.extend(["-o".into(), options.into()]);
    }
    plain_command(argv)
}

/// A command line that is taken as it is.
pub(super) fn plain_command(argv: Vec<Rc<str>>) -> Command {
    Command {
        path: argv.first().cloned().unwrap_or_else(|| "".into()),
        argv: argv.into(),
        ignore_failure: false,
        full_privileges: false,
        no_setuid: false,
        no_env_expand: true,
        via_shell: false,
    }
}

fn run(e: &mut Engine, id: UnitId, role: &'static str, command: Command, before: Vec<Step>) {
    drop_control(e, id);
    arm_timeout(e, id);
    mount_mut(e, id).last_command = Some((role.into(), command.argv.to_vec()));
    let mut steps = before;
    steps.extend(exec::steps(e, id, command, role, Special::default(), true));
    let chain = e.chain(id, steps);
    mount_mut(e, id).pending = Some(chain);
}

fn enter_mounting(e: &mut Engine, id: UnitId) {
    let command = parameters(e, id);
    let mode = u32::try_from(e.unit(id).settings.uint(ids::DIRECTORY_MODE)).unwrap_or(0o755);
    let is_bind = mount_load::is_bind(&e.unit(id).settings) && command.0.starts_with('/');
    let source = is_bind.then(|| command.0.clone());
    let before = vec![Step::MakeMountPoint { path: mount_point(e, id), source, mode }];
    run(e, id, "ExecMount", mount_command(e, id, command), before);
    set_state(e, id, Mounting);
}

fn enter_unmounting(e: &mut Engine, id: UnitId) {
    let s: Settings = e.unit(id).settings.clone();
    let mut argv: Vec<Rc<str>> = vec!["/usr/bin/umount".into(), mount_point(e, id), "-c".into()];
    if s.bool(ids::LAZY_UNMOUNT) {
        argv.push("-l".into());
    }
    if s.bool(ids::FORCE_UNMOUNT) {
        argv.push("-f".into());
    }
    run(e, id, "ExecUnmount", plain_command(argv), Vec::new());
    set_state(e, id, Unmounting);
}

fn command_ended(e: &mut Engine, id: UnitId, exit: Exit) {
    let result = MountResult::of(exit);
    let state = mount(e, id).state;
    if matches!(state, Remounting | RemountingSigterm | RemountingSigkill) {
        mount_mut(e, id).reload_result = result;
    } else if state != Unmounting {
        note(e, id, result);
    }
    if let Some((code, _)) = exec::exit_words(exit).filter(|_| result != MountResult::Success) {
        let text = format!("Mount process exited, code={code}, status={}", exec::exit_status_text(exit));
        say_with(e, id, 5, &text, exec::MESSAGE_PROCESS_EXIT, &[]);
    }
    match state {
        Mounting if result == MountResult::Success => {
            say(e, id, 4, "Mount process finished, but there is no mount.");
            settle(e, id, MountResult::Protocol);
        }
        Unmounting => unmounted(e, id, result),
        MountingDone if mount(e, id).mounted.is_some() => set_state(e, id, Mounted),
        _ => settle(e, id, result),
    }
}

/// umount(8) ended.
fn unmounted(e: &mut Engine, id: UnitId, result: MountResult) {
    let still = mount(e, id).mounted.is_some();
    if still && result == MountResult::Success {
        // Another mount was below.
        if mount(e, id).retries < RETRIES_MAX {
            mount_mut(e, id).retries += 1;
            return enter_unmounting(e, id);
        }
        say(e, id, 4, "Mount still present after many tries to unmount, giving up.");
        return set_state(e, id, Mounted);
    }
    // The failure does not matter when the mount is gone.
    settle(e, id, if still { result } else { MountResult::Success });
}

/// Nothing runs any more: the mount table says where this ends.
fn settle(e: &mut Engine, id: UnitId, result: MountResult) {
    if matches!(mount(e, id).state, Remounting | RemountingSigterm | RemountingSigkill) {
        if result != MountResult::Success {
            mount_mut(e, id).reload_result = result;
        }
    } else {
        note(e, id, result);
    }
    match mount(e, id).mounted {
        Some(_) => set_state(e, id, Mounted),
        None => enter_dead(e, id, MountResult::Success),
    }
}

pub(super) fn enter_dead(e: &mut Engine, id: UnitId, result: MountResult) {
    note(e, id, result);
    let result = mount(e, id).result;
    if result == MountResult::Success {
        say_with(e, id, 6, "Deactivated successfully.", exec::MESSAGE_UNIT_SUCCESS, &[]);
    } else {
        let text = format!("Failed with result '{}'.", result.as_str());
        say_with(e, id, 4, &text, exec::MESSAGE_UNIT_FAILURE, &[("UNIT_RESULT", result.as_str())]);
    }
    set_state(e, id, if result == MountResult::Success { Dead } else { Failed });
}

fn enter_signal(e: &mut Engine, id: UnitId, state: MountState, result: MountResult) {
    if matches!(state, RemountingSigterm | RemountingSigkill) {
        if result != MountResult::Success {
            mount_mut(e, id).reload_result = result;
        }
    } else {
        note(e, id, result);
    }
    if let Some(chain) = mount_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    let operation = match state {
        RemountingSigkill | UnmountingSigkill => Operation::Kill,
        _ => Operation::Terminate,
    };
    let control = mount(e, id).control;
    let step = control.and_then(|_| kill::step(e, id, operation, None, control));
    set_state(e, id, state);
    match step {
        Some(step) => {
            let chain = e.chain(id, vec![step]);
            mount_mut(e, id).pending = Some(chain);
            mount_mut(e, id).signalling = true;
            arm_timeout(e, id);
        }
        None => settle(e, id, MountResult::Success),
    }
}

fn timed_out(e: &mut Engine, id: UnitId) {
    let timeout = MountResult::Timeout;
    let sigkill = kill::send_sigkill(&e.unit(id).settings);
    let sub = e.unit(id).sub_state();
    say(e, id, 4, &format!("State '{sub}' timed out."));
    match mount(e, id).state {
        Mounting | MountingDone | Unmounting => enter_signal(e, id, UnmountingSigterm, timeout),
        Remounting => enter_signal(e, id, RemountingSigterm, timeout),
        RemountingSigterm if sigkill => enter_signal(e, id, RemountingSigkill, timeout),
        UnmountingSigterm if sigkill => enter_signal(e, id, UnmountingSigkill, timeout),
        RemountingSigterm | RemountingSigkill | UnmountingSigterm | UnmountingSigkill => {
            settle(e, id, timeout)
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_world::World;
    use super::*;

    fn table(w: &mut World, targets: &[&str]) {
        let entry = |target: &&str| MountEntry {
            device: false,
            target: (*target).into(),
            source: "tmpfs".into(),
            fstype: "tmpfs".into(),
            options: "rw".into(),
        };
        let entries = targets.iter().map(entry).collect();
        w.with(|e| mount_table_changed(e, entries));
    }

    fn world() -> (World, UnitId) {
        let mut w = World::new();
        let id =
            w.unit("mnt-x.mount", &["What=tmpfs", "Where=/mnt/x", "Type=tmpfs", "Options=nofail,mode=700"]);
        (w, id)
    }

    fn mounted() -> (World, UnitId) {
        let (mut w, id) = world();
        w.start(id).unwrap();
        table(&mut w, &["/mnt/x"]);
        assert_eq!(w.sub(id), "mounting-done");
        w.done(id, "/usr/bin/mount");
        assert_eq!(w.sub(id), "mounted");
        (w, id)
    }

    #[test]
    fn what_vanished_between_two_images_is_noticed() {
        let (mut w, id) = mounted();
        // A new image knows its units, but has seen no table yet.
        w.with(|e| drop(e.replace_mount_table(Vec::new())));
        table(&mut w, &["/mnt/other"]);
        assert_eq!(w.sub(id), "dead");
    }

    #[test]
    fn mounts_and_unmounts_by_helper_programs() {
        let (mut w, id) = mounted();
        let argv: Vec<_> = w.last_spawn().command.argv.iter().map(|arg| &**arg).collect();
        assert_eq!(argv, ["/usr/bin/mount", "tmpfs", "/mnt/x", "-t", "tmpfs", "-o", "mode=700"]);
        w.stop(id).unwrap();
        assert_eq!(w.sub(id), "unmounting");
        table(&mut w, &[]);
        w.done(id, "/usr/bin/umount");
        assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
    }

    #[test]
    fn only_bind_mounts_have_a_source_that_decides_what_is_mounted_on() {
        let source = |lines: &[&str]| {
            let mut w = World::new();
            let id = w.unit("mnt-x.mount", &[&["Where=/mnt/x"], lines].concat());
            w.start(id).unwrap();
            let point = w.steps.iter().find_map(|step| match step {
                Step::MakeMountPoint { path, source, mode } if &**path == "/mnt/x" => {
                    Some((source.as_deref().map(str::to_owned), *mode))
                }
                _ => None,
            });
            point.expect("a mount point is made")
        };
        let bind = ["What=/etc/motd", "Type=none", "Options=bind", "DirectoryMode=448"];
        assert_eq!(source(&bind), (Some("/etc/motd".into()), 0o700));
        assert_eq!(source(&["What=/dev/vda", "Type=ext4"]).0, None);
    }

    #[test]
    fn a_helper_that_mounted_nothing_broke_the_protocol() {
        let (mut w, id) = world();
        w.start(id).unwrap();
        assert_eq!(w.sub(id), "mounting");
        w.done(id, "/usr/bin/mount");
        assert_eq!((w.sub(id), w.result(id)), ("failed", "protocol"));
        w.with(|e| Mount::reset_failed(e, id));
        assert_eq!(w.sub(id), "dead");
    }

    #[test]
    fn a_failed_helper_fails_the_mount() {
        let (mut w, id) = world();
        w.start(id).unwrap();
        w.exit(id, "/usr/bin/mount", Exit::Status(32));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "exit-code"));
    }

    #[test]
    fn stacked_mounts_are_unmounted_one_after_the_other() {
        let (mut w, id) = mounted();
        w.stop(id).unwrap();
        w.done(id, "/usr/bin/umount");
        assert_eq!(w.sub(id), "unmounting");
        w.exit(id, "/usr/bin/umount", Exit::Status(32));
        assert_eq!(w.sub(id), "mounted");
    }

    #[test]
    fn the_table_is_followed() {
        let mut w = World::new();
        let name = crate::names::UnitName::parse("mnt-y.mount").unwrap();
        table(&mut w, &["/mnt/y", "/proc"]);
        let id = w.e.find(&name).unwrap();
        assert_eq!(
            (w.sub(id), w.machine::<Mount>(id).mounted.as_ref().map(|m| &*m.what)),
            ("mounted", Some("tmpfs"))
        );
        assert!(w.e.find(&crate::names::UnitName::parse("proc.mount").unwrap()).is_none());
        table(&mut w, &["/proc"]);
        assert_eq!(w.sub(id), "dead");
    }

    #[test]
    fn remounting_keeps_its_own_result() {
        let (mut w, id) = mounted();
        w.reload(id).unwrap();
        assert_eq!(w.sub(id), "remounting");
        assert!(w.last_spawn().command.argv.iter().any(|arg| &**arg == "remount,mode=700"));
        w.elapse(id, TimerKind::State);
        assert_eq!(w.sub(id), "remounting-sigterm");
        w.elapse(id, TimerKind::State);
        assert_eq!(w.sub(id), "remounting-sigkill");
        w.exit(id, "/usr/bin/mount", Exit::Killed(9));
        let m = w.machine::<Mount>(id);
        assert_eq!(
            (w.sub(id), m.result, m.reload_result),
            ("mounted", MountResult::Success, MountResult::Signal)
        );
    }

    #[test]
    fn a_hanging_helper_is_killed() {
        let (mut w, id) = world();
        w.start(id).unwrap();
        w.elapse(id, TimerKind::State);
        assert_eq!(w.sub(id), "unmounting-sigterm");
        w.elapse(id, TimerKind::State);
        assert_eq!(w.sub(id), "unmounting-sigkill");
        w.exit(id, "/usr/bin/mount", Exit::Killed(9));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "timeout"));
    }
}
