//! Drop-in directories: `NAME.d/*.conf`, `NAME.wants/`, `NAME.requires/`, `NAME.upholds/`.
use super::directory::{is_fresh, read_unit_file, stamp_of};
use super::names;
use runstead_core::engine::event::UnitFile;
use runstead_core::names::UnitName;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Which directories have which drop-in directory, and what was in it when it was listed.
#[derive(Debug, Default)]
pub(super) struct DropDirs {
    /// "foo.service.d" to indices of search directories.
    places: HashMap<String, Vec<usize>>,
    listed: HashMap<String, Listing>,
}

#[derive(Debug, Default)]
struct Listing {
    stamp: Option<(i64, u64, u64)>,
    /// Name, and the target when it is a link.
    entries: Rc<Vec<(String, Option<String>)>>,
}

impl DropDirs {
    /// Forget where they are; what was listed stays until its directory changes.
    pub fn clear(&mut self) {
        self.places.clear();
    }

    pub fn add(&mut self, name: &str, dir: usize) {
        self.places.entry(name.to_owned()).or_default().push(dir);
    }

    /// Directories with this suffix for a set of names, the most important first: by name, then by search path, then
    /// from the name itself over its template to its dashed prefixes; last those of the type.
    fn places_of(&self, dirs: &[String], all: &[UnitName], suffix: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut push = |index: usize, name: &str| {
            if let Some(dir) = dirs.get(index) {
                let path = format!("{dir}/{name}");
                if !found.contains(&path) {
                    found.push(path);
                }
            }
        };
        for name in all {
            let mut here: Vec<(usize, usize, String)> = Vec::new();
            for (rank, variant) in variants(name).into_iter().enumerate() {
                let key = format!("{variant}.{suffix}");
                for &index in self.places.get(&key).into_iter().flatten() {
                    here.push((index, rank, key.clone()));
                }
            }
            here.sort();
            here.iter().for_each(|(index, _, key)| push(*index, key));
        }
        if let Some(kind) = all.first().map(UnitName::kind) {
            let key = format!("{kind}.{suffix}");
            self.places.get(&key).into_iter().flatten().for_each(|&index| push(index, &key));
        }
        found
    }

    fn list(&mut self, path: &str) -> Rc<Vec<(String, Option<String>)>> {
        let stamp = rustix::fs::stat(path).ok().map(|stat| stamp_of(&stat));
        let listing = self.listed.entry(path.to_owned()).or_default();
        if stamp.is_none() || stamp != listing.stamp {
            let mut entries: Vec<(String, Option<String>)> = std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| {
                    let target = std::fs::read_link(entry.path()).ok();
                    Some((
                        entry.file_name().into_string().ok()?,
                        target.map(|to| to.to_string_lossy().into_owned()),
                    ))
                })
                .collect();
            entries.sort();
            listing.entries = Rc::new(entries);
            listing.stamp = stamp.filter(|&(seconds, nanos, _)| !is_fresh(seconds, nanos));
        }
        Rc::clone(&listing.entries)
    }

    /// Entries by file name: the first directory that has a name wins. With it the directory and the link's target.
    fn entries(
        &mut self,
        dirs: &[String],
        all: &[UnitName],
        suffix: &str,
    ) -> BTreeMap<String, (String, Option<String>)> {
        let mut found = BTreeMap::new();
        for place in self.places_of(dirs, all, suffix) {
            for (name, target) in self.list(&place).iter() {
                if !found.contains_key(name) {
                    found.insert(name.clone(), (place.clone(), target.clone()));
                }
            }
        }
        found
    }

    /// Paths of the effective `*.conf`, in the order in which they apply.
    pub fn paths(&mut self, dirs: &[String], all: &[UnitName]) -> Vec<Rc<str>> {
        let mut found = Vec::new();
        for (name, (place, target)) in self.entries(dirs, all, "d") {
            let is_masked = target.is_some_and(|target| names::is_null(&place, &target));
            if name.ends_with(".conf") && !name.starts_with('.') && !is_masked {
                found.push(format!("{place}/{name}").into());
            }
        }
        found
    }

    /// The same with their contents; what cannot be read is left out.
    pub fn files(&mut self, dirs: &[String], all: &[UnitName]) -> Vec<UnitFile> {
        let paths = self.paths(dirs, all);
        let read = |path: Rc<str>| {
            let (bytes, mtime) = read_unit_file(&path).ok()?;
            Some(UnitFile { path, bytes: bytes.into(), mtime })
        };
        paths.into_iter().filter_map(read).collect()
    }

    /// Names in `NAME.wants/` and its like; templates take the instance of the unit.
    pub fn dependencies(&mut self, dirs: &[String], all: &[UnitName], kind: &str) -> Vec<UnitName> {
        let instance = all.iter().find_map(UnitName::instance).map(str::to_owned);
        let mut found: Vec<UnitName> = Vec::new();
        for (name, (place, target)) in self.entries(dirs, all, kind) {
            if target.is_some_and(|target| names::is_null(&place, &target)) {
                continue;
            }
            let Ok(unit) = UnitName::parse(&name) else { continue };
            let unit = match (&instance, unit.is_template()) {
                (Some(instance), true) => match unit.with_instance(instance) {
                    Ok(unit) => unit,
                    Err(_) => continue,
                },
                (None, true) => continue,
                _ => unit,
            };
            if !found.contains(&unit) {
                found.push(unit);
            }
        }
        found
    }
}

/// The names under which drop-in directories of a unit are looked for, the most specific first.
fn variants(name: &UnitName) -> Vec<String> {
    let mut found = vec![name.as_str().to_owned()];
    let template = name.is_instance().then(|| name.template()).flatten();
    found.extend(template.iter().map(|template| template.as_str().to_owned()));
    for prefix in name.prefix_dashes() {
        // `a-@i.service` is looked for, and so is `a-@.service`.
        let template =
            UnitName::parse(&prefix).ok().filter(UnitName::is_instance).and_then(|unit| unit.template());
        found.push(prefix);
        found.extend(template.iter().map(|template| template.as_str().to_owned()));
    }
    found
}
