//! Encodes the steps about files, directories, namespaces and mounts.
use super::assemble::{Arg, Assembler, CWD, TEMP, TEMP2, signed};
use crate::sys::program::{Policy, special};
use runstead_core::plan::Op;

use Arg::{N, R};

/// `AT_RECURSIVE`.
const AT_RECURSIVE: u64 = 0x8000;
/// `AT_EMPTY_PATH`.
const AT_EMPTY_PATH: u64 = 0x1000;
/// `OPEN_TREE_CLONE`, and close-on-exec, which is `O_CLOEXEC`.
const OPEN_TREE_CLONE: u64 = 1;
/// `MOVE_MOUNT_F_EMPTY_PATH`.
const MOVE_MOUNT_F_EMPTY_PATH: u64 = 4;
/// `MOVE_MOUNT_T_SYMLINKS`.
const MOVE_MOUNT_T_SYMLINKS: u64 = 0x10;

const RENAME_NOREPLACE: u64 = 1;

/// Encode the step if it is one of these.
pub(super) fn encode(asm: &mut Assembler, op: &Op) -> bool {
    encode_file(asm, op) || encode_namespace(asm, op) || encode_tree(asm, op)
}

fn encode_file(asm: &mut Assembler, op: &Op) -> bool {
    match op {
        Op::Mkdir { path, mode } => {
            let path = asm.string(path);
            mkdir(asm, path, *mode);
        }
        Op::OwnDirectory { path, mode, uid, gid } => {
            let path = asm.string(path);
            mkdir(asm, path, *mode);
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
            asm.call(libc::SYS_openat, &[CWD, path, N(flags as u64), N(0)]).store = TEMP + 1;
            asm.add(special::END_IF_OWNER, &[R(TEMP), N(u64::from(*uid)), N(u64::from(*gid))]);
            // It is somebody else's: the same error as if it could not be made.
            asm.call(libc::SYS_mkdirat, &[CWD, path, N(0)]);
        }
        Op::OwnedDirectory { path, mode, uid, gid, deep } => {
            owned_directory(asm, path, *mode, (*uid, *gid), *deep)
        }
        Op::NewDirectory { path, mode, uid, gid } => {
            let (path, mode) = (asm.string(path), N(u64::from(*mode)));
            let (uid, gid) = (N(u64::from(*uid)), N(u64::from(*gid)));
            let made = asm.code.len();
            asm.call(libc::SYS_mkdirat, &[CWD, path, mode]).fine[0] = libc::EEXIST as u16;
            asm.call(libc::SYS_fchownat, &[CWD, path, uid, gid, N(libc::AT_SYMLINK_NOFOLLOW as u64)]);
            // Whatever the umask was, and since a new owner clears the set-id bits.
            asm.call(libc::SYS_fchmodat, &[CWD, path, mode]);
            asm.code[made].fine_to = asm.code.len() as u32;
        }
        Op::Symlink { target, path } => {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
            let (above, name) = (asm.string(above), asm.string(name));
            let (target, path) = (asm.string(target), asm.string(path));
            asm.add(special::MAKE_DIRECTORY, &[above, N(0o755)]).store = TEMP + 1;
            let made = asm.code.len();
            asm.call(libc::SYS_symlinkat, &[target, R(TEMP), name]);
            let jump = asm.code.len();
            asm.add(special::JUMP, &[N(0)]);
            asm.code[made].policy = Policy::Jump as u8;
            asm.code[made].fine_to = asm.code.len() as u32;
            asm.add(special::LINK_IS, &[path, target]);
            asm.code[jump].args[0] = asm.code.len() as u64;
            asm.close(TEMP);
        }
        Op::TakeBack { path, target, from } => {
            let (path, target, from) = (asm.string(path), asm.string(target), asm.string(from));
            asm.add(special::LINK_IS, &[path, target]);
            asm.call(libc::SYS_unlinkat, &[CWD, path, N(0)]);
            asm.call(libc::SYS_renameat2, &[CWD, from, CWD, path, N(RENAME_NOREPLACE)]);
        }
        Op::Rename { from, to } => {
            let (from, to) = (asm.string(from), asm.string(to));
            let fine = [libc::ENOENT as u16, libc::EEXIST as u16];
            asm.call(libc::SYS_renameat2, &[CWD, from, CWD, to, N(RENAME_NOREPLACE)]).fine = fine;
        }
        Op::MakeFile { path, bytes, mode, owner } => make_file(asm, path, bytes, *mode, *owner),
        Op::Chown { path, uid, gid, mode } => {
            let path = asm.string(path);
            let owner =
                [CWD, path, N(u64::from(*uid)), N(u64::from(*gid)), N(libc::AT_SYMLINK_NOFOLLOW as u64)];
            asm.call(libc::SYS_fchownat, &owner);
            if let Some(mode) = mode {
                asm.call(libc::SYS_fchmodat, &[CWD, path, N(u64::from(*mode))]);
            }
        }
        Op::DeviceNode { path, host, mode, device } => device_node(asm, path, host, *mode, *device),
        _ => return false,
    }
    true
}

fn mkdir(asm: &mut Assembler, path: Arg, mode: u32) {
    asm.call(libc::SYS_mkdirat, &[CWD, path, N(u64::from(mode))]).fine[0] = libc::EEXIST as u16;
}

fn owned_directory(asm: &mut Assembler, path: &str, mode: u32, owner: (u32, u32), deep: bool) {
    let path = asm.string(path);
    let (uid, gid) = (N(u64::from(owner.0)), N(u64::from(owner.1)));
    asm.add(special::MAKE_DIRECTORY, &[path, N(u64::from(mode))]).store = TEMP + 1;
    asm.call(libc::SYS_fchmod, &[R(TEMP), N(u64::from(mode))]);
    asm.add(special::END_IF_OWNER, &[R(TEMP), uid, gid]);
    if deep {
        asm.add(special::CHOWN_TREE, &[R(TEMP), uid, gid]);
    }
    asm.call(libc::SYS_fchown, &[R(TEMP), uid, gid]);
    // chown clears set-id bits.
    asm.call(libc::SYS_fchmod, &[R(TEMP), N(u64::from(mode))]);
    asm.close(TEMP);
}

fn make_file(asm: &mut Assembler, path: &str, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) {
    let path = asm.string(path);
    let content = asm.bytes(bytes);
    let flags = (libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    asm.call(libc::SYS_openat, &[CWD, path, N(flags), N(0o600)]).store = TEMP + 1;
    if !bytes.is_empty() {
        asm.add(special::WRITE_ALL, &[R(TEMP), content, N(bytes.len() as u64)]);
    }
    if let Some((uid, gid)) = owner {
        asm.call(libc::SYS_fchown, &[R(TEMP), N(u64::from(uid)), N(u64::from(gid))]);
    }
    asm.call(libc::SYS_fchmod, &[R(TEMP), N(u64::from(mode))]);
    asm.close(TEMP);
}

/// A node of our own; where making one is not allowed, an empty file with the host's node bound over it.
fn device_node(asm: &mut Assembler, path: &str, host: &str, mode: u32, device: u64) {
    let (path, host) = (asm.string(path), asm.string(host));
    let made = asm.code.len();
    asm.call(libc::SYS_mknodat, &[CWD, path, N(u64::from(mode)), N(device)]);
    asm.call(libc::SYS_fchmodat, &[CWD, path, N(u64::from(mode & 0o7777))]);
    let jump = asm.code.len();
    asm.add(special::JUMP, &[N(0)]);
    asm.code[made].policy = Policy::Jump as u8;
    asm.code[made].fine_to = asm.code.len() as u32;
    asm.call(libc::SYS_mknodat, &[CWD, path, N(u64::from(libc::S_IFREG)), N(0)]);
    asm.call(libc::SYS_mount, &[host, path, N(0), N(libc::MS_BIND), N(0)]);
    asm.code[jump].args[0] = asm.code.len() as u64;
}

fn encode_namespace(asm: &mut Assembler, op: &Op) -> bool {
    match op {
        Op::Unshare(kinds) => {
            asm.call(libc::SYS_unshare, &[N(*kinds)]);
        }
        Op::Setns { path, kind } => {
            let path = asm.string(path);
            let flags = N((libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY) as u64);
            asm.call(libc::SYS_openat, &[CWD, path, flags, N(0)]).store = TEMP + 1;
            asm.call(libc::SYS_setns, &[R(TEMP), N(*kind)]);
            asm.close(TEMP);
        }
        Op::LoopbackUp => {
            let kind = N((libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64);
            // struct ifreq: the name in 16 bytes, then the flags.
            let mut request = b"lo".to_vec();
            request.resize(16, 0);
            request.extend_from_slice(&((libc::IFF_UP | libc::IFF_RUNNING) as u16).to_ne_bytes());
            request.resize(40, 0);
            let request = asm.aligned(&request);
            asm.call(libc::SYS_socket, &[N(libc::AF_INET as u64), kind, N(0)]).store = TEMP + 1;
            asm.call(libc::SYS_ioctl, &[R(TEMP), N(libc::SIOCSIFFLAGS), request]).policy =
                Policy::Continue as u8;
            asm.close(TEMP);
        }
        Op::Mount { source, target, fstype, flags, data } => {
            let source = asm.optional(source.as_deref());
            let target = asm.string(target);
            let fstype = asm.optional(fstype.as_deref());
            let data = asm.optional(data.as_deref());
            asm.call(libc::SYS_mount, &[source, target, fstype, N(*flags), data]);
        }
        Op::Unmount { target } => {
            let target = asm.string(target);
            asm.call(libc::SYS_umount2, &[target, N((libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) as u64)]);
        }
        Op::PivotRoot { root } => {
            let (root, dot) = (asm.string(root), asm.string("."));
            asm.call(libc::SYS_chdir, &[root]);
            asm.call(libc::SYS_pivot_root, &[dot, dot]);
        }
        Op::DropRoot { old } => {
            let (old, dot, slash) = (asm.register(*old), asm.string("."), asm.string("/"));
            asm.call(libc::SYS_fchdir, &[R(old)]);
            asm.call(libc::SYS_umount2, &[dot, N(libc::MNT_DETACH as u64)]);
            asm.call(libc::SYS_chdir, &[slash]);
        }
        Op::OpenDirectory { into, path } => {
            let (into, path) = (asm.register(*into), asm.string(path));
            let flags = N((libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64);
            asm.call(libc::SYS_openat, &[CWD, path, flags, N(0)]).store = into + 1;
        }
        Op::EnterDirectory { directory } => {
            let directory = asm.register(*directory);
            asm.call(libc::SYS_fchdir, &[R(directory)]);
        }
        Op::Chroot { root } => {
            let (root, slash) = (asm.string(root), asm.string("/"));
            asm.call(libc::SYS_chroot, &[root]);
            asm.call(libc::SYS_chdir, &[slash]);
        }
        _ => return false,
    }
    true
}

fn encode_tree(asm: &mut Assembler, op: &Op) -> bool {
    match op {
        Op::CloneTree { into, path, recursive, optional } => {
            let (into, path) = (asm.register(*into), asm.string(path));
            let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u64;
            if *recursive {
                flags |= AT_RECURSIVE;
            }
            let opened = asm.call(libc::SYS_open_tree, &[CWD, path, N(flags)]);
            opened.store = into + 1;
            if *optional {
                opened.fine = [libc::ENOENT as u16, libc::ENOTDIR as u16];
            }
        }
        Op::CloneHiding { into, hidden, optional } => {
            let (into, hidden) = (asm.register(*into), asm.string(hidden));
            let flags = N((libc::O_PATH | libc::O_CLOEXEC) as u64);
            let opened = asm.call(libc::SYS_openat, &[CWD, hidden, flags, N(0)]);
            opened.store = TEMP + 1;
            if *optional {
                opened.fine = [libc::ENOENT as u16, libc::ENOTDIR as u16];
            }
            let [dir, reg, chr, fifo, sock] =
                ["dir", "reg", "chr", "fifo", "sock"].map(|node| asm.string(node));
            asm.add(special::CLONE_LIKE, &[R(TEMP), dir, reg, chr, fifo, sock]).store = into + 1;
            asm.close(TEMP);
        }
        Op::MountPoint { path, like } => {
            let like = asm.register(*like);
            asm.add(special::REQUIRE, &[R(like)]);
            for (at, _) in path.match_indices('/').skip(1) {
                let parent = asm.string(&path[..at]);
                asm.call(libc::SYS_mkdirat, &[CWD, parent, N(0o755)]).policy = Policy::Continue as u8;
            }
            let path = asm.string(path);
            asm.add(special::MAKE_LIKE, &[R(like), path]);
        }
        Op::NewTmpfs { into, options, attributes } => {
            new_filesystem(asm, *into, "tmpfs", options, *attributes);
        }
        Op::NewFilesystem { into, fstype, options, attributes } => {
            new_filesystem(asm, *into, fstype, options, *attributes);
        }
        Op::AttachTree { from, target } => {
            let (from, empty) = (asm.register(*from), asm.string(""));
            let target = asm.string(target);
            let flags = N(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
            asm.call(libc::SYS_move_mount, &[R(from), empty, CWD, target, flags]);
            asm.call(libc::SYS_close, &[R(from)]);
        }
        Op::MountAttr { target, set, clear, recursive, only_if } => {
            if let Some(reg) = only_if {
                let reg = asm.register(*reg);
                asm.add(special::REQUIRE, &[R(reg)]);
            }
            let target = asm.string(target);
            let attr = mount_attr(asm, *set, *clear);
            let flags = if *recursive { N(AT_RECURSIVE) } else { N(0) };
            asm.call(libc::SYS_mount_setattr, &[CWD, target, flags, attr, N(32)]);
        }
        Op::TreeAttr { tree, set, clear, recursive } => {
            let (tree, empty) = (asm.register(*tree), asm.string(""));
            let attr = mount_attr(asm, *set, *clear);
            let flags = N(AT_EMPTY_PATH | if *recursive { AT_RECURSIVE } else { 0 });
            asm.call(libc::SYS_mount_setattr, &[R(tree), empty, flags, attr, N(32)]);
        }
        _ => return false,
    }
    true
}

/// `struct mount_attr`: what to set, to clear, the propagation as it is, no user namespace.
fn mount_attr(asm: &mut Assembler, set: u64, clear: u64) -> Arg {
    let bytes: Vec<u8> = [set, clear, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
    asm.aligned(&bytes)
}

fn new_filesystem(
    asm: &mut Assembler,
    into: runstead_core::plan::Reg,
    fstype: &str,
    options: &[(String, String)],
    attributes: u64,
) {
    const FSOPEN_CLOEXEC: u64 = 1;
    const FSMOUNT_CLOEXEC: u64 = 1;
    const SET_FLAG: i32 = 0;
    const SET_STRING: i32 = 1;
    const CREATE: i32 = 6;
    let (into, kind) = (asm.register(into), asm.string(fstype));
    asm.call(libc::SYS_fsopen, &[kind, N(FSOPEN_CLOEXEC)]).store = TEMP2 + 1;
    for (key, value) in options {
        let (kind, value) = match value.as_str() {
            "" => (SET_FLAG, N(0)),
            value => (SET_STRING, asm.string(value)),
        };
        let key = asm.string(key);
        asm.call(libc::SYS_fsconfig, &[R(TEMP2), signed(kind), key, value, N(0)]);
    }
    asm.call(libc::SYS_fsconfig, &[R(TEMP2), signed(CREATE), N(0), N(0), N(0)]);
    asm.call(libc::SYS_fsmount, &[R(TEMP2), N(FSMOUNT_CLOEXEC), N(attributes)]).store = into + 1;
    asm.close(TEMP2);
}
