//! The JSON: pure functions of a snapshot and the moment of asking.
//!
//! camelCase, times as RFC 3339 in UTC, sizes in bytes, durations in seconds beside
//! the human form. What is not known is null, and what is old carries its age; the one
//! exception is [`stats`], whose shape is older than this agent.

mod config;
mod sessions;
mod sites;
mod stats;
mod users;

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::embedded::{Embedded, embedded};
use super::message::Response;
use crate::clock::{Clock, Moment};
use crate::routeros::error::Error;
use crate::state::{ConnectionState, Reading, SiteState, Snapshot};

pub(super) use config::config;
pub(super) use sessions::{sessions, table};
pub(super) use sites::{router, site};
pub(super) use stats::{Stats, stats};
pub(super) use users::users;

/// What all of it looks like, for programs.
pub(super) const OPENAPI: Embedded = embedded!("openapi.json");

/// A snapshot, seen at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'s> {
    pub(super) snapshot: &'s Snapshot,
    /// Whether it is the admin who sees it.
    pub(super) is_admin: bool,
    pub(super) now: Moment,
}

impl View<'_> {
    fn clock(&self) -> Clock {
        self.snapshot.clock
    }

    fn date(&self, moment: Moment) -> String {
        self.clock().rfc3339(moment)
    }

    /// Whole seconds since `moment`.
    fn age_s(&self, moment: Moment) -> u64 {
        self.now.since(moment).as_secs()
    }
}

/// What is wrong, since when, and what to do.
#[derive(Debug, Serialize)]
pub(super) struct ErrorJson {
    cause: &'static str,
    message: String,
    hint: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl ErrorJson {
    fn new(error: &Error, since: Option<String>) -> Self {
        Self { cause: error.cause.name(), message: error.message.clone(), hint: error.hint, since }
    }
}

/// A problem (RFC 9457) that has the router's error beside what every problem has.
pub(super) fn problem_of(status: u16, title: &str, detail: &str, error: &Error) -> Response {
    let (cause, hint) = (error.cause.name(), error.hint);
    let body = json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "cause": cause, "hint": hint,
    });
    Response::new(status, "application/problem+json", body.to_string())
}

/// What is wrong with the connection.
fn link_error(view: View, site: &SiteState) -> Option<ErrorJson> {
    match &site.link {
        ConnectionState::Offline { error, since } => Some(ErrorJson::new(error, Some(view.date(*since)))),
        ConnectionState::Connecting | ConnectionState::Online { .. } => None,
    }
}

/// What is wrong with a plugin.
fn reading_error(view: View, reading: &Reading) -> Option<ErrorJson> {
    let since = reading.failed_since.map(|since| view.date(since));
    reading.error_for(view.is_admin).map(|error| ErrorJson::new(&error, since))
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
