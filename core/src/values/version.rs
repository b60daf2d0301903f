//! Comparison of version strings (UAPI group specification "Version Format"), with operators.

use std::cmp::Ordering;

/// Compares two versions: `~` is below everything, then the end, `-`, `^`, `.`, letters, numbers.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = skip_separators(a);
        b = skip_separators(b);
        if a.first() == Some(&b'~') || b.first() == Some(&b'~') {
            match above(a, b, b'~') {
                Ordering::Equal => {}
                order => return order,
            }
            (a, b) = (a.get(1..).unwrap_or(&[]), b.get(1..).unwrap_or(&[]));
            continue;
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let mut skipped = false;
        for mark in [b'-', b'^', b'.'] {
            if a.first() == Some(&mark) || b.first() == Some(&mark) {
                match above(a, b, mark) {
                    Ordering::Equal => {}
                    order => return order,
                }
                (a, b) = (a.get(1..).unwrap_or(&[]), b.get(1..).unwrap_or(&[]));
                skipped = true;
                break;
            }
        }
        if skipped {
            continue;
        }
        let digits = a.first().is_some_and(u8::is_ascii_digit) || b.first().is_some_and(u8::is_ascii_digit);
        let (part_a, rest_a) = segment(a, digits);
        let (part_b, rest_b) = segment(b, digits);
        let order = if digits { compare_numbers(part_a, part_b) } else { part_a.cmp(part_b) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The one that does not begin with `mark` is above.
fn above(a: &[u8], b: &[u8], mark: u8) -> Ordering {
    (a.first() != Some(&mark)).cmp(&(b.first() != Some(&mark)))
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let valid = |b: &u8| b.is_ascii_alphanumeric() || b"-.~^".contains(b);
    let start = text.iter().position(valid).unwrap_or(text.len());
    text.get(start..).unwrap_or(&[])
}

fn segment(text: &[u8], digits: bool) -> (&[u8], &[u8]) {
    let inside = |b: &u8| if digits { b.is_ascii_digit() } else { b.is_ascii_alphabetic() };
    text.split_at(text.iter().position(|b| !inside(b)).unwrap_or(text.len()))
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let bare = |text: &[u8]| -> Vec<u8> { text.iter().copied().skip_while(|&c| c == b'0').collect() };
    let (short_a, short_b) = (bare(a), bare(b));
    let order = (!a.is_empty()).cmp(&!b.is_empty());
    order.then(short_a.len().cmp(&short_b.len())).then(short_a.cmp(&short_b))
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`: the same version
    Equal,
    /// `=`: the same text, where texts are compared
    SameText,
    /// `!=`: another text, where texts are compared
    OtherText,
    /// `<>`: another version
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `$=`: matches the shell pattern
    Matches,
    /// `!$=`
    MatchesNot,
}

/// Operators with their text; longer ones stand before their own beginnings.
const OPERATORS: [(&str, Operator); 10] = [
    ("!$=", Operator::MatchesNot),
    ("$=", Operator::Matches),
    ("<>", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    ("<", Operator::Less),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
    ("==", Operator::Equal),
    ("=", Operator::SameText),
    ("!=", Operator::OtherText),
];

/// Takes an operator off the beginning.
pub fn split_operator(text: &str) -> Option<(Operator, &str)> {
    OPERATORS.into_iter().find_map(|(name, operator)| Some((operator, text.strip_prefix(name)?)))
}

impl Operator {
    /// Whether an order satisfies the operator; texts and patterns count as (in)equality.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Equal | Operator::SameText | Operator::Matches => order.is_eq(),
            Operator::NotEqual | Operator::OtherText | Operator::MatchesNot => order.is_ne(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Greater => order.is_gt(),
        }
    }

    /// Compares versions; `=` and `!=` compare the texts themselves when `by_text`.
    pub fn test(self, a: &str, b: &str, by_text: bool) -> bool {
        use crate::names::pattern;
        match self {
            Operator::Matches => pattern::matches(b, a, pattern::Rules::default()),
            Operator::MatchesNot => !pattern::matches(b, a, pattern::Rules::default()),
            Operator::SameText if by_text => a == b,
            Operator::OtherText if by_text => a != b,
            operator => operator.holds(compare(a, b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Observed with `systemd-analyze compare-versions` of the reference.
    #[test]
    fn as_the_reference_compares() {
        for (a, order, b) in [
            ("1", '<', "2"),
            ("1.0", '>', "1"),
            ("1.0~rc1", '<', "1.0"),
            ("1.0^x", '>', "1.0"),
            ("1-2", '<', "1.2"),
            ("1.0a", '>', "1.0"),
            ("1.0", '<', "1.0.0"),
            ("122.1", '<', "123~rc1-1"),
            ("5.10", '>', "5.9"),
            ("a", '<', "b"),
            ("1a", '>', "1.1"),
            ("1_1", '>', "1.1"),
            ("01", '=', "1"),
            ("1", '>', ""),
            ("a1", '<', "1a"),
            ("1.0-1", '<', "1.0.1"),
            ("1.0^1", '<', "1.0.1"),
            ("1.0^1", '>', "1.0-1"),
            ("~", '<', "1"),
            ("-", '<', "."),
        ] {
            let expected = match order {
                '<' => Ordering::Less,
                '>' => Ordering::Greater,
                _ => Ordering::Equal,
            };
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn operators() {
        assert!(Operator::SameText.test("1", "01", false));
        assert!(!Operator::SameText.test("1", "01", true));
        assert!(Operator::Matches.test("debian", "deb*", true));
        assert_eq!(split_operator(">=3"), Some((Operator::GreaterOrEqual, "3")));
        assert_eq!(split_operator("!$=a"), Some((Operator::MatchesNot, "a")));
        assert_eq!(split_operator("3"), None);
    }

    proptest! {
        #[test]
        fn is_antisymmetric(a in "[0-2a-b.~^_-]{0,8}", b in "[0-2a-b.~^_-]{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }
    }
}
