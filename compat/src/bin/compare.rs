//! Boots the reference and runstead on one root and prints where they differ; fails on what `COMPAT.md` does not list.
//!
//! `compare [--boots N] [--reference-only]`: N boots of ours (default 1) have to give one and the same set;
//! with `--reference-only` the reference takes our place, which shows that it is deterministic here.

use runstead_compat::arguments::Arguments;
use runstead_compat::compare::{Difference, MOST, MOST_OLDER, Snapshot, Tolerated};
use runstead_compat::machine::{Machine, Options, UnderTest};
use runstead_compat::root::Distribution;
use runstead_compat::{Error, Result, root};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// From `running` to the look at it: services that end by themselves have done so.
const SETTLE: Duration = Duration::from_secs(10);

const USAGE: &str = "usage: compare [--boots N] [--reference-only]";

fn main() -> ExitCode {
    let (boots, reference_only) = match arguments() {
        Ok(given) => given,
        Err(status) => return status,
    };
    match compare(boots, reference_only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("compare: {why}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> std::result::Result<(usize, bool), ExitCode> {
    let mut words = Arguments::from_env(USAGE)?;
    let given = (words.value("--boots", 1), words.flag("--reference-only"));
    words.none_left().map(|()| given)
}

fn compare(boots: usize, reference_only: bool) -> Result<bool> {
    let second = if reference_only { UnderTest::Systemd } else { UnderTest::Ours };
    let root = root::chosen()?;
    let mut reference = boot(UnderTest::Systemd, &root)?;
    let mut ours = boot(second, &root)?;
    let reference = look("the reference", &mut reference)?;
    let first = look("ours", &mut ours)?;
    drop(ours);
    let mut good = judge(&reference, &first)?;
    for n in 2..=boots {
        let again = look(&format!("ours, boot {n}"), &mut boot(second, &root)?)?;
        let moved = first.differences(&again);
        print(&moved, "boot 1", &format!("boot {n}"));
        good &= moved.is_empty();
    }
    Ok(good)
}

fn boot(under_test: UnderTest, root: &Path) -> Result<Machine> {
    Machine::boot(&Options::new(under_test, root))
}

fn look(who: &str, machine: &mut Machine) -> Result<Snapshot> {
    let state = machine.wait_running(BOOT_LIMIT).map_err(|e| Error::new(format!("{who}: {e}")))?;
    std::thread::sleep(SETTLE);
    let seen =
        Snapshot::take(machine).map_err(|e| Error::new(format!("{who}: {e}\n{}", machine.diagnosis())))?;
    let entries: usize = seen.entries.values().map(Vec::len).sum();
    println!("{who}: {state}, {} units, {entries} entries under /run/systemd", seen.units.len());
    Ok(seen)
}

fn judge(reference: &Snapshot, ours: &Snapshot) -> Result<bool> {
    let found = reference.differences(ours);
    print(&found, "reference", "ours");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../COMPAT.md");
    let list = if found.is_empty() {
        String::new()
    } else {
        std::fs::read_to_string(&list).map_err(Error::on("read", list))?
    };
    let distribution = Distribution::from_env()?;
    let (bad, lines) = Tolerated::read(&list, distribution).judge(&found);
    for difference in &bad {
        let why = if difference.active_state { "an active state" } else { "not in COMPAT.md" };
        println!("not tolerated ({why}): {}", difference.subject);
    }
    let failed = ours.failed();
    if !failed.is_empty() {
        println!("failed units: {}", failed.join(" "));
    }
    println!("{} differences on {lines} lines of COMPAT.md, {} not tolerated", found.len(), bad.len());
    let few = match distribution {
        Distribution::Debian13 | Distribution::Debian13Kernel => found.len() <= MOST,
        Distribution::Debian12 => lines <= MOST_OLDER,
    };
    if !few {
        println!("at most {MOST} differences are allowed, on Debian 12 {MOST_OLDER} lines");
    }
    Ok(bad.is_empty() && few && failed.is_empty())
}

fn print(differences: &[Difference], left: &str, right: &str) {
    for d in differences {
        let side = |s: &str| if s.is_empty() { "absent".to_owned() } else { s.to_owned() };
        println!("{}\n    {left}: {}\n    {right}: {}", d.subject, side(&d.reference), side(&d.ours));
    }
}
