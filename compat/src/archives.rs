//! Packages for machines, which have no network: downloaded once, into a cache beside the root they fit.

use crate::root::{self, Distribution};
use crate::{Error, Result};
use std::fs::{self, File};
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
    let target = root::cache().join(name);
    if !target.exists() {
        let lock_path = root::cache().join("lock");
        let lock = File::create(&lock_path).map_err(Error::on("create", &lock_path))?;
        lock.lock().map_err(Error::on("lock", &lock_path))?;
        if !target.exists() {
            download(&root, SERVICES, &target)?;
        }
    }
    let entries = fs::read_dir(&target).map_err(Error::on("list", &target))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    files.sort();
    Ok(files)
}

fn download(root: &Path, names: &[&str], target: &Path) -> Result<()> {
    let part = target.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).map_err(Error::on("remove", &part))?;
    }
    for directory in ["lists/partial", "archives/partial"] {
        let place = part.join(directory);
        fs::create_dir_all(&place).map_err(Error::on("create", &place))?;
    }
    eprintln!("compat: downloading {} for {} (once)", names.join(" "), root.display());
    apt(root, &part, &["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends", "--reinstall", "--download-only"];
    install.extend(names);
    apt(root, &part, &install)?;
    let archives = part.join("archives");
    fs::rename(&archives, target).map_err(Error::on("rename", &archives))?;
    fs::remove_dir_all(&part).map_err(Error::on("remove", &part))
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
        format!("Dir::Cache::archives={place}/archives"),
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
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("apt-get {}: {}\n{}", words.join(" "), output.status, said.trim())));
    }
    Ok(())
}
