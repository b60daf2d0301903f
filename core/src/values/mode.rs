//! File access modes, octal (`systemd.exec(5)`, e.g. `UMask=`).

use super::ValueError;

/// Parses an octal mode of at most 07777.
pub fn parse(text: &str) -> Result<u32, ValueError> {
    let fail = |reason| ValueError::new("access mode", text, reason);
    if text.is_empty() || !text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return Err(fail("not octal"));
    }
    let mode = u32::from_str_radix(text, 8).map_err(|_| fail("too large"))?;
    if mode > 0o7777 { Err(fail("too large")) } else { Ok(mode) }
}

/// Four octal digits.
pub fn format(mode: u32) -> String {
    format!("{mode:04o}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal() {
        assert_eq!(parse("0644"), Ok(0o644));
        assert_eq!(parse("755"), Ok(0o755));
        assert_eq!(format(0o22), "0022");
        for text in ["", "8", "10000", "rw", "-1", "+7"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for mode in 0..=0o7777 {
            assert_eq!(parse(&format(mode)), Ok(mode));
        }
    }
}
