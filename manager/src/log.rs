//! Our own log lines: to the journal, the kernel's log, or the console; never blocking. What cannot be sent waits in a
//! bounded ring; what does not fit there is counted, and the count is logged.
use crate::console::Console;
use crate::persist::ShellRecord;
use runstead_core::engine::effect::LogLine;
use runstead_os::socket;
use runstead_wire::journal::{Entry, Priority, kmsg_line};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;

/// Lines that may wait.
const RING: usize = 512;
/// Lines that wait for the end of a turn.
const BATCH: usize = 64;
const WARNING: u8 = 4;
/// Facility `LOG_DAEMON` (syslog(3)).
const DAEMON: u8 = 3;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The journal when it is there, else the kernel's log, else the console.
    JournalOrKmsg,
    /// The kernel's log, else the console.
    Kmsg,
    /// The console.
    Console,
    /// The console, each line with its level in front.
    Stderr,
    /// Nowhere.
    Null,
}

impl Target {
    /// From `--log-target=` and `SetLogTarget` (systemd(1)).
    pub fn parse(word: &str) -> Option<Target> {
        Some(match word {
            "journal" | "journal-or-kmsg" | "auto" | "syslog" | "syslog-or-kmsg" => Target::JournalOrKmsg,
            "kmsg" => Target::Kmsg,
            "console" => Target::Console,
            "console-prefixed" => Target::Stderr,
            "null" => Target::Null,
            _ => return None,
        })
    }
}

/// The log.
#[derive(Debug)]
pub struct Log {
    /// Fields that name a unit and its invocation: those of a user's manager are others.
    unit_fields: [&'static str; 2],
    /// Where to.
    pub target: Target,
    /// The word it was given as.
    pub target_word: String,
    /// Lines above this syslog level are dropped.
    pub level: u8,
    /// A client set the level: what is configured does not count.
    pub level_is_set: bool,
    /// Likewise the target.
    pub target_is_set: bool,
    journal_path: String,
    journal: Option<OwnedFd>,
    ring: VecDeque<Vec<u8>>,
    lost: u64,
}

impl Log {
    /// A log; `run_root` is where the journal's socket lies below.
    pub fn new(run_root: &str, user: bool) -> Log {
        Log {
            unit_fields: if user { ["USER_UNIT", "USER_INVOCATION_ID"] } else { ["UNIT", "INVOCATION_ID"] },
            target: Target::JournalOrKmsg,
            target_word: "journal-or-kmsg".to_owned(),
            level: 6,
            level_is_set: false,
            target_is_set: false,
            journal_path: format!("{run_root}/systemd/journal/socket"),
            journal: None,
            ring: VecDeque::new(),
            lost: 0,
        }
    }

    /// A client wants this level.
    pub fn set_level(&mut self, level: u8) {
        (self.level, self.level_is_set) = (level, true);
    }

    /// A client wants this target; `false` when there is none of this name.
    pub fn set_target(&mut self, word: &str) -> bool {
        let Some(target) = Target::parse(word) else { return false };
        (self.target, self.target_is_set) = (target, true);
        word.clone_into(&mut self.target_word);
        true
    }

    /// Whether a client set any of it.
    pub fn is_set(&self) -> bool {
        self.level_is_set || self.target_is_set
    }

    /// As a client had it, in the image before.
    pub fn resume(&mut self, before: &ShellRecord) {
        if self.set_target(&before.log_target) {
            self.set_level(before.log_level);
        }
    }

    /// Log a line of the manager itself.
    pub fn manager(&mut self, console: &Console, level: u8, text: &str) {
        self.line(console, &LogLine { level, unit: None, text: text.into(), fields: Vec::new() }, None);
    }

    /// Log a line; `invocation` is that of its unit.
    pub fn line(&mut self, console: &Console, line: &LogLine, invocation: Option<&str>) {
        if line.level > self.level {
            return;
        }
        match self.target {
            Target::Null => {}
            Target::Console => self.to_console(console, line),
            // Standard error is where the console was at the start; it may be gone, or full and waiting.
            Target::Stderr => console.always(&format!("<{}>{}", line.level, line.text)),
            Target::Kmsg => self.write_kmsg(console, line),
            Target::JournalOrKmsg => {
                if !self.write_journal(line, invocation) {
                    self.write_kmsg(console, line);
                }
            }
        }
    }

    /// Send what waits.
    pub fn flush(&mut self) {
        while let Some(entry) = self.ring.front() {
            let Some(journal) = &self.journal else { return };
            match socket::send_with_fds(journal, entry, &[]) {
                Ok(_) => {
                    self.ring.pop_front();
                }
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => {
                    self.journal = None;
                    return;
                }
            }
        }
    }

    /// Whether the journal took (or will take) the line.
    fn write_journal(&mut self, line: &LogLine, invocation: Option<&str>) -> bool {
        if self.journal.is_none() {
            self.journal = socket::unix::connect_datagram(&self.journal_path).ok();
        }
        if self.journal.is_none() {
            return false;
        }
        let mut entry = Entry::new();
        entry.number("PRIORITY", line.level).number("SYSLOG_FACILITY", DAEMON);
        entry.field("SYSLOG_IDENTIFIER", "systemd").field("MESSAGE", line.text.as_bytes());
        if let Some(unit) = &line.unit {
            let [name, id] = self.unit_fields;
            entry.field(name, unit.as_str());
            if let Some(invocation) = invocation {
                entry.field(id, invocation);
            }
        }
        for (name, value) in &line.fields {
            entry.field(name, value.as_bytes());
        }
        if self.ring.len() >= RING {
            self.ring.pop_front();
            self.lost += 1;
        }
        self.ring.push_back(entry.bytes().to_vec());
        // Clients are answered first; what went wrong is told at once, as it may be the last that we tell.
        if line.level <= WARNING || self.ring.len() >= BATCH {
            self.flush();
        }
        if self.lost > 0 && self.ring.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            let text = format!("{lost} log lines were lost because the journal did not take them");
            self.write_journal(
                &LogLine { level: 4, unit: None, text: text.into(), fields: Vec::new() },
                None,
            );
        }
        true
    }

    fn write_kmsg(&mut self, console: &Console, line: &LogLine) {
        // The kernel's log is the machine's, whose manager we are only as PID 1.
        if std::process::id() != 1 {
            return self.to_console(console, line);
        }
        let priority = Priority { level: line.level, facility: DAEMON };
        let record = kmsg_line(priority, "systemd", std::process::id(), &line.text);
        // In a container it may be anything, a FIFO without a reader too.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let opened = File::options().write(true).custom_flags(flags.bits().cast_signed()).open("/dev/kmsg");
        let written = opened.and_then(|mut kmsg| kmsg.write_all(&record));
        if written.is_err() {
            self.to_console(console, line);
        }
    }

    fn to_console(&self, console: &Console, line: &LogLine) {
        // The console shows the status of units already; of log lines only what is wrong.
        if line.level <= 4 || self.target == Target::Console {
            console.always(&line.text);
        }
    }
}
