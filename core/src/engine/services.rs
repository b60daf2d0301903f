//! What unit types call on the engine: chains, timers, processes, descriptors, log lines, start limits, invocations.
use super::clock::{Clock, Usec};
use super::effect::{ChainId, Effect, FdId, JobMode, JobType, LogLine, RunEntry, Step, UnitId};
use super::event::Pid;
use super::timers::{TimerKey, TimerKind};
use super::{Deferred, Engine};
use crate::directives::ids;
use std::rc::Rc;

impl Engine {
    /// Cause something.
    pub fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Do steps one after the other on behalf of a unit; its `chain_done` gets the result.
    pub fn chain(&mut self, id: UnitId, steps: Vec<Step>) -> ChainId {
        let chain = ChainId(self.next_chain);
        self.next_chain += 1;
        self.chains.insert(chain, id);
        let unit = self.unit(id).name.clone();
        self.effects.push(Effect::Chain { chain, unit, steps });
        chain
    }

    /// Forget a chain; its result will not come.
    pub fn cancel_chain(&mut self, chain: ChainId) {
        if self.chains.remove(&chain).is_some() {
            self.effects.push(Effect::CancelChain(chain));
        }
    }

    /// Arm a unit's timer, replacing the armed one of that kind.
    pub fn arm(&mut self, id: UnitId, which: TimerKind, clock: Clock, at: Usec) {
        self.dirty.insert(id);
        self.timers.arm(TimerKey::Unit(id, which), clock, at);
    }

    /// Arm a unit's timer to elapse after a span of monotonic time; `NEVER` disarms.
    pub fn arm_in(&mut self, id: UnitId, which: TimerKind, span: Usec) {
        self.arm(id, which, Clock::Monotonic, self.now.monotonic.saturating_add(span));
    }

    /// Disarm a unit's timer.
    pub fn disarm(&mut self, id: UnitId, which: TimerKind) {
        self.dirty.insert(id);
        self.timers.disarm(TimerKey::Unit(id, which));
    }

    /// When a unit's timer is due.
    pub fn armed(&self, id: UnitId, which: TimerKind) -> Option<(Clock, Usec)> {
        self.timers.armed(TimerKey::Unit(id, which))
    }

    /// The exit of this process is this unit's affair.
    pub fn watch_pid(&mut self, id: UnitId, pid: Pid) {
        self.dirty.insert(id);
        self.pids.insert(pid, id);
    }

    /// No longer.
    pub fn unwatch_pid(&mut self, pid: Pid) {
        if let Some(id) = self.pids.remove(&pid) {
            self.dirty.insert(id);
        }
    }

    /// The exit of this process is this unit's affair, too, if it is another's already.
    pub fn watch_pid_also(&mut self, id: UnitId, pid: Pid) {
        match self.unit_of_pid(pid) {
            Some(owner) if owner != id => {
                self.guests.insert((pid, id));
            }
            _ => self.watch_pid(id, pid),
        }
    }

    /// No longer this unit's.
    pub fn unwatch_pid_of(&mut self, id: UnitId, pid: Pid) {
        if !self.guests.remove(&(pid, id)) && self.unit_of_pid(pid) == Some(id) {
            self.unwatch_pid(pid);
        }
    }

    /// Whether the exit of this process is anybody's affair.
    pub fn is_watched(&self, pid: Pid) -> bool {
        self.unit_of_pid(pid).is_some() || self.guests_of(pid).next().is_some()
    }

    fn guests_of(&self, pid: Pid) -> impl Iterator<Item = UnitId> {
        let from = self.guests.range((pid, UnitId(0))..);
        from.take_while(move |(of, _)| *of == pid).map(|(_, id)| *id)
    }

    /// Everybody whose affair the exit of this process is: no more.
    pub(crate) fn take_watchers(&mut self, pid: Pid) -> Vec<UnitId> {
        let guests: Vec<UnitId> = self.guests_of(pid).collect();
        for guest in &guests {
            self.guests.remove(&(pid, *guest));
        }
        let owner = self.unit_of_pid(pid);
        self.unwatch_pid(pid);
        owner.into_iter().chain(guests).collect()
    }

    /// The unit that watches this process.
    pub fn unit_of_pid(&self, pid: Pid) -> Option<UnitId> {
        self.pids.owner(&pid)
    }

    /// The unit whose cgroup this relative path is, or lies in. What lies beside our units is not the root slice's.
    pub fn unit_of_cgroup(&self, path: &str) -> Option<UnitId> {
        let mut path = path;
        loop {
            if let Some(&id) = self.cgroups.get(path) {
                return Some(id);
            }
            path = &path[..path.rfind('/').filter(|&at| at > 0)?];
        }
    }

    /// Units that have a user of `DynamicUser=`.
    pub fn dynamic_users(&self) -> impl Iterator<Item = &super::Unit> {
        self.dynamic_users.iter().filter_map(|id| self.get(*id))
    }

    /// A process is made for a unit with `DynamicUser=`: from now on nobody else's stop gives its user back, also while the
    /// uid is not known here yet.
    pub(crate) fn hold_dynamic_user(&mut self, id: UnitId) {
        if self.unit(id).settings.bool(ids::DYNAMIC_USER) {
            self.dynamic_users.insert(id);
        }
    }

    /// Whether another unit has the same user of `DynamicUser=`.
    pub(crate) fn shares_dynamic_user(&self, id: UnitId) -> bool {
        let own = self.unit(id);
        let is_same = |other: &super::Unit| {
            // Without a name each has one of its own.
            let name = own.settings.text(ids::USER);
            let same_name = name.is_some() && other.settings.text(ids::USER) == name;
            let same_uid = own.dynamic_uid.is_some() && other.dynamic_uid == own.dynamic_uid;
            !other.active_state().is_down() && (same_name || same_uid)
        };
        self.dynamic_users
            .iter()
            .filter(|other| **other != id)
            .any(|other| self.get(*other).is_some_and(is_same))
    }

    /// A descriptor number for something the engine is about to open.
    pub fn new_fd(&mut self) -> FdId {
        let fd = FdId(self.next_fd);
        self.next_fd += 2;
        fd
    }

    /// Readiness of this descriptor is this unit's affair.
    pub fn own_fd(&mut self, fd: FdId, id: UnitId) {
        self.dirty.insert(id);
        self.fds.insert(fd, id);
    }

    /// The owner of a descriptor.
    pub fn fd_owner(&self, fd: FdId) -> Option<UnitId> {
        self.fds.owner(&fd).or_else(|| self.stored.owner(fd))
    }

    /// Close a descriptor.
    pub fn close_fd(&mut self, fd: FdId) {
        if let Some(id) = self.fds.remove(&fd) {
            self.dirty.insert(id);
        }
        self.stored.remove(fd);
        self.effects.push(Effect::CloseFd(fd));
    }

    /// The owner of this bus name is this unit's affair (`BusName=`); the last one to ask gets it.
    pub fn watch_bus_name(&mut self, name: &Rc<str>, id: UnitId) {
        self.bus_names.insert(name.clone(), id);
        self.emit(Effect::WatchBusName { name: name.clone(), on: true });
    }

    /// Bus names that services wait for or hold.
    pub fn bus_names(&self) -> impl Iterator<Item = (&Rc<str>, UnitId)> {
        self.bus_names.iter()
    }

    /// Whether a chain of the unit is under way.
    pub(crate) fn has_chain(&self, id: UnitId) -> bool {
        self.chains.of(id).next().is_some()
    }

    /// Chains under way, as the engine knows.
    pub fn chains(&self) -> impl Iterator<Item = super::effect::ChainId> + '_ {
        self.chains.iter().map(|(&chain, _)| chain)
    }

    /// A line for the log.
    pub fn log(&mut self, level: u8, unit: Option<UnitId>, text: impl Into<Rc<str>>) {
        self.log_with(level, unit, text, Vec::new());
    }

    /// A line for the log with journal fields.
    pub fn log_with(
        &mut self,
        level: u8,
        unit: Option<UnitId>,
        text: impl Into<Rc<str>>,
        mut fields: Vec<(&'static str, Rc<str>)>,
    ) {
        let unit = unit.and_then(|id| self.get(id));
        fields.extend(unit.and_then(|unit| unit.invocation.clone()).map(|run| ("INVOCATION_ID", run)));
        let unit = unit.map(|unit| unit.name.clone());
        self.effects.push(Effect::Log(LogLine { level, unit, text: text.into(), fields }));
    }

    /// Write, or remove, an entry below the run root.
    pub fn run_tree(&mut self, path: impl Into<Rc<str>>, entry: Option<RunEntry>) {
        self.effects.push(Effect::RunTree { path: path.into(), entry });
    }

    /// Count a start; `true` when it is one too many (`StartLimitIntervalSec=`). The type then fails the start.
    pub fn start_limit_hit(&mut self, id: UnitId) -> bool {
        let now = self.now.monotonic;
        let unit = self.unit_mut(id);
        let hit = !unit.start_limit.pass(now);
        unit.start_limit_was_hit = hit;
        if hit {
            let text = format!("{}: Start request repeated too quickly.", unit.name);
            self.log(4, Some(id), text);
            let action = self.unit(id).action(ids::START_LIMIT_ACTION);
            self.watchdog_action(action, id, ids::REBOOT_ARGUMENT, "hit start limit");
        }
        hit
    }

    /// Let go of all that the engine keeps for a unit outside of it.
    pub(crate) fn forget_resources(&mut self, id: UnitId) {
        for kind in TimerKind::ALL {
            self.timers.disarm(TimerKey::Unit(id, kind));
        }
        self.leave_shared(id);
        self.on_console.remove(&id);
        self.dynamic_users.remove(&id);
        if !self.unit(id).kind.holds_nothing() {
            self.chains.remove_all(id);
            self.pids.remove_all(id);
            self.guests.retain(|(_, unit)| *unit != id);
            self.fds.remove_all(id).into_iter().for_each(|fd| self.emit(Effect::CloseFd(fd)));
        }
        for name in self.bus_names.remove_all(id) {
            self.emit(Effect::WatchBusName { name, on: false });
        }
        if let Some(cgroup) = self.unit(id).cgroup.clone() {
            self.cgroups.remove(&cgroup);
        }
        let paths: Vec<Rc<str>> = self.unit(id).mounts_for.keys().cloned().collect();
        paths.iter().for_each(|path| self.mounts.remove(path, id));
        self.failed.remove(&id);
    }

    /// Keep the mount table; gives back the one before.
    pub(crate) fn replace_mount_table(
        &mut self,
        table: Vec<super::event::MountEntry>,
    ) -> Vec<super::event::MountEntry> {
        std::mem::replace(&mut self.mount_table, table)
    }

    /// Give a unit a new invocation id. Types whose units run processes publish it below the run root.
    pub fn new_invocation(&mut self, id: UnitId) -> Rc<str> {
        let text: Rc<str> = Rc::from(format!("{:016x}{:016x}", self.random_word(), self.random_word()));
        self.unit_mut(id).invocation = Some(text.clone());
        text
    }

    /// 64 random bits, from the seed the manager was given (xorshift128+, Vigna).
    pub fn random_word(&mut self) -> u64 {
        let [mut one, two] = self.random;
        if one == 0 && two == 0 {
            one = 0x9e37_79b9_7f4a_7c15;
        }
        one ^= one << 23;
        let next = one ^ two ^ (one >> 18) ^ (two >> 5);
        self.random = [two, next];
        next.wrapping_add(two)
    }

    /// Enqueue a start (or other) job on behalf of a trigger: it waits until the unit and all it needs are loaded. A refusal
    /// comes back through `Machine::trigger_refused` of `by`.
    pub fn enqueue_start_by(&mut self, target: UnitId, job: JobType, mode: JobMode, by: Option<UnitId>) {
        self.queues.deferred.push_back(Deferred::Start(target, job, mode, by));
    }
}
