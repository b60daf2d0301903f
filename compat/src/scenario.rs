//! One scenario: unit files, the steps taken with the system's own clients, what must be observed, and the
//! sabotage under which the same observation must fail.
//!
//! Scenarios share a machine, so every name carries the scenario's key, written `@@` in unit files, paths
//! and command lines. All files are staged before the boot. A scenario that disturbs others asks for a machine of its own.

use crate::machine::{Entry, Machine};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a scenario ends with; the error says what was observed instead.
pub type Outcome = Result<(), String>;

/// A scenario as the topics declare it.
pub struct Scenario {
    /// `topic/behaviour`.
    pub name: &'static str,
    /// Path (relative ones are in `/etc/systemd/system`) and text. A text `-> TARGET` makes a symbolic link,
    /// one that begins with `#!` an executable.
    pub files: &'static [(&'static str, &'static str)],
    /// The steps and the checks.
    pub run: fn(&Case) -> Outcome,
    /// Text, and what replaces it everywhere, to switch the named behaviour off.
    pub sabotage: (&'static str, &'static str),
    /// Whether it needs a machine of its own.
    pub own_machine: bool,
    /// Packages that the root does not have; for a scenario with a machine of its own.
    pub packages: &'static [&'static str],
}

impl Scenario {
    /// A scenario that shares its machine with others.
    pub const fn new(
        name: &'static str,
        files: &'static [(&'static str, &'static str)],
        sabotage: (&'static str, &'static str),
        run: fn(&Case) -> Outcome,
    ) -> Scenario {
        Scenario { name, files, run, sabotage, own_machine: false, packages: &[] }
    }

    /// The same in a machine of its own.
    #[must_use]
    pub const fn alone(self) -> Scenario {
        Scenario { own_machine: true, ..self }
    }

    /// The same in a machine of its own, with packages that the root does not have.
    #[must_use]
    pub const fn with_packages(self, packages: &'static [&'static str]) -> Scenario {
        Scenario { own_machine: true, packages, ..self }
    }
}

/// A scenario at work in a machine.
pub struct Case<'a> {
    machine: &'a Machine,
    plan: &'a Planned,
    hit: AtomicBool,
}

/// A scenario with its key and, when it is sabotaged, with the sabotage applied.
pub struct Planned {
    /// The scenario.
    pub scenario: &'static Scenario,
    key: String,
    /// Whether the sabotage is applied.
    pub sabotaged: bool,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Done {
    /// Exit status; -1 when a signal ended it.
    pub code: i32,
    /// Standard output, trimmed.
    pub out: String,
    /// Standard error, trimmed.
    pub err: String,
}

impl Planned {
    /// Gives the scenario number `number` its key.
    pub fn new(scenario: &'static Scenario, number: usize, sabotaged: bool) -> Planned {
        let mode = if sabotaged { 's' } else { 'n' };
        Planned { scenario, key: format!("k{number:03}{mode}"), sabotaged }
    }

    fn fill(&self, text: &str, hit: &AtomicBool) -> String {
        let (from, to) = self.scenario.sabotage;
        if self.sabotaged && text.contains(from) {
            hit.store(true, Ordering::Relaxed);
            return text.replace(from, to).replace("@@", &self.key);
        }
        text.replace("@@", &self.key)
    }

    /// What has to be staged for it.
    pub fn entries(&self) -> Vec<(String, Entry)> {
        let hit = AtomicBool::new(false);
        let mut all = vec![(format!("/t/{}", self.key), Entry::Directory(0o777))];
        for (path, text) in self.scenario.files {
            let path = self.fill(path, &hit);
            let path = if path.starts_with('/') { path } else { format!("/etc/systemd/system/{path}") };
            let text = unindent(&self.fill(text, &hit));
            all.push(match text.strip_prefix("-> ") {
                Some(target) => (path, Entry::Link(target.trim().to_owned())),
                None if text.starts_with("#!") => (path, Entry::File(text, 0o755)),
                None => (path, Entry::File(text, 0o644)),
            });
        }
        all
    }

    /// Runs it in a machine that has its entries. A sabotaged one succeeds when the scenario's checks failed.
    pub fn run(&self, machine: &Machine) -> Outcome {
        let case = Case { machine, plan: self, hit: AtomicBool::new(false) };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (self.scenario.run)(&case)));
        let outcome = caught.unwrap_or_else(|_| Err("the scenario panicked".to_owned()));
        case.tidy_up();
        if !self.sabotaged {
            return outcome.map_err(|why| format!("{why}\n{}", case.states()));
        }
        for (path, text) in self.scenario.files {
            self.fill(path, &case.hit);
            self.fill(text, &case.hit);
        }
        match outcome {
            _ if !case.hit.load(Ordering::Relaxed) => Err("the sabotaged text occurs nowhere".to_owned()),
            Ok(()) => Err("still passes with the behaviour switched off".to_owned()),
            Err(_) => Ok(()),
        }
    }
}

/// A unit file without the indentation that the declaration's own nesting gives each line; scripts stay.
fn unindent(text: &str) -> String {
    if text.starts_with("#!") {
        return text.to_owned();
    }
    let lines = text.trim().lines().map(str::trim_start);
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

impl Case<'_> {
    /// The machine it runs in.
    pub fn machine(&self) -> &Machine {
        self.machine
    }

    /// A text with the key (and the sabotage) filled in.
    pub fn text(&self, text: &str) -> String {
        self.plan.fill(text, &self.hit)
    }

    /// Runs a shell line inside.
    pub fn run(&self, line: &str) -> Result<Done, String> {
        let line = self.text(line);
        let output = self.machine.run(&["sh", "-c", &line])?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let code = output.status.code().unwrap_or(-1);
        Ok(Done { code, out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Runs a shell line that must succeed; its standard output.
    pub fn ok(&self, line: &str) -> Result<String, String> {
        let done = self.run(line)?;
        if done.code != 0 {
            return Err(format!("`{}`: status {}: {} {}", self.text(line), done.code, done.out, done.err));
        }
        Ok(done.out)
    }

    /// Runs a shell line that must fail; its standard error.
    pub fn fails(&self, line: &str) -> Result<String, String> {
        let done = self.run(line)?;
        if done.code == 0 {
            return Err(format!("`{}` succeeded: {}", self.text(line), done.out));
        }
        Ok(done.err)
    }

    /// `systemctl VERB...`, which must succeed.
    pub fn ctl(&self, words: &str) -> Result<String, String> {
        self.ok(&format!("systemctl {words}"))
    }

    /// One property's value as `systemctl show` prints it.
    pub fn show(&self, unit: &str, property: &str) -> Result<String, String> {
        self.ctl(&format!("show --value -p {property} '{unit}'"))
    }

    /// Several properties' values, in the order asked for.
    pub fn shows(&self, unit: &str, properties: &[&str]) -> Result<Vec<String>, String> {
        let out = self.ctl(&format!("show -p {} '{unit}'", properties.join(",")))?;
        let value = |p: &&str| {
            let found = out.lines().find_map(|l| l.strip_prefix(*p)?.strip_prefix('='));
            found.map(str::to_owned).ok_or_else(|| format!("{unit} shows no {p}"))
        };
        properties.iter().map(value).collect()
    }

    /// Whether a property has this value: for [`Case::until`].
    pub fn has(&self, unit: &str, property: &str, value: &str) -> Result<bool, String> {
        Ok(self.show(unit, property)? == self.text(value))
    }

    /// Waits until a property has a value.
    pub fn wait_show(&self, unit: &str, property: &str, value: &str) -> Outcome {
        let mut last = String::new();
        let end = Instant::now() + self.patience();
        while Instant::now() < end {
            last = self.show(unit, property)?;
            if last == self.text(value) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("{}: {property} is {last}, never became {value}", self.text(unit)))
    }

    /// Waits until a condition holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> Result<bool, String>) -> Outcome {
        let end = Instant::now() + self.patience();
        while Instant::now() < end {
            if holds()? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("never: {what}; the record is {:?}", self.record()))
    }

    /// Waits until the record has `n` lines and returns it.
    pub fn wait_record(&self, n: usize) -> Result<Vec<String>, String> {
        self.until(&format!("{n} lines in the record"), || Ok(self.record().len() >= n))?;
        Ok(self.record())
    }

    /// The lines that the scenario's services appended to `/t/@@/log`.
    pub fn record(&self) -> Vec<String> {
        self.read("/t/@@/log").lines().map(|l| l.trim_end().replace(&self.plan.key, "@@")).collect()
    }

    /// The text of a file inside; empty when there is none.
    pub fn read(&self, path: &str) -> String {
        self.machine.read(&self.text(path)).unwrap_or_default()
    }

    /// Whether a path exists inside.
    pub fn exists(&self, path: &str) -> bool {
        self.machine.path(&self.text(path)).symlink_metadata().is_ok()
    }

    /// Writes a file inside.
    pub fn write(&self, path: &str, text: &str) -> Outcome {
        let place = self.machine.path(&self.text(path));
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent).map_err(|e| format!("create {}: {e}", parent.display()))?;
        }
        std::fs::write(&place, self.text(text)).map_err(|e| format!("write {}: {e}", place.display()))
    }

    /// Lets time pass, for what must not happen.
    pub fn rest(&self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(if self.plan.sabotaged { 4 } else { 15 })
    }

    fn tidy_up(&self) {
        let _ = self.run("systemctl kill -s KILL '*@@*' 2>/dev/null; systemctl stop --no-block '*@@*'");
    }

    fn states(&self) -> String {
        let list = self.run("systemctl list-units --all --no-legend --plain '*@@*'").map(|d| d.out);
        list.unwrap_or_else(|why| why)
    }
}

/// Fails the scenario with a message when the condition does not hold.
#[macro_export]
macro_rules! check {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

/// Fails the scenario unless the observed value is the expected one.
///
/// # Errors
/// Names what was compared and both values.
pub fn equal<A: PartialEq<B> + Debug + ?Sized, B: Debug + ?Sized>(
    what: &str,
    observed: &A,
    expected: &B,
) -> Outcome {
    if observed == expected {
        return Ok(());
    }
    Err(format!("{what}: {observed:?}, expected {expected:?}"))
}
