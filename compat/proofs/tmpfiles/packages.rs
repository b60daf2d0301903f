//! What forty packages bring in tmpfiles.d: the same on a fresh root, once more, in another root, and without privileges.

use crate::snapshot::{self, Snapshot};
use crate::{INSIDE, REFERENCE, Setting, UNDER_TEST, boot};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result, archives};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind_recursive, unmount};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);
/// In the machine: a directory for each package.
const PACKAGES: &str = "/packages";
const TOP: &str = "/case";
const TREE: &str = "/case/tree";
/// Where packages have something made.
const LOOKED_AT: [&str; 6] = ["etc", "home", "run", "srv", "tmp", "var"];
/// Numbers of accounts that a package's scripts would have made.
const FIRST_ACCOUNT: usize = 900;
const ACTIONS: [&str; 3] = ["--create", "--boot", "--remove"];

/// In the machine, on an overlay of its root for each package and program.
pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let mut options = setting.options()?;
    options.layers.push(archives::tmpfiles()?);
    let machine = boot(&options)?;
    let script = format!("mkdir -p {TOP}; exec unshare -m --propagation private {INSIDE} inside packages");
    let output = machine.run_for(&["sh", "-c", &script], PATIENCE)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in said.lines() {
        match line.split_once(' ') {
            Some(("SAME", what)) => proof.check(true, what),
            Some(("OTHER", what)) => proof.check(false, what),
            _ => println!("{line}"),
        }
    }
    let count = said.lines().filter(|line| line.starts_with("SAME") || line.starts_with("OTHER")).count();
    let expected = archives::TMPFILES.len();
    proof.check(count == expected && output.status.success(), format!("{count} packages of {expected}"));
    Ok(())
}

/// In the machine.
pub fn inside(_words: &[&str]) -> Result<()> {
    let entries = fs::read_dir(PACKAGES).map_err(Error::on("list", PACKAGES))?;
    let mut packages: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    packages.sort();
    for package in packages {
        one(&package)?;
    }
    Ok(())
}

/// How a call ended, what it said, and the tree after it.
struct Outcome {
    status: String,
    said: String,
    tree: Snapshot,
}

fn one(package: &Path) -> Result<()> {
    let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (expected, found) = (outcomes(package, REFERENCE)?, outcomes(package, UNDER_TEST)?);
    let mut told = Vec::new();
    for ((what, expected), (_, found)) in expected.iter().zip(&found) {
        let differences = snapshot::differences(&expected.tree, &found.tree);
        if differences.is_empty() && expected.status == found.status {
            continue;
        }
        told.push(*what);
        println!("{name}, {what}: expected {}; found {}", expected.status, found.status);
        differences.iter().for_each(|difference| println!("  DIFFERS {difference}"));
        println!("  reference: {}\n  under test: {}", expected.said.trim(), found.said.trim());
    }
    let statuses: Vec<&str> = expected.iter().map(|(_, outcome)| outcome.status.as_str()).collect();
    let word = if told.is_empty() { "SAME" } else { "OTHER" };
    let lines = lines(package)?.len();
    println!(
        "{word} {name}: {lines} lines, the reference ends with {}; different: {told:?}",
        statuses.join(" ")
    );
    Ok(())
}

fn outcomes(package: &Path, program: &str) -> Result<Vec<(&'static str, Outcome)>> {
    let mut found = Vec::new();
    let root = ["chroot", TREE, program];
    let nobody = ["chroot", "--userspec=65534:65534", TREE, program];
    let aside = [program, "--root=/case/tree"];
    let ways: [(&[&str], &[&'static str]); 3] =
        [(&root, &["once", "twice"]), (&nobody, &["unprivileged"]), (&aside, &["another root"])];
    for (words, times) in ways {
        fresh(package)?;
        for what in times {
            let output = Command::new(words[0]).args(&words[1..]).args(ACTIONS).output();
            let output = output.map_err(Error::on("run", words[0]))?;
            let mut tree = Snapshot::new();
            LOOKED_AT.iter().for_each(|name| tree.extend(snapshot::of(&Path::new(TREE).join(name), None)));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            found.push((*what, Outcome { status: output.status.to_string(), said, tree }));
        }
        unmount(TOP, UnmountFlags::DETACH).map_err(Error::on("unmount", TOP))?;
    }
    Ok(found)
}

/// An overlay of the machine's root with the package's configuration and accounts.
fn fresh(package: &Path) -> Result<()> {
    let failed = |what: &'static str| Error::on("mount", what);
    mount("tmpfs", TOP, "tmpfs", MountFlags::empty(), Some(c"mode=0755")).map_err(failed(TOP))?;
    for name in ["upper", "work", "tree"] {
        let place = Path::new(TOP).join(name);
        fs::create_dir(&place).map_err(Error::on("create", &place))?;
    }
    let options =
        CString::new("lowerdir=/,upperdir=/case/upper,workdir=/case/work").expect("it holds no zero");
    mount("overlay", TREE, "overlay", MountFlags::empty(), Some(options.as_c_str())).map_err(failed(TREE))?;
    mount("tmpfs", "/case/tree/run", "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        .map_err(failed("run"))?;
    for place in ["proc", "sys", "dev"] {
        mount_bind_recursive(Path::new("/").join(place), Path::new(TREE).join(place))
            .map_err(failed(place))?;
    }
    let target = Path::new(TREE).join("usr/lib/tmpfiles.d");
    for file in configurations(package)? {
        let place = target.join(file.file_name().unwrap_or_default());
        fs::copy(&file, &place).map_err(Error::on("copy", &file))?;
    }
    accounts(package)
}

fn configurations(package: &Path) -> Result<Vec<PathBuf>> {
    let place = package.join("usr/lib/tmpfiles.d");
    let entries = fs::read_dir(&place).map_err(Error::on("list", &place))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// Fields of the package's lines.
fn lines(package: &Path) -> Result<Vec<Vec<String>>> {
    let mut lines = Vec::new();
    for file in configurations(package)? {
        let text = fs::read_to_string(&file).map_err(Error::on("read", &file))?;
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        lines.extend(
            text.lines().filter(|line| !line.starts_with('#')).map(words).filter(|words| !words.is_empty()),
        );
    }
    Ok(lines)
}

/// Users and groups that the lines name and the root does not know.
fn accounts(package: &Path) -> Result<()> {
    let lines = lines(package)?;
    for (file, column, rest) in [("etc/passwd", 3, "900::/:/bin/false"), ("etc/group", 4, "")] {
        let path = Path::new(TREE).join(file);
        let mut text = fs::read_to_string(&path).map_err(Error::on("read", &path))?;
        let named: BTreeSet<&String> = lines.iter().filter_map(|words| words.get(column)).collect();
        for (number, name) in (FIRST_ACCOUNT..).zip(named) {
            let known = text.lines().any(|line| line.split(':').next() == Some(name));
            if !known && name.starts_with(|sign: char| sign.is_alphabetic() || sign == '_') {
                text.push_str(&format!("{name}:x:{number}:{rest}\n"));
            }
        }
        fs::write(&path, text).map_err(Error::on("write", &path))?;
    }
    Ok(())
}
