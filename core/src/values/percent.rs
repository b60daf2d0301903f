//! Parts of a whole: `50%`, `5.5%`, `12.34%`, `7‰`, `3‱` (`systemd.resource-control(5)`), in parts of ten thousand.

use super::{ValueError, split_digits};

const WHAT: &str = "percentage";

/// Parses parts of ten thousand without an upper limit (`CPUQuota=` may exceed 100 %).
pub fn parse_unbounded(text: &str) -> Result<u32, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    let (number, decimals) = if let Some(number) = text.strip_suffix('%') {
        (number, 2)
    } else if let Some(number) = text.strip_suffix('\u{2030}') {
        (number, 1)
    } else if let Some(number) = text.strip_suffix('\u{2031}') {
        (number, 0)
    } else {
        return Err(fail("no percent sign"));
    };
    let (whole, rest) = split_digits(number);
    let fraction = match rest.strip_prefix('.') {
        Some(fraction) if !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()) => fraction,
        None if rest.is_empty() => "",
        _ => return Err(fail("not a number")),
    };
    if whole.is_empty() || fraction.len() > decimals {
        return Err(fail("not a number with that many decimals"));
    }
    let padded = format!("{whole}{fraction:0<decimals$}");
    padded.parse::<u32>().ok().filter(|&v| i32::try_from(v).is_ok()).ok_or(fail("too large"))
}

/// Parses parts of ten thousand, at most the whole.
pub fn parse(text: &str) -> Result<u32, ValueError> {
    let value = parse_unbounded(text)?;
    if value > 10_000 { Err(ValueError::new(WHAT, text, "more than 100%")) } else { Ok(value) }
}

/// Parts of ten thousand as parts of `u32::MAX`, rounded, as the D-Bus properties `...Scale` have them.
pub fn to_scale(permyriad: u32) -> u32 {
    let scaled = (u64::from(permyriad) * u64::from(u32::MAX) + 5_000) / 10_000;
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// Undoes [`to_scale`].
pub fn from_scale(scale: u32) -> u32 {
    let value = (u64::from(scale) * 10_000 + u64::from(u32::MAX) / 2) / u64::from(u32::MAX);
    u32::try_from(value).unwrap_or(10_000)
}

/// Writes parts of ten thousand as a percentage with as few decimals as needed.
pub fn format(permyriad: u32) -> String {
    match (permyriad / 100, permyriad % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}%", part / 10),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        for (text, value) in
            [("50%", 5000), ("5.5%", 550), ("12.34%", 1234), ("7\u{2030}", 70), ("3\u{2031}", 3), ("0%", 0)]
        {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
        for text in ["", "5", "%", "1.%", "1.234%", "101%", "-1%", ".5%", "1.5\u{2031}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse_unbounded("250%"), Ok(25_000));
        assert!(parse_unbounded("99999999999%").is_err());
        assert_eq!(to_scale(10_000), u32::MAX);
    }

    proptest! {
        #[test]
        fn round_trips(value in 0u32..=10_000) {
            prop_assert_eq!(parse(&format(value)), Ok(value));
            prop_assert_eq!(from_scale(to_scale(value)), value);
        }
    }
}
