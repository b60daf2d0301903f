//! What must be mounted before anything else can be done, and is, where nobody did it yet.
use crate::error::OsError;
use rustix::fs::{AtFlags, CWD, Mode, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use std::ffi::CString;

/// One of the early mounts.
#[derive(Debug, Clone, Copy)]
pub struct EarlyMount {
    /// Where.
    pub target: &'static str,
    /// File system type, which is the source's name, too.
    pub fstype: &'static str,
    flags: MountFlags,
    options: &'static str,
    /// Without it the manager cannot work.
    pub fatal: bool,
    /// Made in containers, too.
    in_container: bool,
}

const NO_SUID_DEV_EXEC: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const STRICT: MountFlags = MountFlags::NOSUID.union(MountFlags::STRICTATIME);

const fn api(
    target: &'static str,
    fstype: &'static str,
    flags: MountFlags,
    options: &'static str,
) -> EarlyMount {
    EarlyMount { target, fstype, flags, options, fatal: false, in_container: false }
}

impl EarlyMount {
    const fn fatal(mut self) -> EarlyMount {
        self.fatal = true;
        self
    }

    const fn everywhere(mut self) -> EarlyMount {
        self.in_container = true;
        self
    }
}

/// In the order in which they are made: parents first.
const TABLE: [EarlyMount; 11] = [
    api("/proc", "proc", NO_SUID_DEV_EXEC, "").fatal().everywhere(),
    api("/sys", "sysfs", NO_SUID_DEV_EXEC, "").fatal().everywhere(),
    api("/dev", "devtmpfs", STRICT, "mode=0755,size=4m,nr_inodes=64k").fatal().everywhere(),
    api("/sys/kernel/security", "securityfs", NO_SUID_DEV_EXEC, ""),
    api("/dev/shm", "tmpfs", STRICT.union(MountFlags::NODEV), "mode=01777").fatal().everywhere(),
    api("/dev/pts", "devpts", MountFlags::NOSUID.union(MountFlags::NOEXEC), "mode=0620,gid=5,ptmxmode=0666")
        .everywhere(),
    api("/run", "tmpfs", STRICT.union(MountFlags::NODEV), "mode=0755,size=20%,nr_inodes=800k")
        .fatal()
        .everywhere(),
    api("/sys/fs/cgroup", "cgroup2", NO_SUID_DEV_EXEC, "nsdelegate,memory_recursiveprot").everywhere(),
    api("/sys/fs/pstore", "pstore", NO_SUID_DEV_EXEC, ""),
    api("/sys/firmware/efi/efivars", "efivarfs", NO_SUID_DEV_EXEC, ""),
    api("/sys/fs/bpf", "bpf", NO_SUID_DEV_EXEC, "mode=0700"),
];

/// Whether something is mounted exactly there.
pub fn is_mount_point(path: &str) -> Result<bool, Errno> {
    let stat =
        rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE)?;
    if stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    let parent = rustix::fs::stat(format!("{path}/.."))?;
    let own = rustix::fs::lstat(path)?;
    Ok(own.st_dev != parent.st_dev || own.st_ino == parent.st_ino)
}

/// Mount what is missing. Outside containers the root is made shared, as programs that make mount namespaces expect.
/// The first error is that of a mount the manager cannot work without; those of the others are listed.
pub fn early_mounts(in_container: bool) -> Result<Vec<OsError>, OsError> {
    let mut missing = Vec::new();
    for mount in TABLE.iter().filter(|mount| mount.in_container || !in_container) {
        match make(mount) {
            Ok(()) => {}
            Err(errno) if mount.fatal => return Err(OsError::new("mount", mount.target, errno)),
            Err(errno) => missing.push(OsError::new("mount", mount.target, errno)),
        }
    }
    if !in_container {
        let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
        if let Err(errno) = rustix::mount::mount_change("/", shared) {
            missing.push(OsError::new("share", "/", errno));
        }
    }
    device_links();
    Ok(missing)
}

fn make(mount: &EarlyMount) -> Result<(), Errno> {
    match is_mount_point(mount.target) {
        Ok(true) => return Ok(()),
        // A directory that belongs to a part of the kernel which is not there.
        Err(Errno::NOENT) if mount.target.starts_with("/sys/") => return Ok(()),
        Ok(false) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    // A plain directory with the nodes in it does for /dev where devtmpfs cannot be had.
    match rustix::fs::mkdir(mount.target, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
        Err(errno) => return Err(errno),
    }
    // Options that this kernel does not know are left away one after the other, from the end.
    let mut options = mount.options;
    loop {
        let data = CString::new(options).map_err(|_| Errno::INVAL)?;
        match rustix::mount::mount(mount.fstype, mount.target, mount.fstype, mount.flags, data.as_c_str()) {
            Err(Errno::INVAL) if !options.is_empty() => {
                options = options.rsplit_once(',').map_or("", |(rest, _)| rest);
            }
            // Not configured into the kernel.
            Err(Errno::NODEV) if !mount.fatal => return Ok(()),
            Err(Errno::PERM | Errno::NODEV)
                if mount.target == "/dev" && std::fs::exists("/dev/null").unwrap_or(false) =>
            {
                return Ok(());
            }
            other => return other,
        }
    }
}

/// Links that every program takes for granted in `/dev`.
fn device_links() {
    let links = [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
        ("/proc/kcore", "/dev/core"),
    ];
    for (target, link) in links {
        if link != "/dev/core" || std::fs::exists(target).unwrap_or(false) {
            // There already, or a read-only /dev: both are somebody's decision.
            let _ = rustix::fs::symlink(target, link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::tests::in_namespace;

    #[test]
    fn only_what_is_missing_is_mounted() {
        in_namespace(|| {
            // Hide what is there under an empty root of our own.
            let scratch = std::env::temp_dir().join(format!("runstead-early-{}", std::process::id()));
            std::fs::create_dir_all(&scratch).expect("mkdir");
            rustix::mount::mount("tmpfs", &scratch, "tmpfs", MountFlags::empty(), None).expect("mount");
            crate::sys::process::chroot_thread(scratch.to_str().expect("ascii")).expect("chroot");
            // The machine's devtmpfs is one for all: links made there would stay.
            std::fs::create_dir("/dev").expect("mkdir");
            rustix::mount::mount("tmpfs", "/dev", "tmpfs", MountFlags::empty(), None).expect("mount");
            let missing = early_mounts(true).expect("the fatal ones can be made");
            for path in ["/proc", "/sys", "/dev", "/dev/shm", "/dev/pts", "/run"] {
                assert!(is_mount_point(path).expect(path), "{path}");
            }
            assert!(std::fs::read_link("/dev/fd").is_ok());
            assert!(missing.iter().all(|error| error.on == "/sys/fs/cgroup"), "{missing:?}");
            let before = std::fs::read("/proc/thread-self/mountinfo").expect("mounted");
            early_mounts(true).expect("again");
            assert_eq!(std::fs::read("/proc/thread-self/mountinfo").expect("mounted"), before);
        });
        let scratch = std::env::temp_dir().join(format!("runstead-early-{}", std::process::id()));
        std::fs::remove_dir(scratch).expect("the mount went with its namespace");
    }
}
