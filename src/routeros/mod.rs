//! The RouterOS API: how to speak it, and nothing about hotspots.
pub mod wire;
