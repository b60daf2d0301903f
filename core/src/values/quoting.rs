//! Splitting of setting values into words, with quotes and C escapes (`systemd.syntax(7)` "Quoting",
//! `systemd.service(5)` "Command lines").

use super::{ValueError, WHITESPACE};

/// How words are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Single and double quotes hold a word together and are removed.
    pub unquote: bool,
    /// C escapes are resolved; without this a backslash is removed and the next character taken as it is.
    pub cunescape: bool,
    /// An unknown escape stays as it stands instead of being an error.
    pub unescape_relax: bool,
    /// Open quotes and a backslash at the end are no error.
    pub relax: bool,
    /// Backslashes are ordinary characters.
    pub retain_escape: bool,
    /// Two separators in a row have an empty word between them.
    pub empty_words: bool,
}

/// Rules of most lists: quotes, backslashes kept as they are.
pub const LIST: Rules = Rules {
    unquote: true,
    cunescape: false,
    unescape_relax: false,
    relax: false,
    retain_escape: true,
    empty_words: false,
};
/// Rules of command lines, `Environment=` and the like: quotes and C escapes.
pub const COMMAND: Rules = Rules { cunescape: true, retain_escape: false, ..LIST };
/// Rules by which the value of a `$FOO` is split into arguments.
pub const RELAXED: Rules = Rules { relax: true, retain_escape: false, ..LIST };

const WHAT: &str = "list of words";

/// Takes the first word off `*rest`; separators are the four white space characters.
pub fn first_word(rest: &mut &str, rules: Rules) -> Result<Option<String>, ValueError> {
    first_word_by(rest, &WHITESPACE, rules)
}

/// Takes the first word off `*rest`. `Ok(None)` at the end. After an error `*rest` is unchanged.
pub fn first_word_by(
    rest: &mut &str,
    separators: &[char],
    rules: Rules,
) -> Result<Option<String>, ValueError> {
    let whole = *rest;
    let fail = |reason| ValueError::new(WHAT, whole, reason);
    let start = if rules.empty_words { whole } else { whole.trim_start_matches(separators) };
    if start.is_empty() {
        *rest = "";
        return Ok(None);
    }
    let mut word: Vec<u8> = Vec::new();
    let mut quote: Option<char> = None;
    let mut chars = start.char_indices();
    let mut end = start.len();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', _) if !rules.retain_escape => {
                let tail = start.get(at + 1..).unwrap_or("");
                if tail.is_empty() {
                    if !rules.relax {
                        return Err(fail("a backslash at the end"));
                    }
                    if rules.unescape_relax {
                        word.push(b'\\');
                    }
                    break;
                }
                let used = unescape_into(&mut word, tail, rules).ok_or(fail("unknown escape sequence"))?;
                chars = skip(start, at + 1 + used);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => push(&mut word, c),
            ('\'' | '"', None) if rules.unquote => quote = Some(c),
            (c, None) if separators.contains(&c) => {
                end = at;
                break;
            }
            (c, None) => push(&mut word, c),
        }
    }
    if quote.is_some() && !rules.relax {
        return Err(fail("an open quote"));
    }
    let word = String::from_utf8(word).map_err(|_| fail("escapes that give no UTF-8 text"))?;
    let tail = start.get(end..).unwrap_or("");
    *rest = match (rules.empty_words, tail.chars().next()) {
        (true, Some(separator)) => tail.get(separator.len_utf8()..).unwrap_or(""),
        (true, None) => "",
        (false, _) => tail.trim_start_matches(separators),
    };
    Ok(Some(word))
}

fn push(word: &mut Vec<u8>, c: char) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Character positions of `text` from byte `from` on, counted from the beginning of `text`.
fn skip(text: &str, from: usize) -> std::str::CharIndices<'_> {
    let mut chars = text.char_indices();
    while chars.offset() < from && chars.next().is_some() {}
    chars
}

/// Resolves the escape that begins behind the backslash; gives how many bytes it has. `None`: not allowed.
fn unescape_into(word: &mut Vec<u8>, tail: &str, rules: Rules) -> Option<usize> {
    let first = tail.chars().next()?;
    if rules.cunescape {
        if let Some(used) = c_escape(word, tail) {
            return Some(used);
        }
        if !rules.unescape_relax {
            return None;
        }
        word.push(b'\\');
    }
    push(word, first);
    Some(first.len_utf8())
}

/// Resolves one C escape, given without its backslash, into bytes; gives how many bytes it had.
pub fn c_escape(word: &mut Vec<u8>, tail: &str) -> Option<usize> {
    let simple = match tail.bytes().next()? {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b's' => b' ',
        c @ (b'\\' | b'"' | b'\'') => c,
        b'x' => return byte(word, tail.get(1..3)?, 16).map(|()| 3),
        b'u' => return code_point(word, tail.get(1..5)?).map(|()| 5),
        b'U' => return code_point(word, tail.get(1..9)?).map(|()| 9),
        b'0'..=b'7' => return byte(word, tail.get(..3)?, 8).map(|()| 3),
        _ => return None,
    };
    word.push(simple);
    Some(1)
}

fn digits(text: &str, radix: u32) -> Option<u32> {
    text.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(text, radix).ok()).flatten()
}

fn byte(word: &mut Vec<u8>, text: &str, radix: u32) -> Option<()> {
    // A NUL byte would cut the word where it is used.
    let value = digits(text, radix).and_then(|v| u8::try_from(v).ok()).filter(|&v| v != 0)?;
    word.push(value);
    Some(())
}

fn code_point(word: &mut Vec<u8>, text: &str) -> Option<()> {
    let c = digits(text, 16).and_then(char::from_u32).filter(|&c| c != '\0')?;
    push(word, c);
    Some(())
}

/// Splits a whole text into its words.
pub fn split(text: &str, rules: Rules) -> Result<Vec<String>, ValueError> {
    split_by(text, &WHITESPACE, rules)
}

/// Splits a whole text at other separators.
pub fn split_by(text: &str, separators: &[char], rules: Rules) -> Result<Vec<String>, ValueError> {
    let mut rest = text;
    let mut words = Vec::new();
    while let Some(word) = first_word_by(&mut rest, separators, rules)? {
        words.push(word);
    }
    Ok(words)
}

/// Resolves all C escapes of a text; `None` where one is not valid.
pub fn c_unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        let used = c_escape(&mut out, tail)?;
        rest = tail.get(used..)?;
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).ok()
}

/// Writes a word so that [`split`] with [`COMMAND`] gives it back: as it stands where that is safe, else in
/// double quotes with C escapes.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@,+%^~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes a word as people would type it in a shell: in double quotes where something in it means something there.
pub fn shell_quote(word: &str) -> String {
    const ESCAPED: [char; 4] = ['"', '\\', '`', '$'];
    let special = |c: char| ESCAPED.contains(&c) || c.is_whitespace() || "*?['()<>|&;!".contains(c);
    if !word.is_empty() && !word.chars().any(special) {
        return word.to_owned();
    }
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for c in word.chars() {
        if ESCAPED.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_typed_in_a_shell() {
        for (word, typed) in [
            ("a-b=c/d", "a-b=c/d"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("echo $x `y` \"z\" \\", "\"echo \\$x \\`y\\` \\\"z\\\" \\\\\""),
            ("it's", "\"it's\""),
        ] {
            assert_eq!(shell_quote(word), typed);
        }
    }

    #[test]
    fn words() {
        let words = |text| split(text, COMMAND);
        assert_eq!(words("a 'b c' \"d e\"").unwrap_or_default(), ["a", "b c", "d e"]);
        assert_eq!(words("a\\x20b \\u00e4 \\101 \\s|").unwrap_or_default(), ["a b", "ä", "A", " |"]);
        assert_eq!(words("\"\" ''").unwrap_or_default(), ["", ""]);
        assert_eq!(words("x\"y z\"w").unwrap_or_default(), ["xy zw"]);
        assert_eq!(words("  ").unwrap_or_default(), Vec::<String>::new());
        for text in ["'a", "a\\", "\\q", "\\x0g", "\\x00", "\\400", "\\ud800", "\\xff", "\\xä"] {
            assert!(words(text).is_err(), "{text}");
        }
        assert_eq!(split("a\\b 'c d'", LIST).unwrap_or_default(), ["a\\b", "c d"]);
        assert_eq!(split("a\\ b 'c", RELAXED).unwrap_or_default(), ["a b", "c"]);
        let colon = Rules { empty_words: true, ..LIST };
        assert_eq!(split_by("a::b", &[':'], colon).unwrap_or_default(), ["a", "", "b"]);
        assert_eq!(c_unescape("a\\tb"), Some("a\tb".into()));
        assert_eq!(c_unescape("a\\"), None);
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^\0]{0,8}", 0..5)) {
            let line: Vec<String> = words.iter().map(|w| quote(w)).collect();
            prop_assert_eq!(split(&line.join(" "), COMMAND), Ok(words));
        }

        #[test]
        fn never_panics(text in "[a-c'\"\\\\ x0-9uäU]{0,24}") {
            for rules in [LIST, COMMAND, RELAXED, Rules { unescape_relax: true, ..COMMAND }] {
                let _ = split(&text, rules);
            }
            let _ = c_unescape(&text);
        }
    }
}
