//! A small world for the engine: every chain succeeds, every process ends well a little later, no file but those given
//! exists. A boot is good when `default.target`, which wants the given units, becomes active.

use runstead_core::directives::ids;
use runstead_core::engine::clock::{Clock, Now, Usec};
use runstead_core::engine::effect::{Effect, Step};
use runstead_core::engine::event::{
    ChainOutput, ConditionVerdict, Event, Exit, Found, LoadedUnit, MountEntry, Notify, Pid, UnitFile,
};
use runstead_core::engine::{Engine, ManagerConfig};
use runstead_core::names::UnitName;
use runstead_core::units::{ActiveState, UnitKind};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Targets that units are ordered by.
const TARGETS: &[(&str, &str)] = &[
    ("sysinit.target", "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\n"),
    ("basic.target", "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\nDefaultDependencies=no\n"),
    ("shutdown.target", "[Unit]\nDefaultDependencies=no\nRefuseManualStart=yes\n"),
    ("umount.target", "[Unit]\nDefaultDependencies=no\nRefuseManualStart=yes\n"),
    ("sockets.target", "[Unit]\n"),
    ("timers.target", "[Unit]\n"),
    ("paths.target", "[Unit]\n"),
    ("local-fs.target", "[Unit]\nDefaultDependencies=no\n"),
    ("local-fs-pre.target", "[Unit]\nRefuseManualStart=yes\n"),
    ("network.target", "[Unit]\nRefuseManualStart=yes\n"),
];
const TARGET: &str = "default.target";
/// More events than the longest good boot has.
const MOST_EVENTS: usize = 20_000;

/// So often a notifying service ends before it is ready.
const FAILURES: usize = 3;

/// How a boot ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// `default.target` is active.
    Up,
    /// The engine was told to end: power off and the like.
    Asked,
    /// A unit asks to be restarted for ever while its start job waits (`RestartMode=direct`): what waits for it waits, as
    /// it does on the reference.
    Restarting,
    /// Nothing more happens, or no end comes; says where it stands.
    Stuck(String),
}

struct World<'a> {
    engine: Engine,
    given: &'a BTreeMap<UnitName, &'a [u8]>,
    events: VecDeque<Event>,
    running: VecDeque<(Pid, Option<Rc<str>>)>,
    now: Usec,
    next_pid: Pid,
    ended: bool,
    /// How often processes of each unit were started.
    starts: BTreeMap<UnitName, usize>,
    /// What processes that just start will say.
    ready: Vec<Event>,
    /// The last things that happened, for a boot that ends badly.
    trace: VecDeque<String>,
}

/// Boots `default.target`, which wants all units given.
pub fn boot(given: &BTreeMap<UnitName, &[u8]>) -> Ended {
    let mut world = World {
        engine: Engine::new(ManagerConfig { seed: [7; 16], container: true, ..ManagerConfig::default() }),
        given,
        events: VecDeque::new(),
        running: VecDeque::new(),
        now: 1_000_000_000,
        next_pid: 100,
        ended: false,
        starts: BTreeMap::new(),
        ready: Vec::new(),
        trace: VecDeque::new(),
    };
    let root = MountEntry {
        device: false,
        target: "/".into(),
        source: "/dev/root".into(),
        fstype: "ext4".into(),
        options: "rw".into(),
    };
    let target = UnitName::parse(TARGET).expect("a valid name");
    world.events.push_back(Event::MountTable(vec![root]));
    world.events.push_back(Event::Boot { target: target.clone() });
    for _ in 0..MOST_EVENTS {
        if world.state(&target) == Some(ActiveState::Active) {
            return Ended::Up;
        }
        if world.ended {
            return Ended::Asked;
        }
        if !world.one() {
            return Ended::Stuck(format!("nothing happens any more: {}", world.stand()));
        }
    }
    if world.restarts_directly() {
        return Ended::Restarting;
    }
    Ended::Stuck(format!("no end after {MOST_EVENTS} events: {}", world.stand()))
}

impl World<'_> {
    /// Whether a unit with a job is restarted again and again without its job coming to an end.
    fn restarts_directly(&self) -> bool {
        self.engine.jobs().any(|job| {
            let unit = self.engine.unit(job.unit);
            let restarts = match &unit.kind {
                UnitKind::Service(service) => service.n_restarts,
                _ => 0,
            };
            restarts > 100 && unit.settings.word(ids::RESTART_MODE) == "direct"
        })
    }

    fn state(&self, name: &UnitName) -> Option<ActiveState> {
        self.engine.find_unit(name).map(|unit| unit.active_state())
    }

    /// The units that have jobs, with their states.
    fn stand(&self) -> String {
        let with_jobs = self.engine.units().filter(|unit| unit.job.is_some());
        let text: Vec<String> = with_jobs.map(|unit| format!("{} {}", unit.name, unit.sub_state())).collect();
        let target = UnitName::parse(TARGET).ok().and_then(|name| self.state(&name));
        let trace: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        format!("{TARGET} is {target:?}; jobs: {}; last:\n    {}", text.join(", "), trace.join("\n    "))
    }

    /// The next thing that happens; `false` when nothing does.
    fn one(&mut self) -> bool {
        let event = if let Some(event) = self.events.pop_front() {
            event
        } else if let Some((pid, cgroup)) = self.running.pop_front() {
            if let Some(cgroup) = &cgroup
                && !self.running.iter().any(|(_, other)| other.as_ref() == Some(cgroup))
            {
                self.events.push_back(Event::CgroupEmpty(cgroup.clone()));
            }
            Event::ProcessExited { pid, exit: Exit::Status(0) }
        } else {
            let Some(wait) = self.next_deadline() else { return false };
            self.now = self.now.saturating_add(wait);
            Event::Tick
        };
        self.now += 10;
        let now = self.clocks();
        self.note(format!("{event:?}"));
        for effect in self.engine.step(now, event) {
            self.carry_out(effect);
        }
        true
    }

    fn note(&mut self, text: String) {
        self.trace.push_back(text.chars().take(160).collect());
        if self.trace.len() > 24 {
            self.trace.pop_front();
        }
    }

    fn clocks(&self) -> Now {
        Now { realtime: self.now + 1_700_000_000_000_000, monotonic: self.now, boottime: self.now }
    }

    /// How long until the next timer; more than a month is never.
    fn next_deadline(&self) -> Option<Usec> {
        let now = self.clocks();
        let due = |clock: &Clock| Some(self.engine.deadline(*clock)?.saturating_sub(clock.read(now)));
        Clock::ALL.iter().filter_map(due).min().filter(|wait| *wait < 32 * 86_400 * 1_000_000)
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Load(names) => {
                let units = names.into_iter().map(|name| self.load(name)).collect();
                self.events.push_back(Event::Loaded(units));
            }
            Effect::CheckConditions { unit, conditions, asserts } => {
                let hold = |n: usize| vec![ConditionVerdict::Holds; n];
                let (conditions, asserts) = (hold(conditions.len()), hold(asserts.len()));
                self.events.push_back(Event::Conditions { unit, conditions, asserts });
            }
            Effect::CheckPaths { unit, specs } => {
                self.events.push_back(Event::PathChecked { unit, holds: vec![false; specs.len()] });
            }
            Effect::Chain { chain, steps, .. } => {
                let output = self.chain(&steps);
                self.events.push_back(Event::ChainDone { chain, result: Ok(output) });
                self.events.extend(self.ready.drain(..));
            }
            Effect::ReadZone(name) => {
                self.events.push_back(Event::TimeZone { name: Some(name), file: None });
            }
            Effect::RunGenerators => self.events.push_back(Event::GeneratorsDone),
            Effect::Exit(_) | Effect::Reexec => self.ended = true,
            Effect::Log(line) => self.note(format!("log: {}", line.text)),
            _ => {}
        }
    }

    fn chain(&mut self, steps: &[Step]) -> ChainOutput {
        let mut output = ChainOutput::default();
        for step in steps {
            match step {
                Step::Spawn(spec) => {
                    self.next_pid += 1;
                    output.pid = Some(self.next_pid);
                    let starts = self.starts.entry(spec.unit.clone()).or_default();
                    *starts += 1;
                    // Who ends without a word at first works in the end: else it is started for ever, and each time
                    // what is ordered behind it waits.
                    if *starts > FAILURES
                        && spec.is_main
                        && spec.settings.word(ids::SERVICE_TYPE).starts_with("notify")
                    {
                        let ready = Notify { pid: self.next_pid, ready: true, ..Notify::default() };
                        self.ready.push(Event::Notify(Box::new(ready)));
                    } else {
                        self.running.push_back((self.next_pid, spec.cgroup.clone()));
                    }
                }
                Step::ReadPidFile { .. } | Step::GuessMainPid { .. } => {
                    output.pid_file = Some(Err("there is none".into()));
                }
                _ => {}
            }
        }
        output
    }

    fn load(&self, name: UnitName) -> LoadedUnit {
        let builtin = || TARGETS.iter().find(|row| row.0 == name.as_str()).map(|row| row.1.as_bytes());
        let default = (name.as_str() == TARGET).then_some(b"[Unit]\nDescription=Up\n".as_slice());
        let bytes = default.or_else(|| self.given.get(&name).copied()).or_else(builtin);
        let found = match bytes {
            Some(bytes) => {
                let path = format!("/etc/systemd/system/{name}").into();
                let file = UnitFile { path, bytes: bytes.into(), mtime: 1 };
                Found::Fragment { primary: name.clone(), file, transient: false }
            }
            None => Found::NotFound,
        };
        let wants = if name.as_str() == TARGET { self.given.keys().cloned().collect() } else { Vec::new() };
        let (aliases, dropins, requires, upholds) = (vec![name.clone()], Vec::new(), Vec::new(), Vec::new());
        LoadedUnit { name, found, aliases, dropins, wants, requires, upholds }
    }
}
