//! The last stage (systemd-shutdown(8)): signal everything, wait, unmount, end.
use crate::error::OsError;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

/// Rounds of unmounting: each may uncover mounts below.
const ROUNDS: usize = 8;

/// Send `SIGTERM` to everything, wait, send `SIGKILL`, wait; processes that are left are the kernel's.
pub fn kill_all(patience: Duration) {
    // For anybody but PID 1 "everything" is somebody else's.
    if std::process::id() != 1 {
        return;
    }
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, patience)] {
        if others().is_empty() {
            return;
        }
        // The kernel spares PID 1 when it signals everybody.
        let _ = crate::sys::signal::kill(-1, signal.as_raw());
        wait_for_end(patience);
    }
}

/// Reap until nobody is left or the time is over.
fn wait_for_end(patience: Duration) {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        while let Ok(Some(ended)) = crate::children::peek() {
            let _ = crate::children::reap(ended.pid);
        }
        if others().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Processes but us and kernel threads.
fn others() -> Vec<i32> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .map(u32::cast_signed)
        .filter(|pid| crate::process::stat(*pid).is_ok_and(|stat| !stat.is_kernel_thread()))
        .collect()
}

/// Unmount everything that is not an API file system, deepest first; what could not be, is made read-only and named.
pub fn unmount_all() -> Vec<String> {
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        left.clear();
        let mut progress = false;
        for target in mounted().into_iter().rev() {
            match unmount(&target, UnmountFlags::empty()) {
                Ok(()) => progress = true,
                Err(_) => left.push(target),
            }
        }
        if !progress || left.is_empty() {
            break;
        }
    }
    for target in &left {
        // The root, and what is still in use, at least keeps its data.
        let _ = mount_remount(target, MountFlags::RDONLY, "");
    }
    let _ = mount_remount("/", MountFlags::RDONLY, "");
    left.retain(|target| target != "/");
    left
}

/// Mount points in table order, without those the kernel or a container engine keeps.
fn mounted() -> Vec<String> {
    const KEPT: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/usr"];
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let targets = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    targets
        .filter(|target| target != "/")
        .filter(|target| {
            !KEPT.iter().any(|kept| {
                target == kept || target.strip_prefix(kept).is_some_and(|rest| rest.starts_with('/'))
            })
        })
        .collect()
}

/// Octal escapes of the table (proc(5)).
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// swapoff(2) of everything in `/proc/swaps`.
pub fn swap_off_all() {
    let table = fs::read_to_string("/proc/swaps").unwrap_or_default();
    for path in table.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
        // A device that does not go off is lost with the machine anyway.
        let _ = crate::sys::power::swap_off(path);
    }
}

/// sync(2).
pub fn sync() {
    rustix::fs::sync();
}

/// reboot(2): "poweroff", "reboot", "halt" or "kexec". Returns only when refused.
pub fn reboot(how: &str) -> OsError {
    OsError::new("reboot", how, crate::sys::power::reboot(how))
}
