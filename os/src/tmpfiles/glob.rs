//! Which paths match a pattern; relative to a root.
use crate::chase::Way;
use runstead_core::names::path::components;
use runstead_core::names::pattern::{is_glob, matches_name};
use runstead_core::tmpfiles::glob::braces;
use rustix::fs::{Dir, OFlags};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// All of them, sorted. What cannot be read matches nothing.
pub fn expand(way: &Way<'_>, pattern: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = braces(pattern).iter().flat_map(|pattern| one(way, pattern)).collect();
    found.sort();
    found.dedup();
    found
}

fn one(way: &Way<'_>, pattern: &str) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("/")];
    let mut are_seen = true;
    for component in components(pattern) {
        are_seen = is_glob(component);
        if are_seen {
            places = places.iter().flat_map(|place| matching(way, place, component)).collect();
        } else {
            let name = component.replace('\\', "");
            places.iter_mut().for_each(|place| place.push(&name));
        }
    }
    if !are_seen {
        places.retain(|place| way.open(place, false).is_ok());
    }
    places
}

fn matching(way: &Way<'_>, place: &Path, component: &str) -> Vec<PathBuf> {
    // A link is no directory to look in, as those on the way are.
    let Ok(directory) = way.open(place, false) else { return Vec::new() };
    let entries = directory.directory(OFlags::NOATIME).and_then(Dir::new).into_iter().flatten().flatten();
    let names = entries.map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec()));
    let names = names.filter(|name| name != "." && name != "..");
    names
        .filter(|name| matches_name(component, &name.to_string_lossy()))
        .map(|name| place.join(name))
        .collect()
}

/// An absolute path, below the root.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
