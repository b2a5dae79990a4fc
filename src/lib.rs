//! The phsweb-agent.
pub mod clock;
pub mod config;
pub mod plugin;
pub mod routeros;
pub mod site;
pub mod state;
