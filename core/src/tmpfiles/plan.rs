//! Items in the order in which they are acted on.
use super::{Age, Item, Kind};
use crate::names::path::is_within;
use std::collections::BTreeMap;

/// All lines about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path, or the pattern.
    pub path: String,
    /// What says what it is, then what adds to that, each by its letter.
    pub items: Vec<Item>,
    /// The entry for the nearest directory above.
    pub parent: Option<Id>,
    /// Entries below this one.
    pub children: Vec<Id>,
}

/// An entry of a plan.
pub type Id = usize;

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// First those with plain paths, in order, then those with patterns, in order.
    pub entries: Vec<Entry>,
    /// How many have plain paths.
    pub plain: usize,
}

/// Collects lines.
#[derive(Debug, Default)]
pub struct Builder {
    plain: Ordered,
    globs: Ordered,
}

#[derive(Debug, Default)]
struct Ordered {
    lists: Vec<(String, Vec<Item>)>,
    by_path: BTreeMap<String, usize>,
}

impl Ordered {
    fn add(&mut self, item: Item) -> bool {
        let at = *self.by_path.entry(item.path.clone()).or_insert_with(|| {
            self.lists.push((item.path.clone(), Vec::new()));
            self.lists.len() - 1
        });
        let items = &mut self.lists[at].1;
        if items.iter().any(|other| !are_compatible(other, &item)) {
            return false;
        }
        items.push(item);
        items.sort_by_key(|item| (!item.kind.owns(), item.letter));
        true
    }
}

/// Two lines that say what a path is must say the same, unless both add text to it.
fn are_compatible(a: &Item, b: &Item) -> bool {
    let adds = |item: &Item| item.force && item.kind == Kind::Write;
    adds(a) && adds(b)
        || !(a.kind.owns() && b.kind.owns())
        || (a.argument == b.argument
            && a.mode == b.mode
            && a.user == b.user
            && a.group == b.group
            && a.age == b.age)
}

impl Builder {
    /// Adds a line. `false`: another line for the path says something else, and this one is ignored.
    pub fn add(&mut self, item: Item) -> bool {
        if item.kind.takes_glob() { self.globs.add(item) } else { self.plain.add(item) }
    }

    /// The plan of what was added.
    pub fn plan(mut self) -> Plan {
        self.ages_of_ignored();
        let plain = self.plain.lists.len();
        let lists = self.plain.lists.into_iter().chain(self.globs.lists);
        let mut entries: Vec<Entry> =
            lists.map(|(path, items)| Entry { path, items, parent: None, children: Vec::new() }).collect();
        for id in 0..entries.len() {
            let above = above(&entries[id].path).find_map(|path| {
                let globs = self.globs.by_path.get(path).map(|at| plain + at);
                self.plain.by_path.get(path).copied().or(globs)
            });
            entries[id].parent = above;
            if let Some(above) = above {
                entries[above].children.push(id);
            }
        }
        Plan { entries, plain }
    }

    /// What `X` leaves alone is cleaned with the age of the directory that it is in.
    fn ages_of_ignored(&mut self) {
        let directories: Vec<&Item> =
            self.plain.lists.iter().flat_map(|(_, items)| items).filter(|i| i.kind.is_directory()).collect();
        let ignored = self.globs.lists.iter_mut().flat_map(|(_, items)| items);
        for item in ignored.filter(|item| item.kind == Kind::IgnoreDirectory) {
            let around = directories.iter().filter(|directory| is_within(&item.path, &directory.path));
            let nearest = around.max_by_key(|directory| directory.path.len());
            if let Some(age) = nearest.and_then(|directory| directory.age) {
                item.age = Some(Age { usec: age.usec, ..item.age.unwrap_or(Age::all(0)) });
            }
        }
    }
}

/// The directories above a path, the nearest first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::item;
    use super::*;

    fn plan(lines: &[&str]) -> (Plan, Vec<bool>) {
        let mut builder = Builder::default();
        let taken = lines.iter().map(|line| builder.add(item(line))).collect();
        (builder.plan(), taken)
    }

    #[test]
    fn one_says_what_a_path_is_and_others_add() {
        let lines = ["z /a 0700", "d /a 0755", "d /a 0755", "d /a 0700", "f+ /a", "a+ /a - - - - u:0:r"];
        let (plan, taken) = plan(&lines);
        assert_eq!(taken, [true, true, true, false, false, true]);
        let letters = |entry: &Entry| entry.items.iter().map(|item| item.letter).collect::<String>();
        assert_eq!(plan.entries.iter().map(letters).collect::<Vec<_>>(), ["dd", "az"]);
        let lines = ["w+ /a - - - - x", "w+ /a - - - - y", "w /a - - - - z", "X /b", "w+ /b - - - - x"];
        assert_eq!(super::tests::plan(&lines).1, [true, true, false, true, false]);
    }

    #[test]
    fn directories_know_what_is_below() {
        let (plan, _) = plan(&["f /a/b/c", "d /a", "R /a/b/*", "d /ab"]);
        assert_eq!(plan.plain, 3);
        assert_eq!(plan.entries[0].parent, Some(1));
        assert_eq!(plan.entries[1].children, [0, 3]);
        assert_eq!(plan.entries[2].parent, None);
    }

    #[test]
    fn what_is_left_alone_has_the_age_of_what_is_around() {
        let (plan, _) = plan(&["d /t - - - 10d", "d /t/u - - - 1d", "X /t/u/x", "X /t/y", "X /z"]);
        let age = |path: &str| {
            let entry = plan.entries.iter().find(|entry| entry.path == path);
            entry.and_then(|entry| entry.items[0].age).map(|age| age.usec / 86_400_000_000)
        };
        assert_eq!((age("/t/u/x"), age("/t/y"), age("/z")), (Some(1), Some(10), None));
    }
}
