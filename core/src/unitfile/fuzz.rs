//! What a unit file, whatever its bytes, must keep: the target of `fuzz/`, and of the corpus that it kept.

use super::{UnitFiles, parse};

/// Parses it; panics when a promise is broken.
pub fn fuzz(data: &[u8]) {
    let file = parse("/fuzz/a.service", data);
    // Each of these ends a line.
    let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r' | 0)).count() + 2;
    let files = UnitFiles { fragment: Some(file), dropins: Vec::new() };
    // What is wrong is said with a line that is there.
    assert!(files.assignments().all(|located| located.assignment.line as usize <= lines));
}
