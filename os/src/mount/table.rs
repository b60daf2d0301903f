//! The kernel's tables of mounts and swaps: read whole, and polled for changes.
use crate::error::{Attempt, OsError};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Longest table that is read: 100,000 mounts with long names.
const TABLE_MAX: usize = 64 << 20;

/// A table below `/proc` that polls as urgent when it changes.
#[derive(Debug)]
pub struct KernelTable {
    fd: OwnedFd,
    path: &'static str,
}

impl KernelTable {
    /// The mount table of our mount namespace.
    pub fn mounts() -> Result<KernelTable, OsError> {
        KernelTable::open("/proc/thread-self/mountinfo")
    }

    /// The swap table.
    pub fn swaps() -> Result<KernelTable, OsError> {
        KernelTable::open("/proc/swaps")
    }

    fn open(path: &'static str) -> Result<KernelTable, OsError> {
        let fd =
            rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).attempt("open", path)?;
        Ok(KernelTable { fd, path })
    }

    /// Poll this with `Interest::URGENT`. One change polls once, whether the table is read or not.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The whole table as it is now.
    pub fn read(&self) -> Result<Vec<u8>, OsError> {
        rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0)).attempt("rewind", self.path)?;
        let mut bytes = vec![0u8; 16 << 10];
        let mut filled = 0;
        loop {
            if filled == bytes.len() {
                if filled >= TABLE_MAX {
                    return Err(OsError::new("read", self.path, Errno::FBIG));
                }
                bytes.resize(filled * 2, 0);
            }
            match rustix::io::read(&self.fd, &mut bytes[filled..]) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(OsError::new("read", self.path, errno)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// What the last umount needs to know of a line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine {
    /// Mount id.
    pub id: u32,
    /// Id of the mount it stands on.
    pub parent: u32,
    /// Where.
    pub target: String,
    /// Type.
    pub fstype: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// Options of the file system itself, comma-separated.
    pub system_options: String,
}

/// The lines of a mount table; broken ones are left out.
pub fn parse_mounts(bytes: &[u8]) -> Vec<MountLine> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<MountLine> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ');
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let target = unescape(fields.nth(2)?);
    let options = fields.next()?;
    let read_only = options.split(',').any(|option| option == "ro");
    let mut system = right.split(' ');
    let fstype = system.next()?.to_owned();
    let system_options = system.nth(1).unwrap_or_default().to_owned();
    Some(MountLine { id, parent, target, fstype, read_only, system_options })
}

/// `\040` and its like.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let octal = bytes
            .get(at + 1..at + 4)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(value) => {
                out.push(value);
                at += 4;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::tests::in_namespace;
    use crate::reactor::{Interest, Priority, Reactor};
    use std::time::Duration;

    #[test]
    fn lines_are_parsed() {
        let table = b"36 35 98:0 /mnt1 /mnt\\0402 ro,noatime master:1 - ext3 /dev/root rw\nbroken\n";
        let lines = parse_mounts(table);
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].target.as_str(), lines[0].read_only), ("/mnt 2", true));
        assert_eq!(lines[0].system_options, "rw");
        assert_eq!((lines[0].id, lines[0].parent, lines[0].fstype.as_str()), (36, 35, "ext3"));
    }

    #[test]
    fn changes_poll() {
        in_namespace(|| {
            let table = KernelTable::mounts().expect("open");
            let mut reactor = Reactor::new().expect("epoll");
            reactor.add(table.fd(), (), Priority::Kernel, Interest::URGENT).expect("add");
            let mut ready = Vec::new();
            // Opening the namespace is a change by itself.
            reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
            ready.clear();
            reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
            assert!(ready.is_empty());
            let before = parse_mounts(&table.read().expect("read")).len();
            rustix::mount::mount("tmpfs", "/mnt", "tmpfs", rustix::mount::MountFlags::empty(), None)
                .expect("mount");
            reactor.wait(Some(Duration::from_secs(5)), &mut ready).expect("wait");
            assert!(ready.iter().any(|entry| entry.urgent));
            let lines = parse_mounts(&table.read().expect("read"));
            assert_eq!(lines.len(), before + 1);
            assert!(lines.iter().any(|line| line.target == "/mnt" && line.fstype == "tmpfs"));
        });
        assert!(KernelTable::swaps().is_ok_and(|table| table.read().is_ok()));
    }
}
