//! Where it is said what is to be carried over.
use crate::loader::{Scope, conf_files, config_files, search_path};
use runstead_core::carry::wish::{self, Wish};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LARGEST: u64 = 1 << 20;
/// What packages bring is below one of these.
const VENDOR: [&str; 2] = ["/usr/", "/lib/"];

/// All wishes, and what is wrong with others: `runstead/carry.d/*.conf` below `/etc`, the run root, `/usr/local/lib` and `/usr/lib`, and
/// units with their drop-ins wherever the system manager finds them (systemd.unit(5)).
pub fn wishes(run_root: &str) -> (Vec<Wish>, Vec<String>) {
    wishes_in(run_root, &search_path(&Scope::System, run_root, None))
}

fn wishes_in(run_root: &str, directories: &[String]) -> (Vec<Wish>, Vec<String>) {
    let mut found = config_files("runstead/carry", run_root)
        .iter()
        .map(|(path, bytes)| wish::of_config(path, bytes))
        .collect::<Vec<_>>();
    for path in files(directories) {
        let text = path.to_string_lossy();
        let bytes = crate::rundir::read_limited(&text, LARGEST).unwrap_or_default();
        // Nearly all have none: they are not parsed.
        if mentions(&bytes) {
            found.push(wish::of_unit(&text, &bytes));
        }
    }
    let (mut wishes, mut wrong) = (Vec::new(), Vec::new());
    for (more, mistakes) in found {
        wishes.extend(more);
        wrong.extend(mistakes);
    }
    wishes.sort();
    wishes.dedup_by(|one, other| one.path == other.path);
    (wishes, wrong)
}

fn mentions(bytes: &[u8]) -> bool {
    bytes.windows(wish::SETTING.len()).any(|part| part == wish::SETTING.as_bytes())
}

/// Unit files and drop-ins of these directories, the most important first: of each name the first counts, and a unit that is masked
/// wishes nothing, nor do its drop-ins.
fn files(directories: &[String]) -> Vec<PathBuf> {
    let (mut units, mut files): (BTreeSet<OsString>, Vec<PathBuf>) = Default::default();
    let (mut masked, mut dropins): (BTreeSet<OsString>, BTreeSet<OsString>) = Default::default();
    for directory in directories {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if Path::new(&name).extension().is_some_and(|extension| extension == "d") {
                    dropins.insert(name);
                }
            } else if units.insert(name.clone()) {
                match fs::metadata(entry.path()) {
                    Ok(found) if found.is_file() && found.len() > 0 => files.push(entry.path()),
                    _ => drop(masked.insert(name)),
                }
            }
        }
    }
    let of_masked = |name: &OsString| Path::new(name).file_stem().is_some_and(|unit| masked.contains(unit));
    for name in dropins.iter().filter(|name| !of_masked(name)) {
        files.extend(conf_files(directories.iter().map(|directory| Path::new(directory).join(name))));
    }
    files
}

/// What is remembered of the units of packages, which are many and rarely change: a package manager renames, and so changes directories.
#[derive(Debug, Default)]
pub struct Known {
    stamps: Vec<(PathBuf, Option<SystemTime>)>,
    /// One of them may wish something.
    mentions: bool,
}

impl Known {
    /// Whether anybody wishes anything.
    pub fn is_wished(&mut self, run_root: &str) -> bool {
        let mut directories = search_path(&Scope::System, run_root, None);
        let is_vendor = |path: &String| VENDOR.iter().any(|vendor| path.starts_with(vendor));
        let vendor: Vec<String> = directories.iter().filter(|path| is_vendor(path)).cloned().collect();
        self.look(&vendor);
        if !self.mentions {
            directories.retain(|path| !is_vendor(path));
        }
        !wishes_in(run_root, &directories).0.is_empty()
    }

    fn look(&mut self, vendor: &[String]) {
        let stamps = stamps(vendor);
        if self.stamps != stamps {
            let read = |path: PathBuf| crate::rundir::read_limited(&path.to_string_lossy(), LARGEST);
            self.mentions =
                files(vendor).into_iter().any(|path| read(path).is_ok_and(|bytes| mentions(&bytes)));
            self.stamps = stamps;
        }
    }
}

/// When these directories, and those of drop-ins in them, were changed last.
fn stamps(directories: &[String]) -> Vec<(PathBuf, Option<SystemTime>)> {
    let mut paths: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
    for directory in directories {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let dropins = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        paths.extend(dropins.map(|entry| entry.path()));
    }
    paths.sort();
    let stamp = |path: PathBuf| {
        let changed = fs::metadata(&path).and_then(|found| found.modified()).ok();
        (path, changed)
    };
    paths.into_iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;

    #[test]
    fn the_first_of_each_name_counts_and_masked_units_wish_nothing() {
        let scratch = Scratch::new("carry-wishes");
        let put = |path: &str, text: &str| {
            let path = scratch.join(path);
            fs::create_dir_all(Path::new(&path).parent().expect("a parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        };
        for (path, wish) in [
            ("etc/a.service", "of-owner"),
            ("lib/a.service", "hidden"),
            ("lib/b.service", "of-package"),
            ("lib/b.service.d/one.conf", "hidden"),
            ("etc/b.service.d/one.conf", "first"),
            ("lib/b.service.d/two.conf", "second"),
            ("lib/b.service.d/no", "hidden"),
            ("lib/service.d/all.conf", "of-type"),
            ("lib/m.service", "masked"),
            ("etc/m.service.d/x.conf", "masked"),
        ] {
            put(path, &format!("[Service]\nX-RunsteadCarry=/run/{wish}\n"));
        }
        std::os::unix::fs::symlink("/dev/null", scratch.join("etc/m.service")).expect("mask");
        let directories = [scratch.join("etc"), scratch.join("lib")];
        let (wishes, wrong) = wishes_in("/no/such/run", &directories);
        let paths: Vec<&str> = wishes.iter().map(|wish| wish.path.as_str()).collect();
        assert_eq!(paths, ["first", "of-owner", "of-package", "of-type", "second"]);
        assert!(wrong.is_empty());
    }

    #[test]
    fn units_of_packages_are_read_again_when_a_directory_changed() {
        let scratch = Scratch::new("carry-known");
        let lib = [scratch.join("lib")];
        fs::create_dir_all(scratch.join("lib/a.service.d")).expect("mkdir");
        fs::write(scratch.join("lib/a.service"), "[Service]\n").expect("write");
        let mut known = Known::default();
        known.look(&lib);
        assert!(!known.mentions && known.stamps.len() == 2);
        fs::write(scratch.join("lib/a.service.d/x.conf"), "[Service]\nX-RunsteadCarry=/run/a\n")
            .expect("write");
        known.look(&lib);
        assert!(known.mentions);
    }
}
