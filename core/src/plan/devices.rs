//! `PrivateDevices=`: a `/dev` with pseudo devices only (systemd.exec(5)).
use super::builder::Builder;
use super::namespace::{NOEXEC, NOSUID, STRICTATIME};
use super::{ExitStatus, OnError, Op, Reg};

const SETTING: &str = "PrivateDevices";
const FAIL: OnError = OnError::Fail(ExitStatus::Namespace);
const S_IFCHR: u32 = 0o020000;

/// Name, major, minor.
const NODES: [(&str, u64, u64); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("ptmx", 5, 2),
];
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];
/// What stays mounted.
const KEPT: [&str; 4] = ["pts", "shm", "hugepages", "mqueue"];

/// Make it in the register `tree`.
pub(super) fn make(b: &mut Builder, tree: Reg) {
    let mut kept = Vec::new();
    for name in KEPT {
        let into = b.register();
        let path = format!("/dev/{name}");
        b.push(Op::CloneTree { into, path, recursive: true, optional: true }, SETTING, FAIL);
        kept.push((name, into));
    }
    // Staged on an existing directory, so that the host's nodes can still be bound where new ones are refused.
    let stage = format!("{}/systemd/mount-rootfs", b.facts.run_root);
    let staged = if b.is_system() { stage.as_str() } else { "/tmp" };
    let options = [("mode", "755"), ("size", "4m"), ("nr_inodes", "64k")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let bare = b.register();
    b.push(Op::NewTmpfs { into: bare, options, attributes: NOSUID | NOEXEC | STRICTATIME }, SETTING, FAIL);
    b.push(Op::AttachTree { from: bare, target: staged.to_owned() }, SETTING, FAIL);
    for (name, target) in LINKS.into_iter().filter(|(name, _)| *name != "core") {
        b.push(Op::Symlink { target: target.into(), path: format!("{staged}/{name}") }, SETTING, FAIL);
    }
    let log = format!("{}/systemd/journal/dev-log", b.facts.run_root);
    b.push(Op::Symlink { target: log, path: format!("{staged}/log") }, SETTING, FAIL);
    for (name, major, minor) in NODES.into_iter().filter(|(name, ..)| *name != "ptmx") {
        let device = minor & 0xff | major << 8;
        let host = format!("/dev/{name}");
        let op = Op::DeviceNode { path: format!("{staged}/{name}"), host, mode: S_IFCHR | 0o666, device };
        b.push(op, SETTING, FAIL);
        // Programs find devices by number here, too.
        let path = format!("{staged}/char/{major}:{minor}");
        b.ignore(Op::Mkdir { path: format!("{staged}/char"), mode: 0o755 }, SETTING);
        b.ignore(Op::Symlink { target: format!("../{name}"), path }, SETTING);
    }
    // New ones may be mounted on it.
    b.ignore(Op::Mkdir { path: format!("{staged}/mqueue"), mode: 0o755 }, SETTING);
    for (name, from) in kept {
        let target = format!("{staged}/{name}");
        b.ignore(Op::MountPoint { path: target.clone(), like: from }, SETTING);
        b.push(Op::AttachTree { from, target }, SETTING, FAIL);
    }
    let whole = Op::CloneTree { into: tree, path: staged.to_owned(), recursive: true, optional: false };
    b.push(whole, SETTING, FAIL);
    b.push(Op::Unmount { target: staged.to_owned() }, SETTING, FAIL);
}
