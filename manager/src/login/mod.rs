//! The login manager: `runstead logind`, in the place of systemd-logind(8).
//!
//! It is a service, not a part of PID 1: what it decides is in [`runstead_core::sessions`], what clients see in
//! [`runstead_api::login1`]; here both are joined with the system bus, with PID 1 and with the kernel.
//!
//! | file | what it holds |
//! |---|---|
//! | `daemon` | the state, the loop, what effects do |
//! | `bus` | the system bus: our name, who calls |
//! | `units` | PID 1: jobs, scopes, and their end |
//! | `calls` | what clients ask for |
//! | `power` | shutdown, sleep, and who may |
//! | `inhibitors` | the locks on these |
//! | `keys` | keys of the machine, and the lid |
//! | `people` | users who linger, and what an earlier login manager left |
//! | `link` | one connection |
mod bus;
mod calls;
mod daemon;
mod inhibitors;
mod keys;
mod link;
mod people;
mod power;
mod units;

use std::process::ExitCode;

/// Runs the login manager until it ends.
pub fn run() -> ExitCode {
    match daemon::Daemon::start() {
        Ok(daemon) => daemon.run(),
        Err(why) => {
            eprintln!("<3>the login manager cannot start: {why}");
            ExitCode::FAILURE
        }
    }
}
