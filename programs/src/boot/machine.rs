//! The machine that `runstead boot` shows: its processes, its cgroup, its private socket.
use super::options::Options;
use super::{FINISH_VERB, KEEP_VERB};
use crate::builtin;
use runstead_manager::client::{Client, UnitLine};
use runstead_os::container::{self, ContainerCgroup, Root};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// `SIGRTMIN+4` asks PID 1 for `poweroff.target` (systemd(1), "Signals").
const POWEROFF_SIGNAL: i32 = runstead_os::signals::RTMIN + 4;

/// Where the binary and the built-in units are seen inside.
const INSIDE: &str = "/run/runstead";

/// A running machine; dropping it kills what is left and removes its cgroup and directory.
#[derive(Debug)]
pub struct Machine {
    keeper: Child,
    /// PID 1 as seen from outside.
    pid: i32,
    client: Option<Client>,
    status: Option<u8>,
    base: PathBuf,
    cgroup: Option<ContainerCgroup>,
}

impl Machine {
    /// Make the namespaces and start PID 1 in them.
    pub fn start(options: &Options) -> Result<Machine, String> {
        let name = format!("runstead-boot-{}", std::process::id());
        let base = std::env::temp_dir().join(&name);
        fs::create_dir(&base).map_err(|error| {
            format!("cannot make {}: {error} (another place: TMPDIR=DIR runstead boot)", base.display())
        })?;
        let cgroup = ContainerCgroup::create(&name);
        if cgroup.is_none() {
            eprintln!("runstead boot: no cgroup can be made here; processes are followed without");
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg(KEEP_VERB).arg(&base);
        command.arg(cgroup.as_ref().map_or(Path::new(""), ContainerCgroup::path));
        command.arg(options.root.as_deref().unwrap_or(Path::new("")));
        command.args(&options.units);
        // Its own process group: Ctrl-C is for us, and we ask PID 1 in order.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = command.spawn().map_err(|error| format!("cannot start a process: {error}"))?;
        let first = keeper.stdout.take().and_then(|out| BufReader::new(out).lines().next());
        let pid = first.and_then(Result::ok).and_then(|line| line.parse().ok());
        let mut machine = Machine { keeper, pid: 0, client: None, status: None, base, cgroup };
        match pid {
            Some(pid) => machine.pid = pid,
            None => {
                let _ = machine.keeper.wait();
                return Err("the machine could not be set up; the reason is above".to_owned());
            }
        }
        Ok(machine)
    }

    /// PID 1 as seen from outside.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A path of the machine as seen from outside.
    pub fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// Whether PID 1 is still there.
    pub fn is_running(&mut self) -> bool {
        match self.keeper.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                self.status = status.code().and_then(|code| u8::try_from(code).ok());
                false
            }
            Err(_) => false,
        }
    }

    /// The status PID 1 ended with.
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// What the manager lists.
    pub fn units(&mut self) -> std::io::Result<Vec<UnitLine>> {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.outside("/run/systemd/private"))?);
        }
        let result = self.client.as_mut().map_or_else(|| Ok(Vec::new()), Client::units);
        if result.is_err() {
            self.client = None;
        }
        result
    }

    /// Ask the HTTP example for its page, so that its socket starts it.
    pub fn visit_examples(&self, options: &Options) {
        if options.root.is_none()
            && let Ok(mut stream) = UnixStream::connect(self.outside("/run/hello-http.sock"))
        {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }

    /// Run a shell command inside; its exit status.
    pub fn execute(&self, command: &str) -> Result<u8, String> {
        let status = Command::new("nsenter")
            .args([
                "-t",
                &self.pid.to_string(),
                "-m",
                "-p",
                "-C",
                "-u",
                "-i",
                "-n",
                "-r",
                "-w",
                "/bin/sh",
                "-c",
                command,
            ])
            .status()
            .map_err(|error| format!("cannot run nsenter: {error}"))?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128))
    }

    /// Ask for an orderly shutdown.
    pub fn ask_to_stop(&self) {
        // It may just have ended by itself.
        let _ = runstead_os::process::kill(self.pid, POWEROFF_SIGNAL, None);
    }

    /// End it at once.
    pub fn kill(&mut self) {
        let _ = runstead_os::process::kill(self.pid, 9, None);
        let _ = self.keeper.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.is_running() {
            if self.pid > 0 {
                self.kill();
            } else {
                let _ = self.keeper.kill();
                let _ = self.keeper.wait();
            }
        }
        self.cgroup = None;
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// The keeper: enter the namespaces, start PID 1, tell its PID, wait, and end as it ends.
pub fn keep(words: &[&str]) -> ExitCode {
    let [_, cgroup, ..] = words else { return crate::usage::fail("internal verb") };
    let cgroup = (!cgroup.is_empty()).then(|| Path::new(*cgroup));
    if let Err(error) = container::enter_namespaces(cgroup) {
        eprintln!("runstead boot: {error}");
        return ExitCode::FAILURE;
    }
    let child = Command::new("/proc/self/exe").arg(FINISH_VERB).args(words).stdout(Stdio::inherit()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("runstead boot: cannot start PID 1: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", child.id());
    match child.wait() {
        // reboot(2) in a PID namespace ends its init by SIGINT (power off, halt) or SIGHUP (reboot).
        Ok(status) if matches!(status.signal(), Some(1 | 2)) => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// PID 1 before it is the manager: build the tree, put binary and units into it, execute.
pub fn finish(words: &[&str]) -> ExitCode {
    let [base, cgroup, root, units @ ..] = words else { return crate::usage::fail("internal verb") };
    match finish_inner(base, !cgroup.is_empty(), root, units) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("runstead boot: {error}");
            ExitCode::FAILURE
        }
    }
}

fn finish_inner(
    base: &str,
    cgroups: bool,
    root: &str,
    units: &[&str],
) -> Result<std::convert::Infallible, String> {
    let binary = fs::read("/proc/self/exe").map_err(|error| format!("cannot read this binary: {error}"))?;
    let from = if root.is_empty() { Root::Host } else { Root::Directory(PathBuf::from(root)) };
    let added = units.iter().map(|dir| unit_files(Path::new(dir))).collect::<Result<Vec<_>, _>>()?;
    container::build_root(&from, Path::new(base), cgroups, &[]).map_err(|error| error.to_string())?;
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
    if root.is_empty() {
        let dir = inside.join("units");
        builtin::write(builtin::SYSTEM, &dir).map_err(io("the built-in units"))?;
        builtin::write(builtin::EXAMPLES, &dir).map_err(io("the examples"))?;
        for (name, text) in added.iter().flatten() {
            builtin::write(&[(name, text)], &dir).map_err(io(name))?;
        }
        command.env("SYSTEMD_UNIT_PATH", &dir).arg("--unit=default.target");
    } else {
        let dir = Path::new("/run/systemd/system");
        for (name, text) in added.iter().flatten() {
            builtin::write(&[(name, text)], dir).map_err(io(name))?;
        }
    }
    Err(format!("cannot execute the manager: {}", command.exec()))
}

/// The unit files of a directory, read before the old root goes away.
fn unit_files(dir: &Path) -> Result<Vec<(String, String)>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_file())
            && runstead_core::names::UnitName::parse(&name).is_ok()
        {
            let text =
                fs::read_to_string(entry.path()).map_err(|error| format!("cannot read {name}: {error}"))?;
            files.push((name, text));
        }
    }
    Ok(files)
}
