//! What somebody meets who has just built the program: `runstead boot` in its forms, and that nothing of it stays.
//!
//! `cargo test -p runstead-compat --test newcomer -- [--no-root-tree]`; takes the release binary (`RUNSTEAD_BIN` names
//! another). Needs root. The reference has no such program, so this is proved of ours alone.

mod program;

use program::{Started, tail};
use runstead_compat::arguments::Arguments;
use runstead_compat::machine::{find_cgroup2, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::root;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The processes that were started: what carries their numbers is theirs, others may boot machines meanwhile.
static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// What a machine may leave behind.
struct Traces {
    mounts: BTreeSet<String>,
    cgroups: Vec<PathBuf>,
    processes: Vec<String>,
}

fn main() -> ExitCode {
    let without_tree = match arguments() {
        Ok(given) => given,
        Err(status) => return status,
    };
    let mut proof = Proof::begin("newcomer", Duration::from_secs(280));
    prove(&mut proof, without_tree);
    proof.end()
}

fn arguments() -> std::result::Result<bool, ExitCode> {
    let mut words = Arguments::from_env("usage: newcomer [--no-root-tree]")?;
    let without_tree = words.flag("--no-root-tree");
    words.none_left().map(|()| without_tree)
}

fn prove(proof: &mut Proof, without_tree: bool) {
    let Some(binary) = proof.need("find the binary", our_binary()) else { return };
    let Some(cgroups) = proof.need("find the cgroups", find_cgroup2()) else { return };
    println!("the binary is {}", binary.display());
    judge_binary(proof, &binary);
    let traces = |proof: &mut Proof, what: &str, act: &mut dyn FnMut(&mut Proof)| {
        proof.step(what);
        let before = Traces::see(&cgroups, &binary);
        act(proof);
        let left = wait_until_gone(&before, &cgroups, &binary);
        proof.check(left.is_empty(), format!("{what}: nothing is left behind {}", left.join("; ")));
    };
    traces(proof, "boot --for 5s", &mut |proof| boot_for(proof, &binary));
    traces(proof, "Ctrl-C", &mut |proof| interrupt(proof, &binary));
    traces(proof, "--exec", &mut |proof| execute(proof, &binary));
    traces(proof, "bad options", &mut |proof| bad_options(proof, &binary));
    if !without_tree {
        traces(proof, "a Debian root", &mut |proof| debian(proof, &binary));
    }
}

/// It is to be the only file of an initramfs or an empty container.
fn judge_binary(proof: &mut Proof, binary: &Path) {
    const LARGEST: usize = 6_000_000;
    let Some(bytes) = proof.need("read the binary", fs::read(binary)) else { return };
    proof.check(bytes.len() <= LARGEST, format!("the binary has {} bytes, at most {LARGEST}", bytes.len()));
    let loader = bytes.windows(8).take(4096).any(|window| window == b"/ld-linu");
    proof.check(!loader, "it needs no loader");
}

fn boot_for(proof: &mut Proof, binary: &Path) {
    let Some((status, out, err)) = run(proof, binary, &["boot", "--for", "5s"]) else { return };
    proof.check(status == Some(0), format!("boot --for 5s: status {status:?} {}", tail(&err)));
    for unit in examples() {
        let line = out.lines().find(|line| line.split_whitespace().any(|word| word == unit));
        proof.check(line.is_some(), format!("it shows {unit}"));
    }
    proof.check(
        out.contains("every example is active"),
        format!("every example is active at the end {}", tail(&out)),
    );
    proof.check(!out.contains("failed"), "nothing failed");
}

/// The units that come with the program, but for the one that the timer runs for a moment now and then.
fn examples() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/units");
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    all.retain(|name| name != "hello-timer.service");
    all.sort();
    all
}

fn interrupt(proof: &mut Proof, binary: &Path) {
    let Some(mut started) = start(proof, binary, &["boot"]) else { return };
    let up = started.wait_for("up after");
    proof.check(up, format!("boot comes up {}", if up { String::new() } else { started.said.join("\n") }));
    let pid = started
        .said
        .iter()
        .find_map(|line| line.split("PID 1 is process ").nth(1)?.split(' ').next()?.parse::<u32>().ok());
    let root = pid.map(|pid| PathBuf::from(format!("/proc/{pid}/root")));
    let answers = root.as_ref().and_then(|root| page(&root.join("run/hello-http.sock")));
    proof.check(
        answers.as_ref().is_some_and(|page| page.contains("hello")),
        format!("the HTTP example answers {answers:?}"),
    );
    let child = rustix::process::Pid::from_child(&started.child);
    let sent = rustix::process::kill_process(child, rustix::process::Signal::INT);
    proof.check(sent.is_ok(), "Ctrl-C is sent");
    let began = Instant::now();
    let status = started.end();
    proof.check(
        status == Some(0),
        format!(
            "it ends with status {status:?} in {:.1} s {}",
            began.elapsed().as_secs_f64(),
            tail(&started.said.join("\n"))
        ),
    );
    let at = |word: &str| started.said.iter().rposition(|line| line.trim() == word);
    proof.check(
        at("stopping").is_some() && at("stopping") < at("stopped"),
        "it says that it stops, then that it has",
    );
    let gone = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    proof.check(gone, format!("PID 1 (process {pid:?}) is gone"));
}

/// What the HTTP example says on its socket.
fn page(socket: &Path) -> Option<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn execute(proof: &mut Proof, binary: &Path) {
    for (command, expected) in [("true", 0), ("exit 7", 7), ("test \"$(cat /proc/1/comm)\" = runstead", 0)] {
        let Some((status, _, err)) = run(proof, binary, &["boot", "--exec", command]) else { return };
        proof
            .check(status == Some(expected), format!("--exec '{command}': status {status:?} {}", tail(&err)));
    }
}

fn bad_options(proof: &mut Proof, binary: &Path) {
    let wrong: [&[&str]; 6] = [
        &["boot", "--nonsense"],
        &["boot", "--for"],
        &["boot", "--for", "5 parsecs"],
        &["boot", "--root", "/no/such/directory"],
        &["boot", "stray"],
        &["nonsense"],
    ];
    for words in wrong {
        let Some((status, _, err)) = run(proof, binary, words) else { return };
        // The word that is wrong is named, and where to learn more.
        let named = words.last().is_some_and(|word| err.contains(word)) && err.contains("help");
        proof.check(
            status == Some(2) && named,
            format!("{}: status {status:?}: {}", words.join(" "), tail(&err)),
        );
    }
    if let Some((status, out, _)) = run(proof, binary, &["help"]) {
        let options = ["--root", "--units", "--exec", "--for"];
        proof.check(status == Some(0) && options.iter().all(|o| out.contains(o)), "help names the options");
    }
}

fn debian(proof: &mut Proof, binary: &Path) {
    let Some(tree) = proof.need("find the Debian root", root::chosen()) else { return };
    let tree = tree.display().to_string();
    let Some((status, out, err)) = run(proof, binary, &["boot", "--root", &tree, "--for", "20s"]) else {
        return;
    };
    proof.check(status == Some(0), format!("boot --root {tree} --for 20s: status {status:?} {}", tail(&err)));
    proof.check(
        out.contains("up after"),
        format!("it comes up {}", if out.contains("up after") { String::new() } else { tail(&out) }),
    );
}

fn run(proof: &mut Proof, binary: &Path, words: &[&str]) -> Option<(Option<i32>, String, String)> {
    let ended = start(proof, binary, words)?.ended();
    Some((ended.status, ended.out, ended.err))
}

fn start(proof: &mut Proof, binary: &Path, words: &[&str]) -> Option<Started> {
    proof.step(format!("runstead {}", words.join(" ")));
    let started = program::start(proof, Command::new(binary).args(words))?;
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(started.child.id());
    Some(started)
}

/// Whether a cgroup is that of a machine that was started here.
fn is_ours(cgroup: &str) -> bool {
    let started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    started.iter().any(|pid| cgroup.split('/').any(|part| part == format!("runstead-boot-{pid}")))
}

impl Traces {
    fn see(cgroups: &Path, binary: &Path) -> Traces {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut found = Vec::new();
        collect_cgroups(cgroups, 0, &mut found);
        Traces {
            mounts: mounts.lines().map(str::to_owned).collect(),
            cgroups: found,
            processes: processes(binary),
        }
    }
}

fn collect_cgroups(place: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if depth < 4 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if is_ours(&entry.path().display().to_string()) {
                found.push(entry.path());
            }
            collect_cgroups(&entry.path(), depth + 1, found);
        }
    }
}

/// Processes of a machine's cgroup, and those that run the binary itself: PID and command line.
fn processes(binary: &Path) -> Vec<String> {
    let of_machine = |pid: &str| {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let ours = exe == binary || is_ours(cgroup.trim());
        ours.then(|| format!("{pid} {}", String::from_utf8_lossy(&words).replace('\0', " ")))
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| of_machine(&entry.file_name().to_string_lossy())).collect()
}

/// What is there that was not before; processes and cgroups get a moment to vanish.
fn wait_until_gone(before: &Traces, cgroups: &Path, binary: &Path) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let now = Traces::see(cgroups, binary);
        let mut left: Vec<String> =
            now.mounts.difference(&before.mounts).map(|line| format!("mount {line}")).collect();
        left.extend(now.cgroups.iter().map(|c| format!("cgroup {}", c.display())));
        left.extend(now.processes.iter().map(|p| format!("process {p}")));
        if left.is_empty() || Instant::now() >= end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
