//! Taking what is wished out of `/run`: regular files and directories whose way nobody else could have changed.
use crate::error::{Attempt, OsError};
use runstead_core::carry::Item;
use runstead_core::carry::store::{MOST_BYTES, MOST_ITEMS};
use runstead_core::carry::wish::Wish;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

const DEPTH_MAX: usize = 32;

/// The items, directories before what is in them, and why others are left: a line each for people.
///
/// A file is left when it is no regular file, is a PID file, has another name elsewhere, carries privileges, or lies in a directory that
/// somebody but root and its owner can write to: it could have been planted there for another.
///
/// # Errors
/// When `run` cannot be opened.
pub fn collect(run: &str, wishes: &[Wish]) -> Result<(Vec<Item>, Vec<String>), OsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(run, flags, Mode::empty()).attempt("open", run)?;
    let mut collection = Collection { items: BTreeMap::new(), left: Vec::new(), bytes: 0 };
    for wish in wishes {
        if let Err(why) = collection.wish(&root, &wish.path) {
            collection.left.push(format!("{run}/{} ({}): {why}", wish.path, wish.source));
        }
    }
    Ok((collection.items.into_values().collect(), collection.left))
}

struct Collection {
    /// By path: a directory sorts before what is in it.
    items: BTreeMap<String, Item>,
    left: Vec<String>,
    bytes: usize,
}

type Outcome<T> = Result<T, String>;

/// Users that can write to the directories on the way: root and one other at most.
#[derive(Debug, Clone, Copy)]
struct Way {
    owner: u32,
}

impl Way {
    /// The way through one more directory.
    fn through(self, stat: &Stat) -> Outcome<Way> {
        if stat.st_mode & 0o022 != 0 {
            return Err(format!("others can write to its directory (mode {:04o})", stat.st_mode & 0o7777));
        }
        match (self.owner, stat.st_uid) {
            (owner, uid) if owner == uid || uid == 0 => Ok(self),
            (0, uid) => Ok(Way { owner: uid }),
            (owner, uid) => Err(format!("its directories belong to {owner} and {uid}")),
        }
    }

    fn suits(self, stat: &Stat) -> bool {
        self.owner == 0 || self.owner == stat.st_uid
    }
}

impl Collection {
    fn wish(&mut self, root: &OwnedFd, path: &str) -> Outcome<()> {
        let mut at = open(root.as_fd(), ".")?;
        let mut way = Way { owner: 0 }.through(&look(at.as_fd(), ".")?)?;
        let mut parents = Vec::new();
        let (directories, name) =
            path.rsplit_once('/').map_or((None, path), |(parent, name)| (Some(parent), name));
        let mut place = String::new();
        for part in directories.into_iter().flat_map(|parent| parent.split('/')) {
            let stat = look(at.as_fd(), part)?;
            way = way.through(&stat)?;
            at = open(at.as_fd(), part)?;
            place = if place.is_empty() { part.to_owned() } else { format!("{place}/{part}") };
            parents.push(item(&place, &stat, None));
        }
        let before = self.items.len();
        self.entry(at.as_fd(), name, path, way, 0)?;
        if self.items.len() > before {
            self.items.extend(parents.into_iter().map(|item| (item.path.clone(), item)));
        }
        Ok(())
    }

    /// Take what is at a name, with all in it.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &str,
        path: &str,
        way: Way,
        depth: usize,
    ) -> Outcome<()> {
        let stat = look(parent, name)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !way.suits(&stat) {
            return Err(format!("belongs to {}, its directory to {}", stat.st_uid, way.owner));
        }
        if self.items.len() >= MOST_ITEMS || depth > DEPTH_MAX {
            return Err("there are too many".to_owned());
        }
        match kind {
            FileType::RegularFile => {
                let bytes = self.contents(parent, name, &stat)?;
                self.items.insert(path.to_owned(), item(path, &stat, Some(bytes)));
            }
            FileType::Directory => {
                let way = way.through(&stat)?;
                self.items.insert(path.to_owned(), item(path, &stat, None));
                self.directory(&open(parent, name)?, path, way, depth)?;
            }
            other => return Err(format!("is no file ({other:?})")),
        }
        Ok(())
    }

    fn directory(&mut self, open: &OwnedFd, path: &str, way: Way, depth: usize) -> Outcome<()> {
        let list = Dir::read_from(open).map_err(text)?;
        for entry in list {
            let entry = entry.map_err(text)?;
            let name = entry.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            let below = format!("{path}/{name}");
            if let Err(why) = self.entry(open.as_fd(), &name, &below, way, depth + 1) {
                self.left.push(format!("{below}: {why}"));
            }
        }
        Ok(())
    }

    fn contents(&mut self, parent: BorrowedFd<'_>, name: &str, stat: &Stat) -> Outcome<Vec<u8>> {
        if name.ends_with(".pid") {
            return Err("a PID file is true of one boot only".to_owned());
        }
        if stat.st_nlink > 1 {
            return Err("has another name elsewhere".to_owned());
        }
        if stat.st_mode & 0o7000 != 0 {
            return Err("carries privileges".to_owned());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(text)?;
        let same = rustix::fs::fstat(&file).map_err(text)?;
        if (same.st_dev, same.st_ino, same.st_uid) != (stat.st_dev, stat.st_ino, stat.st_uid) {
            return Err("changes meanwhile".to_owned());
        }
        let room = MOST_BYTES.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        File::from(file).take(room as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() > room {
            return Err(format!("more than {} MiB in all", MOST_BYTES >> 20));
        }
        self.bytes += bytes.len();
        Ok(bytes)
    }
}

fn text(errno: Errno) -> String {
    errno.to_string()
}

fn look(parent: BorrowedFd<'_>, name: &str) -> Outcome<Stat> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(text)
}

fn open(parent: BorrowedFd<'_>, name: &str) -> Outcome<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(text)
}

fn item(path: &str, stat: &Stat, bytes: Option<Vec<u8>>) -> Item {
    Item { path: path.to_owned(), mode: stat.st_mode & 0o777, uid: stat.st_uid, gid: stat.st_gid, bytes }
}
