//! All processes at one moment: who descends from whom.
use crate::error::{Attempt, OsError};
use crate::process::{self, Stat};
use runstead_core::engine::event::Pid;
use std::collections::BTreeMap;

/// What `/proc` listed.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    processes: BTreeMap<Pid, Stat>,
}

impl Snapshot {
    /// Read `/proc`. A process that is there all the time is in it.
    pub(super) fn take() -> Result<Snapshot, OsError> {
        let mut processes = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").attempt("list", "/proc")?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<Pid>().ok());
            if let Some(pid) = pid
                && let Ok(stat) = process::stat(pid)
            {
                processes.insert(pid, stat);
            }
        }
        Ok(Snapshot { processes })
    }

    /// One of them.
    pub(super) fn get(&self, pid: Pid) -> Option<&Stat> {
        self.processes.get(&pid)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Pid, &Stat)> {
        self.processes.iter().map(|(pid, stat)| (*pid, stat))
    }

    /// All descendants, parents before children.
    pub(super) fn descendants(&self, root: Pid) -> Vec<Pid> {
        let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
        for (pid, stat) in self.iter() {
            children.entry(stat.parent).or_default().push(pid);
        }
        let mut found = Vec::new();
        let mut next = 0;
        let mut from = root;
        loop {
            found.extend(children.remove(&from).unwrap_or_default());
            let Some(&pid) = found.get(next) else { return found };
            next += 1;
            from = pid;
        }
    }
}
