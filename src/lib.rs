//! The phsweb-agent.

#![warn(clippy::expect_used, clippy::unwrap_used)]

pub mod clock;
pub mod config;
pub mod plugin;
pub mod routeros;
pub mod simulator;
pub mod site;
pub mod state;
