//! What somebody asks of the agent beside figures, and what it tells as it happens: kicks, users, refreshes,
//! tests, events. Apart from the other tests of the agent, which hold times that these would keep busy.

mod events;
mod kick;
mod kick_refused;
mod refresh;
mod tap;
mod users;
mod walk;

use crate::support::scripted_router as peer;
use crate::support::{agent, open_files, router, version};
