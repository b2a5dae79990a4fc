//! A record of an alert: what the list of alerts shows and what is announced.

use serde::{Deserialize, Serialize};

use super::notification::{Alert, AlertState};
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
}

impl AlertRecord {
    /// The alert as a notification shows it.
    pub fn alert(&self, now: AlertTime) -> Alert {
        Alert {
            id: self.id.clone(),
            kind: self.kind.clone(),
            site: self.site.clone(),
            name: self.name.clone(),
            state: if self.until.is_some() { AlertState::Resolved } else { AlertState::Firing },
            since: now.date(self.since),
            until: self.until.map(|until| now.date(until)),
            value: self.value,
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }
}
