//! The harness itself: what a machine that hangs, panics or is killed leaves. Needs root and the Debian root.

use runstead_compat::arguments::Arguments;
use runstead_compat::machine::{Machine, Options, UnderTest, find_cgroup2};
use runstead_compat::root;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

type Outcome = Result<(), String>;
type Test = (&'static str, fn() -> Outcome);

fn main() -> ExitCode {
    let boots_only = Arguments::from_env("usage: harness [--boot-and-wait]").and_then(|mut words| {
        let boots_only = words.flag("--boot-and-wait");
        words.none_left().map(|()| boots_only)
    });
    match boots_only {
        Ok(true) => return boot_and_wait(),
        Ok(false) => {}
        Err(status) => return status,
    }
    let all: &[Test] = &[
        ("a PID 1 that hangs is named with the place where it hangs", hangs),
        ("a panic leaves no process, cgroup or directory", panics),
        ("a killed test leaves no process, and the next one sweeps the rest", killed),
    ];
    let mut failed = 0;
    for (name, test) in all {
        let outcome = test();
        println!(
            "{} {name}{}",
            if outcome.is_ok() { "ok  " } else { "FAIL" },
            outcome.as_ref().err().cloned().unwrap_or_default()
        );
        failed += usize::from(outcome.is_err());
    }
    println!("{} passed, {failed} failed", all.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sleeper() -> Result<Options, String> {
    let mut options = Options::new(UnderTest::Systemd, root::chosen()?);
    options.before =
        ["/bin/sh", "-c", "echo hello from the sleeper >/dev/console; sleep 1000"].map(String::from).into();
    Ok(options)
}

fn boot_and_wait() -> ExitCode {
    let machine = sleeper().and_then(|options| Ok(Machine::boot(&options)?));
    match machine {
        Ok(machine) => {
            println!("{} {}", machine.pid1(), machine.cgroup().display());
            std::thread::sleep(Duration::from_secs(100));
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn hangs() -> Outcome {
    let mut machine = Machine::boot(&sleeper()?)?;
    let why = match machine.wait_running(Duration::from_secs(2)) {
        Ok(state) => return Err(format!("it is {state}")),
        Err(why) => why.to_string(),
    };
    for part in ["hello from the sleeper", "wchan: do_wait", "syscall: ", "PID 1 is process"] {
        if !why.contains(part) {
            return Err(format!("no {part:?} in: {why}"));
        }
    }
    let (pid, cgroup) = (machine.pid1(), machine.cgroup().to_path_buf());
    drop(machine);
    gone(pid, &cgroup)
}

fn panics() -> Outcome {
    let machine = Machine::boot(&sleeper()?)?;
    let (pid, cgroup) = (machine.pid1(), machine.cgroup().to_path_buf());
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::thread::scope(|s| {
        let doomed = s.spawn(move || {
            let _machine = machine;
            panic!("a scenario's own");
        });
        doomed.join()
    });
    std::panic::set_hook(quiet);
    if caught.is_ok() {
        return Err("it did not panic".to_owned());
    }
    gone(pid, &cgroup)
}

fn killed() -> Outcome {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(me)
        .arg("--boot-and-wait")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map_err(|e| format!("start the child: {e}"))?;
    let mut line = String::new();
    let out = child.stdout.take().ok_or("no pipe")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).map_err(|e| e.to_string())?;
    let (pid, cgroup) = line.trim().split_once(' ').ok_or_else(|| format!("the child said {line:?}"))?;
    let pid = pid.parse().map_err(|e| format!("{line}: {e}"))?;
    child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
    let path = format!("/proc/{pid}");
    for _ in 0..200 {
        if !Path::new(&path).exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    if Path::new(&path).exists() {
        return Err(format!("process {pid} outlived the test that booted it"));
    }
    drop(Machine::boot(&sleeper()?)?);
    gone(pid, Path::new(cgroup))
}

fn gone(pid: u32, cgroup: &Path) -> Outcome {
    let name = cgroup.file_name().ok_or("no name")?;
    let directory = root::cache().parent().unwrap_or(Path::new("/var/tmp")).join("run").join(name);
    for path in [Path::new(&format!("/proc/{pid}")), cgroup, &directory] {
        if path.exists() {
            return Err(format!("{} is still there", path.display()));
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
    if mounts.contains(&*name.to_string_lossy()) {
        return Err("a mount is still there".to_owned());
    }
    find_cgroup2()?;
    Ok(())
}
