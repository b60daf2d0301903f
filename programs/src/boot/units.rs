//! The unit files of a machine without a distribution: those of the binary and those that were added.
use crate::builtin;
use runstead_os::unitdirs;
use std::fs;
use std::path::{Path, PathBuf};

/// Name and text.
pub type UnitFile = (String, String);

/// All unit files of these directories.
pub fn read_all(dirs: &[PathBuf]) -> Result<Vec<UnitFile>, String> {
    let mut files = Vec::new();
    for dir in dirs {
        files.extend(read(dir)?);
    }
    Ok(files)
}

fn read(dir: &Path) -> Result<Vec<UnitFile>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_file())
            && runstead_core::names::UnitName::parse(&name).is_ok()
        {
            let text =
                fs::read_to_string(entry.path()).map_err(|error| format!("cannot read {name}: {error}"))?;
            files.push((name, text));
        }
    }
    Ok(files)
}

/// The built-in units, the examples, and `added`.
pub fn write_all(added: &[UnitFile], dir: &Path) -> Result<(), String> {
    let io = |what: &'static str| move |error: std::io::Error| format!("cannot write {what}: {error}");
    unitdirs::write(builtin::SYSTEM, dir).map_err(io("the built-in units"))?;
    unitdirs::write(builtin::EXAMPLES, dir).map_err(io("the examples"))?;
    write(added, dir)
}

/// Only `added`.
pub fn write(added: &[UnitFile], dir: &Path) -> Result<(), String> {
    for (name, text) in added {
        unitdirs::write(&[(name, text)], dir).map_err(|error| format!("cannot write {name}: {error}"))?;
    }
    Ok(())
}
