//! Paths that others may be changing, opened component by component.
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Links that are followed on the way.
const LINKS_MAX: usize = 32;
/// `AUTOFS_SUPER_MAGIC`
const AUTOFS: u64 = 0x187;

/// Something that was found, opened as a mere place.
#[derive(Debug)]
pub struct Found {
    /// `O_PATH`
    pub fd: OwnedFd,
    /// What it is.
    pub stat: Stat,
}

impl Found {
    pub(crate) fn of(fd: OwnedFd) -> Result<Found, Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        Ok(Found { fd, stat })
    }

    /// Its type.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// The directory to be read; that takes no right to search it.
    pub fn directory(&self, more: OFlags) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open(self.proc_path(), flags | more, Mode::empty()) {
            // Only owners may ask for it.
            Err(Errno::PERM) if more.contains(OFlags::NOATIME) => {
                rustix::fs::open(self.proc_path(), flags, Mode::empty())
            }
            other => other,
        }
    }

    /// A path by which calls that know no `O_PATH` reach it.
    pub fn proc_path(&self) -> String {
        use std::os::fd::AsRawFd as _;
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

/// Why a path was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The kernel's reason.
    Errno(Errno),
    /// Somebody who may change `from` could have put `to`, which is another's, into the way.
    Unsafe { from: PathBuf, owner: u32, to: PathBuf, other: u32 },
    /// It would mount something.
    Automount(PathBuf),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal::Errno(errno)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Errno(errno) => std::io::Error::from(*errno).fmt(f),
            Refusal::Unsafe { from, owner, to, other } => write!(
                f,
                "unsafe path transition: {} belongs to user {owner}, who could have put {} of user {other} there",
                from.display(),
                to.display()
            ),
            Refusal::Automount(path) => write!(f, "{} is an automount point", path.display()),
        }
    }
}

/// Which ways are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// From anything that belongs to a user to anything of another.
    Strict,
    /// By links of a user to what is another's.
    Links,
    /// None: nothing is done with what is found.
    Look,
}

/// Directories that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// `ENOENT`
    Fails,
    /// They are made, for root, 0755.
    Made,
    /// The same, and what is no directory is removed for them.
    MadeAndReplaced,
}

/// A way to go.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Where `/` is.
    pub root: BorrowedFd<'a>,
    /// Which steps are refused.
    pub trust: Trust,
    /// What becomes of missing directories.
    pub missing: Missing,
}

const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A place without following it.
pub(crate) fn place(directory: impl AsFd, name: impl rustix::path::Arg) -> Result<Found, Errno> {
    Found::of(rustix::fs::openat(directory, name, PLACE, Mode::empty())?)
}

/// Names that are left, and whether a link said so: what a link leads to is not made.
type Rest = VecDeque<(OsString, bool)>;

/// How far we are.
struct Here {
    found: Found,
    path: PathBuf,
    /// The last thing that led here, which may be a link.
    led: PathBuf,
    /// Of that.
    owner: u32,
}

impl Here {
    fn at(found: Found, path: PathBuf) -> Here {
        Here { owner: found.stat.st_uid, led: path.clone(), found, path }
    }
}

impl Way<'_> {
    /// Opens a path below the root; its last component is followed when it is a link and `follow`.
    pub fn open(&self, path: &Path, follow: bool) -> Result<Found, Refusal> {
        let mut here = self.start()?;
        let mut rest: Rest = names(path.as_os_str().as_bytes()).map(|name| (name, false)).collect();
        let mut links = 0;
        while let Some((name, by_link)) = rest.pop_front() {
            if name == ".." {
                self.up(&mut here)?;
                continue;
            }
            let path = here.path.join(&name);
            let missing = if by_link { Missing::Fails } else { self.missing };
            let child = self.child(&here, &name, &path, missing)?;
            self.check(&here, &child, &path)?;
            if child.kind() == FileType::Symlink && (follow || !rest.is_empty()) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                self.follow(&mut here, &child, &path, &mut rest)?;
                continue;
            }
            if child.stat.st_dev != here.found.stat.st_dev && is_automount(&child.fd) {
                return Err(Refusal::Automount(path));
            }
            here = Here::at(child, path);
        }
        Ok(here.found)
    }

    /// The directory that a path is in, and its name there.
    pub fn parent<'p>(&self, path: &'p Path) -> Result<(Found, &'p OsStr), Refusal> {
        let name = path.file_name().ok_or(Errno::ADDRNOTAVAIL)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        let found = self.open(parent, true)?;
        if found.kind() != FileType::Directory {
            return Err(Errno::NOTDIR.into());
        }
        Ok((found, name))
    }

    fn start(&self) -> Result<Here, Refusal> {
        let found = Found::of(rustix::fs::openat(self.root, ".", PLACE, Mode::empty())?)?;
        Ok(Here::at(found, PathBuf::from("/")))
    }

    fn check(&self, here: &Here, child: &Found, path: &Path) -> Result<(), Refusal> {
        self.check_owner(here, child.stat.st_uid, path)
    }

    fn check_owner(&self, here: &Here, other: u32, path: &Path) -> Result<(), Refusal> {
        if self.trust == Trust::Look || self.trust == Trust::Links && here.owner == here.found.stat.st_uid {
            return Ok(());
        }
        if here.owner == 0 || here.owner == other {
            return Ok(());
        }
        Err(Refusal::Unsafe { from: here.led.clone(), owner: here.owner, to: path.to_owned(), other })
    }

    fn up(&self, here: &mut Here) -> Result<(), Refusal> {
        let root = rustix::fs::fstat(self.root)?;
        let at_root = (root.st_dev, root.st_ino) == (here.found.stat.st_dev, here.found.stat.st_ino);
        if at_root {
            return Ok(());
        }
        let parent = place(&here.found.fd, "..")?;
        let path = here.path.parent().unwrap_or(Path::new("/")).to_owned();
        self.check(here, &parent, &path)?;
        *here = Here::at(parent, path);
        Ok(())
    }

    /// Goes on where a link leads.
    fn follow(&self, here: &mut Here, link: &Found, path: &Path, rest: &mut Rest) -> Result<(), Refusal> {
        let target = rustix::fs::readlinkat(&link.fd, "", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            let start = self.start()?;
            let trusted = self.trust == Trust::Look || link.stat.st_uid == 0;
            if !trusted && link.stat.st_uid != start.owner {
                return Err(Refusal::Unsafe {
                    from: path.to_owned(),
                    owner: link.stat.st_uid,
                    to: PathBuf::from("/"),
                    other: start.owner,
                });
            }
            *here = start;
        } else {
            here.owner = link.stat.st_uid;
            here.led = path.to_owned();
        }
        for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
            rest.push_front((name, true));
        }
        Ok(())
    }

    fn child(&self, here: &Here, name: &OsStr, path: &Path, missing: Missing) -> Result<Found, Refusal> {
        let parent = &here.found;
        let child = match place(&parent.fd, name) {
            Err(Errno::NOENT) if missing != Missing::Fails => return Ok(make(parent, name)?),
            other => other?,
        };
        let wrong = match child.kind() {
            FileType::Directory => false,
            FileType::Symlink => !leads_to_directory(parent, name),
            _ => true,
        };
        if wrong && missing == Missing::MadeAndReplaced {
            self.check(here, &child, path)?;
            if child.kind() == FileType::Symlink {
                // What is made instead is ours, in the place of where a user wants to go.
                self.check_owner(here, rustix::process::geteuid().as_raw(), path)?;
            }
            rustix::fs::unlinkat(&parent.fd, name, AtFlags::empty())?;
            return Ok(make(parent, name)?);
        }
        Ok(child)
    }
}

fn make(parent: &Found, name: &OsStr) -> Result<Found, Errno> {
    let mode = Mode::from_raw_mode(0o755);
    match rustix::fs::mkdirat(&parent.fd, name, mode) {
        Err(Errno::EXIST) => place(&parent.fd, name),
        Err(errno) => Err(errno),
        Ok(()) => {
            let made = place(&parent.fd, name)?;
            // Directories hand their set-group-id bit down.
            if made.kind() == FileType::Directory && made.stat.st_mode & 0o7777 != 0o755 {
                rustix::fs::chmod(made.proc_path(), mode)?;
            }
            Ok(made)
        }
    }
}

fn leads_to_directory(parent: &Found, name: &OsStr) -> bool {
    let stat = rustix::fs::statat(&parent.fd, name, AtFlags::empty());
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn is_automount(fd: &OwnedFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(AUTOFS))
}

/// The components of a path, without `.` and doubled slashes.
fn names(path: &[u8]) -> impl Iterator<Item = OsString> + '_ {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| OsString::from_vec(part.to_vec()))
}
