//! Each way to crash, a hundred times in a row: the same process goes on with its child, its descriptors and its state.
//!
//! The program that crashes is this one, called as `crash crashy HOW TIMES`; it has no test harness, since that starts
//! threads.
use runstead_os::crash::{self, Provoke, provoke};
use runstead_os::signals::Signals;
use runstead_os::statelog::StateLog;
use runstead_os::{children, handover, process, reexec};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::time::Duration;

fn number(log: &StateLog, key: &str) -> i32 {
    let text = log.get(key).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    text.parse().unwrap_or(-1)
}

fn put(log: &mut StateLog, key: &str, value: i32) {
    log.put(key, value.to_string().as_bytes());
}

/// The first image: a child, a pipe, a new log.
fn begin() -> StateLog {
    let mut log = StateLog::create().expect("log");
    // It outlives this image: the last one ends it.
    let child = std::process::Command::new("sleep").arg("1000").spawn().map(|child| child.id().cast_signed());
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    put(&mut log, "pid", std::process::id().cast_signed());
    put(&mut log, "child", child.expect("sleep"));
    put(&mut log, "read", read.as_raw_fd());
    put(&mut log, "write", write.as_raw_fd());
    put(&mut log, "round", 0);
    // Held by number: the log is what knows of them.
    let _ = (read.into_raw_fd(), write.into_raw_fd());
    log
}

/// A later one: everything must be there.
fn go_on(log: &mut StateLog, how: &str, reason: &str) {
    let round = number(log, "round") + 1;
    assert_eq!(number(log, "pid"), std::process::id().cast_signed());
    let child = number(log, "child");
    assert!(process::is_child(child) && children::peek_pid(child).expect("waitid").is_none());
    let [read, write] =
        ["read", "write"].map(|key| handover::inherited_fd(number(log, key)).expect("inherited"));
    assert_eq!(reexec::close_unclaimed() > 0, round > 0);
    assert_eq!(reexec::close_unclaimed(), 0);
    let mut byte = [0];
    assert_eq!(rustix::io::write(&write, &[round as u8]), Ok(1));
    assert_eq!(rustix::io::read(&read, &mut byte), Ok(1));
    assert_eq!(byte[0], round as u8);
    assert_eq!(log.in_flight_marker(), Some(how));
    let wanted = match how {
        "overflow" | "segv" => "SIGSEGV",
        "abort" => "SIGABRT",
        "bus" => "SIGBUS",
        "ill" => "SIGILL",
        "fpe" => "SIGFPE",
        "sys" => "SIGSYS",
        "hang" => "SIGALRM",
        "panic" => "panic at os/tests/crash.rs",
        other => other,
    };
    assert!(reason.starts_with(wanted), "{reason}");
    put(log, "round", round);
    let _ = (read.into_raw_fd(), write.into_raw_fd());
}

fn crashy(arguments: &[String]) {
    let (how, times) = (arguments[2].clone(), arguments[3].parse::<i32>().expect("a number"));
    let recover =
        arguments.iter().find_map(|argument| argument.strip_prefix(crash::ARGUMENT)?.split_once(','));
    let mut log = match recover {
        Some((fd, _)) => StateLog::inherit(fd.parse().expect("a number")).expect("the log"),
        None => begin(),
    };
    crash::install(&log).expect("handlers");
    // After the handlers: the mask that a crashed image left is replaced now.
    let _signals = Signals::open().expect("signals");
    // Something that must not leak from image to image.
    let _leak = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
    if let Some((_, reason)) = recover {
        go_on(&mut log, &how, reason);
    }
    if number(&log, "round") == times {
        crash::disarm();
        let child = number(&log, "child");
        process::kill(child, 9, None).expect("kill");
        let open = std::fs::read_dir("/proc/self/fd").expect("proc").count();
        println!("done after {} rounds with {open} descriptors", number(&log, "round"));
        return;
    }
    log.in_flight(Some(&how));
    let own = std::process::id().cast_signed();
    match how.as_str() {
        "segv" => provoke(Provoke::Segv),
        "overflow" => provoke(Provoke::StackOverflow),
        "bus" => provoke(Provoke::Bus),
        "ill" => provoke(Provoke::Ill),
        "abort" => provoke(Provoke::Abort),
        "fpe" => process::kill(own, 8, None).expect("kill"),
        "sys" => process::kill(own, 31, None).expect("kill"),
        "panic" => panic!("as asked"),
        "hang" => {
            crash::set_patience(Duration::from_millis(5));
            crash::alarm(true);
            loop {
                std::hint::black_box(0);
            }
        }
        reason => println!("{}", reexec::execute(reason)),
    }
    unreachable!("crashed");
}

fn crashes(how: &str) {
    let own = std::env::current_exe().expect("known");
    let output = std::process::Command::new(own).args(["crashy", how, "100"]).output().expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{how}: {}\n{text}\n{errors}", output.status);
    let rest =
        text.trim().strip_prefix("done after 100 rounds with ").and_then(|rest| rest.split(' ').next());
    let descriptors: u32 = rest.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    assert!(descriptors < 16, "{how} leaks descriptors: {descriptors}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|verb| verb == "crashy") {
        return crashy(&arguments);
    }
    // The arguments of a test harness: a filter for other tests is none for this one.
    if arguments
        .iter()
        .skip(1)
        .any(|argument| argument == "--list" || !argument.starts_with('-') && !argument.contains("crash"))
    {
        return;
    }
    for how in ["segv", "overflow", "bus", "ill", "abort", "fpe", "sys", "panic", "hang", "reexec"] {
        let before = std::time::Instant::now();
        crashes(how);
        println!("test crash::{how} x 100 ... ok ({:?} each)", before.elapsed() / 100);
    }
}
