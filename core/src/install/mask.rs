//! `mask`, `unmask`, `link`, `revert`, `set-default`, `get-default`.

use super::plan::Planner;
use super::view::{EntryKind, file_name, link_target, sorted_entries};
use super::{Change, ChangeKind, Context, Flags, InstallError, Outcome};
use crate::names::{UnitName, UnitType};
use crate::unitfile::search::Role;

fn name_of(text: &str) -> Result<UnitName, InstallError> {
    UnitName::parse(text).map_err(|_| InstallError::InvalidName(text.to_owned()))
}

/// `systemctl mask`: links to `/dev/null`.
pub fn mask(cx: &Context<'_>, flags: Flags, arguments: &[String]) -> Result<Outcome, InstallError> {
    let mut planner = Planner::new(cx, flags)?;
    let mut run = || -> Result<(), InstallError> {
        for argument in arguments {
            let path = format!("{}/{}", planner.config, name_of(argument)?);
            planner.symlink("/dev/null", &path, flags.force)?;
        }
        Ok(())
    };
    let result = run();
    Ok(planner.finish(result))
}

/// `systemctl unmask`: removes masks, and nothing else.
pub fn unmask(cx: &Context<'_>, flags: Flags, arguments: &[String]) -> Result<Outcome, InstallError> {
    let config = cx.config_directory(flags.runtime)?;
    let mut outcome = Outcome::default();
    for argument in arguments {
        let path = format!("{config}/{}", name_of(argument)?);
        let to_null = cx.view.read_link(&path).is_ok_and(|text| link_target(&path, &text) == "/dev/null");
        if to_null || cx.view.read_file(&path).is_ok_and(|bytes| bytes.is_empty()) {
            outcome.changes.push(Change::new(ChangeKind::Unlink, path, ""));
        }
    }
    Ok(outcome)
}

pub(super) fn link_one(planner: &mut Planner<'_>, file: &str) -> Result<(), InstallError> {
    let name = name_of(file_name(file))?;
    if !file.starts_with('/') || link_target("/", file) != file {
        return Err(InstallError::Invalid(file.to_owned()));
    }
    match planner.cx.view.read_file(file) {
        Ok(_) => {}
        Err(2) => return Err(InstallError::NotFound(file.to_owned())),
        Err(errno) => return Err(InstallError::File(file.to_owned(), errno)),
    }
    if planner.cx.in_load_path(file) {
        return Ok(());
    }
    let path = format!("{}/{name}", planner.config);
    planner.symlink(file, &path, planner.force)
}

/// `systemctl link`: makes files outside of the load path known.
pub fn link(cx: &Context<'_>, flags: Flags, files: &[String]) -> Result<Outcome, InstallError> {
    let mut planner = Planner::new(cx, flags)?;
    let result = files.iter().try_for_each(|file| link_one(&mut planner, file));
    Ok(planner.finish(result))
}

/// `systemctl revert`: removes what overrides the vendor's version: drop-ins, masks, and, where the vendor has a
/// file, whole files.
pub fn revert(cx: &Context<'_>, arguments: &[String]) -> Result<Outcome, InstallError> {
    use Role::*;
    let mut outcome = Outcome::default();
    for argument in arguments {
        let name = name_of(argument)?;
        let mut own_files = Vec::new();
        let mut has_vendor = false;
        for directory in &cx.load_path.directories {
            let own = matches!(
                directory.role,
                PersistentControl | RuntimeControl | Transient | PersistentConfig | RuntimeConfig
            );
            let path = format!("{}/{name}", directory.path);
            let there = sorted_entries(cx.view, &directory.path).iter().any(|e| e.name == name.as_str());
            match directory.role {
                PersistentConfig | RuntimeConfig if there => own_files.push(path.clone()),
                Vendor | Generator | GeneratorEarly | GeneratorLate => has_vendor |= there,
                _ => {}
            }
            if own {
                remove_tree(cx, &format!("{path}.d"), &mut outcome.changes);
            }
        }
        let removals = own_files.into_iter().filter(|path| has_vendor || is_mask(cx, path));
        outcome.changes.extend(removals.map(|path| Change::new(ChangeKind::Unlink, path, "")));
    }
    Ok(outcome)
}

fn is_mask(cx: &Context<'_>, path: &str) -> bool {
    cx.view.read_link(path).is_ok_and(|text| link_target(path, &text) == "/dev/null")
}

/// Plans the removal of a directory of drop-ins and what is in it.
fn remove_tree(cx: &Context<'_>, directory: &str, changes: &mut Vec<Change>) {
    let Ok(entries) = cx.view.read_dir(directory) else { return };
    let mut names: Vec<String> =
        entries.into_iter().filter(|e| e.kind != EntryKind::Directory).map(|e| e.name).collect();
    names.sort();
    let files =
        names.into_iter().map(|name| Change::new(ChangeKind::Unlink, format!("{directory}/{name}"), ""));
    changes.extend(files);
    changes.push(Change::new(ChangeKind::Unlink, directory, ""));
}

/// `systemctl set-default`
pub fn set_default(cx: &Context<'_>, argument: &str) -> Result<Outcome, InstallError> {
    let name = name_of(argument)?;
    if name.kind() != UnitType::Target || name.as_str() == "default.target" {
        return Err(InstallError::Invalid(argument.to_owned()));
    }
    let mut planner = Planner::new(cx, Flags::default())?;
    let found = cx.find(&name)?.ok_or(InstallError::NotFound(argument.to_owned()))?;
    if found.masked {
        return Err(InstallError::Masked(found.path));
    }
    let path = format!("{}/default.target", planner.config);
    let result = planner.symlink(&found.path, &path, true);
    Ok(planner.finish(result))
}

/// `systemctl get-default`: the unit that `default.target` leads to.
pub fn get_default(cx: &Context<'_>) -> Result<UnitName, InstallError> {
    let name = name_of("default.target")?;
    match cx.find(&name)? {
        None => Err(InstallError::NotFound(name.to_string())),
        Some(found) if found.masked => Err(InstallError::Masked(found.path)),
        Some(found) => Ok(found.name),
    }
}
