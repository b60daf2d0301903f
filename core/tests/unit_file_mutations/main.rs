//! Damaged unit files: none panics, takes long, is skipped without a word or stops a boot.
//!
//! `cargo test -p runstead-core --test unit_file_mutations` mutates the files of `tests/facts/units`;
//! `-- --full` takes every unit file of the Debian root and 100,000 mutations.
//! `--count N`, `--seed N` and `--case N` choose other mutations, `--print` shows the one of `--case`; a failure says
//! how to repeat it.

#![allow(clippy::cast_possible_truncation)] // Numbers of cases and random bytes.

mod checks;
mod mutate;
mod random;
mod watch;
mod world;

use mutate::{Mutated, Seed, mutate};
use random::Random;
use runstead_core::names::UnitName;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use world::Ended;

/// Mutated units that one boot holds.
const BATCH: usize = 25;
/// Failures that are printed in full.
const SHOWN: usize = 20;

struct Arguments {
    full: bool,
    count: Option<usize>,
    seed: u64,
    case: Option<usize>,
    print: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = Arguments { full: false, count: None, seed: 1, case: None, print: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let next = words.next().and_then(|n| n.parse::<usize>().ok());
            next.ok_or_else(|| format!("{word} needs a number"))
        };
        match word.as_str() {
            "--full" => given.full = true,
            "--print" => given.print = true,
            "--count" => given.count = Some(number()?),
            "--case" => given.case = Some(number()?),
            "--seed" => given.seed = number()? as u64,
            // What cargo hands to every test program.
            "--quiet" | "-q" | "--nocapture" => {}
            other => return Err(format!("unknown option {other}: --full, --count N, --seed N, --case N")),
        }
    }
    Ok(given)
}

fn main() -> ExitCode {
    let result = arguments().and_then(|given| run(&given));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("unit_file_mutations: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(given: &Arguments) -> Result<bool, String> {
    let seeds = seeds(given.full)?;
    let count = given.count.unwrap_or(if given.full { 100_000 } else { 1_500 });
    if let (true, Some(case)) = (given.print, given.case) {
        let (name, mutated) = make(case, &seeds, given.seed);
        println!("{name}, {} bytes\n{}", mutated.bytes.len(), mutated.bytes.escape_ascii());
        return Ok(true);
    }
    let begin = Instant::now();
    // A panic is a failure of its case, told with the case.
    std::panic::set_hook(Box::new(|_| {}));
    watch::start();
    let boots = bootable(&seeds);
    println!("{} unit files, {} of which do not end a boot by themselves", seeds.len(), boots.len());
    let range: Vec<usize> = given.case.map_or_else(|| (0..count).collect(), |case| vec![case]);
    let mut outcomes: Vec<Outcome> = Vec::new();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        let chunks = range.chunks(range.len().div_ceil(workers).max(1));
        let handles: Vec<_> =
            chunks.map(|part| scope.spawn(|| work(part, &seeds, &boots, given.seed))).collect();
        outcomes.extend(handles.into_iter().flat_map(|h| h.join().ok()));
    });
    if outcomes.iter().map(|o| o.cases).sum::<usize>() != range.len() {
        return Err("a worker ended before its cases were done".into());
    }
    let failures: Vec<&(usize, String)> = outcomes.iter().flat_map(|o| &o.failures).collect();
    for (case, why) in failures.iter().take(SHOWN) {
        println!("FAIL --seed {} --case {case}: {why}", given.seed);
    }
    let sum = |part: fn(&Outcome) -> usize| outcomes.iter().map(part).sum::<usize>();
    println!(
        "{} mutations, {} lines reported, {} boots with {} damaged units in {:.1} s",
        range.len(),
        sum(|o| o.reported),
        sum(|o| o.boots),
        sum(|o| o.booted),
        begin.elapsed().as_secs_f64()
    );
    println!("{} mutations passed, {} failed", range.len() - failures.len(), failures.len());
    Ok(failures.is_empty())
}

/// The unit files to start from.
fn seeds(full: bool) -> Result<Vec<Seed>, String> {
    let directory =
        if full { debian_units()? } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/units") };
    let said = |e: std::io::Error| format!("cannot read {}: {e}", directory.display());
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&directory).map_err(said)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(name) = UnitName::parse(&file_name) else { continue };
        // Links are other names of files that are here too.
        if !path.symlink_metadata().is_ok_and(|m| m.is_file()) || file_name == "default.target" {
            continue;
        }
        let name =
            if name.is_template() { name.with_instance("one").map_err(|e| e.to_string())? } else { name };
        let bytes = std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        seeds.push(Seed { name, bytes });
    }
    if seeds.is_empty() {
        return Err(format!("{} holds no unit file", directory.display()));
    }
    Ok(seeds)
}

fn debian_units() -> Result<PathBuf, String> {
    let cache =
        std::env::var_os("RUNSTEAD_ROOTS").map_or_else(|| "/var/tmp/runstead/roots".into(), PathBuf::from);
    let units = |root: PathBuf| root.join("usr/lib/systemd/system");
    let roots = std::fs::read_dir(&cache).into_iter().flatten().flatten().map(|entry| entry.path());
    let finished = roots.filter(|p| p.extension().is_none() && units(p.clone()).is_dir());
    let newest = finished.filter(|p| p.to_string_lossy().contains("debian13")).max();
    newest.map(units).ok_or_else(|| {
        let make = "cargo run -p runstead-compat --bin root";
        format!("no Debian root in {}: make it with `{make}` (as root)", cache.display())
    })
}

/// The seeds that leave a boot alone when they are not damaged: not those that power off, for instance.
fn bootable(seeds: &[Seed]) -> Vec<UnitName> {
    let mut good = Vec::new();
    for seed in seeds {
        let given = BTreeMap::from([(seed.name.clone(), seed.bytes.as_slice())]);
        match guarded_boot(&given) {
            Ended::Up => good.push(seed.name.clone()),
            other => println!("  left out of boots: {} ({other:?})", seed.name),
        }
    }
    good
}

#[derive(Default)]
struct Outcome {
    cases: usize,
    reported: usize,
    boots: usize,
    booted: usize,
    failures: Vec<(usize, String)>,
}

fn work(cases: &[usize], seeds: &[Seed], boots: &[UnitName], seed: u64) -> Outcome {
    let mut outcome = Outcome { cases: cases.len(), ..Outcome::default() };
    let mut batch: BTreeMap<UnitName, (usize, Vec<u8>)> = BTreeMap::new();
    for &case in cases {
        let (name, mutated) = make(case, seeds, seed);
        watch::begin(format!("--case {case} ({name})"));
        let checked = catch_unwind(AssertUnwindSafe(|| {
            checks::check(name, &mutated.bytes, case % 8 == 0 && !mutated.appended, mutated.appended)
        }));
        match checked.unwrap_or_else(|panic| Err(format!("panics: {}", panic_text(&*panic)))) {
            Ok(reported) => outcome.reported += reported,
            Err(why) => {
                outcome.failures.push((case, format!("{name}: {why}\n{}", shorten(&mutated.bytes))));
                continue;
            }
        }
        if boots.contains(name) && !checks::may_end_a_boot(name, &mutated.bytes) {
            batch.insert(name.clone(), (case, mutated.bytes));
        }
        if batch.len() >= BATCH.min(boots.len() / 2) {
            boot_batch(&std::mem::take(&mut batch), &mut outcome);
        }
    }
    boot_batch(&batch, &mut outcome);
    watch::end();
    outcome
}

/// The mutation of this number: the same whatever was made before.
fn make(case: usize, seeds: &[Seed], seed: u64) -> (&UnitName, Mutated) {
    let mut random = Random::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(case as u64));
    let chosen = &seeds[(case + random.below(2) * 7) % seeds.len()];
    (&chosen.name, mutate(&mut random, seeds, chosen))
}

fn boot_batch(batch: &BTreeMap<UnitName, (usize, Vec<u8>)>, outcome: &mut Outcome) {
    if batch.is_empty() {
        return;
    }
    outcome.boots += 1;
    outcome.booted += batch.len();
    let all: BTreeMap<UnitName, &[u8]> = batch.iter().map(|(n, (_, b))| (n.clone(), b.as_slice())).collect();
    let cases: Vec<String> = batch.values().map(|(case, _)| case.to_string()).collect();
    watch::begin(format!("the boot of cases {}", cases.join(" ")));
    let ended = guarded_boot(&all);
    if matches!(ended, Ended::Up | Ended::Restarting) {
        return;
    }
    // Which of them is it?
    let before = outcome.failures.len();
    for (name, (case, bytes)) in batch {
        watch::begin(format!("the boot of case {case}"));
        let alone = guarded_boot(&BTreeMap::from([(name.clone(), bytes.as_slice())]));
        if !matches!(alone, Ended::Up | Ended::Restarting) {
            let why = format!("{name} stops a boot: {alone:?}\n{}", shorten(bytes));
            outcome.failures.push((*case, why));
        }
    }
    if outcome.failures.len() == before {
        let (name, (case, _)) = batch.iter().next_back().expect("a batch is not empty");
        let names: Vec<String> = batch.iter().map(|(n, (c, _))| format!("{n} ({c})")).collect();
        let why =
            format!("{name} and others together stop a boot: {ended:?}; units (cases): {}", names.join(" "));
        outcome.failures.push((*case, why));
    }
}

fn guarded_boot(given: &BTreeMap<UnitName, &[u8]>) -> Ended {
    catch_unwind(AssertUnwindSafe(|| world::boot(given)))
        .unwrap_or_else(|panic| Ended::Stuck(format!("panic: {}", panic_text(&*panic))))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "without words".into())
}

/// The file, its beginning if it is long.
fn shorten(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(1200).collect();
    let short = |line: &str| line.chars().take(120).collect::<String>().escape_debug().to_string();
    let lines: Vec<String> = text.lines().map(|line| format!("    | {}", short(line))).collect();
    lines.join("\n")
}
