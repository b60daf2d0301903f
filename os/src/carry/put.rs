//! Putting carried files back: what is there already stays.
use crate::error::{Attempt, OsError};
use crate::rundir::open_beneath;
use runstead_core::carry::Item;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write as _;

/// A name that nobody else uses, until a file is whole.
const UNFINISHED: &str = ".#runstead-carry";

/// Put them below `run`; how many came back, and why others did not.
///
/// # Errors
/// When `run` cannot be opened.
pub fn put_back(run: &str, items: &[Item]) -> Result<(usize, Vec<String>), OsError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(run, flags, Mode::empty()).attempt("open", run)?;
    let (mut count, mut failed) = (0, Vec::new());
    for item in items {
        match put(&root, item) {
            Ok(()) => count += 1,
            Err(Errno::EXIST) => {}
            Err(errno) => failed.push(format!("{run}/{}: {errno}", item.path)),
        }
    }
    Ok((count, failed))
}

fn put(root: &OwnedFd, item: &Item) -> Result<(), Errno> {
    let (parent, name) = item.path.rsplit_once('/').unwrap_or((".", &item.path));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Its own directories were carried before it, and belong to root or its owner.
    let parent = open_beneath(root.as_fd(), parent, flags)?;
    match &item.bytes {
        None => {
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
            own(&open_beneath(parent.as_fd(), name, flags)?, item)
        }
        Some(bytes) => {
            let _ = rustix::fs::unlinkat(&parent, UNFINISHED, AtFlags::empty());
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file =
                File::from(rustix::fs::openat(&parent, UNFINISHED, flags, Mode::from_raw_mode(0o600))?);
            let whole = file
                .write_all(bytes)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
                .and_then(|()| own(&OwnedFd::from(file), item))
                .and_then(|()| {
                    rustix::fs::renameat_with(&parent, UNFINISHED, &parent, name, RenameFlags::NOREPLACE)
                });
            if whole.is_err() {
                let _ = rustix::fs::unlinkat(&parent, UNFINISHED, AtFlags::empty());
            }
            whole
        }
    }
}

/// Owner first: changing it takes bits away.
fn own(file: &OwnedFd, item: &Item) -> Result<(), Errno> {
    if crate::process::is_root() {
        rustix::fs::fchown(file, Some(Uid::from_raw(item.uid)), Some(Gid::from_raw(item.gid)))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(item.mode))
}

#[cfg(test)]
mod tests {
    use super::super::collect;
    use super::*;
    use crate::rundir::tests::Scratch;
    use runstead_core::carry::wish::Wish;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn wish(path: &str) -> Wish {
        Wish { path: path.to_owned(), source: "test".to_owned() }
    }

    fn mode(path: &str, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn what_is_collected_comes_back_as_it_was() {
        let (from, to) = (Scratch::new("carry-from"), Scratch::new("carry-to"));
        std::fs::create_dir_all(from.join("app/deep")).expect("mkdir");
        std::fs::write(from.join("app/deep/state"), "hello").expect("write");
        std::fs::write(from.join("single"), "1").expect("write");
        mode(&from.join("app"), 0o750);
        mode(&from.join("app/deep/state"), 0o640);
        let (items, left) =
            collect(from.path(), &[wish("app/deep"), wish("single"), wish("absent")]).expect("open");
        assert_eq!(
            items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(),
            ["app", "app/deep", "app/deep/state", "single"]
        );
        assert_eq!(left.len(), 1, "{left:?}");
        std::fs::write(to.join("single"), "newer").expect("write");
        assert_eq!(put_back(to.path(), &items).expect("open"), (3, Vec::new()));
        assert_eq!(std::fs::read_to_string(to.join("app/deep/state")).expect("there"), "hello");
        assert_eq!(std::fs::read_to_string(to.join("single")).expect("there"), "newer");
        let bits = |path: &str| std::fs::metadata(to.join(path)).expect(path).permissions().mode() & 0o7777;
        assert_eq!((bits("app"), bits("app/deep/state")), (0o750, 0o640));
        assert!(!std::fs::exists(to.join(UNFINISHED)).expect("look"));
    }

    #[test]
    fn what_could_have_been_planted_is_left() {
        let scratch = Scratch::new("carry-planted");
        let at = |name: &str| scratch.join(name);
        std::fs::create_dir_all(at("open")).expect("mkdir");
        std::fs::write(at("open/file"), "x").expect("write");
        mode(&at("open"), 0o777);
        std::fs::create_dir_all(at("mixed")).expect("mkdir");
        symlink("/etc/passwd", at("mixed/link")).expect("link");
        std::fs::write(at("mixed/daemon.pid"), "7\n").expect("write");
        std::fs::write(at("mixed/twice"), "x").expect("write");
        std::fs::hard_link(at("mixed/twice"), at("elsewhere")).expect("link");
        std::fs::write(at("mixed/privileged"), "x").expect("write");
        mode(&at("mixed/privileged"), 0o4755);
        let _listener = std::os::unix::net::UnixListener::bind(at("mixed/socket")).expect("bind");
        std::fs::write(at("mixed/good"), "x").expect("write");
        symlink("mixed", at("alias")).expect("link");
        let wishes = [wish("open/file"), wish("open"), wish("mixed"), wish("alias/good"), wish("elsewhere")];
        let (items, left) = collect(scratch.path(), &wishes).expect("open");
        assert_eq!(items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["mixed", "mixed/good"]);
        assert_eq!(left.len(), 9, "{left:#?}");
    }

    #[test]
    fn a_link_that_waits_is_not_followed() {
        let (outside, to) = (Scratch::new("carry-outside"), Scratch::new("carry-trap"));
        symlink(outside.path(), to.join("app")).expect("link");
        let directory = Item { path: "app".to_owned(), mode: 0o755, uid: 0, gid: 0, bytes: None };
        let file = Item { path: "app/x".to_owned(), bytes: Some(b"x".to_vec()), ..directory.clone() };
        let (count, failed) = put_back(to.path(), &[directory, file]).expect("open");
        assert_eq!((count, failed.len()), (0, 1), "{failed:?}");
        assert_eq!(std::fs::read_dir(outside.path()).expect("read").count(), 0);
    }
}
