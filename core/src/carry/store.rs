//! The file that keeps what is carried over: a manifest for people, then the contents.
//!
//! ```text
//! runstead-carry 1
//! start=BOOT-ID-START     (of PID 1 when this was saved)
//! dir MODE UID GID PATH
//! file MODE UID GID SIZE CRC32 PATH
//! end CRC32               (of all lines before)
//! CONTENTS...             (of the files, in order)
//! ```
//!
//! Numbers are decimal, but mode (base 8) and checksums (base 16). In a path `\`, and bytes up to the space, are `\xHH`.
use super::Item;
use super::wish::is_plain;
use std::fmt;

/// The first line.
const MAGIC: &str = "runstead-carry 1";
/// Bounds of one store.
pub const MOST_ITEMS: usize = 10_000;
/// Bytes of all files together.
pub const MOST_BYTES: usize = 64 << 20;

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The start of PID 1 that saved it.
    pub start: String,
    /// Directories before what is in them.
    pub items: Vec<Item>,
}

/// Why a file is no store, or no whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It does not begin as one.
    Foreign,
    /// It ends too early.
    Short,
    /// The manifest is not as it was written.
    Manifest,
    /// A file's contents are not as they were written.
    Contents,
    /// More than there may be.
    TooLarge,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Foreign => "it is no store of this version",
            Damage::Short => "it ends too early",
            Damage::Manifest => "its manifest is damaged",
            Damage::Contents => "the contents of a file are damaged",
            Damage::TooLarge => "it holds more than it may",
        })
    }
}

/// The bytes of a store.
pub fn encode(store: &Store) -> Vec<u8> {
    let mut manifest = format!("{MAGIC}\nstart={}\n", store.start);
    for item in &store.items {
        let Item { mode, uid, gid, .. } = item;
        let path = escape(&item.path);
        manifest.push_str(&match &item.bytes {
            None => format!("dir {mode:o} {uid} {gid} {path}\n"),
            Some(bytes) => {
                format!("file {mode:o} {uid} {gid} {} {:08x} {path}\n", bytes.len(), crc32fast::hash(bytes))
            }
        });
    }
    let sum = crc32fast::hash(manifest.as_bytes());
    manifest.push_str(&format!("end {sum:08x}\n"));
    let mut bytes = manifest.into_bytes();
    store
        .items
        .iter()
        .filter_map(|item| item.bytes.as_deref())
        .for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// What a file holds, if every bit of it is as it was written.
pub fn decode(bytes: &[u8]) -> Result<Store, Damage> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Damage::Short)?;
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        std::str::from_utf8(line)
            .map(|line| (line, bytes.len() - after.len() - line.len()))
            .map_err(|_| Damage::Manifest)
    };
    if line()?.0 != MAGIC {
        return Err(Damage::Foreign);
    }
    let start = line()?.0.strip_prefix("start=").ok_or(Damage::Manifest)?.to_owned();
    let mut lines = Vec::new();
    let end = loop {
        let (text, at) = line()?;
        if let Some(sum) = text.strip_prefix("end ") {
            break (sum, at);
        }
        if lines.len() == MOST_ITEMS {
            return Err(Damage::TooLarge);
        }
        lines.push(text);
    };
    if format!("{:08x}", crc32fast::hash(&bytes[..end.1])) != end.0 {
        return Err(Damage::Manifest);
    }
    let items: Option<Vec<Line>> = lines.into_iter().map(item).collect();
    let items = fill(items.ok_or(Damage::Manifest)?, rest)?;
    Ok(Store { start, items })
}

/// What a line of the manifest says; of a file also size and checksum.
type Line = (Item, Option<(usize, u32)>);

fn item(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let mode = u32::from_str_radix(words.next()?, 8).ok().filter(|mode| *mode <= 0o777)?;
    let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let contents = match kind {
        "dir" => None,
        "file" => Some((words.next()?.parse().ok()?, u32::from_str_radix(words.next()?, 16).ok()?)),
        _ => return None,
    };
    let path = unescape(words.next()?).filter(|path| is_plain(path))?;
    words.next().is_none().then_some((Item { path, mode, uid, gid, bytes: None }, contents))
}

/// The contents follow the manifest without a gap, and nothing follows them.
fn fill(lines: Vec<Line>, contents: &[u8]) -> Result<Vec<Item>, Damage> {
    let mut rest = contents;
    let mut items = Vec::with_capacity(lines.len());
    for (mut item, file) in lines {
        if let Some((size, sum)) = file {
            let (bytes, after) = rest.split_at_checked(size).ok_or(Damage::Short)?;
            if crc32fast::hash(bytes) != sum {
                return Err(Damage::Contents);
            }
            item.bytes = Some(bytes.to_owned());
            rest = after;
        }
        items.push(item);
    }
    if rest.is_empty() { Ok(items) } else { Err(Damage::Contents) }
}

fn escape(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '\\' | '\0'..=' ' => text.push_str(&format!("\\x{:02x}", character as u32)),
            other => text.push(other),
        }
    }
    text
}

fn unescape(text: &str) -> Option<String> {
    let mut path = String::with_capacity(text.len());
    let mut parts = text.split("\\x");
    path.push_str(parts.next()?);
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok().filter(u8::is_ascii)?;
        path.push(char::from(code));
        path.push_str(&part[2..]);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items() -> impl Strategy<Value = Vec<Item>> {
        let part = "[^/\0.][^/\0]{0,6}";
        let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
        let bytes = prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
        let item = (path, 0u32..0o1000, any::<u32>(), any::<u32>(), bytes)
            .prop_map(|(path, mode, uid, gid, bytes)| Item { path, mode, uid, gid, bytes });
        prop::collection::vec(item, 0..6)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(items in items()) {
            let store = Store { start: "0123-4".to_owned(), items };
            prop_assert_eq!(decode(&encode(&store)), Ok(store));
        }

        #[test]
        fn a_changed_byte_or_a_missing_end_is_noticed(items in items(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let store = Store { start: "0123-4".to_owned(), items };
            let mut bytes = encode(&store);
            let at = at.index(bytes.len());
            prop_assert!(decode(&bytes[..at]).is_err());
            bytes[at] ^= flip;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode(&[MAGIC.as_bytes(), b"\nstart=\n", &bytes].concat());
        }
    }

    #[test]
    fn the_manifest_is_for_people() {
        let file =
            Item { path: "a b/c".to_owned(), mode: 0o640, uid: 33, gid: 4, bytes: Some(b"hello\n".to_vec()) };
        let directory = Item { path: "a b".to_owned(), mode: 0o750, uid: 33, gid: 4, bytes: None };
        let text = String::from_utf8(encode(&Store { start: "x".to_owned(), items: vec![directory, file] }))
            .unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            ["runstead-carry 1", "start=x", "dir 750 33 4 a\\x20b", "file 640 33 4 6 363a3020 a\\x20b/c"]
        );
        assert_eq!(lines[5], "hello");
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in ["/etc/x", "../x", "a/../x", "", "a//b", "."] {
            let item = Item { path: path.to_owned(), mode: 0o600, uid: 0, gid: 0, bytes: Some(Vec::new()) };
            let bytes = encode(&Store { start: String::new(), items: vec![item] });
            assert_eq!(decode(&bytes), Err(Damage::Manifest), "{path}");
        }
    }
}
