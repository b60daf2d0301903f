//! dpkg's side: under which name a package has a file, and what is diverted (dpkg-divert(1)).
use super::failure::Failure;
use super::manifest::Diversion;
use runstead_os::tree::{Kind, Tree};
use std::process::{Command, Stdio};

const DATABASE: &str = "/var/lib/dpkg";
/// Lists of the packages that may have what is replaced.
const PACKAGES: [&str; 3] = ["systemd-sysv", "systemd", "systemd-standalone-tmpfiles"];
const LARGEST: u64 = 16 << 20;

/// Whether the tree's packages are dpkg's.
pub fn is_used(tree: &Tree) -> Result<bool, Failure> {
    Ok(tree.kind(&format!("{DATABASE}/status"))? == Kind::File)
}

/// Which names to divert so that what is at `path` (its directory resolved) is never a package's: that which the package lists,
/// and on a merged system the other (`old`), since a later version of the package may list that one.
pub fn diversions(tree: &Tree, path: &str, old: &str) -> Result<Vec<Diversion>, Failure> {
    let mut listed = false;
    for package in PACKAGES {
        let list = tree.read(&format!("{DATABASE}/info/{package}.list"), LARGEST)?.unwrap_or_default();
        listed |= list.split(|byte| *byte == b'\n').any(|line| line == old.as_bytes());
    }
    let diversion =
        |name: &str, suffix: &str| Diversion { name: name.to_owned(), to: format!("{name}{suffix}") };
    if !listed || path == old {
        return Ok(vec![diversion(path, ".distrib")]);
    }
    // Two names of one file need two other names.
    Ok(vec![diversion(old, ".distrib"), diversion(path, ".distrib.usr-is-merged")])
}

/// Who diverts a name, and where to: the line of `dpkg-divert --list`, or nothing.
pub fn diverted(tree: &Tree, name: &str) -> Result<Option<String>, Failure> {
    let said = divert(tree, &["--list", name])?;
    Ok(said.lines().next().map(str::to_owned))
}

/// Whether exactly this diversion is there.
pub fn has(tree: &Tree, diversion: &Diversion) -> Result<bool, Failure> {
    let database = tree.read(&format!("{DATABASE}/diversions"), LARGEST)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&database);
    let lines: Vec<&str> = text.lines().collect();
    // Three lines each: the name, the other name, the package or ":".
    Ok(lines.chunks_exact(3).any(|entry| entry == [diversion.name.as_str(), diversion.to.as_str(), ":"]))
}

/// Tell dpkg. The file is not renamed by it: between its two steps there would be no init.
pub fn add(tree: &Tree, diversion: &Diversion) -> Result<(), Failure> {
    divert(tree, &["--local", "--no-rename", "--divert", &diversion.to, "--add", &diversion.name]).map(drop)
}

/// Take it back.
pub fn remove(tree: &Tree, diversion: &Diversion) -> Result<(), Failure> {
    divert(tree, &["--local", "--no-rename", "--divert", &diversion.to, "--remove", &diversion.name])
        .map(drop)
}

fn divert(tree: &Tree, words: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("dpkg-divert");
    if tree.path().parent().is_some() {
        command.arg("--root").arg(tree.path());
    }
    command.args(words).env("LC_ALL", "C").stdin(Stdio::null());
    let output = runstead_os::process::by_fork(&mut command).output();
    let output = output.map_err(|error| {
        Failure::Refused(format!(
            "cannot run dpkg-divert for {}: {error}; put it on PATH, or run this command inside that tree",
            tree.path().display()
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Act(format!("dpkg-divert {} failed ({}): {}", words.join(" "), output.status, error.trim())))
}
