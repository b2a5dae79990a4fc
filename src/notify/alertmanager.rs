//! Alerts for Alertmanager, by `POST /api/v2/alerts`.
//!
//! Alertmanager resolves an alert at its `endsAt`. Like Prometheus, the agent sends an alert that fires again and again,
//! each time with an end that is later: so alerts of an agent that has gone resolve on their own.

use std::time::Duration;

use serde_json::{Value, json as object};

use super::payload::{Payload, json};
use crate::alert::{AlertRecord, AlertTime, Notification, SITE_DOWN, UPLINK_LOST};
use crate::clock::rfc3339;

/// Maximum number of alerts that are sent again: those of several hundred sites, in about 300 KB.
const MAX_FIRING: usize = 1000;

/// How often an alert may fail to be sent again before it resolves. It is the factor of Prometheus.
const MISSED_RESENDS: u32 = 4;

/// How long an alert fires that is brief. Alertmanager sends nothing about an alert that it only gets
/// as resolved, and looks at an alert that joins a group after up to `group_interval`, which is 5 minutes unless changed.
const PASSED_FIRES: Duration = Duration::from_secs(600);

/// The kinds that mean that users can't log in, or that nobody knows.
const CRITICAL: [&str; 2] = [SITE_DOWN, UPLINK_LOST];

/// The alerts that were announced and have not been resolved.
#[derive(Debug, Default)]
pub(super) struct FiringAlerts(Vec<AlertRecord>);

impl FiringAlerts {
    /// Records the alerts of a message that was delivered.
    pub(super) fn record(&mut self, message: &Notification) {
        for alert in &message.alerts {
            self.0.retain(|known| known.id != alert.id);
            if alert.until.is_some() || alert.is_brief {
                continue;
            }
            if self.0.len() < MAX_FIRING {
                self.0.push(alert.clone());
            } else {
                log::warn!(
                    "alert={:?} msg=\"more than {MAX_FIRING} alerts fire, so this one is sent once\"",
                    alert.id
                );
            }
        }
    }

    /// Forgets all but these. Returns whether it had others.
    pub(super) fn retain(&mut self, is_firing: impl Fn(&str) -> bool) -> bool {
        let count = self.0.len();
        self.0.retain(|alert| is_firing(&alert.id));
        self.0.len() < count
    }

    /// Alerts that were saved.
    pub(super) fn restored(mut alerts: Vec<AlertRecord>) -> Self {
        alerts.truncate(MAX_FIRING);
        Self(alerts)
    }

    pub(super) fn alerts(&self) -> &[AlertRecord] {
        &self.0
    }

    /// Whether the server has this alert as firing.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|alert| alert.id == id)
    }

    /// All of them as a message, unless there is none.
    pub(super) fn message(&self) -> Option<Notification> {
        let alerts = self.0.clone();
        let message = Notification { id: 0, title: String::new(), text: String::new(), alerts };
        Some(message).filter(|message| !message.alerts.is_empty())
    }
}

/// The alerts of a message. Those that fire end after four times the interval between resends.
pub(super) fn payload(message: &Notification, now: AlertTime, resend: Duration) -> Payload {
    json(&message.alerts.iter().map(|alert| posted(alert, now, resend)).collect::<Vec<_>>())
}

fn posted(alert: &AlertRecord, now: AlertTime, resend: Duration) -> Value {
    let severity = if CRITICAL.contains(&alert.kind.as_str()) { "critical" } else { "warning" };
    let mut posted = object!({
        "labels": {"alertname": alert.kind, "severity": severity, "id": alert.id},
        "annotations": {"summary": alert.message},
    });
    let (began, ended) = alert.dates(now);
    let ended = ended.filter(|_| !alert.is_brief);
    let fires = if alert.is_brief { PASSED_FIRES } else { resend * MISSED_RESENDS };
    // Without dates Alertmanager uses its own clock, and its `resolve_timeout`.
    if now.is_dated() || alert.dated.is_some() {
        posted["startsAt"] = rfc3339(began).into();
    }
    if now.is_dated() || ended.is_some() {
        posted["endsAt"] = rfc3339(ended.unwrap_or(now.unix + fires)).into();
    }
    for (group, name, value) in [
        ("labels", "site", alert.site.as_deref()),
        ("annotations", "name", alert.name.as_deref()),
        ("annotations", "description", alert.hint.as_deref()),
    ] {
        if let Some(value) = value {
            posted[group][name] = value.into();
        }
    }
    posted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::samples::{firing, message, now, resolved, undated};

    const MINUTE: Duration = Duration::from_secs(60);

    fn posts(message: &Notification, now: AlertTime) -> Value {
        serde_json::from_slice(&payload(message, now, MINUTE).body).unwrap()
    }

    #[test]
    fn alerts_have_labels_and_an_end() {
        let uplink = AlertRecord { site: None, name: None, hint: None, ..firing("UplinkLost", "") };
        let alerts = vec![firing("PluginFailing", "awka"), resolved("PluginFailing", "jos"), uplink];
        let expected = object!([
            {
                "labels": {
                    "alertname": "PluginFailing", "severity": "warning", "id": "PluginFailing-awka", "site": "awka",
                },
                "annotations": {"summary": "Awka is down", "name": "Awka", "description": "check its power"},
                "startsAt": "2026-05-31T09:54:33Z", "endsAt": "2026-05-31T09:58:33Z",
            },
            {
                "labels": {
                    "alertname": "PluginFailing", "severity": "warning", "id": "PluginFailing-jos", "site": "jos",
                },
                "annotations": {"summary": "Awka is down", "name": "Awka", "description": "check its power"},
                "startsAt": "2026-05-31T09:54:33Z", "endsAt": "2026-05-31T10:00:00Z",
            },
            {
                "labels": {"alertname": "UplinkLost", "severity": "critical", "id": "UplinkLost-"},
                "annotations": {"summary": "Awka is down"},
                "startsAt": "2026-05-31T09:54:33Z", "endsAt": "2026-05-31T09:58:33Z",
            },
        ]);
        assert_eq!(posts(&message("t", "x", alerts), now()), expected);
    }

    fn brief(alert: AlertRecord) -> AlertRecord {
        AlertRecord { is_brief: true, ..alert }
    }

    #[test]
    fn what_has_passed_fires_for_a_while_and_dates_follow_the_clock() {
        let (firing, resolved) = (firing("SiteDown", "awka"), resolved("SiteDown", "awka"));
        let began = Some("2026-05-31T09:54:33Z");
        let dated = AlertRecord { dated: Some((1_780_221_273, Some(1_780_221_600))), ..resolved.clone() };
        for (alert, now, expected) in [
            (firing.clone(), now(), (began, Some("2026-05-31T09:58:33Z"))),
            (resolved.clone(), now(), (began, Some("2026-05-31T10:00:00Z"))),
            (brief(firing.clone()), now(), (began, Some("2026-05-31T10:04:33Z"))),
            (brief(resolved.clone()), now(), (began, Some("2026-05-31T10:04:33Z"))),
            // Alertmanager would resolve what ended in 1970.
            (firing.clone(), undated(), (None, None)),
            (brief(resolved.clone()), undated(), (None, None)),
            (dated, undated(), (began, Some("2026-05-31T10:00:00Z"))),
            (resolved.clone(), undated(), (None, Some("1970-01-01T00:07:07Z"))),
        ] {
            let posted = &posts(&message("t", "x", vec![alert]), now)[0];
            assert_eq!((posted["startsAt"].as_str(), posted["endsAt"].as_str()), expected, "{posted}");
        }
    }

    #[test]
    fn only_alerts_that_fire_are_sent_again() {
        let mut alerts = FiringAlerts::default();
        assert_eq!(alerts.message(), None);
        alerts.record(&message("t", "x", vec![firing("SiteDown", "awka"), firing("SiteDown", "jos")]));
        alerts.record(&message("t", "x", vec![resolved("SiteDown", "awka"), resolved("SiteDown", "kano")]));
        let again = alerts.message().unwrap().alerts;
        assert_eq!(again, [firing("SiteDown", "jos")]);
    }

    #[test]
    fn the_number_of_alerts_is_bounded() {
        let mut alerts = FiringAlerts::default();
        for site in 0..=MAX_FIRING {
            alerts.record(&message("t", "x", vec![firing("SiteDown", &site.to_string())]));
        }
        assert_eq!(alerts.message().unwrap().alerts.len(), MAX_FIRING);
    }
}
