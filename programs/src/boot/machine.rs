//! The machine that `runstead boot` shows, in whichever form this environment allows.
use super::lacks::{self, Lack};
use super::options::Options;
use super::{keeper, plain};
use runstead_manager::client::{Client, UnitLine};
use runstead_os::container::ContainerCgroup;
use runstead_os::process;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// `SIGRTMIN+4` asks PID 1 for `poweroff.target` (systemd(1), "Signals").
const POWEROFF_SIGNAL: i32 = runstead_os::signals::RTMIN + 4;
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// How it is kept apart from everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// PID 1 in namespaces; with `users` also in one of users.
    Namespaces { users: bool },
    /// A process of the caller's with a private run root.
    Plain,
}

/// Why there is no machine.
#[derive(Debug)]
pub enum NoMachine {
    /// The kernel refuses what this form needs: another may do.
    Refused(String),
    /// Anything else.
    Failed(String),
}

/// A running machine; dropping it kills what is left and removes its cgroup and directory.
#[derive(Debug)]
pub struct Machine {
    pub(super) form: Form,
    /// Our child: the keeper, or the manager itself.
    pub(super) child: Child,
    /// The manager as seen from outside.
    pub(super) pid: i32,
    pub(super) base: PathBuf,
    pub(super) cgroup: Option<ContainerCgroup>,
    pub(super) lacks: Vec<Lack>,
    pub(super) client: Option<Client>,
    pub(super) status: Option<u8>,
}

impl Machine {
    /// Start one in the best form that there is.
    pub fn start(options: &Options) -> Result<Machine, String> {
        match keeper::start(options) {
            Ok(machine) => Ok(machine),
            Err(NoMachine::Refused(why)) if options.root.is_some() => Err(lacks::distribution(&why)),
            Err(NoMachine::Refused(why)) => plain::start(options, why),
            Err(NoMachine::Failed(why)) => Err(why),
        }
    }

    /// What this environment could not give.
    pub fn lacks(&self) -> &[Lack] {
        &self.lacks
    }

    /// The manager as seen from outside.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A path below its run root as seen from outside.
    pub fn run(&self, path: &str) -> PathBuf {
        match self.form {
            Form::Namespaces { .. } => PathBuf::from(format!("/proc/{}/root/run/{path}", self.pid)),
            Form::Plain => self.base.join(path),
        }
    }

    /// Where it is, in words.
    pub fn place(&self) -> String {
        match self.form {
            Form::Namespaces { .. } => format!("PID 1 is process {} here", self.pid),
            Form::Plain => {
                format!("the manager is process {}, its run root {}", self.pid, self.base.display())
            }
        }
    }

    /// Commands that talk to it.
    pub fn commands(&self, examples: bool) -> Vec<String> {
        let curl = format!("curl --unix-socket {} http://localhost/", self.run("hello-http.sock").display());
        let mut all: Vec<String> = examples.then_some(curl).into_iter().collect();
        match self.form {
            Form::Namespaces { users } => {
                let ids = if users { " --preserve-credentials" } else { "" };
                let enter = format!("nsenter -t {} -a{ids}", self.pid);
                all.extend(["systemctl status", "/bin/sh"].map(|command| format!("{enter} {command}")));
            }
            Form::Plain => {
                all.push(format!("XDG_RUNTIME_DIR={} systemctl --user status", self.base.display()));
            }
        }
        all
    }

    /// Whether the manager is still there.
    pub fn is_running(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                self.status = status.code().and_then(|code| u8::try_from(code).ok());
                false
            }
            Err(_) => false,
        }
    }

    /// The status the manager ended with.
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// What the manager lists.
    pub fn units(&mut self) -> std::io::Result<Vec<UnitLine>> {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.run("systemd/private"))?);
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
            && let Ok(mut stream) = UnixStream::connect(self.run("hello-http.sock"))
        {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }

    /// Run a shell command inside; its exit status.
    pub fn execute(&self, command: &str) -> Result<u8, String> {
        let mut shell = match self.form {
            Form::Namespaces { users } => {
                let mut enter = Command::new("nsenter");
                enter.args(["-t", &self.pid.to_string()]);
                let of_users: &[&str] = if users { &["-U", "--preserve-credentials"] } else { &[] };
                enter.args(of_users).args(["-m", "-p", "-C", "-u", "-i", "-n", "-r", "-w", "/bin/sh"]);
                enter
            }
            Form::Plain => {
                let mut shell = Command::new("/bin/sh");
                shell.env("XDG_RUNTIME_DIR", &self.base);
                shell
            }
        };
        let status = process::by_fork(shell.args(["-c", command])).status();
        let status =
            status.map_err(|error| format!("cannot run {}: {error}", shell.get_program().display()))?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128))
    }

    /// Ask for an orderly shutdown.
    pub fn ask_to_stop(&self) {
        let signal = if self.form == Form::Plain { SIGTERM } else { POWEROFF_SIGNAL };
        // It may just have ended by itself.
        let _ = process::kill(self.pid, signal, None);
    }

    /// End it at once.
    pub fn kill(&mut self) {
        // Without a PID 1 there is only its keeper.
        if process::kill(self.pid, SIGKILL, None).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Remove a directory of ours, of which the manager made parts that nobody may write to.
pub(super) fn remove(dir: &Path) -> std::io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill();
        }
        // Processes that units let live, or that a killed manager left, came to us.
        if self.form == Form::Plain
            && let Err(error) = runstead_os::ownership::end_descendants()
        {
            eprintln!("runstead boot: processes may be left: {error}");
        }
        self.cgroup = None;
        if let Err(error) = remove(&self.base) {
            eprintln!("runstead boot: cannot remove {}: {error}", self.base.display());
        }
    }
}
