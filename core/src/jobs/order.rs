//! Ordering: which of two jobs runs first, and breaking cycles in a transaction.
//!
//! The rule (systemd.unit(5), `Before=`/`After=`): when two units are started, the one ordered before runs first; when the
//! later one is stopped, that stop runs first, whatever the other does. So `a Before b` makes b's stop (and the stop half
//! of its restart) run before anything on a, and anything on a run before b otherwise.
use super::kinds;
use super::transaction::{Index, Transaction};
use crate::engine::Engine;
use crate::engine::effect::{Failure, FailureKind, JobId, JobType, UnitId};
use crate::graph::Dependency;
use std::collections::BTreeMap;

/// For `a Before b`: whether a's job must wait for b's.
pub(crate) fn earlier_waits(b: JobType) -> bool {
    matches!(b, JobType::Stop | JobType::Restart)
}

/// Whether a job of type `mine` on a unit waits for the job `theirs` of its neighbour, with `kind` seen from the unit.
pub fn waits(mine: JobType, kind: Dependency, theirs: JobType) -> bool {
    if mine == JobType::Nop || theirs == JobType::Nop {
        return false;
    }
    match kind {
        // I am before it: I wait only when it goes down.
        Dependency::Before => earlier_waits(theirs),
        // I am after it: I wait, unless I go down.
        Dependency::After => !earlier_waits(mine),
        _ => false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    OnPath,
    Done,
}

struct Step {
    unit: UnitId,
    todo: std::vec::IntoIter<UnitId>,
}

/// Restart jobs wait as stops first, and then as starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// One way through the ordering of all jobs.
struct Walk {
    half: Half,
    /// Whether a restart was met: without one both halves are the same.
    restarts: bool,
}

impl Walk {
    /// As what a job waits.
    fn of(&mut self, kind: JobType) -> JobType {
        match (self.half, kind) {
            (Half::Second, JobType::Restart) => JobType::Start,
            (Half::First, JobType::Restart) => {
                self.restarts = true;
                kind
            }
            _ => kind,
        }
    }
}

/// What a job of the transaction, or one already enqueued, is for a unit.
fn job_of(e: &Engine, tr: &Transaction, unit: UnitId) -> Option<(JobType, Option<Index>)> {
    if let Some(&index) = tr.by_unit.get(&unit).and_then(|jobs| jobs.first()) {
        return tr.draft(index).map(|draft| (draft.kind, Some(index)));
    }
    e.unit(unit).job.and_then(|job: JobId| e.job(job)).map(|job| (job.kind, None))
}

/// Units whose jobs this unit's job waits for.
fn predecessors(e: &Engine, tr: &Transaction, unit: UnitId, walk: &mut Walk) -> Vec<UnitId> {
    let Some((mine, index)) = job_of(e, tr, unit) else { return Vec::new() };
    if index.and_then(|index| tr.draft(index)).is_some_and(|draft| draft.ignore_order) {
        return Vec::new();
    }
    let range = (Dependency::Before, UnitId(0))..=(Dependency::After, UnitId(u32::MAX));
    let edges = e.unit(unit).deps.range(range);
    let mine = walk.of(mine);
    edges
        .filter(|(key, _)| {
            job_of(e, tr, key.1).is_some_and(|(theirs, _)| waits(mine, key.0, walk.of(theirs)))
        })
        .map(|(key, _)| key.1)
        .collect()
}

impl Transaction {
    /// Break ordering cycles: of each, the first job on the way back whose unit the anchor can do without is deleted, and
    /// the whole cycle logged. Deterministic: units are walked in index order.
    pub fn break_cycles(&mut self, e: &mut Engine) -> Result<(), Failure> {
        while let Some(cycle) = self.find_cycle(e) {
            let victim = cycle.iter().rev().copied().find(|unit| {
                let mut jobs =
                    self.by_unit.get(unit).into_iter().flatten().filter_map(|&index| self.draft(index));
                self.has_unit(*unit) && jobs.all(|draft| !draft.matters)
            });
            self.log_cycle(e, &cycle, victim);
            let Some(victim) = victim else {
                return Err(Failure {
                    kind: FailureKind::TransactionOrderIsCyclic,
                    message: "Transaction order is cyclic. See system logs for details.".into(),
                });
            };
            for index in self.by_unit.get(&victim).cloned().unwrap_or_default() {
                self.remove(index, true);
            }
            self.collect_garbage();
        }
        Ok(())
    }

    /// Units of one cycle, in either half of the restarts.
    fn find_cycle(&self, e: &Engine) -> Option<Vec<UnitId>> {
        let mut first = Walk { half: Half::First, restarts: false };
        let cycle = self.walk(e, &mut first);
        if cycle.is_some() || !first.restarts {
            return cycle;
        }
        self.walk(e, &mut Walk { half: Half::Second, restarts: true })
    }

    /// Units of one cycle: each waits for the next, the last for the first.
    fn walk(&self, e: &Engine, walk: &mut Walk) -> Option<Vec<UnitId>> {
        let mut marks: BTreeMap<UnitId, Mark> = BTreeMap::new();
        for &start in self.by_unit.keys() {
            if marks.contains_key(&start) {
                continue;
            }
            marks.insert(start, Mark::OnPath);
            let mut path = vec![Step { unit: start, todo: predecessors(e, self, start, walk).into_iter() }];
            while let Some(step) = path.last_mut() {
                let Some(next) = step.todo.next() else {
                    marks.insert(step.unit, Mark::Done);
                    path.pop();
                    continue;
                };
                match marks.get(&next) {
                    Some(Mark::Done) => {}
                    Some(Mark::OnPath) => {
                        let from = path.iter().position(|step| step.unit == next).unwrap_or(0);
                        return Some(path[from..].iter().map(|step| step.unit).collect());
                    }
                    None => {
                        marks.insert(next, Mark::OnPath);
                        path.push(Step { unit: next, todo: predecessors(e, self, next, walk).into_iter() });
                    }
                }
            }
        }
        None
    }

    fn log_cycle(&self, e: &mut Engine, cycle: &[UnitId], victim: Option<UnitId>) {
        let word = |e: &Engine, unit: UnitId| {
            let kind = job_of(e, self, unit).map_or("nop", |(kind, _)| kinds::as_str(kind));
            format!("{}/{kind}", e.unit(unit).name)
        };
        let Some(&first) = cycle.first() else { return };
        let anchor = self.draft(self.anchor).map_or(first, |draft| draft.unit);
        let head = e.unit(anchor).name.clone();
        let all: Vec<String> = cycle.iter().chain([&first]).map(|&unit| word(e, unit)).collect();
        e.log(4, Some(anchor), format!("{head}: Found ordering cycle: {}", all.join(" after ")));
        match victim {
            Some(victim) => {
                let text = format!(
                    "{head}: Job {} deleted to break ordering cycle starting with {}",
                    word(e, victim),
                    word(e, first)
                );
                e.log(3, Some(anchor), text);
                let text = format!(
                    "Ordering cycle found, skipping {}",
                    e.unit(victim).status_name(e.config.status_format())
                );
                e.status(crate::engine::effect::StatusMark::Skip, text);
            }
            None => e.log(
                3,
                Some(anchor),
                format!("{head}: Unable to break cycle starting with {}", word(e, first)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobType::*;

    #[test]
    fn starts_go_forward_and_stops_go_backward() {
        // `me After other`
        assert!(waits(Start, Dependency::After, Start));
        assert!(!waits(Stop, Dependency::After, Stop));
        // `me Before other`
        assert!(!waits(Start, Dependency::Before, Start));
        assert!(waits(Stop, Dependency::Before, Stop));
    }

    #[test]
    fn a_stop_runs_before_the_start_of_the_other() {
        assert!(waits(Start, Dependency::Before, Stop));
        assert!(!waits(Stop, Dependency::After, Start));
        assert!(waits(Start, Dependency::After, Stop));
    }

    #[test]
    fn of_two_jobs_never_both_wait() {
        for a in [Start, Stop, Restart, Reload, VerifyActive] {
            for b in [Start, Stop, Restart, Reload, VerifyActive] {
                assert!(waits(a, Dependency::After, b) != waits(b, Dependency::Before, a), "{a:?} {b:?}");
            }
        }
    }
}
