#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| runstead_wire::fuzzing::dbus_match_rule(data));
