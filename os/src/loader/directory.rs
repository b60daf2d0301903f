//! One directory of the search path, as it was listed last.
use super::names;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;

/// Longest unit file; the reference refuses longer lines, we longer files.
const FILE_MAX: usize = 4 << 20;

/// An entry whose name is a unit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    File,
    Link(String),
}

/// What is different in a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// No names.
    None,
    /// Files came or went, and nothing else: these.
    Files(Vec<String>),
    /// Links or drop-in directories too.
    Names,
}

fn links(entries: &BTreeMap<String, Entry>) -> impl Iterator<Item = (&String, &String)> {
    entries.iter().filter_map(|(name, entry)| match entry {
        Entry::Link(target) => Some((name, target)),
        Entry::File => None,
    })
}

#[derive(Debug)]
pub(super) struct SearchDir {
    pub path: String,
    /// `None`: does not exist, or never looked.
    stamp: Option<(i64, u64, u64)>,
    pub entries: BTreeMap<String, Entry>,
    /// `X.d`, `X.wants`, `X.requires`, `X.upholds`.
    pub drop_dirs: Vec<String>,
}

impl SearchDir {
    pub fn new(path: String) -> SearchDir {
        SearchDir { path, stamp: None, entries: BTreeMap::new(), drop_dirs: Vec::new() }
    }

    /// List it when it changed; what is different now.
    pub fn refresh(&mut self) -> Change {
        let stamp = rustix::fs::stat(&self.path).ok().map(|stat| stamp_of(&stat));
        // A directory that was not trusted and has gone leaves what it held.
        let is_empty = self.entries.is_empty() && self.drop_dirs.is_empty();
        if stamp == self.stamp && (stamp.is_some() || is_empty) {
            return Change::None;
        }
        let entries = std::mem::take(&mut self.entries);
        let drop_dirs = std::mem::take(&mut self.drop_dirs);
        // A file made in the very tick in which it was listed leaves the time as it is: do not trust a fresh one.
        self.stamp = stamp.filter(|&(seconds, nanos, _)| !is_fresh(seconds, nanos));
        self.list();
        if drop_dirs != self.drop_dirs || !links(&entries).eq(links(&self.entries)) {
            return Change::Names;
        }
        let only_in = |a: &BTreeMap<String, Entry>, b: &BTreeMap<String, Entry>| -> Vec<String> {
            a.keys().filter(|name| !b.contains_key(*name)).cloned().collect()
        };
        let mut files = only_in(&entries, &self.entries);
        files.append(&mut only_in(&self.entries, &entries));
        if files.is_empty() { Change::None } else { Change::Files(files) }
    }

    fn list(&mut self) {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if is_drop_dir(&name) && (kind.is_dir() || kind.is_symlink()) {
                self.drop_dirs.push(name);
            } else if kind.is_symlink() && names::is_unit_name(&name) {
                let Ok(target) = std::fs::read_link(entry.path()) else { continue };
                self.entries.insert(name, Entry::Link(target.to_string_lossy().into_owned()));
            } else if kind.is_file() && names::is_unit_name(&name) {
                self.entries.insert(name, Entry::File);
            }
        }
        self.drop_dirs.sort();
    }
}

fn is_drop_dir(name: &str) -> bool {
    [".d", ".wants", ".requires", ".upholds"].iter().any(|suffix| name.ends_with(suffix))
}

pub(super) fn stamp_of(stat: &Stat) -> (i64, u64, u64) {
    #[allow(clippy::unnecessary_cast)]
    (stat.st_mtime as i64, stat.st_mtime_nsec as u64, stat.st_ino as u64)
}

/// Changed less than the coarsest clock tick (10 ms) ago.
pub(super) fn is_fresh(seconds: i64, nanos: u64) -> bool {
    let now = crate::timer::now().realtime;
    let then = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000) + nanos / 1000;
    now.saturating_sub(then) < 10_000
}

/// Microseconds since the epoch of a file's modification.
pub(super) fn mtime(path: &str) -> Option<u64> {
    rustix::fs::stat(path).ok().map(|stat| usec(&stat))
}

fn usec(stat: &Stat) -> u64 {
    let (seconds, nanos, _) = stamp_of(stat);
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000) + nanos / 1000
}

/// Read a unit file without ever blocking: bytes and modification time. What is not a regular file is refused, but
/// `/dev/null` reads as empty.
pub fn read_unit_file(path: &str) -> Result<(Vec<u8>, u64), Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::CharacterDevice if stat.st_rdev == rustix::fs::makedev(1, 3) => {
            return Ok((Vec::new(), usec(&stat)));
        }
        FileType::Directory => return Err(Errno::ISDIR),
        _ => return Err(Errno::BADF),
    }
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > FILE_MAX {
        return Err(Errno::FBIG);
    }
    Ok((read_to_end(&fd, size)?, usec(&stat)))
}

fn read_to_end(fd: &OwnedFd, expected: usize) -> Result<Vec<u8>, Errno> {
    // One byte more than expected: then the read that finds the end needs no second buffer.
    let mut bytes = vec![0u8; expected + 1];
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            if filled > FILE_MAX {
                return Err(Errno::FBIG);
            }
            bytes.resize(filled * 2, 0);
        }
        match rustix::io::read(fd, &mut bytes[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        if filled == expected {
            break;
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
