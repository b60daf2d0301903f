//! The steps of the test command, in order; each is run, all are counted, none is left out unseen.

use crate::run::{Counts, run};
use crate::{deny, tidy};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than any step takes on a slow machine: whoever reaches it hangs.
const MOST: u64 = 40 * 60;

struct Step {
    name: &'static str,
    /// In the subset that takes under a minute after the build.
    quick: bool,
    /// Minutes after which it is taken for hanging.
    limit: u64,
    action: Action,
    /// On a root of the distribution before.
    older: bool,
    /// Boots machines of its own and minds no others: may run beside the like.
    beside: bool,
}

/// How many of those run at once: a machine waits more than it works.
const LANES: usize = 2;

enum Action {
    /// A look at something, without a command.
    Own(fn(&Path) -> bool),
    /// `cargo` with these words.
    Cargo(&'static [&'static str]),
    /// The same with variables.
    CargoWith(&'static [(&'static str, &'static str)], &'static [&'static str]),
    /// `cargo` with these words, each of [`MACHINES`], and these.
    Machines(&'static [&'static str], &'static [&'static str]),
    /// A program of this profile's build with these words, `RUNSTEAD_UNDER_TEST` being the first.
    Built(&'static str, &'static str, &'static str, &'static [&'static str]),
    /// The test programs of that name, likewise.
    Test(&'static str, &'static str, &'static [&'static str]),
}

const OURS: &str = "ours";
const REFERENCE: &str = "systemd";

const fn quick(name: &'static str, limit: u64, action: Action) -> Step {
    Step { name, quick: true, limit, action, older: false, beside: false }
}

const fn full(name: &'static str, limit: u64, action: Action) -> Step {
    Step { name, quick: false, limit, action, older: false, beside: false }
}

const fn beside(name: &'static str, limit: u64, action: Action) -> Step {
    Step { beside: true, ..full(name, limit, action) }
}

const fn older(name: &'static str, limit: u64, action: Action) -> Step {
    Step { older: true, ..beside(name, limit, action) }
}

/// The tests that boot machines, which `cargo test` alone does not run (`compat/Cargo.toml`), and with them the
/// programs beside them.
const MACHINES: &[&str] = &[
    "scenarios",
    "harness",
    "storm",
    "crashes",
    "newcomer",
    "plain",
    "boots",
    "reexec",
    "logins",
    "vm",
    "packages",
    "install",
    "alone",
    "rundir",
    "carry",
    "pidfiles",
    "rungames",
    "userdirs",
    "tmpfiles",
];

/// Optimised: a hundred thousand files take their time otherwise.
const DAMAGED_UNITS: &[&str] =
    &["test", "--release", "--workspace", "--test=unit_file_mutations", "--", "--full"];

/// Children get as little of their parent's memory as those of a manager.
const LEAN: &[(&str, &str)] = &[("RUNSTEAD_TEST_LEAN", "1"), ("MALLOC_ARENA_MAX", "1")];
const SPAWN_TESTS: &[&str] = &["test", "--workspace", "--test=plan", "--test=spawn", "--test=steps"];

/// They are a workspace of their own, which nothing else here builds.
const FUZZ_TARGETS: &[&str] = &[
    "check",
    "--manifest-path",
    "fuzz/Cargo.toml",
    "--no-default-features",
    "--bins",
    "--target-dir",
    "target/fuzz",
];

const RELEASE: &[&str] = &["build", "--release", "--bin", "runstead", "--bin", "runstead-bench"];

/// What of it minds nobody beside; its times want the machine for themselves.
const TMPFILES: &[&str] = &["scripts", "same", "options", "boots", "packages", "races"];

/// Every `cargo` line selects the whole workspace, so that nothing is built twice with other features.
const STEPS: &[Step] = &[
    full("is root", 1, Action::Own(is_root)),
    full("set-up: Rust components", 10, Action::Own(components)),
    quick("format", 5, Action::Cargo(&["fmt", "--all", "--check"])),
    quick("tidy", 5, Action::Own(tidy::report)),
    quick("licences, sources and bans", 5, Action::Own(deny::report)),
    quick("build of all tests", MOST, Action::Cargo(&["test", "--workspace", "--no-run"])),
    full(
        "build of the tests that boot machines",
        MOST,
        Action::Machines(&["test", "--workspace", "--no-run"], &[]),
    ),
    full("set-up: Debian packages and root", MOST, Action::Built("debug", "root", OURS, &[])),
    Step {
        beside: false,
        ..older("set-up: Debian 12 root", MOST, Action::Built("debug", "root", OURS, &[]))
    },
    quick("unit tests", 20, Action::Cargo(&["test", "--workspace", "--no-fail-fast"])),
    quick("children without their parent's memory", 5, Action::CargoWith(LEAN, SPAWN_TESTS)),
    full("clippy", MOST, Action::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    full(
        "clippy of the tests that boot machines",
        MOST,
        Action::Machines(&["clippy", "--workspace"], &["--", "-D", "warnings"]),
    ),
    full("fuzz targets", 10, Action::Cargo(FUZZ_TARGETS)),
    full("release build", MOST, Action::Cargo(RELEASE)),
    full("budgets beside the reference", 10, Action::Built("release", "runstead-bench", OURS, &["--check"])),
    full("100,000 damaged unit files", 20, Action::Cargo(DAMAGED_UNITS)),
    full("boot as the README says", 5, Action::Cargo(&["run", "--release", "--", "boot", "--for", "5s"])),
    full("what a newcomer meets", 10, Action::Test("newcomer", OURS, &[])),
    full("what an ordinary user meets", 5, Action::Test("plain", OURS, &[])),
    full("the harness cleans up", 5, Action::Test("harness", REFERENCE, &[])),
    // Emulated processors take all there is, and are slower than people's and services' patience where they share it.
    full("a real kernel", 30, Action::Test("vm", OURS, &[])),
    beside("same boot as the reference", 10, Action::Built("debug", "compare", OURS, &[])),
    beside("twenty boots", 15, Action::Test("boots", OURS, &[])),
    beside("scenarios on the reference", 15, Action::Test("scenarios", REFERENCE, &[])),
    beside("sabotaged scenarios fail", 15, Action::Test("scenarios", REFERENCE, &["--sabotage"])),
    beside("scenarios on runstead", 15, Action::Test("scenarios", OURS, &[])),
    beside("a million damaged messages and notifications", 15, Action::Test("storm", OURS, &[])),
    beside("200 logins on the reference", 10, Action::Test("logins", REFERENCE, &[])),
    beside("200 logins on runstead", 10, Action::Test("logins", OURS, &[])),
    beside("packages on the reference", 10, Action::Test("packages", REFERENCE, &[])),
    beside("packages on runstead", 10, Action::Test("packages", OURS, &[])),
    older("same boot as on Debian 12", 10, Action::Built("debug", "compare", OURS, &[])),
    older("scenarios with Debian 12's clients", 15, Action::Test("scenarios", OURS, &[])),
    older("200 logins on Debian 12", 10, Action::Test("logins", OURS, &[])),
    beside("/run as the standard asks", 10, Action::Test("rundir", OURS, &[])),
    beside("odd PID files on the reference", 10, Action::Test("pidfiles", REFERENCE, &[])),
    beside("odd PID files, 10,000 numbers given again", 10, Action::Test("pidfiles", OURS, &[])),
    beside("100,000 exchanges while directories come and go", 10, Action::Test("rungames", OURS, &[])),
    beside("directories of users on the reference", 5, Action::Test("userdirs", REFERENCE, &[])),
    beside("directories of users on runstead", 5, Action::Test("userdirs", OURS, &[])),
    beside("carried over a boot", 10, Action::Test("carry", OURS, &[])),
    beside("tmpfiles on the reference", 15, Action::Test("tmpfiles", REFERENCE, TMPFILES)),
    beside("altered tmpfiles.d is told", 10, Action::Test("tmpfiles", REFERENCE, &["same", "--sabotage"])),
    beside("tmpfiles on runstead", 15, Action::Test("tmpfiles", OURS, TMPFILES)),
    full("time of tmpfiles beside the reference", 10, Action::Test("tmpfiles", OURS, &["speed"])),
    beside("installed, booted, uninstalled", 15, Action::Test("install", OURS, &[])),
    older("the same on Debian 12", 15, Action::Test("install", OURS, &[])),
    beside("the binary alone, in a container and in a VM", 10, Action::Test("alone", OURS, &[])),
    beside("100 re-executions of PID 1 under load", 10, Action::Test("reexec", OURS, &[])),
    beside("50 crashes of PID 1 under load, and a crash loop", 10, Action::Test("crashes", OURS, &[])),
];

/// Runs the steps and prints the summary; whether all of them passed.
pub fn all(top: &Path, quick: bool) -> bool {
    let chosen: Vec<(usize, &Step)> = (1..).zip(STEPS.iter().filter(|s| s.quick || !quick)).collect();
    let run = Run { top, full: !quick, count: chosen.len(), begin: Instant::now(), rows: Mutex::default() };
    let (lanes, alone): (Vec<_>, Vec<_>) = chosen.iter().partition(|(_, step)| step.beside);
    for (number, step) in alone {
        println!("{}", run.head(number, step));
        let last = run.step(number, step, &mut |line| println!("{line}"));
        println!("{last}");
    }
    run.beside(lanes);
    let rows = run.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut total = Counts::default();
    for (row, counts) in rows.values() {
        println!("{row}");
        total.passed += counts.passed;
        total.failed += counts.failed;
    }
    if quick {
        println!("quick subset: {} steps left out", STEPS.len() - chosen.len());
    }
    println!("all in {:.0} s", run.begin.elapsed().as_secs_f64());
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

/// One run of the steps.
struct Run<'a> {
    top: &'a Path,
    full: bool,
    count: usize,
    begin: Instant,
    /// By the number of the step: its line of the summary, and what it counted.
    rows: Mutex<BTreeMap<usize, (String, Counts)>>,
}

impl Run<'_> {
    fn head(&self, number: usize, step: &Step) -> String {
        format!("[{number}/{}] {} ({:.0} s)", self.count, step.name, self.begin.elapsed().as_secs_f64())
    }

    /// Performs a step; its last line.
    fn step(&self, number: usize, step: &Step, told: &mut dyn FnMut(&str)) -> String {
        let started = Instant::now();
        let (counts, outcome) = perform(step, self.full, self.top, told);
        let took = started.elapsed().as_secs_f64();
        let counts = settle(counts, outcome.is_ok());
        let word = if outcome.is_ok() { "passed" } else { "FAILED" };
        let why = outcome.err().map(|why| format!(": {why}")).unwrap_or_default();
        let (name, passed, failed) = (step.name, counts.passed, counts.failed);
        let row = format!("{word} {took:7.1} s {passed:5} passed {failed:3} failed  {name}");
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(number, (row, counts));
        format!("[{number}/{}] {name} {word} in {took:.1} s{why}\n", self.count)
    }

    /// Steps side by side; what one says is told when it has ended.
    fn beside(&self, steps: Vec<(usize, &Step)>) {
        let queue = Mutex::new(VecDeque::from(steps));
        let lane = || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((number, step)) = next else { return };
                println!("{} begins", self.head(number, step));
                let mut said = self.head(number, step);
                let last = self.step(number, step, &mut |line| {
                    said.push('\n');
                    said.push_str(line);
                });
                println!("{said}\n{last}");
            }
        };
        std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    }
}

/// A step that counts nothing is one test; one that failed has at least one failure.
fn settle(counts: Counts, good: bool) -> Counts {
    match (good, counts) {
        (true, Counts { passed: 0, failed: 0 }) => Counts { passed: 1, failed: 0 },
        (false, Counts { passed, failed: 0 }) => Counts { passed, failed: 1 },
        (_, counts) => counts,
    }
}

fn perform(step: &Step, full: bool, top: &Path, told: &mut dyn FnMut(&str)) -> (Counts, Result<(), String>) {
    let limit = Duration::from_secs(step.limit * 60);
    let mut command = match step.action {
        Action::Own(look) => {
            let good = look(top);
            return (Counts::default(), good.then_some(()).ok_or_else(|| "see above".to_owned()));
        }
        Action::Cargo(words) => cargo(words),
        Action::Machines(before, after) => {
            let mut command = cargo(before);
            command.args(MACHINES.iter().map(|name| format!("--test={name}"))).args(after);
            command
        }
        Action::CargoWith(variables, words) => {
            let mut command = cargo(words);
            command.envs(variables.iter().copied());
            command
        }
        Action::Built(profile, name, under_test, words) => {
            let mut command = Command::new(built(profile, name));
            command.args(words).env("RUNSTEAD_UNDER_TEST", under_test);
            command
        }
        Action::Test(name, under_test, words) => {
            let mut command = cargo(&["test", "--quiet", "--workspace", "--test", name, "--"]);
            command.args(words).env("RUNSTEAD_UNDER_TEST", under_test);
            command
        }
    };
    command.current_dir(top);
    if step.older {
        command.env("RUNSTEAD_ROOT", "debian12");
    }
    if full {
        // Tests that would leave something out for want of a program or a privilege fail instead.
        command.env("CI", "true").env("RUNSTEAD_BIN", built("release", "runstead"));
    }
    run(&mut command, limit, told)
}

fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    command
}

/// A program of the target directory this one was built into (`TARGET/TRIPLE/PROFILE/xtask`).
fn built(profile: &str, name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap_or_default();
    me.ancestors().nth(2).unwrap_or(Path::new("")).join(profile).join(name)
}

/// Namespaces, mounts and cgroups are made by most of the steps.
fn is_root(_top: &Path) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:")).and_then(|l| l.split_whitespace().nth(1));
    if uid != Some("0") {
        println!("the tests boot machines: run them as root (cargo xtask test --quick needs no root)");
    }
    uid == Some("0")
}

/// rustfmt and clippy are no part of a minimal toolchain.
fn components(_top: &Path) -> bool {
    [("fmt", "rustfmt"), ("clippy", "clippy")].into_iter().all(|(verb, component)| {
        let there = cargo(&[verb, "--version"]).output().is_ok_and(|o| o.status.success());
        there
            || Command::new("rustup")
                .args(["component", "add", component])
                .status()
                .is_ok_and(|s| s.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_at_least_one() {
        let counts = |passed, failed| Counts { passed, failed };
        assert_eq!(settle(counts(0, 0), true), counts(1, 0));
        assert_eq!(settle(counts(0, 0), false), counts(0, 1));
        assert_eq!(settle(counts(40, 0), false), counts(40, 1));
        assert_eq!(settle(counts(40, 2), false), counts(40, 2));
    }
}
