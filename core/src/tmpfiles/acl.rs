//! POSIX access control lists: the text of `setfacl(1)` and `acl(5)`, and what the kernel keeps as
//! `system.posix_acl_access` and `system.posix_acl_default`.
use super::Host;
use std::fmt;

/// Who an entry is about; in the order in which the kernel wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The owner.
    Owner,
    /// Another user.
    User(u32),
    /// The file's group.
    OwningGroup,
    /// Another group.
    Group(u32),
    /// The most that users and groups get.
    Mask,
    /// Everybody else.
    Other,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// About whom.
    pub who: Who,
    /// rwx, as three bits.
    pub bits: u8,
    /// `X`: execution where the file is a directory or somebody has it.
    pub maybe_execute: bool,
}

/// What a line of `a` and its like says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acl {
    /// Of the file itself.
    pub access: Vec<Entry>,
    /// What files made in the directory get.
    pub default: Vec<Entry>,
}

const EXECUTE: u8 = 1;
/// The version of the kernel's format.
const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;

/// Why a text is no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclError {
    /// The entry.
    pub entry: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for AclError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no entry of an access control list: {}", self.entry, self.reason)
    }
}

/// Reads entries such as `d:group:adm:r-X`, separated by commas.
///
/// # Errors
/// The first entry that is none.
pub fn parse(text: &str, host: &dyn Host) -> Result<Acl, AclError> {
    let mut acl = Acl::default();
    for text in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let default = ["default:", "d:"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let entry =
            entry(default.unwrap_or(text), host).map_err(|reason| AclError { entry: text.into(), reason })?;
        let list = if default.is_some() { &mut acl.default } else { &mut acl.access };
        if list.iter().any(|other| other.who == entry.who) {
            return Err(AclError { entry: text.into(), reason: "it is there twice" });
        }
        list.push(entry);
    }
    Ok(acl)
}

fn entry(text: &str, host: &dyn Host) -> Result<Entry, &'static str> {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let (tag, name, permissions) = match parts[..] {
        [tag, name, permissions] => (tag, name, permissions),
        // The mask and the others have no name, and may leave its place out.
        [tag @ ("m" | "mask" | "o" | "other"), permissions] => (tag, "", permissions),
        _ => return Err("write TYPE:NAME:PERMISSIONS"),
    };
    let who = match (tag, name) {
        ("u" | "user", "") => Who::Owner,
        ("u" | "user", name) => Who::User(host.user(name).ok_or("no such user")?),
        ("g" | "group", "") => Who::OwningGroup,
        ("g" | "group", name) => Who::Group(host.group(name).ok_or("no such group")?),
        ("m" | "mask", "") => Who::Mask,
        ("o" | "other", "") => Who::Other,
        _ => return Err("the type is one of user, group, mask and other"),
    };
    let (mut bits, mut maybe_execute) = (0, false);
    for letter in permissions.chars() {
        match letter {
            'r' => bits |= 4,
            'w' => bits |= 2,
            'x' => bits |= EXECUTE,
            'X' => maybe_execute = true,
            '-' => {}
            _ => return Err("permissions are of r, w, x, X and -"),
        }
    }
    Ok(Entry { who, bits, maybe_execute })
}

/// What a file gets: `new`, over the `old` that it has when that is kept (`+`), with the entries that must be there from its mode.
pub fn apply(new: &[Entry], old: &[Entry], keep: bool, mode: u32, is_directory: bool) -> Vec<Entry> {
    let plain = |who, bits: u32| Entry { who, bits: (bits & 7) as u8, maybe_execute: false };
    // The mask is a limit, no permission; and without a list the mode says all there is.
    let may = |entry: &Entry| entry.bits & EXECUTE != 0 && entry.who != Who::Mask;
    let somebody = is_directory
        || match (keep, old) {
            (false, _) => mode & 0o100 != 0,
            (true, []) => mode & 0o111 != 0,
            (true, old) => old.iter().any(may),
        };
    let mut list: Vec<Entry> = if keep { old.to_vec() } else { Vec::new() };
    for entry in new {
        let execute = if entry.maybe_execute && somebody { EXECUTE } else { 0 };
        let entry = Entry { bits: entry.bits | execute, maybe_execute: false, ..*entry };
        match list.iter_mut().find(|other| other.who == entry.who) {
            Some(other) => *other = entry,
            None => list.push(entry),
        }
    }
    // A list that replaces another limits to what it says itself.
    let limit = masking(&list);
    for base in [plain(Who::Owner, mode >> 6), plain(Who::OwningGroup, mode >> 3), plain(Who::Other, mode)] {
        if !list.iter().any(|entry| entry.who == base.who) {
            list.push(base);
        }
    }
    let named = list.iter().any(|entry| matches!(entry.who, Who::User(_) | Who::Group(_)));
    if named && !list.iter().any(|entry| entry.who == Who::Mask) {
        let bits = if keep { masking(&list) } else { limit };
        list.push(plain(Who::Mask, bits.into()));
    }
    list.sort_by_key(|entry| entry.who);
    list
}

/// All that users and groups get by a list.
fn masking(list: &[Entry]) -> u8 {
    let masked = |entry: &&Entry| !matches!(entry.who, Who::Owner | Who::Other | Who::Mask);
    list.iter().filter(masked).fold(0, |bits, entry| bits | entry.bits)
}

/// As the kernel keeps it (`linux/posix_acl_xattr.h`), all numbers little-endian.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for entry in entries {
        let (tag, id): (u16, u32) = match entry.who {
            Who::Owner => (0x01, NO_ID),
            Who::User(id) => (0x02, id),
            Who::OwningGroup => (0x04, NO_ID),
            Who::Group(id) => (0x08, id),
            Who::Mask => (0x10, NO_ID),
            Who::Other => (0x20, NO_ID),
        };
        bytes.extend(tag.to_le_bytes());
        bytes.extend(u16::from(entry.bits).to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// The other way; `None` for what is not of this format.
pub fn decode(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (version, rest) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION || rest.len() % 8 != 0 {
        return None;
    }
    let entries = rest.chunks_exact(8).map(|chunk| {
        let tag = u16::from_le_bytes([chunk[0], chunk[1]]);
        let id = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let who = match tag {
            0x01 => Who::Owner,
            0x02 => Who::User(id),
            0x04 => Who::OwningGroup,
            0x08 => Who::Group(id),
            0x10 => Who::Mask,
            0x20 => Who::Other,
            _ => return None,
        };
        Some(Entry { who, bits: chunk[2] & 7, maybe_execute: false })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::Bare;
    use super::*;

    fn list(text: &str) -> Vec<Entry> {
        parse(text, &Bare).expect("valid").access
    }

    #[test]
    fn lists_are_read() {
        let acl = parse("d:group::r-x,d:group:adm:r-x,group:adm:r-X,u:7:rw", &Bare).expect("valid");
        assert_eq!(acl.default.len(), 2);
        assert_eq!(acl.access[0], Entry { who: Who::Group(4), bits: 4, maybe_execute: true });
        assert_eq!(acl.access[1], Entry { who: Who::User(7), bits: 6, maybe_execute: false });
        for wrong in
            ["x", "user:root", "user:nobody-of-that-name:r", "u:root:q", "o:root:r", "u:0:r,user:0:w"]
        {
            assert!(parse(wrong, &Bare).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_must_be_there_comes_from_the_mode() {
        let all = apply(&list("g:4:r-X"), &[], false, 0o640, false);
        let short: Vec<(Who, u8)> = all.iter().map(|entry| (entry.who, entry.bits)).collect();
        let group = (Who::Group(4), 4);
        assert_eq!(short, [(Who::Owner, 6), (Who::OwningGroup, 4), group, (Who::Mask, 4), (Who::Other, 0)]);
        assert_eq!(decode(&encode(&all)), Some(all.clone()));
        let more = apply(&list("g:4:-,u:9:x"), &all, true, 0o640, false);
        assert_eq!(more.len(), 6);
        assert_eq!(more[3], Entry { who: Who::Group(4), bits: 0, maybe_execute: false });
        assert_eq!(decode(&[2, 0, 0, 0, 1]), None);
    }
}
