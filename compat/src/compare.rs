//! Two boots of one root laid side by side: the units and the entries under `/run/systemd`.
//!
//! What cannot be equal in two boots of the same PID 1 is masked: inode numbers of journal streams and random
//! ids. Every other difference counts, and has to be a line in `COMPAT.md` that begins with its subject:
//! "- `/run/systemd/...`" or "- `name.service`", followed by the reason.

use crate::machine::Machine;
use crate::root::Distribution;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// More differences than this fail, listed or not.
pub const MOST: usize = 5;
/// Most lines of `COMPAT.md` that a comparison on Debian 12 may need: there we are as 257, and the reference is 252.
pub const MOST_OLDER: usize = 8;

/// What one boot left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Unit name to `LOAD ACTIVE SUB`.
    pub units: BTreeMap<String, String>,
    /// Masked path to type, mode, owner, group and link target; once for each entry with that masked path.
    pub entries: BTreeMap<String, Vec<String>>,
}

/// One subject that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A unit's name or a path.
    pub subject: String,
    /// What the reference has; empty when it has none.
    pub reference: String,
    /// What we have; empty when we have none.
    pub ours: String,
    /// Whether it is a unit whose active state differs: never tolerated.
    pub active_state: bool,
}

impl Snapshot {
    /// Reads it from a running machine through its own clients.
    pub fn take(machine: &Machine) -> Result<Snapshot> {
        let units =
            output(machine, &["systemctl", "list-units", "--all", "--full", "--plain", "--no-legend"])?;
        let tree = output(machine, &["find", "/run/systemd", "-printf", "%p %y %m %u %g %l\\n"])?;
        Ok(Snapshot { units: parse_units(&units), entries: parse_entries(&tree) })
    }

    /// The units that failed.
    pub fn failed(&self) -> Vec<&str> {
        self.units.iter().filter(|(_, s)| s.contains(" failed ")).map(|(name, _)| name.as_str()).collect()
    }

    /// Where `other` differs from this one, the reference.
    pub fn differences(&self, other: &Snapshot) -> Vec<Difference> {
        let mut found = Vec::new();
        let names: BTreeSet<&String> = self.units.keys().chain(other.units.keys()).collect();
        for name in names {
            let side = |s: &Snapshot| s.units.get(name).cloned().unwrap_or_default();
            let (reference, ours) = (side(self), side(other));
            let active = |s: &str| s.split(' ').nth(1).unwrap_or("inactive").to_owned();
            let active_state = active(&reference) != active(&ours);
            push(&mut found, name, reference, ours, active_state);
        }
        let paths: BTreeSet<&String> = self.entries.keys().chain(other.entries.keys()).collect();
        for path in paths {
            let side = |s: &Snapshot| s.entries.get(path).map(|e| e.join(" + ")).unwrap_or_default();
            push(&mut found, path, side(self), side(other), false);
        }
        found
    }
}

fn push(found: &mut Vec<Difference>, subject: &str, reference: String, ours: String, active_state: bool) {
    if reference != ours {
        found.push(Difference { subject: subject.to_owned(), reference, ours, active_state });
    }
}

/// What `COMPAT.md` tolerates on a root: lines that begin with the names of units and paths.
#[derive(Debug, Default)]
pub struct Tolerated<'a> {
    lines: Vec<Vec<&'a str>>,
    /// Lines of the section that only an older root has: there 257 is other than the reference, also in states.
    older: Vec<Vec<&'a str>>,
}

impl<'a> Tolerated<'a> {
    /// From the file's text.
    pub fn read(compat: &'a str, distribution: Distribution) -> Tolerated<'a> {
        let mut found = Tolerated::default();
        let mut older = false;
        for line in compat.lines() {
            if line.starts_with("## ") {
                older = line.contains("Debian 12");
            }
            let Some(rest) = line.trim_start().strip_prefix("- `") else { continue };
            let names = rest.split(':').next().unwrap_or(rest).split('`').step_by(2).collect();
            match older {
                true if distribution == Distribution::Debian12 => found.older.push(names),
                true => {}
                false => found.lines.push(names),
            }
        }
        found
    }

    /// The differences that no line tolerates, and how many lines the others need.
    pub fn judge<'d>(&self, differences: &'d [Difference]) -> (Vec<&'d Difference>, usize) {
        let holds = |names: &&Vec<&str>, d: &Difference| names.contains(&d.subject.as_str());
        let mut used = BTreeSet::new();
        let mut bad = Vec::new();
        for d in differences {
            let older = self.older.iter().find(|names| holds(names, d));
            let line = older.or_else(|| self.lines.iter().find(|names| holds(names, d) && !d.active_state));
            match line {
                Some(names) => drop(used.insert(names)),
                None => bad.push(d),
            }
        }
        (bad, used.len())
    }
}

fn output(machine: &Machine, words: &[&str]) -> Result<String> {
    let output = machine.run(words)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("`{}`: {}: {said}", words.join(" "), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse_units(list: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        Some((name, words.take(3).collect::<Vec<_>>().join(" ")))
    };
    list.lines().filter_map(row).collect()
}

fn parse_entries(tree: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in tree.lines() {
        let (path, rest) = line.split_once(' ').unwrap_or((line, ""));
        all.entry(mask(path)).or_default().push(mask(rest.trim_end()));
    }
    all
}

/// Replaces numbers of a stream (`8:12345`) and 128 bit ids by what they are.
fn mask(text: &str) -> String {
    let parts = text.split_inclusive(['/', ' ']).map(|part| {
        let (word, end) = match part.strip_suffix(['/', ' ']) {
            Some(word) => (word, &part[word.len()..]),
            None => (part, ""),
        };
        let is_id = word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let is_stream = word.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b));
        let masked = if is_id {
            "<id>"
        } else if is_stream {
            "<stream>"
        } else {
            word
        };
        format!("{masked}{end}")
    });
    parts.collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_ids_are_masked() {
        let tree = "/run/systemd/journal/streams/9:18493 f 600 root root \n\
                    /run/systemd/journal/streams/9:18494 f 600 root root \n\
                    /run/systemd/units/invocation:a.service l 777 root root 40c55372207d4be090f95dd3a9abb548\n";
        let entries = parse_entries(tree);
        assert_eq!(entries["/run/systemd/journal/streams/<stream>"], ["f 600 root root", "f 600 root root"]);
        assert_eq!(entries["/run/systemd/units/invocation:a.service"], ["l 777 root root <id>"]);
    }

    #[test]
    fn a_difference_is_tolerated_only_when_listed_and_never_an_active_state() {
        let of = |units: &[(&str, &str)]| Snapshot {
            units: units.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            entries: BTreeMap::new(),
        };
        let reference = of(&[("a.service", "loaded active running"), ("b.mount", "loaded active mounted")]);
        let ours = of(&[("a.service", "loaded active exited"), ("b.mount", "loaded failed failed")]);
        let found = reference.differences(&ours);
        assert_eq!(found.len(), 2);
        let judge = |text: &'static str, distribution| Tolerated::read(text, distribution).judge(&found).0;
        assert_eq!(judge("", Distribution::Debian13).len(), 2);
        let older = "## On a Debian 12 root\n- `a.service`, `b.mount`: because\n";
        assert_eq!(judge(older, Distribution::Debian13).len(), 2);
        assert!(judge(older, Distribution::Debian12).is_empty(), "there states may differ, too");
        let left = judge("- `a.service` because\n- `b.mount` because\n", Distribution::Debian13);
        assert_eq!(left.iter().map(|d| d.subject.as_str()).collect::<Vec<_>>(), ["b.mount"]);
        assert_eq!(ours.failed(), ["b.mount"]);
    }

    #[test]
    fn a_missing_inactive_unit_is_a_difference_of_presence_only() {
        let reference =
            Snapshot { units: parse_units("x.path loaded inactive dead X"), ..Snapshot::default() };
        let found = reference.differences(&Snapshot::default());
        assert!(!found[0].active_state);
        assert_eq!(found[0].reference, "loaded inactive dead");
    }
}
