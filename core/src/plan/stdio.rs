//! Standard input, output and error, and terminals (systemd.exec(5), "Logging and Standard Input/Output").
use super::builder::Builder;
use super::{ExitStatus, Fd, HeldTty, Op, PlanError};
use crate::directives::ids;

const O_RDONLY: i32 = 0;
const O_WRONLY: i32 = 1;
const O_RDWR: i32 = 2;
const O_CREAT: i32 = 0o100;
const O_NOCTTY: i32 = 0o400;
const O_TRUNC: i32 = 0o1000;
const O_APPEND: i32 = 0o2000;
/// The greatest data for standard input (the reference's limit as well).
const DATA_MAX: usize = 1 << 20;

fn tty_path<'a>(b: &Builder<'a>) -> &'a str {
    b.settings().text(ids::TTY_PATH).unwrap_or("/dev/console")
}

/// Whether a word for standard input or output means a terminal (systemd.exec(5)).
pub(crate) fn is_tty(word: &str) -> bool {
    matches!(word, "tty" | "tty-force" | "tty-fail" | "journal+console" | "kmsg+console")
}

/// Whether any of the three is a terminal.
fn uses_tty(b: &Builder) -> bool {
    let s = b.settings();
    [ids::STANDARD_INPUT, ids::STANDARD_OUTPUT, ids::STANDARD_ERROR]
        .into_iter()
        .any(|id| s.text(id).is_some_and(is_tty))
}

/// Reset and hang up the terminal before the process takes it.
pub(super) fn reset_terminal(b: &mut Builder) {
    let s = b.settings();
    let (reset, vhangup) = (s.bool(ids::TTY_RESET), s.bool(ids::TTY_VHANGUP));
    let dimension = |id| u16::try_from(s.uint(id)).ok().filter(|n| *n != u16::MAX).unwrap_or(0);
    let size = (dimension(ids::TTY_ROWS), dimension(ids::TTY_COLUMNS));
    if !(uses_tty(b) || s.is_set(ids::TTY_PATH)) || !(reset || vhangup || size != (0, 0)) {
        return;
    }
    let path = tty_path(b).to_owned();
    b.ignore(Op::ResetTty { path, reset, vhangup, size }, "TTYPath");
}

/// Connect all three.
pub(super) fn connect(b: &mut Builder) -> Result<(), PlanError> {
    let s = b.settings();
    let mut input = s.text(ids::STANDARD_INPUT).unwrap_or("null");
    // A terminal is for the main process; the others must not wait for it or steal it.
    if is_tty(input) && !b.spec.is_main {
        input = "null";
    }
    if b.spec.socket.is_none() && input == "socket" {
        input = "null";
    }
    let input = if !s.bytes(ids::STANDARD_INPUT_DATA).is_empty() && input == "null" { "data" } else { input };
    match given(b, 0)? {
        Some(fd) => b.fail(Op::DupStdio { from: fd, target: 0 }, "StandardInput", ExitStatus::Stdin),
        None => connect_input(b, input)?,
    }
    // What outputs inherit: the input, unless it is nothing one could write to.
    let writable = matches!(input, "tty" | "tty-force" | "tty-fail" | "socket") || input.starts_with("fd:");
    let word = |id| s.text(id).filter(|word| !word.is_empty() && *word != "inherit");
    let output = word(ids::STANDARD_OUTPUT).unwrap_or(if writable { "stdin" } else { "null" });
    match given(b, 1)? {
        Some(fd) => b.fail(Op::DupStdio { from: fd, target: 1 }, "StandardOutput", ExitStatus::Stdout),
        None => connect_output(b, 1, output, ExitStatus::Stdout)?,
    }
    if let Some(fd) = given(b, 2)? {
        b.fail(Op::DupStdio { from: fd, target: 2 }, "StandardError", ExitStatus::Stderr);
        return Ok(());
    }
    match word(ids::STANDARD_ERROR) {
        Some(error) if error != output => connect_output(b, 2, error, ExitStatus::Stderr)?,
        _ => b.fail(Op::DupStdio { from: Fd::Child(1), target: 2 }, "StandardError", ExitStatus::Stderr),
    }
    Ok(())
}

/// The descriptor that a client gave for a standard stream, whatever the settings say.
fn given(b: &Builder, target: usize) -> Result<Option<Fd>, PlanError> {
    let (setting, exit) = [
        ("StandardInput", ExitStatus::Stdin),
        ("StandardOutput", ExitStatus::Stdout),
        ("StandardError", ExitStatus::Stderr),
    ][target];
    let Some(id) = b.spec.stdio[target] else { return Ok(None) };
    let fd = b.fd(id).ok_or_else(|| b.error(setting, exit, "the descriptor is gone"))?;
    Ok(Some(Fd::Manager(fd)))
}

fn open(b: &mut Builder, target: i32, path: &str, flags: i32, setting: &'static str, exit: ExitStatus) {
    let mode = 0o666 & !(b.settings().uint(ids::UMASK) as u32);
    let op = Op::OpenStdio { target, path: path.to_owned(), flags, mode };
    b.fail(op, setting, exit);
}

/// A descriptor passed under a name (`fd:NAME`; without a name the one of the stream).
fn named_fd(b: &Builder, name: &str, default: &str) -> Option<i32> {
    let name = if name.is_empty() { default } else { name };
    let (id, _) = b.spec.fds.iter().find(|(_, known)| &**known == name)?;
    b.fd(*id)
}

fn connect_input(b: &mut Builder, word: &str) -> Result<(), PlanError> {
    const SETTING: &str = "StandardInput";
    match word {
        "tty" | "tty-force" | "tty-fail" => {
            let path = tty_path(b).to_owned();
            open(b, 0, &path, O_RDWR | O_NOCTTY, SETTING, ExitStatus::Stdin);
            let held = match word {
                "tty" => HeldTty::Await,
                "tty-force" => HeldTty::Steal,
                _ => HeldTty::Refuse,
            };
            if super::compile::has_session(b) {
                b.fail(Op::ControllingTty { path, held }, SETTING, ExitStatus::Stdin);
            }
        }
        "socket" => {
            let fd = b.spec.socket.and_then(|id| b.fd(id));
            let fd = fd.ok_or_else(|| b.error(SETTING, ExitStatus::Stdin, "there is no socket"))?;
            b.fail(Op::DupStdio { from: Fd::Manager(fd), target: 0 }, SETTING, ExitStatus::Stdin);
        }
        "data" => {
            let bytes = b.settings().bytes(ids::STANDARD_INPUT_DATA);
            if bytes.len() > DATA_MAX {
                return Err(b.error(SETTING, ExitStatus::Stdin, "more than 1 MiB of data"));
            }
            b.fail(Op::DataStdin { bytes: bytes.to_vec() }, SETTING, ExitStatus::Stdin);
        }
        _ => match word.split_once(':') {
            Some(("fd", name)) => {
                let fd = named_fd(b, name, "stdin");
                let fd = fd.ok_or_else(|| b.error(SETTING, ExitStatus::Stdin, "no such descriptor"))?;
                b.fail(Op::DupStdio { from: Fd::Manager(fd), target: 0 }, SETTING, ExitStatus::Stdin);
            }
            Some(("file", path)) => {
                // When output goes to the same file it is opened once, for both.
                let same = b.settings().text(ids::STANDARD_OUTPUT) == Some(word);
                let flags = if same { O_RDWR | O_CREAT } else { O_RDONLY };
                open(b, 0, path, flags | O_NOCTTY, SETTING, ExitStatus::Stdin);
            }
            _ => open(b, 0, "/dev/null", O_RDONLY, SETTING, ExitStatus::Stdin),
        },
    }
    Ok(())
}

fn connect_output(b: &mut Builder, target: i32, word: &str, exit: ExitStatus) -> Result<(), PlanError> {
    let setting = if target == 1 { "StandardOutput" } else { "StandardError" };
    let dup = |b: &mut Builder, from| b.fail(Op::DupStdio { from, target }, setting, exit);
    match word {
        "stdin" => dup(b, Fd::Child(0)),
        "tty" => {
            let path = tty_path(b).to_owned();
            open(b, target, &path, O_WRONLY | O_NOCTTY, setting, exit);
        }
        "journal" | "journal+console" | "kmsg" | "kmsg+console" | "syslog" | "syslog+console" => {
            journal(b, target, word, setting, exit)
        }
        "socket" => {
            let fd = b.spec.socket.and_then(|id| b.fd(id));
            let fd = fd.ok_or_else(|| b.error(setting, exit, "there is no socket"))?;
            dup(b, Fd::Manager(fd));
        }
        _ => match word.split_once(':') {
            Some(("fd", name)) => {
                let fd = named_fd(b, name, if target == 1 { "stdout" } else { "stderr" });
                let fd = fd.ok_or_else(|| b.error(setting, exit, "no such descriptor"))?;
                dup(b, Fd::Manager(fd));
            }
            Some(("file", _)) if target == 1 && b.settings().text(ids::STANDARD_INPUT) == Some(word) => {
                dup(b, Fd::Child(0))
            }
            Some(("file", path)) => open(b, target, path, O_WRONLY | O_CREAT | O_NOCTTY, setting, exit),
            Some(("append", path)) => {
                open(b, target, path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, setting, exit)
            }
            Some(("truncate", path)) => {
                open(b, target, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, setting, exit)
            }
            _ => open(b, target, "/dev/null", O_WRONLY, setting, exit),
        },
    }
    Ok(())
}

/// The stream protocol's header: identifier, unit, level, whether lines have a level prefix, and where else they go.
fn journal(b: &mut Builder, target: i32, word: &str, setting: &'static str, exit: ExitStatus) {
    let Some(path) = b.facts.journal.clone() else {
        open(b, target, "/dev/null", O_WRONLY, setting, exit);
        return;
    };
    let s = b.settings();
    let command = &b.spec.command.path;
    let basename = command.rsplit('/').next().unwrap_or(command);
    let identifier = s.text(ids::SYSLOG_IDENTIFIER).unwrap_or(basename);
    let unit = if b.is_system() { b.spec.unit.to_string() } else { String::new() };
    let level = s.int(ids::SYSLOG_FACILITY) << 3 | s.int(ids::SYSLOG_LEVEL);
    let flag = |on: bool| u8::from(on);
    let header = format!(
        "{identifier}\n{unit}\n{level}\n{}\n{}\n{}\n{}\n",
        flag(s.bool(ids::SYSLOG_LEVEL_PREFIX)),
        flag(word.starts_with("syslog")),
        flag(word.starts_with("kmsg")),
        flag(word.ends_with("+console")),
    );
    let as_user = (b.changes_user() && b.user().is_some()).then(|| b.owner());
    let op = Op::JournalStream { target, path, header, as_user };
    b.fail(op, setting, exit);
}

/// The terminal on standard input belongs to the unit's user.
pub(super) fn own_terminal(b: &mut Builder) {
    let tty = b.settings().text(ids::STANDARD_INPUT).is_some_and(is_tty) && b.spec.is_main;
    if let (true, Some(user)) = (tty, b.user()) {
        b.fail(Op::ChownTty { uid: user.uid }, "User", ExitStatus::Stdin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_a_terminal() {
        assert!(is_tty("tty-force") && is_tty("journal+console") && !is_tty("journal"));
    }
}
