//! Whether the process of a PID file lives.
use crate::{ReadError, number, open};
use rustix::fs::{FlockOperation, Stat};
use rustix::io::Errno;
use rustix::time::ClockId;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// `starttime` of proc_pid_stat(5) counts these a second, for programs.
const TICKS: u64 = 100;
const NANOSECONDS: i128 = 1_000_000_000;
/// File systems stamp files with the kernel's last tick, which is up to a hundredth of a second ago.
const COARSE: i128 = NANOSECONDS / 100;

/// What became of the process that a PID file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs: it has locked the file, or it is older than the file.
    Live(u32),
    /// It is no more, or a zombie.
    Stale(u32),
    /// The number belongs to a process that is younger than the file.
    Reused(u32),
    /// A process has the number that began in the moment in which the file was written, and has not locked it.
    Unsure(u32),
}

impl State {
    /// The number in the file.
    pub fn pid(self) -> u32 {
        match self {
            State::Live(pid) | State::Stale(pid) | State::Reused(pid) | State::Unsure(pid) => pid,
        }
    }
}

/// Look whether the process of a PID file lives.
///
/// A process that was given the number of one that has ended is told by its start, which comes after the file's last change; the clock may
/// have been set since, but not by more than the file is old.
///
/// # Errors
/// As [`crate::read`].
pub fn check(path: impl AsRef<Path>) -> Result<State, ReadError> {
    let path = path.as_ref();
    check_open(path, &open(path)?.0)
}

/// The same of a file that is open already, for reading; `path` is for messages.
///
/// # Errors
/// As [`crate::read`].
pub fn check_open(path: impl AsRef<Path>, file: &OwnedFd) -> Result<State, ReadError> {
    let path = path.as_ref();
    let stat = rustix::fs::fstat(file).map_err(|errno| ReadError::Refused(path.to_owned(), errno))?;
    Ok(state(number(path, file)?, is_locked(file), &stat))
}

/// Whether somebody holds the file; we ourselves do for no longer than this call.
pub(crate) fn is_locked(file: &OwnedFd) -> bool {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => true,
        Ok(()) => {
            let _ = rustix::fs::flock(file, FlockOperation::Unlock);
            false
        }
        Err(_) => false,
    }
}

pub(crate) fn state(pid: u32, locked: bool, stat: &Stat) -> State {
    let Some(start) = start(pid) else { return State::Stale(pid) };
    if locked {
        return State::Live(pid);
    }
    // On the clock that processes are started by, which nobody sets.
    let age =
        now(ClockId::Realtime) - (i128::from(stat.st_mtime) * NANOSECONDS + i128::from(stat.st_mtime_nsec));
    let written = now(ClockId::Boottime) - age;
    let tick = NANOSECONDS / i128::from(TICKS);
    // It began within this tick.
    let (earliest, latest) = (i128::from(start) * tick, (i128::from(start) + 1) * tick);
    match written {
        written if latest <= written => State::Live(pid),
        written if written + COARSE < earliest => State::Reused(pid),
        _ => State::Unsure(pid),
    }
}

fn now(clock: ClockId) -> i128 {
    let time = rustix::time::clock_gettime(clock);
    i128::from(time.tv_sec) * NANOSECONDS + i128::from(time.tv_nsec)
}

/// When a process began, ticks since boot; `None` for one that has ended.
fn start(pid: u32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name is in parentheses and may have some itself.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    // Of the fields behind the name the start is the twentieth.
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    fn file(name: &str, text: &str, age: Duration) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pidfile-check-{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        path
    }

    #[test]
    fn live_stale_reused_and_unsure() {
        std::thread::sleep(Duration::from_millis(30));
        let own = std::process::id();
        let written_now = file("live", &format!("{own}\n"), Duration::ZERO);
        assert_eq!(check(&written_now), Ok(State::Live(own)));
        let written_before = file("reused", &format!("{own}\n"), Duration::from_secs(3600));
        assert_eq!(check(&written_before), Ok(State::Reused(own)));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = file("stale", &format!("{}\n", child.id()), Duration::ZERO);
        while !fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default().contains(") Z") {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(check(&gone), Ok(State::Stale(child.id())), "a zombie");
        child.wait().unwrap();
        assert_eq!(check(&gone), Ok(State::Stale(child.id())));
        let held = fs::File::open(&written_before).unwrap();
        held.lock().unwrap();
        assert_eq!(check(&written_before), Ok(State::Live(own)), "who holds the file is its process");
        for path in [&written_now, &written_before, &gone] {
            fs::remove_file(path).unwrap();
        }
        assert_eq!(check(&gone), Err(ReadError::Absent(gone.clone())));
    }
}
