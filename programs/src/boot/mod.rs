//! `runstead boot`: a throw-away machine in namespaces, shown while it boots, runs and stops.
//!
//! `run` is the process in front of the user; it starts `keep` (enters the namespaces, waits for PID 1), which starts
//! `finish` as PID 1 (builds the file tree, becomes the manager). See `runstead_os::container`. Where namespaces are
//! refused the manager is a child of `run` with a private run root instead.
mod keeper;
mod lacks;
mod machine;
mod options;
mod plain;
mod units;
mod view;

pub use keeper::{finish, keep};

use machine::Machine;
use options::Options;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use view::View;

/// Internal verb of the process that holds the namespaces.
pub const KEEP_VERB: &str = "boot:keep";
/// Internal verb of the process that becomes PID 1.
pub const FINISH_VERB: &str = "boot:finish";

/// Internal verb of the tests: boot as in a container that refuses system calls.
pub const WITHOUT_VERB: &str = "boot:without";

/// How long a shutdown may take before the machine is killed.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// `runstead boot [OPTION...]`.
pub fn run(words: &[&str]) -> ExitCode {
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(why) => return crate::usage::fail(&why),
    };
    match boot(&options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("runstead boot: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `boot:without CALL,... EPERM|ENOSYS [OPTION...]`.
pub fn without(words: &[&str]) -> ExitCode {
    let [calls, errno, rest @ ..] = words else { return crate::usage::fail("internal verb") };
    let errno = if *errno == "ENOSYS" { 38 } else { 1 };
    let numbers: Option<Vec<_>> = calls.split(',').map(runstead_os::sys::refuse::number_of).collect();
    let Some(numbers) = numbers else { return crate::usage::fail("a system call of unknown number") };
    match runstead_os::sys::refuse::refuse_calls(&numbers, errno) {
        Ok(()) => run(rest),
        Err(error) => {
            eprintln!("runstead boot: cannot refuse system calls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn boot(options: &Options) -> Result<u8, String> {
    let signals = runstead_os::signals::Signals::open().map_err(|error| error.to_string())?;
    let mut view = View::new(options);
    let mut machine = Machine::start(options)?;
    machine.lacks().iter().for_each(|lack| view.lack(lack));
    let outcome = attend(options, &mut machine, &mut view, &signals);
    if machine.is_running() {
        view.line("stopping");
        machine.ask_to_stop();
        let end = Instant::now() + STOP_LIMIT;
        while machine.is_running() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        if machine.is_running() {
            machine.kill();
            return Err(format!("the machine did not stop within {} s and was killed", STOP_LIMIT.as_secs()));
        }
    }
    let code = outcome?;
    view.line("stopped");
    Ok(code)
}

/// Show the boot, wait for what was asked for, and say with which status to end.
fn attend(
    options: &Options,
    machine: &mut Machine,
    view: &mut View,
    signals: &runstead_os::signals::Signals,
) -> Result<u8, String> {
    let started = Instant::now();
    let mut up = false;
    loop {
        while let Ok(Some(signal)) = signals.next() {
            if [2, 15, 1].contains(&signal.signal) {
                return Ok(if up || options.span.is_none() { 0 } else { 130 });
            }
        }
        if !machine.is_running() {
            return machine.status().map_or_else(
                || Err("the machine ended while it booted; what it printed is above".to_owned()),
                Ok,
            );
        }
        match machine.units() {
            Ok(units) => view.update(&units, started.elapsed()),
            Err(_) if !up => {}
            Err(error) => return Err(format!("the manager does not answer: {error}")),
        }
        if !up && view.is_up() {
            up = true;
            machine.visit_examples(options);
            view.summary(machine, started.elapsed());
            if let Some(command) = &options.exec {
                return machine.execute(command);
            }
        }
        if let Some(span) = options.span
            && started.elapsed() >= span
        {
            let units = machine.units().map_err(|error| error.to_string())?;
            return view.verdict(&units, up);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
