//! Files of `/run` that are carried over a boot: those that are wished, whole, for one boot; and none that could have been planted.

use runstead_compat::machine::{Entry, Machine, Options, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result, root};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);
const BOOT: Duration = Duration::from_secs(60);

const WISHES: &str = "# what the next boot gets\n/run/app/state\n/run/hostile\n/run/never\n";
const UNIT: &str = "[Service]\nExecStart=/bin/sh -c 'cat /run/counter/n >/root/seen 2>/dev/null; echo x >>/run/counter/n; exec sleep 1000'\n\
    User=nobody\nRuntimeDirectory=counter\nRuntimeDirectoryPreserve=yes\nX-RunsteadCarry=/run/counter\n[Install]\nWantedBy=multi-user.target\n";

fn main() -> ExitCode {
    let mut proof = Proof::begin("carry", LIMIT);
    let kept = std::env::temp_dir().join(format!("runstead-carry-{}", std::process::id()));
    let outcome = prove(&mut proof, &kept);
    let _ = fs::remove_dir_all(&kept);
    proof.need("go through it", outcome);
    proof.end()
}

fn boot(kept: &Path, with_units: bool) -> Result<Machine> {
    let mut options = Options::new(UnderTest::Ours, root::chosen()?);
    options.kept = Some(kept.to_owned());
    if with_units {
        options.files = vec![
            // As a package brings it, with a drop-in.
            (
                "/usr/lib/systemd/system/vendor.service".into(),
                Entry::File(
                    "[Service]\nType=oneshot\nExecStart=/bin/true\nX-RunsteadCarry=/run/vendor\n".to_owned(),
                    0o644,
                ),
            ),
            (
                "/usr/local/lib/systemd/system/vendor.service.d/more.conf".into(),
                Entry::File("[Service]\nX-RunsteadCarry=/run/dropin\n".to_owned(), 0o644),
            ),
            ("/etc/runstead/carry.d/app.conf".into(), Entry::File(WISHES.to_owned(), 0o644)),
            ("/etc/systemd/system/counter.service".into(), Entry::File(UNIT.to_owned(), 0o644)),
            (
                "/etc/systemd/system/multi-user.target.wants/counter.service".into(),
                Entry::Link("../counter.service".to_owned()),
            ),
        ];
    }
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT)?;
    Ok(machine)
}

fn sh(machine: &Machine, line: &str) -> Result<String> {
    Ok(machine.shell(line)?.all().trim_end().to_owned())
}

fn off(mut machine: Machine) -> Result<()> {
    sh(&machine, "systemctl poweroff")?;
    machine.wait_end(BOOT)?.map(drop).ok_or_else(|| Error::new("the machine does not power off"))
}

/// What the files of `/run/app` hold, with mode and owner.
const LOOK: &str = "cd /run/app/state && stat -c '%n %a %U' . a b/c && cat a b/c";

fn prove(proof: &mut Proof, kept: &Path) -> Result<()> {
    fs::create_dir_all(kept).map_err(Error::on("create", kept))?;
    proof.step("the first boot");
    let machine = boot(kept, true)?;
    let made = sh(
        &machine,
        "mkdir -p /run/vendor /run/dropin; echo of-package >/run/vendor/file; echo of-dropin >/run/dropin/file
         mkdir -p /run/app/state/b; cd /run/app/state; echo one >a; echo two >b/c; chmod 0640 b/c; chown -R nobody b; chown nobody b/c
         echo 7 >d.pid; mkfifo fifo; ln -s /etc/shadow shadow
         mkdir -m 0777 /run/hostile; echo planted >/run/hostile/file; chown nobody /run/hostile/file",
    )?;
    proof.check(made.is_empty(), format!("files are made {made}"));
    let first = sh(&machine, LOOK)?;
    let listed = sh(&machine, "/usr/lib/runstead/runstead carry list")?;
    let told =
        ["d.pid: a PID file", "fifo: is no file", "shadow: is no file", "/run/hostile", "others can write"];
    proof.check(told.iter().all(|text| listed.contains(text)), format!("what is left is told: {listed:?}"));
    off(machine)?;
    proof.step("the next boot");
    let machine = boot(kept, false)?;
    let second = sh(&machine, LOOK)?;
    proof.check(first == second && first.contains("one\ntwo"), format!("{second:?} is what it was"));
    let vendor = sh(&machine, "cat /run/vendor/file /run/dropin/file")?;
    proof.check(
        vendor == "of-package\nof-dropin",
        format!("what units of packages wish came, too: {vendor:?}"),
    );
    let left = sh(
        &machine,
        "ls /run/hostile /run/app/state/d.pid /run/app/state/fifo /run/app/state/shadow 2>&1 | grep -vc 'No such'",
    )?;
    proof.check(left == "0", format!("{left} things that must not be carried came"));
    let counted = sh(
        &machine,
        "for i in $(seq 50); do [ $(wc -l </run/counter/n) = 2 ] && break; sleep 0.1; done; wc -l </run/counter/n; stat -c '%a %U' /run/counter",
    )?;
    proof.check(counted == "2\n755 nobody", format!("a service found what it left: {counted:?}"));
    let order = sh(
        &machine,
        "systemctl show -P ActiveState runstead-carry; systemctl show -P Before runstead-carry | tr ' ' '\\n' | grep -c sysinit.target",
    )?;
    proof.check(order == "active\n1", format!("it came before everything else: {order:?}"));
    proof.step("a boot that saves nothing");
    sh(
        &machine,
        "rm -r /run/app; systemctl mask --runtime -q counter; systemctl stop -q counter; rm -r /run/counter",
    )?;
    off(machine)?;
    let machine = boot(kept, false)?;
    let gone = sh(&machine, "ls -d /run/app 2>&1 | grep -c 'No such'")?;
    proof.check(gone == "1", "what was not there any more does not come again");
    let store = sh(&machine, "stat -c %a /var/lib/runstead/carry; ls /var/lib/runstead/carry")?;
    proof.check(store == "700\nlast", format!("a store is taken once: {store:?}"));
    off(machine)
}
