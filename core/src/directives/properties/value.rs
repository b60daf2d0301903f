//! A property's value, free of any encoding (org.freedesktop.systemd1(5)).

use std::borrow::Cow;

/// A value of a property; the variants are the types of D-Bus without its encoding.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyValue {
    /// `b`
    Bool(bool),
    /// `y`, `q`, `u`, `t`
    Uint(u64),
    /// `n`, `i`, `x`
    Int(i64),
    /// `d`
    Float(f64),
    /// `s`, `o`, `g`
    Text(String),
    /// `ay`
    Bytes(Vec<u8>),
    /// `h`, by the shell's id
    Fd(u64),
    /// `a`, with the signature of an element
    Array(Cow<'static, str>, Vec<PropertyValue>),
    /// `a{..}`
    Dict(Vec<(PropertyValue, PropertyValue)>),
    /// `(..)`
    Struct(Vec<PropertyValue>),
}

use PropertyValue::*;

impl PropertyValue {
    /// A text.
    pub fn text(text: &str) -> PropertyValue {
        Text(text.to_owned())
    }

    /// `as`
    pub fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> PropertyValue {
        Array("s".into(), texts.into_iter().map(|text| Text(text.as_ref().to_owned())).collect())
    }

    /// The text of a `Text`.
    pub fn as_text(&self) -> Option<&str> {
        if let Text(text) = self { Some(text) } else { None }
    }

    /// The items of an array or struct.
    pub fn items(&self) -> Option<&[PropertyValue]> {
        match self {
            Array(_, items) | Struct(items) => Some(items),
            _ => None,
        }
    }

    /// Any integer that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Uint(number) => Some(*number),
            Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Any integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Uint(number) => i64::try_from(*number).ok(),
            Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Bool(on) = self { Some(*on) } else { None }
    }

    /// The data of an `ay`.
    pub fn as_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Bytes(bytes) => Some(bytes.clone()),
            Array(element, items) if element == "y" => {
                items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect()
            }
            _ => None,
        }
    }
}
