//! Shell patterns over text: `*`, `?`, `[...]`, as unit patterns, presets and `os-release` conditions use them
//! (`glob(7)`, `fnmatch(3)`).

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// A backslash stands for itself (`FNM_NOESCAPE`): unit names have backslashes of their own.
    pub no_escape: bool,
    /// `/` is matched only by `/` (`FNM_PATHNAME`).
    pub pathname: bool,
}

/// The rules of unit name patterns on `systemctl`'s command line.
pub const UNIT_RULES: Rules = Rules { no_escape: true, pathname: false };

/// Whether `text` has characters that make it a pattern.
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether the whole of `text` matches `pattern`. Takes at most pattern times text steps.
pub fn matches(pattern: &str, text: &str, rules: Rules) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to resume when what follows the last star does not fit: the pattern behind it, and one more
    // character of text given to the star.
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        if pattern.get(p) == Some(&'*') {
            resume = Some((p + 1, t));
            p += 1;
            continue;
        }
        if let Some(&c) = text.get(t)
            && let Some(next) = match_one(&pattern, p, c, rules)
        {
            p = next;
            t += 1;
            continue;
        }
        let Some((after_star, given)) = resume else { return false };
        match text.get(given) {
            Some(&c) if !(rules.pathname && c == '/') => {
                resume = Some((after_star, given + 1));
                p = after_star;
                t = given + 1;
            }
            _ => return false,
        }
    }
    true
}

/// Whether the name of a file matches a component of a path's pattern; only a dot matches a leading dot (glob(7)).
pub fn matches_name(component: &str, name: &str) -> bool {
    let hidden = name.starts_with('.') && !component.starts_with('.');
    !hidden && matches(component, name, Rules::default())
}

/// Matches one character against the element at `p`; gives the position behind the element.
fn match_one(pattern: &[char], p: usize, c: char, rules: Rules) -> Option<usize> {
    let slash = rules.pathname && c == '/';
    match *pattern.get(p)? {
        '?' => (!slash).then_some(p + 1),
        '[' => match class(pattern, p + 1, c, rules) {
            Some((hit, end)) => (hit && !slash).then_some(end),
            None => (c == '[').then_some(p + 1),
        },
        '\\' if !rules.no_escape => (*pattern.get(p + 1)? == c).then_some(p + 2),
        literal => (literal == c).then_some(p + 1),
    }
}

/// Reads the class that begins behind `[`; `None` when it is never closed (then `[` is a plain character).
fn class(pattern: &[char], start: usize, c: char, rules: Rules) -> Option<(bool, usize)> {
    let mut at = start;
    let negate = matches!(pattern.get(at), Some('!' | '^'));
    if negate {
        at += 1;
    }
    let first = at;
    let mut hit = false;
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && at > first {
            return Some((hit != negate, at + 1));
        }
        if low == '[' && pattern.get(at + 1) == Some(&':') {
            let end = (at + 2..pattern.len())
                .find(|&i| pattern.get(i) == Some(&':') && pattern.get(i + 1) == Some(&']'));
            if let Some(end) = end {
                hit |= named_class(pattern.get(at + 2..end)?, c);
                at = end + 2;
                continue;
            }
        }
        if low == '\\' && !rules.no_escape {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&'-') && pattern.get(at + 1).is_some_and(|&next| next != ']') {
            at += 1;
            high = *pattern.get(at)?;
            if high == '\\' && !rules.no_escape {
                at += 1;
                high = *pattern.get(at)?;
            }
            at += 1;
        }
        hit |= low <= c && c <= high;
    }
}

fn named_class(name: &[char], c: char) -> bool {
    match name.iter().collect::<String>().as_str() {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_ascii_whitespace() || c == '\x0b',
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "print" => !c.is_control(),
        "graph" => !c.is_control() && c != ' ',
        "cntrl" => c.is_control(),
        "xdigit" => c.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        let yes = |p: &str, t: &str| assert!(matches(p, t, Rules::default()), "{p} {t}");
        let no = |p: &str, t: &str| assert!(!matches(p, t, Rules::default()), "{p} {t}");
        yes("*", "");
        yes("*.service", "dbus.service");
        no("*.service", "dbus.socket");
        yes("getty@*.service", "getty@tty1.service");
        yes("tty[0-9]", "tty1");
        no("tty[!0-9]", "tty1");
        yes("[]a]", "]");
        yes("a[", "a[");
        yes("\\*", "*");
        no("\\*", "a");
        yes("a*b*c", "aXbYbZc");
        no("a*b*c", "aXbYbZ");
        yes("?x", "äx");
        yes("[[:digit:]x]", "7");
        no("", "a");
        yes("", "");
        assert!(matches("a\\x2d*", "a\\x2db.mount", UNIT_RULES));
        assert!(!matches("*", "a/b", Rules { pathname: true, no_escape: false }));
        assert!(matches("*/b", "a/b", Rules { pathname: true, no_escape: false }));
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = "a*".repeat(2000) + "b";
        assert!(!matches(&pattern, &"a".repeat(4000), Rules::default()));
    }

    #[test]
    fn a_leading_dot_is_not_matched_by_accident() {
        assert!(matches_name("*", "a") && !matches_name("*", ".a") && matches_name(".*", ".a"));
        assert!(matches_name("a[0-9]", "a1") && !matches_name("a[0-9]", "ab"));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[]\\[!*?a-c\\\\^:-]{0,16}", text in "[a-c/\\[\\]-]{0,8}") {
            let _ = matches(&pattern, &text, Rules::default());
            let _ = matches(&pattern, &text, UNIT_RULES);
        }
    }
}
