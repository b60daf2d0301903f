//! Unit files that are part of the binary: enough to boot where there are none, and the examples.
use std::fs;
use std::io;
use std::path::Path;

macro_rules! units {
    ($dir:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $dir, "/", $name)))),*]
    };
}

/// Targets from `default.target` to `poweroff.target`.
pub const SYSTEM: &[(&str, &str)] = units!("units/system":
    "basic.target", "default.target", "emergency.target", "exit.target", "final.target", "halt.target",
    "local-fs.target", "network.target", "paths.target", "poweroff.target", "reboot.target", "rescue.service",
    "rescue.target", "runstead-exit.service", "runstead-halt.service", "runstead-poweroff.service",
    "runstead-reboot.service", "shutdown.target", "slices.target", "sockets.target", "sysinit.target",
    "timers.target", "umount.target",
);

/// One of each kind of thing that a manager starts.
pub const EXAMPLES: &[(&str, &str)] = units!("examples/units":
    "hello-crashing.service", "hello-forking.service", "hello-http.service", "hello-http.socket",
    "hello-notify.service", "hello-path.path", "hello-path.service", "hello-timer.service", "hello-timer.timer",
);

/// Write unit files into a directory, and hook those with `WantedBy=` into their target.
pub fn write(units: &[(&str, &str)], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text) in units {
        fs::write(dir.join(name), text)?;
        for target in text.lines().filter_map(|line| line.strip_prefix("WantedBy=")) {
            let wants = dir.join(format!("{target}.wants"));
            fs::create_dir_all(&wants)?;
            std::os::unix::fs::symlink(format!("../{name}"), wants.join(name))?;
        }
    }
    Ok(())
}
