//! `/api/hotspot/{site}/active`: active sessions.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::error::problem_of;
use super::plugin::no_plugin;
use super::view::View;
use crate::clock::Moment;
use crate::http::context::Context;
use crate::http::message::{Response, problem};
use crate::plugin::{Hotspot, Session};
use crate::routeros::value;
use crate::state::{ConnectionState, SiteState};

/// The sessions of a site when its hotspot plugin last succeeded.
pub(in crate::http) fn all(context: &Context) -> Result<Response, Response> {
    let site = context.site()?;
    let at = site.hotspot_reading().and_then(|reading| reading.at);
    let hotspot = site.hotspot().ok_or_else(|| unknown_sessions(site))?;
    Ok(context.large_json(&Sessions { view: context.view(), hotspot, at }))
}

/// The error while no sessions are known. An empty list would mean that nobody is online.
fn unknown_sessions(site: &SiteState) -> Response {
    let Some(reading) = site.hotspot_reading() else { return no_plugin(site) };
    let detail = |reason: &str| format!("The sessions are not known. {reason}");
    match (&site.connection, &reading.error) {
        (ConnectionState::Offline { error, .. }, _) | (_, Some(error)) => {
            let detail = detail(&format!("{}. {}", error.message, error.hint));
            problem_of(503, &detail, error)
        }
        _ => problem(503, &detail("The router has not been queried yet.")),
    }
}

/// One session. The first nine fields are those of PHSWEB's dashboard and never null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionJson<'s> {
    id: &'s str,
    server: &'s str,
    user: &'s str,
    address: &'s str,
    mac: &'s str,
    login_time: String,
    uptime: String,
    bytes_in: u64,
    bytes_out: u64,
    upload_bytes: u64,
    download_bytes: u64,
    login_by: Option<&'s str>,
    uptime_seconds: Option<u64>,
    idle: Option<String>,
    idle_seconds: Option<u64>,
    time_left: Option<String>,
    time_left_seconds: Option<u64>,
    comment: Option<&'s str>,
    /// When the router was queried, and how long ago that is.
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
}

/// All sessions of a site. Each is converted when it is serialized, because there may be thousands.
struct Sessions<'s> {
    view: View<'s>,
    hotspot: &'s Hotspot,
    at: Option<Moment>,
}

impl Serialize for Sessions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.hotspot.sessions.iter().map(|of| session(self, of)))
    }
}

fn session<'s>(all: &Sessions, session: &'s Session) -> SessionJson<'s> {
    let Sessions { view, at, .. } = *all;
    let human = |duration: Option<Duration>| duration.map(value::format_duration);
    let whole = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    SessionJson {
        id: session.id(),
        server: session.server().unwrap_or_default(),
        user: session.user(),
        address: session.address().unwrap_or_default(),
        mac: session.mac().unwrap_or_default(),
        login_time: session.login.map(|login| view.date(login)).unwrap_or_default(),
        uptime: human(session.uptime()).unwrap_or_default(),
        bytes_in: session.bytes_in(),
        bytes_out: session.bytes_out(),
        upload_bytes: session.bytes_in(),
        download_bytes: session.bytes_out(),
        login_by: session.login_by(),
        uptime_seconds: whole(session.uptime()),
        idle: human(session.idle()),
        idle_seconds: whole(session.idle()),
        time_left: human(session.time_left()),
        time_left_seconds: whole(session.time_left()),
        comment: session.comment(),
        fetched_at: at.map(|at| view.date(at)),
        age_seconds: at.map(|at| view.age_s(at)),
    }
}
