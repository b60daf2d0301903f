//! `runstead pidfile`: PID files for scripts, and for programs that make none.
use crate::usage::shell_status;
use runstead_os::signals::Signals;
use runstead_pidfile::{CreateError, PidFile, ReadError, State, check, read};
use serde_json::json;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus};

const HELP: &str = "\
Usage: runstead pidfile read FILE
       runstead pidfile check FILE [--json]
       runstead pidfile write FILE PID
       runstead pidfile run FILE PROGRAM [ARGUMENT...]

A PID file (/run/NAME.pid) holds the number of a daemon's process and a newline (Filesystem Hierarchy Standard 3.0, 3.15.2).

  read     Print the number; white space, leading zeroes, a missing newline and further lines are ignored
  check    Whether its process lives
  write    Make the file for a process; one whose process lives is not replaced
  run      Run a program in the foreground while it has the file, which is removed when it ends

Exit status: 0 done (check: it lives); 1 check: its process has gone, or the number is another's; otherwise it failed; 2 wrong usage;
3 there is no file; 4 the file is none, or it cannot be told; run: that of the program, 128 and the signal that ended it, or 1.
";

const GONE: u8 = 1;
const ABSENT: u8 = 3;
const UNKNOWN: u8 = 4;
/// The child of `run`, which waits for its file before it becomes the program.
const WAIT_VERB: &str = "--wait-for-pidfile";

/// `runstead pidfile VERB ...`.
pub fn run(words: &[&str]) -> ExitCode {
    match words {
        ["read", file] => read_file(file),
        ["check", file] => check_file(file, false),
        ["check", "--json", file] | ["check", file, "--json"] => check_file(file, true),
        ["write", file, pid] => write(file, pid),
        ["run", file, program, arguments @ ..] => run_program(file, program, arguments),
        [WAIT_VERB, gate, program, arguments @ ..] => wait_and_become(gate, program, arguments),
        ["--help" | "-h" | "help", ..] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        [] => wrong("a verb is missing"),
        ["read" | "check" | "write" | "run", ..] => wrong(&format!("{} needs other words", words[0])),
        [verb, ..] => wrong(&format!("unknown verb '{verb}'")),
    }
}

fn wrong(why: &str) -> ExitCode {
    eprintln!("runstead pidfile: {why}\nTry 'runstead pidfile --help'.");
    ExitCode::from(2)
}

fn failed(why: impl std::fmt::Display, status: u8) -> ExitCode {
    eprintln!("runstead pidfile: {why}");
    ExitCode::from(status)
}

fn unreadable(why: &ReadError) -> ExitCode {
    failed(why, if matches!(why, ReadError::Absent(_)) { ABSENT } else { UNKNOWN })
}

fn read_file(file: &str) -> ExitCode {
    match read(file) {
        Ok(pid) => {
            println!("{pid}");
            ExitCode::SUCCESS
        }
        Err(why) => unreadable(&why),
    }
}

fn check_file(file: &str, as_json: bool) -> ExitCode {
    let state = check(file);
    let (word, text, status) = match &state {
        Ok(State::Live(pid)) => ("live", format!("process {pid} lives"), 0),
        Ok(State::Stale(pid)) => ("stale", format!("process {pid} has gone"), GONE),
        Ok(State::Reused(pid)) => {
            ("reused", format!("process {pid} is another one, younger than the file"), GONE)
        }
        Ok(State::Unsure(pid)) => (
            "unsure",
            format!("process {pid} began when the file was written; it may be another one"),
            UNKNOWN,
        ),
        Err(ReadError::Absent(_)) => ("absent", "there is no file".to_owned(), ABSENT),
        Err(why) => ("unreadable", why.to_string(), UNKNOWN),
    };
    if as_json {
        let pid = state.ok().map(State::pid);
        println!("{}", json!({ "file": file, "state": word, "pid": pid, "text": text }));
    } else {
        println!("{word}: {text}");
    }
    ExitCode::from(status)
}

fn write(file: &str, pid: &str) -> ExitCode {
    let pid = match runstead_pidfile::parse(pid.as_bytes()) {
        Ok(pid) => pid,
        Err(why) => return wrong(&format!("PID '{pid}': {why}")),
    };
    if !std::fs::exists(format!("/proc/{pid}")).unwrap_or(false) {
        return failed(format!("there is no process {pid}"), GONE);
    }
    match PidFile::create_for(file, pid) {
        Ok(made) => {
            // The lock goes with us: the file is told live by the process's age.
            made.keep();
            ExitCode::SUCCESS
        }
        Err(why) => not_made(&why),
    }
}

fn not_made(why: &CreateError) -> ExitCode {
    failed(why, if matches!(why, CreateError::Foreign(_)) { UNKNOWN } else { GONE })
}

fn run_program(file: &str, program: &str, arguments: &[&str]) -> ExitCode {
    // Before there is a child: none of its signals is missed.
    let signals = match Signals::open() {
        Ok(signals) => signals,
        Err(error) => return failed(error, GONE),
    };
    let own = match runstead_os::reexec::own_path() {
        Ok(own) => own,
        Err(error) => return failed(format!("cannot find this program: {error}"), GONE),
    };
    let (wait, go) = match gate() {
        Ok(ends) => ends,
        Err(errno) => return failed(format!("cannot make a pipe: {errno}"), GONE),
    };
    let mut command = Command::new(own);
    command.args(["pidfile", WAIT_VERB, &wait.as_raw_fd().to_string(), program]).args(arguments);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("cannot start {program}: {error}"), GONE),
    };
    drop(wait);
    match PidFile::create_for(file, child.id()) {
        Ok(made) => {
            let _ = rustix::io::write(&go, b"\n");
            drop(go);
            let status = end_of(&mut child, &signals);
            drop(made);
            status.map_or_else(|error| failed(error, GONE), |status| ExitCode::from(shell_status(status)))
        }
        Err(why) => {
            // It reads the end of the pipe, and ends.
            drop(go);
            let _ = child.wait();
            not_made(&why)
        }
    }
}

/// A pipe whose first end a child gets.
fn gate() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (wait, go) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::fcntl_setfd(&wait, rustix::io::FdFlags::empty())?;
    Ok((wait, go))
}

/// Wait for the program; what others ask of us is passed on to it.
fn end_of(child: &mut Child, signals: &Signals) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let mut waiting =
            [rustix::event::PollFd::from_borrowed_fd(signals.fd(), rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut waiting, None)?;
        while let Ok(Some(signal)) = signals.next() {
            // What the keyboard sends, the program gets from it, too.
            if signal.pid != 0 && runstead_os::signals::is_request(signal.signal) {
                let _ = runstead_os::process::kill(child.id().cast_signed(), signal.signal, None);
            }
        }
    }
}

/// The file is there when a byte comes; the pipe's end says that there is none.
fn wait_and_become(gate: &str, program: &str, arguments: &[&str]) -> ExitCode {
    let Some(gate) = gate.parse().ok().and_then(runstead_os::handover::inherited_fd) else {
        return wrong("this verb is its own");
    };
    if !matches!(rustix::io::read(&gate, &mut [0; 1]), Ok(1)) {
        return ExitCode::from(GONE);
    }
    drop(gate);
    // We began with what our parent blocks.
    runstead_os::signals::give_back();
    failed(format!("cannot run {program}: {}", Command::new(program).args(arguments).exec()), EXIT_EXEC)
}

/// What a shell ends with that cannot run a program.
const EXIT_EXEC: u8 = 127;
