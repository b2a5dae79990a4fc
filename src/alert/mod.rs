//! Alerts: compares the state of all sites with the rules of the file, and decides what is worth a message. No I/O.

mod notification;

pub use notification::{Alert, AlertState, Notification};
