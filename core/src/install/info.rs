//! Finding a unit's file and reading its `[Install]` section.

use super::view::{file_name, link_target, parent, sorted_entries};
use super::{Context, InstallError};
use crate::names::{Specifiers, UnitName};
use crate::unitfile::{UnitFiles, search};
use crate::values::quoting;

/// Links that lead to links are followed at most this often.
const LINKS_MAX: usize = 64;
const ENOENT: i32 = 2;

/// What an `[Install]` section says, specifiers not expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstallInfo {
    /// `Alias=`
    pub alias: Vec<String>,
    /// `WantedBy=`
    pub wanted_by: Vec<String>,
    /// `RequiredBy=`
    pub required_by: Vec<String>,
    /// `UpheldBy=`
    pub upheld_by: Vec<String>,
    /// `Also=`
    pub also: Vec<String>,
    /// `DefaultInstance=`
    pub default_instance: Option<String>,
}

impl InstallInfo {
    /// Whether enabling makes links.
    pub fn has_rules(&self) -> bool {
        ![&self.alias, &self.wanted_by, &self.required_by, &self.upheld_by].into_iter().all(Vec::is_empty)
    }

    fn read(files: &UnitFiles) -> InstallInfo {
        let mut info = InstallInfo::default();
        for located in files.assignments().filter(|l| &*l.assignment.section == "Install") {
            let value = &*located.assignment.value;
            let list = match &*located.assignment.key {
                "Alias" => &mut info.alias,
                "WantedBy" => &mut info.wanted_by,
                "RequiredBy" => &mut info.required_by,
                "UpheldBy" => &mut info.upheld_by,
                "Also" => &mut info.also,
                "DefaultInstance" => {
                    info.default_instance = (!value.is_empty()).then(|| value.to_owned());
                    continue;
                }
                _ => continue,
            };
            if value.is_empty() {
                list.clear();
            }
            list.extend(quoting::split(value, quoting::LIST).unwrap_or_default());
        }
        info
    }
}

/// A unit file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name that was asked for, or the one that an alias led to.
    pub name: UnitName,
    /// The file: where a link in the load path leads, for files outside of it.
    pub path: String,
    /// Where in the load path it was found, links not followed.
    pub link: String,
    /// It is masked.
    pub masked: bool,
    /// The name that was asked for is an alias.
    pub alias: bool,
    /// Its `[Install]` section; empty where it was not read.
    pub install: InstallInfo,
}

/// What lies at a path of the load path.
enum Lookup {
    Nothing,
    Masked,
    File(String),
    Alias(UnitName),
    Dangling,
}

impl Context<'_> {
    /// Finds a unit and reads its `[Install]` section. Aliases are followed.
    pub fn find(&self, name: &UnitName) -> Result<Option<Found>, InstallError> {
        let mut current = name.clone();
        for _ in 0..LINKS_MAX {
            let Some((link, lookup)) = self.first_file(&current)? else { return Ok(None) };
            let found = |path: String, masked| Found {
                name: current.clone(),
                path,
                link: link.clone(),
                masked,
                alias: current != *name,
                install: InstallInfo::default(),
            };
            match lookup {
                Lookup::Nothing | Lookup::Dangling => return Ok(None),
                Lookup::Masked => return Ok(Some(found(link.clone(), true))),
                Lookup::Alias(next) => current = next,
                Lookup::File(path) => {
                    let mut found = found(path, false);
                    found.install = self.read_install(&found)?;
                    return Ok(Some(found));
                }
            }
        }
        Err(InstallError::Linked(name.to_string()))
    }

    /// The first path of the load path at which something lies; a template's file stands for its instances.
    fn first_file(&self, name: &UnitName) -> Result<Option<(String, Lookup)>, InstallError> {
        for path in self.load_path.candidates(name) {
            match self.look(&path, name)? {
                Lookup::Nothing => {}
                lookup => return Ok(Some((path, lookup))),
            }
        }
        Ok(None)
    }

    fn look(&self, path: &str, name: &UnitName) -> Result<Lookup, InstallError> {
        let mut at = path.to_owned();
        for _ in 0..LINKS_MAX {
            let Ok(text) = self.view.read_link(&at) else {
                return match self.view.read_file(&at) {
                    Ok(bytes) if bytes.is_empty() => Ok(Lookup::Masked),
                    Ok(_) => Ok(Lookup::File(at)),
                    Err(_) if at != path => Ok(Lookup::Dangling),
                    Err(ENOENT) => Ok(Lookup::Nothing),
                    Err(errno) => Err(InstallError::File(at, errno)),
                };
            };
            let target = link_target(&at, &text);
            if target == "/dev/null" {
                return Ok(Lookup::Masked);
            }
            if let Some(alias) = self.alias_target(&target, name) {
                return Ok(Lookup::Alias(alias));
            }
            at = target;
        }
        Ok(Lookup::Dangling)
    }

    /// The other unit that a link leads to, if it does: a link to the same name, or to the template of the same
    /// prefix, is a file that lies elsewhere.
    fn alias_target(&self, target: &str, name: &UnitName) -> Option<UnitName> {
        let other = UnitName::parse(file_name(target)).ok()?;
        if other == *name || Some(&other) == name.template().as_ref() {
            return None;
        }
        match name.instance() {
            Some(instance) if other.is_template() => other.with_instance(instance).ok().filter(|o| o != name),
            _ => Some(other),
        }
    }

    fn read_install(&self, found: &Found) -> Result<InstallInfo, InstallError> {
        let parse = |path: &str| {
            let bytes = self.view.read_file(path);
            bytes.map(|bytes| crate::unitfile::parse(path, &bytes))
        };
        let fragment = parse(&found.path).map_err(|errno| InstallError::File(found.path.clone(), errno))?;
        if let Some(broken) = &fragment.broken {
            return Err(InstallError::File(file_name(&found.path).to_owned(), broken.errno()));
        }
        let directories = self.load_path.dropin_directories(std::slice::from_ref(&found.name));
        let listings: Vec<(&str, Vec<String>)> = directories
            .iter()
            .map(|dir| (dir.as_str(), sorted_entries(self.view, dir).into_iter().map(|e| e.name).collect()))
            .collect();
        let chosen = search::select_dropins(listings.iter().map(|(dir, files)| (*dir, files.as_slice())));
        let dropins = chosen.iter().filter_map(|path| parse(path).ok()).collect();
        Ok(InstallInfo::read(&UnitFiles { fragment: Some(fragment), dropins }))
    }

    /// Expands the specifiers of an `[Install]` setting.
    pub(super) fn expand(&self, text: &str, name: &UnitName, path: &str) -> Result<String, InstallError> {
        let specifiers =
            Specifiers { unit: name, fragment_path: Some(path), host: self.host, manager: self.manager };
        specifiers.expand(text).map_err(|_| InstallError::Specifier(path.to_owned()))
    }

    /// Whether the file lies directly in a directory of the load path.
    pub(super) fn in_load_path(&self, path: &str) -> bool {
        self.load_path.paths().any(|dir| dir == parent(path))
    }
}
