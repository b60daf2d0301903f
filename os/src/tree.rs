//! A file tree seen from its root: the machine's own, or a directory with a distribution in it, whose links then lead to its own
//! files and never out of it (openat2(2), `RESOLVE_IN_ROOT`). Paths are absolute within the tree.
use crate::error::{Attempt, OsError};
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The root, held open.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

/// What is at a path; links are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A symbolic link and where it leads.
    Link(String),
    /// A directory.
    Directory,
    /// A device, a socket, a FIFO.
    Other,
}

impl Tree {
    /// The tree below a directory.
    pub fn open(path: &Path) -> Result<Tree, OsError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path.to_string_lossy())?;
        Ok(Tree { root, path: path.to_owned() })
    }

    /// Where the tree is for this process.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path of the tree as this process would write it.
    pub fn outside(&self, path: &str) -> String {
        self.path.join(path.trim_start_matches('/')).to_string_lossy().into_owned()
    }

    fn directory(&self, path: &str) -> Result<OwnedFd, Errno> {
        let inside = if path.is_empty() { "." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.root, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), OsError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.directory(directory).attempt("open", self.outside(directory))?, name))
    }

    /// What is there.
    pub fn kind(&self, path: &str) -> Result<Kind, OsError> {
        let (directory, name) = match self.parent(path) {
            Err(error) if error.errno == Errno::NOENT => return Ok(Kind::Absent),
            other => other?,
        };
        let stat = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Kind::Absent),
            other => other.attempt("look at", self.outside(path))?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&directory, name, Vec::new());
                let target = target.attempt("read the link", self.outside(path))?;
                Kind::Link(target.to_string_lossy().into_owned())
            }
            _ => Kind::Other,
        })
    }

    /// Whether both are one directory, which merged systems have under two names.
    pub fn is_same_directory(&self, one: &str, other: &str) -> bool {
        let identity = |path: &str| {
            let stat = rustix::fs::fstat(self.directory(path).ok()?).ok()?;
            Some((stat.st_dev, stat.st_ino))
        };
        identity(one).is_some_and(|one| identity(other) == Some(one))
    }

    /// Whether entries of a directory can be made; the errno if not.
    pub fn check_writable(&self, directory: &str) -> Result<(), OsError> {
        let place = self.outside(directory);
        let open = self.directory(directory).attempt("open", &place)?;
        rustix::fs::accessat(&open, ".", Access::WRITE_OK, AtFlags::EACCESS).attempt("write to", place)
    }

    /// The bytes of a regular file, following links within the tree; `None` when it is absent, an error when it is larger
    /// than `limit`.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, OsError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
        let file = match opened {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            other => other.attempt("open", self.outside(path))?,
        };
        let mut bytes = Vec::new();
        let read = File::from(file).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        let count = read.attempt("read", self.outside(path))?;
        if count as u64 > limit {
            return Err(OsError::new("read", self.outside(path), Errno::FBIG));
        }
        Ok(Some(bytes))
    }

    /// Make a directory; one that is there already does.
    pub fn make_directory(&self, path: &str) -> Result<(), OsError> {
        let (parent, name) = self.parent(path)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => return Ok(()),
            other => other.attempt("make the directory", self.outside(path))?,
        }
        // Whatever the umask.
        rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())
            .attempt("set the mode of", self.outside(path))
    }

    /// Put a file there at once and for good: whoever looks sees the old one or the new one whole, also after a power cut.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<(), OsError> {
        let (parent, name) = self.parent(path)?;
        let temporary = temporary(name);
        remove_at(&parent, &temporary).attempt("remove", self.outside(&temporary))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&parent, &temporary, flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(file.attempt("create", self.outside(path))?);
        let written = file
            .write_all(bytes)
            .and_then(|()| rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(Into::into))
            .and_then(|()| file.sync_all());
        if let Err(error) = written.attempt("write", self.outside(path)) {
            let _ = remove_at(&parent, &temporary);
            return Err(error);
        }
        self.settle(&parent, &temporary, name, path)
    }

    /// Put a symbolic link there at once, in the place of whatever was.
    pub fn link(&self, target: &str, path: &str) -> Result<(), OsError> {
        let (parent, name) = self.parent(path)?;
        let temporary = temporary(name);
        remove_at(&parent, &temporary).attempt("remove", self.outside(&temporary))?;
        rustix::fs::symlinkat(target, &parent, &temporary).attempt("link", self.outside(path))?;
        self.settle(&parent, &temporary, name, path)
    }

    fn settle(&self, parent: &OwnedFd, temporary: &str, name: &str, path: &str) -> Result<(), OsError> {
        if let Err(errno) = rustix::fs::renameat(parent, temporary, parent, name) {
            let _ = remove_at(parent, temporary);
            return Err(OsError::new("put in place", self.outside(path), errno));
        }
        rustix::fs::fsync(parent).attempt("write to disk", self.outside(path))
    }

    /// A second name for a file or link itself.
    pub fn add_name(&self, path: &str, second: &str) -> Result<(), OsError> {
        let (from, from_name) = self.parent(path)?;
        let (to, to_name) = self.parent(second)?;
        rustix::fs::linkat(&from, from_name, &to, to_name, AtFlags::empty())
            .and_then(|()| rustix::fs::fsync(&to))
            .attempt("add the name", self.outside(second))
    }

    /// Rename over whatever is at `to`, at once.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), OsError> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = self.parent(to)?;
        rustix::fs::renameat(&from_parent, from_name, &to_parent, to_name)
            .and_then(|()| rustix::fs::fsync(&to_parent))
            .attempt("put back", self.outside(to))
    }

    /// Remove a file or link, and what an interrupted write left beside it; absent ones are no error.
    pub fn remove(&self, path: &str) -> Result<(), OsError> {
        self.remove_unfinished(path)?;
        let (parent, name) = match self.parent(path) {
            Err(error) if error.errno == Errno::NOENT => return Ok(()),
            other => other?,
        };
        remove_at(&parent, name)
            .and_then(|()| rustix::fs::fsync(&parent))
            .attempt("remove", self.outside(path))
    }

    /// Remove only what an interrupted [`Tree::write`] or [`Tree::link`] left beside a path.
    pub fn remove_unfinished(&self, path: &str) -> Result<(), OsError> {
        match self.parent(path) {
            Err(error) if error.errno == Errno::NOENT => Ok(()),
            Err(error) => Err(error),
            Ok((parent, name)) => remove_at(&parent, &temporary(name)).attempt("remove", self.outside(path)),
        }
    }

    /// Remove a directory; one that is absent, or in which others keep something, is no error.
    pub fn remove_directory(&self, path: &str) -> Result<(), OsError> {
        let (parent, name) = self.parent(path)?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(OsError::new("remove the directory", self.outside(path), errno)),
        }
    }
}

/// One name for each file, so that a second attempt finds what the first left.
fn temporary(name: &str) -> String {
    format!(".{name}.runstead~")
}

fn remove_at(parent: &OwnedFd, name: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn scratch(name: &str) -> (PathBuf, Tree) {
        let path = std::env::temp_dir().join(format!("runstead-tree-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("usr/sbin")).unwrap();
        let tree = Tree::open(&path).unwrap();
        (path, tree)
    }

    #[test]
    fn links_stay_in_the_tree() {
        let (path, tree) = scratch("links");
        symlink("/usr/sbin", path.join("sbin")).unwrap();
        symlink("../../../../../../../../usr/sbin", path.join("up")).unwrap();
        tree.link("../lib/x", "/sbin/init").unwrap();
        assert_eq!(fs::read_link(path.join("usr/sbin/init")).unwrap(), Path::new("../lib/x"));
        assert_eq!(tree.kind("/up/init"), Ok(Kind::Link("../lib/x".into())));
        assert!(tree.is_same_directory("/sbin", "/usr/sbin") && !tree.is_same_directory("/usr", "/usr/sbin"));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn files_come_whole_and_go_with_what_was_left() {
        let (path, tree) = scratch("files");
        tree.write("/usr/sbin/a", b"one", 0o755).unwrap();
        fs::write(path.join("usr/sbin/.a.runstead~"), "half").unwrap();
        tree.write("/usr/sbin/a", b"two", 0o755).unwrap();
        assert_eq!(tree.read("/usr/sbin/a", 3), Ok(Some(b"two".to_vec())));
        assert_eq!(tree.read("/usr/sbin/a", 2).unwrap_err().errno, Errno::FBIG);
        assert_eq!(fs::metadata(path.join("usr/sbin/a")).unwrap().permissions().mode() & 0o7777, 0o755);
        fs::write(path.join("usr/sbin/.a.runstead~"), "half").unwrap();
        tree.remove("/usr/sbin/a").unwrap();
        tree.remove("/no/such").unwrap();
        assert_eq!(fs::read_dir(path.join("usr/sbin")).unwrap().count(), 0);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_second_name_is_put_back() {
        let (path, tree) = scratch("names");
        tree.link("target", "/usr/sbin/init").unwrap();
        tree.add_name("/usr/sbin/init", "/usr/sbin/init.distrib").unwrap();
        tree.link("other", "/usr/sbin/init").unwrap();
        assert_eq!(tree.kind("/usr/sbin/init.distrib"), Ok(Kind::Link("target".into())));
        tree.rename("/usr/sbin/init.distrib", "/usr/sbin/init").unwrap();
        assert_eq!(tree.kind("/usr/sbin/init"), Ok(Kind::Link("target".into())));
        assert_eq!(tree.kind("/usr/sbin/init.distrib"), Ok(Kind::Absent));
        fs::remove_dir_all(path).unwrap();
    }
}
