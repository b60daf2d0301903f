//! Shows: what clients see of the manager. `systemd1` is the D-Bus interface `org.freedesktop.systemd1`, `runtree` the files
//! below the run root.
#![forbid(unsafe_code)]

pub mod runtree;
pub mod systemd1;
