//! In the machine: units come and go while the user plays, and each time what is outside of their directories is looked at.

use crate::player::{CANARY, COUNTS};
use crate::snapshot::{self, Snapshot};
use crate::{EXCHANGES, INSIDE, TURNS, UNITS, naive};
use runstead_compat::{Error, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What becomes of units; each may touch what it must not.
pub const KINDS: [&str; 2] = ["start", "stop"];
/// As the distribution has it.
const USER: u32 = 5;
/// All that is outside is as old as that.
const OLD: i64 = 1_000_000_000;
const LONGEST: Duration = Duration::from_secs(60);

/// The games with services, or with the naive implementation until it is broken in all ways.
pub fn run(naive: bool) -> Result<()> {
    fs::create_dir_all(COUNTS).map_err(Error::on("create", COUNTS))?;
    let _ = fs::remove_file(Path::new(COUNTS).join("count"));
    chown(COUNTS, Some(USER), Some(USER)).map_err(Error::on("chown", COUNTS))?;
    let mut games = Games { before: canary()?, hits: Vec::new(), turns: 0, good: 0 };
    let mut player = player()?;
    let outcome = games.play(naive);
    let ended = player.try_wait().map_err(Error::on("look at", "the player"))?;
    let _ = player.kill();
    let _ = player.wait();
    if let (Ok(()), Some(ended)) = (&outcome, ended) {
        return Err(Error::new(format!("the player: {ended}")));
    }
    println!("done\t{}", counted());
    println!("turns\t{}\t{}", games.turns, games.good);
    games.hits.iter().for_each(|hit| println!("hit\t{hit}"));
    if naive {
        clear()?;
    }
    outcome
}

struct Games {
    before: Snapshot,
    hits: Vec<String>,
    turns: u64,
    good: u64,
}

impl Games {
    fn play(&mut self, naive: bool) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < LONGEST && !self.is_enough(naive) {
            for kind in ["start", "restart", "stop"] {
                match naive {
                    true => self.naive(kind)?,
                    false => self.services(kind)?,
                }
            }
        }
        Ok(())
    }

    fn is_enough(&self, naive: bool) -> bool {
        let done = counted().split('\t').next().and_then(|count| count.parse().ok()).unwrap_or(0_u64);
        match naive {
            true => KINDS.iter().all(|kind| self.hits.iter().any(|hit| hit.starts_with(kind))),
            false => self.turns >= TURNS && done >= EXCHANGES,
        }
    }

    fn services(&mut self, kind: &str) -> Result<()> {
        // One of them at a time meets other moments than all at once.
        let names = UNITS.iter().map(|unit| unit.name).collect::<Vec<_>>();
        let one = names[usize::try_from(self.turns).unwrap_or(0) % names.len()];
        for names in [&names[..], &[one]] {
            let mut command = Command::new("systemctl");
            command.arg(kind).args(names).stdout(Stdio::null()).stderr(Stdio::null());
            let status = command.status().map_err(Error::on("run", "systemctl"))?;
            self.good += u64::from(status.success());
            self.look(kind, &names.join(" "))?;
        }
        Ok(())
    }

    fn naive(&mut self, kind: &str) -> Result<()> {
        for unit in &UNITS {
            for kind in KINDS.into_iter().rev().filter(|part| kind.ends_with(part)) {
                let done = if kind == "start" { naive::start(unit, USER) } else { naive::stop(unit) };
                self.good += u64::from(done.is_ok());
                self.look(kind, unit.name)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, kind: &str, units: &str) -> Result<()> {
        self.turns += 1;
        let now = outside();
        if let Some(difference) = snapshot::differences(&self.before, &now).first() {
            self.hits.push(format!("{kind} of {units}: {difference}"));
            self.before = canary()?;
        }
        Ok(())
    }
}

fn player() -> Result<Child> {
    let mut command = Command::new(INSIDE);
    command.args(["inside", "player"]).uid(USER).gid(USER).stdin(Stdio::null());
    command.spawn().map_err(Error::on("start", INSIDE))
}

/// How much was done, and what.
fn counted() -> String {
    fs::read_to_string(Path::new(COUNTS).join("count")).unwrap_or_default()
}

/// All that is outside, and the directory that it is in: who looks changes nothing.
fn outside() -> Snapshot {
    let mut found = snapshot::of(Path::new(CANARY), Some(i64::MAX / 2));
    for (path, text) in &mut found {
        // It tells changes that were taken back.
        let changed =
            fs::symlink_metadata(path).map(|found| (found.ctime(), found.ctime_nsec(), found.ino()));
        text.push_str(&format!(" {changed:?}"));
    }
    found
}

/// Makes it anew: root's alone, and old.
fn canary() -> Result<Snapshot> {
    let failed = || Error::on("make", CANARY);
    // To whom it was given plays in it meanwhile.
    for _ in 0..100 {
        match fs::remove_dir_all(CANARY) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => break,
            _ => {}
        }
    }
    let directories = ["", "in", "in/deep", "in/deep/er", "b", "b/c", "b/c/er"];
    for (name, mode) in directories.iter().zip([0o755, 0o755, 0o700, 0o777, 0o750, 0o711, 0o700]) {
        let path = Path::new(CANARY).join(name);
        fs::create_dir(&path).map_err(failed())?;
        fs::write(path.join("file"), "root's").map_err(failed())?;
        fs::set_permissions(path.join("file"), fs::Permissions::from_mode(0o600)).map_err(failed())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed())?;
    }
    let old = Timespec { tv_sec: OLD, tv_nsec: 0 };
    let times = Timestamps { last_access: old, last_modification: old };
    for path in snapshot::of(Path::new(CANARY), None).keys() {
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::on("date", CANARY))?;
    }
    Ok(outside())
}

/// What the naive one leaves is in the way of services.
fn clear() -> Result<()> {
    for unit in &UNITS {
        let path = Path::new("/run").join(unit.name);
        match fs::remove_dir_all(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::on("remove", path)(why));
            }
            _ => {}
        }
    }
    Ok(())
}
