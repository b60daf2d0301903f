//! What stands under `RUNROOT` before the first service, as the reference leaves it.
use super::RunDir;
use crate::error::{Attempt, OsError};
use rustix::fs::{FileType, Mode, makedev, mknodat};
use rustix::io::Errno;

/// Directories and their modes, parents first.
const DIRECTORIES: [(&str, u32); 11] = [
    ("credentials", 0o755),
    ("systemd", 0o755),
    ("systemd/ask-password", 0o755),
    ("systemd/generator", 0o755),
    ("systemd/inaccessible", 0o755),
    ("systemd/mount-rootfs", 0o555),
    ("systemd/propagate", 0o755),
    ("systemd/propagate/.os-release-stage", 0o755),
    ("systemd/system", 0o755),
    ("systemd/units", 0o755),
    ("systemd/userdb", 0o755),
];

/// Directories of a user's manager.
const USER_DIRECTORIES: [(&str, u32); 6] = [
    ("systemd", 0o755),
    ("systemd/generator", 0o755),
    ("systemd/inaccessible", 0o755),
    ("systemd/propagate", 0o755),
    ("systemd/propagate/.os-release-stage", 0o755),
    ("systemd/units", 0o755),
];

/// Make the base of a user's run-time tree (`$XDG_RUNTIME_DIR`). What cannot be made is returned, with the reason.
pub fn user_layout(run: &RunDir) -> Result<Vec<OsError>, OsError> {
    for (path, mode) in USER_DIRECTORIES {
        run.mkdir(path, mode, None)?;
    }
    // The kernel lets only root make a block device.
    let mut missing = inaccessible(run)?;
    missing.retain(|error| error.errno != Errno::PERM);
    stage_os_release(run)?;
    Ok(missing)
}

/// Make the base of the run-time tree. Without privileges device nodes are left out (what cannot be made is
/// returned, with the reason), as the reference does.
pub fn base_layout(run: &RunDir, container: Option<&str>) -> Result<Vec<OsError>, OsError> {
    for (path, mode) in DIRECTORIES {
        run.mkdir(path, mode, None)?;
    }
    let missing = inaccessible(run)?;
    if let Some(container) = container {
        run.write("systemd/container", format!("{container}\n").as_bytes(), 0o644)?;
    }
    // What is loaded at this time counts as read: `NeedDaemonReload` compares with this file's time.
    run.write("systemd/systemd-units-load", b"", 0o444)?;
    stage_os_release(run)?;
    Ok(missing)
}

/// What a distribution's own units and tmpfiles.d make, where there are none: directories for locks and for users.
pub fn bare_layout(run: &RunDir) -> Result<(), OsError> {
    run.mkdir("lock", 0o1777, None)?;
    run.mkdir("user", 0o755, None)
}

fn stage_os_release(run: &RunDir) -> Result<(), OsError> {
    let mut sources = ["/etc/os-release", "/usr/lib/os-release"].into_iter();
    match sources.find_map(|source| std::fs::read(source).ok()) {
        Some(text) => run.write("systemd/propagate/.os-release-stage/os-release", &text, 0o644),
        None => Ok(()),
    }
}

/// One node of each type, mode 0: what is mounted over a path that a unit must not reach.
fn inaccessible(run: &RunDir) -> Result<Vec<OsError>, OsError> {
    let parent = run.directory("systemd/inaccessible")?;
    let mut missing = Vec::new();
    let nodes = [
        ("reg", FileType::RegularFile),
        ("fifo", FileType::Fifo),
        ("sock", FileType::Socket),
        ("chr", FileType::CharacterDevice),
        ("blk", FileType::BlockDevice),
    ];
    for (name, kind) in nodes {
        match mknodat(&parent, name, kind, Mode::empty(), makedev(0, 0)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => missing.push(OsError::new("make node", format!("inaccessible/{name}"), errno)),
        }
    }
    match rustix::fs::mkdirat(&parent, "dir", Mode::empty()) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(OsError::new("make directory", "inaccessible/dir", errno)),
    }
    rustix::fs::chmodat(&parent, ".", Mode::from_raw_mode(0o555), rustix::fs::AtFlags::empty())
        .attempt("chmod", "inaccessible")?;
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_base_is_as_the_reference_leaves_it() {
        let scratch = Scratch::new("layout");
        let run = RunDir::open(scratch.path()).expect("open");
        let missing = base_layout(&run, Some("lab")).expect("made");
        base_layout(&run, Some("lab")).expect("making it twice is fine");
        let mode = |path: &str| std::fs::symlink_metadata(scratch.join(path)).expect(path).mode();
        assert_eq!(mode("systemd/inaccessible"), 0o040_555);
        assert_eq!(mode("systemd/inaccessible/dir"), 0o040_000);
        assert_eq!(mode("systemd/inaccessible/sock"), 0o140_000);
        assert_eq!(mode("systemd/mount-rootfs"), 0o040_555);
        assert_eq!(mode("systemd/systemd-units-load"), 0o100_444);
        assert_eq!(std::fs::read(scratch.join("systemd/container")).expect("there"), b"lab\n");
        if missing.is_empty() {
            assert_eq!(mode("systemd/inaccessible/blk"), 0o060_000);
        }
    }
}
