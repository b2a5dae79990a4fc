//! Alerts: compares the state of all sites with the rules of the file, and decides what is worth a message. No I/O.
//!
//! | file | its subject |
//! | --- | --- |
//! | `alerts` | all of it for the running agent, behind a lock |
//! | `evaluator`, `conditions`, `figures`, `rules` | from states of sites and rules to observations |
//! | `incident_table`, `incident`, `uplink` | from observations to alerts that fire and resolve |
//! | `announcer`, `outbox` | from alerts to notifications: mutes, reminders, groups, quiet hours |
//! | `notification`, `record`, `time` | what is sent, what is listed, and time as a value |

mod alerts;
mod announcer;
mod conditions;
mod evaluator;
mod figures;
mod incident;
mod incident_table;
mod notification;
mod outbox;
mod record;
mod rules;
mod time;
mod uplink;

pub use alerts::{AlertList, Alerts, MAX_MUTE};
pub use announcer::{MAX_MUTES, Mute};
pub use incident_table::{SITE_DOWN, UPLINK_LOST};
pub use notification::Notification;
pub use record::{Alert, AlertRecord, AlertState};
pub use time::{AlertTime, Tick};
