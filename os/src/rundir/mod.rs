//! Files under the run root: written atomically, relative to a directory descriptor, following no link out of the tree.
mod files;
mod layout;
mod remove;
mod shares;
mod sockets;
mod survey;
mod user;

pub use files::{memory_file, mtime, read_limited, remove_file, touch, write_file};
pub use layout::{bare_layout, base_layout, user_layout};
pub use shares::{Look, Looked, Shares, shares};
pub use sockets::paths as socket_paths;
pub use survey::{preconditions, survey};
pub use user::{UserDirectory, remove_user_directory};

pub use crate::mount::make_directory;
use remove::remove_small_tree;
pub use remove::{empty_tree, remove_tree};

use crate::chase;
use crate::error::{Attempt, OsError};
use runstead_core::engine::effect::RunEntry;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use std::cell::Cell;

/// The umask of this process.
pub fn umask() -> u32 {
    // There is no call that only asks; nobody else makes files meanwhile.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// Most entries of a tree that are removed at once.
const SMALL_TREE: usize = 64;

/// A directory that everything is relative to: the run root, or one for tests.
#[derive(Debug)]
pub struct RunDir {
    fd: OwnedFd,
    path: String,
    /// Makes names of temporary files unique within this process.
    counter: Cell<u64>,
}

impl RunDir {
    /// Open an existing directory.
    pub fn open(path: &str) -> Result<RunDir, OsError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
        Ok(RunDir { fd, path: path.trim_end_matches('/').to_owned(), counter: Cell::new(0) })
    }

    /// The absolute path of the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The absolute path of something in it.
    pub fn absolute(&self, path: &str) -> String {
        format!("{}/{}", self.path, path.trim_start_matches('/'))
    }

    /// Make the entry be there, or (with `None`) not. Missing parents are made with mode 0755.
    pub fn apply(&self, path: &str, entry: Option<&RunEntry>) -> Result<(), OsError> {
        match entry {
            Some(RunEntry::File { bytes, mode }) => self.write(path, bytes, *mode),
            Some(RunEntry::Link(target)) => self.link(path, target),
            None => self.remove(path),
        }
    }

    /// Write a file: readers see the old contents or the new, never a part.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), OsError> {
        let (parent, name) = self.parent_of(path)?;
        let temporary = self.temporary(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&parent, &temporary, flags, Mode::from_raw_mode(0o600))
            .attempt("create", path)?;
        let written = write_all(&fd, bytes)
            .and_then(|()| rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)))
            .and_then(|()| rustix::fs::renameat(&parent, &temporary, &parent, name));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&parent, &temporary, AtFlags::empty());
        }
        written.attempt("write", path)
    }

    /// Make or replace a symbolic link.
    pub fn link(&self, path: &str, target: &str) -> Result<(), OsError> {
        let (parent, name) = self.parent_of(path)?;
        // Nearly always there is none yet: one call.
        match rustix::fs::symlinkat(target, &parent, name) {
            Err(Errno::EXIST) => {}
            other => return other.attempt("link", path),
        }
        let temporary = self.temporary(name);
        rustix::fs::symlinkat(target, &parent, &temporary).attempt("link", path)?;
        let renamed = rustix::fs::renameat(&parent, &temporary, &parent, name);
        if renamed.is_err() {
            let _ = rustix::fs::unlinkat(&parent, &temporary, AtFlags::empty());
        }
        renamed.attempt("link", path)
    }

    /// Remove a file or link; that there is none is fine.
    pub fn remove(&self, path: &str) -> Result<(), OsError> {
        let (directory, name) = split(path)?;
        let parent = match self.directory(directory) {
            Err(error) if error.errno == Errno::NOENT => return Ok(()),
            other => other?,
        };
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(OsError::new("remove", path, errno)),
        }
    }

    /// Make a directory with this mode and owner whatever the umask; parents get 0755. One that is there already gets
    /// mode and owner, too.
    pub fn mkdir(&self, path: &str, mode: u32, owner: Option<(u32, u32)>) -> Result<(), OsError> {
        let (parent, name) = self.parent_of(path)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(OsError::new("make directory", path, errno)),
        }
        let fd = self.directory(path)?;
        // fchmod(2) does not take O_PATH descriptors; "." relative to one is the directory itself.
        if let Some((uid, gid)) = owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(&fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH).attempt("chown", path)?;
        }
        rustix::fs::chmodat(&fd, ".", Mode::from_raw_mode(mode), AtFlags::empty()).attempt("chmod", path)
    }

    /// Remove a directory and all in it, or a file; links are removed, not followed. That there is none is fine.
    pub fn remove_tree(&self, path: &str) -> Result<(), OsError> {
        let (directory, name) = split(path)?;
        let parent = match self.directory(directory) {
            Err(error) if error.errno == Errno::NOENT => return Ok(()),
            other => other?,
        };
        remove::remove_tree(parent.as_fd(), name).attempt("remove", path)
    }

    /// The same for a tree that may be large: what is more than a handful of entries gets another name at once and is removed
    /// by a throw-away child.
    pub fn discard_tree(&self, path: &str) -> Result<(), OsError> {
        let (directory, name) = split(path)?;
        let parent = match self.directory(directory) {
            Err(error) if error.errno == Errno::NOENT => return Ok(()),
            other => other?,
        };
        discard(parent, name, path)
    }

    /// The same, on a way that may lead through links: those of root, where nobody else could have put them. What they lead to on a disk
    /// stays there unless `on_disk`.
    pub fn discard_linked_tree(&self, path: &str, on_disk: bool) -> Result<(), OsError> {
        match self.discard_tree(path) {
            // What openat2(2) says of a link, and openat(2) of one that should be a directory.
            Err(error) if matches!(error.errno, Errno::LOOP | Errno::NOTDIR) => {}
            other => return other,
        }
        let absolute = self.absolute(path);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty()).attempt("open", "/")?;
        let way =
            chase::Way { root: root.as_fd(), trust: chase::Trust::Strict, missing: chase::Missing::Fails };
        match way.parent(std::path::Path::new(&absolute)) {
            Ok((parent, _)) if !on_disk && !is_in_memory(&parent.fd) => Ok(()),
            Ok((parent, _)) => discard(parent.fd, split(path)?.1, path),
            Err(chase::Refusal::Errno(Errno::NOENT)) => Ok(()),
            Err(chase::Refusal::Errno(errno)) => Err(OsError::new("remove", path, errno)),
            Err(_) => Err(OsError::new("remove", path, Errno::LOOP)),
        }
    }

    /// Open a directory in the tree (`O_PATH`).
    pub fn directory(&self, path: &str) -> Result<OwnedFd, OsError> {
        let path = path.trim_matches('/');
        let path = if path.is_empty() { "." } else { path };
        open_beneath(self.fd.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY)
            .attempt("open", self.absolute(path))
    }

    /// The directory something lies in, made if need be, and its name there.
    fn parent_of<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), OsError> {
        let (directory, name) = split(path)?;
        match self.directory(directory) {
            Err(error) if error.errno == Errno::NOENT => {}
            other => return Ok((other?, name)),
        }
        let mut current = self.directory("")?;
        for part in directory.split('/') {
            let made = rustix::fs::mkdirat(&current, part, Mode::from_raw_mode(0o755));
            if !matches!(made, Ok(()) | Err(Errno::EXIST)) {
                made.attempt("make directory", directory)?;
            }
            let next = open_beneath(current.as_fd(), part, OFlags::PATH | OFlags::DIRECTORY)
                .attempt("open", directory)?;
            if made.is_ok() {
                let mode = Mode::from_raw_mode(0o755);
                rustix::fs::chmodat(&next, ".", mode, AtFlags::empty()).attempt("chmod", directory)?;
            }
            current = next;
        }
        Ok((current, name))
    }

    fn temporary(&self, name: &str) -> String {
        self.counter.set(self.counter.get().wrapping_add(1));
        let short: String = name.chars().take(64).collect();
        format!(".#{short}.{}.{:x}", std::process::id(), self.counter.get())
    }
}

/// `TMPFS_MAGIC`, `RAMFS_MAGIC`
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

fn is_in_memory(fd: &OwnedFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| IN_MEMORY.iter().any(|kind| u64::try_from(fs.f_type) == Ok(*kind)))
}

/// Remove a tree at once, or give it another name at once.
fn discard(parent: OwnedFd, name: &str, path: &str) -> Result<(), OsError> {
    match remove_small_tree(parent.as_fd(), name, SMALL_TREE) {
        Err(Errno::TOOBIG) => {}
        other => return other.attempt("remove", path),
    }
    let away = format!(".runstead-removed-{}", crate::identity::random_id()?);
    // A mount point cannot be renamed; it could not be removed either.
    rustix::fs::renameat(&parent, name, &parent, &away).attempt("rename", path)?;
    let raw = rustix::fd::AsRawFd::as_raw_fd(&parent);
    crate::sys::process::offload(move || {
        // Whoever waits for the end of a connection must not wait for us.
        crate::sys::process::close_all_but(raw);
        i32::from(remove::remove_tree(parent.as_fd(), &away).is_err())
    })
    .map(drop)
    .attempt("fork to remove", path)
}

fn split(path: &str) -> Result<(&str, &str), OsError> {
    let path = path.trim_matches('/');
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let bad = path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\0');
    if bad { Err(OsError::new("use path", path, Errno::INVAL)) } else { Ok((directory, name)) }
}

/// Open below a directory without following any link. Where openat2(2) is refused (old kernels, seccomp filters),
/// component by component.
pub fn open_beneath(dir: rustix::fd::BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    for _ in 0..8 {
        match rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve) {
            // A rename elsewhere raced with the check: again.
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS | Errno::PERM) => break,
            other => return other,
        }
    }
    let mut current: Option<OwnedFd> = None;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate() {
        if *part == ".." {
            return Err(Errno::XDEV);
        }
        let is_last = index + 1 == parts.len();
        let how = if is_last {
            flags
        } else {
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW
        };
        let from = current.as_ref().map_or(dir, |fd| fd.as_fd());
        current = Some(rustix::fs::openat(from, *part, how, Mode::empty())?);
    }
    current.ok_or(Errno::NOENT)
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;

    /// A directory of this test, removed at the end.
    pub(crate) struct Scratch(pub PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("runstead-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).expect("a directory of our own");
            Scratch(path)
        }

        pub(crate) fn path(&self) -> &str {
            self.0.to_str().expect("ascii")
        }

        pub(crate) fn join(&self, name: &str) -> String {
            format!("{}/{name}", self.path())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn entries_come_change_and_go() {
        let scratch = Scratch::new("rundir");
        let run = RunDir::open(scratch.path()).expect("open");
        let file = RunEntry::File { bytes: b"A=1\n"[..].into(), mode: 0o444 };
        run.apply("systemd/units/a", Some(&file)).expect("write");
        run.apply("systemd/units/a", Some(&file)).expect("replace");
        let path = scratch.join("systemd/units/a");
        assert_eq!(std::fs::read(&path).expect("there"), b"A=1\n");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o7777, 0o444);
        run.apply("systemd/units/l", Some(&RunEntry::Link("one".into()))).expect("link");
        run.apply("systemd/units/l", Some(&RunEntry::Link("two".into()))).expect("relink");
        assert_eq!(
            std::fs::read_link(scratch.join("systemd/units/l")).expect("a link").to_str(),
            Some("two")
        );
        run.apply("systemd/units/l", None).expect("remove");
        run.apply("systemd/units/l", None).expect("not there is fine");
        run.apply("no/such/dir/x", None).expect("not there is fine");
        let names: Vec<_> =
            std::fs::read_dir(scratch.join("systemd/units")).expect("list").flatten().collect();
        assert_eq!(names.len(), 1, "no temporary file is left");
    }

    #[test]
    fn links_are_not_followed_and_dots_refused() {
        let scratch = Scratch::new("rundir-links");
        let outside = Scratch::new("rundir-outside");
        let run = RunDir::open(scratch.path()).expect("open");
        symlink(&outside.0, scratch.join("out")).expect("link");
        std::fs::write(outside.join("keep"), "x").expect("write");
        assert!(run.write("out/file", b"x", 0o644).is_err());
        assert!(run.write("../file", b"x", 0o644).is_err());
        run.mkdir("tree/deep", 0o700, None).expect("mkdir");
        symlink(&outside.0, scratch.join("tree/deep/out")).expect("link");
        run.remove_tree("tree").expect("remove");
        run.remove_tree("out").expect("removes the link");
        assert!(std::fs::metadata(outside.join("keep")).is_ok());
        assert!(!std::fs::exists(scratch.join("tree")).expect("stat"));
    }

    #[test]
    fn trees_behind_trusted_links_go_and_others_stay() {
        let scratch = Scratch::new("rundir-linked");
        for directory in ["aim/sub/deep", "other/sub"] {
            std::fs::create_dir_all(scratch.join(directory)).expect("mkdir");
        }
        symlink("aim", scratch.join("mid")).expect("link");
        let run = RunDir::open(scratch.path()).expect("open");
        assert!(run.discard_tree("mid/sub").is_err());
        run.discard_linked_tree("mid/sub", true).expect("removed");
        run.discard_linked_tree("mid/sub", true).expect("not there is fine");
        assert!(std::fs::exists(scratch.join("aim")).expect("look"));
        assert!(!std::fs::exists(scratch.join("aim/sub")).expect("look"));
        if rustix::process::geteuid().is_root() {
            symlink("other", scratch.join("his")).expect("link");
            std::os::unix::fs::lchown(scratch.join("his"), Some(1), Some(1)).expect("chown");
            assert_eq!(
                run.discard_linked_tree("his/sub", true).map_err(|error| error.errno),
                Err(Errno::LOOP)
            );
            assert!(std::fs::exists(scratch.join("other/sub")).expect("look"));
        }
    }

    #[test]
    fn the_way_without_openat2_is_the_same() {
        let scratch = Scratch::new("rundir-walk");
        std::fs::create_dir_all(scratch.join("a/b")).expect("mkdir");
        symlink("a", scratch.join("l")).expect("link");
        let run = RunDir::open(scratch.path()).expect("open");
        assert!(run.directory("a/b").is_ok());
        assert!(run.directory("l/b").is_err());
        assert!(run.directory("l").is_err());
    }
}
