//! What a mount namespace shows where: entries by path, as settings ask for them, and places, each of which is what all entries
//! for one path come to.
use super::namespace::RDONLY;

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
    /// A `/dev` with pseudo devices only, read-only.
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
    /// Whether something is mounted there.
    pub(super) fn is_new(&self) -> bool {
        self.rank() < Kind::ReadOnly.rank() && *self != Kind::Inaccessible
    }

    /// Whether what is mounted there is read-only by itself.
    fn is_made_read_only(&self) -> bool {
        match self {
            Kind::Bind { attributes, .. } => attributes & RDONLY != 0,
            Kind::Tmpfs { read_only, .. } => *read_only,
            Kind::Devices => true,
            _ => false,
        }
    }

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
        let kind = Kind::Bind { source, recursive: false, attributes: RDONLY };
        Entry::new(format!("{run}/systemd/incoming"), kind, "PrivateMounts").optional()
    }
}

/// What is to be seen at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing.
    Hidden,
    /// Something that is mounted there.
    New(Kind),
    /// What is there anyway, with other attributes.
    Same,
}

/// What all entries for one path come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) content: Content,
    /// Attributes that it gets, with all below it that is no place of its own.
    pub(super) attributes: Attributes,
    /// It does not matter if it is not there.
    pub(super) optional: bool,
    /// The directive that counts most.
    pub(super) setting: &'static str,
    /// Other places lie below.
    pub(super) holds: bool,
    /// A place above gets attributes that this one does not have to have.
    pub(super) covered: bool,
}

impl Place {
    /// Whether what is new here is mounted for the places in it, and once more when those above have got their attributes.
    pub(super) fn is_mounted_twice(&self) -> bool {
        self.holds && self.covered && matches!(self.content, Content::New(_))
    }
}

/// Attributes of mounts that places change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Attributes {
    pub(super) read_only: bool,
    /// `None`: as it is.
    pub(super) executes: Option<bool>,
}

/// Whether `path` is `above` or below it.
pub(super) fn covers(above: &str, path: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Parents first; what is hidden, or would be as it is without, is left out.
pub(super) fn places(mut entries: Vec<Entry>) -> Vec<Place> {
    let parts =
        |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    entries.sort_by_cached_key(|entry| (parts(&entry.path), entry.kind.rank()));
    let mut places: Vec<Place> = Vec::with_capacity(entries.len());
    for of_path in entries.chunk_by(|a, b| a.path == b.path) {
        let path = &of_path[0].path;
        let above = |place: &&Place| covers(&place.path, path);
        let nearest = places.iter().rev().find(above);
        if nearest.is_some_and(|place| place.content == Content::Hidden) {
            continue;
        }
        let inherited = nearest.map(|place| place.attributes).unwrap_or_default();
        let mut place = merge(of_path, inherited);
        if place.content == Content::Same && place.attributes == inherited {
            continue;
        }
        place.covered = places.iter().filter(above).any(|place| place.attributes != Attributes::default());
        places.iter_mut().filter(|place| covers(&place.path, path)).for_each(|place| place.holds = true);
        places.push(place);
    }
    places
}

/// Put the entries for one path together, the strongest first. What is not said is as above, but what is mounted here is
/// read-only only by itself.
fn merge(entries: &[Entry], inherited: Attributes) -> Place {
    let first = &entries[0];
    let has = |kind: &Kind| entries.iter().any(|entry| entry.kind == *kind);
    let content = match &first.kind {
        Kind::Inaccessible => Content::Hidden,
        kind if kind.is_new() => Content::New(kind.clone()),
        _ => Content::Same,
    };
    let read_only = match &content {
        _ if has(&Kind::ReadOnly) => true,
        Content::Hidden => true,
        Content::New(kind) => kind.is_made_read_only(),
        Content::Same => inherited.read_only && !has(&Kind::ReadWrite),
    };
    let executes = match &content {
        Content::Hidden => Some(false),
        _ if has(&Kind::NoExec) => Some(false),
        _ if has(&Kind::Exec) => Some(true),
        _ => inherited.executes,
    };
    let optional = match content {
        Content::Same => entries.iter().all(|entry| entry.optional),
        _ => first.optional,
    };
    Place {
        path: first.path.clone(),
        content,
        attributes: Attributes { read_only, executes },
        optional,
        setting: first.setting,
        holds: false,
        covered: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry::new(path, kind, "T")
    }

    fn bind(attributes: u64) -> Kind {
        Kind::Bind { source: "/s".into(), recursive: true, attributes }
    }

    /// Path, what is there (`-` nothing, `+` something new, `=` the same), attributes; `*`: has to be attached again.
    fn shown(entries: Vec<Entry>) -> Vec<String> {
        let show = |place: &Place| {
            let content = match place.content {
                Content::Hidden => '-',
                Content::New(_) => '+',
                Content::Same => '=',
            };
            let write = if place.attributes.read_only { "ro" } else { "rw" };
            let exec = match place.attributes.executes {
                None => "",
                Some(true) => " exec",
                Some(false) => " noexec",
            };
            format!("{}{content} {write}{exec}{}", place.path, if place.covered { "*" } else { "" })
        };
        places(entries).iter().map(show).collect()
    }

    #[test]
    fn parents_come_first_and_no_ops_go() {
        let sorted = shown(vec![
            entry("/a/b", Kind::ReadWrite),
            entry("/c", Kind::ReadWrite),
            entry("/a-b", Kind::ReadOnly),
            entry("/a", Kind::ReadOnly),
            entry("/a/c", Kind::ReadOnly),
            entry("/home/x", Kind::ReadOnly),
            entry("/home", Kind::Inaccessible),
            entry("/a/", Kind::ReadWrite),
        ]);
        assert_eq!(sorted, ["/a= ro", "/a/b= rw*", "/a-b= ro", "/home- ro noexec"]);
    }

    #[test]
    fn entries_for_one_path_count_together() {
        let both = shown(vec![
            entry("/sys", Kind::Sysfs),
            entry("/sys", Kind::ReadOnly),
            entry("/sys/fs/cgroup", bind(0)),
            entry("/sys/fs/cgroup", Kind::ReadOnly),
            entry("/tmp", bind(0)),
            entry("/tmp", Kind::NoExec),
            entry("/etc", Kind::ReadOnly),
            entry("/etc", Kind::NoExec),
            entry("/etc", Kind::ReadWrite),
        ]);
        assert_eq!(both, ["/etc= ro noexec", "/sys+ ro", "/sys/fs/cgroup+ ro*", "/tmp+ rw noexec"]);
    }

    #[test]
    fn attributes_reach_down_and_new_mounts_are_writable() {
        let all = shown(vec![
            entry("/", Kind::ReadOnly),
            entry("/", Kind::NoExec),
            entry("/usr", Kind::Exec),
            entry("/tmp", bind(0)),
            entry("/tmp/in", Kind::ReadOnly),
            entry("/var", Kind::ReadWrite),
            entry("/var/lib/x", Kind::Exec),
        ]);
        let expected = [
            "/= ro noexec",
            "/tmp+ rw noexec*",
            "/tmp/in= ro noexec*",
            "/usr= ro exec*",
            "/var= rw noexec*",
            "/var/lib/x= rw exec*",
        ];
        assert_eq!(all, expected);
    }
}
