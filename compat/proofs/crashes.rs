//! PID 1 is ended 50 times by a signal at random times while services start and stop, then made to fault five times in a row:
//! nothing that runs notices, and in the minimal mode that follows it still says what is wrong, reaps, and comes back.
//!
//! `cargo test -p runstead-compat --test crashes -- [--crashes N] [--seed N]`. Only for ours: the reference freezes. Needs root.

mod trap;

use runstead_compat::arguments::Arguments;
use runstead_compat::machine::{Entry, Machine, Options, UnderTest};
use runstead_compat::proof::{Pid1, Proof};
use runstead_compat::root;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use trap::Call;

/// So many faults in ten seconds are a loop.
const LOOP: usize = 5;
/// `ud2`: an instruction that does not exist.
const FAULT: [u8; 2] = [0x0f, 0x0b];

/// close(2).
const CLOSE: u64 = 3;
const BAD: &str = "[Socket]\nListenStream=127.0.0.1:7799\nListenStream=127.0.0.1:7800\nAccept=yes\n";
/// Its ports as the kernel's table has them.
const PORTS: [&str; 2] = [":1E77", ":1E78"];

/// Restarted all the time.
const RESTLESS: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\n";
/// Runs through all of it, with a descriptor in its store.
const STEADY: &str = "[Service]\nType=notify\nNotifyAccess=all\nRestart=no\n\
                      ExecStart=/bin/sh -c 'systemd-notify --ready; while :; do sleep 1; done'\n";
const BEAT: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n";
const TIMER: &str =
    "[Timer]\nUnit=beat.service\nOnActiveSec=100ms\nOnUnitInactiveSec=100ms\nAccuracySec=10ms\n";
/// Its end is seen by its cgroup alone.
const FORKER: &str =
    "[Service]\nType=forking\nGuessMainPID=no\nExecStart=/bin/sh -c 'sleep 1000 & sleep 1000 &'\n";

fn main() -> ExitCode {
    let (crashes, seed) = match arguments() {
        Ok(given) => given,
        Err(status) => return status,
    };
    let mut proof = Proof::begin("crashes", Duration::from_secs(300));
    prove(&mut proof, crashes, seed);
    proof.end()
}

fn arguments() -> Result<(u64, u64), ExitCode> {
    let mut words = Arguments::from_env("usage: crashes [--crashes N] [--seed N]")?;
    let given = (words.value("--crashes", 50), words.value("--seed", 1));
    words.none_left().map(|()| given)
}

fn prove(proof: &mut Proof, crashes: u64, seed: u64) {
    let Some(machine) = boot(proof) else { return };
    let said = run(&machine, "systemctl start steady.service beat.timer forker.service");
    proof.check(said.0, format!("the services start {}", said.1));
    let before = facts(&machine);
    let descriptors = Pid1(&machine).descriptors().len();
    let load = "for n in $(seq 1 40); do for i in 1 2 3; do timeout 20 systemctl restart restless$i.service; done; \
                timeout 20 systemctl stop restless2.service; done; touch /run/load-done";
    let Some(_load) = proof.need("start the load", machine.spawn(&["/bin/sh", "-c", load])) else { return };
    proof.step(format!("{crashes} signals"));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..crashes {
        // xorshift (Marsaglia): 20 to 220 ms.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::thread::sleep(Duration::from_millis(20 + state % 200));
        let sent = run(&machine, "kill -SEGV 1");
        proof.check(sent.0, format!("a signal was sent {}", sent.1));
    }
    wait(proof, "the load ends", || machine.read("/run/load-done").is_some());
    wait(proof, "no job is left", || {
        run(&machine, "systemctl list-jobs --no-legend | grep -q .; test $? = 1").0
    });
    let running = run(
        &machine,
        "systemctl start restless1 restless2 restless3; systemctl is-active restless1 restless2 restless3",
    );
    proof.check(running.0, format!("what was restarted runs: {}", running.1));
    proof.check(facts(&machine) == before, format!("what ran runs on: {before:?}, {:?}", facts(&machine)));
    let now = Pid1(&machine).descriptors();
    proof.check(
        now.len() <= descriptors + 8,
        format!("descriptors of PID 1: {descriptors}, then {}", now.len()),
    );
    let failed = run(&machine, "systemctl --failed --no-legend --plain");
    proof.check(failed.1.trim().is_empty(), format!("no unit failed: {}", failed.1));
    let beats = || run(&machine, "systemctl show -P ExecMainStartTimestampMonotonic beat.service").1;
    let beat = beats();
    wait(proof, "the timer goes on", || beats() != beat);
    let killed = run(&machine, "systemctl kill -s KILL forker.service");
    proof.check(killed.0, "a service that only its cgroup knows is killed");
    wait(proof, "and its end is seen", || {
        run(&machine, "systemctl is-active forker.service").1.trim() != "active"
    });
    quarantine(proof, &machine);
    minimal(proof, &machine);
}

/// Two faults over one event leave its unit out, and nothing of it behind, until the next planned re-execution.
fn quarantine(proof: &mut Proof, machine: &Machine) {
    proof.step("faults while a socket is stopped");
    for round in ["first", "second"] {
        let started = run(machine, "systemctl start bad.socket");
        proof.check(started.0, format!("bad.socket starts before the {round} fault {}", started.1));
        let listening = listeners(machine);
        proof.check(listening.len() == 2, format!("it listens: {listening:?}"));
        let image = Pid1(machine).image();
        let held = |call: &Call| {
            let link = format!("/proc/{}/fd/{}", machine.pid1(), call.arguments[0]);
            call.number == CLOSE
                && fs::read_link(link).is_ok_and(|to| listening.contains(&*to.to_string_lossy()))
        };
        let mut client = None;
        let words = ["/bin/sh", "-c", "timeout 20 systemctl stop bad.socket"];
        let stop = || client = machine.spawn(&words).ok();
        let done = trap::fault_at(machine.pid1(), stop, held);
        if proof.need("make PID 1 fault as it closes that", done).is_none() {
            return;
        }
        wait(proof, &format!("PID 1 is executed anew after the {round} fault"), || {
            Pid1(machine).image() != image
        });
        wait(proof, "it is whole", || run(machine, "systemctl is-active steady.service").0);
        // One was about to be closed; of the other nobody would know.
        let left = listeners(machine);
        proof.check(left.is_empty(), format!("nobody listens there any more {left:?}"));
    }
    let refused = run(machine, "systemctl start bad.socket");
    proof.check(!refused.0, format!("its unit is left alone: {}", refused.1.trim()));
    let others = run(machine, "systemctl restart restless1.service && systemctl daemon-reexec");
    proof.check(others.0, format!("others are not {}", others.1));
    let again = run(machine, "systemctl start bad.socket && systemctl stop bad.socket");
    proof.check(again.0, format!("after a planned re-execution it is there again {}", again.1));
}

/// The sockets that listen on bad.socket's ports, as links of descriptors name them.
fn listeners(machine: &Machine) -> BTreeSet<String> {
    let table = run(machine, "cat /proc/net/tcp").1;
    let inode = |line: &str| {
        let mut words = line.split_whitespace();
        let is_ours = words.nth(1).is_some_and(|at| PORTS.iter().any(|port| at.ends_with(port)));
        words.nth(7).filter(|_| is_ours).map(|inode| format!("socket:[{inode}]"))
    };
    table.lines().filter_map(inode).collect()
}

/// Five faults in a row: the minimal mode, and back.
fn minimal(proof: &mut Proof, machine: &Machine) {
    let before = facts(machine);
    proof.step(format!("{LOOP} faults"));
    for _ in 0..LOOP {
        let image = Pid1(machine).image();
        let done = fault(machine.pid1());
        if proof.need("make PID 1 fault", done).is_none() {
            return;
        }
        // Something for it to wake up for.
        let _ = run(machine, "kill -s RTMIN+23 1");
        wait(proof, "PID 1 is executed anew", || Pid1(machine).image() != image);
        std::thread::sleep(Duration::from_millis(200));
    }
    let told = run(machine, "systemctl list-units 2>&1");
    proof.check(told.1.contains("crashed 5 times"), format!("clients are told: {}", told.1.trim()));
    let zombies = "(sh -c 'sleep 0.1 & exec true' &); sleep 0.4; for i in $(seq 100); do grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -q . || break; sleep 0.1; done; ! grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -q .";
    let reaped = run(machine, zombies);
    proof.check(reaped.0, format!("orphans are reaped meanwhile {}", reaped.1));
    wait(proof, "the manager is whole again", || run(machine, "systemctl is-active steady.service").0);
    proof.check(facts(machine) == before, format!("what ran runs on: {before:?}, {:?}", facts(machine)));
}

fn boot(proof: &mut Proof) -> Option<Machine> {
    let root = proof.need("find the Debian root", root::chosen())?;
    let mut options = Options::new(UnderTest::Ours, root);
    let units = [
        ("restless1.service", RESTLESS),
        ("restless2.service", RESTLESS),
        ("restless3.service", RESTLESS),
        ("steady.service", STEADY),
        ("beat.service", BEAT),
        ("beat.timer", TIMER),
        ("forker.service", FORKER),
        ("bad.socket", BAD),
        ("bad@.service", RESTLESS),
    ];
    for (name, text) in units {
        options.files.push((format!("/etc/systemd/system/{name}"), Entry::File(text.to_owned(), 0o644)));
    }
    proof.step("booting");
    let mut machine = proof.need("boot", Machine::boot(&options))?;
    proof.need("boot", machine.wait_running(Duration::from_secs(90)))?;
    Some(machine)
}

/// Whether it succeeded, and what it said.
fn run(machine: &Machine, script: &str) -> (bool, String) {
    match machine.run(&["/bin/sh", "-c", script]) {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        }
        Err(why) => (false, why.to_string()),
    }
}

/// What must stay as it is: processes, and that journald has its streams.
fn facts(machine: &Machine) -> Vec<String> {
    let pids = "systemctl show -P MainPID steady.service systemd-journald.service dbus.service";
    let mut all: Vec<String> = run(machine, pids).1.split_whitespace().map(str::to_owned).collect();
    let stored = run(machine, "test $(systemctl show -P NFileDescriptorStore systemd-journald) -gt 0");
    all.push(format!("stored {}", stored.0));
    all
}

fn wait(proof: &mut Proof, what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    let mut held = holds();
    while !held && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        held = holds();
    }
    proof.check(held, what);
}

/// Put an instruction that does not exist where PID 1 goes on when its system call returns.
fn fault(pid: u32) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let text = fs::read_to_string(format!("/proc/{pid}/syscall")).map_err(|error| error.to_string())?;
        // "running" when it is in none.
        let place = text.split_whitespace().nth(8).and_then(|word| word.strip_prefix("0x"));
        if let Some(place) = place.and_then(|word| u64::from_str_radix(word, 16).ok()) {
            let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem"));
            return memory
                .and_then(|memory| memory.write_all_at(&FAULT, place))
                .map_err(|error| error.to_string());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("PID 1 is never found in a system call".to_owned())
}
