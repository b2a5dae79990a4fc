//! Actions and events over HTTP: kicks, users, refreshes, connection tests and server-sent events. They load the machine,
//! so they are apart from the tests of the agent that measure time.

mod diagnose;
mod events;
mod kick;
mod kick_refused;
mod refresh;
mod tap;
mod users;

use crate::support::scripted_router as peer;
use crate::support::{agent, open_files, router, version};
