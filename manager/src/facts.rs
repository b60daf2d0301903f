//! What only the host knows: for properties that clients ask for, and for spawn plans.
use crate::shell::Shell;
use runstead_api::systemd1::facts::{Facts, ManagerFacts, ManagerStamps, StoredFd, Used};
use runstead_core::conditions::{self, HostFacts as _, Kind};
use runstead_core::directives::ids;
use runstead_core::directives::properties::HostValues;
use runstead_core::engine::Unit;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::effect::{FdId, SpawnSpec};
use runstead_core::engine::event::{ChainError, ConditionVerdict};
use runstead_core::names::UnitName;
use runstead_core::plan::{ExitStatus, Kernel, Prefixes, Scope, SpawnFacts, UserFacts};
use runstead_core::rundir::Share;
use runstead_core::settings::Settings;
use runstead_core::values::quoting::shell_quote;
use runstead_os::host::Host;
use runstead_os::process;
use runstead_os::rundir::RunDir;
use runstead_os::spawn::Spawner;
use runstead_os::users::Users;
use rustix::fs::OFlags;
use rustix::process::Resource;
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::OnceLock;

/// Largest `EnvironmentFile=` that is read.
const ENVIRONMENT_FILE_MAX: u64 = 1 << 20;

/// Facts and settings of the shell.
#[derive(Debug)]
pub(crate) struct HostState {
    pub host: Host,
    /// Which units of packages wish that something is carried over a boot.
    pub carry: runstead_os::carry::Known,
    pub run_root: String,
    pub run_tree: RunDir,
    pub prefixes: Prefixes,
    pub settings: Settings,
    pub environment: Vec<Rc<str>>,
    pub exit_code: u8,
    pub watchdogs: BTreeMap<&'static str, u64>,
    pub stamps: ManagerStamps,
    pub spawner: Spawner,
    pub users: Users,
    pub own_user: UserFacts,
    pub kernel: Kernel,
    /// What waits for a quiet moment (`Type=idle`) has the first end, which hangs up when no job is left.
    pub idle: Option<(OwnedFd, OwnedFd)>,
}

impl HostState {
    /// Whether PID 1 runs in a container.
    pub fn container(&self) -> bool {
        self.host.identity.container.is_some()
    }

    /// Evaluate one `Condition*=` or `Assert*=` line.
    pub fn condition(&self, name: &str, value: &str) -> ConditionVerdict {
        let kind = Kind::from_setting(name);
        match kind.map(|kind| conditions::parse(kind, value)) {
            Some(Ok(Some(condition))) => conditions::evaluate(&condition, &self.host),
            _ => ConditionVerdict::Error(22),
        }
    }
}

/// The facts that spawning needs, and what came of finding them.
pub(crate) struct Gathered {
    pub plan: SpawnFacts,
    pub dynamic_uid: Option<u32>,
}

impl HostState {
    /// The run root where the journal's sockets are: the journal is the machine's, also for managers of users.
    pub(crate) fn journal_root(&self, user: bool) -> String {
        if user { "/run".to_owned() } else { self.run_root.clone() }
    }
}

impl Shell {
    /// No job is left: what waited for that goes on (`Type=idle`).
    pub(crate) fn release_idle(&mut self) {
        if self.engine.jobs().next().is_none()
            && let Some((_, ours)) = self.host.idle.take()
        {
            let _ = rustix::net::shutdown(ours, rustix::net::Shutdown::Both);
        }
    }

    /// Look up users, read environment files and credentials: everything a plan needs.
    pub(crate) fn spawn_facts(&mut self, spec: &SpawnSpec) -> Result<Gathered, ChainError> {
        if spec.idle && self.host.idle.is_none() {
            self.host.idle = idle_pair();
        }
        let settings = &spec.settings;
        let shared = spec.shared.as_ref();
        let shared = shared.filter(|_| self.host.kernel.mount_namespaces);
        let network = shared.filter(|_| settings.bool(ids::PRIVATE_NETWORK)).map(|shared| shared.network);
        let network = network.map(|pair| self.storage(pair, ExitStatus::Network)).transpose()?;
        let ipc = shared.filter(|_| settings.bool(ids::PRIVATE_IPC)).map(|shared| shared.ipc);
        let ipc = ipc.map(|pair| self.storage(pair, ExitStatus::Namespace)).transpose()?;
        let host = &self.host;
        let mut facts = SpawnFacts {
            network,
            ipc,
            scope: if self.options.user { Scope::User } else { Scope::System },
            own_user: host.own_user.clone(),
            environment: host.environment.iter().map(|line| line.to_string()).collect(),
            run_root: host.run_root.clone(),
            prefixes: host.prefixes.clone(),
            cgroup_root: self
                .ownership
                .cgroups()
                .map(|cgroups| cgroups.absolute("/").trim_end_matches('/').to_owned()),
            journal: Some(format!("{}/systemd/journal/stdout", host.journal_root(self.options.user))),
            notify_socket: Some(format!("{}/systemd/notify", host.run_root)),
            manager_pid: std::process::id(),
            idle_fd: host.idle.as_ref().map(|(read, _)| read.as_raw_fd()),
            search_path: search_path(),
            kernel: host.kernel,
            term: std::env::var("TERM").ok(),
            private_tmp: self.private_tmp(spec),
            ..SpawnFacts::default()
        };
        let ids =
            spec.fds.iter().map(|(id, _)| *id).chain(spec.socket).chain(spec.stdio.into_iter().flatten());
        facts.fds = ids.filter_map(|id| self.fds.get(id).map(|fd| (id, fd.as_raw_fd()))).collect();
        facts.environment_files = environment_files(settings)?;
        let dynamic_uid = self.resolve_users(spec, &mut facts)?;
        facts.credentials = runstead_os::credentials::gather(settings, &spec.unit, &self.host.run_root)
            .map_err(|error| refused(ExitStatus::Credentials, error))?;
        facts.credentials_placed = !facts.credentials.is_empty()
            && runstead_os::credentials::are_placed(&spec.unit, &self.host.run_root);
        Ok(Gathered { plan: facts, dynamic_uid })
    }

    /// `User=`, `Group=`, `SupplementaryGroups=`, `DynamicUser=`.
    fn resolve_users(&mut self, spec: &SpawnSpec, facts: &mut SpawnFacts) -> Result<Option<u32>, ChainError> {
        let settings = &spec.settings;
        let mut dynamic = None;
        let user = settings.text(ids::USER).map(str::to_owned);
        if settings.bool(ids::DYNAMIC_USER) {
            let name = user.unwrap_or_else(|| runstead_os::users::dynamic_name(&spec.unit));
            let found = self.host.users.dynamic(&name, &self.host.run_root);
            let found =
                found.map_err(|error| refused(ExitStatus::User, format!("DynamicUser={name}: {error}")))?;
            dynamic = Some(found.uid);
            facts.group = Some(found.gid);
            facts.user = Some(found);
        } else if let Some(name) = user {
            let found = self.host.users.user(&name);
            facts.user =
                Some(found.map_err(|error| refused(ExitStatus::User, format!("User={name}: {error}")))?);
        }
        // A dynamic user's group has the user's name unless the unit says otherwise, and stands in no file.
        let own_group = |name: &str| dynamic.is_some() && facts.user.as_ref().is_some_and(|u| u.name == name);
        if let Some(name) = settings.text(ids::GROUP).filter(|name| !own_group(name)) {
            let gid = self.host.users.group(name);
            facts.group =
                Some(gid.map_err(|error| refused(ExitStatus::Group, format!("Group={name}: {error}")))?);
        }
        for name in settings.list(ids::SUPPLEMENTARY_GROUPS) {
            let gid = self.host.users.group(name);
            let gid = gid.map_err(|error| {
                refused(ExitStatus::Group, format!("SupplementaryGroups={name}: {error}"))
            })?;
            facts.supplementary_groups.push(gid);
        }
        Ok(dynamic)
    }

    /// The name of the unit's private temporary directories, the same for all processes that share them.
    fn private_tmp(&self, spec: &SpawnSpec) -> Option<String> {
        let shared = spec.shared.as_ref()?;
        let random = runstead_core::plan::private_tmp_suffix(&shared.invocation);
        Some(format!("systemd-private-{}-{}-{random}", self.host.host.identity.boot_id, shared.unit))
    }

    /// The socket pair in which processes leave a namespace for those after them, made when there is none yet.
    fn storage(&mut self, pair: [FdId; 2], exit: ExitStatus) -> Result<[i32; 2], ChainError> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let fail = |why: String| refused(exit, format!("no place to keep a namespace: {why}"));
        if self.fds.get(pair[0]).is_none() {
            let made = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
            let made = made.map_err(|errno| fail(errno.to_string()))?;
            for (id, fd) in pair.into_iter().zip([made.0, made.1]) {
                self.persist.keep_fd(id, fd.as_fd());
                self.fds.put(id, fd);
            }
        }
        let number = |id| {
            let fd = self.fds.get(id).map(|fd| fd.as_raw_fd());
            fd.ok_or_else(|| fail("half of it is gone".to_owned()))
        };
        Ok([number(pair[0])?, number(pair[1])?])
    }

    /// The facts for properties.
    pub(crate) fn facts(&self) -> ShellFacts<'_> {
        ShellFacts(self)
    }
}

/// Not a pipe: children that wait have the other end, too, but a shutdown(2) counts for all who have it.
fn idle_pair() -> Option<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).ok()
}

fn refused(exit: ExitStatus, message: String) -> ChainError {
    ChainError { step: 0, errno: 0, message: message.into(), exit_status: before_exec(exit) }
}

/// The status of a process that failed before execve(2). Lack of memory stands for what the reference finds before it makes a
/// process: that is no exit.
pub(crate) fn before_exec(exit: ExitStatus) -> Option<i32> {
    (exit != ExitStatus::Memory).then(|| i32::from(exit.code()))
}

fn search_path() -> Vec<String> {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .map(str::to_owned)
        .to_vec()
}

/// The path or pattern as it is listed, and the bytes; none of the latter when it is absent and may be.
type EnvironmentFile = (String, Option<Vec<u8>>);

/// `EnvironmentFile=`: a leading `-` lets it be absent.
fn environment_files(settings: &Settings) -> Result<Vec<EnvironmentFile>, ChainError> {
    let mut files = Vec::new();
    for line in settings.list(ids::ENVIRONMENT_FILE) {
        let (listed, optional) = line.strip_prefix('-').map_or((&**line, false), |path| (path, true));
        for path in runstead_os::host::glob(listed) {
            match runstead_os::rundir::read_limited(&path, ENVIRONMENT_FILE_MAX) {
                // The plan knows what a pattern stands for only by the pattern.
                Ok(bytes) => files.push((listed.to_owned(), Some(bytes))),
                Err(_) if optional => {}
                Err(error) => {
                    return Err(refused(ExitStatus::Memory, format!("EnvironmentFile={path}: {error}")));
                }
            }
        }
    }
    Ok(files)
}

/// The shell as `api` sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShellFacts<'a>(&'a Shell);

impl Facts for ShellFacts<'_> {
    fn cgroup_attribute(&self, path: &str, file: &str) -> Option<String> {
        self.0.ownership.cgroups()?.read(path, file).ok()
    }

    fn cgroup_id(&self, path: &str) -> Option<u64> {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(self.0.ownership.cgroups()?.absolute(path)).ok().map(|data| data.ino())
    }

    fn cgroup_of(&self, pid: i32) -> Option<String> {
        self.0.ownership.path_of(pid).map(|path| path.to_string())
    }

    fn cgroup_processes(&self, path: &str) -> Vec<(String, i32)> {
        self.0.ownership.listed(path)
    }

    fn cmdline(&self, pid: i32) -> String {
        let words = process::cmdline(pid).unwrap_or_default();
        if words.is_empty() {
            return process::comm(pid).map(|comm| format!("[{comm}]")).unwrap_or_default();
        }
        let words: Vec<String> = words.iter().map(|word| shell_quote(word)).collect();
        words.join(" ")
    }

    fn unit_file_state(&self, name: &UnitName) -> String {
        self.0.unit_file_state(name.as_str()).unwrap_or_default()
    }

    fn unit_file_preset(&self, name: &UnitName) -> String {
        self.0.unit_file_preset(name)
    }

    fn need_daemon_reload(&self, unit: &Unit) -> bool {
        let names: Vec<UnitName> = unit.aliases.to_vec();
        let fragment = unit.fragment.as_ref().map(|file| (&*file.path, file.mtime));
        let dropins: Vec<(&str, u64)> = unit.dropins.iter().map(|file| (&*file.path, file.mtime)).collect();
        self.0.loader.borrow_mut().is_outdated(&names, fragment, &dropins)
    }

    fn host_values(&self) -> HostValues {
        static VALUES: OnceLock<HostValues> = OnceLock::new();
        VALUES.get_or_init(|| own_values(self.0.host.host.memory())).clone()
    }

    fn stored_fd(&self, fd: FdId) -> Option<StoredFd> {
        let raw = self.0.fds.get(fd)?;
        let stat = rustix::fs::fstat(raw).ok()?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", raw.as_raw_fd())).ok()?;
        Some(StoredFd {
            mode: stat.st_mode,
            device: (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)),
            inode: stat.st_ino,
            special: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
            path: path.to_string_lossy().into_owned(),
            // Whether offsets have 64 bits is nothing that the service chose.
            flags: rustix::fs::fcntl_getfl(raw).map_or(0, |flags| (flags - OFlags::LARGEFILE).bits()),
        })
    }

    fn user_ids(&self, unit: &Unit) -> Option<(u32, u32)> {
        let settings = &unit.settings;
        let user = self.0.host.users.user(settings.text(ids::USER)?).ok()?;
        let group = settings.text(ids::GROUP).and_then(|name| self.0.host.users.group(name).ok());
        Some((user.uid, group.unwrap_or(user.gid)))
    }

    fn used(&self, unit: &UnitName) -> Used {
        self.0.usage.get(unit).copied().unwrap_or_default()
    }

    fn share(&self, unit: &UnitName) -> Option<Share> {
        self.0.shares.of(unit)
    }

    fn cgroup_root(&self) -> String {
        self.0.ownership.cgroups().map(|cgroups| cgroups.root().to_owned()).unwrap_or_default()
    }

    fn has_cgroups(&self) -> bool {
        self.0.ownership.cgroups().is_some()
    }

    fn connection_name(&self, connection: u64) -> Option<String> {
        self.0.bus.sender_of(connection)
    }

    fn manager(&self) -> ManagerFacts {
        let shell = self.0;
        let host = &shell.host;
        let identity = &host.host.identity;
        let watchdog = |name: &str, default| host.watchdogs.get(name).copied().unwrap_or(default);
        ManagerFacts {
            version: format!("257 (runstead {})", env!("CARGO_PKG_VERSION")),
            features: format!(
                "+CGROUP +NOTIFY +DBUS +PAM {}SECCOMP -SELINUX -APPARMOR",
                if runstead_core::filter::KNOWN_MACHINE { '+' } else { '-' }
            ),
            virtualization: identity.virtualization.clone(),
            architecture: identity.architecture.to_owned(),
            tainted: tainted(),
            stamps: host.stamps,
            log_level: LEVELS.get(usize::from(shell.log.level)).copied().unwrap_or("info").to_owned(),
            log_target: shell.log.target_word.clone(),
            environment: host.environment.iter().map(|line| line.to_string()).collect(),
            show_status: shell.console.enabled,
            unit_path: shell.loader.borrow().paths().map(str::to_owned).collect(),
            runtime_watchdog: watchdog("RuntimeWatchdogUSec", 0),
            reboot_watchdog: watchdog("RebootWatchdogUSec", 600_000_000),
            kexec_watchdog: watchdog("KExecWatchdogUSec", 0),
            service_watchdogs: shell.engine.watches_services(),
            system_state: shell.exit.map(|_| "stopping"),
            exit_code: host.exit_code,
            installed_jobs: shell.engine.installed_jobs(),
            settings: host.settings.clone(),
            ..ManagerFacts::default()
        }
    }
}

/// What the machine and this process give where a unit sets nothing. None of it changes while the manager runs.
pub(crate) fn own_values(memory: u64) -> HostValues {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let number = |path: &str| text(path).trim().parse::<u64>().ok();
    let default = HostValues::default();
    let tasks = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max", "/sys/fs/cgroup/pids.max"];
    let filter = u64::from_str_radix(text("/proc/self/coredump_filter").trim(), 16);
    HostValues {
        memory,
        tasks: tasks.into_iter().filter_map(number).min().unwrap_or(u64::MAX),
        limits: RESOURCES.map(|resource| {
            let own = rustix::process::getrlimit(resource);
            (own.current.unwrap_or(u64::MAX), own.maximum.unwrap_or(u64::MAX))
        }),
        timer_slack_nsec: number("/proc/self/timerslack_ns").unwrap_or(default.timer_slack_nsec),
        coredump_filter: filter.unwrap_or(default.coredump_filter),
        oom_score_adjust: text("/proc/self/oom_score_adj").trim().parse().unwrap_or(0),
    }
}

/// Resource limits by the kernel's numbers.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Names of syslog levels (syslog(3)).
pub(crate) const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// What about this system people should know (systemd(1), "Tainted").
fn tainted() -> String {
    let mut words = Vec::new();
    let is_link = |path: &str| std::fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
    if !is_link("/bin") {
        words.push("unmerged-usr");
    }
    if !is_link("/usr/sbin") {
        words.push("unmerged-bin");
    }
    if !is_link("/var/run") {
        words.push("var-run-bad");
    }
    words.join(":")
}

/// The stamp of this instant.
pub(crate) fn stamp() -> Stamp {
    runstead_os::timer::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstead_core::settings::Value;

    #[test]
    fn files_of_a_pattern_stand_under_the_pattern_in_order() {
        let dir = std::env::temp_dir().join(format!("runstead-environment-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("made");
        for name in ["b.env", "a.env", ".c.env", "d.other"] {
            std::fs::write(dir.join(name), name).expect("written");
        }
        let pattern = dir.join("*.env").to_string_lossy().into_owned();
        let mut settings = Settings::default();
        let missing = format!("-{}/none*", dir.display());
        let listed = [missing.as_str(), pattern.as_str()].map(Into::into);
        settings.set(ids::ENVIRONMENT_FILE, Value::List(listed.into()));
        let files = environment_files(&settings).expect("read");
        std::fs::remove_dir_all(dir).expect("removed");
        let expected = ["a.env", "b.env"].map(|text| (pattern.clone(), Some(text.as_bytes().to_vec())));
        assert_eq!(files, expected);
    }
}
