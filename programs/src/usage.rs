//! Help, version and what is wrong with a command line.
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

const HELP: &str = "\
runstead, a system and service manager

Usage: runstead VERB [OPTION...]

Verbs:
  boot                 Boot a throw-away machine and show it; Ctrl-C stops it. Needs no root: it takes what is allowed
                       of namespaces and control groups, and says what is not
  install              Become the init of this system, or of the tree in --root DIR ('runstead install --help')
  uninstall            Give its init back to it
  rundir VERB          What is in /run (tree), whether it is as it has to be (check), who takes how much (top)
  pidfile VERB         Make, read and check PID files, or run a program with one (`runstead pidfile --help`)
  user-runtime-dir start|stop USER
                       Make or remove a user's /run/user/UID, as user-runtime-dir@.service does
  logind               Be the login manager, as systemd-logind.service starts it
  tmpfiles COMMAND     Make, clean up and remove files as tmpfiles.d(5) says ('runstead tmpfiles --help')
  carry list           Which files of /run are carried over to the next boot (`runstead carry --help`)
  sh [-c LINE]         A small shell, for consoles of systems without one ('help' in it lists its commands)
  example NAME         One of the example programs that `boot` runs
  help, version        This text; the version

Options of boot:
  --root DIR           Boot the distribution in DIR (changes are thrown away) instead of the built-in units
  --units DIR          Add the unit files of DIR
  --exec CMD           Once up, run CMD in the machine and exit with its status
  --for SPAN           End by itself after SPAN (5s, 2min)
  --json               One JSON object a line instead of the display

As PID 1, or with --system or --user, runstead is the manager and takes the options of systemd(1):
  --unit=UNIT --log-level=LEVEL --log-target=TARGET --show-status=BOOL --dump-configuration-items
";

/// Print the help.
pub fn print() -> ExitCode {
    print!("{HELP}");
    ExitCode::SUCCESS
}

/// Print the version.
pub fn version() -> ExitCode {
    println!("runstead {} (behaves as systemd 257)", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

/// Print what programs look for that ask systemd's own for its version.
pub fn reference_version() -> ExitCode {
    println!("systemd 257 (runstead {})", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

/// The value of an option that names a directory, as an absolute path.
pub fn directory(name: &str, text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text).ok().filter(|path| path.is_dir());
    path.ok_or_else(|| format!("{name} {text}: not a directory"))
}

/// What a shell makes of how a program ended.
pub fn shell_status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Say what is wrong with the command line; exit status 2.
pub fn fail(why: &str) -> ExitCode {
    eprintln!("runstead: {why}\nTry 'runstead help'.");
    ExitCode::from(2)
}

/// Every directive with its section, as systemd(1) lists them.
pub fn dump_configuration_items() -> ExitCode {
    print!("{}", runstead_core::directives::listing::configuration_items());
    ExitCode::SUCCESS
}
