//! `enable`, `disable`, `reenable`, `add-wants`, `add-requires`.

use super::removal::remove_marked;
use super::view::{file_name, link_target, parent};
use super::{Change, ChangeKind, Context, Flags, Found, InstallError, Outcome};
use crate::names::{NameShape, UnitName};
use std::collections::{BTreeSet, VecDeque};

/// `Also=` may lead so far.
const UNITS_MAX: usize = 4096;

/// Changes made up so far, seen together with the disk.
pub(super) struct Planner<'a> {
    pub cx: &'a Context<'a>,
    pub config: String,
    pub force: bool,
    pub outcome: Outcome,
}

impl<'a> Planner<'a> {
    pub fn new(cx: &'a Context<'a>, flags: Flags) -> Result<Planner<'a>, InstallError> {
        let config = cx.config_directory(flags.runtime)?.to_owned();
        Ok(Planner { cx, config, force: flags.force, outcome: Outcome::default() })
    }

    fn push(&mut self, kind: ChangeKind, path: &str, source: &str) {
        self.outcome.changes.push(Change::new(kind, path, source));
    }

    /// Ends the plan; an error keeps the changes before it.
    pub fn finish(mut self, result: Result<(), InstallError>) -> Outcome {
        self.outcome.error = result.err();
        self.outcome
    }

    fn is_removed(&self, path: &str) -> bool {
        let last = self.outcome.changes.iter().rfind(|change| change.kind.acts() && change.path == path);
        last.is_some_and(|change| change.kind == ChangeKind::Unlink)
    }

    /// Makes a link unless it is there. `force`: one that leads elsewhere is replaced.
    pub fn symlink(&mut self, target: &str, path: &str, force: bool) -> Result<(), InstallError> {
        if !self.is_removed(path) {
            match self.cx.view.read_link(path) {
                Ok(text) => {
                    let existing = link_target(path, &text);
                    if existing == target {
                        return Ok(());
                    }
                    if !force {
                        return Err(InstallError::Exists(path.to_owned(), Some(existing)));
                    }
                    self.push(ChangeKind::Unlink, path, "");
                }
                Err(_) if self.is_there(path) => return Err(InstallError::Exists(path.to_owned(), None)),
                Err(_) => {}
            }
        }
        if !self.outcome.changes.iter().any(|c| c.kind == ChangeKind::Symlink && c.path == path) {
            self.push(ChangeKind::Symlink, path, target);
        }
        Ok(())
    }

    fn is_there(&self, path: &str) -> bool {
        let entries = self.cx.view.read_dir(parent(path)).unwrap_or_default();
        entries.iter().any(|entry| entry.name == file_name(path))
    }

    /// Finds a unit that may be enabled.
    pub fn usable(&self, name: &UnitName) -> Result<Found, InstallError> {
        let found = self.cx.find(name)?.ok_or(InstallError::NotFound(name.to_string()))?;
        if found.alias {
            return Err(InstallError::Linked(name.to_string()));
        }
        if found.masked {
            return Err(InstallError::Masked(found.path));
        }
        if super::state::is_generated(self.cx, &found.link)
            || super::state::is_transient(self.cx, &found.link)
        {
            return Err(InstallError::Generated(found.path));
        }
        Ok(found)
    }

    /// Enables units and what their `Also=` names.
    pub fn enable_all(&mut self, names: &[UnitName]) -> Result<(), InstallError> {
        // Names that were asked for must be usable, before anything is changed.
        for name in names {
            self.usable(name)?;
        }
        let mut queue: VecDeque<(UnitName, bool)> = names.iter().map(|name| (name.clone(), false)).collect();
        let mut seen = BTreeSet::new();
        let mut first_error = Ok(());
        while let Some((name, auxiliary)) = queue.pop_front() {
            if seen.len() >= UNITS_MAX || !seen.insert(name.clone()) {
                continue;
            }
            let found = match self.usable(&name) {
                Ok(found) => found,
                Err(InstallError::Masked(path)) if auxiliary => {
                    self.push(ChangeKind::Masked, &path, "");
                    continue;
                }
                Err(_) if auxiliary => {
                    self.push(ChangeKind::AuxiliaryFailed, name.as_str(), "");
                    continue;
                }
                Err(error) => {
                    first_error = first_error.and(Err(error));
                    continue;
                }
            };
            self.outcome.carries_install_info |= found.install.has_rules() || !found.install.also.is_empty();
            for also in &found.install.also {
                let also = self.cx.expand(also, &found.name, &found.path)?;
                if let Ok(also) = UnitName::parse(&also) {
                    queue.push_back((also, true));
                }
            }
            // One unit's failure does not keep the others from being enabled.
            first_error = first_error.and(self.enable_one(&found));
        }
        first_error
    }

    fn enable_one(&mut self, found: &Found) -> Result<(), InstallError> {
        for alias in &found.install.alias {
            let alias = self.cx.expand(alias, &found.name, &found.path)?;
            let alias = checked_alias(found, &alias)
                .ok_or_else(|| InstallError::Alias(found.name.to_string(), alias.clone()))?;
            let path = format!("{}/{alias}", self.config);
            self.symlink(&found.path, &path, self.force)?;
        }
        let lists = [
            (&found.install.wanted_by, "wants"),
            (&found.install.required_by, "requires"),
            (&found.install.upheld_by, "upholds"),
        ];
        for (list, suffix) in lists {
            self.depend(found, list, suffix)?;
        }
        if !self.cx.in_load_path(&found.path) {
            let path = format!("{}/{}", self.config, file_name(&found.path));
            self.symlink(&found.path, &path, self.force)?;
        }
        Ok(())
    }

    /// Makes the unit a dependency of others by links in their directories.
    pub fn depend(&mut self, found: &Found, of: &[String], suffix: &str) -> Result<(), InstallError> {
        let default = found.install.default_instance.as_ref().filter(|_| found.name.is_template());
        let name = match default {
            None => found.name.clone(),
            Some(instance) => {
                let instance = self.cx.expand(instance, &found.name, &found.path)?;
                let invalid = |_| InstallError::InvalidName(instance.clone());
                found.name.with_instance(&instance).map_err(invalid)?
            }
        };
        for destination in of {
            let text = self.cx.expand(destination, &name, &found.path)?;
            let destination = UnitName::parse(&text).map_err(|_| InstallError::InvalidName(text.clone()))?;
            if name.is_template() && !destination.is_template() {
                return Err(InstallError::Template(name.to_string(), text));
            }
            let path = format!("{}/{destination}.{suffix}/{name}", self.config);
            self.symlink(&found.path, &path, true)?;
            if !matches!(self.cx.find(&destination), Ok(Some(_))) {
                self.push(ChangeKind::DestinationNotPresent, &found.path, destination.as_str());
            }
        }
        Ok(())
    }

    /// Plans the removal of the units' links.
    pub fn disable_all(&mut self, names: &[UnitName]) -> Result<(), InstallError> {
        let mut marked = BTreeSet::new();
        let mut missing = None;
        let mut queue: VecDeque<UnitName> = names.iter().cloned().collect();
        while let Some(name) = queue.pop_front() {
            if marked.len() >= UNITS_MAX || !marked.insert(name.to_string()) {
                continue;
            }
            match self.cx.find(&name) {
                Ok(Some(found)) => {
                    self.outcome.carries_install_info |=
                        found.install.has_rules() || !found.install.also.is_empty();
                    for also in &found.install.also {
                        let also = self.cx.expand(also, &found.name, &found.path).unwrap_or_default();
                        queue.extend(UnitName::parse(&also).ok());
                    }
                }
                Ok(None) if names.contains(&name) => missing = Some(name),
                Ok(None) | Err(_) => {}
            }
        }
        let removals = remove_marked(self.cx, &self.config, &marked);
        // A unit that is gone may have left links behind: then they go, and that is no error.
        if let Some(name) = missing.filter(|_| removals.is_empty()) {
            return Err(InstallError::NotFound(name.to_string()));
        }
        self.outcome.changes.extend(removals);
        Ok(())
    }
}

/// The name of the link for an alias; `None` where the unit cannot have it.
fn checked_alias(found: &Found, alias: &str) -> Option<String> {
    let name = &found.name;
    if let Some((directory, link)) = alias.split_once('/') {
        let known = [".wants", ".requires", ".upholds"]
            .iter()
            .any(|suffix| directory.strip_suffix(suffix).is_some_and(|unit| UnitName::parse(unit).is_ok()));
        let link = UnitName::parse(link).ok()?;
        let same = link == *name || (link.is_instance() && link.template().as_ref() == Some(name));
        return (known && same).then(|| alias.to_owned());
    }
    let alias = UnitName::parse(alias).ok().filter(|alias| alias.kind() == name.kind())?;
    match (name.shape(), alias.shape()) {
        (NameShape::Plain, NameShape::Plain) | (NameShape::Template, NameShape::Template) => {
            Some(alias.to_string())
        }
        (NameShape::Instance, NameShape::Template) => {
            alias.with_instance(name.instance()?).ok().map(|alias| alias.to_string())
        }
        (NameShape::Instance, NameShape::Instance) => {
            (alias.instance() == name.instance()).then(|| alias.to_string())
        }
        _ => None,
    }
}

/// Takes the arguments: unit names, or absolute paths of files, which are linked first.
fn names_and_links(planner: &mut Planner<'_>, arguments: &[String]) -> Result<Vec<UnitName>, InstallError> {
    let mut names = Vec::new();
    for argument in arguments {
        let invalid = |_| InstallError::InvalidName(argument.clone());
        if argument.starts_with('/') {
            names.push(UnitName::parse(file_name(argument)).map_err(invalid)?);
            super::mask::link_one(planner, argument)?;
        } else {
            names.push(UnitName::parse(argument).map_err(invalid)?);
        }
    }
    Ok(names)
}

fn parsed(arguments: &[String]) -> Result<Vec<UnitName>, InstallError> {
    let parse = |text: &String| UnitName::parse(text).map_err(|_| InstallError::InvalidName(text.clone()));
    arguments.iter().map(parse).collect()
}

/// `systemctl enable`: names, or absolute paths of files outside of the load path.
pub fn enable(cx: &Context<'_>, flags: Flags, arguments: &[String]) -> Result<Outcome, InstallError> {
    let mut planner = Planner::new(cx, flags)?;
    let names = names_and_links(&mut planner, arguments)?;
    if planner.outcome.changes.is_empty() {
        let result = planner.enable_all(&names);
        return Ok(planner.finish(result));
    }
    // The new links are not on disk yet: look at the units as if they were.
    let linked = view_with(cx, &planner.outcome.changes);
    let inner_cx = Context { view: &linked, ..*cx };
    let mut inner = Planner::new(&inner_cx, flags)?;
    let result = inner.enable_all(&names);
    let mut outcome = inner.finish(result);
    outcome.changes.splice(0..0, planner.outcome.changes);
    Ok(outcome)
}

/// `systemctl disable`
pub fn disable(cx: &Context<'_>, flags: Flags, arguments: &[String]) -> Result<Outcome, InstallError> {
    let mut planner = Planner::new(cx, flags)?;
    let result = planner.disable_all(&parsed(arguments)?);
    Ok(planner.finish(result))
}

/// `systemctl reenable`: disables, then enables; links that come out the same stay untouched.
pub fn reenable(cx: &Context<'_>, flags: Flags, arguments: &[String]) -> Result<Outcome, InstallError> {
    let names = parsed(arguments)?;
    let mut planner = Planner::new(cx, flags)?;
    for name in &names {
        planner.usable(name)?;
    }
    let result = planner.disable_all(&names).and_then(|()| planner.enable_all(&names));
    Ok(planner.finish(result))
}

/// `systemctl add-wants` and `add-requires`: `suffix` is `wants` or `requires`.
pub fn add_dependency(
    cx: &Context<'_>,
    flags: Flags,
    arguments: &[String],
    target: &str,
    suffix: &str,
) -> Result<Outcome, InstallError> {
    let mut planner = Planner::new(cx, flags)?;
    let target = UnitName::parse(target).map_err(|_| InstallError::InvalidName(target.to_owned()))?;
    planner.usable(&target)?;
    let run = |planner: &mut Planner<'_>| -> Result<(), InstallError> {
        for name in parsed(arguments)? {
            let found = planner.usable(&name)?;
            planner.depend(&found, &[target.to_string()], suffix)?;
        }
        Ok(())
    };
    let result = run(&mut planner);
    Ok(planner.finish(result))
}

/// The disk as it will be once links are made.
struct Linked<'a> {
    below: &'a dyn super::UnitDirView,
    links: Vec<(String, String)>,
}

fn view_with<'a>(cx: &Context<'a>, changes: &[Change]) -> Linked<'a> {
    let links = changes.iter().filter(|change| change.kind == ChangeKind::Symlink);
    Linked { below: cx.view, links: links.map(|c| (c.path.clone(), c.source.clone())).collect() }
}

impl super::UnitDirView for Linked<'_> {
    fn read_dir(&self, path: &str) -> Result<Vec<super::Entry>, super::view::Errno> {
        let mut entries = self.below.read_dir(path).unwrap_or_default();
        for (link, _) in self.links.iter().filter(|(link, _)| parent(link) == path) {
            entries.retain(|entry| entry.name != file_name(link));
            entries.push(super::Entry { name: file_name(link).to_owned(), kind: super::EntryKind::Symlink });
        }
        Ok(entries)
    }

    fn read_link(&self, path: &str) -> Result<String, super::view::Errno> {
        match self.links.iter().find(|(link, _)| link == path) {
            Some((_, target)) => Ok(target.clone()),
            None => self.below.read_link(path),
        }
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, super::view::Errno> {
        match self.links.iter().find(|(link, _)| link == path) {
            Some((_, target)) => self.below.read_file(target),
            None => self.below.read_file(path),
        }
    }
}
