//! A million random and damaged D-Bus messages and notifications, half of each, over the live sockets of one PID 1, while
//! another client calls every 10 ms: it sees no error, PID 1 stays the same image, and its memory stays flat.
//!
//! `cargo test -p runstead-compat --test storm -- [--messages N] [--notifications N] [--seed N]`; `RUNSTEAD_UNDER_TEST` chooses the PID 1.
//! Needs root. The same program is put into the machine, where `inside ...` are its senders.

mod client;
mod damage;
mod hangup;

use client::{Client, manager_call};
use damage::Random;
use runstead_compat::arguments::Arguments as Words;
use runstead_compat::machine::{Entry, Machine, Options, Running, UnderTest};
use runstead_compat::proof::{Pid1, Proof};
use runstead_compat::root;
use runstead_wire::dbus::Message;
use runstead_wire::dbus::message::NO_REPLY_EXPECTED;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where the program is in the machine.
const INSIDE: &str = "/usr/local/lib/proofs/storm";
/// The unit whose process sends notifications; those of a unit are read, others only looked at.
const SENDER: &str = "storm.service";
/// A unit whose notifications may be its own end.
const VICTIM: &str = "storm-victim.service";
/// How long the second client waits for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Messages, and as many notifications.
const MANY: usize = 500_000;
const MOST_GROWTH_KIB: i64 = 1024;
/// How long a flood of calls lasts, and what PID 1 may need for it.
const FLOOD: Duration = Duration::from_secs(6);
const MOST_FLOOD_KIB: i64 = 4096;
/// Calls with descriptors that nobody takes.
const NOBODYS: usize = 40;
/// Part of the messages that is sent before memory is looked at for the first time: caches fill once.
const WARM_UP: usize = 20;

struct Arguments {
    messages: usize,
    notifications: usize,
    seed: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["inside", rest @ ..] = words.as_slice() {
        return inside(rest);
    }
    let given = match arguments() {
        Ok(given) => given,
        Err(status) => return status,
    };
    let mut proof = Proof::begin("storm", Duration::from_secs(300));
    prove(&mut proof, &given);
    proof.end()
}

fn arguments() -> Result<Arguments, ExitCode> {
    let usage = "usage: storm [--messages N] [--notifications N] [--seed N]\nHalf a million of each unless told otherwise.";
    let mut words = Words::from_env(usage)?;
    let given = Arguments {
        messages: words.value("--messages", MANY),
        notifications: words.value("--notifications", MANY),
        seed: words.value("--seed", 1),
    };
    words.none_left().map(|()| given)
}

fn prove(proof: &mut Proof, given: &Arguments) {
    let Some(mut machine) = boot(proof) else { return };
    let began = Instant::now();
    let Some(mut caller) = start(proof, &machine, &["caller"]) else { return };
    let stop_caller = caller.take_stdin();
    let heard = lines(&mut caller);
    proof.step("warming up");
    let counts = |part: usize| (given.messages / part, given.notifications / part);
    send_all(proof, &machine, counts(WARM_UP), given.seed.wrapping_add(1_000_000));
    std::thread::sleep(Duration::from_secs(1));
    let (image, before) = (Pid1(&machine).image(), Pid1(&machine).anonymous());
    let (units, descriptors) = (count_units(&machine), Pid1(&machine).descriptors().len());
    let ticks = Pid1(&machine).ticks();
    proof.step(format!("{} messages, {} notifications", given.messages, given.notifications));
    send_all(proof, &machine, counts(1), given.seed);
    let took = began.elapsed();
    proof.step("letting it settle");
    std::thread::sleep(Duration::from_secs(2));
    let (after, used) = (Pid1(&machine).anonymous(), Pid1(&machine).ticks() - ticks);
    drop(stop_caller);
    let ended = caller.wait(Duration::from_secs(10));
    proof.check(matches!(ended, Ok(Some(status)) if status.success()), "the second client came to its end");
    drop(caller);
    let said = said(heard, "\n");
    println!("{said}");
    let calls = word_after(&said, "calls").unwrap_or(0);
    proof.check(word_after(&said, "errors") == Some(0), "the second client saw no error");
    // One in 10 ms, were all answers at once; a tenth of that shows that it was served throughout.
    let least = took.as_millis() / 100;
    proof.check(u128::from(calls) >= least, format!("it made {calls} calls (at least {least})"));
    proof.check(Pid1(&machine).image() == image, "PID 1 is the same process and was not executed anew");
    let now = (count_units(&machine), Pid1(&machine).descriptors().len());
    println!("units: {units}, then {}; descriptors: {descriptors}, then {}", now.0, now.1);
    // Units that somebody asked for go again when nothing needs them; a few of the load may still be there.
    proof.check(now.0 <= units + 10, "no unit stays that somebody only named");
    proof.check(now.1 <= descriptors + 4, "no descriptor stays");
    let growth = after - before;
    proof.check(
        growth < MOST_GROWTH_KIB,
        format!("anonymous memory of PID 1: {before} KiB, then {after} KiB: {growth} KiB more, less than {MOST_GROWTH_KIB}"),
    );
    println!("PID 1 used {used} ticks of CPU; the storm took {:.1} s", took.as_secs_f64());
    flood(proof, &machine);
    leave_descriptors(proof, &machine);
    let state = machine.wait_running(Duration::from_secs(20));
    proof.check(state.is_ok(), format!("systemctl is answered: {state:?}"));
}

/// Somebody sends calls faster than they are worked off, and wants no answers: PID 1 holds no more of them than it has to.
fn flood(proof: &mut Proof, machine: &Machine) {
    proof.step("a flood of calls");
    let before = Pid1(machine).peak();
    let Some(mut sender) = start(proof, machine, &["flood"]) else { return };
    let heard = lines(&mut sender);
    let ended = sender.wait(Duration::from_secs(60));
    drop(sender);
    let good = matches!(ended, Ok(Some(status)) if status.success());
    proof.check(good, format!("the flood: {}", said(heard, ", ")));
    let more = Pid1(machine).peak() - before;
    proof.check(
        more < MOST_FLOOD_KIB,
        format!("PID 1 had {more} KiB more than ever before (less than {MOST_FLOOD_KIB})"),
    );
}

/// Descriptors that come with a call whose caller is gone, or go with an answer that nobody wants, are closed.
fn leave_descriptors(proof: &mut Proof, machine: &Machine) {
    proof.step("descriptors that nobody takes");
    let before = Pid1(machine).descriptors().len();
    for what in ["hangups", "dumps"] {
        let Some(mut sender) = start(proof, machine, &[what]) else { return };
        let heard = lines(&mut sender);
        let ended = sender.wait(Duration::from_secs(30));
        drop(sender);
        let good = matches!(ended, Ok(Some(status)) if status.success());
        proof.check(good, format!("{what}: {}", said(heard, ", ")));
    }
    std::thread::sleep(Duration::from_secs(1));
    let now = Pid1(machine).descriptors().len();
    proof.check(now <= before + 4, format!("descriptors of PID 1: {before}, then {now}"));
}

fn count_units(machine: &Machine) -> usize {
    let list = machine.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend"]);
    list.map_or(0, |output| output.stdout.split(|b| *b == b'\n').count())
}

fn boot(proof: &mut Proof) -> Option<Machine> {
    let under_test = proof.need("choose the PID 1", UnderTest::from_env())?;
    proof.step(format!("booting {}", under_test.name()));
    let root = proof.need("find the Debian root", root::chosen())?;
    let mut options = Options::new(under_test, root);
    let myself = std::env::current_exe().and_then(std::fs::read);
    options.files.push((INSIDE.into(), Entry::Program(proof.need("read this program", myself)?)));
    let unit = |more: &str| {
        Entry::File(
            format!("[Service]\nNotifyAccess=all\nFileDescriptorStoreMax=8\nWatchdogSec=0\n{more}"),
            0o644,
        )
    };
    let place = |name: &str| format!("/etc/systemd/system/{name}");
    let sender = format!(
        "ExecStart={INSIDE} inside notify tame ${{SEED}} ${{COUNT}}\nEnvironmentFile=/run/storm.env\n"
    );
    options.files.push((place(SENDER), unit(&sender)));
    let victim = format!(
        "ExecStart={INSIDE} inside notify wild 0 0\nRestart=always\nRestartSec=200ms\nTimeoutStopSec=1s\n\
         [Unit]\nStartLimitIntervalSec=0\n"
    );
    options.files.push((place(VICTIM), unit(&victim)));
    let mut machine = proof.need("boot", Machine::boot(&options))?;
    proof.need("boot", machine.wait_running(Duration::from_secs(90)))?;
    Some(machine)
}

fn start(proof: &mut Proof, machine: &Machine, words: &[&str]) -> Option<Running> {
    let all: Vec<&str> = [INSIDE, "inside"].into_iter().chain(words.iter().copied()).collect();
    proof.need("start a sender", machine.spawn(&all))
}

/// Collects what a sender prints.
fn lines(sender: &mut Running) -> JoinHandle<Vec<String>> {
    let stdout = sender.take_stdout();
    std::thread::spawn(move || {
        let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
        lines.map_while(Result::ok).collect()
    })
}

/// All of them, once the program has ended.
fn said(heard: JoinHandle<Vec<String>>, between: &str) -> String {
    heard.join().unwrap_or_default().join(between)
}

/// The number behind the last occurrence of a word.
fn word_after(text: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().rposition(|w| *w == word)?;
    words.get(at + 1)?.parse().ok()
}

/// Sends `count` messages and as many notifications: half of those from a unit, half from a process of none.
fn send_all(proof: &mut Proof, machine: &Machine, counts: (usize, usize), seed: u64) {
    let (messages, notifications) = counts;
    let (half, all, seed) = ((notifications / 2).to_string(), messages.to_string(), seed.to_string());
    let environment = format!("SEED={seed}\nCOUNT={half}\n");
    proof.need("write", std::fs::write(machine.path("/run/storm.env"), environment));
    let run = |words: &[&str]| machine.run(words).map_err(|e| e.to_string());
    if let Some(output) = proof.need("start the units", run(&["systemctl", "start", SENDER, VICTIM])) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        proof.check(output.status.success(), format!("the senders that are units started {said}"));
    }
    let clients = start(proof, machine, &["messages", &seed, &all]);
    let strangers = start(proof, machine, &["notify", "stranger", &seed, &half]);
    let senders =
        [("messages", clients, messages), ("notifications of no unit", strangers, notifications / 2)];
    for (what, sender, expected) in senders {
        let Some(mut sender) = sender else { continue };
        let heard = lines(&mut sender);
        let ended = sender.wait(Duration::from_secs(120));
        // One that hangs holds its output open: it ends here.
        drop(sender);
        let said = said(heard, ", ");
        let good = matches!(ended, Ok(Some(status)) if status.success());
        let sent = word_after(&said, "sent").unwrap_or(0);
        let stuck = if good { String::new() } else { format!("; {}", machine.diagnosis()) };
        proof.check(good && sent >= expected as u64, format!("{what}: {said}{stuck}"));
    }
    wait_for_unit(proof, machine, notifications / 2);
    let stop = run(&["systemctl", "stop", VICTIM, SENDER]);
    proof.check(stop.is_ok_and(|o| o.status.success()), "the senders that are units stopped");
}

fn wait_for_unit(proof: &mut Proof, machine: &Machine, expected: usize) {
    let end = Instant::now() + Duration::from_secs(120);
    let file = "/run/storm.sent";
    while machine.read(file).is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = machine.read(file).and_then(|text| text.trim().parse::<usize>().ok());
    let _ = std::fs::remove_file(machine.path(file));
    proof.check(sent == Some(expected), format!("notifications of a unit: sent {sent:?}"));
}

/// What the senders do.
fn inside(words: &[&str]) -> ExitCode {
    let parse = |text: &str| text.parse::<u64>().unwrap_or(0);
    let result = match words {
        ["caller"] => caller(),
        ["flood"] => send_flood(),
        ["hangups"] => hangup::send(NOBODYS),
        ["dumps"] => send_dumps(),
        ["messages", seed, count] => damage::send_messages(parse(seed), parse(count)),
        ["notify", manner, seed, count] => damage::send_notifications(manner, parse(seed), parse(count)),
        _ => Err(std::io::Error::other(
            "caller, flood, hangups, dumps, messages SEED COUNT, notify tame|wild|stranger SEED COUNT",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Sends calls that are dear to answer, as fast as they are taken; then one that is answered.
fn send_flood() -> std::io::Result<()> {
    let mut client = Client::connect()?;
    let object = "/org/freedesktop/systemd1/unit/dbus_2eservice";
    let call = Message::method_call(None, object, "org.freedesktop.DBus.Properties", "GetAll")
        .with_flags(NO_REPLY_EXPECTED)
        .build(|body| {
            body.str("org.freedesktop.systemd1.Service");
        });
    let call = call.map_err(std::io::Error::other)?;
    let end = Instant::now() + FLOOD;
    let mut sent = 0;
    while Instant::now() < end {
        client.send(&call)?;
        sent += 1;
    }
    client.ask(&manager_call("ListJobs", |_| {}), ANSWER * 2)?;
    println!("sent {sent}");
    Ok(())
}

/// Asks for the state as a file, and wants no answer.
fn send_dumps() -> std::io::Result<()> {
    let mut client = Client::connect()?;
    for _ in 0..NOBODYS {
        client.send(&manager_call("DumpByFileDescriptor", |_| {}).with_flags(NO_REPLY_EXPECTED))?;
    }
    client.ask(&manager_call("ListJobs", |_| {}), ANSWER)?;
    println!("sent {NOBODYS}");
    Ok(())
}

/// Calls every 10 ms until its standard input ends; says how many calls, how many errors, and the slowest answer.
fn caller() -> std::io::Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Relaxed);
    });
    let (mut calls, mut errors, mut slowest, mut first) = (0_u64, 0_u64, Duration::ZERO, String::new());
    let mut client = Client::connect()?;
    let mut random = Random::new(1);
    while !over.load(Ordering::Relaxed) {
        let call = match random.below(4) {
            0 => manager_call("ListUnits", |_| {}),
            1 => manager_call("ListJobs", |_| {}),
            _ => manager_call("GetUnit", |body| {
                body.str("dbus.service");
            }),
        };
        let begin = Instant::now();
        calls += 1;
        if let Err(why) = client.ask(&call, ANSWER) {
            errors += 1;
            if first.is_empty() {
                first = why.to_string();
            }
            if let Ok(again) = Client::connect() {
                client = again;
            }
        }
        let took = begin.elapsed();
        slowest = slowest.max(took);
        std::thread::sleep(Duration::from_millis(10).saturating_sub(took));
    }
    println!("second client: calls {calls} errors {errors} slowest {} us {first}", slowest.as_micros());
    Ok(())
}
