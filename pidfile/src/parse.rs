//! The text of a PID file.
use std::fmt;

/// Numbers of processes are `pid_t`, and positive.
const LARGEST: u32 = i32::MAX as u32;

/// Why a text is no PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// There is nothing but white space.
    Empty,
    /// Zero: to a caller of kill(2) its own process group.
    Zero,
    /// Below zero: to a caller of kill(2) a process group.
    Negative,
    /// No number of a process is so large.
    TooLarge,
    /// Something else than a number.
    NoNumber,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::Empty => "it is empty",
            ParseError::Zero => "it says 0, which is no process",
            ParseError::Negative => "it says a negative number, which is no process",
            ParseError::TooLarge => "it says a number that is larger than that of any process",
            ParseError::NoNumber => "it does not say a decimal number",
        })
    }
}

impl std::error::Error for ParseError {}

/// The number that the text of a PID file says: white space around it, leading zeroes, a missing newline and further lines are
/// ignored.
///
/// # Errors
/// As [`ParseError`] tells.
pub fn parse(text: &[u8]) -> Result<u32, ParseError> {
    let begin = text.iter().position(|byte| !is_space(*byte)).ok_or(ParseError::Empty)?;
    let line = text[begin..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    let word = &line[..end];
    let (negative, digits) = match word.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseError::NoNumber);
    }
    if negative {
        return Err(ParseError::Negative);
    }
    let significant = digits.iter().position(|digit| *digit != b'0').ok_or(ParseError::Zero)?;
    let number = digits[significant..].iter().try_fold(0u32, |number, digit| {
        number.checked_mul(10)?.checked_add(u32::from(digit - b'0')).filter(|number| *number <= LARGEST)
    });
    number.ok_or(ParseError::TooLarge)
}

/// As isspace(3) says in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_ignore_and_what_they_refuse() {
        let table: [(&[u8], Result<u32, ParseError>); 36] = [
            (b"25\n", Ok(25)),
            (b"25", Ok(25)),
            (b" 25\n", Ok(25)),
            (b"25 \n", Ok(25)),
            (b"\t25\t\n", Ok(25)),
            (b"\n25\n", Ok(25)),
            (b"\n\n  25", Ok(25)),
            (b"25\r\n", Ok(25)),
            (b"25\x0b\n", Ok(25)),
            (b"025\n", Ok(25)),
            (b"0000000000000000000000000025\n", Ok(25)),
            (b"25\n26\n", Ok(25)),
            (b"25\nmydaemon\n", Ok(25)),
            (b"25\n\xff\xfe", Ok(25)),
            (b"25\n\0", Ok(25)),
            (b"1\n", Ok(1)),
            (b"4194304\n", Ok(4_194_304)),
            (b"2147483647\n", Ok(2_147_483_647)),
            (b"2147483648\n", Err(ParseError::TooLarge)),
            (b"4294967297\n", Err(ParseError::TooLarge)),
            (b"99999999999999999999\n", Err(ParseError::TooLarge)),
            (b"", Err(ParseError::Empty)),
            (b"\n", Err(ParseError::Empty)),
            (b" \t\r\n \n", Err(ParseError::Empty)),
            (b"0\n", Err(ParseError::Zero)),
            (b"000\n", Err(ParseError::Zero)),
            (b"-1\n", Err(ParseError::Negative)),
            (b"-0\n", Err(ParseError::Negative)),
            (b"+25\n", Err(ParseError::NoNumber)),
            (b"25a\n", Err(ParseError::NoNumber)),
            (b"25 26\n", Err(ParseError::NoNumber)),
            (b"0x19\n", Err(ParseError::NoNumber)),
            (b"2.5\n", Err(ParseError::NoNumber)),
            (b"25\0\n", Err(ParseError::NoNumber)),
            (b"\xef\xbb\xbf25\n", Err(ParseError::NoNumber)),
            (b"pid\n", Err(ParseError::NoNumber)),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{}", text.escape_ascii());
        }
    }
}
