//! The jobs there are, and which of them waits for which unit's job.
use super::Job;
use crate::engine::Engine;
use crate::engine::effect::{JobId, UnitId};
use crate::graph::Dependency;
use std::collections::{BTreeMap, BTreeSet};

/// All jobs.
#[derive(Debug)]
pub(crate) struct JobTable {
    pub jobs: BTreeMap<JobId, Job>,
    pub next: u32,
    /// Jobs ever made (`NInstalledJobs`), since the last time there were none.
    pub installed: u32,
    /// What a waiting job waits for.
    blocked: BTreeMap<JobId, (Dependency, UnitId)>,
    /// Waiting jobs by what they wait for.
    waiters: BTreeMap<UnitId, BTreeSet<JobId>>,
}

impl Default for JobTable {
    fn default() -> Self {
        JobTable {
            jobs: BTreeMap::new(),
            next: 1,
            installed: 0,
            blocked: BTreeMap::new(),
            waiters: BTreeMap::new(),
        }
    }
}

impl Engine {
    /// A job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.table().jobs.get(&id)
    }

    /// All jobs by number.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.table().jobs.values()
    }

    /// How many jobs were made since there were none (`NInstalledJobs`).
    pub fn installed_jobs(&self) -> u32 {
        self.table().installed
    }

    pub(crate) fn job_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.table_mut().jobs.get_mut(&id)
    }

    pub(crate) fn take_job_id(&mut self) -> JobId {
        let table = self.table_mut();
        while table.next == 0 || table.jobs.contains_key(&JobId(table.next)) {
            table.next = table.next.wrapping_add(1);
        }
        let id = JobId(table.next);
        table.next = table.next.wrapping_add(1);
        id
    }

    pub(crate) fn put_job(&mut self, job: Job) {
        let table = self.table_mut();
        table.installed = table.installed.saturating_add(1);
        table.jobs.insert(job.id, job);
    }

    pub(crate) fn remove_job(&mut self, id: JobId) {
        self.unblock(id);
        self.queues_mut().run.remove(&id);
        self.queues_mut().announce_jobs.remove(&id);
        self.table_mut().jobs.remove(&id);
    }

    /// Where the last search for something to wait for stopped.
    pub(crate) fn blocked_on(&self, id: JobId) -> Option<(Dependency, UnitId)> {
        self.table().blocked.get(&id).copied()
    }

    pub(crate) fn block_on(&mut self, id: JobId, on: (Dependency, UnitId)) {
        self.unblock(id);
        let table = self.table_mut();
        table.blocked.insert(id, on);
        table.waiters.entry(on.1).or_default().insert(id);
    }

    fn unblock(&mut self, id: JobId) {
        let table = self.table_mut();
        if let Some((_, unit)) = table.blocked.remove(&id)
            && let Some(jobs) = table.waiters.get_mut(&unit)
        {
            jobs.remove(&id);
            if jobs.is_empty() {
                table.waiters.remove(&unit);
            }
        }
    }

    /// A unit's job ended or changed: look again at those that waited for it. They keep their place in the search.
    pub(crate) fn wake_blocked(&mut self, unit: UnitId) {
        if let Some(jobs) = self.table_mut().waiters.remove(&unit) {
            self.queues_mut().run.extend(jobs);
        }
    }
}
