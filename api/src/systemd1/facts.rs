//! What the engine does not know: the kernel's and the shell's side of properties. Everything is asked on demand, so that
//! what nobody looks at costs nothing.
use runstead_core::directives::properties::HostValues;
use runstead_core::engine::Unit;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::effect::FdId;
use runstead_core::names::UnitName;
use runstead_core::rundir::Share;
use runstead_core::settings::Settings;
use serde::{Deserialize, Serialize};

/// Facts about the machine and its processes, as they are now. Cgroup paths are relative to the manager's root
/// (`/system.slice/a.service`).
pub trait Facts {
    /// The contents of a file of a cgroup (`memory.current`).
    fn cgroup_attribute(&self, path: &str, file: &str) -> Option<String>;
    /// The inode number of a cgroup's directory (`ControlGroupId`).
    fn cgroup_id(&self, _path: &str) -> Option<u64> {
        None
    }
    /// Whether there are cgroups at all; without them a unit's path is only a name.
    fn has_cgroups(&self) -> bool {
        true
    }
    /// The cgroup of a process, or the path of the unit it belongs to.
    fn cgroup_of(&self, pid: i32) -> Option<String>;
    /// All processes in a cgroup and below it, with the cgroup each is in; "" where there are none.
    fn cgroup_processes(&self, path: &str) -> Vec<(String, i32)>;
    /// The command line of a process for people: words separated by spaces, `[comm]` when there is none.
    fn cmdline(&self, pid: i32) -> String;
    /// `UnitFileState`, empty when there is no file.
    fn unit_file_state(&self, name: &UnitName) -> String;
    /// `UnitFilePreset`, empty when there is no file.
    fn unit_file_preset(&self, name: &UnitName) -> String;
    /// Whether a file of the unit changed since it was read.
    fn need_daemon_reload(&self, unit: &Unit) -> bool;
    /// uid and gid that the running processes of the unit were given by `User=`.
    fn user_ids(&self, _unit: &Unit) -> Option<(u32, u32)> {
        None
    }
    /// What the machine and the manager's own process give where a setting is not set.
    fn host_values(&self) -> HostValues {
        HostValues::default()
    }
    /// What a descriptor in the store of a service is.
    fn stored_fd(&self, _fd: FdId) -> Option<StoredFd> {
        None
    }
    /// The manager's root in the cgroup tree, empty when it is the root itself.
    fn cgroup_root(&self) -> String {
        String::new()
    }
    /// The name on the bus of a client's connection.
    fn connection_name(&self, _connection: u64) -> Option<String> {
        None
    }
    /// What a unit had used when its cgroup went.
    fn used(&self, _unit: &UnitName) -> Used {
        Used::default()
    }
    /// What a unit takes of the run root, where somebody looked.
    fn share(&self, _unit: &UnitName) -> Option<Share> {
        None
    }
    /// The manager's own values.
    fn manager(&self) -> ManagerFacts;
}

/// What a unit has used; `None` where nobody counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// `CPUUsageNSec`.
    pub cpu_nsec: Option<u64>,
    /// `MemoryPeak`, bytes.
    pub memory_peak: Option<u64>,
    /// `MemorySwapPeak`, bytes.
    pub swap_peak: Option<u64>,
}

impl Used {
    /// The nanoseconds in a `cpu.stat`.
    pub fn cpu_of(stat: &str) -> Option<u64> {
        let usec = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        usec.trim().parse::<u64>().ok()?.checked_mul(1000)
    }
}

/// A descriptor as `DumpUnitFileDescriptorStore` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredFd {
    /// `st_mode`.
    pub mode: u32,
    /// Major and minor number of `st_dev`.
    pub device: (u32, u32),
    /// `st_ino`.
    pub inode: u64,
    /// Major and minor number of `st_rdev`.
    pub special: (u32, u32),
    /// Where `/proc/self/fd/N` points.
    pub path: String,
    /// `O_*` flags.
    pub flags: u32,
}

/// Times of the manager (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct ManagerStamps {
    pub firmware: Stamp,
    pub loader: Stamp,
    pub kernel: Stamp,
    pub initrd: Stamp,
    pub userspace: Stamp,
    pub finish: Stamp,
    pub shutdown_start: Stamp,
    pub security_start: Stamp,
    pub security_finish: Stamp,
    pub generators_start: Stamp,
    pub generators_finish: Stamp,
    pub units_load_start: Stamp,
    pub units_load_finish: Stamp,
    pub units_load: Stamp,
    pub initrd_security_start: Stamp,
    pub initrd_security_finish: Stamp,
    pub initrd_generators_start: Stamp,
    pub initrd_generators_finish: Stamp,
    pub initrd_units_load_start: Stamp,
    pub initrd_units_load_finish: Stamp,
}

/// The manager's own values, one field a property.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ManagerFacts {
    pub version: String,
    pub features: String,
    pub virtualization: String,
    pub confidential_virtualization: String,
    pub architecture: String,
    pub tainted: String,
    pub stamps: ManagerStamps,
    pub log_level: String,
    pub log_target: String,
    /// Jobs enqueued since the start.
    pub installed_jobs: u32,
    pub failed_jobs: u32,
    /// Share of the first transaction that is done.
    pub progress: f64,
    pub environment: Vec<String>,
    pub confirm_spawn: bool,
    pub show_status: bool,
    pub unit_path: Vec<String>,
    pub watchdog_device: String,
    pub watchdog_last_ping: Stamp,
    pub runtime_watchdog: u64,
    pub runtime_watchdog_pre: u64,
    pub runtime_watchdog_pre_governor: String,
    pub reboot_watchdog: u64,
    pub kexec_watchdog: u64,
    pub service_watchdogs: bool,
    /// `SystemState` where the engine's jobs do not tell it (`stopping`, `maintenance`).
    pub system_state: Option<&'static str>,
    pub exit_code: u8,
    /// `[Manager]` of system.conf or user.conf.
    pub settings: Settings,
    pub soft_reboots: u32,
}

impl Default for ManagerFacts {
    fn default() -> ManagerFacts {
        ManagerFacts {
            version: "257".to_owned(),
            features: String::new(),
            virtualization: String::new(),
            confidential_virtualization: String::new(),
            architecture: String::new(),
            tainted: String::new(),
            stamps: ManagerStamps::default(),
            log_level: "info".to_owned(),
            log_target: "auto".to_owned(),
            installed_jobs: 0,
            failed_jobs: 0,
            progress: 1.0,
            environment: Vec::new(),
            confirm_spawn: false,
            show_status: false,
            unit_path: Vec::new(),
            watchdog_device: String::new(),
            watchdog_last_ping: Stamp { realtime: u64::MAX, monotonic: u64::MAX },
            runtime_watchdog: 0,
            runtime_watchdog_pre: 0,
            runtime_watchdog_pre_governor: String::new(),
            reboot_watchdog: 600_000_000,
            kexec_watchdog: 0,
            service_watchdogs: true,
            system_state: None,
            exit_code: 0,
            settings: Settings::default(),
            soft_reboots: 0,
        }
    }
}
