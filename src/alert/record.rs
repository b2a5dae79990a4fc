//! A record of an alert: what the list of alerts shows and what is announced; and its form in JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{AlertTime, Tick};
use crate::clock::rfc3339;

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
    /// When it began and ended, in seconds since the Unix epoch, if the clock was set when it was announced. After a
    /// restart with a clock that is behind, the ticks have other dates.
    #[serde(default)]
    pub dated: Option<(u64, Option<u64>)>,
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

    /// Keeps its dates, if the clock is set.
    pub(super) fn keep_dates(&mut self, now: AlertTime) {
        let seconds = |tick| now.unix_of(tick).as_secs();
        self.dated = now.is_dated().then(|| (seconds(self.since), self.until.map(seconds)));
    }

    /// When it began and ended, since the Unix epoch.
    pub fn dates(&self, now: AlertTime) -> (Duration, Option<Duration>) {
        match self.dated {
            Some((since, until)) => (Duration::from_secs(since), until.map(Duration::from_secs)),
            None => (now.unix_of(self.since), self.until.map(|until| now.unix_of(until))),
        }
    }

    /// The alert with its dates.
    pub fn alert(&self, now: AlertTime) -> Alert {
        let (since, until) = self.dates(now);
        Alert {
            id: self.id.clone(),
            kind: self.kind.clone(),
            site: self.site.clone(),
            name: self.name.clone(),
            state: self.state(),
            since: rfc3339(since),
            until: until.map(rfc3339),
            value: self.value,
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }
}
