//! Type signatures (D-Bus specification, "Type System").

use super::error::{Result, SignatureFault};

/// Longest signature, in bytes.
pub const MAX_SIGNATURE: usize = 255;
/// Deepest nesting of arrays, and of structs, in one signature.
pub const MAX_TYPE_DEPTH: usize = 32;
/// Deepest nesting of containers in a message, variants included.
pub const MAX_DEPTH: usize = 64;

/// Checks that `signature` is a sequence of zero or more complete types.
pub fn validate(signature: &[u8]) -> Result<()> {
    if signature.len() > MAX_SIGNATURE {
        return Err(SignatureFault::TooLong.into());
    }
    let mut at = 0;
    while at < signature.len() {
        at = complete_type(signature, at, 0, 0)?;
    }
    Ok(())
}

/// Checks that `signature` is exactly one complete type.
pub fn validate_single(signature: &[u8]) -> Result<()> {
    if signature.len() > MAX_SIGNATURE {
        return Err(SignatureFault::TooLong.into());
    }
    match complete_type(signature, 0, 0, 0)? {
        end if end == signature.len() => Ok(()),
        _ => Err(SignatureFault::NotSingle.into()),
    }
}

/// Checks that `element` may follow an `a`: one complete type or one dict entry.
pub fn validate_element(element: &[u8]) -> Result<()> {
    if element.len() >= MAX_SIGNATURE {
        return Err(SignatureFault::TooLong.into());
    }
    match array_element(element, 0, 1, 0)? {
        end if end == element.len() => Ok(()),
        _ => Err(SignatureFault::NotSingle.into()),
    }
}

/// Whether `code` is a basic type: one that holds no other and may be a dictionary's key.
pub fn is_basic(code: u8) -> bool {
    matches!(code, b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'h')
}

/// The alignment, in bytes, of a type by its first code. Unknown codes have 1.
pub fn alignment(code: u8) -> usize {
    match code {
        b'n' | b'q' => 2,
        b'b' | b'i' | b'u' | b's' | b'o' | b'a' | b'h' => 4,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 1,
    }
}

/// The size of a fixed-size basic type, or `None` for every other type.
pub fn fixed_size(code: u8) -> Option<usize> {
    match code {
        b'y' => Some(1),
        b'n' | b'q' => Some(2),
        b'b' | b'i' | b'u' | b'h' => Some(4),
        b'x' | b't' | b'd' => Some(8),
        _ => None,
    }
}

/// Length of the first complete type (or dict entry) of a signature that was validated before; 0 at its end.
pub fn first_type_len(signature: &str) -> usize {
    let mut depth = 0usize;
    for (at, code) in signature.bytes().enumerate() {
        match code {
            b'a' => continue,
            b'(' | b'{' => depth += 1,
            b')' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    0
}

/// The complete types of a signature that was validated before.
pub fn types(signature: &str) -> impl Iterator<Item = &str> {
    let mut rest = signature;
    std::iter::from_fn(move || {
        let len = first_type_len(rest);
        if len == 0 {
            return None;
        }
        let (first, behind) = rest.split_at(len);
        rest = behind;
        Some(first)
    })
}

fn complete_type(signature: &[u8], at: usize, arrays: usize, structs: usize) -> Result<usize> {
    match signature.get(at) {
        None => Err(SignatureFault::Unbalanced.into()),
        Some(b'a') => {
            if arrays >= MAX_TYPE_DEPTH {
                return Err(SignatureFault::TooDeep.into());
            }
            array_element(signature, at + 1, arrays + 1, structs)
        }
        Some(b'(') => {
            if structs >= MAX_TYPE_DEPTH {
                return Err(SignatureFault::TooDeep.into());
            }
            struct_fields(signature, at + 1, arrays, structs + 1)
        }
        Some(b'v') => Ok(at + 1),
        Some(&code) if is_basic(code) => Ok(at + 1),
        Some(b')') => Err(SignatureFault::Unbalanced.into()),
        Some(b'{' | b'}') => Err(SignatureFault::DictEntry.into()),
        Some(&code) => Err(SignatureFault::UnknownCode(code).into()),
    }
}

fn struct_fields(signature: &[u8], first: usize, arrays: usize, structs: usize) -> Result<usize> {
    let mut at = first;
    loop {
        match signature.get(at) {
            Some(b')') if at == first => return Err(SignatureFault::EmptyStruct.into()),
            Some(b')') => return Ok(at + 1),
            _ => at = complete_type(signature, at, arrays, structs)?,
        }
    }
}

fn array_element(signature: &[u8], at: usize, arrays: usize, structs: usize) -> Result<usize> {
    match signature.get(at) {
        None | Some(b')' | b'}') => Err(SignatureFault::ArrayWithoutElement.into()),
        Some(b'{') => {
            if structs >= MAX_TYPE_DEPTH {
                return Err(SignatureFault::TooDeep.into());
            }
            match signature.get(at + 1) {
                Some(&key) if is_basic(key) => {}
                _ => return Err(SignatureFault::DictEntry.into()),
            }
            if signature.get(at + 2) == Some(&b'}') {
                return Err(SignatureFault::DictEntry.into());
            }
            let end = complete_type(signature, at + 2, arrays, structs + 1)?;
            match signature.get(end) {
                Some(b'}') => Ok(end + 1),
                _ => Err(SignatureFault::DictEntry.into()),
            }
        }
        _ => complete_type(signature, at, arrays, structs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::Error;

    #[test]
    fn accepts_what_the_specification_lists() {
        for good in ["", "y", "sus", "a{sv}", "aa{s(ii)}", "(a(ss)v)", "a{oa{sa{sv}}}", "(y(y(y)))", "ah"] {
            assert_eq!(validate(good.as_bytes()), Ok(()), "{good}");
        }
        assert_eq!(
            validate("a".repeat(32).as_bytes().iter().chain(b"y").copied().collect::<Vec<_>>().as_slice()),
            Ok(())
        );
    }

    #[test]
    fn names_the_fault() {
        use SignatureFault::*;
        let cases: [(&str, SignatureFault); 12] = [
            ("a", ArrayWithoutElement),
            ("(a)", ArrayWithoutElement),
            ("()", EmptyStruct),
            ("(s", Unbalanced),
            ("s)", Unbalanced),
            ("{sv}", DictEntry),
            ("a{vs}", DictEntry),
            ("a{s}", DictEntry),
            ("a{sss}", DictEntry),
            ("a{(s)s}", DictEntry),
            ("r", UnknownCode(b'r')),
            ("s\0", UnknownCode(0)),
        ];
        for (bad, fault) in cases {
            assert_eq!(validate(bad.as_bytes()), Err(Error::Signature(fault)), "{bad}");
        }
        assert_eq!(validate(&[b'y'; 256]), Err(Error::Signature(TooLong)));
        let deep = "a".repeat(33) + "y";
        assert_eq!(validate(deep.as_bytes()), Err(Error::Signature(TooDeep)));
        let deep = "(".repeat(33) + "y" + &")".repeat(33);
        assert_eq!(validate(deep.as_bytes()), Err(Error::Signature(TooDeep)));
        assert_eq!(validate_single(b"ss"), Err(Error::Signature(NotSingle)));
        assert_eq!(validate_element(b"{sv}"), Ok(()));
        assert_eq!(validate_element(b"ss"), Err(Error::Signature(NotSingle)));
    }

    #[test]
    fn splits_into_complete_types() {
        let parts: Vec<&str> = types("sa{s(iv)}(ii)aayv").collect();
        assert_eq!(parts, ["s", "a{s(iv)}", "(ii)", "aay", "v"]);
    }
}
