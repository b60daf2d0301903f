//! Making a directory in a spawned child on a way that others may be changing: no allocation, every component by the descriptor of the one
//! before.
use super::raw::{call, errno_of};

/// The longest name, and the zero byte behind it.
const NAME: usize = 256;
const CWD: usize = libc::AT_FDCWD as usize;
const PLACE: usize = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as usize;
const LIST: usize = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) as usize;
const NOFOLLOW: usize = libc::O_NOFOLLOW as usize;

/// Make the directory at an absolute path with this mode, and those above it with 0755; one that is there is as good. Its descriptor, for
/// reading, or a negative errno.
///
/// The last component is no link (`ENOTDIR`). Those before may be links that nobody could have put there but root, whoever owns `/`, and
/// we: services own the directories that were made for them.
///
/// # Safety
/// `path` is the address of a text that ends with a zero byte.
pub unsafe fn make_directory(path: usize, mode: usize) -> isize {
    let root = call(libc::SYS_openat, [CWD, c"/".as_ptr() as usize, PLACE, 0, 0, 0]);
    if root < 0 {
        return root;
    }
    // SAFETY: as this function's.
    let path = unsafe { std::ffi::CStr::from_ptr(path as *const libc::c_char) }.to_bytes();
    let trusted = owner(root as usize, c"".as_ptr() as usize).map_or(0, |st| st.st_uid);
    let mut here = root;
    let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let mut text = [0u8; NAME];
        let Some(room) = text.get_mut(..name.len()).filter(|_| name.len() < NAME) else {
            close(here);
            return -(libc::ENAMETOOLONG as isize);
        };
        room.copy_from_slice(name);
        let (flags, mode) =
            if names.peek().is_none() { (LIST | NOFOLLOW, mode) } else { (PLACE | NOFOLLOW, 0o755) };
        let mut next = open(here, &text, flags);
        if errno_of(next) == Some(libc::ENOENT) {
            let made = call(libc::SYS_mkdirat, [here as usize, text.as_ptr() as usize, mode, 0, 0, 0]);
            next = match errno_of(made) {
                None | Some(libc::EEXIST) => open(here, &text, flags),
                Some(_) => made,
            };
        }
        let is_link = matches!(errno_of(next), Some(libc::ENOTDIR | libc::ELOOP));
        if is_link && names.peek().is_some() && may_follow(here as usize, &text, trusted) {
            next = open(here, &text, PLACE);
        }
        close(here);
        if next < 0 {
            return next;
        }
        here = next;
    }
    here
}

fn open(directory: isize, name: &[u8; NAME], flags: usize) -> isize {
    call(libc::SYS_openat, [directory as usize, name.as_ptr() as usize, flags, 0, 0, 0])
}

fn close(fd: isize) {
    call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]);
}

/// Whether the link is of somebody trusted, in a directory where nobody else can exchange it.
fn may_follow(directory: usize, name: &[u8; NAME], trusted: u32) -> bool {
    let own = call(libc::SYS_geteuid, [0; 6]) as u32;
    let is_trusted = |uid| uid == 0 || uid == own || uid == trusted;
    let link = owner(directory, name.as_ptr() as usize);
    let around = owner(directory, c"".as_ptr() as usize);
    link.is_some_and(|st| is_trusted(st.st_uid))
        && around.is_some_and(|st| {
            is_trusted(st.st_uid) && (st.st_mode & 0o022 == 0 || st.st_mode & libc::S_ISVTX != 0)
        })
}

/// What is there, without following it; of the directory itself when the name is empty.
fn owner(directory: usize, name: usize) -> Option<libc::stat> {
    // SAFETY: all zero bytes are a valid stat.
    let mut st: libc::stat = unsafe { std::mem::zeroed() };
    let flags = (libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) as usize;
    let result = call(libc::SYS_newfstatat, [directory, name, (&raw mut st) as usize, flags, 0, 0]);
    (result == 0).then_some(st)
}
