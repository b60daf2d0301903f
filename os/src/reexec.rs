//! Executing ourselves again: planned (`daemon-reexec`, an upgrade) on the same path as after a crash.
use crate::error::OsError;
use crate::sys::crash as sys;

/// Execute the running image again with all descriptors, after [`crate::crash::install`]. It comes back only when that
/// failed; then everything is as it was.
pub fn execute(reason: &str) -> OsError {
    OsError::new("execute", "the manager again", sys::execute_now(reason))
}

/// Close what came from the image before and was not taken: descriptors without close-on-exec, from 3 on. Call it when
/// everything that the log names was taken with [`crate::handover::inherited_fd`]. How many there were.
pub fn close_unclaimed() -> usize {
    sys::close_unclaimed()
}
