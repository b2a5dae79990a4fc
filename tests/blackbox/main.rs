//! The agent and its parts from outside: the real binary, real sockets, simulated and scripted routers, and what the
//! documents say of them.
//!
//! These tests run side by side. Those that measure memory or time, or need the machine for themselves, are in
//! `tests/slow`; those that need other programs are marked `#[ignore = "needs …"]` and run in CI.

// Helpers of tests may stop at the first thing that is not as it must be, too.
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
