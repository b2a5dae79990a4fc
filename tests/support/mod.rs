//! Helpers that the tests share. Each test target includes this folder as a module.
//!
//! | file | subject |
//! | --- | --- |
//! | `address` | addresses that no other test uses |
//! | `agent` | the real binary with its own `sites.ron`, and its responses |
//! | `binary` | the path of the binary under test |
//! | `cgroup` | a memory limit that the kernel enforces; needs root |
//! | `hostile` | routers whose replies are as large as the limits allow |
//! | `browser` | a client with cookies and forms |
//! | `reloading_agent` | an agent whose `sites.ron` changes while it runs |
//! | `raw_router` | a router whose bytes a test determines, with the agent's client |
//! | `scripted_router` | a router whose sentences a test determines, for the agent |
//! | `shipped` | the shipped `sites.ron` with simulated routers |
//! | `secret_check` | secrets that no response and no log line may contain |
//! | `webhook` | a receiver of messages about alerts |

pub(crate) mod address;
pub(crate) mod agent;
pub(crate) mod binary;
pub(crate) mod browser;
// Needs root; not every target has a test that uses it.
#[allow(dead_code)]
pub(crate) mod cgroup;
pub(crate) mod hostile;
pub(crate) mod raw_router;
pub(crate) mod reloading_agent;
pub(crate) mod scripted_router;
pub(crate) mod secret_check;
pub(crate) mod shipped;
pub(crate) mod webhook;

use std::sync::atomic::{AtomicUsize, Ordering};

use phsweb_agent::simulator::{Login, Router, Settings};

/// A router in this process, on a free port.
pub(crate) fn router(settings: Settings) -> Router {
    Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap()
}

/// A router on its own address, for a test that needs the port to stay closed once the router is dropped.
pub(crate) fn router_on_unique_host(settings: Settings) -> Router {
    Router::start((address::unique_host(), 0).into(), settings).unwrap()
}

/// Settings with this RouterOS version.
pub(crate) fn version(text: &str) -> Settings {
    Settings { version: text.parse().unwrap(), ..Settings::default() }
}

/// A router where `api-user` has this password.
pub(crate) fn router_with_password(password: &str) -> Router {
    router(Settings { logins: vec![Login::new("api-user", password)], ..Settings::default() })
}

/// The open descriptors of an agent, from its metrics: only root may read them from `/proc`.
#[track_caller]
pub(crate) fn open_files(agent: &agent::Agent) -> usize {
    open_files_in(&agent.get(&unshared_metrics()).body)
}

/// `/metrics` with a query of its own: requests for the same address share a response for up to a second.
pub(crate) fn unshared_metrics() -> String {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    format!("/metrics?{}", REQUESTS.fetch_add(1, Ordering::Relaxed))
}

/// The open descriptors in a scrape of `/metrics`.
#[track_caller]
pub(crate) fn open_files_in(metrics: &str) -> usize {
    let count = metrics.lines().find_map(|line| line.strip_prefix("process_open_fds "));
    count.unwrap_or_else(|| panic!("expected process_open_fds in {metrics}")).parse().unwrap()
}
