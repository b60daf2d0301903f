//! Changing the owner of a directory tree in a spawned child: no allocation, no recursion without a bound.
use super::raw::{call, errno_of};

/// How deep it goes; directories of services are not deeper.
const DEPTH: usize = 32;
const AT_SYMLINK_NOFOLLOW: usize = libc::AT_SYMLINK_NOFOLLOW as usize;

/// Change owner and group of everything below the directory; links are changed, not followed, and other file
/// systems are entered (they are the service's as well).
pub fn chown_below(dir: usize, uid: usize, gid: usize) -> isize {
    level(dir, uid, gid, DEPTH)
}

fn level(dir: usize, uid: usize, gid: usize, depth: usize) -> isize {
    if depth == 0 {
        return -(libc::ELOOP as isize);
    }
    let mut buffer = [0u8; 2048];
    loop {
        let got = call(libc::SYS_getdents64, [dir, (&raw mut buffer) as usize, buffer.len(), 0, 0, 0]);
        if got <= 0 {
            return got;
        }
        let mut rest = buffer.get(..got as usize).unwrap_or(&[]);
        // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name
        while let Some(&[low, high, kind]) = rest.get(16..19) {
            let length = usize::from(u16::from_ne_bytes([low, high]));
            let Some((entry, behind)) = rest.split_at_checked(length) else { break };
            let name = entry.get(19..).unwrap_or(&[]);
            rest = behind;
            if name.starts_with(b".\0") || name.starts_with(b"..\0") || name.is_empty() {
                continue;
            }
            let result = entry_owner(dir, name.as_ptr() as usize, kind, [uid, gid], depth);
            if result < 0 {
                return result;
            }
        }
    }
}

fn entry_owner(dir: usize, name: usize, kind: u8, owner: [usize; 2], depth: usize) -> isize {
    let [uid, gid] = owner;
    if kind == libc::DT_DIR {
        let flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC) as usize;
        let fd = call(libc::SYS_openat, [dir, name, flags, 0, 0, 0]);
        if errno_of(fd).is_none() {
            let below = level(fd as usize, uid, gid, depth - 1);
            call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]);
            if below < 0 {
                return below;
            }
        }
    }
    match errno_of(call(libc::SYS_fchownat, [dir, name, uid, gid, AT_SYMLINK_NOFOLLOW, 0])) {
        None | Some(libc::ENOENT) => 0,
        Some(errno) => -(errno as isize),
    }
}
