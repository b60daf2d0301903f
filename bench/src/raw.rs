//! The floor: starting the same programs with nothing but posix_spawn.

use crate::tick;
use runstead_compat::{Error, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Microseconds from the first to the last start of `count` programs, the median of five runs.
pub fn side_by_side(count: usize) -> Result<f64> {
    let shared = Path::new("/dev/shm");
    let base = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
    let directory = base.join(format!("runstead-bench-{}", std::process::id()));
    fs::create_dir_all(&directory).map_err(Error::on("create", &directory))?;
    let runs: Result<Vec<f64>> = (0..5).map(|_| run(&directory, count)).collect();
    let _ = fs::remove_dir_all(&directory);
    let mut runs = runs?;
    runs.sort_by(f64::total_cmp);
    Ok(runs[runs.len() / 2])
}

fn run(directory: &Path, count: usize) -> Result<f64> {
    let (program, ticks) = (directory.join("tick"), directory.join("ticks"));
    fs::write(&ticks, "").map_err(Error::on("write", &ticks))?;
    fs::write(&program, tick::program(&ticks.to_string_lossy())).map_err(Error::on("write", &program))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(Error::on("chmod", &program))?;
    let spawn = || {
        let mut command = Command::new(&program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(Error::on("spawn", &program))
    };
    // The first one marks the beginning, as the exec of PID 1 does in a machine.
    spawn()?.wait().map_err(Error::on("wait for", &program))?;
    let children: Result<Vec<_>> = (0..count).map(|_| spawn()).collect();
    for mut child in children? {
        child.wait().map_err(Error::on("wait for", &program))?;
    }
    let times = tick::times(&fs::read(&ticks).map_err(Error::on("read", &ticks))?);
    if times.len() != count + 1 {
        return Err(Error::new(format!("{} of {count} programs ran", times.len().saturating_sub(1))));
    }
    Ok(times[count] - times[0])
}
