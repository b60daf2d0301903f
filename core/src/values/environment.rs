//! Environment variables: `Environment=` assignments and `EnvironmentFile=` contents (`systemd.exec(5)`).

use super::{ValueError, quoting};
use std::collections::BTreeMap;

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// Whether this is a name that a variable may have: ASCII letters, digits and `_`, no digit first.
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether this is a value that a variable may have: no control characters but tabulator and newline.
pub fn is_valid_value(value: &str) -> bool {
    !value.chars().any(|c| (c.is_ascii_control() && c != '\t' && c != '\n') || c == '\u{7f}')
}

/// Splits `NAME=value` and checks both sides.
pub fn parse_assignment(word: &str) -> Result<(String, String), ValueError> {
    let fail = |reason| ValueError::new("environment assignment", word, reason);
    let (name, value) = word.split_once('=').ok_or(fail("no equals sign"))?;
    if !is_valid_name(name) {
        return Err(fail("no valid variable name"));
    }
    if !is_valid_value(value) {
        return Err(fail("control characters in the value"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses the value of `Environment=`: words of the form `NAME=value`. Words that are not valid are given back
/// for a warning; bad quoting ends the list.
pub fn parse(text: &str) -> (Vec<(String, String)>, Vec<ValueError>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let mut rest = text;
    loop {
        match quoting::first_word(&mut rest, quoting::COMMAND) {
            Ok(None) => break,
            Ok(Some(word)) => match parse_assignment(&word) {
                Ok(pair) => found.push(pair),
                Err(error) => errors.push(error),
            },
            Err(error) => {
                errors.push(error);
                break;
            }
        }
    }
    (found, errors)
}

/// Parses an environment file: a line an assignment, `#` and `;` comments, values in single or double quotes that
/// may span lines, a backslash before a newline joining lines. Lines that are no assignment are skipped.
pub fn parse_file(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        if rest.starts_with(['#', ';']) {
            rest = skip_comment(rest);
            continue;
        }
        let line_end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let Some(equals) = rest.get(..line_end).and_then(|line| line.find('=')) else {
            rest = rest.get(line_end..).unwrap_or("");
            continue;
        };
        let name = rest.get(..equals).unwrap_or("").trim_end_matches([' ', '\t']);
        let (value, tail) = file_value(rest.get(equals + 1..).unwrap_or(""));
        if is_valid_name(name) {
            found.push((name.to_owned(), value));
        }
        rest = tail;
    }
    found
}

/// A comment ends at the line's end unless a backslash stands before it.
fn skip_comment(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' | '\r' if !escaped => return text.get(at..).unwrap_or(""),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    ""
}

/// Reads a value; gives it and what stands behind its line.
fn file_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    // Length without the white space at the end that stands outside of quotes.
    let mut kept = 0;
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices().peekable();
    while let Some(&(_, c)) = chars.peek() {
        if !matches!(c, ' ' | '\t') {
            break;
        }
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\n' | '\r', None) => {
                value.truncate(kept);
                return (value, text.get(at..).unwrap_or(""));
            }
            ('\'', Some('\'')) | ('"', Some('"')) => quote = None,
            (c, Some('\'')) => value.push(c),
            ('\\', Some(_)) => match chars.next() {
                Some((_, '\n')) | None => {}
                Some((_, c @ ('"' | '\\' | '`' | '$'))) => value.push(c),
                Some((_, c)) => value.extend(['\\', c]),
            },
            (c, Some(_)) => value.push(c),
            ('\'' | '"', None) if kept == 0 && value.is_empty() => quote = Some(c),
            ('\\', None) => match chars.next() {
                Some((_, '\n')) | None => {}
                Some((_, c)) => value.push(c),
            },
            (' ' | '\t', None) => {
                value.push(c);
                continue;
            }
            (c, None) => value.push(c),
        }
        kept = value.len();
    }
    value.truncate(kept);
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn assignments() {
        let (found, errors) = parse("\"VAR1=word1 word2\" VAR2=word3 'VAR3=$word 5 6' 1X=y noequals");
        assert_eq!(found, [pair("VAR1", "word1 word2"), pair("VAR2", "word3"), pair("VAR3", "$word 5 6")]);
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn files() {
        let text = "# c\nA=1\n B = two words  \n;x\nC=\"a b\\\"\nd\"\nD='x\\y'\nE=a\\\nb\nbad\n1=2\nF=\nG=x";
        assert_eq!(
            parse_file(text),
            [
                pair("A", "1"),
                pair("B", "two words"),
                pair("C", "a b\"\nd"),
                pair("D", "x\\y"),
                pair("E", "ab"),
                pair("F", ""),
                pair("G", "x"),
            ]
        );
        assert_eq!(parse_file("#a\\\nA=1\nB=2"), [pair("B", "2")]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A-B=\"'\\\\ \n#;$ä]{0,40}") {
            let _ = parse_file(&text);
            let _ = parse(&text);
        }
    }
}
