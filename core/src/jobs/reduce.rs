//! Making a transaction consistent and small: what matters to the anchor, redundant and unwanted jobs, merging.
use super::kinds;
use super::transaction::{Index, Transaction, conflicting, stops_something};
use crate::engine::Engine;
use crate::engine::effect::{Failure, FailureKind, JobMode, JobType, UnitId};

impl Transaction {
    /// Mark what the anchor fails without.
    pub fn mark_what_matters(&mut self) {
        for draft in self.drafts.iter_mut().flatten() {
            draft.matters = false;
        }
        let mut stack = vec![self.anchor];
        while let Some(index) = stack.pop() {
            let Some(draft) = self.drafts[index].as_mut() else { continue };
            if !std::mem::replace(&mut draft.matters, true) {
                stack.extend(draft.wants.iter().filter(|(_, matters)| *matters).map(|(to, _)| *to));
            }
        }
    }

    /// Take a job out; with `dependents` also all that fail without it.
    pub fn remove(&mut self, index: Index, dependents: bool) {
        let mut stack = vec![index];
        while let Some(index) = stack.pop() {
            let Some(draft) = self.drafts[index].take() else { continue };
            if let Some(of_unit) = self.by_unit.get_mut(&draft.unit) {
                of_unit.retain(|&other| other != index);
                if of_unit.is_empty() {
                    self.by_unit.remove(&draft.unit);
                }
            }
            for (to, _) in draft.wants {
                if let Some(other) = self.drafts[to].as_mut() {
                    other.wanted = other.wanted.saturating_sub(1);
                }
            }
            if dependents {
                let needs = draft.wanted_by.iter().filter(|(_, matters, _)| *matters);
                stack.extend(needs.map(|(by, _, _)| *by));
            }
        }
    }

    /// Mode `fail`: drop jobs the anchor can do without that would stop something or replace another job.
    pub fn minimize_impact(&mut self, e: &Engine) {
        for index in 0..self.drafts.len() {
            let Some(draft) = self.draft(index) else { continue };
            if draft.matters {
                continue;
            }
            let unit = e.unit(draft.unit);
            let replaces =
                unit.job.and_then(|job| e.job(job)).is_some_and(|job| conflicting(draft.kind, job.kind));
            if stops_something(draft.kind, unit.active_state()) || replaces {
                self.remove(index, true);
            }
        }
    }

    /// Drop jobs of units that are already where they shall be.
    pub fn drop_redundant(&mut self, e: &Engine) {
        let units: Vec<UnitId> = self.by_unit.keys().copied().collect();
        for id in units {
            let unit = e.unit(id);
            let installed = unit.job.and_then(|job| e.job(job)).map(|job| job.kind);
            let of_unit = self.by_unit.get(&id).cloned().unwrap_or_default();
            let keep = of_unit.iter().filter_map(|&index| Some((index, self.draft(index)?))).any(
                |(index, draft)| {
                    index == self.anchor
                        || !kinds::is_redundant(draft.kind, unit.active_state())
                        || installed.is_some_and(|kind| conflicting(draft.kind, kind))
                },
            );
            if !keep {
                of_unit.into_iter().for_each(|index| self.remove(index, false));
            }
        }
    }

    /// Drop jobs nobody asks for any more.
    pub fn collect_garbage(&mut self) {
        let mut stack: Vec<Index> = (0..self.drafts.len()).collect();
        while let Some(index) = stack.pop() {
            let unwanted = self.draft(index).is_some_and(|draft| draft.wanted == 0) && index != self.anchor;
            if unwanted {
                let wants = self.drafts[index].as_ref().map(|draft| draft.wants.clone()).unwrap_or_default();
                self.remove(index, true);
                stack.extend(wants.into_iter().map(|(to, _)| to));
            }
        }
    }

    /// Make one job of all jobs of a unit; jobs that exclude each other lose the one that matters less.
    pub fn merge(&mut self, e: &mut Engine) -> Result<(), Failure> {
        while let Some((unit, one, other)) = self.find_unmergeable(e) {
            self.drop_one(e, unit, one, other)?;
            self.collect_garbage();
        }
        let several: Vec<Vec<Index>> = self.by_unit.values().filter(|jobs| jobs.len() > 1).cloned().collect();
        for jobs in several {
            self.merge_all(e, &jobs);
        }
        Ok(())
    }

    fn find_unmergeable(&self, e: &Engine) -> Option<(UnitId, Index, Index)> {
        for (&unit, jobs) in self.by_unit.iter().filter(|(_, jobs)| jobs.len() > 1) {
            let state = e.unit(unit).active_state();
            let (first, rest) = jobs.split_first()?;
            let mut kind = self.draft(*first)?.kind;
            for &other in rest {
                match kinds::merge_and_collapse(kind, self.draft(other)?.kind, state) {
                    Some(merged) => kind = merged,
                    None => {
                        let stop = |index: &&Index| {
                            self.draft(**index).is_some_and(|draft| draft.kind == JobType::Stop)
                                != self.draft(other).is_some_and(|draft| draft.kind == JobType::Stop)
                        };
                        let one = jobs.iter().find(stop).copied().unwrap_or(*first);
                        return Some((unit, one, other));
                    }
                }
            }
        }
        None
    }

    fn drop_one(&mut self, e: &mut Engine, unit: UnitId, one: Index, other: Index) -> Result<(), Failure> {
        let (Some(a), Some(b)) = (self.draft(one), self.draft(other)) else { return Ok(()) };
        let by_conflict = |index: Index| {
            self.draft(index).is_some_and(|draft| {
                draft.wanted_by.iter().any(|&(by, _, conflicts)| conflicts && self.draft(by).is_some())
            })
        };
        let victim = match (a.matters, b.matters) {
            (true, false) => other,
            (false, true) => one,
            (false, false) => {
                let (stop, start) = if a.kind == JobType::Stop { (one, other) } else { (other, one) };
                if by_conflict(stop) { start } else { stop }
            }
            (true, true) => {
                let text = format!(
                    "Transaction contains conflicting jobs '{}' and '{}' for {}. Probably contradicting \
                     requirement dependencies configured.",
                    kinds::as_str(a.kind),
                    kinds::as_str(b.kind),
                    e.unit(unit).name
                );
                return Err(Failure { kind: FailureKind::TransactionJobsConflicting, message: text.into() });
            }
        };
        if let Some(draft) = self.draft(victim) {
            let text = format!(
                "Deleting job {}/{} as it is in conflict.",
                e.unit(unit).name,
                kinds::as_str(draft.kind)
            );
            e.log(7, Some(unit), text);
        }
        self.remove(victim, true);
        Ok(())
    }

    fn merge_all(&mut self, e: &Engine, jobs: &[Index]) {
        let Some((&into, rest)) = jobs.split_first() else { return };
        let into = if rest.contains(&self.anchor) { self.anchor } else { into };
        for &index in jobs.iter().filter(|&&index| index != into) {
            let Some(mut draft) = self.drafts[index].clone() else { continue };
            let state = e.unit(draft.unit).active_state();
            self.remove(index, false);
            draft.wants.retain(|&(to, _)| to != into && self.draft(to).is_some());
            draft.wanted_by.retain(|&(by, _, _)| by != into && self.draft(by).is_some());
            for &(to, matters) in &draft.wants {
                if let Some(other) = self.drafts[to].as_mut() {
                    other.wanted_by.push((into, matters, false));
                    other.wanted += 1;
                }
            }
            for &(by, matters, _) in &draft.wanted_by {
                if let Some(other) = self.drafts[by].as_mut() {
                    other.wants.push((into, matters));
                }
            }
            let Some(target) = self.drafts[into].as_mut() else { return };
            if let Some(kind) = kinds::merge_and_collapse(target.kind, draft.kind, state) {
                target.kind = kind;
            }
            target.irreversible |= draft.irreversible;
            target.matters |= draft.matters;
            target.ignore_order |= draft.ignore_order;
            target.wanted += draft.wanted_by.len();
            target.wants.append(&mut draft.wants);
            target.wanted_by.append(&mut draft.wanted_by);
        }
    }

    /// Whether enqueueing would throw out jobs that must stay.
    pub fn check_destructive(&self, e: &Engine, mode: JobMode) -> Result<(), Failure> {
        for draft in self.drafts.iter().flatten() {
            let unit = e.unit(draft.unit);
            let Some(job) = unit.job.and_then(|job| e.job(job)) else { continue };
            if (mode == JobMode::Fail || job.irreversible) && conflicting(draft.kind, job.kind) {
                let anchor = self.draft(self.anchor).unwrap_or(draft);
                let text = format!(
                    "Transaction for {}/{} is destructive ({} has '{}' job queued, but '{}' is included in transaction).",
                    e.unit(anchor.unit).name,
                    kinds::as_str(anchor.kind),
                    unit.name,
                    kinds::as_str(job.kind),
                    kinds::as_str(draft.kind)
                );
                return Err(Failure { kind: FailureKind::TransactionIsDestructive, message: text.into() });
            }
        }
        Ok(())
    }
}
