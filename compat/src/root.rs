//! The Debian root that both PID 1s boot: built once with mmdebstrap, then only read.

use crate::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A distribution that both PID 1s boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// With systemd 252, whose clients have to work with us.
    Debian12,
    /// With systemd 257, as which we behave.
    Debian13,
    /// The same with its kernel and initramfs, for virtual machines.
    Debian13Kernel,
}

impl Distribution {
    /// As `RUNSTEAD_ROOT` says (`debian12`, `debian13`); by default the newer.
    pub fn from_env() -> Result<Distribution> {
        match std::env::var("RUNSTEAD_ROOT").as_deref() {
            Ok("debian12") => Ok(Distribution::Debian12),
            Ok("debian13") | Err(_) => Ok(Distribution::Debian13),
            Ok(other) => Err(Error::new(format!("RUNSTEAD_ROOT={other}: debian12 or debian13"))),
        }
    }

    /// Names the root in the cache; changes with [`PACKAGES`], so that a stale root is never used.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Distribution::Debian12 => "debian12-2",
            Distribution::Debian13 => "debian13-2",
            Distribution::Debian13Kernel => "debian13-kernel-1",
        }
    }

    fn suite(self) -> &'static str {
        match self {
            Distribution::Debian12 => "bookworm",
            Distribution::Debian13 | Distribution::Debian13Kernel => "trixie",
        }
    }

    /// Comma-separated, as mmdebstrap wants them.
    fn packages(self) -> String {
        let more = if self == Distribution::Debian13Kernel { KERNEL_PACKAGES } else { &[] };
        [PACKAGES, more].concat().join(",")
    }
}

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

/// What a root needs to be booted by a kernel of its own.
const KERNEL_PACKAGES: &[&str] = &["linux-image-cloud-amd64", "initramfs-tools", "e2fsprogs"];

/// Programs of the host that the tests call, and the Debian package each comes from.
const HOST_PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("xz", "xz-utils"),
    // The root of a small distribution is made of it.
    ("busybox", "busybox-static"),
    // Who else speaks D-Bus, for the tests of our codec.
    ("busctl", "systemd"),
    ("dbus-daemon", "dbus-daemon"),
];

/// Mirrors have bad moments.
pub(crate) const RETRIES: &str = "-oAcquire::Retries=5";

/// Where roots are cached: `RUNSTEAD_ROOTS`, else `/var/tmp/runstead/roots`.
pub fn cache() -> PathBuf {
    std::env::var_os("RUNSTEAD_ROOTS").map_or_else(|| PathBuf::from("/var/tmp/runstead/roots"), PathBuf::from)
}

/// The root that `RUNSTEAD_ROOT` names, building it first if the cache does not have it.
pub fn chosen() -> Result<PathBuf> {
    of(Distribution::from_env()?)
}

/// The root of a distribution, building it first if the cache does not have it.
pub fn of(distribution: Distribution) -> Result<PathBuf> {
    cached(distribution.name(), |part| {
        install_host_programs()?;
        build(distribution, part)
    })
}

/// What the cache has under a name; else `make` makes it at the path it gets, where nothing is yet.
///
/// Two processes that ask at once make it once: a lock file decides who. What was begun and not ended is made anew.
pub(crate) fn cached(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache();
    let target = cache.join(name);
    if target.exists() {
        return Ok(target);
    }
    fs::create_dir_all(&cache).map_err(Error::on("create", &cache))?;
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).map_err(Error::on("create", &lock_path))?;
    lock.lock().map_err(Error::on("lock", &lock_path))?;
    if !target.exists() {
        let part = cache.join(format!("{name}.part"));
        if part.exists() {
            fs::remove_dir_all(&part).map_err(Error::on("remove", &part))?;
        }
        make(&part)?;
        fs::rename(&part, &target).map_err(Error::on("rename", &part))?;
    }
    Ok(target)
}

/// The end of what a program said, for an error.
pub(crate) fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
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

fn build(distribution: Distribution, part: &Path) -> Result<()> {
    eprintln!("compat: building the Debian root {} (once, some minutes)", distribution.name());
    let output = Command::new("mmdebstrap")
        .arg("--variant=important")
        .arg(format!("--include={}", distribution.packages()))
        .arg("--aptopt=Acquire::Retries \"5\"")
        .arg(distribution.suite())
        .arg(part)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::on("run", "mmdebstrap"))?;
    if !output.status.success() {
        return Err(Error::new(format!("mmdebstrap: {}\n{}", output.status, last_words(&output.stderr))));
    }
    // Empty, so that every boot makes its own id and none is a first boot with its presets and questions.
    let machine_id = part.join("etc/machine-id");
    fs::write(&machine_id, "").map_err(Error::on("write", &machine_id))
}
