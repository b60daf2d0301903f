//! Device events: the kernel's own (`kobject_uevent`) and those that udev passes on after its rules ran.
//!
//! Both come as datagrams of a netlink socket of family `NETLINK_KOBJECT_UEVENT`, in group 1 and 2. Who reads them checks that
//! the sender is the kernel (port 0) or, in group 2, that the kernel says the sender is root.

use std::fmt;

/// Longest datagram that is read, in bytes.
pub const MAX_DATAGRAM: usize = 8 << 10;
/// Most properties of one event.
pub const MAX_PROPERTIES: usize = 1024;

const UDEV_PREFIX: &[u8] = b"libudev\0";
const UDEV_MAGIC: u32 = 0xfeed_cafe;
const UDEV_HEADER: usize = 40;

/// Who made an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel.
    Kernel,
    /// udev, after its rules.
    Udev,
}

/// A device event. The values are what was sent, borrowed from the datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Who made it.
    pub origin: Origin,
    properties: Vec<(&'a str, &'a str)>,
    /// The number of properties that are not text or have no `=`.
    pub skipped: usize,
}

/// Why a datagram is no device event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than [`MAX_DATAGRAM`].
    TooLong,
    /// Neither of the two formats.
    Format,
    /// The header of udev's format does not fit the datagram.
    Header,
    /// More properties than [`MAX_PROPERTIES`].
    TooManyProperties,
    /// A property that every event has (`ACTION`, `DEVPATH`, `SUBSYSTEM`) is missing or wrong.
    Incomplete,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::TooLong => "datagram is too long",
            Malformed::Format => "datagram is in no known format",
            Malformed::Header => "header does not fit the datagram",
            Malformed::TooManyProperties => "too many properties",
            Malformed::Incomplete => "a required property is missing",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads a datagram in either format.
pub fn parse(datagram: &[u8]) -> Result<Event<'_>, Malformed> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Malformed::TooLong);
    }
    let (origin, properties) = if datagram.starts_with(UDEV_PREFIX) {
        (Origin::Udev, udev_properties(datagram)?)
    } else {
        (Origin::Kernel, kernel_properties(datagram)?)
    };
    let mut event = Event { origin, properties: Vec::new(), skipped: 0 };
    for line in properties.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        if event.properties.len() >= MAX_PROPERTIES {
            return Err(Malformed::TooManyProperties);
        }
        match std::str::from_utf8(line).ok().and_then(|line| line.split_once('=')) {
            Some((name, value)) if !name.is_empty() => event.properties.push((name, value)),
            _ => event.skipped += 1,
        }
    }
    let complete = event.get("ACTION").is_some_and(|action| !action.is_empty())
        && event.get("SUBSYSTEM").is_some()
        && event
            .get("DEVPATH")
            .is_some_and(|path| path.starts_with('/') && !path.split('/').any(|part| part == ".."));
    if complete { Ok(event) } else { Err(Malformed::Incomplete) }
}

/// The kernel's format: `ACTION@DEVPATH`, NUL, then properties each ending in NUL.
fn kernel_properties(datagram: &[u8]) -> Result<&[u8], Malformed> {
    let end = datagram.iter().position(|byte| *byte == 0).ok_or(Malformed::Format)?;
    match datagram[..end].iter().position(|byte| *byte == b'@') {
        Some(at) if at > 0 && datagram.get(at + 1) == Some(&b'/') => Ok(&datagram[end + 1..]),
        _ => Err(Malformed::Format),
    }
}

/// udev's format: `libudev` NUL, the magic number in network order, then in the machine's order the header's size, where
/// the properties are and how long, and four words for filters.
fn udev_properties(datagram: &[u8]) -> Result<&[u8], Malformed> {
    let word = |at: usize| datagram.get(at..at + 4).and_then(|raw| raw.first_chunk::<4>()).copied();
    let size = |at: usize| word(at).map(|raw| u32::from_ne_bytes(raw) as usize).ok_or(Malformed::Header);
    if word(8).map(u32::from_be_bytes) != Some(UDEV_MAGIC) {
        return Err(Malformed::Header);
    }
    let (start, len) = (size(16)?, size(20)?);
    if size(12)? < UDEV_HEADER || start < UDEV_HEADER {
        return Err(Malformed::Header);
    }
    start.checked_add(len).and_then(|end| datagram.get(start..end)).ok_or(Malformed::Header)
}

impl<'a> Event<'a> {
    /// The value of a property; the last one counts when it stands twice.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.properties.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// `ACTION`: `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`.
    pub fn action(&self) -> &'a str {
        self.get("ACTION").unwrap_or_default()
    }

    /// `DEVPATH`: the device below `/sys`.
    pub fn devpath(&self) -> &'a str {
        self.get("DEVPATH").unwrap_or_default()
    }

    /// `SUBSYSTEM`.
    pub fn subsystem(&self) -> &'a str {
        self.get("SUBSYSTEM").unwrap_or_default()
    }

    /// `DEVLINKS`: the links to the device node.
    pub fn links(&self) -> impl Iterator<Item = &'a str> {
        self.get("DEVLINKS").unwrap_or_default().split(' ').filter(|link| !link.is_empty())
    }

    /// Whether the device has this tag (`TAGS`, `:a:b:`).
    pub fn has_tag(&self, tag: &str) -> bool {
        self.get("TAGS").unwrap_or_default().split(':').any(|known| known == tag)
    }

    /// Whether the device has this tag now (`CURRENT_TAGS`; udev before 247 has only `TAGS`).
    pub fn has_current_tag(&self, tag: &str) -> bool {
        match self.get("CURRENT_TAGS") {
            Some(tags) => tags.split(':').any(|known| known == tag),
            None => self.has_tag(tag),
        }
    }

    /// All properties, in their order.
    pub fn properties(&self) -> &[(&'a str, &'a str)] {
        &self.properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: &[u8] =
        b"ACTION=add\0DEVPATH=/devices/virtual/tty/tty9\0SUBSYSTEM=tty\0DEVNAME=/dev/tty9\0\
        DEVLINKS=/dev/a /dev/b\0TAGS=:systemd:seat:\0CURRENT_TAGS=:seat:\0SEQNUM=42\0";

    fn udev(properties: &[u8]) -> Vec<u8> {
        let mut bytes = b"libudev\0".to_vec();
        bytes.extend_from_slice(&UDEV_MAGIC.to_be_bytes());
        for word in [40u32, 40, properties.len() as u32, 0, 0, 0, 0] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(properties);
        bytes
    }

    #[test]
    fn reads_both_formats() {
        let kernel = [b"add@/devices/virtual/tty/tty9\0", PROPERTIES].concat();
        let event = parse(&kernel).unwrap();
        assert_eq!(event.origin, Origin::Kernel);
        assert_eq!((event.action(), event.subsystem()), ("add", "tty"));
        let bytes = udev(PROPERTIES);
        let event = parse(&bytes).unwrap();
        assert_eq!((event.origin, event.devpath()), (Origin::Udev, "/devices/virtual/tty/tty9"));
        assert_eq!(event.links().collect::<Vec<_>>(), ["/dev/a", "/dev/b"]);
        assert!(
            event.has_tag("systemd") && !event.has_current_tag("systemd") && event.has_current_tag("seat")
        );
        assert_eq!(event.properties().len(), 8);
    }

    #[test]
    fn refuses_the_rest() {
        assert_eq!(parse(b""), Err(Malformed::Format));
        assert_eq!(parse(b"libudev\0"), Err(Malformed::Header));
        assert_eq!(parse(b"add@x\0"), Err(Malformed::Format));
        assert_eq!(parse(b"add@/x\0ACTION=add\0"), Err(Malformed::Incomplete));
        assert_eq!(parse(b"add@/x\0ACTION=add\0SUBSYSTEM=a\0DEVPATH=/x/../y\0"), Err(Malformed::Incomplete));
        assert_eq!(parse(&vec![b'a'; MAX_DATAGRAM + 1]), Err(Malformed::TooLong));
        let mut far = udev(PROPERTIES);
        far[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(parse(&far), Err(Malformed::Header));
        let many = [b"add@/x\0".to_vec(), b"A=\0".repeat(MAX_PROPERTIES + 1)].concat();
        assert_eq!(parse(&many), Err(Malformed::TooManyProperties));
        let odd = [b"add@/x\0", PROPERTIES, b"\xff=1\0novalue\0=x\0"].concat();
        assert_eq!(parse(&odd).unwrap().skipped, 3);
    }
}
