//! What a mount namespace shows where: entries by path.
/// What is to be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing can be seen or opened.
    Inaccessible,
    /// Another path.
    Bind {
        /// Which.
        source: String,
        /// With what is mounted below.
        recursive: bool,
        /// `MOUNT_ATTR_*`.
        attributes: u64,
    },
    /// An empty file system of its own.
    Tmpfs {
        /// Parameters.
        options: Vec<(String, String)>,
        /// `MOUNT_ATTR_*`.
        attributes: u64,
        /// Read-only, once everything below it is there.
        read_only: bool,
    },
    /// A `/dev` with pseudo devices only.
    Devices,
    /// A `/proc` of its own.
    Proc {
        /// Parameters.
        options: Vec<(String, String)>,
    },
    /// POSIX message queues of a new IPC namespace.
    Mqueue,
    /// sysfs of a new network namespace.
    Sysfs,
    /// What is there, read-only.
    ReadOnly,
    /// What is there, as it was, although it is read-only above.
    ReadWrite,
    /// What is there, not to be executed.
    NoExec,
    /// What is there, to be executed although it is not above.
    Exec,
}

impl Kind {
    /// The lower one wins at the same path.
    fn rank(&self) -> u8 {
        match self {
            Kind::Inaccessible => 0,
            Kind::Bind { .. } => 1,
            Kind::Devices => 2,
            Kind::Tmpfs { .. } => 3,
            Kind::Proc { .. } => 4,
            Kind::Mqueue | Kind::Sysfs => 5,
            Kind::ReadOnly => 6,
            Kind::ReadWrite => 7,
            Kind::NoExec => 8,
            Kind::Exec => 9,
        }
    }
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// It does not matter if it is not there.
    pub(super) optional: bool,
    /// It decides what the process works on: it works or the unit fails.
    pub(super) must: bool,
    /// The directive.
    pub(super) setting: &'static str,
}

impl Entry {
    pub(super) fn new(path: impl Into<String>, kind: Kind, setting: &'static str) -> Self {
        let path: String = path.into();
        let trimmed = path.trim_end_matches('/');
        let path = if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() };
        Entry { path, kind, optional: false, must: false, setting }
    }

    pub(super) fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(super) fn must(mut self) -> Self {
        self.must = true;
        self
    }

    /// Where mounts that are propagated later arrive.
    pub(super) fn incoming(run: &str, unit: &str) -> Self {
        let source = format!("{run}/systemd/propagate/{unit}");
        let kind = Kind::Bind { source, recursive: false, attributes: super::namespace::RDONLY };
        Entry::new(format!("{run}/systemd/incoming"), kind, "PrivateMounts").optional()
    }

    /// Whether the path is this entry's or below it.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.path == "/"
            || path
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Order by path, parents first; drop what is double, hidden, or changes nothing.
pub(super) fn sort(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| {
        a.path
            .split('/')
            .filter(|part| !part.is_empty())
            .cmp(b.path.split('/').filter(|part| !part.is_empty()))
            .then(a.kind.rank().cmp(&b.kind.rank()))
    });
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let executes = |kind: &Kind| matches!(kind, Kind::Exec | Kind::NoExec);
        let double = kept
            .iter()
            .any(|other| other.path == entry.path && executes(&other.kind) == executes(&entry.kind));
        let hidden =
            kept.iter().any(|above| matches!(above.kind, Kind::Inaccessible) && above.covers(&entry.path));
        let nothing_above = matches!(entry.kind, Kind::ReadWrite | Kind::Exec)
            && !kept.iter().any(|above| {
                above.covers(&entry.path) && !matches!(above.kind, Kind::ReadWrite | Kind::Exec)
            });
        if !double && !hidden && !nothing_above {
            kept.push(entry);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_no_ops_go() {
        let entry = |path: &str, kind| Entry::new(path, kind, "T");
        let sorted = sort(vec![
            entry("/a/b", Kind::ReadWrite),
            entry("/c", Kind::ReadWrite),
            entry("/a-b", Kind::ReadOnly),
            entry("/a", Kind::ReadOnly),
            entry("/home/x", Kind::ReadOnly),
            entry("/home", Kind::Inaccessible),
            entry("/a/", Kind::ReadWrite),
        ]);
        let paths: Vec<(&str, &Kind)> = sorted.iter().map(|e| (e.path.as_str(), &e.kind)).collect();
        assert_eq!(
            paths,
            [
                ("/a", &Kind::ReadOnly),
                ("/a/b", &Kind::ReadWrite),
                ("/a-b", &Kind::ReadOnly),
                ("/home", &Kind::Inaccessible)
            ]
        );
    }
}
