//! The acts of an installation and its removal. Each can be told from the tree to be done, is done at once (by a rename)
//! or by dpkg, and leaves an init at every moment.
use super::dpkg;
use super::failure::Failure;
use super::manifest::{Diversion, Manifest, Place};
use super::plan::is_ours;
use runstead_os::tree::{Kind, Tree};

/// Where the binary is kept: on the file system of the root, readable before anything else is mounted.
pub const BINARY: &str = "/usr/lib/runstead/runstead";
const BINARY_DIRECTORY: &str = "/usr/lib/runstead";
/// Its name on the search path.
pub const COMMAND: &str = "/usr/bin/runstead";
const COMMAND_TARGET: &str = "../lib/runstead/runstead";
/// More than the binary has.
const LARGEST: u64 = 256 << 20;

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The binary at its place.
    Binary,
    /// The link on the search path.
    Command,
    /// Packages' versions of a name go elsewhere.
    Divert(Diversion),
    /// What is at a name gets another, beside its first.
    Keep(Place),
    /// The name becomes ours.
    Replace(Place),
}

/// All, in the order of installation; they are undone in the opposite order.
pub fn all(manifest: &Manifest) -> Vec<Step> {
    let of_place = |place: &Place| {
        let diversions: Vec<Step> = place.diversions.iter().cloned().map(Step::Divert).collect();
        diversions.into_iter().chain([Step::Keep(place.clone()), Step::Replace(place.clone())])
    };
    [Step::Binary, Step::Command].into_iter().chain(manifest.places().flat_map(of_place)).collect()
}

impl Step {
    /// What it does, for people.
    pub fn describe(&self, undo: bool) -> String {
        match (self, undo) {
            (Step::Binary, false) => format!("write {BINARY}"),
            (Step::Binary, true) => format!("remove {BINARY}"),
            (Step::Command, false) => format!("link {COMMAND} to {COMMAND_TARGET}"),
            (Step::Command, true) => format!("remove {COMMAND}"),
            (Step::Divert(Diversion { name, to }), false) => format!("divert packages' {name} to {to}"),
            (Step::Divert(Diversion { name, .. }), true) => format!("end the diversion of {name}"),
            (Step::Keep(Place { path, kept, .. }), false) => format!("keep {path} as {kept}"),
            (Step::Replace(Place { path, .. }), false) => format!("link {path} to {BINARY}"),
            (Step::Keep(Place { path, .. }) | Step::Replace(Place { path, .. }), true) => {
                format!("put {path} back")
            }
        }
    }

    /// Whether there is nothing left to do.
    pub fn is_done(&self, tree: &Tree, binary: &[u8]) -> Result<bool, Failure> {
        Ok(match self {
            Step::Binary => tree.read(BINARY, LARGEST)?.as_deref() == Some(binary),
            Step::Command => tree.kind(COMMAND)? == Kind::Link(COMMAND_TARGET.to_owned()),
            Step::Divert(diversion) => dpkg::has(tree, diversion)?,
            Step::Keep(Place { path, kept, .. }) => {
                let there = tree.kind(path)?;
                there == Kind::Absent || is_ours(&there) || tree.kind(kept)? == there
            }
            Step::Replace(Place { path, .. }) => is_ours(&tree.kind(path)?),
        })
    }

    /// Do it.
    pub fn act(&self, tree: &Tree, binary: &[u8]) -> Result<(), Failure> {
        match self {
            Step::Binary => {
                tree.make_directory(BINARY_DIRECTORY)?;
                tree.write(BINARY, binary, 0o755)?;
            }
            Step::Command => tree.link(COMMAND_TARGET, COMMAND)?,
            Step::Divert(diversion) => dpkg::add(tree, diversion)?,
            Step::Keep(Place { path, kept, .. }) => {
                tree.remove(kept)?;
                tree.add_name(path, kept)?;
            }
            Step::Replace(Place { path, .. }) => tree.link(BINARY, path)?,
        }
        Ok(())
    }

    /// Whether there is nothing left to undo.
    pub fn is_undone(&self, tree: &Tree) -> Result<bool, Failure> {
        let absent = |path: &str| Ok::<_, Failure>(tree.kind(path)? == Kind::Absent);
        Ok(match self {
            // Its directory may be left, with or without half a file.
            Step::Binary => absent(BINARY_DIRECTORY)?,
            Step::Command => absent(COMMAND)?,
            Step::Divert(diversion) => !dpkg::has(tree, diversion)?,
            Step::Keep(place) => {
                let mut all = true;
                for name in kept_names(place) {
                    all &= absent(name)?;
                }
                all
            }
            Step::Replace(Place { path, .. }) => !is_ours(&tree.kind(path)?),
        })
    }

    /// Undo it.
    pub fn undo(&self, tree: &Tree) -> Result<(), Failure> {
        match self {
            Step::Binary => {
                tree.remove(BINARY)?;
                tree.remove_directory(BINARY_DIRECTORY)?;
            }
            Step::Command => tree.remove(COMMAND)?,
            Step::Divert(diversion) => dpkg::remove(tree, diversion)?,
            Step::Keep(place) | Step::Replace(place) => put_back(tree, place)?,
        }
        Ok(())
    }
}

/// Where the package's file may be by now: an upgrade may have put it to the name of its other diversion.
fn kept_names(place: &Place) -> impl Iterator<Item = &str> {
    let others = place.diversions.iter().skip(1).map(|diversion| diversion.to.as_str());
    std::iter::once(place.kept.as_str()).chain(others)
}

fn put_back(tree: &Tree, place: &Place) -> Result<(), Failure> {
    let there = tree.kind(&place.path)?;
    for name in kept_names(place) {
        let kept = tree.kind(name)?;
        if kept == Kind::Absent {
            continue;
        }
        // Not replaced yet: both names are one file or link, which rename(2) leaves both, or refuses on an overlay.
        // Of files an overlay does not tell that, so that their bytes have to.
        let is_link = matches!(kept, Kind::Link(_));
        if kept == there && (is_link || tree.read(name, LARGEST)? == tree.read(&place.path, LARGEST)?) {
            return Ok(tree.remove(name)?);
        }
        return Ok(tree.rename(name, &place.path)?);
    }
    if place.target.is_empty() {
        return Ok(tree.remove(&place.path)?);
    }
    // Somebody removed what was kept.
    Ok(tree.link(&place.target, &place.path)?)
}
