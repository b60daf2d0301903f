//! A unit's files taken together.

use super::parse::{Assignment, UnitFile};
use super::warning::{Broken, Warning};

/// An assignment and the file that it stands in.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    /// The file.
    pub file: &'a UnitFile,
    /// The assignment.
    pub assignment: &'a Assignment,
    /// The file is a drop-in.
    pub dropin: bool,
}

/// The fragment and the drop-ins, in the order in which they count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFiles {
    /// The main file; units may have drop-ins only.
    pub fragment: Option<UnitFile>,
    /// Drop-ins, sorted by file name.
    pub dropins: Vec<UnitFile>,
}

impl UnitFiles {
    /// All files in order.
    pub fn files(&self) -> impl Iterator<Item = &UnitFile> {
        self.fragment.iter().chain(&self.dropins)
    }

    /// All assignments in the order in which they count. An empty value (`Key=`) is an assignment like others:
    /// whether it resets a list is the setting's affair.
    pub fn assignments(&self) -> impl Iterator<Item = Located<'_>> {
        let fragment = self.fragment.iter().map(|file| (file, false));
        let dropins = self.dropins.iter().map(|file| (file, true));
        fragment.chain(dropins).flat_map(|(file, dropin)| {
            file.assignments.iter().map(move |assignment| Located { file, assignment, dropin })
        })
    }

    /// The values of one setting, in order.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.files().flat_map(move |file| file.values(section, key))
    }

    /// What was skipped in all files.
    pub fn warnings(&self) -> impl Iterator<Item = &Warning> {
        self.files().flat_map(|file| &file.warnings)
    }

    /// Why the unit fails to load: only its fragment counts, broken drop-ins are used as far as they were read.
    pub fn broken(&self) -> Option<&Broken> {
        self.fragment.as_ref().and_then(|file| file.broken.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn order_and_failure() {
        let files = UnitFiles {
            fragment: Some(parse("a", b"[S]\nE=1\n")),
            dropins: vec![parse("b", b"[S]\nE=\nE=2\n[bad\nE=3\n"), parse("c", b"[S]\nE=4\n")],
        };
        let all: Vec<_> =
            files.assignments().map(|l| (&*l.file.path, &*l.assignment.value, l.dropin)).collect();
        assert_eq!(all, [("a", "1", false), ("b", "", true), ("b", "2", true), ("c", "4", true)]);
        assert_eq!(files.values("S", "E").collect::<Vec<_>>(), ["1", "", "2", "4"]);
        assert_eq!(files.warnings().count(), 1);
        assert_eq!(files.broken(), None);
    }
}
