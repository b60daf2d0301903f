//! A throw-away machine for `runstead boot`: namespaces, a root, and PID 1 in it.
//!
//! Three processes: the caller (shows what happens), the *keeper* (enters the namespaces and waits for PID 1), and
//! PID 1 itself (finishes the mounts from inside, then executes the manager). The keeper and PID 1 are this binary,
//! executed again with an internal verb, so that no code runs between fork and exec.
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// What a container failed at.
#[derive(Debug)]
pub struct ContainerError {
    /// What was attempted, on what.
    pub attempt: String,
    /// Why it failed.
    pub cause: io::Error,
}

impl std::fmt::Display for ContainerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {}: {}", self.attempt, self.cause)
    }
}

impl std::error::Error for ContainerError {}

type Result<T> = std::result::Result<T, ContainerError>;

fn attempt<T, E: Into<io::Error>>(what: impl Into<String>, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|cause| ContainerError { attempt: what.into(), cause: cause.into() })
}

/// Where the container's file tree comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// This machine's own `/usr` and `/etc`, read-only, with fresh `/run`, `/tmp`, `/var`, `/dev`.
    Host,
    /// A directory with a distribution in it; changes go to an overlay that is thrown away.
    Directory(PathBuf),
}

/// The cgroup of one container, below ours; removed on drop with whatever is left in it.
#[derive(Debug)]
pub struct ContainerCgroup {
    path: PathBuf,
}

impl ContainerCgroup {
    /// Make it. `None` where this process may not make cgroups: the container then runs without.
    pub fn create(name: &str) -> Option<ContainerCgroup> {
        let root = cgroup2_mount()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/').to_owned();
        let path = root.join(own).join(name);
        fs::create_dir(&path).ok()?;
        Some(ContainerCgroup { path })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Kill everything in it.
    pub fn kill(&self) {
        // Absent before Linux 5.14; the PID namespace's end kills the processes then.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    fn remove(path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                ContainerCgroup::remove(&entry.path())?;
            }
        }
        fs::remove_dir(path)
    }
}

impl Drop for ContainerCgroup {
    fn drop(&mut self) {
        self.kill();
        // Killed processes leave the cgroup a moment later.
        for _ in 0..200 {
            if ContainerCgroup::remove(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Where cgroup2 is mounted.
pub fn cgroup2_mount() -> Option<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    table.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup2 ").then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// What the machine sees of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupTree {
    /// Its own, to make more in.
    Own,
    /// Only that there are some, for programs that do not start otherwise.
    Shown,
    /// None.
    Absent,
}

/// How users of a new user namespace are made.
#[derive(Debug, Clone, Copy)]
pub enum Mapping {
    /// The caller becomes root in it, and there is nobody else.
    One,
    /// Somebody else does it from outside, when told.
    Outside(fn() -> io::Result<()>),
}

/// The keeper's first act: join the cgroup (if any) and leave this machine's namespaces; with `users` that of its users, too.
/// The next child of this process is PID 1 of the new PID namespace.
pub fn enter_namespaces(cgroup: Option<&Path>, users: Option<Mapping>) -> Result<()> {
    if let Some(cgroup) = cgroup {
        attempt(
            format!("join the cgroup {}", cgroup.display()),
            fs::write(cgroup.join("cgroup.procs"), "0"),
        )?;
    }
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWNET;
    if cgroup.is_some() {
        flags |= UnshareFlags::NEWCGROUP;
    }
    let (uid, gid) = crate::process::own_ids();
    let mut kinds = "mount, PID, IPC, UTS, network, cgroup";
    if users.is_some() {
        flags |= UnshareFlags::NEWUSER | UnshareFlags::NEWCGROUP;
        kinds = "user, mount, PID, IPC, UTS, network, cgroup";
    }
    attempt(format!("make namespaces ({kinds})"), crate::sys::namespaces::unshare(flags))?;
    let mapped = match users {
        None => Ok(()),
        Some(Mapping::One) => crate::sys::namespaces::map_root_to(uid, gid),
        Some(Mapping::Outside(ask)) => ask(),
    };
    attempt("become root in a user namespace", mapped)?;
    attempt(
        "make the mounts private",
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC),
    )
}

/// What PID 1 does before it becomes the manager: build the file tree at `base` (an empty directory) and pivot into it.
pub fn build_root(root: &Root, base: &Path, cgroups: CgroupTree, binds: &[(PathBuf, PathBuf)]) -> Result<()> {
    let top = base.join("root");
    mount_at("tmpfs", base, "tmpfs", MountFlags::NOSUID, "mode=0755")?;
    make_dir(&top)?;
    match root {
        Root::Host => host_tree(&top)?,
        Root::Directory(lower) => overlay_tree(lower, base, &top)?,
    }
    kernel_mounts(&top, cgroups)?;
    device_nodes(&top)?;
    for (from, to) in binds {
        bind(from, &top.join(to.strip_prefix("/").unwrap_or(to)))?;
    }
    pivot(&top)?;
    loopback_up();
    Ok(())
}

/// This machine's programs and configuration, read-only, around writable places that are empty.
fn host_tree(top: &Path) -> Result<()> {
    attempt("bind a directory on itself", mount_bind(top, top))?;
    for entry in attempt("list /", fs::read_dir("/"))?.flatten() {
        let (name, kind) = (entry.file_name(), entry.file_type());
        let target = top.join(&name);
        match (name.to_str(), kind) {
            (Some("proc" | "sys" | "dev" | "run" | "tmp" | "var"), _) => make_dir(&target)?,
            (_, Ok(kind)) if kind.is_symlink() => {
                let to = attempt("read a link of /", fs::read_link(entry.path()))?;
                attempt(format!("link {}", target.display()), symlink(to, &target))?;
            }
            (Some("usr" | "etc" | "bin" | "sbin" | "lib" | "lib64" | "lib32" | "opt"), Ok(kind))
                if kind.is_dir() =>
            {
                make_dir(&target)?;
                attempt(
                    format!("bind {}", entry.path().display()),
                    mount_bind_recursive(entry.path(), &target),
                )?;
                remount_read_only(&target)?;
            }
            _ => {}
        }
    }
    for dir in ["run", "tmp", "var", "root"] {
        make_dir(&top.join(dir))?;
    }
    attempt(
        "set the mode of /tmp",
        fs::set_permissions(top.join("tmp"), fs::Permissions::from_mode(0o1777)),
    )?;
    for dir in ["lib", "log", "cache", "tmp"] {
        make_dir(&top.join("var").join(dir))?;
    }
    attempt("link /var/run", symlink("../run", top.join("var/run")))
}

/// A distribution's root below an overlay.
fn overlay_tree(lower: &Path, base: &Path, top: &Path) -> Result<()> {
    let (upper, work) = (base.join("upper"), base.join("work"));
    make_dir(&upper)?;
    make_dir(&work)?;
    let lower = attempt(format!("find {}", lower.display()), lower.canonicalize())?;
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    mount_at("overlay", top, "overlay", MountFlags::empty(), &options)
}

fn kernel_mounts(top: &Path, cgroups: CgroupTree) -> Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_at("proc", &top.join("proc"), "proc", safe, "")?;
    for part in ["proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus"] {
        read_only(&top.join(part))?;
    }
    let sys = top.join("sys");
    // A new sysfs needs a network namespace of ours; where it is refused the machine's is shown read-only.
    if mount_at("sysfs", &sys, "sysfs", safe | MountFlags::RDONLY, "").is_err() {
        attempt("bind /sys", mount_bind_recursive("/sys", &sys))?;
    }
    let tree = sys.join("fs/cgroup");
    match cgroups {
        CgroupTree::Own => mount_at("cgroup2", &tree, "cgroup2", safe, "")?,
        // Some programs then do not start.
        CgroupTree::Shown => drop(mount_at("cgroup2", &tree, "cgroup2", safe | MountFlags::RDONLY, "")),
        CgroupTree::Absent => {}
    }
    mount_at("tmpfs", &top.join("run"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=0755")?;
    mount_at("tmpfs", &top.join("dev"), "tmpfs", MountFlags::NOSUID, "mode=0755")
}

fn read_only(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    attempt(format!("bind {}", path.display()), mount_bind(path, path))?;
    remount_read_only(path)
}

/// Other flags stay as they are: in a user namespace none that the machine set may be taken off.
fn remount_read_only(path: &Path) -> Result<()> {
    const KEPT: [(StatVfsMountFlags, MountFlags); 6] = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let own = attempt(format!("look at {}", path.display()), rustix::fs::statvfs(path))?.f_flag;
    let kept = KEPT.into_iter().filter(|(flag, _)| own.contains(*flag)).map(|(_, flag)| flag);
    let flags = kept.fold(MountFlags::BIND | MountFlags::RDONLY, MountFlags::union);
    attempt(format!("make {} read-only", path.display()), mount_remount(path, flags, ""))
}

fn device_nodes(top: &Path) -> Result<()> {
    let dev = top.join("dev");
    for node in ["null", "zero", "full", "random", "urandom", "tty"] {
        let from = Path::new("/dev").join(node);
        if from.exists() {
            bind(&from, &dev.join(node))?;
        }
    }
    for dir in ["pts", "shm", "mqueue"] {
        make_dir(&dev.join(dir))?;
    }
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    let terminals = |more: &str| {
        let options = format!("newinstance,ptmxmode=0666,mode=620{more}");
        mount_at("devpts", &dev.join("pts"), "devpts", quiet, &options)
    };
    // A user namespace need not have the group of terminals.
    terminals(",gid=5").or_else(|_| terminals(""))?;
    mount_at("tmpfs", &dev.join("shm"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777")?;
    let links = [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ];
    for (name, target) in links {
        attempt(format!("link /dev/{name}"), symlink(target, dev.join(name)))?;
    }
    // The console is whatever terminal or pipe we write to.
    if let Ok(console) = fs::read_link("/proc/self/fd/1")
        && console.starts_with("/dev/")
        && console != Path::new("/dev/null")
    {
        bind(&console, &dev.join("console"))?;
    }
    Ok(())
}

fn pivot(top: &Path) -> Result<()> {
    let old = top.join("run/.old-root");
    make_dir(&old)?;
    attempt("pivot into the new root", rustix::process::pivot_root(top, &old))?;
    attempt("enter the new root", std::env::set_current_dir("/"))?;
    attempt("detach the old root", unmount("/run/.old-root", UnmountFlags::DETACH))?;
    // Left by the name only; nothing is in it.
    let _ = fs::remove_dir("/run/.old-root");
    Ok(())
}

/// Give up capabilities that reach beyond a user namespace and are refused in it: units ask whether they are there.
pub fn give_up_the_machine() {
    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
    let beyond = [
        CapabilitySet::SYS_RAWIO,
        CapabilitySet::SYS_MODULE,
        CapabilitySet::SYS_TIME,
        CapabilitySet::SYSLOG,
        CapabilitySet::AUDIT_READ,
        CapabilitySet::AUDIT_CONTROL,
        CapabilitySet::WAKE_ALARM,
    ];
    for capability in beyond {
        // Whoever keeps one is refused later.
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Bring `lo` up; a container without network interfaces (no permission) is not an error.
fn loopback_up() {
    let _ = crate::sys::namespaces::loopback_up();
}

fn mount_at(source: &str, target: &Path, fstype: &str, flags: MountFlags, data: &str) -> Result<()> {
    let data = CString::new(data).unwrap_or_default();
    attempt(
        format!("mount {fstype} on {}", target.display()),
        mount(source, target, fstype, flags, data.as_c_str()),
    )
}

fn make_dir(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    attempt(format!("make the directory {}", path.display()), made)
}

/// Bind a file or directory, making the place for it.
fn bind(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        make_dir(to)?;
    } else {
        if let Some(parent) = to.parent() {
            make_dir(parent)?;
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        attempt(format!("make {}", to.display()), rustix::fs::open(to, flags, Mode::from_raw_mode(0o644)))?;
    }
    attempt(format!("bind {} on {}", from.display(), to.display()), mount_bind(from, to))
}
