//! D-Bus object paths of units: each byte that is not an ASCII letter or digit is `_` and two hex digits.

use super::UnitName;

/// The parent of all unit objects.
pub const UNIT_PATH_PREFIX: &str = "/org/freedesktop/systemd1/unit/";
/// The parent of all job objects.
pub const JOB_PATH_PREFIX: &str = "/org/freedesktop/systemd1/job/";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Escapes text into one element of an object path; the empty text is `_`, a digit in first place is escaped.
pub fn bus_path_escape(text: &str) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (index, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            out.push(char::from(byte));
        } else {
            out.push('_');
            out.extend([byte >> 4, byte & 15].map(|half| char::from(HEX[usize::from(half)])));
        }
    }
    out
}

/// Undoes [`bus_path_escape`]. As in the reference, a `_` that is not followed by two hex digits stands for
/// itself. `None` when the result is not UTF-8.
pub fn bus_path_unescape(element: &str) -> Option<String> {
    if element == "_" {
        return Some(String::new());
    }
    let bytes = element.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|&c| char::from(c).to_digit(16));
        match (byte, hex(1), hex(2)) {
            (b'_', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).ok()?);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// The object path of a unit.
pub fn unit_object_path(name: &UnitName) -> String {
    format!("{UNIT_PATH_PREFIX}{}", bus_path_escape(name.as_str()))
}

/// The unit that an object path names; `None` for other paths and for what is no unit name.
pub fn from_object_path(path: &str) -> Option<UnitName> {
    let element = path.strip_prefix(UNIT_PATH_PREFIX)?;
    if element.contains('/') {
        return None;
    }
    UnitName::parse(&bus_path_unescape(element)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_the_reference_names_them() {
        let name = UnitName::parse("dbus.service").expect("valid");
        assert_eq!(unit_object_path(&name), "/org/freedesktop/systemd1/unit/dbus_2eservice");
        assert_eq!(from_object_path("/org/freedesktop/systemd1/unit/dbus_2eservice"), Some(name));
        let root = UnitName::parse("-.slice").expect("valid");
        assert_eq!(unit_object_path(&root), "/org/freedesktop/systemd1/unit/_2d_2eslice");
        assert_eq!(bus_path_escape("1a"), "_31a");
        assert_eq!(bus_path_escape(""), "_");
        assert_eq!(bus_path_unescape("_"), Some(String::new()));
        assert_eq!(from_object_path("/org/freedesktop/systemd1/job/1"), None);
        assert_eq!(from_object_path("/org/freedesktop/systemd1/unit/x"), None);
    }

    proptest! {
        #[test]
        fn round_trip(text in ".{0,30}") {
            prop_assert_eq!(bus_path_unescape(&bus_path_escape(&text)), Some(text));
        }
    }
}
