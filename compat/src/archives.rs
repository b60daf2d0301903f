//! Packages for machines, which have no network: downloaded once, into a cache beside the root they fit.

use crate::root::{self, Distribution};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The services that the proof of packages installs. What the root has already is downloaded, too, to be installed again.
pub const SERVICES: &[&str] = &[
    "postgresql",
    "redis-server",
    "apache2",
    "mariadb-server",
    "mariadb-client",
    "cron",
    "cron-daemon-common",
    "haproxy",
    "memcached",
];

/// Names the set in the cache; changes with [`SERVICES`], so that a stale one is never used.
const SERVICES_NAME: &str = "services-1";

/// What starts another kernel, for the virtual machines.
const KEXEC: (&str, &[&str]) = ("kexec-1", &["kexec-tools"]);

/// Forty that bring lines of tmpfiles.d(5), for the proof of that.
pub const TMPFILES: &[&str] = &[
    "apt-cacher-ng",
    "bind9",
    "certmonger",
    "cockpit-ws",
    "colord",
    "cron-daemon-common",
    "fail2ban",
    "frr",
    "haproxy",
    "inn2",
    "iodine",
    "knot-resolver",
    "libselinux1",
    "lighttpd",
    "lirc",
    "lvm2",
    "mailman3",
    "man-db",
    "mariadb-server",
    "memcached",
    "mpd",
    "nagios-nrpe-server",
    "nut-client",
    "opendkim",
    "opendmarc",
    "openssh-client",
    "openssh-server",
    "openvpn",
    "passwd",
    "postgresql-common",
    "resource-agents",
    "rpcbind",
    "screen",
    "speech-dispatcher",
    "squid",
    "sudo",
    "tomcat10",
    "tuned",
    "vsftpd",
    "zabbix-agent",
];

/// Names the set in the cache; changes with [`TMPFILES`].
const TMPFILES_NAME: &str = "tmpfiles-1";

/// Arguments: a directory with packages. Leaves there `packages/NAME/` with what tmpfiles.d has in each.
const UNPACK: &str = r#"
set -e
cd "$1"
for deb in *.deb; do
  name=${deb%%_*}
  mkdir -p "packages/$name"
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "packages/$name" --wildcards './usr/lib/tmpfiles.d/*.conf'
  rm "$deb"
done
"#;

/// The `.deb` files of [`SERVICES`] and of all they need beyond the root of that distribution.
pub fn services(distribution: Distribution) -> Result<Vec<PathBuf>> {
    downloaded(distribution, SERVICES_NAME, SERVICES)
}

/// The `.deb` files of kexec(8) and of what it needs beyond the root with a kernel.
pub fn kexec() -> Result<Vec<PathBuf>> {
    let (name, packages) = KEXEC;
    downloaded(Distribution::Debian13Kernel, name, packages)
}

fn downloaded(distribution: Distribution, name: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let root = root::of(distribution)?;
    let name = format!("{}-{name}", root.file_name().unwrap_or_default().to_string_lossy());
    let target = root::cached(&name, |part| {
        eprintln!("compat: downloading {} for {} (once)", packages.join(" "), root.display());
        download(&root, packages, part)
    })?;
    let entries = fs::read_dir(&target).map_err(Error::on("list", &target))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    files.sort();
    Ok(files)
}

/// A tree, for [`crate::machine::Options::layers`], with `/packages/NAME/usr/lib/tmpfiles.d` of each of [`TMPFILES`], of Debian 13.
pub fn tmpfiles() -> Result<PathBuf> {
    let root = root::of(Distribution::Debian13)?;
    let name = format!("{}-{TMPFILES_NAME}", root.file_name().unwrap_or_default().to_string_lossy());
    root::cached(&name, |part| {
        eprintln!("compat: downloading {} packages for their tmpfiles.d (once)", TMPFILES.len());
        with_lists(&root, part, &[&["download"], TMPFILES].concat())?;
        let output = Command::new("bash").args(["-c", UNPACK, "unpack"]).arg(part).output();
        let output = output.map_err(Error::on("unpack packages in", part))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::new(format!("unpack: {}", root::last_words(&output.stderr)))),
        }
    })
}

/// Into `part`, with all that they need.
fn download(root: &Path, names: &[&str], part: &Path) -> Result<()> {
    let install = ["install", "-y", "--no-install-recommends", "--reinstall", "--download-only"];
    with_lists(root, part, &[&install, names].concat())
}

/// apt in `part`; lists lie in it only meanwhile.
fn with_lists(root: &Path, part: &Path, words: &[&str]) -> Result<()> {
    for directory in ["lists/partial", "partial"] {
        let place = part.join(directory);
        fs::create_dir_all(&place).map_err(Error::on("create", &place))?;
    }
    apt(root, part, &["update"])?;
    apt(root, part, words)?;
    for directory in ["lists", "partial"] {
        let place = part.join(directory);
        fs::remove_dir_all(&place).map_err(Error::on("remove", &place))?;
    }
    Ok(())
}

/// The host's apt for another root, which it only reads: lists and archives lie in `place`, and nothing is locked.
fn apt(root: &Path, place: &Path, words: &[&str]) -> Result<()> {
    let (root, shown) = (root.display(), place.display());
    let options = [
        format!("Dir={root}"),
        format!("Dir::State={root}/var/lib/apt"),
        format!("Dir::State::status={root}/var/lib/dpkg/status"),
        format!("Dir::State::lists={shown}/lists"),
        "Dir::State::extended_states=/dev/null".to_owned(),
        format!("Dir::Cache={shown}"),
        format!("Dir::Cache::archives={shown}"),
        format!("Dir::Etc={root}/etc/apt"),
        format!("Dir::Log={shown}"),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::Retries=5".to_owned(),
        "Debug::NoLocking=1".to_owned(),
    ];
    let mut command = Command::new("apt-get");
    for option in &options {
        command.arg("-o").arg(option);
    }
    let output = command
        .args(words)
        .current_dir(place)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::on("run", "apt-get"))?;
    if !output.status.success() {
        let said = root::last_words(&output.stderr);
        return Err(Error::new(format!("apt-get {}: {}\n{said}", words.join(" "), output.status)));
    }
    Ok(())
}
