//! Announces that alerts fire and resolve, unless their site is muted, and keeps the list of past alerts.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::incident::{Firing, Incident, MAX_CHANGES};
use super::outbox::{Announcement, Occasion, Outbox};
use super::record::AlertRecord;
use super::time::{AlertTime, Tick};
use crate::routeros::value::format_duration;

/// Number of past alerts that are kept.
const MAX_PAST: usize = 200;

/// Maximum number of mutes at once: one for each site of a large fleet.
pub const MAX_MUTES: usize = 1000;

/// Announcements, mutes and past alerts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Announcer {
    /// What waits to be sent.
    pub outbox: Outbox,
    /// Alerts that have ended, the newest last.
    pub past: VecDeque<AlertRecord>,
    mutes: Vec<Mute>,
    /// The time in which alerts are grouped.
    #[serde(skip)]
    pub group: Duration,
    /// The time between reminders.
    #[serde(skip)]
    pub remind: Option<Duration>,
    /// See [`Alerts::revision`](super::Alerts::revision).
    #[serde(skip)]
    pub revision: u64,
}

/// A site whose alerts are not announced for a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mute {
    /// The site's key; `None`: all sites, and the agent itself.
    pub site: Option<String>,
    /// The end.
    pub until: Tick,
    /// Who muted it.
    pub by: String,
}

impl Announcer {
    /// Mutes a site until a tick, or unmutes it if that has passed. Returns whether there was room.
    pub(super) fn mute(&mut self, mute: Mute, now: Tick) -> bool {
        self.revision += 1;
        self.mutes.retain(|known| known.site != mute.site && known.until > now);
        let (is_over, has_room) = (mute.until <= now, self.mutes.len() < MAX_MUTES);
        if !is_over && has_room {
            self.mutes.push(mute);
        }
        is_over || has_room
    }

    /// The mutes that have not ended.
    pub(super) fn mutes(&self, now: Tick) -> impl Iterator<Item = &Mute> {
        self.mutes.iter().filter(move |mute| mute.until > now)
    }

    fn is_muted(&self, site: &str, now: Tick) -> bool {
        self.mutes(now).any(|mute| mute.site.as_deref().is_none_or(|muted| muted == site))
    }

    /// The condition has lasted long enough: an alert fires, or the condition proves to be unstable.
    pub(super) fn fire(&mut self, site: &str, incident: &mut Incident, now: AlertTime) {
        let since = incident.present.unwrap_or(now.tick);
        if incident.record_change(now.tick) {
            self.become_unstable(site, incident, now);
        } else {
            incident.firing = Some(firing(new_id(site, incident, now.tick), since, now.tick));
            self.announce(site, incident, now);
        }
    }

    /// Something happened that has no end.
    pub(super) fn report(&mut self, site: &str, incident: &mut Incident, since: Tick, now: AlertTime) {
        let is_unstable = incident.record_change(now.tick);
        if incident.firing.is_some() {
            return;
        }
        if is_unstable {
            self.become_unstable(site, incident, now);
            return;
        }
        let id = new_id(site, incident, now.tick);
        let record = AlertRecord {
            id,
            since,
            message: incident.description.problem.clone(),
            is_brief: true,
            ..record(site, incident)
        };
        self.keep(AlertRecord { until: Some(since), ..record.clone() });
        if !self.is_muted(site, now.tick) {
            self.push(site, incident, record, Occasion::First, now);
        }
    }

    /// The condition is absent: its alert resolves, unless the condition is or proves to be unstable.
    pub(super) fn resolve(
        &mut self,
        site: &str,
        incident: &mut Incident,
        value: Option<f64>,
        now: AlertTime,
    ) {
        let Some(firing) = incident.firing.as_ref().filter(|firing| !firing.is_unstable) else { return };
        let message = format!("{} after {}", incident.description.recovery, duration_of(firing.since, now));
        if incident.record_change(now.tick) {
            self.become_unstable(site, incident, now);
        } else {
            self.end(site, incident, message, value, now);
        }
    }

    /// What is due as time passes: the end of a mute or of an unstable phase, or a reminder.
    pub(super) fn advance(&mut self, site: &str, incident: &mut Incident, is_quiet: bool, now: AlertTime) {
        let is_muted = self.is_muted(site, now.tick);
        let is_calm = incident.calms_down(now.tick);
        let Some(firing) = &mut incident.firing else { return };
        if is_calm {
            if let Some(since) = incident.present {
                (firing.is_unstable, firing.since) = (false, since);
                self.announce(site, incident, now);
            } else {
                let message = format!("{}, and stable for 30m", incident.description.recovery);
                self.end(site, incident, message, None, now);
            }
        } else if !firing.is_announced && !is_muted {
            self.announce(site, incident, now);
        } else if let Some(remind) = self.remind
            && !is_quiet
            && !is_muted
            && !firing.is_unstable
            && firing.acknowledged.is_none()
            && now.tick.since(firing.announced) >= remind
        {
            firing.announced = now.tick;
            let record = current(site, incident, now);
            self.push(site, incident, record, Occasion::Reminder, now);
        }
    }

    /// The rule or the site was removed from the file: the alert ends, and nothing is announced.
    pub(super) fn drop_incident(&mut self, site: &str, incident: &Incident, now: AlertTime) {
        if let Some(firing) = &incident.firing {
            self.outbox.withdraw(|waiting| waiting.alert.id == firing.id);
            self.keep(AlertRecord { until: Some(now.tick), ..current(site, incident, now) });
        }
    }

    fn become_unstable(&mut self, site: &str, incident: &mut Incident, now: AlertTime) {
        let place = place(site, incident);
        let withdrawn = self.outbox.withdraw(|waiting| waiting.place == place);
        let sent = withdrawn.iter().rfind(|waiting| !waiting.is_new() && !waiting.is_firing());
        let firing = match (sent.map(|waiting| &waiting.alert), incident.firing.take()) {
            // The alert whose resolution was taken back continues. A later one was not sent yet.
            (Some(sent), _) => {
                self.past.retain(|past| past.id != sent.id);
                let acknowledged = sent.acknowledged.clone();
                let continued = firing(sent.id.clone(), sent.since, now.tick);
                Firing { is_announced: true, acknowledged, ..continued }
            }
            (None, Some(firing)) => {
                let is_taken_back =
                    withdrawn.iter().any(|waiting| waiting.is_new() && waiting.alert.id == firing.id);
                Firing { is_announced: firing.is_announced && !is_taken_back, ..firing }
            }
            (None, None) => firing(new_id(site, incident, now.tick), now.tick, now.tick),
        };
        incident.firing = Some(Firing { is_unstable: true, ..firing });
        self.announce(site, incident, now);
    }

    fn announce(&mut self, site: &str, incident: &mut Incident, now: AlertTime) {
        self.revision += 1;
        let is_muted = self.is_muted(site, now.tick);
        let Some(firing) = &mut incident.firing else { return };
        firing.announced = now.tick;
        if !is_muted {
            let was_announced = std::mem::replace(&mut firing.is_announced, true);
            let occasion = if was_announced { Occasion::Change } else { Occasion::First };
            let record = current(site, incident, now);
            self.push(site, incident, record, occasion, now);
        }
    }

    /// Ends a firing alert.
    fn end(
        &mut self,
        site: &str,
        incident: &mut Incident,
        message: String,
        value: Option<f64>,
        now: AlertTime,
    ) {
        let ended = current(site, incident, now);
        let Some(firing) = incident.firing.take() else { return };
        let ended = AlertRecord { until: Some(now.tick), value, message, ..ended };
        self.keep(ended.clone());
        if firing.is_announced {
            self.push(site, incident, ended, Occasion::Change, now);
        }
    }

    fn keep(&mut self, record: AlertRecord) {
        self.revision += 1;
        if self.past.len() >= MAX_PAST {
            self.past.pop_front();
        }
        self.past.push_back(record);
    }

    fn push(
        &mut self,
        site: &str,
        incident: &Incident,
        alert: AlertRecord,
        occasion: Occasion,
        now: AlertTime,
    ) {
        self.revision += 1;
        let due = now.tick.after(self.group);
        let place = place(site, incident);
        self.outbox.push(Announcement { place, alert, occasion, due }, now.tick);
    }
}

/// A firing alert as it is now.
pub(super) fn current(site: &str, incident: &Incident, now: AlertTime) -> AlertRecord {
    let Some(firing) = &incident.firing else { return record(site, incident) };
    let problem = &incident.description.problem;
    let message = if firing.is_unstable {
        format!(
            "Unstable: \"{problem}\" changed more than {MAX_CHANGES} times within an hour. The next message follows after 30 minutes without a change"
        )
    } else {
        let cause = incident.description.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        // What has just begun has no duration yet, and what has no `after` often never needs one.
        let lasted = now.tick.since(firing.since) >= Duration::from_secs(1);
        let duration =
            if lasted { format!(" for {}", duration_of(firing.since, now)) } else { String::new() };
        format!("{problem}{duration}{cause}")
    };
    AlertRecord {
        id: firing.id.clone(),
        since: firing.since,
        message,
        acknowledged: firing.acknowledged.clone(),
        ..record(site, incident)
    }
}

fn record(site: &str, incident: &Incident) -> AlertRecord {
    AlertRecord {
        kind: incident.kind.clone(),
        site: (!site.is_empty()).then(|| site.into()),
        name: incident.name.clone(),
        value: incident.description.value,
        hint: incident.description.hint.clone(),
        ..AlertRecord::default()
    }
}

fn firing(id: String, since: Tick, now: Tick) -> Firing {
    Firing { id, since, is_announced: false, is_unstable: false, announced: now, acknowledged: None }
}

/// The site, the rule, the part and the tick: no two alerts at a place begin in the same second. A date could repeat, on a
/// board that starts in 1970 each time, or if a clock is set back.
fn new_id(site: &str, incident: &Incident, now: Tick) -> String {
    let second = now.since(Tick::default()).as_secs().to_string();
    let parts = [site, &incident.rule, &incident.part, &second].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

fn place(site: &str, incident: &Incident) -> String {
    [site, &incident.rule, &incident.part].join("/")
}

fn duration_of(since: Tick, now: AlertTime) -> String {
    format_duration(now.tick.since(since))
}
