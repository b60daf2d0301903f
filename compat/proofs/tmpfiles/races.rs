//! Somebody who owns a directory exchanges what is in it while lines about it are carried out: nothing outside changes.

use crate::snapshot::{self, Snapshot};
use crate::{INSIDE, REFERENCE, Setting, UNDER_TEST, boot};
use runstead_compat::machine::UnderTest;
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(300);
const USER: u32 = 1000;
/// Root's, his below it, and what must not change.
const GROUND: &str = "/srv/ground";
const PLACE: &str = "/srv/ground/own";
const CANARY: &str = "/srv/canary";
/// Exchanges there have to be, at least, and calls of each line.
const SWAPS: u64 = 100_000;
const CALLS: u32 = 40;

const ACTIONS: [&str; 3] = ["--create", "--clean", "--remove"];

/// Each about something that changes places, or lies below it.
const LINES: [(&str, &str); 26] = [
    ("--create", "d /srv/ground/own/x/new 0777 1000 1000"),
    ("--create", "d /srv/ground/own/x 0777 1000 1000"),
    ("--create", "d= /srv/ground/own/x/sub/new 0777 1000 1000"),
    ("--create", "f /srv/ground/own/x/new 0777 1000 1000 - text"),
    ("--create", "f+ /srv/ground/own/x/secret 0777 1000 1000 - text"),
    ("--create", "f+ /srv/ground/own/file 0777 1000 1000 - text"),
    ("--create", "w /srv/ground/own/x/secret - - - - text"),
    ("--create", "w+ /srv/ground/own/file - - - - text"),
    ("--create", "z /srv/ground/own/x/secret 0777 1000 1000"),
    ("--create", "z /srv/ground/own/file 0777 1000 1000"),
    ("--create", "Z /srv/ground/own 0777 1000 1000"),
    ("--create", "L+ /srv/ground/own/x/sub - - - - /nowhere"),
    ("--create", "p+ /srv/ground/own/x/secret 0777 1000 1000"),
    ("--create", "C+ /srv/ground/own/x/copy - - - - /etc/hostname"),
    ("--create", "t /srv/ground/own/x/secret - - - - user.hit=1"),
    ("--create", "T /srv/ground/own - - - - user.hit=1"),
    ("--create", "a+ /srv/ground/own/x/secret - - - - u:1000:rwx"),
    ("--create", "A+ /srv/ground/own - - - - u:1000:rwx"),
    ("--create", "h /srv/ground/own/x/secret - - - - +d"),
    ("--create", "H /srv/ground/own - - - - +d"),
    ("--clean", "d /srv/ground/own - - - 0"),
    ("--clean", "e /srv/ground/own/x/sub - - - 0"),
    ("--clean", "e /srv/ground/own/*/sub - - - 0"),
    ("--remove", "r /srv/ground/own/x/secret"),
    ("--remove", "R /srv/ground/own/x/sub"),
    ("--remove", "R /srv/ground/own/d/*"),
];
/// What the naive executor knows of them.
const NAIVE: [(&str, &str); 6] = [
    ("--create", "d /srv/ground/own/x/new"),
    ("--create", "f+ /srv/ground/own/x/secret"),
    ("--create", "z /srv/ground/own/x/secret"),
    ("--clean", "e /srv/ground/own/x/sub"),
    ("--remove", "r /srv/ground/own/x/secret"),
    ("--remove", "R /srv/ground/own/x/sub"),
];

/// The naive executor first, then the program under test, in one machine.
pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let machine = boot(&setting.options()?)?;
    let broken = seen(&machine.run_for(&[INSIDE, "inside", "races", "naive"], PATIENCE)?.stdout);
    for action in ACTIONS {
        let hit: Vec<_> = broken.hit.iter().filter(|(line, _)| line.starts_with(action)).collect();
        proof.check(!hit.is_empty(), format!("a naive executor is broken at {action}: {hit:?}"));
    }
    let found = seen(&machine.run_for(&[INSIDE, "inside", "races", UNDER_TEST], PATIENCE)?.stdout);
    let (swaps, calls) = (found.swaps, found.calls);
    proof.check(swaps >= SWAPS, format!("{swaps} exchanges during {calls} calls"));
    proof.check(
        calls >= CALLS as usize * LINES.len(),
        format!("{calls} calls of {} lines: {}", LINES.len(), found.ends),
    );
    for (line, hits) in &found.hit {
        println!("  the canary changed: {line}: {hits}");
    }
    match setting.under_test {
        UnderTest::Ours => proof.check(found.hit.is_empty(), "nothing outside changed"),
        // It goes by paths where it removes, and follows links where it writes: here it is only told what it does.
        UnderTest::Systemd => {
            println!("the reference: {} of {} lines hit the canary", found.hit.len(), LINES.len())
        }
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    swaps: u64,
    calls: usize,
    ends: String,
    hit: BTreeMap<String, String>,
}

fn seen(output: &[u8]) -> Seen {
    let mut seen = Seen::default();
    for line in String::from_utf8_lossy(output).lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["swaps", swaps, calls, ends] => {
                seen.swaps = swaps.parse().unwrap_or(0);
                seen.calls = calls.parse().unwrap_or(0);
                ends.clone_into(&mut seen.ends);
            }
            ["hit", line, what] => drop(seen.hit.insert(line.to_owned(), what.to_owned())),
            _ => println!("{line}"),
        }
    }
    seen
}

/// In the machine; the word is the program, or `naive`.
pub fn inside(words: &[&str]) -> Result<()> {
    let program = words.first().copied().unwrap_or(REFERENCE);
    let naive = program == "naive";
    prepare()?;
    let mut hostile = start()?;
    let outcome = carry_out(program, if naive { &NAIVE } else { &LINES }, naive);
    fs::write(Path::new(PLACE).join("stop"), "").map_err(Error::on("write", PLACE))?;
    let ended = hostile.wait().map_err(Error::on("wait for", "the user who exchanges"))?;
    fs::remove_dir_all(GROUND).map_err(Error::on("remove", GROUND))?;
    if ended.success() { outcome } else { Err(Error::new(format!("the user who exchanges: {ended}"))) }
}

fn prepare() -> Result<()> {
    fs::create_dir_all(PLACE).map_err(Error::on("create", PLACE))?;
    chown(PLACE, Some(USER), Some(USER)).map_err(Error::on("chown", PLACE))
}

fn start() -> Result<Child> {
    let mut command = Command::new(INSIDE);
    command.args(["inside", "hostile", PLACE, CANARY]).uid(USER).gid(USER);
    command.spawn().map_err(Error::on("start", INSIDE))
}

/// Until there were enough exchanges: each line in turn, many times.
fn carry_out(program: &str, lines: &[(&str, &str)], naive: bool) -> Result<()> {
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut hit: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    let (mut calls, mut rounds, begin) = (0, 0, Instant::now());
    let mut before = canary()?;
    // The naive one is called until all that it does has gone wrong, which shows that such a moment is met.
    let enough = |rounds: u32, hit: &BTreeMap<String, _>| match naive {
        true => ACTIONS.iter().all(|action| hit.keys().any(|line| line.starts_with(action))),
        false => rounds >= CALLS && swaps() >= SWAPS,
    };
    while !enough(rounds, &hit) && begin.elapsed() < PATIENCE / 2 {
        for (action, line) in lines {
            let status = call(program, action, line, naive)?;
            *ends.entry(status).or_default() += 1;
            calls += 1;
            let after = snapshot::of(Path::new(CANARY), None);
            let differences = snapshot::differences(&before, &after);
            if !differences.is_empty() {
                let entry = hit.entry(format!("{action} {line}")).or_default();
                entry.0 += 1;
                entry.1 = differences;
                before = canary()?;
            }
        }
        rounds += 1;
    }
    println!("swaps\t{}\t{calls}\t{ends:?}", swaps());
    for (line, (count, differences)) in hit {
        println!("hit\t{line}\t{count} times, such as {}", differences.first().map_or("", String::as_str));
    }
    Ok(())
}

fn swaps() -> u64 {
    let text = fs::read_to_string(Path::new(PLACE).join("swaps")).unwrap_or_default();
    text.parse().unwrap_or(0)
}

fn call(program: &str, action: &str, line: &str, naive: bool) -> Result<String> {
    let mut command = Command::new(if naive { INSIDE } else { program });
    match naive {
        true => command.args(["inside", "naive", action]),
        false => command.args([action, "-"]),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(Error::on("start", program))?;
    let mut input = child.stdin.take().expect("its input is a pipe");
    input.write_all(format!("{line}\n").as_bytes()).map_err(Error::on("tell", program))?;
    drop(input);
    let status = child.wait().map_err(Error::on("wait for", program))?;
    Ok(status.code().map_or_else(|| status.to_string(), |code| code.to_string()))
}

/// Makes it anew: root's alone, and old.
fn canary() -> Result<Snapshot> {
    let failed = || Error::on("make", CANARY);
    if Path::new(CANARY).exists() {
        fs::remove_dir_all(CANARY).map_err(failed())?;
    }
    fs::create_dir_all(format!("{CANARY}/sub/deep")).map_err(failed())?;
    for name in ["secret", "file", "sub/file", "sub/deep/x"] {
        let path = format!("{CANARY}/{name}");
        fs::write(&path, "root's").map_err(failed())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed())?;
    }
    Ok(snapshot::of(Path::new(CANARY), None))
}
