//! The multi-call binary: PID 1, `runstead boot`, the examples.
mod boot;
mod builtin;
mod carry;
mod example;
mod install;
mod pidfile;
mod rundir;
mod sh;
mod tmpfiles;
mod usage;
mod user_runtime_dir;

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
    if is_called(&args, "init") {
        telinit(&words);
    }
    if is_called(&args, "systemd-tmpfiles") {
        return tmpfiles::run(&words, true);
    }
    if is_called(&args, "systemd-logind") {
        return runstead_manager::login::run();
    }
    if is_called(&args, "systemd-user-runtime-dir") {
        return user_runtime_dir::run(&words);
    }
    if words.first().is_some_and(|verb| PRINTING.contains(verb)) {
        runstead_os::signals::end_with_reader();
    }
    match words.split_first() {
        None => usage::print(),
        Some((&"help" | &"--help" | &"-h", _)) => usage::print(),
        Some((&"--version" | &"version", _)) => usage::version(),
        Some((&"boot", rest)) => boot::run(rest),
        Some((&boot::WITHOUT_VERB, rest)) => boot::without(rest),
        Some((&boot::KEEP_VERB, rest)) => boot::keep(rest),
        Some((&boot::FINISH_VERB, rest)) => boot::finish(rest),
        Some((&"logind", [])) => runstead_manager::login::run(),
        Some((&"install", rest)) => install::install(rest),
        Some((&"uninstall", rest)) => install::uninstall(rest),
        Some((&"carry", rest)) => carry::run(rest),
        Some((&"pidfile", rest)) => pidfile::run(rest),
        Some((&"rundir", rest)) => rundir::run(rest),
        Some((&"sh", rest)) => sh::run(rest),
        Some((&"tmpfiles", rest)) => tmpfiles::run(rest, false),
        Some((&"user-runtime-dir", rest)) => user_runtime_dir::run(rest),
        Some((&"example", rest)) => example::run(rest),
        Some((&"--continue-spawn", rest)) => continue_spawn(rest),
        Some((&"--dump-configuration-items", _)) => usage::dump_configuration_items(),
        Some((verb, _)) if verb.starts_with("--") => manager(&words),
        Some((verb, _)) => usage::fail(&format!("unknown verb '{verb}'")),
    }
}

/// Verbs that print and end: whoever reads may have read enough.
const PRINTING: [&str; 7] =
    ["help", "--help", "-h", "version", "--version", "rundir", "--dump-configuration-items"];

/// Whether we were called by a link of this name.
fn is_called(args: &[OsString], link: &str) -> bool {
    args.first().is_some_and(|name| std::path::Path::new(name).file_name().is_some_and(|name| name == link))
}

/// `init 6` is a request to the init that runs (systemd(1)). Comes back where there is no telinit: the file of an initramfs has
/// that name, too.
fn telinit(words: &[&str]) {
    use std::os::unix::process::CommandExt as _;
    if !words.is_empty() {
        let _ = std::process::Command::new("telinit").args(words).exec();
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
    match runstead_manager::Options::parse(words) {
        Ok(mut options) => {
            options.builtin = &[builtin::SYSTEM, builtin::ALONE];
            runstead_manager::run(options)
        }
        Err(error) => usage::fail(&error),
    }
}
