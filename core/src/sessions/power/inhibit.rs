//! Locks of clients on shutdown, sleep and keys (systemd-inhibit(1)).
use super::super::event::CallId;
use crate::engine::clock::Stamp;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

/// A set of things that can be held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct What(u8);

const NAMES: [(What, &str); 8] = [
    (What::SHUTDOWN, "shutdown"),
    (What::SLEEP, "sleep"),
    (What::IDLE, "idle"),
    (What::POWER_KEY, "handle-power-key"),
    (What::SUSPEND_KEY, "handle-suspend-key"),
    (What::HIBERNATE_KEY, "handle-hibernate-key"),
    (What::LID_SWITCH, "handle-lid-switch"),
    (What::REBOOT_KEY, "handle-reboot-key"),
];

impl What {
    /// The machine's end.
    pub const SHUTDOWN: What = What(1);
    /// Its sleep.
    pub const SLEEP: What = What(2);
    /// What is done when nobody does anything.
    pub const IDLE: What = What(4);
    /// The power key.
    pub const POWER_KEY: What = What(8);
    /// The suspend key.
    pub const SUSPEND_KEY: What = What(16);
    /// The hibernate key.
    pub const HIBERNATE_KEY: What = What(32);
    /// The lid.
    pub const LID_SWITCH: What = What(64);
    /// The reboot key.
    pub const REBOOT_KEY: What = What(128);

    /// Words with colons between; `None` when one of them is none, or there is none.
    pub fn parse(text: &str) -> Option<What> {
        text.split(':').try_fold(What::default(), |all, word| {
            let (what, _) = NAMES.iter().find(|(_, name)| *name == word)?;
            Some(What(all.0 | what.0))
        })
    }

    /// Whether they have something in common.
    pub fn meets(self, other: What) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of it is in the other.
    pub fn within(self, other: What) -> bool {
        self.0 & !other.0 == 0
    }

    /// Both.
    pub fn and(self, other: What) -> What {
        What(self.0 | other.0)
    }

    /// The polkit actions that allow a lock on these.
    pub fn rights(self, mode: Mode) -> Vec<&'static str> {
        let delay = mode == Mode::Delay;
        let action = |what: What| match what {
            What::SHUTDOWN if delay => "org.freedesktop.login1.inhibit-delay-shutdown",
            What::SHUTDOWN => "org.freedesktop.login1.inhibit-block-shutdown",
            What::SLEEP if delay => "org.freedesktop.login1.inhibit-delay-sleep",
            What::SLEEP => "org.freedesktop.login1.inhibit-block-sleep",
            What::IDLE => "org.freedesktop.login1.inhibit-block-idle",
            What::POWER_KEY => "org.freedesktop.login1.inhibit-handle-power-key",
            What::SUSPEND_KEY => "org.freedesktop.login1.inhibit-handle-suspend-key",
            What::HIBERNATE_KEY => "org.freedesktop.login1.inhibit-handle-hibernate-key",
            What::LID_SWITCH => "org.freedesktop.login1.inhibit-handle-lid-switch",
            _ => "org.freedesktop.login1.inhibit-handle-reboot-key",
        };
        NAMES.iter().filter(|(what, _)| self.meets(*what)).map(|(what, _)| action(*what)).collect()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            NAMES.iter().filter(|(what, _)| self.meets(*what)).map(|(_, name)| *name).collect();
        f.write_str(&names.join(":"))
    }
}

/// How hard a lock holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For all.
    Block,
    /// Not for root, nor for the user who holds it.
    BlockWeak,
    /// For a while.
    Delay,
}

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 3] = [Mode::Block, Mode::BlockWeak, Mode::Delay];

    /// The mode of that name.
    pub fn parse(text: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == text)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Block => "block",
            Mode::BlockWeak => "block-weak",
            Mode::Delay => "delay",
        }
    }

    /// The property that shows the locks of this mode.
    pub fn property(self) -> &'static [&'static str] {
        match self {
            Mode::Block => &["BlockInhibited"],
            Mode::BlockWeak => &["BlockWeakInhibited"],
            Mode::Delay => &["DelayInhibited"],
        }
    }
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhibitor {
    /// On what.
    pub what: What,
    /// How hard.
    pub mode: Mode,
    /// Who holds it, for people.
    pub who: String,
    /// What for, for people.
    pub why: String,
    /// The user.
    pub uid: u32,
    /// The process that asked for it.
    pub pid: i32,
    /// Who waits for its descriptor.
    pub call: Option<CallId>,
    /// When it was taken.
    pub since: Stamp,
}

/// All locks, by number.
pub type Inhibitors = BTreeMap<u64, Inhibitor>;

/// Where the FIFO of a lock is.
pub fn fifo_path(id: u64) -> String {
    format!("/run/systemd/inhibit/{id}.ref")
}

/// The path of its state file, below `/run/systemd`.
pub fn state_path(id: u64) -> String {
    format!("inhibit/{id}")
}

impl Inhibitor {
    /// What is in the state file.
    pub fn text(&self, id: u64) -> String {
        let mut text = "# This is private data. Do not parse.\n".to_owned();
        let _ = writeln!(
            text,
            "WHAT={}\nMODE={}\nUID={}\nPID={}\nWHO={}\nWHY={}\nFIFO={}",
            self.what,
            self.mode.name(),
            self.uid,
            self.pid,
            escape(&self.who),
            escape(&self.why),
            fifo_path(id)
        );
        text
    }

    /// What a state file says.
    pub fn read<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Inhibitor> {
        let lines: BTreeMap<&str, &str> = lines.collect();
        let text = |key: &str| {
            let value = lines.get(key).copied().unwrap_or("");
            crate::values::quoting::c_unescape(value).unwrap_or_else(|| value.to_owned())
        };
        Some(Inhibitor {
            what: What::parse(lines.get("WHAT")?)?,
            mode: Mode::parse(lines.get("MODE")?)?,
            who: text("WHO"),
            why: text("WHY"),
            uid: lines.get("UID")?.parse().ok()?,
            pid: lines.get("PID")?.parse().ok()?,
            call: None,
            since: Stamp::default(),
        })
    }
}

/// As in C, and what is not ASCII in octal, as the reference writes it.
fn escape(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            b'\\' | b'"' | b'\'' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            other => {
                let _ = write!(text, "\\{other:03o}");
            }
        }
    }
    text
}
