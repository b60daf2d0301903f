//! What the manager is told when it starts, and of its configuration again at each reload: `system.conf`/`user.conf`, its command line and its surroundings.
use super::clock::Usec;
use crate::directives::ids;
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
    /// `DefaultTasksMax=`, resolved; `u64::MAX` is no limit.
    pub default_tasks_max: u64,
    /// The terminal behind `/dev/console`, as "ttyS0"; `None`: not known.
    pub console: Option<Rc<str>>,
    /// The kernel began with us (we are PID 1, and not in a container): its time counts in `StartupFinished`.
    pub own_kernel: bool,
    /// When user space began (monotonic).
    pub userspace_at: Usec,
    /// The machine's time zone at first: bytes of its file (tzfile(5)); empty: UTC.
    pub zone_file: Rc<[u8]>,
}

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
            default_tasks_max: u64::MAX,
            console: None,
            own_kernel: false,
            userspace_at: 0,
            zone_file: Rc::from([]),
        }
    }
}

impl ManagerConfig {
    /// `StatusUnitFormat=`: "description", "name" or "combined".
    pub fn status_format(&self) -> &'static str {
        self.defaults.word(ids::STATUS_UNIT_FORMAT)
    }
}
