//! Messages for tests.

use std::time::Duration;

use crate::alert::{AlertRecord, AlertTime, Notification, Tick};

/// 2026-05-31, 09:54:33 UTC.
pub(super) fn now() -> AlertTime {
    let unix = Duration::from_secs(1_780_221_273);
    AlertTime { tick: Tick::at(unix), unix }
}

/// The same moment by a clock that is not set.
pub(super) fn undated() -> AlertTime {
    AlertTime { unix: Duration::from_secs(100), ..now() }
}

pub(super) fn message(title: &str, text: &str, alerts: Vec<AlertRecord>) -> Notification {
    Notification { id: 0, title: title.into(), text: text.into(), alerts }
}

pub(super) fn firing(kind: &str, site: &str) -> AlertRecord {
    AlertRecord {
        id: format!("{kind}-{site}"),
        kind: kind.into(),
        site: Some(site.into()),
        name: Some("Awka".into()),
        since: now().tick,
        message: "Awka is down".into(),
        hint: Some("check its power".into()),
        ..AlertRecord::default()
    }
}

/// It ended at 10:00:00.
pub(super) fn resolved(kind: &str, site: &str) -> AlertRecord {
    AlertRecord { until: Some(now().tick.after(Duration::from_secs(327))), ..firing(kind, site) }
}
