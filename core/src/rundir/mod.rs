//! What is in `/run`, and whether that is as the Filesystem Hierarchy Standard 3.0, section 3.15, and `/run`'s users want it.
//!
//! [`Survey`] is what somebody saw; [`requirements::check`] judges it. Paths within it are relative to `/run`.
pub mod owners;
pub mod requirements;

pub use owners::Owners;

use crate::engine::clock::Usec;
use std::collections::BTreeMap;

/// What kind of thing an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, and where it leads.
    Link(String),
    /// A UNIX socket.
    Socket,
    /// A FIFO.
    Fifo,
    /// A character or block device.
    Device,
}

impl Kind {
    /// One word for people and programs.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Directory => "directory",
            Kind::File => "file",
            Kind::Link(_) => "link",
            Kind::Socket => "socket",
            Kind::Fifo => "fifo",
            Kind::Device => "device",
        }
    }
}

/// One thing below `/run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 07777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of memory or disk that it takes.
    pub bytes: u64,
    /// When it was made or last changed, whichever is earlier: wall-clock time.
    pub since: Usec,
    /// The type of the file system that is mounted there. What is below it is not looked at.
    pub mount: Option<String>,
    /// What a PID file says.
    pub pid: Option<PidFile>,
}

/// What a file that is named like a PID file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// The process, or what is wrong with the text.
    pub pid: Result<i32, String>,
    /// Exactly as the standard wants it: decimal digits and a newline.
    pub exact: bool,
    /// What that process is.
    pub process: Process,
}

/// The process that a PID file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Process {
    /// It runs; its name.
    Live(String),
    /// The number belongs to a process that is younger than the file; its name.
    Reused(String),
    /// One began in the moment in which the file was written: it may be another; its name.
    Unsure(String),
    /// There is none.
    Gone,
    /// Nobody looked: the tree is not that of a running system.
    Unknown,
}

/// A UNIX socket with a path, as the kernel lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Socket {
    /// Somebody receives there.
    pub listens: bool,
    /// Connections to it.
    pub peers: u32,
    /// The processes that hold it: name, PID, user.
    pub holders: Vec<Holder>,
}

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its PID.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its unit, by its control group.
    pub unit: Option<String>,
}

/// `/run` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What it is; `None` where it is missing.
    pub kind: Option<Kind>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type of its file system.
    pub fstype: String,
    /// It is a mount of its own.
    pub mounted: bool,
    /// Mounted read-only.
    pub read_only: bool,
    /// Mounted `noexec`.
    pub noexec: bool,
    /// Bytes that are free, and that there are at all.
    pub bytes: (u64, u64),
    /// Inodes that are free, and that there are at all; 0 and 0 where there is no limit.
    pub inodes: (u64, u64),
}

/// A name that old programs use for something in `/run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// What is there; `None` for nothing.
    pub kind: Option<Kind>,
    /// It leads to the place in `/run`.
    pub leads_there: bool,
}

/// What somebody saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// `/run` itself.
    pub root: Root,
    /// What is below it, by path.
    pub entries: BTreeMap<String, Entry>,
    /// `/var/run`.
    pub var_run: Alias,
    /// `/var/lock`.
    pub var_lock: Alias,
    /// UNIX sockets by absolute path, also those elsewhere. Empty for an image.
    pub sockets: BTreeMap<String, Socket>,
    /// When this system's first process started, wall-clock time; `None` for an image.
    pub booted: Option<Usec>,
    /// It is a container: what is in `/run` may be older than its first process.
    pub container: bool,
    /// What could not be looked at: path and why.
    pub unseen: Vec<(String, String)>,
}

/// What one unit takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Bytes of memory or disk.
    pub bytes: u64,
    /// Files, directories and all else.
    pub inodes: u64,
    /// How many of these are sockets.
    pub sockets: u64,
}

impl Survey {
    /// Whether it is a tree on disk and no running system.
    pub fn is_image(&self) -> bool {
        self.booted.is_none()
    }
}
