//! reboot(2).
use rustix::io::Errno;
use std::ffi::CStr;

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

/// Reboot, with a word for the firmware. Returns only when refused.
pub fn reboot_with(argument: &CStr) -> Errno {
    let (first, second) = (libc::LINUX_REBOOT_MAGIC1, libc::LINUX_REBOOT_MAGIC2);
    let command = libc::LINUX_REBOOT_CMD_RESTART2;
    // SAFETY: the kernel reads a text up to its NUL, which lives longer than the call.
    unsafe { libc::syscall(libc::SYS_reboot, first, second, command, argument.as_ptr()) };
    super::last_errno()
}
