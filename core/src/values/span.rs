//! Time spans (`systemd.time(7)` "Parsing time spans"), in microseconds.

use super::{ValueError, WHITESPACE, split_digits};

/// No limit, never.
pub const INFINITY: u64 = u64::MAX;
/// Microseconds in a millisecond.
pub const USEC_PER_MSEC: u64 = 1_000;
/// Microseconds in a second.
pub const USEC_PER_SEC: u64 = 1_000_000;
/// Microseconds in a minute.
pub const USEC_PER_MINUTE: u64 = 60 * USEC_PER_SEC;
/// Microseconds in an hour.
pub const USEC_PER_HOUR: u64 = 60 * USEC_PER_MINUTE;
/// Microseconds in a day.
pub const USEC_PER_DAY: u64 = 24 * USEC_PER_HOUR;
/// Microseconds in a week.
pub const USEC_PER_WEEK: u64 = 7 * USEC_PER_DAY;
/// Microseconds in a month of 30.44 days.
pub const USEC_PER_MONTH: u64 = 2_629_800 * USEC_PER_SEC;
/// Microseconds in a year of 365.25 days.
pub const USEC_PER_YEAR: u64 = 31_557_600 * USEC_PER_SEC;

/// Unit names; longer ones stand before their own beginnings.
const UNITS: [(&str, u64); 30] = [
    ("seconds", USEC_PER_SEC),
    ("second", USEC_PER_SEC),
    ("sec", USEC_PER_SEC),
    ("s", USEC_PER_SEC),
    ("minutes", USEC_PER_MINUTE),
    ("minute", USEC_PER_MINUTE),
    ("min", USEC_PER_MINUTE),
    ("months", USEC_PER_MONTH),
    ("month", USEC_PER_MONTH),
    ("M", USEC_PER_MONTH),
    ("msec", USEC_PER_MSEC),
    ("ms", USEC_PER_MSEC),
    ("m", USEC_PER_MINUTE),
    ("hours", USEC_PER_HOUR),
    ("hour", USEC_PER_HOUR),
    ("hr", USEC_PER_HOUR),
    ("h", USEC_PER_HOUR),
    ("days", USEC_PER_DAY),
    ("day", USEC_PER_DAY),
    ("d", USEC_PER_DAY),
    ("weeks", USEC_PER_WEEK),
    ("week", USEC_PER_WEEK),
    ("w", USEC_PER_WEEK),
    ("years", USEC_PER_YEAR),
    ("year", USEC_PER_YEAR),
    ("y", USEC_PER_YEAR),
    ("usec", 1),
    ("us", 1),
    ("\u{3bc}s", 1),
    ("\u{b5}s", 1),
];

const WHAT: &str = "time span";

/// Parses a time span; numbers without a unit count in `default_unit` (microseconds).
pub fn parse(text: &str, default_unit: u64) -> Result<u64, ValueError> {
    parse_scaled(text, default_unit, 1)
}

/// Parses a time span whose plain numbers are seconds.
pub fn parse_sec(text: &str) -> Result<u64, ValueError> {
    parse(text, USEC_PER_SEC)
}

/// Parses a time span into nanoseconds; numbers without a unit are nanoseconds (`TimerSlackNSec=`).
pub fn parse_nsec(text: &str) -> Result<u64, ValueError> {
    parse_scaled(text, 1, 1_000)
}

/// `scale`: how many of the result's ticks a microsecond has; with more than one, `ns` is a unit too.
fn parse_scaled(text: &str, default_unit: u64, scale: u64) -> Result<u64, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    let mut rest = text.trim_matches(WHITESPACE);
    if rest == "infinity" {
        return Ok(INFINITY);
    }
    if rest.is_empty() {
        return Err(fail("empty"));
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        if rest.starts_with('-') {
            return Err(fail("negative"));
        }
        let signed = rest.starts_with('+');
        let (digits, after) = split_digits(rest.strip_prefix('+').unwrap_or(rest));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        let dotted = rest.len() - after.len() > digits.len() + usize::from(signed);
        if (digits.is_empty() && (signed || fraction.is_empty())) || (dotted && fraction.is_empty()) {
            return Err(fail("number expected"));
        }
        let after = after.trim_start_matches(WHITESPACE);
        let (unit, after) = take_unit(after, scale).unwrap_or((default_unit, after));
        rest = after.trim_start_matches(WHITESPACE);

        let whole: u64 = match digits {
            "" => 0,
            digits => digits.parse().map_err(|_| fail("too large"))?,
        };
        // The largest value is kept for `infinity`.
        if whole >= INFINITY / unit.max(1) {
            return Err(fail("too large"));
        }
        let value = whole * unit + fraction_of(fraction, unit);
        if value >= INFINITY - total {
            return Err(fail("too large"));
        }
        total += value;
    }
    Ok(total)
}

fn take_unit(text: &str, scale: u64) -> Option<(u64, &str)> {
    for (name, usec) in UNITS {
        if let Some(rest) = text.strip_prefix(name) {
            return Some((usec * scale, rest));
        }
    }
    if scale == 1 {
        return None;
    }
    ["nsec", "ns"].into_iter().find_map(|name| Some((1, text.strip_prefix(name)?)))
}

/// What the digits behind the dot add, each digit rounded down.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut step = unit / 10;
    let mut sum = 0;
    for digit in digits.bytes() {
        sum += u64::from(digit.saturating_sub(b'0')) * step;
        step /= 10;
    }
    sum
}

/// Writes a time span as `1min 30s`; what is below `accuracy` (microseconds) is left out.
pub fn format(usec: u64, accuracy: u64) -> String {
    const FORMS: [(&str, u64); 9] = [
        ("y", USEC_PER_YEAR),
        ("month", USEC_PER_MONTH),
        ("w", USEC_PER_WEEK),
        ("d", USEC_PER_DAY),
        ("h", USEC_PER_HOUR),
        ("min", USEC_PER_MINUTE),
        ("s", USEC_PER_SEC),
        ("ms", USEC_PER_MSEC),
        ("us", 1),
    ];
    match usec {
        INFINITY => return "infinity".to_owned(),
        0 => return "0".to_owned(),
        _ => {}
    }
    let mut out = String::new();
    let mut left = usec;
    for (name, unit) in FORMS {
        if left == 0 || (left < accuracy && !out.is_empty()) {
            break;
        }
        if left < unit {
            continue;
        }
        let (count, mut below) = (left / unit, left % unit);
        if !out.is_empty() {
            out.push(' ');
        }
        let mut width = usize::try_from(unit.ilog10()).expect("at most 19");
        if left < USEC_PER_MINUTE && below > 0 {
            let mut cut = accuracy;
            while cut > 1 && width > 0 {
                below /= 10;
                width -= 1;
                cut /= 10;
            }
            if width > 0 {
                out.push_str(&format!("{count}.{below:0width$}{name}"));
                break;
            }
        }
        out.push_str(&format!("{count}{name}"));
        left %= unit;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Observed with `systemd-analyze timespan` of the reference.
    #[test]
    fn as_the_reference_parses() {
        for (text, usec, form) in [
            ("5", 5_000_000, "5s"),
            ("500ms", 500_000, "500ms"),
            ("1y 2month 3w 4d 5h 6min 7s 8ms 9us", 38_995_567_008_009, "1y 2month 3w 4d 5h 6min 7.008009s"),
            ("1.5h", 5_400_000_000, "1h 30min"),
            ("90", 90_000_000, "1min 30s"),
            ("infinity", INFINITY, "infinity"),
            ("0", 0, "0"),
            ("1.25min", 75_000_000, "1min 15s"),
            ("2 h", 7_200_000_000, "2h"),
            ("1M", 2_629_800_000_000, "1month"),
            ("1m", 60_000_000, "1min"),
            ("1h30", 3_630_000_000, "1h 30s"),
            ("2d 3", 172_803_000_000, "2d 3s"),
            ("5 3", 8_000_000, "8s"),
            ("1.5", 1_500_000, "1.500000s"),
            (".5", 500_000, "500ms"),
            ("1s1s", 2_000_000, "2s"),
            ("+5", 5_000_000, "5s"),
            (" 5 s ", 5_000_000, "5s"),
            ("2hr", 7_200_000_000, "2h"),
            ("1 weeks", 604_800_000_000, "1w"),
            ("1 years", 31_557_600_000_000, "1y"),
            ("1\u{b5}s", 1, "1us"),
            ("1\u{3bc}s", 1, "1us"),
            ("0.0000001", 0, "0"),
            ("0.0000015s", 1, "1us"),
            ("1.0000001h", 3_600_000_360, "1h 360us"),
            ("59.999999", 59_999_999, "59.999999s"),
            ("1001us", 1001, "1.001ms"),
            ("60000001us", 60_000_001, "1min 1us"),
            ("1.999us", 1, "1us"),
            ("10y 5us", 315_576_000_000_005, "10y 5us"),
            ("86399.5", 86_399_500_000, "23h 59min 59.500000s"),
            ("1 .5", 1_500_000, "1.500000s"),
        ] {
            assert_eq!(parse_sec(text), Ok(usec), "{text}");
            assert_eq!(format(usec, 1), form);
        }
    }

    #[test]
    fn as_the_reference_refuses() {
        for text in [
            "5.",
            "-1",
            "-0",
            "1ns",
            "1nsec",
            "5x",
            "s",
            "",
            " ",
            "584542y",
            "18446744073709551615us",
            "18446744073709551616us",
            "18446744073709.551615",
            "infinity 5",
            "infinitys",
            "0x10",
            "1e3",
            "1..5",
            "1s -1s",
            "+",
        ] {
            assert!(parse_sec(text).is_err(), "{text}");
        }
    }

    #[test]
    fn accuracy_and_nanoseconds() {
        assert_eq!(format(1_500_000, USEC_PER_MSEC), "1.500s");
        assert_eq!(format(90_500_001, USEC_PER_SEC), "1min 30s");
        assert_eq!(format(1, USEC_PER_SEC), "1us");
        assert_eq!(parse_nsec("50us 3"), Ok(50_003));
        assert_eq!(parse_nsec("7ns"), Ok(7));
        assert_eq!(parse("7", 1), Ok(7));
    }

    proptest! {
        #[test]
        fn round_trip(usec in 0..584_541 * USEC_PER_YEAR) {
            prop_assert_eq!(parse_sec(&format(usec, 1)), Ok(usec));
        }

        #[test]
        fn never_panics(text in "[0-9+. a-zµ-]{0,30}", unit in any::<u64>()) {
            let _ = parse(&text, unit);
            let _ = parse_nsec(&text);
            let _ = format(unit, unit.rotate_left(17));
        }
    }
}
