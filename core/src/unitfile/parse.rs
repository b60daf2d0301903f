//! One file: bytes to sections and assignments.

use super::warning::{Broken, Warning, WarningKind};
use std::rc::Rc;

/// The longest line, with all that backslashes join to it, in bytes.
pub const LINE_MAX: usize = 1 << 20;
/// Longest part of an offending line that a warning keeps, in characters.
const QUOTED_MAX: usize = 128;

/// `key=value` in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Name of the section.
    pub section: Rc<str>,
    /// Left of `=`, trimmed.
    pub key: Rc<str>,
    /// Right of `=`, trimmed; joined lines have a space for the backslash.
    pub value: Rc<str>,
    /// The line, from 1; the last one where several were joined.
    pub line: u32,
}

/// A section header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The name between the brackets.
    pub name: Rc<str>,
    /// The line, from 1.
    pub line: u32,
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFile {
    /// The path it was read from, for messages.
    pub path: Rc<str>,
    /// Section headers in order; a name may stand more than once.
    pub sections: Vec<Section>,
    /// Assignments in order.
    pub assignments: Vec<Assignment>,
    /// What was skipped.
    pub warnings: Vec<Warning>,
    /// Why reading stopped before the end, if it did.
    pub broken: Option<Broken>,
    /// How many lines were read.
    pub lines: u32,
}

impl UnitFile {
    /// The values of one setting, in order.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.assignments.iter().filter(move |a| &*a.section == section && &*a.key == key).map(|a| &*a.value)
    }
}

/// Reads a file. Never fails; see [`UnitFile::warnings`] and [`UnitFile::broken`].
pub fn parse(path: &str, bytes: &[u8]) -> UnitFile {
    let mut reader = Reader {
        file: UnitFile { path: Rc::from(path), ..UnitFile::default() },
        section: None,
        last_key: None,
        joined: None,
    };
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (line, ended_by_nul) in Lines(body) {
        reader.file.lines = reader.file.lines.saturating_add(1);
        if ended_by_nul {
            reader.warn(WarningKind::Nul);
        }
        if let Err(broken) = reader.line(line) {
            reader.stop(broken);
            return reader.file;
        }
    }
    if let Some(joined) = reader.joined.take()
        && let Err(broken) = reader.statement(&joined)
    {
        reader.stop(broken);
    }
    reader.file
}

/// Lines end with a newline, a carriage return, both, or a NUL byte; says which ended with NUL.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], bool);

    fn next(&mut self) -> Option<(&'a [u8], bool)> {
        if self.0.is_empty() {
            return None;
        }
        let Some(end) = self.0.iter().position(|b| matches!(b, b'\n' | b'\r' | 0)) else {
            return Some((std::mem::take(&mut self.0), false));
        };
        let (line, rest) = self.0.split_at(end);
        let (ending, rest) = match rest {
            [b'\r', b'\n', rest @ ..] | [b'\n', b'\r', rest @ ..] => (b'\n', rest),
            [ending, rest @ ..] => (*ending, rest),
            [] => (b'\n', rest),
        };
        self.0 = rest;
        Some((line, ending == 0))
    }
}

struct Reader {
    file: UnitFile,
    section: Option<Rc<str>>,
    /// Keys repeat: share the text.
    last_key: Option<Rc<str>>,
    /// Lines joined so far by backslashes.
    joined: Option<Vec<u8>>,
}

fn trim(mut text: &[u8]) -> &[u8] {
    let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    while let [first, rest @ ..] = text
        && space(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && space(last)
    {
        text = rest;
    }
    text
}

/// Whether the line's last backslash is not itself escaped.
fn ends_in_backslash(line: &[u8]) -> bool {
    line.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

impl Reader {
    fn warn(&mut self, kind: WarningKind) {
        self.file.warnings.push(Warning { file: self.file.path.clone(), line: self.file.lines, kind });
    }

    fn stop(&mut self, broken: Broken) {
        self.warn(WarningKind::Broken(broken.clone()));
        self.file.broken = Some(broken);
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        // Comments also stand between joined lines.
        let first = line.iter().find(|b| !matches!(b, b' ' | b'\t'));
        if matches!(first, Some(b'#' | b';')) {
            return Ok(());
        }
        if self.joined.as_ref().map_or(0, Vec::len).saturating_add(line.len()) > LINE_MAX {
            return Err(Broken::LineTooLong);
        }
        let mut whole = self.joined.take();
        let statement: &[u8] = match &mut whole {
            Some(joined) => {
                joined.extend_from_slice(line);
                joined
            }
            None => line,
        };
        if ends_in_backslash(statement) {
            let mut joined = whole.unwrap_or_else(|| line.to_vec());
            if let Some(last) = joined.last_mut() {
                *last = b' ';
            }
            self.joined = Some(joined);
            return Ok(());
        }
        self.statement(statement)
    }

    /// A section header or an assignment.
    fn statement(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let bytes = trim(bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.warn(WarningKind::NotUtf8);
            return Ok(());
        };
        if let Some(rest) = text.strip_prefix('[') {
            let name = rest.strip_suffix(']').filter(|name| is_safe_name(name));
            let name = name.ok_or_else(|| Broken::SectionHeader(text.chars().take(QUOTED_MAX).collect()))?;
            let name: Rc<str> = Rc::from(name);
            self.file.sections.push(Section { name: name.clone(), line: self.file.lines });
            self.section = Some(name);
            return Ok(());
        }
        let Some(section) = self.section.clone() else {
            self.warn(WarningKind::OutsideSection);
            return Ok(());
        };
        match text.split_once('=') {
            None => self.warn(WarningKind::NoEquals),
            Some(("", _)) => self.warn(WarningKind::NoKey),
            Some((key, value)) => {
                let key = key.trim_end_matches([' ', '\t', '\n', '\r']);
                let value = value.trim_start_matches([' ', '\t', '\n', '\r']);
                let key = match &self.last_key {
                    Some(last) if **last == *key => last.clone(),
                    _ => Rc::from(key),
                };
                self.last_key = Some(key.clone());
                let line = self.file.lines;
                self.file.assignments.push(Assignment { section, key, value: Rc::from(value), line });
            }
        }
        Ok(())
    }
}

fn is_safe_name(name: &str) -> bool {
    !name.chars().any(|c| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listing(bytes: &[u8]) -> Vec<String> {
        let file = parse("f", bytes);
        file.assignments.iter().map(|a| format!("{}.{}={}:{}", a.section, a.key, a.value, a.line)).collect()
    }

    fn warnings(bytes: &[u8]) -> Vec<String> {
        parse("f", bytes).warnings.iter().map(Warning::to_string).collect()
    }

    /// Observed on the reference.
    #[test]
    fn joined_lines() {
        let text = b"[Unit]\nDescription=a \\\n  b\\\n# c\n ; d\n\n e\nDocumentation=x\n";
        assert_eq!(listing(text), ["Unit.Description=a    b:6", "Unit.Documentation=x:8"]);
        assert_eq!(warnings(text), ["f:7: Missing '=', ignoring line."]);
        assert_eq!(listing(b"[U]\nA=q\\\\\nB=last\\"), ["U.A=q\\\\:2", "U.B=last:3"]);
    }

    /// Observed on the reference.
    #[test]
    fn line_ends() {
        assert_eq!(listing(b"[U]\r\nA=1\rB=2\r\nC=3"), ["U.A=1:2", "U.B=2:3", "U.C=3:4"]);
        assert_eq!(listing(b"[U]\nA=1\0B=2\n"), ["U.A=1:2", "U.B=2:3"]);
        assert_eq!(warnings(b"[U]\nA=1\0B=2\n"), ["f:2: NUL byte, taken as the end of the line."]);
    }

    /// Observed on the reference.
    #[test]
    fn lines_that_are_skipped() {
        let text = b"D=0\n[U]\n=x\nfoo\n[X-Foo]\nB = 2 \n[ S]x]\n\xff=1\nNo such=\n";
        assert_eq!(listing(text), ["X-Foo.B=2:6", " S]x.No such=:9"]);
        assert_eq!(
            warnings(text),
            [
                "f:1: Assignment outside of section. Ignoring.",
                "f:3: Missing key name before '=', ignoring line.",
                "f:4: Missing '=', ignoring line.",
                "f:8: String is not UTF-8 clean, ignoring assignment.",
            ]
        );
    }

    /// Observed on the reference: what stands before the bad header counts.
    #[test]
    fn broken_files() {
        let file = parse("f", b"[U]\nA=a\n[U\nA=b\n[S]\nB=1\n");
        assert_eq!(file.broken, Some(Broken::SectionHeader("[U".into())));
        assert_eq!(file.assignments.len(), 1);
        assert_eq!(file.warnings.len(), 1);
        let long = [b"[U]\nA=".to_vec(), vec![b'a'; LINE_MAX]].concat();
        assert_eq!(parse("f", &long).broken.map(|b| b.errno()), Some(105));
        let joined = [b"[U]\nA=".to_vec(), b"aaaa\\\n".repeat(LINE_MAX / 4)].concat();
        assert_eq!(parse("f", &joined).broken, Some(Broken::LineTooLong));
    }

    #[test]
    fn byte_order_mark() {
        assert_eq!(listing(b"\xef\xbb\xbf[U]\nA=1"), ["U.A=1:2"]);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            check(&bytes)?;
        }

        #[test]
        fn likely_bytes(text in "[\\[\\]A-C=\\\\#; \n\r\0\u{e4}]{0,120}") {
            check(text.as_bytes())?;
        }
    }

    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        let file = parse("f", bytes);
        let lines = file.assignments.iter().map(|a| a.line);
        let lines =
            lines.chain(file.sections.iter().map(|s| s.line)).chain(file.warnings.iter().map(|w| w.line));
        for line in lines {
            prop_assert!((1..=file.lines).contains(&line));
        }
        prop_assert!(usize::try_from(file.lines).unwrap_or(0) <= bytes.len());
        for pair in file.assignments.windows(2) {
            prop_assert!(pair[0].line < pair[1].line);
        }
        Ok(())
    }
}
