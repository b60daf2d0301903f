//! The kernel's autofs, protocol 5, for automount units (the kernel's `filesystems/autofs` document).
use crate::error::{Attempt, OsError};
use crate::sys::mount as sys;
use runstead_core::engine::clock::Usec;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::pipe::{PipeFlags, pipe_with};
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

/// An autofs mount of ours.
#[derive(Debug)]
pub struct Autofs {
    /// Where.
    path: String,
    pipe: OwnedFd,
    /// The mount's own directory, opened before anything covers it.
    control: OwnedFd,
}

impl Autofs {
    /// Mount autofs at `path`, made with `mode` if need be. Processes of our own group (the manager, and children
    /// that left it alone) pass without triggering it.
    pub fn mount(path: &str, mode: u32, options: &str, idle: Usec) -> Result<Autofs, OsError> {
        super::make_directory(path, mode)?;
        let flags = PipeFlags::NONBLOCK | PipeFlags::CLOEXEC | PipeFlags::DIRECT;
        let (read, write) = pipe_with(flags).attempt("pipe", path)?;
        let group = rustix::process::getpgrp().as_raw_nonzero();
        let mut data = format!("fd={},pgrp={group},minproto=5,maxproto=5,direct", write.as_raw_fd());
        if !options.is_empty() {
            data = format!("{data},{options}");
        }
        let data = CString::new(data).map_err(|_| OsError::new("mount", path, Errno::INVAL))?;
        rustix::mount::mount("systemd-1", path, "autofs", MountFlags::empty(), data.as_c_str())
            .attempt("mount autofs", path)?;
        let autofs = Autofs::adopt(path, read);
        if autofs.is_err() {
            let _ = super::unmount(path, true);
        }
        let autofs = autofs?;
        autofs.set_timeout(idle)?;
        Ok(autofs)
    }

    /// Take up a mount whose pipe was kept over a re-execution.
    pub fn adopt(path: &str, pipe: OwnedFd) -> Result<Autofs, OsError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let control = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
        Ok(Autofs { path: path.to_owned(), pipe, control })
    }

    /// Poll this for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next request; `None` when there is none.
    pub fn next(&self) -> Result<Option<Request>, OsError> {
        let mut packet = [0u8; PACKET];
        match rustix::io::read(&self.pipe, &mut packet) {
            Ok(PACKET) => {}
            Ok(0) => return Err(OsError::new("read autofs", self.path.as_str(), Errno::PIPE)),
            Ok(_) => return Err(OsError::new("read autofs", self.path.as_str(), Errno::PROTO)),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(OsError::new("read autofs", self.path.as_str(), errno)),
        }
        let word =
            |at: usize| u32::from_ne_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        // protocol, type, token, device, inode (8), uid, gid, pid
        let expire = match word(4) {
            MISSING_DIRECT | MISSING_INDIRECT => false,
            EXPIRE_DIRECT | EXPIRE_INDIRECT => true,
            _ => return Err(OsError::new("read autofs", self.path.as_str(), Errno::PROTO)),
        };
        Ok(Some(Request { token: word(8), expire, pid: word(32).cast_signed() }))
    }

    /// Wake who waits: it is mounted (0), or failed.
    pub fn answer(&self, token: u32, errno: i32) -> Result<(), OsError> {
        sys::autofs_answer(&self.control, token, errno == 0).attempt("answer autofs", self.path.as_str())
    }

    /// Idle time after which [`Autofs::expire`] asks to unmount; 0 or infinity: never.
    pub fn set_timeout(&self, idle: Usec) -> Result<(), OsError> {
        let seconds = if idle == Usec::MAX { 0 } else { idle.div_ceil(1_000_000) };
        sys::autofs_timeout(&self.control, seconds).attempt("set timeout of", self.path.as_str())
    }

    /// Let the kernel look whether it is idle. It asks through the pipe, and this call comes back only when that is
    /// answered: a throw-away child makes it. Its PID; `children` will tell of its end (status 0: it expired).
    pub fn expire(&self) -> Result<i32, OsError> {
        let control = self.control.as_raw_fd();
        crate::sys::process::offload(move || i32::from(sys::autofs_expire(control).is_err()))
            .attempt("fork", self.path.as_str())
    }

    /// Let processes pass from now on without asking (the manager goes away).
    pub fn make_catatonic(&self) -> Result<(), OsError> {
        sys::autofs_catatonic(&self.control).attempt("silence", self.path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::tests::in_namespace;
    use std::time::Duration;

    fn wait_for(autofs: &Autofs) -> Request {
        for _ in 0..2000 {
            if let Some(request) = autofs.next().expect("read") {
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
            let autofs = match Autofs::mount(&path, 0o755, "", 0) {
                // A kernel without autofs: nothing to test.
                Err(error) if error.errno == Errno::NODEV => return,
                other => other.expect("mount autofs"),
            };
            assert_eq!(autofs.next().expect("nobody asks yet"), None);
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
            let request = wait_for(&autofs);
            assert!(!request.expire);
            rustix::mount::mount("tmpfs", &path, "tmpfs", MountFlags::empty(), None).expect("mount");
            std::fs::write(format!("{path}/here"), "").expect("write");
            autofs.answer(request.token, 0).expect("answer");
            let output = looker.wait_with_output().expect("wait");
            assert!(String::from_utf8_lossy(&output.stdout).contains("here"));
            super::super::unmount(&path, false).expect("umount");
            let mut looker = look();
            let request = wait_for(&autofs);
            autofs.answer(request.token, libc::ENOENT).expect("answer");
            assert!(!looker.wait().expect("wait").success());
            autofs.make_catatonic().expect("silence");
            super::super::unmount(&path, true).expect("umount");
        });
    }
}
