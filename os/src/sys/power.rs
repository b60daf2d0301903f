//! reboot(2).
use rustix::io::Errno;

/// End the machine, or the PID namespace whose init we are. Returns only when refused.
pub fn reboot(how: &str) -> Errno {
    let command = match how {
        "reboot" => libc::RB_AUTOBOOT,
        "halt" => libc::RB_HALT_SYSTEM,
        "kexec" => libc::RB_KEXEC,
        _ => libc::RB_POWER_OFF,
    };
    // SAFETY: the call takes a number.
    unsafe { libc::reboot(command) };
    super::last_errno()
}
