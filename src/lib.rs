//! The phsweb-agent.

#![warn(clippy::expect_used, clippy::unwrap_used)]

pub mod clock;
pub mod command;
pub mod config;
pub mod http;
pub mod plugin;
pub mod routeros;
pub mod simulator;
pub mod site;
pub mod state;
