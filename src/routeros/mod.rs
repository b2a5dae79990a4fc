//! The RouterOS API: how to speak it, and nothing about hotspots.
//!
//! [`wire`] and [`value`] are pure functions of bytes, [`login`] makes the sentences that log in,
//! [`client`] holds one connection and asks over it, [`error`] says what went wrong.

pub mod client;
mod command;
pub mod error;
mod exchange;
pub mod login;
pub mod value;
pub mod wire;
