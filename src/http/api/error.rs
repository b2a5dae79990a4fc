//! Errors of connections, plugins and routers as JSON.

use serde::Serialize;
use serde_json::json;

use super::view::View;
use crate::http::message::Response;
use crate::routeros::error::Error;
use crate::state::{ConnectionState, Reading, SiteState};

/// An error, when it began, and how to fix it.
#[derive(Debug, Serialize)]
pub(super) struct ErrorJson {
    cause: &'static str,
    message: String,
    hint: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl ErrorJson {
    pub(super) fn new(error: &Error, since: Option<String>) -> Self {
        Self { cause: error.cause.name(), message: error.message.clone(), hint: error.hint, since }
    }

    /// The error of the connection, if the site is offline.
    pub(super) fn of_connection(view: View, site: &SiteState) -> Option<Self> {
        match &site.connection {
            ConnectionState::Offline { error, since } => Some(Self::new(error, Some(view.date(*since)))),
            ConnectionState::Connecting | ConnectionState::Online { .. } => None,
        }
    }

    /// The error of a plugin.
    pub(super) fn of_reading(view: View, reading: &Reading) -> Option<Self> {
        let since = reading.failed_since.map(|since| view.date(since));
        reading.error_for(view.is_admin).map(|error| Self::new(&error, since))
    }
}

/// A problem (RFC 9457) with the cause and the hint of a router's error.
pub(in crate::http) fn problem_of(status: u16, title: &str, detail: &str, error: &Error) -> Response {
    let (cause, hint) = (error.cause.name(), error.hint);
    let body = json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "cause": cause, "hint": hint,
    });
    Response::new(status, "application/problem+json", body.to_string())
}
