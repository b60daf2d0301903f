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

/// The `.deb` files of [`SERVICES`] and of all they need beyond the root of that distribution.
pub fn services(distribution: Distribution) -> Result<Vec<PathBuf>> {
    let root = root::of(distribution)?;
    let name = format!("{}-{SERVICES_NAME}", root.file_name().unwrap_or_default().to_string_lossy());
    let target = root::cached(&name, |part| {
        eprintln!("compat: downloading {} for {} (once)", SERVICES.join(" "), root.display());
        download(&root, SERVICES, part)
    })?;
    let entries = fs::read_dir(&target).map_err(Error::on("list", &target))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    files.sort();
    Ok(files)
}

/// Into `part`; lists lie in it only meanwhile.
fn download(root: &Path, names: &[&str], part: &Path) -> Result<()> {
    for directory in ["lists/partial", "partial"] {
        let place = part.join(directory);
        fs::create_dir_all(&place).map_err(Error::on("create", &place))?;
    }
    apt(root, part, &["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends", "--reinstall", "--download-only"];
    install.extend(names);
    apt(root, part, &install)?;
    let lists = part.join("lists");
    fs::remove_dir_all(&lists).map_err(Error::on("remove", &lists))
}

/// The host's apt for another root, which it only reads: lists and archives lie in `place`, and nothing is locked.
fn apt(root: &Path, place: &Path, words: &[&str]) -> Result<()> {
    let (root, place) = (root.display(), place.display());
    let options = [
        format!("Dir={root}"),
        format!("Dir::State={root}/var/lib/apt"),
        format!("Dir::State::status={root}/var/lib/dpkg/status"),
        format!("Dir::State::lists={place}/lists"),
        "Dir::State::extended_states=/dev/null".to_owned(),
        format!("Dir::Cache={place}"),
        format!("Dir::Cache::archives={place}"),
        format!("Dir::Etc={root}/etc/apt"),
        format!("Dir::Log={place}"),
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
