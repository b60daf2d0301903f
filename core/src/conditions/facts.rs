//! What conditions ask of the host.

/// An error number.
pub type Errno = i32;

/// Questions about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathTest {
    /// Something is there (links followed).
    Exists,
    /// The pattern matches something.
    ExistsGlob,
    /// A directory.
    IsDirectory,
    /// A symbolic link.
    IsSymbolicLink,
    /// A mount point.
    IsMountPoint,
    /// The file system is writable.
    IsReadWrite,
    /// The block device below is encrypted.
    IsEncrypted,
    /// A directory with something in it.
    DirectoryNotEmpty,
    /// A regular file with something in it.
    FileNotEmpty,
    /// A regular file that may be executed.
    FileIsExecutable,
}

/// Under what the manager runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Virtualization<'a> {
    /// Nothing.
    None,
    /// A machine of this name, e.g. `kvm`.
    Vm(&'a str),
    /// A container of this name, e.g. `docker`.
    Container(&'a str),
}

/// Pressure stall information: shares of time in which all tasks stalled, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    /// Over 10 seconds.
    pub avg10: u32,
    /// Over a minute.
    pub avg60: u32,
    /// Over five minutes.
    pub avg300: u32,
}

/// The facts of the host. Implemented by the shell, and by tests.
pub trait HostFacts {
    /// A question about an absolute path.
    fn path(&self, test: PathTest, path: &str) -> Result<bool, Errno>;
    /// The architecture as `ConditionArchitecture=` names it, e.g. `x86-64`.
    fn architecture(&self) -> &str;
    /// Whether the machine was started by UEFI.
    fn firmware_uefi(&self) -> bool;
    /// The `compatible` strings of the device tree; `None` without device tree.
    fn device_tree_compatible(&self) -> Option<Vec<String>>;
    /// A field below `/sys/class/dmi/id`.
    fn smbios_field(&self, field: &str) -> Option<String>;
    /// The machine id.
    fn machine_id(&self) -> Option<u128>;
    /// The host name.
    fn host_name(&self) -> &str;
    /// Virtual machine or container.
    fn virtualization(&self) -> Virtualization<'_>;
    /// Whether users are mapped (a user name space of its own).
    fn private_users(&self) -> bool;
    /// The kernel's command line.
    fn kernel_command_line(&self) -> &str;
    /// `uname -r`
    fn kernel_release(&self) -> &str;
    /// Whether a security technology is in use, e.g. `selinux`, `apparmor`, `tpm2`; false for unknown ones.
    fn security(&self, technology: &str) -> bool;
    /// The manager's capability bounding set.
    fn bounding_set(&self) -> Result<u64, Errno>;
    /// Whether the machine runs on mains power.
    fn ac_power(&self) -> Result<bool, Errno>;
    /// Whether `/etc` or `/var` is older than `/usr`.
    fn needs_update(&self, path: &str) -> Result<bool, Errno>;
    /// Whether this is the first boot.
    fn first_boot(&self) -> bool;
    /// The manager's user.
    fn uid(&self) -> u32;
    /// The number of a user.
    fn user_id(&self, name: &str) -> Option<u32>;
    /// The manager's groups, supplementary ones included.
    fn groups(&self) -> Vec<u32>;
    /// The number of a group.
    fn group_id(&self, name: &str) -> Option<u32>;
    /// Whether a control group controller is usable; `None` for names that are no controller.
    fn controller(&self, name: &str) -> Option<bool>;
    /// How many CPUs the manager may use.
    fn cpus(&self) -> Result<u64, Errno>;
    /// Bytes of memory of the machine.
    fn memory(&self) -> u64;
    /// A variable of the manager's own environment.
    fn environment(&self, name: &str) -> Option<String>;
    /// Whether the CPU has a feature, e.g. `rdrand`.
    fn cpu_feature(&self, feature: &str) -> bool;
    /// A field of `os-release`.
    fn os_release(&self, field: &str) -> Option<String>;
    /// Pressure of `memory`, `cpu` or `io`, of the machine or of a slice; `None` where it cannot be told.
    fn pressure(&self, resource: &str, slice: Option<&str>) -> Option<Pressure>;
    /// Whether a credential was passed to the manager.
    fn credential(&self, name: &str) -> bool;
    /// Whether a kernel module is loaded or built in.
    fn kernel_module_loaded(&self, name: &str) -> Result<bool, Errno>;
}
