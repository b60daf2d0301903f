//! The load under which PID 1 is executed anew: units, and clients that run inside the machine.

use crate::client::{Client, manager_call};
use runstead_wire::dbus::Message;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long an answer may take, of a service or of PID 1.
const ANSWER: Duration = Duration::from_secs(10);

/// Unit files (relative to `/etc/systemd/system`) and programs.
pub const FILES: &[(&str, &str)] = &[
    ("long-a.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("long-b.service", "[Service]\nType=exec\nExecStart=/bin/sleep infinity\nDynamicUser=yes\n"),
    (
        "keep.service",
        "[Service]\nType=notify\nNotifyAccess=all\nFileDescriptorStoreMax=8\nExecStart=/usr/local/lib/proofs/keep\n",
    ),
    ("/usr/local/lib/proofs/keep", KEEP),
    ("echo.socket", "[Socket]\nListenStream=/run/echo.sock\nTriggerLimitIntervalSec=0\n"),
    ("echo.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/usr/local/lib/proofs/echo\n"),
    ("/usr/local/lib/proofs/echo", ECHO),
    (
        "each.socket",
        "[Socket]\nListenStream=/run/each.sock\nAccept=yes\nMaxConnections=1000\nTriggerLimitIntervalSec=0\n\
         PollLimitIntervalSec=0\n",
    ),
    (
        "each@.service",
        "[Unit]\nCollectMode=inactive-or-failed\n[Service]\nExecStart=/bin/echo answered\nStandardInput=socket\n\
         StandardOutput=socket\n",
    ),
    ("flip-a.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n"),
    ("flip-b.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n"),
    ("flip-log.service", "[Service]\nType=oneshot\nExecStart=/bin/echo a-service-says\n"),
    ("tick.timer", "[Timer]\nOnActiveSec=100ms\nOnUnitActiveSec=100ms\nAccuracySec=1ms\n"),
    (
        "tick.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\n\
         ExecStart=/bin/sh -c 'read now rest </proc/uptime; echo $now >>/run/ticks'\n",
    ),
    ("slow.service", "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sleep 3600\n"),
    ("waits.service", "[Unit]\nAfter=slow.service\n[Service]\nExecStart=/bin/true\n"),
];

/// Stores three descriptors and stays.
const KEEP: &str = r#"#!/usr/bin/python3
import os, socket, sys, time
path = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for name in ("one", "two", "three"):
    fd = os.memfd_create(name)
    state = "FDSTORE=1\nFDNAME=" + name
    s.sendmsg([state.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))], 0, path)
s.sendto(b"READY=1", path)
time.sleep(86400)
"#;

/// Answers 20 connections, then leaves: its socket starts it again.
const ECHO: &str = r#"#!/usr/bin/python3
import socket
s = socket.socket(fileno=3)
s.settimeout(10)
for n in range(20):
    try:
        c, _ = s.accept()
    except TimeoutError:
        break
    c.sendall(b"answered\n")
    c.close()
"#;

/// What the clients do; each ends with a line `done N failed N cut N` when its standard input ends.
pub fn inside(words: &[&str]) -> ExitCode {
    let over = until_input_ends();
    let result = match words {
        ["connect", socket] => connect(socket, &over),
        ["flip"] => flip(&over),
        ["monitor"] => monitor(&over),
        ["pipeline"] => pipeline(),
        _ => Err(io::Error::other("connect SOCKET, flip, monitor, pipeline")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("ended by: {why}");
            ExitCode::FAILURE
        }
    }
}

fn until_input_ends() -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Relaxed);
    });
    over
}

/// Counts of one client.
#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    cut: u64,
    first: String,
}

impl Tally {
    fn failed(&mut self, why: &io::Error) {
        self.failed += 1;
        if self.first.is_empty() {
            self.first = format!("first: {why}");
        }
    }

    fn say(&self) {
        println!("done {} failed {} cut {} {}", self.done, self.failed, self.cut, self.first);
    }
}

/// Connects all the time; each connection must be answered.
fn connect(socket: &str, over: &AtomicBool) -> io::Result<()> {
    let mut tally = Tally::default();
    while !over.load(Ordering::Relaxed) {
        match one_connection(socket) {
            Ok(()) => tally.done += 1,
            Err(why) => tally.failed(&why),
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    tally.say();
    Ok(())
}

fn one_connection(socket: &str) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    // A service that has answered and left already does not read it.
    let _ = stream.write_all(b"hello\n");
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    if &answer == b"answered" { Ok(()) } else { Err(io::Error::other("another answer")) }
}

/// Starts and stops services over one connection; makes another when that is cut.
fn flip(over: &AtomicBool) -> io::Result<()> {
    let call = |member: &str, unit: &str| -> Message {
        manager_call(member, |body| {
            body.str(unit).str("replace");
        })
    };
    let calls = [
        call("StartUnit", "flip-a.service"),
        call("StartUnit", "flip-b.service"),
        call("StopUnit", "flip-a.service"),
        call("RestartUnit", "flip-a.service"),
        call("StopUnit", "flip-b.service"),
    ];
    let (mut tally, mut client) = (Tally::default(), Client::connect()?);
    for call in calls.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        match client.ask(call, ANSWER) {
            Ok(_) => tally.done += 1,
            Err(why) => {
                tally.failed(&why);
                let refused = again(&mut tally, &mut client);
                if let Err(why) = refused {
                    tally.failed(&why);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    tally.say();
    Ok(())
}

fn again(tally: &mut Tally, client: &mut Client) -> io::Result<()> {
    tally.cut += 1;
    let end = Instant::now() + ANSWER;
    loop {
        match Client::connect() {
            Ok(new) => {
                *client = new;
                return Ok(());
            }
            Err(why) if Instant::now() > end => return Err(why),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Subscribes and counts signals over one connection.
fn monitor(over: &AtomicBool) -> io::Result<()> {
    let subscribe = manager_call("Subscribe", |_| {});
    let (mut tally, mut client) = (Tally::default(), Client::connect()?);
    client.ask(&subscribe, ANSWER)?;
    while !over.load(Ordering::Relaxed) {
        match client.receive(Instant::now() + Duration::from_millis(100)) {
            Ok(Some(_)) => tally.done += 1,
            Ok(None) => {}
            Err(why) => {
                tally.first = format!("first: {why}");
                again(&mut tally, &mut client)?;
                client.ask(&subscribe, ANSWER)?;
            }
        }
    }
    tally.say();
    Ok(())
}

/// Asks for a re-execution, and at the same blow for more than is worked off before it.
fn pipeline() -> io::Result<()> {
    let mut calls = vec![manager_call("Reexecute", |_| {})];
    calls.resize(300, manager_call("ListJobs", |_| {}));
    let (mut tally, mut client) = (Tally::default(), Client::connect()?);
    let last = client.send_all(&calls)?;
    let end = Instant::now() + ANSWER;
    while let Some(message) = client.receive(end)? {
        tally.done += u64::from(message.reply_serial().is_some());
        if message.reply_serial() == Some(last) {
            break;
        }
    }
    tally.say();
    Ok(())
}
