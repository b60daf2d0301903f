//! Writing values: little-endian, straight into the bytes of a body, with types checked on the way.
//!
//! A [`Writer`] keeps the first fault it meets and ignores everything after it; [`Writer::finish`] reports it. Callers can
//! therefore write a whole body without looking at a result after every value.

use std::ops::Range;

use super::error::{Error, Result};
use super::names;
use super::signature::{self, MAX_DEPTH, MAX_SIGNATURE};
use super::value::Value;

/// Longest array, in bytes (D-Bus specification).
pub const MAX_ARRAY: usize = 64 << 20;

/// A finished body: its signature, its bytes and the descriptors it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub(super) signature: String,
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<u64>,
}

impl Body {
    /// The types of the values, in order.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// The encoded values.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The caller's ids of the descriptors that go along.
    pub fn fds(&self) -> &[u64] {
        &self.fds
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    Array,
    Struct,
    DictEntry,
    Variant,
}

#[derive(Clone, Debug)]
struct Frame {
    kind: Kind,
    /// The types this container must hold, as a part of `Writer::arena`; `None` where they become part of the body's
    /// signature as they are written (the body itself, and structs that stand directly in it).
    types: Option<Range<usize>>,
    /// How far `types` has been written.
    next: usize,
    /// Where the length of an array is filled in, and where its elements begin.
    length_at: usize,
    first_at: usize,
    /// Length to which the arena is cut back at the end.
    arena_len: usize,
}

/// Encodes values one after the other.
///
/// ```
/// use runstead_wire::dbus::Writer;
/// let mut w = Writer::new();
/// w.str("dbus.service");
/// w.open_array("{sv}");
/// w.open_dict_entry().str("Nice").open_variant("i").i32(5).close().close();
/// w.close();
/// let body = w.finish().unwrap();
/// assert_eq!(body.signature(), "sa{sv}");
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    body: Body,
    arena: String,
    frame: Frame,
    outer: Vec<Frame>,
    fault: Option<Error>,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $code:literal;)*) => {
        $($(#[$doc])*
        pub fn $name(&mut self, value: $type) -> &mut Self {
            if self.begin($code) {
                self.body.bytes.extend_from_slice(&value.to_le_bytes());
            }
            self
        })*
    };
}

impl Writer {
    /// A writer for an empty body.
    pub fn new() -> Self {
        Writer::reusing(Vec::new())
    }

    /// A writer that writes into the memory of `buffer`; what it held is dropped.
    pub fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Writer {
            body: Body { signature: String::new(), bytes: buffer, fds: Vec::new() },
            arena: String::new(),
            frame: Frame { kind: Kind::Root, types: None, next: 0, length_at: 0, first_at: 0, arena_len: 0 },
            outer: Vec::new(),
            fault: None,
        }
    }

    fixed! {
        /// Writes a byte.
        byte(u8) = b'y';
        /// Writes an `n`.
        i16(i16) = b'n';
        /// Writes a `q`.
        u16(u16) = b'q';
        /// Writes an `i`.
        i32(i32) = b'i';
        /// Writes a `u`.
        u32(u32) = b'u';
        /// Writes an `x`.
        i64(i64) = b'x';
        /// Writes a `t`.
        u64(u64) = b't';
        /// Writes a `d`.
        f64(f64) = b'd';
    }

    /// Writes a boolean.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        if self.begin(b'b') {
            self.body.bytes.extend_from_slice(&u32::from(value).to_le_bytes());
        }
        self
    }

    /// Writes a string. A NUL inside is a fault.
    pub fn str(&mut self, text: &str) -> &mut Self {
        if !names::is_string(text) {
            self.fail(Error::Text { at: self.body.bytes.len() });
        } else if self.begin(b's') {
            self.push_text(text);
        }
        self
    }

    /// Writes an object path.
    pub fn object_path(&mut self, path: &str) -> &mut Self {
        if !names::is_object_path(path) {
            self.fail(Error::ObjectPath { at: self.body.bytes.len() });
        } else if self.begin(b'o') {
            self.push_text(path);
        }
        self
    }

    /// Writes a signature as a value.
    pub fn signature(&mut self, text: &str) -> &mut Self {
        if let Err(fault) = signature::validate(text.as_bytes()) {
            self.fail(fault);
        } else if self.begin(b'g') {
            self.push_signature(text);
        }
        self
    }

    /// Writes a descriptor, named by an id of the caller's.
    pub fn fd(&mut self, id: u64) -> &mut Self {
        let index = self.body.fds.len();
        if index >= super::message::MAX_FDS {
            self.fail(Error::TooManyFds { count: index + 1 });
        } else if self.begin(b'h') {
            // `MAX_FDS` is 253, so the index fits.
            self.body.bytes.extend_from_slice(&(index as u32).to_le_bytes());
            self.body.fds.push(id);
        }
        self
    }

    /// Writes a whole byte array.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.open_array("y");
        if self.fault.is_none() {
            self.body.bytes.extend_from_slice(bytes);
        }
        self.close()
    }

    /// Writes an array of strings.
    pub fn strings<S: AsRef<str>>(&mut self, items: impl IntoIterator<Item = S>) -> &mut Self {
        self.open_array("s");
        for item in items {
            self.str(item.as_ref());
        }
        self.close()
    }

    /// Opens an array whose elements have the type `element` (`"s"`, `"{sv}"`, `"(ss)"`).
    pub fn open_array(&mut self, element: &str) -> &mut Self {
        if self.fault.is_some() {
            return self;
        }
        let arena_len = self.arena.len();
        let types = match self.expected_array(element) {
            Ok(types) => types,
            Err(fault) => return self.fail(fault),
        };
        self.pad(4);
        let length_at = self.body.bytes.len();
        self.body.bytes.extend_from_slice(&[0; 4]);
        self.pad(signature::alignment(element.as_bytes().first().copied().unwrap_or(0)));
        let first_at = self.body.bytes.len();
        self.push(Frame { kind: Kind::Array, types: Some(types), next: 0, length_at, first_at, arena_len })
    }

    /// Opens a struct.
    pub fn open_struct(&mut self) -> &mut Self {
        self.open_fields(b'(', Kind::Struct)
    }

    /// Opens an entry of a dictionary, inside an array of `{..}`.
    pub fn open_dict_entry(&mut self) -> &mut Self {
        self.open_fields(b'{', Kind::DictEntry)
    }

    /// Opens a variant that will hold one value of type `contents`.
    pub fn open_variant(&mut self, contents: &str) -> &mut Self {
        if self.fault.is_some() {
            return self;
        }
        if let Err(fault) = signature::validate_single(contents.as_bytes()) {
            return self.fail(fault);
        }
        if !self.begin(b'v') {
            return self;
        }
        self.push_signature(contents);
        let arena_len = self.arena.len();
        self.arena.push_str(contents);
        let types = Some(arena_len..self.arena.len());
        self.push(Frame { kind: Kind::Variant, types, next: 0, length_at: 0, first_at: 0, arena_len })
    }

    /// Closes the container opened last.
    pub fn close(&mut self) -> &mut Self {
        if self.fault.is_some() {
            return self;
        }
        let Some(outer) = self.outer.pop() else { return self.fail(Error::Nesting) };
        let inner = std::mem::replace(&mut self.frame, outer);
        if inner.kind == Kind::Array {
            let len = self.body.bytes.len() - inner.first_at;
            if len > MAX_ARRAY {
                return self.fail(Error::ArrayTooLong { len });
            }
            // Checked above to be below 2^26.
            let len = (len as u32).to_le_bytes();
            self.body.bytes[inner.length_at..inner.length_at + 4].copy_from_slice(&len);
        } else if let Some(types) = &inner.types {
            if types.start + inner.next != types.end {
                let expected = self.arena.as_bytes()[types.start + inner.next];
                return self.fail(Error::Mismatch { expected, found: 0 });
            }
        } else if self.body.signature.ends_with('(') {
            return self.fail(super::error::SignatureFault::EmptyStruct.into());
        } else {
            self.body.signature.push(')');
        }
        self.arena.truncate(inner.arena_len);
        self
    }

    /// Writes an array of `element`, whose elements `write` writes.
    pub fn array(&mut self, element: &str, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.open_array(element);
        write(self);
        self.close()
    }

    /// Writes a struct, whose fields `write` writes.
    pub fn structure(&mut self, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.open_struct();
        write(self);
        self.close()
    }

    /// Writes a variant of type `contents`, which `write` writes.
    pub fn variant(&mut self, contents: &str, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.open_variant(contents);
        write(self);
        self.close()
    }

    /// Writes an entry of an `a{sv}`: `key`, and a variant of type `contents` which `write` writes.
    pub fn entry_sv(&mut self, key: &str, contents: &str, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.open_dict_entry().str(key).variant(contents, write).close()
    }

    /// Writes a tree of values.
    pub fn value(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Byte(n) => self.byte(*n),
            Value::Bool(yes) => self.bool(*yes),
            Value::I16(n) => self.i16(*n),
            Value::U16(n) => self.u16(*n),
            Value::I32(n) => self.i32(*n),
            Value::U32(n) => self.u32(*n),
            Value::I64(n) => self.i64(*n),
            Value::U64(n) => self.u64(*n),
            Value::F64(n) => self.f64(*n),
            Value::Str(text) => self.str(text),
            Value::ObjectPath(path) => self.object_path(path),
            Value::Signature(text) => self.signature(text),
            Value::UnixFd(id) => self.fd(*id),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Array(element, items) => self.array(element, |w| {
                items.iter().for_each(|item| {
                    w.value(item);
                });
            }),
            Value::Dict(entry, items) => self.array(&format!("{{{entry}}}"), |w| {
                for (key, value) in items {
                    w.open_dict_entry().value(key).value(value).close();
                }
            }),
            Value::Struct(fields) => self.structure(|w| {
                fields.iter().for_each(|field| {
                    w.value(field);
                });
            }),
            Value::Variant(inner) => {
                let contents = inner.signature();
                self.variant(&contents, |w| {
                    w.value(inner);
                })
            }
        }
    }

    /// How many bytes were written so far.
    pub fn len(&self) -> usize {
        self.body.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.body.bytes.is_empty()
    }

    /// Ends the body, or names the first fault met.
    pub fn finish(mut self) -> Result<Body> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if !self.outer.is_empty() {
            return Err(Error::Nesting);
        }
        signature::validate(self.body.signature.as_bytes())?;
        Ok(self.body)
    }

    fn open_fields(&mut self, open: u8, kind: Kind) -> &mut Self {
        if self.fault.is_some() {
            return self;
        }
        let arena_len = self.arena.len();
        let types = match &self.frame.types {
            None if kind == Kind::DictEntry => {
                return self.fail(Error::Mismatch { expected: 0, found: open });
            }
            None => {
                self.body.signature.push('(');
                None
            }
            Some(types) => {
                let rest = &self.arena[types.start + self.frame.next..types.end];
                let found = rest.as_bytes().first().copied().unwrap_or(0);
                if found != open {
                    return self.fail(Error::Mismatch { expected: found, found: open });
                }
                let len = signature::first_type_len(rest);
                let start = types.start + self.frame.next;
                self.advance(len);
                Some(start + 1..start + len - 1)
            }
        };
        self.pad(8);
        self.push(Frame { kind, types, next: 0, length_at: 0, first_at: 0, arena_len })
    }

    /// Checks that an array of `element` may stand here; gives the place of `element` in the arena.
    fn expected_array(&mut self, element: &str) -> Result<Range<usize>> {
        let Some(types) = &self.frame.types else {
            signature::validate_element(element.as_bytes())?;
            if self.body.signature.len() + 1 + element.len() > MAX_SIGNATURE {
                return Err(super::error::SignatureFault::TooLong.into());
            }
            self.body.signature.push('a');
            self.body.signature.push_str(element);
            let start = self.arena.len();
            self.arena.push_str(element);
            return Ok(start..self.arena.len());
        };
        let start = types.start + self.frame.next;
        let rest = &self.arena[start..types.end];
        let found = rest.as_bytes().first().copied().unwrap_or(0);
        let len = signature::first_type_len(rest);
        if found != b'a' || rest.get(1..len) != Some(element) {
            return Err(Error::Mismatch { expected: found, found: b'a' });
        }
        self.advance(len);
        Ok(start + 1..start + len)
    }

    /// Checks that a value of the simple type `code` may stand here, and aligns for it.
    fn begin(&mut self, code: u8) -> bool {
        if self.fault.is_some() {
            return false;
        }
        match &self.frame.types {
            None if self.body.signature.len() >= MAX_SIGNATURE => {
                self.fail(super::error::SignatureFault::TooLong.into());
                return false;
            }
            None => self.body.signature.push(char::from(code)),
            Some(types) => {
                let at = types.start + self.frame.next;
                let expected =
                    if at < types.end { self.arena.as_bytes().get(at).copied().unwrap_or(0) } else { 0 };
                if expected != code {
                    self.fail(Error::Mismatch { expected, found: code });
                    return false;
                }
                self.advance(1);
            }
        }
        self.pad(signature::alignment(code));
        true
    }

    /// Notes that `len` bytes of the expected types are written; an array starts over with its next element.
    fn advance(&mut self, len: usize) {
        if self.frame.kind != Kind::Array {
            self.frame.next += len;
        }
    }

    fn push(&mut self, frame: Frame) -> &mut Self {
        if self.outer.len() >= MAX_DEPTH {
            return self.fail(Error::TooDeep);
        }
        self.outer.push(std::mem::replace(&mut self.frame, frame));
        self
    }

    fn pad(&mut self, alignment: usize) {
        let len = self.body.bytes.len().next_multiple_of(alignment);
        self.body.bytes.resize(len, 0);
    }

    fn push_text(&mut self, text: &str) {
        // A longer text makes the message too long in any case; `finish` of the message says so.
        let Ok(len) = u32::try_from(text.len()) else {
            self.fail(Error::ArrayTooLong { len: text.len() });
            return;
        };
        self.body.bytes.extend_from_slice(&len.to_le_bytes());
        self.body.bytes.extend_from_slice(text.as_bytes());
        self.body.bytes.push(0);
    }

    fn push_signature(&mut self, text: &str) {
        // Validated before: at most 255 bytes.
        self.body.bytes.push(text.len() as u8);
        self.body.bytes.extend_from_slice(text.as_bytes());
        self.body.bytes.push(0);
    }

    fn fail(&mut self, fault: Error) -> &mut Self {
        self.fault.get_or_insert(fault);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::SignatureFault;

    fn written(write: impl FnOnce(&mut Writer)) -> Result<Body> {
        let mut writer = Writer::new();
        write(&mut writer);
        writer.finish()
    }

    #[test]
    fn aligns_and_counts() {
        let body = written(|w| {
            w.byte(1).array("t", |w| {
                w.u64(2);
            });
            w.structure(|w| {
                w.str("ab");
            });
        })
        .unwrap();
        assert_eq!(body.signature(), "yat(s)");
        let expected =
            [&[1u8, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0][..], &[2, 0, 0, 0, b'a', b'b', 0]].concat();
        assert_eq!(body.bytes(), expected);
    }

    #[test]
    fn an_empty_array_is_still_aligned_and_its_padding_not_counted() {
        let body = written(|w| {
            w.array("(s)", |_| {});
        })
        .unwrap();
        assert_eq!(body.bytes(), [0; 8]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let wrong = written(|w| {
            w.array("s", |w| {
                w.u32(1);
            });
        });
        assert_eq!(wrong, Err(Error::Mismatch { expected: b's', found: b'u' }));
        let short = written(|w| {
            w.array("(su)", |w| {
                w.structure(|w| {
                    w.str("x");
                });
            });
        });
        assert_eq!(short, Err(Error::Mismatch { expected: b'u', found: 0 }));
        let two = written(|w| {
            w.variant("s", |w| {
                w.str("a").str("b");
            });
        });
        assert_eq!(two, Err(Error::Mismatch { expected: 0, found: b's' }));
        assert_eq!(
            written(|w| {
                w.open_struct();
            }),
            Err(Error::Nesting)
        );
        assert_eq!(
            written(|w| {
                w.close();
            }),
            Err(Error::Nesting)
        );
        let empty = written(|w| {
            w.open_struct().close();
        });
        assert_eq!(empty, Err(Error::Signature(SignatureFault::EmptyStruct)));
        assert_eq!(
            written(|w| {
                w.str("a\0b");
            }),
            Err(Error::Text { at: 0 })
        );
        assert_eq!(
            written(|w| {
                w.object_path("a");
            }),
            Err(Error::ObjectPath { at: 0 })
        );
        assert!(
            written(|w| (0..300).for_each(|_| {
                w.byte(1);
            }))
            .is_err()
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |n: usize| {
            written(|w| {
                (0..n).for_each(|_| {
                    w.open_variant("v");
                });
                w.variant("y", |w| {
                    w.byte(1);
                });
                (0..n).for_each(|_| {
                    w.close();
                });
            })
        };
        assert!(deep(MAX_DEPTH - 1).is_ok());
        assert_eq!(deep(MAX_DEPTH), Err(Error::TooDeep));
    }
}
