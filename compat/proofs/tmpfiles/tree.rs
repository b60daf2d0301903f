//! Generated trees of files: of every kind, owner, mode and age, with locks and listening sockets.

use crate::dice::Dice;
use runstead_compat::{Error, Result};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Gid, IFlags, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags,
    chmodat, chownat, flock, ioctl_setflags, lsetxattr, makedev, mknodat, open, utimensat,
};
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Few, so that lines and trees meet.
pub const NAMES: [&str; 12] = ["a", "b", "c", "ab", "d1", "sub", "x y", ".dot", "f", "a*b", "link", "deep"];
const OWNERS: [u32; 8] = [0, 0, 0, 0, 1, 1, 1000, 65534];
const DIRECTORY_MODES: [u32; 9] = [0o755, 0o755, 0o755, 0o700, 0o1777, 0o2755, 0o777, 0o000, 0o1755];
const FILE_MODES: [u32; 9] = [0o644, 0o644, 0o600, 0o755, 0o000, 0o4755, 0o2711, 0o1644, 0o444];
/// Seconds before now.
const AGES: [i64; 7] = [0, 0, 1200, 7200, 300_000, 4_000_000, -7200];

/// What lies at a path.
#[derive(Debug, Clone)]
pub enum Kind {
    Directory,
    Mount,
    File(Vec<u8>),
    Link(String),
    HardLink(String),
    Fifo,
    Socket { listens: bool },
    Device(FileType, u32, u32),
}

/// One path, relative to the tree's top.
#[derive(Debug, Clone)]
pub struct Node {
    pub path: String,
    pub kind: Kind,
    mode: u32,
    owner: u32,
    group: u32,
    modified: i64,
    accessed: i64,
    locked: bool,
    attribute: Option<(&'static str, Vec<u8>)>,
    flags: IFlags,
}

/// A tree whose parents come before their children.
pub fn generate(dice: &mut Dice) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut directories = vec![String::new()];
    for _ in 0..3 + dice.below(20) {
        let parent = dice.pick(&directories).clone();
        let name = *dice.pick(&NAMES);
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        if nodes.iter().any(|node| node.path == path) || path.split('/').count() > 5 {
            continue;
        }
        let kind = kind(dice, &nodes);
        if matches!(kind, Kind::Directory | Kind::Mount) {
            directories.push(path.clone());
        }
        nodes.push(node(dice, path, kind));
    }
    nodes
}

fn kind(dice: &mut Dice, nodes: &[Node]) -> Kind {
    match dice.below(40) {
        0..=17 => Kind::Directory,
        18..=28 => {
            Kind::File(dice.pick(&["", "old\n", "some text", "#!/bin/sh\nexit 0\n"]).as_bytes().to_vec())
        }
        29..=33 => Kind::Link(match nodes.is_empty() || dice.one_in(4) {
            true => (*dice.pick(&["nowhere", ".", "/nowhere/else", "a", "link"])).to_owned(),
            // Absolute ones are completed when the tree is made.
            false => format!("/{}", dice.pick(nodes).path),
        }),
        34 => Kind::Fifo,
        35 | 36 => Kind::Socket { listens: dice.one_in(2) },
        37 => match nodes.iter().find(|node| matches!(node.kind, Kind::File(_))) {
            Some(file) => Kind::HardLink(file.path.clone()),
            None => Kind::Fifo,
        },
        38 => match dice.one_in(3) {
            true => Kind::Device(FileType::BlockDevice, 240, 200),
            false => Kind::Device(FileType::CharacterDevice, 1, 3),
        },
        _ => Kind::Mount,
    }
}

fn node(dice: &mut Dice, path: String, kind: Kind) -> Node {
    let modes = if matches!(kind, Kind::Directory | Kind::Mount) { &DIRECTORY_MODES } else { &FILE_MODES };
    let mode = *dice.pick(modes);
    let owner = *dice.pick(&OWNERS);
    let group = if dice.one_in(3) { *dice.pick(&OWNERS) } else { owner };
    let modified = *dice.pick(&AGES);
    let accessed = if dice.one_in(2) { modified } else { *dice.pick(&AGES) };
    // An access control list of the owner, one more user, the group, the mask, and others; numbers as acl(5) lays them out.
    let list = [(1, 6, u32::MAX), (2, 7, 1), (4, 4, u32::MAX), (16, 7, u32::MAX), (32, 4, u32::MAX)];
    let attribute = match (dice.below(14), &kind) {
        (0, Kind::Directory | Kind::File(_)) => Some(("system.posix_acl_access", acl(&list))),
        (1, Kind::Directory) => Some(("system.posix_acl_default", acl(&list))),
        (2, Kind::Directory | Kind::File(_)) => Some(("user.old", b"value".to_vec())),
        (3, _) => Some(("trusted.old", b"value".to_vec())),
        _ => None,
    };
    let flags = match (dice.below(40), &kind) {
        (0, Kind::Directory | Kind::File(_)) => IFlags::IMMUTABLE,
        (1, Kind::Directory | Kind::File(_)) => IFlags::APPEND,
        (2, Kind::Directory | Kind::File(_)) => IFlags::NODUMP,
        _ => IFlags::empty(),
    };
    let locked = matches!(kind, Kind::Directory | Kind::File(_)) && dice.one_in(12);
    Node { path, kind, mode, owner, group, modified, accessed, locked, attribute, flags }
}

/// As the kernel takes it: version 2, then tag, permissions and id of each entry.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// What has to stay open as long as the tree is used.
#[derive(Default)]
pub struct Held {
    _sockets: Vec<UnixListener>,
    _locks: Vec<OwnedFd>,
}

/// Makes the tree below `top`, which the program sees as `seen`; `now` in seconds since 1970.
pub fn make(nodes: &[Node], top: &Path, seen: &Path, now: i64) -> Result<Held> {
    let mut held = Held::default();
    for node in nodes {
        let path = top.join(&node.path);
        create(node, top, seen, &mut held).map_err(Error::on("create", &path))?;
        furnish(node, &path).map_err(Error::on("set owner, mode or attributes of", &path))?;
        if node.locked {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let lock = open(&path, flags, Mode::empty()).map_err(Error::on("open", &path))?;
            flock(&lock, FlockOperation::NonBlockingLockShared).map_err(Error::on("lock", &path))?;
            held._locks.push(lock);
        }
    }
    // Children change their parents' times, and no longer can when these do not let them.
    for node in nodes.iter().rev() {
        let path = top.join(&node.path);
        let time = |age: i64| Timespec { tv_sec: now - age, tv_nsec: 0 };
        let times = Timestamps { last_access: time(node.accessed), last_modification: time(node.modified) };
        utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::on("set times of", &path))?;
        if !node.flags.is_empty() {
            let flags = OFlags::RDONLY | OFlags::NOATIME | OFlags::CLOEXEC;
            let descriptor = open(&path, flags, Mode::empty()).map_err(Error::on("open", &path))?;
            ioctl_setflags(&descriptor, node.flags).map_err(Error::on("set flags of", &path))?;
        }
    }
    Ok(held)
}

fn create(node: &Node, top: &Path, seen: &Path, held: &mut Held) -> std::io::Result<()> {
    let path = &top.join(&node.path);
    let mode = Mode::from_raw_mode(0o600);
    match &node.kind {
        Kind::Directory => fs::create_dir(path)?,
        Kind::Mount => {
            fs::create_dir(path)?;
            mount("tmpfs", path, "tmpfs", MountFlags::empty(), None)?;
        }
        Kind::File(content) => fs::write(path, content)?,
        Kind::Link(target) => match target.strip_prefix('/').filter(|_| target != "/nowhere/else") {
            Some(inside) => symlink(seen.join(inside), path)?,
            None => symlink(target, path)?,
        },
        // Not from one file system to another: then it is a file of its own.
        Kind::HardLink(other) => {
            fs::hard_link(top.join(other), path).or_else(|_| fs::write(path, "alone"))?
        }
        Kind::Fifo => mknodat(CWD, path, FileType::Fifo, mode, 0)?,
        Kind::Socket { listens: true } => held._sockets.push(UnixListener::bind(path)?),
        Kind::Socket { listens: false } => drop(UnixListener::bind(path)?),
        Kind::Device(kind, major, minor) => mknodat(CWD, path, *kind, mode, makedev(*major, *minor))?,
    }
    Ok(())
}

fn furnish(node: &Node, path: &PathBuf) -> std::io::Result<()> {
    let (owner, group) = (Uid::from_raw(node.owner), Gid::from_raw(node.group));
    chownat(CWD, path, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    if !matches!(node.kind, Kind::Link(_)) {
        chmodat(CWD, path, Mode::from_raw_mode(node.mode), AtFlags::empty())?;
    }
    if let Some((name, value)) = &node.attribute {
        lsetxattr(path, *name, value, XattrFlags::empty())?;
    }
    Ok(())
}
