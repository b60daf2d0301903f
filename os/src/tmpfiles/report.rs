//! What is told while a plan is worked on.
use rustix::io::Errno;
use std::fmt::Display;
use std::sync::Mutex;

/// How important something is; as syslog(3) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It could not be done.
    Error = 3,
    /// It was not as expected.
    Warning = 4,
    /// Worth a look.
    Notice = 5,
    /// What is done.
    Info = 6,
    /// Why something is not done.
    Debug = 7,
}

/// It was told already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// Whoever listens.
pub type Tell = Box<dyn FnMut(Level, &str) + Send>;

/// Takes what is told. Threads may share it.
pub struct Report {
    least: Level,
    /// Without privileges much is refused: that is counted and told at the end.
    gather_refusals: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    tell: Tell,
    refused: usize,
    first: Option<String>,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report").field("least", &self.least).finish_non_exhaustive()
    }
}

impl Report {
    /// Tells what is at least that important.
    pub fn new(least: Level, gather_refusals: bool, tell: Tell) -> Report {
        Report { least, gather_refusals, inner: Mutex::new(Inner { tell, refused: 0, first: None }) }
    }

    /// Whether this would be told: what costs something is not put together for nothing.
    pub fn tells(&self, level: Level) -> bool {
        level <= self.least
    }

    /// Tell.
    pub fn say(&self, level: Level, text: impl Display) {
        if self.tells(level) {
            (self.lock().tell)(level, &text.to_string());
        }
    }

    /// Something failed: a verb, on what, why.
    pub fn failed(&self, attempted: &str, on: impl Display, errno: Errno) -> Failed {
        let text = format!("cannot {attempted} {on}: {}", std::io::Error::from(errno));
        if self.gather_refusals && matches!(errno, Errno::PERM | Errno::ACCESS | Errno::ROFS) {
            let mut inner = self.lock();
            inner.refused += 1;
            inner.first.get_or_insert(text);
        } else {
            self.say(Level::Error, text);
        }
        Failed
    }

    /// One line for all that was refused.
    pub fn end(&self) {
        let mut inner = self.lock();
        if inner.refused == 0 {
            return;
        }
        let first = inner.first.take().unwrap_or_default();
        let text = match inner.refused {
            1 => format!("{first} (run it as root)"),
            count => format!("{count} operations were refused, the first: {first} (run it as root)"),
        };
        (inner.tell)(Level::Error, &text);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
