//! Jobs: what is to be done to units, in which order, and how it ends.
//!
//! | file | what it holds |
//! |---|---|
//! | `kinds` | types: merging, collapsing |
//! | `transaction` | the closure over what a job needs |
//! | `reduce` | redundant, unwanted and conflicting jobs; merging |
//! | `order` | which of two jobs runs first; cycles |
//! | `queue` | enqueueing: from a request to installed jobs |
//! | `run` | when a job may run, what it makes its unit do |
//! | `finish` | results and what follows |
//! | `messages` | what people read |
//! | `table` | the jobs there are, and who waits for whom |
mod finish;
pub mod kinds;
mod messages;
mod order;
mod queue;
mod reduce;
mod run;
pub(crate) mod table;
pub(crate) mod transaction;

pub use queue::Enqueued;

pub use order::waits;

use crate::engine::clock::{Stamp, Usec};
use crate::engine::effect::{JobId, JobType, UnitId};
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
    /// That it began is told once its first chain is done, unless it is done itself by then.
    #[serde(default)]
    pub untold: bool,
    /// The unit is being asked for its conditions.
    pub checking: bool,
    /// When it times out (monotonic), `u64::MAX`: never.
    pub deadline: Usec,
}
