//! Namespaces of a process (systemd.exec(5), "Sandboxing", "Paths"). What lies where is decided by `mount_settings` and `mounts`.
use super::builder::Builder;
use super::mount_settings::collect;
use super::mounts::{Content, Entry, Kind, Place, places};
use super::{ExitStatus, OnError, Op, PlanError, Reg};
use crate::directives::ids;
use std::collections::BTreeSet;

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
pub(super) const STRICTATIME: u64 = 0x20;
const FAIL: OnError = OnError::Fail(ExitStatus::Namespace);

/// Enter all that are asked for.
pub(super) fn enter(b: &mut Builder) -> Result<(), PlanError> {
    network_and_ipc(b);
    if !b.sandboxed() {
        root_only(b);
        return Ok(());
    }
    let wanted = collect(b);
    if wanted.needed {
        mounts(b, wanted.entries)?;
    }
    if b.settings().bool(ids::PROTECT_HOSTNAME) && allowed(b, "ProtectHostname") {
        b.weaken(Op::Unshare(CLONE_NEWUTS), "ProtectHostname");
    }
    Ok(())
}

/// What the processes of a unit have together, those with all privileges (`+`) too.
fn network_and_ipc(b: &mut Builder) {
    let s = b.settings();
    if let Some(path) = s.text(ids::NETWORK_NAMESPACE_PATH) {
        let op = Op::Setns { path: path.to_owned(), kind: CLONE_NEWNET };
        b.fail(op, "NetworkNamespacePath", ExitStatus::Network);
    } else if s.bool(ids::PRIVATE_NETWORK) && allowed(b, "PrivateNetwork") {
        let op = own(b, b.facts.network, CLONE_NEWNET, "net");
        b.fail(op, "PrivateNetwork", ExitStatus::Network);
        b.weaken(Op::LoopbackUp, "PrivateNetwork");
    }
    if let Some(path) = s.text(ids::IPC_NAMESPACE_PATH) {
        let op = Op::Setns { path: path.to_owned(), kind: CLONE_NEWIPC };
        b.fail(op, "IPCNamespacePath", ExitStatus::Namespace);
    } else if s.bool(ids::PRIVATE_IPC) && allowed(b, "PrivateIPC") {
        let op = own(b, b.facts.ipc, CLONE_NEWIPC, "ipc");
        b.fail(op, "PrivateIPC", ExitStatus::Namespace);
    }
}

/// A namespace of the unit's own; its processes share it. Behind a PAM session the manager's descriptors are out of reach.
fn own(b: &Builder, storage: Option<[i32; 2]>, kind: u64, name: &str) -> Op {
    match storage.filter(|_| b.pam_service().is_none()) {
        Some(storage) => Op::ShareNamespace { storage, kind, path: format!("/proc/self/ns/{name}") },
        None => Op::Unshare(kind),
    }
}

/// Whether namespaces may be made; if not the ledger says so.
fn allowed(b: &mut Builder, setting: &'static str) -> bool {
    let allowed = b.facts.kernel.mount_namespaces;
    if !allowed {
        b.skip(setting, "namespaces may not be made here");
    }
    allowed
}

/// The root directory, if it is another.
pub(super) fn root_directory<'a>(b: &Builder<'a>) -> Option<&'a str> {
    b.settings().text(ids::ROOT_DIRECTORY).filter(|root| *root != "/")
}

/// Commands with `+` still run in the root directory, unless only the main ones do.
fn root_only(b: &mut Builder) {
    if let Some(root) = root_directory(b) {
        b.fail(Op::Chroot { root: root.to_owned() }, "RootDirectory", ExitStatus::Chroot);
    }
}

/// Without mount namespaces hardening is skipped; what the process works on is not.
fn without(b: &mut Builder, entries: &[Entry]) -> Result<(), PlanError> {
    let why = "mount namespaces may not be made here";
    if let Some(entry) = entries.iter().find(|entry| entry.must) {
        return Err(b.error(entry.setting, ExitStatus::Namespace, why));
    }
    let settings: BTreeSet<&'static str> = entries.iter().map(|entry| entry.setting).collect();
    settings.into_iter().for_each(|setting| b.skip(setting, why));
    root_only(b);
    Ok(())
}

/// A mount namespace with these entries. In order: trees of the host into registers; the root; what is new, where other
/// places are below it; clones of what gets other attributes than what is above it, while all is as it was; attributes, parents
/// first, each clone on top of its parent's.
fn mounts(b: &mut Builder, mut entries: Vec<Entry>) -> Result<(), PlanError> {
    let kernel = b.facts.kernel;
    if !kernel.mount_namespaces || !kernel.mount_setattr {
        return without(b, &entries);
    }
    let run = b.facts.run_root.clone();
    let stage = format!("{run}/systemd/mount-rootfs");
    if b.is_system() {
        traces(b, &run, &stage);
        entries.push(Entry::incoming(&run, b.spec.unit.as_str()));
    }
    private_tmp(b);
    b.push(Op::Unshare(CLONE_NEWNS), "PrivateMounts", FAIL);
    let slave =
        Op::Mount { source: None, target: "/".into(), fstype: None, flags: MS_SLAVE | MS_REC, data: None };
    b.push(slave, "PrivateMounts", FAIL);
    let places = places(entries);
    let mut trees: Vec<Option<Reg>> = places.iter().map(|place| new_tree(b, place)).collect();
    let hides = places.iter().any(|place| place.content == Content::Hidden);
    let old_root = enter_root(b, &stage, hides.then(|| format!("{run}/systemd/inaccessible")));
    for (place, tree) in places.iter().zip(&mut trees) {
        prepare(b, place, tree);
    }
    for (place, tree) in places.iter().zip(&mut trees) {
        keep(b, place, tree);
    }
    for place in places.iter().filter(|place| place.is_mounted_twice()) {
        b.ignore(Op::Unmount { target: place.path.clone() }, place.setting);
    }
    if let Some(old) = old_root {
        b.push(Op::DropRoot { old }, "RootDirectory", FAIL);
    }
    for (place, tree) in places.iter().zip(&trees) {
        settle(b, place, *tree);
    }
    b.push(Op::Chdir { path: "/".into() }, "PrivateMounts", FAIL);
    if b.settings().bool(ids::NO_NEW_PRIVILEGES) || b.dynamic_user() {
        let op = attributes("/", NOSUID, 0, true);
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

/// Make the root directory the root, with the old one kept in a register: absolute links lead to where the process sees them
/// from now on. `nodes` (what hides others) becomes the working directory.
fn enter_root(b: &mut Builder, stage: &str, nodes: Option<String>) -> Option<Reg> {
    const SETTING: &str = "RootDirectory";
    let Some(root) = root_directory(b) else {
        if let Some(path) = nodes {
            b.push(Op::Chdir { path }, "PrivateMounts", FAIL);
        }
        return None;
    };
    let mut open = |path: String| {
        let into = b.register();
        b.push(Op::OpenDirectory { into, path }, SETTING, FAIL);
        into
    };
    let (old, nodes) = (open("/".to_owned()), nodes.map(open));
    let tree = b.register();
    let clone = Op::CloneTree { into: tree, path: root.to_owned(), recursive: true, optional: false };
    b.push(clone, SETTING, FAIL);
    b.push(Op::AttachTree { from: tree, target: stage.to_owned() }, SETTING, FAIL);
    b.push(Op::PivotRoot { root: stage.to_owned() }, SETTING, FAIL);
    if let Some(directory) = nodes {
        b.push(Op::EnterDirectory { directory }, SETTING, FAIL);
    }
    Some(old)
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

/// What is new at a place, in a register.
fn new_tree(b: &mut Builder, place: &Place) -> Option<Reg> {
    let Content::New(kind) = &place.content else { return None };
    let into = b.register();
    let (setting, optional) = (place.setting, place.optional);
    let has_root = root_directory(b).is_some();
    let new = |fstype: &str, options: &[(String, String)]| {
        let attributes = NOSUID | NODEV | NOEXEC;
        Op::NewFilesystem { into, fstype: fstype.into(), options: options.to_vec(), attributes }
    };
    let host = |path: &str| Op::CloneTree { into, path: path.into(), recursive: true, optional: true };
    match kind {
        Kind::Bind { source, recursive, attributes } => {
            b.push(
                Op::CloneTree { into, path: source.clone(), recursive: *recursive, optional },
                setting,
                FAIL,
            );
            if attributes & !RDONLY != 0 {
                let (set, recursive) = (attributes & !RDONLY, *recursive);
                b.push(Op::TreeAttr { tree: into, set, clear: 0, recursive }, setting, FAIL);
            }
        }
        Kind::Tmpfs { options, attributes, .. } => {
            let op = Op::NewTmpfs { into, options: options.clone(), attributes: *attributes };
            b.push(op, setting, FAIL);
        }
        // In a container whose /proc is partly hidden the kernel refuses a new one: the old one stays.
        Kind::Proc { options } => {
            if has_root {
                b.push(host("/proc"), setting, FAIL);
            }
            b.weaken(new("proc", options), setting);
        }
        Kind::Sysfs => {
            if has_root {
                b.push(host("/sys"), setting, FAIL);
            }
            b.weaken(new("sysfs", &[]), setting);
        }
        Kind::Mqueue => b.weaken(new("mqueue", &[]), setting),
        Kind::Devices => super::devices::make(b, into),
        Kind::Inaccessible | Kind::ReadOnly | Kind::ReadWrite | Kind::NoExec | Kind::Exec => {}
    }
    Some(into)
}

/// Make the mount point of what is new, and mount it already when there are places in it.
fn prepare(b: &mut Builder, place: &Place, tree: &mut Option<Reg>) {
    let Some(like) = *tree else { return };
    // The kernel's file systems go where there is a place for them; only a root directory gets one.
    let kernels = matches!(place.content, Content::New(Kind::Proc { .. } | Kind::Sysfs | Kind::Mqueue));
    if !kernels || root_directory(b).is_some() {
        b.ignore(Op::MountPoint { path: place.path.clone(), like }, place.setting);
    }
    if place.holds {
        attach(b, place, like);
        *tree = None;
    }
}

/// Take what is to be at the place, as it is before attributes change, into a register.
fn keep(b: &mut Builder, place: &Place, tree: &mut Option<Reg>) {
    let (path, optional) = (place.path.clone(), place.optional);
    let cloned = match &place.content {
        Content::Hidden => true,
        Content::Same => path != "/",
        Content::New(_) => place.is_mounted_twice(),
    };
    if !cloned {
        return;
    }
    let into = b.register();
    let op = match &place.content {
        // The node has to be of the kind of what it hides; the register of what is hidden decides.
        Content::Hidden => Op::CloneHiding { into, hidden: path, optional },
        _ => Op::CloneTree { into, path, recursive: true, optional },
    };
    b.push(op, place.setting, FAIL);
    *tree = Some(into);
}

/// Set the attributes of a place and mount what is not mounted there yet.
fn settle(b: &mut Builder, place: &Place, tree: Option<Reg>) {
    let mut set = if place.attributes.read_only { RDONLY } else { 0 };
    let mut clear = 0;
    match place.attributes.executes {
        Some(true) => clear |= NOEXEC,
        Some(false) => set |= NOEXEC,
        None => {}
    }
    // Terminals and shared memory stay what they are in a `/dev` of its own.
    let recursive = place.content != Content::New(Kind::Devices);
    match tree {
        _ if set | clear == 0 => {}
        Some(tree) => b.push(Op::TreeAttr { tree, set, clear, recursive }, place.setting, FAIL),
        None => {
            let on_error = if place.optional { OnError::Ignore } else { FAIL };
            b.push(attributes(&place.path, set, clear, recursive), place.setting, on_error);
        }
    }
    if let Some(tree) = tree {
        attach(b, place, tree);
    }
}

fn attach(b: &mut Builder, place: &Place, tree: Reg) {
    let on_error = if place.optional { OnError::Ignore } else { FAIL };
    b.push(Op::AttachTree { from: tree, target: place.path.clone() }, place.setting, on_error);
}

/// Attributes of what is mounted at a path, and below it.
fn attributes(target: &str, set: u64, clear: u64, recursive: bool) -> Op {
    Op::MountAttr { target: target.to_owned(), set, clear, recursive, only_if: None }
}
