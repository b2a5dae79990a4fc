//! Errors of connections, plugins and routers as JSON.

use serde_json::json;

use super::view::View;
use crate::action::ErrorJson;
use crate::http::message::{Response, problem_with};
use crate::routeros::error::Error;
use crate::state::{ConnectionState, Reading, SiteState};

/// The error of the connection, if the site is offline.
pub(super) fn connection_error(view: View, site: &SiteState) -> Option<ErrorJson> {
    match &site.connection {
        ConnectionState::Offline { error, since } => Some(ErrorJson::new(error, Some(view.date(*since)))),
        ConnectionState::Connecting | ConnectionState::Online { .. } => None,
    }
}

/// The error of a plugin.
pub(super) fn reading_error(view: View, reading: &Reading) -> Option<ErrorJson> {
    let since = reading.failed_since.map(|since| view.date(since));
    reading.error_for(view.is_admin).map(|error| ErrorJson::new(&error, since))
}

/// A problem (RFC 9457) with the cause and the hint of a router's error.
pub(in crate::http) fn problem_of(status: u16, detail: &str, error: &Error) -> Response {
    problem_with(status, detail, json!({ "cause": error.cause.name(), "hint": error.hint }))
}
