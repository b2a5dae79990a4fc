//! The RouterOS API: the protocol and a client, independent of hotspots.
//!
//! [`wire`], [`rows`], [`value`] and [`codepage`] are pure functions of bytes, [`login`] builds the sentences of a login,
//! [`client`] connects and sends commands, [`listen`] follows changes, [`error`] defines the errors.

pub mod client;
pub mod codepage;
mod command;
mod connection;
pub mod error;
mod in_flight;
pub mod listen;
pub mod login;
mod multiplexer;
pub mod rows;
pub mod value;
pub mod wire;
