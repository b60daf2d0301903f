//! Signals as a descriptor. The meaning of each for PID 1 is in systemd(1), "Signals".
use crate::error::{Attempt, OsError};
use crate::sys::signal::{self, SignalMask};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

pub use crate::sys::signal::SignalInfo;

/// Number of the first real-time signal that programs may use.
pub const RTMIN: i32 = 34;

/// Signals that only a bug (or the loop's alarm) raises; never blocked, `crate::crash` handles them.
pub const FATAL: [i32; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGSYS, libc::SIGABRT, libc::SIGALRM];

/// Offsets from [`RTMIN`] that the manager understands.
pub const REALTIME: [i32; 21] = [0, 1, 2, 3, 4, 5, 6, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29];

/// The signals the manager takes: `SIGCHLD`, requests, and the real-time ones.
pub fn handled() -> SignalMask {
    let plain = [
        libc::SIGCHLD,
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGPWR,
        libc::SIGWINCH,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGHUP,
    ];
    REALTIME.iter().fold(SignalMask::of(&plain), |mask, offset| mask.with(RTMIN + offset))
}

/// The mask the manager runs with: everything it takes, and real-time signals nobody understands, so that none of them
/// kills it; never those of [`FATAL`].
pub fn blocked() -> SignalMask {
    let all_realtime = (RTMIN..=64).fold(handled(), SignalMask::with);
    FATAL.iter().fold(all_realtime, |mask, &fatal| mask.without(fatal))
}

/// Whether a signal is something that one process asks of another, and not news of a child or a terminal.
pub fn is_request(signal: i32) -> bool {
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR].contains(&signal)
}

/// What the keyboard sends (termios(3)) is for the programs that this process starts, not for itself.
pub fn hold_keyboard() -> Result<(), OsError> {
    let mask = SignalMask::of(&[libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP]);
    signal::set_mask(mask).map(drop).attempt("rt_sigprocmask", "")
}

/// Block nothing and ignore no `SIGPIPE`, before another program takes our place: it would inherit both.
pub fn give_back() {
    let _ = signal::set_mask(SignalMask::of(&[]));
    end_with_reader();
}

/// A program whose reader has left ends, as others do: Rust programs begin with `SIGPIPE` ignored.
pub fn end_with_reader() {
    let _ = signal::ignore(libc::SIGPIPE, false);
}

/// The descriptor that tells of signals.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Block the signals and open the descriptor; `SIGPIPE` is ignored from now on.
    pub fn open() -> Result<Self, OsError> {
        signal::set_mask(blocked()).attempt("rt_sigprocmask", "")?;
        signal::ignore(libc::SIGPIPE, true).attempt("ignore", "SIGPIPE")?;
        Ok(Signals { fd: signal::signalfd(handled()).attempt("signalfd", "")? })
    }

    /// Poll this for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next signal. `SIGCHLD` only says that children may be waiting: see [`crate::children`].
    pub fn next(&self) -> Result<Option<SignalInfo>, OsError> {
        signal::read_signalfd(&self.fd).attempt("read", "signalfd")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_arrive_with_sender_and_value() {
        let signals = Signals::open().expect("signalfd");
        let me = std::process::id().cast_signed();
        assert_eq!(signals.next().expect("read"), None);
        // Aimed at this thread, since other test threads of this process do not block it.
        let value = 42;
        signal::queue_thread(RTMIN + 13, value).expect("queue");
        let got = signals.next().expect("read").expect("one signal");
        assert_eq!((got.signal, got.pid, got.value), (RTMIN + 13, me, value));
    }

    #[test]
    fn fatal_signals_are_never_blocked() {
        assert!(FATAL.iter().all(|&fatal| !blocked().contains(fatal) && !handled().contains(fatal)));
        assert!(handled().contains(RTMIN + 28) && !handled().contains(RTMIN + 18));
    }
}
