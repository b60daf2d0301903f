//! The kernel's autofs, protocol 5, for automount units (the kernel's `filesystems/autofs` document).
use super::table::KernelTable;
use crate::error::{Attempt, OsError};
use crate::sys::mount as sys;
use runstead_core::engine::clock::Usec;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::CString;

/// Packets of protocol 5 (`struct autofs_v5_packet` on 64 bits).
const PACKET: usize = 304;
const MISSING_INDIRECT: u32 = 3;
const EXPIRE_INDIRECT: u32 = 4;
const MISSING_DIRECT: u32 = 5;
const EXPIRE_DIRECT: u32 = 6;

/// What the kernel asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Answer with this token.
    pub token: u32,
    /// It wants to unmount what is idle (else: somebody waits for the mount).
    pub expire: bool,
    /// The process that waits.
    pub pid: i32,
}

thread_local! {
    /// The mounts' own directories, opened before anything covered them, by the inode of their pipe.
    static CONTROLS: RefCell<BTreeMap<u64, OwnedFd>> = const { RefCell::new(BTreeMap::new()) };
}

/// Mount autofs at an existing directory. The pipe that comes back stands for the mount: poll it for reading.
/// Processes of our own group (the manager, and children that left it alone) pass without triggering it. After `idle`
/// (0 or infinity: never) [`expire`] asks to unmount.
pub fn mount(path: &str, options: &str, idle: Usec) -> Result<OwnedFd, OsError> {
    let flags = PipeFlags::NONBLOCK | PipeFlags::CLOEXEC | PipeFlags::DIRECT;
    let (read, write) = pipe_with(flags).attempt("pipe", path)?;
    let group = crate::sys::process::group();
    let mut data = format!("fd={},pgrp={group},minproto=5,maxproto=5,direct", write.as_raw_fd());
    if !options.is_empty() {
        data = format!("{data},{options}");
    }
    let data = CString::new(data).map_err(|_| OsError::new("mount", path, Errno::INVAL))?;
    rustix::mount::mount("systemd-1", path, "autofs", MountFlags::empty(), data.as_c_str())
        .attempt("mount autofs", path)?;
    let prepared = open_control(path).and_then(|control| {
        let seconds = if idle == Usec::MAX { 0 } else { idle.div_ceil(1_000_000) };
        sys::autofs_timeout(&control, seconds)?;
        let inode = rustix::fs::fstat(&read)?.st_ino;
        CONTROLS.with_borrow_mut(|controls| controls.insert(inode, control));
        Ok(())
    });
    if let Err(errno) = prepared {
        let _ = super::detach(path);
        return Err(OsError::new("set up autofs", path, errno));
    }
    Ok(read)
}

fn open_control(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Do something with the directory of the mount behind a pipe. After a re-execution it is looked for in the mount
/// table (the kernel tells each mount's pipe there), and opened past whatever covers it.
fn with_control<T>(pipe: impl AsFd, act: impl FnOnce(&OwnedFd) -> Result<T, Errno>) -> Result<T, Errno> {
    let inode = rustix::fs::fstat(pipe)?.st_ino;
    CONTROLS.with_borrow_mut(|controls| {
        let control = match controls.entry(inode) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(find_control(inode)?),
        };
        act(control)
    })
}

fn find_control(inode: u64) -> Result<OwnedFd, Errno> {
    let table = KernelTable::mounts().and_then(|table| table.read()).map_err(|error| error.errno)?;
    let text = String::from_utf8_lossy(&table).into_owned();
    let wanted = format!("pipe_ino={inode}");
    let is_ours = |line: &&str| {
        line.contains(" - autofs ")
            && line
                .rsplit(' ')
                .next()
                .is_some_and(|options| options.split(',').any(|option| option == wanted))
    };
    let line = text.lines().find(is_ours).ok_or(Errno::NOENT)?;
    let target = super::parse_mounts(line.as_bytes()).pop().ok_or(Errno::NOENT)?.target;
    let (major, minor) = line.split(' ').nth(2).and_then(|text| text.split_once(':')).ok_or(Errno::NOENT)?;
    let parse = |text: &str| text.parse::<u32>().map_err(|_| Errno::NOENT);
    let device = rustix::fs::makedev(parse(major)?, parse(minor)?);
    let control = open_control(&target)?;
    if rustix::fs::fstat(&control)?.st_dev == device {
        return Ok(control);
    }
    sys::autofs_open(&target, device)
}

/// Forget the mount behind a pipe that is about to be closed.
pub fn forget(pipe: impl AsFd) {
    if let Ok(stat) = rustix::fs::fstat(pipe) {
        CONTROLS.with_borrow_mut(|controls| controls.remove(&stat.st_ino));
    }
}

/// The next request; `None` when there is none.
pub fn read(pipe: impl AsFd) -> Result<Option<Request>, OsError> {
    let mut packet = [0u8; PACKET];
    let fail = |errno| Err(OsError::new("read", "autofs", errno));
    match rustix::io::read(pipe, &mut packet) {
        Ok(PACKET) => {}
        Ok(0) => return fail(Errno::PIPE),
        Ok(_) => return fail(Errno::PROTO),
        Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
        Err(errno) => return fail(errno),
    }
    let word = |at: usize| u32::from_ne_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
    // protocol, type, token, device, inode (8), uid, gid, pid
    let expire = match word(4) {
        MISSING_DIRECT | MISSING_INDIRECT => false,
        EXPIRE_DIRECT | EXPIRE_INDIRECT => true,
        _ => return fail(Errno::PROTO),
    };
    Ok(Some(Request { token: word(8), expire, pid: word(32).cast_signed() }))
}

/// Wake who waits: it is mounted (0), or failed.
pub fn answer(pipe: impl AsFd, token: u32, errno: i32) -> Result<(), OsError> {
    with_control(pipe, |control| sys::autofs_answer(control, token, errno == 0)).attempt("answer", "autofs")
}

/// Let the kernel look whether it is idle. It asks through the pipe, and this call comes back only when that is
/// answered: a throw-away child makes it. Its PID; `children` will tell of its end (status 0: it expired).
pub fn expire(pipe: impl AsFd) -> Result<i32, OsError> {
    with_control(pipe, |control| {
        let raw = control.as_raw_fd();
        // It may last as long as an unmount: nothing that the manager closes meanwhile may stay open there.
        crate::sys::process::offload(move || {
            crate::sys::process::close_all_but(raw);
            i32::from(sys::autofs_expire(raw).is_err())
        })
    })
    .attempt("expire", "autofs")
}

/// Let processes pass from now on without asking (the manager goes away).
pub fn make_catatonic(pipe: impl AsFd) -> Result<(), OsError> {
    with_control(pipe, |control| sys::autofs_catatonic(control)).attempt("silence", "autofs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::tests::in_namespace;
    use std::time::Duration;

    fn wait_for(pipe: &OwnedFd) -> Request {
        for _ in 0..2000 {
            if let Some(request) = read(pipe).expect("read") {
                return request;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nobody asked");
    }

    #[test]
    fn who_looks_waits_until_it_is_mounted() {
        in_namespace(|| {
            let path = format!("/mnt/runstead-autofs-{}", std::process::id());
            // A tmpfs of our own keeps the directory off the machine.
            rustix::mount::mount("tmpfs", "/mnt", "tmpfs", MountFlags::empty(), None).expect("mount");
            super::super::make_directory(&path, 0o755).expect("mkdir");
            let pipe = match mount(&path, "", 0) {
                // A kernel without autofs: nothing to test.
                Err(error) if error.errno == Errno::NODEV => return,
                other => other.expect("mount autofs"),
            };
            assert_eq!(read(&pipe).expect("nobody asks yet"), None);
            // In a session of its own it is not in our process group.
            let look = || {
                std::process::Command::new("setsid")
                    .args(["--wait", "ls", "-a", &path])
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .expect("ls")
            };
            let looker = look();
            let request = wait_for(&pipe);
            assert!(!request.expire);
            rustix::mount::mount("tmpfs", &path, "tmpfs", MountFlags::empty(), None).expect("mount");
            std::fs::write(format!("{path}/here"), "").expect("write");
            // As after a re-execution, when it is covered already.
            forget(&pipe);
            answer(&pipe, request.token, 0).expect("answer");
            let output = looker.wait_with_output().expect("wait");
            assert!(String::from_utf8_lossy(&output.stdout).contains("here"));
            super::super::unmount(&path).expect("umount");
            let mut looker = look();
            let request = wait_for(&pipe);
            answer(&pipe, request.token, libc::ENOENT).expect("answer");
            assert!(!looker.wait().expect("wait").success());
            make_catatonic(&pipe).expect("silence");
            super::super::detach(&path).expect("umount");
        });
    }
}
