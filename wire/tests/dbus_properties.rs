//! Properties of the D-Bus codec over generated values.

#![allow(clippy::unwrap_used)] // A panic is the report.

use proptest::collection::vec;
use proptest::prelude::*;
use runstead_wire::dbus::{
    ClientAuth, Connection, Endian, Kind, Limits, Message, Reader, ServerAuth, Value, Writer, signature,
};

fn basic() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Not any: a NaN is not equal to itself.
        (-1e300..1e300f64).prop_map(Value::from),
        "[^\0]{0,20}".prop_map(Value::from),
        "(/[A-Za-z0-9_]{1,5}){1,4}".prop_map(Value::ObjectPath),
        prop_oneof![Just("a{sv}"), Just(""), Just("(ii)s")]
            .prop_map(|text| Value::Signature(text.to_owned())),
    ]
}

/// Any value of at most a few levels. Arrays repeat one value, so that all elements have one type.
fn value() -> impl Strategy<Value = Value> {
    basic().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Value::Struct),
            inner.clone().prop_map(|value| Value::Variant(Box::new(value))),
            vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
            (inner.clone(), 0usize..4)
                .prop_filter("an array of bytes is Bytes", |(value, _)| !matches!(value, Value::Byte(_)))
                .prop_map(|(value, n)| Value::Array(value.signature().into(), vec![value; n])),
            (basic(), inner, 0usize..4).prop_map(|(key, value, n)| {
                Value::Dict((key.signature() + &value.signature()).into(), vec![(key, value); n])
            }),
        ]
    })
}

fn message(values: &[Value]) -> Message {
    Message::method_call(Some("org.example.Name"), "/org/example", "org.example.Iface", "Method")
        .build(|w| {
            values.iter().for_each(|value| {
                w.value(value);
            });
        })
        .unwrap()
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(1, None, 1 << 20, &mut bytes).unwrap();
    bytes
}

/// The values of `bytes` written in network order, as an old peer on such a machine would.
fn big_endian(value: &Value, bytes: &mut Vec<u8>) {
    let pad = |bytes: &mut Vec<u8>, to: usize| bytes.resize(bytes.len().next_multiple_of(to), 0);
    match value {
        Value::Byte(n) => bytes.push(*n),
        Value::Bool(yes) => big_endian(&Value::U32(u32::from(*yes)), bytes),
        Value::I16(n) => big_endian(&Value::U16(*n as u16), bytes),
        Value::I32(n) => big_endian(&Value::U32(*n as u32), bytes),
        Value::I64(n) => big_endian(&Value::U64(*n as u64), bytes),
        Value::F64(n) => big_endian(&Value::U64(n.to_bits()), bytes),
        Value::U16(n) => {
            pad(bytes, 2);
            bytes.extend_from_slice(&n.to_be_bytes());
        }
        Value::U32(n) => {
            pad(bytes, 4);
            bytes.extend_from_slice(&n.to_be_bytes());
        }
        Value::U64(n) => {
            pad(bytes, 8);
            bytes.extend_from_slice(&n.to_be_bytes());
        }
        Value::Str(text) | Value::ObjectPath(text) => {
            big_endian(&Value::U32(text.len() as u32), bytes);
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
        Value::Signature(text) => {
            bytes.push(text.len() as u8);
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
        Value::Struct(fields) => {
            pad(bytes, 8);
            fields.iter().for_each(|field| big_endian(field, bytes));
        }
        Value::Variant(inner) => {
            big_endian(&Value::Signature(inner.signature()), bytes);
            big_endian(inner, bytes);
        }
        Value::Bytes(raw) => {
            big_endian(&Value::U32(raw.len() as u32), bytes);
            bytes.extend_from_slice(raw);
        }
        Value::Array(element, items) => {
            big_endian_array(element, bytes, |bytes| items.iter().for_each(|item| big_endian(item, bytes)));
        }
        Value::Dict(_, entries) => big_endian_array("{", bytes, |bytes| {
            for (key, value) in entries {
                big_endian(&Value::Struct(vec![key.clone(), value.clone()]), bytes);
            }
        }),
        Value::UnixFd(_) => unreachable!("not generated"),
    }
}

fn big_endian_array(element: &str, bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    big_endian(&Value::U32(0), bytes);
    let at = bytes.len() - 4;
    bytes.resize(bytes.len().next_multiple_of(signature::alignment(element.as_bytes()[0])), 0);
    let first = bytes.len();
    write(bytes);
    let len = (bytes.len() - first) as u32;
    bytes[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

proptest! {
    #[test]
    fn values_survive(values in vec(value(), 0..4)) {
        let bytes = encoded(&message(&values));
        prop_assert_eq!(Message::frame_len(&bytes, 1 << 20), Ok(Some(bytes.len())));
        let back = Message::decode(&bytes, |_| Ok(vec![])).unwrap().unwrap();
        prop_assert_eq!((back.kind(), back.check_body()), (Kind::MethodCall, Ok(())));
        let mut reader = back.body_reader();
        for value in &values {
            prop_assert_eq!(&reader.value().unwrap(), value);
        }
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn both_byte_orders_are_read_alike(value in value()) {
        let mut bytes = Vec::new();
        big_endian(&value, &mut bytes);
        let types = value.signature();
        let mut reader = Reader::new(&bytes, &types, Endian::Big, &[]).unwrap();
        prop_assert_eq!(reader.value().unwrap(), value);
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn every_cut_is_noticed(value in value(), cut in any::<prop::sample::Index>()) {
        let mut writer = Writer::new();
        writer.value(&value);
        let body = writer.finish().unwrap();
        let len = cut.index(body.bytes().len());
        let reader = Reader::new(&body.bytes()[..len], body.signature(), Endian::Little, &[]);
        prop_assert!(reader.unwrap().skip().is_err());
    }

    #[test]
    fn signatures_of_values_are_valid(value in value()) {
        let text = value.signature();
        prop_assert_eq!(signature::validate_single(text.as_bytes()), Ok(()));
        prop_assert_eq!(signature::first_type_len(&text), text.len());
    }

    #[test]
    fn any_signature_splits_or_is_refused(text in "[ybnqiuxtdsogvha(){}]{0,12}") {
        if signature::validate(text.as_bytes()).is_ok() {
            prop_assert_eq!(signature::types(&text).collect::<String>(), text);
        }
    }

    #[test]
    fn pieces_make_no_difference(
        bodies in vec(vec(value(), 0..3), 1..6),
        cuts in vec(1usize..90, 1..20),
    ) {
        let guid = "0123456789abcdef0123456789abcdef";
        let mut client = Connection::client(ClientAuth::external(true), Limits::default());
        let mut server = Connection::server(ServerAuth::new(guid, Some(0), false, true), Limits::default());
        for values in &bodies {
            client.send(&message(values)).unwrap();
        }
        let mut cuts = cuts.iter().cycle();
        let mut got = Vec::new();
        while client.wants_write() {
            let out = client.outgoing();
            let count = out.bytes.len().min(*cuts.next().unwrap());
            server.feed(&out.bytes[..count], []).unwrap();
            client.advance_written(count);
            while let Some(message) = server.next_message() {
                got.push(message.unwrap());
            }
        }
        prop_assert_eq!(got.len(), bodies.len());
        for (number, (message, values)) in got.iter().zip(&bodies).enumerate() {
            prop_assert_eq!(message.serial as usize, number + 1);
            let mut reader = message.body_reader();
            for value in values {
                prop_assert_eq!(&reader.value().unwrap(), value);
            }
        }
        prop_assert!(server.phase() == runstead_wire::dbus::Phase::Open);
    }
}
