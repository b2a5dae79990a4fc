//! What somebody asks of the agent beside figures, and what it tells as it happens: kicks, users, refreshes,
//! tests, events. Apart from the other tests of the agent, which hold times that these would keep busy.

// Helpers of tests may stop at the first thing that is not as it must be, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

// What they have for the others is not used here.
#[allow(dead_code)]
#[path = "../agent/agent.rs"]
mod agent;
mod events;
mod kick;
mod kick_refused;
#[allow(dead_code)]
#[path = "../agent/peer.rs"]
mod peer;
mod refresh;
mod tap;
mod users;
mod walk;

use phsweb_agent::simulator::{Router, Settings};

/// A router in this process, at a port of the system's choice.
fn router(settings: Settings) -> Router {
    Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap()
}

/// A RouterOS of this version.
fn version(text: &str) -> Settings {
    Settings { version: text.parse().unwrap(), ..Settings::default() }
}

/// Descriptors that it has open.
fn open_files(agent: &agent::Agent) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", agent.running.id())).unwrap().count()
}
