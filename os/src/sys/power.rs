//! reboot(2) and swapoff(2).
use rustix::io::Errno;
use std::ffi::CString;

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

/// swapoff(2).
///
/// # Errors
/// As swapoff(2).
pub fn swap_off(path: &str) -> Result<(), Errno> {
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    // SAFETY: the pointer is to a NUL-terminated string that outlives the call.
    super::check(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}
