//! Prints what a spawn costs beside posix_spawn(3): `cargo run --release -p runstead-os --example spawn_ratio [PROGRAM]`.
//! Give it a small static program; a dynamic one costs more than the spawn.
use runstead_core::plan::{ExitStatus, OnError, Op, Plan, Step};
use runstead_os::spawn::{Options, Spawner};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 1000;

fn plan(program: &str) -> Plan {
    let fail = OnError::Fail(ExitStatus::Exec);
    let step = |op| Step { op, setting: "bench", on_error: fail };
    let null = |target, flags| step(Op::OpenStdio { target, path: "/dev/null".into(), flags, mode: 0 });
    let exec = Op::Exec { paths: vec![program.into()], argv: vec![program.into()], envp: vec!["A=b".into()] };
    let steps = vec![step(Op::ResetSignals { ignore_sigpipe: true }), null(0, 0), null(1, 1), step(exec)];
    Plan { steps, ..Plan::default() }
}

fn main() {
    let program = std::env::args().nth(1).unwrap_or_else(|| "/bin/true".into());
    let (spawner, plan) = (Spawner::default(), plan(&program));
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let child = spawner.spawn(&plan, Options::default()).expect("a child");
        let pid = Pid::from_raw(child.pid).expect("a PID");
        waitpid(Some(pid), WaitOptions::empty()).expect("ours");
        ours += start.elapsed();
        let start = Instant::now();
        let mut command = Command::new(&program);
        command.env_clear().env("A", "b").stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().expect("a child").wait().expect("ours");
        theirs += start.elapsed();
    }
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("spawn to exit: plan {:?}, posix_spawn {:?}, ratio {ratio:.2}", ours / ROUNDS, theirs / ROUNDS);
}
