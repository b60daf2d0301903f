//! Directories and files that are made so that something can be mounted on them or put into them.
use crate::error::{Attempt, OsError};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// Set-group-id, which directories get from those that they are made in.
const INHERITED: u32 = 0o2000;

/// Make a directory of the manager's own, and its parents. One that is there is left as it is.
pub fn make_directory(path: &str, mode: u32) -> Result<(), OsError> {
    // Parents must be passable for others whatever the mode of the last one.
    make_all(path, mode, 0o755)
}

/// Make a directory as `DirectoryMode=` says, which counts for those above it, too. One that is there is left as it is.
pub fn make_directories(path: &str, mode: u32) -> Result<(), OsError> {
    make_all(path, mode, mode)
}

/// Make what a mount unit mounts on, whatever is there already: a file where `source`, that of a bind mount, is one, else a
/// directory. A source that is not there becomes a directory.
pub fn make_mount_point(path: &str, source: Option<&str>, mode: u32) -> Result<(), OsError> {
    let mut made = Ok(());
    let mut is_file = false;
    match source.map(rustix::fs::stat) {
        Some(Ok(stat)) => is_file = FileType::from_raw_mode(stat.st_mode) != FileType::Directory,
        Some(Err(Errno::NOENT)) => made = make_directories(source.unwrap_or_default(), mode),
        _ => {}
    }
    // The source may be below the mount point, or fail for a reason that mount(8) tells better.
    let point = match rustix::fs::stat(path) {
        Ok(_) => Ok(()),
        Err(_) if is_file => make_file(path),
        Err(_) => make_directories(path, mode),
    };
    made.and(point)
}

/// An empty file. The mode of directories is not for those of a file.
fn make_file(path: &str) -> Result<(), OsError> {
    if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        make_directory(parent, 0o755)?;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(OsError::new("make file", path, errno)),
    }
}

fn make_all(path: &str, mode: u32, above: u32) -> Result<(), OsError> {
    let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).filter(|&at| at > 0).collect();
    ends.push(path.len());
    for &end in &ends {
        match make_one(&path[..end], if end == path.len() { mode } else { above }) {
            Ok(()) | Err(Errno::EXIST) => {}
            // A read-only file system or a foreign directory on the way: only the end matters.
            Err(_) if end != path.len() => {}
            Err(errno) => return Err(OsError::new("make directory", path, errno)),
        }
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).attempt("open", path).map(drop)
}

/// One directory. Root's gets the whole mode; a user's umask counts in his manager.
fn make_one(path: &str, mode: u32) -> Result<(), Errno> {
    rustix::fs::mkdir(path, Mode::from_raw_mode(mode))?;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let inherited = rustix::fs::fstat(&directory)?.st_mode & INHERITED;
    rustix::fs::fchmod(&directory, Mode::from_raw_mode(inherited | mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::os::unix::fs::MetadataExt;

    fn mode(path: &str) -> u32 {
        std::fs::metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn directories_are_made_with_parents() {
        let scratch = Scratch::new("makedir");
        make_directory(&scratch.join("a/b/c"), 0o700).expect("made");
        make_directory(&scratch.join("a/b/c"), 0o755).expect("there already");
        assert_eq!((mode(&scratch.join("a/b")), mode(&scratch.join("a/b/c"))), (0o755, 0o700));
        std::fs::write(scratch.join("file"), "").expect("write");
        assert!(make_directory(&scratch.join("file"), 0o755).is_err());
        assert!(crate::mount::unmount(&scratch.join("a")).is_err());
    }

    #[test]
    fn the_mode_is_the_whole_one_and_that_of_all() {
        let scratch = Scratch::new("dirmode");
        make_directories(&scratch.join("a/b"), 0o1777).expect("made");
        let expected = if rustix::process::geteuid().is_root() { 0o1777 } else { 0o1755 };
        assert_eq!([mode(&scratch.join("a")), mode(&scratch.join("a/b"))], [expected; 2]);
    }

    #[test]
    fn mount_points_are_what_their_sources_are() {
        let scratch = Scratch::new("mountpoint");
        let make = |path: &str, source: &str| {
            let (path, source) = (scratch.join(path), scratch.join(source));
            make_mount_point(&path, Some(&source), 0o755).map(|()| std::fs::metadata(path).expect("there"))
        };
        std::fs::write(scratch.join("file"), "x").expect("write");
        let point = make("new/point", "file").expect("made");
        assert!(point.is_file() && point.len() == 0);
        assert!(make("file", "new/point").expect("there already").is_file());
        assert!(make("directory", "missing").expect("made").is_dir());
        assert!(std::fs::metadata(scratch.join("missing")).expect("the source is made, too").is_dir());
        // What does not fit is mount(8)'s to tell.
        assert!(make("file", "missing").expect("there already").is_file());
        assert!(make("missing", "file").expect("there already").is_dir());
        assert!(make("file/below", "missing").is_err());
        make_mount_point(&scratch.join("plain"), None, 0o755).expect("made");
        assert!(std::fs::metadata(scratch.join("plain")).expect("there").is_dir());
    }
}
