//! Watches of paths, for path units (systemd.path(5)) above all: one inotify(7) instance for all.
//!
//! A path need not exist: every directory on the way is watched for its next component, and what is watched is set up
//! anew when one comes or goes.
use crate::error::{Attempt, OsError};
use crate::host::glob_matches;
use runstead_core::engine::effect::PathSpec;
use runstead_core::names::pattern;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;

/// Whether the condition of a path unit holds now. Paths that only tell of changes never "hold".
pub fn check(spec: &PathSpec) -> bool {
    match &*spec.kind {
        "PathExists" => std::fs::metadata(&*spec.path).is_ok(),
        "PathExistsGlob" => glob_matches(&spec.path),
        "DirectoryNotEmpty" => std::fs::read_dir(&*spec.path).is_ok_and(|entries| {
            entries.flatten().any(|entry| !is_hidden(&entry.file_name().to_string_lossy()))
        }),
        _ => false,
    }
}

/// Hidden files and backups do not make a directory non-empty.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~')
}

/// What of one directory or file matters to one watched path.
#[derive(Debug, Clone)]
struct Stake<K> {
    owner: K,
    spec: usize,
    mask: u32,
    /// Only what happens to this entry matters (directories on the way).
    child: Option<String>,
    /// It is the watched path itself.
    is_target: bool,
}

#[derive(Debug)]
struct Watched {
    spec: PathSpec,
    descriptors: BTreeSet<i32>,
    existed: bool,
}

/// All watched paths; `K` says whose.
#[derive(Debug)]
pub struct Watches<K> {
    inotify: OwnedFd,
    owners: BTreeMap<K, Vec<Watched>>,
    stakes: BTreeMap<i32, Vec<Stake<K>>>,
}

/// Links on the way are followed this deep.
const COMPONENTS_MAX: usize = 256;

impl<K: Ord + Clone> Watches<K> {
    /// Watch nothing yet.
    pub fn new() -> Result<Watches<K>, OsError> {
        let inotify =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).attempt("inotify_init", "")?;
        Ok(Watches { inotify, owners: BTreeMap::new(), stakes: BTreeMap::new() })
    }

    /// Go on with an earlier image's queue: the kernel knows the watches by what they are on, so that adding them again
    /// finds them, and what happened in between waits in the queue.
    pub fn resume(inotify: OwnedFd) -> Watches<K> {
        Watches { inotify, owners: BTreeMap::new(), stakes: BTreeMap::new() }
    }

    /// Poll this for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Watch these for somebody and nothing else; an empty list ends the watches. What could not be watched is returned.
    pub fn set(&mut self, owner: &K, specs: &[PathSpec]) -> Vec<OsError> {
        if let Some(old) = self.owners.remove(owner) {
            for watched in old {
                self.release(owner, None, &watched.descriptors);
            }
        }
        if specs.is_empty() {
            return Vec::new();
        }
        let mut errors = Vec::new();
        let mut list = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let mut watched =
                Watched { spec: spec.clone(), descriptors: BTreeSet::new(), existed: exists(spec) };
            errors.extend(self.install(owner, index, &mut watched).err());
            list.push(watched);
        }
        self.owners.insert(owner.clone(), list);
        errors
    }

    /// Give watches back that nobody else has a stake in.
    fn release(&mut self, owner: &K, spec: Option<usize>, descriptors: &BTreeSet<i32>) {
        for descriptor in descriptors {
            let Some(stakes) = self.stakes.get_mut(descriptor) else { continue };
            stakes.retain(|stake| stake.owner != *owner || spec.is_some_and(|spec| spec != stake.spec));
            if stakes.is_empty() {
                self.stakes.remove(descriptor);
                let _ = inotify::remove_watch(&self.inotify, *descriptor);
            }
        }
    }

    /// Watch every directory on the way, and the path itself when it is there.
    fn install(&mut self, owner: &K, index: usize, watched: &mut Watched) -> Result<(), OsError> {
        let path = watched_path(&watched.spec).to_owned();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).take(COMPONENTS_MAX).collect();
        let mut current = String::from("/");
        for depth in 0..=parts.len() {
            let is_target = depth == parts.len();
            let (flags, child) = if is_target {
                (target_flags(&watched.spec.kind), None)
            } else {
                (way_flags(), parts.get(depth).map(|part| (*part).to_owned()))
            };
            match inotify::add_watch(&self.inotify, &current, flags | WatchFlags::MASK_ADD) {
                Ok(descriptor) => {
                    let stake =
                        Stake { owner: owner.clone(), spec: index, mask: flags.bits(), child, is_target };
                    self.stakes.entry(descriptor).or_default().push(stake);
                    watched.descriptors.insert(descriptor);
                }
                // Not there yet (or no directory any more): the directory above tells when it comes.
                Err(Errno::NOENT | Errno::NOTDIR) => break,
                // A directory that we may pass but not read on the way; only at the end it matters.
                Err(Errno::ACCESS) if !is_target => {}
                Err(errno) => return Err(OsError::new("watch", path, errno)),
            }
            if let Some(part) = parts.get(depth) {
                if !current.ends_with('/') {
                    current.push('/');
                }
                current.push_str(part);
            }
        }
        Ok(())
    }

    /// Read what happened: whose, and which of his paths, each at most once.
    pub fn read(&mut self) -> Vec<(K, u32)> {
        let mut touched: BTreeSet<(K, usize)> = BTreeSet::new();
        let mut fired: BTreeSet<(K, usize)> = BTreeSet::new();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                let all = self
                    .owners
                    .iter()
                    .flat_map(|(owner, list)| (0..list.len()).map(|index| (owner.clone(), index)));
                touched.extend(all.clone());
                fired.extend(all);
                continue;
            }
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
            let bits = event.events().bits();
            for stake in self.stakes.get(&event.wd()).into_iter().flatten() {
                let key = (stake.owner.clone(), stake.spec);
                let is_gone = event.events().contains(ReadFlags::IGNORED);
                if stake.mask & bits == 0 && !is_gone {
                    continue;
                }
                if stake.child.is_some() && name.is_some() && stake.child != name {
                    continue;
                }
                if stake.is_target && !is_gone {
                    fired.insert(key.clone());
                }
                if !stake.is_target
                    || is_gone
                    || bits & (WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF).bits() != 0
                {
                    touched.insert(key);
                }
            }
        }
        for (owner, index) in touched {
            if self.renew(&owner, index) {
                fired.insert((owner, index));
            }
        }
        fired.into_iter().map(|(owner, index)| (owner, u32::try_from(index).unwrap_or(u32::MAX))).collect()
    }

    /// Set the watches of one path up anew after something on the way changed; whether that matters to the owner.
    fn renew(&mut self, owner: &K, index: usize) -> bool {
        let taken = self.owners.get_mut(owner).and_then(|list| {
            let watched = list.get_mut(index)?;
            Some((watched.spec.clone(), std::mem::take(&mut watched.descriptors), watched.existed))
        });
        let Some((spec, old, existed)) = taken else { return false };
        let mut renewed = Watched { existed: exists(&spec), spec, descriptors: BTreeSet::new() };
        self.release(owner, Some(index), &old);
        // What cannot be watched now can later: the unit is told of every change on the way.
        let _ = self.install(owner, index, &mut renewed);
        let existed_now = exists(&renewed.spec);
        renewed.existed = existed_now;
        let matters = match &*renewed.spec.kind {
            "PathChanged" | "PathModified" => existed != existed_now,
            _ => true,
        };
        if let Some(slot) = self.owners.get_mut(owner).and_then(|list| list.get_mut(index)) {
            *slot = renewed;
        }
        matters
    }
}

fn exists(spec: &PathSpec) -> bool {
    std::fs::symlink_metadata(watched_path(spec)).is_ok()
}

/// The path itself; of a pattern the part before the first component that is one.
fn watched_path(spec: &PathSpec) -> &str {
    let path: &str = &spec.path;
    if &*spec.kind != "PathExistsGlob" {
        return path;
    }
    let mut end = 0;
    for part in path.split_inclusive('/') {
        if pattern::is_glob(part) {
            return if end == 0 { "/" } else { &path[..end] };
        }
        end += part.len();
    }
    path
}

fn way_flags() -> WatchFlags {
    WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
}

fn target_flags(kind: &str) -> WatchFlags {
    let own = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ATTRIB;
    let entries = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
    match kind {
        "PathChanged" => own | entries | WatchFlags::CLOSE_WRITE,
        "PathModified" => own | entries | WatchFlags::CLOSE_WRITE | WatchFlags::MODIFY,
        "DirectoryNotEmpty" => own | WatchFlags::CREATE | WatchFlags::MOVED_TO,
        "PathExistsGlob" => own | entries,
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use runstead_core::names::UnitName;
    use std::fs;

    struct Fixture {
        scratch: Scratch,
        watches: Watches<UnitName>,
        unit: UnitName,
    }

    impl Fixture {
        fn new(name: &str) -> Fixture {
            let watches = Watches::new().expect("inotify");
            Fixture { scratch: Scratch::new(name), watches, unit: UnitName::parse("a.path").expect("valid") }
        }

        fn watch(&mut self, kind: &str, path: &str) -> PathSpec {
            let spec = PathSpec { kind: kind.into(), path: self.scratch.join(path).into() };
            let errors = self.watches.set(&self.unit, std::slice::from_ref(&spec));
            assert!(errors.is_empty(), "{errors:?}");
            spec
        }

        fn fired(&mut self) -> bool {
            !self.watches.read().is_empty()
        }
    }

    #[test]
    fn paths_that_do_not_exist_are_waited_for() {
        let mut f = Fixture::new("watch-exists");
        let spec = f.watch("PathExists", "a/b/c");
        assert!(!check(&spec) && !f.fired());
        fs::write(f.scratch.join("other"), "").expect("write");
        assert!(!f.fired(), "a neighbour does not matter");
        fs::create_dir_all(f.scratch.join("a/b")).expect("mkdir");
        f.fired();
        fs::write(f.scratch.join("a/b/c"), "").expect("write");
        assert!(f.fired() && check(&spec));
        fs::remove_dir_all(f.scratch.join("a")).expect("remove");
        assert!(f.fired() && !check(&spec));
        fs::create_dir_all(f.scratch.join("a/b/c")).expect("mkdir");
        assert!(f.fired() && check(&spec), "it comes again");
    }

    #[test]
    fn changes_and_modifications_differ() {
        use std::io::Write;
        let mut f = Fixture::new("watch-changed");
        fs::write(f.scratch.join("file"), "").expect("write");
        for (kind, on_write) in [("PathChanged", false), ("PathModified", true)] {
            f.watch(kind, "file");
            let mut file = fs::OpenOptions::new().append(true).open(f.scratch.join("file")).expect("open");
            assert!(!f.fired());
            file.write_all(b"x").expect("write");
            assert_eq!(f.fired(), on_write, "{kind}");
            drop(file);
            assert!(f.fired(), "{kind}");
        }
        fs::write(f.scratch.join("new"), "x").expect("write");
        assert!(!f.fired());
        fs::rename(f.scratch.join("new"), f.scratch.join("file")).expect("rename");
        assert!(f.fired(), "replacing is a change");
        fs::write(f.scratch.join("file"), "y").expect("write");
        assert!(f.fired(), "the new file is watched");
        f.watches.set(&f.unit.clone(), &[]);
        fs::write(f.scratch.join("file"), "z").expect("write");
        assert!(!f.fired());
    }

    #[test]
    fn directories_and_patterns() {
        let mut f = Fixture::new("watch-directory");
        fs::create_dir(f.scratch.join("spool")).expect("mkdir");
        let spec = f.watch("DirectoryNotEmpty", "spool");
        assert!(!check(&spec));
        fs::write(f.scratch.join("spool/.hidden"), "").expect("write");
        assert!(!check(&spec));
        f.fired();
        fs::write(f.scratch.join("spool/job"), "").expect("write");
        assert!(f.fired() && check(&spec));
        let spec = f.watch("PathExistsGlob", "spool/*.done");
        assert!(!check(&spec));
        fs::write(f.scratch.join("spool/1.done"), "").expect("write");
        assert!(f.fired() && check(&spec));
    }
}
