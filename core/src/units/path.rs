//! Paths (systemd.path(5)).
//!
//! # State table
//!
//! | state | what happens | goes to |
//! |---|---|---|
//! | `dead`, `failed` | nothing is watched | a start job: `waiting`, or `running` when the unit runs or a condition holds |
//! | `waiting` | the paths are watched, and checked once more behind the watches | a condition holds or a file changed: `running` |
//! | `running` | the unit was started; nothing is watched | that unit is down: `waiting` |
use super::exec::{self, has_job, say};
use super::{ActiveState, LoadProblem, Machine, Refusal};
use crate::directives::ids;
use crate::engine::effect::{Effect, Failure, JobMode, JobType, PathSpec, Step, UnitId};
use crate::engine::{Engine, RateLimit};
use crate::graph::{Dependency, Origins};
use crate::names::UnitType;
use serde::{Deserialize, Serialize};

/// `SubState` of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PathState {
    #[default]
    Dead,
    Waiting,
    Running,
    Failed,
}

/// `Result` of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum PathResult {
    #[default]
    Success,
    Resources,
    StartLimitHit,
    UnitStartLimitHit,
    TriggerLimitHit,
}

/// Run-time state of a path unit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Path {
    /// Where it is.
    pub state: PathState,
    /// `Result`.
    pub result: PathResult,
    /// For each line: the path existed when it was looked at last.
    existed: Vec<bool>,
    /// A check is under way: the first one, or the one after the unit went down, only takes note of changed files.
    checking: Option<bool>,
    trigger_limit: RateLimit,
}

fn path(e: &Engine, id: UnitId) -> &Path {
    e.machine::<Path>(id)
}

fn path_mut(e: &mut Engine, id: UnitId) -> &mut Path {
    e.machine_mut::<Path>(id)
}

fn watches_changes(spec: &PathSpec) -> bool {
    matches!(&*spec.kind, "PathChanged" | "PathModified")
}

impl Machine for Path {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        loaded(e, id)
    }

    fn reloaded(e: &mut Engine, id: UnitId) {
        if path(e, id).state == PathState::Waiting && e.is_loaded(id) {
            enter_waiting(e, id, true);
        }
    }

    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(path(e, id).state, PathState::Dead | PathState::Failed) && e.start_limit_hit(id) {
            enter_dead(e, id, PathResult::StartLimitHit);
            return Err(Refusal::StartLimit);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if !matches!(path(e, id).state, PathState::Dead | PathState::Failed) {
            return Err(Refusal::Already);
        }
        if triggered_unit(e, id).is_none_or(|unit| !e.is_loaded(unit)) {
            say(e, id, 3, "Unit to trigger vanished.");
            return Err(Refusal::Failed);
        }
        e.new_invocation(id);
        let s = e.unit(id).settings.clone();
        if s.bool(ids::MAKE_DIRECTORY) {
            let mode = u32::try_from(s.uint(ids::DIRECTORY_MODE)).unwrap_or(0o755);
            let make = |spec: &PathSpec| Step::MakeDirectory { path: spec.path.clone(), mode };
            let dirs =
                s.paths().iter().filter(|spec| !spec.kind.starts_with("PathExists")).map(make).collect();
            e.chain(id, dirs);
        }
        let p = path_mut(e, id);
        p.result = PathResult::Success;
        p.existed = vec![false; s.paths().len()];
        enter_waiting(e, id, true);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(path(e, id).state, PathState::Dead | PathState::Failed) {
            return Err(Refusal::Already);
        }
        enter_dead(e, id, PathResult::Success);
        Ok(())
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            PathState::Dead => ActiveState::Inactive,
            PathState::Failed => ActiveState::Failed,
            _ => ActiveState::Active,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            PathState::Dead => "dead",
            PathState::Waiting => "waiting",
            PathState::Running => "running",
            PathState::Failed => "failed",
        }
    }

    fn path_triggered(e: &mut Engine, id: UnitId, watch: u32) {
        if path(e, id).state != PathState::Waiting {
            return;
        }
        let s = e.unit(id).settings.clone();
        let spec = usize::try_from(watch).ok().and_then(|at| s.paths().get(at));
        match spec {
            Some(spec) if watches_changes(spec) => enter_running(e, id, spec),
            _ => check(e, id, false),
        }
    }

    fn path_checked(e: &mut Engine, id: UnitId, holds: &[bool]) {
        let Some(silent) = path_mut(e, id).checking.take() else { return };
        if path(e, id).state != PathState::Waiting {
            return;
        }
        let s = e.unit(id).settings.clone();
        let before = std::mem::replace(&mut path_mut(e, id).existed, holds.to_vec());
        let fires = |(at, spec): &(usize, &PathSpec)| {
            let now = holds.get(*at).copied().unwrap_or(false);
            match watches_changes(spec) {
                true => !silent && before.get(*at).copied().unwrap_or(false) != now,
                false => now,
            }
        };
        if let Some((_, spec)) = s.paths().iter().enumerate().find(fires) {
            enter_running(e, id, spec);
        }
    }

    fn triggered(e: &mut Engine, id: UnitId, by: UnitId) {
        if !matches!(path(e, id).state, PathState::Waiting | PathState::Running) {
            return;
        }
        let unit = e.unit(by);
        let down = unit.active_state().is_down();
        if unit.start_limit_was_hit && down {
            return enter_dead(e, id, PathResult::UnitStartLimitHit);
        }
        if unit.job.is_some() {
            return;
        }
        match path(e, id).state {
            PathState::Running if down => enter_waiting(e, id, true),
            PathState::Waiting if !down => enter_waiting(e, id, true),
            _ => {}
        }
    }

    fn trigger_refused(e: &mut Engine, id: UnitId, _: UnitId, failure: &Failure) {
        say(e, id, 4, &format!("Failed to queue unit startup job: {}", failure.message));
        if path(e, id).state == PathState::Running {
            enter_dead(e, id, PathResult::Resources);
        }
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if path(e, id).state == PathState::Failed {
            set_state(e, id, PathState::Dead);
        }
        path_mut(e, id).result = PathResult::Success;
    }

    fn removed(e: &mut Engine, id: UnitId) {
        watch(e, id, false);
    }

    fn result(&self) -> &'static str {
        match self.result {
            PathResult::Success => "success",
            PathResult::Resources => "resources",
            PathResult::StartLimitHit => "start-limit-hit",
            PathResult::UnitStartLimitHit => "unit-start-limit-hit",
            PathResult::TriggerLimitHit => "trigger-limit-hit",
        }
    }
}

fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    let s = e.unit(id).settings.clone();
    if s.paths().is_empty() {
        let why = "Path unit lacks path setting. Refusing.";
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    let own = e.unit(id).name.with_type(UnitType::Service);
    if let Some(name) = s.unit(ids::UNIT).cloned().or(own.ok()) {
        let unit = e.ensure(&name);
        e.add_two(id, Dependency::Before, Dependency::Triggers, unit, Origins::IMPLICIT);
    }
    for spec in s.paths() {
        exec::need_mounts_for(e, id, &spec.path, true, Origins::FILE);
    }
    if s.bool(ids::DEFAULT_DEPENDENCIES) {
        exec::add_trigger_defaults(e, id, "paths.target");
    }
    let interval = s.uint(ids::TRIGGER_LIMIT_INTERVAL_SEC);
    let burst = s.uint(ids::TRIGGER_LIMIT_BURST);
    let limit = &mut path_mut(e, id).trigger_limit;
    limit.interval = if s.is_set(ids::TRIGGER_LIMIT_INTERVAL_SEC) { interval } else { 2_000_000 };
    limit.burst =
        if s.is_set(ids::TRIGGER_LIMIT_BURST) { u32::try_from(burst).unwrap_or(u32::MAX) } else { 200 };
    Ok(())
}

fn triggered_unit(e: &Engine, id: UnitId) -> Option<UnitId> {
    e.unit(id).dependencies(Dependency::Triggers).next()
}

fn set_state(e: &mut Engine, id: UnitId, new: PathState) {
    let old = e.unit(id).active_state();
    if path(e, id).state == PathState::Waiting && new != PathState::Waiting {
        watch(e, id, false);
    }
    path_mut(e, id).state = new;
    e.state_changed(id, old);
}

fn enter_dead(e: &mut Engine, id: UnitId, result: PathResult) {
    let p = path_mut(e, id);
    p.checking = None;
    if p.result == PathResult::Success {
        p.result = result;
    }
    let failed = p.result != PathResult::Success;
    set_state(e, id, if failed { PathState::Failed } else { PathState::Dead });
}

fn watch(e: &mut Engine, id: UnitId, on: bool) {
    let unit = e.unit(id);
    let specs = if on { unit.settings.paths().to_vec() } else { Vec::new() };
    let unit = unit.name.clone();
    e.emit(Effect::WatchPaths { unit, specs });
}

/// Ask whether a condition holds; with `silent` the existence of changed files is only noted.
fn check(e: &mut Engine, id: UnitId, silent: bool) {
    let unit = e.unit(id);
    let (unit, specs) = (unit.name.clone(), unit.settings.paths().to_vec());
    path_mut(e, id).checking = Some(silent);
    e.emit(Effect::CheckPaths { unit, specs });
}

fn enter_waiting(e: &mut Engine, id: UnitId, silent: bool) {
    if triggered_unit(e, id).is_some_and(|unit| !e.unit(unit).active_state().is_down()) {
        // The unit runs: what happens now is for it to see.
        return set_state(e, id, PathState::Running);
    }
    // Watch first, then check: what happens in between is seen by one of the two.
    watch(e, id, true);
    set_state(e, id, PathState::Waiting);
    check(e, id, silent);
}

fn enter_running(e: &mut Engine, id: UnitId, spec: &PathSpec) {
    if has_job(e, id, &[JobType::Stop]) {
        return;
    }
    let now = e.now().monotonic;
    if !path_mut(e, id).trigger_limit.pass(now) {
        say(e, id, 4, "Trigger limit hit, refusing further activation.");
        return enter_dead(e, id, PathResult::TriggerLimitHit);
    }
    let Some(unit) = triggered_unit(e, id) else { return enter_dead(e, id, PathResult::Resources) };
    e.unit_mut(unit).activation = Some(vec![
        ("TRIGGER_UNIT".into(), e.unit(id).name.as_str().into()),
        ("TRIGGER_PATH".into(), spec.path.clone()),
    ]);
    e.enqueue_start_by(unit, JobType::Start, JobMode::Replace, Some(id));
    set_state(e, id, PathState::Running);
}

#[cfg(test)]
mod tests {
    use super::super::exec::known_name;
    use super::super::test_world::World;
    use super::*;

    fn world(lines: &[&str]) -> (World, UnitId, UnitId) {
        let mut w = World::new();
        let service = w.unit("a.service", &["ExecStart=/a"]);
        let id = w.unit("a.path", lines);
        w.start(id).unwrap();
        (w, id, service)
    }

    fn checked(w: &mut World, id: UnitId, holds: &[bool]) {
        w.with(|e| Path::path_checked(e, id, holds));
    }

    #[test]
    fn a_path_that_exists_starts_the_unit() {
        let (mut w, id, service) = world(&["PathExists=/x"]);
        checked(&mut w, id, &[false]);
        assert_eq!(w.sub(id), "waiting");
        w.with(|e| Path::path_triggered(e, id, 0));
        checked(&mut w, id, &[true]);
        assert_eq!(w.sub(id), "running");
        let told = w.e.unit(service).activation.clone().unwrap();
        assert_eq!(told[1], ("TRIGGER_PATH".into(), "/x".into()));
        w.with(|e| Path::triggered(e, id, service));
        assert_eq!(w.sub(id), "waiting");
    }

    #[test]
    fn a_changed_path_fires_only_when_it_changes() {
        let (mut w, id, _) = world(&["PathChanged=/x"]);
        checked(&mut w, id, &[true]);
        assert_eq!(w.sub(id), "waiting");
        w.with(|e| Path::path_triggered(e, id, 0));
        assert_eq!(w.sub(id), "running");
        w.stop(id).unwrap();
        assert_eq!(w.sub(id), "dead");
        assert!(matches!(w.effects.iter().rev().find(|f| matches!(f, Effect::WatchPaths { .. })),
            Some(Effect::WatchPaths { specs, .. }) if specs.is_empty()));
    }

    #[test]
    fn a_running_unit_is_left_alone() {
        let (mut w, id, service) = world(&["PathExists=/x"]);
        w.start(service).unwrap();
        w.with(|e| Path::triggered(e, id, service));
        assert_eq!(w.sub(id), "running");
    }

    #[test]
    fn triggers_are_limited() {
        let (mut w, id, service) = world(&["PathExists=/x", "TriggerLimitBurst=2"]);
        for _ in 0..3 {
            checked(&mut w, id, &[true]);
            w.with(|e| Path::triggered(e, id, service));
        }
        assert_eq!((w.sub(id), w.result(id)), ("failed", "trigger-limit-hit"));
    }

    #[test]
    fn the_units_start_limit_fails_the_path() {
        let (mut w, id, service) = world(&["PathExists=/x"]);
        w.e.unit_mut(service).start_limit_was_hit = true;
        w.with(|e| Path::triggered(e, id, service));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "unit-start-limit-hit"));
    }

    #[test]
    fn a_path_without_lines_is_refused() {
        let mut w = World::new();
        let id = w.e.ensure(&known_name("b.path"));
        assert!(loaded(&mut w.e, id).is_err());
    }
}
