//! What spawns need below `RUNROOT/systemd`, made once at boot.
use crate::OsError;
use rustix::fs::{AtFlags, CWD, FileType, Mode, chmodat, mknodat};
use rustix::io::Errno;
use std::path::Path;

/// Make `inaccessible/` with a node of each kind (what `InaccessiblePaths=` shows) and `propagate/`. Device nodes that
/// may not be made are left out; plain files stand in for them.
pub fn prepare_run_tree(run_root: &Path) -> Result<(), OsError> {
    let base = run_root.join("systemd");
    for (name, mode) in [("inaccessible", 0o755), ("propagate", 0o755), ("units", 0o755)] {
        make_directory(&base.join(name), mode)?;
    }
    let nodes = base.join("inaccessible");
    make_directory(&nodes.join("dir"), 0)?;
    let kinds = [
        ("reg", FileType::RegularFile),
        ("fifo", FileType::Fifo),
        ("sock", FileType::Socket),
        ("chr", FileType::CharacterDevice),
        ("blk", FileType::BlockDevice),
    ];
    for (name, kind) in kinds {
        let path = nodes.join(name);
        match mknodat(CWD, &path, kind, Mode::empty(), 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::PERM) if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) => {}
            Err(errno) => return Err(OsError::new("make node", path.to_string_lossy(), errno)),
        }
    }
    chmodat(CWD, &nodes, Mode::from_raw_mode(0o555), AtFlags::empty())
        .map_err(|errno| OsError::new("change mode", nodes.to_string_lossy(), errno))
}

fn make_directory(path: &Path, mode: u32) -> Result<(), OsError> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(OsError::new("make directory", path.to_string_lossy(), errno)),
    }
    chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
        .map_err(|errno| OsError::new("change mode", path.to_string_lossy(), errno))
}
