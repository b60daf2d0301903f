//! Shows: what clients see of the manager. `systemd1` is the D-Bus interface `org.freedesktop.systemd1`.
#![forbid(unsafe_code)]

pub mod systemd1;
