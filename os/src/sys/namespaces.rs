//! Leaving namespaces, and the loopback interface of a new one.
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// unshare(2).
///
/// # Errors
/// As unshare(2).
pub fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: without CLONE_FILES no descriptor that other code relies on changes.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Be root in the new user namespace that this process has just made: the only user and group there are in it.
///
/// # Errors
/// As writing `/proc/self/uid_map` (user_namespaces(7)).
pub fn map_root_to(uid: u32, gid: u32) -> std::io::Result<()> {
    // The kernel lets nobody without privileges drop groups that may deny him something.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Set `IFF_UP` on `lo` (netdevice(7)).
///
/// # Errors
/// As ioctl(2) with `SIOCSIFFLAGS`.
pub fn loopback_up() -> Result<(), Errno> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: `ifreq` is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    #[allow(clippy::cast_possible_truncation)] // The constants fit; the field is a short.
    {
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    }
    // SAFETY: the kernel reads one `ifreq` from the pointer.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

/// Take over a descriptor that this process was started with (sd_listen_fds(3)); `None` when it is not open.
pub fn inherited_fd(number: i32) -> Option<OwnedFd> {
    // SAFETY: F_SETFD sets close-on-exec, which marks it as taken, and fails for what is not open.
    if number < 3 || unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open (just asked), and passed to us by the protocol, so nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
