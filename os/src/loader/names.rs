//! Links between unit names.
use runstead_core::names::UnitName;

/// Whether a file name is a unit's.
pub(super) fn is_unit_name(name: &str) -> bool {
    UnitName::parse(name).is_ok()
}

/// A link's target as an absolute path, dots resolved in the text.
pub(super) fn resolve(dir: &str, target: &str) -> String {
    let full = if target.starts_with('/') { target.to_owned() } else { format!("{dir}/{target}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a link masks: it leads to `/dev/null`.
pub(super) fn is_null(dir: &str, target: &str) -> bool {
    resolve(dir, target) == "/dev/null"
}

/// The name that a link in the search path stands for, when it leads to another name in the search path. A link
/// out of it is a file under its own name; so is one to the same name.
pub(super) fn alias_target(
    dir: &str,
    name: &str,
    target: &str,
    is_search_dir: impl Fn(&str) -> bool,
) -> Option<String> {
    let path = resolve(dir, target);
    let (parent, base) = path.rsplit_once('/')?;
    // `/lib` and `/usr/lib` are the same directory on merged systems.
    let is_ours = is_search_dir(parent) || is_search_dir(&format!("/usr{parent}"));
    if !is_ours || base == name || !is_unit_name(base) {
        return None;
    }
    // `foo@bar.service -> foo@.service` gives an instance its template: no other name.
    let own = UnitName::parse(name).ok()?;
    if own.is_instance() && own.template().is_some_and(|template| template.as_str() == base) {
        return None;
    }
    Some(base.to_owned())
}

/// The name that `name`, found under itself or under its template, stands for when the link leads to `target`. An
/// alias keeps the type, and a template's alias the instance.
pub(super) fn follow(name: &UnitName, target: &str) -> Option<UnitName> {
    let target = UnitName::parse(target).ok()?;
    if target.kind() != name.kind() {
        return None;
    }
    match name.instance() {
        Some(instance) if target.is_template() => target.with_instance(instance).ok(),
        _ => Some(target),
    }
}
