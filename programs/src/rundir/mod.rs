//! `runstead rundir`: what is in `/run`, whose it is, and whether it is as it has to be.
//!
//! | file | subject |
//! |---|---|
//! | `check` | the requirements, a row each |
//! | `tree` | what is there |
//! | `top` | who takes how much of it, live |
//! | `owners` | which unit a path belongs to |
//! | `options` | the command line |
//! | `paint` | colours and sizes |
mod check;
mod options;
mod owners;
mod paint;
mod top;
mod tree;

use options::{Options, Verb};
use runstead_core::rundir::Survey;
use std::process::ExitCode;

const HELP: &str = "\
Usage: runstead rundir tree [--depth N | --all] [--root DIR] [--json]
       runstead rundir check [--root DIR] [--json]
       runstead rundir top [--interval SPAN] [--once] [--json]

tree shows what is in /run: whose it is, bytes, inodes, sockets with who listens and how many are connected, PID files and whether
their process lives, mounts. check tells each requirement of the Filesystem Hierarchy Standard and of runstead, whether it holds,
and if not what breaks it and how to mend that. top shows what each unit takes of /run, live.

  --depth N         Show N levels (2)
  --all             Show all levels
  --root DIR        Look at the image in DIR instead of this system
  --interval SPAN   Time between two looks (2s)
  --once            Look once
  --json            One JSON object a line

Exit status: 0 fine; 1 a requirement is broken; 2 wrong usage; 4 it cannot be looked at.
";

const CANNOT_LOOK: u8 = 4;

/// `runstead rundir VERB [OPTION...]`.
pub fn run(words: &[&str]) -> ExitCode {
    let options = match Options::parse(words) {
        Ok(options) if options.help => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(options) => options,
        Err(why) => {
            eprintln!("runstead rundir: {why}\nTry 'runstead rundir --help'.");
            return ExitCode::from(2);
        }
    };
    let outcome = match options.verb {
        Verb::Check => check::run(&options),
        Verb::Tree => tree::run(&options),
        Verb::Top => top::run(&options),
    };
    outcome.unwrap_or_else(|why| {
        eprintln!("runstead rundir: {why}");
        ExitCode::from(CANNOT_LOOK)
    })
}

fn look(options: &Options) -> Result<Survey, String> {
    runstead_os::rundir::survey(&options.root).map_err(|error| format!("cannot {error}"))
}

/// What could not be read is said, so that nobody takes the rest for all.
fn tell_unseen(survey: &Survey) {
    const SHOWN: usize = 3;
    for (path, why) in survey.unseen.iter().take(SHOWN) {
        eprintln!("not looked at: {path}: {why}");
    }
    if survey.unseen.len() > SHOWN {
        eprintln!("not looked at: {} more; run this as root to see all", survey.unseen.len() - SHOWN);
    }
}
