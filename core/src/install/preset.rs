//! Presets (`systemd.preset(5)`).

use super::plan::Planner;
use super::view::{file_name, sorted_entries};
use super::{Context, Flags, InstallError, Outcome, UnitDirView};
use crate::names::{UnitName, pattern};
use std::collections::BTreeMap;

/// What the rules say about a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preset {
    /// Enable; a template with these instances (none: as it is).
    Enable(Vec<String>),
    /// Disable.
    Disable,
    /// Leave alone.
    Ignore,
}

/// Which half of the presets is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PresetMode {
    /// Both.
    #[default]
    Full,
    /// Only what is to be enabled.
    EnableOnly,
    /// Only what is to be disabled.
    DisableOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Enable,
    Disable,
    Ignore,
}

/// Preset rules in order; the first that matches counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresetRules {
    rules: Vec<(Action, String, Vec<String>)>,
    /// Lines that are no rules: file, line.
    pub warnings: Vec<(String, usize)>,
}

/// Where presets are looked for, what counts most first. `kind`: `system` or `user`; `run`: the run root.
pub fn preset_directories(run: &str, kind: &str) -> Vec<String> {
    ["/etc", run, "/usr/local/lib", "/usr/lib"]
        .iter()
        .map(|base| format!("{base}/systemd/{kind}-preset"))
        .collect()
}

impl PresetRules {
    /// Reads the preset files of the directories: of each file name the first one, sorted by file name.
    pub fn load(view: &dyn UnitDirView, directories: &[String]) -> PresetRules {
        let mut chosen: BTreeMap<String, String> = BTreeMap::new();
        for directory in directories {
            for entry in sorted_entries(view, directory) {
                if entry.name.ends_with(".preset") && !entry.name.starts_with('.') {
                    let path = format!("{directory}/{}", entry.name);
                    chosen.entry(entry.name).or_insert(path);
                }
            }
        }
        let mut rules = PresetRules::default();
        for path in chosen.values() {
            let bytes = view.read_file(path).unwrap_or_default();
            rules.parse(path, &String::from_utf8_lossy(&bytes));
        }
        rules
    }

    /// Adds the rules of one file.
    pub fn parse(&mut self, file: &str, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let action = match words.next() {
                Some("enable") => Some(Action::Enable),
                Some("disable") => Some(Action::Disable),
                Some("ignore") => Some(Action::Ignore),
                _ => None,
            };
            match (action, words.next()) {
                (Some(action), Some(pattern)) => {
                    let instances = words.map(str::to_owned).collect();
                    self.rules.push((action, pattern.to_owned(), instances));
                }
                _ => self.warnings.push((file.to_owned(), index + 1)),
            }
        }
    }

    /// What the rules say about a unit; enable where they say nothing.
    pub fn query(&self, name: &UnitName) -> Preset {
        for (action, glob, instances) in &self.rules {
            let Some(instances) = rule_matches(glob, instances, name) else { continue };
            return match action {
                Action::Enable => Preset::Enable(instances),
                Action::Disable => Preset::Disable,
                Action::Ignore => Preset::Ignore,
            };
        }
        Preset::Enable(Vec::new())
    }
}

/// Whether a rule is about a unit; gives the instances to enable of a template.
fn rule_matches(glob: &str, instances: &[String], name: &UnitName) -> Option<Vec<String>> {
    if !instances.is_empty() {
        let template = name.template()?;
        if template.as_str() != glob {
            return None;
        }
        return match name.instance() {
            None => Some(instances.to_vec()),
            Some(instance) => instances.iter().any(|i| i == instance).then(Vec::new),
        };
    }
    pattern::matches(glob, name.as_str(), pattern::UNIT_RULES).then(Vec::new)
}

/// `systemctl preset`
pub fn preset(
    cx: &Context<'_>,
    flags: Flags,
    rules: &PresetRules,
    mode: PresetMode,
    arguments: &[String],
) -> Result<Outcome, InstallError> {
    let mut names = Vec::new();
    let planner = Planner::new(cx, flags)?;
    for argument in arguments {
        let name = UnitName::parse(argument).map_err(|_| InstallError::InvalidName(argument.clone()))?;
        planner.usable(&name)?;
        names.push(name);
    }
    Ok(apply(planner, rules, mode, &names))
}

fn apply(mut planner: Planner<'_>, rules: &PresetRules, mode: PresetMode, names: &[UnitName]) -> Outcome {
    let (mut plus, mut minus) = (Vec::new(), Vec::new());
    for name in names {
        match rules.query(name) {
            Preset::Enable(instances) if instances.is_empty() => plus.push(name.clone()),
            Preset::Enable(instances) => {
                plus.extend(instances.iter().filter_map(|instance| name.with_instance(instance).ok()));
            }
            Preset::Disable => minus.push(name.clone()),
            Preset::Ignore => {}
        }
    }
    let mut result = Ok(());
    if mode != PresetMode::EnableOnly && !minus.is_empty() {
        result = planner.disable_all(&minus);
    }
    if mode != PresetMode::DisableOnly && result.is_ok() {
        result = planner.enable_all(&plus);
    }
    planner.finish(result)
}

/// `systemctl preset-all`: the presets of all unit files. Aliases, masked and generated units are passed over; a
/// unit that cannot be enabled does not keep the others from it: the first error is reported at the end.
pub fn preset_all(
    cx: &Context<'_>,
    flags: Flags,
    rules: &PresetRules,
    mode: PresetMode,
) -> Result<Outcome, InstallError> {
    let planner = Planner::new(cx, flags)?;
    let mut unreadable = None;
    let mut seen = std::collections::BTreeSet::new();
    let mut names = Vec::new();
    for directory in cx.load_path.paths() {
        for entry in sorted_entries(cx.view, directory) {
            let Ok(name) = UnitName::parse(file_name(&entry.name)) else { continue };
            if !seen.insert(name.clone()) {
                continue;
            }
            match planner.usable(&name) {
                Ok(_) => names.push(name),
                Err(error @ InstallError::File(..)) => unreadable = unreadable.or(Some(error)),
                Err(_) => {}
            }
        }
    }
    let mut outcome = apply(planner, rules, mode, &names);
    // Templates without default instance can only be enabled with one: that is no failure here.
    outcome.error = outcome.error.filter(|error| !matches!(error, InstallError::Template(..))).or(unreadable);
    Ok(outcome)
}
