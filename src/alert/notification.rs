//! A notification: one message about one alert or several, as channels send it.

use serde::{Deserialize, Serialize};

use super::record::AlertRecord;

/// One message. Each channel renders it in its own format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Unique among the notifications of this agent, also over restarts with persistent state.
    pub id: u64,
    /// One line.
    pub title: String,
    /// One line or more: the message of each alert, and hints.
    pub text: String,
    /// The alerts that it is about, in the order in which they changed. They get their dates when they are sent: the clock
    /// may be set while the message waits.
    pub alerts: Vec<AlertRecord>,
}
