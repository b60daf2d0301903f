//! An executor as one writes it without a thought of others: it looks whether a path is safe, and then goes by the path.
//!
//! The proof of races has to break it, or it could break nothing.

use runstead_compat::{Error, Result};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

/// Reads lines on standard input and does what `action` (`--create`, `--clean`, `--remove`) asks of them.
pub fn run(action: &str) -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Error::on("read", "standard input"))?;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, path, ..] = words[..] else { continue };
        let path = Path::new(path);
        if path.ancestors().any(|part| part.is_symlink()) {
            continue;
        }
        // What cannot be done is of no interest here.
        let _ = match (action, kind) {
            ("--create", "d") => fs::create_dir_all(path).and_then(|()| hand_over(path)),
            ("--create", "f+") => fs::write(path, "text").and_then(|()| hand_over(path)),
            ("--create", "z") => hand_over(path),
            ("--clean", "e") => empty(path),
            ("--remove", "r") => fs::remove_file(path),
            ("--remove", "R") => fs::remove_dir_all(path),
            _ => Ok(()),
        };
    }
    Ok(())
}

fn hand_over(path: &Path) -> std::io::Result<()> {
    chown(path, Some(1000), Some(1000))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))
}

fn empty(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)?.flatten() {
        let _ = match entry.path().is_dir() {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
    }
    Ok(())
}
