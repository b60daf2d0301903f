//! What the kernel and the machine can do: sleep, another kernel, another root; and the files of a scheduled shutdown.
use crate::error::OsError;
use crate::rundir as files;
use runstead_core::sessions::power::sleep::Kernel;
use rustix::io::Errno;
use std::fs;
use std::path::Path;

const STATE: &str = "/sys/power/state";
const DISK: &str = "/sys/power/disk";
const NO_LOGINS: &str = "/run/nologin";
const SCHEDULED: &str = "/run/systemd/shutdown/scheduled";
const REBOOT_PARAMETER: &str = "/run/systemd/reboot-param";
const NO_LOGINS_TEXT: &str = "System is going down. Unprivileged users are not permitted to log in anymore. For technical details, see \
                              pam_nologin(8).\n";
const SMALL: u64 = 64 << 10;

/// What the kernel offers for sleep.
///
/// # Errors
/// As access(2) on its switch.
pub fn sleep() -> Result<Kernel, Errno> {
    rustix::fs::access(STATE, rustix::fs::Access::WRITE_OK)?;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Ok(Kernel {
        state: read(STATE),
        disk: read(DISK),
        swaps: read("/proc/swaps"),
        memory: read("/proc/meminfo"),
    })
}

/// Whether another kernel is loaded.
pub fn kexec_loaded() -> bool {
    fs::read_to_string("/sys/kernel/kexec_loaded").is_ok_and(|text| text.trim() == "1")
}

/// Whether we are in a container, which has no firmware and no reboot parameter.
pub fn in_container() -> bool {
    Path::new("/run/systemd/container").exists()
}

/// Forbids logins, or allows them again.
pub fn forbid_logins(forbid: bool) -> Result<(), OsError> {
    if forbid {
        return files::write_file(NO_LOGINS, NO_LOGINS_TEXT.as_bytes(), 0o644);
    }
    files::remove_file(NO_LOGINS);
    Ok(())
}

/// What an earlier login manager had scheduled.
pub fn saved_schedule() -> Option<String> {
    String::from_utf8(files::read_limited(SCHEDULED, SMALL).ok()?).ok()
}

/// What the next reboot is told (reboot(2)).
pub fn reboot_parameter() -> String {
    let bytes = files::read_limited(REBOOT_PARAMETER, SMALL).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default().trim_end().to_owned()
}

/// Sets it; nothing takes it away.
pub fn set_reboot_parameter(text: &str) -> Result<(), OsError> {
    if text.is_empty() {
        files::remove_file(REBOOT_PARAMETER);
        return Ok(());
    }
    files::write_file(REBOOT_PARAMETER, text.as_bytes(), 0o600)
}

/// This machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
