//! What is to be done to a tree: found without changing anything, or refused.
use super::dpkg;
use super::failure::Failure;
use super::manifest::{Diversion, MANIFEST, Manifest, Place, Stage};
use super::step::{BINARY, COMMAND};
use runstead_os::tree::{Kind, Tree};

/// The service manager that the distribution's init link leads to.
const REFERENCE: &str = "/usr/lib/systemd/systemd";

/// Programs of systemd that ours is, too: directory, its name before the merge of `/usr`, and the program.
const PROGRAMS: [(&str, &str, &str); 2] = [
    ("/usr/bin", "/bin", "systemd-tmpfiles"),
    ("/usr/lib/systemd", "/lib/systemd", "systemd-user-runtime-dir"),
];

/// The manifest that the tree has, or that of a new installation after a look at everything that could be in its way.
pub fn make(tree: &Tree) -> Result<Manifest, Failure> {
    for directory in ["/usr/lib", "/usr/bin", "/sbin", "/var/lib"] {
        tree.check_writable(directory).map_err(|error| {
            Failure::Refused(format!(
                "cannot {error}; run this as root, on a tree that is mounted read-write"
            ))
        })?;
    }
    if let Some(mut manifest) = Manifest::read(tree)? {
        check_init(tree, &manifest.init.path)?;
        if manifest.programs.is_empty() {
            // By a version that replaced the init only.
            manifest.programs = programs(tree)?;
        }
        for place in &manifest.programs {
            check_program(tree, &place.path)?;
        }
        VERSION.clone_into(&mut manifest.version);
        return Ok(manifest);
    }
    if tree.kind(REFERENCE)? != Kind::File {
        return refuse(
            tree,
            REFERENCE,
            "is not there: runstead takes systemd's place, and only where that can be put back",
        );
    }
    for path in [BINARY, COMMAND] {
        check_absent(tree, path)?;
    }
    let init = init(tree)?;
    let programs = programs(tree)?;
    Ok(Manifest { version: VERSION.to_owned(), stage: Stage::Installing, init, programs })
}

fn init(tree: &Tree) -> Result<Place, Failure> {
    let merged = tree.is_same_directory("/sbin", "/usr/sbin");
    let path = if merged { "/usr/sbin/init" } else { "/sbin/init" };
    let kind = check_init(tree, path)?;
    place(tree, path, "/sbin/init", kind)
}

fn programs(tree: &Tree) -> Result<Vec<Place>, Failure> {
    let of = |(directory, old, name): &(&str, &str, &str)| {
        let (path, old_path) = (format!("{directory}/{name}"), format!("{old}/{name}"));
        // Not merged, and there: the package's place is the old one.
        let is_old = !tree.is_same_directory(directory, old) && tree.kind(&old_path)? != Kind::Absent;
        let path = if is_old { &old_path } else { &path };
        let kind = check_program(tree, path)?;
        place(tree, path, &old_path, kind)
    };
    PROGRAMS.iter().map(of).collect()
}

/// A place with what is to be known to put it back; nothing of somebody else's may be in the way.
fn place(tree: &Tree, path: &str, old: &str, kind: Kind) -> Result<Place, Failure> {
    let place = Place {
        path: path.to_owned(),
        kept: format!("{path}.distrib"),
        target: match kind {
            Kind::Link(target) => target,
            _ => String::new(),
        },
        diversions: if dpkg::is_used(tree)? { dpkg::diversions(tree, path, old)? } else { Vec::new() },
    };
    check_free(tree, &place)?;
    Ok(place)
}

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The init may be absent, systemd's link or ours.
fn check_init(tree: &Tree, init: &str) -> Result<Kind, Failure> {
    let kind = tree.kind(init)?;
    match &kind {
        Kind::Absent => Ok(kind),
        Kind::Link(target) if target.ends_with("/systemd/systemd") || is_ours(&kind) => Ok(kind),
        _ => refuse(
            tree,
            init,
            "is neither systemd's link nor runstead's: another init is installed; remove that first",
        ),
    }
}

/// One of systemd's programs may be absent, a file, a link to one, or ours.
fn check_program(tree: &Tree, path: &str) -> Result<Kind, Failure> {
    match tree.kind(path)? {
        Kind::Directory | Kind::Other => refuse(tree, path, "is no program; move it away first"),
        kind => Ok(kind),
    }
}

/// Whether it is the link that an installation makes.
pub fn is_ours(kind: &Kind) -> bool {
    matches!(kind, Kind::Link(target) if target == BINARY)
}

fn check_absent(tree: &Tree, path: &str) -> Result<(), Failure> {
    if tree.kind(path)? == Kind::Absent {
        return Ok(());
    }
    let why = format!("is there already and no {MANIFEST} says that it is ours; move it away first");
    refuse(tree, path, &why)
}

/// Nothing of somebody else's may be where ours goes.
fn check_free(tree: &Tree, place: &Place) -> Result<(), Failure> {
    let Place { path, kept, diversions, .. } = place;
    for other in std::iter::once(kept).chain(diversions.iter().map(|one| &one.to)) {
        check_absent(tree, other)?;
    }
    if is_ours(&tree.kind(path)?) {
        let why = format!("is runstead's without a {MANIFEST}; make it systemd's again first");
        return refuse(tree, path, &why);
    }
    for Diversion { name, .. } in diversions {
        if let Some(line) = dpkg::diverted(tree, name)? {
            return Err(Failure::Refused(format!(
                "dpkg has a diversion that is not ours ('{line}'); remove it with dpkg-divert --remove {name}"
            )));
        }
    }
    Ok(())
}

fn refuse<T>(tree: &Tree, path: &str, why: &str) -> Result<T, Failure> {
    Err(Failure::Refused(format!("{} {why}", tree.outside(path))))
}
