//! A world for the tests of unit types: machines are called as the engine would, chains are answered at once.
use super::machine::call;
use super::{Machine, Refusal};
use crate::directives::section::Sections;
use crate::directives::{Kind, find};
use crate::engine::clock::{Clock, Now, Usec};
use crate::engine::effect::*;
use crate::engine::event::{ChainError, ChainOutput, Event, Exit, Pid};
use crate::engine::timers::TimerKind;
use crate::engine::{Engine, ManagerConfig};
use crate::names::UnitName;
use crate::settings::{Settings, Value};
use std::collections::VecDeque;
use std::rc::Rc;

/// An engine, what it did, and processes that live until a test ends them.
pub struct World {
    pub e: Engine,
    pub now: Usec,
    /// How long the machine has slept.
    pub slept: Usec,
    /// Effects that are not chains, in order.
    pub effects: Vec<Effect>,
    /// Steps of chains, in order.
    pub steps: Vec<Step>,
    /// Commands that were spawned and still run: process, role, path.
    pub running: Vec<(Pid, &'static str, Rc<str>)>,
    /// Sub-states each unit went through.
    pub log: Vec<String>,
    next_pid: Pid,
    /// Answers to the next chains instead of success.
    pub answers: VecDeque<Result<ChainOutput, ChainError>>,
    /// Chains are held back rather than answered.
    pub hold: bool,
    pub held: Vec<(UnitId, ChainId)>,
}

impl World {
    pub fn new() -> World {
        let mut world = World {
            e: Engine::new(ManagerConfig { seed: [7; 16], ..ManagerConfig::default() }),
            now: 1_000_000_000,
            slept: 0,
            effects: Vec::new(),
            steps: Vec::new(),
            running: Vec::new(),
            log: Vec::new(),
            next_pid: 100,
            answers: VecDeque::new(),
            hold: false,
            held: Vec::new(),
        };
        world.pass(0);
        world
    }

    /// A loaded unit with these lines in its own section.
    pub fn unit(&mut self, name: &str, lines: &[&str]) -> UnitId {
        let name = UnitName::parse(name).unwrap();
        let id = self.e.ensure(&name);
        self.e.unit_mut(id).settings = settings(&name, lines);
        self.e.unit_mut(id).load = super::LoadState::Loaded;
        if let Err(problem) = call::loaded(name.kind(), &mut self.e, id) {
            panic!("{name}: {}", problem.message);
        }
        self.pump();
        id
    }

    /// Let time pass; nothing fires.
    pub fn pass(&mut self, by: Usec) {
        self.now += by;
        let now = Now {
            realtime: self.now + 1_700_000_000_000_000,
            monotonic: self.now,
            boottime: self.now + self.slept,
        };
        let effects = self.e.step(now, Event::Tick);
        self.effects.extend(effects);
    }

    /// Let time pass until the unit's timer is due, and fire it.
    pub fn elapse(&mut self, id: UnitId, which: TimerKind) -> Usec {
        let (clock, at) = self.e.armed(id, which).expect("armed");
        let now = match clock {
            Clock::Realtime => self.now + 1_700_000_000_000_000,
            Clock::BoottimeAlarm => self.now + self.slept,
            _ => self.now,
        };
        let span = at.saturating_sub(now);
        self.e.disarm(id, which);
        self.pass(span);
        let kind = self.e.unit(id).unit_type();
        call::timer(kind, &mut self.e, id, which);
        self.pump();
        span
    }

    pub fn start(&mut self, id: UnitId) -> Result<(), Refusal> {
        let kind = self.e.unit(id).unit_type();
        let done = call::can_start(kind, &mut self.e, id).and_then(|()| call::start(kind, &mut self.e, id));
        self.pump();
        done
    }

    pub fn stop(&mut self, id: UnitId) -> Result<(), Refusal> {
        let kind = self.e.unit(id).unit_type();
        let done = call::stop(kind, &mut self.e, id);
        self.pump();
        done
    }

    pub fn reload(&mut self, id: UnitId) -> Result<(), Refusal> {
        let kind = self.e.unit(id).unit_type();
        let done = call::reload(kind, &mut self.e, id);
        self.pump();
        done
    }

    /// Answer chains until there are none.
    pub fn pump(&mut self) {
        loop {
            self.pass(0);
            let mut chains = Vec::new();
            self.effects.retain(|effect| match effect {
                Effect::Chain { chain, unit, steps } => {
                    chains.push((*chain, unit.clone(), steps.clone()));
                    false
                }
                _ => true,
            });
            if chains.is_empty() {
                break;
            }
            for (chain, unit, steps) in chains {
                let Some(id) = self.e.find(&unit) else { continue };
                self.answer(id, chain, steps);
            }
        }
    }

    fn answer(&mut self, id: UnitId, chain: ChainId, steps: Vec<Step>) {
        self.log.push(self.e.unit(id).sub_state().to_owned());
        let mut output = ChainOutput::default();
        for step in &steps {
            match step {
                Step::Spawn(spec) => {
                    self.next_pid += 1;
                    output.pid = Some(self.next_pid);
                    if self.answers.is_empty() {
                        self.running.push((self.next_pid, spec.role, spec.command.path.clone()));
                    }
                }
                Step::Kill(spec) => {
                    let mut alive = self.running.len();
                    if !spec.whole_cgroup {
                        let named = |pid: &Pid| spec.main == Some(*pid) || spec.control == Some(*pid);
                        alive = self.running.iter().filter(|process| named(&process.0)).count();
                    }
                    output.alive = u32::try_from(alive).unwrap();
                }
                _ => {}
            }
        }
        self.steps.extend(steps);
        if self.hold {
            return self.held.push((id, chain));
        }
        let result = self.answers.pop_front().unwrap_or(Ok(output));
        let kind = self.e.unit(id).unit_type();
        call::chain_done(kind, &mut self.e, id, chain, result);
    }

    /// The process that runs this command ends.
    pub fn exit(&mut self, id: UnitId, path: &str, exit: Exit) {
        let at = self.running.iter().position(|process| &*process.2 == path);
        let (pid, ..) = self.running.remove(at.unwrap_or_else(|| panic!("{path} does not run")));
        let kind = self.e.unit(id).unit_type();
        call::process_exited(kind, &mut self.e, id, pid, exit);
        self.pump();
    }

    /// It ends well.
    pub fn done(&mut self, id: UnitId, path: &str) {
        self.exit(id, path, Exit::Status(0));
    }

    /// The unit's cgroup is empty.
    pub fn empty(&mut self, id: UnitId) {
        let kind = self.e.unit(id).unit_type();
        call::cgroup_empty(kind, &mut self.e, id);
        self.pump();
    }

    pub fn pid(&self, path: &str) -> Pid {
        self.running.iter().find(|process| &*process.2 == path).expect("it runs").0
    }

    pub fn sub(&self, id: UnitId) -> &'static str {
        self.e.unit(id).sub_state()
    }

    pub fn result(&self, id: UnitId) -> &'static str {
        self.e.unit(id).kind.result()
    }

    /// Signals sent so far: (to the whole cgroup, signal).
    pub fn signals(&self) -> Vec<(bool, i32)> {
        let signal = |step: &Step| match step {
            Step::Kill(spec) => Some((spec.whole_cgroup, spec.signal)),
            _ => None,
        };
        self.steps.iter().filter_map(signal).collect()
    }

    /// What the last spawn was told.
    pub fn last_spawn(&self) -> &SpawnSpec {
        let mut spawns = self.steps.iter().rev().filter_map(|step| match step {
            Step::Spawn(spec) => Some(spec),
            _ => None,
        });
        spawns.next().expect("something was spawned")
    }

    pub fn machine<M: super::OfKind + Machine>(&self, id: UnitId) -> &M {
        self.e.machine::<M>(id)
    }

    /// Act as the engine in between, then answer chains.
    pub fn with(&mut self, act: impl FnOnce(&mut Engine)) {
        act(&mut self.e);
        self.pump();
    }
}

/// Settings from `Directive=value` lines; enough of each value's syntax for tests.
pub fn settings(name: &UnitName, lines: &[&str]) -> Settings {
    let mut settings = Settings::default();
    let own = Sections::of(name.kind());
    for line in lines {
        let (key, text) = line.split_once('=').unwrap();
        let row = find(own, key).or_else(|| find(crate::directives::section::UNIT, key));
        let row = row.unwrap_or_else(|| panic!("no directive {key} here"));
        let id = row.stored();
        let value = match row.kind {
            Kind::Bool => Value::Bool(text == "yes"),
            Kind::Words(words) => Value::Word(words.index(text).unwrap()),
            Kind::Signal | Kind::Integer(..) | Kind::ActionExit => Value::Int(text.parse().unwrap()),
            Kind::Commands => {
                let mut all = settings.commands(id).to_vec();
                all.push(command(text));
                Value::Commands(all.into())
            }
            Kind::ExitSet => Value::ExitSet {
                statuses: text.split(' ').filter_map(|item| item.parse().ok()).collect(),
                signals: [].into(),
            },
            Kind::Listen => {
                let kind = key.strip_prefix("Listen").unwrap();
                let mut all = settings.ports().to_vec();
                all.push(ListenPort { kind: kind.into(), address: text.into() });
                Value::Ports(all.into())
            }
            Kind::Watch => {
                let mut all = settings.paths().to_vec();
                all.push(PathSpec { kind: key.into(), path: text.into() });
                Value::Paths(all.into())
            }
            Kind::Timer => {
                let mut all = settings.timers().to_vec();
                all.push((key.into(), text.into()));
                Value::Timers(all.into())
            }
            Kind::Sockets | Kind::SocketService | Kind::TriggeredUnit => {
                Value::Units([UnitName::parse(text).unwrap()].into())
            }
            _ => text.parse().map_or_else(|_| Value::Text(text.into()), Value::Uint),
        };
        settings.set(id, value);
    }
    settings
}

fn command(text: &str) -> Command {
    let path: Rc<str> = text.trim_start_matches('-').into();
    Command {
        argv: [path.clone()].into(),
        path,
        ignore_failure: text.starts_with('-'),
        full_privileges: false,
        no_setuid: false,
        no_env_expand: false,
        via_shell: false,
    }
}
