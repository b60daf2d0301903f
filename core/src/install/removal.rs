//! Which links go when units are disabled.

use super::view::{EntryKind, file_name, link_target, sorted_entries};
use super::{Change, ChangeKind, Context};
use crate::names::UnitName;
use std::collections::BTreeSet;

/// Directories below the configuration directory are entered so deep.
const DEPTH_MAX: usize = 4;

/// Plans the removal of all links in `config` that are named like a marked unit or lead to one. What is removed
/// is marked in turn, until nothing more is found.
pub(super) fn remove_marked(cx: &Context<'_>, config: &str, marked: &BTreeSet<String>) -> Vec<Change> {
    let mut marked = marked.clone();
    let mut links = Vec::new();
    collect_links(cx, config, DEPTH_MAX, &mut links);
    let mut changes = Vec::new();
    loop {
        let before = changes.len();
        links.retain(|(path, target)| {
            let goes = is_marked(path, target, &marked);
            if goes {
                marked.insert(file_name(path).to_owned());
                changes.push(Change::new(ChangeKind::Unlink, path.as_str(), ""));
            }
            !goes
        });
        if changes.len() == before {
            return changes;
        }
    }
}

/// Links below a directory whose names are unit names: path and target.
fn collect_links(cx: &Context<'_>, directory: &str, depth: usize, links: &mut Vec<(String, String)>) {
    for entry in sorted_entries(cx.view, directory) {
        let path = format!("{directory}/{}", entry.name);
        match entry.kind {
            EntryKind::Directory if depth > 0 => collect_links(cx, &path, depth - 1, links),
            EntryKind::Symlink if UnitName::parse(&entry.name).is_ok() => {
                if let Ok(text) = cx.view.read_link(&path) {
                    let target = link_target(&path, &text);
                    links.push((path, target));
                }
            }
            _ => {}
        }
    }
}

fn is_marked(path: &str, target: &str, marked: &BTreeSet<String>) -> bool {
    let (name, target_name) = (file_name(path), file_name(target));
    if marked.contains(name) || marked.contains(target_name) {
        return true;
    }
    // An instance's alias leads to the template's file.
    let (Ok(name), Ok(target)) = (UnitName::parse(name), UnitName::parse(target_name)) else { return false };
    match name.instance() {
        Some(instance) if target.is_template() => {
            target.with_instance(instance).is_ok_and(|of_target| marked.contains(of_target.as_str()))
        }
        _ => false,
    }
}
