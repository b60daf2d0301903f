//! Which unit something belongs to, and what belongs to a unit: both in O(log n).
use super::effect::UnitId;
use std::collections::{BTreeMap, BTreeSet};

/// Things (processes, descriptors, chains ...) with one owner each.
#[derive(Debug)]
pub(crate) struct Owned<K: Ord + Clone> {
    by_key: BTreeMap<K, UnitId>,
    by_unit: BTreeSet<(UnitId, K)>,
}

impl<K: Ord + Clone> Default for Owned<K> {
    fn default() -> Self {
        Owned { by_key: BTreeMap::new(), by_unit: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Owned<K> {
    /// From now on this is the unit's; the last owner before counts no more.
    pub fn insert(&mut self, key: K, unit: UnitId) {
        self.remove(&key);
        self.by_unit.insert((unit, key.clone()));
        self.by_key.insert(key, unit);
    }

    /// Nobody's any more; whose it was.
    pub fn remove(&mut self, key: &K) -> Option<UnitId> {
        let unit = self.by_key.remove(key)?;
        self.by_unit.remove(&(unit, key.clone()));
        Some(unit)
    }

    /// Whose it is.
    pub fn owner(&self, key: &K) -> Option<UnitId> {
        self.by_key.get(key).copied()
    }

    /// Everything with its owner, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, UnitId)> {
        self.by_key.iter().map(|(key, &unit)| (key, unit))
    }
}

impl<K: Ord + Clone + Smallest> Owned<K> {
    /// What belongs to a unit, in order.
    pub fn of(&self, unit: UnitId) -> impl Iterator<Item = &K> {
        let from = (unit, K::smallest());
        self.by_unit.range(from..).take_while(move |(owner, _)| *owner == unit).map(|(_, key)| key)
    }

    /// Take all that belongs to a unit from it.
    pub fn remove_all(&mut self, unit: UnitId) -> Vec<K> {
        let all: Vec<K> = self.of(unit).cloned().collect();
        for key in &all {
            self.remove(key);
        }
        all
    }
}

/// The least value of a key.
pub(crate) trait Smallest {
    fn smallest() -> Self;
}

impl Smallest for i32 {
    fn smallest() -> Self {
        i32::MIN
    }
}

impl Smallest for super::effect::FdId {
    fn smallest() -> Self {
        super::effect::FdId(0)
    }
}

impl Smallest for super::effect::ChainId {
    fn smallest() -> Self {
        super::effect::ChainId(0)
    }
}

impl Smallest for std::rc::Rc<str> {
    fn smallest() -> Self {
        std::rc::Rc::from("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_one_owner() {
        let mut pids = Owned::default();
        pids.insert(7, UnitId(1));
        pids.insert(8, UnitId(1));
        pids.insert(7, UnitId(2));
        assert_eq!(pids.of(UnitId(1)).collect::<Vec<_>>(), [&8]);
        assert_eq!(pids.remove_all(UnitId(2)), [7]);
        assert_eq!(pids.owner(&7), None);
    }
}
