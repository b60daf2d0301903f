//! Alternatives in braces, as patterns of paths have them (`GLOB_BRACE` of glob(3)).

/// More alternatives are refused: they multiply.
const ALTERNATIVES_MAX: usize = 1024;

/// A pattern without its braces: `{a,b}c` is `ac` and `bc`. Braces that are not closed stand for themselves, and so do `{}`.
pub fn braces(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        match alternatives(&text) {
            Some((before, parts, after)) if done.len() + open.len() + parts.len() <= ALTERNATIVES_MAX => {
                open.extend(parts.iter().rev().map(|part| format!("{before}{part}{after}")));
            }
            _ => done.push(text),
        }
    }
    done
}

/// The first closed braces of a text: what is before, the parts between the commas, what is behind.
fn alternatives(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        match closing(text, open) {
            // `{}` is left for find(1) and the like.
            Some((close, commas)) if close > open + 1 => {
                let mut parts = Vec::new();
                let mut begin = open + 1;
                for comma in commas {
                    parts.push(&text[begin..comma]);
                    begin = comma + 1;
                }
                parts.push(&text[begin..close]);
                return Some((&text[..open], parts, &text[close + 1..]));
            }
            _ => from = open + 1,
        }
    }
}

/// Where the brace at `open` is closed, and the commas of its level.
fn closing(text: &str, open: usize) -> Option<(usize, Vec<usize>)> {
    let (mut depth, mut commas, mut escaped) = (0_usize, Vec::new(), false);
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b',' if depth == 1 => commas.push(at),
            b'}' if depth == 1 => return Some((at, commas)),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_multiply() {
        assert_eq!(braces("/a/{b,c{d,e}}/{x}"), ["/a/b/x", "/a/cd/x", "/a/ce/x"]);
        for plain in ["/a/{}", "/a/{b", "/a}"] {
            assert_eq!(braces(plain), [plain]);
        }
        assert!(braces(&"{a,b}".repeat(64)).len() <= ALTERNATIVES_MAX + 1);
    }
}
