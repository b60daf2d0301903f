//! Executing ourselves again: planned (`daemon-reexec`, an upgrade) on the same path as after a crash.
use crate::error::{Attempt, OsError};
use crate::sys::crash as sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long a new binary gets to say who it is.
const PROBE: Duration = Duration::from_secs(5);

/// Where our executable is, or was before another took its place.
pub fn own_path() -> std::io::Result<PathBuf> {
    let path = std::fs::read_link("/proc/self/exe")?;
    Ok(path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map_or(path.clone(), PathBuf::from))
}

/// An upgrade put another file where ours was: run that from the next execution on, if it starts and is of our kind.
/// Whether there was one.
///
/// # Errors
/// It does not start, or is something else: the running image stays.
pub fn take_newer() -> Result<bool, OsError> {
    let path = own_path().attempt("read", "/proc/self/exe")?;
    let name = path.to_string_lossy().into_owned();
    let new = match rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        // Uninstalled, or another file system is there now.
        Err(Errno::NOENT) => return Ok(false),
        other => other.attempt("open", &name)?,
    };
    if is_pinned(&new).attempt("look at", &name)? {
        return Ok(false);
    }
    // By the descriptor: what was probed is what is run.
    let mut probe =
        Command::new(format!("/proc/{}/fd/{}", std::process::id(), rustix::fd::AsRawFd::as_raw_fd(&new)));
    probe.arg("--version").env_clear();
    let said = crate::generators::output_within(probe, PROBE);
    if !said.is_some_and(|said| said.starts_with(b"runstead ")) {
        return Err(OsError::new("run the new image", name, Errno::NOEXEC));
    }
    sys::pin_instead(new).attempt("pin the new image", name)?;
    Ok(true)
}

fn is_pinned(new: &rustix::fd::OwnedFd) -> Result<bool, Errno> {
    let old = sys::with_pinned(|image| rustix::fs::fstat(image)).ok_or(Errno::INVAL)??;
    let new = rustix::fs::fstat(new)?;
    Ok((new.st_dev, new.st_ino) == (old.st_dev, old.st_ino))
}

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
