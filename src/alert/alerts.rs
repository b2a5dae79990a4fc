//! The alerts of the running agent, shared by the task that follows the store and by requests.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::{Event, EventListener};
use serde::{Deserialize, Serialize};

use super::announcer::Mute;
use super::evaluator::{EvaluationTime, Evaluator};
use super::incident_table::IncidentTable;
use super::notification::Notification;
use super::record::AlertRecord;
use super::rules::kinds;
use super::time::{AlertClock, AlertTime};
use crate::clock::{Clock, Moment};
use crate::config::{Config, DailyRange};
use crate::state::{Snapshot, StoreEvent};

/// Maximum size of the stored state, in bytes: a thousand incidents with their texts.
const MAX_STATE: usize = 4 * 1024 * 1024;

/// Longest mute: after a month it is probably forgotten.
pub const MAX_MUTE: Duration = Duration::from_secs(31 * 86_400);

/// The alerts of all sites and of the agent itself.
#[derive(Debug)]
pub struct Alerts {
    inner: Mutex<Inner>,
    /// Notified of each change that must be stored soon.
    changed: Event,
}

#[derive(Debug)]
struct Inner {
    evaluator: Evaluator,
    table: IncidentTable,
    timeline: AlertClock,
    /// `None` before the first configuration.
    quiet: Option<Vec<DailyRange>>,
    group: Duration,
    /// The number of events and configurations that were applied.
    applied: u64,
}

/// The state as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredAlerts<T> {
    /// When it was stored.
    now: AlertTime,
    /// See [`Evaluator::utc_offset`].
    #[serde(default)]
    utc_offset: i32,
    table: T,
}

/// The list of alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertList {
    /// When it was made.
    pub now: AlertTime,
    /// Firing alerts.
    pub firing: Vec<AlertRecord>,
    /// Alerts that have ended, the newest first.
    pub past: Vec<AlertRecord>,
    /// Mutes that have not ended.
    pub mutes: Vec<Mute>,
}

impl Alerts {
    /// No alerts. Those that begin within `group` are one message.
    pub fn new(group: Duration) -> Self {
        let inner = Mutex::new(Inner {
            evaluator: Evaluator::default(),
            table: IncidentTable::default(),
            timeline: AlertClock::new(Clock::system()),
            quiet: None,
            group,
            applied: 0,
        });
        Self { inner, changed: Event::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that increases when an alert is announced, resolved, acknowledged or muted, and when a notification is
    /// taken.
    pub fn revision(&self) -> u64 {
        self.lock().table.announcer.revision
    }

    /// Resolves when [`Alerts::revision`] has increased after this call.
    pub fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let before = inner.table.announcer.revision;
        let result = change(&mut inner);
        if inner.table.announcer.revision != before {
            self.changed.notify(usize::MAX);
        }
        result
    }

    /// Adopts the state that an earlier process stored. To be called before [`Alerts::configure`].
    ///
    /// # Errors
    ///
    /// If it is something else, which may come from a newer version.
    pub fn restore(&self, stored: &[u8]) -> Result<(), String> {
        if stored.len() > MAX_STATE {
            return Err(format!("is longer than {MAX_STATE} bytes"));
        }
        let stored: StoredAlerts<IncidentTable> =
            serde_json::from_slice(stored).map_err(|error| error.to_string())?;
        let mut inner = self.lock();
        inner.timeline = AlertClock::resume(stored.now, Clock::system());
        inner.evaluator.utc_offset = stored.utc_offset;
        inner.table = stored.table;
        inner.table.resume(stored.now.tick);
        Ok(())
    }

    /// The state for the next process; `None` if it is too long.
    pub fn stored(&self) -> Option<Vec<u8>> {
        let inner = self.lock();
        let utc_offset = inner.evaluator.utc_offset;
        let stored = StoredAlerts { now: inner.time().now, utc_offset, table: &inner.table };
        serde_json::to_vec(&stored).ok().filter(|bytes| bytes.len() <= MAX_STATE)
    }

    /// Adopts a configuration.
    pub fn configure(&self, config: &Config) {
        self.change(|inner| {
            let now = inner.time().now;
            let Inner { evaluator, table, .. } = inner;
            evaluator.configure(config, table, now);
            inner.table.announcer.group = inner.group;
            inner.table.announcer.remind = config.alerts.remind;
            inner.quiet = Some(config.alerts.quiet.clone());
            inner.applied += 1;
        });
    }

    /// Evaluates what an event of the store changed.
    pub fn apply(&self, event: &StoreEvent) {
        self.change(|inner| {
            let time = inner.time();
            let Inner { evaluator, table, .. } = inner;
            evaluator.apply(event, table, time);
            inner.applied += 1;
        });
    }

    /// Evaluates what depends on time, and returns the next notification. To be called about each second. Before the first
    /// configuration there is none: what was restored waits for its quiet hours and channels.
    pub fn advance(&self, snapshot: &Snapshot) -> Option<Notification> {
        self.change(|inner| {
            let now = inner.time().now;
            let Inner { evaluator, table, quiet, .. } = inner;
            let quiet = quiet.as_ref()?;
            evaluator.evaluate_agent(snapshot, table, now);
            let local = now.local(evaluator.utc_offset);
            let is_quiet = quiet.iter().any(|hours| local.is_some_and(|local| hours.contains(local)));
            let mut notification = table.advance(is_quiet, now)?;
            notification.alerts.iter_mut().for_each(|alert| alert.keep_dates(now));
            Some(notification)
        })
    }

    /// The current moment on the timeline of the alerts, which dates their ticks.
    pub fn now(&self) -> AlertTime {
        self.lock().time().now
    }

    /// Records that a login as admin was refused.
    pub fn record_refused_login(&self) {
        let mut inner = self.lock();
        let now = inner.time().now.tick;
        inner.evaluator.record_refused_login(now);
    }

    /// Records who acknowledged a firing alert. Returns whether there is one with this identifier.
    pub fn acknowledge(&self, id: &str, by: &str) -> bool {
        self.change(|inner| {
            let now = inner.time().now.tick;
            inner.table.acknowledge(id, by, now)
        })
    }

    /// Mutes a site for a time of at most [`MAX_MUTE`]; `None`: all alerts. No time ends a mute. Returns whether there was
    /// room for it among [`MAX_MUTES`](super::MAX_MUTES).
    pub fn mute(&self, site: Option<&str>, time: Duration, by: &str) -> bool {
        self.change(|inner| {
            let now = inner.time().now.tick;
            let mute =
                Mute { site: site.map(Into::into), until: now.after(time.min(MAX_MUTE)), by: by.into() };
            inner.table.announcer.mute(mute, now)
        })
    }

    /// A number that changes with each change of the list, apart from the passing of time.
    pub fn activity(&self) -> u64 {
        let inner = self.lock();
        inner.applied + inner.table.announcer.revision
    }

    /// The number of firing alerts of each kind.
    pub fn count_firing(&self) -> BTreeMap<&'static str, usize> {
        let inner = self.lock();
        let mut counts: BTreeMap<_, _> = kinds().map(|kind| (kind, 0)).collect();
        for kind in inner.table.firing_kinds() {
            if let Some(count) = counts.get_mut(kind) {
                *count += 1;
            }
        }
        counts
    }

    /// The identifiers of the alerts that fire, or whose last message is not sent yet.
    pub fn open_ids(&self) -> HashSet<String> {
        self.lock().table.open_ids().map(Into::into).collect()
    }

    /// The firing alerts, the past ones and the mutes.
    pub fn list(&self) -> AlertList {
        let inner = self.lock();
        let now = inner.time().now;
        AlertList {
            now,
            firing: inner.table.firing(now).collect(),
            past: inner.table.announcer.past.iter().rev().cloned().collect(),
            mutes: inner.table.announcer.mutes(now.tick).cloned().collect(),
        }
    }
}

impl Inner {
    fn time(&self) -> EvaluationTime {
        let clock = Clock::system();
        EvaluationTime { now: self.timeline.now(Moment::now(), clock), timeline: self.timeline, clock }
    }
}

#[cfg(test)]
mod tests;
