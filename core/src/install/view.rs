//! How plans see the disk.

/// An error number.
pub type Errno = i32;

/// What a directory entry is; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Something else.
    Other,
}

/// A directory entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// A snapshot of the directories that hold unit files. All paths are absolute; errors are error numbers.
pub trait UnitDirView {
    /// The entries of a directory, in any order.
    fn read_dir(&self, path: &str) -> Result<Vec<Entry>, Errno>;
    /// The text of a symbolic link (`EINVAL` for what is none).
    fn read_link(&self, path: &str) -> Result<String, Errno>;
    /// The contents of a file, links followed; what is no regular file reads as empty when it is `/dev/null`.
    fn read_file(&self, path: &str) -> Result<Vec<u8>, Errno>;
}

/// The directory that a path lies in.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => path.get(..at).unwrap_or("/"),
    }
}

/// The last component of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("")
}

/// The absolute path that a link's text means, `.` and `..` resolved by text.
pub(super) fn link_target(link: &str, text: &str) -> String {
    let joined = if text.starts_with('/') { text.to_owned() } else { format!("{}/{text}", parent(link)) };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Entries in the order of their names.
pub(super) fn sorted_entries(view: &dyn UnitDirView, path: &str) -> Vec<Entry> {
    let mut entries = view.read_dir(path).unwrap_or_default();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}
