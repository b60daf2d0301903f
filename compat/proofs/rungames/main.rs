//! A user exchanges links, directories and files in his `RuntimeDirectory=` a hundred thousand times while its units stop, start and
//! restart: nothing outside of it changes hands, mode, content or times, and nothing outside is removed.
//!
//! The same games break an implementation that goes by paths (`naive.rs`), or they would show nothing.

mod games;
mod naive;
mod player;
#[path = "../tmpfiles/snapshot.rs"]
mod snapshot;

use runstead_compat::machine::{Entry, Machine, Options, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result, root};
use std::process::ExitCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);
const BOOT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(90);
/// This program in the machine.
const INSIDE: &str = "/usr/local/lib/proofs/rungames";
/// At least: exchanges and other renames and links that were done, and comings and goings of units meanwhile.
const EXCHANGES: u64 = 100_000;
const TURNS: u64 = 200;

/// A unit, what it says of its directories, and these directories.
struct Unit {
    name: &'static str,
    preserve: &'static str,
    directories: &'static [&'static str],
}

/// Nested in all ways, with a link of the manager's into them, and kept in all ways.
const UNITS: [Unit; 4] = [
    Unit { name: "game", preserve: "no", directories: &["game", "game/in", "game/in/deep"] },
    Unit { name: "nest", preserve: "no", directories: &["nest/b/c", "nest", "nest/b"] },
    Unit { name: "again", preserve: "restart", directories: &["again", "again/in/deep"] },
    Unit { name: "kept", preserve: "yes", directories: &["kept", "kept/in", "kept/in/deep"] },
];

impl Unit {
    fn file(&self) -> String {
        let (name, preserve, directories) = (self.name, self.preserve, self.directories.join(" "));
        format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nUser=games\nRuntimeDirectory={directories}:{name}-link\n\
             RuntimeDirectoryMode=0770\nRuntimeDirectoryPreserve={preserve}\nExecStart=/bin/sleep 1d\n"
        )
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("inside", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return inside(&rest.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut proof = Proof::begin("rungames", LIMIT);
    let outcome = UnderTest::from_env().and_then(|under_test| prove(&mut proof, under_test));
    proof.need("go through it", outcome);
    proof.end()
}

/// What this program does in the machine.
fn inside(words: &[&str]) -> ExitCode {
    let done = match words {
        ["games", how] => games::run(*how == "naive"),
        ["player"] => player::play(),
        _ => Err(Error::new("games or player")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("FAIL {why}");
            ExitCode::FAILURE
        }
    }
}

fn prove(proof: &mut Proof, under_test: UnderTest) -> Result<()> {
    let mut options = Options::new(under_test, root::chosen()?);
    let myself = std::env::current_exe().and_then(std::fs::read);
    let myself = myself.map_err(Error::on("read", "this program"))?;
    options.files.push((INSIDE.to_owned(), Entry::Program(myself)));
    for unit in &UNITS {
        let path = format!("/etc/systemd/system/{}.service", unit.name);
        options.files.push((path, Entry::File(unit.file(), 0o644)));
    }
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT)?;
    proof.step("an implementation that goes by paths");
    let broken = seen(&machine, "naive")?;
    for turn in games::KINDS {
        let hits: Vec<&String> = broken.hits.iter().filter(|hit| hit.starts_with(turn)).collect();
        proof.check(!hits.is_empty(), format!("it is broken by a {turn}: {:?}", hits.first()));
    }
    proof.step(format!("the same games with services of {}", under_test.name()));
    let found = seen(&machine, "services")?;
    proof.check(found.done >= EXCHANGES, format!("{} exchanges: {}", found.done, found.tricks));
    let (turns, good) = (found.turns, found.good);
    proof.check(turns >= TURNS && good > 0, format!("{turns} stops, starts and restarts, {good} succeeded"));
    for hit in &found.hits {
        println!("  outside changed: {hit}");
    }
    match under_test {
        UnderTest::Ours => proof.check(found.hits.is_empty(), "nothing outside changed"),
        // It gives away what a user's link leads to: here it is only told what it does.
        UnderTest::Systemd => println!("the reference: {} turns changed what is outside", found.hits.len()),
    }
    after(proof, &machine)
}

#[derive(Default)]
struct Seen {
    done: u64,
    tricks: String,
    turns: u64,
    good: u64,
    hits: Vec<String>,
}

fn seen(machine: &Machine, how: &str) -> Result<Seen> {
    let output = machine.run_for(&[INSIDE, "inside", "games", how], PATIENCE)?;
    let mut seen = Seen::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["done", done, tricks] => {
                seen.done = done.parse().unwrap_or(0);
                tricks.clone_into(&mut seen.tricks);
            }
            ["turns", turns, good] => {
                (seen.turns, seen.good) = (turns.parse().unwrap_or(0), good.parse().unwrap_or(0));
            }
            ["hit", what] => seen.hits.push(what.to_owned()),
            _ => println!("{line}"),
        }
    }
    if output.status.success() { Ok(seen) } else { Err(Error::new(format!("the games: {}", output.status))) }
}

/// Once nobody plays any more the directories come and go as ever.
fn after(proof: &mut Proof, machine: &Machine) -> Result<()> {
    let script = "all='game nest again kept'; systemctl stop $all; systemctl clean --what=runtime $all
        cd /run; ls -d game* nest* again* kept* 2>/dev/null
        systemctl start $all; stat -c '%a %U' game/in/deep nest/b/c again again/in/deep kept/in; systemctl stop $all; ls -d game* nest* again* kept* 2>/dev/null
        systemctl clean --what=runtime kept; ls -d kept* 2>/dev/null; true";
    let said = machine.shell(script)?.up_to(0)?;
    let wanted = format!("{}kept\nkept-link\n", "770 games\n".repeat(5));
    proof.check(said == wanted, format!("afterwards: {said:?}"));
    Ok(())
}
