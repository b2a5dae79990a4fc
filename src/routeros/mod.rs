//! The RouterOS API: how to speak it, and nothing about hotspots.
//!
//! [`wire`], [`value`] and [`codepage`] are pure functions of bytes, [`login`] makes the sentences that log in,
//! [`connect`] opens a connection, over [`tls`] where it is to be, [`client`] asks over it,
//! [`listen`] follows what changes, [`error`] says what went wrong.

pub mod client;
pub mod codepage;
mod command;
pub mod connect;
pub mod error;
pub mod listen;
pub mod login;
mod multiplexer;
pub mod tls;
pub mod value;
pub mod wire;
