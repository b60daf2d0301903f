//! `/run` as the Filesystem Hierarchy Standard 3.0 asks, told by `runstead rundir check`: on booted distributions under either
//! PID 1, on a small root and in an empty container; and each requirement broken on purpose is named.

use runstead_compat::machine::{Entry, Machine, Options, UnderTest, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::root::{self, Distribution};
use runstead_compat::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);
const BOOT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);
const PROGRAM: &str = "/usr/local/bin/runstead";

fn main() -> ExitCode {
    let mut proof = Proof::begin("rundir", LIMIT);
    let scratch = std::env::temp_dir().join(format!("runstead-rundir-{}", std::process::id()));
    let outcome = prove(&mut proof, &scratch);
    let _ = fs::remove_dir_all(&scratch);
    proof.need("go through it", outcome);
    proof.end()
}

fn prove(proof: &mut Proof, scratch: &Path) -> Result<()> {
    fs::create_dir_all(scratch).map_err(Error::on("create", scratch))?;
    for under_test in [UnderTest::Systemd, UnderTest::Ours] {
        for distribution in [Distribution::Debian13, Distribution::Debian12] {
            proof.step(format!("{distribution:?} under {}", under_test.name()));
            let mut machine = boot(under_test, root::of(distribution)?)?;
            machine.wait_running(BOOT)?;
            holds_all(proof, &machine)?;
            if distribution == Distribution::Debian13 {
                shown(proof, &machine, under_test)?;
                proof.step("each requirement broken on purpose");
                broken(proof, &machine)?;
            }
        }
    }
    proof.step("a small root with a /run and a /var/run from another boot");
    small(proof, scratch)?;
    proof.step("an empty container");
    empty(proof)?;
    proof.step("images");
    images(proof, scratch)
}

fn boot(under_test: UnderTest, root: PathBuf) -> Result<Machine> {
    let mut options = Options::new(under_test, root);
    let binary = our_binary()?;
    let bytes = fs::read(&binary).map_err(Error::on("read", &binary))?;
    options.files.push((PROGRAM.to_owned(), Entry::Program(bytes)));
    Machine::boot(&options)
}

/// Output of a shell's line and its exit status.
fn sh(machine: &Machine, line: &str) -> Result<(String, Option<i32>)> {
    let said = machine.shell(line)?;
    Ok((said.all(), said.code))
}

/// The verdicts of `rundir check --json` by name, with the paths of what breaks each.
fn verdicts(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    text.lines()
        .filter_map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).ok()?;
            let paths = row["breaches"].as_array()?.iter();
            let paths = paths.filter_map(|breach| Some(breach["path"].as_str()?.to_owned()));
            Some((row["name"].as_str()?.to_owned(), (row["verdict"].as_str()?.to_owned(), paths.collect())))
        })
        .collect()
}

const ROWS: usize = 12;

fn holds_all(proof: &mut Proof, machine: &Machine) -> Result<()> {
    let (text, code) = sh(machine, &format!("{PROGRAM} rundir check --json"))?;
    let rows = verdicts(&text);
    let good = rows.len() == ROWS && rows.values().all(|(verdict, _)| verdict == "holds");
    proof.check(good && code == Some(0), format!("all {ROWS} requirements hold, {code:?}"));
    if !good {
        println!("{text}");
    }
    Ok(())
}

/// What tree and top say of things whose truth is known.
fn shown(proof: &mut Proof, machine: &Machine, under_test: UnderTest) -> Result<()> {
    let make = "systemd-run -q --unit=mine -p RuntimeDirectory=mine sh -c 'head -c 300000 /dev/zero >/run/mine/big; exec sleep 1000'
        systemd-run -q --unit=listener socat UNIX-LISTEN:/run/talk,fork EXEC:cat
        sleep 1000 & sleep 0.1; echo $! >/run/lives.pid; echo 999999 >/run/dead.pid
        echo 1 >/run/reused.pid; touch -d 2001-01-01 /run/reused.pid
        for i in $(seq 100); do [ -S /run/talk ] && [ -s /run/mine/big ] && break; sleep 0.05; done
        (sleep 5 | socat - UNIX-CONNECT:/run/talk) >/dev/null 2>&1 &
        for i in $(seq 50); do [ $(grep -c /run/talk /proc/net/unix) -ge 2 ] && break; sleep 0.05; done";
    sh(machine, make)?;
    let (text, code) = sh(machine, &format!("{PROGRAM} rundir tree --all --json"))?;
    let lines: BTreeMap<String, serde_json::Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| Some((line["path"].as_str()?.to_owned(), line)))
        .collect();
    let at = |path: &str, name: &str| lines.get(path).map(|line| line[name].to_string()).unwrap_or_default();
    proof.check(code == Some(0) && lines.len() > 60, format!("{} entries are listed", lines.len()));
    let mut equal = |path: &str, name: &str, wanted: &str| {
        let found = at(path, name);
        proof.check(found == wanted, format!("{path}: {name} is {found} (to be {wanted})"));
    };
    equal("/run/mine", "unit", "\"mine.service\"");
    equal("/run/mine/big", "unit", "\"mine.service\"");
    equal("/run/mine", "inodes", "2");
    equal("/run/talk", "unit", "\"listener.service\"");
    equal("/run/talk", "listens", "true");
    equal("/run/talk", "peers", "1");
    equal("/run/lives.pid", "process", "\"live\"");
    equal("/run/dead.pid", "process", "\"stale\"");
    equal("/run/reused.pid", "process", "\"reused\"");
    equal("/run/dbus/system_bus_socket", "unit", "\"dbus.socket\"");
    let bytes = at("/run/mine", "bytes").parse::<u64>().unwrap_or(0);
    proof.check((300_000..400_000).contains(&bytes), format!("/run/mine takes {bytes} bytes"));
    let (text, _) = sh(machine, &format!("{PROGRAM} rundir tree"))?;
    proof.check(!text.contains('\x1b') && text.contains("999999"), "no colours where nobody sees them");
    let (text, _) = sh(machine, &format!("{PROGRAM} rundir top --once"))?;
    let first = text.lines().nth(2).unwrap_or("").to_owned();
    proof.check(first.starts_with("mine.service"), format!("the largest comes first: {first:?}"));
    if under_test == UnderTest::Ours {
        on_the_bus(proof, machine)?;
    }
    let (text, code) = sh(machine, &format!("timeout 1 {PROGRAM} rundir top --interval 300ms --json"))?;
    let times = text.lines().filter(|line| line.contains("mine.service")).count();
    proof.check(code == Some(124) && times >= 2, format!("it goes on: {times} looks"));
    let (text, code) =
        sh(machine, &format!("{PROGRAM} rundir tree --all | head -1; {PROGRAM} rundir trees"))?;
    proof.check(!text.contains("panicked") && code == Some(2), "a reader may leave; a slip is told");
    let (_, code) =
        sh(machine, &format!("setpriv --reuid 65534 --regid 65534 --clear-groups {PROGRAM} rundir check"))?;
    proof.check(code == Some(0), "an ordinary user may look, too");
    sh(
        machine,
        "systemctl stop mine listener; rm -f /run/lives.pid /run/dead.pid /run/reused.pid /run/talk",
    )?;
    Ok(())
}

/// The units that `rundir top` tells of, and what the manager says each takes.
const ASK: &str = r#"
get() { busctl get-property org.freedesktop.systemd1 "$1" org.runstead.Rundir1 Bytes Inodes | cut -d' ' -f2 | tr '\n' ' '; }
unit() { busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager LoadUnit s "$1" | cut -d'"' -f2; }
all() { busctl call org.freedesktop.systemd1 "$mine" org.freedesktop.DBus.Properties GetAll s "$1"; }
mine=$(unit mine.service)
"#;

/// The same figures as properties of units, on an interface that adds nothing to the reference's.
fn on_the_bus(proof: &mut Proof, machine: &Machine) -> Result<()> {
    let mut differing = Vec::new();
    let mut units = 0;
    // The manager's own files come and go meanwhile.
    for _ in 0..5 {
        let line = format!(
            r#"{ASK}
            $P rundir top --once --json | jq -r 'select(.unit != "-") | "\(.unit) \(.bytes) \(.inodes) "' >/tmp/top
            while read -r name rest; do echo "$name $(get "$(unit "$name")")"; done </tmp/top >/tmp/bus
            wc -l </tmp/top; diff /tmp/top /tmp/bus"#
        );
        let (text, _) = sh(machine, &line.replace("$P", PROGRAM))?;
        let (count, rest) = text.split_once('\n').unwrap_or((&text, ""));
        units = count.trim().parse::<u32>().unwrap_or(0);
        differing = rest.lines().map(str::to_owned).collect();
        if differing.is_empty() {
            break;
        }
    }
    proof.check(
        units > 10 && differing.is_empty(),
        format!("of {units} units the bus says the same: {differing:?}"),
    );
    let line = format!(
        r#"{ASK}
        busctl introspect org.freedesktop.systemd1 "$mine" org.runstead.Rundir1 | grep -c ' property  *t '
        all org.runstead.Rundir1 | tr -d '0-9'; all org.freedesktop.systemd1.Unit | grep -c Inodes
        all '' | grep -c '"Id" s "mine.service"'; all '' | grep -c Inodes; systemctl show mine | grep -c ^Inodes=
        busctl get-property org.freedesktop.systemd1 "$mine" org.runstead.Rundir1 Sockets 2>&1 | cut -d' ' -f1-3
        mkdir /run/mine/many; (cd /run/mine/many; seq 50000 | xargs touch)
        for i in $(seq 20); do get "$mine" >/tmp/of-$i & done; wait; cat /tmp/of-* | cut -d' ' -f2 | sort -u; rm -r /run/mine/many"#
    );
    let (text, _) = sh(machine, &line)?;
    let wanted = "2\na{sv}  \"Bytes\" t  \"Inodes\" t \n0\n1\n0\n0\nFailed to get\n50003\n";
    proof.check(text == wanted, format!("on an interface of its own: {text:?}"));
    Ok(())
}

/// What is done, what is broken by it and where, and how it is mended. In a mount namespace of its own where that is changed.
const DAMAGES: [(&str, &str, &str, &str); 14] = [
    ("chown 12345 /run", "owner", "/run", "chown 0 /run"),
    ("chgrp 12345 /run", "owner", "/run", "chgrp 0 /run"),
    ("chmod 0777 /run", "unprivileged", "/run", "chmod 0755 /run"),
    ("mount --bind /run /run; mount -o remount,bind,ro /run", "usable", "/run", "umount /run"),
    ("mount -o remount,bind,noexec /run", "usable", "/run", "mount -o remount,bind,exec /run"),
    ("rm /var/run; mkdir /var/run", "var-run", "/var/run", "rmdir /var/run; ln -s ../run /var/run"),
    ("ln -sfn /tmp /var/lock", "var-lock", "/var/lock", "ln -sfn ../run/lock /var/lock"),
    ("mkdir -m 0777 /run/open", "directories", "/run/open", "rmdir /run/open"),
    ("mkdir -p -m 0755 /run/user/4711", "users", "/run/user/4711", "rmdir /run/user/4711"),
    ("mkdir -m 0700 /run/user/joe", "users", "/run/user/joe", "rmdir /run/user/joe"),
    ("echo x >/run/credentials/key", "credentials", "/run/credentials/key", "rm /run/credentials/key"),
    ("printf 12 >/run/a.pid", "pid-files", "/run/a.pid", "rm /run/a.pid"),
    ("echo '' >/run/b.pid", "pid-files", "/run/b.pid", "rm /run/b.pid"),
    (
        "socat UNIX-LISTEN:/var/lib/talk - </dev/zero >/dev/null & for i in $(seq 100); do [ -S /var/lib/talk ] && break; sleep 0.05; done",
        "sockets",
        "/var/lib/talk",
        "kill $!; rm -f /var/lib/talk",
    ),
];

fn broken(proof: &mut Proof, machine: &Machine) -> Result<()> {
    for (damage, name, path, mending) in DAMAGES {
        let line = format!("{damage}\n{PROGRAM} rundir check --json\ncode=$?\n{mending}\nexit $code");
        let (text, code) = sh(machine, &line)?;
        let found: Vec<(String, Vec<String>)> = verdicts(&text)
            .into_iter()
            .filter(|(_, (verdict, _))| verdict != "holds")
            .map(|(name, (_, paths))| (name, paths))
            .collect();
        let good = code == Some(1) && found == [(name.to_owned(), vec![path.to_owned()])];
        proof.check(good, format!("`{damage}` breaks {found:?} (to be {name} by {path}), {code:?}"));
    }
    holds_all(proof, machine)
}

/// busybox, our binary as init, a directory `/var/run`, and a `/run` that is a part of the root, with things from another boot.
fn small(proof: &mut Proof, scratch: &Path) -> Result<()> {
    let tree = scratch.join("small");
    let script = "set -e
        mkdir -p $1/bin $1/etc $1/root $1/tmp $1/var/run/old $1/run/nginx
        cp \"$(command -v busybox)\" $1/bin/busybox
        for name in sh ls; do ln -s busybox $1/bin/$name; done
        echo root:x:0:0:root:/root:/bin/sh >$1/etc/passwd; echo root:x:0: >$1/etc/group
        echo 7 >$1/run/nginx/old.pid; echo 7 >$1/var/run/old/old.pid; touch -d 2001-01-01 $1/run/nginx $1/run/nginx/old.pid";
    let made = Command::new("sh").args(["-c", script, "tree"]).arg(&tree).output();
    let made = made.map_err(Error::on("make", &tree))?;
    if !made.status.success() {
        return Err(Error::new(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    let machine = alone(&tree, "/ # ")?;
    let tell = |line: &str, last: &str| tell(&machine, line, last);
    let text = tell("/bin/ls -l /var; echo said", "\nsaid")?;
    proof.check(
        text.contains("run -> ../run") && text.contains("lock -> ../run/lock"),
        format!("old names lead to /run: {text:?}"),
    );
    let text = tell("/bin/ls /run /run/; echo listed", "\nlisted")?;
    proof.check(!text.contains("nginx") && !text.contains("old"), "what another boot left is gone");
    let text = tell("/init rundir check", "requirements hold")?;
    proof.check(text.contains("all requirements hold"), "all requirements hold");
    Ok(())
}

/// A machine of our binary and this tree, at its shell, which greets so.
fn alone(tree: &Path, greeting: &str) -> Result<Machine> {
    let mut options = Options::new(UnderTest::Ours, tree);
    options.alone = true;
    let machine = Machine::boot(&options)?;
    machine.console.expect(0, greeting, PATIENCE)?;
    Ok(machine)
}

/// Types a line; what the console says then, up to these words.
fn tell(machine: &Machine, line: &str, last: &str) -> Result<String> {
    let before = machine.console.text().len();
    machine.console.type_line(line)?;
    let end = machine.console.expect(before, last, PATIENCE)?;
    Ok(machine.console.text().get(before..end).unwrap_or("").to_owned())
}

fn empty(proof: &mut Proof) -> Result<()> {
    let machine = alone(Path::new(""), "'help' lists the commands")?;
    let text = tell(&machine, "/init rundir check", "requirements hold")?;
    proof.check(text.contains("all requirements hold"), "all requirements hold in an empty container");
    Ok(())
}

/// A tree on disk, and what of it is broken.
const IMAGES: [(&str, &str, &str); 5] = [
    ("mkdir -p run var; ln -s /run var/run; ln -s /run/lock var/lock", "", ""),
    ("mkdir var; ln -s /run var/run; ln -s /run/lock var/lock", "directory", "/run"),
    ("mkdir var t; ln -s t run; ln -s /run var/run; ln -s /run/lock var/lock", "directory", "/run"),
    (
        "mkdir -p run/a var; echo 1 >run/a/left; ln -s /run var/run; ln -s /run/lock var/lock",
        "cleared",
        "/run/a/left",
    ),
    ("mkdir -p run var/run; ln -s /run/lock var/lock", "var-run", "/var/run"),
];

fn images(proof: &mut Proof, scratch: &Path) -> Result<()> {
    let binary = our_binary()?;
    for (number, (script, name, path)) in IMAGES.iter().enumerate() {
        let tree = scratch.join(format!("image{number}"));
        fs::create_dir_all(&tree).map_err(Error::on("create", &tree))?;
        let made = Command::new("sh").args(["-c", script]).current_dir(&tree).status();
        made.map_err(Error::on("make", &tree))?;
        let mut check = Command::new(&binary);
        check.args(["rundir", "check", "--json", "--root"]).arg(&tree);
        let output = check.output().map_err(Error::on("run", &binary))?;
        let rows = verdicts(&String::from_utf8_lossy(&output.stdout));
        let found: Vec<_> = rows.iter().filter(|(_, (verdict, _))| verdict == "broken").collect();
        let good = match found[..] {
            [] => name.is_empty(),
            [(row, (_, paths))] => row == name && paths == &[(*path).to_owned()],
            _ => false,
        };
        let code = output.status.code();
        proof
            .check(good && code == Some(i32::from(!name.is_empty())), format!("`{script}` breaks {found:?}"));
    }
    Ok(())
}
