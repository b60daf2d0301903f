//! Whose process is this? One answer, from two back ends: control groups; or, where there are none, the process tree
//! below us, sessions and `INVOCATION_ID`.
//!
//! Both know units by a path such as "/app.slice/a.service": that of their cgroup, or only a name for their processes.
mod kill;
mod snapshot;
#[cfg(test)]
mod tests;
mod tree;

pub use kill::end_descendants;
pub use tree::ProcessTree;

use crate::cgroup::{Cgroups, Change};
use crate::error::OsError;
use crate::process;
use runstead_core::engine::effect::{CgroupSpec, KillSpec};
use runstead_core::engine::event::Pid;
use runstead_core::names::path::is_within;
use rustix::io::Errno;
use std::rc::Rc;

/// Who knows whose process it is.
#[derive(Debug)]
pub enum Ownership {
    /// The kernel does.
    Cgroups(Box<Cgroups>),
    /// We follow processes ourselves.
    Tree(ProcessTree),
}

/// What a unit without cgroups does not get.
const NO_CGROUPS: &str = "there are no control groups here";

impl Ownership {
    /// The control groups, where there are any.
    pub fn cgroups(&self) -> Option<&Cgroups> {
        match self {
            Ownership::Cgroups(cgroups) => Some(cgroups),
            Ownership::Tree(_) => None,
        }
    }

    /// The same, to change them.
    pub fn cgroups_mut(&mut self) -> Option<&mut Cgroups> {
        match self {
            Ownership::Cgroups(cgroups) => Some(cgroups),
            Ownership::Tree(_) => None,
        }
    }

    /// Make the place of a unit. Returned is what was weakened: attribute and reason.
    pub fn realize(&mut self, spec: &CgroupSpec) -> Result<Vec<(String, String)>, OsError> {
        match self {
            Ownership::Cgroups(cgroups) => cgroups.realize(spec),
            Ownership::Tree(_) => {
                let all = spec.attributes.iter().map(|(attribute, _)| attribute);
                Ok(all.map(|attribute| (attribute.to_string(), NO_CGROUPS.to_owned())).collect())
            }
        }
    }

    /// A process was made for a unit.
    pub fn started(&mut self, path: &str, pid: Pid, invocation: &str) {
        if let Ownership::Tree(tree) = self {
            tree.expect(path, invocation);
            tree.add(path, pid);
        }
    }

    /// Processes that somebody else made are to belong to a unit.
    pub fn attach(&mut self, path: &str, pids: &[Pid]) -> Result<(), OsError> {
        match self {
            Ownership::Cgroups(cgroups) => cgroups.attach(path, pids),
            Ownership::Tree(tree) => {
                pids.iter().for_each(|pid| tree.add(path, *pid));
                Ok(())
            }
        }
    }

    /// Where a process belongs; of cgroups that are none of ours the kernel's path.
    pub fn path_of(&self, pid: Pid) -> Option<Rc<str>> {
        match self {
            Ownership::Cgroups(cgroups) => {
                let path = process::cgroup(pid).ok()?;
                Some(cgroups.relative(&path).unwrap_or(&path).into())
            }
            Ownership::Tree(tree) => tree.place_of(pid),
        }
    }

    /// Whether a process belongs to this unit.
    pub fn contains(&self, path: &str, pid: Pid) -> bool {
        self.path_of(pid).is_some_and(|of| is_within(&of, path))
    }

    /// All processes of a unit.
    pub fn processes(&mut self, path: &str) -> Result<Vec<Pid>, OsError> {
        match self {
            Ownership::Cgroups(cgroups) => cgroups.pids_recursive(path),
            Ownership::Tree(tree) => tree.processes(path),
        }
    }

    /// The same with the cgroup that each is in; "" where there are none.
    pub fn listed(&self, path: &str) -> Vec<(String, Pid)> {
        match self {
            Ownership::Cgroups(cgroups) => {
                let mut found = Vec::new();
                for cgroup in cgroups.subtree(path).unwrap_or_default() {
                    let pids = cgroups.pids(&cgroup).unwrap_or_default();
                    // 0 stands for processes that our PID namespace does not show.
                    found.extend(pids.into_iter().filter(|pid| *pid > 0).map(|pid| (cgroup.clone(), pid)));
                }
                found
            }
            Ownership::Tree(tree) => {
                let pids = tree.clone().processes(path).unwrap_or_default();
                pids.into_iter().map(|pid| (String::new(), pid)).collect()
            }
        }
    }

    /// Signal as told; how many of the signalled processes were alive.
    pub fn kill(&mut self, spec: &KillSpec) -> Result<u32, OsError> {
        match self {
            Ownership::Cgroups(cgroups) => cgroups.kill(spec),
            Ownership::Tree(tree) => tree.kill(spec),
        }
    }

    /// Freeze or thaw.
    pub fn freeze(&self, path: &str, on: bool) -> Result<(), OsError> {
        match self {
            Ownership::Cgroups(cgroups) => cgroups.freeze(path, on),
            Ownership::Tree(_) => Err(OsError::new("freeze without control groups", path, Errno::OPNOTSUPP)),
        }
    }

    /// Whether the OOM killer killed in it since this was last asked.
    pub fn oom_killed(&mut self, path: &str) -> bool {
        self.cgroups_mut().is_some_and(|cgroups| cgroups.oom_killed(path))
    }

    /// A child of ours ended, which belonged to this unit: what is to be told.
    pub fn process_ended(&mut self, pid: Pid, path: Option<&str>) -> Result<Vec<Change>, OsError> {
        match self {
            Ownership::Cgroups(cgroups) => path.map_or(Ok(Vec::new()), |path| cgroups.process_ended(path)),
            Ownership::Tree(tree) => {
                tree.process_ended(pid, path);
                Ok(Vec::new())
            }
        }
    }

    /// All children that ended were told of: what came of it.
    pub fn processes_ended(&mut self) -> Result<Vec<Change>, OsError> {
        match self {
            Ownership::Cgroups(_) => Ok(Vec::new()),
            Ownership::Tree(tree) => tree.emptied(),
        }
    }

    /// The unit is down.
    pub fn release(&mut self, path: &str) -> Result<(), OsError> {
        match self {
            Ownership::Cgroups(cgroups) => cgroups.trim(path).map(drop),
            Ownership::Tree(tree) => {
                tree.release(path);
                Ok(())
            }
        }
    }
}
