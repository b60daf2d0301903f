//! Machines with a kernel of their own: devices, fstab, gettys, limits, OOM, hot-plugging, rescue, emergency, Ctrl-Alt-Del,
//! and disks that are clean afterwards.
//!
//! The reference passes the same checks. With `RUNSTEAD_UNDER_TEST=ours` (the default) it is booted first, and what both
//! show of their devices, mounts and swaps has to be the same.

mod installed;
mod kills;
mod limits;
mod plug;
mod prompts;
mod sessions;
mod switch_root;

use runstead_compat::machine::{Entry, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::root::{self, Distribution};
use runstead_compat::vm::{Vm, VmOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// A boot takes 15 to 45 s under emulation, beside other work twice that; more than this means that it hangs.
pub const BOOT: Duration = Duration::from_secs(240);
const POWER_OFF: Duration = Duration::from_secs(120);

/// What both have to show alike, by unit: `systemctl show` of these properties.
const SHOWN: &str = "Id,LoadState,ActiveState,SubState,Following,SysFSPath,Description,JobRunningTimeoutUSec,Wants,RequiredBy,\
    What,Where,Type,Result,Requires,BindsTo,FragmentPath,Priority";
const KINDS: [&str; 4] = ["device", "mount", "swap", "automount"];

fn main() -> ExitCode {
    let mut proof = Proof::begin("vm", Duration::from_secs(28 * 60));
    let Some(under_test) = proof.need("RUNSTEAD_UNDER_TEST", UnderTest::from_env()) else {
        return proof.end();
    };
    let Some(tree) = proof.need("the root with a kernel", root::of(Distribution::Debian13Kernel)) else {
        return proof.end();
    };
    // What a session costs is measured on a machine that does nothing else: `cargo test --test vm -- session`.
    if std::env::args().any(|word| word == "session") {
        sessions::measure(&mut proof, &tree);
        return proof.end();
    }
    if std::env::args().any(|word| word == "switch-root") {
        switch_root::prove(&mut proof, &tree);
        return proof.end();
    }
    if std::env::args().any(|word| word == "installed") {
        installed::prove(&mut proof, &tree);
        return proof.end();
    }
    if std::env::args().any(|word| word == "kills") {
        kills::prove(&mut proof, &tree);
        return proof.end();
    }
    let reference = look(&mut proof, UnderTest::Systemd, &tree);
    emergency(&mut proof, UnderTest::Systemd, &tree);
    if under_test == UnderTest::Ours {
        let ours = look(&mut proof, UnderTest::Ours, &tree);
        emergency(&mut proof, UnderTest::Ours, &tree);
        installed::prove(&mut proof, &tree);
        kills::prove(&mut proof, &tree);
        switch_root::prove(&mut proof, &tree);
        compare(&mut proof, &reference.units, &ours.units);
        let (theirs, own) = (reference.move_time, ours.move_time);
        proof.check(
            own > 0.0 && own <= theirs / 2.0,
            format!("a process changes its cgroup in {own:.1} ms, reference {theirs:.1} ms"),
        );
    }
    proof.end()
}

/// What a boot showed.
#[derive(Default)]
struct Seen {
    /// Devices, mounts, swaps and automounts with their properties.
    units: BTreeMap<String, String>,
    /// Milliseconds to move a process from one control group to another.
    move_time: f64,
}

/// One boot with everything that can be tried in it.
fn look(proof: &mut Proof, under_test: UnderTest, tree: &Path) -> Seen {
    let who = under_test.name();
    proof.step(format!("{who}: boot"));
    let mut options = VmOptions::new(under_test, tree);
    options.files = [limits::files(), plug::files()].concat();
    let Some(mut vm) = proof.need("boot", Vm::boot(&options)) else { return Seen::default() };
    if proof.need("the agent", vm.wait_agent(BOOT)).is_none() {
        return Seen::default();
    }
    let mut checks = Checks { proof, vm: &mut vm, who };
    checks.text("the whole system is up", "systemctl is-system-running --wait", "running");
    let took = "systemd-analyze | grep -c ' (kernel) + .* (userspace) = '";
    checks.text("how long kernel and userspace took", took, "1");
    let said = "journalctl -b -o cat | grep -c '^Startup finished in .* (kernel) + .* (userspace) = .*s[.]$'";
    checks.soon("and that it is said", said, "1");
    checks.text("graphical.target", "systemctl is-active graphical.target", "active");
    checks.text("serial-getty@ttyS0", "systemctl is-active serial-getty@ttyS0", "active");
    checks.text("PID 1", "readlink /proc/1/exe", pid1(under_test));
    checks.text("the root file system is writable", "findmnt -no OPTIONS / | cut -d, -f1", "rw");
    let move_time = limits::move_time(&mut checks);
    let seen = Seen { units: units(&mut checks), move_time };
    fstab(&mut checks);
    leftovers(&mut checks);
    limits::prove(&mut checks);
    plug::prove(&mut checks);
    checks.text("after daemon-reexec", "systemctl daemon-reexec && systemctl is-active dev-vdb.device mnt-data.mount dev-vdc.swap | uniq -c | xargs", "3 active");
    prompts::login(&mut checks);
    prompts::rescue(&mut checks);
    checks.proof.step(format!("{who}: poweroff"));
    off(&mut checks, |vm| vm.start_command("systemctl poweroff"));
    seen
}

/// A boot into emergency mode, ended by Ctrl-Alt-Del.
fn emergency(proof: &mut Proof, under_test: UnderTest, tree: &Path) {
    let who = under_test.name();
    proof.step(format!("{who}: emergency mode"));
    let mut options = VmOptions::new(under_test, tree);
    options.words = "systemd.unit=emergency.target".to_owned();
    let Some(mut vm) = proof.need("boot", Vm::boot(&options)) else { return };
    let mut checks = Checks { proof, vm: &mut vm, who };
    prompts::emergency(&mut checks);
    let keys = r#"{"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": "ctrl"}, {"type": "qcode", "data": "alt"}, {"type": "qcode", "data": "delete"}]}}"#;
    off(&mut checks, |vm| vm.monitor(keys).map(drop));
}

fn pid1(under_test: UnderTest) -> &'static str {
    match under_test {
        UnderTest::Ours => "/usr/lib/runstead/runstead",
        UnderTest::Systemd => "/usr/lib/systemd/systemd",
    }
}

/// A machine with the proof that looks at it.
pub struct Checks<'a> {
    /// Counts.
    pub proof: &'a mut Proof,
    /// The machine.
    pub vm: &'a mut Vm,
    /// Which PID 1, for the texts.
    pub who: &'static str,
}

impl Checks<'_> {
    /// What a command prints is exactly this.
    pub fn text(&mut self, what: &str, command: &str, wanted: &str) {
        match self.vm.text(command) {
            Ok(text) => {
                let holds = text == wanted;
                let more = if holds {
                    String::new()
                } else {
                    format!(": `{command}` prints {text:?}, not {wanted:?}")
                };
                self.proof.check(holds, format!("{}: {what}{more}", self.who));
            }
            Err(why) => self.proof.check(false, format!("{}: {what}: {why}", self.who)),
        }
    }

    /// The same, given some seconds to come true.
    pub fn soon(&mut self, what: &str, command: &str, wanted: &str) {
        let patient = format!(
            "for i in $(seq 150); do [ \"$({command})\" = \"{wanted}\" ] && break; sleep 0.1; done; {command}"
        );
        self.text(what, &patient, wanted);
    }

    /// Something that holds, or why not.
    pub fn outcome<T>(&mut self, what: &str, outcome: runstead_compat::Result<T>) -> Option<T> {
        let holds = outcome.is_ok();
        let why = outcome.as_ref().err().map(|why| format!(": {why}")).unwrap_or_default();
        self.proof.check(holds, format!("{}: {what}{why}", self.who));
        outcome.ok()
    }
}

/// Down, whatever begins it, with clean file systems.
fn off(checks: &mut Checks<'_>, begin: impl FnOnce(&mut Vm) -> runstead_compat::Result<()>) {
    let begun = begin(checks.vm);
    checks.outcome("the way down begins", begun);
    let ended = checks.vm.wait_end(POWER_OFF);
    let tail = checks.vm.console().tail(30);
    let who = checks.who;
    checks.proof.check(matches!(ended, Ok(true)), format!("{who}: it switches itself off"));
    if !matches!(ended, Ok(true)) {
        println!("{tail}");
    }
    for disk in ["root", "data"] {
        let found = checks.vm.check_disk(disk);
        let text = format!("{who}: disk {disk} is clean and its journal empty");
        checks.proof.check(
            matches!(found, Ok(None)),
            format!("{text} {}", found.map_or_else(|e| e.to_string(), Option::unwrap_or_default)),
        );
    }
}

/// What fstab asks for is there, checked before it was mounted.
fn fstab(checks: &mut Checks<'_>) {
    checks.text("the disk of fstab is mounted", "findmnt -no SOURCE,FSTYPE /mnt/data", "/dev/vdb ext4");
    let fsck = r"systemctl is-active 'systemd-fsck@dev-disk-by\x2dlabel-data.service'";
    checks.text("it was checked before", fsck, "active");
    checks.text("swap is used", "swapon --show=NAME --noheadings", "/dev/vdc");
    checks.text(
        "the automount waits",
        "systemctl is-active mnt-auto.automount mnt-auto.mount | xargs",
        "active inactive",
    );
    checks.text("who goes there mounts it", "ls /mnt/auto; systemctl is-active mnt-auto.mount", "active");
    checks.text("it is unmounted by hand", "umount /mnt/data && echo yes", "yes");
    checks.soon("that is noticed", "systemctl is-active mnt-data.mount", "inactive");
    checks.text(
        "and mounted again",
        "systemctl start mnt-data.mount; findmnt -no SOURCE /mnt/data",
        "/dev/vdb",
    );
}

/// What only its processes may have goes with them, also when the service stays up.
fn leftovers(checks: &mut Checks<'_>) {
    let run = "systemd-run -q --unit=done -p Type=oneshot -p RemainAfterExit=yes -p PrivateTmp=yes -p SetCredential=x:y";
    let inside = "stat -f -c %T $CREDENTIALS_DIRECTORY";
    let start = format!("{run} sh -c '{inside} >/run/kind' && cat /run/kind");
    checks.text("credentials are never swapped out", &start, "tmpfs");
    checks.text("the service is up", "systemctl show done --value -p SubState", "exited");
    let left = "ls -d /run/credentials/done.service /run/systemd/propagate/done.service /sys/fs/cgroup/system.slice/done.service 2>/dev/null | wc -l";
    checks.soon("without credentials, propagation directory and cgroup", left, "0");
    checks.text("it is stopped", "systemctl stop done && echo yes", "yes");
}

fn units(checks: &mut Checks<'_>) -> BTreeMap<String, String> {
    let patterns = KINDS.map(|kind| format!("'*.{kind}'")).join(" ");
    let listed = format!("systemctl list-units --all --plain --no-legend {patterns} | cut -d' ' -f1");
    let command = format!("systemctl show -p {SHOWN} -- $({listed})");
    let text = checks.vm.text(&command.replace("$(", "$(set -f; "));
    let text = checks.outcome("its devices and mounts are shown", text).unwrap_or_default();
    text.split("\n\n").filter_map(unit).collect()
}

/// The properties of one unit, in order, lists sorted.
fn unit(block: &str) -> Option<(String, String)> {
    let sorted = |line: &str| match line.split_once('=') {
        Some((name, list)) if ["Wants", "RequiredBy", "Requires", "BindsTo"].contains(&name) => {
            let mut words: Vec<&str> = list.split(' ').collect();
            words.sort_unstable();
            format!("{name}={}", words.join(" "))
        }
        _ => line.to_owned(),
    };
    let mut lines: Vec<String> = block.lines().map(sorted).collect();
    lines.sort();
    let id = lines.iter().find_map(|line| line.strip_prefix("Id="))?.to_owned();
    Some((id, lines.join("\n")))
}

fn compare(proof: &mut Proof, reference: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) {
    let names = |side: &BTreeMap<String, String>| side.keys().cloned().collect::<Vec<_>>();
    let missing: Vec<String> = names(reference).into_iter().filter(|name| !ours.contains_key(name)).collect();
    let more: Vec<String> = names(ours).into_iter().filter(|name| !reference.contains_key(name)).collect();
    let text = format!("{} units of devices and mounts on both sides", reference.len());
    proof.check(
        missing.is_empty() && more.is_empty() && reference.len() > 30,
        format!("{text}; missing {missing:?}, more {more:?}"),
    );
    for (name, theirs) in reference {
        let Some(own) = ours.get(name) else { continue };
        let different: Vec<String> = theirs
            .lines()
            .filter(|line| !own.lines().any(|other| other == *line))
            .map(|line| {
                let key = line.split('=').next().unwrap_or_default();
                let other =
                    own.lines().find(|other| other.split('=').next() == Some(key)).unwrap_or("nothing");
                format!("{line}, ours {other}")
            })
            .collect();
        proof.check(different.is_empty(), format!("{name} {}", different.join("; ")));
    }
}

/// A file for the machine.
pub fn file(path: &str, text: &str) -> (String, Entry) {
    (path.to_owned(), Entry::File(text.to_owned(), 0o644))
}
