//! `cargo xtask fuzz [TARGET...] --for 1h|--until 1h [--jobs N]`: builds the targets of `fuzz/` with a stable compiler, runs
//! each for so long, or until it had so much processor time over all sessions, and keeps what it found: a small corpus in
//! `fuzz/corpus/TARGET`, and sums in `fuzz/corpus/LEDGER`.

use crate::ledger::{Entry, Ledger};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Coverage that libFuzzer reads, from passes that the stable compiler has; checks that a release build leaves out.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";
/// Seconds after which what was found is kept and another target has its turn.
const SLICE: u64 = 300;
/// A turn is at least so long: what is left of a bound in processor time may be a moment.
const SHORTEST: u64 = 10;
/// Bounds of one target's kept corpus.
const MOST_FILES: usize = 500;
const MOST_BYTES: u64 = 300 << 10;
/// Longest input that is tried, and that is kept.
const LONGEST: &str = "-max_len=4096";
const LONGEST_KEPT: &str = "-max_len=1024";
/// The sums, below the top.
const LEDGER: &str = "fuzz/corpus/LEDGER";
/// Inputs that once failed are kept whatever they cover.
const FINDING: &str = "finding-";

/// How long each target runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// Seconds of time, from now.
    For(u64),
    /// Seconds of processor time, with what the ledger has.
    Until(u64),
}

impl Bound {
    /// Seconds that a target still needs which had `spent` of processor time.
    fn left(self, spent: u64) -> u64 {
        match self {
            Bound::For(seconds) => seconds,
            Bound::Until(seconds) => seconds.saturating_sub(spent),
        }
    }

    /// Seconds that are left of `left` after a turn of `turn` that used the processor for `used`.
    fn after(self, left: u64, turn: u64, used: u64) -> u64 {
        left.saturating_sub(if matches!(self, Bound::For(_)) { turn } else { used })
    }
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wish {
    targets: Vec<String>,
    bound: Bound,
    jobs: usize,
}

impl Wish {
    /// From the words behind `fuzz`.
    pub fn parse(words: &[&str]) -> Result<Wish, String> {
        let mut wish = Wish { targets: Vec::new(), bound: Bound::For(0), jobs: 1 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or(format!("{word} needs a value"));
            match *word {
                "--for" => wish.bound = Bound::For(seconds(value()?)?),
                "--until" => wish.bound = Bound::Until(seconds(value()?)?),
                "--jobs" => wish.jobs = value()?.parse().map_err(|_| "--jobs needs a number".to_owned())?,
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                target => wish.targets.push(target.to_owned()),
            }
        }
        if matches!(wish.bound, Bound::For(0) | Bound::Until(0)) {
            return Err("--for TIME or --until TIME is needed, as 90s, 10m or 1h for each target".to_owned());
        }
        Ok(wish)
    }
}

/// `90`, `90s`, `10m`, `1h`.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| format!("{text} is no time: 90s, 10m, 1h"))
}

/// The targets: each has a file.
pub fn targets(top: &Path) -> Vec<String> {
    let names = fs::read_dir(top.join("fuzz/fuzz_targets")).into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Builds, runs and keeps; whether nothing failed.
pub fn run(top: &Path, wish: &Wish) -> bool {
    let all = targets(top);
    if let Some(unknown) = wish.targets.iter().find(|name| !all.contains(name)) {
        eprintln!("no target is named {unknown}; there are: {}", all.join(" "));
        return false;
    }
    let chosen = if wish.targets.is_empty() { all } else { wish.targets.clone() };
    let Some(programs) = build(top) else { return false };
    let spent = Ledger::read(&top.join(LEDGER));
    let needs = |target: String| (wish.bound.left(spent.seconds(&target)), target);
    let needed = chosen.into_iter().map(needs).filter(|(left, _)| *left > 0);
    let queue: Mutex<VecDeque<(u64, String)>> = Mutex::new(needed.collect());
    let ledger = Mutex::new(());
    let good = Mutex::new(true);
    let lane = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((left, target)) = next else { return };
            let turn = left.clamp(SHORTEST, SLICE);
            match (Run { top, programs: &programs, target: &target }).slice(turn, &ledger) {
                Ok(used) => {
                    let left = wish.bound.after(left, turn, used);
                    if left > 0 {
                        queue.lock().unwrap_or_else(PoisonError::into_inner).push_back((left, target));
                    }
                }
                Err(why) => {
                    eprintln!("{target}: {why}");
                    *good.lock().unwrap_or_else(PoisonError::into_inner) = false;
                }
            }
        }
    };
    std::thread::scope(|scope| (0..wish.jobs.max(1)).for_each(|_| drop(scope.spawn(lane))));
    good.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Where the programs are.
fn build(top: &Path) -> Option<PathBuf> {
    let target = top.join("target/fuzz");
    let words = ["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"];
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(words).arg(&target).env("RUSTFLAGS", FLAGS).current_dir(top);
    let built = cargo.status().is_ok_and(|status| status.success());
    // `build.target` of `.cargo/config.toml`.
    built.then(|| target.join("x86_64-unknown-linux-gnu/release"))
}

/// One target at work.
struct Run<'a> {
    top: &'a Path,
    programs: &'a Path,
    target: &'a str,
}

impl Run<'_> {
    fn kept(&self) -> PathBuf {
        self.top.join("fuzz/corpus").join(self.target)
    }

    fn scratch(&self, what: &str) -> Result<PathBuf, String> {
        let place = self.top.join("target/fuzz").join(what).join(self.target);
        fs::create_dir_all(&place).map_err(|error| format!("create {}: {error}", place.display()))?;
        Ok(place)
    }

    fn program(&self) -> Command {
        let mut program = Command::new(self.programs.join(self.target));
        program.stdin(Stdio::null()).stdout(Stdio::null());
        program
    }

    /// Runs for a while, then keeps what that found; the seconds of processor time that it used.
    fn slice(&self, seconds: u64, ledger: &Mutex<()>) -> Result<u64, String> {
        let (work, findings, logs) =
            (self.scratch("corpus")?, self.scratch("findings")?, self.scratch("logs")?);
        let kept = self.kept();
        fs::create_dir_all(&kept).map_err(|error| format!("create {}: {error}", kept.display()))?;
        let log = logs.join("last");
        let file = fs::File::create(&log).map_err(|error| format!("create {}: {error}", log.display()))?;
        let child = self
            .program()
            .arg(format!("-max_total_time={seconds}"))
            .args([LONGEST, "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args([&work, &kept])
            .stderr(file)
            .spawn()
            .map_err(|error| format!("start it: {error}"))?;
        let (used, good) = wait(child)?;
        let said = fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let new = self.keep_findings(&findings)?;
        self.keep(&work)?;
        let entry = Entry {
            runs: number_after(&said, "stat::number_of_executed_units:"),
            seconds: used,
            coverage: said.lines().rev().map(|line| number_after(line, "cov:")).find(|n| *n > 0).unwrap_or(0),
            findings: new,
        };
        let guard = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Ledger::add(&self.top.join(LEDGER), self.target, &entry)?;
        drop(guard);
        println!("{}: {} runs, {} s, coverage {}", self.target, entry.runs, entry.seconds, entry.coverage);
        match (good, new) {
            (true, 0) => Ok(used),
            _ => Err(format!("failed; see {} and {}", log.display(), kept.display())),
        }
    }

    /// Copies what failed into the kept corpus, as a regression.
    fn keep_findings(&self, findings: &Path) -> Result<u64, String> {
        let mut new = 0;
        for entry in fs::read_dir(findings).into_iter().flatten().flatten() {
            let place = self.kept().join(format!("{FINDING}{}", entry.file_name().to_string_lossy()));
            if !place.exists() {
                fs::copy(entry.path(), &place).map_err(|error| format!("copy a finding: {error}"))?;
                new += 1;
            }
        }
        Ok(new)
    }

    /// The kept corpus anew: the smallest inputs that together reach every edge that any input reaches.
    fn keep(&self, work: &Path) -> Result<(), String> {
        let fresh = self.scratch("fresh")?;
        let clear =
            || fs::remove_dir_all(&fresh).map_err(|error| format!("empty {}: {error}", fresh.display()));
        clear()?;
        fs::create_dir_all(&fresh).map_err(|error| format!("create {}: {error}", fresh.display()))?;
        let merged = self
            .program()
            .args(["-merge=1", LONGEST_KEPT, "-use_counters=0", "-use_cmp=0"])
            .args([&fresh, &self.kept(), work])
            .stderr(Stdio::null())
            .status();
        if !merged.is_ok_and(|status| status.success()) {
            return Err("its corpus cannot be merged".to_owned());
        }
        replace(&self.kept(), &fresh)?;
        clear()
    }
}

/// Puts the smallest files of `fresh` in the place of what is in `kept`, as many as the bounds allow.
fn replace(kept: &Path, fresh: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("replace {}: {error}", kept.display());
    let mut sized: Vec<(u64, PathBuf)> = fs::read_dir(fresh)
        .map_err(failed)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.len(), entry.path())))
        .collect();
    sized.sort();
    for entry in fs::read_dir(kept).map_err(failed)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(FINDING) {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    let mut bytes = 0;
    for (size, path) in sized.into_iter().take(MOST_FILES) {
        bytes += size;
        if bytes > MOST_BYTES {
            break;
        }
        if let Some(name) = path.file_name() {
            fs::copy(&path, kept.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Waits for a fuzzer; the CPU seconds that it used, and whether it ended well.
fn wait(mut child: Child) -> Result<(u64, bool), String> {
    let stat = format!("/proc/{}/stat", child.id());
    let mut used = 0;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("wait for it: {error}"))? {
            return Ok((used, status.success()));
        }
        used = cpu_seconds(&fs::read_to_string(&stat).unwrap_or_default()).unwrap_or(used).max(used);
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// User and system time of proc_pid_stat(5), whose ticks are a hundredth of a second for programs.
fn cpu_seconds(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let field = |number: usize| rest.split(' ').nth(number - 3)?.parse::<u64>().ok();
    Some((field(14)? + field(15)?) / 100)
}

fn number_after(text: &str, word: &str) -> u64 {
    let rest = text.split_once(word).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes() {
        let wish = Wish::parse(&["notify", "--for", "2m", "--jobs", "2"]);
        let bound = Bound::For(120);
        assert_eq!(wish, Ok(Wish { targets: vec!["notify".to_owned()], bound, jobs: 2 }));
        let wish = Wish::parse(&["--until", "1h"]);
        assert_eq!(wish, Ok(Wish { targets: Vec::new(), bound: Bound::Until(3600), jobs: 1 }));
        for bad in [&["--for"][..], &["--for", "x"], &["--until", "h"], &[], &["--for", "1h", "--halp"]] {
            assert!(Wish::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!((seconds("90"), seconds("1h")), (Ok(90), Ok(3600)));
    }

    #[test]
    fn one_bound_is_of_time_and_one_of_what_was_used() {
        assert_eq!((Bound::For(600).left(500), Bound::For(600).after(600, 300, 290)), (600, 300));
        assert_eq!((Bound::Until(600).left(500), Bound::Until(600).after(600, 300, 290)), (100, 310));
        assert_eq!((Bound::Until(600).left(601), Bound::Until(600).after(5, 10, 9)), (0, 0));
    }

    #[test]
    fn what_the_kernel_and_libfuzzer_say() {
        let stat = "7 (a) b) R 1 1 1 0 -1 0 0 0 0 0 250 150 0 0 39 19 1 0";
        assert_eq!(cpu_seconds(stat), Some(4));
        assert_eq!(number_after("#9 DONE   cov: 123 ft: 4", "cov:"), 123);
    }

    #[test]
    fn every_target_has_a_program_and_a_corpus() {
        let top = crate::workspace();
        let manifest = fs::read_to_string(top.join("fuzz/Cargo.toml")).unwrap();
        let names = targets(&top);
        assert!(names.len() >= 10);
        for name in names {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(fs::read_dir(top.join("fuzz/corpus").join(&name)).unwrap().count() > 0, "{name}");
        }
    }

    #[test]
    fn the_smallest_are_kept_and_findings_stay() {
        let base = std::env::temp_dir().join(format!("xtask-corpus-{}", std::process::id()));
        let (kept, fresh) = (base.join("kept"), base.join("fresh"));
        for place in [&kept, &fresh] {
            fs::create_dir_all(place).unwrap();
        }
        for (name, size) in [("a", 10), ("b", 200 << 10), ("c", 200 << 10)] {
            fs::write(fresh.join(name), vec![0; size]).unwrap();
        }
        fs::write(kept.join("old"), "x").unwrap();
        fs::write(kept.join("finding-1"), "x").unwrap();
        replace(&kept, &fresh).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&kept).unwrap().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        fs::remove_dir_all(&base).unwrap();
        assert_eq!(names, ["a", "b", "finding-1"]);
    }
}
