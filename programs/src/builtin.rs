//! Unit files that are part of the binary: enough to boot where there are none, and the examples.
macro_rules! units {
    ($dir:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $dir, "/", $name)))),*]
    };
}

/// What a machine has that consists of this binary: the same, and a shell on its console.
pub const ALONE: &[(&str, &str)] = units!("units/alone": "console-shell.service");

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
