//! Automounts (systemd.automount(5)).
//!
//! # State table
//!
//! | state | what happens | goes to |
//! |---|---|---|
//! | `dead`, `failed` | no autofs is mounted | a start job mounts it: `waiting` |
//! | `waiting` | autofs is mounted | somebody goes below it: `running`; a stop job: `dead` |
//! | `running` | the mount unit is being started, or is up | that unit is down: `waiting`; it cannot be started any more: `failed` |
//!
//! Processes that go below the mount point wait in the kernel until their request is answered: with 0 when the mount is up,
//! with `ENODEV` when it cannot be, with `EHOSTDOWN` when the automount goes away.
use super::exec::{self, has_job, known_name, say};
use super::{ActiveState, LoadProblem, Machine, Refusal, mount, mount_load};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::NEVER;
use crate::engine::effect::{ChainId, Effect, Failure, FdId, JobMode, JobType, Step, UnitId};
use crate::engine::event::{AutomountRequest, ChainError, ChainOutput};
use crate::engine::timers::TimerKind;
use crate::graph::{Dependency, Origins};
use crate::names::{UnitName, UnitType};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// `SubState` of automounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum AutomountState {
    #[default]
    Dead,
    Waiting,
    Running,
    Failed,
}

/// `Result` of automounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum AutomountResult {
    #[default]
    Success,
    Resources,
    StartLimitHit,
    MountStartLimitHit,
    Unmounted,
}

/// Run-time state of an automount.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Automount {
    /// Where it is.
    pub state: AutomountState,
    /// `Result`.
    pub result: AutomountResult,
    /// The kernel's pipe.
    pub pipe: Option<FdId>,
    /// Processes that wait for the mount.
    pub tokens: Vec<u32>,
    /// Requests to expire that wait for the unmount.
    pub expire_tokens: Vec<u32>,
    pending: Option<ChainId>,
}

const ENODEV: i32 = 19;
const EHOSTDOWN: i32 = 112;

fn automount(e: &Engine, id: UnitId) -> &Automount {
    e.machine::<Automount>(id)
}

fn automount_mut(e: &mut Engine, id: UnitId) -> &mut Automount {
    e.machine_mut::<Automount>(id)
}

fn place(e: &Engine, id: UnitId) -> Rc<str> {
    let unit = e.unit(id);
    match unit.settings.text(ids::WHERE) {
        Some(path) => path.into(),
        None => unit.name.to_path().unwrap_or_default().into(),
    }
}

impl Machine for Automount {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        loaded(e, id)
    }

    fn reloaded(e: &mut Engine, id: UnitId) {
        if let (Some(fd), None) = (automount(e, id).pipe, automount(e, id).pending) {
            e.emit(Effect::PollFd { fd, on: true, accept: false });
        }
    }

    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(automount(e, id).state, AutomountState::Dead | AutomountState::Failed)
            && e.start_limit_hit(id)
        {
            enter_dead(e, id, AutomountResult::StartLimitHit);
            return Err(Refusal::StartLimit);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if !matches!(automount(e, id).state, AutomountState::Dead | AutomountState::Failed) {
            return Err(Refusal::Already);
        }
        let unit = triggered_unit(e, id);
        if unit.is_none_or(|unit| !e.is_loaded(unit)) {
            say(e, id, 3, "Unit to trigger vanished.");
            return Err(Refusal::Failed);
        }
        let path = place(e, id);
        if unit.is_some_and(|unit| e.machine::<mount::Mount>(unit).mounted.is_some()) {
            say(e, id, 3, &format!("Path {path} is already a mount point, refusing start."));
            return Err(Refusal::Failed);
        }
        e.new_invocation(id);
        let fd = e.new_fd();
        e.own_fd(fd, id);
        let s = &e.unit(id).settings;
        let step = Step::MountAutofs {
            path,
            mode: u32::try_from(s.uint(ids::DIRECTORY_MODE)).unwrap_or(0o755),
            options: s.text(ids::EXTRA_OPTIONS).unwrap_or("").into(),
            idle: s.uint(ids::TIMEOUT_IDLE_SEC),
            fd,
        };
        let chain = e.chain(id, vec![step]);
        let a = automount_mut(e, id);
        a.result = AutomountResult::Success;
        a.pipe = Some(fd);
        a.pending = Some(chain);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        let a = automount(e, id);
        if matches!(a.state, AutomountState::Dead | AutomountState::Failed) && a.pending.is_none() {
            return Err(Refusal::Already);
        }
        enter_dead(e, id, AutomountResult::Success);
        Ok(())
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            AutomountState::Dead => ActiveState::Inactive,
            AutomountState::Failed => ActiveState::Failed,
            _ => ActiveState::Active,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            AutomountState::Dead => "dead",
            AutomountState::Waiting => "waiting",
            AutomountState::Running => "running",
            AutomountState::Failed => "failed",
        }
    }

    fn may_collect(&self) -> bool {
        self.pipe.is_none()
    }

    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        if automount(e, id).pending != Some(chain) {
            return;
        }
        automount_mut(e, id).pending = None;
        match (result, automount(e, id).pipe) {
            (Ok(_), Some(fd)) => {
                e.emit(Effect::PollFd { fd, on: true, accept: false });
                set_state(e, id, AutomountState::Waiting);
            }
            (Err(error), _) => {
                say(e, id, 3, &format!("Failed to initialize automounter: {}", error.message));
                enter_dead(e, id, AutomountResult::Resources);
            }
            (Ok(_), None) => enter_dead(e, id, AutomountResult::Resources),
        }
    }

    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        let Some(fd) = automount(e, id).pipe else { return };
        if which == TimerKind::Idle && automount(e, id).state == AutomountState::Running {
            e.emit(Effect::AutomountExpire(fd));
            watch_idle(e, id);
        }
    }

    fn fd_ready(e: &mut Engine, id: UnitId, _: FdId, hangup: bool) {
        if hangup && automount(e, id).pipe.is_some() {
            say(
                e,
                id,
                3,
                "Got hangup/error on autofs pipe from kernel. Likely our automount point has been unmounted by someone or something else?",
            );
            enter_dead(e, id, AutomountResult::Unmounted);
        }
    }

    fn automount(e: &mut Engine, id: UnitId, request: &AutomountRequest) {
        let Some(unit) = triggered_unit(e, id) else {
            return answer_one(e, id, request.token, ENODEV);
        };
        if request.expire {
            automount_mut(e, id).expire_tokens.push(request.token);
            return e.enqueue_start_by(unit, JobType::Stop, JobMode::Replace, Some(id));
        }
        say(e, id, 7, &format!("Got automount request for {}, triggered by {}", place(e, id), request.pid));
        if has_job(e, id, &[JobType::Stop]) {
            say(e, id, 7, "Suppressing automount request since unit stop is scheduled.");
            return answer_one(e, id, request.token, EHOSTDOWN);
        }
        automount_mut(e, id).tokens.push(request.token);
        if e.machine::<mount::Mount>(unit).mounted.is_some() {
            answer(e, id, 0);
        } else {
            e.enqueue_start_by(unit, JobType::Start, JobMode::Replace, Some(id));
        }
        set_state(e, id, AutomountState::Running);
    }

    fn triggered(e: &mut Engine, id: UnitId, by: UnitId) {
        if !matches!(automount(e, id).state, AutomountState::Waiting | AutomountState::Running) {
            return;
        }
        let unit = e.unit(by);
        let (state, limit) = (unit.active_state(), unit.start_limit_was_hit);
        if limit && state.is_down() {
            return enter_dead(e, id, AutomountResult::MountStartLimitHit);
        }
        if state.is_up() {
            answer(e, id, 0);
            answer_expired(e, id, ENODEV);
            if automount(e, id).state == AutomountState::Waiting {
                set_state(e, id, AutomountState::Running);
            }
        } else if state.is_down() && !has_job(e, by, &[JobType::Start, JobType::Restart]) {
            answer(e, id, ENODEV);
            answer_expired(e, id, 0);
            if automount(e, id).state == AutomountState::Running {
                set_state(e, id, AutomountState::Waiting);
            }
        }
    }

    fn trigger_refused(e: &mut Engine, id: UnitId, _: UnitId, failure: &Failure) {
        say(e, id, 4, &format!("Failed to queue mount job: {}", failure.message));
        answer(e, id, ENODEV);
        answer_expired(e, id, ENODEV);
        if automount(e, id).state == AutomountState::Running {
            enter_dead(e, id, AutomountResult::Resources);
        }
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if automount(e, id).state == AutomountState::Failed {
            set_state(e, id, AutomountState::Dead);
        }
        automount_mut(e, id).result = AutomountResult::Success;
    }

    fn removed(e: &mut Engine, id: UnitId) {
        close(e, id);
    }

    fn result(&self) -> &'static str {
        match self.result {
            AutomountResult::Success => "success",
            AutomountResult::Resources => "resources",
            AutomountResult::StartLimitHit => "start-limit-hit",
            AutomountResult::MountStartLimitHit => "mount-start-limit-hit",
            AutomountResult::Unmounted => "unmounted",
        }
    }
}

fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    let path = place(e, id);
    let fits = UnitName::from_path(&path, UnitType::Automount).is_ok_and(|name| name == e.unit(id).name);
    let why = match (&*path, fits) {
        ("/", _) => Some("Cannot have an automount unit for the root directory. Refusing."),
        (_, false) => Some("Where= setting doesn't match unit name. Refusing."),
        _ => None,
    };
    if let Some(why) = why {
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    if let Ok(name) = e.unit(id).name.with_type(UnitType::Mount) {
        let unit = e.ensure(&name);
        e.add_two(id, Dependency::Before, Dependency::Triggers, unit, Origins::IMPLICIT);
    }
    if let Some((parent, _)) = path.rsplit_once('/') {
        exec::need_mounts_for(e, id, if parent.is_empty() { "/" } else { parent }, true, Origins::IMPLICIT);
    }
    if e.unit(id).settings.bool(ids::DEFAULT_DEPENDENCIES)
        && !e.config.user
        && !mount_load::is_extrinsic(&path)
    {
        let all = [
            (Dependency::Before, "local-fs.target"),
            (Dependency::After, "local-fs-pre.target"),
            (Dependency::Before, "umount.target"),
            (Dependency::Conflicts, "umount.target"),
        ];
        for (kind, name) in all {
            e.add_dependency_by_name(id, kind, &known_name(name), Origins::DEFAULT);
        }
    }
    Ok(())
}

fn triggered_unit(e: &Engine, id: UnitId) -> Option<UnitId> {
    e.unit(id).dependencies(Dependency::Triggers).next()
}

/// While it is mounted the kernel is asked a few times in each `TimeoutIdleSec=` whether that passed without use.
fn watch_idle(e: &mut Engine, id: UnitId) {
    let idle = e.unit(id).settings.uint(ids::TIMEOUT_IDLE_SEC);
    if idle != 0 && idle != NEVER {
        e.arm_in(id, TimerKind::Idle, (idle / 3).max(1_000_000));
    }
}

fn set_state(e: &mut Engine, id: UnitId, new: AutomountState) {
    let old = e.unit(id).active_state();
    if automount(e, id).state != new {
        match new {
            AutomountState::Running => watch_idle(e, id),
            _ => e.disarm(id, TimerKind::Idle),
        }
    }
    automount_mut(e, id).state = new;
    e.state_changed(id, old);
}

fn send(e: &mut Engine, id: UnitId, tokens: Vec<u32>, errno: i32) {
    if let (Some(fd), false) = (automount(e, id).pipe, tokens.is_empty()) {
        e.emit(Effect::AutomountAnswer { fd, tokens, errno });
    }
}

fn answer_one(e: &mut Engine, id: UnitId, token: u32, errno: i32) {
    send(e, id, vec![token], errno);
}

fn answer(e: &mut Engine, id: UnitId, errno: i32) {
    let tokens = std::mem::take(&mut automount_mut(e, id).tokens);
    send(e, id, tokens, errno);
}

fn answer_expired(e: &mut Engine, id: UnitId, errno: i32) {
    let tokens = std::mem::take(&mut automount_mut(e, id).expire_tokens);
    send(e, id, tokens, errno);
}

fn close(e: &mut Engine, id: UnitId) {
    if let Some(chain) = automount_mut(e, id).pending.take() {
        e.cancel_chain(chain);
    }
    answer(e, id, EHOSTDOWN);
    answer_expired(e, id, EHOSTDOWN);
    if let Some(fd) = automount_mut(e, id).pipe.take() {
        e.close_fd(fd);
    }
}

fn enter_dead(e: &mut Engine, id: UnitId, result: AutomountResult) {
    let a = automount_mut(e, id);
    if a.result == AutomountResult::Success {
        a.result = result;
    }
    let failed = a.result != AutomountResult::Success;
    let stands = a.state != AutomountState::Dead && result != AutomountResult::Unmounted && a.pipe.is_some();
    close(e, id);
    if stands {
        let path = place(e, id);
        e.chain(id, vec![Step::Unmount { path }]);
    }
    set_state(e, id, if failed { AutomountState::Failed } else { AutomountState::Dead });
}

#[cfg(test)]
mod tests {
    use super::super::test_world::World;
    use super::*;
    use crate::engine::event::Exit;

    fn world() -> (World, UnitId, UnitId) {
        let mut w = World::new();
        let mount = w.unit("mnt-x.mount", &["What=tmpfs"]);
        let id = w.unit("mnt-x.automount", &["Where=/mnt/x"]);
        w.start(id).unwrap();
        assert_eq!(w.sub(id), "waiting");
        (w, id, mount)
    }

    fn ask(w: &mut World, id: UnitId, expire: bool) {
        let fd = w.machine::<Automount>(id).pipe.unwrap();
        let request = AutomountRequest { fd, token: 7, expire, pid: 1 };
        w.with(|e| Automount::automount(e, id, &request));
    }

    fn answers(w: &World) -> Vec<i32> {
        let errno = |effect: &Effect| match effect {
            Effect::AutomountAnswer { errno, .. } => Some(*errno),
            _ => None,
        };
        w.effects.iter().filter_map(errno).collect()
    }

    #[test]
    fn a_request_waits_for_the_mount() {
        let (mut w, id, mount) = world();
        ask(&mut w, id, false);
        assert_eq!((w.sub(id), answers(&w)), ("running", vec![]));
        let entry = crate::engine::event::MountEntry {
            device: false,
            target: "/mnt/x".into(),
            source: "tmpfs".into(),
            fstype: "tmpfs".into(),
            options: "rw".into(),
        };
        w.with(|e| mount::mount_table_changed(e, vec![entry]));
        w.with(|e| Automount::triggered(e, id, mount));
        assert_eq!(answers(&w), [0]);
        ask(&mut w, id, true);
        w.with(|e| mount::mount_table_changed(e, vec![]));
        w.with(|e| Automount::triggered(e, id, mount));
        assert_eq!((w.sub(id), answers(&w)), ("waiting", vec![0, 0]));
    }

    #[test]
    fn while_it_is_mounted_the_kernel_is_asked_for_idleness() {
        let mut w = World::new();
        w.unit("mnt-x.mount", &["What=tmpfs"]);
        let id = w.unit("mnt-x.automount", &["Where=/mnt/x", "TimeoutIdleSec=30000000"]);
        w.start(id).unwrap();
        assert!(w.e.armed(id, TimerKind::Idle).is_none());
        ask(&mut w, id, false);
        w.elapse(id, TimerKind::Idle);
        assert!(w.effects.iter().any(|effect| matches!(effect, Effect::AutomountExpire(_))));
        assert!(w.e.armed(id, TimerKind::Idle).is_some());
    }

    #[test]
    fn a_mount_that_fails_answers_no_device() {
        let (mut w, id, mount) = world();
        ask(&mut w, id, false);
        w.start(mount).unwrap();
        w.exit(mount, "/usr/bin/mount", Exit::Status(32));
        w.with(|e| Automount::triggered(e, id, mount));
        assert_eq!((w.sub(id), answers(&w)), ("waiting", vec![ENODEV]));
        w.e.unit_mut(mount).start_limit_was_hit = true;
        w.with(|e| Automount::triggered(e, id, mount));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "mount-start-limit-hit"));
    }

    #[test]
    fn it_ends_with_a_stop_or_when_autofs_is_unmounted() {
        let (mut w, id, _) = world();
        ask(&mut w, id, false);
        w.stop(id).unwrap();
        assert_eq!((w.sub(id), answers(&w)), ("dead", vec![EHOSTDOWN]));
        assert!(w.steps.iter().any(|step| matches!(step, Step::Unmount { .. })));
        let (mut w, id, _) = world();
        let fd = w.machine::<Automount>(id).pipe.unwrap();
        w.with(|e| Automount::fd_ready(e, id, fd, true));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "unmounted"));
    }

    #[test]
    fn autofs_that_cannot_be_mounted_is_lack_of_resources() {
        let mut w = World::new();
        w.unit("mnt-x.mount", &["What=tmpfs"]);
        let id = w.unit("mnt-x.automount", &["Where=/mnt/x"]);
        w.answers.push_back(Err(ChainError { step: 0, errno: 1, message: "no".into(), exit_status: None }));
        w.start(id).unwrap();
        assert_eq!((w.sub(id), w.result(id)), ("failed", "resources"));
    }
}
