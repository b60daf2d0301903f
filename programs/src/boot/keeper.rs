//! The form in namespaces: the keeper, which enters them and waits, and PID 1 until it is the manager.
//!
//! Both tell the caller by lines on standard output: `map` (give my user namespace its users, then write a line), `pid N`,
//! `built`, or `refused WHY`.
use super::lacks;
use super::machine::{Form, Machine, NoMachine};
use super::options::Options;
use super::{FINISH_VERB, KEEP_VERB, units};
use runstead_os::container::{self, CgroupTree, ContainerCgroup, Mapping, Root};
use runstead_os::process;
use runstead_os::users::{Users, subordinate};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

/// Where the binary and the built-in units are seen inside.
const INSIDE: &str = "/run/runstead";

/// Which users there are inside, as the keeper is told.
const SAME: &str = "same";
const ONE: &str = "one";
const MANY: &str = "many";

/// Make the namespaces and start PID 1 in them.
pub fn start(options: &Options) -> Result<Machine, NoMachine> {
    let failed = NoMachine::Failed;
    let users = !process::is_root();
    let ids = subordinate_ids(options).map_err(failed)?;
    let name = format!("runstead-boot-{}", std::process::id());
    let base = std::env::temp_dir().join(&name);
    fs::create_dir(&base).map_err(|error| {
        failed(format!("cannot make {}: {error} (another place: TMPDIR=DIR runstead boot)", base.display()))
    })?;
    let cgroup = if users { None } else { ContainerCgroup::create(&name) };
    let mut command = Command::new("/proc/self/exe");
    command.arg(KEEP_VERB).arg(&base);
    command.arg(cgroup.as_ref().map_or(Path::new(""), ContainerCgroup::path));
    command.arg(options.root.as_deref().unwrap_or(Path::new("")));
    command.arg(match (users, ids) {
        (false, _) => SAME,
        (true, None) => ONE,
        (true, Some(_)) => MANY,
    });
    command.args(&options.units);
    // Its own process group: Ctrl-C is for us, and we ask PID 1 in order.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = process::by_fork(&mut command).spawn();
    let child = child.map_err(|error| failed(format!("cannot start a process: {error}")))?;
    let mut lacks = Vec::new();
    if users && ids.is_none() {
        lacks.push(lacks::users());
    }
    if cgroup.is_none() {
        lacks.push(lacks::cgroups(if users { "not root" } else { "none can be made here" }));
    }
    let form = Form::Namespaces { users };
    // From here on dropping it cleans up.
    let mut machine = Machine { form, child, pid: 0, base, cgroup, lacks, client: None, status: None };
    machine.pid = follow(&mut machine.child, ids)?;
    Ok(machine)
}

/// Subordinate ids of somebody who is not root and wants to boot a distribution.
fn subordinate_ids(options: &Options) -> Result<Option<subordinate::Subordinate>, String> {
    if options.root.is_none() || process::is_root() {
        return Ok(None);
    }
    let (uid, _) = process::own_ids();
    let name = Users::default().by_uid(uid).map_or(uid.to_string(), |user| user.name);
    subordinate::find(&name, uid).map(Some).map_err(|why| lacks::subordinate_ids(&name, &why))
}

/// Do what the keeper asks for until PID 1 is built; its PID.
fn follow(keeper: &mut Child, ids: Option<subordinate::Subordinate>) -> Result<i32, NoMachine> {
    let mut pid = None;
    let lines = keeper.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.lines());
    for line in lines.map_while(Result::ok) {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("map", _) => {
                if let Some(ids) = ids {
                    ids.give_to(keeper.id()).map_err(NoMachine::Failed)?;
                }
                // A keeper that is gone says no more.
                let _ = keeper.stdin.as_mut().map(|input| input.write_all(b"\n"));
            }
            ("pid", number) => pid = number.parse().ok(),
            ("built", _) => break,
            ("refused", why) => return Err(NoMachine::Refused(why.to_owned())),
            _ => {}
        }
    }
    pid.ok_or_else(|| NoMachine::Failed("the machine could not be set up; the reason is above".to_owned()))
}

/// The keeper: enter the namespaces, start PID 1, tell its PID, wait, and end as it ends.
pub fn keep(words: &[&str]) -> ExitCode {
    let [_, cgroup, _, users, ..] = words else { return crate::usage::fail("internal verb") };
    let cgroup = (!cgroup.is_empty()).then(|| Path::new(*cgroup));
    let users = match *users {
        ONE => Some(Mapping::One),
        MANY => Some(Mapping::Outside(ask_for_users)),
        _ => None,
    };
    if let Err(error) = container::enter_namespaces(cgroup, users) {
        println!("refused {error}");
        return ExitCode::FAILURE;
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg(FINISH_VERB).args(words).stdin(Stdio::null()).stdout(Stdio::inherit());
    let mut child = match process::by_fork(&mut command).spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("refused cannot start PID 1: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("pid {}", child.id());
    match child.wait() {
        // reboot(2) in a PID namespace ends its init by SIGINT (power off, halt) or SIGHUP (reboot).
        Ok(status) if matches!(status.signal(), Some(1 | 2)) => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Wait until the caller has made the users of our namespace.
fn ask_for_users() -> std::io::Result<()> {
    println!("map");
    std::io::stdin().read_line(&mut String::new()).map(drop)
}

/// PID 1 before it is the manager: build the tree, put binary and units into it, execute.
pub fn finish(words: &[&str]) -> ExitCode {
    let [base, cgroup, root, users, added @ ..] = words else { return crate::usage::fail("internal verb") };
    let tree = match (*users, cgroup.is_empty()) {
        (SAME, false) => CgroupTree::Own,
        (SAME, true) => CgroupTree::Absent,
        _ => CgroupTree::Shown,
    };
    match finish_inner(base, tree, root, added) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("runstead boot: {error}");
            ExitCode::FAILURE
        }
    }
}

fn finish_inner(
    base: &str,
    cgroups: CgroupTree,
    root: &str,
    added: &[&str],
) -> Result<std::convert::Infallible, String> {
    let binary = fs::read("/proc/self/exe").map_err(|error| format!("cannot read this binary: {error}"))?;
    let from = if root.is_empty() { Root::Host } else { Root::Directory(PathBuf::from(root)) };
    // Read before the old root goes away.
    let added = units::read_all(&added.iter().map(PathBuf::from).collect::<Vec<_>>())?;
    if let Err(error) = container::build_root(&from, Path::new(base), cgroups, &[]) {
        println!("refused {error}");
        return Err(error.to_string());
    }
    let inside = Path::new(INSIDE);
    let image = inside.join("runstead");
    let io = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("cannot write {what}: {error}")
    };
    fs::create_dir_all(inside).map_err(io(INSIDE))?;
    fs::write(&image, binary).map_err(io("the binary"))?;
    fs::set_permissions(&image, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(io("its mode"))?;
    let mut command = Command::new(&image);
    command
        .env_clear()
        .env("container", "runstead")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if cgroups == CgroupTree::Shown {
        container::give_up_the_machine();
        // With a run root that is given the manager makes no cgroups: they would be the caller's.
        command.arg("--run-root=/run");
    }
    if root.is_empty() {
        let dir = inside.join("units");
        units::write_all(&added, &dir)?;
        command.env("SYSTEMD_UNIT_PATH", &dir).env("SYSTEMD_GENERATOR_PATH", "").arg("--unit=default.target");
    } else {
        units::write(&added, Path::new("/run/systemd/system"))?;
    }
    println!("built");
    Err(format!("cannot execute the manager: {}", command.exec()))
}
