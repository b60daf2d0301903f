//! What was done to a tree, kept in it: written before the first act, removed after the last.
use super::failure::Failure;
use runstead_os::tree::Tree;
use std::collections::BTreeMap;

/// The directory of the manifest.
pub const STATE: &str = "/var/lib/runstead";
/// The manifest.
pub const MANIFEST: &str = "/var/lib/runstead/installed";
/// No manifest of ours is larger.
const LARGEST: u64 = 64 << 10;

/// Where an installation or its removal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Begun.
    Installing,
    /// Complete.
    Installed,
    /// Its removal has begun.
    Removing,
}

/// A diversion: the name in the package, and where dpkg puts that file instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// As the package lists it.
    pub name: String,
    /// The other name.
    pub to: String,
}

/// A name that becomes ours. All paths are absolute within the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name.
    pub path: String,
    /// Where what was there before is kept.
    pub kept: String,
    /// Where the link before led; empty when there was none.
    pub target: String,
    /// What dpkg is told; none where the tree has no dpkg.
    pub diversions: Vec<Diversion>,
}

/// What is done to a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Version of the program that wrote it.
    pub version: String,
    /// Where it stands.
    pub stage: Stage,
    /// The init.
    pub init: Place,
    /// Programs that ours has the names of, too. A manifest of an older version has none.
    pub programs: Vec<Place>,
}

impl Manifest {
    /// The tree's manifest, if it has one.
    pub fn read(tree: &Tree) -> Result<Option<Manifest>, Failure> {
        let Some(bytes) = tree.read(MANIFEST, LARGEST)? else { return Ok(None) };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(Manifest::parse);
        let broken = || {
            let place = tree.outside(MANIFEST);
            Failure::Refused(format!(
                "{place} is not a manifest of ours: put back what it was, or move it away after comparing /sbin/init by hand"
            ))
        };
        parsed.map(Some).ok_or_else(broken)
    }

    /// Put it into the tree.
    pub fn write(&self, tree: &Tree) -> Result<(), Failure> {
        tree.make_directory(STATE)?;
        Ok(tree.write(MANIFEST, self.format().as_bytes(), 0o644)?)
    }

    /// All names that become ours.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = &Place> {
        std::iter::once(&self.init).chain(&self.programs)
    }

    fn format(&self) -> String {
        let stage = match self.stage {
            Stage::Installing => "installing",
            Stage::Installed => "installed",
            Stage::Removing => "removing",
        };
        let mut text = format!(
            "# Written by 'runstead install'; 'runstead uninstall' undoes what it says.\nVERSION={}\nSTAGE={stage}\n",
            self.version
        );
        self.init.format("INIT", "", &mut text);
        for (number, place) in self.programs.iter().enumerate() {
            let name = format!("PROGRAM_{number}");
            place.format(&name, &format!("{name}_"), &mut text);
        }
        text
    }

    fn parse(text: &str) -> Option<Manifest> {
        let fields: Fields<'_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .collect();
        let programs = (0..).map(|number| format!("PROGRAM_{number}"));
        let programs = programs.take_while(|name| fields.contains_key(name.as_str()));
        Some(Manifest {
            version: fields.get("VERSION").map(|value| (*value).to_owned())?,
            stage: match fields.get("STAGE").copied()? {
                "installing" => Stage::Installing,
                "installed" => Stage::Installed,
                "removing" => Stage::Removing,
                _ => return None,
            },
            init: Place::parse("INIT", "", &fields)?,
            programs: programs
                .map(|name| Place::parse(&name, &format!("{name}_"), &fields))
                .collect::<Option<_>>()?,
        })
    }
}

type Fields<'a> = BTreeMap<&'a str, &'a str>;

impl Place {
    fn format(&self, name: &str, prefix: &str, text: &mut String) {
        let Place { path, kept, target, diversions } = self;
        text.push_str(&format!("{name}={path}\n{name}_KEPT={kept}\n{name}_TARGET={target}\n"));
        for (number, diversion) in diversions.iter().enumerate() {
            text.push_str(&format!("{prefix}DIVERSION_{number}={} {}\n", diversion.name, diversion.to));
        }
    }

    fn parse(name: &str, prefix: &str, fields: &Fields<'_>) -> Option<Place> {
        let field = |name: &str| fields.get(name).map(|value| (*value).to_owned());
        let path = |name: &str| field(name).filter(|value| value.starts_with('/'));
        let diversions = (0..).map_while(|number| fields.get(format!("{prefix}DIVERSION_{number}").as_str()));
        let diversions = diversions.map(|value| {
            let (name, to) = value.split_once(' ')?;
            Some(Diversion { name: name.to_owned(), to: to.to_owned() })
        });
        Some(Place {
            path: path(name)?,
            kept: path(&format!("{name}_KEPT"))?,
            target: field(&format!("{name}_TARGET"))?,
            diversions: diversions.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let diversion = |name: &str, to: &str| Diversion { name: name.into(), to: to.into() };
        let place = |path: &str, target: &str, diversions: Vec<Diversion>| Place {
            path: path.into(),
            kept: format!("{path}.distrib"),
            target: target.into(),
            diversions,
        };
        let both = vec![
            diversion("/sbin/init", "/sbin/init.distrib"),
            diversion("/usr/sbin/init", "/usr/sbin/init.distrib.usr-is-merged"),
        ];
        let one = vec![diversion("/usr/bin/x", "/usr/bin/x.distrib")];
        let manifest = Manifest {
            version: "1.2.3".into(),
            stage: Stage::Removing,
            init: place("/usr/sbin/init", "../lib/systemd/systemd", both),
            programs: vec![place("/usr/bin/x", "", one), place("/usr/bin/y", "", Vec::new())],
        };
        assert_eq!(Manifest::parse(&manifest.format()), Some(manifest));
        let older = "VERSION=0\nSTAGE=installed\nINIT=/i\nINIT_KEPT=/k\nINIT_TARGET=t\nDIVERSION_0=/i /k\n";
        let older = Manifest::parse(older).expect("without programs");
        assert!(older.programs.is_empty() && older.init.diversions == [diversion("/i", "/k")]);
    }

    #[test]
    fn others_are_not_taken_for_ours() {
        for text in ["", "VERSION=1\n", "VERSION=1\nSTAGE=x\nINIT=/a\nINIT_KEPT=/b\nINIT_TARGET=\n"] {
            assert_eq!(Manifest::parse(text), None, "{text}");
        }
    }
}
