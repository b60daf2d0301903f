//! What the processes of a unit have in common besides its control group: private temporary directories, a network and an IPC
//! namespace. Units that join each other's namespaces (`JoinsNamespaceOf=`) have one of these together; it goes with the last of them.
use super::Engine;
use super::effect::{CleanUp, Effect, FdId, UnitId};
use crate::directives::ids;
use crate::graph::Dependency;
use crate::names::UnitName;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What units share. Descriptors are those of socket pairs in which the first process that has a namespace leaves it for the
/// others; the shell makes a pair when a process needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Private temporary directories are named after this unit ...
    pub unit: UnitName,
    /// ... and this run of it.
    pub invocation: Rc<str>,
    /// For the network namespace: where to receive, where to send.
    pub network: [FdId; 2],
    /// For the IPC namespace.
    pub ipc: [FdId; 2],
}

impl Shared {
    /// What tells it from others.
    fn key(&self) -> FdId {
        self.network[0]
    }
}

/// Whether processes with these settings share something.
fn wanted(settings: &Settings) -> bool {
    settings.word(ids::PRIVATE_TMP) == "connected"
        || settings.bool(ids::PRIVATE_NETWORK)
        || settings.bool(ids::PRIVATE_IPC)
}

impl Engine {
    /// What a process of this unit shares with the unit's others; of a unit that it joins, if that has something already.
    pub(crate) fn shared(&mut self, id: UnitId) -> Option<Shared> {
        let unit = self.unit(id);
        if !wanted(&unit.settings) || unit.shared.is_some() {
            return unit.shared.clone();
        }
        let joined: Option<Shared> =
            unit.dependencies(Dependency::JoinsNamespaceOf).find_map(|other| self.get(other)?.shared.clone());
        let (name, run) = (unit.name.clone(), unit.invocation.clone().unwrap_or_else(|| Rc::from("")));
        let shared = joined.unwrap_or_else(|| Shared {
            unit: name,
            invocation: run,
            network: [self.new_fd(), self.new_fd()],
            ipc: [self.new_fd(), self.new_fd()],
        });
        self.share(id, shared.clone());
        Some(shared)
    }

    /// The unit has this from now on.
    pub(super) fn share(&mut self, id: UnitId, shared: Shared) {
        *self.sharing.entry(shared.key()).or_default() += 1;
        self.unit_quiet(id).shared = Some(shared);
        self.dirty_unit(id);
    }

    /// Descriptors in which namespaces are kept; they are no unit's own.
    pub fn shared_fds(&self) -> BTreeSet<FdId> {
        let shared = self.units().filter_map(|unit| unit.shared.as_ref());
        shared.flat_map(|shared| shared.network.into_iter().chain(shared.ipc)).collect()
    }

    /// The unit has no processes any more: what nobody else shares is removed.
    pub(crate) fn leave_shared(&mut self, id: UnitId) {
        let Some(shared) = self.unit_quiet(id).shared.take() else { return };
        self.dirty_unit(id);
        let others = self.sharing.get(&shared.key()).map_or(0, |count| count.saturating_sub(1));
        if others > 0 {
            self.sharing.insert(shared.key(), others);
            return;
        }
        self.sharing.remove(&shared.key());
        for fd in shared.network.into_iter().chain(shared.ipc) {
            self.close_fd(fd);
        }
        let settings = self.unit(id).settings.clone();
        self.emit(Effect::CleanUp { unit: shared.unit, settings, what: CleanUp::Namespace });
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::effect::{CleanUp, Effect, UnitId};
    use crate::graph::{Dependency, Origins};
    use crate::units::test_world::World;

    fn removed(w: &World) -> Vec<String> {
        let names = w.effects.iter().filter_map(|effect| match effect {
            Effect::CleanUp { unit, what: CleanUp::Namespace, .. } => Some(unit.to_string()),
            _ => None,
        });
        names.collect()
    }

    fn service(w: &mut World, name: &str) -> UnitId {
        let start = format!("ExecStart=/{name}");
        w.unit(name, &[&start, "PrivateTmp=yes", "PrivateNetwork=yes"])
    }

    #[test]
    fn units_that_join_share_until_the_last_is_down() {
        let mut w = World::new();
        let (a, b) = (service(&mut w, "a.service"), service(&mut w, "b.service"));
        w.e.add_dependency(a, Dependency::JoinsNamespaceOf, b, Origins::FILE);
        let alone = service(&mut w, "alone.service");
        for id in [a, b, alone] {
            w.start(id).unwrap();
        }
        let shared = |w: &World, id| w.e.unit(id).shared.clone();
        assert!(shared(&w, a).is_some() && shared(&w, a) == shared(&w, b), "whoever joins, the first one's");
        assert_ne!(shared(&w, alone), shared(&w, a));
        assert_eq!(w.last_spawn().shared, shared(&w, alone));
        for (id, gone) in [(a, &[][..]), (alone, &["alone.service"]), (b, &["alone.service", "a.service"])] {
            w.stop(id).unwrap();
            let path = format!("/{}", w.e.unit(id).name);
            w.done(id, &path);
            w.empty(id);
            assert_eq!(removed(&w), gone, "{}", w.e.unit(id).name);
            assert_eq!(w.e.unit(id).shared, None);
        }
        assert!(w.e.sharing.is_empty());
    }
}
