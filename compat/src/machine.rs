//! One booted machine: a PID 1 in its own namespaces over a throw-away overlay of a root.
//!
//! The overlay's upper layer is a tmpfs mounted inside the machine's mount namespace, so everything a machine
//! changed vanishes with its last process. What stays outside is one directory (console log, staged files) and
//! one cgroup; both carry the PID of the process that made them, and whoever boots the next machine sweeps
//! what a killed process left behind.

use crate::console::Console;
use crate::{Error, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What a machine must not do to the kernel it shares: set its clock, load modules, raw I/O.
const DROPPED: &str = "-sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm";
const PREFIX: &str = "runstead-test-";
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where our binary is put in the machine.
const OUR_PLACE: &str = "/usr/lib/runstead/runstead";
const REFERENCE_PLACE: &str = "/lib/systemd/systemd";

/// Runs in the new namespaces, makes the root ready as a container manager does, and becomes PID 1.
/// Arguments: root (trees of an overlay, the uppermost first), staged files, terminal, dropped capabilities, mount propagation, upper layer (or nothing), then PID 1's environment, `--`, its words.
const PREPARE: &str = r#"
set -e
root=$1 staged=$2 terminal=$3 dropped=$4 propagation=$5 kept=$6; shift 6
mount --make-rprivate /
scratch=$staged/scratch
mkdir -p "$scratch"
mount -t tmpfs -o mode=755 tmpfs "$scratch"
kept=${kept:-$scratch}
mkdir -p "$kept/upper" "$kept/work" "$scratch/merged"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$kept/upper,workdir=$kept/work" "$scratch/merged"
cp -a "$staged/files/." "$scratch/merged/"
cd "$scratch/merged"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
for p in sys sysrq-trigger irq bus; do
  [ ! -e proc/$p ] || { mount --bind proc/$p proc/$p; mount -o remount,bind,ro proc/$p; }
done
if mount --bind proc/sys/net proc/sys/net 2>/dev/null; then mount -o remount,bind,rw proc/sys/net; fi
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero full random urandom tty autofs; do
  [ ! -e /dev/$d ] || { : >dev/$d; mount --bind /dev/$d dev/$d; }
done
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%%:*}" "dev/${n#*:}"; done
mount -t tmpfs -o mode=1777 tmpfs dev/shm
: >dev/console; mount --bind "$terminal" dev/console
mount -t tmpfs -o mode=755 tmpfs run
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host 2>/dev/null || true
[ "$propagation" = private ] || mount --make-rshared /
ip link set lo up 2>/dev/null || true
env=()
while [ "$1" != -- ]; do env+=("$1"); shift; done
shift
exec setpriv --bounding-set "$dropped" --inh-caps -all env -i "${env[@]}" "$@"
"#;

/// The same for a machine that consists of our binary, and of the root if there is one: nothing else is in its tree, not even a
/// directory, and nothing is mounted.
const PREPARE_ALONE: &str = r#"
set -e
root=$1 staged=$2 dropped=$4; shift 6
mount --make-rprivate /
tree=$staged/tree
mkdir "$tree"
mount -t tmpfs -o mode=755 tmpfs "$tree"
[ -z "$root" ] || cp -a "$root/." "$tree/"
cp "$staged/files/usr/lib/runstead/runstead" "$tree/init"
env=()
while [ "$1" != -- ]; do env+=("$1"); shift; done
shift 2
exec setpriv --bounding-set "$dropped" --inh-caps -all env -i "${env[@]}" chroot "$tree" /init "$@"
"#;

/// Which PID 1 is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderTest {
    /// runstead.
    Ours,
    /// systemd as the root ships it.
    Systemd,
}

impl UnderTest {
    /// `RUNSTEAD_UNDER_TEST`: `ours` or `systemd`; ours when unset.
    pub fn from_env() -> Result<UnderTest> {
        match std::env::var("RUNSTEAD_UNDER_TEST").as_deref() {
            Ok("systemd") => Ok(UnderTest::Systemd),
            Ok("ours") | Err(_) => Ok(UnderTest::Ours),
            Ok(other) => Err(Error::new(format!("RUNSTEAD_UNDER_TEST={other}: neither ours nor systemd"))),
        }
    }

    /// The word that selects it.
    pub fn name(self) -> &'static str {
        match self {
            UnderTest::Ours => "ours",
            UnderTest::Systemd => "systemd",
        }
    }
}

/// What a staged path shall be.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A file with this text and mode.
    File(String, u32),
    /// A program.
    Program(Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
    /// A directory with this mode.
    Directory(u32),
}

/// How to boot.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which PID 1.
    pub under_test: UnderTest,
    /// The tree of the distribution; only read.
    pub root: PathBuf,
    /// What is installed on top of it: trees of [`crate::layer`]; only read.
    pub layers: Vec<PathBuf>,
    /// Extra entries, dropped into the overlay before the boot (absolute paths inside the machine).
    pub files: Vec<(String, Entry)>,
    /// Extra `KEY=VALUE` for PID 1's environment.
    pub env: Vec<String>,
    /// Whether mounts propagate into the mount namespaces that PID 1 makes and back, as PID 1 of a host itself
    /// arranges and as a container's manager may. Without it the reference cannot pass credentials.
    pub shared_mounts: bool,
    /// Nothing but our binary, at `/init`, and a copy of the root if one is named: no files, no mounts.
    pub alone: bool,
    /// A directory for what the machine changes, which the next machine finds again; else a tmpfs of its own.
    pub kept: Option<PathBuf>,
    /// The program that becomes PID 1, instead of that of `under_test`; our binary is put into the machine only without it.
    pub init: Option<String>,
    /// A program (and its first arguments) that is started instead and executes PID 1, which it gets as arguments.
    pub before: Vec<String>,
    /// Extra arguments of PID 1.
    pub args: Vec<String>,
}

impl Options {
    /// Nothing extra.
    pub fn new(under_test: UnderTest, root: impl Into<PathBuf>) -> Options {
        let root = root.into();
        let (files, env, before, args) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (shared_mounts, alone, kept, init, layers) = (false, false, None, None, Vec::new());
        Options { under_test, root, layers, files, env, shared_mounts, alone, kept, init, before, args }
    }
}

/// A booted machine. Dropping it ends all its processes and removes its cgroup and directory.
pub struct Machine {
    directory: PathBuf,
    cgroup: PathBuf,
    outer: Child,
    pid1: u32,
    /// Set once a command hung and PID 1 did not answer another: no need to wait for each that follows.
    silent: AtomicBool,
    /// What PID 1 and everything else wrote to `/dev/console`.
    pub console: Console,
}

/// A command running inside a machine. Dropping it ends the command.
pub struct Running {
    child: Child,
}

impl Running {
    /// Waits for its end; `None` when it is still running after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        wait_child(&mut self.child, limit)
    }

    /// Its standard output, once.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard input, once.
    pub fn take_stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill_tree(&mut self.child);
    }
}

/// What a script said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// On standard output.
    pub text: String,
    /// On standard error.
    pub error: String,
    /// What it ended with; `None` for a signal.
    pub code: Option<i32>,
}

impl Said {
    /// Its standard output, of a script that has to end with a status up to `worst`.
    pub fn up_to(self, worst: i32) -> Result<String> {
        match self.code {
            Some(code) if code <= worst => Ok(self.text),
            code => {
                Err(Error::new(format!("ended with {code:?}: {} {}", self.text.trim(), self.error.trim())))
            }
        }
    }

    /// Both, one behind the other.
    pub fn all(&self) -> String {
        format!("{}{}", self.text, self.error)
    }
}

impl Machine {
    /// Boots PID 1; returns as soon as it runs, see [`Machine::wait_running`].
    ///
    /// The machine dies with the thread that boots it (parent death signal), so that a killed test leaves nothing.
    pub fn boot(options: &Options) -> Result<Machine> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cgroups = find_cgroup2()?;
        let base = crate::root::cache().parent().unwrap_or(Path::new("/var/tmp")).join("run");
        sweep(&[&base, &cgroups], Some(&cgroups));
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = base.join(&name);
        let cgroup = cgroups.join(&name);
        let started = start(options, &directory, &cgroup);
        if started.is_err() {
            remove(&directory, &cgroup);
        }
        let (outer, console) = started?;
        let mut machine =
            Machine { directory, cgroup, outer, pid1: 0, silent: AtomicBool::new(false), console };
        machine.pid1 = machine.find_pid1()?;
        Ok(machine)
    }

    fn find_pid1(&mut self) -> Result<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.outer.id());
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            let list = fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = list.split_whitespace().next().and_then(|w| w.parse().ok()) {
                return Ok(pid);
            }
            if self.outer.try_wait().map_err(Error::on("wait for", "unshare"))?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        Err(Error::new(format!("PID 1 was not started:\n{}", self.console.text())))
    }

    /// PID 1's process id seen from the host.
    pub fn pid1(&self) -> u32 {
        self.pid1
    }

    /// The machine's cgroup seen from the host.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// A path of the machine as a path of the host, valid while PID 1 lives.
    ///
    /// Absolute symbolic links lead to the host's files: only for paths without them.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/{}", self.pid1, inside.trim_start_matches('/')))
    }

    /// The text of a file of the machine; `None` when it cannot be read.
    pub fn read(&self, inside: &str) -> Option<String> {
        fs::read(self.path(inside)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until the system state is `running` or `degraded` and returns it.
    pub fn wait_running(&mut self, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.outer.try_wait().map_err(Error::on("wait for", "PID 1"))? {
                let tail = self.console.tail(40);
                return Err(Error::new(format!("PID 1 ended ({status}) before the boot was done:\n{tail}")));
            }
            if self.path("/run/systemd/private").exists() {
                let left = end.saturating_duration_since(Instant::now());
                let output = self.run_for(&["systemctl", "is-system-running"], left)?;
                let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                if matches!(state.as_str(), "running" | "degraded" | "maintenance") {
                    return Ok(state);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Error::new(format!("not running after {limit:?}; {}", self.diagnosis())))
    }

    /// Where PID 1 is and what it said last: for a machine that hangs.
    pub fn diagnosis(&self) -> String {
        let mut text = format!("PID 1 is process {}", self.pid1);
        for part in ["comm", "wchan", "syscall", "stack"] {
            let value =
                fs::read_to_string(format!("/proc/{}/{part}", self.pid1)).unwrap_or_else(|e| e.to_string());
            text.push_str(&format!("\n  {part}: {}", value.trim().replace('\n', "\n    ")));
        }
        text.push_str(&format!("\n  console:\n{}", self.console.tail(25)));
        text
    }

    /// Runs a command inside, at most 30 s; at once an error when PID 1 no longer answers anyone.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(Error::new(format!("`{}` not run: PID 1 no longer answers", words.join(" "))));
        }
        let outcome = self.run_for(words, Duration::from_secs(30));
        if outcome.is_err()
            && self.run_for(&["systemctl", "is-system-running"], Duration::from_secs(10)).is_err()
        {
            self.silent.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// What a shell's script says, given two minutes.
    pub fn shell(&self, script: &str) -> Result<Said> {
        let output = self.run_for(&["sh", "-c", script], Duration::from_secs(120))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said { text: text(&output.stdout), error: text(&output.stderr), code: output.status.code() })
    }

    /// Runs a command inside; after `limit` it is killed and the error says where PID 1 was.
    pub fn run_for(&self, words: &[&str], limit: Duration) -> Result<Output> {
        let mut child = self.start_inside(words, Stdio::null(), Stdio::piped())?;
        let out = collect(child.stdout.take());
        let err = collect(child.stderr.take());
        let Some(status) = wait_child(&mut child, limit)? else {
            let place = self.diagnosis();
            kill_tree(&mut child);
            return Err(Error::new(format!("`{}` still ran after {limit:?}; {place}", words.join(" "))));
        };
        // Something it left behind may hold its streams open: that is not waited for.
        let stdout = out.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
        let stderr = err.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
        Ok(Output { status, stdout, stderr })
    }

    /// Starts a command inside with pipes on standard input and output.
    pub fn spawn(&self, words: &[&str]) -> Result<Running> {
        Ok(Running { child: self.start_inside(words, Stdio::piped(), Stdio::piped())? })
    }

    fn start_inside(&self, words: &[&str], stdin: Stdio, stdout: Stdio) -> Result<Child> {
        // In a cgroup of its own inside the machine's, so that ending the machine ends it too.
        let cgroup = self.cgroup.join("harness");
        let enter = r#"echo 0 >"$1/cgroup.procs"; target=$2 dropped=$3; shift 3
            exec nsenter -t "$target" -m -p -C -u -i -n -r -w \
              setpriv --bounding-set "$dropped" --inh-caps -all env -i HOME=/root USER=root TERM=dumb LANG=C.UTF-8 "$@""#;
        Command::new("sh")
            .args(["-c", enter, "enter"])
            .arg(&cgroup)
            .arg(self.pid1.to_string())
            .args([DROPPED, SEARCH_PATH])
            .args(words)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::on("enter the machine for", words.first().copied().unwrap_or("")))
    }

    /// Waits for PID 1's own end; `None` when it still runs after `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        wait_child(&mut self.outer, limit)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // PID 1 first: its end takes all of its PID namespace along, and unshare, its parent, reaps it.
        if let Some(pid) = i32::try_from(self.pid1).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = wait_child(&mut self.outer, Duration::from_secs(5));
        }
        let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        remove(&self.directory, &self.cgroup);
    }
}

fn start(options: &Options, directory: &Path, cgroup: &Path) -> Result<(Child, Console)> {
    let staged = directory.join("files");
    fs::create_dir_all(&staged).map_err(Error::on("create", &staged))?;
    for (path, entry) in &options.files {
        stage(&staged, path, entry)?;
    }
    let mut environment =
        vec!["container=runstead-test".to_owned(), "TERM=linux".to_owned(), SEARCH_PATH.to_owned()];
    environment.extend(options.env.iter().cloned());
    let program = match (&options.init, options.under_test) {
        (Some(init), _) => init,
        (None, UnderTest::Systemd) => REFERENCE_PLACE,
        (None, UnderTest::Ours) => {
            let place = staged.join(OUR_PLACE.trim_start_matches('/'));
            let parent = place.parent().expect("the place is inside the staged tree");
            fs::create_dir_all(parent).map_err(Error::on("create", parent))?;
            let binary = our_binary()?;
            fs::copy(&binary, &place).map_err(Error::on("copy", &binary))?;
            OUR_PLACE
        }
    };
    let harness = cgroup.join("harness");
    fs::create_dir_all(&harness).map_err(Error::on("create", &harness))?;
    let (console, terminal) = Console::open(&directory.join("console"))?;
    let again = || terminal.try_clone().map_err(Error::on("duplicate", &console.terminal));
    let propagation = if options.shared_mounts { "shared" } else { "private" };
    let join = r#"echo 0 >"$1/cgroup.procs"; shift; exec "$@""#;
    let lower: Vec<&OsStr> =
        options.layers.iter().chain([&options.root]).map(|tree| tree.as_os_str()).collect();
    let outer = Command::new("sh")
        .args(["-c", join, "boot"])
        .arg(cgroup)
        .args(["setpriv", "--pdeathsig", "KILL", "setsid"])
        .args(["unshare", "-m", "-p", "-C", "-u", "-i", "-n", "--fork", "--kill-child"])
        .args(["bash", "-c", if options.alone { PREPARE_ALONE } else { PREPARE }, "prepare"])
        .arg(lower.join(OsStr::new(":")))
        .arg(directory)
        .args([console.terminal.as_str(), DROPPED, propagation])
        .arg(options.kept.as_deref().unwrap_or(Path::new("")))
        .args(&environment)
        .arg("--")
        .args(&options.before)
        .arg(program)
        .args(&options.args)
        .stdin(again()?)
        .stdout(again()?)
        .stderr(again()?)
        .spawn()
        .map_err(Error::on("start", "unshare"))?;
    Ok((outer, console))
}

pub(crate) fn stage(staged: &Path, path: &str, entry: &Entry) -> Result<()> {
    let place = staged.join(path.trim_start_matches('/'));
    let parent = place.parent().expect("a staged path has a parent: it was joined to one");
    fs::create_dir_all(parent).map_err(Error::on("create", parent))?;
    let mode = |m: u32| fs::set_permissions(&place, fs::Permissions::from_mode(m));
    match entry {
        Entry::File(text, m) => fs::write(&place, text).and_then(|()| mode(*m)),
        Entry::Program(bytes) => fs::write(&place, bytes).and_then(|()| mode(0o755)),
        Entry::Link(target) => symlink(target, &place),
        Entry::Directory(m) => fs::create_dir_all(&place).and_then(|()| mode(*m)),
    }
    .map_err(Error::on("stage", &place))
}

/// `RUNSTEAD_BIN`, else the newest of the release and debug binaries of the target directory this test is in.
pub fn our_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RUNSTEAD_BIN") {
        return Ok(PathBuf::from(path));
    }
    let exe = std::env::current_exe().map_err(Error::on("find", "this program"))?;
    // TARGET/[TRIPLE/]PROFILE/[deps/]program
    let built = exe
        .ancestors()
        .filter(|dir| dir.file_name().is_some_and(|n| n == "debug" || n == "release"))
        .filter_map(Path::parent)
        .flat_map(|target| ["release", "debug"].map(|profile| target.join(profile).join("runstead")))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max();
    let missing = || Error::new("no runstead binary is built: cargo build --release, or set RUNSTEAD_BIN");
    built.map(|(_, path)| path).ok_or_else(missing)
}

/// Where the unified hierarchy is mounted on this host.
pub fn find_cgroup2() -> Result<PathBuf> {
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").map_err(Error::on("read", "/proc/self/mountinfo"))?;
    let is_v2 = |line: &&str| line.split_once(" - ").is_some_and(|(_, fs)| fs.starts_with("cgroup2 "));
    let place = mounts.lines().find(is_v2).and_then(|line| line.split(' ').nth(4));
    place.map(PathBuf::from).ok_or_else(|| Error::new("no cgroup2 file system is mounted on this host"))
}

/// Removes what processes that no longer exist left behind.
pub(crate) fn sweep(parents: &[&Path], cgroups: Option<&Path>) {
    for entry in parents.iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            match cgroups.map(|cgroups| cgroups.join(&name)) {
                Some(cgroup) => remove(&entry.path(), &cgroup),
                None => drop(fs::remove_dir_all(entry.path())),
            }
        }
    }
}

fn remove(directory: &Path, cgroup: &Path) {
    // Killed processes leave their cgroups a moment later.
    for _ in 0..200 {
        remove_cgroup(cgroup);
        if !cgroup.exists() {
            break;
        }
        let _ = fs::write(cgroup.join("cgroup.kill"), "1");
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = fs::remove_dir_all(directory);
}

fn remove_cgroup(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

fn wait_child(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(Error::on("wait for", "a command"))? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Ends a command and the child that nsenter made for it in the machine's PID namespace.
fn kill_tree(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    let id = child.id();
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    for pid in list.split_whitespace().filter_map(|w| w.parse().ok()) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
