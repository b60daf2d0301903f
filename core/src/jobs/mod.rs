//! Jobs: what is to be done to units, in which order, and how it ends.
//!
//! | file | what it holds |
//! |---|---|
//! | `kinds` | types: merging, collapsing |
//! | `queue` | enqueueing |
pub mod kinds;
mod queue;

use crate::engine::clock::{Stamp, Usec};
use crate::engine::effect::{CallId, JobId, JobType, UnitId};
use serde::{Deserialize, Serialize};

/// Whether a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// For others to finish.
    Waiting,
    /// The unit works on it.
    Running,
}

impl JobState {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Running => "running",
        }
    }
}

/// How a job ended (org.freedesktop.systemd1(5), `JobRemoved`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum JobResult {
    Done,
    Canceled,
    Timeout,
    Failed,
    Dependency,
    Skipped,
    Invalid,
    Assert,
    Unsupported,
    Collected,
    Once,
    Frozen,
}

impl JobResult {
    /// As on the bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobResult::Done => "done",
            JobResult::Canceled => "canceled",
            JobResult::Timeout => "timeout",
            JobResult::Failed => "failed",
            JobResult::Dependency => "dependency",
            JobResult::Skipped => "skipped",
            JobResult::Invalid => "invalid",
            JobResult::Assert => "assert",
            JobResult::Unsupported => "unsupported",
            JobResult::Collected => "collected",
            JobResult::Once => "once",
            JobResult::Frozen => "frozen",
        }
    }
}

/// A job in the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its unit.
    pub unit: UnitId,
    /// What it does.
    pub kind: JobType,
    /// Waiting or running.
    pub state: JobState,
    /// When it was enqueued.
    pub enqueued: Stamp,
    /// When it began to run.
    pub began: Stamp,
    /// Only `replace-irreversibly` and shutdown may replace it.
    pub irreversible: bool,
    /// Runs whatever is ordered before it.
    pub ignore_order: bool,
    /// Was part of the first transaction or asked by a client: shows in status output.
    pub manual: bool,
    /// The unit is being asked for its conditions.
    pub checking: bool,
    /// Deadline (monotonic), 0: none.
    pub deadline: Usec,
    /// Clients that wait for its end: none on D-Bus (`JobRemoved` tells), kept for varlink.
    pub waiters: Vec<CallId>,
}
