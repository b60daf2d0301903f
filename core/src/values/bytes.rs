//! Sizes in bytes: `512M`, `1.5G`, `1G 200M`, `infinity`, and parts of the machine's memory.

use super::{ValueError, WHITESPACE, percent, split_digits};
use serde::{Deserialize, Serialize};

const WHAT: &str = "size";
const SUFFIXES: [&str; 8] = ["E", "P", "T", "G", "M", "K", "B", ""];

/// What a suffix step is worth: memory counts in 1024, network and IO rates in 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// 1024
    Iec,
    /// 1000
    Si,
}

impl Base {
    fn factor(self, suffix: usize) -> u64 {
        let step: u64 = if self == Base::Iec { 1024 } else { 1000 };
        let power = u32::try_from(6_usize.saturating_sub(suffix)).unwrap_or(0);
        step.pow(power)
    }
}

/// Parses a size; several parts must stand in falling order of their suffixes.
pub fn parse(text: &str, base: Base) -> Result<u64, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    let mut rest = text.trim_start_matches(WHITESPACE);
    if rest.is_empty() {
        return Err(fail("empty"));
    }
    let mut first_allowed = 0;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        if rest.starts_with('-') {
            return Err(fail("negative"));
        }
        let (digits, after) = split_digits(rest.strip_prefix('+').unwrap_or(rest));
        if digits.is_empty() {
            return Err(fail("number expected"));
        }
        let whole: u64 = digits.parse().map_err(|_| fail("too large"))?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        let after = after.trim_start_matches(WHITESPACE);
        let found = (first_allowed..SUFFIXES.len())
            .find_map(|i| Some((i, after.strip_prefix(SUFFIXES.get(i).copied()?)?)))
            .ok_or(fail("suffixes must fall"))?;
        let factor = base.factor(found.0);
        let part = whole.checked_mul(factor).and_then(|v| v.checked_add(fraction_of(fraction, factor)));
        total = part.and_then(|part| total.checked_add(part)).ok_or(fail("too large"))?;
        first_allowed = found.0 + 1;
        rest = found.1.trim_start_matches(WHITESPACE);
    }
    Ok(total)
}

fn fraction_of(digits: &str, factor: u64) -> u64 {
    let (mut sum, mut divisor) = (0_u128, 1_u128);
    for digit in digits.bytes().take(18) {
        divisor *= 10;
        sum = sum * 10 + u128::from(digit.saturating_sub(b'0'));
    }
    u64::try_from(sum * u128::from(factor) / divisor).unwrap_or(0)
}

/// Writes a size with the largest suffix that leaves no rest.
pub fn format(bytes: u64, base: Base) -> String {
    if bytes == u64::MAX {
        return "infinity".to_owned();
    }
    for (index, suffix) in SUFFIXES.iter().enumerate().take(6) {
        let factor = base.factor(index);
        if bytes > 0 && bytes.is_multiple_of(factor) {
            return format!("{}{suffix}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// A limit on memory or tasks: none, absolute, or a part of what the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// `infinity`
    Infinity,
    /// A number (of bytes).
    Absolute(u64),
    /// Parts of ten thousand of what there is.
    Permyriad(u32),
}

impl Limit {
    /// The number that the limit stands for where there is `whole`; `u64::MAX` for none.
    pub fn resolve(self, whole: u64) -> u64 {
        match self {
            Limit::Infinity => u64::MAX,
            Limit::Absolute(value) => value,
            Limit::Permyriad(part) => {
                u64::try_from(u128::from(whole) * u128::from(part) / 10_000).unwrap_or(u64::MAX)
            }
        }
    }
}

/// Parses `MemoryMax=` and its sisters: `infinity`, a percentage, or a size.
pub fn parse_limit(text: &str) -> Result<Limit, ValueError> {
    if text == "infinity" {
        return Ok(Limit::Infinity);
    }
    if text.ends_with(['%', '\u{2030}', '\u{2031}']) {
        return percent::parse(text).map(Limit::Permyriad);
    }
    match parse(text, Base::Iec)? {
        u64::MAX => Err(ValueError::new(WHAT, text, "too large")),
        value => Ok(Limit::Absolute(value)),
    }
}

/// Undoes [`parse_limit`].
pub fn format_limit(limit: Limit) -> String {
    match limit {
        Limit::Infinity => "infinity".to_owned(),
        Limit::Absolute(value) => format(value, Base::Iec),
        Limit::Permyriad(part) => percent::format(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        for (text, value) in [
            ("0", 0),
            ("512M", 512 << 20),
            ("1.5G", 3 << 29),
            ("1G 200M", (1 << 30) + (200 << 20)),
            ("1G200M3", (1 << 30) + (200 << 20) + 3),
            ("7B", 7),
            (" 8 K ", 8192),
            ("15E", 15 << 60),
        ] {
            assert_eq!(parse(text, Base::Iec), Ok(value), "{text}");
        }
        assert_eq!(parse("3M", Base::Si), Ok(3_000_000));
        for text in ["", "-1", "K", "16E", "1M 1G", "1X", "1 2", "1KB2", "99999999999999999999"] {
            assert!(parse(text, Base::Iec).is_err(), "{text}");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(parse_limit("infinity"), Ok(Limit::Infinity));
        assert_eq!(parse_limit("10%"), Ok(Limit::Permyriad(1000)));
        assert_eq!(parse_limit("10%").map(|l| l.resolve(1000)), Ok(100));
        assert_eq!(parse_limit("1K"), Ok(Limit::Absolute(1024)));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in any::<u64>(), shift in 0u32..40) {
            for value in [bytes >> shift, (bytes >> shift) << shift] {
                if value != u64::MAX {
                    prop_assert_eq!(parse(&format(value, Base::Iec), Base::Iec), Ok(value));
                    prop_assert_eq!(parse(&format(value, Base::Si), Base::Si), Ok(value));
                }
            }
        }

        #[test]
        fn never_panics(text in "[0-9. EPTGMKB%-]{0,30}") {
            let _ = parse_limit(&text);
        }
    }
}
