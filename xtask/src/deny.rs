//! What may enter the build (`deny.toml`): licences, sources and banned crates.
//!
//! `cargo deny` checks it where it is installed. Building that takes longer than all of our tests, so the same
//! rules are also held here with nothing but cargo: every licence allowed, every source the registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Prints every finding; whether there was none.
pub fn report(top: &Path) -> bool {
    let found = match findings(top) {
        Ok(found) => found,
        Err(why) => vec![why],
    };
    for finding in &found {
        println!("deny: {finding}");
    }
    println!("deny: {} findings", found.len());
    found.is_empty() & cargo_deny(top)
}

fn cargo_deny(top: &Path) -> bool {
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if !cargo().args(["deny", "--version"]).output().is_ok_and(|o| o.status.success()) {
        println!(
            "deny: cargo-deny is not installed: only the checks above were made (cargo install cargo-deny)"
        );
        return true;
    }
    let words = ["deny", "check", "licenses", "bans", "sources"];
    cargo().args(words).current_dir(top).status().is_ok_and(|s| s.success())
}

fn findings(top: &Path) -> Result<Vec<String>, String> {
    let read = |name: &str| fs::read_to_string(top.join(name)).map_err(|why| format!("{name}: {why}"));
    let (rules, lock) = (read("deny.toml")?, read("Cargo.lock")?);
    let allowed: BTreeSet<&str> = quoted(&rules, "allow = [", "]").collect();
    let banned: BTreeSet<&str> = quoted(&rules, "deny = [", "\n]").collect();
    let mut found = locked(&lock, &banned);
    for (package, licence) in licences(top)? {
        if !permitted(&licence, &allowed) {
            found.push(format!("{package}: licence {licence:?} is not in deny.toml"));
        }
    }
    Ok(found)
}

/// The strings of a list of `deny.toml`.
fn quoted<'a>(text: &'a str, begin: &str, end: &str) -> impl Iterator<Item = &'a str> {
    let list = text.split_once(&format!("\n{begin}")).and_then(|(_, rest)| rest.split_once(end));
    list.map_or("", |(list, _)| list).split('"').skip(1).step_by(2)
}

/// Sources and names that `Cargo.lock` must not have.
fn locked(lock: &str, banned: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            package
                .lines()
                .find_map(|l| l.strip_prefix(key)?.strip_prefix(" = "))
                .unwrap_or("")
                .trim_matches('"')
        };
        let (name, source) = (value("name"), value("source"));
        if banned.contains(name) {
            found.push(format!("{name}: banned by deny.toml"));
        }
        if !source.is_empty() && source != REGISTRY {
            found.push(format!("{name}: comes from {source}"));
        }
    }
    found
}

fn licences(top: &Path) -> Result<BTreeSet<(String, String)>, String> {
    let words = ["tree", "--locked", "--workspace", "--target", "all", "--edges", "all", "--prefix", "none"];
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = command.args(words).args(["--no-dedupe", "--format", "{p}\t{l}"]).current_dir(top).output();
    let output = output.map_err(|why| format!("cargo tree: {why}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(rows.map(|(package, licence)| (package.to_owned(), licence.to_owned())).collect())
}

/// Whether an SPDX expression can be met with the allowed licences.
fn permitted(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut good = every(words, allowed);
    while take(words, "OR") {
        good |= every(words, allowed);
    }
    good
}

fn every(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut good = one(words, allowed);
    while take(words, "AND") {
        good &= one(words, allowed);
    }
    good
}

fn one(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    if take(words, "(") {
        let good = any(words, allowed);
        return take(words, ")") && good;
    }
    let Some((name, rest)) = words.split_first() else { return false };
    *words = rest;
    if take(words, "WITH") {
        let exception = words.split_first().map_or("", |(first, rest)| {
            *words = rest;
            first
        });
        return allowed.contains(format!("{name} WITH {exception}").as_str());
    }
    allowed.contains(name)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let there = words.first() == Some(&word);
    if there {
        *words = &words[1..];
    }
    there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_weighed() {
        let allowed = BTreeSet::from(["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]);
        for good in [
            "MIT",
            "MIT/GPL-2.0",
            "GPL-2.0 OR MIT",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(permitted(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-2.0", "MIT AND GPL-2.0", "Apache-2.0", "(MIT", "MIT)"] {
            assert!(!permitted(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn foreign_sources_and_banned_crates_are_found() {
        let lock = "version = 4\n\n[[package]]\nname = \"tokio\"\nversion = \"1\"\n\n[[package]]\nname = \"x\"\n\
                    source = \"git+https://example.org/x\"\n";
        let rules = "[bans]\ndeny = [\n    # why\n    { crate = \"tokio\", wrappers = [] },\n]\n";
        let banned: BTreeSet<&str> = quoted(rules, "deny = [", "\n]").collect();
        assert_eq!(
            locked(lock, &banned),
            ["tokio: banned by deny.toml", "x: comes from git+https://example.org/x"]
        );
    }
}
