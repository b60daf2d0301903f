//! Values between the wire and the directives.
use runstead_core::directives::PropertyValue;
use runstead_wire::dbus::{Value, Writer};

/// A value of a client without its encoding; a variant is what is inside it.
pub fn from_wire(value: &Value) -> PropertyValue {
    match value {
        Value::Byte(n) => PropertyValue::Uint(u64::from(*n)),
        Value::Bool(on) => PropertyValue::Bool(*on),
        Value::I16(n) => PropertyValue::Int(i64::from(*n)),
        Value::U16(n) => PropertyValue::Uint(u64::from(*n)),
        Value::I32(n) => PropertyValue::Int(i64::from(*n)),
        Value::U32(n) => PropertyValue::Uint(u64::from(*n)),
        Value::I64(n) => PropertyValue::Int(*n),
        Value::U64(n) => PropertyValue::Uint(*n),
        Value::F64(n) => PropertyValue::Float(*n),
        Value::Str(text) | Value::ObjectPath(text) | Value::Signature(text) => {
            PropertyValue::Text(text.clone())
        }
        Value::UnixFd(id) => PropertyValue::Fd(*id),
        Value::Bytes(bytes) => PropertyValue::Bytes(bytes.clone()),
        Value::Array(element, items) => {
            PropertyValue::Array(element.clone(), items.iter().map(from_wire).collect())
        }
        Value::Dict(_, entries) => PropertyValue::Dict(
            entries.iter().map(|(key, value)| (from_wire(key), from_wire(value))).collect(),
        ),
        Value::Struct(fields) => PropertyValue::Struct(fields.iter().map(from_wire).collect()),
        Value::Variant(inner) => from_wire(inner),
    }
}

/// Writes a value as the type that `signature` names; what does not fit becomes the type's zero, so that the reply stays
/// well-formed.
pub fn to_wire(writer: &mut Writer, signature: &str, value: &PropertyValue) {
    let number = || match value {
        PropertyValue::Uint(n) => i128::from(*n),
        PropertyValue::Int(n) => i128::from(*n),
        _ => 0,
    };
    match signature {
        "b" => writer.bool(matches!(value, PropertyValue::Bool(true))),
        "y" => writer.byte(u8::try_from(number()).unwrap_or(0)),
        "q" => writer.u16(u16::try_from(number()).unwrap_or(0)),
        "n" => writer.i16(i16::try_from(number()).unwrap_or(0)),
        "i" => writer.i32(i32::try_from(number()).unwrap_or(0)),
        "u" => writer.u32(u32::try_from(number()).unwrap_or(0)),
        "x" => writer.i64(i64::try_from(number()).unwrap_or(0)),
        "t" => writer.u64(u64::try_from(number()).unwrap_or(0)),
        "d" => writer.f64(if let PropertyValue::Float(n) = value { *n } else { 0.0 }),
        "s" => writer.str(if let PropertyValue::Text(text) = value { text } else { "" }),
        "ay" => writer.bytes(if let PropertyValue::Bytes(bytes) = value { bytes } else { &[] }),
        _ => match signature.strip_prefix('a') {
            Some(element) => writer.array(element, |w| {
                if let PropertyValue::Array(_, items) = value {
                    items.iter().for_each(|item| to_wire(w, element, item));
                }
            }),
            None => writer.str(""),
        },
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_pass_both_ways() {
        let value = from_wire(&Value::variant(Value::strings(["a", "b"])));
        let mut writer = Writer::new();
        to_wire(&mut writer, "as", &value);
        to_wire(&mut writer, "u", &PropertyValue::Int(-1));
        assert_eq!(writer.finish().expect("well-formed").signature(), "asu");
        assert_eq!(
            value,
            PropertyValue::Array(
                "s".into(),
                vec![PropertyValue::Text("a".into()), PropertyValue::Text("b".into())]
            )
        );
    }
}
