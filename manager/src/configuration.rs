//! `system.conf` and `user.conf` (systemd-system.conf(5)), and what follows from them and from the command line.
use crate::facts::{HostState, LEVELS, own_values};
use crate::log::{Log, Target};
use crate::options::Options;
use crate::own_user;
use crate::shell::Shell;
use runstead_core::directives::{self, ids};
use runstead_core::engine::ManagerConfig;
use runstead_core::engine::cgroup::resolve_share;
use runstead_core::names::{Specifiers, UnitName};
use runstead_core::plan::UserFacts;
use runstead_core::settings::{Settings, Value};
use runstead_core::unitfile::{self, UnitFiles};
use runstead_os::host::Host;
use runstead_os::identity;
use runstead_os::zones::Local;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What the files say.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub settings: Settings,
    /// What is wrong in them, or not acted on: file, line, reason.
    pub warnings: Vec<String>,
}

/// `system.conf` or `user.conf` with drop-ins, then the command line.
pub(crate) fn read(options: &Options, host: &Host, own: &UserFacts, run_root: &str) -> Configuration {
    let name = if options.user { "user.conf" } else { "system.conf" };
    let mut texts = runstead_os::loader::config_files(&format!("systemd/{name}"), run_root);
    if !options.manager_lines.is_empty() {
        let text = format!("[Manager]\n{}\n", options.manager_lines.join("\n"));
        texts.push(("the command line".to_owned(), text.into_bytes()));
    }
    let mut dropins = texts.iter().map(|(path, bytes)| unitfile::parse(path, bytes));
    let files = UnitFiles { fragment: dropins.next(), dropins: dropins.collect() };
    let (host, manager) = (host.specifiers(), own_user::specifiers(options, own, run_root));
    // No unit is concerned; specifiers of the configuration file are the host's.
    let Ok(unit) = UnitName::parse("init.scope") else { return Configuration::default() };
    let specifiers = Specifiers { unit: &unit, fragment_path: None, host: &host, manager: &manager };
    let loaded = directives::load_manager(&files, &specifiers);
    let warnings = files.warnings().chain(&loaded.warnings);
    let warnings = warnings.map(|warning| format!("{}:{}: {}", warning.file, warning.line, warning.kind));
    let mut warnings: Vec<String> = warnings.collect();
    let text = |id| loaded.settings.text(id);
    if let Some(word) = text(ids::LOG_LEVEL).filter(|word| log_level(word).is_none()) {
        warnings.push(format!("{name}: LogLevel={word}: no level, ignored"));
    }
    if let Some(word) = text(ids::LOG_TARGET).filter(|word| Target::parse(word).is_none()) {
        warnings.push(format!("{name}: LogTarget={word}: no target, ignored"));
    }
    Configuration { warnings, settings: loaded.settings }
}

/// Variables that were set for the manager itself by who started it.
fn is_our_own(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "CREDENTIALS_DIRECTORY",
        "EXIT_CODE",
        "EXIT_STATUS",
        "FDSTORE",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LOG_NAMESPACE",
        "MAINPID",
        "MANAGERPID",
        "NOTIFY_SOCKET",
        "PIDFILE",
        "SERVICE_RESULT",
        "SYSTEMD_EXEC_PID",
        "XDG_SESSION_CLASS",
        "XDG_SESSION_ID",
        "XDG_SESSION_TYPE",
        "_",
    ];
    const PREFIXES: [&str; 5] = ["LISTEN_", "MEMORY_PRESSURE_", "MONITOR_", "TRIGGER_", "WATCHDOG_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What services get: the locale, the search path, and what was configured (systemd-system.conf(5)).
pub(crate) fn environment(options: &Options, settings: &Settings) -> Vec<Rc<str>> {
    let mut block: BTreeMap<String, String> = BTreeMap::new();
    if options.user {
        block.extend(std::env::vars().filter(|(name, _)| !is_our_own(name)));
    } else {
        block.insert("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin".into());
        let locale = std::fs::read_to_string("/etc/locale.conf")
            .or_else(|_| std::fs::read_to_string("/etc/default/locale"));
        let assignments = locale.unwrap_or_default();
        let lines = assignments.lines().filter_map(|line| line.trim().split_once('='));
        block
            .extend(lines.map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned())));
        if !block.keys().any(|name| name == "LANG" || name.starts_with("LC_")) {
            block.insert("LANG".into(), "C.UTF-8".into());
        }
    }
    let configured = settings.list(ids::DEFAULT_ENVIRONMENT).iter().map(|line| &**line);
    for line in configured.chain(options.environment.iter().map(String::as_str)) {
        if let Some((name, value)) = line.split_once('=') {
            block.insert(name.to_owned(), value.to_owned());
        }
    }
    block.into_iter().map(|(name, value)| Rc::from(format!("{name}={value}"))).collect()
}

/// A level of the log by name or number (`LogLevel=`, systemd(1)).
pub(crate) fn log_level(word: &str) -> Option<u8> {
    let level = LEVELS.iter().position(|name| *name == word).or_else(|| word.parse().ok())?;
    u8::try_from(level).ok().filter(|level| usize::from(*level) < LEVELS.len())
}

/// Level and target of the log, unless a client set them: as the command line says, or as the configuration does.
pub(crate) fn set_up_log(log: &mut Log, options: &Options, settings: &Settings) {
    if !log.level_is_set {
        let level = options.log_level.as_deref().or(settings.text(ids::LOG_LEVEL));
        log.level = level.and_then(log_level).unwrap_or(6);
    }
    if !log.target_is_set {
        let configured = options.log_target.as_deref().or(settings.text(ids::LOG_TARGET));
        let known = configured.and_then(|word| Some((word, Target::parse(word)?)));
        let (word, target) = known.unwrap_or(("auto", Target::JournalOrKmsg));
        log.target = target;
        log.target_word = if word == "auto" { "journal-or-kmsg" } else { word }.to_owned();
    }
}

/// Whether the console shows what the manager does; `auto` and `error` are for those who look when something is wrong.
pub(crate) fn show_status(options: &Options, settings: &Settings) -> bool {
    let id = ids::SHOW_STATUS;
    let configured = settings.is_set(id).then(|| settings.word(id) == "yes");
    options.show_status.or(configured).unwrap_or(!options.user)
}

/// What the engine is told.
pub(crate) fn for_engine(options: &Options, host: &HostState, zone: &Local) -> ManagerConfig {
    ManagerConfig {
        user: options.user,
        container: host.container(),
        default_tasks_max: default_tasks_max(host),
        devices: (options.user || std::process::id() == 1) && runstead_os::devices::available(),
        seed: identity::random().unwrap_or([7; 16]),
        controllers: host.host.controllers.iter().map(|name| Rc::from(name.as_str())).collect(),
        defaults: host.settings.clone(),
        host: host.host.specifiers(),
        manager: own_user::specifiers(options, &host.own_user, &host.run_root),
        own_kernel: host.stamps.kernel.is_set(),
        userspace_at: host.stamps.userspace.monotonic,
        console: runstead_os::devices::console_terminal().map(Rc::from),
        zone_file: zone.file.clone().unwrap_or_default().into(),
    }
}

/// `DefaultTasksMax=`: a number, or a share of the tasks that there can be.
fn default_tasks_max(host: &HostState) -> u64 {
    let row = ids::DEFAULT_TASKS_MAX;
    let share = match host.settings.get(row) {
        Some(Value::Uint(tasks)) => return *tasks,
        _ => host.settings.text(row).unwrap_or("15%"),
    };
    let tasks = own_values(0).tasks;
    resolve_share("pids.max", share, 0, tasks).and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

impl Shell {
    /// `daemon-reload`: units inherit what the files say now, and the log is as they say, unless a client set it. Variables of
    /// `DefaultEnvironment=` and `ShowStatus=` count from the next start.
    pub(crate) fn configure_again(&mut self) {
        let host = &self.host;
        let Configuration { settings, warnings } =
            read(&self.options, &host.host, &host.own_user, &host.run_root);
        for text in warnings {
            self.complain(4, &text);
        }
        if settings != self.host.settings {
            self.host.settings = settings;
            let tasks_max = default_tasks_max(&self.host);
            self.engine.set_defaults(self.host.settings.clone(), tasks_max);
            set_up_log(&mut self.log, &self.options, &self.host.settings);
        }
    }

    /// `SIGRTMIN+23`: the log's level is as configured again.
    pub(crate) fn restore_log_level(&mut self) {
        self.log.level_is_set = false;
        set_up_log(&mut self.log, &self.options, &self.host.settings);
    }

    /// `SIGRTMIN+26`: likewise its target.
    pub(crate) fn restore_log_target(&mut self) {
        self.log.target_is_set = false;
        set_up_log(&mut self.log, &self.options, &self.host.settings);
    }
}
