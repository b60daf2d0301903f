//! What the manager puts below the run root (`RUNROOT`), as data: for tests and checks. `os` makes the base, effects of the
//! engine the entries of units.

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file that people can read: `KEY=VALUE` lines, one value, or nothing.
    File,
    /// A link whose text is the value.
    Link,
    /// A listening socket.
    Socket,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Below the run root.
    pub path: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Permissions; of links always 0777.
    pub mode: u32,
}

const fn entry(path: &'static str, kind: Kind, mode: u32) -> Entry {
    Entry { path, kind, mode }
}

/// What is there before the first service starts, parents first.
pub const BASE: [Entry; 17] = [
    entry("credentials", Kind::Directory, 0o755),
    entry("systemd", Kind::Directory, 0o755),
    entry("systemd/ask-password", Kind::Directory, 0o755),
    entry("systemd/generator", Kind::Directory, 0o755),
    entry("systemd/inaccessible", Kind::Directory, 0o555),
    entry("systemd/io.systemd.ManagedOOM", Kind::Socket, 0o666),
    entry("systemd/mount-rootfs", Kind::Directory, 0o555),
    entry("systemd/notify", Kind::Socket, 0o777),
    entry("systemd/private", Kind::Socket, 0o700),
    entry("systemd/propagate", Kind::Directory, 0o755),
    entry("systemd/propagate/.os-release-stage", Kind::Directory, 0o755),
    entry("systemd/propagate/.os-release-stage/os-release", Kind::File, 0o644),
    entry("systemd/system", Kind::Directory, 0o755),
    entry("systemd/systemd-units-load", Kind::File, 0o444),
    entry("systemd/units", Kind::Directory, 0o755),
    entry("systemd/userdb", Kind::Directory, 0o755),
    entry("systemd/userdb/io.systemd.DynamicUser", Kind::Socket, 0o666),
];

/// Prefixes of the entries of single units below `systemd/units`; the unit's name follows.
pub const OF_UNIT: [(&str, Kind); 5] = [
    ("invocation:", Kind::Link),
    ("log-extra-fields:", Kind::File),
    ("log-level-max:", Kind::Link),
    ("log-rate-limit-interval:", Kind::Link),
    ("log-rate-limit-burst:", Kind::Link),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first() {
        for (at, entry) in BASE.iter().enumerate() {
            if let Some((parent, _)) = entry.path.rsplit_once('/') {
                assert!(BASE[..at].iter().any(|other| other.path == parent && other.kind == Kind::Directory));
            }
        }
    }
}
