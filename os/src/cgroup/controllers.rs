//! Controllers are enabled for the children of a cgroup while one of them, or one further below, needs them.
use super::Cgroups;
use crate::error::OsError;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A set of the controllers in [`NAMES`], a bit each.
type Set = u16;

/// Controllers of the unified hierarchy (the kernel's `cgroup-v2` document).
const NAMES: [&str; 10] =
    ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem", "perf_event"];

/// Who needs what.
#[derive(Debug, Default)]
pub(super) struct Controllers {
    /// What each cgroup needs above it.
    needs: BTreeMap<String, Set>,
    /// How many cgroups below a path need each.
    counts: BTreeMap<String, [u32; NAMES.len()]>,
}

/// The paths above a path, from the root on.
fn above(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    std::iter::once("/").chain(ends.map(|end| &path[..end]))
}

fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..NAMES.len()).filter(move |at| set >> at & 1 == 1)
}

impl Cgroups {
    /// A cgroup needs exactly these controllers from now on; none when it is gone. Those not available are left out.
    ///
    /// # Errors
    /// The first that could not be enabled or disabled; the others are done.
    pub fn need(&mut self, path: &str, controllers: &[Rc<str>]) -> Result<(), OsError> {
        if path == "/" {
            return Ok(());
        }
        let wanted = NAMES.iter().enumerate().filter(|(_, name)| {
            controllers.iter().any(|known| **known == ***name) && self.available.contains(**name)
        });
        let new = wanted.fold(0, |set: Set, (at, _)| set | 1 << at);
        let old = match new {
            0 => self.controllers.needs.remove(path),
            _ => self.controllers.needs.insert(path.to_owned(), new),
        };
        let old = old.unwrap_or(0);
        let mut outcome = Ok(());
        for at in members(new & !old) {
            outcome = outcome.and(self.enable(path, at));
        }
        for at in members(old & !new) {
            outcome = outcome.and(self.disable(path, at));
        }
        outcome
    }

    fn enable(&mut self, path: &str, at: usize) -> Result<(), OsError> {
        let mut outcome = Ok(());
        for parent in above(path) {
            if !self.controllers.counts.contains_key(parent) {
                self.controllers.counts.insert(parent.to_owned(), [0; NAMES.len()]);
            }
            let Some(counts) = self.controllers.counts.get_mut(parent) else { continue };
            counts[at] += 1;
            if counts[at] == 1 {
                outcome =
                    outcome.and(self.write(parent, "cgroup.subtree_control", &format!("+{}", NAMES[at])));
            }
        }
        outcome
    }

    fn disable(&mut self, path: &str, at: usize) -> Result<(), OsError> {
        let mut outcome = Ok(());
        for parent in above(path).rev() {
            let Some(counts) = self.controllers.counts.get_mut(parent) else { continue };
            counts[at] = counts[at].saturating_sub(1);
            if counts[at] > 0 {
                continue;
            }
            if counts.iter().all(|count| *count == 0) {
                self.controllers.counts.remove(parent);
            }
            match self.write(parent, "cgroup.subtree_control", &format!("-{}", NAMES[at])) {
                // The parent went first.
                Err(error) if error.errno == rustix::io::Errno::NOENT => {}
                done => outcome = outcome.and(done),
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::tests::Scratch;

    #[test]
    fn needs_are_counted_on_the_way_up() {
        let mut scratch = Scratch::new("controllers");
        let cgroups = &mut scratch.0;
        // As if they were there: whether they can be enabled is the kernel's affair.
        cgroups.available.extend(["pids".to_owned(), "cpu".to_owned()]);
        let both: [Rc<str>; 2] = ["pids".into(), "cpu".into()];
        let _ = cgroups.need("/a.slice/b.service", &both);
        let _ = cgroups.need("/a.slice/c.service", &both[..1]);
        let count = |cgroups: &Cgroups, path: &str, name: &str| {
            let at = NAMES.iter().position(|known| *known == name).expect("known");
            cgroups.controllers.counts.get(path).map_or(0, |counts| counts[at])
        };
        assert_eq!((count(cgroups, "/a.slice", "pids"), count(cgroups, "/", "cpu")), (2, 1));
        // The same again changes nothing.
        let _ = cgroups.need("/a.slice/b.service", &both);
        assert_eq!(count(cgroups, "/", "pids"), 2);
        let _ = cgroups.need("/a.slice/b.service", &[]);
        assert_eq!((count(cgroups, "/a.slice", "pids"), count(cgroups, "/", "cpu")), (1, 0));
        let _ = cgroups.need("/a.slice/c.service", &[]);
        assert!(cgroups.controllers.counts.is_empty() && cgroups.controllers.needs.is_empty());
    }
}
