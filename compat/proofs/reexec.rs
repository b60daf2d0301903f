//! A hundred `systemctl daemon-reexec` in a row under load: processes, listening sockets, stored descriptors, timers and
//! queued jobs are the same afterwards, no client is refused, and PID 1 holds no descriptor more.
//!
//! `cargo test -p runstead-compat --test reexec -- [--times N]`; `RUNSTEAD_UNDER_TEST` chooses the PID 1. Needs root.
//! The same program is put into the machine, where `inside ...` are its clients. What only runstead promises
//! (connections to the private socket outlive a re-execution) is counted on the reference and asserted on ours.

mod client;
mod load;

use load::FILES;
use runstead_compat::arguments::Arguments;
use runstead_compat::machine::{Entry, Machine, Options, Running, UnderTest};
use runstead_compat::proof::{Pid1, Proof};
use runstead_compat::root;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const INSIDE: &str = "/usr/local/lib/proofs/reexec";
const LONG: [&str; 3] = ["long-a.service", "long-b.service", "keep.service"];
/// Sockets that the manager itself makes anew, at least in the reference.
const OWN_SOCKETS: [&str; 3] = ["/run/systemd/private", "/run/systemd/userdb/", "/run/systemd/io.system"];
const MOST_GROWTH_KIB: i64 = 1024;
/// The timer's service runs ten times a second.
const LONGEST_GAP: f64 = 1.0;

/// A client in the machine, and what it printed.
struct Watcher {
    name: &'static str,
    running: Running,
    said: Arc<Mutex<Vec<String>>>,
}

/// What a re-execution must not change.
#[derive(Debug, PartialEq)]
struct Facts {
    main_pids: String,
    listening: Vec<(String, String)>,
    stored: String,
    jobs: String,
    units: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["inside", rest @ ..] = words.as_slice() {
        return load::inside(rest);
    }
    let times = match arguments() {
        Ok(times) => times,
        Err(status) => return status,
    };
    let mut proof = Proof::begin("reexec", Duration::from_secs(280));
    prove(&mut proof, times);
    proof.end()
}

fn arguments() -> Result<usize, ExitCode> {
    let mut words = Arguments::from_env("usage: reexec [--times N]")?;
    let times = words.value("--times", 100);
    words.none_left().map(|()| times)
}

fn prove(proof: &mut Proof, times: usize) {
    let Some(under_test) = proof.need("choose the PID 1", UnderTest::from_env()) else { return };
    let Some(mut machine) = boot(proof, under_test) else { return };
    // The first re-execution may find and drop what only the boot needed.
    if !reexec(proof, &machine, 0) {
        return;
    }
    // The connection to the journal is made with the first line that is logged.
    let logged = run(&machine, "systemctl start flip-b.service");
    proof.check(logged.is_ok(), format!("something is logged {}", logged.err().unwrap_or_default()));
    settle(&machine);
    let Some(before) = facts(proof, &machine) else { return };
    let (descriptors, memory) = (Pid1(&machine).descriptors(), Pid1(&machine).anonymous());
    println!(
        "{} listening sockets, {} descriptors, stored {}",
        before.listening.len(),
        descriptors.len(),
        before.stored
    );
    println!("queued jobs: {}", before.jobs);
    let ticking = run(&machine, "rm -f /run/ticks; systemctl start tick.timer");
    proof.check(ticking.is_ok(), format!("the timer starts {}", ticking.err().unwrap_or_default()));
    let Some(watchers) = watch(proof, &machine) else { return };
    std::thread::sleep(Duration::from_secs(1));
    let image = Pid1(&machine).image();
    let (began, mut slowest, mut done) = (Instant::now(), Duration::ZERO, 0);
    for n in 1..=times {
        if n % 10 == 1 {
            proof.step(format!("re-execution {n} of {times}"));
        }
        let begin = Instant::now();
        if !reexec(proof, &machine, n) {
            break;
        }
        slowest = slowest.max(begin.elapsed());
        done += 1;
    }
    let took = began.elapsed();
    proof.check(
        done == times,
        format!("{done} of {times} re-executions in {:.1} s, the slowest {slowest:?}", took.as_secs_f64()),
    );
    let now = Pid1(&machine).image();
    proof.check(now.started == image.started, "PID 1 is the same process");
    proof.check(now.auxv != image.auxv, "PID 1 was really executed anew");
    std::thread::sleep(Duration::from_secs(1));
    judge_journal(proof, &machine, &watchers);
    judge(proof, under_test, watchers);
    judge_timer(proof, under_test, &machine, took);
    judge_pipeline(proof, under_test, &machine);
    settle(&machine);
    let Some(after) = facts(proof, &machine) else { return };
    compare(proof, &before, &after);
    judge_cost(proof, &machine, &descriptors, memory);
    let state = machine.wait_running(Duration::from_secs(20));
    proof.check(state.is_ok(), format!("systemctl is answered: {state:?}"));
}

fn boot(proof: &mut Proof, under_test: UnderTest) -> Option<Machine> {
    proof.step(format!("booting {}", under_test.name()));
    let root = proof.need("find the Debian root", root::chosen())?;
    let mut options = Options::new(under_test, root);
    let myself = std::env::current_exe().and_then(std::fs::read);
    options.files.push((INSIDE.into(), Entry::Program(proof.need("read this program", myself)?)));
    for (path, text) in FILES {
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        let place =
            if path.starts_with('/') { (*path).to_owned() } else { format!("/etc/systemd/system/{path}") };
        options.files.push((place, Entry::File((*text).to_owned(), mode)));
    }
    let mut machine = proof.need("boot", Machine::boot(&options))?;
    proof.need("boot", machine.wait_running(Duration::from_secs(90)))?;
    let units = "systemctl start long-a long-b keep echo.socket each.socket && \
                 systemctl start --no-block slow.service waits.service";
    let started = run(&machine, units);
    proof.check(started.is_ok(), format!("the load starts {}", started.err().unwrap_or_default()));
    Some(machine)
}

/// A shell line that must succeed; what it prints.
fn run(machine: &Machine, line: &str) -> Result<String, String> {
    let output = machine.run(&["sh", "-c", line]).map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{line}: {}: {text} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

fn reexec(proof: &mut Proof, machine: &Machine, n: usize) -> bool {
    match run(machine, "systemctl daemon-reexec") {
        Ok(_) => true,
        Err(why) => {
            proof.check(false, format!("re-execution {n}: {why}; {}", machine.diagnosis()));
            false
        }
    }
}

/// Stops what moves, and lets the instances that connections started go away.
fn settle(machine: &Machine) {
    let _ = run(machine, "systemctl stop tick.timer tick.service flip-a.service echo.service");
    let end = Instant::now() + Duration::from_secs(15);
    while Instant::now() < end {
        let left = run(machine, "systemctl list-units --all --plain --no-legend 'each@*' | wc -l");
        if left.as_deref() == Ok("0") {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(Duration::from_millis(500));
}

fn facts(proof: &mut Proof, machine: &Machine) -> Option<Facts> {
    let pids = format!("systemctl show --value -p MainPID {}", LONG.join(" "));
    let main_pids =
        proof.need("ask for MainPID", run(machine, &pids))?.split_whitespace().collect::<Vec<_>>().join(" ");
    let store = "systemd-analyze fdstore --json=short keep.service | jq -c 'map([.fdname, .type, .inode // .inodenr]) | sort'";
    let stored = proof.need("list the stored descriptors", run(machine, store))?;
    let list = "systemctl list-jobs --no-legend --plain | awk '{print $1, $2, $3, $4}' | sort";
    let jobs = proof.need("list jobs", run(machine, list))?.replace('\n', ", ");
    let list = "systemctl list-units --all --full --plain --no-legend | awk '{print $1, $2, $3, $4}'";
    let units = proof.need("list units", run(machine, list))?;
    // What the load starts and stops itself is where it happens to be.
    let moving =
        |name: &str| ["flip-", "each@", "tick.", "system-each", "echo."].iter().any(|p| name.starts_with(p));
    let split = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let units = units.lines().filter_map(split).filter(|(name, _)| !moving(name)).collect();
    let mut listening = Pid1(machine).listening();
    listening.retain(|(path, _)| !OWN_SOCKETS.iter().any(|own| path.starts_with(own)));
    Some(Facts { main_pids, listening, stored, jobs, units })
}

fn watch(proof: &mut Proof, machine: &Machine) -> Option<Vec<Watcher>> {
    let commands: [(&'static str, &[&str]); 5] = [
        ("connections to a service started by its socket", &[INSIDE, "inside", "connect", "/run/echo.sock"]),
        ("connections that start a service each", &[INSIDE, "inside", "connect", "/run/each.sock"]),
        ("services starting and stopping", &[INSIDE, "inside", "flip"]),
        ("monitor", &[INSIDE, "inside", "monitor"]),
        ("journalctl -f", &["journalctl", "-f", "-n", "0", "-o", "cat"]),
    ];
    let mut all = Vec::new();
    for (name, words) in commands {
        let mut running = proof.need(name, machine.spawn(words))?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        if let Some(stdout) = running.take_stdout() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        all.push(Watcher { name, running, said });
    }
    Some(all)
}

/// `journalctl -f` still shows what is logged now.
fn judge_journal(proof: &mut Proof, machine: &Machine, watchers: &[Watcher]) {
    let Some(journal) = watchers.iter().find(|w| w.name == "journalctl -f") else { return };
    let logged =
        run(machine, "echo the-last-line | systemd-cat -t proof && systemctl restart flip-log.service");
    proof.check(logged.is_ok(), format!("something is logged {}", logged.err().unwrap_or_default()));
    let shown = |text: &str| {
        let said = journal.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().any(|line| line.contains(text))
    };
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && !(shown("the-last-line") && shown("a-service-says")) {
        std::thread::sleep(Duration::from_millis(50));
    }
    proof.check(shown("the-last-line"), "journalctl -f shows a line that is logged at the end");
    proof.check(shown("a-service-says"), "and what a service prints");
}

/// Ends the clients; each says what it saw.
fn judge(proof: &mut Proof, under_test: UnderTest, watchers: Vec<Watcher>) {
    for mut watcher in watchers {
        let still = matches!(watcher.running.wait(Duration::from_millis(1)), Ok(None));
        drop(watcher.running.take_stdin());
        if watcher.name == "journalctl -f" {
            proof.check(still, "journalctl -f was never cut off");
            continue;
        }
        let ended = watcher.running.wait(Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
        let said = watcher.said.lock().unwrap_or_else(PoisonError::into_inner).join("; ");
        println!("{}: {said}", watcher.name);
        let number = |word: &str| {
            let words: Vec<&str> = said.split([' ', ';']).collect();
            let at = words.iter().rposition(|w| *w == word)?;
            words.get(at + 1)?.parse::<u64>().ok()
        };
        let good = still && matches!(ended, Ok(Some(status)) if status.success());
        proof.check(good, format!("{}: the client was there all the time", watcher.name));
        proof.check(number("done").is_some_and(|n| n > 10), format!("{}: it was served", watcher.name));
        // The reference cuts all connections to its private socket at each re-execution.
        let private = watcher.name == "monitor" || watcher.name.starts_with("services");
        if under_test == UnderTest::Ours || !private {
            let clean = number("failed") == Some(0) && number("cut") == Some(0);
            proof.check(clean, format!("{}: nothing failed and nothing was cut off", watcher.name));
        }
    }
}

/// Calls that were read, but not worked off, are answered by the next image.
fn judge_pipeline(proof: &mut Proof, under_test: UnderTest, machine: &Machine) {
    // The reference cuts the connection.
    if under_test == UnderTest::Ours {
        let said = run(machine, &format!("{INSIDE} inside pipeline"));
        let all = said.as_deref().is_ok_and(|said| said.starts_with("done 300 "));
        proof.check(all, format!("300 calls at one blow, the first for a re-execution: {said:?}"));
    }
}

/// The timer's service wrote when it ran.
fn judge_timer(proof: &mut Proof, under_test: UnderTest, machine: &Machine, took: Duration) {
    let ticks = machine.read("/run/ticks").unwrap_or_default();
    let times: Vec<f64> = ticks.lines().filter_map(|line| line.parse().ok()).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    let said = format!("the timer elapsed {} times, never more than {longest:.2} s apart", times.len());
    // The reference forgets when the timer was due: it starts over at each re-execution.
    if under_test == UnderTest::Systemd {
        println!("{said}");
        proof.check(!times.is_empty(), "the timer elapsed");
        return;
    }
    let enough = times.len() as f64 >= took.as_secs_f64() / LONGEST_GAP;
    proof.check(enough && longest <= LONGEST_GAP, format!("{said} (at most {LONGEST_GAP} s)"));
}

fn compare(proof: &mut Proof, before: &Facts, after: &Facts) {
    let mut same = |what: &str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
        let (a, b) = (format!("{a:?}"), format!("{b:?}"));
        let said = if a == b { String::new() } else { format!(": {a} before, {b} after") };
        proof.check(a == b, format!("{what} unchanged{said}"));
    };
    same("main processes", &before.main_pids, &after.main_pids);
    same("listening sockets", &before.listening, &after.listening);
    same("stored descriptors", &before.stored, &after.stored);
    same("queued jobs", &before.jobs, &after.jobs);
    let changed = |one: &Facts, other: &Facts| {
        let differs = one.units.iter().filter(|(name, state)| other.units.get(*name) != Some(state));
        differs.map(|(name, state)| format!("{name} {state}")).collect::<Vec<_>>()
    };
    same("states of units", &changed(before, after), &changed(after, before));
    proof.check(
        before.listening.len() >= 5 && before.jobs.contains("waits.service"),
        "there was something to compare",
    );
    proof.check(before.stored.contains("memory") || before.stored.contains("one"), "descriptors were stored");
}

fn judge_cost(proof: &mut Proof, machine: &Machine, descriptors: &[(u32, String)], memory: i64) {
    // A connection that somebody just closed may still be there.
    let mut now = Pid1(machine).descriptors();
    for _ in 0..50 {
        if now.len() == descriptors.len() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        now = Pid1(machine).descriptors();
    }
    let kinds = |all: &[(u32, String)]| {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for (_, what) in all {
            *count.entry(what.split(':').next().unwrap_or("").to_owned()).or_default() += 1;
        }
        count
    };
    let said = if now.len() == descriptors.len() {
        String::new()
    } else {
        format!(": {:?} before, {:?} after", kinds(descriptors), kinds(&now))
    };
    proof.check(
        now.len() == descriptors.len(),
        format!("PID 1 holds {} descriptors, as before ({}){said}", now.len(), descriptors.len()),
    );
    let growth = Pid1(machine).anonymous() - memory;
    proof.check(
        growth < MOST_GROWTH_KIB,
        format!(
            "anonymous memory of PID 1 grew by {growth} KiB from {memory} KiB, less than {MOST_GROWTH_KIB}"
        ),
    );
    let ticks = Pid1(machine).ticks();
    std::thread::sleep(Duration::from_secs(2));
    let used = Pid1(machine).ticks() - ticks;
    proof.check(used <= 20, format!("PID 1 used {used} ticks of CPU in 2 s without load, at most 20"));
}
