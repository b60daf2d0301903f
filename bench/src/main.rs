//! Prints the table of budgets (DESIGN 10) for the reference and runstead, measured in one run on two CPUs.
//!
//! `cargo run --release -p runstead-bench [-- --reference-only | --ours-only | --check]`. Needs root. The floor of the first
//! row is a loop of posix_spawn in this program. `--check` fails when a figure is far from what it should be, twice.
//! `--storm N` and `--chains N` measure 500 services side by side and chains alone, for a profiler.

mod logins;
mod measure;
mod raw;
mod table;
mod tick;

use runstead_compat::arguments::Arguments;
use runstead_compat::machine::UnderTest;
use runstead_compat::{Error, Result, root};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::process::ExitCode;
use table::Measured;

/// How many services are started side by side.
const SERVICES: usize = 500;

const USAGE: &str =
    "usage: runstead-bench [--check | --reference-only | --ours-only | --chains N | --logins N | --storm N]
Prints the table of budgets for systemd and runstead, measured in one run on two CPUs. Needs root.
  --check           fail when a figure is far from what it should be, twice
  --reference-only  measure systemd alone
  --ours-only       measure runstead alone
  --chains N        measure N chains of 200 oneshots alone, in one machine
  --logins N        measure logins under both alone, N times
  --storm N         measure 500 services side by side alone, N times";

/// What is asked for.
enum Task {
    Check,
    Bench { reference: bool, ours: bool },
    Chains(usize),
    Logins(usize),
    Storms(usize),
}

fn task() -> std::result::Result<Task, ExitCode> {
    let mut words = Arguments::from_env(USAGE)?;
    let storms = words.value("--storm", 0);
    let chains = words.value("--chains", 0);
    let logins = words.value("--logins", 0);
    let check = words.flag("--check");
    let (reference_only, ours_only) = (words.flag("--reference-only"), words.flag("--ours-only"));
    words.none_left()?;
    match ((storms, chains, logins), check, reference_only, ours_only) {
        ((0, 0, 0), true, false, false) => Ok(Task::Check),
        ((0, 0, 0), false, false, _) | ((0, 0, 0), false, true, false) => {
            Ok(Task::Bench { reference: !ours_only, ours: !reference_only })
        }
        ((times, 0, 0), false, false, false) => Ok(Task::Storms(times)),
        ((0, times, 0), false, false, false) => Ok(Task::Chains(times)),
        ((0, 0, times), false, false, false) => Ok(Task::Logins(times)),
        _ => {
            eprintln!("one task at a time\n{USAGE}");
            Err(ExitCode::from(2))
        }
    }
}

fn main() -> ExitCode {
    let outcome = match task() {
        Ok(Task::Check) => check(),
        Ok(Task::Bench { reference, ours }) => bench(reference, ours).map(drop),
        Ok(Task::Chains(times)) => chains(times),
        Ok(Task::Logins(times)) => logins(times),
        Ok(Task::Storms(times)) => storms(times),
        Err(status) => return status,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Everything started from here on inherits it.
fn two_cpus() -> Result<()> {
    let mut two = CpuSet::new();
    two.set(0);
    two.set(1);
    sched_setaffinity(None, &two).map_err(Error::on("set the affinity to", "CPUs 0 and 1"))
}

fn storms(times: usize) -> Result<()> {
    two_cpus()?;
    let tree = root::chosen()?;
    for _ in 0..times {
        let floor = raw::side_by_side(SERVICES)?;
        let took = measure::side_by_side(UnderTest::Ours, &tree)?;
        println!("{:.1} ms, {:.2} x raw ({:.1} ms)", took / 1e3, took / floor, floor / 1e3);
    }
    Ok(())
}

fn chains(times: usize) -> Result<()> {
    two_cpus()?;
    let floor = raw::chain_step(measure::CHAIN)?;
    for took in measure::chains(UnderTest::Ours, &root::chosen()?, times)? {
        println!("{:.3} ms a step, {:.2} x raw ({:.3} ms)", took / 1e3, took / floor, floor / 1e3);
    }
    Ok(())
}

fn logins(times: usize) -> Result<()> {
    two_cpus()?;
    let tree = root::chosen()?;
    for _ in 0..times {
        let (mut reference, mut ours) = (measure::Figures::default(), measure::Figures::default());
        logins::take(&[UnderTest::Systemd, UnderTest::Ours], &tree, &mut [&mut reference, &mut ours])?;
        let (reference, ours) = (reference.login / 1e3, ours.login / 1e3);
        println!("a session: {reference:.2} ms, {ours:.2} ms, {:.3}", ours / reference);
    }
    Ok(())
}

fn bench(reference: bool, ours: bool) -> Result<Measured> {
    two_cpus()?;
    let tree = root::chosen()?;
    let floor = raw::side_by_side(SERVICES)?;
    let figures = |wanted: bool, of| wanted.then(|| measure::all(of, &tree)).transpose();
    let mut reference = figures(reference, UnderTest::Systemd)?;
    let mut ours = figures(ours, UnderTest::Ours)?;
    let both = [(UnderTest::Systemd, reference.as_mut()), (UnderTest::Ours, ours.as_mut())];
    let (of, mut figures): (Vec<_>, Vec<_>) =
        both.into_iter().filter_map(|(of, figures)| Some((of, figures?))).unzip();
    logins::take(&of, &tree, &mut figures)?;
    let measured = Measured { floor, reference, ours };
    measured.print();
    Ok(measured)
}

/// The bounds are wide, and something else may have run meanwhile: only what is out of them twice counts.
fn check() -> Result<()> {
    let first = bench(true, true)?.out_of_bounds();
    if first.is_empty() {
        return Ok(());
    }
    println!("out of bounds: {}; once more", first.join(", "));
    let mut second = bench(true, true)?.out_of_bounds();
    second.retain(|label| first.contains(label));
    if second.is_empty() { Ok(()) } else { Err(Error::new(format!("out of bounds: {}", second.join(", ")))) }
}
