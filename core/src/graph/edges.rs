//! The dependencies of one unit. Most units have a dozen, which fit a short vector; a few have thousands.
use super::{Dependency, Edge};
use crate::engine::effect::UnitId;
use std::collections::{BTreeMap, btree_map};
use std::ops::{Bound, RangeBounds};
use std::slice;

type Key = (Dependency, UnitId);

/// So many fit the vector: what one insertion moves stays within a few cache lines.
const FEW: usize = 64;

/// A map in order of its keys.
#[derive(Debug)]
pub struct Edges(Repr);

#[derive(Debug)]
enum Repr {
    Few(Vec<(Key, Edge)>),
    Many(BTreeMap<Key, Edge>),
}

impl Default for Edges {
    fn default() -> Self {
        Edges(Repr::Few(Vec::new()))
    }
}

fn place(few: &[(Key, Edge)], key: &Key) -> Result<usize, usize> {
    few.binary_search_by_key(key, |entry| entry.0)
}

impl Edges {
    /// The edge to a unit.
    pub fn get(&self, key: &Key) -> Option<&Edge> {
        match &self.0 {
            Repr::Few(few) => place(few, key).ok().map(|at| &few[at].1),
            Repr::Many(many) => many.get(key),
        }
    }

    /// Likewise, to change.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Edge> {
        match &mut self.0 {
            Repr::Few(few) => place(few, key).ok().map(|at| &mut few[at].1),
            Repr::Many(many) => many.get_mut(key),
        }
    }

    /// Whether there is one.
    pub fn contains_key(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// Add or replace an edge.
    pub fn insert(&mut self, key: Key, edge: Edge) {
        match &mut self.0 {
            Repr::Few(few) => match place(few, &key) {
                Ok(at) => few[at].1 = edge,
                Err(at) if few.len() < FEW => {
                    // Four at a time: doubling would leave half of it empty in every unit.
                    if few.len() == few.capacity() {
                        few.reserve_exact(4);
                    }
                    few.insert(at, (key, edge));
                }
                Err(_) => {
                    let all = std::mem::take(few).into_iter().chain([(key, edge)]);
                    self.0 = Repr::Many(all.collect());
                }
            },
            Repr::Many(many) => {
                many.insert(key, edge);
            }
        }
    }

    /// Take an edge out.
    pub fn remove(&mut self, key: &Key) {
        match &mut self.0 {
            Repr::Few(few) => {
                if let Ok(at) = place(few, key) {
                    few.remove(at);
                }
            }
            Repr::Many(many) => {
                many.remove(key);
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> Iter<'_> {
        self.range(..)
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.iter().map(|(key, _)| key)
    }

    /// The units at the other end of a kind.
    pub fn of_kind(&self, kind: Dependency) -> impl Iterator<Item = UnitId> + '_ {
        let range = match &self.0 {
            // The end is found on the way: there are few.
            Repr::Few(few) => {
                let from = few.partition_point(|entry| entry.0.0 < kind);
                Iter::Few(few.get(from..).unwrap_or_default().iter())
            }
            Repr::Many(many) => Iter::Many(many.range((kind, UnitId(0))..=(kind, UnitId(u32::MAX)))),
        };
        range.map(|(key, _)| *key).take_while(move |key| key.0 == kind).map(|key| key.1)
    }

    /// Those between two keys.
    pub fn range(&self, range: impl RangeBounds<Key>) -> Iter<'_> {
        match &self.0 {
            Repr::Few(few) => {
                let from = match range.start_bound() {
                    Bound::Included(start) => few.partition_point(|entry| entry.0 < *start),
                    Bound::Excluded(start) => few.partition_point(|entry| entry.0 <= *start),
                    Bound::Unbounded => 0,
                };
                let to = match range.end_bound() {
                    Bound::Included(end) => few.partition_point(|entry| entry.0 <= *end),
                    Bound::Excluded(end) => few.partition_point(|entry| entry.0 < *end),
                    Bound::Unbounded => few.len(),
                };
                Iter::Few(few.get(from..to).unwrap_or_default().iter())
            }
            Repr::Many(many) => Iter::Many(many.range(range)),
        }
    }
}

impl<'a> IntoIterator for &'a Edges {
    type Item = (&'a Key, &'a Edge);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Edges in order.
#[derive(Debug)]
pub enum Iter<'a> {
    /// Of a short vector.
    Few(slice::Iter<'a, (Key, Edge)>),
    /// Of a tree.
    Many(btree_map::Range<'a, Key, Edge>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Key, &'a Edge);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Few(few) => few.next().map(|(key, edge)| (key, edge)),
            Iter::Many(many) => many.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Origins;

    /// The same as a tree, whatever the size and the order.
    #[test]
    fn it_is_a_map_in_order() {
        let (mut edges, mut tree) = (Edges::default(), BTreeMap::new());
        let kinds = [Dependency::After, Dependency::Before, Dependency::Wants];
        for n in 0..300u32 {
            let key = (kinds[n as usize % 3], UnitId(n.wrapping_mul(7919) % 151));
            if n % 5 == 4 {
                edges.remove(&key);
                tree.remove(&key);
            } else {
                let edge = Edge::mine(Origins(1 << (n % 3)));
                edges.insert(key, edge);
                tree.insert(key, edge);
            }
            assert!(edges.iter().eq(tree.iter()));
            assert_eq!(edges.get(&key), tree.get(&key));
            let range = (Dependency::Before, UnitId(20))..(Dependency::After, UnitId(90));
            assert!(edges.range(range.clone()).eq(tree.range(range)));
            let wanted = tree.keys().filter(|key| key.0 == Dependency::Before).map(|key| key.1);
            assert!(edges.of_kind(Dependency::Before).eq(wanted));
        }
        assert!(matches!(edges.0, Repr::Many(_)));
    }
}
