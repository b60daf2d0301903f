//! Directories of services as one makes and removes them without a thought of others: it looks whether a path is safe, and then goes
//! by the path.

use crate::Unit;
use std::fs;
use std::io::Result;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

/// Makes the directories of a unit and gives them, with all that is in them, to the user.
pub fn start(unit: &Unit, user: u32) -> Result<()> {
    for path in places(unit) {
        fs::create_dir_all(&path)?;
        safe(&path)?;
        hand_over(&path, user)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770))?;
    }
    Ok(())
}

/// Removes them.
pub fn stop(unit: &Unit) -> Result<()> {
    if unit.preserve != "no" {
        return Ok(());
    }
    for path in places(unit) {
        safe(&path)?;
        remove(&path)?;
    }
    Ok(())
}

fn places(unit: &Unit) -> impl Iterator<Item = PathBuf> {
    unit.directories.iter().map(|name| Path::new("/run").join(name))
}

fn safe(path: &Path) -> Result<()> {
    match path.ancestors().any(Path::is_symlink) {
        true => Err(std::io::Error::other("a link is in the way")),
        false => Ok(()),
    }
}

fn hand_over(path: &Path, user: u32) -> Result<()> {
    lchown(path, Some(user), Some(user))?;
    for entry in below(path) {
        hand_over(&entry, user)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    for entry in below(path) {
        remove(&entry)?;
    }
    if path.is_symlink() || !path.is_dir() { fs::remove_file(path) } else { fs::remove_dir(path) }
}

fn below(path: &Path) -> Vec<PathBuf> {
    if path.is_symlink() {
        return Vec::new();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
