//! Escaping of arbitrary bytes and of paths into the characters that a unit name may have
//! (`systemd.unit(5)` "String escaping for inclusion in unit names", `systemd-escape(1)`).

use std::fmt;

/// Why a text cannot be escaped or unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapeError {
    /// A backslash that does not begin `\xHH`; carries its byte position.
    Sequence(usize),
    /// The path contains `..`, or unescapes to one that is not in its shortest form.
    NotNormalized,
    /// The text has a NUL byte, which no path has.
    Nul,
}

impl fmt::Display for EscapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EscapeError::Sequence(at) => write!(f, "invalid escape sequence at byte {at}"),
            EscapeError::NotNormalized => f.write_str("path is not normalized"),
            EscapeError::Nul => f.write_str("path has a NUL byte"),
        }
    }
}

impl std::error::Error for EscapeError {}

fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Escapes bytes for use in a unit name: `/` becomes `-`; all but ASCII letters, digits, `:`, `_` and `.`
/// (not as the first character) become `\xHH`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if index == 0 => push_hex(&mut out, byte),
            b':' | b'_' | b'.' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => push_hex(&mut out, byte),
        }
    }
    out
}

/// Undoes [`escape`].
pub fn unescape(text: &str) -> Result<Vec<u8>, EscapeError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'-' => out.push(b'/'),
            b'\\' => {
                let value = hex_escape(bytes.get(at + 1..at + 4)).ok_or(EscapeError::Sequence(at))?;
                out.push(value);
                at += 3;
            }
            _ => out.push(byte),
        }
        at += 1;
    }
    Ok(out)
}

fn hex_escape(sequence: Option<&[u8]>) -> Option<u8> {
    let &[b'x', high, low] = sequence? else { return None };
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Escapes a path: duplicate slashes and `.` components go, leading and trailing slashes are dropped, the root
/// is `-`. A path with `..` is refused.
pub fn path_escape(path: &[u8]) -> Result<String, EscapeError> {
    if path.contains(&0) {
        return Err(EscapeError::Nul);
    }
    let components: Vec<&[u8]> =
        path.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if components.contains(&&b".."[..]) {
        return Err(EscapeError::NotNormalized);
    }
    if components.is_empty() {
        return Ok("-".to_owned());
    }
    Ok(escape(&components.join(&b'/')))
}

/// Undoes [`path_escape`]; the result is absolute and in its shortest form.
pub fn path_unescape(text: &str) -> Result<Vec<u8>, EscapeError> {
    if text == "-" {
        return Ok(b"/".to_vec());
    }
    let bytes = unescape(text)?;
    if bytes.contains(&0) {
        return Err(EscapeError::Nul);
    }
    let bad = |part: &[u8]| part.is_empty() || part == b"." || part == b"..";
    if bytes.split(|&b| b == b'/').any(bad) {
        return Err(EscapeError::NotNormalized);
    }
    let mut path = Vec::with_capacity(bytes.len() + 1);
    path.push(b'/');
    path.extend_from_slice(&bytes);
    Ok(path)
}

/// The text form of [`unescape`]; `None` when the result is not UTF-8 or the text not escaped properly.
pub fn unescape_text(text: &str) -> Option<String> {
    String::from_utf8(unescape(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_systemd_escape_prints() {
        for (plain, escaped) in [
            ("foo bar", "foo\\x20bar"),
            ("/a/b", "-a-b"),
            ("", ""),
            (".x", "\\x2ex"),
            ("ä", "\\xc3\\xa4"),
            ("a-b_c.d:e", "a\\x2db_c.d:e"),
            ("@x", "\\x40x"),
        ] {
            assert_eq!(escape(plain.as_bytes()), escaped);
            assert_eq!(unescape(escaped), Ok(plain.as_bytes().to_vec()));
        }
        assert_eq!(unescape("a-b\\x2dc"), Ok(b"a/b-c".to_vec()));
        assert_eq!(unescape("a\\b"), Err(EscapeError::Sequence(1)));
        assert_eq!(unescape("a\\x2"), Err(EscapeError::Sequence(1)));
        assert_eq!(unescape("\\xg0"), Err(EscapeError::Sequence(0)));
    }

    #[test]
    fn paths_as_systemd_escape_prints() {
        for (path, escaped) in [
            ("/", "-"),
            ("/foo//bar/", "foo-bar"),
            ("/.x", "\\x2ex"),
            ("", "-"),
            ("/a/./b", "a-b"),
            ("./a", "a"),
        ] {
            assert_eq!(path_escape(path.as_bytes()).as_deref(), Ok(escaped));
        }
        assert_eq!(path_escape(b"/a/../b"), Err(EscapeError::NotNormalized));
        assert_eq!(path_unescape("a-b\\x2dc"), Ok(b"/a/b-c".to_vec()));
        assert_eq!(path_unescape("-"), Ok(b"/".to_vec()));
        for text in ["a--b", "-a", "a-", "", "\\x00", "a-..-b"] {
            assert!(path_unescape(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let escaped = escape(&bytes);
            prop_assert!(escaped.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.-\\".contains(&b)));
            prop_assert_eq!(unescape(&escaped), Ok(bytes));
        }

        #[test]
        fn paths_round_trip(parts in proptest::collection::vec("[^/\0]{1,8}", 0..5)) {
            prop_assume!(!parts.iter().any(|p| p == "." || p == ".."));
            let path = format!("/{}", parts.join("/"));
            let escaped = path_escape(path.as_bytes()).expect("no dot-dot in it");
            prop_assert_eq!(path_unescape(&escaped), Ok(path.into_bytes()));
        }

        #[test]
        fn unescape_never_panics(text in ".{0,40}") {
            let _ = unescape(&text);
            let _ = path_unescape(&text);
        }
    }
}
