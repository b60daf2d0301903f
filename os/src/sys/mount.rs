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

/// Open the root of an autofs mount past what is mounted over it, through `/dev/autofs` (kernel document
/// `autofs-mount-control`).
pub fn autofs_open(path: &str, device: u64) -> Result<rustix::fd::OwnedFd, Errno> {
    use rustix::fd::FromRawFd;
    const OPEN_MOUNT: libc::c_ulong = 0xC018_9374;
    let control = std::fs::File::open("/dev/autofs").map_err(|_| Errno::NODEV)?;
    // Version 1.0, size, descriptor, device number as the kernel packs it, path.
    let size = 24 + path.len() + 1;
    let mut request = vec![0u64; size.div_ceil(8)];
    let mut bytes = Vec::with_capacity(size);
    for word in [1, 0, u32::try_from(size).map_err(|_| Errno::INVAL)?, u32::MAX] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let packed = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
    bytes.extend_from_slice(&u64::from(packed).to_ne_bytes());
    bytes.extend_from_slice(path.as_bytes());
    bytes.resize(request.len() * 8, 0);
    for (word, part) in request.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(part.try_into().map_err(|_| Errno::INVAL)?);
    }
    // SAFETY: the request is as long as its size field says, aligned for its u64, and its path NUL-terminated.
    check(unsafe { libc::ioctl(control.as_raw_fd(), OPEN_MOUNT as _, request.as_mut_ptr()) })?;
    let fd = (request[1] >> 32) as u32;
    // SAFETY: on success the kernel put a new descriptor of ours into the fourth word.
    let fd = unsafe { rustix::fd::OwnedFd::from_raw_fd(fd.cast_signed()) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// swapoff(2).
pub fn swap_off(path: &str) -> Result<(), Errno> {
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    // SAFETY: the path is NUL-terminated.
    check(unsafe { libc::swapoff(path.as_ptr()) }).map(drop)
}
