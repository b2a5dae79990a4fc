//! The phsweb-agent.
pub mod routeros;
