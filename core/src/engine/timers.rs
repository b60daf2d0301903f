//! Whose timers can be armed.
use super::effect::{JobId, UnitId};
use serde::{Deserialize, Serialize};

/// What a unit's timer is for; one of each kind a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// Timeout of the current state (start, stop, kill ...).
    State,
    /// `RuntimeMaxSec=`.
    Runtime,
    /// `WatchdogSec=`.
    Watchdog,
    /// `RestartSec=`.
    Restart,
    /// The next elapse of a timer unit on a monotonic clock.
    Elapse,
    /// The next elapse of a timer unit on the wall clock.
    ElapseRealtime,
    /// Idle time-out of an automount; rate limits of sockets and paths.
    Idle,
    /// Poll limits and other pauses.
    Pause,
}

impl TimerKind {
    /// Every kind.
    pub const ALL: [TimerKind; 8] = [
        TimerKind::State,
        TimerKind::Runtime,
        TimerKind::Watchdog,
        TimerKind::Restart,
        TimerKind::Elapse,
        TimerKind::ElapseRealtime,
        TimerKind::Idle,
        TimerKind::Pause,
    ];
}

/// Owner of an armed timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKey {
    /// A unit's.
    Unit(UnitId, TimerKind),
    /// `JobTimeoutSec=`, `JobRunningTimeoutSec=`.
    Job(JobId),
}
