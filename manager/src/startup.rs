//! Before the loop: mounts, identity, configuration, sockets, generators; or what an earlier image left.
use crate::bus::SystemBus;
use crate::calls::Calls;
use crate::clients::Clients;
use crate::configuration::{self, Configuration};
use crate::console::Console;
use crate::facts::{HostState, stamp};
use crate::fds::FdTable;
use crate::log::Log;
use crate::minimal::{Minimal, RETRY};
use crate::options::Options;
use crate::own_user;
use crate::persist::{Inherited, Leftovers, Persist};
use crate::recovery::{History, Marker};
use crate::shell::{Shell, Token};
use crate::supervisor::Supervisor;
use runstead_api::systemd1::facts::ManagerStamps;
use runstead_core::engine::Engine;
use runstead_core::engine::clock::{Clock, Stamp};
use runstead_core::engine::effect::{ChainId, FdId};
use runstead_core::engine::event::{ChainError, ChainOutput, Event};
use runstead_core::names::{UnitName, UnitType};
use runstead_core::plan::Kernel;
use runstead_os::cgroup::{Cgroups, Entering};
use runstead_os::generators::{self, Generators};
use runstead_os::host::Host;
use runstead_os::identity::{self, Identity};
use runstead_os::loader::{Loader, Scope, search_path};
use runstead_os::mount::{KernelTable, early_mounts, settle_aliases};
use runstead_os::ownership::{Ownership, ProcessTree};
use runstead_os::reactor::{Interest, Priority, Reactor};
use runstead_os::rundir::RunDir;
use runstead_os::signals::Signals;
use runstead_os::socket::unix;
use runstead_os::spawn::Spawner;
use runstead_os::statelog::StateLog;
use runstead_os::timer::Timer;
use runstead_os::users::Users;
use runstead_os::watch::Watches;
use runstead_os::{crash, process, rundir};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;

/// What went wrong before there was a manager.
pub(crate) type StartError = Box<dyn std::error::Error>;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Started {
    /// A manager.
    Whole(Box<Shell>),
    /// It crashes in a loop: what can still be done.
    Minimal(Box<Minimal>),
}

/// Build the shell.
pub(crate) fn start(mut options: Options) -> Result<Started, StartError> {
    refuse_a_second_manager(&options)?;
    // Handlers before anything else: a crash from here on ends in the next image.
    let recover = options.recover.clone();
    let mut log = match &recover {
        Some(recover) => StateLog::inherit(recover.log)?,
        None => StateLog::create()?,
    };
    crash::install(&log)?;
    let mut history = History::default();
    let mut complaints = Vec::new();
    if let Some(recover) = &recover {
        history = History::read(&log);
        let crashed = learn(&mut history, &recover.reason, &log, &mut complaints);
        let minimal = crashed && history.loops(runstead_os::timer::now().monotonic);
        let minimal = minimal.then(|| Minimal::new(&mut history, &log));
        history.write(&mut log);
        if let Some(minimal) = minimal {
            return Ok(Started::Minimal(Box::new(minimal.with_log(log))));
        }
    }
    let inherited = if recover.is_some() { Inherited::read(&log) } else { Inherited::default() };
    if recover.is_some() {
        // All that the log names is taken: the rest is the old image's epoll, timers and the like.
        runstead_os::reexec::close_unclaimed();
    }
    let pid1 = std::process::id() == 1;
    let userspace = stamp();
    let mut identity = Identity::read();
    let container = identity.container.is_some();
    if pid1 && recover.is_none() {
        // A process group of our own: autofs lets that group pass, and an outer one has no number here.
        let _ = rustix::process::setsid();
        complaints.extend(early_mounts(container)?.iter().map(ToString::to_string));
        if container {
            complaints.extend(settle_aliases().iter().map(ToString::to_string));
        }
        process::leave_terminal();
        process::prefer_ourselves();
        identity = Identity::read();
    }
    options.initrd = pid1 && runstead_os::switch_root::is_initrd();
    for word in &identity.command_line.clone() {
        options.kernel_word(word);
    }
    let run_root = run_root(&options)?;
    if pid1 && recover.is_none() {
        let broken = rundir::preconditions().into_iter();
        complaints.extend(broken.map(|breach| format!("{} {}: {}", breach.path, breach.what, breach.remedy)));
        complaints.extend(prepare_machine(&mut identity, &run_root));
        complaints.extend(crate::alone::provide(&options, &run_root, &unit_paths(&options, &run_root)));
    }
    let (host, warnings) = host_state(&options, identity, &run_root, userspace, &inherited)?;
    if recover.is_none() {
        let shown = if pid1 { host.host.identity.container.as_deref() } else { None };
        let made = match options.user {
            true => rundir::user_layout(&host.run_tree),
            false => rundir::base_layout(&host.run_tree, shown),
        };
        complaints.extend(made?.iter().map(ToString::to_string));
    }
    if !pid1 {
        process::become_subreaper()?;
    }
    let mut shell = assemble(options, host, log, inherited, history)?;
    let level = if recover.is_some() { 1 } else { 6 };
    for text in complaints {
        shell.complain(level, &text);
    }
    for text in warnings {
        shell.complain(4, &text);
    }
    match recover {
        Some(recover) => shell.resume(&recover.reason),
        None => shell.first_boot()?,
    }
    Ok(Started::Whole(Box::new(shell)))
}

/// The run-time files of the machine belong to its PID 1: nobody else may write there, whatever his rights.
fn refuse_a_second_manager(options: &Options) -> Result<(), StartError> {
    if options.user || options.run_root.is_some() || std::process::id() == 1 {
        return Ok(());
    }
    Err("the system manager runs as PID 1 only. Try 'runstead boot' for a throw-away machine, 'runstead --user' for your own \
         services, or give a directory of your own with --run-root"
        .into())
}

/// Draw conclusions from how the image before ended; whether it crashed by itself.
fn learn(history: &mut History, reason: &str, log: &StateLog, complaints: &mut Vec<String>) -> bool {
    match reason {
        // A planned end: whoever mended something wants everything back.
        "reexec" => *history = History::default(),
        RETRY => complaints.push("the manager tries again after too many crashes".to_owned()),
        // Sent by somebody: nothing is wrong with what was being done.
        _ if reason.ends_with(crash::FROM_OUTSIDE) => {
            complaints.push(format!("the manager was sent {reason}; it goes on"));
        }
        _ => {
            let marker = Marker::parse(log.in_flight_marker().unwrap_or_default());
            let during = marker.describe();
            let isolated = history.crashed(runstead_os::timer::now().monotonic, marker);
            complaints.push(format!("the manager crashed ({reason}) while it handled {during}; it goes on"));
            if let Some(unit) = isolated {
                complaints.push(format!(
                    "{unit} crashed the manager twice and is left alone until the next daemon-reexec"
                ));
            }
            return true;
        }
    }
    false
}

/// Machine id, host name, loopback.
fn prepare_machine(identity: &mut Identity, run_root: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if let Err(error) = identity.settle_machine_id(run_root) {
        complaints.push(format!("the machine id is not kept: {error}"));
    }
    if let Err(error) = identity::settle_host_name() {
        complaints.push(format!("the host name is not set: {error}"));
    }
    let _ = runstead_os::sys::namespaces::loopback_up();
    complaints
}

fn run_root(options: &Options) -> Result<String, StartError> {
    if let Some(root) = &options.run_root {
        return Ok(root.to_string_lossy().into_owned());
    }
    if !options.user {
        return Ok("/run".to_owned());
    }
    let dir = std::env::var("XDG_RUNTIME_DIR");
    dir.map_err(|_| "XDG_RUNTIME_DIR is not set: a user manager keeps its run-time files there".into())
}

/// What has been reached when `userspace` begins. The kernel's monotonic clock was 0 when it began; a container's kernel was
/// there before. Security policies, of which we load none, begin and end at once: systemd-analyze(1) counts the kernel's
/// time only where they began.
fn first_stamps(host: &Host, userspace: Stamp) -> ManagerStamps {
    let stamps = ManagerStamps { userspace, ..ManagerStamps::default() };
    if std::process::id() != 1 || host.identity.container.is_some() {
        return stamps;
    }
    let kernel = Stamp { realtime: userspace.realtime.saturating_sub(userspace.monotonic), monotonic: 0 };
    ManagerStamps { kernel, security_start: userspace, security_finish: userspace, ..stamps }
}

fn host_state(
    options: &Options,
    identity: Identity,
    run_root: &str,
    userspace: Stamp,
    inherited: &Inherited,
) -> Result<(HostState, Vec<String>), StartError> {
    let host = Host::new(identity);
    let users = Users::default();
    let own = own_user::find(options, &users);
    let Configuration { settings, warnings } = configuration::read(options, &host, &own, run_root);
    let environment = if inherited.shell.environment.is_empty() {
        configuration::environment(options, &settings)
    } else {
        inherited.shell.environment.iter().map(|line| Rc::from(line.as_str())).collect()
    };
    let state = HostState {
        run_tree: RunDir::open(run_root)?,
        carry: runstead_os::carry::Known::default(),
        run_root: run_root.to_owned(),
        prefixes: own_user::prefixes(options, &own, run_root),
        settings,
        environment,
        exit_code: inherited.shell.exit_code,
        watchdogs: BTreeMap::new(),
        stamps: if inherited.sockets.is_empty() {
            first_stamps(&host, userspace)
        } else {
            inherited.shell.stamps
        },
        spawner: Spawner::default(),
        users,
        own_user: own,
        kernel: Kernel {
            mount_namespaces: runstead_os::spawn::can_make_mount_namespaces(),
            mount_setattr: host.kernel_is_at_least(5, 12),
            tmpfs_noswap: host.kernel_is_at_least(6, 4),
            denies_write_execute: host.kernel_is_at_least(6, 3),
            filters: runstead_os::spawn::can_filter(),
            admin: runstead_os::spawn::is_admin(),
        },
        idle: None,
        host,
    };
    Ok((state, warnings))
}

/// Open everything and put it together.
fn assemble(
    options: Options,
    mut host: HostState,
    log: StateLog,
    mut inherited: Inherited,
    history: History,
) -> Result<Shell, StartError> {
    let resumed = !inherited.sockets.is_empty();
    let mut persist = Persist::new(log);
    let (ownership, entering) = find_ownership(&options, resumed);
    if let Some(cgroups) = ownership.cgroups() {
        host.host.controllers = cgroups.controllers().map(str::to_owned).collect();
        host.host.cgroup_root = Some(cgroups.absolute("/"));
    }
    let run = host.run_root.clone();
    let mut socket = |name: &str, make: &dyn Fn(&str) -> Result<OwnedFd, runstead_os::OsError>| {
        let fd = match inherited.sockets.remove(name) {
            Some(fd) => Ok(fd),
            None => make(&format!("{run}/systemd/{name}")),
        };
        fd.inspect(|fd| persist.keep_socket(name, fd.as_fd()))
    };
    // A user's own is for his own processes: the umask counts.
    let mode = if options.user { 0o777 & !rundir::umask() } else { 0o777 };
    let notify = socket("notify", &|path| unix::notify_socket(path, mode))?;
    let private = socket("private", &|path| unix::listen(path, 0o700))?;
    let varlink = crate::varlink::Varlink::open(options.user, |name, mode| {
        socket(name, &|path| unix::listen(path, mode))
    })?;
    let watches = match inherited.sockets.remove("inotify") {
        Some(queue) => Watches::resume(queue),
        None => Watches::new()?,
    };
    persist.keep_socket("inotify", watches.fd());
    let console = Console::new(configuration::show_status(&options, &host.settings));
    let mut log = Log::new(&host.journal_root(options.user), options.user);
    log.resume(&inherited.shell);
    configuration::set_up_log(&mut log, &options, &host.settings);
    let local_zone = runstead_os::zones::Local::read();
    let config = configuration::for_engine(&options, &host, &local_zone);
    let paths = unit_paths(&options, &run);
    let mut shell = Shell {
        engine: Engine::new(config),
        reactor: Reactor::new()?,
        fds: FdTable::default(),
        clients: Clients::new(Some(private), identity::random_id()?),
        bus: SystemBus::new(bus_address(&options, &run)),
        authority: crate::authority::Authority::default(),
        notify,
        signals: Signals::open()?,
        timers: Clock::ALL.iter().map(|clock| Timer::new(*clock)).collect::<Result<_, _>>()?,
        clock_watch: Timer::clock_watch()?,
        ownership,
        watches,
        local_zone,
        mounts: KernelTable::mounts()?,
        swaps: KernelTable::swaps().ok(),
        devices: None,
        loader: RefCell::new(Loader::new(paths, &run)),
        log,
        console,
        host,
        persist,
        varlink,
        calls: Calls::default(),
        children_wait: false,
        execs: BTreeMap::new(),
        next_exec: 1,
        aliens: crate::aliens::Aliens::default(),
        pending: VecDeque::new(),
        said: crate::announce::Said::default(),
        next_root: None,
        exit: None,
        reexec: false,
        generators: None,
        shares: crate::shares::Shares::default(),
        usage: std::mem::take(&mut inherited.usage),
        inherited: Leftovers::default(),
        history,
        shell_dirty: true,
        trim: false,
        entering,
        supervisor: Supervisor::find(),
        options,
    };
    shell.engine.set_environment(shell.host.environment.clone());
    shell.listen()?;
    shell.show_status(shell.console.enabled);
    shell.take_over(inherited);
    Ok(shell)
}

/// By control groups where some are ours. A manager with a run root of its own was started by somebody in a cgroup
/// that is his: it makes none there.
fn find_ownership(options: &Options, resumed: bool) -> (Ownership, Option<Entering>) {
    let find = || {
        let mut cgroups = Cgroups::find().ok().filter(|_| options.run_root.is_none())?;
        // Who starts a manager of a user may have put it there (`DelegateSubgroup=`).
        let entering =
            if resumed || cgroups.is_entered() { None } else { Some(cgroups.enter_init_scope().ok()?) };
        Some((Ownership::Cgroups(Box::new(cgroups)), entering))
    };
    find().unwrap_or_else(|| (Ownership::Tree(ProcessTree::default()), None))
}

fn unit_paths(options: &Options, run: &str) -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
    let variable =
        |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| format!("{home}/{default}"));
    let scope = if options.user {
        let dirs = std::env::var("XDG_DATA_DIRS").unwrap_or_else(|_| "/usr/local/share:/usr/share".into());
        Scope::User {
            config_home: variable("XDG_CONFIG_HOME", ".config"),
            data_home: variable("XDG_DATA_HOME", ".local/share"),
            data_dirs: dirs.split(':').map(str::to_owned).collect(),
        }
    } else {
        Scope::System
    };
    let mut paths = search_path(&scope, run, std::env::var("SYSTEMD_UNIT_PATH").ok().as_deref());
    if !options.user {
        paths.extend(crate::alone::directory(run));
    }
    paths
}

fn bus_address(options: &Options, run: &str) -> String {
    if options.user { format!("{run}/bus") } else { format!("{run}/dbus/system_bus_socket") }
}

impl Shell {
    /// Wait for everything that is always there.
    fn listen(&mut self) -> Result<(), StartError> {
        let read = Interest::READ;
        self.reactor.add(&self.notify, Token::Notify, Priority::Notify, read)?;
        self.reactor.add(self.signals.fd(), Token::Signals, Priority::Exit, read)?;
        for timer in &self.timers {
            self.reactor.add(timer.fd(), Token::Timer(timer.clock()), Priority::Timer, read)?;
        }
        self.reactor.add(self.clock_watch.fd(), Token::ClockWatch, Priority::Timer, read)?;
        if let Some(watch) = self.ownership.cgroups().and_then(Cgroups::watch_fd) {
            self.reactor.add(watch, Token::Cgroups, Priority::Cgroup, read)?;
        }
        self.reactor.add(self.watches.fd(), Token::Paths, Priority::Kernel, read)?;
        self.watch_local_time();
        self.reactor.add(self.mounts.fd(), Token::Mounts, Priority::Kernel, Interest::URGENT)?;
        if let Some(swaps) = &self.swaps {
            self.reactor.add(swaps.fd(), Token::Swaps, Priority::Kernel, Interest::URGENT)?;
        }
        if let Some(private) = &self.clients.listener {
            self.reactor.add(private, Token::PrivateSocket, Priority::Client, read)?;
        }
        self.listen_varlink()?;
        self.listen_to_udev()
    }

    /// A start from nothing: generators, units, the first transaction.
    fn first_boot(&mut self) -> Result<(), StartError> {
        if !self.options.user {
            self.welcome();
        }
        self.host.stamps.generators_start = stamp();
        let generators = self.generators_to_run();
        for failure in generators.run()? {
            self.complain(4, &format!("generator {failure}"));
        }
        self.write_own_units(&generators);
        self.host.stamps.generators_finish = stamp();
        self.settle_own_cgroup();
        self.loader.borrow_mut().refresh();
        self.look_at_devices();
        self.read_mount_table();
        self.read_swap_table();
        let target = UnitName::parse(self.options.target()).or_else(|_| UnitName::parse("default.target"))?;
        self.pending.push_back(Event::Boot { target });
        Ok(())
    }

    /// What the console begins with.
    fn welcome(&self) {
        let release = self.host.host.os_release_fields();
        let name = release.get("PRETTY_NAME").map_or("Linux", String::as_str);
        self.console.always(&format!(
            "runstead {} running in system mode\r\n\r\nWelcome to {name}!\r\n",
            env!("CARGO_PKG_VERSION")
        ));
    }

    /// Before the first cgroup is made we must be out of the root: one with processes may not have children with controllers.
    fn settle_own_cgroup(&mut self) {
        let entering = self.entering.take();
        let Some((cgroups, entering)) = self.ownership.cgroups_mut().zip(entering) else { return };
        let Err(error) = cgroups.entered_init_scope(entering) else { return };
        self.complain(4, &format!("processes are not kept in control groups: {error}"));
        if let Some(watch) = self.ownership.cgroups().and_then(Cgroups::watch_fd) {
            self.reactor.remove(watch);
        }
        self.ownership = Ownership::Tree(ProcessTree::default());
        self.host.host.controllers.clear();
        self.host.host.cgroup_root = None;
        self.engine.config.controllers.clear();
    }

    fn write_own_units(&mut self, generators: &Generators) {
        if !self.options.user
            && let Err(error) = generators.write_own()
        {
            self.complain(4, &format!("managers of users will not be of our kind: {error}"));
        }
        if !self.options.user
            && let Err(error) = generators.write_carry(&self.host.run_root, &mut self.host.carry)
        {
            self.complain(
                4,
                &format!("nothing of {} is carried over to the next boot: {error}", self.host.run_root),
            );
        }
    }

    /// The generators of this manager, and what they are told (systemd.generator(7)).
    pub(crate) fn generators_to_run(&self) -> Generators {
        let identity = &self.host.host.identity;
        let mut environment = vec![
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin".to_owned()),
            ("SYSTEMD_SCOPE".to_owned(), if self.options.user { "user" } else { "system" }.to_owned()),
            ("SYSTEMD_IN_INITRD".to_owned(), u8::from(self.options.initrd).to_string()),
            ("SYSTEMD_FIRST_BOOT".to_owned(), u8::from(identity.first_boot).to_string()),
            ("SYSTEMD_ARCHITECTURE".to_owned(), identity.architecture.to_owned()),
        ];
        if !identity.virtualization.is_empty() {
            let kind = if self.host.container() { "container" } else { "vm" };
            let name = identity.virtualization.as_str();
            environment.push(("SYSTEMD_VIRTUALIZATION".to_owned(), format!("{kind}:{name}")));
        }
        if let Some(container) = &identity.container {
            environment.push(("container".to_owned(), container.clone()));
        }
        let generators = if self.options.user {
            environment
                .extend(std::env::vars().filter(|(name, _)| name == "HOME" || name == "XDG_RUNTIME_DIR"));
            Generators::user(&self.host.run_root, environment)
        } else {
            Generators::system(&self.host.run_root, environment)
        };
        generators.in_path(std::env::var("SYSTEMD_GENERATOR_PATH").ok().as_deref())
    }

    /// `daemon-reload`: generators run beside the loop; `generator_exited` goes on.
    pub(crate) fn run_generators(&mut self) {
        self.host.stamps.generators_start = stamp();
        match self.generators_to_run().start() {
            Ok(running) if running.done() => self.generators_done(running),
            Ok(running) => self.generators = Some(running),
            Err(error) => {
                self.complain(4, &format!("generators cannot be run: {error}"));
                self.generators_done(generators::Running::default());
            }
        }
    }

    /// A child ended: whether it was a generator.
    pub(crate) fn generator_exited(&mut self, pid: i32, exit: runstead_core::engine::event::Exit) -> bool {
        let Some(running) = &mut self.generators else { return false };
        let good = exit == runstead_core::engine::event::Exit::Status(0);
        if !running.ended(pid, good, &format!("{exit:?}")) {
            return false;
        }
        if running.done()
            && let Some(running) = self.generators.take()
        {
            self.generators_done(running);
        }
        true
    }

    fn generators_done(&mut self, running: generators::Running) {
        for failure in running.failures {
            self.complain(4, &format!("generator {failure}"));
        }
        let generators = self.generators_to_run();
        self.write_own_units(&generators);
        generators.tidy();
        self.host.stamps.generators_finish = stamp();
        let _ = self.host.run_tree.write("systemd/systemd-units-load", b"", 0o444);
        self.loader.borrow_mut().refresh();
        self.configure_again();
        self.pending.push_back(Event::GeneratorsDone);
    }

    /// Take what the image before held.
    fn take_over(&mut self, inherited: Inherited) {
        for (id, fd) in inherited.fds {
            self.fds.put(id, fd);
        }
        for (id, peer) in inherited.peers {
            self.add_peer(id, peer);
            self.clients.resume(id);
        }
        self.forget_peers();
        let connected = self.clients.peers.contains_key(&crate::clients::BUS);
        self.bus.restore(&inherited.shell, connected);
        if connected {
            // Images before ours had one rule for each sender.
            self.watch_leavers();
            self.bus.go_on(inherited.bus);
            self.authority.restore(inherited.asked);
        }
        self.clients.resume_after(inherited.shell.connections);
        self.calls.resume_after(inherited.shell.calls);
        self.inherited =
            Leftovers { records: inherited.engine, chains: inherited.chains, exits: inherited.exits };
    }

    /// Go on where the image before was.
    fn resume(&mut self, reason: &str) {
        let mut left = std::mem::take(&mut self.inherited);
        self.leave_out_quarantined(&mut left.records);
        self.restore_engine(&left.records);
        // Units know what to do about what happened meanwhile only once their files are read.
        self.pending.push_back(Event::Loaded(Vec::new()));
        self.run_pending();
        // A process must be known before its end is.
        self.end_chains(&left.chains);
        self.drop_lost_connections();
        self.look_at_devices();
        self.read_mount_table();
        self.read_swap_table();
        for (pid, exit) in left.exits {
            self.pending.push_back(Event::ProcessExited { pid, exit });
            self.persist.remove(&crate::persist::exit_key(pid));
        }
        if !self.engine.is_booted() {
            let target =
                UnitName::parse(self.options.target()).or_else(|_| UnitName::parse("default.target"));
            self.pending.extend(target.map(|target| Event::Boot { target }));
        }
        self.run_pending();
        self.read_children();
        self.follow_again();
        if reason == "reexec" {
            self.history = History::default();
        } else {
            self.close_unowned();
        }
        if self.engine.is_booted() && !self.options.user {
            self.supervisor.ready();
        } else {
            self.look_whether_ready();
        }
    }

    /// What was only the business of a unit that is left out, or of an event that was lost: addresses would stay taken.
    fn close_unowned(&mut self) {
        let shared = self.engine.shared_fds();
        let owned = |fd: &FdId| self.engine.fd_owner(*fd).is_some() || shared.contains(fd);
        let unowned: Vec<FdId> = self.fds.iter().map(|(fd, _)| fd).filter(|fd| !owned(fd)).collect();
        for fd in unowned.into_iter().filter(|fd| !self.is_claimed(*fd)).collect::<Vec<_>>() {
            self.close_fd(fd);
        }
    }

    /// Units that crashed the manager twice: it forgets them, and does not read their files.
    fn leave_out_quarantined(&mut self, records: &mut Vec<(String, Vec<u8>)>) {
        let names: Vec<UnitName> =
            self.history.quarantine.iter().filter_map(|name| UnitName::parse(name).ok()).collect();
        if names.is_empty() {
            return;
        }
        for (key, bytes) in std::mem::take(records) {
            match runstead_core::engine::record::unit_name(&bytes) {
                Some(name) if names.contains(&name) => self.persist.remove(&key),
                _ => records.push((key, bytes)),
            }
        }
        self.loader.borrow_mut().refuse(names);
    }

    /// Chains that the image before began: what is known of them, or that they are lost.
    fn end_chains(&mut self, known: &BTreeMap<ChainId, ChainOutput>) {
        let open: Vec<ChainId> = self.engine.chains().collect();
        for chain in known.keys().filter(|chain| !open.contains(chain)) {
            self.persist.forget_chain(*chain);
        }
        for chain in open {
            let result = known.get(&chain).cloned().ok_or_else(ChainError::lost);
            self.pending.push_back(Event::ChainDone { chain, result });
        }
    }

    /// Connections that hold units and did not come along.
    fn drop_lost_connections(&mut self) {
        let alive: Vec<u64> = self.bus.senders().iter().map(|caller| caller.connection).collect();
        for connection in self.engine.holding_connections() {
            if !self.clients.peers.contains_key(&connection) && !alive.contains(&connection) {
                self.pending.push_back(Event::CallerGone(connection));
            }
        }
    }

    /// Follow the processes of all units, and tell of those that emptied while nobody looked.
    fn follow_again(&mut self) {
        let with_processes = |kind| {
            matches!(
                kind,
                UnitType::Service | UnitType::Scope | UnitType::Socket | UnitType::Mount | UnitType::Swap
            )
        };
        let mut failed = Vec::new();
        if let Some(cgroups) = self.ownership.cgroups_mut() {
            for unit in self.engine.units() {
                let Some(path) = &unit.cgroup else { continue };
                failed.extend(cgroups.need(path, &self.engine.cgroup_controllers(unit.id)).err());
            }
        }
        for unit in self.engine.units().filter(|unit| with_processes(unit.name.kind())) {
            let Some(path) = &unit.cgroup else { continue };
            match &mut self.ownership {
                Ownership::Cgroups(cgroups) if cgroups.is_empty(path) => {
                    self.pending.push_back(Event::CgroupEmpty(path.clone()));
                }
                Ownership::Cgroups(cgroups) => failed.extend(cgroups.watch(path, true).err()),
                Ownership::Tree(tree) => {
                    tree.expect(path, unit.invocation.as_deref().unwrap_or_default());
                    let (main, control) = unit.kind.processes();
                    main.into_iter().chain(control).for_each(|pid| tree.add(path, pid));
                }
            }
        }
        for error in failed {
            self.complain(4, &format!("a cgroup cannot be followed: {error}"));
        }
        let changes = self.ownership.processes_ended();
        self.tell_of_ownership(changes);
    }
}
