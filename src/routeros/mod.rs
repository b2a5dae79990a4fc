//! The RouterOS API: how to speak it, and nothing about hotspots.
//!
//! [`wire`] and [`value`] are pure functions of bytes, [`login`] makes the sentences that log in,
//! [`client`] holds one connection, [`error`] says what went wrong with it.

pub mod client;
pub mod error;
pub mod login;
pub mod value;
pub mod wire;
