//! Values as a tree, for the places that do not know their types beforehand.
//!
//! Hot paths use [`Writer`](super::Writer) and [`Reader`](super::Reader) directly and build no tree.

use std::borrow::Cow;

/// A D-Bus value that owns its contents.
///
/// Arrays carry the signature of their element (they may be empty). A byte array read from a message is always
/// [`Value::Bytes`]. Nothing is checked here: names, paths and signatures are checked when a value is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`
    I16(i16),
    /// `q`
    U16(u16),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    F64(f64),
    /// `s`
    Str(String),
    /// `o`
    ObjectPath(String),
    /// `g`
    Signature(String),
    /// `h`: the caller's id of a descriptor (see [`Message::fds`](super::Message::fds)), not the index on the wire.
    UnixFd(u64),
    /// `ay`
    Bytes(Vec<u8>),
    /// `a` and the element's signature, with elements that all have it.
    Array(Cow<'static, str>, Vec<Value>),
    /// `a{..}`: the signatures of key and value in one (`"sv"`), and the entries.
    Dict(Cow<'static, str>, Vec<(Value, Value)>),
    /// `(..)`
    Struct(Vec<Value>),
    /// `v`
    Variant(Box<Value>),
}

impl Value {
    /// The signature of this value.
    pub fn signature(&self) -> String {
        let mut text = String::new();
        self.push_signature(&mut text);
        text
    }

    /// A variant that holds `inner`.
    pub fn variant(inner: impl Into<Value>) -> Value {
        Value::Variant(Box::new(inner.into()))
    }

    /// An array of strings.
    pub fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Value {
        Value::Array(Cow::Borrowed("s"), items.into_iter().map(|item| Value::Str(item.into())).collect())
    }

    /// The text of a string, object path or signature.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) | Value::ObjectPath(text) | Value::Signature(text) => Some(text),
            Value::Variant(inner) => inner.as_str(),
            _ => None,
        }
    }

    /// The number of an unsigned integer of any width.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Byte(n) => Some(u64::from(*n)),
            Value::U16(n) => Some(u64::from(*n)),
            Value::U32(n) => Some(u64::from(*n)),
            Value::U64(n) => Some(*n),
            Value::Variant(inner) => inner.as_u64(),
            _ => None,
        }
    }

    /// The number of a signed integer of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::I16(n) => Some(i64::from(*n)),
            Value::I32(n) => Some(i64::from(*n)),
            Value::I64(n) => Some(*n),
            Value::Variant(inner) => inner.as_i64(),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(yes) => Some(*yes),
            Value::Variant(inner) => inner.as_bool(),
            _ => None,
        }
    }

    fn push_signature(&self, text: &mut String) {
        match self {
            Value::Byte(_) => text.push('y'),
            Value::Bool(_) => text.push('b'),
            Value::I16(_) => text.push('n'),
            Value::U16(_) => text.push('q'),
            Value::I32(_) => text.push('i'),
            Value::U32(_) => text.push('u'),
            Value::I64(_) => text.push('x'),
            Value::U64(_) => text.push('t'),
            Value::F64(_) => text.push('d'),
            Value::Str(_) => text.push('s'),
            Value::ObjectPath(_) => text.push('o'),
            Value::Signature(_) => text.push('g'),
            Value::UnixFd(_) => text.push('h'),
            Value::Bytes(_) => text.push_str("ay"),
            Value::Array(element, _) => {
                text.push('a');
                text.push_str(element);
            }
            Value::Dict(entry, _) => {
                text.push_str("a{");
                text.push_str(entry);
                text.push('}');
            }
            Value::Struct(fields) => {
                text.push('(');
                fields.iter().for_each(|field| field.push_signature(text));
                text.push(')');
            }
            Value::Variant(_) => text.push('v'),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$variant(value.into())
            }
        })*
    };
}

from! {
    u8 => Byte, bool => Bool, i16 => I16, u16 => U16, i32 => I32, u32 => U32, i64 => I64, u64 => U64,
    f64 => F64, &str => Str, String => Str, Vec<u8> => Bytes, &[u8] => Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        let value = Value::Struct(vec![
            Value::from("x"),
            Value::Dict("sv".into(), vec![(Value::from("k"), Value::variant(1u32))]),
            Value::Array("(ii)".into(), vec![]),
            Value::Bytes(vec![]),
        ]);
        assert_eq!(value.signature(), "(sa{sv}a(ii)ay)");
        assert_eq!(Value::variant(value).signature(), "v");
    }
}
