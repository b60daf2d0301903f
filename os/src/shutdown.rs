//! The last stage (systemd-shutdown(8)): signal everything, wait, end (`crate::mount` unmounts).
use crate::error::OsError;
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

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

/// The same before the root changes, but for processes whose first argument begins with '@': they keep the storage of
/// the new root going (systemd's "Using Storage Daemons for the Root File System").
pub fn kill_unmarked(patience: Duration) {
    if std::process::id() != 1 {
        return;
    }
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, patience)] {
        for pid in unmarked() {
            let _ = crate::sys::signal::kill(pid, signal.as_raw());
        }
        wait_until(patience, || unmarked().is_empty());
    }
}

fn unmarked() -> Vec<i32> {
    let marked = |pid: i32| {
        crate::process::cmdline(pid).is_ok_and(|line| line.first().is_some_and(|word| word.starts_with('@')))
    };
    others().into_iter().filter(|pid| !marked(*pid)).collect()
}

/// Reap until nobody is left or the time is over.
fn wait_for_end(patience: Duration) {
    wait_until(patience, || others().is_empty());
}

fn wait_until(patience: Duration, done: impl Fn() -> bool) {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        while let Ok(Some(ended)) = crate::children::peek() {
            let _ = crate::children::reap(ended.pid);
        }
        if done() {
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

/// sync(2).
pub fn sync() {
    rustix::fs::sync();
}

/// PID 1 of a machine must not end: the kernel would panic.
pub fn stay() -> ! {
    crate::crash::disarm();
    loop {
        while let Ok(Some(ended)) = crate::children::peek() {
            let _ = crate::children::reap(ended.pid);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// reboot(2): "poweroff", "reboot", "halt" or "kexec", a reboot with an argument if there is one. Returns only when refused.
pub fn reboot(how: &str, argument: &str) -> OsError {
    use crate::sys::power;
    let argument = std::ffi::CString::new(argument).unwrap_or_default();
    let errno = match how {
        "reboot" if !argument.is_empty() => power::reboot_with(&argument),
        _ => power::reboot(how),
    };
    OsError::new("reboot", how, errno)
}
