//! Alerts: compares the state of all sites with the rules of the file, and decides what is worth a message. No I/O.

mod announcer;
mod incident;
mod incident_table;
mod notification;
mod outbox;
mod record;
mod time;
mod uplink;

pub use announcer::Mute;
pub use incident::{Description, Incident, Observation, Subject};
pub use incident_table::IncidentTable;
pub use notification::{Alert, AlertState, Notification};
pub use record::AlertRecord;
pub use time::{Now, Tick, Timeline};
pub use uplink::Reachability;
