//! Socket options by number: one call for the hundred options that sockets have.
use super::{check, last_errno};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// setsockopt(2) with an integer.
pub fn set_int(fd: impl AsFd, level: i32, option: i32, value: i32) -> Result<(), Errno> {
    set_bytes(fd, level, option, &value.to_ne_bytes())
}

/// setsockopt(2) with bytes.
pub fn set_bytes(fd: impl AsFd, level: i32, option: i32, value: &[u8]) -> Result<(), Errno> {
    let size = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    // SAFETY: pointer and length describe a live slice that the kernel only reads.
    check(unsafe { libc::setsockopt(fd.as_fd().as_raw_fd(), level, option, value.as_ptr().cast(), size) })
        .map(drop)
}

/// getsockopt(2) of an integer.
pub fn get_int(fd: impl AsFd, level: i32, option: i32) -> Result<i32, Errno> {
    let mut value = [0u8; 4];
    get_bytes(fd, level, option, &mut value)?;
    Ok(i32::from_ne_bytes(value))
}

/// getsockopt(2) into a buffer; how many bytes were filled.
pub fn get_bytes(fd: impl AsFd, level: i32, option: i32, value: &mut [u8]) -> Result<usize, Errno> {
    let mut size = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::INVAL)?;
    // SAFETY: pointer and length describe a live mutable slice.
    let result = unsafe {
        libc::getsockopt(fd.as_fd().as_raw_fd(), level, option, value.as_mut_ptr().cast(), &raw mut size)
    };
    check(result)?;
    Ok((size as usize).min(value.len()))
}

/// A pidfd of a connected AF_UNIX stream's peer (`SO_PEERPIDFD`, since Linux 6.5).
pub fn peer_pidfd(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    const SO_PEERPIDFD: i32 = 77;
    let pidfd = get_int(fd, libc::SOL_SOCKET, SO_PEERPIDFD)?;
    if pidfd < 0 {
        return Err(Errno::SRCH);
    }
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// bind(2) with raw address bytes (families that rustix does not know).
pub fn bind_raw(fd: impl AsFd, address: &[u8]) -> Result<(), Errno> {
    let size = libc::socklen_t::try_from(address.len()).map_err(|_| Errno::INVAL)?;
    // SAFETY: pointer and length describe a live slice; the kernel copies and checks it, alignment does not matter to it.
    check(unsafe { libc::bind(fd.as_fd().as_raw_fd(), address.as_ptr().cast(), size) }).map(drop)
}

/// socket(2) by numbers.
pub fn socket_raw(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers.
    let fd =
        check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) })?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Peer or own address as raw bytes (getpeername(2), getsockname(2)).
pub fn name_raw(fd: impl AsFd, peer: bool) -> Result<Vec<u8>, Errno> {
    let mut address = [0u8; 128];
    let mut size: libc::socklen_t = 128;
    let raw = fd.as_fd().as_raw_fd();
    let out = address.as_mut_ptr().cast();
    // SAFETY: the buffer is as long as the size says; sockaddr_storage is 128 bytes.
    let result = unsafe {
        if peer {
            libc::getpeername(raw, out, &raw mut size)
        } else {
            libc::getsockname(raw, out, &raw mut size)
        }
    };
    check(result)?;
    Ok(address[..(size as usize).min(128)].to_vec())
}

/// A POSIX message queue (mq_open(3)), close-on-exec and non-blocking; `limits` are message count and size.
pub fn message_queue(name: &std::ffi::CStr, mode: u32, limits: Option<(i64, i64)>) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_CREAT;
    // SAFETY: an all-zero mq_attr is valid.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    let attributes = match limits {
        Some((count, size)) => {
            attributes.mq_maxmsg = count;
            attributes.mq_msgsize = size;
            &raw const attributes
        }
        None => std::ptr::null(),
    };
    // The kernel takes the name without its slash.
    let bytes = name.to_bytes_with_nul();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    // SAFETY: the name is NUL-terminated, the attributes null or a live mq_attr.
    let fd = unsafe { libc::syscall(libc::SYS_mq_open, bytes.as_ptr(), flags, mode, attributes) };
    if fd < 0 {
        return Err(last_errno());
    }
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Remove a message queue (mq_unlink(3)).
pub fn remove_message_queue(name: &std::ffi::CStr) -> Result<(), Errno> {
    let bytes = name.to_bytes_with_nul();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    // SAFETY: the name is NUL-terminated.
    let result = unsafe { libc::syscall(libc::SYS_mq_unlink, bytes.as_ptr()) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
