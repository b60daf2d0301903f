//! A shutdown at a given time (shutdown(8)), and who is told of it when.
use super::operation::Operation;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const MINUTE: u64 = 60 * 1_000_000;
/// Nobody may log in any more, this long before.
pub const NO_LOGINS_BEFORE: u64 = 5 * MINUTE;
/// Everybody is told at once of what is at most this far away.
const SOON: u64 = 15 * MINUTE;
/// From so many minutes before the shutdown on, backwards in time, everybody is told each so many minutes.
const STEPS: [(u64, u64); 4] = [(180, 60), (150, 30), (70, 30), (10, 15)];

/// A scheduled shutdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What is to be done.
    pub operation: Operation,
    /// Only say so.
    pub dry: bool,
    /// When, realtime us.
    pub at: u64,
    /// Who scheduled it.
    pub uid: u32,
    /// On which terminal.
    pub tty: String,
    /// When everybody is told next, realtime us.
    pub tell_at: u64,
    /// Logins are forbidden already.
    pub no_logins: bool,
    /// Its time has come, and it was begun.
    pub begun: bool,
}

impl Schedule {
    /// One that nobody has been told of.
    pub fn new(operation: Operation, at: u64, now: u64) -> Schedule {
        let tell_at = match at.saturating_sub(now) {
            // It begins before anybody could read of it.
            0 => u64::MAX,
            1..=SOON => now,
            _ => next_telling(at, now),
        };
        Schedule {
            operation,
            dry: false,
            at,
            uid: 0,
            tty: String::new(),
            tell_at,
            no_logins: false,
            begun: false,
        }
    }

    /// When something is to be done next, realtime us.
    pub fn next(&self) -> Option<u64> {
        let logins = self.at.saturating_sub(NO_LOGINS_BEFORE);
        let logins = (!self.no_logins).then_some(logins);
        [Some(self.at), Some(self.tell_at), logins].into_iter().flatten().min().filter(|_| !self.begun)
    }

    /// What is in `/run/systemd/shutdown/scheduled`.
    pub fn text(&self, wall: bool, message: &str) -> String {
        let mut text = format!(
            "USEC={}\nWARN_WALL={}\nMODE={}\nUID={}\n",
            self.at,
            u8::from(wall),
            self.operation.name(),
            self.uid
        );
        if self.dry {
            // The reference forgets this, and its successor would do what was only to be said.
            text.push_str("DRY_RUN=1\n");
        }
        if !self.tty.is_empty() {
            let _ = writeln!(text, "TTY={}", self.tty);
        }
        if !message.is_empty() {
            let _ = writeln!(text, "WALL_MESSAGE={}", escape(message));
        }
        text
    }

    /// What such a file says: the schedule, whether everybody is to be told, and the message.
    pub fn read<'a>(
        lines: impl Iterator<Item = (&'a str, &'a str)>,
        now: u64,
    ) -> Option<(Schedule, bool, String)> {
        let lines: BTreeMap<&str, &str> = lines.collect();
        let mut schedule =
            Schedule::new(Operation::parse(lines.get("MODE")?)?, lines.get("USEC")?.parse().ok()?, now);
        schedule.uid = lines.get("UID").and_then(|uid| uid.parse().ok()).unwrap_or(0);
        schedule.dry = lines.get("DRY_RUN") == Some(&"1");
        schedule.tty = lines.get("TTY").map_or_else(String::new, |tty| (*tty).to_owned());
        let message = lines.get("WALL_MESSAGE").copied().unwrap_or("");
        let message = crate::values::quoting::c_unescape(message).unwrap_or_else(|| message.to_owned());
        Some((schedule, lines.get("WARN_WALL") == Some(&"1"), message))
    }
}

/// When everybody is told next: with hours to go at each hour, in the last ten minutes at each minute.
pub fn next_telling(at: u64, now: u64) -> u64 {
    let left = at.saturating_sub(now);
    let step = STEPS.iter().find(|(from, _)| left > from * MINUTE);
    let (from, every) = step.map_or((0, MINUTE), |(from, every)| (from * MINUTE, every * MINUTE));
    // The greatest point that is less than what is left.
    let before = from + (left.saturating_sub(from).saturating_sub(1) / every) * every;
    at.saturating_sub(before)
}

/// Spaces and what is no plain text, in hexadecimal digits.
fn escape(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'\\' | 0..=b' ' | 127.. => {
                let _ = write!(text, "\\x{byte:02x}");
            }
            plain => text.push(char::from(plain)),
        }
    }
    text
}

/// A time as people read it, in the zone of these bytes (tzfile(5)); UTC when there are none.
pub fn date(at: u64, zone: &[u8]) -> String {
    let zone = jiff::tz::TimeZone::tzif("local", zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    at.map_or_else(String::new, |at| at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string())
}

/// What everybody is told: of a shutdown at that time, or now.
pub fn warning(operation: Operation, at: Option<&str>, message: &str) -> String {
    let mut text = String::new();
    if !message.is_empty() {
        let _ = writeln!(text, "{message}");
    }
    let when = at.map_or_else(|| "now".to_owned(), |at| format!("at {at}"));
    let _ = write!(text, "The system will {} {when}!", operation.verb());
    text
}
