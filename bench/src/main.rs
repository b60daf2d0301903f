//! Prints the table of budgets (DESIGN 10) for the reference and runstead, measured in one run on two CPUs.
//!
//! `cargo run --release -p runstead-bench [-- --reference-only | --ours-only]`. Needs root. The floor of the first row is a
//! loop of posix_spawn in this program. `--storm N` measures that row alone, N times, for a profiler.

mod measure;
mod raw;
mod tick;

use measure::Figures;
use runstead_compat::machine::UnderTest;
use runstead_compat::{Error, Result, root};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::process::ExitCode;

/// How many services are started side by side.
const SERVICES: usize = 500;

fn main() -> ExitCode {
    let asked = |option: &str| std::env::args().any(|a| a == option);
    let storm = std::env::args().skip_while(|a| a != "--storm").nth(1).and_then(|n| n.parse().ok());
    let outcome = match storm {
        Some(times) => storms(times),
        None => bench(!asked("--ours-only"), !asked("--reference-only")),
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
    let tree = root::debian13()?;
    for _ in 0..times {
        let floor = raw::side_by_side(SERVICES)?;
        let took = measure::side_by_side(UnderTest::Ours, &tree)?;
        println!("{:.1} ms, {:.2} x raw ({:.1} ms)", took / 1e3, took / floor, floor / 1e3);
    }
    Ok(())
}

fn bench(reference: bool, ours: bool) -> Result<()> {
    two_cpus()?;
    let tree = root::debian13()?;
    let floor = measure::median((0..measure::STORMS).map(|_| raw::side_by_side(SERVICES)))?;
    let figures = |wanted: bool, of| wanted.then(|| measure::all(of, &tree)).transpose();
    let reference = figures(reference, UnderTest::Systemd)?;
    let ours = figures(ours, UnderTest::Ours)?;
    print(floor, reference.as_ref(), ours.as_ref());
    Ok(())
}

fn print(floor: f64, reference: Option<&Figures>, ours: Option<&Figures>) {
    println!("{:58} {:>12} {:>12} {:>12}", "", "reference", "ours", "ours/ref.");
    let row = |label: &str, get: &dyn Fn(&Figures) -> f64, unit: &str, digits: usize| {
        let cell =
            |of: Option<&Figures>| of.map_or("-".to_owned(), |f| format!("{:.digits$} {unit}", get(f)));
        let ratio = reference.zip(ours).map_or("-".to_owned(), |(r, o)| format!("{:.3}", get(o) / get(r)));
        println!("{label:58} {:>12} {:>12} {ratio:>12}", cell(reference), cell(ours));
    };
    println!("{:58} {:.1} ms", format!("{SERVICES} programs, raw posix_spawn loop"), floor / 1e3);
    row("500 services side by side, exec of PID 1 to the last exec", &|f| f.side_by_side / 1e3, "ms", 1);
    row("  the same as a multiple of the raw loop", &|f| f.side_by_side / floor, "x", 1);
    row("one step in a chain of 200 oneshots", &|f| f.chain_step / 1e3, "ms", 2);
    row("anonymous memory of PID 1, 10 s after the boot", &|f| f.memory / 1e6, "MB", 2);
    row("  for each loaded unit", &|f| f.memory_unit / 1e3, "KB", 2);
    row("daemon-reload, 1,000 units more, generators apart", &|f| f.reload[0] / 1e3, "ms", 1);
    row("daemon-reload, 4,000 units more, generators apart", &|f| f.reload[1] / 1e3, "ms", 1);
    row("  t(4,000) / t(1,000)", &|f| f.reload[1] / f.reload[0].max(1.0), "x", 2);
    row("a scope, after the boot", &|f| f.scope[0] / 1e3, "ms", 2);
    row("a scope, 4,000 units more", &|f| f.scope[1] / 1e3, "ms", 2);
}
