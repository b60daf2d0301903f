//! Shows: what clients see of the manager. `systemd1` is the D-Bus interface `org.freedesktop.systemd1`, `login1` that of
//! the login manager.
#![forbid(unsafe_code)]

pub mod error;
pub mod interface;
mod introspection;
pub mod login1;
pub mod polkit;
pub mod systemd1;
