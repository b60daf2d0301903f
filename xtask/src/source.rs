//! Rust source as tidy reads it: files, and their code without comments and literals.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust files below a directory, sorted.
pub fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != "target" {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text with comments and the contents of literals blanked; lines keep their numbers.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at).unwrap_or(at);
        if end == at {
            out.push(char::from(bytes[at]));
            at += 1;
            continue;
        }
        out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `None` when none begins there.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let after = |needle: &[u8], from: usize| {
        let found = rest.get(from..)?.windows(needle.len()).position(|w| w == needle)?;
        Some(at + from + found + needle.len())
    };
    let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return Some(after(b"\n", 2).map_or(bytes.len(), |end| end - 1));
    }
    if rest.starts_with(b"/*") {
        return Some(after(b"*/", 2).unwrap_or(bytes.len()));
    }
    if rest.starts_with(b"r") && !word_before {
        let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            return Some(after(&close, 2 + hashes).unwrap_or(bytes.len()));
        }
    }
    if rest.starts_with(b"\"") {
        return Some(at + quoted_len(rest, b'"'));
    }
    // 'x' and '\n' are characters; 'a in a type is a lifetime.
    if rest.starts_with(b"'") && (rest.get(1) == Some(&b'\\') || rest.get(2) == Some(&b'\'')) {
        return Some(at + quoted_len(rest, b'\''));
    }
    None
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The part of the code before its test module.
pub fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").map_or(code, |at| &code[..at])
}

/// Whether `word` stands in the line with no identifier character on either side.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_part);
        let after = line[at + word.len()..].chars().next().is_some_and(is_part);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_blank_and_code_stays() {
        let text = "let a = \"unsafe \\\" x\"; // unsafe\nlet b = 'u'; /* unsafe\n */ fn f<'a>(x: &'a str) {}\nr#\"unsafe \" \"#;";
        let code = code_only(text);
        assert!(!code.contains("unsafe"));
        assert!(code.contains("fn f<'a>(x: &'a str) {}"));
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("unsafe { x }", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(!has_word("NotInstantiable", "Instant"));
        assert!(has_word("std::fs::read", "std::fs"));
    }

    #[test]
    fn tests_are_cut_off() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {}"), "a\n");
    }
}
