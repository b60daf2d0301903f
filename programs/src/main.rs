//! The multi-call binary: PID 1, `runstead boot`, the examples.
mod boot;
mod builtin;
mod example;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<&str> = args.iter().skip(1).filter_map(|arg| arg.to_str()).collect();
    if words.len() + 1 != args.len() {
        return usage::fail("an argument is not valid UTF-8");
    }
    if std::process::id() == 1 && words.first() != Some(&boot::FINISH_VERB) {
        return manager(&words);
    }
    match words.split_first() {
        None => usage::print(),
        Some((&"help" | &"--help" | &"-h", _)) => usage::print(),
        Some((&"--version" | &"version", _)) => usage::version(),
        Some((&"boot", rest)) => boot::run(rest),
        Some((&boot::WITHOUT_VERB, rest)) => boot::without(rest),
        Some((&boot::KEEP_VERB, rest)) => boot::keep(rest),
        Some((&boot::FINISH_VERB, rest)) => boot::finish(rest),
        Some((&"example", rest)) => example::run(rest),
        Some((&"--continue-spawn", rest)) => continue_spawn(rest),
        Some((&"--dump-configuration-items", _)) => usage::dump_configuration_items(),
        Some((verb, _)) if verb.starts_with("--") => manager(&words),
        Some((verb, _)) => usage::fail(&format!("unknown verb '{verb}'")),
    }
}

/// The second half of a spawn with a PAM session.
fn continue_spawn(words: &[&str]) -> ExitCode {
    let Some(fd) = words.first().and_then(|word| word.parse().ok()) else {
        return usage::fail("--continue-spawn is the manager's own and takes a descriptor");
    };
    eprintln!("runstead: cannot go on with the start of a process: {}", runstead_os::spawn::go_on_from(fd));
    ExitCode::from(EXIT_EXEC)
}

/// What a process exits with that could not be executed (systemd.exec(5)).
const EXIT_EXEC: u8 = 203;

/// The manager itself: as PID 1, or with `--user`, or with `--recover` after a crash.
fn manager(words: &[&str]) -> ExitCode {
    let options = match runstead_manager::Options::parse(words) {
        Ok(options) => options,
        Err(error) => return usage::fail(&error),
    };
    runstead_manager::run(options)
}
