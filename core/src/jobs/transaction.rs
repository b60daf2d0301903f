//! Building a transaction: the jobs that one job needs, before any of them is enqueued.
//!
//! The closure over requirements is walked depth first with an explicit stack. `reduce` then makes the set consistent,
//! `order` breaks ordering cycles, `install` puts it into the queue.
use crate::engine::effect::{Failure, FailureKind, JobType, UnitId};
use crate::engine::{Engine, Unit};
use crate::graph::{Atom, Dependency};
use crate::jobs::kinds;
use crate::names::UnitType;
use crate::units::{ActiveState, LoadState};
use std::collections::BTreeMap;

/// Index of a job within its transaction.
pub(crate) type Index = usize;

/// A job of a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub unit: UnitId,
    pub kind: JobType,
    /// The anchor fails without it.
    pub matters: bool,
    pub irreversible: bool,
    pub ignore_order: bool,
    /// Who asks for it: (job, whether that job fails without it, whether it is asked for by a conflict). Links to jobs
    /// that were taken out stay; `wanted` counts the others.
    pub wanted_by: Vec<(Index, bool, bool)>,
    /// How many of `wanted_by` are still there.
    pub wanted: usize,
    /// What it asks for, with whether it fails without.
    pub wants: Vec<(Index, bool)>,
}

/// How a job came into a transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pull {
    pub matters: bool,
    pub conflicts: bool,
    pub ignore_requirements: bool,
    pub ignore_order: bool,
    pub start_as_restart: bool,
    pub irreversible: bool,
}

/// Jobs that are to be enqueued together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub drafts: Vec<Option<Draft>>,
    pub by_unit: BTreeMap<UnitId, Vec<Index>>,
    pub anchor: Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// What asked fails too, unless the job is only not applicable to the unit.
    Fails,
    /// It is logged.
    Logged,
    /// Nothing.
    Ignored,
}

#[derive(Debug)]
struct Frame {
    job: Index,
    todo: std::vec::IntoIter<(JobType, UnitId, Pull, OnFailure)>,
    then: OnFailure,
}

impl Transaction {
    pub fn draft(&self, index: Index) -> Option<&Draft> {
        self.drafts.get(index).and_then(Option::as_ref)
    }

    pub fn has_unit(&self, unit: UnitId) -> bool {
        self.by_unit.contains_key(&unit)
    }

    /// The draft of this unit and type, a new one if need be (then `true`).
    fn add_one(&mut self, kind: JobType, unit: UnitId, pull: Pull) -> (Index, bool) {
        let of_unit = self.by_unit.entry(unit).or_default();
        for &index in of_unit.iter() {
            if let Some(draft) = self.drafts.get_mut(index).and_then(Option::as_mut)
                && draft.kind == kind
            {
                draft.irreversible |= pull.irreversible;
                return (index, false);
            }
        }
        let index = self.drafts.len();
        of_unit.push(index);
        self.drafts.push(Some(Draft {
            unit,
            kind,
            matters: false,
            irreversible: pull.irreversible,
            ignore_order: pull.ignore_order,
            wanted_by: Vec::new(),
            wanted: 0,
            wants: Vec::new(),
        }));
        (index, true)
    }

    fn link(&mut self, by: Index, to: Index, pull: Pull) {
        if by == to {
            return;
        }
        if let Some(draft) = self.drafts[by].as_mut() {
            draft.wants.push((to, pull.matters));
        }
        if let Some(draft) = self.drafts[to].as_mut() {
            draft.wanted_by.push((by, pull.matters, pull.conflicts));
            draft.wanted += 1;
        }
    }

    /// Add a job and all it needs; `by` is the job that asks, `None` for the anchor.
    pub fn add(
        &mut self,
        e: &mut Engine,
        kind: JobType,
        unit: UnitId,
        by: Option<Index>,
        pull: Pull,
    ) -> Result<Index, Failure> {
        let (index, first) = self.enter(e, kind, unit, by, pull, OnFailure::Fails)?;
        let mut stack: Vec<Frame> = first.into_iter().collect();
        while let Some(top) = stack.last_mut() {
            let (job, next) = (top.job, top.todo.next());
            let Some((kind, unit, pull, then)) = next else {
                stack.pop();
                continue;
            };
            match self.enter(e, kind, unit, Some(job), pull, then) {
                Ok((_, Some(frame))) => stack.push(frame),
                Ok((_, None)) => {}
                Err(failure) => self.unwind(e, &mut stack, then, unit, failure)?,
            }
        }
        Ok(index)
    }

    /// A job could not be added: find who does not mind, going up.
    fn unwind(
        &mut self,
        e: &mut Engine,
        stack: &mut Vec<Frame>,
        mut then: OnFailure,
        mut unit: UnitId,
        failure: Failure,
    ) -> Result<(), Failure> {
        loop {
            match then {
                OnFailure::Fails if failure.kind != FailureKind::JobTypeNotApplicable => {}
                OnFailure::Fails | OnFailure::Ignored => return Ok(()),
                OnFailure::Logged => {
                    let level = if failure.kind == FailureKind::NoSuchUnit { 7 } else { 4 };
                    if let Some(by) = stack.last().and_then(|frame| self.draft(frame.job)).map(|job| job.unit)
                    {
                        let text = format!(
                            "{}: Cannot add dependency job for {}, ignoring: {}",
                            e.unit(by).name,
                            e.unit(unit).name,
                            failure.message
                        );
                        e.log(level, Some(by), text);
                    }
                    return Ok(());
                }
            }
            let Some(frame) = stack.pop() else { return Err(failure) };
            if stack.is_empty() {
                return Err(failure);
            }
            then = frame.then;
            unit = self.draft(frame.job).map_or(unit, |job| job.unit);
        }
    }

    /// Add one job; when it is new, the frame says what it needs.
    fn enter(
        &mut self,
        e: &mut Engine,
        kind: JobType,
        unit: UnitId,
        by: Option<Index>,
        pull: Pull,
        then: OnFailure,
    ) -> Result<(Index, Option<Frame>), Failure> {
        check(e, kind, unit)?;
        let (index, new) = self.add_one(kind, unit, pull);
        match by {
            Some(by) => self.link(by, index, pull),
            None => self.anchor = index,
        }
        if !new || pull.ignore_requirements || kind == JobType::Nop {
            return Ok((index, None));
        }
        let todo = pulled_in(e, kind, unit, pull).into_iter();
        Ok((index, Some(Frame { job: index, todo, then })))
    }
}

/// Units that a dependency with this atom leads to.
pub(crate) fn neighbours(e: &Engine, unit: UnitId, atom: Atom) -> impl Iterator<Item = UnitId> + '_ {
    let unit = e.unit(unit);
    atom.kinds().flat_map(move |kind| unit.dependencies(kind))
}

/// What a job of this type on this unit needs, in the order in which it is added.
fn pulled_in(e: &Engine, kind: JobType, unit: UnitId, from: Pull) -> Vec<(JobType, UnitId, Pull, OnFailure)> {
    use JobType::{Reload, Restart, Start, Stop, TryReload, TryRestart, VerifyActive};
    let mut todo = Vec::new();
    let weak = Pull { ignore_order: from.ignore_order, irreversible: from.irreversible, ..Pull::default() };
    let strong = Pull { matters: true, ..weak };
    let of = e.unit(unit);
    let each = |atom: Atom| atom.kinds().flat_map(|kind| of.dependencies(kind));
    if matches!(kind, Start | Restart) {
        todo.extend(each(Atom::PullStart).map(|dep| (Start, dep, strong, OnFailure::Fails)));
        todo.extend(each(Atom::PullStartIgnored).map(|dep| (Start, dep, weak, OnFailure::Logged)));
        todo.extend(each(Atom::PullVerify).map(|dep| (VerifyActive, dep, strong, OnFailure::Fails)));
        let conflict = Pull { conflicts: true, ..strong };
        todo.extend(each(Atom::PullStop).map(|dep| (Stop, dep, conflict, OnFailure::Fails)));
        todo.extend(each(Atom::PullStopIgnored).map(|dep| (Stop, dep, weak, OnFailure::Logged)));
    }
    let mut restarted = std::collections::BTreeSet::new();
    if kind == Restart || (kind == Start && from.start_as_restart) {
        for dep in each(Atom::PropagateRestart) {
            let plain = kinds::collapse(TryRestart, e.unit(dep).active_state());
            if plain != JobType::Nop {
                restarted.insert(dep);
                todo.push((plain, dep, strong, OnFailure::Fails));
            }
        }
    }
    if matches!(kind, Stop | Restart) {
        let stopped = each(Atom::PropagateStop).filter(|dep| !restarted.contains(dep));
        todo.extend(stopped.map(|dep| (Stop, dep, strong, OnFailure::Fails)));
    }
    if kind == Reload {
        for dep in of.dependencies(Dependency::PropagatesReloadTo) {
            let plain = kinds::collapse(TryReload, e.unit(dep).active_state());
            if plain != JobType::Nop {
                todo.push((plain, dep, weak, OnFailure::Ignored));
            }
        }
    }
    todo
}

/// Whether a job may be made: the unit is loaded and its type can do this.
pub(crate) fn check(e: &Engine, kind: JobType, id: UnitId) -> Result<(), Failure> {
    let unit = e.unit(id);
    if kind != JobType::Stop {
        load_failure(unit)?;
    }
    let name = &unit.name;
    let device = unit.unit_type() == UnitType::Device;
    let can_start = !device && (unit.unit_type() != UnitType::Scope || unit.transient || unit.perpetual);
    let can_stop = !device && !unit.perpetual;
    let applies = match kind {
        JobType::VerifyActive | JobType::Start | JobType::Nop => true,
        JobType::Stop => !unit.perpetual,
        JobType::Restart | JobType::TryRestart => can_start && can_stop,
        JobType::Reload | JobType::TryReload => e.can_reload(id),
        JobType::ReloadOrStart => can_start && e.can_reload(id),
    };
    if applies {
        return Ok(());
    }
    let text = format!("Job type {} is not applicable for unit {name}.", kinds::as_str(kind));
    Err(Failure { kind: FailureKind::JobTypeNotApplicable, message: text.into() })
}

/// The refusal that a unit which is not properly loaded gives.
pub(crate) fn load_failure(unit: &Unit) -> Result<(), Failure> {
    let name = &unit.name;
    let (kind, message) = match unit.load {
        LoadState::Loaded => return Ok(()),
        LoadState::Masked => (FailureKind::UnitMasked, format!("Unit {name} is masked.")),
        LoadState::BadSetting => {
            (FailureKind::BadUnitSetting, format!("Unit {name} has a bad unit file setting."))
        }
        LoadState::Error => {
            let why = unit.load_error.as_ref().map_or("unknown error", |failure| &failure.message);
            let text = format!(
                "Unit {name} failed to load properly, please adjust/correct and reload service manager: {why}"
            );
            (FailureKind::LoadFailed, text)
        }
        LoadState::Stub => (FailureKind::Busy, format!("Unit {name} is still being loaded.")),
        LoadState::NotFound | LoadState::Merged => {
            (FailureKind::NoSuchUnit, format!("Unit {name} not found."))
        }
    };
    Err(Failure { kind, message: message.into() })
}

/// Whether a job of one type excludes a job of the other for the same unit.
pub(crate) fn conflicting(a: JobType, b: JobType) -> bool {
    kinds::merge(a, b).is_none()
}

/// Whether a stop job would stop something.
pub(crate) fn stops_something(kind: JobType, state: ActiveState) -> bool {
    kind == JobType::Stop && state.is_up_or_activating()
}
