//! `systemd-tmpfiles`, the program under test beside the reference's: the reference's own scripts, 2,000 generated
//! configurations, options, a boot, what packages bring, hostile links, and time.
//!
//! PID 1 is the reference's everywhere. `RUNSTEAD_UNDER_TEST=systemd` compares the reference with itself, which shows
//! that the expectation is right; `same --sabotage` shows that the comparison can fail.

mod boots;
mod dice;
mod generate;
mod hostile;
mod naive;
mod options;
mod packages;
mod races;
mod same;
mod scripts;
mod snapshot;
mod speed;
mod tree;

use runstead_compat::arguments::Arguments;
use runstead_compat::machine::{Entry, Machine, Options, UnderTest, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::root::{self, Distribution};
use runstead_compat::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: tmpfiles [scripts|same|options|boots|packages|races|speed ...] [--sabotage] [--cases N] [--seed N]";
const LIMIT: Duration = Duration::from_secs(15 * 60);
const BOOT: Duration = Duration::from_secs(90);

/// This program in the machine.
const INSIDE: &str = "/usr/local/lib/proofs/tmpfiles";
/// The reference's program, and where what is compared with it lies, under the name it is called by.
const REFERENCE: &str = "/usr/bin/systemd-tmpfiles";
const UNDER_TEST: &str = "/usr/local/lib/proofs/under-test/systemd-tmpfiles";

type Part = (&'static str, fn(&mut Proof, &Setting) -> Result<()>);
const PARTS: [Part; 7] = [
    ("scripts", scripts::prove),
    ("same", same::prove),
    ("options", options::prove),
    ("boots", boots::prove),
    ("packages", packages::prove),
    ("races", races::prove),
    ("speed", speed::prove),
];

/// What all parts are told.
struct Setting {
    under_test: UnderTest,
    root: PathBuf,
    sabotage: bool,
    cases: u64,
    seed: u64,
}

impl Setting {
    /// Options to boot the reference with this program, and the one under test beside the reference's own.
    fn options(&self) -> Result<Options> {
        let mut options = Options::new(UnderTest::Systemd, &self.root);
        let myself = std::env::current_exe().and_then(std::fs::read);
        let myself = myself.map_err(Error::on("read", "this program"))?;
        options.files.push((INSIDE.to_owned(), Entry::Program(myself)));
        options.files.push((UNDER_TEST.to_owned(), self.program()?));
        Ok(options)
    }

    /// The program under test.
    fn program(&self) -> Result<Entry> {
        if self.under_test == UnderTest::Systemd {
            return Ok(Entry::Link(REFERENCE.to_owned()));
        }
        let binary = our_binary()?;
        std::fs::read(&binary).map(Entry::Program).map_err(Error::on("read", binary))
    }

    /// The program under test in the reference's place; nothing for the reference itself.
    fn replaced(&self, options: &mut Options) -> Result<()> {
        if self.under_test == UnderTest::Ours {
            options.files.push((REFERENCE.to_owned(), self.program()?));
        }
        Ok(())
    }
}

fn boot(options: &Options) -> Result<Machine> {
    let mut machine = Machine::boot(options)?;
    machine.wait_running(BOOT)?;
    Ok(machine)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("inside", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return inside(&rest.iter().map(String::as_str).collect::<Vec<_>>());
    }
    match chosen() {
        Ok((setting, parts)) => prove(setting, &parts),
        Err(status) => status,
    }
}

/// The setting and the parts that the command line names; all of them if it names none.
fn chosen() -> std::result::Result<(Result<Setting>, Vec<Part>), ExitCode> {
    let mut arguments = Arguments::from_env(USAGE)?;
    let sabotage = arguments.flag("--sabotage");
    let cases = arguments.value("--cases", same::CASES);
    let seed = arguments.value("--seed", 0);
    let names = arguments.names()?;
    if let Some(name) = names.iter().find(|name| !PARTS.iter().any(|(part, _)| part == name)) {
        eprintln!("unexpected argument {name}\n{USAGE}");
        return Err(ExitCode::from(2));
    }
    let parts = PARTS.into_iter().filter(|(part, _)| names.is_empty() || names.iter().any(|n| n == part));
    let setting = UnderTest::from_env().and_then(|under_test| {
        let root = root::of(Distribution::Debian13)?;
        Ok(Setting { under_test, root, sabotage, cases, seed })
    });
    Ok((setting, parts.collect()))
}

fn prove(setting: Result<Setting>, parts: &[Part]) -> ExitCode {
    let mut proof = Proof::begin("tmpfiles", LIMIT);
    let Some(setting) = proof.need("choose what is tried", setting) else { return proof.end() };
    for (name, part) in parts {
        proof.step(format!("{name}, {} beside the reference", setting.under_test.name()));
        let outcome = part(&mut proof, &setting);
        proof.need(name, outcome);
    }
    proof.end()
}

/// What this program does in the machine.
fn inside(words: &[&str]) -> ExitCode {
    let done = match words {
        ["same", rest @ ..] => same::inside(rest),
        ["packages", rest @ ..] => packages::inside(rest),
        ["races", rest @ ..] => races::inside(rest),
        ["hostile", place, canary] => hostile::play(place, canary),
        ["speed", rest @ ..] => speed::inside(rest),
        ["naive", action] => naive::run(action),
        _ => Err(Error::new("same, packages, races, hostile, speed or naive")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("FAIL {why}");
            ExitCode::FAILURE
        }
    }
}
