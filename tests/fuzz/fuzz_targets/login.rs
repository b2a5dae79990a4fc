//! Fuzzes [`phsweb_agent_fuzz::login`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| phsweb_agent_fuzz::login::run(input));
