//! Twenty boots in a row, two at a time: each reaches `running` with no failed unit and the same set of units.
//!
//! `cargo test -p runstead-compat --test boots -- [--boots N]`; `RUNSTEAD_UNDER_TEST` chooses the PID 1. Needs root.

use runstead_compat::arguments::Arguments;
use runstead_compat::compare::Snapshot;
use runstead_compat::machine::{Machine, Options, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::{Result, root};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

const BOOTS: usize = 20;
/// More would only compete for the processors.
const SIDE_BY_SIDE: usize = 2;
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// From `running` to the look at it: as in `compare`, what ends by itself has ended.
const SETTLE: Duration = Duration::from_secs(10);

/// What one boot came to.
struct Boot {
    number: usize,
    outcome: Result<(String, Snapshot, String)>,
    took: Duration,
}

fn main() -> ExitCode {
    let count = match arguments() {
        Ok(count) => count,
        Err(status) => return status,
    };
    let mut proof =
        Proof::begin("boots", Duration::from_secs(60) + BOOT_LIMIT * u32::try_from(count).unwrap_or(1));
    prove(&mut proof, count);
    proof.end()
}

fn arguments() -> std::result::Result<usize, ExitCode> {
    let mut words = Arguments::from_env("usage: boots [--boots N]")?;
    let count = words.value("--boots", BOOTS);
    words.none_left().map(|()| count)
}

fn prove(proof: &mut Proof, count: usize) {
    let Some(under_test) = proof.need("choose the PID 1", UnderTest::from_env()) else { return };
    let Some(root) = proof.need("find the Debian root", root::chosen()) else { return };
    proof.step(format!("{count} boots of {}", under_test.name()));
    let mut options = Options::new(under_test, root);
    options.shared_mounts = true;
    let next = AtomicUsize::new(1);
    let (sender, results) = channel();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            let sender = sender.clone();
            scope.spawn(|| work(&options, &next, count, sender));
        }
        drop(sender);
        let mut first: Option<(usize, Snapshot)> = None;
        for boot in results {
            judge(proof, boot, &mut first);
        }
    });
}

fn work(options: &Options, next: &AtomicUsize, count: usize, results: Sender<Boot>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > count {
            return;
        }
        let began = Instant::now();
        let outcome = boot(options);
        if results.send(Boot { number, outcome, took: began.elapsed() }).is_err() {
            return;
        }
    }
}

/// The machine's state, its units, and what its console said when a unit came and went after the boot.
fn boot(options: &Options) -> Result<(String, Snapshot, String)> {
    let mut machine = Machine::boot(options)?;
    let state = machine.wait_running(BOOT_LIMIT)?;
    std::thread::sleep(SETTLE);
    let seen = Snapshot::take(&machine)?;
    let before = machine.console.text().len();
    machine.run(&["systemd-run", "--wait", "--unit=quiet", "true"])?;
    let text = machine.console.text();
    Ok((state, seen, text.get(before..).unwrap_or_default().to_owned()))
}

/// Compares with the first boot that came back: all are equal, or some differ from it.
fn judge(proof: &mut Proof, boot: Boot, first: &mut Option<(usize, Snapshot)>) {
    let what = format!("boot {}", boot.number);
    proof.step(format!("{what} came back after {:.1} s", boot.took.as_secs_f64()));
    let Some((state, seen, said)) = proof.need(&what, boot.outcome) else { return };
    let failed = seen.failed();
    proof.check(
        state == "running" && failed.is_empty(),
        format!("{what}: {state}, failed units: [{}]", failed.join(" ")),
    );
    proof.check(said.is_empty(), format!("{what}: the console is left to who logs in there {said:?}"));
    let Some((number, expected)) = first else {
        println!("{what} has {} units", seen.units.len());
        *first = Some((boot.number, seen));
        return;
    };
    let units_only = |s: &Snapshot| Snapshot { units: s.units.clone(), ..Snapshot::default() };
    let differences = units_only(expected).differences(&units_only(&seen));
    let said: Vec<String> =
        differences.iter().map(|d| format!("{}: [{}] then [{}]", d.subject, d.reference, d.ours)).collect();
    proof.check(said.is_empty(), format!("{what}: the same units as boot {number} {}", said.join("; ")));
}
