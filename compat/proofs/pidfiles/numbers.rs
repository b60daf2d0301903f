//! Numbers of processes that are given again: whoever gets the number in a PID file is never taken for its daemon.
//!
//! In a PID namespace of its own the next number can be chosen (`ns_last_pid`, proc_sys_kernel(5)), so that each round is a reuse.

use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result};
use runstead_pidfile::{State, check};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

const ROUNDS: usize = 10_000;
/// Says that this program is the first process of the namespace.
const INSIDE: &str = "PIDFILES_INSIDE";
const LAST: &str = "/proc/sys/kernel/ns_last_pid";

/// When this program is the first process of a namespace: what it does there.
pub fn inside_the_namespace() -> Option<ExitCode> {
    let place = std::env::var_os(INSIDE)?;
    Some(match rounds(Path::new(&place)) {
        Ok(seen) => {
            println!("{seen:?}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    })
}

pub fn prove(proof: &mut Proof) {
    proof.step(format!("{ROUNDS} numbers given again"));
    let place = std::env::temp_dir().join(format!("runstead-pidfiles-{}", std::process::id()));
    let outcome =
        fs::create_dir_all(&place).map_err(Error::on("create", &place)).and_then(|()| inside(&place));
    let _ = fs::remove_dir_all(&place);
    if let Some(said) = proof.need("rounds in a PID namespace", outcome) {
        let told = said.matches("reused").count() + said.matches("unsure").count();
        proof.check(!said.contains("live") && told > 0, format!("nobody is taken for the daemon: {said}"));
    }
}

fn inside(place: &Path) -> Result<String> {
    let own = std::env::current_exe().map_err(Error::on("find", "this program"))?;
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(own)
        .env(INSIDE, place)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::on("run", "unshare"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(Error::new(format!("{}: {said}", output.status))) }
}

/// How often which verdict came.
fn rounds(place: &Path) -> Result<BTreeMap<&'static str, usize>> {
    let file = place.join("daemon.pid");
    let mut seen = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut daemon = process()?;
        let pid = daemon.id();
        fs::write(&file, format!("{pid}\n")).map_err(Error::on("write", &file))?;
        // Most daemons run for a while before they end; some end at once.
        if round % 10 == 0 {
            std::thread::sleep(Duration::from_millis(12));
        }
        let verdict = check(&file);
        if !matches!(verdict, Ok(State::Live(_) | State::Unsure(_))) {
            return Err(Error::new(format!("round {round}: {verdict:?} of a daemon that runs")));
        }
        end(&mut daemon)?;
        let verdict = check(&file);
        if verdict != Ok(State::Stale(pid)) {
            return Err(Error::new(format!("round {round}: {verdict:?} of one that has ended")));
        }
        fs::write(LAST, (pid - 1).to_string()).map_err(Error::on("write", LAST))?;
        let mut other = process()?;
        if other.id() != pid {
            return Err(Error::new(format!("round {round}: the number is {}, not {pid}", other.id())));
        }
        let word = match check(&file) {
            Ok(State::Live(_)) => "live",
            Ok(State::Reused(_)) => "reused",
            Ok(State::Unsure(_)) => "unsure",
            other => return Err(Error::new(format!("round {round}: {other:?}"))),
        };
        *seen.entry(word).or_default() += 1;
        end(&mut other)?;
    }
    Ok(seen)
}

/// A process that stays until its input ends.
fn process() -> Result<Child> {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().map_err(Error::on("start", "cat"))
}

fn end(child: &mut Child) -> Result<()> {
    drop(child.stdin.take());
    child.wait().map(drop).map_err(Error::on("wait for", "cat"))
}
