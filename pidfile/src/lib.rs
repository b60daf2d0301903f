//! PID files (Filesystem Hierarchy Standard 3.0, section 3.15.2): `/run/NAME.pid` holds the decimal number of a daemon's process
//! and a newline.
//!
//! A daemon makes one for itself, and is the only one that has it:
//!
//! ```
//! # let directory = std::env::temp_dir().join(format!("pidfile-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory).unwrap();
//! # let path = directory.join("mydaemon.pid");
//! let mine = runstead_pidfile::PidFile::create(&path)?;
//! assert_eq!(runstead_pidfile::read(&path)?, std::process::id());
//! assert!(runstead_pidfile::PidFile::create(&path).is_err(), "there is one already");
//! // Removed when it is dropped.
//! drop(mine);
//! assert!(!path.exists());
//! # std::fs::remove_dir(&directory).unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The file comes into being with its contents and a lock (flock(2)) at once: nobody reads half of it, and of two daemons that start
//! at the same time one wins. A file whose daemon crashed is taken over. The lock belongs to the open file: a process that
//! this one forks has it, too, and may [`PidFile::set`] its own number.
//!
//! Others [`read`] such a file, or [`check`] whether its process lives, has gone, or is another one that got the same number.
mod check;
mod create;
mod parse;

pub use check::{State, check, check_open};
pub use create::{CreateError, PidFile};
pub use parse::{ParseError, parse};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Files are no longer than this: a number, and what readers ignore.
const LONGEST: usize = 4096;

/// Why a file cannot be read as a PID file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// There is none.
    Absent(PathBuf),
    /// The kernel refuses: what, and why.
    Refused(PathBuf, Errno),
    /// It is a link: whoever may change that chooses the process.
    Link(PathBuf),
    /// It is a directory, a FIFO, a device ...
    NoFile(PathBuf),
    /// Its text is no PID.
    Text(PathBuf, ParseError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Absent(path) => write!(f, "{} is not there", path.display()),
            ReadError::Refused(path, errno) => write!(f, "cannot open {}: {errno}", path.display()),
            ReadError::Link(path) => {
                write!(f, "{} is a link, which is not followed; name the file itself", path.display())
            }
            ReadError::NoFile(path) => write!(f, "{} is no regular file", path.display()),
            ReadError::Text(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for ReadError {}

/// The process that a PID file names. Extra white space, leading zeroes, a missing newline and further lines are ignored, as the
/// standard asks of readers.
///
/// # Errors
/// As [`ReadError`] tells; a link is not followed.
pub fn read(path: impl AsRef<Path>) -> Result<u32, ReadError> {
    let path = path.as_ref();
    let (file, _) = open(path)?;
    number(path, &file)
}

fn open(path: &Path) -> Result<(OwnedFd, Stat), ReadError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT => ReadError::Absent(path.to_owned()),
        Errno::LOOP => ReadError::Link(path.to_owned()),
        // A socket.
        Errno::NXIO => ReadError::NoFile(path.to_owned()),
        errno => ReadError::Refused(path.to_owned(), errno),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| ReadError::Refused(path.to_owned(), errno))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        _ => Err(ReadError::NoFile(path.to_owned())),
    }
}

fn number(path: &Path, file: &OwnedFd) -> Result<u32, ReadError> {
    let mut bytes = [0; LONGEST];
    let count =
        rustix::io::pread(file, &mut bytes, 0).map_err(|errno| ReadError::Refused(path.to_owned(), errno))?;
    parse(&bytes[..count]).map_err(|why| ReadError::Text(path.to_owned(), why))
}
