//! `/api/hotspot/{site}/active` and a plugin's rows.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::View;
use crate::clock::Moment;
use crate::plugin::{self, Hotspot};
use crate::routeros::value;
use crate::state::{Reading, SiteState};

/// One session. The first nine are the dashboard's own and never null.
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
    /// When the router said so, and how long ago that is.
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
}

/// All sessions of a site. Each is made as it is written: there may be thousands.
pub(in crate::http) struct Sessions<'s> {
    view: View<'s>,
    hotspot: &'s Hotspot,
    at: Option<Moment>,
}

impl Serialize for Sessions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.hotspot.sessions.iter().map(|of| session(self.view, of, self.at)))
    }
}

/// A plugin's rows.
#[derive(Serialize)]
pub(in crate::http) struct TableJson<'s> {
    columns: Vec<String>,
    rows: Rows<'s>,
    at: Option<String>,
    state: &'static str,
}

/// The rows of what a plugin has read, if it has read anything.
struct Rows<'s>(Option<&'s plugin::Data>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.into_iter().flat_map(plugin::Data::rows))
    }
}

/// The sessions that were under way when the hotspot last answered, if it ever did.
pub(in crate::http) fn sessions<'s>(view: View<'s>, site: &'s SiteState) -> Option<Sessions<'s>> {
    let at = site.hotspot_reading().and_then(|reading| reading.at);
    site.hotspot().map(|hotspot| Sessions { view, hotspot, at })
}

fn session<'s>(view: View, session: &'s plugin::Session, at: Option<Moment>) -> SessionJson<'s> {
    let human = |duration: Option<Duration>| duration.map(value::format_duration);
    let whole = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    SessionJson {
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
    }
}

/// What a plugin last read, as rows.
pub(in crate::http) fn table<'s>(view: View, site: &SiteState, reading: &'s Reading) -> TableJson<'s> {
    let data = reading.data.as_deref();
    // What is declared is known before there is an answer.
    let declared = || reading.plugin.declaration().map(|declaration| declaration.columns.clone());
    TableJson {
        columns: data.map_or_else(|| declared().unwrap_or_default(), plugin::Data::columns),
        rows: Rows(data),
        at: reading.at.map(|at| view.date(at)),
        state: reading.state(site.is_online()).name(),
    }
}
