//! The calls by which a store comes to disk, as a trait: tests record them and replay every crash.
use crate::error::{Attempt, OsError};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};

/// Larger files are none of ours: contents and manifest.
const LARGEST: u64 = (runstead_core::carry::store::MOST_BYTES as u64) + (16 << 20);

/// A folder of files.
pub trait Disk {
    /// The contents of a file; `None` when there is none.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, OsError>;
    /// Make a file anew with these contents.
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), OsError>;
    /// Wait until a file's contents are on disk.
    fn sync(&mut self, name: &str) -> Result<(), OsError>;
    /// Give a file another name, whose file goes.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), OsError>;
    /// Remove a file; that there is none is fine.
    fn remove(&mut self, name: &str) -> Result<(), OsError>;
    /// Wait until the names are on disk.
    fn sync_names(&mut self) -> Result<(), OsError>;
}

/// A directory of the file system that only root may enter.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: String,
}

impl Folder {
    /// Open it, making what is missing of it.
    pub fn open(path: &str) -> Result<Folder, OsError> {
        crate::mount::make_directory(path, 0o700)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
        let stat = rustix::fs::fstat(&fd).attempt("look at", path)?;
        // Who may write here could plant files for anybody.
        if (crate::process::is_root() && stat.st_uid != 0) || stat.st_mode & 0o022 != 0 {
            return Err(OsError::new("trust", path, Errno::PERM));
        }
        Ok(Folder { fd, path: path.to_owned() })
    }

    fn file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))
    }

    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

impl Disk for Folder {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, OsError> {
        let file = match self.file(name, OFlags::RDONLY | OFlags::NONBLOCK) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.attempt("open", self.place(name))?,
        };
        let mut bytes = Vec::new();
        File::from(file).take(LARGEST).read_to_end(&mut bytes).attempt("read", self.place(name))?;
        Ok(Some(bytes))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), OsError> {
        self.remove(name)?;
        let file = self.file(name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL);
        let mut file = File::from(file.attempt("create", self.place(name))?);
        file.write_all(bytes).attempt("write", self.place(name))
    }

    fn sync(&mut self, name: &str) -> Result<(), OsError> {
        let file = self.file(name, OFlags::RDONLY).attempt("open", self.place(name))?;
        rustix::fs::fsync(file).attempt("sync", self.place(name))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), OsError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).attempt("rename", self.place(from))
    }

    fn remove(&mut self, name: &str) -> Result<(), OsError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(OsError::new("remove", self.place(name), errno)),
        }
    }

    fn sync_names(&mut self) -> Result<(), OsError> {
        rustix::fs::fsync(&self.fd).attempt("sync", &self.path)
    }
}
