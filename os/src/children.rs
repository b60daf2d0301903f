//! Ended children: looked at, then reaped (DESIGN 6: peeked, recorded, then reaped).
use crate::error::{Attempt, OsError};
use crate::sys::process::{Waited, Whom, wait};
use runstead_core::engine::event::{Exit, Pid};

/// A child that ended and is still a zombie: its number cannot be reused, and `/proc` still tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub pid: Pid,
    /// How it ended.
    pub exit: Exit,
}

/// Look at one child that ended, leaving it. The same one comes until it is reaped.
pub fn peek() -> Result<Option<Ended>, OsError> {
    let waited = wait(Whom::Any, false).attempt("waitid", "")?;
    Ok(waited.map(describe))
}

/// Look at this child, leaving it; `None` while it runs.
pub fn peek_pid(pid: Pid) -> Result<Option<Ended>, OsError> {
    let waited = wait(Whom::Pid(pid), false).attempt("waitid", pid.to_string())?;
    Ok(waited.map(describe))
}

/// Take the zombie from the table; how it ended, `None` when it is not a child that ended.
pub fn reap(pid: Pid) -> Result<Option<Exit>, OsError> {
    let waited = wait(Whom::Pid(pid), true).attempt("waitid", pid.to_string())?;
    Ok(waited.map(exit_of))
}

fn describe(waited: Waited) -> Ended {
    Ended { pid: waited.pid, exit: exit_of(waited) }
}

fn exit_of(waited: Waited) -> Exit {
    match waited.code {
        libc::CLD_EXITED => Exit::Status(waited.status),
        libc::CLD_KILLED => Exit::Killed(waited.status),
        libc::CLD_DUMPED => Exit::Dumped(waited.status),
        _ => Exit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Start a shell whose end nobody but the test waits for.
    fn shell(script: &str) -> Pid {
        let child = Command::new("sh").args(["-c", script]).spawn();
        child.expect("sh").id().cast_signed()
    }

    fn wait_for(pid: Pid) -> Ended {
        for _ in 0..2000 {
            if let Some(ended) = peek_pid(pid).expect("waitid") {
                return ended;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("child {pid} did not end");
    }

    #[test]
    fn peeked_children_stay_until_reaped() {
        let pid = shell("exit 7");
        let ended = wait_for(pid);
        assert_eq!(ended.exit, Exit::Status(7));
        assert_eq!(wait_for(pid).pid, pid, "it is still there");
        assert_eq!(reap(pid).expect("waitid"), Some(Exit::Status(7)));
        assert_eq!(reap(pid).expect("waitid"), None);
    }

    #[test]
    fn signals_are_told_from_statuses() {
        let pid = shell("kill -TERM $$");
        assert_eq!(wait_for(pid).exit, Exit::Killed(libc::SIGTERM));
        assert_eq!(reap(pid).expect("waitid"), Some(Exit::Killed(libc::SIGTERM)));
    }
}
