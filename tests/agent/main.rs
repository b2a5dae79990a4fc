//! The agent as its users meet it: the real binary, real sockets, simulated routers.

mod agent;
mod answers;
mod browser;
mod catalogue;
mod clock;
mod command_line;
mod declared;
mod demo;
mod escaping;
mod failover;
mod faults;
mod figures;
mod files;
mod fleet;
mod http;
mod https;
mod listen;
mod live;
mod logging;
mod login;
mod login_page;
mod metrics;
mod openapi;
mod outage;
mod pages;
mod peer;
mod reboot;
mod robust;
mod roles;
mod schema;
mod secrets;
mod shipped;
mod signals;
mod simulate;
mod soak;
mod steps;
mod table;
mod text;
mod tls;
mod who;
mod world;

use phsweb_agent::simulator::{Router, Settings};

/// A router in this process, at a port of the system's choice.
fn router(settings: Settings) -> Router {
    Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap()
}

/// A RouterOS of this version.
fn version(text: &str) -> Settings {
    Settings { version: text.parse().unwrap(), ..Settings::default() }
}
