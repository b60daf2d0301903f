//! Works on a plan of `core::tmpfiles`: makes, adjusts, cleans up and removes.
//!
//! Directories may belong to people who change them meanwhile. So everything is opened component by component (`chase`), acted
//! on by descriptor, and never by a path that was looked at before.
mod adjust;
mod clean;
mod copy;
mod create;
mod files;
mod glob;
pub mod machine;
mod report;

pub use files::{read_all, read_files};
pub use report::{Failed, Level, Report};

use crate::chase::{Found, Missing, Refusal, Trust, Way, place};
use clean::{Cleaner, Limit, Rule};
use runstead_core::names::path::components;
use runstead_core::tmpfiles::plan::{Id, Plan};
use runstead_core::tmpfiles::{AgeBy, Item, Kind};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Nobody makes directories so deep but to harm: each on the way is open meanwhile.
const DEPTH_MAX: usize = 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Operations {
    /// Make and adjust.
    pub create: bool,
    /// Remove what is too old.
    pub clean: bool,
    /// Remove what is marked.
    pub remove: bool,
    /// Remove what lines with `$` make.
    pub purge: bool,
}

impl Operations {
    /// Whether nothing is asked for.
    pub fn is_empty(self) -> bool {
        self == Operations::default()
    }

    fn without(self, done: Operations) -> Operations {
        Operations {
            create: self.create && !done.create,
            clean: self.clean && !done.clean,
            remove: self.remove && !done.remove,
            purge: self.purge && !done.purge,
        }
    }

    fn with(self, more: Operations) -> Operations {
        Operations {
            create: self.create || more.create,
            clean: self.clean || more.clean,
            remove: self.remove || more.remove,
            purge: self.purge || more.purge,
        }
    }
}

/// How a plan is worked on.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What is done.
    pub operations: Operations,
    /// It is only told.
    pub dry_run: bool,
    /// Where `/` of the plan is.
    pub root: PathBuf,
}

/// Works on one plan.
struct Runner<'a> {
    plan: &'a Plan,
    options: &'a Options,
    report: &'a Report,
    root: OwnedFd,
    /// What was done for each item.
    done: RefCell<Vec<Vec<Operations>>>,
    rules: Vec<Rule>,
    sockets: OnceLock<Option<HashSet<String>>>,
    hard_links: OnceCell<bool>,
    failed: Cell<bool>,
}

/// Does it; whether all went well. The process has no umask afterwards.
///
/// # Errors
/// When the root cannot be opened.
pub fn run(plan: &Plan, options: &Options, report: &Report) -> Result<(), Failed> {
    // What is made has the mode that its line says, whatever whoever calls likes.
    rustix::process::umask(Mode::empty());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&options.root, flags, Mode::empty())
        .map_err(|errno| report.failed("open", options.root.display(), errno))?;
    let rule = |(id, entry): (usize, &runstead_core::tmpfiles::plan::Entry)| Rule {
        components: components(&entry.path).map(str::to_owned).collect(),
        is_plain: id < plan.plain,
    };
    let runner = Runner {
        plan,
        options,
        report,
        root,
        done: RefCell::new(plan.entries.iter().map(|e| vec![Operations::default(); e.items.len()]).collect()),
        rules: plan.entries.iter().enumerate().map(rule).collect(),
        sockets: OnceLock::new(),
        hard_links: OnceCell::new(),
        failed: Cell::new(false),
    };
    let asked = options.operations;
    let none = Operations::default();
    // What is old goes before anything is made.
    let phases = [
        Operations { purge: asked.purge, ..none },
        Operations { remove: asked.remove, clean: asked.clean, ..none },
        Operations { create: asked.create, ..none },
    ];
    for phase in phases.into_iter().filter(|phase| !phase.is_empty()) {
        for id in 0..plan.entries.len() {
            runner.entry(id, phase);
        }
    }
    report.end();
    if runner.failed.get() { Err(Failed) } else { Ok(()) }
}

impl Runner<'_> {
    /// Directories above are made first, and emptied last.
    fn entry(&self, id: Id, operations: Operations) {
        let none = Operations::default();
        let entry = &self.plan.entries[id];
        if operations.create
            && let Some(parent) = entry.parent
        {
            self.entry(parent, Operations { create: true, ..none });
        }
        let removing = Operations { create: false, ..operations };
        if !removing.is_empty() {
            entry.children.iter().for_each(|child| self.entry(*child, removing));
        }
        for (at, item) in entry.items.iter().enumerate() {
            let todo = operations.without(self.done.borrow()[id][at]);
            let done = &mut self.done.borrow_mut()[id][at];
            *done = done.with(operations);
            if !todo.is_empty() {
                self.item(item, todo);
            }
        }
    }

    fn item(&self, item: &Item, todo: Operations) {
        let line = (item.letter, &item.path);
        self.report.say(Level::Debug, format_args!("line {} {}: {todo:?}", line.0, line.1));
        let mut failed = false;
        if todo.create {
            failed |= self.create(item).is_err() && !item.may_fail;
        }
        if todo.remove {
            failed |= self.remove(item).is_err();
        }
        if todo.clean {
            failed |= self.clean(item).is_err();
        }
        if todo.purge {
            failed |= self.purge(item).is_err();
        }
        if failed {
            self.failed.set(true);
        }
    }

    fn create(&self, item: &Item) -> Result<(), Failed> {
        match item.kind {
            Kind::Ignore | Kind::IgnoreDirectory | Kind::Remove | Kind::RemoveAll => Ok(()),
            Kind::Write => self.each(item, |path| self.write_into(item, path)),
            Kind::EmptyDirectory => self.each(item, |path| self.existing_directory(item, path)),
            kind if kind.takes_glob() => self.each(item, |path| {
                let trust = if kind.is_recursive() { Trust::Links } else { Trust::Strict };
                let Some(found) = self.look(path, trust, false)? else { return Ok(()) };
                if kind.is_recursive() {
                    self.all(item, found, path, 0)
                } else {
                    self.adjust(item, &found, path)
                }
            }),
            _ => self.make(item),
        }
    }

    /// Every path that the line is about.
    fn each(&self, item: &Item, act: impl Fn(&Path) -> Result<(), Failed>) -> Result<(), Failed> {
        let mut outcome = Ok(());
        for path in glob::expand(&self.way(Trust::Look, Missing::Fails), &item.path) {
            outcome = act(&path).and(outcome);
        }
        outcome
    }

    /// A path, its last component followed when it is a link and `follow`; what is to be adjusted itself has no `..`. `None` when it is gone, or would have to be mounted.
    fn look(&self, path: &Path, trust: Trust, follow: bool) -> Result<Option<Found>, Failed> {
        if trust == Trust::Strict && !follow && create::has_dots(path) {
            return Err(self.report.failed("use", path.display(), Errno::INVAL));
        }
        match self.way(trust, Missing::Fails).open(path, follow) {
            Ok(found) => Ok(Some(found)),
            Err(Refusal::Errno(Errno::NOENT) | Refusal::Automount(_)) => Ok(None),
            Err(refusal) => Err(self.refused("open", path, &refusal)),
        }
    }

    /// Something and all below it.
    fn all(&self, item: &Item, found: Found, path: &Path, depth: usize) -> Result<(), Failed> {
        let mut outcome = self.adjust(item, &found, path);
        if found.kind() != FileType::Directory {
            return outcome;
        }
        let failed = |errno| self.report.failed("read directory", path.display(), errno);
        if depth > DEPTH_MAX {
            return Err(failed(Errno::NAMETOOLONG));
        }
        let mut directory = found.directory(OFlags::empty()).and_then(Dir::new).map_err(failed)?;
        drop(found);
        while let Some(entry) = directory.read() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            match directory.fd().and_then(|fd| place(fd, name)) {
                Ok(found) => outcome = self.all(item, found, &path, depth + 1).and(outcome),
                Err(Errno::NOENT) => {}
                Err(errno) => outcome = Err(self.report.failed("open", path.display(), errno)),
            }
        }
        outcome
    }

    fn remove(&self, item: &Item) -> Result<(), Failed> {
        match item.kind {
            Kind::TruncateDirectory => self.remove_all(Path::new(&item.path), false),
            Kind::Remove => self.each(item, |path| self.remove_one(path)),
            Kind::RemoveAll => self.each(item, |path| self.remove_all(path, true)),
            _ => Ok(()),
        }
    }

    fn purge(&self, item: &Item) -> Result<(), Failed> {
        match item.kind {
            kind if !kind.makes() || !item.purge => Ok(()),
            kind if kind.takes_glob() => self.each(item, |path| self.remove_all(path, true)),
            _ => self.remove_all(Path::new(&item.path), true),
        }
    }

    fn clean(&self, item: &Item) -> Result<(), Failed> {
        match item.kind {
            kind if !kind.ages() => Ok(()),
            kind if kind.takes_glob() => self.each(item, |path| self.clean_one(item, path)),
            // What the line makes is there all the same: what was told of it is no failure.
            _ => {
                let _ = self.clean_one(item, Path::new(&item.path));
                Ok(())
            }
        }
    }

    fn clean_one(&self, item: &Item, path: &Path) -> Result<(), Failed> {
        let Some(age) = item.age else { return Ok(()) };
        let Some(cutoff) = clean::cutoff(age.usec) else { return Ok(()) };
        let limit =
            Limit { cutoff: Some(cutoff), of_directories: age.of_directories, of_files: age.of_files };
        let Some((parent, name)) = self.parent_of(path)? else { return Ok(()) };
        let directory = clean::open_directory(&parent.fd, name)
            .map_err(|errno| self.report.failed("open", path.display(), errno))?;
        let Some(directory) = directory else { return Ok(()) };
        self.cleaner(limit).clean(path, directory, age.keep_first_level, &self.rules)
    }

    fn cleaner(&self, limit: Limit) -> Cleaner<'_> {
        Cleaner {
            limit,
            dry_run: self.options.dry_run,
            report: self.report,
            sockets: &self.sockets,
            root: &self.options.root,
        }
    }

    /// Where a path is, for removal. `None` when it is not there.
    fn parent_of<'p>(&self, path: &'p Path) -> Result<Option<(Found, &'p OsStr)>, Failed> {
        match self.way(Trust::Links, Missing::Fails).parent(path) {
            Ok(found) => Ok(Some(found)),
            Err(
                Refusal::Errno(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) | Refusal::Automount(_),
            ) => Ok(None),
            Err(refusal) => Err(self.refused("open the directory of", path, &refusal)),
        }
    }

    fn is_below_file(&self, path: &Path) -> bool {
        let opened = self.way(Trust::Look, Missing::Fails).open(path, false);
        matches!(opened, Err(Refusal::Errno(Errno::NOTDIR)))
    }

    /// `r`: a file or an empty directory.
    fn remove_one(&self, path: &Path) -> Result<(), Failed> {
        let Some((parent, name)) = self.parent_of(path)? else { return Ok(()) };
        if self.would(|| format!("remove {}", path.display())) {
            return Ok(());
        }
        let removed = match clean::unlink(parent.fd.as_fd(), name, false) {
            Err(Errno::ISDIR) => clean::unlink(parent.fd.as_fd(), name, true),
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.report.failed("remove", path.display(), errno)),
        }
    }

    /// What is in a directory; and the path itself when `itself`.
    fn remove_all(&self, path: &Path, itself: bool) -> Result<(), Failed> {
        let failed = |errno| self.report.failed("remove", path.display(), errno);
        let Some((parent, name)) = self.parent_of(path)? else {
            let is_below_file = itself && self.is_below_file(path);
            return if is_below_file { Err(failed(Errno::NOTDIR)) } else { Ok(()) };
        };
        let directory = clean::open_directory(&parent.fd, name).map_err(failed)?;
        let is_directory = directory.is_some();
        let mut outcome = Ok(());
        if let Some(directory) = directory {
            let all = AgeBy { access: false, birth: false, change: false, modification: false };
            let limit = Limit { cutoff: None, of_directories: all, of_files: all };
            outcome = self.cleaner(limit).clean(path, directory, false, &self.rules);
        }
        if !itself || self.would(|| format!("remove {}", path.display())) {
            return outcome;
        }
        match clean::unlink(parent.fd.as_fd(), name, is_directory) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => outcome,
            Err(errno) => Err(failed(errno)),
        }
    }

    fn way(&self, trust: Trust, missing: Missing) -> Way<'_> {
        Way { root: self.root.as_fd(), trust, missing }
    }

    fn refused(&self, attempted: &str, path: &Path, refusal: &Refusal) -> Failed {
        match refusal {
            Refusal::Errno(errno) => self.report.failed(attempted, path.display(), *errno),
            other => {
                let text = format_args!("cannot {attempted} {}: {other}", path.display());
                self.report.say(Level::Error, text);
                Failed
            }
        }
    }

    /// Tells what would be done, when it is only told.
    fn would(&self, what: impl FnOnce() -> String) -> bool {
        if self.options.dry_run {
            self.report.say(Level::Info, format_args!("would {}", what()));
        }
        self.options.dry_run
    }

    /// Nobody can give a file that is another's a name in a directory of his own (proc(5)).
    fn hard_links_are_protected(&self) -> bool {
        let read = || std::fs::read_to_string("/proc/sys/fs/protected_hardlinks");
        *self.hard_links.get_or_init(|| read().is_ok_and(|text| text.trim() != "0"))
    }
}

#[cfg(test)]
mod tests;
