//! Each step of a spawn plan, once against the kernel.
mod lean;

use runstead_core::plan::{ExitStatus, Fd, OnError, Op, Plan, Slot, Step, Text};
use runstead_os::spawn::{Child, ExecResult, Options};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// What a plan's shell printed, and its exit status.
struct Outcome {
    output: String,
    status: i32,
    result: ExecResult,
}

fn step(op: Op) -> Step {
    Step { op, setting: "Test", on_error: OnError::Fail(ExitStatus::Exec) }
}

fn wait(child: &Child) -> (i32, ExecResult) {
    let pipe = child.exec_pipe();
    let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
    poll(&mut fds, None).unwrap();
    let result = child.exec_result();
    let pid = rustix::process::Pid::from_raw(child.pid).unwrap();
    let (_, status) =
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap().unwrap();
    let code = status.exit_status().unwrap_or_else(|| 1000 + status.terminating_signal().unwrap_or(0));
    (code, result)
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("runstead-spawn-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Run a shell after these steps; standard output goes to a file.
fn shell(name: &str, steps: Vec<Op>, script: &str, envp: Vec<Text>) -> Outcome {
    let dir = scratch(name);
    let out = dir.join("out").to_str().unwrap().to_owned();
    let flags = 0o1 | 0o100;
    let mut all = vec![
        step(Op::ResetSignals { ignore_sigpipe: true }),
        step(Op::OpenStdio { target: 1, path: out.clone(), flags, mode: 0o666 }),
    ];
    all.extend(steps.into_iter().map(step));
    let argv = ["sh", "-c", script].map(Text::from).to_vec();
    all.push(step(Op::Exec { paths: vec!["/nonexistent/sh".into(), "/bin/sh".into()], argv, envp }));
    let plan = Plan { steps: all, ..Plan::default() };
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    let (status, result) = wait(&child);
    let output = fs::read_to_string(&out).unwrap_or_default();
    fs::remove_dir_all(&dir).unwrap();
    Outcome { output, status, result }
}

#[test]
fn executes_with_environment_and_pid() {
    let envp = vec![
        "A=b c".into(),
        Text::slot("ME=", Slot::Pid),
        Text::slot("JOURNAL_STREAM=", Slot::JournalStream),
    ];
    let got = shell(
        "exec",
        vec![],
        "echo $A; test $ME = $$ && echo same; echo ${JOURNAL_STREAM-none}; exit 3",
        envp,
    );
    assert_eq!((got.output.as_str(), got.status), ("b c\nsame\nnone\n", 3));
    assert_eq!(got.result, ExecResult::Done(vec![]));
}

#[test]
fn a_failed_step_names_itself() {
    let chdir = Step {
        op: Op::Chdir { path: "/nonexistent".into() },
        setting: "WorkingDirectory",
        on_error: OnError::Fail(ExitStatus::Chdir),
    };
    let plan = Plan { steps: vec![step(Op::Setsid), chdir], ..Plan::default() };
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    let (status, result) = wait(&child);
    let ExecResult::Failed(error) = result else { panic!("{result:?}") };
    assert_eq!((status, error.step, error.setting, error.errno), (200, Some(1), "WorkingDirectory", 2));
}

#[test]
fn places_descriptors_and_closes_others() {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let file = fs::File::open("/dev/null").unwrap();
    let fds = vec![write.as_raw_fd(), file.as_raw_fd()];
    let ops = vec![
        Op::DupStdio { from: Fd::Manager(write.as_raw_fd()), target: 2 },
        Op::PlaceFds { fds, nonblock: Some((1, true)) },
    ];
    let script = "echo err >&2; echo three >&3; readlink /proc/self/fd/4; ls /proc/$$/fd; grep flags /proc/$$/fdinfo/3";
    let got = shell("fds", ops, script, vec![]);
    let mut buffer = [0u8; 64];
    let n = rustix::io::read(&read, &mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"err\nthree\n");
    let lines: Vec<&str> = got.output.lines().collect();
    assert_eq!(lines[..6], ["/dev/null", "0", "1", "2", "3", "4"], "{lines:?}");
    assert!(lines[6].ends_with("4001"), "{lines:?}");
}
