//! `/run` at the start of a boot: a fresh tmpfs, or made empty where it cannot be one (FHS 3.0, 3.15: it is cleared then).
//!
//! A machine's `/run` comes with its kernel. A container may keep its own over a restart, and its engine may have put things there:
//! what is mounted stays, all else is from another boot.
use super::early::{EarlyMount, make};
use super::{is_mount_point, make_directory, parse_mounts};
use crate::error::{Attempt, OsError};
use crate::rundir::empty_tree;
use rustix::fd::AsFd as _;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

const RUN: &str = "/run";
/// Written by each manager before anything else, and by nobody else: it is there when a manager was.
const TRACE: &str = "/run/systemd/systemd-units-load";

/// Old names and what they have to be: path, place, text of the link.
const ALIASES: [(&str, &str, &str); 2] =
    [("/var/run", "/run", "../run"), ("/var/lock", "/run/lock", "../run/lock")];

/// Make `/run` what it has to be at the start.
pub(super) fn make_run(mount: &EarlyMount, in_container: bool) -> Result<(), Errno> {
    let mounted = is_mount_point(RUN) == Ok(true);
    if !in_container {
        return make(mount);
    }
    if mounted {
        // Fresh as a rule; a volume is not.
        return if std::fs::exists(TRACE).unwrap_or(false) { clear() } else { Ok(()) };
    }
    // A mount over it would hide what the engine mounted below.
    if mounts_below(RUN).is_empty() {
        match make(mount) {
            Err(Errno::PERM | Errno::ACCESS) => {}
            other => return other,
        }
    }
    clear()
}

/// What is mounted below a directory, in the order of the table: parents first.
fn mounts_below(directory: &str) -> Vec<String> {
    let table = std::fs::read("/proc/thread-self/mountinfo").unwrap_or_default();
    let below = |target: &str| target.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
    parse_mounts(&table).into_iter().map(|line| line.target).filter(|target| below(target)).collect()
}

/// Empty `/run` but for mounts and the directories on the way to them.
fn clear() -> Result<(), Errno> {
    match empty(RUN) {
        // What was mounted there stays.
        Err(Errno::BUSY) => Ok(()),
        // Nothing that could be stale.
        Err(Errno::NOENT) => rustix::fs::mkdir(RUN, Mode::from_raw_mode(0o755)),
        other => other,
    }
}

fn empty(path: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    empty_tree(rustix::fs::open(path, flags, Mode::empty())?.as_fd())
}

/// Make `/var/run` and `/var/lock` lead to `/run`, in a container, whose `/var` is there from the start. A directory that is
/// there instead is from before `/run`: what is mounted in it moves to `/run`, the rest is stale. What cannot be done is returned.
pub fn settle_aliases() -> Vec<OsError> {
    ALIASES.iter().filter_map(|(name, place, target)| settle_alias(name, place, target).err()).collect()
}

fn settle_alias(name: &str, place: &str, target: &str) -> Result<(), OsError> {
    let link = || {
        // A tree that has nothing but a program.
        let _ = rustix::fs::mkdir("/var", Mode::from_raw_mode(0o755));
        rustix::fs::symlink(target, name)
    };
    let stat = match rustix::fs::lstat(name) {
        Err(Errno::NOENT) => {
            return match link() {
                // No /var at all, or none that we may change: that is somebody's decision.
                Ok(()) | Err(Errno::NOENT | Errno::ROFS | Errno::EXIST) => Ok(()),
                Err(errno) => Err(OsError::new("link", name, errno)),
            };
        }
        other => other.attempt("look at", name)?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(());
    }
    if rustix::fs::stat(place).is_ok_and(|run| (run.st_dev, run.st_ino) == (stat.st_dev, stat.st_ino)) {
        return Ok(());
    }
    if is_mount_point(name) == Ok(true) {
        return Err(OsError::new("replace the mount", name, Errno::BUSY));
    }
    move_mounts(name, place)?;
    empty(name).attempt("clear", name)?;
    rustix::fs::rmdir(name).and_then(|()| link()).attempt("replace by a link", name)
}

/// Mounts below `from` to the same places below `to`.
fn move_mounts(from: &str, to: &str) -> Result<(), OsError> {
    let all = mounts_below(from);
    // Those within another go with it.
    let tops = all.iter().filter(|target| !all.iter().any(|other| target.starts_with(&format!("{other}/"))));
    for target in tops {
        let place = format!("{to}{}", &target[from.len()..]);
        let is_directory = std::fs::metadata(target).is_ok_and(|data| data.is_dir());
        if is_directory {
            make_directory(&place, 0o755)?;
        } else {
            let parent = place.rsplit_once('/').map_or("/", |(parent, _)| parent);
            make_directory(parent, 0o755)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::open(place.as_str(), flags, Mode::from_raw_mode(0o600))
                .attempt("create", place.as_str())?;
        }
        rustix::mount::mount_move(target, place.as_str()).attempt("move the mount", target.as_str())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::early::tests::in_empty_root;
    use super::*;
    use rustix::mount::{MountFlags, mount, mount_bind};

    fn tmpfs(path: &str) {
        std::fs::create_dir_all(path).expect("mkdir");
        mount("tmpfs", path, "tmpfs", MountFlags::empty(), None).expect("mount");
    }

    #[test]
    fn what_the_engine_mounted_stays_and_the_rest_is_cleared() {
        in_empty_root("run-clear", || {
            tmpfs("/run/secrets/token");
            std::fs::write("/run/secrets/token/key", "1").expect("write");
            std::fs::write("/run/secrets/stale", "1").expect("write");
            std::fs::create_dir_all("/run/nginx/deep").expect("mkdir");
            std::fs::write("/run/nginx/deep/pid", "1").expect("write");
            std::os::unix::fs::symlink("/run/secrets/token", "/run/link").expect("link");
            std::fs::write("/run/.containerenv", "").expect("write");
            mount_bind("/run/secrets/token/key", "/run/.containerenv").expect("bind");
            make_run(&EarlyMount::run(), true).expect("made");
            assert_eq!(std::fs::read_to_string("/run/secrets/token/key").expect("kept"), "1");
            assert_eq!(std::fs::read_to_string("/run/.containerenv").expect("kept"), "1");
            let mut left: Vec<_> =
                std::fs::read_dir("/run").expect("read").map(|e| e.expect("e").file_name()).collect();
            left.sort();
            assert_eq!(left, [".containerenv", "secrets"]);
            assert!(!std::fs::exists("/run/secrets/stale").expect("look"));
            assert!(is_mount_point("/run") == Ok(false), "a tmpfs over it would hide the secrets");
        });
    }

    #[test]
    fn a_run_that_another_manager_used_is_cleared_and_a_fresh_one_is_not() {
        in_empty_root("run-volume", || {
            tmpfs("/run");
            std::fs::write("/run/from-the-engine", "1").expect("write");
            make_run(&EarlyMount::run(), true).expect("made");
            assert!(std::fs::exists("/run/from-the-engine").expect("look"));
            std::fs::create_dir("/run/systemd").expect("mkdir");
            std::fs::write(TRACE, "").expect("write");
            make_run(&EarlyMount::run(), true).expect("made");
            assert_eq!(std::fs::read_dir("/run").expect("read").count(), 0);
        });
    }

    #[test]
    fn old_directories_become_links_and_their_mounts_move() {
        in_empty_root("run-alias", || {
            tmpfs("/run");
            tmpfs("/var/run/secrets");
            std::fs::write("/var/run/secrets/key", "1").expect("write");
            std::fs::write("/var/run/old.pid", "7\n").expect("write");
            std::fs::write("/var/run/docker.sock", "").expect("write");
            mount_bind("/var/run/secrets/key", "/var/run/docker.sock").expect("bind");
            assert_eq!(settle_aliases(), []);
            assert_eq!(std::fs::read_link("/var/run").expect("link"), std::path::Path::new("../run"));
            assert_eq!(std::fs::read_link("/var/lock").expect("link"), std::path::Path::new("../run/lock"));
            assert_eq!(std::fs::read_to_string("/run/secrets/key").expect("moved"), "1");
            assert_eq!(std::fs::read_to_string("/run/docker.sock").expect("moved"), "1");
            assert!(!std::fs::exists("/run/old.pid").expect("look"));
            assert_eq!(settle_aliases(), []);
        });
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_left() {
        in_empty_root("run-link", || {
            std::fs::create_dir("/var").expect("mkdir");
            std::os::unix::fs::symlink("/elsewhere", "/var/run").expect("link");
            assert_eq!(settle_aliases(), []);
            assert_eq!(std::fs::read_link("/var/run").expect("link"), std::path::Path::new("/elsewhere"));
        });
    }
}
