//! Status output on the console while booting and shutting down (systemd.special(7) calls it the boot splash).
use runstead_core::engine::effect::StatusMark;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// Bytes of status that wait for the end of a turn.
const BATCH: usize = 4096;

/// The console, opened each time: a terminal held open would become ours, and a hung one would hang us.
#[derive(Debug)]
pub struct Console {
    /// Whether lines are shown.
    pub enabled: bool,
    colours: bool,
    /// Lines that are still to be shown: clients are answered first.
    waiting: RefCell<String>,
}

impl Console {
    /// Shown or not; colours where `TERM` is not `dumb` and `NO_COLOR` is not set.
    pub fn new(enabled: bool) -> Console {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let colours = !dumb && std::env::var_os("NO_COLOR").is_none();
        Console { enabled, colours, waiting: RefCell::default() }
    }

    /// Show a line with its mark, at the next [`Console::flush`].
    pub fn status(&self, mark: StatusMark, text: &str) {
        if self.enabled && self.queue(&self.format(mark, text)) >= BATCH {
            self.flush();
        }
    }

    /// Show a line whether or not status output is on (log lines that have nowhere else to go).
    pub fn always(&self, text: &str) {
        self.queue(text);
        self.flush();
    }

    fn queue(&self, line: &str) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push_str(line);
        // Nobody else ends lines on the machine's console.
        waiting.push_str(if std::process::id() == 1 { "\r\n" } else { "\n" });
        waiting.len()
    }

    /// Show what waits.
    pub fn flush(&self) {
        let lines = self.waiting.take();
        if !lines.is_empty() {
            write(&lines);
        }
    }

    fn format(&self, mark: StatusMark, text: &str) -> String {
        let (word, colour) = match mark {
            StatusMark::None => return format!("         {text}"),
            StatusMark::Ok => ("  OK  ", "0;32"),
            StatusMark::Failed => ("FAILED", "0;1;31"),
            StatusMark::Depend => ("DEPEND", "0;1;38:5:185"),
            StatusMark::Info => (" INFO ", "0;1;38:5:185"),
            StatusMark::Skip => (" SKIP ", "0;1;38:5:185"),
            StatusMark::Assert => ("ASSERT", "0;1;38:5:185"),
            StatusMark::Unsupported => ("UNSUPP", "0;1;38:5:185"),
            StatusMark::Once => (" ONCE ", "0;1;31"),
            StatusMark::Time => (" TIME ", "0;1;31"),
        };
        if self.colours {
            format!("[\x1b[{colour}m{word}\x1b[0m] {text}")
        } else {
            format!("[{word}] {text}")
        }
    }
}

fn write(lines: &str) {
    if std::process::id() != 1 {
        return write_to_stderr(lines);
    }
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    #[allow(clippy::cast_possible_wrap)] // Flag bits, not a number.
    let opened: std::io::Result<File> =
        File::options().write(true).custom_flags(flags.bits() as i32).open("/dev/console");
    // No console, or one that takes no more: the lines are lost, the boot goes on.
    if let Ok(mut console) = opened {
        let _ = console.write_all(lines.as_bytes());
    }
}

/// The machine's console is PID 1's; others speak where they were started. A reader that takes no more does not hold us.
fn write_to_stderr(lines: &str) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stderr = std::io::stderr();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let takes = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&now));
    if takes.is_ok_and(|count| count > 0) {
        let _ = rustix::io::write(&stderr, lines.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_line_up() {
        let console = Console { enabled: true, colours: false, waiting: RefCell::default() };
        assert_eq!(console.format(StatusMark::Ok, "Started x."), "[  OK  ] Started x.");
        assert_eq!(console.format(StatusMark::None, "Starting x..."), "         Starting x...");
    }
}
