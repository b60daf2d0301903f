//! Finds units on disk for `Effect::Load` (systemd.unit(5), "Unit File Load Path").
//!
//! Each directory of the search path is listed once and again only when its modification time changed; names,
//! links and drop-in directories are then found in memory, so that loading a unit costs the files it has and no more.
mod directory;
mod dropins;
mod names;
mod search;

pub use directory::read_unit_file;
pub use search::{Scope, conf_files, config_files, search_path};

use directory::{Change, Entry, SearchDir};
use dropins::DropDirs;
use runstead_core::engine::event::{Found, LoadedUnit, UnitFile};
use runstead_core::names::UnitName;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Unit directories and what was found in them.
#[derive(Debug)]
pub struct Loader {
    dirs: Vec<SearchDir>,
    /// The directory whose files are transient units.
    transient: String,
    /// Links within the search path: target name, then the names that lead there.
    aliases: HashMap<String, Vec<String>>,
    drop_dirs: DropDirs,
    refused: Vec<UnitName>,
    /// Nothing that could be known of has happened since the directories were looked at.
    fresh: bool,
}

/// What stands for a name: the first directory that has it.
enum Lookup<'a> {
    File { path: String, in_dir: &'a str },
    Alias(String),
    Masked(String),
    Nothing,
}

impl Loader {
    /// Search these directories, the first wins; `run_root` tells which holds transient units.
    pub fn new(paths: Vec<String>, run_root: &str) -> Loader {
        let transient = format!("{run_root}/systemd/transient");
        let dirs = paths.into_iter().map(SearchDir::new).collect();
        let mut loader = Loader {
            dirs,
            transient,
            aliases: HashMap::new(),
            drop_dirs: DropDirs::default(),
            refused: Vec::new(),
            fresh: false,
        };
        loader.refresh();
        loader
    }

    /// Do not read the files of these: they crashed the manager.
    pub fn refuse(&mut self, names: Vec<UnitName>) {
        self.refused = names;
    }

    /// The search path.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.dirs.iter().map(|dir| dir.path.as_str())
    }

    fn dir_paths(&self) -> Vec<String> {
        self.dirs.iter().map(|dir| dir.path.clone()).collect()
    }

    /// Something happened: directories may have changed since they were looked at.
    pub fn look_again(&mut self) {
        self.fresh = false;
    }

    /// List again what changed.
    pub fn refresh(&mut self) {
        let changes: Vec<Change> = self.dirs.iter_mut().map(SearchDir::refresh).collect();
        let is_link =
            |name: &String| self.dirs.iter().any(|dir| matches!(dir.entries.get(name), Some(Entry::Link(_))));
        // A file changes what links mean only where it hides one.
        let matters = changes.iter().any(|change| match change {
            Change::None => false,
            Change::Files(names) => names.iter().any(is_link),
            Change::Names => true,
        });
        if matters {
            self.index();
        }
        self.fresh = true;
    }

    fn refresh_once(&mut self) {
        if !self.fresh {
            self.refresh();
        }
    }

    fn index(&mut self) {
        self.aliases.clear();
        self.drop_dirs.clear();
        let is_search_dir = |path: &str| self.dirs.iter().any(|dir| dir.path == path);
        for (index, dir) in self.dirs.iter().enumerate() {
            for (name, entry) in &dir.entries {
                let Entry::Link(target) = entry else { continue };
                // Only the first directory that has a name counts.
                let is_hidden = self.dirs[..index].iter().any(|before| before.entries.contains_key(name));
                if let (false, Some(target)) =
                    (is_hidden, names::alias_target(&dir.path, name, target, is_search_dir))
                {
                    self.aliases.entry(target).or_default().push(name.clone());
                }
            }
            for name in &dir.drop_dirs {
                self.drop_dirs.add(name, index);
            }
        }
    }

    /// Read these units; one answer for each, in order. Directories that changed are listed again first,
    /// once for all that happens at a time ([`Loader::look_again`]).
    pub fn load(&mut self, names: &[UnitName]) -> Vec<LoadedUnit> {
        self.refresh_once();
        let dirs = self.dir_paths();
        names.iter().map(|name| self.load_one(name, &dirs)).collect()
    }

    fn load_one(&mut self, name: &UnitName, dirs: &[String]) -> LoadedUnit {
        if self.refused.contains(name) {
            let text = "It is in quarantine, since the manager crashed over it twice; 'systemctl daemon-reexec' tries it again.";
            let found = Found::Error(text.into());
            let none = Vec::new;
            return LoadedUnit {
                name: name.clone(),
                found,
                aliases: vec![name.clone()],
                dropins: Vec::new(),
                wants: none(),
                requires: none(),
                upholds: none(),
            };
        }
        let (primary, found) = self.find(name);
        let mut aliases = self.names_of(&primary);
        if !aliases.contains(name) {
            aliases.push(name.clone());
        }
        // The primary name first: its drop-ins win over those of an alias under the same file name.
        let mut all = vec![primary.clone()];
        all.extend(aliases.iter().filter(|alias| **alias != primary).cloned());
        let dropins = self.drop_dirs.files(dirs, &all);
        let [wants, requires, upholds] =
            ["wants", "requires", "upholds"].map(|kind| self.drop_dirs.dependencies(dirs, &all, kind));
        LoadedUnit { name: name.clone(), found, aliases: all, dropins, wants, requires, upholds }
    }

    /// The primary name behind a name, and what stands for it.
    fn find(&self, name: &UnitName) -> (UnitName, Found) {
        let mut current = name.clone();
        // A chain of aliases longer than this is a loop.
        for _ in 0..16 {
            match self.lookup_with_template(&current) {
                Lookup::Alias(target) => match names::follow(&current, &target) {
                    Some(next) if next != current => current = next,
                    _ => break,
                },
                Lookup::Masked(path) => return (current, Found::Masked(path.into())),
                Lookup::Nothing => return (current, Found::NotFound),
                Lookup::File { path, in_dir } => {
                    let transient = in_dir == self.transient;
                    let found = fragment(&current, path, transient);
                    return (current, found);
                }
            }
        }
        (current, unreadable(name.as_str(), Errno::LOOP))
    }

    fn lookup_with_template(&self, name: &UnitName) -> Lookup<'_> {
        match self.lookup(name.as_str()) {
            Lookup::Nothing if name.is_instance() => match name.template() {
                Some(template) => self.lookup(template.as_str()),
                None => Lookup::Nothing,
            },
            other => other,
        }
    }

    fn lookup(&self, name: &str) -> Lookup<'_> {
        for dir in &self.dirs {
            let Some(entry) = dir.entries.get(name) else { continue };
            let path = format!("{}/{name}", dir.path);
            let Entry::Link(target) = entry else { return Lookup::File { path, in_dir: &dir.path } };
            if names::is_null(&dir.path, target) {
                return Lookup::Masked(path);
            }
            let is_search_dir = |path: &str| self.dirs.iter().any(|dir| dir.path == path);
            return match names::alias_target(&dir.path, name, target, is_search_dir) {
                Some(target) => Lookup::Alias(target),
                // A link out of the search path ("linked"), or one that only moves the same name.
                None => Lookup::File { path: names::resolve(&dir.path, target), in_dir: &dir.path },
            };
        }
        Lookup::Nothing
    }

    /// A name and all names that lead to it, sorted, the name itself first.
    fn names_of(&self, primary: &UnitName) -> Vec<UnitName> {
        let mut found = vec![primary.clone()];
        let mut next = 0;
        while let Some(name) = found.get(next).cloned() {
            next += 1;
            let direct = self.aliases.get(name.as_str()).into_iter().flatten();
            let by_template = name.is_instance().then(|| name.template()).flatten();
            let by_template = by_template.as_ref().and_then(|template| self.aliases.get(template.as_str()));
            let instance = name.instance().unwrap_or_default();
            for alias in direct.chain(by_template.into_iter().flatten()) {
                let Ok(alias) = UnitName::parse(alias) else { continue };
                let alias = if alias.is_template() && name.is_instance() {
                    match alias.with_instance(instance) {
                        Ok(alias) => alias,
                        Err(_) => continue,
                    }
                } else {
                    alias
                };
                // An alias that is overridden by something of its own does not lead here.
                if !found.contains(&alias) && self.leads_to(&alias, &name) {
                    found.push(alias);
                }
            }
        }
        found.get_mut(1..).unwrap_or_default().sort();
        found
    }

    fn leads_to(&self, alias: &UnitName, target: &UnitName) -> bool {
        match self.lookup_with_template(alias) {
            Lookup::Alias(to) => names::follow(alias, &to).as_ref() == Some(target),
            _ => false,
        }
    }

    /// All unit files: name and path, the first directory that has a name.
    pub fn unit_files(&mut self) -> BTreeMap<String, String> {
        self.refresh();
        let mut found = BTreeMap::new();
        for dir in &self.dirs {
            for name in dir.entries.keys() {
                found.entry(name.clone()).or_insert_with(|| format!("{}/{name}", dir.path));
            }
        }
        found
    }

    /// The names and file paths of the drop-ins that apply now: to compare with what was loaded.
    pub fn dropin_paths(&mut self, names: &[UnitName]) -> Vec<Rc<str>> {
        let dirs = self.dir_paths();
        self.drop_dirs.paths(&dirs, names)
    }

    /// Whether a unit on disk differs from what was loaded (`NeedDaemonReload`): a file's time, or the drop-ins.
    pub fn is_outdated(
        &mut self,
        names: &[UnitName],
        fragment: Option<(&str, u64)>,
        dropins: &[(&str, u64)],
    ) -> bool {
        let changed = |&(path, mtime): &(&str, u64)| directory::mtime(path) != Some(mtime);
        if fragment.as_ref().is_some_and(changed) || dropins.iter().any(changed) {
            return true;
        }
        self.refresh_once();
        let now = self.dropin_paths(names);
        now.iter().map(|path| &**path).ne(dropins.iter().map(|&(path, _)| path))
    }
}

fn unreadable(path: &str, errno: Errno) -> Found {
    Found::Error(format!("Failed to read {path}: {errno}").into())
}

fn fragment(primary: &UnitName, path: String, transient: bool) -> Found {
    match read_unit_file(&path) {
        Ok((bytes, _)) if bytes.is_empty() && !transient => Found::Masked(path.into()),
        Ok((bytes, mtime)) => Found::Fragment {
            primary: primary.clone(),
            file: UnitFile { path: path.into(), bytes: bytes.into(), mtime },
            transient,
        },
        Err(errno) if errno == Errno::NOENT => Found::NotFound,
        Err(errno) => unreadable(&path, errno),
    }
}

#[cfg(test)]
mod tests;
