//! 128-bit identifiers: 32 hex digits, or the UUID form (`sd-id128(3)`, `machine-id(5)`).

use super::ValueError;

/// Parses 32 hex digits, or a UUID with its dashes.
pub fn parse(text: &str) -> Result<u128, ValueError> {
    let fail = |reason| ValueError::new("128-bit ID", text, reason);
    let bytes = text.as_bytes();
    let digits: String = match bytes.len() {
        32 => text.to_owned(),
        36 if [8, 13, 18, 23].iter().all(|&at| bytes.get(at) == Some(&b'-')) => text.replace('-', ""),
        _ => return Err(fail("neither 32 digits nor a UUID")),
    };
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(fail("not hexadecimal"));
    }
    u128::from_str_radix(&digits, 16).map_err(|_| fail("not hexadecimal"))
}

/// 32 lower-case hex digits.
pub fn format(id: u128) -> String {
    format!("{id:032x}")
}

/// The UUID form.
pub fn format_uuid(id: u128) -> String {
    let part = |shift: u32, bits: u32| (id >> shift) & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(id in any::<u128>()) {
            prop_assert_eq!(parse(&format(id)), Ok(id));
            prop_assert_eq!(parse(&format_uuid(id)), Ok(id));
        }
        #[test]
        fn never_panics(text in "[0-9a-fG\u{e4}-]{28,38}") {
            let _ = parse(&text);
        }
    }
}
