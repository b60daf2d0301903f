//! Which units need which paths to be mounted: every prefix of a path leads to the units below it (`RequiresMountsFor=`).
use crate::engine::effect::UnitId;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Units by each prefix of the paths they need. Adding a path costs its depth.
#[derive(Debug, Default)]
pub struct MountIndex {
    by_prefix: BTreeMap<Rc<str>, BTreeSet<UnitId>>,
}

/// `/a/b` gives `/`, `/a`, `/a/b`.
pub fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
    let ends = inner.chain((path.len() > 1).then_some(path.len()));
    std::iter::once("/").filter(|_| path.starts_with('/')).chain(ends.map(|end| &path[..end]))
}

impl MountIndex {
    /// This unit needs this path.
    pub fn add(&mut self, path: &str, unit: UnitId) {
        for prefix in prefixes(path) {
            match self.by_prefix.get_mut(prefix) {
                Some(units) => drop(units.insert(unit)),
                None => drop(self.by_prefix.insert(Rc::from(prefix), BTreeSet::from([unit]))),
            }
        }
    }

    /// This unit no longer needs this path. Call for all its paths, then add those it keeps.
    pub fn remove(&mut self, path: &str, unit: UnitId) {
        for prefix in prefixes(path) {
            if let Some(units) = self.by_prefix.get_mut(prefix) {
                units.remove(&unit);
                if units.is_empty() {
                    self.by_prefix.remove(prefix);
                }
            }
        }
    }

    /// Units that need something at or below this path.
    pub fn below(&self, path: &str) -> impl Iterator<Item = UnitId> + '_ {
        self.by_prefix.get(path).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_from_the_root_down() {
        assert_eq!(prefixes("/a/bc").collect::<Vec<_>>(), ["/", "/a", "/a/bc"]);
        assert_eq!(prefixes("/").collect::<Vec<_>>(), ["/"]);
    }

    #[test]
    fn units_are_found_by_every_prefix() {
        let mut index = MountIndex::default();
        index.add("/var/lib", UnitId(3));
        assert_eq!(index.below("/var").collect::<Vec<_>>(), [UnitId(3)]);
        index.remove("/var/lib", UnitId(3));
        assert_eq!(index.below("/").count(), 0);
    }
}
