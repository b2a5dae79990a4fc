//! What is known of every site, and since when. No I/O.
//!
//! A site's task changes its own [`SiteState`] through the [`Store`]; everybody else
//! takes a [`Snapshot`], which never changes and which nobody waits for. Values outlive
//! an outage: a [`Reading`] keeps its data and the moment it was true.

mod reading;
mod reload;
mod room;
mod snapshot;
mod store;

pub use reading::{Reading, ReadingState};
pub use reload::{Reload, ReloadDiagnostic};
pub use snapshot::{ConnectionEvent, ConnectionState, Host, SiteState, Snapshot, Usage};
pub use store::Store;
