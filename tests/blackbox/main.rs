//! Black-box tests of the agent and its parts: the real binary, real sockets, simulated and scripted routers, and the
//! documents.
//!
//! These tests run in parallel. Those that measure memory or time, or must run alone, are in `tests/slow`; those that need other programs are marked `#[ignore = "needs …"]` and run in CI.

// Test helpers may panic, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod actions;
mod agent;
mod architecture;
mod client;
mod codec;
mod configuration;
mod corpus;
mod documents;
// As a module: the crate itself links libFuzzer.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;
mod licenses;
mod links;
mod markdown;
mod mikrotik;
mod reference;
mod reload;
mod server;
mod simulator;
#[path = "../support/mod.rs"]
mod support;
