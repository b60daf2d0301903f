//! Making a PID file that one process has.
use crate::check::{State, is_locked, state};
use crate::{ReadError, number, open};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a moment is given to somebody who takes a stale file over.
const TURNS: u32 = 2000;
const MOMENT: Duration = Duration::from_micros(500);

/// Why there is no file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateError {
    /// The daemon runs already: the number in its file.
    Running(PathBuf, u32),
    /// Somebody holds the file that says no PID.
    Held(PathBuf),
    /// What is there is no PID file, and is left alone.
    Foreign(ReadError),
    /// The kernel refuses: what was attempted, on what, why.
    Refused(&'static str, PathBuf, Errno),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Running(path, pid) => {
                write!(f, "process {pid} runs already and has {}", path.display())
            }
            CreateError::Held(path) => write!(f, "another process holds {}", path.display()),
            CreateError::Foreign(why) => write!(f, "{why}; remove it if it is not needed"),
            CreateError::Refused(what, path, errno) => write!(f, "cannot {what} {}: {errno}", path.display()),
        }
    }
}

impl std::error::Error for CreateError {}

/// A PID file that this process has: removed when this is dropped, unless somebody else has its name by then.
#[derive(Debug)]
pub struct PidFile {
    file: OwnedFd,
    path: PathBuf,
}

impl PidFile {
    /// Make the file `path` for this process, with mode 0644 whatever the umask; its directory has to exist. One that was left behind is
    /// taken over.
    ///
    /// # Errors
    /// As [`CreateError`] tells.
    pub fn create(path: impl AsRef<Path>) -> Result<PidFile, CreateError> {
        PidFile::create_for(path, std::process::id())
    }

    /// The same for another process, such as a child.
    ///
    /// # Errors
    /// As [`CreateError`] tells.
    pub fn create_for(path: impl AsRef<Path>, pid: u32) -> Result<PidFile, CreateError> {
        let path = path.as_ref();
        let new = Unfinished::write(path, pid)?;
        for _ in 0..TURNS {
            match rustix::fs::linkat(CWD, &new.path, CWD, path, AtFlags::empty()) {
                Ok(()) => return Ok(new.finish(path)),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(CreateError::Refused("make", path.to_owned(), errno)),
            }
            match take_over(path, &new)? {
                true => return Ok(PidFile { file: new.leave(), path: path.to_owned() }),
                false => std::thread::sleep(MOMENT),
            }
        }
        Err(CreateError::Held(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write another number: for the child of a daemon that forks, in whichever of the two. Readers see the old one or the new one.
    ///
    /// # Errors
    /// As [`CreateError`] tells; also when somebody else has the file's name now.
    pub fn set(&mut self, pid: u32) -> Result<(), CreateError> {
        if !self.is_ours() {
            return Err(CreateError::Held(self.path.clone()));
        }
        let new = Unfinished::write(&self.path, pid)?;
        let renamed = rustix::fs::rename(&new.path, &self.path);
        renamed.map_err(|errno| CreateError::Refused("replace", self.path.clone(), errno))?;
        self.file = new.leave();
        Ok(())
    }

    /// Leave the file where it is, as somebody else's. The lock stays for as long as a process has the file open.
    pub fn keep(self) {
        let kept = std::mem::ManuallyDrop::new(self);
        let _ = rustix::io::fcntl_setfd(&kept.file, rustix::io::FdFlags::empty());
    }

    /// Whether the name still is that of our file: nobody can take it from us while we hold the lock, but remove it.
    fn is_ours(&self) -> bool {
        let own = rustix::fs::fstat(&self.file).map(|stat| (stat.st_dev, stat.st_ino));
        let there = rustix::fs::lstat(&self.path).map(|stat| (stat.st_dev, stat.st_ino));
        own.is_ok() && own == there
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

/// A file with its contents and locked, under a name that nobody looks for; removed when it is dropped.
struct Unfinished {
    file: Option<OwnedFd>,
    path: PathBuf,
}

impl Unfinished {
    fn write(beside: &Path, pid: u32) -> Result<Unfinished, CreateError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let refused = |what| move |errno| CreateError::Refused(what, beside.to_owned(), errno);
        let name = beside.file_name().ok_or(Errno::INVAL).map_err(refused("make"))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}.{}.{number}~", name.to_string_lossy(), std::process::id());
        let path = beside.with_file_name(name);
        // Left by a process that had our number and crashed.
        let _ = rustix::fs::unlink(&path);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)).map_err(refused("make"))?;
        let new = Unfinished { file: Some(file), path };
        let file = new.file.as_ref().expect("just made");
        let text = format!("{pid}\n");
        rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).map_err(refused("lock"))?;
        let count = rustix::io::write(file, text.as_bytes()).map_err(refused("write"))?;
        if count != text.len() {
            return Err(refused("write")(Errno::NOSPC));
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(0o644)).map_err(refused("set the mode of"))?;
        Ok(new)
    }

    /// It has its name.
    fn finish(mut self, path: &Path) -> PidFile {
        let file = self.file.take().expect("taken once");
        let _ = rustix::fs::unlink(&self.path);
        PidFile { file, path: path.to_owned() }
    }

    /// Its name has become another's.
    fn leave(mut self) -> OwnedFd {
        self.file.take().expect("taken once")
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

/// Put our file in the place of one whose process has ended; `false` when that is to be tried again. Whoever does it holds the
/// old file meanwhile, so that there is one at a time.
fn take_over(path: &Path, new: &Unfinished) -> Result<bool, CreateError> {
    let (old, stat) = match open(path) {
        Err(ReadError::Absent(_)) => return Ok(false),
        other => other.map_err(CreateError::Foreign)?,
    };
    let said = number(path, &old);
    match rustix::fs::flock(&old, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            // Its daemon, or somebody who takes it over just now, or looks.
            return match said.map(|pid| state(pid, is_locked(&old), &stat)) {
                Ok(State::Live(pid)) => Err(CreateError::Running(path.to_owned(), pid)),
                _ => Ok(false),
            };
        }
        Err(errno) => return Err(CreateError::Refused("lock", path.to_owned(), errno)),
    }
    let there = rustix::fs::lstat(path).map(|stat| (stat.st_dev, stat.st_ino));
    if there != Ok((stat.st_dev, stat.st_ino)) {
        return Ok(false);
    }
    match said.map(|pid| state(pid, false, &stat)) {
        // A daemon that locks nothing.
        Ok(State::Live(pid) | State::Unsure(pid)) => Err(CreateError::Running(path.to_owned(), pid)),
        Ok(State::Stale(_) | State::Reused(_)) => {
            let renamed = rustix::fs::rename(&new.path, path);
            renamed.map_err(|errno| CreateError::Refused("replace", path.to_owned(), errno)).map(|()| true)
        }
        Err(why) => Err(CreateError::Foreign(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("pidfile-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Place(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("daemon.pid")
        }

        fn names(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_standards_format_and_nothing_else() {
        let place = Place::new("format");
        let mut mine = PidFile::create(place.file()).unwrap();
        let own = std::process::id();
        assert_eq!(fs::read_to_string(place.file()).unwrap(), format!("{own}\n"));
        assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::metadata(place.file()).unwrap().nlink(), 1);
        assert_eq!(PidFile::create(place.file()).unwrap_err(), CreateError::Running(place.file(), own));
        mine.set(1).unwrap();
        assert_eq!(fs::read_to_string(place.file()).unwrap(), "1\n");
        assert!(PidFile::create(place.file()).is_err(), "the new file is locked, too");
        assert_eq!(place.names(), 1);
        drop(mine);
        assert_eq!(place.names(), 0);
    }

    #[test]
    fn what_was_left_behind_is_taken_over() {
        let place = Place::new("left");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        fs::write(place.file(), format!("{}\n", child.id())).unwrap();
        let mine = PidFile::create(place.file()).unwrap();
        assert_eq!(crate::read(place.file()), Ok(std::process::id()));
        drop(mine);
        assert_eq!(place.names(), 0);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let place = Place::new("foreign");
        fs::write(place.file(), "a diary\n").unwrap();
        assert!(matches!(PidFile::create(place.file()), Err(CreateError::Foreign(ReadError::Text(..)))));
        fs::remove_file(place.file()).unwrap();
        symlink("/etc/passwd", place.file()).unwrap();
        assert!(matches!(PidFile::create(place.file()), Err(CreateError::Foreign(ReadError::Link(_)))));
        fs::remove_file(place.file()).unwrap();
        fs::create_dir(place.file()).unwrap();
        assert!(matches!(PidFile::create(place.file()), Err(CreateError::Foreign(ReadError::NoFile(_)))));
        fs::remove_dir(place.file()).unwrap();
        // PID 1 locks nothing, and is older than any file.
        fs::write(place.file(), "1\n").unwrap();
        assert_eq!(PidFile::create(place.file()).unwrap_err(), CreateError::Running(place.file(), 1));
        let mine = PidFile::create(place.0.join("other.pid")).unwrap();
        fs::remove_file(mine.path()).unwrap();
        fs::write(mine.path(), "somebody else's\n").unwrap();
        drop(mine);
        assert_eq!(fs::read_to_string(place.0.join("other.pid")).unwrap(), "somebody else's\n");
        assert!(matches!(
            PidFile::create("/no/such/place.pid"),
            Err(CreateError::Refused(_, _, Errno::NOENT))
        ));
    }
}
