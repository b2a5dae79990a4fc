//! The fuzz targets. The documentation of each module describes its input and the properties that must hold;
//! `fuzz_targets` connects it to libFuzzer, and the tests in `tests/blackbox/corpus.rs` run it on the committed seeds.
//!
//! | target | its subject |
//! | --- | --- |
//! | `decoder` | the wire, split at any places |
//! | `values` | every type of value, and the plugins' rows |
//! | `login` | answers to a login |
//! | `client` | the whole client, with a router that does anything |
//!
//! It needs cargo-fuzz and a C++ compiler. Nightly has the address sanitizer; other toolchains need `-s none`. The timers
//! of a client are freed late, which is no leak:
//!
//! ```sh
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz client -- -dict=tests/fuzz/routeros.dict -detect_leaks=0
//! ```
//!
//! Findings are written to `artifacts`; write an ordinary test for each cause. The seeds in `corpus` are derived from
//! RouterOS's documentation and traces.

pub mod client;
pub mod decoder;
pub mod login;
pub mod peer;
pub mod values;
