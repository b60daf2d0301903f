//! What the manager is told once, when it starts: `system.conf`/`user.conf`, its command line and its surroundings.
use super::clock::Usec;
use crate::names::UnitName;
use crate::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
use crate::settings::Settings;
use std::rc::Rc;

/// Settings of the manager as far as the engine decides by them (systemd-system.conf(5)).
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// The user manager rather than the system's.
    pub user: bool,
    /// We are PID 1 inside a container: device units and kernel tables differ.
    pub container: bool,
    /// Devices are units: udev may be at work here.
    pub devices: bool,
    /// Random bytes from the kernel; the source of invocation ids.
    pub seed: [u8; 16],
    /// What specifiers say about the host.
    pub host: HostSpecifiers,
    /// What specifiers say about the manager.
    pub manager: ManagerSpecifiers,
    /// `[Manager]` of system.conf or user.conf (`directives::load_manager`): units inherit its `Default*=` rows.
    pub defaults: Settings,
    /// Controllers that can be used ("cpu", "memory", "pids", "io", "cpuset"); none where there are no control groups.
    pub controllers: Vec<Rc<str>>,
    /// `DefaultTimeoutStartSec=`.
    pub default_timeout_start: Usec,
    /// `DefaultTimeoutStopSec=`.
    pub default_timeout_stop: Usec,
    /// `DefaultTimeoutAbortSec=`; `None`: as stop.
    pub default_timeout_abort: Option<Usec>,
    /// `DefaultDeviceTimeoutSec=`.
    pub default_device_timeout: Usec,
    /// `DefaultRestartSec=`.
    pub default_restart: Usec,
    /// `DefaultStartLimitIntervalSec=`.
    pub default_start_limit_interval: Usec,
    /// `DefaultStartLimitBurst=`.
    pub default_start_limit_burst: u32,
    /// `DefaultTimerAccuracySec=`.
    pub default_timer_accuracy: Usec,
    /// `DefaultCPUAccounting=`.
    pub default_cpu_accounting: bool,
    /// `DefaultMemoryAccounting=`.
    pub default_memory_accounting: bool,
    /// `DefaultTasksAccounting=`.
    pub default_tasks_accounting: bool,
    /// `DefaultIOAccounting=`.
    pub default_io_accounting: bool,
    /// `DefaultTasksMax=`, resolved; `u64::MAX` is no limit.
    pub default_tasks_max: u64,
    /// `StatusUnitFormat=`: "description", "name" or "combined".
    pub status_format: Rc<str>,
    /// The terminal behind `/dev/console`, as "ttyS0"; `None`: not known.
    pub console: Option<Rc<str>>,
    /// When the kernel, the initrd and user space began, for `StartupFinished` (monotonic; 0: not known).
    pub kernel_at: Usec,
    /// See `kernel_at`.
    pub initrd_at: Usec,
    /// See `kernel_at`.
    pub userspace_at: Usec,
    /// The machine's time zone at first: bytes of its file (tzfile(5)); empty: UTC.
    pub zone_file: Rc<[u8]>,
    /// `CtrlAltDelBurstAction=` and the unit to start for a failure that asks for it.
    pub default_target: Option<UnitName>,
}

const SECOND: Usec = 1_000_000;

impl Default for ManagerConfig {
    fn default() -> Self {
        ManagerConfig {
            user: false,
            container: false,
            devices: true,
            seed: [0; 16],
            host: HostSpecifiers::default(),
            manager: ManagerSpecifiers::system("/run"),
            defaults: Settings::default(),
            controllers: ["cpu", "cpuset", "io", "memory", "pids"].map(Rc::from).to_vec(),
            default_timeout_start: 90 * SECOND,
            default_timeout_stop: 90 * SECOND,
            default_timeout_abort: None,
            default_device_timeout: 90 * SECOND,
            default_restart: SECOND / 10,
            default_start_limit_interval: 10 * SECOND,
            default_start_limit_burst: 5,
            default_timer_accuracy: 60 * SECOND,
            default_cpu_accounting: true,
            default_memory_accounting: true,
            default_tasks_accounting: true,
            default_io_accounting: false,
            default_tasks_max: u64::MAX,
            status_format: Rc::from("combined"),
            console: None,
            kernel_at: 0,
            initrd_at: 0,
            userspace_at: 0,
            zone_file: Rc::from([]),
            default_target: None,
        }
    }
}
