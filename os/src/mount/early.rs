//! What must be mounted before anything else can be done, and is, where nobody did it yet.
use super::favor::favor_moves;
use super::run::make_run;
use crate::error::OsError;
use rustix::fs::{AtFlags, CWD, FileType, Mode, StatxAttributes, StatxFlags};
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

    /// That of `/run`.
    #[cfg(test)]
    pub(super) fn run() -> EarlyMount {
        *TABLE.iter().find(|mount| mount.target == "/run").expect("it is there")
    }
}

/// Where control groups are.
pub(super) const CGROUP: &str = "/sys/fs/cgroup";

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
    api(CGROUP, "cgroup2", NO_SUID_DEV_EXEC, "nsdelegate,memory_recursiveprot").everywhere(),
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

/// `/proc`, before anything else is done: the first process of an initramfs starts without it, and there are kernels (before 6.4)
/// on which the vector with the page size and the like is read from there. What fails here fails in [`early_mounts`] again.
pub fn proc_first() {
    if !std::fs::exists("/proc/self").unwrap_or(false) {
        let _ = make(&TABLE[0]);
    }
}

/// Mount what is missing. Outside containers the root is made shared, as programs that make mount namespaces expect.
/// The first error is that of a mount the manager cannot work without; those of the others are listed.
pub fn early_mounts(in_container: bool) -> Result<Vec<OsError>, OsError> {
    let mut missing = Vec::new();
    for mount in TABLE.iter().filter(|mount| mount.in_container || !in_container) {
        let made = match mount.target {
            // Devices of the machine are no container's.
            "/dev" if in_container => make_own_devices(in_container),
            "/run" => make_run(mount, in_container),
            "/dev" => make(mount).or_else(|errno| match errno {
                Errno::NODEV => make_own_devices(in_container),
                errno => Err(errno),
            }),
            _ => make(mount),
        };
        match made {
            Ok(()) => {}
            Err(errno) if mount.fatal => return Err(OsError::new("mount", mount.target, errno)),
            Err(errno) => missing.push(OsError::new("mount", mount.target, errno)),
        }
    }
    if !in_container {
        if let Err(errno) = favor_moves() {
            missing.push(OsError::new("set options of", CGROUP, errno));
        }
        let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
        if let Err(errno) = rustix::mount::mount_change("/", shared) {
            missing.push(OsError::new("share", "/", errno));
        }
    }
    device_links();
    Ok(missing)
}

/// Nodes that every program takes for granted: name, device number, mode.
const NODES: [(&str, (u32, u32), u32); 6] = [
    ("null", (1, 3), 0o666),
    ("zero", (1, 5), 0o666),
    ("full", (1, 7), 0o666),
    ("random", (1, 8), 0o666),
    ("urandom", (1, 9), 0o666),
    ("tty", (5, 0), 0o666),
];

/// A `/dev` of our own: where nobody made one and the kernel's is not to be had. A container has no console but the terminal
/// that it was started on, which has no name in its tree.
fn make_own_devices(in_container: bool) -> Result<(), Errno> {
    // A directory with nodes in it does, mounted or not.
    if std::fs::exists("/dev/null").unwrap_or(false) || is_mount_point("/dev") == Ok(true) {
        return Ok(());
    }
    make(&EarlyMount {
        target: "/dev",
        fstype: "tmpfs",
        flags: STRICT,
        options: "mode=0755,size=4m",
        ..TABLE[2]
    })?;
    let node = |name: &str, (major, minor): (u32, u32), mode: u32| {
        let path = format!("/dev/{name}");
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(mode), device)?;
        // Whatever the umask.
        rustix::fs::chmod(&path, Mode::from_raw_mode(mode))
    };
    for (name, device, mode) in NODES {
        node(name, device, mode)?;
    }
    if !in_container {
        return node("console", (5, 1), 0o600);
    }
    if rustix::termios::isatty(std::io::stdin()) {
        rustix::fs::symlink("/proc/1/fd/0", "/dev/console")?;
    }
    rustix::fs::symlink("pts/ptmx", "/dev/ptmx")
}

pub(super) fn make(mount: &EarlyMount) -> Result<(), Errno> {
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
pub(crate) mod tests {
    use super::*;
    use crate::mount::tests::in_namespace;

    /// Run in a thread with a mount namespace of its own whose root is an empty tmpfs with a `/proc`; needs root.
    pub(crate) fn in_empty_root(name: &str, test: impl FnOnce() + Send + 'static) {
        let scratch = std::env::temp_dir().join(format!("runstead-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).expect("mkdir");
        let place = scratch.clone();
        in_namespace(move || {
            rustix::mount::mount("tmpfs", &place, "tmpfs", MountFlags::empty(), None).expect("mount");
            crate::sys::process::chroot_thread(place.to_str().expect("ascii")).expect("chroot");
            std::fs::create_dir("/proc").expect("mkdir");
            rustix::mount::mount("proc", "/proc", "proc", MountFlags::empty(), None).expect("mount");
            test();
        });
        std::fs::remove_dir(scratch).expect("the mount went with its namespace");
    }

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
