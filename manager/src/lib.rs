//! Joins: the loop of the system and the user manager. Events come from `os`, go through the engine of `core`, and the
//! effects that leave it are executed here with `os`; clients are served through `api`.
//!
//! | file | what it holds |
//! |---|---|
//! | `options` | command line, kernel command line, `system.conf` |
//! | `startup`, `shutdown` | before the loop, after the loop |
//! | `shell` | the state, the loop, what a ready descriptor means |
//! | `effects`, `chain` | executing effects, and the steps of chains |
//! | `clients`, `calls` | connections, and what their calls become |
//! | `announce` | signals on the bus |
//! | `bus` | the system bus |
//! | `notify` | the notification socket |
//! | `fds` | descriptors by id |
//! | `facts` | what only the kernel knows, for properties |
//! | `tables` | kernel tables, watches, signals |
//! | `varlink` | the sockets that answer for others |
//! | `files` | enable, disable, mask: unit files |
//! | `log`, `console` | our own log lines, and status output |
//! | `persist` | the state log and re-execution |
mod announce;
mod bus;
mod calls;
mod chain;
mod clients;
mod console;
mod effects;
mod facts;
mod fds;
mod files;
mod log;
mod notify;
mod options;
mod persist;
mod shell;
mod shutdown;
mod startup;
mod tables;
mod varlink;

pub use options::Options;
use std::process::ExitCode;

/// Run the manager until it ends. As PID 1 this returns only when the machine cannot be ended from here.
pub fn run(options: Options) -> ExitCode {
    match startup::start(options) {
        Ok(shell) => shell.run(),
        Err(error) => {
            eprintln!("runstead: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
