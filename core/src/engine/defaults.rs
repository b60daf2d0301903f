//! Dependencies that follow from a unit's name, slice, paths and targets rather than from its file.
use super::Engine;
use super::effect::UnitId;
use super::read::mount_paths;
use crate::directives::ids;
use crate::graph::{Atom, Dependency, Edge, Origins, mounts};
use crate::jobs::transaction::neighbours;
use crate::names::{UnitName, UnitType, slice};
use crate::units::LoadState;
use std::rc::Rc;

impl Engine {
    /// What all types take from their settings.
    pub(crate) fn apply_common_settings(&mut self, id: UnitId) {
        let unit = self.unit_mut(id);
        let interval = unit.settings.uint(ids::START_LIMIT_INTERVAL_SEC);
        let burst = u32::try_from(unit.settings.uint(ids::START_LIMIT_BURST)).unwrap_or(u32::MAX);
        unit.start_limit.interval = interval;
        unit.start_limit.burst = burst;
        unit.mounts_for.retain(|_, (_, origin)| origin.0 & Origins::SETTINGS.0 == 0);
        for (path, required) in mount_paths(self, id) {
            self.needs_path(id, path, required, Origins::FILE);
        }
    }

    /// The unit needs what is mounted at, or above, this path (types add `WorkingDirectory=` and the like).
    pub fn needs_path(&mut self, id: UnitId, path: Rc<str>, required: bool, origin: Origins) {
        if !path.starts_with('/') {
            return;
        }
        let entry = self.unit_quiet(id).mounts_for.entry(path).or_insert((false, Origins::default()));
        *entry = (entry.0 || required, entry.1.with(origin));
    }

    /// Orders the unit after the mounts its paths need, and pulls those in that have a file.
    pub(crate) fn add_mount_dependencies(&mut self, id: UnitId) {
        let paths: Vec<(Rc<str>, bool)> =
            self.unit(id).mounts_for.iter().map(|(path, (required, _))| (path.clone(), *required)).collect();
        for (path, required) in paths {
            self.mounts.add(&path, id);
            for prefix in mounts::prefixes(&path) {
                let Ok(name) = UnitName::from_path(prefix, UnitType::Mount) else { continue };
                let mount = self.ensure(&name);
                if self.unit(mount).load == LoadState::Loaded {
                    self.depend_on_mount(id, mount, required);
                }
            }
        }
    }

    fn depend_on_mount(&mut self, id: UnitId, mount: UnitId, required: bool) {
        if id == mount {
            return;
        }
        self.add_dependency(id, Dependency::After, mount, Origins::PATH);
        if self.unit(mount).fragment.is_some() {
            let kind = if required { Dependency::Requires } else { Dependency::Wants };
            self.add_dependency(id, kind, mount, Origins::PATH);
        }
    }

    /// A mount unit is loaded: all that need a path at or below it depend on it.
    pub(crate) fn mount_is_there(&mut self, mount: UnitId) {
        let Ok(path) = self.unit(mount).name.to_path() else { return };
        let below: Vec<UnitId> = self.mounts.below(&path).collect();
        for id in below {
            let covers = |known: &str| mounts::prefixes(known).any(|prefix| prefix == path);
            let Some(unit) = self.get(id) else { continue };
            let needs: Vec<bool> = unit
                .mounts_for
                .iter()
                .filter(|(known, _)| covers(known))
                .map(|(_, (required, _))| *required)
                .collect();
            for required in needs {
                self.depend_on_mount(id, mount, required);
            }
        }
    }

    /// After a unit came to be loaded: mounts tell those that need them, targets order themselves.
    pub(crate) fn after_load(&mut self, id: UnitId) {
        if self.unit(id).load != LoadState::Loaded {
            return;
        }
        if self.unit(id).unit_type() == UnitType::Mount {
            self.mount_is_there(id);
        }
        self.add_default_target_order(id);
    }

    /// A target is by default ordered after all that it pulls in. Both ends must be loaded, so each end looks.
    pub(crate) fn add_default_target_order(&mut self, id: UnitId) {
        if self.unit(id).unit_type() == UnitType::Target {
            let pulled: Vec<UnitId> = neighbours(self, id, Atom::WantsTargetOrder).collect();
            for other in pulled {
                self.order_target(id, other);
            }
        }
        let targets: Vec<UnitId> = neighbours(self, id, Atom::TargetOrder).collect();
        for target in targets {
            self.order_target(target, id);
        }
    }

    /// The same orderings go at both ends: what they follow from is about to be read again.
    pub(crate) fn drop_target_order(&mut self, id: UnitId) {
        self.drop_dependencies(id, Origins::DEFAULT_TARGET);
        let theirs = self.unit(id).deps.iter().filter(|(key, edge)| {
            key.0 == Dependency::Before && edge.theirs.0 & Origins::DEFAULT_TARGET.0 != 0
        });
        let targets: Vec<UnitId> = theirs.map(|(key, _)| key.1).collect();
        for target in targets {
            for kind in [Dependency::After, Dependency::References] {
                self.unlink(target, kind, id, Edge::mine(Origins::DEFAULT_TARGET));
                self.unlink(id, kind.inverse(), target, Edge::theirs(Origins::DEFAULT_TARGET));
            }
        }
    }

    fn order_target(&mut self, target: UnitId, other: UnitId) {
        let (of, to) = (self.unit(target), self.unit(other));
        let applies = of.unit_type() == UnitType::Target
            && of.load == LoadState::Loaded
            && to.load == LoadState::Loaded
            && of.default_dependencies()
            && to.default_dependencies()
            && !of.depends(Dependency::Before, other);
        if applies {
            self.add_dependency(target, Dependency::After, other, Origins::DEFAULT_TARGET);
        }
    }

    /// Puts a unit that has a cgroup into its slice.
    pub(crate) fn add_slice(&mut self, id: UnitId) {
        let unit = self.unit(id);
        let kind = unit.unit_type();
        let name = match kind {
            UnitType::Slice => slice::parent(&unit.name),
            UnitType::Service | UnitType::Scope | UnitType::Socket | UnitType::Mount | UnitType::Swap => {
                unit.settings.unit(ids::SLICE).cloned().or_else(|| self.default_slice(id))
            }
            _ => None,
        };
        let Some(name) = name.filter(slice::is_valid_slice) else { return };
        let slice = self.ensure(&name);
        // A unit that runs stays where its processes are.
        if self.unit(id).slice.is_none() || self.unit(id).active_state().is_down() {
            self.unit_mut(id).slice = Some(slice);
        }
        let slice = self.unit(id).slice.unwrap_or(slice);
        self.add_dependency(id, Dependency::InSlice, slice, Origins::SLICE);
        self.add_two(id, Dependency::Requires, Dependency::After, slice, Origins::IMPLICIT);
    }

    /// The slice of a unit that names none (systemd.slice(5)).
    fn default_slice(&self, id: UnitId) -> Option<UnitName> {
        let unit = self.unit(id);
        let own = unit.settings.bool(ids::DEFAULT_DEPENDENCIES);
        let text = match (unit.name.as_str(), unit.name.instance()) {
            ("init.scope", _) => "-.slice".to_owned(),
            (_, Some(_)) if !unit.perpetual => {
                let escaped = crate::names::escape(unit.name.prefix().as_bytes());
                match self.config.user {
                    true => format!("app-{escaped}.slice"),
                    false => format!("system-{escaped}.slice"),
                }
            }
            // What the machine mounted must not be stopped with the slice of our services.
            _ if self.config.user && unit.fragment.is_none() && is_of_the_table(unit.unit_type()) => {
                "-.slice".to_owned()
            }
            _ if self.config.user => if own { "app.slice" } else { "-.slice" }.to_owned(),
            _ if unit.unit_type() == UnitType::Mount && self.is_early_mount(id) => "-.slice".to_owned(),
            _ => "system.slice".to_owned(),
        };
        UnitName::parse(&text).ok()
    }

    /// API file systems stand below the root slice.
    fn is_early_mount(&self, id: UnitId) -> bool {
        let path = self.unit(id).name.to_path().unwrap_or_default();
        path == "/"
            || ["/proc", "/sys", "/dev"]
                .iter()
                .any(|top| path == *top || path.starts_with(&format!("{top}/")))
    }

    /// `Before=` and `Conflicts=shutdown.target`: what most units have by default.
    pub fn add_shutdown_conflict(&mut self, id: UnitId) {
        let shutdown = UnitName::parse("shutdown.target").expect("a valid name");
        if self.unit(id).name != shutdown {
            let shutdown = self.ensure(&shutdown);
            self.add_two(id, Dependency::Before, Dependency::Conflicts, shutdown, Origins::DEFAULT);
        }
    }

    /// A default dependency on a unit by name.
    pub fn add_default_dependency(&mut self, id: UnitId, kind: Dependency, to: &str) {
        if let Ok(name) = UnitName::parse(to) {
            self.add_dependency_by_name(id, kind, &name, Origins::DEFAULT);
        }
    }
}

/// Units that come of kernel tables.
fn is_of_the_table(kind: UnitType) -> bool {
    matches!(kind, UnitType::Mount | UnitType::Swap)
}
