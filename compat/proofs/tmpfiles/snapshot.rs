//! A tree as text: everything that a line of tmpfiles.d can change in it.

use rustix::fs::{Dir, FlockOperation, Mode, OFlags, flock, ioctl_getflags, lgetxattr, llistxattr, open};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What each path is.
pub type Snapshot = BTreeMap<PathBuf, String>;

/// Of a tree and all below it; a time is told when it lies before `since` (seconds since 1970) or an hour behind it.
pub fn of(top: &Path, since: Option<i64>) -> Snapshot {
    let mut found = Snapshot::new();
    walk(top, since, &mut found);
    found
}

fn walk(path: &Path, since: Option<i64>, found: &mut Snapshot) {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(why) => {
            found.insert(path.to_owned(), why.to_string());
            return;
        }
    };
    found.insert(path.to_owned(), describe(path, &metadata, since));
    if metadata.is_dir() {
        for name in names(path) {
            walk(&path.join(name), since, found);
        }
    }
}

/// Looking must not show in the times that are looked at.
fn untouched(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOATIME | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

fn names(directory: &Path) -> Vec<OsString> {
    let listed = untouched(directory).and_then(Dir::new);
    let entries = listed.into_iter().flatten().flatten();
    let names = entries.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
    names.filter(|name| name != "." && name != "..").collect()
}

fn describe(path: &Path, metadata: &Metadata, since: Option<i64>) -> String {
    let kind = metadata.file_type();
    let mut text = match () {
        () if kind.is_dir() => "directory".to_owned(),
        () if kind.is_symlink() => format!("link to {:?}", fs::read_link(path).unwrap_or_default()),
        () if kind.is_file() => format!("file of {}, content {:x}", metadata.len(), content(path)),
        () if kind.is_fifo() => "fifo".to_owned(),
        () if kind.is_socket() => "socket".to_owned(),
        () if kind.is_char_device() => format!("character device {:x}", metadata.rdev()),
        () => format!("block device {:x}", metadata.rdev()),
    };
    text.push_str(&format!(" {:04o} {}:{}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid()));
    if !kind.is_dir() && metadata.nlink() > 1 {
        text.push_str(&format!(" {} names", metadata.nlink()));
    }
    for (name, time) in [("mtime", metadata.mtime()), ("atime", metadata.atime())] {
        if since.is_some_and(|since| time < since || time > since + 3600) {
            text.push_str(&format!(" {name} {time}"));
        }
    }
    text.push_str(&attributes(path, kind.is_dir() || kind.is_file()));
    text
}

fn content(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut bytes = Vec::new();
    let read = untouched(path)
        .map_err(std::io::Error::from)
        .and_then(|file| File::from(file).read_to_end(&mut bytes));
    (read.map_err(|why| why.to_string()), bytes).hash(&mut hasher);
    hasher.finish()
}

/// Extended attributes (access control lists are some) and, where it can be opened, file attributes and locks.
fn attributes(path: &Path, can_be_opened: bool) -> String {
    let mut text = String::new();
    let mut names = vec![0; 4096];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut names: Vec<&[u8]> = names[..length].split(|byte| *byte == 0).filter(|n| !n.is_empty()).collect();
    names.sort_unstable();
    for name in names {
        let mut value = vec![0; 4096];
        let length = lgetxattr(path, name, &mut value[..]).unwrap_or(0);
        let name = OsStr::from_bytes(name);
        text.push_str(&format!(" {}={}", name.display(), value[..length].escape_ascii()));
    }
    if can_be_opened && let Ok(descriptor) = untouched(path) {
        let flags = ioctl_getflags(&descriptor).map_or(0, |flags| flags.bits());
        if flags != 0 {
            text.push_str(&format!(" flags {flags:x}"));
        }
        if flock(&descriptor, FlockOperation::NonBlockingLockExclusive).is_err() {
            text.push_str(" locked");
        }
    }
    text
}

/// What differs, a line each.
pub fn differences(expected: &Snapshot, found: &Snapshot) -> Vec<String> {
    let missing = "nothing".to_owned();
    let paths: std::collections::BTreeSet<&PathBuf> = expected.keys().chain(found.keys()).collect();
    // What the reference makes first under another name it leaves there where it may add, but not rename.
    let left_over = |path: &Path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".#"));
    let lines = paths.into_iter().filter(|path| !left_over(path)).filter_map(|path| {
        let (one, other) = (expected.get(path).unwrap_or(&missing), found.get(path).unwrap_or(&missing));
        (one != other).then(|| format!("{}: expected {one}; found {other}", path.display()))
    });
    lines.collect()
}
