//! What happens when the manager crashes or hangs: it executes itself in place (DESIGN 6), with everything it has.
use crate::error::{Attempt, OsError};
use crate::signals::FATAL;
use crate::statelog::StateLog;
use crate::sys::crash as sys;
use rustix::fd::AsRawFd;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::sys::crash::{Provoke, provoke};

/// How long the loop may work without coming back for new events, in milliseconds.
static PATIENCE: AtomicU64 = AtomicU64::new(30_000);

/// How the reason ends when the signal was sent by another process.
pub const FROM_OUTSIDE: &str = " from outside";

/// The argument that tells the next image of its log and of what happened: `--recover=DESCRIPTOR,REASON`.
pub const ARGUMENT: &str = "--recover=";

/// The arguments that the first image got: without what an execution of ourselves added.
pub fn first_arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().filter(|argument| !argument.as_encoded_bytes().starts_with(ARGUMENT.as_bytes()))
}

/// Pin this image, prepare its next execution, and install the handlers and the panic hook. The next image gets the
/// same arguments and environment, and [`ARGUMENT`]. Call it first of all, before signals are blocked: the mask of a
/// crashed image survives the execution, its handlers do not.
pub fn install(log: &StateLog) -> Result<(), OsError> {
    let arguments: Vec<CString> =
        first_arguments().filter_map(|argument| CString::new(argument.into_vec()).ok()).collect();
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok())
        .collect();
    let prefix = format!("{ARGUMENT}{},", log.fd().as_raw_fd());
    sys::prepare(&arguments, &environment, &prefix).attempt("prepare", "the next image")?;
    sys::install(&FATAL).attempt("install", "crash handlers")?;
    // Executed by descriptor, the kernel would call us by its number.
    if let Some(name) = arguments.first().and_then(|path| path.to_bytes().rsplit(|&byte| byte == b'/').next())
        && let Ok(name) = CString::new(name)
    {
        let _ = rustix::thread::set_name(&name);
    }
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // The text first: the hook of the standard library writes to standard error and does not unwind.
        default(panic);
        let place = panic.location().map(|place| format!("panic at {}:{}", place.file(), place.line()));
        // Comes back only where this is not the manager: the panic unwinds there as usual.
        sys::leave(place.as_deref().unwrap_or("panic").as_bytes());
    }));
    Ok(())
}

/// How long the loop may work without coming back.
pub fn set_patience(patience: Duration) {
    PATIENCE.store(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
}

/// The loop begins to work (true): should it not be done in time, it counts as hung. Or it goes to sleep.
pub fn alarm(on: bool) {
    let after = if on { Duration::from_millis(PATIENCE.load(Ordering::Relaxed)) } else { Duration::ZERO };
    // Without a timer a hung loop stays one; there is nobody to tell in time.
    let _ = sys::alarm(after);
}

/// Crashes end the process as they do elsewhere: for its last steps, when there is nothing left to recover.
pub fn disarm() {
    let _ = sys::alarm(Duration::ZERO);
    sys::uninstall(&FATAL);
}
