//! Joins: the loop of the system and the user manager. Events come from `os`, go through the engine of `core`, and the
//! effects that leave it are executed here with `os`; clients are served through `api`.
//!
//! | file | what it holds |
//! |---|---|
//! | `options` | command line, kernel command line, `system.conf` |
//! | `startup`, `shutdown` | before the loop, after the loop |
//! | `alone` | a machine without unit files |
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
//! | `login` | the login manager, a program of its own |
//! | `configuration` | system.conf and user.conf |
//! | `log`, `console` | our own log lines, and status output |
//! | `own_user` | whom the manager runs as, and where that user's files lie |
//! | `persist`, `recovery` | the state log and re-execution; what crashes teach |
//! | `usage` | what units have used, once their control groups are gone |
//! | `shares` | what units take of the run root, for clients that ask |
//! | `minimal` | what the manager still does while it crashes in a loop |
mod aliens;
mod alone;
mod announce;
mod authority;
mod bus;
mod calls;
mod chain;
pub mod client;
mod clients;
mod configuration;
mod console;
mod devices;
mod effects;
mod facts;
mod fds;
mod files;
mod log;
pub mod login;
mod minimal;
mod notify;
mod options;
mod own_user;
mod persist;
mod recovery;
mod shares;
mod shell;
mod shutdown;
mod startup;
mod supervisor;
mod tables;
mod usage;
mod varlink;

pub use options::Options;
use std::process::ExitCode;

/// Run the manager until it ends. As PID 1 this returns only when the machine cannot be ended from here.
pub fn run(options: Options) -> ExitCode {
    let user = options.user;
    if std::process::id() == 1 && options.recover.is_none() {
        runstead_os::mount::proc_first();
    }
    runstead_os::sys::heap::keep_small();
    runstead_os::sys::inherit::keep_from_children();
    match startup::start(options) {
        Ok(startup::Started::Whole(shell)) => shell.run(),
        Ok(startup::Started::Minimal(minimal)) => minimal.run(),
        // PID 1 may not end: the kernel would, too.
        Err(error) if std::process::id() == 1 && !user => {
            minimal::Minimal::without_log(&error.to_string()).run()
        }
        Err(error) => {
            eprintln!("runstead: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
