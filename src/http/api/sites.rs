//! `/api/sites` and `/api/sites/{site}`: connections and plugins.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::by_site::by_site;
use super::capacity::{self, CapacityJson, ClockJson};
use super::error::{connection_error, reading_error};
use super::view::View;
use crate::action::ErrorJson;
use crate::http::context::Context;
use crate::http::message::{Response, json};
use crate::state::{ConnectionEvent, ConnectionState, HostState, Reading, SiteState, Usage};

/// One site: its connection, its plugins, and the agent's overhead on its router.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SiteJson<'s> {
    name: &'s str,
    group: Option<&'s str>,
    state: &'static str,
    /// The address in use.
    address: Option<&'s str>,
    /// The router's addresses, in the order in which they are tried.
    hosts: Vec<HostJson<'s>>,
    /// When this state began.
    since: Option<String>,
    error: Option<ErrorJson>,
    refresh_seconds: f64,
    #[serde(serialize_with = "in_order")]
    plugins: Vec<(&'s str, PluginJson<'s>)>,
    /// The latest connects and losses.
    connections: Vec<EventJson<'s>>,
    usage: UsageJson,
    clock: ClockJson,
    capacity: CapacityJson<'s>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HostJson<'s> {
    address: &'s str,
    in_use: bool,
    /// The error of the last attempt, if it failed.
    error: Option<ErrorJson>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginJson<'s> {
    title: &'s str,
    state: &'static str,
    private: bool,
    /// Whether the router pushes changes.
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

/// The agent's overhead on the router since the agent's start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageJson {
    sent_bytes: u64,
    received_bytes: u64,
    commands: u64,
    logins: u64,
    #[serde(rename = "strayReplies")]
    unsolicited_replies: u64,
    reply_seconds: Option<f64>,
}

/// All sites by key.
pub(in crate::http) fn all(context: &Context) -> Result<Response, Response> {
    by_site(context, site_json)
}

/// One site.
pub(in crate::http) fn one(context: &Context) -> Result<Response, Response> {
    Ok(json(&site_json(context.view(), context.site()?)))
}

fn site_json<'s>(view: View, site: &'s SiteState) -> SiteJson<'s> {
    let (in_use, since) = match site.connection {
        ConnectionState::Connecting => (None, None),
        ConnectionState::Online { host, since } => (Some(host), Some(since)),
        ConnectionState::Offline { since, .. } => (None, Some(since)),
    };
    let readings = site.readings.iter();
    SiteJson {
        name: &site.name,
        group: site.group.as_deref(),
        state: site.connection.name(),
        address: site.address(),
        hosts: site.hosts.iter().enumerate().map(|(at, host)| host_json(host, in_use == Some(at))).collect(),
        since: since.map(|since| view.date(since)),
        error: connection_error(view, site),
        refresh_seconds: seconds(site.refresh),
        plugins: readings.map(|reading| (reading.plugin.name(), plugin(view, site, reading))).collect(),
        connections: site.connection_events.iter().map(|event| connection(view, event)).collect(),
        usage: usage(&site.usage),
        clock: capacity::clock(view, site),
        capacity: capacity::capacity(view, site),
    }
}

/// An object with these fields, in the order of `collect`.
fn in_order<S: Serializer>(fields: &[(&str, PluginJson)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, plugin)| (name, plugin)))
}

fn host_json(host: &HostState, in_use: bool) -> HostJson<'_> {
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
        unsolicited_replies: usage.unsolicited_replies,
        reply_seconds: usage.reply_time.map(seconds),
    }
}

/// Seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
