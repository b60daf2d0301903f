//! Plans at work on small trees.
use super::machine::Machine;
use super::*;
use crate::rundir::tests::Scratch;
use runstead_core::tmpfiles::config::{Source, plan};
use runstead_core::tmpfiles::line;
use rustix::fs::{FlockOperation, Timespec, Timestamps, flock};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

const CREATE: Operations = Operations { create: true, clean: false, remove: false, purge: false };
const CLEAN: Operations = Operations { create: false, clean: true, remove: false, purge: false };
const REMOVE: Operations = Operations { create: false, clean: false, remove: true, purge: false };
const PURGE: Operations = Operations { create: false, clean: false, remove: false, purge: true };

/// A tree with the users of this machine.
struct Tree {
    scratch: Scratch,
}

impl Tree {
    fn new(name: &str) -> Tree {
        let tree = Tree { scratch: Scratch::new(&format!("tmpfiles-{name}")) };
        fs::create_dir_all(tree.at("etc")).expect("mkdir");
        fs::write(tree.at("etc/os-release"), "ID=tree\n").expect("write");
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(self.scratch.join(path))
    }

    /// Whether all went well, and what was told.
    fn work(&self, operations: Operations, dry_run: bool, lines: &str) -> (bool, String) {
        let root = PathBuf::from(self.scratch.path());
        let told = Arc::new(Mutex::new(String::new()));
        let tell = {
            let told = Arc::clone(&told);
            move |_, text: &str| told.lock().expect("whole").push_str(&format!("{text}\n"))
        };
        let report = Report::new(Level::Info, false, Box::new(tell));
        let source = Source { name: "test".into(), bytes: lines.as_bytes().to_vec() };
        let machine = Machine::new(&root, false);
        let planned = plan(&[source], &line::Options::default(), &machine);
        assert!(!planned.invalid && !planned.fatal, "{:?}", planned.told);
        let done = run(&planned.plan, &Options { operations, dry_run, root }, &report);
        let told = told.lock().expect("whole").clone();
        (done.is_ok(), told)
    }

    fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.at(path)).map_or(0, |data| data.permissions().mode() & 0o7777)
    }

    fn exists(&self, path: &str) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    /// A file that nobody touched for a day.
    fn old(&self, path: &str) -> File {
        let file = File::create(self.at(path)).expect("make");
        let then = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec - 86_400;
        let then = Timespec { tv_sec: then, tv_nsec: 0 };
        rustix::fs::futimens(&file, &Timestamps { last_access: then, last_modification: then })
            .expect("touch");
        file
    }
}

#[test]
fn what_lines_name_is_made_once() {
    let tree = Tree::new("create");
    let lines = "d /a/b 0710\nf /a/b/f 0600 - - - x%o\\n\nL /a/l - - - - b/f\np /a/p 0640\nD /a/c 1777\n\
                 w /a/b/f - - - - y\nz /a/b/f 0604\nC /a/copy - - - - /a/b/f\n";
    // What is copied has to be there when lines are read.
    fs::create_dir_all(tree.at("a/b")).expect("mkdir");
    for _ in 0..2 {
        let (good, told) = tree.work(CREATE, false, lines);
        assert!(good, "{told}");
    }
    assert_eq!(fs::read_to_string(tree.at("a/b/f")).expect("read"), "ytree\n");
    assert_eq!((tree.mode("a/b"), tree.mode("a/b/f"), tree.mode("a/c")), (0o710, 0o604, 0o1777));
    assert_eq!(fs::read_link(tree.at("a/l")).expect("link"), Path::new("b/f"));
    assert!(fs::metadata(tree.at("a/p")).expect("there").file_type().is_fifo());
    assert_eq!(fs::read_to_string(tree.at("a/copy")).expect("read"), "ytree\n");
}

#[test]
fn nothing_is_changed_when_it_is_only_told() {
    let tree = Tree::new("dry");
    fs::create_dir(tree.at("t")).expect("mkdir");
    drop(tree.old("t/old"));
    let (good, told) = tree.work(
        Operations { create: true, clean: true, remove: true, purge: true },
        true,
        "d$ /t - - - m:1h\nf /n/f\nR /t/*\nL+ /t - - - - x",
    );
    assert!(good && told.contains("would remove /t/old") && told.contains("/n/f"), "{told}");
    assert!(tree.exists("t/old") && !tree.exists("n"));
}

#[test]
fn what_is_in_the_way_goes_only_when_asked() {
    let tree = Tree::new("force");
    fs::create_dir_all(tree.at("d/full")).expect("mkdir");
    fs::write(tree.at("f"), "").expect("write");
    let (good, told) = tree.work(CREATE, false, "L /d - - - - x\np /f\nd /f/\n");
    assert!(good && tree.exists("d/full") && told.contains("/f is there already"), "{told}");
    let (good, told) = tree.work(CREATE, false, "L+ /d - - - - x\np+ /f\nd= /g/h\n");
    assert!(good && !tree.exists("d/full"), "{told}");
    assert!(fs::metadata(tree.at("f")).expect("there").file_type().is_fifo());
    let (good, _) = tree.work(CREATE, false, "f= /f/deep/file\n");
    assert!(good && tree.exists("f/deep/file"));
    let (good, told) = tree.work(CREATE, false, "f /f/deep\nf /d/../e\n");
    assert!(!good && told.lines().count() == 2 && !tree.exists("e"), "{told}");
}

#[test]
fn a_tree_is_copied_once_also_into_itself() {
    let tree = Tree::new("copy");
    fs::create_dir_all(tree.at("a/sub/deep")).expect("mkdir");
    fs::write(tree.at("a/f"), "1").expect("write");
    fs::hard_link(tree.at("a/f"), tree.at("a/sub/second")).expect("link");
    let (good, told) = tree.work(CREATE, false, "C /a/sub/copy - - - - /a\nC /b 0700 - - - /a\n");
    assert!(good, "{told}");
    assert!(tree.exists("a/sub/copy/sub/deep") && !tree.exists("a/sub/copy/sub/copy"));
    let inode = |path: &str| fs::metadata(tree.at(path)).expect("there").ino();
    assert_eq!((inode("b/f"), tree.mode("b")), (inode("b/sub/second"), 0o700));
    assert_ne!(inode("b/f"), inode("a/f"));
    // What is there is not copied into, unless that is said.
    fs::write(tree.at("a/new"), "1").expect("write");
    assert!(tree.work(CREATE, false, "C /b - - - - /a\n").0 && !tree.exists("b/new"));
    assert!(tree.work(CREATE, false, "C+ /b - - - - /a\n").0 && tree.exists("b/new"));
}

#[test]
fn age_spares_what_is_in_use() {
    let tree = Tree::new("clean");
    for directory in ["t/sub", "t/locked", "t/kept", "t/own"] {
        fs::create_dir_all(tree.at(directory)).expect("mkdir");
    }
    for file in ["t/old", "t/sub/old", "t/locked/old", "t/kept/old", "t/own/old", "t/x1"] {
        drop(tree.old(file));
    }
    drop(tree.old("t/sticky"));
    fs::set_permissions(tree.at("t/sticky"), fs::Permissions::from_mode(0o1600)).expect("chmod");
    fs::write(tree.at("t/new"), "").expect("write");
    symlink("old", tree.at("t/link")).expect("link");
    let lock = File::open(tree.at("t/locked")).expect("open");
    flock(&lock, FlockOperation::NonBlockingLockShared).expect("lock");
    let held = tree.old("t/held");
    flock(&held, FlockOperation::NonBlockingLockExclusive).expect("lock");
    let _listener = UnixListener::bind(tree.at("t/alive")).expect("bind");
    drop(UnixListener::bind(tree.at("t/dead")).expect("bind"));
    let before = fs::metadata(tree.at("t")).expect("there");
    let (good, told) =
        tree.work(CLEAN, false, "d /t - - - mM:1h\nx /t/x*\nX /t/kept - - - mM:1h\nd /t/own\n");
    assert!(good, "{told}");
    assert!(!tree.exists("t/old") && !tree.exists("t/sub/old"));
    for kept in
        ["sub", "locked/old", "kept", "own/old", "x1", "sticky", "new", "held", "alive", "dead", "link"]
    {
        assert!(tree.exists(&format!("t/{kept}")), "{kept}");
    }
    // `X` spares the directory, not what is in it.
    assert!(!tree.exists("t/kept/old"));
    let after = fs::metadata(tree.at("t")).expect("there");
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    let (good, told) = tree.work(CLEAN, false, "d /t - - - 0\n");
    assert!(good, "{told}");
    let mut left: Vec<_> =
        fs::read_dir(tree.at("t")).expect("list").flatten().map(|e| e.file_name()).collect();
    left.sort();
    assert_eq!(left, ["alive", "held", "locked", "sticky"]);
}

#[test]
fn the_first_level_can_be_kept() {
    let tree = Tree::new("level");
    fs::create_dir_all(tree.at("t/sub/deep")).expect("mkdir");
    drop(tree.old("t/old"));
    drop(tree.old("t/sub/old"));
    assert!(tree.work(CLEAN, false, "d /t - - - ~mM:0\n").0);
    assert!(
        tree.exists("t/old")
            && tree.exists("t/sub")
            && !tree.exists("t/sub/old")
            && !tree.exists("t/sub/deep")
    );
}

#[test]
fn removal_stays_where_it_is_told_to() {
    let tree = Tree::new("remove");
    for directory in ["out", "t/full/deep", "t/own", "e"] {
        fs::create_dir_all(tree.at(directory)).expect("mkdir");
    }
    for file in ["out/kept", "t/full/deep/f", "t/own/kept", "r1", "r2"] {
        fs::write(tree.at(file), "").expect("write");
    }
    symlink("../out", tree.at("t/full/link")).expect("link");
    let (good, told) = tree.work(REMOVE, false, "D /t\nd /t/own\nr /r[0-9]\nr /out\nR /e\nR /missing/*\n");
    assert!(!good && told.contains("cannot remove /out"), "{told}");
    assert!(tree.exists("out/kept") && tree.exists("t/own/kept") && tree.exists("t"));
    for gone in ["t/full", "r1", "r2", "e"] {
        assert!(!tree.exists(gone), "{gone}");
    }
    let (good, told) = tree.work(PURGE, false, "d$ /t\nf$ /out/kept\nd /out\n");
    assert!(good && !tree.exists("out/kept") && tree.exists("out"), "{told}");
    // What has a line of its own stays, and with it the way there.
    assert!(!tree.exists("t/own/kept") && !tree.exists("t"));
}

#[test]
fn nobody_leads_us_to_what_is_another_s() {
    if !crate::process::is_root() {
        assert!(std::env::var_os("CI").is_none(), "only root can give files away");
        return;
    }
    let tree = Tree::new("unsafe");
    fs::create_dir_all(tree.at("home/roots")).expect("mkdir");
    std::os::unix::fs::chown(tree.at("home"), Some(4711), Some(4711)).expect("chown");
    symlink("/", tree.at("home/away")).expect("link");
    std::os::unix::fs::lchown(tree.at("home/away"), Some(4711), Some(4711)).expect("chown");
    fs::write(tree.at("kept"), "1").expect("write");
    for line in ["f+ /home/roots/f", "z /home/roots 0777", "w /home/away/kept - - - - x"] {
        let (good, told) = tree.work(CREATE, false, line);
        assert!(!good && told.contains("unsafe path transition") && told.contains("4711"), "{line}: {told}");
    }
    for line in ["R /home/away/kept", "r /home/away/kept"] {
        let (good, told) = tree.work(REMOVE, false, line);
        assert!(!good && told.contains("unsafe path transition"), "{line}: {told}");
    }
    assert!(tree.exists("kept") && !tree.exists("home/roots/f"));
}

#[test]
fn a_link_is_made_only_to_what_is_there_and_directories_above_all_the_same() {
    let tree = Tree::new("if-target");
    fs::write(tree.at("file"), "").expect("write");
    fs::write(tree.at("there"), "").expect("write");
    let lines = "L? /new/missing - - - - /missing\nL? /new/made - - - - /there\nL=? /there - - - - /missing\n\
                 L? /file/below - - - - missing\nL? /new/relative - - - - file\n";
    let (good, told) = tree.work(CREATE, false, lines);
    assert!(good && told.contains("/missing is not there"), "{told}");
    assert!(
        tree.exists("new")
            && !tree.exists("new/missing")
            && tree.exists("new/made")
            && tree.exists("new/relative")
    );
    // What is of another type goes before anybody looks where the link would lead.
    assert!(!tree.exists("there"));
}

#[test]
fn what_is_written_to_is_reached_by_a_safe_way() {
    let tree = Tree::new("write-into");
    fs::create_dir_all(tree.at("his/roots")).expect("mkdir");
    for file in ["his/roots/file", "plain"] {
        fs::write(tree.at(file), "").expect("write");
    }
    assert!(!tree.work(CREATE, false, "w /his/../plain - - - - x\n").0);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(tree.at("his"), Some(1), Some(1)).expect("chown");
        assert!(!tree.work(CREATE, false, "w /his/roots/file - - - - x\n").0);
    }
    assert!(tree.work(CREATE, false, "w /plain - - - - x\n").0);
    let content = |file| fs::read_to_string(tree.at(file)).expect("read");
    assert_eq!((content("his/roots/file").len(), content("plain").as_str()), (0, "x"));
}

#[test]
fn a_copy_that_is_there_gets_the_mode_of_a_new_one() {
    let tree = Tree::new("copy-mode");
    fs::write(tree.at("from"), "1").expect("write");
    symlink("from", tree.at("link")).expect("link");
    for (line, mode) in [("C /to :0700 - - - /from\n", 0o700), ("C /to 0711 - - - /link\n", 0o711)] {
        fs::write(tree.at("to"), "2").expect("write");
        assert!(tree.work(CREATE, false, line).0);
        assert_eq!(
            (tree.mode("to"), fs::read_to_string(tree.at("to")).expect("read").as_str()),
            (mode, "2"),
            "{line}"
        );
    }
}

#[test]
fn what_only_patterns_fail_to_clean_is_a_failure() {
    let tree = Tree::new("clean-fails");
    fs::create_dir_all(tree.at("a/b")).expect("mkdir");
    tree.old("a/b/file");
    let flag = |on: bool| {
        let directory = File::open(tree.at("a/b")).expect("open");
        let flags = if on { rustix::fs::IFlags::IMMUTABLE } else { rustix::fs::IFlags::empty() };
        rustix::fs::ioctl_setflags(&directory, flags)
    };
    // Not every file system has it, and not everybody may set it.
    if flag(true).is_err() {
        return;
    }
    let (plain, pattern) =
        (tree.work(CLEAN, false, "d /a - - - 0\n"), tree.work(CLEAN, false, "e /a - - - 0\n"));
    flag(false).expect("unset");
    assert!(plain.0 && !pattern.0, "{plain:?} {pattern:?}");
    assert!(plain.1.contains("cannot remove"), "{plain:?}");
}

#[test]
fn a_users_link_is_no_place_for_a_directory_of_root() {
    let tree = Tree::new("users-link");
    fs::create_dir(tree.at("his")).expect("mkdir");
    symlink("nowhere", tree.at("his/link")).expect("link");
    if rustix::process::geteuid().is_root() {
        for path in ["his", "his/link"] {
            std::os::unix::fs::lchown(tree.at(path), Some(1), Some(1)).expect("chown");
        }
        let (good, told) = tree.work(CREATE, false, "d= /his/link/new\n");
        assert!(!good && told.contains("unsafe path transition"), "{told}");
        assert!(tree.at("his/link").is_symlink());
    }
}
