//! `runstead tmpfiles`, and `systemd-tmpfiles` when it is called by that name.
use crate::usage;
use runstead_core::tmpfiles::config::{self, Source, Weight};
use runstead_core::tmpfiles::line;
use runstead_os::tmpfiles::machine::Machine;
use runstead_os::tmpfiles::{Level, Options, Report, read_all, read_files, run as work};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Usage: runstead tmpfiles COMMAND... [OPTION...] [FILE...]

Makes, adjusts, cleans up and removes files and directories as the lines of tmpfiles.d(5) say. Without FILE it reads all of them;
FILE - is the standard input.

Commands, several at a time:
  --create               Make and adjust what lines name
  --clean                Remove what is older than a line's age
  --remove               Remove what lines D, r and R name
  --purge                Remove what lines with $ in FILE made
  --cat-config           Print the files; --tldr: without their comments
  --version, -h, --help  The version; this text

Options:
  --boot                 Lines with ! count, too
  --user                 The files of who calls
  --graceful             Users and groups that are not known are left out of their lines
  --dry-run              Only say what would be done
  --prefix=PATH          Only paths within PATH (may be repeated)
  --exclude-prefix=PATH  No paths within PATH (may be repeated)
  -E                     No paths within /dev, /proc, /run and /sys
  --root=PATH            Work on the tree in PATH, with its files and its users
  --replace=PATH         Read all files, with FILE in place of PATH
  --no-pager             For others' sake: there is no pager

Exit status: 0 done; 65 a line is wrong (it names file and line); 73 something could not be done; 1 anything else.
";

/// `EX_DATAERR`, `EX_CANTCREAT` (sysexits.h).
const WRONG_LINE: u8 = 65;
const NOT_DONE: u8 = 73;

#[derive(Debug, Default)]
struct Wanted<'a> {
    work: Options,
    lines: line::Options,
    user: bool,
    print: Option<Print>,
    root: Option<PathBuf>,
    replace: Option<PathBuf>,
    files: Vec<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Print {
    Whole,
    WithoutComments,
}

/// `runstead tmpfiles ...`; called as `systemd-tmpfiles` the version is the one whose place we take.
pub fn run(words: &[&str], by_its_name: bool) -> ExitCode {
    if words.iter().any(|word| matches!(*word, "--help" | "-h")) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    if words.contains(&"--version") {
        return if by_its_name { usage::reference_version() } else { usage::version() };
    }
    match parse(words).and_then(check) {
        Ok(wanted) => perform(&wanted),
        Err(why) => {
            eprintln!("runstead tmpfiles: {why}\nTry 'runstead tmpfiles --help'.");
            ExitCode::FAILURE
        }
    }
}

fn parse<'a>(words: &[&'a str]) -> Result<Wanted<'a>, String> {
    let mut wanted = Wanted::default();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if word == "--" {
            wanted.files.extend(words.by_ref());
            break;
        }
        if word == "-" || !word.starts_with('-') {
            wanted.files.push(word);
            continue;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if flag(&mut wanted, name) {
            if value.is_some() {
                return Err(format!("option {name} takes no value"));
            }
            continue;
        }
        if !WITH_VALUE.contains(&name) {
            return Err(format!("unknown option '{word}'"));
        }
        let value = value.or_else(|| words.next()).ok_or_else(|| format!("option {name} needs a value"))?;
        with_value(&mut wanted, name, value)?;
    }
    Ok(wanted)
}

const WITH_VALUE: [&str; 6] =
    ["--prefix", "--exclude-prefix", "--root", "--replace", "--image", "--image-policy"];

fn flag(wanted: &mut Wanted<'_>, name: &str) -> bool {
    let operations = &mut wanted.work.operations;
    match name {
        "--create" => operations.create = true,
        "--clean" => operations.clean = true,
        "--remove" => operations.remove = true,
        "--purge" => operations.purge = true,
        "--boot" => wanted.lines.boot = true,
        "--graceful" => wanted.lines.graceful = true,
        "--user" => wanted.user = true,
        "--dry-run" => wanted.work.dry_run = true,
        "--cat-config" => wanted.print = Some(Print::Whole),
        "--tldr" => wanted.print = Some(Print::WithoutComments),
        "--no-pager" => {}
        "-E" => {
            let virtual_trees = ["/dev", "/proc", "/run", "/sys"];
            wanted.lines.excluded.extend(virtual_trees.map(str::to_owned));
        }
        _ => return false,
    }
    true
}

fn with_value(wanted: &mut Wanted<'_>, name: &str, value: &str) -> Result<(), String> {
    match name {
        "--prefix" => wanted.lines.prefixes.push(absolute(name, value)?),
        "--exclude-prefix" => wanted.lines.excluded.push(absolute(name, value)?),
        "--root" => wanted.root = Some(usage::directory(name, value)?).filter(|root| root != Path::new("/")),
        "--replace" if !value.starts_with('/') => {
            return Err(format!("{name} {value}: not an absolute path"));
        }
        "--replace" if !value.ends_with(".conf") => return Err(format!("{name} {value}: not a *.conf file")),
        "--replace" => wanted.replace = Some(PathBuf::from(value)),
        _ => return Err(format!("{name}: disk images are not taken apart; mount it, and give --root=")),
    }
    Ok(())
}

fn absolute(name: &str, value: &str) -> Result<String, String> {
    let path = std::path::absolute(value).map_err(|error| format!("{name} {value}: {error}"))?;
    Ok(path.to_string_lossy().into_owned())
}

fn check(wanted: Wanted<'_>) -> Result<Wanted<'_>, String> {
    let operations = wanted.work.operations;
    if wanted.print.is_none() && operations.is_empty() {
        return Err("give one of --create, --clean, --remove and --purge".to_owned());
    }
    if operations.purge && wanted.files.is_empty() {
        return Err("--purge needs a FILE: without, it would remove much of the system".to_owned());
    }
    if wanted.replace.is_some() && wanted.print.is_some() {
        return Err("--replace does not go together with --cat-config and --tldr".to_owned());
    }
    if wanted.replace.is_some() && wanted.files.is_empty() {
        return Err("--replace needs a FILE to read in its place".to_owned());
    }
    if wanted.user && wanted.root.is_some() {
        return Err("--user and --root do not go together".to_owned());
    }
    Ok(wanted)
}

fn perform(wanted: &Wanted<'_>) -> ExitCode {
    let root = wanted.root.clone().unwrap_or_else(|| PathBuf::from("/"));
    let machine = Machine::new(&root, wanted.user);
    let directories = machine.directories(wanted.user);
    let replaced = wanted.replace.as_ref().map(|path| root.join(path.strip_prefix("/").unwrap_or(path)));
    // What is printed is all that there is, whatever is named.
    let read = match wanted.print {
        Some(_) => read_all(&directories),
        None => read_files(&directories, &wanted.files, replaced.as_deref()),
    };
    let mut sources = match read {
        Ok(sources) => sources,
        Err((name, errno)) => {
            eprintln!("runstead tmpfiles: cannot read {name}: {}", std::io::Error::from(errno));
            return ExitCode::FAILURE;
        }
    };
    if let Some(print) = wanted.print {
        return print_sources(&sources, print);
    }
    if let Some(bytes) = runstead_core::tmpfiles::Host::credential(&machine, "tmpfiles.extra") {
        sources.push(Source { name: "credential tmpfiles.extra".to_owned(), bytes });
    }
    let report = Report::new(least(), !runstead_os::process::is_root(), Box::new(tell));
    let planned = config::plan(&sources, &wanted.lines, &machine);
    for told in &planned.told {
        let level = match told.weight {
            Weight::Wrong => Level::Error,
            Weight::Odd => Level::Notice,
            Weight::Skipped => Level::Debug,
        };
        report.say(level, format_args!("{}:{}: {}", told.place.file, told.place.line, told.text));
    }
    if planned.fatal && !wanted.files.is_empty() {
        return ExitCode::FAILURE;
    }
    let work_options = Options { root, ..wanted.work.clone() };
    match work(&planned.plan, &work_options, &report) {
        _ if planned.invalid => ExitCode::from(WRONG_LINE),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(NOT_DONE),
    }
}

fn print_sources(sources: &[Source], print: Print) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let mut write = |bytes: &[u8]| out.write_all(bytes).is_ok();
    for (number, source) in sources.iter().enumerate() {
        if number > 0 {
            write(b"\n");
        }
        write(format!("# {}\n", source.name).as_bytes());
        match print {
            Print::Whole => {
                write(&source.bytes);
                if source.bytes.last().is_some_and(|last| *last != b'\n') {
                    write(b"\n");
                }
            }
            Print::WithoutComments => {
                let lines = source.lines().map(|(_, line)| line).filter(|line| !line.starts_with(b";"));
                lines.for_each(|line| {
                    write(line);
                    write(b"\n");
                });
            }
        }
    }
    ExitCode::SUCCESS
}

/// `$SYSTEMD_LOG_LEVEL`, as far as we have levels.
fn least() -> Level {
    let text = std::env::var("SYSTEMD_LOG_LEVEL").unwrap_or_default();
    let general = text.split(',').find(|word| !word.contains(':')).unwrap_or("");
    match general {
        "emerg" | "alert" | "crit" | "err" | "0" | "1" | "2" | "3" => Level::Error,
        "warning" | "4" => Level::Warning,
        "notice" | "5" => Level::Notice,
        "debug" | "7" => Level::Debug,
        _ => Level::Info,
    }
}

fn tell(level: Level, text: &str) {
    let mut err = std::io::stderr().lock();
    let plain = |err: &mut std::io::StderrLock<'_>| writeln!(err, "{text}");
    // Whoever told is not stopped by nobody listening.
    let _ = if runstead_os::process::is_journal(&std::io::stderr()) {
        writeln!(err, "<{}>{text}", level as u8)
    } else if level == Level::Error
        && std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none()
    {
        writeln!(err, "\x1b[1;31m{text}\x1b[0m")
    } else {
        plain(&mut err)
    };
}
