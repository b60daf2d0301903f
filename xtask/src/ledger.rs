//! The sums of all fuzzing so far: one line a target, without dates.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const HEAD: &str = "# Written by `cargo xtask fuzz`: what each target had so far, over all sessions.\n# target runs cpu-seconds coverage(edges) findings\n";

/// What one run, or all of them, came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Inputs that were tried.
    pub runs: u64,
    /// CPU time.
    pub seconds: u64,
    /// Edges that the corpus reaches, at the last run.
    pub coverage: u64,
    /// Inputs that made it fail.
    pub findings: u64,
}

/// All targets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<String, Entry>);

impl Ledger {
    /// What the file has; nothing of a file that is not there.
    pub fn read(path: &Path) -> Ledger {
        Ledger::parse(&fs::read_to_string(path).unwrap_or_default())
    }

    /// Seconds of processor time that a target had.
    pub fn seconds(&self, target: &str) -> u64 {
        self.0.get(target).map_or(0, |entry| entry.seconds)
    }

    /// Adds a run to the file.
    pub fn add(path: &Path, target: &str, run: &Entry) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("write {}: {error}", path.display());
        let mut ledger = Ledger::read(path);
        ledger.sum(target, run);
        let part = path.with_extension("part");
        fs::write(&part, ledger.text()).map_err(failed)?;
        fs::rename(&part, path).map_err(failed)
    }

    fn sum(&mut self, target: &str, run: &Entry) {
        let entry = self.0.entry(target.to_owned()).or_default();
        entry.runs += run.runs;
        entry.seconds += run.seconds;
        entry.findings += run.findings;
        entry.coverage = run.coverage;
    }

    fn parse(text: &str) -> Ledger {
        let entry = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [target, runs, seconds, coverage, findings] = words.as_slice() else { return None };
            let number = |text: &str| text.parse::<u64>().ok();
            let entry = Entry {
                runs: number(runs)?,
                seconds: number(seconds)?,
                coverage: number(coverage)?,
                findings: number(findings)?,
            };
            Some(((*target).to_owned(), entry))
        };
        Ledger(text.lines().filter(|line| !line.starts_with('#')).filter_map(entry).collect())
    }

    fn text(&self) -> String {
        let line = |(target, entry): (&String, &Entry)| {
            format!("{target} {} {} {} {}\n", entry.runs, entry.seconds, entry.coverage, entry.findings)
        };
        HEAD.to_owned() + &self.0.iter().map(line).collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_sum_up() {
        let mut ledger = Ledger::default();
        ledger.sum("notify", &Entry { runs: 10, seconds: 2, coverage: 5, findings: 1 });
        let mut again = Ledger::parse(&ledger.text());
        assert_eq!(again, ledger);
        assert_eq!((again.seconds("notify"), again.seconds("varlink")), (2, 0));
        again.sum("notify", &Entry { runs: 5, seconds: 1, coverage: 7, findings: 0 });
        assert!(again.text().ends_with("\nnotify 15 3 7 1\n"));
    }
}
