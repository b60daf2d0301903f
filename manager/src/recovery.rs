//! What the manager remembers of its own crashes (DESIGN 6): how often, over which event, and what it leaves alone since.
//!
//! One crash over an event loses that event. The second over the same event in a short time puts its unit into quarantine:
//! its record is dropped, its files are not read again, and its processes are left to themselves until the next planned
//! re-execution. Too many crashes in a short time, whatever over, lead to the minimal mode (`minimal`).
use runstead_core::engine::clock::Usec;
use runstead_core::engine::event::Event;
use runstead_core::names::UnitName;
use runstead_os::statelog::StateLog;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Key of the record in the state log.
pub(crate) const KEY: &str = "crashes";

/// So many crashes ...
const BURST: usize = 5;
/// ... in this time are a loop.
const WINDOW: Usec = 10_000_000;
/// Two crashes over one event count as the same fault when they are no further apart.
const SAME_FAULT: Usec = 60_000_000;
/// Without a crash for so long, the manager counts as healthy again.
const HEALTHY: Usec = 300_000_000;
/// Units in quarantine; more would mean that it is not the units.
const QUARANTINE_MAX: usize = 64;
/// The first and the longest pause in minimal mode.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The event that was being handled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Marker {
    /// "ProcessExited", "Call" ...
    pub kind: String,
    /// The unit, empty when none is known.
    pub unit: String,
    /// What tells it from others of its kind: a PID.
    pub which: String,
}

impl Marker {
    /// Of an event.
    pub fn of(event: &Event, unit: Option<&str>) -> Marker {
        let (kind, which) = match event {
            Event::Boot { .. } => ("Boot", String::new()),
            Event::Loaded(_) => ("Loaded", String::new()),
            Event::ChainDone { .. } => ("ChainDone", String::new()),
            Event::ProcessExited { pid, .. } => ("ProcessExited", pid.to_string()),
            Event::CgroupEmpty(_) => ("CgroupEmpty", String::new()),
            Event::CgroupOom { .. } => ("CgroupOom", String::new()),
            Event::Notify(message) => ("Notify", message.pid.to_string()),
            Event::FdReady { .. } => ("FdReady", String::new()),
            Event::Accepted(_) => ("Accepted", String::new()),
            Event::Tick => ("Tick", String::new()),
            Event::Call { .. } => ("Call", String::new()),
            Event::MountTable(_) => ("MountTable", String::new()),
            Event::SwapTable(_) => ("SwapTable", String::new()),
            Event::PathTriggered { .. } | Event::PathChecked { .. } => ("Path", String::new()),
            Event::Automount(_) => ("Automount", String::new()),
            Event::StartTarget { .. } => ("StartTarget", String::new()),
            Event::Weakened { unit, .. } => ("Weakened", unit.to_string()),
            Event::TimeZone { .. } => ("TimeZone", String::new()),
            Event::Conditions { .. } => ("Conditions", String::new()),
            _ => ("other", String::new()),
        };
        Marker { kind: kind.to_owned(), unit: unit.unwrap_or_default().to_owned(), which }
    }

    /// As the state log keeps it. None of the parts can contain the separator.
    pub fn to_text(&self) -> String {
        format!("{}\t{}\t{}", self.kind, self.which, self.unit)
    }

    /// From the state log; the unit's name may be cut.
    pub fn parse(text: &str) -> Marker {
        let mut parts = text.splitn(3, '\t').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (kind, which, unit) = (next(), next(), next());
        Marker { kind, unit, which }
    }

    /// For people.
    pub fn describe(&self) -> String {
        match (self.kind.as_str(), self.unit.as_str(), self.which.as_str()) {
            ("", ..) => "nothing".to_owned(),
            (kind, "", "") => kind.to_owned(),
            (kind, unit, "") => format!("{kind} of {unit}"),
            (kind, "", which) => format!("{kind} of process {which}"),
            (kind, unit, which) => format!("{kind} of process {which} of {unit}"),
        }
    }
}

/// The memory of crashes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct History {
    /// When the last ones were (monotonic), oldest first.
    pub times: Vec<Usec>,
    /// What the last one was over.
    pub last: Marker,
    /// How often in a row.
    pub repeated: u32,
    /// Units that are left alone.
    pub quarantine: Vec<String>,
    /// A child whose end must not be told again.
    pub silent: Option<i32>,
    /// How often the minimal mode was entered since the manager was healthy.
    pub rounds: u32,
}

impl History {
    /// As the log has it.
    pub fn read(log: &StateLog) -> History {
        log.get(KEY).and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// Put it into the log.
    pub fn write(&self, log: &mut StateLog) {
        if let Ok(bytes) = serde_json::to_vec(self) {
            log.put(KEY, &bytes);
        }
    }

    /// The manager crashed by itself over this event; the unit that is in quarantine from now on, if one is.
    pub fn crashed(&mut self, now: Usec, marker: Marker) -> Option<String> {
        let before = self.times.last().copied();
        if before.is_none_or(|at| now.saturating_sub(at) > HEALTHY) {
            self.rounds = 0;
        }
        let same = marker == self.last
            && !marker.kind.is_empty()
            && before.is_some_and(|at| now.saturating_sub(at) <= SAME_FAULT);
        self.repeated = if same { self.repeated.saturating_add(1) } else { 1 };
        self.times.push(now);
        if self.times.len() > BURST {
            self.times.remove(0);
        }
        self.silent = None;
        let mut isolated = None;
        if self.repeated >= 2 {
            if marker.kind == "ProcessExited" {
                self.silent = marker.which.parse().ok();
            }
            let known = UnitName::parse(&marker.unit).is_ok_and(|unit| may_be_isolated(&unit));
            if known && self.quarantine.len() < QUARANTINE_MAX && !self.quarantine.contains(&marker.unit) {
                self.quarantine.push(marker.unit.clone());
                isolated = Some(marker.unit.clone());
            }
        }
        self.last = marker;
        isolated
    }

    /// Whether it crashes in a loop.
    pub fn loops(&self, now: Usec) -> bool {
        self.times.len() >= BURST && self.times.iter().all(|at| now.saturating_sub(*at) <= WINDOW)
    }

    /// The minimal mode is entered: how long before the next try. Each time it is longer.
    pub fn pause(&mut self) -> Duration {
        let pause = PAUSES.0.saturating_mul(1 << self.rounds.min(16)).min(PAUSES.1);
        self.rounds = self.rounds.saturating_add(1);
        pause
    }
}

/// What everything else hangs on cannot be left out.
fn may_be_isolated(unit: &UnitName) -> bool {
    !matches!(unit.as_str(), "-.slice" | "init.scope" | "system.slice" | "-.mount")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(pid: i32) -> Marker {
        Marker { kind: "ProcessExited".into(), unit: "bad.service".into(), which: pid.to_string() }
    }

    #[test]
    fn markers_survive_the_log_and_read_well() {
        assert_eq!(Marker::parse(&exit(7).to_text()), exit(7));
        assert_eq!(exit(7).describe(), "ProcessExited of process 7 of bad.service");
        assert_eq!(Marker::parse("").describe(), "nothing");
        let tick = Marker::of(&Event::Tick, None);
        assert_eq!(tick.describe(), "Tick");
    }

    #[test]
    fn the_second_crash_over_one_event_isolates_its_unit() {
        let mut history = History::default();
        assert_eq!(history.crashed(1, exit(7)), None);
        assert_eq!(history.crashed(2, exit(8)), None, "another process");
        assert_eq!(history.crashed(3, exit(8)).as_deref(), Some("bad.service"));
        assert_eq!((history.silent, history.repeated), (Some(8), 2));
        assert_eq!(history.crashed(4, exit(8)), None, "it is isolated already");
        assert_eq!(history.quarantine, ["bad.service"]);
    }

    #[test]
    fn crashes_far_apart_and_units_that_all_need_are_no_reason() {
        let mut history = History::default();
        history.crashed(0, exit(7));
        assert_eq!(history.crashed(SAME_FAULT + 1, exit(7)), None);
        let root = Marker { kind: "Tick".into(), unit: "-.slice".into(), which: String::new() };
        history.crashed(1, root.clone());
        assert_eq!(history.crashed(2, root), None);
        assert!(history.quarantine.is_empty());
    }

    #[test]
    fn five_crashes_in_ten_seconds_are_a_loop_and_pauses_grow() {
        let mut history = History::default();
        for at in 1..=4 {
            history.crashed(at, exit(at as i32));
            assert!(!history.loops(at));
        }
        history.crashed(5, exit(5));
        assert!(history.loops(5) && !history.loops(WINDOW + 2));
        assert_eq!(history.pause(), Duration::from_secs(1));
        assert_eq!(history.pause(), Duration::from_secs(2));
        history.rounds = 60;
        assert_eq!(history.pause(), PAUSES.1);
        history.crashed(HEALTHY + 100, exit(6));
        assert_eq!(history.pause(), Duration::from_secs(1), "it was healthy in between");
    }
}
