//! Logins through sshd, PAM and Debian's logind: one that is looked at closely, beside the reference's, and two hundred.
//!
//! `cargo test -p runstead-compat --test logins`; `RUNSTEAD_UNDER_TEST` chooses the PID 1. Needs root.

mod questions;

use runstead_compat::arguments::Arguments;
use runstead_compat::machine::{Entry, Machine, Options, Running, UnderTest};
use runstead_compat::proof::{Pid1, Proof};
use runstead_compat::{Error, Result, root};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// The user who logs in, and what `useradd` numbers her.
const USER: &str = "ann";
const UID: u32 = 1000;
/// Logins, and how many at a time.
const MANY: usize = 200;
const AT_A_TIME: usize = 20;
/// How long what belongs to a login may be there after it, and what is waited for before that is said to be too long.
const GONE: f64 = 1.0;
const PATIENCE: Duration = Duration::from_secs(15);

const SSH: &str = "ssh -q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /root/.ssh/id ann@127.0.0.1";

/// A user with a key, and a server that takes many at once.
const SET_UP: &str = r"set -e
useradd -m -s /bin/bash ann
mkdir -p -m 700 /root/.ssh ~ann/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id
cp /root/.ssh/id.pub ~ann/.ssh/authorized_keys
chown -R ann: ~ann/.ssh
mkdir -p /run/sshd
# Newer servers only: they punish who comes too often.
more=/etc/ssh/sshd_config.d/more.conf
echo 'PerSourcePenalties no' >$more; sshd -t 2>/dev/null || rm $more
systemctl restart ssh.service";

/// What the login says of itself: `name=value`, one a line; then it waits to be let go.
const LOGIN: &str = r#"echo "session=$XDG_SESSION_ID"
echo "runtime=$XDG_RUNTIME_DIR"
echo "bus=$DBUS_SESSION_BUS_ADDRESS"
echo "cgroup=$(sed -n 's/^0:://p' /proc/self/cgroup)"
echo "state=$(systemctl --user is-system-running --wait)"
systemd-run --user --wait --quiet true; echo "run=$?"
systemctl --user start made-up.service 2>/dev/null; echo "missing=$?"
echo "scope=$(systemd-run --user --scope --quiet sh -c "sed -n 's/^0:://p' /proc/self/cgroup" | sed 's/run-.*/run/')"
pid=$(systemctl show -P MainPID user@1000.service)
echo "manager=$(tr '\0' ' ' </proc/$pid/cmdline)"
echo "pam=$(ps -o user=,args= --ppid "$pid" | grep sd-pam)"
echo "units=$(systemctl --user list-units --plain --no-legend --all | awk '{print $1"/"$2"/"$3"/"$4}' | grep -v '\.mount/' | grep -v '^run-' | sort | tr '\n' ' ')"
echo "environment=$(systemctl --user show-environment | sort | tr '\n' ' ')"
echo "tree=$(cd "$XDG_RUNTIME_DIR" && find . -printf '%y%m%p ' | sed 's/invocation:run-[^ ]*//')"
echo "end=of it"
read -r _"#;

/// What was seen of one login.
#[derive(Debug, Default)]
struct Seen {
    said: BTreeMap<String, String>,
    exe: String,
    /// Names in `/run/systemd/sessions` and `users` and the names of variables in them.
    files: Vec<String>,
    gone_after: f64,
    left: String,
}

fn main() -> ExitCode {
    if let Err(status) = Arguments::from_env("usage: logins").and_then(Arguments::none_left) {
        return status;
    }
    let mut proof = Proof::begin("logins", LIMIT);
    prove(&mut proof);
    proof.end()
}

fn prove(proof: &mut Proof) {
    let Some(under_test) = proof.need("choose the PID 1", UnderTest::from_env()) else { return };
    let Some(root) = proof.need("find the Debian root", root::chosen()) else { return };
    let mut expected = None;
    let mut answers = None;
    if under_test == UnderTest::Ours {
        proof.step("the reference's login");
        let seen = boot(UnderTest::Systemd, &root).and_then(|machine| {
            answers = Some(questions::ask(&machine)?);
            login(&machine)
        });
        expected = proof.need("log in on the reference", seen);
    }
    proof.step(format!("a login on {}", under_test.name()));
    let Some(machine) = proof.need("boot", boot(under_test, &root)) else { return };
    let Some(here) = proof.need("ask the login manager", questions::ask(&machine)) else { return };
    let Some(seen) = proof.need("log in", login(&machine)) else { return };
    judge(proof, under_test, &seen);
    if let Some(expected) = expected {
        compare(proof, &seen, &expected);
    }
    proof.step("questions to the login manager");
    questions::prove(proof, &machine, &here, answers.as_deref());
    proof.step("other ways in");
    other_ways(proof, &machine);
    proof.step(format!("{MANY} logins, {AT_A_TIME} at a time"));
    many(proof, &machine);
}

fn boot(under_test: UnderTest, root: &Path) -> Result<Machine> {
    let mut options = Options::new(under_test, root);
    options.shared_mounts = true;
    let file = |text: &str| Entry::File(text.to_owned(), 0o644);
    // The default lets a user's manager live for ten seconds after the last login.
    let logind = "[Login]\nUserStopDelaySec=0\n";
    options.files.push(("/etc/systemd/logind.conf.d/test.conf".into(), file(logind)));
    // Two hundred logins start and stop these more often than the default lets them.
    for unit in ["user@", "user-runtime-dir@", "user-"] {
        let kind = if unit == "user-" { "slice" } else { "service" };
        let path = format!("/etc/systemd/system/{unit}.{kind}.d/test.conf");
        options.files.push((path, file("[Unit]\nStartLimitIntervalSec=0\n")));
    }
    let sshd = "MaxStartups 100\nMaxSessions 100\n";
    options.files.push(("/etc/ssh/sshd_config.d/test.conf".into(), file(sshd)));
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT_LIMIT)?;
    sh(&machine, SET_UP)?;
    Ok(machine)
}

/// Output of a script that has to succeed.
fn sh(machine: &Machine, script: &str) -> Result<String> {
    machine.shell(script)?.up_to(0)
}

fn login(machine: &Machine) -> Result<Seen> {
    let mut session = machine.spawn(&["sh", "-c", &format!("exec {SSH} \"$0\""), LOGIN])?;
    let mut seen = Seen { said: listen(&mut session)?, ..Seen::default() };
    seen.exe =
        sh(machine, "readlink /proc/$(systemctl show -P MainPID user@1000.service)/exe")?.trim().to_owned();
    let names = "cd /run/systemd; for f in sessions/* users/*; do [ -f $f ] && echo $f && sed -n 's/=.*//p' $f | sort; done";
    seen.files = sh(machine, names)?.lines().map(unnumbered).collect();
    let began = Instant::now();
    drop(session.take_stdin());
    session.wait(PATIENCE)?;
    loop {
        seen.left = what_is_left(machine)?;
        seen.gone_after = began.elapsed().as_secs_f64();
        if seen.left.is_empty() || began.elapsed() > PATIENCE {
            return Ok(seen);
        }
    }
}

/// Sessions are numbered from one on each machine, whatever logs in.
fn unnumbered(line: &str) -> String {
    match line.strip_prefix("sessions/") {
        Some(_) => "sessions/N".to_owned(),
        None => line.to_owned(),
    }
}

fn listen(session: &mut Running) -> Result<BTreeMap<String, String>> {
    use std::io::BufRead as _;
    let output = session.take_stdout().ok_or_else(|| Error::new("no output"))?;
    let mut said = BTreeMap::new();
    for line in std::io::BufReader::new(output).lines() {
        let line = line.map_err(Error::on("read", "what the login says"))?;
        let Some((name, value)) = line.split_once('=') else { continue };
        if name == "end" {
            return Ok(said);
        }
        said.insert(name.to_owned(), value.to_owned());
    }
    Err(Error::new(format!("the login ended early, after {said:?}")))
}

/// What still belongs to a login of the user. A FIFO without its session is Debian's logind's own: under load it forgets one now and
/// then, also on the reference.
fn what_is_left(machine: &Machine) -> Result<String> {
    let script = format!(
        "cd /run/systemd; ls -d users/* $(ls -d sessions/* | grep -v '\\.ref$') /run/user/{UID} /sys/fs/cgroup/user.slice/user-{UID}.slice 2>/dev/null
        ps -o pid=,args= -u {USER}
        systemctl list-units --plain --no-legend --all 'session-*' 'user@{UID}*' 'user-{UID}*' 'user-runtime-dir@{UID}*' | cut -c1-60
        true"
    );
    Ok(sh(machine, &script)?.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn judge(proof: &mut Proof, under_test: UnderTest, seen: &Seen) {
    let said = |name: &str| seen.said.get(name).map_or("", String::as_str);
    let mut equal = |name: &str, expected: &str| {
        let value = said(name);
        proof.check(value == expected, format!("{name} is {value:?} (to be {expected:?})"));
    };
    equal("runtime", "/run/user/1000");
    equal("bus", "unix:path=/run/user/1000/bus");
    equal("state", "running");
    equal("run", "0");
    equal("missing", "5");
    equal("scope", "/user.slice/user-1000.slice/user@1000.service/app.slice/run");
    let session = said("session");
    let scope = format!("/user.slice/user-1000.slice/session-{session}.scope");
    proof.check(
        !session.is_empty() && said("cgroup") == scope,
        format!("the session's scope is {}", said("cgroup")),
    );
    proof.check(
        said("pam").contains("(sd-pam)"),
        format!("a process waits to close the session: {}", said("pam")),
    );
    let wanted = if under_test == UnderTest::Ours { "/runstead" } else { "/systemd" };
    proof.check(seen.exe.ends_with(wanted), format!("the user's manager is {}", seen.exe));
    proof.check(seen.left.is_empty(), format!("nothing is left after the login: {:?}", seen.left));
}

/// The same as the reference's run leaves, but what names the program.
fn compare(proof: &mut Proof, seen: &Seen, expected: &Seen) {
    // Where the reference is older its manager's environment and directories are, too.
    let same = matches!(root::Distribution::from_env(), Ok(root::Distribution::Debian13));
    let names: &[&str] = if same { &["environment", "tree", "units"] } else { &["units"] };
    for &name in names {
        let [ours, reference] = [seen, expected]
            .map(|seen| seen.said.get(name).map_or("", String::as_str).split(' ').collect::<Vec<_>>());
        let lost: Vec<&&str> = reference.iter().filter(|word| !ours.contains(word)).collect();
        let new: Vec<&&str> = ours.iter().filter(|word| !reference.contains(word)).collect();
        proof.check(
            lost.is_empty() && new.is_empty(),
            format!("{name} as on the reference ({}): missing {lost:?}, new {new:?}", reference.len()),
        );
    }
    // An older login manager has fewer keys, and names audit sessions in containers, too.
    let newer = |key: &&String| same || !["LEADER_FD_SAVED", "GC_MODE", "AUDIT"].contains(&key.as_str());
    let [files, expected_files] =
        [seen, expected].map(|seen| seen.files.iter().filter(newer).collect::<Vec<_>>());
    // It has no session for the manager's own.
    let alike =
        if same { files == expected_files } else { expected_files.iter().all(|key| files.contains(key)) };
    proof.check(
        alike,
        format!("/run/systemd/sessions and users as on the reference: {files:?}, there {expected_files:?}"),
    );
    // Debian's logind ends what it started; a slow machine is slow for both.
    let limit = GONE.max(1.5 * expected.gone_after);
    proof.check(
        seen.gone_after <= limit,
        format!("gone after {:.2} s, the reference after {:.2} s", seen.gone_after, expected.gone_after),
    );
}

fn other_ways(proof: &mut Proof, machine: &Machine) {
    let mut holds = |what: &str, script: &str, expected: &str| match sh(machine, script) {
        Ok(text) => {
            proof.check(text.trim() == expected, format!("{what}: {:?} (to be {expected:?})", text.trim()))
        }
        Err(why) => proof.check(false, format!("{what}: {why}")),
    };
    holds(
        "su -l has a session",
        "su -l ann -c 'test -n \"$XDG_SESSION_ID\" && echo $XDG_RUNTIME_DIR'",
        "/run/user/1000",
    );
    holds("sudo asks PAM", "sudo -u ann id -un", "ann");
    holds(
        "root runs in the user's manager",
        "loginctl enable-linger ann; until systemctl -q is-active user@1000; do sleep 0.1; done
        systemd-run --user --machine=ann@.host --wait --quiet --pipe id -un",
        "ann",
    );
    // The login manager may still be closing the session of before.
    holds(
        "a lingering user's manager runs without a login",
        "for n in $(seq 100); do s=$(loginctl show-user ann -P State); [ \"$s\" = lingering ] && break; sleep 0.1; done; echo $s",
        "lingering",
    );
    holds(
        "the manager executes itself again and keeps what runs",
        "export XDG_RUNTIME_DIR=/run/user/1000; as='setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann'
        $as systemd-run --user --quiet --unit=stays sleep 1d
        before=$($as systemctl --user show -P MainPID stays); systemctl reload user@1000
        after=$($as systemctl --user show -P MainPID stays); $as systemctl --user is-system-running
        test -n \"$before\" && test \"$before\" = \"$after\" && echo kept",
        "running\nkept",
    );
    holds(
        "and ends without lingering",
        "loginctl disable-linger ann; for n in $(seq 100); do [ -d /run/user/1000 ] || { echo gone; break; }; sleep 0.1; done",
        "gone",
    );
}

fn many(proof: &mut Proof, machine: &Machine) {
    let descriptors = Pid1(machine).descriptors().len();
    let script = format!(
        "n=0; while [ $n -lt {MANY} ]; do
          for k in $(seq {AT_A_TIME}); do {SSH} true || echo failed & done; wait; n=$((n+{AT_A_TIME}))
        done"
    );
    let began = Instant::now();
    let Some(said) = proof.need("log in many times", sh(machine, &script)) else { return };
    let failed = said.lines().count();
    proof.check(
        failed == 0,
        format!("{failed} of {MANY} logins failed, in {:.1} s", began.elapsed().as_secs_f64()),
    );
    let began = Instant::now();
    let mut left = String::from("?");
    while !left.is_empty() && began.elapsed() < PATIENCE {
        left = what_is_left(machine).unwrap_or_else(|why| why.to_string());
    }
    proof.check(left.is_empty(), format!("nothing is left over: {left:?}"));
    let failed =
        sh(machine, "systemctl list-units --plain --no-legend --failed | cut -d' ' -f1").unwrap_or_default();
    proof.check(failed.trim().is_empty(), format!("no unit failed: {:?}", failed.trim()));
    let mut now = Pid1(machine).descriptors().len();
    let began = Instant::now();
    while now > descriptors && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
        now = Pid1(machine).descriptors().len();
    }
    proof.check(
        now <= descriptors,
        format!("PID 1 holds {now} descriptors, no more than before ({descriptors})"),
    );
}
