//! The state of all sites, and the events of its changes. No I/O.
//!
//! A site's task changes its own [`SiteState`] through the [`Store`]. Readers take a [`Snapshot`], which is immutable
//! and available without waiting. Consumers of changes subscribe to [`StoreEvent`]s. During an outage, a [`Reading`]
//! keeps its last data with their time.

mod capacity;
mod devices;
mod event;
mod event_queue;
mod reading;
mod reload;
mod room;
mod site_state;
mod snapshot;
mod storage;
mod store;
mod today;
mod traffic;

pub use capacity::LicenseUse;
pub use devices::{device_names, device_of};
pub use event::{SiteChange, SiteEvent, StoreEvent};
pub use reading::{Reading, ReadingState};
pub use reload::{Reload, ReloadDiagnostic};
pub use site_state::{ConnectionEvent, ConnectionState, HostState, SiteState, Usage};
pub use snapshot::Snapshot;
pub use storage::{StorageProblem, StorageState};
pub use store::{EventReceiver, Store};
pub use today::DayTotals;
