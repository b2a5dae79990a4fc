//! `/api/hotspot/{site}/active` and a plugin's rows.

use std::time::Duration;

use serde::Serialize;

use super::View;
use crate::plugin;
use crate::routeros::value;
use crate::state::{Reading, SiteState};

/// One session. The first nine are the dashboard's own and never null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct SessionJson<'s> {
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
    /// When the router said so, and how long ago that is.
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
}

/// A plugin's rows.
#[derive(Debug, Serialize)]
pub(in crate::http) struct TableJson {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    at: Option<String>,
    state: &'static str,
}

/// The sessions that were under way when the hotspot last answered, if it ever did.
pub(in crate::http) fn sessions<'s>(view: View, site: &'s SiteState) -> Option<Vec<SessionJson<'s>>> {
    let hotspot = site.hotspot()?;
    let at = site.reading("hotspot").and_then(|reading| reading.at);
    let human = |duration: Option<Duration>| duration.map(value::format_duration);
    let whole = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    let session = |session: &'s plugin::Session| SessionJson {
        id: &session.id,
        server: session.server.as_deref().unwrap_or_default(),
        user: &session.user,
        address: session.address.as_deref().unwrap_or_default(),
        mac: session.mac.as_deref().unwrap_or_default(),
        login_time: session.login.map(|login| view.date(login)).unwrap_or_default(),
        uptime: human(session.uptime).unwrap_or_default(),
        bytes_in: session.bytes_in,
        bytes_out: session.bytes_out,
        upload_bytes: session.bytes_in,
        download_bytes: session.bytes_out,
        login_by: session.login_by.as_deref(),
        uptime_seconds: whole(session.uptime),
        idle: human(session.idle),
        idle_seconds: whole(session.idle),
        time_left: human(session.time_left),
        time_left_seconds: whole(session.time_left),
        comment: session.comment.as_deref(),
        fetched_at: at.map(|at| view.date(at)),
        age_seconds: at.map(|at| view.age_s(at)),
    };
    Some(hotspot.sessions.iter().map(|of| session(of)).collect())
}

/// What a plugin last read, as rows.
pub(in crate::http) fn table(view: View, site: &SiteState, reading: &Reading) -> TableJson {
    // What is declared is known before there is an answer.
    let columns = || reading.plugin.declaration().map(|declaration| declaration.columns.clone());
    let unread = || plugin::Table { columns: columns().unwrap_or_default(), rows: Vec::new() };
    let table = reading.data.as_ref().map_or_else(unread, |data| data.table());
    TableJson {
        columns: table.columns,
        rows: table.rows,
        at: reading.at.map(|at| view.date(at)),
        state: reading.state(site.is_online()).name(),
    }
}
