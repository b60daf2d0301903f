//! Virtual terminals (ioctl_vt(2)).
use rustix::fd::{AsFd, AsRawFd as _};
use rustix::io::Errno;

/// `VT_ACTIVATE`.
const ACTIVATE: libc::Ioctl = 0x5606;

/// Brings a virtual terminal to the foreground; does not wait until it is there.
pub fn activate(tty: impl AsFd, number: u32) -> Result<(), Errno> {
    // SAFETY: the descriptor is open for the call, and this request takes a number and touches no memory of ours.
    let result = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), ACTIVATE, libc::c_ulong::from(number)) };
    if result < 0 {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    } else {
        Ok(())
    }
}
