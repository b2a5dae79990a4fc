//! The fuzz targets. Each module tells at its top what an input is and what must hold; `fuzz_targets` hands it to
//! libFuzzer, and the tests in `tests/blackbox/corpus.rs` run it on the committed seeds.
//!
//! | target | its subject |
//! | --- | --- |
//! | `decoder` | the wire, cut at any places |
//! | `values` | every type of value, and the plugins' rows |
//! | `login` | answers to a login |
//! | `client` | the whole client, beside a router that does anything |
//!
//! Needs cargo-fuzz and a C++ compiler. Nightly has the address sanitizer; with another toolchain
//! it is `-s none`. The timers of a client free late, which is no leak:
//!
//! ```sh
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz client -- -dict=tests/fuzz/routeros.dict -detect_leaks=0
//! ```
//!
//! What is found goes to `artifacts`; its cause becomes an ordinary test. The seeds in `corpus` are made
//! from the forms that RouterOS's documentation and traces have.

pub mod client;
pub mod decoder;
pub mod login;
pub mod peer;
pub mod values;
