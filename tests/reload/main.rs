//! The file is changed while the agent runs: what is other by that, what stays, and what is told of it.

// Helpers of tests may stop at the first thing that is not as it must be, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

// What they have for the others is not used here.
#[allow(dead_code)]
#[path = "../agent/agent.rs"]
mod agent;
#[allow(dead_code)]
#[path = "../agent/browser.rs"]
mod browser;
mod kept;
mod orders;
mod page;
mod plugin;
mod reach;
mod sites;
mod soak;
mod wait;
mod written;

use phsweb_agent::simulator::{Login, Router, Settings};

/// A router in this process, at a port of the system's choice.
fn router(settings: Settings) -> Router {
    Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap()
}

/// One that takes this password of `api-user`.
fn taking(password: &str) -> Router {
    router(Settings { logins: vec![Login::new("api-user", password)], ..Settings::default() })
}
