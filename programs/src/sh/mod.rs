//! `runstead sh`: a console where there is no shell. It runs programs and a few commands of its own, and knows no pipes,
//! redirections, patterns or loops.
//!
//! | file | subject |
//! |---|---|
//! | `words` | a line to words |
//! | `commands` | the table of its own commands, and those about the shell itself |
//! | `files`, `processes`, `units` | commands about files and mounts, processes, the manager |
mod commands;
mod files;
mod processes;
mod units;
mod words;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// As shells have it: the program cannot be run, or is not there.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
const USAGE: u8 = 2;
/// Longest line.
const LINE_MAX: u64 = 64 << 10;
const SYSTEM_SHELL: &str = "/bin/sh";

/// What a command comes back with: its exit status, or what to say when it failed (status 1).
type Outcome = Result<u8, String>;

/// The shell's state.
#[derive(Debug, Default)]
struct Shell {
    status: u8,
    /// It ends with its status.
    done: bool,
}

/// `runstead sh [--system-shell] [-c LINE]`.
pub fn run(words: &[&str]) -> ExitCode {
    let words = match words {
        ["--system-shell", rest @ ..] => {
            if std::path::Path::new(SYSTEM_SHELL).exists() {
                let error = Command::new(SYSTEM_SHELL).args(rest).exec();
                eprintln!("runstead sh: cannot execute {SYSTEM_SHELL}: {error}; this is the built-in shell");
            }
            rest
        }
        words => words,
    };
    let mut shell = Shell::default();
    match words {
        [] => shell.converse(),
        ["-c", line] => shell.line(line),
        ["--help" | "-h"] => commands::print_help(),
        _ => return crate::usage::fail("sh takes nothing, or -c LINE"),
    }
    ExitCode::from(shell.status)
}

impl Shell {
    /// Read lines from standard input until it ends.
    fn converse(&mut self) {
        let terminal = std::io::stdin().is_terminal();
        if terminal {
            // Ctrl-C is for the command that runs.
            let _ = runstead_os::signals::hold_keyboard();
            println!(
                "runstead {} console. 'help' lists the commands, 'poweroff' and 'reboot' end the machine.",
                env!("CARGO_PKG_VERSION")
            );
        }
        let mut input = std::io::stdin().lock();
        while !self.done {
            if terminal {
                let place =
                    std::env::current_dir().map_or_else(|_| "?".to_owned(), |dir| dir.display().to_string());
                print!("{place} # ");
                let _ = std::io::stdout().flush();
            }
            let mut line = Vec::new();
            match std::io::Read::take(&mut input, LINE_MAX).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => self.line(&String::from_utf8_lossy(&line)),
                Err(error) => {
                    eprintln!("runstead sh: cannot read standard input: {error}");
                    self.status = 1;
                    break;
                }
            }
        }
    }

    /// Run one line.
    fn line(&mut self, line: &str) {
        let status = self.status;
        let variable = |name: &str| match name {
            "?" => Some(status.to_string()),
            name => std::env::var(name).ok(),
        };
        let words = match words::split(line, variable) {
            Ok(words) => words,
            Err(error) => {
                eprintln!("runstead sh: {error}");
                self.status = USAGE;
                return;
            }
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((name, arguments)) = words.split_first() else { return };
        let outcome = match commands::find(name) {
            Some(command) => (command.act)(self, arguments),
            None => Ok(execute(name, arguments)),
        };
        self.status = outcome.unwrap_or_else(|why| {
            eprintln!("{name}: {why}");
            1
        });
    }
}

fn execute(name: &str, arguments: &[&str]) -> u8 {
    let mut command = Command::new(name);
    command.args(arguments);
    match runstead_os::process::by_fork(&mut command).status() {
        Ok(status) => crate::usage::shell_status(status),
        Err(error) => cannot_run(name, &error),
    }
}

fn cannot_run(name: &str, error: &std::io::Error) -> u8 {
    if error.kind() == std::io::ErrorKind::NotFound {
        eprintln!(
            "{name}: no such command here and no program of that name on PATH; 'help' lists what there is"
        );
        return NOT_FOUND;
    }
    eprintln!("{name}: cannot be executed: {error}");
    CANNOT_RUN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let mut shell = Shell::default();
        for (line, status) in [
            ("", 0),
            ("cd /no/such/place", 1),
            ("no-such-program-at-all", NOT_FOUND),
            ("", NOT_FOUND),
            ("/", CANNOT_RUN),
            ("ls | cat", USAGE),
            ("pwd", 0),
        ] {
            shell.line(line);
            assert_eq!(shell.status, status, "{line}");
        }
        shell.line("exit 7");
        assert_eq!((shell.status, shell.done), (7, true));
    }

    #[test]
    fn every_command_has_its_own_name() {
        let mut names: Vec<&str> = commands::ALL.iter().map(|command| command.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
