//! Single files outside the run-time tree.
use crate::error::{Attempt, OsError};
use runstead_core::engine::clock::Usec;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, Timespec, Timestamps};

/// Unlink a file, socket or link; directories and what is not there stay as they are.
pub fn remove_file(path: &str) {
    // What cannot be removed is replaced by whoever comes next, or is his error.
    let _ = rustix::fs::unlink(path);
}

/// Set the modification time of a file, made (with its directory) when it is not there: stamps of persistent timers.
pub fn touch(path: &str, at: Usec) -> Result<(), OsError> {
    if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        crate::mount::make_directory(parent, 0o755)?;
    }
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::CLOEXEC
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644)).attempt("open", path)?;
    let time = Timespec {
        tv_sec: i64::try_from(at / 1_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(at % 1_000_000 * 1000).unwrap_or(0),
    };
    rustix::fs::futimens(&fd, &Timestamps { last_access: time, last_modification: time })
        .attempt("touch", path)
}

/// A sealed file in memory with these contents, its offset at the start: what clients are handed as a descriptor.
pub fn memory_file(name: &str, bytes: &[u8]) -> Result<OwnedFd, OsError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(name, flags).attempt("memfd_create", name)?;
    super::write_all(&fd, bytes).attempt("write", name)?;
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0)).attempt("rewind", name)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&fd, seals).attempt("seal", name)?;
    Ok(fd)
}

/// Read at most `limit` bytes of a regular file; more is an error (`EFBIG`). Never waits for the other end of a FIFO.
pub fn read_limited(path: &str, limit: u64) -> Result<Vec<u8>, OsError> {
    use std::io::Read as _;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
    let mut bytes = Vec::new();
    std::fs::File::from(fd).take(limit.saturating_add(1)).read_to_end(&mut bytes).attempt("read", path)?;
    if bytes.len() as u64 > limit {
        return Err(OsError::new("read", path, rustix::io::Errno::FBIG));
    }
    Ok(bytes)
}

/// Modification time of a file, microseconds since the epoch; `None` when it is not there.
pub fn mtime(path: &str) -> Option<Usec> {
    let stat = rustix::fs::stat(path).ok()?;
    let seconds = u64::try_from(stat.st_mtime).ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(stat.st_mtime_nsec / 1000)
}

/// Write a file whole or not at all, with the directories above it.
pub fn write_file(path: &str, bytes: &[u8], mode: u32) -> Result<(), OsError> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some((parent, _)) = path.rsplit_once('/') {
        std::fs::create_dir_all(parent).attempt("make directory", parent)?;
    }
    let temporary = format!("{path}.{}~", std::process::id());
    std::fs::write(&temporary, bytes).attempt("write", path)?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(mode)).attempt("chmod", path)?;
    std::fs::rename(&temporary, path).attempt("rename", path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::io::Read;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn stamps_and_memory_files() {
        let scratch = Scratch::new("files");
        let path = scratch.join("dir/stamp");
        touch(&path, 1_234_567_890_123_456).expect("touch");
        let time = std::fs::metadata(&path).expect("made").modified().expect("known");
        assert_eq!(time, UNIX_EPOCH + Duration::from_micros(1_234_567_890_123_456));
        remove_file(&path);
        assert!(!std::fs::exists(&path).expect("stat"));
        let file = memory_file("x", b"hello").expect("memfd");
        assert!(rustix::io::write(&file, b"x").is_err());
        let mut text = String::new();
        std::fs::File::from(file).read_to_string(&mut text).expect("read");
        assert_eq!(text, "hello");
    }
}
