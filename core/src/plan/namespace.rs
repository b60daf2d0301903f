//! Namespaces of a process (systemd.exec(5), "Sandboxing", "Paths"). What lies where is decided by `mounts`.
use super::builder::Builder;
use super::mount_settings::collect;
use super::mounts::{Entry, Kind, sort};
use super::{ExitStatus, OnError, Op, PlanError, Reg};
use crate::directives::ids;

const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWUTS: u64 = 0x0400_0000;
const CLONE_NEWIPC: u64 = 0x0800_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;
const MS_REC: u64 = 1 << 14;
const MS_SLAVE: u64 = 1 << 19;
const MS_SHARED: u64 = 1 << 20;
pub(super) const RDONLY: u64 = 1;
pub(super) const NOSUID: u64 = 2;
pub(super) const NODEV: u64 = 4;
pub(super) const NOEXEC: u64 = 8;
const FAIL: OnError = OnError::Fail(ExitStatus::Namespace);

/// Enter all that are asked for.
pub(super) fn enter(b: &mut Builder) -> Result<(), PlanError> {
    let s = b.settings();
    if !b.sandboxed() {
        root_only(b);
        return Ok(());
    }
    if let Some(path) = s.text(ids::NETWORK_NAMESPACE_PATH) {
        let op = Op::Setns { path: path.to_owned(), kind: CLONE_NEWNET };
        b.fail(op, "NetworkNamespacePath", ExitStatus::Network);
    } else if s.bool(ids::PRIVATE_NETWORK) && allowed(b, "PrivateNetwork") {
        b.fail(Op::Unshare(CLONE_NEWNET), "PrivateNetwork", ExitStatus::Network);
        b.weaken(Op::LoopbackUp, "PrivateNetwork");
    }
    if let Some(path) = s.text(ids::IPC_NAMESPACE_PATH) {
        let op = Op::Setns { path: path.to_owned(), kind: CLONE_NEWIPC };
        b.fail(op, "IPCNamespacePath", ExitStatus::Namespace);
    } else if s.bool(ids::PRIVATE_IPC) && allowed(b, "PrivateIPC") {
        b.fail(Op::Unshare(CLONE_NEWIPC), "PrivateIPC", ExitStatus::Namespace);
    }
    let wanted = collect(b);
    if wanted.needed {
        mounts(b, wanted.entries)?;
    }
    if s.bool(ids::PROTECT_HOSTNAME) && allowed(b, "ProtectHostname") {
        b.weaken(Op::Unshare(CLONE_NEWUTS), "ProtectHostname");
    }
    Ok(())
}

/// Whether namespaces may be made; if not the ledger says so.
fn allowed(b: &mut Builder, setting: &'static str) -> bool {
    let allowed = b.facts.kernel.mount_namespaces;
    if !allowed {
        b.skip(setting, "namespaces may not be made here");
    }
    allowed
}

/// Commands with `+` still run in the root directory, unless only the main ones do.
fn root_only(b: &mut Builder) {
    if let Some(root) = b.settings().text(ids::ROOT_DIRECTORY).filter(|root| *root != "/") {
        b.fail(Op::Chroot { root: root.to_owned() }, "RootDirectory", ExitStatus::Chroot);
    }
}

/// A mount namespace with these entries.
fn mounts(b: &mut Builder, mut entries: Vec<Entry>) -> Result<(), PlanError> {
    let kernel = b.facts.kernel;
    if !kernel.mount_namespaces || !kernel.mount_setattr {
        if let Some(entry) = entries.iter().find(|entry| entry.must) {
            let why = "mount namespaces may not be made here";
            return Err(b.error(entry.setting, ExitStatus::Namespace, why));
        }
        let mut settings: Vec<&'static str> = entries.iter().map(|entry| entry.setting).collect();
        settings.sort_unstable();
        settings.dedup();
        for setting in settings {
            b.skip(setting, "mount namespaces may not be made here");
        }
        return Ok(());
    }
    let run = b.facts.run_root.clone();
    let system = b.is_system();
    let root = b.settings().text(ids::ROOT_DIRECTORY).filter(|root| *root != "/").map(str::to_owned);
    let stage = format!("{run}/systemd/mount-rootfs");
    if system {
        traces(b, &run, &stage);
    }
    private_tmp(b);
    b.push(Op::Unshare(CLONE_NEWNS), "PrivateMounts", FAIL);
    let slave =
        Op::Mount { source: None, target: "/".into(), fstype: None, flags: MS_SLAVE | MS_REC, data: None };
    b.push(slave, "PrivateMounts", FAIL);
    if system {
        entries.push(Entry::incoming(&run, b.spec.unit.as_str()));
    }
    let prefix = if root.is_some() { stage.clone() } else { String::new() };
    let entries = sort(entries);
    // Clones are taken before anything changes, so that each keeps the flags its mounts have now.
    let trees = clone_sources(b, &entries, &run);
    if let Some(root) = &root {
        let tree = b.register();
        b.push(
            Op::CloneTree { into: tree, path: root.clone(), recursive: true, optional: false },
            "RootDirectory",
            FAIL,
        );
        b.push(Op::AttachTree { from: tree, target: stage.clone() }, "RootDirectory", FAIL);
    }
    for (entry, tree) in entries.iter().zip(&trees) {
        attach(b, entry, *tree, &prefix, &entries);
    }
    for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::Tmpfs { read_only: true, .. })) {
        set_attributes(b, entry, &format!("{prefix}{}", entry.path), RDONLY, false);
    }
    if root.is_some() {
        b.push(Op::PivotRoot { root: stage }, "RootDirectory", FAIL);
    }
    if b.settings().bool(ids::NO_NEW_PRIVILEGES) || b.dynamic_user() {
        let op = attributes("/", NOSUID, true);
        b.push(op, "NoNewPrivileges", OnError::Weaken);
    }
    let flags = match b.settings().int(ids::MOUNT_FLAGS) as u64 {
        0 => MS_SHARED,
        flags => flags,
    };
    let op = Op::Mount { source: None, target: "/".into(), fstype: None, flags: flags | MS_REC, data: None };
    b.push(op, "MountFlags", FAIL);
    Ok(())
}

/// What the reference leaves below `/run/systemd` when it makes a mount namespace.
fn traces(b: &mut Builder, run: &str, stage: &str) {
    let paths = [
        (format!("{run}/systemd/propagate"), 0o755),
        (format!("{run}/systemd/propagate/{}", b.spec.unit), 0o600),
        (format!("{run}/systemd/incoming"), 0o755),
        (stage.to_owned(), 0o555),
    ];
    for (path, mode) in paths {
        b.push(Op::Mkdir { path, mode }, "PrivateMounts", FAIL);
    }
}

/// The directories behind `PrivateTmp=`: closed to others, inside as open as `/tmp`.
fn private_tmp(b: &mut Builder) {
    const SETTING: &str = "PrivateTmp";
    let Some(name) = b.facts.private_tmp.clone() else { return };
    if b.settings().word(ids::PRIVATE_TMP) != "connected" {
        return;
    }
    let (uid, gid) = (b.facts.own_user.uid, b.facts.own_user.gid);
    for base in ["/tmp", "/var/tmp"] {
        let outer = format!("{base}/{name}");
        let inner = format!("{outer}/tmp");
        b.push(Op::OwnDirectory { path: outer, mode: 0o700, uid, gid }, SETTING, FAIL);
        b.push(Op::OwnedDirectory { path: inner, mode: 0o1777, uid, gid, deep: false }, SETTING, FAIL);
    }
}

/// A register for each entry that has something to attach.
fn clone_sources(b: &mut Builder, entries: &[Entry], run: &str) -> Vec<Option<Reg>> {
    let mut trees = Vec::with_capacity(entries.len());
    for entry in entries {
        let (path, recursive) = match &entry.kind {
            Kind::Bind { source, recursive, .. } => (source.clone(), *recursive),
            Kind::ReadOnly | Kind::ReadWrite | Kind::Exec | Kind::NoExec => (entry.path.clone(), true),
            Kind::Inaccessible => (String::new(), false),
            Kind::Tmpfs { .. } | Kind::Proc { .. } | Kind::Devices | Kind::Mqueue | Kind::Sysfs => {
                trees.push(Some(b.register()));
                continue;
            }
        };
        if entry.path == "/" {
            trees.push(None);
            continue;
        }
        let into = b.register();
        if entry.kind == Kind::Inaccessible {
            // The node has to be of the kind of what it hides; the register of what is hidden decides.
            let op = Op::CloneHiding {
                into,
                hidden: entry.path.clone(),
                nodes: format!("{run}/systemd/inaccessible"),
                optional: entry.optional,
            };
            b.push(op, entry.setting, FAIL);
        } else {
            b.push(Op::CloneTree { into, path, recursive, optional: entry.optional }, entry.setting, FAIL);
        }
        if matches!(entry.kind, Kind::Bind { .. }) && !below_new(entry, entries) {
            b.ignore(Op::MountPoint { path: entry.path.clone(), like: into }, entry.setting);
        }
        trees.push(Some(into));
    }
    trees
}

/// Whether a file system of our own is mounted above the entry, in which its mount point is still to be made.
fn below_new(entry: &Entry, entries: &[Entry]) -> bool {
    entries.iter().any(|above| {
        matches!(above.kind, Kind::Tmpfs { .. } | Kind::Devices)
            && above.path != entry.path
            && above.covers(&entry.path)
    })
}

fn attributes(target: &str, set: u64, recursive: bool) -> Op {
    Op::MountAttr { target: target.to_owned(), set, clear: 0, propagation: 0, recursive, only_if: None }
}

fn set_attributes(b: &mut Builder, entry: &Entry, target: &str, set: u64, recursive: bool) {
    let on_error = if entry.optional { OnError::Ignore } else { FAIL };
    b.push(attributes(target, set, recursive), entry.setting, on_error);
}

fn attach(b: &mut Builder, entry: &Entry, tree: Option<Reg>, prefix: &str, entries: &[Entry]) {
    let target = format!("{prefix}{}", entry.path);
    let flag = |b: &mut Builder, set: u64, clear: u64| match tree {
        Some(tree) => b.push(Op::TreeAttr { tree, set, clear }, entry.setting, FAIL),
        None => {
            let op = Op::MountAttr {
                target: "/".into(),
                set,
                clear,
                propagation: 0,
                recursive: true,
                only_if: None,
            };
            b.push(op, entry.setting, FAIL);
        }
    };
    match &entry.kind {
        Kind::ReadOnly => flag(b, RDONLY, 0),
        Kind::NoExec => flag(b, NOEXEC, 0),
        Kind::Exec => flag(b, 0, NOEXEC),
        Kind::Bind { attributes, .. } if *attributes != 0 => flag(b, *attributes, 0),
        Kind::Inaccessible => flag(b, RDONLY | NOEXEC, 0),
        _ => {}
    }
    let Some(tree) = tree else { return };
    match &entry.kind {
        Kind::Tmpfs { options, attributes, .. } => {
            let op = Op::NewTmpfs { into: tree, options: options.clone(), attributes: *attributes };
            b.push(op, entry.setting, FAIL);
        }
        Kind::Proc { options } => {
            let op = Op::NewFilesystem {
                into: tree,
                fstype: "proc".into(),
                options: options.clone(),
                attributes: NOSUID | NODEV | NOEXEC,
            };
            // In a container whose /proc is partly hidden the kernel refuses a new one.
            b.weaken(op, entry.setting);
        }
        Kind::Mqueue | Kind::Sysfs => {
            let fstype = if entry.kind == Kind::Mqueue { "mqueue" } else { "sysfs" };
            let attributes = NOSUID | NODEV | NOEXEC;
            let op = Op::NewFilesystem { into: tree, fstype: fstype.into(), options: Vec::new(), attributes };
            b.weaken(op, entry.setting);
        }
        Kind::Devices => {
            super::devices::make(b, tree, &target);
            return;
        }
        _ => {}
    }
    if below_new(entry, entries) || matches!(entry.kind, Kind::Tmpfs { .. }) {
        b.ignore(Op::MountPoint { path: target.clone(), like: tree }, entry.setting);
    }
    let on_error = if entry.optional { OnError::Ignore } else { FAIL };
    b.push(Op::AttachTree { from: tree, target }, entry.setting, on_error);
}
