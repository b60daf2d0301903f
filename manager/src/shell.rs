//! The shell around the engine: its state, the loop, and what a ready descriptor means.
use crate::bus::SystemBus;
use crate::calls::Calls;
use crate::clients::{Clients, PeerId};
use crate::console::Console;
use crate::facts::HostState;
use crate::fds::FdTable;
use crate::log::Log;
use crate::options::Options;
use crate::persist::Persist;
use runstead_core::engine::Engine;
use runstead_core::engine::clock::{Clock, NEVER};
use runstead_core::engine::effect::{Exit, FdId, LogLine};
use runstead_core::engine::event::{Event, Pid};
use runstead_core::names::{UnitName, UnitType};
use runstead_os::children;
use runstead_os::loader::Loader;
use runstead_os::mount::KernelTable;
use runstead_os::ownership::Ownership;
use runstead_os::reactor::{Interest, Priority, Reactor, Ready};
use runstead_os::signals::Signals;
use runstead_os::timer::{Fired, Timer, now};
use runstead_os::watch::Watches;
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

/// What a descriptor in the reactor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Notify,
    Signals,
    Timer(Clock),
    ClockWatch,
    Cgroups,
    Mounts,
    Swaps,
    /// udev tells of devices.
    Devices,
    Paths,
    PrivateSocket,
    Peer(PeerId),
    Varlink(u64),
    /// A descriptor of a unit; `accept` ones are listening sockets of `Accept=yes`.
    Unit {
        fd: FdId,
        accept: bool,
    },
    Automount(FdId),
    /// The execve(2) of a spawned process succeeded or failed.
    Exec(u64),
    /// The end of a process that is not our child.
    Process(Pid),
    /// What a look at the run root found.
    Shares,
}

/// Whom a watched path is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watcher {
    /// A path unit.
    Unit(UnitName),
    /// Timers: the machine's time zone.
    LocalTime,
}

/// Children that are handled in one round of the loop.
const EXITS: usize = 256;

/// Everything the manager holds besides the engine.
#[derive(Debug)]
pub(crate) struct Shell {
    pub engine: Engine,
    pub options: Options,
    pub reactor: Reactor<Token>,
    pub fds: FdTable,
    pub clients: Clients,
    pub bus: SystemBus,
    pub authority: crate::authority::Authority,
    pub notify: OwnedFd,
    pub signals: Signals,
    pub timers: Vec<Timer>,
    pub clock_watch: Timer,
    pub ownership: Ownership,
    pub watches: Watches<Watcher>,
    pub local_zone: runstead_os::zones::Local,
    pub mounts: KernelTable,
    pub swaps: Option<KernelTable>,
    /// Where devices are units.
    pub devices: Option<runstead_os::devices::Monitor>,
    pub loader: RefCell<Loader>,
    pub log: Log,
    pub console: Console,
    pub host: HostState,
    pub persist: Persist,
    pub varlink: crate::varlink::Varlink,
    pub calls: Calls,
    /// More children had ended than one round takes: their signal does not come again.
    pub children_wait: bool,
    pub execs: BTreeMap<u64, crate::chain::WaitingExec>,
    pub next_exec: u64,
    pub aliens: crate::aliens::Aliens,
    pub shares: crate::shares::Shares,
    pub usage: crate::usage::Usage,
    /// Events that effects gave rise to: handled before anything else is waited for.
    pub pending: VecDeque<Event>,
    /// What is told when that is done.
    pub said: crate::announce::Said,
    /// Where to go, once everything that was said is sent.
    pub next_root: Option<runstead_os::switch_root::Next>,
    /// How to leave, once everything that was said is sent.
    pub exit: Option<Exit>,
    pub reexec: bool,
    pub generators: Option<runstead_os::generators::Running>,
    /// What the image before left, until it is taken up.
    pub inherited: crate::persist::Leftovers,
    /// What crashes taught.
    pub history: crate::recovery::History,
    /// Something of the shell's own record changed.
    pub shell_dirty: bool,
    /// Much memory was used for a moment.
    pub trim: bool,
    /// Who wants to hear how we do.
    pub supervisor: crate::supervisor::Supervisor,
    /// Who moves us to our own cgroup, until that is done.
    pub entering: Option<runstead_os::cgroup::Entering>,
}

impl Shell {
    /// The loop. Ends when the manager is to exit.
    pub(crate) fn run(mut self) -> ExitCode {
        let mut ready = Vec::new();
        loop {
            self.run_pending();
            self.say();
            self.release_idle();
            self.announce_changed();
            self.flush();
            if let Some(exit) = self.exit {
                return self.leave(exit);
            }
            if let Some(next) = self.next_root.take() {
                self.switch_root(&next);
            }
            if self.reexec && self.is_quiet() {
                self.reexecute();
            }
            self.arm_timers();
            if std::mem::take(&mut self.shell_dirty) {
                self.record_shell();
            }
            if std::mem::take(&mut self.trim) {
                runstead_os::sys::heap::trim();
                if self.options.user {
                    runstead_os::sys::heap::let_code_go();
                }
            }
            ready.clear();
            let timeout = self.watch_timeout();
            self.persist.idle();
            if let Err(error) = self.reactor.wait(timeout, &mut ready) {
                self.complain(2, &format!("cannot wait for events: {error}"));
                std::thread::sleep(Duration::from_millis(100));
            }
            self.persist.busy();
            self.serve_backlog();
            if self.children_wait {
                self.read_children();
            }
            self.connect_bus();
            self.watch_generators();
            self.watch_shares();
            self.drop_silent_peers();
            self.refuse_late_questions();
            for source in &ready {
                self.handle(source);
                self.run_pending();
            }
        }
    }

    /// Handle the events that wait, one after the other, with everything that follows from them.
    pub(crate) fn run_pending(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            self.step(event);
        }
    }

    /// One event: decide, make it durable, act.
    pub(crate) fn step(&mut self, event: Event) {
        if self.engine.may_unload_next() {
            // Units that the step removes cannot be told of any more.
            self.say();
        }
        let at = now();
        let answered = match &event {
            Event::ChainDone { chain, .. } => Some(*chain),
            _ => None,
        };
        self.persist.begin(&event, self.engine.unit_concerned(&event));
        let effects = self.engine.step(at, event);
        self.record();
        if let Some(chain) = answered {
            self.persist.forget_chain(chain);
        }
        // Children that are made on the way would copy what is not executed yet.
        runstead_os::sys::inherit::hide_block(&effects);
        for effect in effects {
            if effect.is_said() {
                self.say_later(effect);
            } else {
                self.execute(effect);
            }
        }
        self.persist.end();
    }

    fn handle(&mut self, source: &Ready<Token>) {
        // Whoever woke us may have written unit files before.
        self.loader.borrow_mut().look_again();
        match source.token {
            Token::Notify => self.read_notifications(),
            Token::Signals => self.read_signals(),
            Token::Timer(clock) => self.timer_fired(clock),
            Token::ClockWatch => {
                let _ = self.clock_watch.drain();
                if let Err(error) = self.clock_watch.rearm_clock_watch() {
                    self.complain(4, &format!("clock changes will not be seen: {error}"));
                }
                self.pending.push_back(Event::ClockChanged);
            }
            Token::Cgroups => self.read_cgroup_changes(),
            Token::Mounts => self.read_mount_table(),
            Token::Swaps => self.read_swap_table(),
            Token::Devices => self.read_devices(),
            Token::Paths => self.read_path_changes(),
            Token::PrivateSocket => self.accept_private(),
            Token::Peer(peer) => self.serve(peer, source),
            Token::Varlink(id) => self.serve_varlink(id, source),
            Token::Unit { fd, accept: false } => {
                self.pending.push_back(Event::FdReady { fd, hangup: source.hangup });
            }
            Token::Unit { fd, accept: true } => self.accept_for_unit(fd),
            Token::Automount(fd) => self.read_automount(fd),
            Token::Exec(id) => self.exec_reported(id),
            Token::Process(pid) => self.process_ended(pid),
            Token::Shares => self.read_shares(),
        }
    }

    fn timer_fired(&mut self, clock: Clock) {
        let fired = self.timers.iter_mut().find(|timer| timer.clock() == clock).map(Timer::drain);
        match fired {
            Some(Fired::ClockSet) => self.pending.push_back(Event::ClockChanged),
            _ => self.pending.push_back(Event::Tick),
        }
    }

    fn arm_timers(&mut self) {
        for timer in &mut self.timers {
            let at = self.engine.deadline(timer.clock()).unwrap_or(NEVER);
            if let Err(error) = timer.arm(at) {
                let text = format!("a timer cannot be armed: {error}");
                self.log.manager(&self.console, 3, &text);
            }
        }
    }

    /// How long the loop may wait: until something of the shell's own is due.
    fn watch_timeout(&self) -> Option<Duration> {
        if !self.pending.is_empty() || self.clients.has_backlog() || self.children_wait {
            return Some(Duration::ZERO);
        }
        let generators = self.generators.as_ref().map(runstead_os::generators::Running::time_left);
        let polkit = self.authority.next_look();
        let shares = self.shares.time_left();
        [self.bus.retry_in(), generators, self.clients.next_look(), polkit, shares]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether nothing is under way that the next image would not know of. Generators of a reload and looks at the run root end, or are ended; a chain in
    /// the middle of an execve(2) ends soon, at the latest with its unit's time-out.
    fn is_quiet(&self) -> bool {
        self.generators.is_none() && !self.chain_waits() && self.shares.is_quiet()
    }

    /// Generators of a reload that take too long are killed; their ends come as those of other children.
    fn watch_generators(&mut self) {
        if let Some(running) = &mut self.generators
            && running.time_left().is_zero()
        {
            running.kill();
        }
    }

    /// Children that ended, and what their units are left with.
    pub(crate) fn read_children(&mut self) {
        self.children_wait = self.reap_children();
        let changes = self.ownership.processes_ended();
        self.tell_of_ownership(changes);
        self.run_pending();
    }

    /// Children that ended: looked at, told to the engine, then taken from the table. Whether there may be more.
    fn reap_children(&mut self) -> bool {
        for _ in 0..EXITS {
            let ended = match children::peek() {
                Ok(Some(ended)) => ended,
                Ok(None) => return false,
                Err(error) => {
                    self.complain(3, &format!("cannot look at ended children: {error}"));
                    return false;
                }
            };
            // What it said before it ended counts first.
            self.read_notifications();
            let pid = ended.pid;
            if self.generator_exited(pid, ended.exit) || self.history.silent == Some(pid) {
                let _ = children::reap(pid);
                continue;
            }
            self.settle_exec(pid);
            self.look_at_tables(pid);
            let cgroup = self.cgroup_of(pid);
            if let Some(cgroup) = cgroup.as_deref().filter(|_| ended.exit.is_kill()) {
                self.look_for_oom(cgroup);
            }
            self.step(Event::ProcessExited { pid, exit: ended.exit });
            if let Err(error) = children::reap(pid) {
                self.complain(3, &format!("cannot reap process {pid}: {error}"));
                return false;
            }
            self.aliens.reaped(pid);
            self.run_pending();
            let changes = self.ownership.process_ended(pid, cgroup.as_deref());
            self.tell_of_ownership(changes);
            self.run_pending();
        }
        true
    }

    /// What mount(8) or swapon(8) did counts before their end: a mount that is not in the table then has failed.
    fn look_at_tables(&mut self, pid: Pid) {
        let unit = self.engine.unit_of_pid(pid).map(|id| self.engine.unit(id).unit_type());
        match unit {
            Some(UnitType::Mount) => self.read_mount_table(),
            Some(UnitType::Swap) => self.read_swap_table(),
            _ => return,
        }
        self.run_pending();
    }

    /// Log a line of the manager's own.
    pub(crate) fn complain(&mut self, level: u8, text: &str) {
        self.log.manager(&self.console, level, text);
    }

    /// Log a line about a unit.
    pub(crate) fn log_unit(&mut self, line: &LogLine) {
        let invocation = line
            .unit
            .as_ref()
            .and_then(|name| self.engine.find_unit(name))
            .and_then(|unit| unit.invocation.clone())
            .filter(|_| line.fields.iter().all(|(name, _)| *name != "INVOCATION_ID"));
        self.log.line(&self.console, line, invocation.as_deref());
    }

    /// Wait for a descriptor of a unit.
    pub(crate) fn poll_fd(&mut self, fd: FdId, on: bool, accept: bool) {
        let Some(raw) = self.fds.get(fd) else { return };
        self.reactor.remove(raw);
        if on {
            let owner = self.engine.fd_owner(fd).and_then(|id| self.engine.get(id));
            let (token, interest) = match owner.map(|unit| unit.unit_type()) {
                // What comes out of an automount point's pipe are requests of the kernel.
                Some(UnitType::Automount) => (Token::Automount(fd), Interest::READ),
                // What a service stored is read by the service.
                Some(UnitType::Service) => (Token::Unit { fd, accept }, Interest::HANGUP),
                _ => (Token::Unit { fd, accept }, Interest::READ),
            };
            match self.reactor.add(raw, token, Priority::Unit, interest) {
                // A regular file or a memfd, as services store them: nothing will ever happen there.
                Err(error) if error.errno == Errno::PERM && interest == Interest::HANGUP => {}
                Err(error) => self.complain(3, &format!("cannot wait for a descriptor of a unit: {error}")),
                Ok(()) => {}
            }
        }
    }

    /// Let a descriptor that arrived outlive this image.
    pub(crate) fn keep_arrived(&mut self, id: FdId) {
        if let Some(fd) = self.fds.get(id) {
            self.persist.keep_fd(id, fd);
        }
    }

    /// Close a descriptor.
    pub(crate) fn close_fd(&mut self, fd: FdId) {
        if let Some(raw) = self.fds.get(fd) {
            self.reactor.remove(raw);
        }
        self.fds.take(fd);
        self.persist.forget_fd(fd);
    }

    /// The state of a unit by name, if it is loaded.
    pub(crate) fn unit_id(&self, name: &UnitName) -> Option<runstead_core::engine::effect::UnitId> {
        self.engine.find(name)
    }
}
