//! What an ordinary user meets: `runstead boot` without root, in a user namespace and where the kernel refuses namespaces, and
//! that without control groups a unit's processes are all found: a thousand daemons are stopped, and none leaves one.
//!
//! `cargo test --workspace --test plain`; takes the release binary (`RUNSTEAD_BIN` names another). Needs root to become
//! somebody else. The reference has no such form, so this is proved of ours alone; `systemctl` is the reference's.
mod program;

use program::{Started, start, tail};
use runstead_compat::arguments::Arguments;
use runstead_compat::machine::our_binary;
use runstead_compat::proof::Proof;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

/// Calls that containers refuse.
const REFUSED: &str = "mount,unshare,clone3";

/// Stops of daemons in all, and how many run at once.
const STOPS: usize = 1000;
const BATCH: usize = 50;

/// Fails when the command changed a mount of the machine.
const WATCH_MOUNTS: &str = r#"
before=$(cat /proc/self/mountinfo); "$@"; status=$?
[ "$before" = "$(cat /proc/self/mountinfo)" ] || { echo "the machine's mounts changed" >&2; exit 99; }
exit $status
"#;

/// As many daemons as in a batch; zombies have no command line.
const INSIDE: &str = r#"
names=$(seq -f daemon@%g.service 50)
count() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -o 'slee[p] 7' | wc -l; }
systemctl start $names || exit 10
# The start waits for the parent, not for what its orphans execute.
for _ in $(seq 100); do [ $(count) -ge 50 ] && break; sleep 0.1; done
[ $(count) -ge 50 ] || exit 11
systemctl stop $names || exit 12
left=$(count)
[ "$left" = 0 ] || { echo "$left daemons are left" >&2; exit 13; }
"#;

/// Leaves a process that has neither parent nor session in common with the one that was started.
const DAEMON: &str = "[Service]\nType=forking\nExecStart=/bin/sh -c \
    'setsid sh -c \"sleep MARK & exec sleep MARK\" </dev/null & sleep 0.005'\n";

/// The same, but deaf to SIGTERM.
const DEAF: &str = "[Service]\nType=forking\nTimeoutStopSec=300ms\nExecStart=/bin/sh -c \
    'setsid sh -c \"trap : TERM; sleep MARK & while :; do sleep MARK; done\" </dev/null & sleep 0.005'\n";

/// The same, and forking while it is stopped.
const BUSY: &str = "[Service]\nType=forking\nTimeoutStopSec=2s\nExecStart=/bin/sh -c \
    'setsid sh -c \"trap : TERM; while :; do setsid sleep MARK & sleep 0.01; done\" </dev/null & sleep 0.005'\n";

/// Hardened as packages ship it; where that cannot be had it runs all the same. What it works on must be there.
const HARDENED: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nPrivateTmp=yes\nProtectSystem=strict\nProtectHome=yes\n\
    PrivateDevices=yes\nPrivateNetwork=yes\nProtectHostname=yes\nNoExecPaths=/tmp\nExecStart=/bin/true\n";
const BOUND: &str = "[Service]\nType=oneshot\nBindPaths=/usr:/mnt\nExecStart=/bin/true\n";

/// A directory that everybody may enter: the binary, units, and a place for run roots.
struct Place {
    dir: PathBuf,
    /// The argument by which the daemons' processes are known.
    mark: String,
}

fn main() -> ExitCode {
    if let Err(status) = Arguments::from_env("usage: plain").and_then(Arguments::none_left) {
        return status;
    }
    let mut proof = Proof::begin("plain", Duration::from_secs(280));
    if let Some(place) = Place::make(&mut proof) {
        prove(&mut proof, &place);
    }
    proof.end()
}

fn prove(proof: &mut Proof, place: &Place) {
    let without = |errno| vec!["boot:without", REFUSED, errno, "--for", "5s"];
    boots(proof, place, "nobody", place.as_nobody(&["boot", "--for", "5s"]), None);
    let lack = Some("no namespaces (");
    boots(proof, place, "nobody, refused by EPERM", place.as_nobody(&without("EPERM")), lack);
    boots(proof, place, "root, refused by EPERM", place.as_root(&without("EPERM")), lack);
    boots(proof, place, "root, refused by ENOSYS", place.as_root(&without("ENOSYS")), lack);
    distribution(proof, place);
    in_namespaces(proof, place);
    daemons(proof, place);
}

/// Five seconds, at the end of which every example is active and after which nothing is left.
fn boots(proof: &mut Proof, place: &Place, who: &str, mut command: Command, lack: Option<&str>) {
    proof.step(format!("boot --for 5s as {who}"));
    let Some(ended) = start(proof, &mut command).map(Started::ended) else { return };
    let status = ended.status;
    proof.check(status == Some(0), format!("as {who}: status {status:?} {}", tail(&ended.err)));
    let active = ended.out.contains("every example is active");
    let shown = if active { String::new() } else { tail(&ended.out) };
    proof.check(active, format!("as {who}: every example is active {shown}"));
    let said = ended.out.contains("no control groups (") && lack.is_none_or(|lack| ended.out.contains(lack));
    proof.check(said, format!("as {who}: it says what there is not"));
    place.nothing_left(proof, who);
}

/// A distribution needs more users than somebody without subordinate ids has.
fn distribution(proof: &mut Proof, place: &Place) {
    proof.step("boot --root as nobody");
    let has_ids = fs::read_to_string("/etc/subuid").is_ok_and(|text| text.contains("nobody:"));
    if !has_ids {
        let mut command = place.as_nobody(&["boot", "--root", "/", "--for", "5s"]);
        let Some(ended) = start(proof, &mut command).map(Started::ended) else { return };
        let named = ["/etc/subuid", "/etc/subgid", "newuidmap", "uidmap"];
        let remedy = named.iter().all(|word| ended.err.contains(word));
        proof.check(
            ended.status == Some(1) && remedy,
            format!("--root names the remedy: {}", tail(&ended.err)),
        );
    }
    let mut command = place.as_root(&["boot:without", REFUSED, "EPERM", "--root", "/"]);
    let Some(ended) = start(proof, &mut command).map(Started::ended) else { return };
    let remedy = ended.err.contains("seccomp=unconfined");
    proof.check(
        ended.status == Some(1) && remedy,
        format!("refused, it names the remedy: {}", tail(&ended.err)),
    );
    place.nothing_left(proof, "--root");
}

/// In a user namespace there are no control groups either.
fn in_namespaces(proof: &mut Proof, place: &Place) {
    proof.step("daemons in a user namespace");
    let units = place.dir.join("units").display().to_string();
    let mut command = place.as_nobody(&["boot", "--units", &units, "--exec", INSIDE]);
    let Some(ended) = start(proof, &mut command).map(Started::ended) else { return };
    let good = ended.status == Some(0);
    proof.check(
        good,
        format!("{BATCH} stops in a user namespace: status {:?} {}", ended.status, tail(&ended.err)),
    );
    place.nothing_left(proof, "a user namespace");
}

/// A machine that stays, driven by `systemctl --user`.
fn daemons(proof: &mut Proof, place: &Place) {
    let units = place.dir.join("units").display().to_string();
    let mut command = place.as_nobody(&["boot:without", REFUSED, "EPERM", "--units", &units]);
    let Some(mut machine) = start(proof, &mut command) else { return };
    let up = machine.wait_for("up after");
    let root = machine.said.last().and_then(|line| line.split("its run root ").nth(1)).map(PathBuf::from);
    let Some(root) = proof.need("boot in the plain form", root.filter(|_| up).ok_or(machine.said.join("|")))
    else {
        return;
    };
    let private = fs::metadata(&root).is_ok_and(|data| data.permissions().mode() & 0o777 == 0o700);
    proof.check(private, format!("the run root {} is private", root.display()));
    client(proof, place, &root);
    hardened(proof, place, &root);
    stops(proof, place, &root);
    let pid = rustix::process::Pid::from_child(&machine.child);
    let sent = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    proof.check(sent.is_ok(), "Ctrl-C is sent");
    let ended = machine.ended();
    proof.check(ended.status == Some(0), format!("it ends with {:?} {}", ended.status, tail(&ended.err)));
    place.nothing_left(proof, "the machine of daemons");
}

fn client(proof: &mut Proof, place: &Place, root: &Path) {
    proof.step("systemctl --user");
    let list = text(&place.systemctl(root, &["list-units"]));
    proof.check(list.contains("hello-notify.service"), format!("list-units shows units {}", tail(&list)));
    let shown = text(&place.systemctl(root, &["status", "hello-notify.service"]));
    proof.check(shown.contains("active (running)"), format!("status shows one {}", tail(&shown)));
    let stopped = place.systemctl(root, &["stop", "hello-notify.service"]);
    let after = text(&place.systemctl(root, &["is-active", "hello-notify.service"]));
    let good = stopped.status.success() && after.trim() == "inactive";
    proof.check(good, format!("stop stops it {} {}", text(&stopped).trim(), after.trim()));
}

/// Hardening needs namespaces, which are refused here.
fn hardened(proof: &mut Proof, place: &Place, root: &Path) {
    proof.step("hardened units where namespaces are refused");
    let started = text(&place.systemctl(root, &["start", "hardened.service"]));
    let shown = text(&place.systemctl(root, &["is-active", "hardened.service"]));
    proof
        .check(shown.trim() == "active", format!("a hardened unit runs {} {}", shown.trim(), tail(&started)));
    let bound = place.systemctl(root, &["start", "bound.service"]);
    let shown =
        text(&place.systemctl(root, &["show", "-P", "ExecMainStatus", "-P", "Result", "bound.service"]));
    let refused = !bound.status.success() && shown.contains("226");
    proof.check(refused, format!("one that needs a directory does not {}", tail(&shown)));
}

fn stops(proof: &mut Proof, place: &Place, root: &Path) {
    proof.step(format!("{STOPS} daemons"));
    let bad: Vec<String> = (0..STOPS / BATCH)
        .filter_map(|batch| place.round(root, "daemon", batch * BATCH, BATCH, &|| ()).err())
        .collect();
    proof.check(bad.is_empty(), format!("{STOPS} stops left no process {}", bad.join(", ")));
    for (kind, count) in [("deaf", 20), ("busy", 5)] {
        proof.step(format!("{kind} daemons"));
        let result = place.round(root, kind, 0, count, &|| ());
        proof.check(
            result.is_ok(),
            format!("{count} {kind} ones left no process {}", result.err().unwrap_or_default()),
        );
    }
    proof.step("daemons across a re-execution");
    let again = || drop(place.systemctl(root, &["daemon-reexec"]));
    let result = place.round(root, "daemon", STOPS, BATCH, &again);
    proof.check(result.is_ok(), format!("nor after daemon-reexec {}", result.err().unwrap_or_default()));
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Place {
    fn make(proof: &mut Proof) -> Option<Place> {
        let binary = proof.need("find the binary", our_binary())?;
        println!("the binary is {}", binary.display());
        let dir = PathBuf::from(format!("/tmp/runstead-plain-{}", std::process::id()));
        let place = Place { dir, mark: format!("7{:06}", std::process::id() % 1_000_000) };
        proof.need("prepare a directory", place.fill(&binary))?;
        Some(place)
    }

    fn fill(&self, binary: &Path) -> std::io::Result<()> {
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        for (name, bits) in [("", 0o755), ("run", 0o1777), ("units", 0o755)] {
            fs::create_dir(self.dir.join(name))?;
            mode(&self.dir.join(name), bits)?;
        }
        fs::copy(binary, self.binary())?;
        mode(&self.binary(), 0o755)?;
        let units =
            [("daemon@", DAEMON), ("deaf@", DEAF), ("busy@", BUSY), ("hardened", HARDENED), ("bound", BOUND)];
        for (name, unit) in units {
            let path = self.dir.join(format!("units/{name}.service"));
            fs::write(&path, unit.replace("MARK", &self.mark))?;
            mode(&path, 0o644)?;
        }
        Ok(())
    }

    fn binary(&self) -> PathBuf {
        self.dir.join("runstead")
    }

    fn nobody(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command.current_dir("/").env_remove("XDG_RUNTIME_DIR").env("TMPDIR", self.dir.join("run"));
    }

    fn as_nobody(&self, words: &[&str]) -> Command {
        let mut command = self.nobody();
        command.arg(self.binary()).args(words);
        command
    }

    /// In a mount namespace of its own, so that the machine's mounts are out of reach whatever happens.
    fn as_root(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "sh", "-c", WATCH_MOUNTS, "sh"]);
        command.arg(self.binary()).args(words);
        self.surround(&mut command);
        command
    }

    fn systemctl(&self, root: &Path, words: &[&str]) -> Output {
        let mut command = self.nobody();
        command.args(["systemctl", "--user", "--no-pager"]).args(words).env("XDG_RUNTIME_DIR", root);
        command.output().unwrap_or_else(|why| Output {
            status: std::os::unix::process::ExitStatusExt::from_raw(256),
            stdout: Vec::new(),
            stderr: why.to_string().into_bytes(),
        })
    }

    /// Start many of a kind, do something, stop them: then no process of theirs may be there.
    fn round(
        &self,
        root: &Path,
        kind: &str,
        first: usize,
        count: usize,
        between: &dyn Fn(),
    ) -> Result<(), String> {
        let names: Vec<String> = (first..first + count).map(|n| format!("{kind}@{n}.service")).collect();
        let all = |verb| {
            let words: Vec<&str> = std::iter::once(verb).chain(names.iter().map(String::as_str)).collect();
            let output = self.systemctl(root, &words);
            let failed = || format!("{verb} from {first}: {}", tail(&text(&output)));
            output.status.success().then_some(()).ok_or_else(failed)
        };
        all("start")?;
        let begun = self.marked().len();
        between();
        all("stop")?;
        let left = self.marked();
        match () {
            () if begun < count => Err(format!("from {first} only {begun} processes began")),
            () if !left.is_empty() => Err(format!("from {first} there were left: {left:?}")),
            () => Ok(()),
        }
    }

    /// Living processes of daemons.
    fn marked(&self) -> Vec<String> {
        processes(|_, words| words.contains(&self.mark))
    }

    /// Nobody runs our copy of the binary or carries the mark any more, and no run root is left.
    fn nothing_left(&self, proof: &mut Proof, who: &str) {
        let binary = self.binary();
        let mut left = processes(|exe, words| exe == binary || words.contains(&self.mark));
        let roots = fs::read_dir(self.dir.join("run")).into_iter().flatten().flatten();
        left.extend(roots.map(|entry| entry.path().display().to_string()));
        proof.check(left.is_empty(), format!("{who}: nothing is left behind {}", left.join("; ")));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Processes by executable and command line; zombies have neither.
fn processes(wanted: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let look = |pid: &str| {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        wanted(&exe, &words).then(|| format!("{pid} {words}"))
    };
    let is_process = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(is_process);
    names.filter_map(|pid| look(&pid)).collect()
}
