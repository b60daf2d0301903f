//! The last field of a line: what it is depends on the line's kind.
use super::Acl;
use crate::values::quoting::{self, Rules};
use crate::values::split_digits;

/// What a line's argument says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Argument {
    /// None is given.
    #[default]
    None,
    /// What is written to a file.
    Content(Vec<u8>),
    /// Where a link leads, or what is copied.
    Target(String),
    /// Major and minor number.
    Device(u32, u32),
    /// Names and values.
    Xattrs(Pairs),
    /// Access control lists.
    Acl(Acl),
    /// Bits of `FS_IOC_SETFLAGS`: those to set among those that are touched.
    Flags {
        /// To set.
        value: u32,
        /// To touch.
        mask: u32,
    },
}

/// Letters of chattr(1) and their bits (`linux/fs.h`).
const FLAGS: [(char, u32); 15] = [
    ('A', 0x80),
    ('S', 0x8),
    ('D', DIRSYNC),
    ('a', 0x20),
    ('c', 0x4),
    ('d', 0x40),
    ('e', 0x8_0000),
    ('i', 0x10),
    ('j', 0x4000),
    ('P', 0x2000_0000),
    ('s', 0x1),
    ('u', 0x2),
    ('t', 0x8000),
    ('T', 0x2_0000),
    ('C', 0x80_0000),
];

/// The flag that only directories have.
pub const DIRSYNC: u32 = 0x1_0000;

/// `MAJOR:MINOR`.
pub fn device(text: &str) -> Result<Argument, String> {
    let number = |text: &str, most| {
        let (_, rest) = split_digits(text);
        text.parse::<u32>().ok().filter(|number| rest.is_empty() && *number <= most)
    };
    let parts = text.split_once(':');
    parts
        .and_then(|(major, minor)| Some(Argument::Device(number(major, 0xfff)?, number(minor, 0xf_ffff)?)))
        .ok_or_else(|| format!("{text:?} is no device: write MAJOR:MINOR"))
}

/// `[+-=]LETTERS`.
pub fn flags(text: &str) -> Result<Argument, String> {
    let (sign, letters) = match text.chars().next() {
        Some(sign @ ('+' | '-' | '=')) => (sign, &text[1..]),
        _ => ('+', text),
    };
    if letters.is_empty() && sign != '=' {
        return Err("no file attribute is named: write some of aAcCdDeijPsStTu".to_owned());
    }
    let mut named = 0;
    for letter in letters.chars() {
        let flag = FLAGS.iter().find(|(name, _)| *name == letter);
        named |=
            flag.ok_or_else(|| format!("{letter:?} is no file attribute: write some of aAcCdDeijPsStTu"))?.1;
    }
    let all = FLAGS.iter().fold(0, |all, (_, bit)| all | bit);
    Ok(match sign {
        '+' => Argument::Flags { value: named, mask: named },
        '-' => Argument::Flags { value: 0, mask: named },
        _ => Argument::Flags { value: named, mask: all },
    })
}

/// Names and values.
pub type Pairs = Vec<(String, String)>;

/// `NAME=VALUE` words, and what is to be told of words that are none.
pub fn xattrs(text: &str) -> Result<(Pairs, Vec<String>), String> {
    let rules = Rules { unquote: true, cunescape: true, ..Rules::default() };
    let words = quoting::split(text, rules).map_err(|error| error.to_string())?;
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for word in words {
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                found.push((name.to_owned(), value.to_owned()));
            }
            _ => wrong.push(format!("{word:?} is no extended attribute, ignored: write NAME=VALUE")),
        }
    }
    Ok((found, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_flags_and_attributes() {
        assert_eq!(device("1:3"), Ok(Argument::Device(1, 3)));
        for wrong in ["", "1", "1:", ":3", "a:b", "1:3:4", "99999:1", "+1:3"] {
            assert!(device(wrong).is_err(), "{wrong}");
        }
        assert_eq!(flags("+C"), Ok(Argument::Flags { value: 0x80_0000, mask: 0x80_0000 }));
        assert_eq!(flags("-i"), Ok(Argument::Flags { value: 0, mask: 0x10 }));
        assert!(matches!(flags("="), Ok(Argument::Flags { value: 0, mask: 0x2000_0010.. })));
        assert!(flags("+").is_err() && flags("").is_err() && flags("+Q").is_err());
        let (found, wrong) = xattrs("user.a=b \"user.c=d e\" user.f= g").expect("words");
        assert_eq!(found, [("user.a".into(), "b".into()), ("user.c".into(), "d e".into())]);
        assert_eq!(wrong.len(), 2);
    }
}
