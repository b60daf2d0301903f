//! Loading as a closure: stubs are asked for, what comes back may name further units, until nothing is missing.
//!
//! A reload goes the same way, with all units asked for again: those whose files are the same stay as they are.
use super::Engine;
use super::effect::{Announcement, Effect, Failure, FailureKind, UnitId};
use super::event::{Found, LoadedUnit, UnitFile};
use super::read::{Read, aliases, instantiate, source};
use crate::graph::{Dependency, Edge, Origins};
use crate::names::{UnitName, UnitType};
use crate::settings::Settings;
use crate::units::{LoadProblem, LoadState, machine};
use std::rc::Rc;

impl Engine {
    /// The shell's answer to `Effect::Load`.
    pub(crate) fn loaded(&mut self, units: Vec<LoadedUnit>) {
        for unit in units {
            self.store.loading = self.store.loading.saturating_sub(1);
            let Some(id) = self.find(&unit.name) else { continue };
            self.unit_quiet(id).loading = false;
            self.load_one(id, unit);
        }
        if self.is_settled() {
            self.end_of_loading();
        }
    }

    pub(crate) fn end_of_loading(&mut self) {
        if std::mem::take(&mut self.progress.restoring) {
            self.after_restore();
        }
        if self.progress.generating || !std::mem::take(&mut self.progress.reloading) {
            return;
        }
        let all: Vec<UnitId> = self.units().map(|unit| unit.id).collect();
        for id in all {
            let kind = self.unit(id).unit_type();
            machine::call::reloaded(kind, self, id);
            self.queues.collect.insert(id);
        }
        for call in std::mem::take(&mut self.progress.reload_calls) {
            self.emit(Effect::Reply { call, result: Ok(super::effect::Response::Done) });
        }
        self.emit(Effect::Announce(Announcement::Reloading(false)));
    }

    fn load_one(&mut self, id: UnitId, unit: LoadedUnit) {
        let id = match &unit.found {
            Found::Fragment { primary, .. } if *primary != self.unit(id).name => {
                match self.adopt_primary(id, primary) {
                    Some(id) => id,
                    None => return,
                }
            }
            _ => id,
        };
        for alias in aliases(&unit, &self.unit(id).name.clone()) {
            self.adopt_alias(id, &alias);
        }
        // What could not be read says nothing of its names.
        if self.follows_links() && !matches!(unit.found, Found::Error(_)) {
            self.drop_stale_names(id, &unit.aliases);
        }
        if self.read_found(id, unit) {
            self.announce_unit(id);
        }
        self.queues.collect.insert(id);
    }

    /// The name asked for is an alias: the unit gets its primary name, or becomes part of the one that has it.
    fn adopt_primary(&mut self, id: UnitId, primary: &UnitName) -> Option<UnitId> {
        match self.find(primary) {
            Some(other) if other != id => {
                self.merge_units(other, id);
                self.needs_loading(other).then_some(other)
            }
            _ => {
                self.add_name(id, primary);
                self.unit_mut(id).name = primary.clone();
                Some(id)
            }
        }
    }

    fn needs_loading(&self, id: UnitId) -> bool {
        self.get(id).is_some_and(|unit| unit.load == LoadState::Stub && !unit.loading)
            && !self.store.to_load.contains(&id)
    }

    fn adopt_alias(&mut self, id: UnitId, alias: &UnitName) {
        match self.find(alias) {
            Some(other) if other == id => {}
            Some(other) if self.unit(other).name == *alias => self.merge_units(id, other),
            // The link led there before.
            Some(other) if self.follows_links() => {
                self.drop_name(other, alias);
                self.add_name(id, alias);
            }
            Some(_) => {}
            None => self.add_name(id, alias),
        }
    }

    /// Whether names may be another unit's than before: when all files are read again.
    fn follows_links(&self) -> bool {
        self.progress.reloading || self.progress.restoring
    }

    /// Names whose links lead elsewhere now, or are gone.
    fn drop_stale_names(&mut self, id: UnitId, now: &[UnitName]) {
        let unit = self.unit(id);
        let stale = unit.aliases.iter().filter(|name| **name != unit.name && !now.contains(name));
        for name in stale.cloned().collect::<Vec<_>>() {
            self.drop_name(id, &name);
        }
    }

    /// A name is another unit's, or nobody's, from now on: whoever refers to the unit may have meant that name.
    fn drop_name(&mut self, id: UnitId, name: &UnitName) {
        self.forget_name(id, name);
        let referring: Vec<UnitId> = self.unit(id).dependencies(Dependency::ReferencedBy).collect();
        self.store.reread.extend(&referring);
        self.store.to_load.extend(referring);
    }

    /// `other` is `id` by another name: what refers to it refers to `id` from now on.
    fn merge_units(&mut self, id: UnitId, other: UnitId) {
        let busy = self.unit(other).job.is_some() || !self.unit(other).active_state().is_down();
        if busy {
            let text = format!("{}: is an alias now, but runs on under its own name.", self.unit(other).name);
            return self.log(4, Some(other), text);
        }
        let edges: Vec<((Dependency, UnitId), Edge)> =
            self.unit(other).deps.iter().map(|(&key, &edge)| (key, edge)).collect();
        let (names, pins, refs) = {
            let unit = self.unit(other);
            (unit.aliases.clone(), unit.pins, unit.refs.clone())
        };
        for ((kind, third), edge) in edges {
            let all = Edge { mine: Origins(u16::MAX), theirs: Origins(u16::MAX) };
            self.unlink(third, kind.inverse(), other, all);
            if third != id {
                self.link_edge(id, kind, third, edge);
            }
        }
        self.forget_resources(other);
        self.remove_unit(other);
        for name in &names {
            self.add_name(id, name);
        }
        let unit = self.unit_mut(id);
        unit.pins += pins;
        unit.refs.extend(refs);
        self.replace_queued(other, id);
    }

    /// Make the unit what its files say; whether they are others than before.
    fn read_found(&mut self, id: UnitId, unit: LoadedUnit) -> bool {
        let (fragment, transient) = match &unit.found {
            Found::Fragment { file, transient, .. } => (Some(file), *transient),
            _ => (None, false),
        };
        let known = self.unit(id).load == LoadState::Loaded
            && matches!(unit.found, Found::Fragment { .. } | Found::NotFound);
        let again = self.store.reread.remove(&id);
        if known && !again && self.is_unchanged(id, fragment, &unit.dropins) {
            self.directory_dependencies(id, &unit);
            return false;
        }
        self.drop_dependencies(id, Origins::SETTINGS);
        self.drop_target_order(id);
        let entry = self.unit_mut(id);
        entry.load_error = None;
        entry.fragment = fragment.map(source);
        entry.dropins = unit.dropins.iter().map(source).collect();
        entry.transient = transient || (entry.transient && fragment.is_none());
        match &unit.found {
            Found::Masked(path) => {
                self.unit_mut(id).fragment = Some(super::SourceFile { path: path.clone(), mtime: 0 });
                self.fail_load(id, LoadState::Masked, FailureKind::UnitMasked, "Unit is masked.".into());
            }
            Found::Error(text) => {
                self.fail_load(id, LoadState::Error, FailureKind::LoadFailed, text.to_string());
            }
            Found::NotFound => {
                let kind = self.unit(id).unit_type();
                let exists = self.unit(id).transient || machine::call::exists_without_file(kind, self, id);
                if exists {
                    self.take_settings(id, None, &unit);
                } else {
                    let text = format!("Unit {} not found.", self.unit(id).name);
                    self.fail_load(id, LoadState::NotFound, FailureKind::NoSuchUnit, text);
                }
            }
            Found::Fragment { file, .. } => self.take_settings(id, Some(file), &unit),
        }
        self.after_load(id);
        if again && !self.progress.reloading && !self.progress.restoring {
            machine::call::reloaded(self.unit(id).unit_type(), self, id);
        }
        true
    }

    fn fail_load(&mut self, id: UnitId, state: LoadState, kind: FailureKind, text: String) {
        let unit = self.unit_mut(id);
        unit.settings = Settings::default();
        unit.load = state;
        unit.load_error = Some(Failure { kind, message: text.into() });
    }

    fn take_settings(&mut self, id: UnitId, fragment: Option<&UnitFile>, unit: &LoadedUnit) {
        let Read { loaded, broken } = self.read_unit(id, fragment, &unit.dropins);
        if let Some(text) = broken {
            return self.fail_load(id, LoadState::Error, FailureKind::LoadFailed, text);
        }
        let refused =
            loaded.refused.map(|warning| format!("{}:{}: {}", warning.file, warning.line, warning.kind));
        let entry = self.unit_mut(id);
        entry.settings = loaded.settings;
        entry.load = LoadState::Loaded;
        self.apply_common_settings(id);
        self.note_not_acting(id);
        for (kind, names) in loaded.dependencies {
            for name in names {
                self.add_dependency_by_name(id, kind, &name, Origins::FILE);
            }
        }
        self.directory_dependencies(id, unit);
        let kind = self.unit(id).unit_type();
        let problem = match refused {
            Some(text) => Err(LoadProblem::bad_setting(text)),
            None => machine::call::loaded(kind, self, id),
        };
        if let Err(problem) = problem {
            let text: Rc<str> = problem.message;
            self.log(3, Some(id), format!("{}: {text}", self.unit(id).name));
            let entry = self.unit_mut(id);
            entry.load = problem.state;
            entry.load_error = Some(Failure { kind: FailureKind::BadUnitSetting, message: text });
            return;
        }
        self.note_console(id);
        self.add_slice(id);
        self.add_mount_dependencies(id);
        if !self.progress.restoring {
            self.refresh_cgroup(id);
        }
    }

    /// Of what spawns nothing no plan tells what does not act.
    fn note_not_acting(&mut self, id: UnitId) {
        if matches!(self.unit(id).unit_type(), UnitType::Service | UnitType::Mount | UnitType::Swap) {
            return;
        }
        let told = crate::plan::not_acting(&self.unit(id).settings);
        let told: Vec<_> = told.map(|(name, reason)| (name.into(), reason.into())).collect();
        self.note_in_ledger(id, &told);
    }

    /// `NAME.wants/` and its like; only what changed is touched.
    fn directory_dependencies(&mut self, id: UnitId, unit: &LoadedUnit) {
        let all = [
            (Dependency::Wants, &unit.wants),
            (Dependency::Requires, &unit.requires),
            (Dependency::Upholds, &unit.upholds),
        ];
        let name = self.unit(id).name.clone();
        let mut fresh = std::collections::BTreeSet::new();
        for (kind, names) in all {
            for other in names.iter().filter_map(|other| instantiate(&name, other)) {
                fresh.insert((kind, self.ensure(&other)));
            }
        }
        let known =
            self.unit(id).deps.iter().filter(|(key, edge)| {
                key.0 != Dependency::References && edge.mine.0 & Origins::DIRECTORY.0 != 0
            });
        let known: std::collections::BTreeSet<_> = known.map(|(&key, _)| key).collect();
        if fresh == known {
            return;
        }
        self.drop_dependencies(id, Origins::DIRECTORY);
        for (kind, other) in fresh {
            self.add_dependency(id, kind, other, Origins::DIRECTORY);
        }
        self.drop_target_order(id);
        self.add_default_target_order(id);
    }

    /// `daemon-reload`: generators first.
    pub(crate) fn begin_reload_all(&mut self, call: Option<super::effect::CallId>) {
        self.progress.reload_calls.extend(call);
        if !std::mem::replace(&mut self.progress.reloading, true) {
            self.progress.generating = true;
            // No file turns them off.
            self.progress.watchdogs_off = false;
            self.emit(Effect::Announce(Announcement::Reloading(true)));
            self.emit(Effect::RunGenerators);
        }
    }

    /// What units inherit is something else from now on: at the next reload all are read again.
    pub fn set_defaults(&mut self, defaults: Settings, tasks_max: u64) {
        self.config.defaults = defaults;
        self.config.default_tasks_max = tasks_max;
        let all: Vec<UnitId> = self.units().map(|unit| unit.id).collect();
        self.store.reread.extend(all);
    }

    /// Generators are done: ask for all units again, also those whose answer is on its way: it may be older.
    pub(crate) fn generators_done(&mut self) {
        if !std::mem::take(&mut self.progress.generating) {
            return;
        }
        let all: Vec<UnitId> = self.units().map(|unit| unit.id).collect();
        self.store.to_load.extend(all);
        self.forget_zones();
        if self.is_settled() {
            self.end_of_loading();
        }
    }
}
