//! Running processes of a unit: what a spawn needs to know, what settings of execution imply, what is published.
//!
//! Shared by services, sockets, mounts and swaps (systemd.exec(5)).
use super::service::{self, Role, Service, ServiceType};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::{Command, FdId, JobType, RunEntry, SpawnSpec, Step, UnitId};
use crate::engine::event::Exit;
use crate::graph::{Dependency, Origins};
use crate::names::UnitName;
use crate::settings::{DirectiveId, Settings};
use std::rc::Rc;

/// `MESSAGE_ID` of "a unit ended well" (journal catalog).
pub const MESSAGE_UNIT_SUCCESS: &str = "7ad2d189f7e94e70a38c781354912448";
/// `MESSAGE_ID` of "a unit ended with a failure".
pub const MESSAGE_UNIT_FAILURE: &str = "d9b373ed55a64feb8242e02dbe79a49c";
/// `MESSAGE_ID` of "a unit was skipped".
pub const MESSAGE_UNIT_SKIPPED: &str = "0e4284a0caca4bfc81c0bb6786972673";
/// `MESSAGE_ID` of "a process of a unit ended".
pub const MESSAGE_PROCESS_EXIT: &str = "98e322203f7a4ed290d09fe03c09fe15";
/// `MESSAGE_ID` of "an automatic restart was scheduled".
pub const MESSAGE_RESTART_SCHEDULED: &str = "5eb03494b6584870a536b337290809b3";

/// Roles of the descriptors that clients give for standard input, output and error.
const STDIO: [&str; 3] =
    ["StandardInputFileDescriptor", "StandardOutputFileDescriptor", "StandardErrorFileDescriptor"];

/// A line for the log about a unit, its name in front.
pub fn say(e: &mut Engine, id: UnitId, level: u8, text: &str) {
    let text = format!("{}: {text}", e.unit(id).name);
    e.log(level, Some(id), text);
}

/// Likewise with a `MESSAGE_ID` and further journal fields.
pub fn say_with(
    e: &mut Engine,
    id: UnitId,
    level: u8,
    text: &str,
    message_id: &str,
    fields: &[(&'static str, &str)],
) {
    let text = format!("{}: {text}", e.unit(id).name);
    let mut all: Vec<(&'static str, Rc<str>)> = vec![("MESSAGE_ID", message_id.into())];
    all.extend(fields.iter().map(|&(name, value)| (name, Rc::from(value))));
    e.log_with(level, Some(id), text, all);
}

/// The job of this type waits or runs for the unit.
pub fn has_job(e: &Engine, id: UnitId, kinds: &[JobType]) -> bool {
    e.unit(id).job.and_then(|job| e.job(job)).is_some_and(|job| kinds.contains(&job.kind))
}

/// What is special about one command of a unit.
#[derive(Debug, Clone, Default)]
pub struct Special {
    /// Descriptors to pass.
    pub fds: Vec<(FdId, Rc<str>)>,
    /// How many of them, the first ones, are of sockets.
    pub sockets: usize,
    /// For `StandardInput=socket`.
    pub socket: Option<FdId>,
    /// Additional environment.
    pub environment: Vec<(Rc<str>, Rc<str>)>,
    /// Pass `NOTIFY_SOCKET`.
    pub notify: bool,
    /// Pass `WATCHDOG_USEC`.
    pub watchdog_usec: Option<u64>,
    /// It is the main process.
    pub is_main: bool,
    /// Run it in `.control` when the cgroup is delegated.
    pub control_cgroup: bool,
    /// The result comes after execve.
    pub wait_exec: bool,
    /// `Type=idle`.
    pub idle: bool,
}

/// The steps that run `command` for a unit: make its cgroup, publish its invocation, spawn.
pub fn steps(
    e: &mut Engine,
    id: UnitId,
    command: Command,
    role: &'static str,
    special: Special,
    first: bool,
) -> Vec<Step> {
    let mut steps = Vec::with_capacity(4);
    if first || e.unit(id).cgroup.is_none() {
        steps.extend(e.cgroup_spec(id).map(Step::Cgroup));
    }
    if first {
        publish(e, id, &mut steps);
    }
    let cgroup = e.cgroup_path(id);
    let shared = e.shared(id);
    e.hold_dynamic_user(id);
    let unit = e.unit(id);
    let delegated = special.control_cgroup && unit.settings.delegate().is_some();
    let subgroup = if delegated {
        Some(Rc::from(".control"))
    } else {
        unit.settings.text(ids::DELEGATE_SUBGROUP).filter(|_| special.is_main).map(Rc::from)
    };
    let mut fds = special.fds;
    fds.extend(unit.given_fds.iter().filter_map(|(role, fd)| {
        let name = role.strip_prefix("ExtraFileDescriptors:")?;
        special.is_main.then(|| (*fd, Rc::from(name)))
    }));
    let stdio =
        STDIO.map(|role| unit.given_fds.iter().find(|(given, _)| &**given == role).map(|(_, fd)| *fd));
    steps.push(Step::Spawn(Box::new(SpawnSpec {
        unit: unit.name.clone(),
        settings: unit.settings.clone(),
        full_privileges: command.full_privileges,
        command,
        role,
        invocation: unit.invocation.clone().unwrap_or_else(|| Rc::from("")),
        cgroup,
        subgroup,
        shared,
        fds,
        socket_fds: special.sockets,
        socket: special.socket,
        stdio,
        environment: special.environment,
        notify: special.notify,
        watchdog_usec: special.watchdog_usec,
        is_main: special.is_main,
        wait_exec: special.wait_exec,
        idle: special.idle,
    })));
    steps
}

/// The links and files below `systemd/units/` that tell the journal about a unit's log lines.
fn publish(e: &Engine, id: UnitId, steps: &mut Vec<Step>) {
    let unit = e.unit(id);
    let name = &unit.name;
    if let Some(invocation) = &unit.invocation {
        steps.push(Step::RunTree {
            path: format!("systemd/units/invocation:{name}").into(),
            entry: Some(RunEntry::Link(invocation.clone())),
        });
    }
    for (kind, entry) in published_settings(&unit.settings) {
        let path = format!("systemd/units/{kind}:{name}").into();
        steps.push(Step::RunTree { path, entry: Some(entry) });
    }
}

fn published_settings(s: &Settings) -> Vec<(&'static str, RunEntry)> {
    let mut all = Vec::new();
    if s.is_set(ids::LOG_LEVEL_MAX) {
        all.push(("log-level-max", RunEntry::Link(s.int(ids::LOG_LEVEL_MAX).to_string().into())));
    }
    let fields = s.list(ids::LOG_EXTRA_FIELDS);
    if !fields.is_empty() {
        let mut bytes = Vec::new();
        for field in fields {
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            bytes.extend(length.to_le_bytes());
            bytes.extend(field.as_bytes());
        }
        all.push(("log-extra-fields", RunEntry::File { bytes: bytes.into(), mode: 0o644 }));
    }
    if s.is_set(ids::LOG_RATE_LIMIT_INTERVAL_SEC) {
        let text = s.uint(ids::LOG_RATE_LIMIT_INTERVAL_SEC).to_string();
        all.push(("log-rate-limit-interval", RunEntry::Link(text.into())));
    }
    if s.is_set(ids::LOG_RATE_LIMIT_BURST) {
        let text = s.uint(ids::LOG_RATE_LIMIT_BURST).to_string();
        all.push(("log-rate-limit-burst", RunEntry::Link(text.into())));
    }
    all
}

/// Take back what [`steps`] published: the unit is down.
pub fn unpublish(e: &mut Engine, id: UnitId) {
    if e.unit(id).invocation.is_none() {
        return;
    }
    let unit = e.unit(id);
    let name = unit.name.clone();
    let mut kinds = vec!["invocation"];
    kinds.extend(published_settings(&unit.settings).into_iter().map(|(kind, _)| kind));
    for kind in kinds {
        e.run_tree(format!("systemd/units/{kind}:{name}"), None);
    }
}

/// The steps for one command of a service.
pub fn service_steps(e: &mut Engine, id: UnitId, role: Role, index: u16, is_main: bool) -> Vec<Step> {
    let cfg = e.unit(id).settings.clone();
    let kind = service::config::kind(&cfg);
    let Some(mut command) = service::config::commands(&cfg, role).get(usize::from(index)).cloned() else {
        return Vec::new();
    };
    // An older way to write `+` before all others.
    command.full_privileges |= role != Role::Start && cfg.bool(ids::PERMISSIONS_START_ONLY);
    let access = service::notify_access(e, id);
    let notify = match is_main {
        true => access != service::config::NotifyAccess::None,
        false => {
            matches!(access, service::config::NotifyAccess::All | service::config::NotifyAccess::Exec)
                || (kind == ServiceType::Forking && access != service::config::NotifyAccess::None)
        }
    };
    let starts = role == Role::Start;
    let fds = if starts { service::descriptors_to_pass(e, id) } else { Vec::new() };
    let s = e.machine::<Service>(id);
    let first = !s.populated;
    let socket = s.connection.as_ref().and_then(|c| c.fd).or_else(|| fds.first().map(|fd| fd.0));
    let special = Special {
        socket: socket.filter(|_| starts),
        sockets: fds.iter().filter(|(fd, _)| !s.fd_store.contains_key(fd)).count(),
        fds,
        environment: service_environment(e, id, &cfg, role),
        notify,
        watchdog_usec: service::watchdog_limit(e, id).filter(|_| starts),
        is_main,
        control_cgroup: matches!(role, Role::StartPost | Role::Reload | Role::Stop | Role::StopPost),
        wait_exec: is_main && kind == ServiceType::Exec,
        idle: is_main && kind == ServiceType::Idle,
    };
    steps(e, id, command, role.directive(), special, first)
}

/// What the manager adds to the environment of a service's command (systemd.exec(5), "Environment variables").
fn service_environment(e: &Engine, id: UnitId, cfg: &Settings, role: Role) -> Vec<(Rc<str>, Rc<str>)> {
    let s = e.machine::<Service>(id);
    let mut env: Vec<(Rc<str>, Rc<str>)> = Vec::new();
    let mut put = |name: &str, value: &str| env.push((name.into(), value.into()));
    if s.main_pid() > 0 {
        put("MAINPID", &s.main_pid().to_string());
    }
    if let Some(path) = service::config::pid_file(cfg) {
        put("PIDFILE", &path);
    }
    if let Some((address, port)) = s.connection.as_ref().and_then(|c| c.remote.as_ref()) {
        put("REMOTE_ADDR", address);
        put("REMOTE_PORT", &port.to_string());
    }
    if matches!(role, Role::Stop | Role::StopPost) {
        put("SERVICE_RESULT", s.result.as_str());
        if let Some((code, status)) = s.main_status.exit.and_then(exit_words) {
            put("EXIT_CODE", code);
            put("EXIT_STATUS", &status);
        }
    }
    if let Some(activation) = &e.unit(id).activation {
        env.extend(activation.iter().cloned());
    }
    env
}

/// `EXIT_CODE` and `EXIT_STATUS`.
pub fn exit_words(exit: Exit) -> Option<(&'static str, String)> {
    match exit {
        Exit::Status(n) => Some(("exited", n.to_string())),
        Exit::Killed(n) => Some(("killed", signal_name(n))),
        Exit::Dumped(n) => Some(("dumped", signal_name(n))),
        Exit::Unknown => None,
    }
}

/// A signal's name without "SIG".
pub fn signal_name(signal: i32) -> String {
    match u8::try_from(signal) {
        Ok(signal) => crate::values::signal::format(signal),
        Err(_) => signal.to_string(),
    }
}

/// `status=` as in the log: number and name.
pub fn exit_status_text(exit: Exit) -> String {
    match exit {
        Exit::Status(n) => match u8::try_from(n).ok().and_then(crate::values::exitstatus::name) {
            Some(name) => format!("{n}/{name}"),
            None => format!("{n}/n/a"),
        },
        Exit::Killed(n) | Exit::Dumped(n) => format!("{n}/{}", signal_name(n)),
        Exit::Unknown => String::from("n/a"),
    }
}

/// A unit name that is a constant of this program.
pub fn known_name(text: &str) -> UnitName {
    UnitName::parse(text).expect("names of well-known units are valid")
}

/// Need the mounts below which `path` is (`RequiresMountsFor=`, or only `WantsMountsFor=`).
pub fn need_mounts_for(e: &mut Engine, id: UnitId, path: &str, required: bool, origin: Origins) {
    if !path.starts_with('/') {
        return;
    }
    let entry = e.unit_mut(id).mounts_for.entry(Rc::from(path)).or_insert((required, origin));
    entry.0 |= required;
    entry.1 = entry.1.with(origin);
}

/// Default dependencies of a unit that starts others: before its target, after early boot, down with the system.
pub fn add_trigger_defaults(e: &mut Engine, id: UnitId, target: &str) {
    e.add_dependency_by_name(id, Dependency::Before, &known_name(target), Origins::DEFAULT);
    if !e.config.user {
        let sysinit = e.ensure(&known_name("sysinit.target"));
        e.add_two(id, Dependency::After, Dependency::Requires, sysinit, Origins::DEFAULT);
    }
    let shutdown = e.ensure(&known_name("shutdown.target"));
    e.add_two(id, Dependency::Before, Dependency::Conflicts, shutdown, Origins::DEFAULT);
}

/// Dependencies that settings of execution imply (systemd.exec(5), "Implicit dependencies").
pub fn add_exec_dependencies(e: &mut Engine, id: UnitId) {
    let s = e.unit(id).settings.clone();
    let after = |e: &mut Engine, name: &str| {
        e.add_dependency_by_name(id, Dependency::After, &known_name(name), Origins::FILE);
    };
    if let Some(path) = s.text(ids::WORKING_DIRECTORY).filter(|path| path.starts_with('/')) {
        need_mounts_for(e, id, path, true, Origins::FILE);
    }
    for row in [ids::ROOT_DIRECTORY, ids::ROOT_IMAGE] {
        if let Some(path) = s.text(row) {
            need_mounts_for(e, id, path, true, Origins::FILE);
        }
    }
    directories(e, id, &s);
    if e.config.user {
        return;
    }
    if s.word(ids::PRIVATE_TMP) == "yes" || s.word(ids::PRIVATE_TMP) == "connected" {
        for path in ["/tmp", "/var/tmp"] {
            need_mounts_for(e, id, path, false, Origins::FILE);
        }
        after(e, "systemd-tmpfiles-setup.service");
    }
    if let Some(namespace) = s.text(ids::LOG_NAMESPACE) {
        for kind in ["systemd-journald@", "systemd-journald-varlink@"] {
            if let Ok(name) = UnitName::parse(&format!("{kind}{namespace}.socket")) {
                let socket = e.ensure(&name);
                e.add_two(id, Dependency::After, Dependency::Requires, socket, Origins::FILE);
            }
        }
    }
    let logs = |row: DirectiveId, fallback: &str| {
        matches!(
            s.text(row).unwrap_or(fallback),
            "journal" | "journal+console" | "kmsg" | "kmsg+console" | "syslog" | "syslog+console"
        )
    };
    if s.text(ids::LOG_NAMESPACE).is_none()
        && (logs(ids::STANDARD_OUTPUT, "journal") || logs(ids::STANDARD_ERROR, "inherit"))
    {
        after(e, "systemd-journald.socket");
    }
}

fn directories(e: &mut Engine, id: UnitId, s: &Settings) {
    // Where the user manager has its directories only the shell knows.
    if e.config.user {
        return;
    }
    let kinds = [
        (ids::RUNTIME_DIRECTORY, "/run"),
        (ids::STATE_DIRECTORY, "/var/lib"),
        (ids::CACHE_DIRECTORY, "/var/cache"),
        (ids::LOGS_DIRECTORY, "/var/log"),
        (ids::CONFIGURATION_DIRECTORY, "/etc"),
    ];
    for (row, base) in kinds {
        let rows = s.rows(row);
        for path in rows.iter().filter_map(|row| row.first()) {
            need_mounts_for(e, id, &format!("{base}/{path}"), true, Origins::FILE);
        }
        if row != ids::RUNTIME_DIRECTORY && !rows.is_empty() {
            let name = known_name("systemd-remount-fs.service");
            e.add_dependency_by_name(id, Dependency::After, &name, Origins::FILE);
        }
    }
}
