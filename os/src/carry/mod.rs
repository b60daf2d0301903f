//! Carrying files of `/run` over a boot: collected at its end, kept on disk, put back at the next start.
//!
//! | file | subject |
//! |---|---|
//! | `wishes` | where it is said what is wanted |
//! | `collect` | what of that is in `/run`, and may be carried |
//! | `disk` | the calls that make it last |
//! | `keep` | saving and taking out: whatever the moment of a crash, the store is whole or not there |
//! | `put` | putting back |
mod collect;
mod disk;
mod keep;
mod put;
mod wishes;

pub use collect::collect;
pub use disk::{Disk, Folder};
pub use keep::{held, save, take};
pub use put::put_back;
pub use wishes::{Known, wishes};

use std::fs;

/// Where it is kept.
pub const FOLDER: &str = "/var/lib/runstead/carry";

/// Names this start of PID 1: the boot of the kernel, and when PID 1 began in it, which tells the starts of a container apart.
pub fn start_id() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{}-{}", boot.trim().replace('-', ""), crate::process::start_time(1).unwrap_or(0))
}
