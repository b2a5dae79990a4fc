//! `/api/hotspot/stats` and `/api/hotspot/{site}`: the figures of each site, in the shape that PHSWEB's dashboard expects.
//!
//! Its consumers do not handle null or missing values: a router that can't be reached has zeros there and the status
//! `maintenance`. `error` and `lastKnown` next to them show the real state.

use serde::Serialize;

use super::by_site::by_site;
use super::error::{connection_error, reading_error};
use super::view::View;
use crate::action::ErrorJson;
use crate::clock;
use crate::http::context::Context;
use crate::http::message::{Response, json};
use crate::plugin::{Counts, Hotspot};
use crate::routeros::value;
use crate::state::{ConnectionState, DayTotals, SiteState};

/// One site's figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Stats<'s> {
    active_users: usize,
    total_users: u64,
    total_bytes_in: u64,
    total_bytes_out: u64,
    last_activity: String,
    last_activity_at: Option<String>,
    status: &'static str,
    name: &'s str,
    state: &'static str,
    upload_bytes: u64,
    download_bytes: u64,
    /// Bits per second.
    upload_rate: Option<u64>,
    download_rate: Option<u64>,
    today: Option<TodayJson>,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
    /// Logins and logouts since the agent first read the sessions.
    logins: u64,
    logouts: u64,
    error: Option<ErrorJson>,
    /// The reason why the figures are incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_known: Option<LastKnown>,
    router_status: RouterStatus<'s>,
}

/// The totals since midnight at the site.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TodayJson {
    upload_bytes: u64,
    download_bytes: u64,
    logins: u64,
    peak_users: u64,
    peak_at: String,
}

impl From<DayTotals> for TodayJson {
    fn from(DayTotals { counts, peak_users, peak_at, .. }: DayTotals) -> Self {
        let Counts { upload_bytes, download_bytes, logins, .. } = counts;
        Self { upload_bytes, download_bytes, logins, peak_users, peak_at: clock::rfc3339(peak_at) }
    }
}

/// The last real figures, while those above are zeros.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastKnown {
    active_users: usize,
    total_users: Option<u64>,
    total_bytes_in: u64,
    total_bytes_out: u64,
    last_activity_at: Option<String>,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RouterStatus<'s> {
    is_online: bool,
    uptime: String,
    uptime_seconds: u64,
    version: &'s str,
    cpu_load: u64,
    free_memory: u64,
    total_memory: u64,
}

/// All sites by key.
pub(in crate::http) fn all(context: &Context) -> Result<Response, Response> {
    by_site(context, stats)
}

/// One site.
pub(in crate::http) fn one(context: &Context) -> Result<Response, Response> {
    Ok(json(&stats(context.view(), context.site()?)))
}

/// The figures of a site, also the data of an event.
pub(in crate::http) fn stats<'s>(view: View, site: &'s SiteState) -> Stats<'s> {
    let reading = site.hotspot_reading();
    let hotspot = site.hotspot();
    let shown = site.hotspot_now();
    // Without the hotspot plugin, a site is active whenever its router is online.
    let active = shown.is_some() || (site.is_online() && reading.is_none());
    let (upload, download) = shown.map_or((0, 0), |hotspot| (hotspot.bytes_in(), hotspot.bytes_out()));
    let at = reading.and_then(|reading| reading.at);
    let last_login = hotspot.and_then(|hotspot| hotspot.last_login);
    let counts = hotspot.map(Hotspot::counts).unwrap_or_default();
    let last_activity = match (&site.connection, last_login) {
        (ConnectionState::Connecting, _) => "Connecting".into(),
        _ if !active => "Connection failed".into(),
        (_, Some(login)) => clock::ago(view.now.since(login)),
        _ => "No login seen yet".into(),
    };
    let rates = site.rates();
    let last_activity_at = last_login.map(|login| view.date(login));
    Stats {
        active_users: shown.map_or(0, |hotspot| hotspot.sessions.len()),
        total_users: shown.and_then(|hotspot| hotspot.configured_users).unwrap_or(0),
        total_bytes_in: upload,
        total_bytes_out: download,
        last_activity,
        last_activity_at: last_activity_at.clone().filter(|_| active),
        status: if active { "active" } else { "maintenance" },
        name: &site.name,
        state: site.connection.name(),
        upload_bytes: upload,
        download_bytes: download,
        upload_rate: rates.map(|rates| rates.upload),
        download_rate: rates.map(|rates| rates.download),
        today: view.today(site).map(TodayJson::from),
        fetched_at: at.filter(|_| active).map(|at| view.date(at)),
        age_seconds: at.filter(|_| active).map(|at| view.age_s(at)),
        logins: counts.logins,
        logouts: counts.logouts,
        error: connection_error(view, site).or_else(|| reading_error(view, reading?)),
        partial: reading.and_then(|reading| reading.partial_for(view.is_admin)).filter(|_| active),
        last_known: hotspot.filter(|_| !active).map(|hotspot| LastKnown {
            active_users: hotspot.sessions.len(),
            total_users: hotspot.configured_users,
            total_bytes_in: hotspot.bytes_in(),
            total_bytes_out: hotspot.bytes_out(),
            last_activity_at,
            fetched_at: at.map(|at| view.date(at)),
            age_seconds: at.map(|at| view.age_s(at)),
        }),
        router_status: router_status(site),
    }
}

fn router_status(site: &SiteState) -> RouterStatus<'_> {
    let Some(resource) = site.resource().filter(|_| site.is_online()) else {
        return RouterStatus { is_online: site.is_online(), ..RouterStatus::default() };
    };
    RouterStatus {
        is_online: true,
        uptime: resource.uptime.map(value::format_duration).unwrap_or_default(),
        uptime_seconds: resource.uptime.map_or(0, |uptime| uptime.as_secs()),
        version: resource.version.as_deref().unwrap_or_default(),
        cpu_load: resource.cpu_load_percent.unwrap_or(0),
        free_memory: resource.free_memory.unwrap_or(0),
        total_memory: resource.total_memory.unwrap_or(0),
    }
}
