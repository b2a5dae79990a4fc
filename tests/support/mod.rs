//! What the tests share. Each target includes this folder as a module of its own.
//!
//! | file | its subject |
//! | --- | --- |
//! | `address` | addresses that no other test takes |
//! | `agent` | the real binary with a file of its own, and its answers |
//! | `binary` | which binary is tested |
//! | `cgroup` | a limit of memory that the kernel holds; as root |
//! | `hostile` | routers that say more than anybody wants to know |
//! | `browser` | a client with cookies and forms |
//! | `kept` | a file that changes while the agent runs |
//! | `raw_router` | a router whose bytes a test decides, and our client beside it |
//! | `scripted_router` | a router whose sentences a test decides, for the agent |
//! | `shipped` | the shipped `sites.ron` over simulated routers |
//! | `unsaid` | secrets that no answer and no log line may contain |

pub(crate) mod address;
pub(crate) mod agent;
pub(crate) mod binary;
pub(crate) mod browser;
// It needs root, and not every target has a test that does.
#[allow(dead_code)]
pub(crate) mod cgroup;
pub(crate) mod hostile;
pub(crate) mod kept;
pub(crate) mod raw_router;
pub(crate) mod scripted_router;
pub(crate) mod shipped;
pub(crate) mod unsaid;

use phsweb_agent::simulator::{Login, Router, Settings};

/// A router in this process, at a port of the system's choice.
pub(crate) fn router(settings: Settings) -> Router {
    Router::start(([127, 0, 0, 1], 0).into(), settings).unwrap()
}

/// A router at a host of its own, for a test that expects its port to stay closed once it is gone.
pub(crate) fn router_of_own_host(settings: Settings) -> Router {
    Router::start((address::own_host(), 0).into(), settings).unwrap()
}

/// A RouterOS of this version.
pub(crate) fn version(text: &str) -> Settings {
    Settings { version: text.parse().unwrap(), ..Settings::default() }
}

/// A router that takes this password of `api-user`.
pub(crate) fn taking(password: &str) -> Router {
    router(Settings { logins: vec![Login::new("api-user", password)], ..Settings::default() })
}

/// Descriptors that an agent has open, as it says itself: nobody but root may look.
#[track_caller]
pub(crate) fn open_files(agent: &agent::Agent) -> usize {
    open_files_in(&agent.get("/metrics").body)
}

/// The same of a scrape.
#[track_caller]
pub(crate) fn open_files_in(metrics: &str) -> usize {
    let count = metrics.lines().find_map(|line| line.strip_prefix("process_open_fds "));
    count.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}
