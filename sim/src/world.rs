//! The world: what a shell would do with the engine's effects, without a kernel.
use runstead_core::engine::clock::{Clock, Now, Usec};
use runstead_core::engine::effect::{
    Announcement, CallId, Effect, Failure, JobMode, JobType, KillSpec, Request, Response, SpawnSpec, Step,
    UnitId,
};
use runstead_core::engine::event::{
    Caller, ChainError, ChainOutput, ConditionVerdict, Event, Exit, Found, LoadedUnit, Pid, UnitFile,
};
use runstead_core::engine::{Engine, ManagerConfig, Unit};
use runstead_core::names::UnitName;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

const SIGKILL: i32 = 9;

/// A running process.
#[derive(Debug, Clone)]
struct Process {
    cgroup: Option<Rc<str>>,
    stubborn: bool,
}

/// One simulated machine.
pub struct World {
    /// The engine under test.
    pub engine: Engine,
    /// Every effect, as text: two runs are compared by it.
    pub trace: Vec<String>,
    /// Answers to calls.
    pub replies: BTreeMap<CallId, Result<Response, Failure>>,
    /// Ends of jobs: (job number, unit, result).
    pub removed_jobs: Vec<(u32, String, &'static str)>,
    /// Lines of the log.
    pub log: Vec<String>,
    /// Files of time zones by name.
    pub zones: BTreeMap<String, Rc<[u8]>>,
    /// Paths for which `ConditionPathExists=` holds.
    pub paths: BTreeSet<String>,
    files: BTreeMap<UnitName, String>,
    links: BTreeMap<UnitName, Vec<(&'static str, UnitName)>>,
    aliases: BTreeMap<UnitName, UnitName>,
    masked: BTreeSet<UnitName>,
    processes: BTreeMap<Pid, Process>,
    events: VecDeque<Event>,
    later: BTreeMap<(Usec, u64), Event>,
    now: Usec,
    random: u64,
    sequence: u64,
    next_pid: Pid,
    next_call: u64,
}

impl World {
    /// An empty machine.
    pub fn new(seed: u64) -> World {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = ManagerConfig { seed: bytes, ..ManagerConfig::default() };
        World {
            engine: Engine::new(config),
            trace: Vec::new(),
            replies: BTreeMap::new(),
            removed_jobs: Vec::new(),
            log: Vec::new(),
            zones: BTreeMap::new(),
            paths: BTreeSet::new(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
            aliases: BTreeMap::new(),
            masked: BTreeSet::new(),
            processes: BTreeMap::new(),
            events: VecDeque::new(),
            later: BTreeMap::new(),
            now: 1_000_000,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            sequence: 0,
            next_pid: 100,
            next_call: 1,
        }
    }

    /// A machine with these units.
    pub fn with(units: &[(&str, &str)]) -> World {
        let mut world = World::new(1);
        for (unit, text) in units {
            world.file(unit, text);
        }
        world
    }

    /// Put a unit file in place.
    pub fn file(&mut self, unit: &str, text: &str) {
        self.files.insert(name(unit), text.to_owned());
    }

    /// Take a unit file away.
    pub fn remove_file(&mut self, unit: &str) {
        self.files.remove(&name(unit));
    }

    /// Mask a unit.
    pub fn mask(&mut self, unit: &str) {
        self.masked.insert(name(unit));
    }

    /// Link `alias` to the file of `unit`.
    pub fn alias(&mut self, alias: &str, unit: &str) {
        self.aliases.insert(name(alias), name(unit));
    }

    /// A link in `UNIT.wants/` ("wants", "requires", "upholds").
    pub fn link(&mut self, unit: &str, kind: &'static str, other: &str) {
        self.links.entry(name(unit)).or_default().push((kind, name(other)));
    }

    /// The link goes.
    pub fn unlink(&mut self, unit: &str, kind: &'static str, other: &str) {
        if let Some(links) = self.links.get_mut(&name(unit)) {
            links.retain(|link| *link != (kind, name(other)));
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    fn at(&self) -> Now {
        Now { realtime: 1_700_000_000_000_000 + self.now, monotonic: self.now, boottime: self.now }
    }

    /// Call and let things settle; the answer if there is one.
    pub fn call(&mut self, request: Request) -> Option<Result<Response, Failure>> {
        let call = self.post(request);
        self.settle();
        self.replies.get(&call).cloned()
    }

    /// Call without waiting.
    pub fn post(&mut self, request: Request) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        let caller = Caller { connection: 1, ..Caller::default() };
        self.events.push_back(Event::Call { call, caller, request: Box::new(request) });
        call
    }

    /// Ask for a job, and let things settle.
    pub fn job(&mut self, unit: &str, job: JobType, mode: JobMode) -> Result<Response, Failure> {
        let request =
            Request::Enqueue { unit: name(unit), job, mode, reload_if_possible: false, detailed: false };
        self.call(request).expect("a call is answered")
    }

    /// Start with mode `replace`, and let things settle.
    pub fn start(&mut self, unit: &str) -> Result<Response, Failure> {
        self.job(unit, JobType::Start, JobMode::Replace)
    }

    /// Stop with mode `replace`, and let things settle.
    pub fn stop(&mut self, unit: &str) -> Result<Response, Failure> {
        self.job(unit, JobType::Stop, JobMode::Replace)
    }

    /// `ActiveState` of a unit, "gone" when it is not loaded.
    pub fn state(&self, unit: &str) -> &'static str {
        self.unit(unit).map_or("gone", |unit| unit.active_state().as_str())
    }

    /// A unit.
    pub fn unit(&self, unit: &str) -> Option<&Unit> {
        self.engine.find_unit(&name(unit))
    }

    /// The result of the last job of a unit.
    pub fn result(&self, unit: &str) -> Option<&'static str> {
        self.removed_jobs.iter().rev().find(|(_, name, _)| name == unit).map(|(_, _, result)| *result)
    }

    /// Units in the order in which their processes were started.
    pub fn spawned(&self) -> Vec<String> {
        let lines = self.trace.iter().filter_map(|line| line.strip_prefix("spawn "));
        lines.map(|line| line.split(' ').next().unwrap_or("").to_owned()).collect()
    }

    /// Put an event in line.
    pub fn happen(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// One step; `false` when nothing is going to happen.
    pub fn step(&mut self) -> bool {
        let event = match self.events.pop_front() {
            Some(event) => event,
            None => match self.next_later() {
                Some(event) => event,
                None => return false,
            },
        };
        let effects = self.engine.step(self.at(), event);
        for effect in effects {
            self.execute(effect);
        }
        true
    }

    fn next_later(&mut self) -> Option<Event> {
        let due = [Clock::Monotonic, Clock::Boottime]
            .into_iter()
            .filter_map(|clock| self.engine.deadline(clock))
            .min();
        let next = self.later.keys().next().copied();
        match (due, next) {
            (Some(due), next) if next.is_none_or(|(at, _)| due <= at) => {
                self.now = self.now.max(due);
                Some(Event::Tick)
            }
            (_, Some(key)) => {
                self.now = self.now.max(key.0);
                self.later.remove(&key)
            }
            _ => None,
        }
    }

    /// Go on for a minute of virtual time, or until nothing happens any more.
    pub fn settle(&mut self) {
        let end = self.now + 60_000_000;
        let mut steps = 0;
        while self.pending() && self.now < end && steps < 200_000 {
            self.step();
            steps += 1;
        }
    }

    fn pending(&self) -> bool {
        let timers = self.engine.deadline(Clock::Monotonic).is_some();
        !self.events.is_empty() || !self.later.is_empty() || timers
    }

    /// Let this much virtual time pass.
    pub fn pass(&mut self, span: Usec) {
        let end = self.now + span;
        loop {
            let due = self.engine.deadline(Clock::Monotonic);
            let next = self.later.keys().next().map(|key| key.0);
            let soon = [due, next].into_iter().flatten().min();
            if self.events.is_empty() && soon.is_none_or(|at| at > end) {
                break;
            }
            self.step();
        }
        self.now = self.now.max(end);
    }

    fn after(&mut self, span: Usec, event: Event) {
        self.sequence += 1;
        self.later.insert((self.now + span, self.sequence), event);
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Load(names) => {
                let units = names.into_iter().map(|name| self.load(name)).collect();
                self.events.push_front(Event::Loaded(units));
            }
            Effect::CheckConditions { unit, conditions, asserts } => {
                let check =
                    |lines: Vec<(Rc<str>, Rc<str>)>| lines.iter().map(|line| self.holds(&line.1)).collect();
                let (conditions, asserts) = (check(conditions), check(asserts));
                self.events.push_back(Event::Conditions { unit, conditions, asserts });
            }
            Effect::Chain { chain, unit, steps } => {
                let result = self.chain(&unit, steps);
                self.events.push_back(Event::ChainDone { chain, result });
            }
            Effect::ReadZone(name) => {
                let file = self.zones.get(&*name).cloned();
                self.events.push_front(Event::TimeZone { name: Some(name), file });
            }
            Effect::RunGenerators => self.events.push_back(Event::GeneratorsDone),
            Effect::Reply { call, result } => {
                self.trace.push(format!("reply {} {}", call.0, result.is_ok()));
                self.replies.insert(call, result);
            }
            // Whoever tells of a change looks at the unit first.
            Effect::Announce(Announcement::UnitChanged(unit)) if self.engine.find(&unit).is_none() => {
                panic!("{unit} changed, and is gone before anybody hears of it");
            }
            Effect::Announce(Announcement::JobRemoved { job, unit, result }) => {
                self.trace.push(format!("job {} {unit} {result}", job.0));
                self.removed_jobs.push((job.0, unit.to_string(), result));
            }
            Effect::Log(line) => {
                self.trace.push(format!("log {}", line.text));
                self.log.push(line.text.to_string());
            }
            other => self.trace.push(format!("{other:?}")),
        }
    }

    fn holds(&self, value: &str) -> ConditionVerdict {
        let path = value.trim_start_matches(['|', '!']);
        match self.paths.contains(path) != value.contains('!') {
            true => ConditionVerdict::Holds,
            false => ConditionVerdict::Fails,
        }
    }

    fn load(&self, asked: UnitName) -> LoadedUnit {
        let primary = self.aliases.get(&asked).unwrap_or(&asked).clone();
        let template = primary.template();
        let text = self.files.get(&primary).or_else(|| self.files.get(template.as_ref()?));
        let found = match text {
            _ if self.masked.contains(&primary) => Found::Masked(format!("/etc/{primary}").into()),
            Some(text) => {
                let bytes: Rc<[u8]> = Rc::from(text.as_bytes());
                // The content stands for the modification time.
                let mtime =
                    text.bytes().fold(1, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
                let file = UnitFile { path: format!("/sim/{primary}").into(), bytes, mtime };
                Found::Fragment { primary: primary.clone(), file, transient: false }
            }
            None => Found::NotFound,
        };
        let links = |kind: &str| {
            let all = self.links.get(&primary).into_iter().flatten();
            all.filter(|(of, _)| *of == kind).map(|(_, other)| other.clone()).collect()
        };
        let aliases = self.aliases.iter().filter(|(_, to)| **to == primary).map(|(alias, _)| alias.clone());
        LoadedUnit {
            found,
            aliases: aliases.collect(),
            dropins: Vec::new(),
            wants: links("wants"),
            requires: links("requires"),
            upholds: links("upholds"),
            name: asked,
        }
    }

    fn chain(&mut self, unit: &UnitName, steps: Vec<Step>) -> Result<ChainOutput, ChainError> {
        let mut output = ChainOutput::default();
        for (index, step) in steps.into_iter().enumerate() {
            match step {
                Step::Spawn(spec) => match self.spawn(unit, &spec) {
                    Some(pid) => {
                        output.pid = Some(pid);
                        output.is_child = true;
                    }
                    None => {
                        return Err(ChainError {
                            step: index,
                            errno: 2,
                            message: "no such file".into(),
                            exit_status: Some(203),
                        });
                    }
                },
                Step::Kill(spec) => output.alive += self.kill(&spec),
                Step::Attach { cgroup, pids } => {
                    for pid in pids {
                        self.processes.insert(pid, Process { cgroup: Some(cgroup.clone()), stubborn: false });
                    }
                }
                _ => {}
            }
        }
        Ok(output)
    }

    fn spawn(&mut self, unit: &UnitName, spec: &SpawnSpec) -> Option<Pid> {
        if &*spec.command.path == "/sim/missing" {
            return None;
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        self.trace.push(format!("spawn {unit} {} {pid} at {}", spec.role, self.now));
        let stubborn = &*spec.command.path == "/sim/stubborn";
        self.processes.insert(pid, Process { cgroup: spec.cgroup.clone(), stubborn });
        let status = match &*spec.command.path {
            "/sim/ok" => Some(0),
            "/sim/fail" => Some(1),
            _ => None,
        };
        if let Some(status) = status {
            let span = 1_000 + self.random(50_000);
            self.exit(pid, Exit::Status(status), span);
        }
        Some(pid)
    }

    fn exit(&mut self, pid: Pid, exit: Exit, span: Usec) {
        let Some(process) = self.processes.remove(&pid) else { return };
        let cgroup = process.cgroup.clone();
        self.after(span, Event::ProcessExited { pid, exit });
        if let Some(cgroup) = cgroup
            && !self.processes.values().any(|other| other.cgroup.as_ref() == Some(&cgroup))
        {
            self.after(span, Event::CgroupEmpty(cgroup));
        }
    }

    fn kill(&mut self, spec: &KillSpec) -> u32 {
        let in_cgroup = |process: &Process| {
            spec.whole_cgroup && process.cgroup.is_some() && process.cgroup == spec.cgroup
        };
        let hit: Vec<(Pid, bool)> = self
            .processes
            .iter()
            .filter(|(pid, process)| {
                spec.main == Some(**pid) || spec.control == Some(**pid) || in_cgroup(process)
            })
            .map(|(&pid, process)| (pid, process.stubborn))
            .collect();
        let mut alive = 0;
        for (pid, stubborn) in hit {
            alive += 1;
            if !stubborn || spec.signal == SIGKILL {
                let span = 100 + self.random(1_000);
                self.exit(pid, Exit::Killed(spec.signal), span);
            }
        }
        alive
    }

    /// What must hold whenever events have been worked off.
    pub fn check_settled(&self) -> Result<(), String> {
        // Units that uphold and stop each other never come to rest: then nothing may be older than a minute.
        const PATIENCE: Usec = 60_000_000;
        let now = self.now;
        let is_old = |since: Usec| since.saturating_add(PATIENCE) < now;
        if let Some(job) = self.engine.jobs().find(|job| is_old(job.enqueued.monotonic)) {
            let unit = &self.engine.unit(job.unit).name;
            return Err(format!("job {}/{:?} is {:?} for ever", unit, job.kind, job.state));
        }
        for unit in self.engine.units() {
            let state = unit.active_state().as_str();
            let passing = matches!(state, "activating" | "deactivating" | "reloading");
            if passing && is_old(unit.stamps.state_change.monotonic) {
                return Err(format!("{} is {state} for ever", unit.name));
            }
            for (&(kind, other), edge) in &unit.deps {
                let back =
                    self.engine.get(other).and_then(|other| other.deps.get(&(kind.inverse(), unit.id)));
                if back.is_none_or(|back| back.mine != edge.theirs || back.theirs != edge.mine) {
                    return Err(format!("{} {} {other:?} has no other end", unit.name, kind.name()));
                }
            }
        }
        Ok(())
    }

    /// Execute anew: a fresh engine takes the records of the old one.
    pub fn reexec(&mut self) {
        let records = self.engine.record_all();
        let mut fresh = Engine::new(self.engine.config.clone());
        let problems = fresh.restore(records.iter().map(|(key, bytes)| (key.as_str(), bytes.as_slice())));
        assert!(problems.is_empty(), "{problems:?}");
        self.engine = fresh;
        self.events.push_front(Event::Tick);
        self.step();
    }

    /// The index of a unit.
    pub fn id(&self, unit: &str) -> UnitId {
        self.unit(unit).expect("the unit is loaded").id
    }
}

/// A unit name that is known to be one.
pub fn name(text: &str) -> UnitName {
    UnitName::parse(text).expect("tests use valid unit names")
}
