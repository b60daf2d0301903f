//! What goes to the journal and the kernel's log, and how lines of services carry their priority.
//!
//! Sources: `systemd-journald.service(8)`, the published "Native Journal Protocol", `sd-daemon(3)`, `syslog(3)`, the kernel's
//! `Documentation/ABI/testing/dev-kmsg`.

/// Longest field name.
pub const MAX_FIELD_NAME: usize = 64;
/// Longest line written to the kernel's log, its prefix included.
pub const MAX_KMSG: usize = 1024 - 32;

/// An entry in the native protocol of `/run/systemd/journal/socket`: one datagram, or (when too big for one) the contents of a
/// sealed memory file whose descriptor is sent alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    bytes: Vec<u8>,
}

impl Entry {
    /// An empty entry.
    pub fn new() -> Entry {
        Entry::default()
    }

    /// Appends a field. A name that clients may not use is left out, since the journal would drop it (see [`is_field_name`]).
    pub fn field(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Entry {
        let value = value.as_ref();
        if !is_field_name(name) {
            return self;
        }
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') {
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
        self
    }

    /// Appends a field with a number.
    pub fn number(&mut self, name: &str, value: impl Into<i128>) -> &mut Entry {
        let text: i128 = value.into();
        self.field(name, text.to_string())
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether a client may send a field of this name: `A-Z`, `0-9`, `_`, at most 64 bytes, beginning with a letter.
pub fn is_field_name(name: &str) -> bool {
    name.len() <= MAX_FIELD_NAME
        && name.bytes().next().is_some_and(|first| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Reads the fields of an entry in the native protocol; what is malformed ends it. The inverse of [`Entry`], for tests and tools.
pub fn parse_entry(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        let behind = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            fields.push((&line[..at], &line[at + 1..]));
            rest = behind;
            continue;
        }
        let Some((len, value)) = behind.split_first_chunk::<8>() else { break };
        let Ok(len) = usize::try_from(u64::from_le_bytes(*len)) else { break };
        let (Some(value), Some(b'\n')) = (value.get(..len), value.get(len)) else { break };
        fields.push((line, value));
        rest = behind.get(8 + len + 1..).unwrap_or_default();
    }
    fields
}

/// What a stream of `/run/systemd/journal/stdout` says first: a service's standard output or error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeader<'a> {
    /// `SyslogIdentifier=`; empty: the name of the sending process.
    pub identifier: &'a str,
    /// The unit; taken over only from root.
    pub unit: &'a str,
    /// `SyslogLevel=` and `SyslogFacility=`, as one number.
    pub priority: u16,
    /// `SyslogLevelPrefix=`
    pub level_prefix: bool,
    /// Whether lines go to syslog, too.
    pub forward_syslog: bool,
    /// Whether lines go to the kernel's log, too.
    pub forward_kmsg: bool,
    /// Whether lines go to the console, too.
    pub forward_console: bool,
}

impl<'a> StreamHeader<'a> {
    /// The bytes to write before the first line. Newlines in names, which would shift the lines, become blanks.
    pub fn encode(&self) -> Vec<u8> {
        let line = |text: &str| text.replace('\n', " ");
        let flag = |yes: bool| u8::from(yes);
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            line(self.identifier),
            line(self.unit),
            self.priority,
            flag(self.level_prefix),
            flag(self.forward_syslog),
            flag(self.forward_kmsg),
            flag(self.forward_console)
        )
        .into_bytes()
    }

    /// Reads a header and gives what follows it.
    pub fn parse(bytes: &'a [u8]) -> Option<(StreamHeader<'a>, &'a [u8])> {
        let mut rest = bytes;
        let mut line = || {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = std::str::from_utf8(&rest[..end]).ok()?;
            rest = &rest[end + 1..];
            Some(line)
        };
        let identifier = line()?;
        let unit = line()?;
        let priority = line()?.parse().ok().filter(|priority| *priority < 1024)?;
        let mut flag = || match line()? {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        let header = StreamHeader {
            identifier,
            unit,
            priority,
            level_prefix: flag()?,
            forward_syslog: flag()?,
            forward_kmsg: flag()?,
            forward_console: flag()?,
        };
        Some((header, rest))
    }
}

/// A syslog priority: severity 0 (emergency) to 7 (debug) and facility 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// 0 to 7.
    pub level: u8,
    /// 0 to 127; 3 is `daemon`.
    pub facility: u8,
}

impl Priority {
    /// The priority that a number stands for, if it is below 1024.
    pub fn from_number(number: u16) -> Option<Priority> {
        if number >= 1024 {
            return None;
        }
        // Both fit: 3 and 7 bits.
        Some(Priority { level: (number & 7) as u8, facility: (number >> 3) as u8 })
    }

    /// The number that stands for it.
    pub fn number(self) -> u16 {
        u16::from(self.facility) << 3 | u16::from(self.level & 7)
    }
}

/// Splits a leading `<N>` (one to three digits, below 1024) off a line.
pub fn split_priority(line: &[u8]) -> (Option<Priority>, &[u8]) {
    let split = || {
        let behind = line.strip_prefix(b"<")?;
        let digits = behind.iter().take(4).position(|byte| *byte == b'>')?;
        let text = &behind[..digits];
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = text.iter().fold(0u16, |number, digit| number * 10 + u16::from(digit - b'0'));
        Some((Priority::from_number(number)?, &behind[digits + 1..]))
    };
    match split() {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    }
}

/// A line for `/dev/kmsg`: `<PRI>identifier[PID]: message`, one record a write. It is cut at [`MAX_KMSG`] bytes, and
/// newlines in it become blanks, since each would begin a record of its own.
pub fn kmsg_line(priority: Priority, identifier: &str, pid: u32, message: &str) -> Vec<u8> {
    let mut line = format!("<{}>{identifier}[{pid}]: ", priority.number());
    line.extend(message.trim_end().chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }));
    let mut end = line.len().min(MAX_KMSG);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line.push('\n');
    line.into_bytes()
}

/// A record read from `/dev/kmsg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRecord<'a> {
    /// Level and facility.
    pub priority: Priority,
    /// Its number.
    pub sequence: u64,
    /// Microseconds of the kernel's log clock.
    pub usec: u64,
    /// The text, in which the kernel writes unprintable bytes as `\xHH`.
    pub message: &'a [u8],
    /// The `KEY=value` lines behind it.
    pub properties: Vec<(&'a [u8], &'a [u8])>,
}

/// Reads one record of `/dev/kmsg`: `priority,sequence,usec,flags[,...];message`, then lines of ` KEY=value`.
pub fn parse_kmsg(record: &[u8]) -> Option<KernelRecord<'_>> {
    let mut lines = record.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let semicolon = first.iter().position(|byte| *byte == b';')?;
    let mut fields = std::str::from_utf8(&first[..semicolon]).ok()?.split(',');
    let priority = Priority::from_number(fields.next()?.parse().ok()?)?;
    let sequence = fields.next()?.parse().ok()?;
    let usec = fields.next()?.parse().ok()?;
    let properties = lines
        .filter_map(|line| line.strip_prefix(b" "))
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b'=')?;
            Some((&line[..at], &line[at + 1..]))
        })
        .collect();
    Some(KernelRecord { priority, sequence, usec, message: &first[semicolon + 1..], properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let mut entry = Entry::new();
        entry
            .field("MESSAGE", "two\nlines")
            .field("_PID", "1")
            .number("PRIORITY", 6)
            .field("bad", "x")
            .field("EMPTY", "");
        let expected = b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\nPRIORITY=6\nEMPTY=\n";
        assert_eq!(entry.bytes(), expected);
        let fields = parse_entry(expected);
        assert_eq!(fields, [(&b"MESSAGE"[..], &b"two\nlines"[..]), (b"PRIORITY", b"6"), (b"EMPTY", b"")]);
        assert_eq!(parse_entry(b"A=1\nB\n\xff\xff\xff\xff\xff\xff\xff\xffx\n").len(), 1);
        assert!(!is_field_name(&"A".repeat(65)) && !is_field_name("1A") && !is_field_name(""));
    }

    #[test]
    fn stream_header() {
        let header = StreamHeader {
            identifier: "dbus-daemon",
            unit: "dbus.service",
            priority: 30,
            level_prefix: true,
            forward_syslog: false,
            forward_kmsg: false,
            forward_console: true,
        };
        let mut bytes = header.encode();
        assert_eq!(bytes, b"dbus-daemon\ndbus.service\n30\n1\n0\n0\n1\n");
        bytes.extend_from_slice(b"hello\n");
        assert_eq!(StreamHeader::parse(&bytes), Some((header, &b"hello\n"[..])));
        assert_eq!(StreamHeader::parse(b"a\nb\n30\n1\n0\n0\n2\n"), None);
        assert_eq!(StreamHeader::parse(b"a\nb\n30\n1"), None);
    }

    #[test]
    fn priorities() {
        let priority = |level, facility| Some(Priority { level, facility });
        assert_eq!(split_priority(b"<3>no"), (priority(3, 0), &b"no"[..]));
        assert_eq!(split_priority(b"<30>x"), (priority(6, 3), &b"x"[..]));
        for plain in [&b"<>x"[..], b"<1000>x", b"<1024>", b"<-1>x", b"<3x", b"3>", b"", b"<"] {
            assert_eq!(split_priority(plain), (None, plain));
        }
        assert_eq!(Priority::from_number(30).unwrap().number(), 30);
    }

    #[test]
    fn kernel_log() {
        let priority = Priority { level: 6, facility: 3 };
        assert_eq!(kmsg_line(priority, "systemd", 1, "Hello\nthere\n"), b"<30>systemd[1]: Hello there\n");
        let long = kmsg_line(priority, "a", 1, &"é".repeat(1000));
        assert!(long.len() <= MAX_KMSG + 1 && std::str::from_utf8(&long).is_ok());
        let record =
            parse_kmsg(b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=pci\n DEVICE=+pci:0\n").unwrap();
        assert_eq!((record.priority.level, record.sequence, record.usec), (6, 339, 5_140_900));
        assert_eq!(record.message, b"NET: Registered");
        assert_eq!(record.properties.len(), 2);
        assert_eq!(parse_kmsg(b"x,1,2,-;a"), None);
    }
}
