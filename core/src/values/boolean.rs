//! Booleans (`systemd.syntax(7)`).

use super::ValueError;

/// Parses a boolean; letter case does not matter.
pub fn parse(text: &str) -> Result<bool, ValueError> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["1", "yes", "y", "true", "t", "on"].iter().any(is) {
        Ok(true)
    } else if ["0", "no", "n", "false", "f", "off"].iter().any(is) {
        Ok(false)
    } else {
        Err(ValueError::new("boolean", text, "neither yes nor no"))
    }
}

/// `yes` or `no`.
pub fn format(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for text in ["1", "YES", "y", "True", "t", "on"] {
            assert_eq!(parse(text), Ok(true));
        }
        for text in ["0", "no", "N", "false", "F", "off"] {
            assert_eq!(parse(text), Ok(false));
        }
        for text in ["", "2", "ja", " yes", "enable"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(format(true)), Ok(true));
        assert_eq!(parse(format(false)), Ok(false));
    }
}
