//! The display of `runstead boot`: a line a unit while it boots, then the tree of what runs.
use super::lacks::Lack;
use super::machine::Machine;
use super::options::Options;
use crate::builtin;
use runstead_manager::client::UnitLine;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// A start that takes longer than this is counted on screen.
const SLOW: Duration = Duration::from_secs(1);

/// What was shown so far.
#[derive(Debug)]
pub struct View {
    json: bool,
    colours: bool,
    live: bool,
    shown: BTreeMap<String, String>,
    /// Units that had a line: after the boot each gets at most its first.
    announced: BTreeSet<String>,
    since: BTreeMap<String, Duration>,
    counting: bool,
    up: bool,
    examples: bool,
}

impl View {
    /// Nothing shown yet.
    pub fn new(options: &Options) -> View {
        let live = std::io::stdout().is_terminal();
        View {
            json: options.json,
            colours: live && std::env::var_os("NO_COLOR").is_none(),
            live,
            shown: BTreeMap::new(),
            announced: BTreeSet::new(),
            since: BTreeMap::new(),
            counting: false,
            up: false,
            examples: options.root.is_none(),
        }
    }

    /// A line of our own.
    pub fn line(&mut self, text: &str) {
        self.clear_counter();
        if self.json {
            println!("{}", serde_json::json!({ "event": text }));
        } else {
            println!("{text}");
        }
    }

    /// Something that this environment could not give.
    pub fn lack(&mut self, lack: &Lack) {
        if self.json {
            let line =
                serde_json::json!({ "event": "lack", "what": lack.what, "why": lack.why, "so": lack.so });
            println!("{line}");
        } else {
            println!("{lack}");
        }
    }

    /// Whether `default.target` was reached and no job is left.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Show what changed.
    pub fn update(&mut self, units: &[UnitLine], elapsed: Duration) {
        let mut slowest: Option<(&str, Duration)> = None;
        for unit in units {
            let state = format!("{}/{}", unit.active, unit.sub);
            if unit.active == "activating" {
                let since = *self.since.entry(unit.name.clone()).or_insert(elapsed);
                let spent = elapsed.saturating_sub(since);
                if spent >= SLOW && slowest.is_none_or(|(_, most)| spent > most) {
                    slowest = Some((&unit.name, spent));
                }
            }
            let before = self.shown.insert(unit.name.clone(), state.clone());
            let news = before.as_deref() != Some(state.as_str());
            let ended = unit.active == "active" || unit.active == "failed";
            if news && ended && (!self.up || !self.announced.contains(&unit.name)) {
                self.announced.insert(unit.name.clone());
                let spent = self.since.remove(&unit.name).map(|since| elapsed.saturating_sub(since));
                self.show(unit, elapsed, spent);
            }
        }
        if self.live && !self.json && !self.up {
            self.count(slowest);
        }
        let reached = units.iter().any(|unit| {
            unit.name == "default.target"
                || unit.name == "multi-user.target"
                || unit.name == "graphical.target"
        });
        let settled = units.iter().all(|unit| unit.job == 0);
        let active = units.iter().any(|unit| {
            ["default.target", "multi-user.target", "graphical.target"].contains(&unit.name.as_str())
                && unit.active == "active"
        });
        self.up = self.up || (reached && settled && active);
    }

    fn show(&mut self, unit: &UnitLine, elapsed: Duration, spent: Option<Duration>) {
        self.clear_counter();
        if self.json {
            let line = serde_json::json!({
                "unit": unit.name, "active": unit.active, "sub": unit.sub, "at_ms": elapsed.as_millis() as u64,
            });
            println!("{line}");
            return;
        }
        let good = unit.active == "active";
        let (mark, colour) = if good { ("  ok  ", "32") } else { ("failed", "31") };
        let mark = if self.colours { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() };
        let took =
            spent.filter(|spent| *spent >= SLOW).map(|spent| format!(" after {:.1} s", spent.as_secs_f32()));
        println!("[{mark}] {:<28} {}{}", unit.name, unit.description, took.unwrap_or_default());
    }

    /// The counter of the slowest start, on the last line of the terminal.
    fn count(&mut self, slowest: Option<(&str, Duration)>) {
        self.clear_counter();
        if let Some((name, spent)) = slowest {
            print!("\r[ {:>3}s ] {name}", spent.as_secs());
            let _ = std::io::stdout().flush();
            self.counting = true;
        }
    }

    fn clear_counter(&mut self) {
        if std::mem::take(&mut self.counting) {
            print!("\r\x1b[K");
        }
    }

    /// The tree of what runs, and how to talk to it.
    pub fn summary(&mut self, machine: &mut Machine, elapsed: Duration) {
        self.clear_counter();
        if self.json {
            let line = serde_json::json!({ "event": "up", "at_ms": elapsed.as_millis() as u64, "pid": machine.pid() });
            println!("{line}");
            return;
        }
        println!("\nup after {:.2} s; {}\n", elapsed.as_secs_f32(), machine.place());
        if let Ok(units) = machine.units() {
            tree(&units);
        }
        println!("\ntalk to it:");
        for command in machine.commands(self.examples) {
            println!("  {command}");
        }
        println!("Ctrl-C stops it in order.\n");
    }

    /// At the end of `--for`: every example must be as it should.
    pub fn verdict(&mut self, units: &[UnitLine], up: bool) -> Result<u8, String> {
        if !up {
            let waiting: Vec<&str> =
                units.iter().filter(|unit| unit.job != 0).map(|unit| unit.name.as_str()).collect();
            return Err(format!("not up in time; jobs are left for: {}", waiting.join(", ")));
        }
        let failed: Vec<&str> =
            units.iter().filter(|unit| unit.active == "failed").map(|unit| unit.name.as_str()).collect();
        if !failed.is_empty() {
            return Err(format!("failed units: {}", failed.join(", ")));
        }
        if !self.examples {
            return Ok(0);
        }
        let missing: Vec<&str> = builtin::EXAMPLES
            .iter()
            .map(|(name, _)| *name)
            // The work of the timer runs for a moment each second.
            .filter(|name| *name != "hello-timer.service")
            .filter(|name| !units.iter().any(|unit| unit.name == *name && unit.active == "active"))
            .collect();
        if missing.is_empty() {
            self.line("every example is active");
            Ok(0)
        } else {
            Err(format!("examples that are not active: {}", missing.join(", ")))
        }
    }
}

/// Kinds of units that people look for, in the order in which they are shown.
const KINDS: [(&str, &str); 5] = [
    (".service", "services"),
    (".scope", "scopes"),
    (".socket", "sockets"),
    (".timer", "timers"),
    (".path", "paths"),
];

fn tree(units: &[UnitLine]) {
    for (suffix, title) in KINDS {
        let mut running: Vec<&UnitLine> =
            units.iter().filter(|unit| unit.active == "active" && unit.name.ends_with(suffix)).collect();
        if running.is_empty() {
            continue;
        }
        running.sort_by(|a, b| a.name.cmp(&b.name));
        println!("  {title}");
        for (at, unit) in running.iter().enumerate() {
            let branch = if at + 1 == running.len() { "└─" } else { "├─" };
            println!("  {branch} {:<28} {:<10} {}", unit.name, unit.sub, unit.description);
        }
    }
}
