//! autofs and swap.
use super::check;
use rustix::fd::{AsFd, AsRawFd, RawFd};
use rustix::io::Errno;
use std::ffi::CString;

// linux/auto_fs.h: _IO(0x93, nr), and with sizes in bits 16..30 and directions in 30..32.
const READY: libc::c_ulong = 0x9360;
const FAIL: libc::c_ulong = 0x9361;
const CATATONIC: libc::c_ulong = 0x9362;
const SET_TIMEOUT: libc::c_ulong = 0xC000_9364 | ((size_of::<libc::c_ulong>() as libc::c_ulong) << 16);
const EXPIRE_MULTI: libc::c_ulong = 0x4004_9366;

/// Answer a request: mounted, or failed.
pub fn autofs_answer(control: impl AsFd, token: u32, mounted: bool) -> Result<(), Errno> {
    let request = if mounted { READY } else { FAIL };
    // SAFETY: both requests take the token by value; on other files they fail with ENOTTY.
    check(unsafe { libc::ioctl(control.as_fd().as_raw_fd(), request as _, libc::c_ulong::from(token)) })
        .map(drop)
}

/// Set the idle time in seconds.
pub fn autofs_timeout(control: impl AsFd, seconds: u64) -> Result<(), Errno> {
    let mut value: libc::c_ulong = seconds;
    // SAFETY: the pointer is to a live unsigned long that the kernel reads and writes.
    check(unsafe { libc::ioctl(control.as_fd().as_raw_fd(), SET_TIMEOUT as _, &raw mut value) }).map(drop)
}

/// Let the kernel expire what is idle; blocks until that is answered. `EAGAIN`: nothing is.
pub fn autofs_expire(control: RawFd) -> Result<(), Errno> {
    let leaves: libc::c_int = 2;
    // SAFETY: the pointer is to a live int that the kernel reads. A descriptor that is not ours any more fails.
    check(unsafe { libc::ioctl(control, EXPIRE_MULTI as _, &raw const leaves) }).map(drop)
}

/// Let nobody wait any more.
pub fn autofs_catatonic(control: impl AsFd) -> Result<(), Errno> {
    // SAFETY: the request has no argument.
    check(unsafe { libc::ioctl(control.as_fd().as_raw_fd(), CATATONIC as _, 0) }).map(drop)
}

/// swapoff(2).
pub fn swap_off(path: &str) -> Result<(), Errno> {
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    // SAFETY: the path is NUL-terminated.
    check(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}
