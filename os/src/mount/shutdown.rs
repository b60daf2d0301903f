//! The last umount: everything off, what cannot go read-only.
//!
//! These calls may hang on a dead server. They are for a child of the last stage, which can be killed or left behind.
use super::table::{KernelTable, MountLine, parse_mounts};
use crate::error::OsError;
use crate::sys;
use runstead_core::names::path::is_within;
use rustix::mount::{MountFlags, UnmountFlags};

/// Mounts that belong to the kernel or hold the manager itself: they go with the machine.
const KEEP: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// What could not be unmounted.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// Where.
    pub target: String,
    /// Why not.
    pub error: OsError,
    /// It is read-only now, so that it is consistent.
    pub read_only: bool,
}

/// Unmount everything, children before parents, until nothing changes any more, then remount the rest read-only.
/// The root is only remounted. What is left is returned: empty, or the root alone, is a clean end.
pub fn unmount_all() -> Result<Vec<Leftover>, OsError> {
    for _ in 0..64 {
        let before = candidates()?;
        let mut progress = false;
        for mount in before.iter().filter(|mount| mount.target != "/") {
            progress |= rustix::mount::unmount(&mount.target, UnmountFlags::NOFOLLOW).is_ok();
        }
        if !progress {
            break;
        }
    }
    rustix::fs::sync();
    Ok(candidates()?.iter().filter_map(make_read_only).collect())
}

fn make_read_only(mount: &MountLine) -> Option<Leftover> {
    let error = match rustix::mount::unmount(&mount.target, UnmountFlags::NOFOLLOW) {
        _ if mount.target == "/" => OsError::new("unmount", "/", rustix::io::Errno::BUSY),
        Ok(()) => return None,
        Err(errno) => OsError::new("unmount", mount.target.as_str(), errno),
    };
    let read_only =
        mount.read_only || rustix::mount::mount_remount(&mount.target, MountFlags::RDONLY, "").is_ok();
    Some(Leftover { target: mount.target.clone(), error, read_only })
}

/// What is to be unmounted, the last mounted first: whatever stands on something was mounted after it.
fn candidates() -> Result<Vec<MountLine>, OsError> {
    let lines = parse_mounts(&KernelTable::mounts()?.read()?);
    let keep = |line: &MountLine| KEEP.iter().any(|keep| is_within(&line.target, keep));
    Ok(lines.into_iter().filter(|line| !keep(line)).rev().collect())
}

/// Take all swap areas out of use; errors are of those that stay.
pub fn swap_off_all() -> Vec<OsError> {
    let table = KernelTable::swaps().and_then(|table| table.read()).unwrap_or_default();
    let text = String::from_utf8_lossy(&table).into_owned();
    let mut errors = Vec::new();
    for line in text.lines().skip(1) {
        let Some(device) = line.split([' ', '\t']).next().filter(|device| device.starts_with('/')) else {
            continue;
        };
        if let Err(errno) = sys::mount::swap_off(device) {
            errors.push(OsError::new("swapoff", device, errno));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::tests::in_namespace;

    #[test]
    fn mounts_on_mounts_go_and_busy_ones_become_read_only() {
        let home = std::env::temp_dir().join(format!("runstead-umount-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("mkdir");
        let path = home.to_str().expect("ascii").to_owned();
        in_namespace(move || {
            let tmpfs = |target: &str| {
                rustix::mount::mount("tmpfs", target, "tmpfs", MountFlags::empty(), None).expect("mount");
            };
            tmpfs(&path);
            // In here the scratch is the root, so that nothing of the machine is tried.
            crate::sys::process::chroot_thread(&path).expect("chroot");
            for directory in ["/proc", "/a", "/busy"] {
                std::fs::create_dir(directory).expect("mkdir");
            }
            rustix::mount::mount("proc", "/proc", "proc", MountFlags::empty(), None).expect("mount");
            tmpfs("/a");
            std::fs::create_dir("/a/b").expect("mkdir");
            tmpfs("/a/b");
            tmpfs("/a/b");
            tmpfs("/busy");
            let held = std::fs::File::create("/busy/file").expect("create");
            drop(held);
            let held = std::fs::File::open("/busy/file").expect("open");
            let left = unmount_all().expect("table");
            let targets: Vec<&str> = left.iter().map(|left| left.target.as_str()).collect();
            assert_eq!(targets, ["/busy", "/"], "{left:?}");
            assert!(left.iter().all(|left| left.read_only), "{left:?}");
            assert!(std::fs::File::create("/busy/other").is_err());
            drop(held);
        });
        std::fs::remove_dir(home).expect("the mounts went with their namespace");
    }
}
