//! Help, version and what is wrong with a command line.
use std::process::ExitCode;

const HELP: &str = "\
runstead, a system and service manager

Usage: runstead VERB [OPTION...]

Verbs:
  boot                 Boot a throw-away machine and show it; Ctrl-C stops it. Needs no root: it takes what is allowed
                       of namespaces and control groups, and says what is not
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
