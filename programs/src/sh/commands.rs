//! The shell's own commands: one row each, from which the help is made.
use super::{Outcome, Shell, files, processes, units};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// One command.
pub struct Own {
    /// Its name.
    pub name: &'static str,
    arguments: &'static str,
    what: &'static str,
    /// What it does.
    pub act: fn(&mut Shell, &[&str]) -> Outcome,
}

const fn own(
    name: &'static str,
    arguments: &'static str,
    what: &'static str,
    act: fn(&mut Shell, &[&str]) -> Outcome,
) -> Own {
    Own { name, arguments, what, act }
}

/// In the order of the help.
pub const ALL: &[Own] = &[
    own("help", "", "this list", help),
    own("exit", "[STATUS]", "leave the shell; on the console it starts anew", exit),
    own("poweroff", "", "stop everything in order, then the machine", |_, _| units::end("poweroff.target")),
    own("reboot", "", "the same, and start it again", |_, _| units::end("reboot.target")),
    own("halt", "", "the same, without switching it off", |_, _| units::end("halt.target")),
    own(
        "switch-root",
        "[DIR [INIT]]",
        "from an initramfs to the system mounted at /sysroot or DIR",
        |_, words| units::switch_root(words),
    ),
    own("units", "", "what the manager has loaded", |_, _| units::list()),
    own("status", "UNIT", "one of them", |_, words| units::status(words)),
    own("start", "UNIT", "start a unit and wait for it", |_, words| units::change("StartUnit", words)),
    own("stop", "UNIT", "stop it", |_, words| units::change("StopUnit", words)),
    own("restart", "UNIT", "stop it and start it", |_, words| units::change("RestartUnit", words)),
    own("ps", "", "processes", |_, _| processes::list()),
    own("kill", "[-SIGNAL] PID...", "signal processes, TERM if not said", |_, words| processes::kill(words)),
    own("ls", "[-l] [PATH...]", "what is in a directory", |_, words| files::list(words)),
    own("cat", "FILE...", "print files", |_, words| files::print(words)),
    own("mkdir", "DIR...", "make directories, with those above them", |_, words| {
        files::make_directories(words)
    }),
    own("mount", "[-t TYPE] [-o OPTIONS] [SOURCE TARGET]", "mount; alone: what is", |_, words| {
        files::mount(words)
    }),
    own("umount", "TARGET...", "unmount", |_, words| files::unmount(words)),
    own("echo", "[WORD...]", "print words", echo),
    own("cd", "[DIR]", "go there, or to /", |_, words| files::change_directory(words)),
    own("pwd", "", "where this is", |_, _| files::print_directory()),
    own("exec", "PROGRAM [ARGUMENT...]", "become a program", exec),
];

/// The command of that name.
pub fn find(name: &str) -> Option<&'static Own> {
    ALL.iter().find(|command| command.name == name)
}

/// The help.
pub fn print_help() {
    for command in ALL {
        let usage = format!("{} {}", command.name, command.arguments);
        println!("  {:<46} {}", usage.trim_end(), command.what);
    }
    println!(
        "Everything else is a program by its path, or on PATH. Quotes, backslashes, $NAME and $? are understood."
    );
}

fn help(_: &mut Shell, _: &[&str]) -> Outcome {
    print_help();
    Ok(0)
}

fn exit(shell: &mut Shell, words: &[&str]) -> Outcome {
    let status = match words {
        [] => shell.status,
        [status] => status.parse().map_err(|_| format!("'{status}' is no exit status (0 to 255)"))?,
        _ => return Err("takes one exit status".to_owned()),
    };
    shell.done = true;
    Ok(status)
}

fn echo(_: &mut Shell, words: &[&str]) -> Outcome {
    println!("{}", words.join(" "));
    Ok(0)
}

fn exec(_: &mut Shell, words: &[&str]) -> Outcome {
    let [program, arguments @ ..] = words else { return Err("needs a program".to_owned()) };
    Ok(super::cannot_run(program, &Command::new(program).args(arguments).exec()))
}
