//! `/run/user/UID`: the directory of a user who is logged in (`$XDG_RUNTIME_DIR`), as user-runtime-dir@.service makes and removes it.
use super::remove::{empty_tree, remove_tree};
use crate::error::{Attempt, OsError};
use crate::mount::{detach_all, is_mount_point, parse_mounts};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

const USERS: &str = "/run/user";
/// The user's processes may still be making files.
const ATTEMPTS: usize = 8;

/// Whose directory, and how much it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserDirectory {
    /// The user.
    pub uid: u32,
    /// His group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Files and directories.
    pub inodes: u64,
}

fn path_of(uid: u32) -> String {
    format!("{USERS}/{uid}")
}

fn open(path: &str) -> Result<OwnedFd, OsError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)
}

impl UserDirectory {
    /// Make it: a tmpfs of its own, or a directory where nothing may be mounted. One that is mounted already stays as it is.
    pub fn make(&self) -> Result<(), OsError> {
        let path = path_of(self.uid);
        make(USERS, 0o755)?;
        if is_mount_point(&path).is_ok_and(|is_one| is_one) {
            return Ok(());
        }
        let is_new = make(&path, 0o700)?;
        // What is there and is no directory is nobody's whom we know.
        let directory = open(&path)?;
        let result = match self.mount(&path) {
            Err(Errno::PERM | Errno::ACCESS) => self.give(&directory, &path),
            other => other.attempt("mount a tmpfs on", &path),
        };
        if result.is_err() && is_new {
            let _ = rustix::fs::unlinkat(CWD, &*path, AtFlags::REMOVEDIR);
        }
        result
    }

    fn mount(&self, path: &str) -> Result<(), Errno> {
        let UserDirectory { uid, gid, size, inodes } = self;
        let options = format!("mode=0700,uid={uid},gid={gid},size={size},nr_inodes={inodes}");
        let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
        mount("tmpfs", path, "tmpfs", MountFlags::NODEV | MountFlags::NOSUID, Some(options.as_c_str()))
    }

    /// Of a plain directory: what mount options say of the other.
    fn give(&self, directory: &OwnedFd, path: &str) -> Result<(), OsError> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::fs::chownat(directory, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .attempt("chown", path)?;
        rustix::fs::chmodat(directory, ".", Mode::from_raw_mode(0o700), AtFlags::empty())
            .attempt("chmod", path)
    }
}

/// Whether it was made now.
fn make(path: &str, mode: u32) -> Result<bool, OsError> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(mode)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        other => other.attempt("make directory", path).map(|()| false),
    }
}

/// Remove the directory of a user, with what is in it and what is mounted on it and below. Files that are still open live on unseen; what
/// is mounted is taken out of the tree and not emptied.
pub fn remove_user_directory(uid: u32) -> Result<(), OsError> {
    let path = path_of(uid);
    // Processes that stay behind are to hold no memory by files.
    if let Ok(directory) = open(&path) {
        let _ = empty_tree(directory.as_fd());
        // Where it is no mount its owner must come in no more.
        let _ = rustix::fs::chownat(&directory, "", Some(Uid::ROOT), Some(Gid::ROOT), AtFlags::EMPTY_PATH);
    }
    let users = match open(USERS) {
        Err(error) if error.errno == Errno::NOENT => return Ok(()),
        other => other?,
    };
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        detach_below(&path);
        outcome = remove_tree(users.as_fd(), uid.to_string());
        if outcome.is_ok() {
            return Ok(());
        }
    }
    outcome.attempt("remove", path)
}

/// What is mounted at the path and below, the deepest first.
fn detach_below(path: &str) {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let below = format!("{path}/");
    let mut places: Vec<String> = parse_mounts(&mounts)
        .into_iter()
        .map(|line| line.target)
        .filter(|at| at.starts_with(&below))
        .collect();
    places.sort();
    // Taking the one on the path away takes those below along.
    let _ = detach_all(path);
    for place in places.iter().rev() {
        let _ = detach_all(place);
    }
}
