//! A notification: one message about one alert or several, as channels send it.

use serde::{Deserialize, Serialize};

/// One message. Each channel renders it in its own format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Unique among the notifications of this agent, also over restarts with persistent state.
    pub id: u64,
    /// One line.
    pub title: String,
    /// One line or more: the message of each alert, and hints.
    pub text: String,
    /// The alerts that it is about, in the order in which they changed.
    pub alerts: Vec<Alert>,
}

/// An alert as a notification shows it. Serialized, it is an element of `alerts` in the JSON of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same in all notifications about one incident. Its characters need no escape in a URL.
    pub id: String,
    /// The rule's kind, such as `SiteDown`.
    pub kind: String,
    /// The site's key; `None` for an alert that concerns no single site.
    pub site: Option<String>,
    /// The site's name for people.
    pub name: Option<String>,
    /// Whether the alert is firing.
    pub state: AlertState,
    /// When its condition began, in RFC 3339.
    pub since: String,
    /// When it ended, in RFC 3339; `None` while the alert is firing.
    pub until: Option<String>,
    /// The figure that is beyond its limit.
    pub value: Option<f64>,
    /// What happened.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
}

/// Whether an alert is firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition is present.
    Firing,
    /// Its condition has ended.
    Resolved,
}
