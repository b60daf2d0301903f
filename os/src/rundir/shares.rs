//! What each unit takes of the run root: sums only, so that whoever fills it costs who looks time, but no memory. And the throw-away
//! child that looks for a manager.
use super::sockets;
use crate::error::{Attempt, OsError};
use crate::process;
use runstead_core::rundir::{Owners, Share};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// As deep as a survey.
const DEPTH_MAX: usize = 64;
/// More than a hundred thousand units say.
const TEXT_MAX: usize = 16 << 20;
/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Shares by unit.
pub type Shares = BTreeMap<String, Share>;

/// Look at all below `root`: what is mounted there is not looked into, and links are not followed, as in a survey.
///
/// # Errors
/// When `root` cannot be opened.
pub fn shares(root: &str, mut owners: Owners) -> Result<Shares, OsError> {
    owners.add_listeners(root, &sockets::list());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(root, flags, Mode::empty()).attempt("open", root)?;
    let mut walk = Walk { owners: &owners, shares: Shares::new() };
    walk.directory(&top, "", None, 0);
    Ok(walk.shares)
}

struct Walk<'a> {
    owners: &'a Owners,
    shares: Shares,
}

impl<'a> Walk<'a> {
    /// All that is in a directory, which is `path` below the root and belongs to `owner`. What cannot be read counts nothing.
    fn directory(&mut self, open: &OwnedFd, path: &str, owner: Option<&'a str>, depth: usize) {
        let Ok(list) = Dir::read_from(open) else { return };
        for entry in list.flatten() {
            let name = entry.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            let below = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            let owner = self.owners.at(&below).or(owner);
            let Ok(is_directory) = self.entry(open.as_fd(), entry.file_name(), owner) else { continue };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if is_directory
                && depth + 1 < DEPTH_MAX
                && let Ok(child) = rustix::fs::openat(open, entry.file_name(), flags, Mode::empty())
            {
                self.directory(&child, &below, owner, depth + 1);
            }
        }
    }

    /// Counts one thing; whether it is a directory to go into.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &std::ffi::CStr,
        owner: Option<&str>,
    ) -> Result<bool, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = rustix::fs::statx(parent, name, flags, StatxFlags::BASIC_STATS)?;
        let kind = FileType::from_raw_mode(u32::from(stat.stx_mode));
        if let Some(owner) = owner {
            if !self.shares.contains_key(owner) {
                self.shares.insert(owner.to_owned(), Share::default());
            }
            if let Some(share) = self.shares.get_mut(owner) {
                share.bytes += stat.stx_blocks * 512;
                share.inodes += 1;
                share.sockets += u64::from(kind == FileType::Socket);
            }
        }
        let mounted = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        Ok(kind == FileType::Directory && !mounted)
    }
}

/// A look that is under way.
#[derive(Debug)]
pub struct Look {
    pipe: OwnedFd,
    pid: i32,
    text: Vec<u8>,
    end: Instant,
}

/// What came of it so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// It goes on.
    Not,
    /// It failed, or took too long.
    Failed,
    /// All shares that are not nothing.
    Done(Shares),
}

impl Look {
    /// Begin: `owners` is called in the child, which has the caller's memory as it is now.
    ///
    /// # Errors
    /// When there is no child to be had.
    pub fn begin(root: &str, owners: impl FnOnce() -> Owners) -> Result<Look, OsError> {
        let (pipe, write) = pipe_with(PipeFlags::CLOEXEC).attempt("pipe", root)?;
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK).attempt("pipe", root)?;
        let raw = write.as_raw_fd();
        let pid = crate::sys::process::offload(|| {
            crate::sys::process::close_all_but(raw);
            let _ = rustix::process::nice(19);
            let Ok(shares) = shares(root, owners()) else { return 1 };
            i32::from(std::fs::File::from(write).write_all(&to_text(&shares)).is_err())
        })
        .attempt("fork to look at", root)?;
        Ok(Look { pipe, pid, text: Vec::new(), end: Instant::now() + LIMIT })
    }

    /// What to wait for.
    pub fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// How long it may still take.
    pub fn time_left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// It takes too long.
    pub fn kill(&self) {
        let _ = process::kill(self.pid, libc::SIGKILL, None);
    }

    /// Take what there is to be read.
    pub fn read(&mut self) -> Looked {
        let mut buffer = [0; 16 << 10];
        loop {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(0) => return from_text(&self.text).map_or(Looked::Failed, Looked::Done),
                Ok(count) if self.text.len() < TEXT_MAX => self.text.extend_from_slice(&buffer[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Looked::Not,
                _ => return Looked::Failed,
            }
        }
    }
}

/// What a complete text ends with.
const END: &str = ".";

/// `UNIT BYTES INODES SOCKETS` lines, and the end.
fn to_text(shares: &Shares) -> Vec<u8> {
    let line = |(unit, share): (&String, &Share)| {
        format!("{unit} {} {} {}\n", share.bytes, share.inodes, share.sockets)
    };
    let mut text: String = shares.iter().map(line).collect();
    text.push_str(END);
    text.into_bytes()
}

fn from_text(text: &[u8]) -> Option<Shares> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix(END)?;
    text.lines()
        .map(|line| {
            let mut words = line.split(' ');
            let unit = words.next()?.to_owned();
            let mut number = || words.next()?.parse().ok();
            Some((unit, Share { bytes: number()?, inodes: number()?, sockets: number()? }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::os::unix::fs::symlink;

    fn scene(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        std::fs::create_dir_all(scratch.join("a/of-b/deep")).expect("mkdir");
        std::fs::write(scratch.join("a/of-b/deep/file"), [1; 5000]).expect("write");
        std::fs::write(scratch.join("a/file"), [1; 5000]).expect("write");
        std::fs::write(scratch.join("nobodys"), "1").expect("write");
        symlink("/", scratch.join("a/out")).expect("link");
        scratch
    }

    fn owners() -> Owners {
        let mut owners = Owners::default();
        owners.add("a", "a.service");
        owners.add("a/of-b", "b.service");
        owners.add("gone", "c.service");
        owners
    }

    #[test]
    fn each_has_what_is_below_its_paths_and_no_nearer_ones() {
        let scratch = scene("shares");
        let shares = shares(scratch.path(), owners()).expect("looked");
        assert_eq!(shares.keys().collect::<Vec<_>>(), ["a.service", "b.service"]);
        assert_eq!([shares["a.service"].inodes, shares["b.service"].inodes], [3, 3]);
        assert!((5000..20_000).contains(&shares["a.service"].bytes), "{shares:?}");
        assert_eq!(from_text(&to_text(&shares)), Some(shares));
    }

    #[test]
    fn a_child_looks_and_half_a_text_is_none() {
        let scratch = scene("shares-child");
        let mut look = Look::begin(scratch.path(), owners).expect("begun");
        let shares = loop {
            match look.read() {
                Looked::Not => std::thread::sleep(Duration::from_millis(1)),
                Looked::Failed => panic!("failed"),
                Looked::Done(shares) => break shares,
            }
        };
        assert_eq!(shares["b.service"].inodes, 3);
        assert_eq!(from_text(b"a.service 1 2 3\n"), None);
        assert_eq!(from_text(b"a.service 1 2\n."), None);
        let look = Look::begin("/no/such/directory", owners).expect("begun");
        let mut look = look;
        while look.read() == Looked::Not {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(look.read(), Looked::Failed);
    }
}
