//! A record of an alert: what the list of alerts shows and what is announced; and its form in JSON.

use serde::{Deserialize, Serialize};

use super::time::{AlertTime, Tick};

/// An alert at a moment of its life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// Its identifier.
    pub id: String,
    /// The rule's kind.
    pub kind: String,
    /// The site's key; `None` for the agent itself.
    pub site: Option<String>,
    /// The site's name.
    pub name: Option<String>,
    /// When the condition began.
    pub since: Tick,
    /// When it ended.
    pub until: Option<Tick>,
    /// The figure beyond its limit; after the end, the figure then.
    pub value: Option<f64>,
    /// What happened.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// Who acknowledged it, and when.
    pub acknowledged: Option<(String, Tick)>,
    /// Whether it has no end, or ended before it was sent as firing.
    #[serde(default)]
    pub is_brief: bool,
}

/// An alert with its dates. Serialized, it is an element of `alerts` in the JSON of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition is present.
    Firing,
    /// Its condition has ended.
    Resolved,
}

impl AlertRecord {
    /// Whether it is firing.
    pub fn state(&self) -> AlertState {
        if self.until.is_some() { AlertState::Resolved } else { AlertState::Firing }
    }

    /// The alert with its dates.
    pub fn alert(&self, now: AlertTime) -> Alert {
        Alert {
            id: self.id.clone(),
            kind: self.kind.clone(),
            site: self.site.clone(),
            name: self.name.clone(),
            state: self.state(),
            since: now.date(self.since),
            until: self.until.map(|until| now.date(until)),
            value: self.value,
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }
}
