//! `RuntimeDirectory=`, `StateDirectory=`, `CacheDirectory=`, `LogsDirectory=`, `ConfigurationDirectory=`.
use super::builder::{Builder, parents};
use super::{ExitStatus, OnError, Op};
use crate::directives::ids;
use crate::settings::DirectiveId;

/// One of the five.
#[derive(Debug, Clone, Copy)]
pub(super) struct DirectoryKind {
    pub(super) setting: &'static str,
    id: DirectiveId,
    mode: DirectiveId,
    pub(super) variable: &'static str,
    exit: ExitStatus,
    which: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Runtime,
    State,
    Cache,
    Logs,
    Configuration,
}

/// In the order in which they are made.
pub(super) const KINDS: [DirectoryKind; 5] = [
    DirectoryKind {
        setting: "RuntimeDirectory",
        id: ids::RUNTIME_DIRECTORY,
        mode: ids::RUNTIME_DIRECTORY_MODE,
        variable: "RUNTIME_DIRECTORY",
        exit: ExitStatus::RuntimeDirectory,
        which: Which::Runtime,
    },
    DirectoryKind {
        setting: "StateDirectory",
        id: ids::STATE_DIRECTORY,
        mode: ids::STATE_DIRECTORY_MODE,
        variable: "STATE_DIRECTORY",
        exit: ExitStatus::StateDirectory,
        which: Which::State,
    },
    DirectoryKind {
        setting: "CacheDirectory",
        id: ids::CACHE_DIRECTORY,
        mode: ids::CACHE_DIRECTORY_MODE,
        variable: "CACHE_DIRECTORY",
        exit: ExitStatus::CacheDirectory,
        which: Which::Cache,
    },
    DirectoryKind {
        setting: "LogsDirectory",
        id: ids::LOGS_DIRECTORY,
        mode: ids::LOGS_DIRECTORY_MODE,
        variable: "LOGS_DIRECTORY",
        exit: ExitStatus::LogsDirectory,
        which: Which::Logs,
    },
    DirectoryKind {
        setting: "ConfigurationDirectory",
        id: ids::CONFIGURATION_DIRECTORY,
        mode: ids::CONFIGURATION_DIRECTORY_MODE,
        variable: "CONFIGURATION_DIRECTORY",
        exit: ExitStatus::ConfigurationDirectory,
        which: Which::Configuration,
    },
];

fn prefix<'a>(b: &Builder<'a>, kind: DirectoryKind) -> &'a str {
    let prefixes = &b.facts.prefixes;
    match kind.which {
        Which::Runtime => &prefixes.runtime,
        Which::State => &prefixes.state,
        Which::Cache => &prefixes.cache,
        Which::Logs => &prefixes.logs,
        Which::Configuration => &prefixes.configuration,
    }
}

/// Whether the directories of this kind lie below `private/`: those of dynamic users, whose ids are used again by
/// others, are behind a directory that only root enters. Run-time directories go away with the unit unless they are
/// preserved, and configuration belongs to root.
fn is_private(b: &Builder, kind: DirectoryKind) -> bool {
    let kept = b.settings().word(ids::RUNTIME_DIRECTORY_PRESERVE) != "no";
    b.dynamic_user()
        && match kind.which {
            Which::Runtime => kept,
            Which::Configuration => false,
            _ => true,
        }
}

/// `directory`, links to it, flags.
fn rows<'a>(b: &Builder<'a>, kind: DirectoryKind) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> + use<'a> {
    b.settings().rows(kind.id).iter().filter_map(|row| {
        let directory = row.first()?;
        let links =
            row.get(1).map_or(Vec::new(), |links| links.split(':').filter(|l| !l.is_empty()).collect());
        Some((&**directory, links))
    })
}

/// Paths as the process sees them, for the variable.
pub(super) fn public_paths(b: &Builder, kind: DirectoryKind) -> Vec<String> {
    let prefix = prefix(b, kind);
    rows(b, kind).map(|(name, _)| format!("{prefix}/{name}")).collect()
}

/// Where the directories really are.
pub(super) fn real_paths(b: &Builder, kind: DirectoryKind) -> Vec<String> {
    let private = if is_private(b, kind) { "private/" } else { "" };
    let prefix = prefix(b, kind);
    rows(b, kind).map(|(name, _)| format!("{prefix}/{private}{name}")).collect()
}

/// The directories behind `private/` of the kinds in use.
pub(super) fn private_roots(b: &Builder) -> Vec<String> {
    KINDS
        .into_iter()
        .filter(|kind| is_private(b, *kind) && rows(b, *kind).next().is_some())
        .map(|kind| format!("{}/private", prefix(b, kind)))
        .collect()
}

/// Make them all.
pub(super) fn make(b: &mut Builder) {
    for kind in KINDS {
        make_kind(b, kind);
    }
}

fn make_kind(b: &mut Builder, kind: DirectoryKind) {
    let prefix = prefix(b, kind);
    let mode = b.settings().uint(kind.mode) as u32;
    let (uid, gid) = b.owner();
    let on_error = OnError::Fail(kind.exit);
    let private = is_private(b, kind);
    for (name, links) in rows(b, kind) {
        let public = format!("{prefix}/{name}");
        if private {
            make_private(b, kind, prefix, name, mode);
        } else {
            // What is below is the services', who may have put links there.
            let below = if kind.which == Which::Configuration { &public } else { &format!("{prefix}/") };
            for parent in parents(below) {
                b.push(Op::Mkdir { path: parent, mode: 0o755 }, kind.setting, on_error);
            }
            if kind.which != Which::Configuration && !name.contains('/') {
                // From a time when the user was dynamic.
                let (target, from) = (relative(name, name, true), format!("{prefix}/private/{name}"));
                let back = Op::TakeBack { path: public.clone(), target, from };
                b.push(back, kind.setting, OnError::Ignore);
            }
            let path = public.clone();
            // Configuration is the administrator's: only what we make ourselves gets an owner.
            let op = match kind.which {
                Which::Configuration => Op::NewDirectory { path, mode, uid, gid },
                _ => Op::OwnedDirectory { path, mode, uid, gid, deep: true },
            };
            b.push(op, kind.setting, on_error);
        }
        for link in links {
            let path = format!("{prefix}/{link}");
            b.push(Op::Symlink { target: relative(link, name, private), path }, kind.setting, on_error);
        }
    }
}

fn make_private(b: &mut Builder, kind: DirectoryKind, prefix: &str, name: &str, mode: u32) {
    let on_error = OnError::Fail(kind.exit);
    let (uid, gid) = b.owner();
    let root = format!("{prefix}/private");
    let real = format!("{root}/{name}");
    b.mkdir_all(prefix, 0o755, kind.setting, on_error);
    b.push(
        Op::OwnedDirectory { path: root.clone(), mode: 0o700, uid: 0, gid: 0, deep: false },
        kind.setting,
        on_error,
    );
    let public = format!("{prefix}/{name}");
    for parent in parents(&public) {
        b.push(Op::Mkdir { path: parent, mode: 0o755 }, kind.setting, on_error);
    }
    for parent in parents(&real).into_iter().filter(|parent| parent.len() > root.len()) {
        b.push(Op::Mkdir { path: parent, mode: 0o755 }, kind.setting, on_error);
    }
    // A directory from before the user was dynamic moves behind `private/`. The slash is for directories alone: a link
    // that is there already stays.
    b.push(Op::Rename { from: format!("{public}/"), to: real.clone() }, kind.setting, OnError::Ignore);
    b.push(Op::OwnedDirectory { path: real, mode, uid, gid, deep: true }, kind.setting, on_error);
    b.push(Op::Symlink { target: relative(name, name, true), path: public }, kind.setting, on_error);
}

/// The target of a link at `link` (relative to the prefix) that leads to `name`.
fn relative(link: &str, name: &str, private: bool) -> String {
    let up = "../".repeat(link.matches('/').count());
    format!("{up}{}{name}", if private { "private/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative() {
        assert_eq!(relative("dyn", "dyn", true), "private/dyn");
        assert_eq!(relative("a/b", "c", false), "../c");
    }
}
