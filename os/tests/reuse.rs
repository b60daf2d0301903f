//! 10,000 numbers of processes given again (clone3(2), `set_tid`), in a PID namespace of our own: nobody is taken for the daemon that
//! had the number when the PID file was written.
//!
//! The first process of the namespace is this program; it has no test harness, since that starts threads.
use runstead_os::sys::clone::process_with_number;
use runstead_os::{children, pidfile, process};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const ROUNDS: i32 = 10_000;
const INSIDE: &str = "REUSE_INSIDE";
const SIGKILL: i32 = 9;

/// End a child, and take it from the table: its number is free then. When that was.
fn end(pid: i32) -> i128 {
    process::kill(pid, SIGKILL, None).expect("kill");
    while children::peek_pid(pid).expect("waitid").is_none() {
        std::thread::yield_now();
    }
    children::reap(pid).expect("waitid").expect("it has ended");
    process::boottime()
}

/// How often what came of it.
fn rounds(file: &str) -> BTreeMap<&'static str, i32> {
    let mut seen = BTreeMap::new();
    let mut count = |what| *seen.entry(what).or_insert(0) += 1;
    for round in 0..ROUNDS {
        let pid = 300 + round % 20_000;
        process_with_number(pid).expect("clone3");
        std::fs::write(file, format!("{pid}\n")).expect("write");
        let right = pidfile::read(file).expect("it runs").settle(false, |_, _| false);
        count(if right.is_ok_and(|named| named.pid == pid) { "daemon" } else { "refused daemon" });
        let before = pidfile::read(file).expect("it runs");
        let ended = end(pid);
        process_with_number(pid).expect("clone3 with the same number");
        // Asked for before the number was given again, decided after: also inside the unit.
        count(if before.settle(round % 2 == 0, |_, _| false).is_ok() { "WRONG, held" } else { "held" });
        let reaped_since = |of, moment| of == pid && ended >= moment;
        let after = pidfile::read(file).expect("somebody has the number");
        count(if after.settle(false, reaped_since).is_ok() { "WRONG, read" } else { "read" });
        end(pid);
    }
    seen
}

fn inside() {
    let file = std::env::var(INSIDE).expect("set");
    println!("{:?}", rounds(&file));
}

fn main() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list" || !word.starts_with('-') && !word.contains("reuse")) {
        return;
    }
    if !process::is_root() {
        assert!(std::env::var_os("CI").is_none(), "only root can choose numbers of processes");
        println!("reuse: left out, only root can choose numbers of processes");
        return;
    }
    let directory = std::env::temp_dir().join(format!("runstead-reuse-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("mkdir");
    let said = in_namespace(&directory.join("pid"));
    std::fs::remove_dir_all(&directory).expect("remove");
    let wanted = format!("{{\"daemon\": {ROUNDS}, \"held\": {ROUNDS}, \"read\": {ROUNDS}}}");
    assert_eq!(said.trim(), wanted);
    println!("reuse: {ROUNDS} numbers given again, {}", said.trim());
}

fn in_namespace(file: &Path) -> String {
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().expect("known"))
        .env(INSIDE, file)
        .output()
        .expect("unshare");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
