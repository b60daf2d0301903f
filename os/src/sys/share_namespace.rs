//! A namespace that processes share, in a spawned child: no allocation, raw system calls only. The first process makes it and leaves a
//! descriptor of it in a socket pair; the others take that out, enter it, and put it back. A lock has them one after the other.
use super::raw::{call, errno_of};

const RECEIVE: usize = (libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC) as usize;
const SEND: usize = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as usize;
const OPEN: usize = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY) as usize;

/// A control message with one descriptor (cmsg(3)).
#[repr(C, align(8))]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    fd: i32,
    padding: i32,
}

/// Length of the message without what only aligns it.
const CONTROL: usize = std::mem::offset_of!(Control, padding);

/// Arguments: descriptor to receive from, descriptor to send to, `CLONE_NEW*`, path of this process's namespace of that kind. 0, or a
/// negative errno.
///
/// # Safety
/// The path is the address of a text that ends with a zero byte.
pub unsafe fn share_namespace(a: [usize; 6]) -> isize {
    let [receive, send, kind, path, ..] = a;
    let locked = lock(receive, libc::F_WRLCK);
    if locked < 0 {
        return locked;
    }
    let result = match take(receive) {
        fd if fd >= 0 => give_back(fd, send, call(libc::SYS_setns, [fd as usize, kind, 0, 0, 0, 0])),
        none if errno_of(none) == Some(libc::EAGAIN) => {
            let made = call(libc::SYS_unshare, [kind, 0, 0, 0, 0, 0]);
            let at = libc::AT_FDCWD as isize as usize;
            match made {
                0 => match call(libc::SYS_openat, [at, path, OPEN, 0, 0, 0]) {
                    fd if fd >= 0 => give_back(fd, send, 0),
                    failed => failed,
                },
                failed => failed,
            }
        }
        failed => failed,
    };
    lock(receive, libc::F_UNLCK);
    result
}

/// Of the process (fcntl(2)): the descriptors of all children are of one open file.
fn lock(fd: usize, kind: i32) -> isize {
    // SAFETY: all zero bytes are a valid lock: of everything.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    loop {
        let result =
            call(libc::SYS_fcntl, [fd, libc::F_SETLKW as usize, (&raw const lock) as usize, 0, 0, 0]);
        if errno_of(result) != Some(libc::EINTR) {
            return result;
        }
    }
}

/// Put the namespace where the next process finds it, whatever came of it here.
fn give_back(fd: isize, send: usize, result: isize) -> isize {
    let sent = with_message(fd as i32, |message| call(libc::SYS_sendmsg, [send, message, SEND, 0, 0, 0])).0;
    call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]);
    if result < 0 { result } else { sent.min(0) }
}

/// The namespace that is kept there, or a negative errno (`EAGAIN`: none yet).
fn take(receive: usize) -> isize {
    let (received, fd) =
        with_message(-1, |message| call(libc::SYS_recvmsg, [receive, message, RECEIVE, 0, 0, 0]));
    match received {
        failed if failed < 0 => failed,
        _ if fd < 0 => -(libc::EBADMSG as isize),
        _ => fd as isize,
    }
}

/// A message of one byte with room for one descriptor; what was done with it, and the descriptor that is in it then.
fn with_message(fd: i32, act: impl FnOnce(usize) -> isize) -> (isize, i32) {
    let mut control =
        Control { length: CONTROL, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fd, padding: 0 };
    let mut byte = 0u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: all zero bytes are a valid message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let result = act((&raw mut message) as usize);
    // SAFETY: the kernel may have written the descriptor behind the compiler's back.
    (result, unsafe { (&raw const control.fd).read_volatile() })
}
