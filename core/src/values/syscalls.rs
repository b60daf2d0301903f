//! System call filter lists (`systemd.exec(5)` `SystemCallFilter=`, `SystemCallLog=`).

use super::syscall_groups::GROUPS;
use super::{ValueError, WHITESPACE, errno};
use std::collections::BTreeSet;

/// `kill` as a number of `SystemCallErrorNumber=`.
pub const KILL: i64 = 0x7fff_fffe;

/// What a filtered call gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process is killed.
    Kill,
    /// The call fails with this error.
    Errno(u16),
}

/// One word of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// A system call or a group with its `@`.
    pub name: String,
    /// The action given behind `:`.
    pub action: Option<Action>,
}

/// One assignment of a filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The list began with `~`.
    pub invert: bool,
    /// The words in order.
    pub items: Vec<Item>,
}

/// The members of a group, groups in turn not opened.
pub fn group(name: &str) -> Option<impl Iterator<Item = &'static str> + use<>> {
    GROUPS.iter().find(|(known, _)| *known == name).map(|(_, members)| members.split_ascii_whitespace())
}

/// Whether the name is a group or a call that the reference knows.
pub fn is_known(name: &str) -> bool {
    canonical(name).is_some()
}

/// The table's own copy of a name. Some members of groups exist on other architectures only and are missing in
/// `@known`.
fn canonical(name: &str) -> Option<&'static str> {
    let mut names = GROUPS.iter().map(|(known, _)| *known);
    if name.starts_with('@') {
        return names.find(|known| *known == name);
    }
    let mut members = GROUPS.iter().rev().flat_map(|(_, members)| members.split_ascii_whitespace());
    members.find(|known| *known == name)
}

/// The calls that a name stands for: a call for itself, a group for all its members.
pub fn resolve(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    let mut queue: Vec<&'static str> = canonical(name).into_iter().collect();
    while let Some(next) = queue.pop() {
        if !next.starts_with('@') {
            found.insert(next);
        } else if seen.insert(next) {
            queue.extend(group(next).into_iter().flatten());
        }
    }
    found
}

/// A word as lists keep it: whether it forbids (`~`), the call or group, and the action behind `:`.
pub fn parts(item: &str) -> (bool, &str, Option<&str>) {
    let (forbids, rest) = item.strip_prefix('~').map_or((false, item), |rest| (true, rest));
    let (name, action) = rest.split_once(':').map_or((rest, None), |(name, action)| (name, Some(action)));
    (forbids, name, action)
}

/// Parses an action: `kill`, an error name or number.
pub fn parse_action(text: &str) -> Result<Action, ValueError> {
    if text == "kill" { Ok(Action::Kill) } else { errno::parse(text).map(Action::Errno) }
}

/// Parses a list; words that are not known are left out and given back for a warning.
pub fn parse(text: &str) -> (Assignment, Vec<ValueError>) {
    let (invert, list) = match text.strip_prefix('~') {
        Some(list) => (true, list),
        None => (false, text),
    };
    let mut assignment = Assignment { invert, items: Vec::new() };
    let mut errors = Vec::new();
    for word in list.split(WHITESPACE).filter(|word| !word.is_empty()) {
        let (name, action) = match word.split_once(':') {
            Some((name, action)) => match parse_action(action) {
                Ok(action) => (name, Some(action)),
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            },
            None => (word, None),
        };
        if is_known(name) {
            assignment.items.push(Item { name: name.to_owned(), action });
        } else {
            errors.push(ValueError::new("system call", name, "no such system call or group"));
        }
    }
    (assignment, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_closed() {
        for (name, members) in GROUPS {
            for member in members.split_ascii_whitespace() {
                assert!(is_known(member), "{member} in {name}");
            }
        }
        assert_eq!(GROUPS.len(), 30);
        let service = resolve("@system-service");
        assert!(service.contains("read") && service.contains("openat") && !service.contains("reboot"));
        assert_eq!(resolve("mount").into_iter().collect::<Vec<_>>(), ["mount"]);
        assert!(resolve("nope").is_empty());
    }

    #[test]
    fn lists() {
        let (list, errors) = parse("~@mount reboot:EPERM nope kexec_load:kill swapon:5 x:ENOPE");
        assert!(list.invert);
        assert_eq!(errors.len(), 2);
        let actions: Vec<_> = list.items.iter().map(|i| (i.name.as_str(), i.action)).collect();
        assert_eq!(
            actions,
            [
                ("@mount", None),
                ("reboot", Some(Action::Errno(1))),
                ("kexec_load", Some(Action::Kill)),
                ("swapon", Some(Action::Errno(5))),
            ]
        );
    }
}
