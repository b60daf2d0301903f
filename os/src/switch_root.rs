//! From an initramfs to the system (bootup(7), `systemctl switch-root`): the new root takes the old one's place for PID 1, which
//! executes its init.
use crate::error::{Attempt, OsError};
use crate::mount::is_mount_point;
use crate::process;
use crate::rundir::empty_tree;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Access, CWD, FileType, Mode, OFlags, ResolveFlags, StatFs};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// What every initrd has (os-release(5)).
const RELEASE: &str = "/etc/initrd-release";
/// Where the system is mounted when nobody says otherwise.
pub const SYSROOT: &str = "/sysroot";
/// Mounts that go along.
const KEPT: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];
/// What is tried when no init is named; a shell is better than nothing.
const INITS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];
/// Magic numbers of statfs(2): what the kernel unpacks an initramfs into.
const RAM_FILE_SYSTEMS: [u64; 2] = [0x8584_58f6, 0x0102_1994];

/// Whether the tree says that it is an initrd.
pub fn is_initrd() -> bool {
    Path::new(RELEASE).exists()
}

/// Whether this is an initramfs.
pub fn in_initrd() -> bool {
    is_initrd()
        || (process::in_first_pid_namespace() && rustix::fs::statfs("/").is_ok_and(|root| is_memory(&root)))
}

fn is_memory(system: &StatFs) -> bool {
    u64::try_from(system.f_type).is_ok_and(|kind| RAM_FILE_SYSTEMS.contains(&kind))
}

/// A root that can be switched to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    root: String,
    init: String,
}

/// Look at a new root ("" for [`SYSROOT`]) and its init ("" for the usual ones).
///
/// # Errors
/// What is wrong, with the path.
pub fn check(root: &str, init: &str) -> Result<Next, String> {
    let root = if root.is_empty() { SYSROOT } else { root.trim_end_matches('/') };
    if root.is_empty() {
        return Err("The new root is the old one".to_owned());
    }
    if !root.starts_with('/') {
        return Err(format!("The new root '{root}' is no absolute path"));
    }
    if !init.is_empty() && !init.starts_with('/') {
        return Err(format!("The init '{init}' is no absolute path"));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tree = rustix::fs::openat(CWD, root, flags, Mode::empty())
        .map_err(|errno| format!("The new root '{root}' cannot be opened: {errno}"))?;
    let candidates: &[&str] = if init.is_empty() { &INITS } else { &[init] };
    let found = candidates.iter().find(|path| is_executable(&tree, path));
    match found {
        Some(init) => Ok(Next { root: root.to_owned(), init: (*init).to_owned() }),
        None => {
            Err(format!("The new root '{root}' has no init that can be executed: {}", candidates.join(", ")))
        }
    }
}

/// As it will be when the tree is the root: links lead within it.
fn is_executable(tree: &OwnedFd, path: &str) -> bool {
    let open =
        rustix::fs::openat2(tree, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT);
    open.is_ok_and(|file| {
        let kind = rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let own = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&file));
        kind == Ok(FileType::RegularFile) && rustix::fs::access(own, Access::EXEC_OK).is_ok()
    })
}

/// Go there and execute its init. It comes back only when the root could not be changed; then it is as it was.
pub fn switch(next: &Next) -> OsError {
    let mut moved = Vec::new();
    match enter(&next.root, &mut moved) {
        Ok(()) => execute(&next.init),
        Err(error) => {
            for (from, to) in moved.iter().rev() {
                let _ = rustix::mount::mount_move(to, *from);
            }
            let _ = propagate(MountPropagationFlags::SHARED);
            error
        }
    }
}

/// Make `root` the root: its mounts come along, the old one's files go if they are in memory.
fn enter(root: &str, moved: &mut Vec<(&'static str, String)>) -> Result<(), OsError> {
    // A place that is no mount cannot be moved.
    if is_mount_point(root) != Ok(true) {
        rustix::mount::mount_bind_recursive(root, root).attempt("bind", root)?;
    }
    // What is shared cannot be moved.
    let _ = propagate(MountPropagationFlags::PRIVATE);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = rustix::fs::open("/", flags, Mode::empty()).attempt("open", "/")?;
    for kept in KEPT {
        let to = format!("{root}{kept}");
        if carry(kept, &to) {
            moved.push((kept, to));
        }
    }
    rustix::process::chdir(root).attempt("go to", root)?;
    if let Err(errno) = rustix::mount::mount_move(root, "/") {
        let _ = rustix::process::chdir("/");
        return Err(OsError::new("move to the root", root, errno));
    }
    rustix::process::chroot(".").attempt("change the root to", root)?;
    rustix::process::chdir("/").attempt("go to", "/")?;
    discard(&old);
    Ok(())
}

fn propagate(how: MountPropagationFlags) -> Result<(), Errno> {
    rustix::mount::mount_change("/", how | MountPropagationFlags::REC)
}

/// Move a mount; whether it went. Where the new root has one of its own, or nowhere to put it, it makes one when it starts.
fn carry(from: &str, to: &str) -> bool {
    if is_mount_point(from) != Ok(true) {
        return false;
    }
    let _ = rustix::fs::mkdir(to, Mode::from_raw_mode(0o755));
    is_mount_point(to) == Ok(false) && rustix::mount::mount_move(from, to).is_ok()
}

/// Remove the files of a root in memory: nobody can reach them any more.
fn discard(old: &OwnedFd) {
    if rustix::fs::fstatfs(old).is_ok_and(|system| is_memory(&system)) {
        // What is mounted there stays, and the rest is no more than memory.
        let _ = empty_tree(old.as_fd());
    }
}

/// The next init begins as the kernel would start it: nothing of ours stays open, and it is preferred no more than others. Where none
/// can be executed there is no way back: what runs goes on, and nothing new starts.
fn execute(init: &str) -> ! {
    process::prefer_nobody();
    crate::signals::give_back();
    let _ = crate::sys::process::close_on_execution();
    for candidate in [init].iter().chain(&INITS) {
        let mut command = Command::new(candidate);
        command.args(crate::crash::first_arguments().skip(1));
        let error = command.exec();
        eprintln!("runstead: cannot execute {candidate} of the new root: {error}");
    }
    crate::shutdown::stay()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_root_needs_an_init_of_its_own() {
        let scratch = Scratch::new("switch-root");
        let root = scratch.path();
        assert!(check("/", "").unwrap_err().contains("old one"));
        assert!(check("sysroot", "").unwrap_err().contains("no absolute path"));
        assert!(check(&format!("{root}/none"), "").unwrap_err().contains("cannot be opened"));
        assert!(check(root, "").unwrap_err().contains("/sbin/init"));
        std::fs::create_dir_all(scratch.join("sbin")).expect("mkdir");
        std::fs::create_dir_all(scratch.join("usr/lib")).expect("mkdir");
        // An absolute link that leads to nothing in the old root.
        symlink("/usr/lib/runstead-of-the-test", scratch.join("sbin/init")).expect("link");
        assert!(check(root, "").is_err());
        let program = scratch.join("usr/lib/runstead-of-the-test");
        std::fs::write(&program, "").expect("write");
        assert!(check(root, "").is_err(), "it cannot be executed");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let next = check(&format!("{root}/"), "").expect("an init");
        assert_eq!(next, Next { root: root.to_owned(), init: "/sbin/init".to_owned() });
        assert!(check(root, "init").unwrap_err().contains("no absolute path"));
        assert!(check(root, "/usr/lib/runstead-of-the-test").is_ok());
    }
}
