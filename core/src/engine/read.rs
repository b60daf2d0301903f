//! A unit's bytes to its settings and the units it names.
use super::effect::UnitId;
use super::event::{LoadedUnit, UnitFile as Bytes};
use super::{Engine, SourceFile};
use crate::directives::{self, ids};
use crate::names::{Specifiers, UnitName};
use crate::unitfile::{UnitFiles, parse};
use std::rc::Rc;

/// What the files of a unit come to, before its dependencies are drawn.
pub(crate) struct Read {
    pub loaded: directives::Loaded,
    /// Why it cannot be used at all.
    pub broken: Option<String>,
}

impl Engine {
    /// Parse a fragment (if any) and drop-ins; what is wrong with them is logged.
    pub(crate) fn read_unit(&mut self, id: UnitId, fragment: Option<&Bytes>, dropins: &[Bytes]) -> Read {
        let files = UnitFiles {
            fragment: fragment.map(|file| parse(&file.path, &file.bytes)),
            dropins: dropins.iter().map(|file| parse(&file.path, &file.bytes)).collect(),
        };
        let unit = self.unit(id).name.clone();
        let specifiers = Specifiers {
            unit: &unit,
            fragment_path: fragment.map(|file| &*file.path),
            host: &self.config.host,
            manager: &self.config.manager,
        };
        let is_zone = |name: &str| self.may_be_zone(name);
        let loaded = directives::load(unit.kind(), &files, &specifiers, &self.config.defaults, &is_zone);
        let warnings: Vec<String> = files
            .warnings()
            .chain(&loaded.warnings)
            .map(|warning| format!("{}:{}: {}", warning.file, warning.line, warning.kind))
            .collect();
        let broken = files.broken().map(|broken| format!("{broken:?}"));
        for text in warnings {
            self.log(4, Some(id), text);
        }
        Read { loaded, broken }
    }

    /// Whether the files are those the unit was read from already.
    pub(crate) fn is_unchanged(&self, id: UnitId, fragment: Option<&Bytes>, dropins: &[Bytes]) -> bool {
        let unit = self.unit(id);
        let same = |known: &SourceFile, file: &Bytes| known.path == file.path && known.mtime == file.mtime;
        let fragment_same = match (&unit.fragment, fragment) {
            (Some(known), Some(file)) => same(known, file),
            (None, None) => true,
            _ => false,
        };
        fragment_same
            && unit.dropins.len() == dropins.len()
            && unit.dropins.iter().zip(dropins).all(|(known, file)| same(known, file))
    }
}

/// The source of a file.
pub(crate) fn source(file: &Bytes) -> SourceFile {
    SourceFile { path: file.path.clone(), mtime: file.mtime }
}

/// Names in `.wants/` and the like that mean an instance for an instance of a template, and cannot be used as they are.
pub(crate) fn instantiate(of: &UnitName, name: &UnitName) -> Option<UnitName> {
    if !name.is_template() {
        return Some(name.clone());
    }
    name.with_instance(of.instance().unwrap_or(of.prefix())).ok()
}

/// Paths of `RequiresMountsFor=` (true) and `WantsMountsFor=` (false).
pub(crate) fn mount_paths(e: &Engine, id: UnitId) -> Vec<(Rc<str>, bool)> {
    let settings = &e.unit(id).settings;
    let required = settings.list(ids::REQUIRES_MOUNTS_FOR).iter().map(|path| (path.clone(), true));
    let wanted = settings.list(ids::WANTS_MOUNTS_FOR).iter().map(|path| (path.clone(), false));
    required.chain(wanted).collect()
}

/// Names that a unit answers to besides its primary one.
pub(crate) fn aliases(unit: &LoadedUnit, primary: &UnitName) -> Vec<UnitName> {
    let all = unit.aliases.iter().chain([&unit.name]);
    all.filter(|name| *name != primary && name.kind() == primary.kind() && !name.is_template())
        .cloned()
        .collect()
}
