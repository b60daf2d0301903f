//! The floor: starting the same programs with nothing but posix_spawn.

use crate::{measure, tick};
use runstead_compat::{Error, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Microseconds from the first to the last start of `count` programs, the median of five runs.
pub fn side_by_side(count: usize) -> Result<f64> {
    median_of_runs(count, |program| {
        let children: Result<Vec<_>> = (0..count).map(|_| spawn(program)).collect();
        children?.iter_mut().try_for_each(|child| ended(child, program))
    })
}

/// Microseconds from one start to the next of programs of which each waits for the end of the one before, the median of
/// five runs.
pub fn chain_step(count: usize) -> Result<f64> {
    let whole =
        median_of_runs(count, |program| (0..count).try_for_each(|_| ended(&mut spawn(program)?, program)))?;
    Ok(whole / count as f64)
}

/// Microseconds from the start of a first program to the last of `count` that `start` starts.
fn median_of_runs(count: usize, start: impl Fn(&Path) -> Result<()>) -> Result<f64> {
    let shared = Path::new("/dev/shm");
    let base = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
    let directory = base.join(format!("runstead-bench-{}", std::process::id()));
    fs::create_dir_all(&directory).map_err(Error::on("create", &directory))?;
    let median = measure::median((0..5).map(|_| run(&directory, count, &start)));
    let _ = fs::remove_dir_all(&directory);
    median
}

fn run(directory: &Path, count: usize, start: impl Fn(&Path) -> Result<()>) -> Result<f64> {
    let (program, ticks) = (directory.join("tick"), directory.join("ticks"));
    fs::write(&ticks, "").map_err(Error::on("write", &ticks))?;
    fs::write(&program, tick::program(&ticks.to_string_lossy())).map_err(Error::on("write", &program))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(Error::on("chmod", &program))?;
    // The first one marks the beginning, as the exec of PID 1 does in a machine.
    ended(&mut spawn(&program)?, &program)?;
    start(&program)?;
    let times = tick::times(&fs::read(&ticks).map_err(Error::on("read", &ticks))?);
    if times.len() != count + 1 {
        return Err(Error::new(format!("{} of {count} programs ran", times.len().saturating_sub(1))));
    }
    Ok(times[count] - times[0])
}

fn spawn(program: &Path) -> Result<Child> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(Error::on("spawn", program))
}

/// Waits; a program that failed has noted no time.
fn ended(child: &mut Child, program: &Path) -> Result<()> {
    let status = child.wait().map_err(Error::on("wait for", program))?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("{}: {status}", program.display()))) }
}
