//! The directories that hold unit files, as the planner of `core::install` sees them; and its plans put into practice.
use crate::error::{Attempt, OsError, errno_of};
use runstead_core::install::{Change, ChangeKind, Entry, EntryKind, UnitDirView};
use std::fs;
use std::io;
use std::path::Path;

/// An error number, as `UnitDirView` has it.
type Errno = i32;

/// Largest unit file that is read for its `[Install]` section.
const FILE_MAX: u64 = 1 << 20;

/// The disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

fn number(error: &io::Error) -> Errno {
    errno_of(error).raw_os_error()
}

impl UnitDirView for Disk {
    fn read_dir(&self, path: &str) -> Result<Vec<Entry>, Errno> {
        let entries = fs::read_dir(path).map_err(|error| number(&error))?;
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => EntryKind::Symlink,
                Ok(kind) if kind.is_dir() => EntryKind::Directory,
                Ok(kind) if kind.is_file() => EntryKind::File,
                _ => EntryKind::Other,
            };
            found.push(Entry { name, kind });
        }
        Ok(found)
    }

    fn read_link(&self, path: &str) -> Result<String, Errno> {
        let target = fs::read_link(path).map_err(|error| number(&error))?;
        target.into_os_string().into_string().map_err(|_| libc::EILSEQ)
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, Errno> {
        use std::io::Read as _;
        let data = fs::metadata(path).map_err(|error| number(&error))?;
        if !data.is_file() {
            // `/dev/null` masks; other kinds are no unit files and reading them might wait.
            return if data.is_dir() { Err(libc::EISDIR) } else { Ok(Vec::new()) };
        }
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| number(&error))?;
        file.take(FILE_MAX).read_to_end(&mut bytes).map_err(|error| number(&error))?;
        Ok(bytes)
    }
}

/// Do the changes of a plan in order; notices are passed over. `keep` are directories that stay when they become empty.
///
/// # Errors
/// The first change that fails; those before it are done.
pub fn apply(changes: &[Change], keep: &[String]) -> Result<(), OsError> {
    for change in changes {
        match change.kind {
            ChangeKind::Symlink => make_link(&change.source, &change.path)?,
            ChangeKind::Unlink => remove(&change.path, keep)?,
            _ => {}
        }
    }
    Ok(())
}

/// Make or replace a link, atomically.
fn make_link(target: &str, path: &str) -> Result<(), OsError> {
    if let Some(parent) = Path::new(path).parent() {
        fs::create_dir_all(parent).attempt("make directory", parent.to_string_lossy())?;
    }
    let temporary = format!("{path}.{}~", std::process::id());
    let _ = fs::remove_file(&temporary);
    std::os::unix::fs::symlink(target, &temporary).attempt("link", path)?;
    fs::rename(&temporary, path).attempt("link", path)
}

/// Remove a file, link or drop-in directory, then the directories above that became empty.
fn remove(path: &str, keep: &[String]) -> Result<(), OsError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).attempt("remove", path),
        _ => {}
    }
    let mut parent = Path::new(path).parent();
    while let Some(dir) = parent {
        if keep.iter().any(|kept| Path::new(kept) == dir) || fs::remove_dir(dir).is_err() {
            break;
        }
        parent = dir.parent();
    }
    Ok(())
}

/// Write unit files into a directory, and hook those with `WantedBy=` into their target.
pub fn write(units: &[(&str, &str)], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text) in units {
        fs::write(dir.join(name), text)?;
        for target in text.lines().filter_map(|line| line.strip_prefix("WantedBy=")) {
            let wants = dir.join(format!("{target}.wants"));
            fs::create_dir_all(&wants)?;
            std::os::unix::fs::symlink(format!("../{name}"), wants.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_and_go_with_their_directories() {
        let dir = std::env::temp_dir().join(format!("runstead-unitdirs-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let root = dir.to_string_lossy().into_owned();
        let path = format!("{root}/a.target.wants/b.service");
        let change = |kind| Change { kind, path: path.clone(), source: "/usr/lib/b.service".into() };
        apply(&[change(ChangeKind::Symlink)], &[]).unwrap();
        assert_eq!(Disk.read_link(&path).as_deref(), Ok("/usr/lib/b.service"));
        apply(&[change(ChangeKind::Unlink)], std::slice::from_ref(&root)).unwrap();
        assert_eq!(Disk.read_dir(&root), Ok(Vec::new()));
        fs::remove_dir_all(dir).unwrap();
    }
}
