//! The header of a message: its fields, read from and written in either byte order.

use super::error::{Error, Result};
use super::message::{FIXED_HEADER, Kind, MAX_FDS};
use super::names;
use super::signature;
use super::unmarshal::{Endian, Reader};

/// The header's text fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Path,
    Interface,
    Member,
    ErrorName,
    Destination,
    Sender,
}

/// The order in which all but signals write them.
pub(super) const FIELDS: [Field; 6] =
    [Field::Path, Field::Member, Field::Interface, Field::ErrorName, Field::Destination, Field::Sender];
pub(super) const SIGNAL_ORDER: [Field; 6] =
    [Field::Path, Field::Interface, Field::Member, Field::ErrorName, Field::Destination, Field::Sender];

pub(super) const REPLY_SERIAL: u8 = 5;
pub(super) const SIGNATURE: u8 = 8;
pub(super) const UNIX_FDS: u8 = 9;

impl Field {
    pub(super) fn code(self) -> u8 {
        match self {
            Field::Path => 1,
            Field::Interface => 2,
            Field::Member => 3,
            Field::ErrorName => 4,
            Field::Destination => 6,
            Field::Sender => 7,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Field> {
        FIELDS.into_iter().find(|field| field.code() == code)
    }

    pub(super) fn type_code(self) -> &'static str {
        if self == Field::Path { "o" } else { "s" }
    }

    pub(super) fn check(self, text: &str) -> Result<()> {
        let (good, what) = match self {
            Field::Path => {
                (names::is_object_path(text) && text != "/org/freedesktop/DBus/Local", "object path")
            }
            Field::Interface => {
                (names::is_interface(text) && text != "org.freedesktop.DBus.Local", "interface name")
            }
            Field::Member => (names::is_member(text), "member name"),
            Field::ErrorName => (names::is_error_name(text), "error name"),
            Field::Destination => (names::is_bus_name(text), "destination"),
            Field::Sender => (names::is_bus_name(text), "sender"),
        };
        if good { Ok(()) } else { Err(Error::Name(what)) }
    }
}

/// Where each text field stands in a string that holds them all: its first byte, and the one behind its last.
pub(super) type Spans = [Option<(u32, u32)>; FIELDS.len()];

/// Appends `value` to `text` as the field `field`.
pub(super) fn push_span(text: &mut String, spans: &mut Spans, field: Field, value: &str) {
    let start = text.len();
    text.push_str(value);
    // Texts that do not fit 32 bits make the message too long anyway; an empty span is refused as a name.
    spans[field as usize] = match (u32::try_from(start), u32::try_from(text.len())) {
        (Ok(start), Ok(end)) => Some((start, end)),
        _ => Some((0, 0)),
    };
}

pub(super) fn endian_of(byte: u8) -> Result<Endian> {
    match byte {
        b'l' => Ok(Endian::Little),
        b'B' => Ok(Endian::Big),
        _ => Err(Error::Header("unknown byte order")),
    }
}

/// The kind for a type byte; unknown ones are to be ignored, zero is invalid.
pub(super) fn kind_of(byte: u8) -> Result<Option<Kind>> {
    Ok(match byte {
        0 => return Err(Error::Header("type is zero")),
        1 => Some(Kind::MethodCall),
        2 => Some(Kind::MethodReturn),
        3 => Some(Kind::Error),
        4 => Some(Kind::Signal),
        _ => None,
    })
}

pub(super) fn word(head: &[u8; FIXED_HEADER], at: usize, endian: Endian) -> u32 {
    let raw = [head[at], head[at + 1], head[at + 2], head[at + 3]];
    match endian {
        Endian::Little => u32::from_le_bytes(raw),
        Endian::Big => u32::from_be_bytes(raw),
    }
}

/// The fields of a header while it is read.
pub(super) struct Header {
    pub(super) kind: Option<Kind>,
    pub(super) endian: Endian,
    pub(super) text: String,
    pub(super) spans: Spans,
    pub(super) reply_serial: Option<u32>,
    pub(super) signature: String,
    pub(super) unix_fds: usize,
}

impl Default for Header {
    fn default() -> Self {
        Header {
            kind: None,
            endian: Endian::Little,
            text: String::new(),
            spans: [None; FIELDS.len()],
            reply_serial: None,
            signature: String::new(),
            unix_fds: 0,
        }
    }
}

impl Header {
    /// Reads the array of fields that begins at byte 12 of `bytes` and ends with them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::trusted(bytes, 12, "a(yv)", self.endian, &[]);
        let mut seen = 0u16;
        self.text.reserve(bytes.len() - FIXED_HEADER);
        reader.enter_array("(yv)")?;
        while reader.has_more() {
            reader.enter_struct()?;
            let code = reader.byte()?;
            if code == 0 {
                return Err(Error::Header("field zero"));
            }
            if code <= UNIX_FDS {
                if seen & (1 << code) != 0 {
                    return Err(Error::Header("a field stands twice"));
                }
                seen |= 1 << code;
            }
            self.field(code, &mut reader)?;
            reader.exit()?;
        }
        reader.exit()?;
        reader.finish()
    }

    fn field(&mut self, code: u8, reader: &mut Reader<'_>) -> Result<()> {
        if Field::from_code(code).is_none() && !matches!(code, REPLY_SERIAL | SIGNATURE | UNIX_FDS) {
            return reader.skip();
        }
        reader.enter_variant()?;
        match (Field::from_code(code), code) {
            (Some(field), _) => {
                let text = if field == Field::Path { reader.object_path()? } else { reader.str()? };
                field.check(text)?;
                push_span(&mut self.text, &mut self.spans, field, text);
            }
            (None, REPLY_SERIAL) => match reader.u32()? {
                0 => return Err(Error::Header("reply serial is zero")),
                serial => self.reply_serial = Some(serial),
            },
            (None, SIGNATURE) => self.signature = reader.signature()?.to_owned(),
            (None, _) => {
                let count = reader.u32()? as usize;
                if count > MAX_FDS {
                    return Err(Error::TooManyFds { count });
                }
                self.unix_fds = count;
            }
        }
        reader.exit()
    }
}

/// Writes a header in either byte order (a relayed body keeps its own).
pub(super) struct HeaderWriter<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) start: usize,
    pub(super) endian: Endian,
}

impl HeaderWriter<'_> {
    pub(super) fn fixed(&mut self, kind: Kind, flags: u8, serial: u32, body_len: usize) {
        let order = if self.endian == Endian::Little { b'l' } else { b'B' };
        self.out.extend_from_slice(&[order, kind.code(), flags, 1]);
        // A longer body is refused as a too long message right after.
        self.word(u32::try_from(body_len).unwrap_or(u32::MAX));
        self.word(serial);
        self.word(0);
    }

    fn word(&mut self, value: u32) {
        let raw = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        self.out.extend_from_slice(&raw);
    }

    fn pad(&mut self, alignment: usize) {
        let len = (self.out.len() - self.start).next_multiple_of(alignment);
        self.out.resize(self.start + len, 0);
    }

    fn begin(&mut self, code: u8, types: &str) {
        self.pad(8);
        self.out.extend_from_slice(&[code, types.len() as u8]);
        self.out.extend_from_slice(types.as_bytes());
        self.out.push(0);
    }

    pub(super) fn text(&mut self, code: u8, types: &str, text: &str) {
        self.begin(code, types);
        self.word(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
    }

    pub(super) fn number(&mut self, code: u8, value: u32) {
        self.begin(code, "u");
        self.word(value);
    }

    pub(super) fn signature(&mut self, text: &str) {
        debug_assert!(signature::validate(text.as_bytes()).is_ok());
        self.begin(SIGNATURE, "g");
        self.out.push(text.len() as u8);
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
    }

    /// Fills in the length of the fields and aligns for the body.
    pub(super) fn finish(&mut self) {
        let len = u32::try_from(self.out.len() - self.start - FIXED_HEADER).unwrap_or(u32::MAX);
        let raw = match self.endian {
            Endian::Little => len.to_le_bytes(),
            Endian::Big => len.to_be_bytes(),
        };
        self.out[self.start + 12..self.start + 16].copy_from_slice(&raw);
        self.pad(8);
    }
}
