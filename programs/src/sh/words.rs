//! A line to words: quotes, backslashes, variables, comments. What a larger shell does beyond that is refused, not misread.
use std::fmt;

/// Why a line is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// The quote that was opened and not closed.
    Unclosed(char),
    /// A character that asks for what this shell has not.
    Unsupported(char),
    /// A backslash at the end.
    Dangling,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::Unclosed(quote) => write!(f, "a {quote} is not closed"),
            LineError::Unsupported(c) => {
                write!(
                    f,
                    "'{c}' has no meaning here (no pipes, redirections, lists or jobs); quote it to have it as it is"
                )
            }
            LineError::Dangling => write!(f, "a backslash at the end of the line"),
        }
    }
}

/// Split a line. `'...'` is literal; in `"..."` and outside, `$NAME`, `${NAME}` and `$?` stand for what `variable` knows (a value
/// is never split) and a backslash takes the next character as it is; `#` at the start of a word begins a comment.
pub fn split(line: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, LineError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().push(rest.next().ok_or(LineError::Dangling)?),
            '$' => {
                let value = name(&mut rest).map_or_else(|| Some("$".to_owned()), |name| variable(&name));
                word.get_or_insert_default().push_str(&value.unwrap_or_default());
            }
            _ if quoted => word.get_or_insert_default().push(c),
            '\'' => literal(&mut rest, word.get_or_insert_default())?,
            '#' if word.is_none() => break,
            '|' | '&' | ';' | '<' | '>' | '`' | '(' | ')' => return Err(LineError::Unsupported(c)),
            _ if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err(LineError::Unclosed('"'));
    }
    words.extend(word);
    Ok(words)
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn literal(rest: &mut Rest<'_>, word: &mut String) -> Result<(), LineError> {
    for c in rest.by_ref() {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err(LineError::Unclosed('\''))
}

/// The variable's name behind `$`; `None` when there is none and the `$` means itself.
fn name(rest: &mut Rest<'_>) -> Option<String> {
    if rest.next_if_eq(&'?').is_some() {
        return Some("?".to_owned());
    }
    let braces = rest.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if braces {
        let _ = rest.next_if_eq(&'}');
    }
    (braces || !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, LineError> {
        split(line, |name| match name {
            "A" => Some("one two".to_owned()),
            "?" => Some("3".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn words_and_quotes() {
        for (line, expected) in [
            ("", &[][..]),
            ("  ls   -l ", &["ls", "-l"]),
            ("echo 'a  b'c \"d 'e'\" f\\ g ''", &["echo", "a  bc", "d 'e'", "f g", ""]),
            (
                "echo $A \"<$A>\" '$A' ${A}x $? $ $NO.",
                &["echo", "one two", "<one two>", "$A", "one twox", "3", "$", "."],
            ),
            ("echo a#b # c", &["echo", "a#b"]),
            ("echo '|' \\; \"&\"", &["echo", "|", ";", "&"]),
        ] {
            assert_eq!(
                words(line).as_deref(),
                Ok(expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>().as_slice()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        assert_eq!(words("ls | cat"), Err(LineError::Unsupported('|')));
        assert_eq!(words("a > b"), Err(LineError::Unsupported('>')));
        assert_eq!(words("'a"), Err(LineError::Unclosed('\'')));
        assert_eq!(words("\"a"), Err(LineError::Unclosed('"')));
        assert_eq!(words("a\\"), Err(LineError::Dangling));
    }
}
