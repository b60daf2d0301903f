//! Enqueueing jobs.
use crate::engine::Engine;
use crate::engine::effect::{Failure, FailureKind, JobId, JobMode, JobType, UnitId};

impl Engine {
    /// Enqueue a job and what it needs, at once. The unit and its dependencies must be loaded; unit types use
    /// [`Engine::enqueue_start_by`], which waits for that.
    pub fn enqueue_job(&mut self, id: UnitId, kind: JobType, mode: JobMode) -> Result<JobId, Failure> {
        let _ = (kind, mode);
        Err(Failure {
            kind: FailureKind::JobTypeNotApplicable,
            message: format!("Job type is not applicable for unit {}.", self.unit(id).name).into(),
        })
    }
}
