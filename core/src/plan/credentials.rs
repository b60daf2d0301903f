//! `/run/credentials/UNIT` (systemd.exec(5), "Credentials"): an in-memory file system that is read-only for everybody.
use super::builder::Builder;
use super::{ExitStatus, OnError, Op};
use crate::directives::ids;

const MOUNT_ATTR_RDONLY: u64 = 1;
/// nosuid, nodev, noexec.
const MOUNT_ATTR_NO: u64 = 2 | 4 | 8;
/// Do not follow symbolic links there.
const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x20_0000;

fn wanted(b: &Builder) -> bool {
    let s = b.settings();
    [
        ids::SET_CREDENTIAL,
        ids::SET_CREDENTIAL_ENCRYPTED,
        ids::LOAD_CREDENTIAL,
        ids::LOAD_CREDENTIAL_ENCRYPTED,
        ids::IMPORT_CREDENTIAL,
    ]
    .into_iter()
    .any(|id| !s.rows(id).is_empty())
}

/// `CREDENTIALS_DIRECTORY`, when the unit has credentials.
pub(super) fn directory(b: &Builder) -> Option<String> {
    wanted(b).then(|| format!("{}/credentials/{}", b.facts.run_root, b.spec.unit))
}

/// Make the directory with what the facts hold; a later process of the same unit finds it there.
pub(super) fn place(b: &mut Builder) {
    const SETTING: &str = "LoadCredential";
    let Some(path) = directory(b) else { return };
    if b.facts.credentials_placed {
        return;
    }
    let on_error = OnError::Fail(ExitStatus::Credentials);
    let (uid, gid) = b.owner();
    b.push(Op::Mkdir { path: format!("{}/credentials", b.facts.run_root), mode: 0o755 }, SETTING, on_error);
    b.ignore(Op::Unmount { target: path.clone() }, SETTING);
    b.push(Op::Mkdir { path: path.clone(), mode: 0o700 }, SETTING, on_error);
    // It must never be swapped out. Where nothing may be mounted a plain directory on the run file system has to do.
    let mounted = b.register();
    let mut options = vec![("mode".to_owned(), "0700".to_owned())];
    let fstype = if b.facts.kernel.tmpfs_noswap { "tmpfs" } else { "ramfs" };
    if b.facts.kernel.tmpfs_noswap {
        options.insert(0, ("source".to_owned(), "tmpfs".to_owned()));
        options.extend(
            [("size", "1M"), ("nr_inodes", "1k")].map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        options.push(("noswap".to_owned(), String::new()));
    }
    let attributes = MOUNT_ATTR_NO | MOUNT_ATTR_NOSYMFOLLOW;
    b.weaken(Op::NewFilesystem { into: mounted, fstype: fstype.into(), options, attributes }, SETTING);
    b.weaken(Op::AttachTree { from: mounted, target: path.clone() }, SETTING);
    let credentials = b.facts.credentials.clone();
    for credential in credentials {
        let file = format!("{path}/{}", credential.name);
        let owner = Some((uid, gid));
        b.push(Op::MakeFile { path: file, bytes: credential.bytes, mode: 0o400, owner }, SETTING, on_error);
    }
    b.push(Op::Chown { path: path.clone(), uid, gid, mode: Some(0o500) }, SETTING, on_error);
    let op = Op::MountAttr {
        target: path,
        set: MOUNT_ATTR_RDONLY,
        clear: 0,
        recursive: false,
        only_if: Some(mounted),
    };
    b.weaken(op, SETTING);
}
