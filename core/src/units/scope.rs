//! Scopes (systemd.scope(5)): processes that somebody else started, taken into a cgroup.
//!
//! | state | ActiveState | SubState | leaves to |
//! |---|---|---|---|
//! | dead | inactive | dead | start: a start job with processes |
//! | start | activating | start-chown | running: they are attached; failed: they could not be |
//! | running | active | running | stop-sigterm: a stop job or `RuntimeMaxSec=`; dead: the cgroup is empty |
//! | abandoned | active | abandoned | as running; its creator no longer minds |
//! | stop-sigterm | deactivating | stop-sigterm | dead: empty; stop-sigkill: `TimeoutStopSec=` |
//! | stop-sigkill | deactivating | stop-sigkill | dead: empty; failed: time-out |
//! | failed | failed | failed | start |
use super::kill::{self, Operation};
use super::{ActiveState, LoadProblem, Machine, Refusal};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::NEVER;
use crate::engine::effect::{ChainId, Failure, FailureKind, Step, UnitId};
use crate::engine::event::{ChainError, ChainOutput, Pid};
use crate::engine::timers::TimerKind;
use crate::settings::Value;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// States; see the table above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum State {
    #[default]
    Dead,
    Start,
    Running,
    Abandoned,
    StopSigterm,
    StopSigkill,
    Failed,
}

/// Run-time state of a scope.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Scope {
    /// The state.
    pub state: State,
    /// `Result`.
    pub result: ScopeResult,
    /// Who is to be attached by the next start.
    pub pids: Vec<Pid>,
    /// `Controller`: a bus name.
    pub controller: Option<Rc<str>>,
    /// It was asked to go and knows it.
    pub was_abandoned: bool,
    /// What is under way.
    pub chain: Option<ChainId>,
}

/// Why a scope ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ScopeResult {
    #[default]
    Success,
    Resources,
    Timeout,
    OomKill,
}

fn set(e: &mut Engine, id: UnitId, state: State) {
    let old = e.unit(id).active_state();
    e.machine_mut::<Scope>(id).state = state;
    if !matches!(state, State::StopSigterm | State::StopSigkill) {
        e.disarm(id, TimerKind::State);
    }
    if matches!(state, State::Dead | State::Failed) {
        e.disarm(id, TimerKind::Runtime);
    }
    e.state_changed(id, old);
}

fn end(e: &mut Engine, id: UnitId, result: ScopeResult) {
    let scope = e.machine_mut::<Scope>(id);
    if scope.result == ScopeResult::Success {
        scope.result = result;
    }
    let failed = scope.result != ScopeResult::Success;
    if failed {
        let text = format!("{}: Failed with result '{}'.", e.unit(id).name, e.unit(id).kind.result());
        e.log(4, Some(id), text);
    }
    set(e, id, if failed { State::Failed } else { State::Dead });
}

fn signal(e: &mut Engine, id: UnitId, state: State, result: ScopeResult) {
    let scope = e.machine_mut::<Scope>(id);
    if scope.result == ScopeResult::Success {
        scope.result = result;
    }
    let operation = if state == State::StopSigterm { Operation::Terminate } else { Operation::Kill };
    let step = kill::step(e, id, operation, None, None);
    match step {
        Some(step) => {
            let timeout = e.unit(id).settings.uint(ids::TIMEOUT_STOP_SEC);
            e.arm_in(id, TimerKind::State, timeout);
            let chain = e.chain(id, vec![step]);
            e.machine_mut::<Scope>(id).chain = Some(chain);
            set(e, id, state);
        }
        None => end(e, id, ScopeResult::Success),
    }
}

fn timed_out(e: &mut Engine, id: UnitId) {
    match e.machine::<Scope>(id).state {
        State::StopSigterm if kill::send_sigkill(&e.unit(id).settings) => {
            e.log(4, Some(id), format!("{}: Stopping timed out. Killing.", e.unit(id).name));
            signal(e, id, State::StopSigkill, ScopeResult::Timeout);
        }
        State::StopSigterm | State::StopSigkill => {
            e.log(4, Some(id), format!("{}: Still around after SIGKILL. Ignoring.", e.unit(id).name));
            end(e, id, ScopeResult::Timeout);
        }
        _ => {}
    }
}

impl Machine for Scope {
    fn exists_without_file(e: &mut Engine, id: UnitId) -> bool {
        e.unit(id).name.as_str() == "init.scope"
    }

    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        if e.unit(id).name.as_str() == "init.scope" {
            let unit = e.unit_mut(id);
            unit.perpetual = true;
            unit.default_description = Some("System and Service Manager".into());
            unit.settings.set(ids::DEFAULT_DEPENDENCIES, Value::Bool(false));
            if !unit.settings.is_set(ids::DOCUMENTATION) {
                unit.settings.set(ids::DOCUMENTATION, Value::List(["man:systemd(1)".into()].into()));
            }
            if e.machine::<Scope>(id).state == State::Dead {
                set(e, id, State::Running);
            }
            // The manager itself is there, put by nobody's job; it has no limits, so that nothing is written.
            e.claim_cgroup(id);
            return Ok(());
        }
        if !e.unit(id).transient {
            return Err(LoadProblem::bad_setting("Scopes cannot be made by files. Refusing."));
        }
        if e.unit(id).default_dependencies() {
            e.add_shutdown_conflict(id);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        let scope = e.machine::<Scope>(id);
        match scope.state {
            State::StopSigterm | State::StopSigkill => return Err(Refusal::Again),
            State::Failed => return Err(Refusal::Invalid),
            _ => {}
        }
        if scope.pids.is_empty() {
            e.log(
                4,
                Some(id),
                format!(
                    "{}: No PIDs left to attach to the scope's control group, refusing.",
                    e.unit(id).name
                ),
            );
            end(e, id, ScopeResult::Resources);
            return Err(Refusal::Failed);
        }
        e.new_invocation(id);
        let pids = std::mem::take(&mut e.machine_mut::<Scope>(id).pids);
        let mut steps: Vec<Step> = e.cgroup_spec(id).map(Step::Cgroup).into_iter().collect();
        if let Some(cgroup) = e.cgroup_path(id) {
            steps.push(Step::Attach { cgroup, pids });
        }
        let chain = e.chain(id, steps);
        e.machine_mut::<Scope>(id).chain = Some(chain);
        e.machine_mut::<Scope>(id).result = ScopeResult::Success;
        set(e, id, State::Start);
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        match e.machine::<Scope>(id).state {
            State::StopSigterm | State::StopSigkill => {}
            _ => signal(e, id, State::StopSigterm, ScopeResult::Success),
        }
        Ok(())
    }

    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        let scope = e.machine_mut::<Scope>(id);
        if scope.chain != Some(chain) {
            return;
        }
        scope.chain = None;
        match (scope.state, result) {
            (State::Start, Ok(_)) => {
                set(e, id, State::Running);
                let span = e.unit(id).settings.uint(ids::RUNTIME_MAX_SEC);
                if e.unit(id).settings.is_set(ids::RUNTIME_MAX_SEC) && span != NEVER {
                    e.arm_in(id, TimerKind::Runtime, span);
                }
            }
            (State::Start, Err(error)) => {
                e.log(4, Some(id), format!("{}: {}", e.unit(id).name, error.message));
                end(e, id, ScopeResult::Resources);
            }
            (State::StopSigterm | State::StopSigkill, Ok(output)) if output.alive == 0 => {
                end(e, id, ScopeResult::Success);
            }
            _ => {}
        }
    }

    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        match which {
            TimerKind::Runtime => {
                e.log(
                    4,
                    Some(id),
                    format!("{}: Scope reached runtime time limit. Stopping.", e.unit(id).name),
                );
                signal(e, id, State::StopSigterm, ScopeResult::Timeout);
            }
            _ => timed_out(e, id),
        }
    }

    fn cgroup_empty(e: &mut Engine, id: UnitId) {
        if !matches!(e.machine::<Scope>(id).state, State::Dead | State::Failed | State::Start)
            && !e.unit(id).perpetual
        {
            end(e, id, ScopeResult::Success);
        }
    }

    fn cgroup_oom(e: &mut Engine, id: UnitId, managed: bool) {
        let word = if managed { "systemd-oomd" } else { "the OOM killer" };
        e.log(5, Some(id), format!("{}: A process of this unit has been killed by {word}.", e.unit(id).name));
        let running = matches!(e.machine::<Scope>(id).state, State::Running | State::Abandoned);
        let policy = e.unit(id).settings.word(ids::OOM_POLICY);
        if running && (policy == "stop" || policy == "kill") {
            signal(
                e,
                id,
                if policy == "kill" { State::StopSigkill } else { State::StopSigterm },
                ScopeResult::OomKill,
            );
        }
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if e.machine::<Scope>(id).state == State::Failed {
            set(e, id, State::Dead);
        }
        e.machine_mut::<Scope>(id).result = ScopeResult::Success;
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            State::Dead => ActiveState::Inactive,
            State::Start => ActiveState::Activating,
            State::Running | State::Abandoned => ActiveState::Active,
            State::StopSigterm | State::StopSigkill => ActiveState::Deactivating,
            State::Failed => ActiveState::Failed,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            State::Dead => "dead",
            State::Start => "start-chown",
            State::Running => "running",
            State::Abandoned => "abandoned",
            State::StopSigterm => "stop-sigterm",
            State::StopSigkill => "stop-sigkill",
            State::Failed => "failed",
        }
    }

    fn result(&self) -> &'static str {
        match self.result {
            ScopeResult::Success => "success",
            ScopeResult::Resources => "resources",
            ScopeResult::Timeout => "timeout",
            ScopeResult::OomKill => "oom-kill",
        }
    }
}

/// A client makes the scope of these processes; the start job attaches them.
pub fn adopt(e: &mut Engine, id: UnitId, pids: Vec<Pid>, controller: Option<Rc<str>>) {
    let scope = e.machine_mut::<Scope>(id);
    scope.pids = pids;
    scope.controller = controller;
}

/// `AbandonScope`.
pub fn abandon(e: &mut Engine, id: UnitId) -> Result<(), Failure> {
    let fail = |kind, text: &str| Err(Failure { kind, message: text.into() });
    if !matches!(e.unit(id).kind, super::UnitKind::Scope(_)) {
        return fail(FailureKind::InvalidArgs, "Unit is not a scope.");
    }
    let name = e.unit(id).name.clone();
    match e.machine::<Scope>(id).state {
        State::Running => {
            let scope = e.machine_mut::<Scope>(id);
            scope.was_abandoned = true;
            scope.controller = None;
            set(e, id, State::Abandoned);
            Ok(())
        }
        State::Abandoned | State::StopSigterm | State::StopSigkill => Ok(()),
        _ => fail(FailureKind::ScopeNotRunning, &format!("Scope {name} is not running, cannot abandon.")),
    }
}
