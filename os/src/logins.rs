//! What logins need of the kernel and the file system: FIFOs, state files, lingering, virtual terminals, what users leave behind.
pub mod buttons;
pub mod power;
pub mod wall;

use crate::error::{Attempt, OsError};
use crate::rundir as files;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;

/// One file for each user whose services run without a session.
pub const LINGER: &str = "/var/lib/systemd/linger";
/// The directory of all state files.
pub const BASE: &str = "/run/systemd";
/// The greatest state file that is read.
const STATE_MAX: u64 = 64 << 10;
const FOREGROUND: &str = "/sys/class/tty/tty0/active";

/// Both ends of a session's FIFO: when nobody holds the writing end any more, the session is over.
#[derive(Debug)]
pub struct Fifo {
    /// Ours.
    pub read: OwnedFd,
    /// For whoever opened the session.
    pub write: Option<OwnedFd>,
}

/// The directories of state files, where the service manager has not made them.
pub fn make_directories() -> Result<(), OsError> {
    for name in ["sessions", "users", "seats", "inhibit", "shutdown"] {
        crate::mount::make_directory(&format!("{BASE}/{name}"), 0o755)?;
    }
    Ok(())
}

/// Makes a FIFO and opens both ends.
pub fn open_fifo(path: &str) -> Result<Fifo, OsError> {
    match rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    ) {
        Err(rustix::io::Errno::EXIST) => {}
        other => other.attempt("make FIFO", path)?,
    }
    let end = |flags: OFlags| {
        let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)
    };
    let read = end(OFlags::RDONLY)?;
    let write = Some(end(OFlags::WRONLY)?);
    Ok(Fifo { read, write })
}

/// State files of one kind, by name: FIFOs and unfinished files left out.
pub fn saved(kind: &str) -> Vec<(String, String)> {
    let directory = format!("{BASE}/{kind}");
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        let path = format!("{directory}/{name}");
        if let Some(text) =
            files::read_limited(&path, STATE_MAX).ok().and_then(|text| String::from_utf8(text).ok())
        {
            found.push((name, text));
        }
    }
    found.sort();
    found
}

/// The leader of a session from before, if that process is still in the session's scope.
pub fn leader(pid: i32, scope: Option<&str>) -> Option<OwnedFd> {
    let fd = crate::process::open(pid).ok()?;
    let cgroup = crate::process::cgroup(pid).ok()?;
    let inside = scope.is_none_or(|scope| cgroup.split('/').any(|part| part == scope));
    (inside && crate::process::is_alive(pid)).then_some(fd)
}

/// The number of the audit session that a process is in; `None` where the kernel keeps none, and in containers, which see
/// the numbers of the machine's.
pub fn audit_session(pid: i32) -> Option<u32> {
    if std::path::Path::new("/run/systemd/container").exists() {
        return None;
    }
    let text = fs::read_to_string(format!("/proc/{pid}/sessionid")).ok()?;
    text.trim().parse().ok().filter(|number| *number != u32::MAX && *number != 0)
}

/// Names of the users who linger.
pub fn lingering() -> Vec<String> {
    let entries = fs::read_dir(LINGER).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Has a user linger, or not any more.
pub fn set_lingering(name: &str, on: bool) -> Result<(), OsError> {
    let path = format!("{LINGER}/{name}");
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(OsError::new("name", path, rustix::io::Errno::INVAL));
    }
    if !on {
        files::remove_file(&path);
        return Ok(());
    }
    fs::create_dir_all(LINGER).attempt("make directory", LINGER)?;
    File::create(&path).attempt("make", &*path).map(drop)
}

/// Tells of changes of the virtual terminal in the foreground; `None` where there are no virtual terminals.
pub fn foreground_vt() -> Option<File> {
    fs::metadata("/dev/tty0").ok()?;
    File::open(FOREGROUND).ok()
}

/// Its number.
pub fn read_vt(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    text.trim().strip_prefix("tty")?.parse().ok()
}

/// Brings a virtual terminal to the foreground.
pub fn show_vt(number: u32) -> Result<(), OsError> {
    let tty = File::options().read(true).write(true).open("/dev/tty0").attempt("open", "/dev/tty0")?;
    crate::sys::vt::activate(&tty, number).attempt("VT_ACTIVATE", number.to_string())
}

/// Size of the memory, bytes.
pub fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// Removes what a user left in shared memory and message queues (sysvipc(7), shm_overview(7), mq_overview(7)).
pub fn clean_ipc(uid: u32) {
    for directory in ["/dev/shm", "/dev/mqueue"] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let own = entry.metadata().is_ok_and(|data| data.uid() == uid);
            if own && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let _ = fs::remove_dir(entry.path());
            } else if own {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    for kind in crate::sys::ipc::KINDS {
        let table = fs::read_to_string(format!("/proc/sysvipc/{}", kind.name())).unwrap_or_default();
        let mut lines = table.lines();
        let names: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
        let column = |name: &str| names.iter().position(|other| *other == name);
        let (Some(id), Some(owner)) = (column(kind.id_column()), column("uid")) else { continue };
        for line in lines {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |column: usize| fields.get(column).and_then(|field| field.parse::<i64>().ok());
            if number(owner) == Some(i64::from(uid))
                && let Some(id) = number(id).and_then(|id| i32::try_from(id).ok())
            {
                kind.remove(id);
            }
        }
    }
}
