//! Whether and when a service starts again (systemd.service(5), "Restart=").
use super::super::exec::{self, say, say_with};
use super::state::{ServiceResult, State};
use super::{arm_state_timer, config, service, service_mut, set_state, settings, stop, stop_job_pending};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::clock::{NEVER, Usec};
use crate::engine::effect::{Failure, JobMode, JobType, UnitId};

/// The table of `Restart=`, with the exit status overrides.
pub(super) fn wanted(e: &mut Engine, id: UnitId) -> bool {
    let cfg = settings(e, id);
    let s = service(e, id);
    if s.forbid_restart {
        return false;
    }
    let exit = s.main_status.exit;
    if exit.is_some_and(|exit| config::matches(&cfg, ids::RESTART_PREVENT_EXIT_STATUS, exit)) {
        return false;
    }
    if exit.is_some_and(|exit| config::matches(&cfg, ids::RESTART_FORCE_EXIT_STATUS, exit)) {
        return true;
    }
    use ServiceResult::*;
    let result = s.result;
    match config::restart(&cfg) {
        "always" => result != SkipCondition,
        "on-success" => result == Success,
        "on-failure" => !matches!(result, Success | SkipCondition),
        "on-abnormal" => !matches!(result, Success | ExitCode | SkipCondition),
        "on-watchdog" => result == Watchdog,
        "on-abort" => matches!(result, Signal | CoreDump),
        _ => false,
    }
}

/// How long the next automatic restart waits: `RestartSec=`, growing over `RestartSteps=` to `RestartMaxDelaySec=`.
pub fn next_delay(e: &Engine, id: UnitId) -> Usec {
    let s = service(e, id);
    let cfg = &e.unit(id).settings;
    let base = config::restart_usec(cfg);
    let steps = config::restart_steps(cfg);
    let max = config::restart_max_delay(cfg);
    let next =
        if s.state == State::AutoRestartQueued { s.n_restarts } else { s.n_restarts.saturating_add(1) };
    grow(base, max, steps, next)
}

fn grow(base: Usec, max: Usec, steps: u32, next: u32) -> Usec {
    if next <= 1 || steps == 0 || base == 0 || max == NEVER || base >= max {
        return base;
    }
    if next > steps {
        return max;
    }
    let factor = (max as f64 / base as f64).powf(f64::from(next - 1) / f64::from(steps));
    // Both ends are finite and positive, so is the product; it stays below `max`.
    ((base as f64 * factor) as Usec).min(max)
}

/// Wait for `RestartSec=`. Others see the end of the run first, unless `RestartMode=direct`.
pub(super) fn wait(e: &mut Engine, id: UnitId, failed: bool) {
    if config::restart_mode(&settings(e, id)) != "direct" {
        let end = if failed { State::FailedBeforeAutoRestart } else { State::DeadBeforeAutoRestart };
        set_state(e, id, end);
    }
    let delay = next_delay(e, id);
    set_state(e, id, State::AutoRestart);
    arm_state_timer(e, id, delay);
}

/// `RestartSec=` is over: enqueue a start of this unit, and a restart of those bound to it.
pub(super) fn due(e: &mut Engine, id: UnitId) {
    if stop_job_pending(e, id) {
        say(e, id, 6, "Stop job pending for unit, skipping automatic restart.");
        return;
    }
    let direct = config::restart_mode(&settings(e, id)) == "direct";
    let mode = if direct { JobMode::Replace } else { JobMode::RestartDependencies };
    let s = service_mut(e, id);
    s.n_restarts = s.n_restarts.saturating_add(1);
    s.flush_n_restarts = false;
    let count = s.n_restarts;
    set_state(e, id, State::AutoRestartQueued);
    e.enqueue_start_by(id, JobType::Start, mode, Some(id));
    let text = format!("Scheduled restart job, restart counter is at {count}.");
    say_with(e, id, 6, &text, exec::MESSAGE_RESTART_SCHEDULED, &[("N_RESTARTS", &count.to_string())]);
}

/// The start could not be enqueued.
pub(super) fn refused(e: &mut Engine, id: UnitId, target: UnitId, failure: &Failure) {
    if target == id && service(e, id).state == State::AutoRestartQueued {
        say(e, id, 4, &format!("Failed to schedule restart job: {}", failure.message));
        stop::enter_dead(e, id, ServiceResult::Resources, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_grows_geometrically_between_its_ends() {
        assert_eq!(grow(100, NEVER, 4, 3), 100);
        assert_eq!(grow(100, 1600, 4, 1), 100);
        assert_eq!([2, 3, 4].map(|n| grow(100, 1600, 4, n)), [200, 400, 800]);
        assert_eq!(grow(100, 1600, 4, 5), 1600);
        assert_eq!(grow(100, 100, 4, 3), 100);
        assert_eq!(grow(0, 100, 4, 3), 0);
    }
}
