//! Runs the scenarios: `cargo test -p runstead-compat --test scenarios -- [--sabotage] [--reexec] [--jobs N] [--list] [NAME...]`.
//!
//! `RUNSTEAD_UNDER_TEST` chooses the PID 1. Needs root. With `--sabotage` each scenario must fail
//! with the behaviour it names switched off. With `--reexec` the manager executes itself all the time meanwhile.

mod authority;
mod descriptors;
mod dropins;
mod exec;
mod filters;
mod jobs;
mod kill;
mod mounts;
mod namespaces;
mod notification;
mod ordering;
mod paths;
mod restart;
mod rundirs;
mod signals;
mod sockets;
mod timers;
mod transient;
mod units;

use runstead_compat::arguments::Arguments as Words;
use runstead_compat::layer;
use runstead_compat::machine::{Machine, Options, UnderTest};
use runstead_compat::root::{self, Distribution};
use runstead_compat::scenario::{Outcome, Planned, Scenario};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TOPICS: &[&[Scenario]] = &[
    ordering::ALL,
    restart::ALL,
    kill::ALL,
    notification::ALL,
    sockets::ALL,
    descriptors::ALL,
    timers::ALL,
    paths::ALL,
    mounts::ALL,
    namespaces::ALL,
    transient::ALL,
    dropins::ALL,
    jobs::ALL,
    exec::ALL,
    filters::ALL,
    rundirs::ALL,
    signals::ALL,
    units::ALL,
    authority::ALL,
];
const BOOT_LIMIT: Duration = Duration::from_secs(90);

struct Arguments {
    sabotage: bool,
    reexec: bool,
    list: bool,
    jobs: usize,
    names: Vec<String>,
}

const USAGE: &str = "usage: scenarios [--sabotage] [--reexec] [--jobs N] [--list] [NAME...]";

fn arguments() -> Result<Arguments, ExitCode> {
    let mut words = Words::from_env(USAGE)?;
    Ok(Arguments {
        sabotage: words.flag("--sabotage"),
        reexec: words.flag("--reexec"),
        list: words.flag("--list"),
        jobs: words.value("--jobs", 8),
        names: words.names()?,
    })
}

fn main() -> ExitCode {
    let given = match arguments() {
        Ok(given) => given,
        Err(status) => return status,
    };
    match run(&given) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("scenarios: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(given: &Arguments) -> Result<bool, String> {
    let asked =
        |s: &&Scenario| given.names.is_empty() || given.names.iter().any(|n| s.name.contains(n.as_str()));
    let chosen = TOPICS.iter().flat_map(|t| t.iter()).filter(asked);
    let plans: Vec<Planned> = chosen.enumerate().map(|(n, s)| Planned::new(s, n, given.sabotage)).collect();
    if given.list {
        plans.iter().for_each(|p| println!("{}", p.scenario.name));
        return Ok(true);
    }
    let under_test = UnderTest::from_env()?;
    let start = Instant::now();
    let mut base = Options::new(under_test, root::chosen()?);
    base.shared_mounts = true;
    let (alone, shared): (Vec<&Planned>, Vec<&Planned>) = plans.iter().partition(|p| p.scenario.own_machine);
    let mut options = base.clone();
    options.files.extend(shared.iter().flat_map(|p| p.entries()));
    let mut machine = Machine::boot(&options)?;
    let state = machine.wait_running(BOOT_LIMIT)?;
    let mode = if given.sabotage { ", each with its behaviour switched off" } else { "" };
    println!(
        "{}: {state} after {:.1} s; {} scenarios{mode}",
        under_test.name(),
        start.elapsed().as_secs_f64(),
        plans.len()
    );
    let queue: Vec<&Planned> = alone.into_iter().chain(shared).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(plan) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                let outcome =
                    if plan.scenario.own_machine { run_alone(plan, &base) } else { plan.run(&machine) };
                report(plan.scenario.name, began.elapsed(), &outcome);
                if outcome.is_err() {
                    failed.lock().expect("no holder of the list panics").push(plan.scenario.name);
                }
            }
        };
        let workers: Vec<_> = (0..given.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        if given.reexec {
            scope.spawn(|| reexecute(&machine, &done));
        }
        for worker in workers {
            worker.join().expect("a scenario's panic is caught where it runs");
        }
        done.store(true, Ordering::Relaxed);
    });
    let failed = failed.into_inner().expect("no holder of the list panics");
    if !failed.is_empty() {
        println!("\nfailed: {}", failed.join(" "));
    }
    let passed = plans.len() - failed.len();
    println!("{passed} passed, {} failed, in {:.1} s", failed.len(), start.elapsed().as_secs_f64());
    Ok(failed.is_empty() && passed > 0)
}

/// Lets the manager execute itself until the scenarios are done.
fn reexecute(machine: &Machine, done: &AtomicBool) {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        match machine.run(&["systemctl", "daemon-reexec"]) {
            Ok(output) if output.status.success() => count += 1,
            Ok(output) => println!("daemon-reexec: {}", String::from_utf8_lossy(&output.stderr).trim()),
            Err(why) => println!("daemon-reexec: {why}"),
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    println!("daemon-reexec: {count} times");
}

fn run_alone(plan: &Planned, base: &Options) -> Outcome {
    let mut options = base.clone();
    options.files.extend(plan.entries());
    if !plan.scenario.packages.is_empty() {
        options.layers.push(layer::with(Distribution::from_env()?, plan.scenario.packages)?);
    }
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT_LIMIT)?;
    plan.run(&machine)
}

fn report(name: &str, took: Duration, outcome: &Outcome) {
    let word = if outcome.is_ok() { "ok  " } else { "FAIL" };
    let why =
        outcome.as_ref().err().map(|w| format!("\n     {}", w.replace('\n', "\n     "))).unwrap_or_default();
    println!("{word} {name} ({:.1} s){why}", took.as_secs_f64());
}
