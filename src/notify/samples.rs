//! Messages for tests.

use crate::alert::{Alert, AlertState, Notification};

pub(super) fn message(title: &str, text: &str, alerts: Vec<Alert>) -> Notification {
    Notification { id: 0, title: title.into(), text: text.into(), alerts }
}

pub(super) fn firing(kind: &str, site: &str) -> Alert {
    Alert {
        id: format!("{kind}-{site}"),
        kind: kind.into(),
        site: Some(site.into()),
        name: Some("Awka".into()),
        state: AlertState::Firing,
        since: "2026-05-31T09:54:33Z".into(),
        until: None,
        value: None,
        message: "Awka is down".into(),
        hint: Some("check its power".into()),
    }
}

pub(super) fn resolved(kind: &str, site: &str) -> Alert {
    let until = Some("2026-05-31T10:00:00Z".into());
    Alert { state: AlertState::Resolved, until, ..firing(kind, site) }
}
