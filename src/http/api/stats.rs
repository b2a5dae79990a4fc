//! `/api/hotspot/stats`: the object that PHSWEB's dashboard was written for.
//!
//! Its consumers know neither null nor absence: a router that can't be reached has
//! zeros there and the status `maintenance`. Beside that stands what is true.

use serde::Serialize;

use super::{ErrorJson, View, link_error, reading_error};
use crate::clock;
use crate::plugin::Hotspot;
use crate::routeros::value;
use crate::state::{ConnectionState, SiteState};

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
    upload_bytes: u64,
    download_bytes: u64,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
    /// Logins and logouts since the agent's first look.
    logins: u64,
    logouts: u64,
    error: Option<ErrorJson>,
    /// Why the figures are a part of the truth only.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_known: Option<LastKnown>,
    router_status: RouterStatus<'s>,
}

/// The last true figures, where those above are not.
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

/// One site's figures as they are now.
pub(in crate::http) fn stats<'s>(view: View, site: &'s SiteState) -> Stats<'s> {
    let reading = site.hotspot_reading();
    let hotspot = site.hotspot();
    let shown = site.hotspot_now();
    // A site that collects no hotspot is well without its figures.
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
        upload_bytes: upload,
        download_bytes: download,
        fetched_at: at.filter(|_| active).map(|at| view.date(at)),
        age_seconds: at.filter(|_| active).map(|at| view.age_s(at)),
        logins: counts.logins,
        logouts: counts.logouts,
        // The connection's, or else the hotspot's own.
        error: link_error(view, site).or_else(|| reading_error(view, reading?)),
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
