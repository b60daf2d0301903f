//! Reading values: from either byte order, without copying, checked against the signature on the way.

use super::error::{Error, Result, SignatureFault};
use super::marshal::MAX_ARRAY;
use super::names;
use super::signature::{self, MAX_DEPTH};
use super::value::Value;

/// Most nodes of one tree that [`Reader::value`] builds: a tree takes some thirty times the memory of its bytes.
pub const MAX_VALUES: usize = 1 << 18;

/// The byte order of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// `l`
    Little,
    /// `B`
    Big,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    Array,
    Struct,
    DictEntry,
    Variant,
}

#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    kind: Kind,
    types: &'a str,
    next: usize,
    /// End of what may be read inside this container.
    end: usize,
}

/// Decodes values one after the other.
///
/// Every read names the type it wants; another type is an [`Error::Mismatch`], and nothing is consumed then.
///
/// ```
/// use runstead_wire::dbus::{Message, Reader};
/// fn names(call: &Message) -> runstead_wire::dbus::Result<Vec<String>> {
///     let mut r = call.body_reader();
///     let mut names = Vec::new();
///     r.enter_array("s")?;
///     while r.has_more() {
///         names.push(r.str()?.to_owned());
///     }
///     r.exit()?;
///     r.finish()?;
///     Ok(names)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    endian: Endian,
    fds: &'a [u64],
    at: usize,
    frame: Frame<'a>,
    outer: Vec<Frame<'a>>,
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident -> $type:ty = $code:literal;)*) => {
        $($(#[$doc])*
        pub fn $name(&mut self) -> Result<$type> {
            let at = self.begin($code)?;
            let raw = self.fixed(at)?;
            self.done(1);
            Ok(match self.endian {
                Endian::Little => <$type>::from_le_bytes(raw),
                Endian::Big => <$type>::from_be_bytes(raw),
            })
        })*
    };
}

impl<'a> Reader<'a> {
    /// A reader for `bytes`, whose first byte is aligned to 8, holding values of the types `types`.
    pub fn new(bytes: &'a [u8], types: &'a str, endian: Endian, fds: &'a [u64]) -> Result<Self> {
        signature::validate(types.as_bytes())?;
        Ok(Reader::trusted(bytes, 0, types, endian, fds))
    }

    /// A reader that begins at `at`, for types that were validated before.
    pub(super) fn trusted(
        bytes: &'a [u8],
        at: usize,
        types: &'a str,
        endian: Endian,
        fds: &'a [u64],
    ) -> Self {
        let frame = Frame { kind: Kind::Root, types, next: 0, end: bytes.len() };
        Reader { bytes, endian, fds, at, frame, outer: Vec::new() }
    }

    fixed! {
        /// Reads a byte.
        byte -> u8 = b'y';
        /// Reads an `n`.
        i16 -> i16 = b'n';
        /// Reads a `q`.
        u16 -> u16 = b'q';
        /// Reads an `i`.
        i32 -> i32 = b'i';
        /// Reads a `u`.
        u32 -> u32 = b'u';
        /// Reads an `x`.
        i64 -> i64 = b'x';
        /// Reads a `t`.
        u64 -> u64 = b't';
        /// Reads a `d`.
        f64 -> f64 = b'd';
    }

    /// Reads a boolean.
    pub fn bool(&mut self) -> Result<bool> {
        let at = self.begin(b'b')?;
        let value = self.word(at)?;
        match value {
            0 | 1 => {
                self.done(1);
                Ok(value == 1)
            }
            _ => Err(Error::Boolean { at, value }),
        }
    }

    /// Reads a string.
    pub fn str(&mut self) -> Result<&'a str> {
        let at = self.begin(b's')?;
        let text = self.text(at)?;
        self.done(1);
        Ok(text)
    }

    /// Reads an object path.
    pub fn object_path(&mut self) -> Result<&'a str> {
        let at = self.begin(b'o')?;
        let before = self.at;
        let path = self.text(at)?;
        if !names::is_object_path(path) {
            self.at = before;
            return Err(Error::ObjectPath { at });
        }
        self.done(1);
        Ok(path)
    }

    /// Reads a signature that is a value.
    pub fn signature(&mut self) -> Result<&'a str> {
        let at = self.begin(b'g')?;
        let text = self.signature_text(at)?;
        self.done(1);
        Ok(text)
    }

    /// Reads a descriptor: the caller's id of it, as it was fed to the connection.
    pub fn fd(&mut self) -> Result<u64> {
        let at = self.begin(b'h')?;
        let index = self.word(at)?;
        let id = usize::try_from(index).ok().and_then(|index| self.fds.get(index));
        let id = *id.ok_or(Error::FdIndex { index })?;
        self.done(1);
        Ok(id)
    }

    /// Reads a whole byte array.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        self.enter_array("y")?;
        let bytes = &self.bytes[self.at..self.frame.end];
        self.at = self.frame.end;
        self.exit()?;
        Ok(bytes)
    }

    /// Reads a whole array of strings.
    pub fn strings(&mut self) -> Result<Vec<&'a str>> {
        self.enter_array("s")?;
        let mut items = Vec::new();
        while self.has_more() {
            items.push(self.str()?);
        }
        self.exit()?;
        Ok(items)
    }

    /// Enters an array whose elements have the type `element`.
    pub fn enter_array(&mut self, element: &str) -> Result<()> {
        let rest = self.rest();
        let len = signature::first_type_len(rest);
        let found = if self.has_more() { self.expected() } else { 0 };
        if found != b'a' || rest.get(1..len) != Some(element) {
            return Err(Error::Mismatch { expected: b'a', found });
        }
        self.enter_any_array().map(drop)
    }

    /// Enters an array of whatever type stands here, and names its element's type.
    pub fn enter_any_array(&mut self) -> Result<&'a str> {
        let length_at = self.begin(b'a')?;
        let len = signature::first_type_len(self.rest());
        let types = &self.rest()[1..len];
        let size = self.word(length_at)? as usize;
        if size > MAX_ARRAY {
            return Err(Error::ArrayTooLong { len: size });
        }
        let alignment = signature::alignment(types.as_bytes().first().copied().unwrap_or(0));
        let first_at = self.padded(self.at, alignment)?;
        let end = first_at + size;
        if end > self.frame.end {
            return Err(Error::Truncated { at: length_at });
        }
        self.enter(Frame { kind: Kind::Array, types, next: 0, end }, len)?;
        self.at = first_at;
        Ok(types)
    }

    /// Enters a struct.
    pub fn enter_struct(&mut self) -> Result<()> {
        self.enter_fields(b'(', Kind::Struct)
    }

    /// Enters an entry of a dictionary.
    pub fn enter_dict_entry(&mut self) -> Result<()> {
        self.enter_fields(b'{', Kind::DictEntry)
    }

    /// Enters a variant, and names the type of the value in it.
    pub fn enter_variant(&mut self) -> Result<&'a str> {
        let at = self.begin(b'v')?;
        let types = self.signature_text(at)?;
        let single = signature::first_type_len(types) == types.len() && !types.is_empty();
        if !single {
            return Err(SignatureFault::NotSingle.into());
        }
        self.enter(Frame { kind: Kind::Variant, types, next: 0, end: self.frame.end }, 1)?;
        Ok(types)
    }

    /// Leaves the container entered last; what was not read in it is skipped.
    pub fn exit(&mut self) -> Result<()> {
        if self.frame.kind == Kind::Array {
            self.at = self.frame.end;
        } else {
            while self.has_more() {
                self.skip()?;
            }
        }
        self.frame = self.outer.pop().ok_or(Error::Nesting)?;
        Ok(())
    }

    /// Whether another value (or element) stands in the container entered last.
    pub fn has_more(&self) -> bool {
        match self.frame.kind {
            Kind::Array => self.at < self.frame.end,
            _ => self.frame.next < self.frame.types.len(),
        }
    }

    /// The complete type of the next value, `None` at the end.
    pub fn next_type(&self) -> Option<&'a str> {
        if !self.has_more() {
            return None;
        }
        let rest = self.rest();
        rest.get(..signature::first_type_len(rest))
    }

    /// Skips the next value, checking it.
    pub fn skip(&mut self) -> Result<()> {
        // Each level of recursion enters a container, so the depth limit bounds it.
        match self.next_type().and_then(|types| types.bytes().next()).unwrap_or(0) {
            b's' => self.str().map(drop),
            b'o' => self.object_path().map(drop),
            b'g' => self.signature().map(drop),
            b'h' => self.fd().map(drop),
            b'b' => self.bool().map(drop),
            b'v' => {
                self.enter_variant()?;
                self.skip_rest()
            }
            b'a' => {
                let element = self.enter_any_array()?;
                match element.as_bytes() {
                    // Numbers cannot be wrong: only their count can.
                    [code @ (b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd')] => {
                        let size = signature::fixed_size(*code).unwrap_or(1);
                        if !(self.frame.end - self.at).is_multiple_of(size) {
                            return Err(Error::Truncated { at: self.at });
                        }
                        self.exit()
                    }
                    _ => self.skip_rest(),
                }
            }
            b'(' => {
                self.enter_struct()?;
                self.skip_rest()
            }
            b'{' => {
                self.enter_dict_entry()?;
                self.skip_rest()
            }
            code => match signature::fixed_size(code) {
                None => Err(Error::Mismatch { expected: b'v', found: 0 }),
                Some(size) => {
                    let at = self.begin(code)?;
                    self.at = self.checked_end(at, size)?;
                    self.done(1);
                    Ok(())
                }
            },
        }
    }

    /// Reads the next value, of whatever type, as a tree.
    pub fn value(&mut self) -> Result<Value> {
        let mut budget = MAX_VALUES;
        self.value_within(&mut budget)
    }

    /// Checks that everything was read.
    pub fn finish(&self) -> Result<()> {
        if !self.outer.is_empty() {
            return Err(Error::Nesting);
        }
        if let Some(types) = self.next_type() {
            return Err(Error::Mismatch { expected: 0, found: types.bytes().next().unwrap_or(0) });
        }
        if self.at < self.frame.end {
            return Err(Error::Trailing { at: self.at });
        }
        Ok(())
    }

    /// Where the next value begins, before alignment.
    pub fn position(&self) -> usize {
        self.at
    }

    fn value_within(&mut self, budget: &mut usize) -> Result<Value> {
        *budget = budget.checked_sub(1).ok_or(Error::TooManyValues)?;
        let types = self.next_type().ok_or(Error::Mismatch { expected: b'v', found: 0 })?;
        Ok(match types.as_bytes()[0] {
            b'y' => Value::Byte(self.byte()?),
            b'b' => Value::Bool(self.bool()?),
            b'n' => Value::I16(self.i16()?),
            b'q' => Value::U16(self.u16()?),
            b'i' => Value::I32(self.i32()?),
            b'u' => Value::U32(self.u32()?),
            b'x' => Value::I64(self.i64()?),
            b't' => Value::U64(self.u64()?),
            b'd' => Value::F64(self.f64()?),
            b's' => Value::Str(self.str()?.to_owned()),
            b'o' => Value::ObjectPath(self.object_path()?.to_owned()),
            b'g' => Value::Signature(self.signature()?.to_owned()),
            b'h' => Value::UnixFd(self.fd()?),
            b'v' => {
                self.enter_variant()?;
                let inner = self.value_within(budget)?;
                self.exit()?;
                Value::Variant(Box::new(inner))
            }
            b'(' => {
                self.enter_struct()?;
                let mut fields = Vec::new();
                while self.has_more() {
                    fields.push(self.value_within(budget)?);
                }
                self.exit()?;
                Value::Struct(fields)
            }
            _ if types == "ay" => Value::Bytes(self.bytes()?.to_vec()),
            _ => self.array_within(budget)?,
        })
    }

    fn array_within(&mut self, budget: &mut usize) -> Result<Value> {
        let element = self.enter_any_array()?;
        let value = match element.strip_prefix('{').and_then(|entry| entry.strip_suffix('}')) {
            Some(entry) => {
                let mut entries = Vec::new();
                while self.has_more() {
                    self.enter_dict_entry()?;
                    entries.push((self.value_within(budget)?, self.value_within(budget)?));
                    self.exit()?;
                }
                Value::Dict(entry.to_owned().into(), entries)
            }
            None => {
                let mut items = Vec::new();
                while self.has_more() {
                    items.push(self.value_within(budget)?);
                }
                Value::Array(element.to_owned().into(), items)
            }
        };
        self.exit()?;
        Ok(value)
    }

    fn skip_rest(&mut self) -> Result<()> {
        while self.has_more() {
            self.skip()?;
        }
        self.exit()
    }

    fn enter_fields(&mut self, open: u8, kind: Kind) -> Result<()> {
        let at = self.begin(open)?;
        let len = signature::first_type_len(self.rest());
        let types = &self.rest()[1..len - 1];
        self.enter(Frame { kind, types, next: 0, end: self.frame.end }, len)?;
        self.at = at;
        Ok(())
    }

    /// Pushes `frame`; `len` is the length of its whole type in the container around it.
    fn enter(&mut self, frame: Frame<'a>, len: usize) -> Result<()> {
        if self.outer.len() >= MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.done(len);
        self.outer.push(std::mem::replace(&mut self.frame, frame));
        Ok(())
    }

    fn rest(&self) -> &'a str {
        self.frame.types.get(self.frame.next..).unwrap_or("")
    }

    fn expected(&self) -> u8 {
        self.frame.types.as_bytes().get(self.frame.next).copied().unwrap_or(0)
    }

    /// Checks that a value of type `code` stands here; gives its aligned place.
    fn begin(&self, code: u8) -> Result<usize> {
        let found = if self.has_more() { self.expected() } else { 0 };
        if found != code {
            return Err(Error::Mismatch { expected: code, found });
        }
        self.padded(self.at, signature::alignment(code))
    }

    /// Notes that a value whose type has `len` bytes is read; an array starts over with its next element.
    fn done(&mut self, len: usize) {
        if self.frame.kind != Kind::Array {
            self.frame.next += len;
        }
    }

    fn padded(&self, at: usize, alignment: usize) -> Result<usize> {
        let aligned = at.next_multiple_of(alignment);
        match self.bytes.get(at..aligned) {
            Some(padding) if aligned <= self.frame.end => {
                if padding.iter().any(|byte| *byte != 0) {
                    return Err(Error::Padding { at });
                }
                Ok(aligned)
            }
            _ => Err(Error::Truncated { at }),
        }
    }

    fn checked_end(&self, at: usize, len: usize) -> Result<usize> {
        match at.checked_add(len) {
            Some(end) if end <= self.frame.end => Ok(end),
            _ => Err(Error::Truncated { at }),
        }
    }

    fn fixed<const N: usize>(&mut self, at: usize) -> Result<[u8; N]> {
        let end = self.checked_end(at, N)?;
        let raw = self.bytes.get(at..end).and_then(|raw| raw.try_into().ok());
        let raw = raw.ok_or(Error::Truncated { at })?;
        self.at = end;
        Ok(raw)
    }

    /// Reads a 32-bit word without noting it as a value.
    fn word(&mut self, at: usize) -> Result<u32> {
        let raw = self.fixed(at)?;
        Ok(match self.endian {
            Endian::Little => u32::from_le_bytes(raw),
            Endian::Big => u32::from_be_bytes(raw),
        })
    }

    fn text(&mut self, at: usize) -> Result<&'a str> {
        let before = self.at;
        let len = self.word(at)? as usize;
        let start = self.at;
        self.at = before;
        let (text, end) = self.terminated(start, len)?;
        self.at = end;
        Ok(text)
    }

    fn signature_text(&mut self, at: usize) -> Result<&'a str> {
        let len = *self
            .bytes
            .get(at..self.frame.end)
            .and_then(|rest| rest.first())
            .ok_or(Error::Truncated { at })?;
        let (text, end) = self.terminated(at + 1, usize::from(len))?;
        signature::validate(text.as_bytes())?;
        self.at = end;
        Ok(text)
    }

    fn terminated(&self, start: usize, len: usize) -> Result<(&'a str, usize)> {
        let end = self.checked_end(start, len)?;
        let behind = self.checked_end(end, 1)?;
        let raw = self.bytes.get(start..end).ok_or(Error::Truncated { at: start })?;
        let text = std::str::from_utf8(raw).map_err(|_| Error::Text { at: start })?;
        if self.bytes.get(end) != Some(&0) || !names::is_string(text) {
            return Err(Error::Text { at: start });
        }
        Ok((text, behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::Writer;

    fn little<'a>(bytes: &'a [u8], types: &'a str) -> Reader<'a> {
        Reader::new(bytes, types, Endian::Little, &[]).unwrap()
    }

    #[test]
    fn reads_both_byte_orders() {
        let mut r = Reader::new(&[0, 0, 0, 2, b'h', b'i', 0, 0, 0, 0, 0, 7], "su", Endian::Big, &[]).unwrap();
        assert_eq!(r.str(), Ok("hi"));
        assert_eq!(r.u32(), Ok(7));
        assert_eq!(r.finish(), Ok(()));
        let mut r = little(&[7, 0, 0, 0], "u");
        assert_eq!(r.u32(), Ok(7));
    }

    #[test]
    fn a_mismatch_consumes_nothing() {
        let mut r = little(&[7, 0, 0, 0], "u");
        assert_eq!(r.str(), Err(Error::Mismatch { expected: b's', found: b'u' }));
        assert_eq!(r.enter_array("s"), Err(Error::Mismatch { expected: b'a', found: b'u' }));
        assert_eq!(r.u32(), Ok(7));
        assert_eq!(r.u32(), Err(Error::Mismatch { expected: b'u', found: 0 }));
    }

    #[test]
    fn leaves_containers_early() {
        let mut w = Writer::new();
        w.array("(su)", |w| {
            for n in 0..3 {
                w.structure(|w| {
                    w.str("x").u32(n);
                });
            }
        });
        w.str("end");
        let body = w.finish().unwrap();
        let mut r = little(body.bytes(), body.signature());
        r.enter_array("(su)").unwrap();
        r.enter_struct().unwrap();
        assert_eq!(r.str(), Ok("x"));
        r.exit().unwrap();
        r.enter_struct().unwrap();
        assert_eq!((r.str(), r.u32()), (Ok("x"), Ok(1)));
        r.exit().unwrap();
        r.exit().unwrap();
        assert_eq!(r.str(), Ok("end"));
        assert_eq!(r.finish(), Ok(()));
        assert_eq!(r.exit(), Err(Error::Nesting));
    }

    #[test]
    fn finds_every_fault() {
        assert_eq!(little(&[2, 0, 0, 0], "b").bool(), Err(Error::Boolean { at: 0, value: 2 }));
        assert_eq!(little(&[1, 0, 0], "u").u32(), Err(Error::Truncated { at: 0 }));
        assert_eq!(little(&[1, 0, 0, 0, b'a', 1], "s").str(), Err(Error::Text { at: 4 }));
        assert_eq!(little(&[1, 0, 0, 0, 0xff, 0], "s").str(), Err(Error::Text { at: 4 }));
        assert_eq!(little(&[2, 0, 0, 0, b'a', 0, 0], "s").str(), Err(Error::Text { at: 4 }));
        assert_eq!(little(&[255; 4], "s").str(), Err(Error::Truncated { at: 4 }));
        assert_eq!(little(&[255; 4], "ay").bytes(), Err(Error::ArrayTooLong { len: 0xffff_ffff }));
        assert_eq!(little(&[1, 0, 0, 0], "ay").bytes(), Err(Error::Truncated { at: 0 }));
        let mut padded = little(&[1, 9, 0, 0, 0, 0, 0, 0], "yu");
        assert_eq!(padded.byte(), Ok(1));
        assert_eq!(padded.u32(), Err(Error::Padding { at: 1 }));
        assert_eq!(little(&[0, 0], "v").skip(), Err(Error::Signature(SignatureFault::NotSingle)));
        assert_eq!(
            little(&[2, b'y', b'y', 0, 1, 1], "v").skip(),
            Err(Error::Signature(SignatureFault::NotSingle))
        );
        assert_eq!(little(&[0; 4], "h").skip(), Err(Error::FdIndex { index: 0 }));
        assert_eq!(little(&[1], "").finish(), Err(Error::Trailing { at: 0 }));
        // An element that reaches past its array's end.
        let mut overrun = little(&[5, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', 0], "as");
        assert_eq!(overrun.skip(), Err(Error::Truncated { at: 8 }));
    }

    #[test]
    fn depth_and_size_of_trees_are_bounded() {
        let bytes: Vec<u8> = [1, b'v', 0].repeat(200);
        assert_eq!(little(&bytes, "v").value(), Err(Error::TooDeep));
        assert_eq!(little(&bytes, "v").skip(), Err(Error::TooDeep));
        let len = (MAX_VALUES as u32) * 2;
        let bytes = [&len.to_le_bytes()[..], &vec![0; len as usize]].concat();
        assert_eq!(little(&bytes, "aq").value(), Err(Error::TooManyValues));
        assert_eq!(little(&bytes, "aq").skip(), Ok(()));
    }
}
