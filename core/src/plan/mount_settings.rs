//! Which entries of a mount namespace the settings ask for (systemd.exec(5), "Sandboxing", "Paths").
use super::builder::Builder;
use super::directories;
use super::mounts::{Entry, Kind};
use super::namespace::{NODEV, NOEXEC, NOSUID, RDONLY, STRICTATIME, root_directory};
use crate::directives::ids;
use crate::settings::DirectiveId;

/// The outcome.
pub(super) struct Wanted {
    /// A mount namespace is needed at all.
    pub(super) needed: bool,
    /// What is in it.
    pub(super) entries: Vec<Entry>,
}

/// Read-only system directories; `true`: may be missing.
const SYSTEM: [(&str, bool); 7] = [
    ("/usr", false),
    ("/boot", true),
    ("/efi", true),
    ("/lib", true),
    ("/lib64", true),
    ("/bin", true),
    ("/sbin", true),
];
/// Interfaces of the kernel to tune it.
const TUNABLES: [&str; 15] = [
    "/proc/acpi",
    "/proc/apm",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/latency_stats",
    "/proc/mtrr",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/timer_stats",
    "/sys",
    "/sys/fs/bpf",
    "/sys/kernel/debug",
];
const HOMES: [&str; 3] = ["/home", "/run/user", "/root"];
/// Where the journal listens, below the run root.
const LOG_SOCKETS: [&str; 3] =
    ["systemd/journal/dev-log", "systemd/journal/socket", "systemd/journal/stdout"];

/// Collect them all.
pub(super) fn collect(b: &Builder) -> Wanted {
    let mut entries = Vec::new();
    protect_system(b, &mut entries);
    protect_home(b, &mut entries);
    protect_kernel(b, &mut entries);
    private(b, &mut entries);
    paths(b, &mut entries);
    binds(b, &mut entries);
    let s = b.settings();
    // The unit's own directories are exempt from what the others protect; by themselves they need no namespace, unless
    // they are those of a dynamic user, which lie elsewhere.
    let elsewhere = s.bool(ids::DYNAMIC_USER)
        && [ids::STATE_DIRECTORY, ids::CACHE_DIRECTORY, ids::LOGS_DIRECTORY].iter().any(|id| s.is_set(*id));
    let root = root_directory(b).is_some();
    if root {
        of_the_host(b, &mut entries);
    }
    log_sockets(b, root, &mut entries);
    let asked = elsewhere || !entries.is_empty();
    own_directories(b, root, &mut entries);
    let explicit = s.tristate(ids::PRIVATE_MOUNTS);
    let needed = explicit == Some(true) || root || asked || s.int(ids::MOUNT_FLAGS) != 0;
    if needed {
        credentials(b, &mut entries);
    }
    Wanted { needed, entries }
}

/// Other units' credentials are hidden; the unit sees its own.
fn credentials(b: &Builder, entries: &mut Vec<Entry>) {
    const SETTING: &str = "PrivateMounts";
    let all = format!("{}/credentials", b.facts.run_root);
    match super::credentials::directory(b) {
        None => entries.push(Entry::new(all, Kind::Inaccessible, SETTING).optional()),
        Some(own) => {
            let kind =
                tmpfs(&[("mode", "755"), ("size", "4m"), ("nr_inodes", "1k")], NODEV | NOEXEC | NOSUID, true);
            entries.push(Entry::new(all, kind, SETTING));
            let kind = Kind::Bind { source: own.clone(), recursive: false, attributes: RDONLY };
            entries.push(Entry::new(own, kind, "LoadCredential").must());
        }
    }
}

/// What a root directory gets of the host: the kernel's file systems, an empty `/run` (`MountAPIVFS=`), the socket to notify.
fn of_the_host(b: &Builder, entries: &mut Vec<Entry>) {
    const SETTING: &str = "MountAPIVFS";
    let (s, run) = (b.settings(), &b.facts.run_root);
    let bound = |source: String, attributes| Kind::Bind { source, recursive: true, attributes };
    if s.tristate(ids::MOUNT_APIVFS).unwrap_or(true) {
        let made = |path: &str| entries.iter().any(|entry| entry.path == path && entry.kind.is_new());
        let kernel = NOSUID | NODEV | NOEXEC;
        let missing =
            [("/proc", kernel), ("/sys", kernel), ("/dev", 0)].into_iter().filter(|(path, _)| !made(path));
        let mut missing: Vec<Entry> =
            missing.map(|(path, own)| Entry::new(path, bound(path.to_owned(), own), SETTING)).collect();
        if !made("/run") {
            let empty =
                tmpfs(&[("mode", "755"), ("size", "20%"), ("nr_inodes", "800k")], NOSUID | NODEV, false);
            missing.push(Entry::new("/run", empty, SETTING));
        }
        entries.extend(missing);
        if b.is_system() {
            let release = bound(format!("{run}/systemd/propagate/.os-release-stage"), RDONLY);
            entries.push(Entry::new("/run/host/.os-release-stage", release, SETTING).optional());
        }
    }
    if let Some(socket) = b.facts.notify_socket.as_ref().filter(|_| b.spec.notify) {
        entries.push(Entry::new(socket, bound(socket.clone(), RDONLY), "NotifyAccess").optional());
    }
}

/// `BindLogSockets=`: implied where another `/run` would hide them.
fn log_sockets(b: &Builder, root: bool, entries: &mut Vec<Entry>) {
    let s = b.settings();
    let api = s.tristate(ids::MOUNT_APIVFS).unwrap_or(true);
    let implied = root && (api || s.bool(ids::PRIVATE_DEVICES));
    if !s.tristate(ids::BIND_LOG_SOCKETS).unwrap_or(implied) {
        return;
    }
    for socket in LOG_SOCKETS {
        let path = format!("{}/{socket}", b.facts.run_root);
        let kind =
            Kind::Bind { source: path.clone(), recursive: false, attributes: RDONLY | NOSUID | NOEXEC };
        entries.push(Entry::new(path, kind, "BindLogSockets").optional());
    }
}

fn tmpfs(options: &[(&str, &str)], attributes: u64, read_only: bool) -> Kind {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Kind::Tmpfs { options, attributes: attributes | STRICTATIME, read_only }
}

fn protect_system(b: &Builder, entries: &mut Vec<Entry>) {
    const SETTING: &str = "ProtectSystem";
    let word = match b.settings().word(ids::PROTECT_SYSTEM) {
        "no" if b.dynamic_user() => "strict",
        word => word,
    };
    let mut add = |path: &str, kind, optional| {
        let entry = Entry::new(path, kind, SETTING);
        entries.push(if optional { entry.optional() } else { entry });
    };
    match word {
        "yes" | "full" => {
            for (path, optional) in SYSTEM {
                add(path, Kind::ReadOnly, optional);
            }
            if word == "full" {
                add("/etc", Kind::ReadOnly, false);
            }
        }
        "strict" => {
            add("/", Kind::ReadOnly, false);
            for path in ["/proc", "/sys", "/dev"].into_iter().chain(HOMES) {
                add(path, Kind::ReadWrite, true);
            }
        }
        _ => {}
    }
}

fn protect_home(b: &Builder, entries: &mut Vec<Entry>) {
    let word = match b.settings().word(ids::PROTECT_HOME) {
        "no" if b.dynamic_user() => "read-only",
        word => word,
    };
    let kind = match word {
        "yes" => Kind::Inaccessible,
        "read-only" => Kind::ReadOnly,
        "tmpfs" => tmpfs(&[("mode", "755"), ("size", "4m"), ("nr_inodes", "1k")], NODEV, true),
        _ => return,
    };
    entries.extend(HOMES.map(|path| Entry::new(path, kind.clone(), "ProtectHome").optional()));
}

fn protect_kernel(b: &Builder, entries: &mut Vec<Entry>) {
    let s = b.settings();
    let mut add = |path: &str, kind, setting| entries.push(Entry::new(path, kind, setting).optional());
    if s.bool(ids::PROTECT_KERNEL_TUNABLES) {
        for path in TUNABLES {
            add(path, Kind::ReadOnly, "ProtectKernelTunables");
        }
        for path in ["/proc/kallsyms", "/proc/kcore"] {
            add(path, Kind::Inaccessible, "ProtectKernelTunables");
        }
        add("/sys/fs/cgroup", Kind::ReadWrite, "ProtectKernelTunables");
    }
    if s.bool(ids::PROTECT_KERNEL_MODULES) {
        for path in ["/lib/modules", "/usr/lib/modules"] {
            add(path, Kind::Inaccessible, "ProtectKernelModules");
        }
    }
    if s.bool(ids::PROTECT_KERNEL_LOGS) {
        for path in ["/proc/kmsg", "/dev/kmsg"] {
            add(path, Kind::Inaccessible, "ProtectKernelLogs");
        }
    }
    if s.word(ids::PROTECT_CONTROL_GROUPS) != "no" {
        add("/sys/fs/cgroup", Kind::ReadOnly, "ProtectControlGroups");
        if let Some(cgroup) = &b.plan.cgroup {
            add(&format!("{cgroup}/memory.pressure"), Kind::ReadWrite, "ProtectControlGroups");
        }
    }
    let mut options = Vec::new();
    let hide = s.word(ids::PROTECT_PROC);
    if hide != "default" {
        options
            .push(("hidepid".to_owned(), if hide == "ptraceable" { "ptraceable" } else { hide }.to_owned()));
    }
    if s.word(ids::PROC_SUBSET) == "pid" {
        options.push(("subset".to_owned(), "pid".to_owned()));
    }
    if !options.is_empty() {
        add("/proc", Kind::Proc { options }, "ProtectProc");
    }
}

fn private(b: &Builder, entries: &mut Vec<Entry>) {
    let s = b.settings();
    private_tmp(b, entries);
    if s.bool(ids::PRIVATE_DEVICES) {
        entries.push(Entry::new("/dev", Kind::Devices, "PrivateDevices"));
    }
    if s.bool(ids::PRIVATE_IPC) || s.is_set(ids::IPC_NAMESPACE_PATH) {
        entries.push(Entry::new("/dev/mqueue", Kind::Mqueue, "PrivateIPC").optional());
    }
    if s.bool(ids::PRIVATE_NETWORK) || s.is_set(ids::NETWORK_NAMESPACE_PATH) {
        entries.push(Entry::new("/sys", Kind::Sysfs, "PrivateNetwork").optional());
        let source = "/sys/fs/cgroup".to_owned();
        let kind = Kind::Bind { source, recursive: true, attributes: NOEXEC };
        entries.push(Entry::new("/sys/fs/cgroup", kind, "PrivateNetwork").optional());
    }
}

fn private_tmp(b: &Builder, entries: &mut Vec<Entry>) {
    const SETTING: &str = "PrivateTmp";
    let word = match b.settings().word(ids::PRIVATE_TMP) {
        "no" if b.dynamic_user() => "disconnected",
        word => word,
    };
    match (word, &b.facts.private_tmp) {
        ("connected", Some(name)) => {
            for base in ["/tmp", "/var/tmp"] {
                let source = format!("{base}/{name}/tmp");
                let kind = Kind::Bind { source, recursive: true, attributes: 0 };
                entries.push(Entry::new(base, kind, SETTING));
            }
        }
        ("connected" | "disconnected", _) => {
            for path in ["/tmp", "/var/tmp"] {
                let kind =
                    tmpfs(&[("mode", "1777"), ("size", "10%"), ("nr_inodes", "400k")], NOSUID | NODEV, false);
                entries.push(Entry::new(path, kind, SETTING));
            }
        }
        _ => {}
    }
}

fn paths(b: &Builder, entries: &mut Vec<Entry>) {
    let lists: [(DirectiveId, Kind, &'static str); 5] = [
        (ids::READ_WRITE_PATHS, Kind::ReadWrite, "ReadWritePaths"),
        (ids::READ_ONLY_PATHS, Kind::ReadOnly, "ReadOnlyPaths"),
        (ids::INACCESSIBLE_PATHS, Kind::Inaccessible, "InaccessiblePaths"),
        (ids::EXEC_PATHS, Kind::Exec, "ExecPaths"),
        (ids::NO_EXEC_PATHS, Kind::NoExec, "NoExecPaths"),
    ];
    let root = root_directory(b);
    for (id, kind, setting) in lists {
        for listed in b.settings().list(id) {
            let path = listed.trim_start_matches(['-', '+']);
            let prefix = &listed[..listed.len() - path.len()];
            let Some(path) = seen_from_root(root, path, prefix.contains('+')) else { continue };
            let entry = Entry::new(path, kind.clone(), setting);
            entries.push(if prefix.contains('-') { entry.optional() } else { entry });
        }
    }
}

/// A listed path as the process sees it; `None` when it is outside of the root directory. With `+` it is meant to be in there,
/// without it is the host's.
fn seen_from_root<'a>(root: Option<&str>, path: &'a str, inside: bool) -> Option<&'a str> {
    match root.filter(|_| !inside) {
        None => Some(path),
        Some(root) => {
            let rest = path.strip_prefix(root.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        }
    }
}

fn binds(b: &Builder, entries: &mut Vec<Entry>) {
    let lists = [(ids::BIND_PATHS, 0, "BindPaths"), (ids::BIND_READ_ONLY_PATHS, RDONLY, "BindReadOnlyPaths")];
    for (id, attributes, setting) in lists {
        for row in b.settings().rows(id) {
            let [source, target, rest @ ..] = &**row else { continue };
            let target = if target.is_empty() { source } else { target };
            let recursive = !rest.iter().any(|word| &**word == "norbind");
            let source: &str = source;
            let kind = Kind::Bind { source: source.to_owned(), recursive, attributes };
            let entry = Entry::new(&**target, kind, setting).must();
            entries.push(if rest.iter().any(|word| &**word == "-") { entry.optional() } else { entry });
        }
    }
    for row in b.settings().rows(ids::TEMPORARY_FILE_SYSTEM) {
        let Some(path) = row.first() else { continue };
        entries.push(temporary(path, row.get(1).map_or("", |options| options)));
    }
}

/// `TemporaryFileSystem=path:options`, the options those of mount(8).
fn temporary(path: &str, options: &str) -> Entry {
    let mut parameters: Vec<(String, String)> = [("mode", "0755"), ("size", "10%"), ("nr_inodes", "400k")]
        .map(|(k, v)| (k.into(), v.into()))
        .to_vec();
    let (mut attributes, mut read_only) = (NODEV | STRICTATIME, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some((key, value)) => {
                parameters.retain(|(known, _)| known != key);
                parameters.push((key.to_owned(), value.to_owned()));
            }
            None => match option {
                "ro" => read_only = true,
                "nosuid" => attributes |= NOSUID,
                "noexec" => attributes |= NOEXEC,
                "dev" => attributes &= !NODEV,
                _ => {}
            },
        }
    }
    Entry::new(path, Kind::Tmpfs { options: parameters, attributes, read_only }, "TemporaryFileSystem").must()
}

/// The unit's own directories stay writable; those of a dynamic user are all that is seen of `private/`. They are the host's, also in
/// a root directory.
fn own_directories(b: &Builder, root: bool, entries: &mut Vec<Entry>) {
    for kind in directories::KINDS {
        let seen = if root { directories::public_paths(b, kind) } else { directories::real_paths(b, kind) };
        for (path, source) in seen.into_iter().zip(directories::real_paths(b, kind)) {
            if root || source.contains("/private/") {
                let bind = Kind::Bind { source, recursive: true, attributes: 0 };
                entries.push(Entry::new(path, bind, kind.setting).must());
            } else if kind.setting != "ConfigurationDirectory" {
                entries.push(Entry::new(path, Kind::ReadWrite, kind.setting));
            }
        }
    }
    for private in directories::private_roots(b).into_iter().filter(|_| !root) {
        let kind =
            tmpfs(&[("mode", "755"), ("size", "4m"), ("nr_inodes", "1k")], NODEV | NOSUID | NOEXEC, true);
        entries.push(Entry::new(private, kind, "DynamicUser"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_paths_are_the_hosts_unless_they_say_otherwise() {
        let root = Some("/srv/r/");
        assert_eq!(seen_from_root(None, "/etc", false), Some("/etc"));
        assert_eq!(seen_from_root(root, "/etc", false), None);
        assert_eq!(seen_from_root(root, "/etc", true), Some("/etc"));
        assert_eq!(seen_from_root(root, "/srv/r/etc", false), Some("/etc"));
        assert_eq!(seen_from_root(root, "/srv/r", false), Some(""));
        assert_eq!(seen_from_root(root, "/srv/rest", false), None);
    }
}
