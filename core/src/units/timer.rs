//! Timers (systemd.timer(5)).
//!
//! # State table
//!
//! | state | what happens | goes to |
//! |---|---|---|
//! | `dead`, `failed` | nothing is armed | a start job: `waiting` |
//! | `waiting` | the next elapse is armed on the monotonic or the wall clock, or both | it elapses: `running`; there is none: `elapsed` or `dead` |
//! | `running` | the unit was started | that unit is down again: `waiting` |
//! | `elapsed` | nothing is armed, but the unit's own changes may bring a next elapse | `waiting` |
//!
//! A `Persistent=` timer reads its stamp when it starts and touches it when it elapses.
use super::exec::{self, has_job, known_name, say};
use super::{ActiveState, LoadProblem, Machine, Refusal};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::{Clock, NEVER, Stamp, Usec};
use crate::engine::effect::{ChainId, Effect, Failure, JobMode, JobType, Step, UnitId};
use crate::engine::event::{ChainError, ChainOutput};
use crate::engine::timers::TimerKind;
use crate::graph::{Dependency, Origins};
use crate::names::UnitType;
use crate::settings::Settings;
use crate::values::calendar;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// `SubState` of timers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum TimerState {
    #[default]
    Dead,
    Waiting,
    Running,
    Elapsed,
    Failed,
}

/// `Result` of timers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum TimerResult {
    #[default]
    Success,
    Resources,
    StartLimitHit,
}

/// Run-time state of a timer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Timer {
    /// Where it is.
    pub state: TimerState,
    /// `Result`.
    pub result: TimerResult,
    /// `LastTriggerUSec` and `LastTriggerUSecMonotonic`.
    pub last_trigger: Stamp,
    /// `NextElapseUSecRealtime`; 0: none.
    pub next_realtime: Usec,
    /// `NextElapseUSecMonotonic`; 0: none.
    pub next_monotonic: Usec,
    /// For each line: the next elapse (0: none).
    pub next: Vec<Usec>,
    /// For each line: it was for once and is over.
    pub disabled: Vec<bool>,
    /// The stamp is being read.
    pending: Option<ChainId>,
}

fn timer(e: &Engine, id: UnitId) -> &Timer {
    e.machine::<Timer>(id)
}

fn timer_mut(e: &mut Engine, id: UnitId) -> &mut Timer {
    e.machine_mut::<Timer>(id)
}

impl Machine for Timer {
    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        loaded(e, id)
    }

    fn reloaded(e: &mut Engine, id: UnitId) {
        // The lines may be others now.
        if timer(e, id).state == TimerState::Waiting && timer(e, id).pending.is_none() && e.is_loaded(id) {
            enter_waiting(e, id, false);
        }
    }

    fn can_start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(timer(e, id).state, TimerState::Dead | TimerState::Failed) && e.start_limit_hit(id) {
            enter_dead(e, id, TimerResult::StartLimitHit);
            return Err(Refusal::StartLimit);
        }
        Ok(())
    }

    fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if !matches!(timer(e, id).state, TimerState::Dead | TimerState::Failed) {
            return Err(Refusal::Already);
        }
        if triggered_unit(e, id).is_none_or(|unit| !e.is_loaded(unit)) {
            say(e, id, 3, "Unit to trigger vanished.");
            return Err(Refusal::Failed);
        }
        e.new_invocation(id);
        let persistent = e.unit(id).settings.bool(ids::PERSISTENT);
        let lines = e.unit(id).settings.timers().len();
        let t = timer_mut(e, id);
        t.last_trigger = Stamp::default();
        t.result = TimerResult::Success;
        t.disabled = vec![false; lines];
        t.next = vec![0; lines];
        if persistent {
            let chain = e.chain(id, vec![Step::ReadStamp]);
            timer_mut(e, id).pending = Some(chain);
            set_state(e, id, TimerState::Waiting);
        } else {
            enter_waiting(e, id, true);
        }
        Ok(())
    }

    fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
        if matches!(timer(e, id).state, TimerState::Dead | TimerState::Failed) {
            return Err(Refusal::Already);
        }
        enter_dead(e, id, TimerResult::Success);
        Ok(())
    }

    fn active_state(&self) -> ActiveState {
        match self.state {
            TimerState::Dead => ActiveState::Inactive,
            TimerState::Failed => ActiveState::Failed,
            _ => ActiveState::Active,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.state {
            TimerState::Dead => "dead",
            TimerState::Waiting => "waiting",
            TimerState::Running => "running",
            TimerState::Elapsed => "elapsed",
            TimerState::Failed => "failed",
        }
    }

    fn chain_done(e: &mut Engine, id: UnitId, chain: ChainId, result: Result<ChainOutput, ChainError>) {
        if timer(e, id).pending != Some(chain) {
            return;
        }
        timer_mut(e, id).pending = None;
        let now = e.now().realtime;
        // A stamp in the future is of a clock that was wrong.
        match result.ok().and_then(|output| output.stamp).filter(|&stamp| stamp <= now) {
            Some(stamp) => timer_mut(e, id).last_trigger.realtime = stamp,
            None => touch(e, id, now),
        }
        enter_waiting(e, id, true);
    }

    fn timer(e: &mut Engine, id: UnitId, which: TimerKind) {
        let t = timer(e, id);
        if t.state == TimerState::Waiting && matches!(which, TimerKind::Elapse | TimerKind::ElapseRealtime) {
            enter_running(e, id);
        }
    }

    fn clock_changed(e: &mut Engine, id: UnitId) {
        if timer(e, id).state != TimerState::Waiting || timer(e, id).pending.is_some() {
            return;
        }
        let now = e.now();
        let t = timer_mut(e, id);
        // The clock went back: what was triggered was not triggered in the future.
        t.last_trigger.realtime = t.last_trigger.realtime.min(now.realtime);
        if e.unit(id).settings.bool(ids::ON_CLOCK_CHANGE) {
            say(e, id, 7, "Time change, triggering activation.");
            enter_running(e, id);
        } else {
            enter_waiting(e, id, true);
        }
    }

    fn zone_changed(e: &mut Engine, id: UnitId) {
        if timer(e, id).state != TimerState::Waiting || timer(e, id).pending.is_some() {
            return;
        }
        if e.unit(id).settings.bool(ids::ON_TIMEZONE_CHANGE) {
            say(e, id, 7, "Time zone change, triggering activation.");
            enter_running(e, id);
        } else {
            enter_waiting(e, id, false);
        }
    }

    fn triggered(e: &mut Engine, id: UnitId, by: UnitId) {
        for (at, base) in bases(&e.unit(id).settings).into_iter().enumerate() {
            if matches!(base, Base::UnitActive | Base::UnitInactive)
                && let Some(disabled) = timer_mut(e, id).disabled.get_mut(at)
            {
                *disabled = false;
            }
        }
        let down = e.unit(by).active_state().is_down();
        match timer(e, id).state {
            TimerState::Waiting | TimerState::Elapsed if timer(e, id).pending.is_none() => {
                enter_waiting(e, id, false)
            }
            TimerState::Running if down && !has_job(e, by, &[JobType::Start]) => enter_waiting(e, id, false),
            _ => {}
        }
    }

    fn trigger_refused(e: &mut Engine, id: UnitId, _: UnitId, failure: &Failure) {
        say(e, id, 4, &format!("Failed to queue unit startup job: {}", failure.message));
        if timer(e, id).state == TimerState::Running {
            enter_dead(e, id, TimerResult::Resources);
        }
    }

    fn reset_failed(e: &mut Engine, id: UnitId) {
        if timer(e, id).state == TimerState::Failed {
            set_state(e, id, TimerState::Dead);
        }
        timer_mut(e, id).result = TimerResult::Success;
    }

    fn result(&self) -> &'static str {
        match self.result {
            TimerResult::Success => "success",
            TimerResult::Resources => "resources",
            TimerResult::StartLimitHit => "start-limit-hit",
        }
    }
}

fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    e.ask_for_zones(id);
    let s = e.unit(id).settings.clone();
    if s.timers().is_empty() && !s.bool(ids::ON_CLOCK_CHANGE) && !s.bool(ids::ON_TIMEZONE_CHANGE) {
        let why = "Timer unit lacks value setting. Refusing.";
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    let own = e.unit(id).name.with_type(UnitType::Service);
    if let Some(name) = s.unit(ids::UNIT).cloned().or(own.ok()) {
        let unit = e.ensure(&name);
        e.add_two(id, Dependency::Before, Dependency::Triggers, unit, Origins::IMPLICIT);
    }
    if s.bool(ids::PERSISTENT) && !e.config.user {
        exec::need_mounts_for(e, id, "/var/lib/systemd/timers", true, Origins::FILE);
    }
    if s.bool(ids::DEFAULT_DEPENDENCIES) {
        exec::add_trigger_defaults(e, id, "timers.target");
        if bases(&s).contains(&Base::Calendar) && !e.config.user {
            for name in ["time-sync.target", "time-set.target"] {
                e.add_dependency_by_name(id, Dependency::After, &known_name(name), Origins::DEFAULT);
            }
        }
    }
    Ok(())
}

fn triggered_unit(e: &Engine, id: UnitId) -> Option<UnitId> {
    e.unit(id).dependencies(Dependency::Triggers).next()
}

/// What a line counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Active,
    Boot,
    Startup,
    UnitActive,
    UnitInactive,
    Calendar,
}

fn bases(s: &Settings) -> Vec<Base> {
    s.timers().iter().map(|line| base(&line.0)).collect()
}

fn base(name: &str) -> Base {
    match name {
        "OnActiveSec" => Base::Active,
        "OnBootSec" => Base::Boot,
        "OnStartupSec" => Base::Startup,
        "OnUnitActiveSec" => Base::UnitActive,
        "OnUnitInactiveSec" => Base::UnitInactive,
        _ => Base::Calendar,
    }
}

fn set_state(e: &mut Engine, id: UnitId, new: TimerState) {
    let old = e.unit(id).active_state();
    timer_mut(e, id).state = new;
    if new != TimerState::Waiting {
        e.disarm(id, TimerKind::Elapse);
        e.disarm(id, TimerKind::ElapseRealtime);
        let t = timer_mut(e, id);
        t.next_monotonic = 0;
        t.next_realtime = 0;
    }
    e.state_changed(id, old);
}

fn enter_dead(e: &mut Engine, id: UnitId, result: TimerResult) {
    let t = timer_mut(e, id);
    if t.result == TimerResult::Success {
        t.result = result;
    }
    let failed = t.result != TimerResult::Success;
    if let Some(chain) = t.pending.take() {
        e.cancel_chain(chain);
    }
    set_state(e, id, if failed { TimerState::Failed } else { TimerState::Dead });
}

/// Compute what comes next and arm it.
fn enter_waiting(e: &mut Engine, id: UnitId, time_change: bool) {
    let Some(unit) = triggered_unit(e, id) else { return enter_dead(e, id, TimerResult::Resources) };
    let s = e.unit(id).settings.clone();
    let lines = s.timers();
    timer_mut(e, id).disabled.resize(lines.len(), false);
    timer_mut(e, id).next.resize(lines.len(), 0);
    let (mut monotonic, mut realtime, mut leave) = (NEVER, NEVER, false);
    for (at, (name, text)) in lines.iter().enumerate() {
        if timer(e, id).disabled[at] {
            continue;
        }
        let base = base(name);
        if base == Base::Calendar {
            let next = next_calendar(e, id, text).unwrap_or(NEVER);
            timer_mut(e, id).next[at] = if next == NEVER { 0 } else { next };
            realtime = realtime.min(next);
            continue;
        }
        leave |= matches!(base, Base::UnitActive | Base::UnitInactive);
        let Some(from) = monotonic_base(e, id, unit, base) else { continue };
        let next = from.saturating_add(text.parse::<Usec>().unwrap_or(NEVER));
        let once = matches!(base, Base::Active | Base::Boot | Base::Startup);
        if once && timer(e, id).last_trigger.is_set() && !time_change && next < e.now().monotonic {
            timer_mut(e, id).disabled[at] = true;
            continue;
        }
        timer_mut(e, id).next[at] = next;
        monotonic = monotonic.min(next);
    }
    let clock_events = s.bool(ids::ON_CLOCK_CHANGE) || s.bool(ids::ON_TIMEZONE_CHANGE);
    if monotonic == NEVER && realtime == NEVER && !clock_events {
        return enter_elapsed(e, id, leave);
    }
    arm(e, id, &s, monotonic, realtime);
    set_state(e, id, TimerState::Waiting);
}

fn monotonic_base(e: &Engine, id: UnitId, unit: UnitId, base: Base) -> Option<Usec> {
    let t = timer(e, id);
    let stamps = &e.unit(unit).stamps;
    let reached = |at: Usec| (at > 0).then_some(at);
    match base {
        Base::Active if t.state == TimerState::Waiting || t.state == TimerState::Running => {
            Some(e.unit(id).stamps.inactive_exit.monotonic)
        }
        Base::Active => Some(e.now().monotonic),
        // A container's boot is the manager's start; a machine's is where the clock begins.
        Base::Boot if !e.config.container => Some(0),
        Base::Boot | Base::Startup => Some(e.config.userspace_at),
        Base::UnitActive => reached(stamps.inactive_exit.monotonic.max(t.last_trigger.monotonic)),
        Base::UnitInactive => reached(stamps.inactive_enter.monotonic.max(t.last_trigger.monotonic)),
        Base::Calendar => None,
    }
}

/// The next elapse of a calendar line: after the last trigger, or after the timer's start.
fn next_calendar(e: &Engine, id: UnitId, text: &str) -> Option<Usec> {
    let spec = calendar::parse(text).ok()?;
    let t = timer(e, id);
    let now = e.now();
    let started = e.unit(id).stamps.inactive_exit.realtime;
    let from = match (t.last_trigger.realtime, started) {
        (0, 0) => now.realtime,
        (0, started) => started,
        (last, _) => last,
    };
    let next = spec.next_elapse(from, e.zone(&spec.zone)?)?;
    // What was missed while nobody ran counts from the manager's start, so that a random delay works then too.
    let since_start = now.monotonic.saturating_sub(e.config.userspace_at);
    Some(next.max(now.realtime.saturating_sub(since_start)))
}

/// `RandomizedDelaySec=`: anew for each elapse, or always the same for this timer.
fn random_delay(e: &mut Engine, id: UnitId, s: &Settings) -> Usec {
    let most = s.uint(ids::RANDOMIZED_DELAY_SEC);
    if most == 0 || most == NEVER {
        return 0;
    }
    let word = if s.bool(ids::FIXED_RANDOM_DELAY) {
        // FNV-1a over the name: stable over boots.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        e.unit(id).name.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, hash)
    } else {
        e.random_word()
    };
    word % most
}

fn arm(e: &mut Engine, id: UnitId, s: &Settings, monotonic: Usec, realtime: Usec) {
    let wake = s.bool(ids::WAKE_SYSTEM);
    let accuracy = s.uint(ids::ACCURACY_SEC);
    let clocks =
        if wake { (Clock::BoottimeAlarm, Clock::RealtimeAlarm) } else { (Clock::Monotonic, Clock::Realtime) };
    let perturb = e.config.seed.iter().fold(0u64, |all, &byte| all.wrapping_mul(257) ^ u64::from(byte));
    let one = |e: &mut Engine, which, clock: Clock, next: Usec| {
        if next == NEVER {
            e.disarm(id, which);
            return 0;
        }
        let next = next.saturating_add(random_delay(e, id, s));
        let now = clock.read(e.now());
        // What was reckoned on the clock that stops with the machine means as long from now on the one that does not.
        let slept = if clock == Clock::BoottimeAlarm { now.saturating_sub(e.now().monotonic) } else { 0 };
        let due = next.saturating_add(slept);
        // What is due already is not put off further.
        let at = if due <= now { now } else { coalesce(due, due.saturating_add(accuracy), perturb) };
        e.arm(id, which, clock, at);
        next
    };
    let monotonic = one(e, TimerKind::Elapse, clocks.0, monotonic);
    let realtime = one(e, TimerKind::ElapseRealtime, clocks.1, realtime);
    let t = timer_mut(e, id);
    t.next_monotonic = monotonic;
    t.next_realtime = realtime;
}

/// An instant in a window at which other timers fire too: on a full minute, ten seconds, a second or a quarter of one,
/// all shifted alike for each boot; else the end of the window.
fn coalesce(from: Usec, to: Usec, perturb: u64) -> Usec {
    if from >= to {
        return from;
    }
    for period in [60_000_000, 10_000_000, 1_000_000, 250_000] {
        let shift = perturb % period;
        let at = (to.saturating_sub(shift) / period * period).saturating_add(shift);
        if at >= from && at <= to {
            return at;
        }
    }
    to
}

fn enter_elapsed(e: &mut Engine, id: UnitId, leave: bool) {
    if leave || e.unit(id).settings.bool(ids::REMAIN_AFTER_ELAPSE) {
        set_state(e, id, TimerState::Elapsed);
    } else {
        enter_dead(e, id, TimerResult::Success);
    }
}

fn enter_running(e: &mut Engine, id: UnitId) {
    if has_job(e, id, &[JobType::Stop]) {
        return;
    }
    let Some(unit) = triggered_unit(e, id) else { return enter_dead(e, id, TimerResult::Resources) };
    let now = e.now();
    timer_mut(e, id).last_trigger = now.into();
    if e.unit(id).settings.bool(ids::PERSISTENT) {
        touch(e, id, now.realtime);
    }
    let name: Rc<str> = e.unit(id).name.as_str().into();
    e.unit_mut(unit).activation = Some(vec![
        ("TRIGGER_UNIT".into(), name),
        ("TRIGGER_TIMER_REALTIME_USEC".into(), now.realtime.to_string().into()),
        ("TRIGGER_TIMER_MONOTONIC_USEC".into(), now.monotonic.to_string().into()),
    ]);
    e.enqueue_start_by(unit, JobType::Start, JobMode::Replace, Some(id));
    set_state(e, id, TimerState::Running);
}

fn touch(e: &mut Engine, id: UnitId, at: Usec) {
    let unit = e.unit(id).name.clone();
    e.emit(Effect::TouchStamp { unit, at });
}

#[cfg(test)]
mod tests {
    use super::super::test_world::World;
    use super::*;

    fn world(lines: &[&str]) -> (World, UnitId, UnitId) {
        let mut w = World::new();
        let service = w.unit("a.service", &["ExecStart=/a"]);
        let id = w.unit("a.timer", lines);
        (w, id, service)
    }

    #[test]
    fn a_boot_timer_elapses_once() {
        let (mut w, id, service) = world(&["OnBootSec=2000000000", "AccuracySec=1"]);
        w.start(id).unwrap();
        assert_eq!((w.sub(id), w.machine::<Timer>(id).next_monotonic), ("waiting", 2_000_000_000));
        assert_eq!(w.elapse(id, TimerKind::Elapse), 1_000_000_000 + 1);
        assert_eq!(w.sub(id), "running");
        w.pass(1);
        w.with(|e| Timer::triggered(e, id, service));
        assert_eq!(w.sub(id), "elapsed");
    }

    #[test]
    fn a_timer_that_wakes_the_machine_waits_its_span_after_a_sleep() {
        let (mut w, id, service) =
            world(&["OnUnitActiveSec=60000000", "OnActiveSec=1", "AccuracySec=1", "WakeSystem=yes"]);
        w.slept = 3_600_000_000;
        w.pass(0);
        w.start(id).unwrap();
        w.elapse(id, TimerKind::Elapse);
        w.start(service).unwrap();
        w.with(|e| Timer::triggered(e, id, service));
        w.done(service, "/a");
        w.empty(service);
        w.with(|e| Timer::triggered(e, id, service));
        let next = w.machine::<Timer>(id).next_monotonic;
        assert_eq!((w.sub(id), next.saturating_sub(w.now)), ("waiting", 60_000_000));
        assert_eq!(w.e.armed(id, TimerKind::Elapse), Some((Clock::BoottimeAlarm, next + w.slept + 1)));
    }

    #[test]
    fn without_remain_after_elapse_it_is_gone() {
        let (mut w, id, service) = world(&["OnActiveSec=5", "AccuracySec=1", "RemainAfterElapse=no"]);
        w.start(id).unwrap();
        w.elapse(id, TimerKind::Elapse);
        w.pass(1);
        w.with(|e| Timer::triggered(e, id, service));
        assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
    }

    #[test]
    fn a_unit_timer_waits_for_the_unit() {
        let (mut w, id, service) = world(&["OnUnitInactiveSec=60000000", "AccuracySec=1"]);
        w.start(id).unwrap();
        assert_eq!(w.sub(id), "elapsed");
        w.start(service).unwrap();
        w.done(service, "/a");
        w.empty(service);
        w.with(|e| Timer::triggered(e, id, service));
        assert_eq!((w.sub(id), w.elapse(id, TimerKind::Elapse)), ("waiting", 60_000_001));
    }

    #[test]
    fn calendar_events_elapse_on_the_wall_clock() {
        let (mut w, id, _) = world(&["OnCalendar=hourly"]);
        w.start(id).unwrap();
        let t = w.machine::<Timer>(id);
        let now = w.e.now().realtime;
        assert_eq!(t.next_realtime % 3_600_000_000, 0);
        assert!(t.next_realtime > now && t.next_realtime - now <= 3_600_000_000);
        let (_, armed) = w.e.armed(id, TimerKind::ElapseRealtime).unwrap();
        assert!(armed >= t.next_realtime && armed <= t.next_realtime + 60_000_000);
        w.with(|e| Timer::clock_changed(e, id));
        assert_eq!(w.sub(id), "waiting");
    }

    #[test]
    fn a_missed_persistent_timer_elapses_at_once() {
        let (mut w, id, _) = world(&["OnCalendar=daily", "Persistent=yes", "AccuracySec=60000000"]);
        let stamp = w.e.now().realtime - 3 * 86_400_000_000;
        w.answers.push_back(Ok(ChainOutput { stamp: Some(stamp), ..ChainOutput::default() }));
        w.start(id).unwrap();
        // Due already: it elapses in the step that finds the stamp.
        w.pass(0);
        assert_eq!(w.sub(id), "running");
        assert!(w.effects.iter().any(|effect| matches!(effect, Effect::TouchStamp { .. })));
    }

    #[test]
    fn clock_changes_trigger() {
        let (mut w, id, _) = world(&["OnClockChange=yes"]);
        w.start(id).unwrap();
        assert_eq!(w.sub(id), "waiting");
        w.with(|e| Timer::clock_changed(e, id));
        assert_eq!(w.sub(id), "running");
        w.stop(id).unwrap();
        assert_eq!(w.sub(id), "dead");
    }

    #[test]
    fn what_cannot_be_started_fails_the_timer() {
        let (mut w, id, service) = world(&["OnClockChange=yes"]);
        w.start(id).unwrap();
        w.with(|e| Timer::clock_changed(e, id));
        let failure =
            Failure { kind: crate::engine::effect::FailureKind::NoSuchUnit, message: "gone".into() };
        w.with(|e| Timer::trigger_refused(e, id, service, &failure));
        assert_eq!((w.sub(id), w.result(id)), ("failed", "resources"));
        w.with(|e| Timer::reset_failed(e, id));
        assert_eq!((w.sub(id), w.result(id)), ("dead", "success"));
    }

    #[test]
    fn timers_meet_at_round_times() {
        assert_eq!(coalesce(61_000_000, 125_000_000, 0), 120_000_000);
        assert_eq!(coalesce(61_000_000, 71_000_000, 0), 70_000_000);
        assert_eq!(coalesce(61_000_000, 61_000_000, 0), 61_000_000);
        assert_eq!(coalesce(5, 9, 0), 9);
    }

    #[test]
    fn a_timer_without_lines_is_refused() {
        let mut w = World::new();
        let id = w.e.ensure(&known_name("b.timer"));
        assert!(loaded(&mut w.e, id).is_err());
    }

    #[test]
    fn only_a_persistent_timer_has_something_to_clean() {
        let (mut w, id, _) = world(&["OnCalendar=daily", "Persistent=yes"]);
        assert_eq!(w.e.unit(id).cleanable(), 2);
        let other = w.unit("b.timer", &["OnCalendar=daily"]);
        assert_eq!(w.e.unit(other).cleanable(), 0);
    }
}
