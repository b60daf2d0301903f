//! Absolute paths as text.

/// The components of an absolute path.
pub fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty())
}

/// Whether `path` is `directory` or below it.
pub fn is_within(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_alike_are_not_within() {
        for (path, directory) in [("/a", "/a"), ("/a/b", "/a"), ("/a/b", "/a/"), ("/a", "/")] {
            assert!(is_within(path, directory), "{path} {directory}");
        }
        assert!(!is_within("/ab", "/a") && !is_within("/", "/a"));
        assert_eq!(components("//a/b/").collect::<Vec<_>>(), ["a", "b"]);
    }
}
