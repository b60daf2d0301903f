//! Switches of input devices.
use rustix::fd::{AsFd, AsRawFd as _};
use rustix::io::Errno;

/// `EVIOCGSW` for eight bytes: direction "read", size, type `E`, number 0x1b.
const GET_SWITCHES: libc::Ioctl = (2 << 30) | (8 << 16) | ((b'E' as libc::Ioctl) << 8) | 0x1b;

/// Which switches are on: bit 0 is the lid, bit 5 the dock.
pub fn switches(device: impl AsFd) -> Result<u64, Errno> {
    let mut bits = [0u8; 8];
    // SAFETY: the descriptor is open for the call, and the kernel writes at most the eight bytes that the request names.
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), GET_SWITCHES, bits.as_mut_ptr()) };
    if result < 0 {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    } else {
        Ok(u64::from_le_bytes(bits))
    }
}
