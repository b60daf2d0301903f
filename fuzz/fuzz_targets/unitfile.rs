#![no_main]

use runstead_core::unitfile::{self, UnitFiles};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = unitfile::parse("/fuzz/a.service", data);
    // Each of these ends a line.
    let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r' | 0)).count() + 2;
    let files = UnitFiles { fragment: Some(file), dropins: Vec::new() };
    // What is wrong is said with a line that is there.
    assert!(files.assignments().all(|located| located.assignment.line as usize <= lines));
});
