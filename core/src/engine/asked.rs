//! Requests that are answered when the chain that does them ends: signals, moving of processes, freezing and thawing.
use super::Engine;
use super::effect::{CallId, ChainId, Effect, Failure, FailureKind, Request, Response, Step, UnitId};
use super::event::{ChainError, ChainOutput};
use crate::graph::Dependency;
use crate::names::slice::ROOT_SLICE;
use crate::names::{UnitName, UnitType};
use crate::units::kill;

const ESRCH: i32 = 3;
const EOPNOTSUPP: i32 = 95;

/// What a chain was asked for, and by which call.
#[derive(Debug)]
pub(super) struct Asked {
    call: CallId,
    unit: UnitId,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// Signals; there must be somebody to get them.
    Kill {
        must: bool,
    },
    Attach,
    Freeze(bool),
}

fn refuse(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.into() }
}

impl Engine {
    /// Begin a request whose answer is what its chain comes to. Others come back.
    pub(super) fn begin_asked(&mut self, call: CallId, request: Request) -> Option<Request> {
        let begun = match &request {
            Request::Kill { unit, whom, signal, value, subgroup } => {
                let ask = kill::Ask { whom, signal: *signal, value: *value, subgroup: subgroup.as_deref() };
                // Signal 0 only asks, and reaches nobody.
                let what = What::Kill { must: whom.ends_with("-fail") && *signal != 0 };
                self.named(unit).and_then(|id| Ok((id, what, kill::asked(self, id, &ask)?)))
            }
            Request::Attach { unit, subgroup, pids } => self.named(unit).and_then(|id| {
                let Some(cgroup) = self.unit(id).cgroup.clone() else {
                    return Err(refuse(FailureKind::UnitInactive, "Unit is not active, refusing."));
                };
                let cgroup = match subgroup.trim_matches('/') {
                    "" => cgroup,
                    below => format!("{cgroup}/{below}").into(),
                };
                Ok((id, What::Attach, Step::Attach { cgroup, pids: pids.clone() }))
            }),
            Request::Freeze(unit, on) => self.freeze(unit, *on),
            _ => return Some(request),
        };
        match begun {
            Ok((unit, what, step)) => {
                let chain = self.chain(unit, vec![step]);
                self.asked.insert(chain, Asked { call, unit, what });
            }
            Err(failure) => self.emit(Effect::Reply { call, result: Err(failure) }),
        }
        None
    }

    fn freeze(&self, unit: &UnitName, on: bool) -> Result<(UnitId, What, Step), Failure> {
        let id = self.named(unit)?;
        if !self.can_freeze(id) {
            return Err(refuse(FailureKind::NotSupported, "Unit does not support freeze/thaw"));
        }
        let cgroup = self.unit(id).cgroup.clone().filter(|_| self.unit(id).active_state().is_up());
        let Some(cgroup) = cgroup else {
            return Err(refuse(FailureKind::UnitInactive, "Unit is not active."));
        };
        if self.unit(id).job.is_some() {
            return Err(refuse(FailureKind::UnitBusy, "Unit has a pending job."));
        }
        Ok((id, What::Freeze(on), Step::Freeze { cgroup, on }))
    }

    /// A chain ended: whoever asked for it hears what came of it. Whether somebody did.
    pub(super) fn asked_done(&mut self, chain: ChainId, result: &Result<ChainOutput, ChainError>) -> bool {
        let Some(Asked { call, unit, what }) = self.asked.remove(&chain) else { return false };
        let result = match (what, result) {
            (What::Kill { must: true }, Ok(output)) if output.alive == 0 => {
                Err(refuse(FailureKind::NoSuchProcess, "No matching processes to kill"))
            }
            (What::Freeze(on), Ok(_)) => {
                if self.get(unit).is_some_and(|unit| unit.frozen != on) {
                    self.unit_mut(unit).frozen = on;
                }
                Ok(Response::Done)
            }
            (_, Ok(_)) => Ok(Response::Done),
            (_, Err(error)) => {
                let kind = match error.errno {
                    ESRCH => FailureKind::NoSuchProcess,
                    EOPNOTSUPP => FailureKind::NotSupported,
                    _ => FailureKind::Io,
                };
                Err(Failure { kind, message: error.message.clone() })
            }
        };
        self.emit(Effect::Reply { call, result });
        true
    }

    /// `CanFreeze`: services and scopes, and slices in which all can; never the manager itself.
    pub fn can_freeze(&self, id: UnitId) -> bool {
        let unit = self.unit(id);
        match unit.unit_type() {
            UnitType::Service | UnitType::Scope => unit.name.as_str() != "init.scope",
            UnitType::Slice if unit.name.as_str() != ROOT_SLICE => {
                unit.dependencies(Dependency::SliceOf).all(|member| self.can_freeze(member))
            }
            _ => false,
        }
    }

    /// Whether a slice that the unit is in is frozen.
    pub fn is_frozen_by_parent(&self, id: UnitId) -> bool {
        let above = |id: UnitId| self.get(id)?.slice.and_then(|slice| self.get(slice));
        let mut slices = std::iter::successors(above(id), |slice| above(slice.id));
        slices.any(|slice| slice.frozen)
    }

    /// Whether no job may run on the unit: its processes would do nothing of what they are asked.
    pub(crate) fn is_frozen(&self, id: UnitId) -> bool {
        self.unit(id).frozen || self.is_frozen_by_parent(id)
    }

    /// The unit has no processes any more: those of its next start shall run.
    pub(super) fn thaw_empty(&mut self, id: UnitId) {
        if let Some(cgroup) = self.unit(id).cgroup.clone().filter(|_| self.unit(id).frozen) {
            self.unit_mut(id).frozen = false;
            self.chain(id, vec![Step::Freeze { cgroup, on: false }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::clock::Now;
    use crate::engine::event::Event;
    use crate::units::test_world::World;

    fn name(text: &str) -> UnitName {
        UnitName::parse(text).expect("a name")
    }

    /// What a request is answered when its chain, if it has one, comes to `result`.
    fn answer(
        w: &mut World,
        request: Request,
        result: Result<ChainOutput, ChainError>,
    ) -> Result<Response, Failure> {
        let now = Now { monotonic: w.now, ..Now::default() };
        assert!(w.e.begin_asked(CallId(7), request).is_none());
        let mut effects = std::mem::take(&mut w.e.effects);
        let chain = effects.iter().find_map(|effect| match effect {
            Effect::Chain { chain, .. } => Some(*chain),
            _ => None,
        });
        if let Some(chain) = chain {
            let told = effects.iter().any(|effect| matches!(effect, Effect::Reply { .. }));
            assert!(!told, "nobody knows yet");
            effects = w.e.step(now, Event::ChainDone { chain, result });
        }
        let reply = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { call: CallId(7), result } => Some(result),
            _ => None,
        });
        reply.expect("an answer")
    }

    fn failed(errno: i32) -> Result<ChainOutput, ChainError> {
        Err(ChainError { step: 0, errno, message: "no".into(), exit_status: None })
    }

    fn world() -> (World, UnitId) {
        let mut w = World::new();
        let id = w.unit("a.service", &["ExecStart=/a"]);
        w.start(id).expect("it starts");
        (w, id)
    }

    #[test]
    fn the_answer_is_what_came_of_it() {
        let (mut w, _) = world();
        let kill = |whom: &str| Request::Kill {
            unit: name("a.service"),
            whom: whom.into(),
            signal: 15,
            value: None,
            subgroup: None,
        };
        let kind = |answer: Result<Response, Failure>| answer.map_err(|failure| failure.kind).err();
        let reached = || Ok(ChainOutput { alive: 1, ..ChainOutput::default() });
        assert_eq!(kind(answer(&mut w, kill("all-fail"), reached())), None);
        let nobody = Some(FailureKind::NoSuchProcess);
        assert_eq!(kind(answer(&mut w, kill("all-fail"), Ok(ChainOutput::default()))), nobody);
        assert_eq!(kind(answer(&mut w, kill("all"), Ok(ChainOutput::default()))), None);
        let attach = Request::Attach { unit: name("a.service"), subgroup: "/b".into(), pids: vec![1] };
        assert_eq!(kind(answer(&mut w, attach, failed(2))), Some(FailureKind::Io));
    }

    #[test]
    fn frozen_is_what_was_frozen() {
        let (mut w, id) = world();
        let freeze = || Request::Freeze(name("a.service"), true);
        assert!(answer(&mut w, freeze(), failed(95)).is_err());
        assert!(!w.e.unit(id).frozen);
        assert!(answer(&mut w, freeze(), Ok(ChainOutput::default())).is_ok());
        assert!(w.e.unit(id).frozen);
        let cgroup = w.e.unit(id).cgroup.clone().expect("it has one");
        let now = Now { monotonic: w.now, ..Now::default() };
        let effects = w.e.step(now, Event::CgroupEmpty(cgroup));
        let thawed = effects.iter().any(|effect| match effect {
            Effect::Chain { steps, .. } => matches!(&steps[..], [Step::Freeze { on: false, .. }]),
            _ => false,
        });
        assert!(thawed);
        assert!(!w.e.unit(id).frozen);
        w.unit("init.scope", &[]);
        let itself = answer(&mut w, Request::Freeze(name("init.scope"), true), failed(0));
        assert_eq!(itself.expect_err("the manager").kind, FailureKind::NotSupported);
    }
}
