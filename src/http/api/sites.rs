//! `/api/sites` and `/api/routers`: how the connections and the routers are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ErrorJson, View, link_error, reading_error, seconds};
use crate::routeros::value;
use crate::state::{ConnectionEvent, ConnectionState, Host, Reading, SiteState, Usage};

/// One site: its connection, its plugins, and what the agent costs its router.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct SiteJson<'s> {
    name: &'s str,
    state: &'static str,
    /// The address in use.
    address: Option<&'s str>,
    /// Where the router is, in the order to try.
    hosts: Vec<HostJson<'s>>,
    /// When this state began.
    since: Option<String>,
    error: Option<ErrorJson>,
    refresh_seconds: f64,
    plugins: BTreeMap<&'s str, PluginJson<'s>>,
    connections: Vec<EventJson<'s>>,
    usage: UsageJson,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HostJson<'s> {
    address: &'s str,
    in_use: bool,
    /// Why the last try failed, if it did.
    error: Option<ErrorJson>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginJson<'s> {
    title: &'s str,
    state: &'static str,
    private: bool,
    /// Whether changes are told as they happen.
    live: bool,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
    took_seconds: Option<f64>,
    error: Option<ErrorJson>,
    partial: Option<&'s str>,
}

#[derive(Debug, Serialize)]
struct EventJson<'s> {
    at: String,
    event: &'static str,
    address: Option<&'s str>,
    error: Option<ErrorJson>,
}

/// What the agent has cost the router since the agent's start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageJson {
    sent_bytes: u64,
    received_bytes: u64,
    commands: u64,
    logins: u64,
    stray_replies: u64,
    reply_seconds: Option<f64>,
}

/// One router. What is not known is null; what is old has its age.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct RouterJson<'s> {
    name: &'s str,
    is_online: bool,
    uptime: Option<String>,
    uptime_seconds: Option<u64>,
    version: Option<&'s str>,
    cpu_load: Option<u64>,
    cpu_count: Option<u64>,
    free_memory: Option<u64>,
    total_memory: Option<u64>,
    free_storage: Option<u64>,
    total_storage: Option<u64>,
    board_name: Option<&'s str>,
    architecture: Option<&'s str>,
    fetched_at: Option<String>,
    age_seconds: Option<u64>,
    error: Option<ErrorJson>,
}

/// One site as it is now.
pub(in crate::http) fn site<'s>(view: View, site: &'s SiteState) -> SiteJson<'s> {
    let (state, since) = match &site.connection {
        ConnectionState::Connecting => ("connecting", None),
        ConnectionState::Online { since, .. } => ("online", Some(*since)),
        ConnectionState::Offline { since, .. } => ("offline", Some(*since)),
    };
    let in_use = match site.connection {
        ConnectionState::Online { host, .. } => Some(host),
        ConnectionState::Connecting | ConnectionState::Offline { .. } => None,
    };
    let readings = site.readings.iter();
    SiteJson {
        name: &site.name,
        state,
        address: site.address(),
        hosts: site.hosts.iter().enumerate().map(|(at, host)| host_json(host, in_use == Some(at))).collect(),
        since: since.map(|since| view.date(since)),
        error: link_error(view, site),
        refresh_seconds: seconds(site.refresh),
        plugins: readings.map(|reading| (reading.plugin.name(), plugin(view, site, reading))).collect(),
        connections: site.connection_events.iter().map(|event| connection(view, event)).collect(),
        usage: usage(&site.usage),
    }
}

/// One router as it is now.
pub(in crate::http) fn router<'s>(view: View, site: &'s SiteState) -> RouterJson<'s> {
    let resource = site.resource();
    let at = site.resource_reading().and_then(|reading| reading.at);
    let uptime = resource.and_then(|resource| resource.uptime);
    RouterJson {
        name: &site.name,
        is_online: site.is_online(),
        uptime: uptime.map(value::format_duration),
        uptime_seconds: uptime.map(|uptime| uptime.as_secs()),
        version: resource.and_then(|resource| resource.version.as_deref()),
        cpu_load: resource.and_then(|resource| resource.cpu_load_percent),
        cpu_count: resource.and_then(|resource| resource.cpu_count),
        free_memory: resource.and_then(|resource| resource.free_memory),
        total_memory: resource.and_then(|resource| resource.total_memory),
        free_storage: resource.and_then(|resource| resource.free_storage),
        total_storage: resource.and_then(|resource| resource.total_storage),
        board_name: resource.and_then(|resource| resource.board.as_deref()),
        architecture: resource.and_then(|resource| resource.architecture.as_deref()),
        fetched_at: at.map(|at| view.date(at)),
        age_seconds: at.map(|at| view.age_s(at)),
        error: link_error(view, site),
    }
}

fn host_json(host: &Host, in_use: bool) -> HostJson<'_> {
    HostJson {
        address: &host.address,
        in_use,
        error: host.error.as_ref().map(|error| ErrorJson::new(error, None)),
    }
}

fn plugin<'s>(view: View, site: &SiteState, reading: &'s Reading) -> PluginJson<'s> {
    PluginJson {
        title: reading.plugin.title(),
        state: reading.state(site.is_online()).name(),
        private: reading.plugin.private(),
        live: reading.is_live && site.is_online(),
        fetched_at: reading.at.map(|at| view.date(at)),
        age_seconds: reading.at.map(|at| view.age_s(at)),
        took_seconds: reading.took.map(seconds),
        error: reading_error(view, reading),
        partial: reading.partial_for(view.is_admin),
    }
}

fn connection<'s>(view: View, event: &'s ConnectionEvent) -> EventJson<'s> {
    EventJson {
        at: view.date(event.at),
        event: if event.outcome.is_ok() { "connected" } else { "lost" },
        address: event.outcome.as_deref().ok(),
        error: event.outcome.as_ref().err().map(|error| ErrorJson::new(error, None)),
    }
}

fn usage(usage: &Usage) -> UsageJson {
    UsageJson {
        sent_bytes: usage.sent_bytes,
        received_bytes: usage.received_bytes,
        commands: usage.commands,
        logins: usage.logins,
        stray_replies: usage.unsolicited_replies,
        reply_seconds: usage.reply_time.map(seconds),
    }
}
