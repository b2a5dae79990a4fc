//! The phsweb-agent.
pub mod clock;
pub mod plugin;
pub mod routeros;
