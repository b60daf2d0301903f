//! Generators (systemd.generator(7), systemd.environment-generator(7)): programs that write units before units are read.
//!
//! They run side by side. `start` returns at once and the caller sees their ends among its children; `run` waits, for
//! the boot, when there is nothing else to do.
use crate::error::{Attempt, OsError};
use runstead_core::engine::event::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The unit of [`Generators::write_carry`].
const CARRY: &str = "runstead-carry.service";
/// Where the kernel shows screens.
const SCREENS: &str = "/dev/dri";
/// Longest time that generators get together.
const LIMIT: Duration = Duration::from_secs(90);

/// Which programs to run, where they write, and what they are told.
#[derive(Debug, Clone, Default)]
pub struct Generators {
    /// Directories with programs, most important first; a file in an earlier one hides its namesakes.
    pub dirs: Vec<String>,
    /// `normal`, `early`, `late` output directories.
    pub output: [String; 3],
    /// Their environment.
    pub environment: Vec<(String, String)>,
}

/// Generators that run.
#[derive(Debug, Default)]
pub struct Running {
    /// Process and program.
    pub processes: BTreeMap<Pid, String>,
    /// What could not be started, or failed.
    pub failures: Vec<String>,
    /// When they are killed; `None` when they were.
    end: Option<Instant>,
}

impl Running {
    /// Note that a process ended; whether it was one of these.
    pub fn ended(&mut self, pid: Pid, success: bool, how: &str) -> bool {
        let Some(program) = self.processes.remove(&pid) else { return false };
        if !success {
            self.failures.push(format!("{program} failed ({how})"));
        }
        true
    }

    /// Whether all have ended.
    pub fn done(&self) -> bool {
        self.processes.is_empty()
    }
}

impl Generators {
    /// Those in `SYSTEMD_GENERATOR_PATH` instead, when that is set (systemd(1)); an empty one names none.
    #[must_use]
    pub fn in_path(mut self, path: Option<&str>) -> Generators {
        if let Some(path) = path {
            self.dirs = path.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect();
        }
        self
    }

    /// Those of the system manager.
    pub fn system(run_root: &str, environment: Vec<(String, String)>) -> Generators {
        let dir = |name: &str| format!("{run_root}/systemd/{name}");
        Generators {
            dirs: vec![
                dir("system-generators"),
                "/etc/systemd/system-generators".into(),
                "/usr/local/lib/systemd/system-generators".into(),
                "/usr/lib/systemd/system-generators".into(),
            ],
            output: [dir("generator"), dir("generator.early"), dir("generator.late")],
            environment,
        }
    }

    /// Those of a user manager.
    pub fn user(runtime: &str, environment: Vec<(String, String)>) -> Generators {
        let dir = |name: &str| format!("{runtime}/systemd/{name}");
        Generators {
            dirs: vec![
                "/run/systemd/user-generators".into(),
                "/etc/systemd/user-generators".into(),
                "/usr/local/lib/systemd/user-generators".into(),
                "/usr/lib/systemd/user-generators".into(),
            ],
            output: [dir("generator"), dir("generator.early"), dir("generator.late")],
            environment,
        }
    }

    /// Empty the output directories and start all programs.
    pub fn start(&self) -> Result<Running, OsError> {
        for dir in &self.output {
            empty_directory(dir)?;
        }
        let mut running = Running { end: Some(Instant::now() + LIMIT), ..Running::default() };
        let _whole = crate::sys::inherit::whole();
        for program in programs(&self.dirs) {
            let mut command = Command::new(&program);
            command
                .args(&self.output)
                .env_clear()
                .envs(self.environment.iter().map(|(name, value)| (name, value)));
            command.stdin(Stdio::null()).process_group(0).current_dir("/");
            match crate::process::by_fork(&mut command).spawn() {
                Ok(child) => {
                    running.processes.insert(child.id().cast_signed(), program);
                }
                Err(error) => running.failures.push(format!("{program}: {error}")),
            }
        }
        Ok(running)
    }

    /// Start all, wait for all, remove the output directories that stayed empty; what failed.
    pub fn run(&self) -> Result<Vec<String>, OsError> {
        let mut running = self.start()?;
        while !running.done() {
            let pids: Vec<Pid> = running.processes.keys().copied().collect();
            let mut any = false;
            for pid in pids {
                if let Some(exit) = crate::children::reap(pid)? {
                    any = true;
                    let good = exit == runstead_core::engine::event::Exit::Status(0);
                    running.ended(pid, good, &format!("{exit:?}"));
                }
            }
            if running.time_left().is_zero() {
                running.kill();
            }
            if !any {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        self.tidy();
        Ok(running.failures)
    }

    /// What a generator of our own writes: the units' commands replaced so that user managers and the login manager are this
    /// program, too, whatever started us as PID 1. Comes after the others are done.
    pub fn write_own(&self) -> Result<(), OsError> {
        let image = crate::reexec::own_path().attempt("read", "/proc/self/exe")?;
        // Gone when it was uninstalled: managers of users are then the package's again.
        let Some(image) = image.to_str().filter(|path| Path::new(path).exists()) else { return Ok(()) };
        self.replace_command(
            "user@.service",
            &format!("{image} --user"),
            "managers of users are of its kind",
        )?;
        // Who draws on a screen takes its devices from the login manager, which ours does not hand out yet.
        if Path::new(SCREENS).exists() {
            return Ok(());
        }
        self.replace_command("systemd-logind.service", &format!("{image} logind"), "so is the login manager")
    }

    /// A drop-in that replaces a service's command.
    fn replace_command(&self, unit: &str, command: &str, why: &str) -> Result<(), OsError> {
        let dir = format!("{}/{unit}.d", self.output[0]);
        fs::create_dir_all(&dir).attempt("make directory", &dir)?;
        let path = format!("{dir}/50-runstead.conf");
        let text = format!(
            "# Written by runstead, which is PID 1: {why}.\n[Service]\nExecStart=\nExecStart={command}\n"
        );
        fs::write(&path, text).attempt("write", &path)
    }

    /// The service that carries files over a boot, where somebody wishes that (`crate::carry`). It starts before anything that
    /// may want them, and stops after all that may write them.
    pub fn write_carry(&self, run_root: &str, known: &mut crate::carry::Known) -> Result<(), OsError> {
        if !known.is_wished(run_root) {
            return Ok(());
        }
        let image = crate::reexec::own_path().attempt("read", "/proc/self/exe")?;
        let Some(image) = image.to_str() else { return Ok(()) };
        let text = format!(
            "# Written by runstead because of carry.d or X-RunsteadCarry=.\n\
             [Unit]\nDescription=Files of /run Carried Over the Boot\nDocumentation=man:runstead(8)\nDefaultDependencies=no\n\
             RequiresMountsFor=/var/lib/runstead\nAfter=local-fs.target\nConflicts=shutdown.target\n\
             Before=systemd-tmpfiles-setup.service sysinit.target shutdown.target\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={image} carry restore\nExecStop={image} carry save\n"
        );
        let wants = format!("{}/sysinit.target.wants", self.output[0]);
        fs::create_dir_all(&wants).attempt("make directory", &wants)?;
        let path = format!("{}/{CARRY}", self.output[0]);
        fs::write(&path, text).attempt("write", &path)?;
        let link = format!("{wants}/{CARRY}");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(format!("../{CARRY}"), &link).attempt("link", &link)
    }

    /// Remove what was generated: it was for the manager that had it made, not for one that comes after.
    pub fn discard(&self) {
        for dir in &self.output {
            // What stays is not ours to mend now: the next manager writes over it.
            let _ = fs::remove_dir_all(dir);
        }
    }

    /// Remove output directories in which nothing was written.
    pub fn tidy(&self) {
        for dir in &self.output {
            // Refused when there is something in it, which is what we want.
            let _ = fs::remove_dir(dir);
        }
    }
}

impl Running {
    /// How long they may still run; after [`Running::kill`] nobody waits for anything.
    pub fn time_left(&self) -> Duration {
        self.end.map_or(LIMIT, |end| end.saturating_duration_since(Instant::now()))
    }

    /// They take too long.
    pub fn kill(&mut self) {
        self.end = None;
        for (pid, program) in &self.processes {
            if crate::process::kill(*pid, libc::SIGKILL, None).is_ok() {
                self.failures.push(format!("{program} took more than {} s and was killed", LIMIT.as_secs()));
            }
        }
    }
}

/// Environment generators print `NAME=VALUE` lines; each sees what those before it printed.
pub fn environment(dirs: &[String], base: &[String]) -> Vec<String> {
    let mut block: Vec<String> = base.to_vec();
    for program in programs(dirs) {
        let mut command = Command::new(&program);
        command.env_clear().envs(block.iter().filter_map(|line| line.split_once('='))).stdin(Stdio::null());
        let Some(output) = output_within(command, LIMIT) else { continue };
        for line in String::from_utf8_lossy(&output).lines() {
            if let Some((name, _)) = line.split_once('=') {
                block.retain(|old| old.split_once('=').is_none_or(|(other, _)| other != name));
                block.push(line.to_owned());
            }
        }
    }
    block
}

/// Most that an environment generator may print.
const OUTPUT_MAX: usize = 1 << 20;

/// Standard output of a program that ends in time; else it is killed and nothing of it counts.
pub(crate) fn output_within(mut command: Command, limit: Duration) -> Option<Vec<u8>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::Read as _;
    let end = Instant::now() + limit;
    let mut child = {
        let _whole = crate::sys::inherit::whole();
        crate::process::by_fork(command.stdout(Stdio::piped())).spawn().ok()?
    };
    let mut output = child.stdout.take()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let complete = loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&left)) {
            Ok(0) => break false,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break false,
            Ok(_) => {}
        }
        match output.read(&mut chunk) {
            Ok(0) => break true,
            Ok(got) if bytes.len() + got <= OUTPUT_MAX => bytes.extend_from_slice(&chunk[..got]),
            _ => break false,
        }
    };
    // It may have closed its output and live on.
    while complete && Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return status.success().then_some(bytes),
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => return None,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Executable files by name, the first directory that has a name decides; `/dev/null` and empty files mask.
fn programs(dirs: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = BTreeMap::new();
    for dir in dirs {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !seen.insert(name.clone()) {
                continue;
            }
            let runs = fs::metadata(entry.path())
                .is_ok_and(|data| data.is_file() && data.len() > 0 && data.permissions().mode() & 0o111 != 0);
            if runs {
                found.insert(name, entry.path().to_string_lossy().into_owned());
            }
        }
    }
    found.into_values().collect()
}

fn empty_directory(dir: &str) -> Result<(), OsError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).attempt("empty", dir);
        }
        _ => {}
    }
    fs::create_dir_all(Path::new(dir)).attempt("make directory", dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, name: &str, text: &str) {
        fs::write(dir.join(name), text).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn output_counts_only_of_what_ends_in_time_and_well() {
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let second = Duration::from_secs(1);
        assert_eq!(output_within(sh("echo A=1"), second * 30).as_deref(), Some(&b"A=1\n"[..]));
        assert_eq!(output_within(sh("echo A=1; exit 1"), second * 30), None);
        let start = Instant::now();
        assert_eq!(output_within(sh("echo A=1; exec sleep 60"), second / 5), None);
        assert_eq!(output_within(sh("echo A=1; exec sleep 60 >&-"), second / 5), None);
        assert!(start.elapsed() < second * 20);
    }

    #[test]
    fn generators_write_and_failures_are_told() {
        let base = std::env::temp_dir().join(format!("runstead-generators-{}", std::process::id()));
        let programs = base.join("programs");
        fs::create_dir_all(&programs).unwrap();
        script(&programs, "good", "#!/bin/sh\necho $SYSTEMD_SCOPE > $1/a.service\n");
        script(&programs, "bad", "#!/bin/sh\nexit 3\n");
        let out = |name: &str| base.join(name).to_string_lossy().into_owned();
        let generators = Generators {
            dirs: vec![programs.to_string_lossy().into_owned()],
            output: [out("normal"), out("early"), out("late")],
            environment: vec![("SYSTEMD_SCOPE".into(), "system".into())],
        };
        let failures = generators.run().unwrap();
        assert_eq!(fs::read_to_string(base.join("normal/a.service")).unwrap(), "system\n");
        assert!(
            !base.join("late").exists() && failures.len() == 1 && failures[0].contains("bad"),
            "{failures:?}"
        );
        fs::remove_dir_all(base).unwrap();
    }
}
