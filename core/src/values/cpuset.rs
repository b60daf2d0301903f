//! Sets of small numbers: CPUs, NUMA nodes, ports as `0-3,5 7` (`systemd.exec(5)` `CPUAffinity=`).

use super::{ValueError, WHITESPACE};
use std::collections::BTreeSet;

/// Numbers from here on are refused: no machine has that many CPUs.
pub const CPUS_MAX: u32 = 8192;

/// Parses numbers and ranges, separated by white space or commas. The empty text is the empty set.
pub fn parse(text: &str) -> Result<BTreeSet<u32>, ValueError> {
    let fail = |reason| ValueError::new("CPU set", text, reason);
    let number = |word: &str| -> Result<u32, ValueError> {
        let value: u32 = word.parse().map_err(|_| fail("no number"))?;
        if value >= CPUS_MAX { Err(fail("too large")) } else { Ok(value) }
    };
    let mut set = BTreeSet::new();
    for word in text.split(|c: char| c == ',' || WHITESPACE.contains(&c)).filter(|word| !word.is_empty()) {
        let (first, last) = match word.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(word)?, number(word)?),
        };
        if first > last {
            return Err(fail("a range that falls"));
        }
        set.extend(first..=last);
    }
    Ok(set)
}

/// Ranges and numbers separated by spaces.
pub fn format(set: &BTreeSet<u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in set {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let words: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sets() {
        assert_eq!(parse("0-3,5 7").map(|s| format(&s)), Ok("0-3 5 7".into()));
        assert_eq!(parse("").map(|s| s.len()), Ok(0));
        for text in ["a", "3-1", "-1", "1-", "99999", "1-2-3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(set in proptest::collection::btree_set(0..CPUS_MAX, 0..40)) {
            prop_assert_eq!(parse(&format(&set)), Ok(set));
        }
    }
}
