//! The Debian root that both PID 1s boot: built once with mmdebstrap, then only read.

use crate::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the root in the cache; changes with [`PACKAGES`], so that a stale root is never used.
const NAME: &str = "debian13-2";
const SUITE: &str = "trixie";

/// What the root holds beyond the distribution's important packages: the daemons whose units are compared
/// and the programs that the scenarios use.
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "systemd-tests",
    "procps",
    "iproute2",
    "strace",
    "socat",
    "python3-minimal",
    "cron",
    "nginx-light",
    "openssh-server",
    "libpam-modules",
    "util-linux",
    "kmod",
    "udev",
    "jq",
    "acl",
    "attr",
    "libcap2-bin",
    "dbus-user-session",
    "sudo",
];

/// Programs of the host that the tests call, and the Debian package each comes from.
const HOST_PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    // Who else speaks D-Bus, for the tests of our codec.
    ("busctl", "systemd"),
    ("dbus-daemon", "dbus-daemon"),
];

/// Mirrors have bad moments.
const RETRIES: &str = "-oAcquire::Retries=5";

/// Where roots are cached: `RUNSTEAD_ROOTS`, else `/var/tmp/runstead/roots`.
pub fn cache() -> PathBuf {
    std::env::var_os("RUNSTEAD_ROOTS").map_or_else(|| PathBuf::from("/var/tmp/runstead/roots"), PathBuf::from)
}

/// The Debian 13 root, building it first if the cache does not have it.
///
/// Two processes that ask at once build it once: a lock file decides who.
pub fn debian13() -> Result<PathBuf> {
    let cache = cache();
    let target = cache.join(NAME);
    if target.exists() {
        return Ok(target);
    }
    fs::create_dir_all(&cache).map_err(Error::on("create", &cache))?;
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).map_err(Error::on("create", &lock_path))?;
    lock.lock().map_err(Error::on("lock", &lock_path))?;
    if !target.exists() {
        install_host_programs()?;
        build(&target)?;
    }
    Ok(target)
}

/// Installs with apt-get what the harness calls on the host and does not find.
pub fn install_host_programs() -> Result<()> {
    let mut missing: Vec<&str> =
        HOST_PROGRAMS.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    missing.dedup();
    eprintln!("compat: installing {}", missing.join(" "));
    apt(&["update", "-q", RETRIES])?;
    let mut install = vec!["install", "-yq", "--no-install-recommends", RETRIES];
    install.extend(missing);
    apt(&install)
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|all| std::env::split_paths(&all).any(|dir| dir.join(program).is_file()))
}

fn apt(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .map_err(Error::on("run", "apt-get"))?;
    if !status.success() {
        return Err(Error::new(format!("apt-get {}: {status}", args.join(" "))));
    }
    Ok(())
}

fn build(target: &Path) -> Result<()> {
    let part = target.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).map_err(Error::on("remove", &part))?;
    }
    eprintln!("compat: building the Debian root {} (once, some minutes)", target.display());
    let output = Command::new("mmdebstrap")
        .arg("--variant=important")
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg("--aptopt=Acquire::Retries \"5\"")
        .arg(SUITE)
        .arg(&part)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::on("run", "mmdebstrap"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = said.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        return Err(Error::new(format!("mmdebstrap: {}\n{}", output.status, tail.join("\n"))));
    }
    // Empty, so that every boot makes its own id and none is a first boot with its presets and questions.
    let machine_id = part.join("etc/machine-id");
    fs::write(&machine_id, "").map_err(Error::on("write", &machine_id))?;
    fs::rename(&part, target).map_err(Error::on("rename", &part))
}
