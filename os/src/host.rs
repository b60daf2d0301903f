//! Facts about the host for conditions (systemd.unit(5)), looked up when asked for.
use crate::error::errno_of;
use crate::identity::Identity;
use crate::mount::is_mount_point;
use runstead_core::conditions::{HostFacts, PathTest, Pressure, Virtualization};
use runstead_core::names::path::components;
use runstead_core::names::pattern;
use runstead_core::names::specifiers::HostSpecifiers;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// An error number, as `HostFacts` has it.
type Errno = i32;

/// Names that `ConditionVirtualization=` takes for containers.
const CONTAINERS: [&str; 10] = [
    "systemd-nspawn",
    "lxc",
    "lxc-libvirt",
    "docker",
    "podman",
    "rkt",
    "wsl",
    "proot",
    "pouch",
    "container-other",
];

/// What does not change while the manager runs, and where to look for the rest.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Who this machine is.
    pub identity: Identity,
    /// Controllers that units may use.
    pub controllers: Vec<String>,
    /// Where the cgroup tree is ("/sys/fs/cgroup"), for pressure of slices.
    pub cgroup_root: Option<String>,
    /// Directory of credentials passed to the manager.
    pub credentials: Option<String>,
    /// Boot parameters and names, read once.
    command_line: String,
    kernel_release: String,
    host_name: String,
    os_release: BTreeMap<String, String>,
    /// Our own bounding set: capabilities leave it before the first unit starts, and none comes back.
    bounding_set: OnceCell<u64>,
}

impl Host {
    /// Look once.
    pub fn new(identity: Identity) -> Host {
        let uname = rustix::system::uname();
        let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        Host {
            command_line: identity.command_line.join(" "),
            identity,
            kernel_release: text(uname.release()),
            host_name: text(uname.nodename()),
            os_release: os_release(Path::new("/")),
            credentials: std::env::var("CREDENTIALS_DIRECTORY").ok(),
            ..Host::default()
        }
    }

    /// What a tree says of itself in place of what this machine is.
    pub fn of_tree(mut self, root: &Path) -> Host {
        self.os_release = os_release(root);
        self.identity.machine_id = crate::identity::machine_id_of(root).unwrap_or_default();
        self
    }

    /// Whether the running kernel's version is this or a later one.
    pub fn kernel_is_at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.kernel_release.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
    }

    /// What `%` stands for, as far as it is the host's.
    pub fn specifiers(&self) -> HostSpecifiers {
        let field = |name: &str| self.os_release.get(name).cloned().unwrap_or_default();
        HostSpecifiers {
            machine_id: Some(self.identity.machine_id.clone()).filter(|id| !id.is_empty()),
            boot_id: Some(self.identity.boot_id.clone()).filter(|id| !id.is_empty()),
            host_name: self.host_name.clone(),
            pretty_host_name: self.host_name.clone(),
            kernel_release: self.kernel_release.clone(),
            architecture: self.identity.architecture.to_owned(),
            os_id: field("ID"),
            os_version_id: field("VERSION_ID"),
            os_build_id: field("BUILD_ID"),
            os_variant_id: field("VARIANT_ID"),
            os_image_id: field("IMAGE_ID"),
            os_image_version: field("IMAGE_VERSION"),
        }
    }

    /// All of os-release(5).
    pub fn os_release_fields(&self) -> &BTreeMap<String, String> {
        &self.os_release
    }
}

/// os-release(5), of `etc` or else `usr/lib` below a root.
fn os_release(root: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root.join("etc/os-release"))
        .or_else(|_| fs::read_to_string(root.join("usr/lib/os-release")));
    let text = text.unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

/// A boolean question for which "no such file" is "no".
fn ask(result: std::io::Result<bool>) -> Result<bool, Errno> {
    match result {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Ok(false)
        }
        other => other.map_err(|error| errno_of(&error).raw_os_error()),
    }
}

impl HostFacts for Host {
    fn path(&self, test: PathTest, path: &str) -> Result<bool, Errno> {
        let data = || fs::metadata(path);
        match test {
            PathTest::Exists => ask(data().map(|_| true)),
            PathTest::ExistsGlob => Ok(glob_matches(path)),
            PathTest::IsDirectory => ask(data().map(|data| data.is_dir())),
            PathTest::IsSymbolicLink => ask(fs::symlink_metadata(path).map(|data| data.is_symlink())),
            PathTest::IsMountPoint => ask(is_mount_point(path).map_err(Into::into)),
            PathTest::IsReadWrite => is_read_write(path),
            PathTest::IsEncrypted => is_encrypted(path),
            PathTest::DirectoryNotEmpty => {
                ask(fs::read_dir(path).map(|mut entries| entries.next().is_some()))
            }
            PathTest::FileNotEmpty => ask(data().map(|data| data.is_file() && data.len() > 0)),
            PathTest::FileIsExecutable => {
                ask(data().map(|data| data.is_file() && data.permissions().mode() & 0o111 != 0))
            }
        }
    }

    fn architecture(&self) -> &str {
        self.identity.architecture
    }

    fn firmware_uefi(&self) -> bool {
        Path::new("/sys/firmware/efi").exists()
    }

    fn device_tree_compatible(&self) -> Option<Vec<String>> {
        let bytes = fs::read("/proc/device-tree/compatible").ok()?;
        let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    }

    fn smbios_field(&self, field: &str) -> Option<String> {
        if field.contains('/') {
            return None;
        }
        fs::read_to_string(Path::new("/sys/class/dmi/id").join(field))
            .ok()
            .map(|text| text.trim_end().to_owned())
    }

    fn machine_id(&self) -> Option<u128> {
        u128::from_str_radix(&self.identity.machine_id, 16).ok()
    }

    fn host_name(&self) -> &str {
        &self.host_name
    }

    fn virtualization(&self) -> Virtualization<'_> {
        match self.identity.virtualization.as_str() {
            "" => Virtualization::None,
            word if CONTAINERS.contains(&word) => Virtualization::Container(word),
            word => Virtualization::Vm(word),
        }
    }

    fn private_users(&self) -> bool {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
    }

    fn kernel_command_line(&self) -> &str {
        &self.command_line
    }

    fn kernel_release(&self) -> &str {
        &self.kernel_release
    }

    fn security(&self, technology: &str) -> bool {
        let enabled = |path: &str| fs::read_to_string(path).is_ok_and(|text| text.starts_with(['Y', '1']));
        match technology {
            "selinux" => Path::new("/sys/fs/selinux/enforce").exists(),
            "apparmor" => enabled("/sys/module/apparmor/parameters/enabled"),
            "smack" => Path::new("/sys/fs/smackfs").exists(),
            "ima" => Path::new("/sys/kernel/security/ima").exists(),
            "tomoyo" => Path::new("/sys/kernel/security/tomoyo/version").exists(),
            "audit" => Path::new("/proc/self/loginuid").exists() && self.identity.container.is_none(),
            "uefi-secureboot" => secure_boot(),
            "tpm2" => fs::read_dir("/sys/class/tpmrm").is_ok_and(|mut entries| entries.next().is_some()),
            "cvm" => false,
            _ => false,
        }
    }

    fn bounding_set(&self) -> Result<u64, Errno> {
        if let Some(&known) = self.bounding_set.get() {
            return Ok(known);
        }
        let text =
            fs::read_to_string("/proc/self/status").map_err(|error| errno_of(&error).raw_os_error())?;
        let bits = text.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        let bits = bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
        Ok(*self.bounding_set.get_or_init(|| bits))
    }

    fn ac_power(&self) -> Result<bool, Errno> {
        let mut discharging = false;
        for entry in fs::read_dir("/sys/class/power_supply").into_iter().flatten().flatten() {
            let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            match read("type").trim() {
                "Mains" | "USB" if read("online").trim() == "1" => return Ok(true),
                "Battery" if read("status").trim() == "Discharging" => discharging = true,
                _ => {}
            }
        }
        Ok(!discharging)
    }

    fn needs_update(&self, path: &str) -> Result<bool, Errno> {
        let usr = fs::metadata("/usr").and_then(|data| data.modified());
        let usr = usr.map_err(|error| errno_of(&error).raw_os_error())?;
        let stamp =
            fs::metadata(format!("{}/.updated", path.trim_end_matches('/'))).and_then(|data| data.modified());
        Ok(stamp.map_or(true, |stamp| usr > stamp))
    }

    fn first_boot(&self) -> bool {
        self.identity.first_boot
    }

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        number_in("/etc/passwd", name)
    }

    fn groups(&self) -> Vec<u32> {
        let mut groups: Vec<u32> = rustix::process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(rustix::process::Gid::as_raw)
            .collect();
        groups.push(rustix::process::getegid().as_raw());
        groups
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        number_in("/etc/group", name)
    }

    fn controller(&self, name: &str) -> Option<bool> {
        const ALL: [&str; 6] = ["cpu", "cpuset", "io", "memory", "pids", "cpuacct"];
        match name {
            // The unified hierarchy itself.
            "v2" => Some(self.cgroup_root.is_some()),
            "v1" => Some(false),
            _ => ALL.contains(&name).then(|| self.controllers.iter().any(|have| have == name)),
        }
    }

    fn cpus(&self) -> Result<u64, Errno> {
        let set = rustix::thread::sched_getaffinity(None).map_err(rustix::io::Errno::raw_os_error)?;
        Ok(u64::from(set.count()))
    }

    fn memory(&self) -> u64 {
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib: u64 = total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
        kib.saturating_mul(1024)
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn cpu_feature(&self, feature: &str) -> bool {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
        flags.is_some_and(|line| line.split_whitespace().any(|flag| flag.eq_ignore_ascii_case(feature)))
    }

    fn os_release(&self, field: &str) -> Option<String> {
        self.os_release.get(field).cloned()
    }

    fn pressure(&self, resource: &str, slice: Option<&str>) -> Option<Pressure> {
        let path = match slice {
            None => format!("/proc/pressure/{resource}"),
            Some(slice) => format!("{}{slice}/{resource}.pressure", self.cgroup_root.as_deref()?),
        };
        let text = fs::read_to_string(path).ok()?;
        // The CPU has no "full" line before Linux 5.13.
        let line = text.lines().find(|line| line.starts_with("full")).or_else(|| text.lines().next())?;
        let average = |name: &str| {
            let value = line.split(' ').find_map(|field| field.strip_prefix(name))?.strip_prefix('=')?;
            let (whole, part) = value.split_once('.')?;
            Some(whole.parse::<u32>().ok()? * 100 + part.parse::<u32>().ok()?)
        };
        Some(Pressure { avg10: average("avg10")?, avg60: average("avg60")?, avg300: average("avg300")? })
    }

    fn credential(&self, name: &str) -> bool {
        self.credentials.as_ref().is_some_and(|dir| !name.contains('/') && Path::new(dir).join(name).exists())
    }

    fn kernel_module_loaded(&self, name: &str) -> Result<bool, Errno> {
        ask(fs::metadata(Path::new("/sys/module").join(name.replace('-', "_"))).map(|_| true))
    }
}

/// The third field of the line of `name` (passwd(5), group(5)).
fn number_in(file: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// Whether a file system can be written: its flags, not our rights.
fn is_read_write(path: &str) -> Result<bool, Errno> {
    match rustix::fs::statvfs(path) {
        Ok(data) => Ok(!data.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY)),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.raw_os_error()),
    }
}

/// Whether the block device below a path is dm-crypt, by its uuid in sysfs.
fn is_encrypted(path: &str) -> Result<bool, Errno> {
    use std::os::unix::fs::MetadataExt as _;
    let device = match fs::metadata(path) {
        Ok(data) => data.dev(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(errno_of(&error).raw_os_error()),
    };
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let uuid = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/dm/uuid")).unwrap_or_default();
    Ok(uuid.starts_with("CRYPT-"))
}

fn secure_boot() -> bool {
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    fs::read(variable).is_ok_and(|bytes| bytes.get(4) == Some(&1))
}

/// Whether anything matches a pattern (glob(7)).
pub fn glob_matches(path: &str) -> bool {
    !expand(path).is_empty()
}

/// The paths that match a pattern, sorted; a path without wildcards stands for itself, there or not.
pub fn glob(path: &str) -> Vec<String> {
    if !pattern::is_glob(path) {
        return vec![path.to_owned()];
    }
    let mut found: Vec<String> =
        expand(path).into_iter().map(|path| path.to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

/// Component by component.
fn expand(path: &str) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("/")];
    for component in components(path) {
        let mut next = Vec::new();
        for place in &places {
            if !pattern::is_glob(component) {
                let candidate = place.join(component);
                if candidate.symlink_metadata().is_ok() {
                    next.push(candidate);
                }
                continue;
            }
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if pattern::matches_name(component, &name.to_string_lossy()) {
                    next.push(entry.path());
                }
            }
        }
        places = next;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_about_paths() {
        let host = Host::new(Identity::read());
        assert_eq!(host.path(PathTest::IsDirectory, "/proc"), Ok(true));
        assert_eq!(host.path(PathTest::IsMountPoint, "/proc"), Ok(true));
        assert_eq!(host.path(PathTest::Exists, "/no/such/path"), Ok(false));
        assert_eq!(host.path(PathTest::ExistsGlob, "/pro*/sel?"), Ok(true));
        assert_eq!(host.path(PathTest::FileNotEmpty, "/etc/passwd"), Ok(true));
        assert_eq!(host.user_id("root"), Some(0));
        assert!(host.memory() > 1 << 20 && host.cpus().unwrap() > 0);
    }
}
