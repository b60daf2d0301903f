//! A user who exchanges directories and links in a directory of his own, as fast as he can.

use runstead_compat::{Error, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Pairs that change places: what the lines are about, and what leads out to the canary.
const PAIRS: [(&str, &str, &str); 4] =
    [("x", "y", ""), ("d/sub", "d/out", "/sub"), ("file", "out", "/secret"), ("d/file", "d/leaf", "/secret")];
/// Between looks whether something has been removed and whether it is over.
const BURST: usize = 64;

/// In `place`, which is his, until `place/stop` is there; prints how often he exchanged a pair.
pub fn play(place: &str, canary: &str) -> Result<()> {
    let place = Path::new(place);
    let mut swaps = 0_u64;
    while !place.join("stop").exists() {
        furnish(place, canary);
        for round in 0..BURST {
            let (one, other, _) = PAIRS[round % PAIRS.len()];
            let (one, other) = (place.join(one), place.join(other));
            swaps += u64::from(renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok());
        }
        let told = place.join("swaps.new");
        let count = fs::write(&told, swaps.to_string()).and_then(|()| fs::rename(&told, place.join("swaps")));
        // A line may have made this directory somebody else's for a moment.
        if let Err(why) = count.map_err(Error::on("count in", place)) {
            println!("{why}");
        }
    }
    Ok(())
}

/// Makes anew what lines have removed. What cannot be made now can be the next time.
fn furnish(place: &Path, canary: &str) {
    for (one, other, behind) in PAIRS {
        let (one, other) = (place.join(one), place.join(other));
        let parent = one.parent().unwrap_or(place);
        let _ = fs::create_dir_all(parent);
        let links = [&one, &other].map(|path| fs::symlink_metadata(path).ok().map(|m| m.is_symlink()));
        if !links.contains(&Some(true)) {
            let free = if links[1].is_none() { &other } else { &one };
            let _ = symlink(format!("{canary}{behind}"), free);
        }
        if !links.contains(&Some(false)) {
            let free = if fs::symlink_metadata(&one).is_err() { &one } else { &other };
            if behind == "/secret" {
                let _ = fs::write(free, "mine");
            } else {
                fill(free);
            }
        }
    }
}

/// The names that the canary has, too.
fn fill(directory: &Path) {
    let _ = fs::create_dir_all(directory.join("sub/deep"));
    for name in ["secret", "file", "sub/file", "sub/deep/x"] {
        let _ = fs::write(directory.join(name), "mine");
    }
}
