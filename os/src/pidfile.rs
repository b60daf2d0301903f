//! PID files (systemd.service(5), `PIDFile=`): which process one names, and whether the file may name it.
use crate::chase::{Found, Missing, Refusal, Trust, Way};
use crate::process;
use runstead_core::engine::event::Pid;
use runstead_pidfile::State;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Files are no longer than this: a number, and what readers ignore.
const LONGEST: usize = 4096;

/// A process that a PID file names; it existed after the file was read.
#[derive(Debug)]
pub struct Claim {
    path: String,
    pid: Pid,
    /// Of the process: while it is held, nobody else is taken for it. `None` where the kernel has no such descriptors.
    process: Option<OwnedFd>,
    file: OwnedFd,
    owner: u32,
    /// Who could have put another file there.
    doubt: Option<Refusal>,
}

/// A process that was found to be the one meant.
#[derive(Debug)]
pub struct Named {
    /// Its id.
    pub pid: Pid,
    /// As in [`Claim`].
    pub process: Option<OwnedFd>,
}

/// Read a PID file without blocking; the refusal is for people. A path that somebody else may change is followed, too: its file can
/// then name processes of the unit only, see [`Claim::settle`].
pub fn read(path: &str) -> Result<Claim, String> {
    let refuse = |why: String| format!("{path}: {why}");
    let errno = |errno: Errno| refuse(std::io::Error::from(errno).to_string());
    let (found, doubt) = find(Path::new(path)).map_err(|why| refuse(why.to_string()))?;
    if found.kind() != FileType::RegularFile {
        return Err(refuse("not a regular file".to_owned()));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(found.proc_path(), flags, Mode::empty()).map_err(errno)?;
    let mut bytes = [0; LONGEST];
    let count = rustix::io::pread(&file, &mut bytes, 0).map_err(errno)?;
    // Some daemons write the zero byte that ends a string in C.
    let text = bytes[..count].split(|byte| *byte == 0).next().unwrap_or_default();
    let pid = match runstead_pidfile::parse(text).map(u32::cast_signed) {
        Ok(pid) if pid == 1 || pid.cast_unsigned() == std::process::id() => {
            Err(refuse(format!("process {pid} is the manager, no process of a service")))
        }
        Ok(pid) => Ok(pid),
        Err(why) => Err(refuse(why.to_string())),
    }?;
    let process = match process::open(pid) {
        Ok(process) => Some(process),
        Err(why) if matches!(why.errno, Errno::NOSYS | Errno::PERM | Errno::MFILE | Errno::NFILE) => None,
        Err(_) => return Err(refuse(format!("there is no process {pid}"))),
    };
    let claim = Claim { path: path.to_owned(), pid, process, file, owner: found.stat.st_uid, doubt };
    if claim.is_alive() { Ok(claim) } else { Err(refuse(format!("process {pid} has ended"))) }
}

/// The file, and why its path cannot be trusted.
fn find(path: &Path) -> Result<(Found, Option<Refusal>), Refusal> {
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let way = |trust| Way { root: root.as_fd(), trust, missing: Missing::Fails }.open(path, true);
    match way(Trust::Strict) {
        Ok(found) => Ok((found, None)),
        Err(doubt @ Refusal::Unsafe { .. }) => Ok((way(Trust::Look)?, Some(doubt))),
        Err(other) => Err(other),
    }
}

impl Claim {
    /// Which process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether the process is the one meant. One of the unit (`is_inside`) is. Another is taken only from a file and on a path that nobody
    /// but root may change, and when it had its number before the file was written: a later one was given that of a daemon that has
    /// ended. `reaped_since` says whether this manager has seen a process with this number end after the moment given (clock of
    /// boottime, nanoseconds), which is asked when both are too close to tell.
    pub fn settle(self, is_inside: bool, reaped_since: impl Fn(Pid, i128) -> bool) -> Result<Named, String> {
        let why = if is_inside { None } else { self.objection(reaped_since) };
        let why = why.or_else(|| (!self.is_alive()).then(|| format!("process {} has ended", self.pid)));
        match why {
            Some(why) => Err(format!("{}: {why}", self.path)),
            None => Ok(Named { pid: self.pid, process: self.process }),
        }
    }

    fn objection(&self, reaped_since: impl Fn(Pid, i128) -> bool) -> Option<String> {
        let foreign = format!("process {} is not the unit's", self.pid);
        if self.owner != 0 {
            return Some(format!("{foreign}, and the file belongs to user {}, not to root", self.owner));
        }
        if let Some(doubt) = &self.doubt {
            return Some(format!("{foreign}: {doubt}"));
        }
        let is_younger = match runstead_pidfile::check_open(&self.path, &self.file) {
            Ok(State::Reused(_)) => true,
            Ok(State::Unsure(_)) => self.written().is_none_or(|written| reaped_since(self.pid, written)),
            Ok(State::Live(_)) => false,
            Ok(State::Stale(_)) => return Some(format!("process {} has ended", self.pid)),
            Err(why) => return Some(why.to_string()),
        };
        is_younger
            .then(|| format!("{foreign}, and began after the file was written: it was given the number"))
    }

    /// When the file was last changed, on the clock of boottime.
    fn written(&self) -> Option<i128> {
        let stat = rustix::fs::fstat(&self.file).ok()?;
        let modified = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let now = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
        Some(process::boottime() - (now - modified))
    }

    fn is_alive(&self) -> bool {
        match &self.process {
            Some(process) => {
                let mut fds = [PollFd::new(process, PollFlags::IN)];
                // Ready when it has ended.
                let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
                matches!(poll(&mut fds, Some(&at_once)), Ok(0))
            }
            None => process::is_alive(self.pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::os::unix::fs::{chown, lchown, symlink};
    use std::process::{Child, Command, Stdio};

    fn process() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat")
    }

    fn end(mut child: Child) {
        drop(child.stdin.take());
        child.wait().expect("cat ends");
    }

    #[test]
    fn only_plain_files_with_a_process_that_runs_are_taken() {
        let scratch = Scratch::new("pidfile");
        let path = scratch.join("pid");
        let write = |text: &str| std::fs::write(&path, text).expect("write");
        let child = process();
        let pid = child.id().cast_signed();
        for good in [format!("{pid}\n"), format!("   {pid} \n1\n"), format!("{pid:0100}")] {
            write(&good);
            assert_eq!(read(&path).map(|claim| claim.pid()), Ok(pid), "{good}");
        }
        let own = std::process::id().to_string();
        for bad in ["", "1\n", "-5\n", "abc\n", "99999999999\n", "2147483647\n", &own] {
            write(bad);
            assert!(read(&path).is_err(), "{bad}");
        }
        assert!(read(scratch.path()).is_err());
        write(&format!("{pid}\n"));
        let claim = read(&path).expect("it runs");
        end(child);
        assert!(claim.settle(true, |_, _| false).is_err(), "it has ended since");
        assert!(read(&path).is_err());
    }

    #[test]
    fn who_could_have_put_the_file_there_is_named() {
        if !process::is_root() {
            assert!(std::env::var_os("CI").is_none(), "only root can give files away");
            return;
        }
        let scratch = Scratch::new("pidfile-owners");
        let child = process();
        std::fs::create_dir(scratch.join("theirs")).expect("mkdir");
        let (path, link) = (scratch.join("theirs/pid"), scratch.join("link"));
        std::fs::write(&path, format!("{}\n", child.id())).expect("write");
        symlink(scratch.join("theirs/pid"), &link).expect("link");
        let settle = |path: &str, is_inside| read(path).expect("there").settle(is_inside, |_, _| false);
        assert!(settle(&path, false).is_ok() && settle(&link, false).is_ok());
        lchown(&link, Some(1), Some(1)).expect("chown");
        let why = settle(&link, false).expect_err("somebody's link");
        assert!(why.contains(&format!("{link} belongs to user 1")), "{why}");
        assert!(settle(&link, true).is_ok(), "a process of the unit");
        chown(scratch.join("theirs"), Some(4711), None).expect("chown");
        let why = settle(&path, false).expect_err("somebody's directory");
        assert!(why.contains("theirs belongs to user 4711"), "{why}");
        chown(&path, Some(4711), None).expect("chown");
        let why = settle(&path, false).expect_err("somebody's file");
        assert!(why.contains("the file belongs to user 4711"), "{why}");
        end(child);
    }

    #[test]
    fn a_number_given_again_is_nobodys() {
        let scratch = Scratch::new("pidfile-reused");
        let path = scratch.join("pid");
        let child = process();
        let pid = child.id().cast_signed();
        std::fs::write(&path, format!("{pid}\n")).expect("write");
        let claim = read(&path).expect("it runs");
        let state = runstead_pidfile::check_open(&path, &claim.file);
        assert!(matches!(state, Ok(State::Live(_) | State::Unsure(_))), "{state:?}");
        let objects = claim.owner == 0 && matches!(state, Ok(State::Unsure(_)));
        assert_eq!(claim.objection(|of, _| of == pid).is_some(), objects || claim.owner != 0);
        let old = std::fs::File::options().write(true).open(&path).expect("open");
        old.set_modified(std::time::UNIX_EPOCH).expect("set time");
        assert!(read(&path).expect("it runs").settle(false, |_, _| false).is_err());
        assert!(read(&path).expect("it runs").settle(true, |_, _| false).is_ok());
        end(child);
    }
}
