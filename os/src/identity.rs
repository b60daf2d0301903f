//! Who this machine is: its ids, name, kernel command line, and what we run in.
use crate::error::{Attempt, OsError};
use std::fs;
use std::path::Path;

/// Facts about the machine that do not change while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// 32 hex digits (machine-id(5)).
    pub machine_id: String,
    /// 32 hex digits, of this boot of the kernel.
    pub boot_id: String,
    /// "" on hardware; "kvm", "container-other", "docker" ... (systemd-detect-virt(1), with the prefix the bus shows).
    pub virtualization: String,
    /// `container=` of our environment, when it is set.
    pub container: Option<String>,
    /// "x86-64" ... (`ConditionArchitecture=`).
    pub architecture: &'static str,
    /// The machine had no id before this boot (`ConditionFirstBoot=`).
    pub first_boot: bool,
    /// Words of the kernel command line; in a container those of PID 1's own arguments do not count.
    pub command_line: Vec<String>,
}

/// Random bytes of the kernel.
///
/// # Errors
/// As getrandom(2).
pub fn random<const N: usize>() -> Result<[u8; N], OsError> {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).attempt("getrandom", "")?;
    Ok(bytes)
}

/// 32 hex digits that make a valid random UUID (machine-id(5)).
///
/// # Errors
/// As getrandom(2).
pub fn random_id() -> Result<String, OsError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id in a tree (machine-id(5)), 32 hex digits.
pub fn machine_id_of(root: &Path) -> Option<String> {
    valid_id(&fs::read_to_string(root.join("etc/machine-id")).ok()?)
}

impl Identity {
    /// Look.
    pub fn read() -> Identity {
        let container = std::env::var("container").ok().filter(|word| !word.is_empty());
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let text = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        Identity {
            machine_id: valid_id(&text).unwrap_or_default(),
            boot_id: boot_id.trim().replace('-', ""),
            virtualization: virtualization(container.as_deref()),
            // An empty file only asks for an id (machine-id(5), "First Boot Semantics").
            first_boot: !Path::new("/etc/machine-id").exists() || text.trim() == "uninitialized",
            command_line: words(container.is_some()),
            architecture: architecture(),
            container,
        }
    }

    /// Make sure that there is a machine id: from `container_uuid=`, else random; written to `/etc/machine-id`, or where
    /// that is read-only to a file below the run root that is mounted over it.
    ///
    /// # Errors
    /// When no file could be written; the id is used all the same.
    pub fn settle_machine_id(&mut self, run_root: &str) -> Result<(), OsError> {
        if !self.machine_id.is_empty() {
            return Ok(());
        }
        let given = std::env::var("container_uuid").ok().and_then(|text| valid_id(&text.replace('-', "")));
        self.machine_id = match given {
            Some(id) => id,
            None => random_id()?,
        };
        let line = format!("{}\n", self.machine_id);
        if fs::write("/etc/machine-id", &line).is_ok() {
            return Ok(());
        }
        let transient = format!("{run_root}/machine-id");
        fs::write(&transient, &line).attempt("write", &*transient)?;
        rustix::mount::mount_bind(&*transient, "/etc/machine-id").attempt("bind over", "/etc/machine-id")
    }
}

fn valid_id(text: &str) -> Option<String> {
    let id = text.trim().to_ascii_lowercase();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0'))
        .then_some(id)
}

/// Set the host name from `/etc/hostname`; `localhost` when there is none and the kernel has none either.
///
/// # Errors
/// As sethostname(2).
pub fn settle_host_name() -> Result<(), OsError> {
    let text = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    let current = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = match (name, current.as_str()) {
        ("", "" | "(none)") => "localhost",
        ("", _) => return Ok(()),
        (name, _) => name,
    };
    rustix::system::sethostname(name.as_bytes()).attempt("sethostname", name)
}

/// The kernel command line; in a container PID 1's own is not the kernel's, and nothing counts.
fn words(container: bool) -> Vec<String> {
    if container {
        return Vec::new();
    }
    let text = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn virtualization(container: Option<&str>) -> String {
    const KNOWN: [&str; 9] =
        ["systemd-nspawn", "lxc", "lxc-libvirt", "docker", "podman", "rkt", "wsl", "proot", "pouch"];
    match container {
        Some(word) if KNOWN.contains(&word) => word.to_owned(),
        Some(_) => "container-other".to_owned(),
        None => machine_virtualization(),
    }
}

/// By the firmware's names (dmi) and the hypervisor bit.
fn machine_virtualization() -> String {
    const VENDORS: [(&str, &str); 9] = [
        ("KVM", "kvm"),
        ("OpenStack", "kvm"),
        ("Amazon EC2", "amazon"),
        ("QEMU", "qemu"),
        ("VMware", "vmware"),
        ("innotek GmbH", "oracle"),
        ("Xen", "xen"),
        ("Bochs", "bochs"),
        ("Microsoft Corporation", "microsoft"),
    ];
    for file in ["product_name", "sys_vendor", "board_vendor", "bios_vendor"] {
        let text = fs::read_to_string(Path::new("/sys/class/dmi/id").join(file)).unwrap_or_default();
        if let Some((_, word)) = VENDORS.iter().find(|(vendor, _)| text.starts_with(vendor)) {
            return (*word).to_owned();
        }
    }
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let hypervisor = flags
        .lines()
        .any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor"));
    if hypervisor { "vm-other".to_owned() } else { String::new() }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "x86" => "x86",
        "aarch64" => "arm64",
        "arm" => "arm",
        "riscv64" => "riscv64",
        "powerpc64" => "ppc64-le",
        "s390x" => "s390x",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        assert_eq!(
            valid_id("0123456789abcdef0123456789ABCDEF\n").as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
        assert_eq!(valid_id("uninitialized"), None);
        assert_eq!(valid_id(&"0".repeat(32)), None);
        let (one, two) = (random_id().unwrap(), random_id().unwrap());
        assert!(valid_id(&one).is_some() && one != two);
    }
}
