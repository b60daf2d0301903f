//! Time, beside the reference's: what a boot does, and ageing of a million files. Only ratios of medians count.

use crate::{INSIDE, REFERENCE, Setting, UNDER_TEST, boot};
use runstead_compat::machine::UnderTest;
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(400);
/// Calls of each program for a median.
const CALLS: usize = 101;
const AGEINGS: usize = 5;
const DIRECTORIES: usize = 1_000;
const FILES_EACH: usize = 1_000;
/// One in so many of them is due.
const DUE: usize = 100;
const DAY: i64 = 86_400;
const PLACE: &str = "/srv/many";

/// What is timed, and the most that the program under test may take of the reference's time.
const RATIOS: [(&str, f64); 3] = [("boot", 1.0), ("ageing", 0.5), ("emptying", 0.8)];
/// Noise of the machine only ever makes a ratio worse: the best of so many counts.
const ATTEMPTS: usize = 3;
/// The reference beside itself: how even the conditions are for both.
const EVEN: (f64, f64) = (0.8, 1.25);

/// Side by side in one machine.
pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let machine = boot(&setting.options()?)?;
    let script = format!("exec unshare -m --propagation private {INSIDE} inside speed");
    let mut best = RATIOS.map(|_| f64::INFINITY);
    for _ in 0..ATTEMPTS {
        let output = machine.run_for(&["sh", "-c", &script], PATIENCE)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{said}");
        for ((name, _), best) in RATIOS.iter().zip(&mut best) {
            let value = said.lines().find_map(|line| line.strip_prefix("RATIO ")?.strip_prefix(name));
            *best = best.min(value.and_then(|text| text.trim().parse().ok()).unwrap_or(f64::INFINITY));
        }
        if RATIOS.iter().zip(&best).all(|((_, most), best)| best <= most) {
            break;
        }
    }
    for ((name, most), ratio) in RATIOS.into_iter().zip(best) {
        match setting.under_test {
            UnderTest::Ours => proof.check(
                ratio <= most,
                format!("{name} takes {ratio:.2} of the reference's time, at most {most}"),
            ),
            UnderTest::Systemd => proof.check(
                (EVEN.0..EVEN.1).contains(&ratio),
                format!("{name}: the reference takes {ratio:.2} of its own time"),
            ),
        }
    }
    Ok(())
}

/// In the machine.
pub fn inside(_words: &[&str]) -> Result<()> {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..CALLS {
        for at in turn(round) {
            times[at].push(timed(at, &["--create", "--boot", "--remove"], "")?);
        }
    }
    told("boot", times);
    let mut times = [Vec::new(), Vec::new()];
    fill()?;
    for round in 0..AGEINGS {
        for at in turn(round) {
            age()?;
            times[at].push(timed(at, &["--clean", "-"], &format!("d {PLACE} - - - m:1d"))?);
            let left = count()?;
            let expected = DIRECTORIES * (FILES_EACH - FILES_EACH / DUE);
            if left != expected {
                return Err(Error::new(format!("{left} files are left, not {expected}")));
            }
        }
    }
    told("ageing", times);
    let mut times = [Vec::new(), Vec::new()];
    for at in [0, 1, 1, 0] {
        fill()?;
        times[at].push(timed(at, &["--clean", "-"], &format!("d {PLACE} - - - 0"))?);
        let left = fs::read_dir(PLACE).map_err(Error::on("list", PLACE))?.count();
        if left != 0 {
            return Err(Error::new(format!("{left} directories are left")));
        }
    }
    told("emptying", times);
    unmount(PLACE, UnmountFlags::DETACH).map_err(Error::on("unmount", PLACE))
}

/// Either goes first as often as the other.
fn turn(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

fn timed(at: usize, words: &[&str], line: &str) -> Result<f64> {
    let program = [REFERENCE, UNDER_TEST][at];
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command.spawn().map_err(Error::on("start", program))?;
    let mut input = child.stdin.take().expect("its input is a pipe");
    // A program that takes no input may have ended.
    let _ = writeln!(input, "{line}");
    drop(input);
    let status = child.wait().map_err(Error::on("wait for", program))?;
    let time = begin.elapsed().as_secs_f64();
    if status.success() {
        Ok(time)
    } else {
        Err(Error::new(format!("{program} {}: {status}", words.join(" "))))
    }
}

fn told(name: &str, times: [Vec<f64>; 2]) {
    let [reference, under_test] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!("{name}: the reference {:.1} ms, under test {:.1} ms", reference * 1e3, under_test * 1e3);
    println!("RATIO {name} {:.3}", under_test / reference);
}

/// A fresh million.
fn fill() -> Result<()> {
    fs::create_dir_all(PLACE).map_err(Error::on("create", PLACE))?;
    // Not there the first time.
    let _ = unmount(PLACE, UnmountFlags::DETACH);
    let options = Some(c"mode=0755,nr_inodes=0");
    mount("tmpfs", PLACE, "tmpfs", MountFlags::empty(), options).map_err(Error::on("mount", PLACE))?;
    for directory in 0..DIRECTORIES {
        let directory = Path::new(PLACE).join(format!("directory-{directory}"));
        fs::create_dir(&directory).map_err(Error::on("create", &directory))?;
        for file in 0..FILES_EACH {
            let file = directory.join(format!("file-{file}"));
            File::create(&file).map_err(Error::on("create", &file))?;
        }
    }
    Ok(())
}

/// Makes what is due anew, and old.
fn age() -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let before = i64::try_from(now.map_or(0, |since| since.as_secs())).unwrap_or(0) - 2 * DAY;
    let time = Timespec { tv_sec: before, tv_nsec: 0 };
    for directory in 0..DIRECTORIES {
        for file in (0..FILES_EACH).step_by(DUE) {
            let file = Path::new(PLACE).join(format!("directory-{directory}/file-{file}"));
            File::create(&file).map_err(Error::on("create", &file))?;
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, &file, &times, AtFlags::empty()).map_err(Error::on("set times of", &file))?;
        }
    }
    Ok(())
}

fn count() -> Result<usize> {
    let mut count = 0;
    for directory in fs::read_dir(PLACE).map_err(Error::on("list", PLACE))?.flatten() {
        count += fs::read_dir(directory.path()).map_err(Error::on("list", directory.path()))?.count();
    }
    Ok(count)
}
