//! What `/proc` tells of a process (proc_pid_stat(5) and its neighbours).
use crate::error::{Attempt, OsError};
use crate::sys::{self, signal};
use runstead_core::engine::event::{Exit, Pid};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::process::Command;

/// Longest file of `/proc/PID` that we read: an environment may be large, a memory of ours may not.
const PROC_FILE_MAX: u64 = 4 << 20;

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name, at most 15 bytes.
    pub comm: String,
    /// "R", "S", "Z" ...
    pub state: char,
    /// Parent.
    pub parent: Pid,
    /// Process group.
    pub group: Pid,
    /// Session.
    pub session: Pid,
    /// Controlling terminal, 0 for none.
    pub tty: i32,
    /// Flags (`PF_KTHREAD` is 0x200000).
    pub flags: u64,
    /// Threads, the first one counted until all have ended.
    pub threads: u32,
    /// Start, in clock ticks since boot: with the PID it names a process for good.
    pub start_time: u64,
}

impl Stat {
    /// A thread of the kernel.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & 0x20_0000 != 0
    }

    /// Whether it runs: a zombie waits for its parent only, unless its other threads go on.
    pub fn is_alive(&self) -> bool {
        self.state != 'X' && (self.state != 'Z' || self.threads > 1)
    }
}

fn read(pid: Pid, file: &str) -> Result<Vec<u8>, OsError> {
    let path = format!("/proc/{pid}/{file}");
    // Most are smaller: one call reads it, one finds the end.
    let mut bytes = Vec::with_capacity(4096);
    let opened = std::fs::File::open(&path).attempt("open", &path)?;
    opened.take(PROC_FILE_MAX).read_to_end(&mut bytes).attempt("read", &path)?;
    Ok(bytes)
}

/// Longest `/proc/PID/stat`: a name of 64 bytes and 50 numbers.
const STAT_MAX: usize = 2048;

/// Inode of the machine's first PID namespace (the kernel's `PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether this is no container: our PID namespace is the machine's.
pub fn in_first_pid_namespace() -> bool {
    rustix::fs::stat("/proc/self/ns/pid").is_ok_and(|stat| stat.st_ino == FIRST_PID_NAMESPACE)
}

/// Read `/proc/PID/stat`.
pub fn stat(pid: Pid) -> Result<Stat, OsError> {
    use rustix::fs::{Mode, OFlags};
    let path = format!("/proc/{pid}/stat");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path.as_str(), flags, Mode::empty()).attempt("open", &*path)?;
    // The kernel gives it whole to the first read.
    let mut bytes = [0; STAT_MAX];
    let got = rustix::io::read(&file, &mut bytes).attempt("read", &*path)?;
    parse_stat(&bytes[..got]).ok_or_else(|| OsError::new("parse", path, Errno::BADMSG))
}

fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    // The name may contain anything, parentheses too: it ends at the last one.
    let open = bytes.iter().position(|&byte| byte == b'(')?;
    let close = bytes.iter().rposition(|&byte| byte == b')')?;
    let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    // The first is field 3 of the manual page.
    let mut fields = rest.split_ascii_whitespace();
    let mut skip = |count: usize| fields.nth(count);
    Some(Stat {
        comm,
        state: skip(0)?.chars().next()?,
        parent: skip(0)?.parse().ok()?,
        group: skip(0)?.parse().ok()?,
        session: skip(0)?.parse().ok()?,
        tty: skip(0)?.parse().ok()?,
        flags: skip(1)?.parse().ok()?,
        threads: skip(10)?.parse().ok()?,
        start_time: skip(1)?.parse().ok()?,
    })
}

/// Start time in clock ticks since boot.
pub fn start_time(pid: Pid) -> Result<u64, OsError> {
    stat(pid).map(|stat| stat.start_time)
}

/// The name.
pub fn comm(pid: Pid) -> Result<String, OsError> {
    let bytes = read(pid, "comm")?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}

/// The path in the unified hierarchy (cgroups(7)), from the root of our cgroup namespace; the mark of a removed
/// cgroup is taken off.
pub fn cgroup(pid: Pid) -> Result<String, OsError> {
    let bytes = read(pid, "cgroup")?;
    let text = String::from_utf8_lossy(&bytes);
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or_else(|| OsError::new("find cgroup of", pid.to_string(), Errno::NODATA))?;
    Ok(path.strip_suffix(" (deleted)").unwrap_or(path).to_owned())
}

/// The arguments.
pub fn cmdline(pid: Pid) -> Result<Vec<String>, OsError> {
    let bytes = read(pid, "cmdline")?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(bytes.split(|&byte| byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect())
}

/// One variable of the environment a process was started with.
pub fn environment(pid: Pid, name: &str) -> Result<Option<String>, OsError> {
    let bytes = read(pid, "environ")?;
    let value = bytes
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    Ok(value.map(|value| String::from_utf8_lossy(value).into_owned()))
}

/// The `INVOCATION_ID` a process was started with (systemd.exec(5)).
pub fn invocation_id(pid: Pid) -> Option<String> {
    environment(pid, "INVOCATION_ID").ok().flatten()
}

/// Owner of the process (`/proc/PID/status`, effective uid).
pub fn uid(pid: Pid) -> Result<u32, OsError> {
    let bytes = read(pid, "status")?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find_map(|line| line.strip_prefix("Uid:"));
    let uid = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
    uid.ok_or_else(|| OsError::new("parse", format!("/proc/{pid}/status"), Errno::BADMSG))
}

/// Whether it exists (a zombie does).
pub fn exists(pid: Pid) -> bool {
    pid > 0 && !matches!(signal::kill(pid, 0), Err(Errno::SRCH))
}

/// Whether it exists and is not a zombie.
pub fn is_alive(pid: Pid) -> bool {
    stat(pid).is_ok_and(|stat| stat.is_alive())
}

/// Whether it is a child of ours.
pub fn is_child(pid: Pid) -> bool {
    stat(pid).is_ok_and(|stat| stat.parent.cast_unsigned() == std::process::id())
}

/// A descriptor of the process (pidfd_open(2)).
pub fn open(pid: Pid) -> Result<OwnedFd, OsError> {
    sys::process::pidfd_open(pid).attempt("pidfd_open", pid.to_string())
}

/// How a process ended that is not our child: as a zombie it says so itself, later its descriptor does (Linux 6.15).
pub fn end_of(pid: Pid, process: &OwnedFd) -> Exit {
    let status = ended_status(pid).or_else(|| sys::process::pidfd_exit_status(process));
    status.map_or(Exit::Unknown, exit_of_status)
}

/// `exit_code` of proc_pid_stat(5), of a zombie.
fn ended_status(pid: Pid) -> Option<i32> {
    let text = String::from_utf8_lossy(&read(pid, "stat").ok()?).into_owned();
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    // Of the fields behind the name the status is the fiftieth.
    let (state, status) = (fields.next()?, fields.nth(48)?);
    if state == "Z" { status.parse().ok() } else { None }
}

/// What wait(2) calls a status.
fn exit_of_status(status: i32) -> Exit {
    match (status & 0x7f, status & 0x80) {
        (0, _) => Exit::Status(status >> 8 & 0xff),
        (signal, 0) => Exit::Killed(signal),
        (signal, _) => Exit::Dumped(signal),
    }
}

/// Now, on the clock that processes are started by: nanoseconds.
pub fn boottime() -> i128 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// The process behind a pidfd; `None` when it is gone or outside our PID namespace.
pub fn pid_of_pidfd(fd: impl rustix::fd::AsFd) -> Option<Pid> {
    use rustix::fd::AsRawFd;
    let raw = fd.as_fd().as_raw_fd();
    // Some hundred bytes, which one read(2) gives whole: this is done for each session and scope.
    let mut buffer = [0; 1024];
    let mut file = std::fs::File::open(format!("/proc/thread-self/fdinfo/{raw}")).ok()?;
    let got = std::io::Read::read(&mut file, &mut buffer).ok()?;
    let text = std::str::from_utf8(&buffer[..got]).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|&pid: &Pid| pid > 0)
}

/// Signal a process; with a value, queue it.
pub fn kill(pid: Pid, number: i32, value: Option<i32>) -> Result<(), OsError> {
    if pid <= 0 {
        return Err(OsError::new("signal", pid.to_string(), Errno::INVAL));
    }
    match value {
        Some(value) => signal::queue(pid, number, value),
        None => signal::kill(pid, number),
    }
    .attempt("signal", pid.to_string())
}

/// A command whose child is made by fork(2). The C library's posix_spawn(3) uses clone3(2), and gives up where a system
/// call filter refuses that with another error than `ENOSYS`.
pub fn by_fork(command: &mut Command) -> &mut Command {
    sys::process::prepare_in_child(command)
}

/// Whether a descriptor is the journal's stream: then lines may begin with their priority (sd-daemon(3)).
pub fn is_journal(fd: &impl rustix::fd::AsFd) -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let named = named.as_deref().and_then(|text| text.split_once(':'));
    let Some((Ok(device), Ok(inode))) = named.map(|(d, i)| (d.parse::<u64>(), i.parse::<u64>())) else {
        return false;
    };
    rustix::fs::fstat(fd).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode))
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command whose child is asked to end by `SIGTERM` when this process ends, however that comes.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    sys::process::signal_with_parent(command, libc::SIGTERM)
}

/// Whom this process runs as: effective uid and gid.
pub fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Give back the terminal that we were started on: services wait for one that a session has. The kernel hangs up who leaves.
pub fn leave_terminal() {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(terminal) = rustix::fs::open("/dev/tty", flags, Mode::empty()) else { return };
    let _ = sys::signal::ignore(libc::SIGHUP, true);
    let _ = sys::process::leave_terminal(&terminal);
    let _ = sys::signal::ignore(libc::SIGHUP, false);
}

/// Orphans below us become our children.
pub fn become_subreaper() -> Result<(), OsError> {
    sys::process::set_child_subreaper(true).attempt("become subreaper", "")
}

/// How much the kernel prefers PID 1 to what it starts.
const PREFERENCE: i32 = -10;

/// Let PID 1 run before what it starts: everybody who waits for it does so for longer, while each of a hundred new
/// processes takes its turn. Children begin with ordinary scheduling. Where this is not allowed nothing changes, nor where
/// somebody started us with another nice level, which children are to have.
pub fn prefer_ourselves() {
    let is_ordinary = rustix::process::getpriority_process(None) == Ok(0);
    if is_ordinary && crate::sys::process::reset_scheduling_on_fork().is_ok() {
        let _ = rustix::process::setpriority_process(None, PREFERENCE);
        // Processes of other sessions are weighed as a group (sched(7), "The autogroup feature").
        let _ = std::fs::write("/proc/self/autogroup", PREFERENCE.to_string());
    }
}

/// Undo [`prefer_ourselves`], before another program takes our place.
pub fn prefer_nobody() {
    let _ = rustix::process::setpriority_process(None, 0);
    let _ = std::fs::write("/proc/self/autogroup", "0");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    #[test]
    fn how_somebody_elses_child_ended_is_told() {
        let killed = "kill -9 $(exec sh -c 'echo $PPID')";
        for (ending, wanted) in [("exit 7", Exit::Status(7)), (killed, Exit::Killed(9))] {
            // The child of a child that waits for nobody: a shell might.
            let script = format!("(sleep 0.1; {ending}) & echo $!; exec cat");
            let mut parent = Command::new("sh")
                .args(["-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("sh");
            let output = std::io::BufReader::new(parent.stdout.take().expect("piped"));
            let line = std::io::BufRead::lines(output).next().expect("a line").expect("text");
            let pid: Pid = line.parse().expect("a number");
            let process = open(pid).expect("it is not reaped yet");
            while is_alive(pid) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(end_of(pid, &process), wanted, "a zombie");
            drop(parent.stdin.take());
            parent.wait().expect("it ends");
        }
        assert_eq!(exit_of_status(0x8b), Exit::Dumped(11));
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let line = b"12 (a) b (c)) S 3 4 5 34816 12 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 0 0";
        let stat = parse_stat(line).expect("well formed");
        assert_eq!(
            (stat.comm.as_str(), stat.state, stat.parent, stat.start_time),
            ("a) b (c)", 'S', 3, 987654)
        );
        assert_eq!(parse_stat(b"12 (a"), None);
    }

    #[test]
    fn a_child_is_ours_with_its_environment() {
        let mut child = Command::new("sh")
            .args(["-c", "echo; read line"])
            .stdin(Stdio::piped())
            .env("INVOCATION_ID", "abc")
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let pid = child.id().cast_signed();
        let mut line = [0u8; 1];
        child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("the shell is up");
        assert!(is_child(pid) && is_alive(pid) && exists(pid));
        assert_eq!(invocation_id(pid).as_deref(), Some("abc"));
        assert_eq!(pid_of_pidfd(open(pid).expect("pidfd")), Some(pid));
        assert_eq!(cmdline(pid).expect("readable")[0], "sh");
        kill(pid, libc::SIGKILL, None).expect("kill");
        child.wait().expect("wait");
        assert!(!exists(pid));
    }
}
