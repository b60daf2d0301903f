//! The steps of the test command, in order; each is run, all are counted, none is left out unseen.

use crate::tidy;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A step that cannot pass yet because its counterpart is not built: named here, shown in every summary, and
/// nowhere else left out. A name leaves this list when what it waits for lands.
const AWAITED: &[&str] = &["scenarios on runstead", "same boot", "newcomer boot"];

struct Step {
    name: &'static str,
    /// In the subset that takes under a minute after the build.
    quick: bool,
    action: Action,
}

enum Action {
    Tidy,
    /// `cargo` with these words and this addition to the environment.
    Cargo(&'static [&'static str], &'static [(&'static str, &'static str)]),
    Root,
}

const REFERENCE: &[(&str, &str)] = &[("RUNSTEAD_UNDER_TEST", "systemd")];
const OURS: &[(&str, &str)] = &[("RUNSTEAD_UNDER_TEST", "ours")];
const SCENARIOS: &[&str] = &["test", "--quiet", "--package", "runstead-compat", "--test", "scenarios"];
const SABOTAGE: &[&str] =
    &["test", "--quiet", "--package", "runstead-compat", "--test", "scenarios", "--", "--sabotage"];

const STEPS: &[Step] = &[
    Step { name: "is root", quick: false, action: Action::Root },
    Step {
        name: "set-up: Debian packages and root",
        quick: false,
        action: Action::Cargo(&["run", "--quiet", "--package", "runstead-compat", "--bin", "root"], &[]),
    },
    Step { name: "format", quick: true, action: Action::Cargo(&["fmt", "--all", "--check"], &[]) },
    Step { name: "tidy", quick: true, action: Action::Tidy },
    Step {
        name: "clippy",
        quick: false,
        action: Action::Cargo(
            &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"],
            &[],
        ),
    },
    Step {
        name: "unit tests",
        quick: true,
        action: Action::Cargo(&["test", "--quiet", "--workspace", "--exclude", "runstead-compat"], &[]),
    },
    Step {
        name: "unit tests of the harness",
        quick: true,
        action: Action::Cargo(&["test", "--quiet", "--package", "runstead-compat", "--lib", "--bins"], &[]),
    },
    Step {
        name: "release build",
        quick: false,
        action: Action::Cargo(&["build", "--quiet", "--release", "--workspace"], &[]),
    },
    Step {
        name: "newcomer boot",
        quick: false,
        action: Action::Cargo(&["run", "--quiet", "--release", "--", "boot", "--for", "5s"], &[]),
    },
    Step {
        name: "the harness cleans up",
        quick: false,
        action: Action::Cargo(&["test", "--quiet", "--package", "runstead-compat", "--test", "harness"], &[]),
    },
    Step { name: "scenarios on the reference", quick: false, action: Action::Cargo(SCENARIOS, REFERENCE) },
    Step { name: "sabotaged scenarios fail", quick: false, action: Action::Cargo(SABOTAGE, REFERENCE) },
    Step { name: "scenarios on runstead", quick: false, action: Action::Cargo(SCENARIOS, OURS) },
    Step {
        name: "same boot",
        quick: false,
        action: Action::Cargo(
            &["run", "--quiet", "--release", "--package", "runstead-compat", "--bin", "compare"],
            &[],
        ),
    },
];

/// Runs the steps and prints the summary; whether all of them passed.
pub fn run(top: &Path, quick: bool) -> bool {
    let chosen: Vec<&Step> = STEPS.iter().filter(|s| s.quick || !quick).collect();
    let mut rows = Vec::new();
    let begin = Instant::now();
    for (n, step) in chosen.iter().enumerate() {
        println!("[{}/{}] {}", n + 1, chosen.len(), step.name);
        let outcome = if AWAITED.contains(&step.name) { "awaited" } else { perform(step, top) };
        rows.push((outcome, step.name));
        println!("[{}/{}] {}: {outcome}", n + 1, chosen.len(), step.name);
    }
    println!("\nsummary");
    for (outcome, name) in &rows {
        println!("  {outcome:8} {name}");
    }
    let count = |word: &str| rows.iter().filter(|(outcome, _)| *outcome == word).count();
    let left_out = STEPS.len() - chosen.len();
    let subset = if quick { format!(" (quick subset, {left_out} steps left out)") } else { String::new() };
    println!(
        "{} passed, {} failed, {} awaited in {:.0} s{subset}",
        count("passed"),
        count("failed"),
        count("awaited"),
        begin.elapsed().as_secs_f64(),
    );
    count("failed") == 0
}

fn perform(step: &Step, top: &Path) -> &'static str {
    let good = match &step.action {
        Action::Tidy => tidy::report(top),
        Action::Root => is_root(),
        Action::Cargo(words, environment) => cargo(words, environment, top),
    };
    if good { "passed" } else { "failed" }
}

fn cargo(words: &[&str], environment: &[(&str, &str)], top: &Path) -> bool {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(words).envs(environment.iter().copied()).current_dir(top);
    match command.status() {
        Ok(status) => status.success(),
        Err(why) => {
            eprintln!("cargo {}: {why}", words.join(" "));
            false
        }
    }
}

/// Namespaces, mounts and cgroups are made by most of the steps.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:")).and_then(|l| l.split_whitespace().nth(1));
    if uid != Some("0") {
        eprintln!("the tests boot machines: run them as root (cargo xtask test --quick needs no root)");
    }
    uid == Some("0")
}
