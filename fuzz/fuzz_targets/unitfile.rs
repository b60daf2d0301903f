#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| runstead_core::unitfile::fuzz(data));
