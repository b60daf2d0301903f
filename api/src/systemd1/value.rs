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
        "b" => writer.bool(value.as_bool().unwrap_or(false)),
        "y" => writer.byte(u8::try_from(number()).unwrap_or(0)),
        "q" => writer.u16(u16::try_from(number()).unwrap_or(0)),
        "n" => writer.i16(i16::try_from(number()).unwrap_or(0)),
        "i" => writer.i32(i32::try_from(number()).unwrap_or(0)),
        "u" => writer.u32(u32::try_from(number()).unwrap_or(0)),
        "x" => writer.i64(i64::try_from(number()).unwrap_or(0)),
        "t" => writer.u64(u64::try_from(number()).unwrap_or(0)),
        "d" => writer.f64(if let PropertyValue::Float(n) = value { *n } else { 0.0 }),
        "s" => writer.str(value.as_text().unwrap_or("")),
        "ay" => writer.bytes(&value.as_bytes().unwrap_or_default()),
        _ => container(writer, signature, value),
    };
}

/// The item that stands for one that is missing.
const ZERO: PropertyValue = PropertyValue::Uint(0);

fn container<'w>(writer: &'w mut Writer, signature: &str, value: &PropertyValue) -> &'w mut Writer {
    let items = value.items().unwrap_or(&[]);
    if let Some(element) = signature.strip_prefix('a') {
        return writer.array(element, |w| items.iter().for_each(|item| to_wire(w, element, item)));
    }
    let mut fields = signature.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or("");
    writer.structure(|w| {
        for index in 0.. {
            let Some(len) = type_len(fields) else { break };
            to_wire(w, &fields[..len], items.get(index).unwrap_or(&ZERO));
            fields = &fields[len..];
        }
    })
}

/// The length of the first complete type; `None` at the end.
fn type_len(signature: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in signature.bytes().enumerate() {
        match byte {
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 && byte != b'a' {
            return Some(at + 1);
        }
    }
    None
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
        let row = [PropertyValue::text("/"), PropertyValue::Array("(ss)".into(), Vec::new())];
        to_wire(&mut writer, "(sba(ss))", &PropertyValue::Struct(row.to_vec()));
        assert_eq!(writer.finish().expect("well-formed").signature(), "asu(sba(ss))");
        assert_eq!(
            value,
            PropertyValue::Array(
                "s".into(),
                vec![PropertyValue::Text("a".into()), PropertyValue::Text("b".into())]
            )
        );
    }
}
