//! Units by index and by name, and the dependencies between them.
use super::Engine;
use super::effect::{Announcement, Effect, UnitId};
use super::unit::Unit;
use crate::graph::{Dependency, Edge, Origins};
use crate::names::UnitName;
use crate::units::{LoadState, OfKind};
use std::collections::{BTreeMap, BTreeSet};

/// All units. Indices are not given twice (until they wrap), so a stale one finds nothing rather than another unit.
#[derive(Debug, Default)]
pub struct Store {
    units: BTreeMap<UnitId, Box<Unit>>,
    names: BTreeMap<UnitName, UnitId>,
    next: u32,
    /// Units whose files are to be asked for.
    pub(crate) to_load: BTreeSet<UnitId>,
    /// Units whose files were asked for.
    pub(crate) loading: usize,
    /// Units to read again although their files are the same: what they name is not what it was.
    pub(crate) reread: BTreeSet<UnitId>,
}

impl Store {
    fn insert(&mut self, name: &UnitName) -> UnitId {
        while self.units.contains_key(&UnitId(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let id = UnitId(self.next);
        self.next = self.next.wrapping_add(1);
        self.units.insert(id, Box::new(Unit::stub(id, name.clone())));
        self.names.insert(name.clone(), id);
        id
    }
}

impl Engine {
    /// A stub with a given index, for restoring; `false` when the index or the name is taken.
    pub(crate) fn insert_with_id(&mut self, id: UnitId, name: &UnitName) -> bool {
        if self.store.units.contains_key(&id) || self.store.names.contains_key(name) {
            return false;
        }
        self.store.next = self.store.next.max(id.0.wrapping_add(1));
        self.store.units.insert(id, Box::new(Unit::stub(id, name.clone())));
        self.store.names.insert(name.clone(), id);
        self.store.to_load.insert(id);
        true
    }

    /// The unit with this index. Indices are held only while the unit is loaded: queues and maps forget a unit that goes.
    pub fn unit(&self, id: UnitId) -> &Unit {
        self.store.units.get(&id).expect("indices are held only while the unit is loaded")
    }

    /// The unit with this index, if it is still loaded.
    pub fn get(&self, id: UnitId) -> Option<&Unit> {
        self.store.units.get(&id).map(|unit| &**unit)
    }

    /// The unit, to change; its record and its properties count as changed.
    pub fn unit_mut(&mut self, id: UnitId) -> &mut Unit {
        self.dirty.insert(id);
        self.queues.announce.insert(id);
        self.store.units.get_mut(&id).expect("indices are held only while the unit is loaded")
    }

    /// The state of a unit whose type is known, to change what no signal tells of; its record counts as changed.
    pub(crate) fn machine_unannounced<M: OfKind>(&mut self, id: UnitId) -> &mut M {
        self.dirty.insert(id);
        self.machine_quiet(id)
    }

    /// The state of a unit whose type is known, to change what its record does not have and no signal tells of.
    pub(crate) fn machine_quiet<M: OfKind>(&mut self, id: UnitId) -> &mut M {
        M::of_mut(&mut self.unit_quiet(id).kind).expect("a machine is called only for units of its type")
    }

    /// The unit, to change something that is neither logged nor shown.
    pub(crate) fn unit_quiet(&mut self, id: UnitId) -> &mut Unit {
        self.store.units.get_mut(&id).expect("indices are held only while the unit is loaded")
    }

    /// The state of a unit whose type is known.
    pub fn machine<M: OfKind>(&self, id: UnitId) -> &M {
        M::of(&self.unit(id).kind).expect("a machine is called only for units of its type")
    }

    /// Likewise, to change.
    pub fn machine_mut<M: OfKind>(&mut self, id: UnitId) -> &mut M {
        M::of_mut(&mut self.unit_mut(id).kind).expect("a machine is called only for units of its type")
    }

    /// A unit by any of its names.
    pub fn find(&self, name: &UnitName) -> Option<UnitId> {
        self.store.names.get(name).copied()
    }

    /// A unit by any of its names.
    pub fn find_unit(&self, name: &UnitName) -> Option<&Unit> {
        self.find(name).and_then(|id| self.get(id))
    }

    /// All units in index order.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.store.units.values().map(|unit| &**unit)
    }

    /// All names with their units, in order of names.
    pub fn names(&self) -> impl Iterator<Item = (&UnitName, UnitId)> {
        self.store.names.iter().map(|(name, &id)| (name, id))
    }

    /// The unit of this name: a stub that is queued for loading, when it is not there.
    pub fn ensure(&mut self, name: &UnitName) -> UnitId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = self.store.insert(name);
        self.store.to_load.insert(id);
        self.queues.collect.insert(id);
        id
    }

    /// Give a unit one more name that finds it.
    pub(crate) fn add_name(&mut self, id: UnitId, name: &UnitName) {
        self.store.names.insert(name.clone(), id);
        let aliases = &mut self.unit_mut(id).aliases;
        if let Err(place) = aliases.binary_search(name) {
            aliases.insert(place, name.clone());
        }
    }

    /// A name that is not its primary one no longer finds a unit.
    pub(crate) fn forget_name(&mut self, id: UnitId, name: &UnitName) {
        self.unit_mut(id).aliases.retain(|known| known != name);
        if self.find(name) == Some(id) {
            self.store.names.remove(name);
        }
    }

    /// Take a unit out of all maps (its dependencies must be gone).
    pub(crate) fn remove_unit(&mut self, id: UnitId) {
        let Some(unit) = self.store.units.remove(&id) else { return };
        for name in &unit.aliases {
            if self.store.names.get(name) == Some(&id) {
                self.store.names.remove(name);
            }
        }
        self.store.to_load.remove(&id);
        self.store.reread.remove(&id);
        self.dirty.insert(id);
        if unit.transient {
            self.run_tree(format!("systemd/transient/{}", unit.name), None);
        }
        if unit.announced {
            self.effects.push(Effect::Announce(Announcement::UnitRemoved(unit.name.clone())));
        }
    }

    /// Add a dependency and its inverse, and a reference that keeps `to` in memory. A unit does not depend on itself.
    pub fn add_dependency(&mut self, from: UnitId, kind: Dependency, to: UnitId, origin: Origins) {
        if from == to {
            return;
        }
        self.link(from, kind, to, origin);
        self.link(from, Dependency::References, to, origin);
    }

    /// Two kinds at once (`Requires` and `After`).
    pub fn add_two(&mut self, from: UnitId, one: Dependency, two: Dependency, to: UnitId, origin: Origins) {
        self.add_dependency(from, one, to, origin);
        self.add_dependency(from, two, to, origin);
    }

    /// A dependency on a unit by name.
    pub fn add_dependency_by_name(
        &mut self,
        from: UnitId,
        kind: Dependency,
        to: &UnitName,
        origin: Origins,
    ) -> UnitId {
        let to = self.ensure(to);
        self.add_dependency(from, kind, to, origin);
        to
    }

    fn link(&mut self, from: UnitId, kind: Dependency, to: UnitId, origin: Origins) {
        let ends = [(from, kind, to, Edge::mine(origin)), (to, kind.inverse(), from, Edge::theirs(origin))];
        for (unit, kind, other, edge) in ends {
            let known = self.unit(unit).deps.get(&(kind, other)).copied().unwrap_or_default();
            let all = known.with(edge);
            if all != known {
                self.unit_quiet(unit).deps.insert((kind, other), all);
                if self.unit(unit).announced {
                    self.queues.announce.insert(unit);
                }
            }
        }
    }

    /// Add both ends of an edge that stood at another unit.
    pub(crate) fn link_edge(&mut self, from: UnitId, kind: Dependency, to: UnitId, edge: Edge) {
        let known = self.unit(from).deps.get(&(kind, to)).copied().unwrap_or_default();
        self.unit_quiet(from).deps.insert((kind, to), known.with(edge));
        let back = Edge { mine: edge.theirs, theirs: edge.mine };
        let known = self.unit(to).deps.get(&(kind.inverse(), from)).copied().unwrap_or_default();
        self.unit_quiet(to).deps.insert((kind.inverse(), from), known.with(back));
    }

    /// What is queued for a unit that became part of another goes there.
    pub(crate) fn replace_queued(&mut self, gone: UnitId, by: UnitId) {
        for deferred in &mut self.queues.deferred {
            if let super::Deferred::Start(target, _, _, asker) = deferred {
                let moved = |id: &mut UnitId| {
                    if *id == gone {
                        *id = by;
                    }
                };
                moved(target);
                asker.iter_mut().for_each(moved);
            }
        }
    }

    /// Drop what `from` added with `origin`, at both ends. What nothing else holds goes.
    pub fn drop_dependencies(&mut self, from: UnitId, origin: Origins) {
        let mine = self.unit(from).deps.iter().filter(|(_, edge)| edge.mine.0 & origin.0 != 0);
        let mine: Vec<(Dependency, UnitId)> = mine.map(|(&key, _)| key).collect();
        for (kind, to) in mine {
            self.unlink(from, kind, to, Edge::mine(origin));
            self.unlink(to, kind.inverse(), from, Edge::theirs(origin));
            self.queues.collect.insert(to);
        }
    }

    pub(crate) fn unlink(&mut self, unit: UnitId, kind: Dependency, other: UnitId, edge: Edge) {
        let Some(unit) = self.store.units.get_mut(&unit) else { return };
        if let Some(known) = unit.deps.get_mut(&(kind, other)) {
            *known = known.without(edge);
            if known.is_empty() {
                unit.deps.remove(&(kind, other));
            }
        }
    }

    /// Whether the unit may be used in jobs and shown.
    pub fn is_loaded(&self, id: UnitId) -> bool {
        self.get(id).is_some_and(|unit| unit.load == LoadState::Loaded)
    }
}
