//! Fuzzes [`phsweb_agent_fuzz::client`].

#![no_main]

use std::alloc::System;

use cap::Cap;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|input: &[u8]| phsweb_agent_fuzz::client::run(input, || MEMORY.allocated()));
