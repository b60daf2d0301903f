//! The state of unit files (`systemctl is-enabled`, `list-unit-files`).

use super::view::{Entry, EntryKind, file_name, link_target, parent, sorted_entries};
use super::{Context, Found, InstallError};
use crate::names::UnitName;
use crate::unitfile::search::{Directory, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The states of `systemctl is-enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum UnitFileState {
    Enabled,
    EnabledRuntime,
    Linked,
    LinkedRuntime,
    Alias,
    Masked,
    MaskedRuntime,
    Static,
    Disabled,
    Indirect,
    Generated,
    Transient,
    Bad,
}

impl UnitFileState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            UnitFileState::Enabled => "enabled",
            UnitFileState::EnabledRuntime => "enabled-runtime",
            UnitFileState::Linked => "linked",
            UnitFileState::LinkedRuntime => "linked-runtime",
            UnitFileState::Alias => "alias",
            UnitFileState::Masked => "masked",
            UnitFileState::MaskedRuntime => "masked-runtime",
            UnitFileState::Static => "static",
            UnitFileState::Disabled => "disabled",
            UnitFileState::Indirect => "indirect",
            UnitFileState::Generated => "generated",
            UnitFileState::Transient => "transient",
            UnitFileState::Bad => "bad",
        }
    }
}

fn role(cx: &Context<'_>, path: &str) -> Option<Role> {
    cx.load_path.role_of(path)
}

pub(super) fn is_generated(cx: &Context<'_>, path: &str) -> bool {
    matches!(role(cx, path), Some(Role::Generator | Role::GeneratorEarly | Role::GeneratorLate))
}

pub(super) fn is_transient(cx: &Context<'_>, path: &str) -> bool {
    role(cx, path) == Some(Role::Transient)
}

fn is_runtime(role: Option<Role>) -> bool {
    use Role::*;
    matches!(
        role,
        Some(
            RuntimeControl
                | Transient
                | RuntimeConfig
                | RuntimeAttached
                | Generator
                | GeneratorEarly
                | GeneratorLate
        )
    )
}

/// The state of a unit's file; [`InstallError::NotFound`] where there is none.
pub fn unit_file_state(cx: &Context<'_>, name: &UnitName) -> Result<UnitFileState, InstallError> {
    state_with(cx, name, &links_of(cx))
}

fn state_with(cx: &Context<'_>, name: &UnitName, links: &Links) -> Result<UnitFileState, InstallError> {
    let found = cx.find(name)?.ok_or(InstallError::NotFound(name.to_string()))?;
    if found.masked {
        let runtime = is_runtime(role(cx, &found.link));
        return Ok(if runtime { UnitFileState::MaskedRuntime } else { UnitFileState::Masked });
    }
    if found.alias && !found.name.is_instance() {
        return Ok(UnitFileState::Alias);
    }
    if is_generated(cx, &found.link) {
        return Ok(UnitFileState::Generated);
    }
    if is_transient(cx, &found.link) {
        return Ok(UnitFileState::Transient);
    }
    let aliases: Vec<String> =
        found.install.alias.iter().filter_map(|a| cx.expand(a, &found.name, &found.path).ok()).collect();
    if let Some(state) = enabled_state(cx, &found, links, Some(&aliases)) {
        return Ok(state);
    }
    // Known under another name, it may be in use.
    if enabled_state(cx, &found, links, None).is_some() {
        return Ok(UnitFileState::Indirect);
    }
    Ok(if found.install.has_rules() {
        UnitFileState::Disabled
    } else if !found.install.also.is_empty() {
        UnitFileState::Indirect
    } else {
        UnitFileState::Static
    })
}

/// All links of the load path that may enable something: per directory, path and target.
type Links = Vec<Vec<(String, String)>>;

fn links_of(cx: &Context<'_>) -> Links {
    cx.load_path.directories.iter().map(|directory| links_in(cx, directory)).collect()
}

fn links_in(cx: &Context<'_>, directory: &Directory) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut add = |path: String| {
        if let Ok(text) = cx.view.read_link(&path) {
            let target = link_target(&path, &text);
            links.push((path, target));
        }
    };
    for entry in sorted_entries(cx.view, &directory.path) {
        let path = format!("{}/{}", directory.path, entry.name);
        let of_dependencies = [".wants", ".requires", ".upholds"].iter().any(|s| entry.name.ends_with(s));
        match entry.kind {
            EntryKind::Symlink => add(path),
            EntryKind::Directory if of_dependencies => {
                for inner in sorted_entries(cx.view, &path) {
                    if inner.kind == EntryKind::Symlink {
                        add(format!("{path}/{}", inner.name));
                    }
                }
            }
            _ => {}
        }
    }
    links
}

/// Looks for links that enable the unit. With `aliases` only those count that `enable` makes; without, any link to
/// it under another name.
fn enabled_state(
    cx: &Context<'_>,
    found: &Found,
    links: &Links,
    aliases: Option<&[String]>,
) -> Option<UnitFileState> {
    let (mut in_runtime, mut at_all) = (false, false);
    let (mut linked, mut linked_runtime) = (false, false);
    let mut below_own_file = false;
    for (directory, links) in cx.load_path.directories.iter().zip(links) {
        for (path, target) in links {
            let same_name = file_name(path) == found.name.as_str();
            let at_top = parent(path) == directory.path;
            if *target != found.path && file_name(target) != file_name(&found.path) {
                continue;
            }
            if at_top && same_name {
                // A link of the unit's own name only makes the file known.
                if !below_own_file && directory.role == Role::PersistentConfig {
                    linked = true;
                } else if !below_own_file && directory.role == Role::RuntimeConfig {
                    linked_runtime = true;
                }
                continue;
            }
            if is_other_instance(&found.name, file_name(path)) {
                continue;
            }
            if aliases.is_some_and(|aliases| !is_known_name(cx, found, aliases, file_name(path))) {
                continue;
            }
            match directory.role {
                Role::PersistentConfig => return Some(UnitFileState::Enabled),
                // Links that generators make enable as well, until the next reload.
                role if is_runtime(Some(role)) => in_runtime = true,
                _ => at_all = true,
            }
        }
        below_own_file |= directory.path == parent(&found.path);
    }
    if in_runtime {
        return Some(UnitFileState::EnabledRuntime);
    }
    // An instance that a package links is wanted by that package.
    if at_all && found.name.is_instance() {
        return Some(UnitFileState::Static);
    }
    match (linked, linked_runtime) {
        (true, _) => Some(UnitFileState::Linked),
        (_, true) => Some(UnitFileState::LinkedRuntime),
        _ => None,
    }
}

/// Links of one instance say nothing about another one.
fn is_other_instance(name: &UnitName, link: &str) -> bool {
    let link = UnitName::parse(link).ok();
    let instance = link.as_ref().and_then(UnitName::instance);
    name.is_instance() && instance.is_some() && instance != name.instance()
}

/// Whether `enable` would make a link of this name.
fn is_known_name(cx: &Context<'_>, found: &Found, aliases: &[String], link: &str) -> bool {
    if link == found.name.as_str() || aliases.iter().any(|alias| alias == link) {
        return true;
    }
    let Ok(link) = UnitName::parse(link) else { return false };
    if !found.name.is_template() || link.template().as_ref() != Some(&found.name) {
        return false;
    }
    let default = found.install.default_instance.as_ref();
    let default = default.and_then(|default| cx.expand(default, &found.name, &found.path).ok());
    default.is_some_and(|default| link.instance() == Some(default.as_str()))
}

/// One line of `systemctl list-unit-files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Where it lies in the load path.
    pub path: String,
    /// Its state.
    pub state: UnitFileState,
}

/// All unit files by name.
pub fn list_unit_files(cx: &Context<'_>) -> BTreeMap<UnitName, ListedFile> {
    let links = links_of(cx);
    let mut files = BTreeMap::new();
    for directory in cx.load_path.paths() {
        for Entry { name, kind } in sorted_entries(cx.view, directory) {
            let Ok(name) = UnitName::parse(&name) else { continue };
            if !matches!(kind, EntryKind::File | EntryKind::Symlink) || files.contains_key(&name) {
                continue;
            }
            let state = state_with(cx, &name, &links).unwrap_or(UnitFileState::Bad);
            let path = format!("{directory}/{name}");
            files.insert(name, ListedFile { path, state });
        }
    }
    files
}
