//! A user who exchanges directories, links and files in directories of his own, as fast as he can, whenever they are there.

use runstead_compat::{Error, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What must not change: beside his directories, on their file system.
pub const CANARY: &str = "/run/canary";
/// His directory for counting.
pub const COUNTS: &str = "/srv/rungames";
/// Between looks at the furniture.
const BURST: usize = 32;

/// Things below `/run` that change places with a link to what lies there in the canary.
const LINKED: [(&str, &str); 10] = [
    ("game/in", "in"),
    ("game/in/deep", "in/deep"),
    ("game/in/deep/file", "in/deep/file"),
    ("nest/b", "b"),
    ("nest/b/c", "b/c"),
    ("again/in", "in"),
    ("again/in/deep", "in/deep"),
    ("kept/in", "in"),
    ("kept/in/deep", "in/deep"),
    ("kept/file", "in/file"),
];
/// Things that change places with one another, within and between directories.
const EXCHANGED: [(&str, &str); 6] = [
    ("game/in/deep/er", "game/in"),
    ("game/in/deep/er", "game/moved"),
    ("game/in", "kept/in"),
    ("nest/b", "again/in"),
    ("nest/b/c", "nest/d"),
    ("kept/in/deep", "game/in/deep"),
];
/// What is moved away, to and fro, and given a second name.
const MOVED: [(&str, &str); 3] =
    [("game/in/deep", "kept/away"), ("nest/b", "nest/x"), ("kept/in", "again/away")];
const NAMED: [(&str, &str); 2] =
    [("kept/in/file", "game/in/second"), ("game/in/deep/file", "kept/in/deep/second")];

/// How often each kind of thing was done.
#[derive(Default)]
struct Count {
    linked: u64,
    exchanged: u64,
    moved: u64,
    named: u64,
}

/// Until somebody ends him.
pub fn play() -> Result<()> {
    let told = Path::new(COUNTS);
    let mut count = Count::default();
    loop {
        furnish();
        for _ in 0..BURST {
            tricks(&mut count);
        }
        let Count { linked, exchanged, moved, named } = count;
        let all = linked + exchanged + moved + named;
        let text = format!(
            "{all}\twith links {linked}, with one another {exchanged}, moves {moved}, second names {named}"
        );
        let new = told.join("count.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, told.join("count")))
            .map_err(Error::on("count in", COUNTS))?;
    }
}

fn run(name: &str) -> PathBuf {
    Path::new("/run").join(name)
}

/// Where the link is while the thing is at its place, and the other way round.
fn other(name: &str) -> PathBuf {
    run(&format!("{name}.out"))
}

fn tricks(count: &mut Count) {
    for (name, _) in LINKED {
        count.linked += exchange(&run(name), &other(name));
    }
    for (one, another) in EXCHANGED {
        count.exchanged += exchange(&run(one), &run(another));
    }
    for (from, to) in MOVED {
        count.moved += u64::from(fs::rename(run(from), run(to)).is_ok());
        count.moved += u64::from(fs::rename(run(to), run(from)).is_ok());
    }
    for (from, to) in NAMED {
        count.named += u64::from(fs::hard_link(run(from), run(to)).is_ok());
        let _ = fs::remove_file(run(to));
    }
}

fn exchange(one: &Path, another: &Path) -> u64 {
    u64::from(renameat_with(CWD, one, CWD, another, RenameFlags::EXCHANGE).is_ok())
}

/// Makes anew what was removed. What cannot be made now can be the next time.
fn furnish() {
    for (name, place) in LINKED {
        let paths = [run(name), other(name)];
        let is_link =
            paths.each_ref().map(|path| fs::symlink_metadata(path).ok().map(|found| found.is_symlink()));
        let free = |want: bool| {
            (!is_link.contains(&Some(want))).then(|| is_link.iter().position(Option::is_none)).flatten()
        };
        if let Some(at) = free(false) {
            match name.ends_with("file") {
                true => drop(fs::write(&paths[at], "mine")),
                false => fill(&paths[at]),
            }
        }
        let at = paths.iter().position(|path| fs::symlink_metadata(path).is_err());
        if let (false, Some(at)) = (is_link.contains(&Some(true)), at) {
            let _ = symlink(Path::new(CANARY).join(place), &paths[at]);
        }
    }
    for name in ["game/moved", "nest/d"] {
        fill(&run(name));
    }
}

/// The names that the canary has, too.
fn fill(directory: &Path) {
    if fs::create_dir(directory).is_err() {
        return;
    }
    for name in ["deep", "c", "deep/er", "c/er"] {
        let _ = fs::create_dir(directory.join(name));
    }
    for name in ["file", "deep/file", "c/file", "deep/er/file", "c/er/file"] {
        let _ = fs::write(directory.join(name), "mine");
    }
}
