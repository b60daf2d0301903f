//! Validity of names and paths (D-Bus specification, "Valid Names" and "Valid Object Paths").

/// Longest interface, member, error or bus name, in bytes.
pub const MAX_NAME: usize = 255;

/// Whether `path` is a valid object path.
pub fn is_object_path(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    match path.strip_prefix('/') {
        None => false,
        Some(rest) => rest.split('/').all(|part| !part.is_empty() && part.bytes().all(is_word)),
    }
}

/// Whether `name` is a valid interface name (error names follow the same rule).
pub fn is_interface(name: &str) -> bool {
    name.len() <= MAX_NAME && name.contains('.') && name.split('.').all(is_identifier)
}

/// Whether `name` is a valid error name.
pub fn is_error_name(name: &str) -> bool {
    is_interface(name)
}

/// Whether `name` is a valid method, signal or property name.
pub fn is_member(name: &str) -> bool {
    name.len() <= MAX_NAME && is_identifier(name)
}

/// Whether `name` is a valid bus name, unique (`:1.7`) or well-known (`org.example.Name`).
pub fn is_bus_name(name: &str) -> bool {
    is_unique_name(name) || is_well_known_name(name)
}

/// Whether `name` is a valid unique connection name.
pub fn is_unique_name(name: &str) -> bool {
    match name.strip_prefix(':') {
        Some(rest) => {
            name.len() <= MAX_NAME
                && rest.contains('.')
                && rest.split('.').all(|part| !part.is_empty() && part.bytes().all(is_bus_word))
        }
        None => false,
    }
}

/// Whether `name` is a valid well-known bus name.
pub fn is_well_known_name(name: &str) -> bool {
    name.contains('.') && is_namespace(name)
}

/// Whether `name` may be the prefix of well-known bus names (`arg0namespace` of a match rule): like such a name, but one element is enough.
pub fn is_namespace(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.split('.').all(|part| {
            part.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && part.bytes().all(is_bus_word)
        })
}

/// Whether `text` may be sent as a D-Bus string.
pub fn is_string(text: &str) -> bool {
    !text.as_bytes().contains(&0)
}

fn is_identifier(part: &str) -> bool {
    part.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && part.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_bus_word(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_paths() {
        for good in ["/", "/a", "/org/freedesktop/systemd1/unit/dbus_2eservice", "/0/_"] {
            assert!(is_object_path(good), "{good}");
        }
        for bad in ["", "a", "/a/", "//", "/a//b", "/a-b", "/é", "/a.b"] {
            assert!(!is_object_path(bad), "{bad}");
        }
    }

    #[test]
    fn interfaces_and_members() {
        assert!(is_interface("org.freedesktop.DBus"));
        for bad in ["", "org", "org.", ".org", "org..x", "org.9x", "org.x-y", ":1.2"] {
            assert!(!is_interface(bad), "{bad}");
        }
        assert!(is_member("GetAll"));
        for bad in ["", "9a", "a.b", "a-b"] {
            assert!(!is_member(bad), "{bad}");
        }
        assert!(!is_member(&"a".repeat(256)));
    }

    #[test]
    fn bus_names() {
        for good in [":1.0", ":1.4711", "org.freedesktop.systemd1", "a-b.c", ":a-b.0"] {
            assert!(is_bus_name(good), "{good}");
        }
        for bad in ["", ":", ":1", ":1..2", "org", "org.1", "org.", "a.b c"] {
            assert!(!is_bus_name(bad), "{bad}");
        }
        assert!(is_namespace("org"));
        assert!(!is_namespace("org."));
    }
}
