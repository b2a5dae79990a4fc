//! The journal: who used the hotspots, when, how much, and why each session ended.
//!
//! The [`Recorder`] receives the store's events and records each ended session. The [`Journal`] keeps a limited number of
//! them, for a limited time, as compact bytes. Readers search it with a [`JournalQuery`]. No I/O.
//!
//! | file | its subject |
//! | --- | --- |
//! | `entry`, `reason` | one ended session, its encoding, and why it ended |
//! | `log` | the entries in order, within their limits |
//! | `query` | the filter and the page of a search |
//! | `shared` | the journal that the recorder and the readers share |
//! | `router_log` | reasons in the lines of a router's log |
//! | `recorder` | from events to entries |
//! | `stored`, `on_disk` | the entries in the state directory, and which of them are in its file |

mod entry;
mod log;
mod on_disk;
mod query;
mod reason;
mod recorder;
mod router_log;
mod shared;
mod stored;

pub use entry::{EndTime, JournalEntry};
pub use log::Retention;
pub use query::{FoundEntries, JournalQuery, Position};
pub use reason::Reason;
pub use recorder::Recorder;
pub use router_log::{FailedLogin, failed_logins};
pub use shared::{Journal, JournalStats};
