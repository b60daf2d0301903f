//! The kernel's tables of mounts and swaps: `/proc/self/mountinfo` and `/proc/swaps` (`proc_pid_mountinfo(5)`).
//!
//! Paths are bytes; the kernel writes blanks, tabs, newlines and backslashes in them as `\ooo`. A line that does not fit
//! the format is skipped and counted, never a reason to lose the others.

use std::borrow::Cow;

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Unique id of the mount as long as it lives.
    pub id: u32,
    /// Id of the mount it is mounted on.
    pub parent: u32,
    /// Major and minor number of the file system's device.
    pub device: (u32, u32),
    /// What of the file system is mounted, as a path inside it.
    pub root: Cow<'a, [u8]>,
    /// Where it is mounted.
    pub target: Cow<'a, [u8]>,
    /// Options of the mount, as text (`rw,nosuid`).
    pub options: Cow<'a, [u8]>,
    /// Propagation and the like: `shared:N`, `master:N`, `propagate_from:N`, `unbindable`.
    pub tags: Vec<&'a [u8]>,
    /// Type of the file system.
    pub kind: Cow<'a, [u8]>,
    /// What is mounted: a device, a name, `none`.
    pub source: Cow<'a, [u8]>,
    /// Options of the file system.
    pub super_options: Cow<'a, [u8]>,
}

/// A swap device or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap<'a> {
    /// Its path; ` (deleted)` stands behind it when it is gone.
    pub path: Cow<'a, [u8]>,
    /// Whether it is a file and not a partition.
    pub is_file: bool,
    /// Its size in KiB.
    pub size_kib: u64,
    /// How much of it is used, in KiB.
    pub used_kib: u64,
    /// Its priority.
    pub priority: i32,
}

/// What a table holds, in its order, and how many lines of it were not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// The number of lines that were skipped.
    pub skipped: usize,
}

/// Reads `/proc/self/mountinfo`.
pub fn parse_mounts(table: &[u8]) -> Table<Mount<'_>> {
    collect(table, parse_mount)
}

/// Reads `/proc/swaps`, whose first line is a heading.
pub fn parse_swaps(table: &[u8]) -> Table<Swap<'_>> {
    let behind_heading = table.iter().position(|byte| *byte == b'\n').map_or(&[][..], |at| &table[at + 1..]);
    collect(behind_heading, parse_swap)
}

fn collect<'a, T>(table: &'a [u8], parse: impl Fn(&'a [u8]) -> Option<T>) -> Table<T> {
    let mut result = Table { entries: Vec::new(), skipped: 0 };
    for line in table.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match parse(line) {
            Some(entry) => result.entries.push(entry),
            None => result.skipped += 1,
        }
    }
    result
}

/// Reads one line of the mount table, without its newline.
pub fn parse_mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = fields.next()?;
    let colon = device.iter().position(|byte| *byte == b':')?;
    let device = (number(&device[..colon])?, number(&device[colon + 1..])?);
    let root = unescape(fields.next()?);
    let target = unescape(fields.next()?);
    let options = unescape(fields.next()?);
    let mut tags = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            tag => tags.push(tag),
        }
    }
    let kind = unescape(fields.next()?);
    // An empty source leaves an empty field.
    let source = unescape(fields.next()?);
    let super_options = unescape(fields.next().unwrap_or_default());
    Some(Mount { id, parent, device, root, target, options, tags, kind, source, super_options })
}

/// Reads one line of the swap table, without its newline.
pub fn parse_swap(line: &[u8]) -> Option<Swap<'_>> {
    let mut fields = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|field| !field.is_empty());
    let path = unescape(fields.next()?);
    // Only the suffix of a deleted file stands in a field of its own, since the kernel does not escape that blank.
    let mut kind = fields.next()?;
    let path = match kind {
        b"(deleted)" | b"\\040(deleted)" => {
            kind = fields.next()?;
            Cow::Owned([&path[..], b" (deleted)"].concat())
        }
        _ => path,
    };
    Some(Swap {
        path,
        is_file: kind == b"file",
        size_kib: number(fields.next()?)?,
        used_kib: number(fields.next()?)?,
        priority: number(fields.next()?)?,
    })
}

/// Replaces each `\ooo` (three octal digits, at most 377) by its byte; anything else stays as it is.
pub fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        match behind.first_chunk::<3>() {
            Some(&[a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) if *first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = &behind[3..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(bytes)
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let text =
            b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n\
            25 1 0:22 / /run rw,nosuid - tmpfs tmpfs rw,mode=755\n\
            26 1 0:23 / /x rw -  none rw\n\
            27 1 0:24 / /y rw - fuse  rw\n\
            nonsense\n\
            28 1 0:24 / /z rw\n";
        let table = parse_mounts(text);
        assert_eq!((table.entries.len(), table.skipped), (4, 2));
        let first = &table.entries[0];
        assert_eq!((first.id, first.parent, first.device), (36, 35, (98, 0)));
        assert_eq!((&*first.root, &*first.target), (&b"/mnt1"[..], &b"/mnt 2"[..]));
        assert_eq!(first.tags, [&b"master:1"[..], b"shared:2"]);
        assert_eq!((&*first.kind, &*first.source), (&b"ext3"[..], &b"/dev/root"[..]));
        assert_eq!(&*first.super_options, b"rw,errors=continue");
        assert!(table.entries[1].tags.is_empty());
        assert_eq!(&*table.entries[3].source, b"");
    }

    #[test]
    fn swaps() {
        let text = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/sda2                               partition\t1048572\t\t0\t\t-2\n\
            /swap\\040file                           file\t\t4\t\t1\t\t5\n\
            /gone\\040(deleted)                      file\t\t4\t\t1\t\t5\n";
        let table = parse_swaps(text);
        assert_eq!(table.skipped, 0);
        let short: Vec<_> = table
            .entries
            .iter()
            .map(|swap| (&*swap.path, swap.is_file, swap.size_kib, swap.priority))
            .collect();
        assert_eq!(
            short,
            [
                (&b"/dev/sda2"[..], false, 1_048_572, -2),
                (b"/swap file", true, 4, 5),
                (b"/gone (deleted)", true, 4, 5)
            ]
        );
        assert!(parse_swaps(b"").entries.is_empty());
    }

    #[test]
    fn escapes() {
        assert_eq!(&*unescape(b"a\\040b\\134\\011\\400\\04"), b"a b\\\t\\400\\04");
        assert_eq!(&*unescape(b"\\"), b"\\");
    }
}
