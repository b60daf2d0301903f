//! Status output on the console while booting and shutting down (systemd.special(7) calls it the boot splash).
use runstead_core::engine::effect::StatusMark;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// The console, opened for each line: a terminal held open would become ours, and a hung one would hang us.
#[derive(Debug)]
pub struct Console {
    /// Whether lines are shown.
    pub enabled: bool,
    colours: bool,
}

impl Console {
    /// Shown or not; colours where `TERM` is not `dumb` and `NO_COLOR` is not set.
    pub fn new(enabled: bool) -> Console {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Console { enabled, colours: !dumb && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Show a line with its mark.
    pub fn status(&self, mark: StatusMark, text: &str) {
        if self.enabled {
            self.write(&self.format(mark, text));
        }
    }

    /// Show a line whether or not status output is on (log lines that have nowhere else to go).
    pub fn always(&self, text: &str) {
        self.write(text);
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

    fn write(&self, line: &str) {
        if std::process::id() != 1 {
            return write_to_stderr(line);
        }
        let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
        #[allow(clippy::cast_possible_wrap)] // Flag bits, not a number.
        let opened: std::io::Result<File> =
            File::options().write(true).custom_flags(flags.bits() as i32).open("/dev/console");
        // No console, or one that takes no more: the line is lost, the boot goes on.
        if let Ok(mut console) = opened {
            let _ = console.write_all(format!("{line}\r\n").as_bytes());
        }
    }
}

/// The machine's console is PID 1's; others speak where they were started. A reader that takes no more does not hold us.
fn write_to_stderr(line: &str) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stderr = std::io::stderr();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let takes = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&now));
    if takes.is_ok_and(|count| count > 0) {
        let _ = rustix::io::write(&stderr, format!("{line}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_line_up() {
        let console = Console { enabled: true, colours: false };
        assert_eq!(console.format(StatusMark::Ok, "Started x."), "[  OK  ] Started x.");
        assert_eq!(console.format(StatusMark::None, "Starting x..."), "         Starting x...");
    }
}
