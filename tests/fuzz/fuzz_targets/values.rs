//! Fuzzes [`phsweb_agent_fuzz::values`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| phsweb_agent_fuzz::values::run(input));
