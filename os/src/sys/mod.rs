//! The only unsafe code of the workspace: system calls that rustix does not offer safely.
//! Each block states why it is sound; what leaves this module is safe to call.
#![allow(unsafe_code)]
mod child;
mod chown_tree;
pub mod clone;
pub mod crash;
pub mod crc32c;
pub mod heap;
pub mod inherit;
pub mod input;
pub mod ipc;
mod make_directory;
pub mod mount;
pub mod namespaces;
pub mod pam_session;
pub mod power;
pub mod process;
pub mod program;
mod raw;
pub mod refuse;
mod share_namespace;
pub mod shared_map;
pub mod signal;
pub mod socket;
pub mod vt;

use rustix::io::Errno;

/// The errno of the call that just failed.
pub(crate) fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Turn a C result (-1 is failure) into a Rust one.
pub(crate) fn check(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}
