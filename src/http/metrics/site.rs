//! Metrics of a site: its connection, its plugins, and the agent's overhead on its router.

use crate::clock::Clock;
use crate::plugin::{Family, MetricKind};
use crate::state::{Reading, ReadingState, SiteState};

/// The families that the agent measures at a site. `has_room`: those of declared plugins are included.
pub(super) fn families(site: &SiteState, clock: Clock, has_room: bool) -> Vec<Family> {
    let gauge = |name: &'static str, help: &'static str, value| Family::gauge(name, help).with_value(value);
    let counter = |name: &'static str, help: &'static str, count: u64| {
        Family::counter(name, help).with_value(Some(count as f64))
    };
    let last_success = site.readings.iter().filter_map(|reading| reading.at).max();
    let usage = &site.usage;
    let up = "1 if the router responds; 0 if it does not, or was not tried yet.";
    let timestamp = "When the router last responded, in seconds since 1970. Absent before that.";
    let kicks = "Sessions that the admin ended through the agent since its start.";
    let sent = "Bytes that the agent sent to the router since the agent's start.";
    let received = "Bytes that the agent received from the router since the agent's start.";
    let logins = "Accepted logins of the agent since its start; the router logs each.";
    let commands = "Commands that the agent sent to the router since the agent's start.";
    let mut families = vec![
        gauge("mikrotik_up", up, Some(f64::from(site.is_online()))),
        gauge(
            "mikrotik_last_success_timestamp_seconds",
            timestamp,
            last_success.map(|at| clock.unix(at).as_secs_f64()),
        ),
        counter("mikrotik_hotspot_kicks_total", kicks, site.kicks),
        counter("mikrotik_api_sent_bytes_total", sent, usage.sent_bytes),
        counter("mikrotik_api_received_bytes_total", received, usage.received_bytes),
        counter("mikrotik_api_logins_total", logins, usage.logins),
        counter("mikrotik_api_commands_total", commands, usage.commands),
    ];
    families.extend(readings(site, has_room));
    families.extend(capacity(site, clock));
    families
}

/// The utilisation of the address pools and the license, and the error of the router's clock.
fn capacity(site: &SiteState, clock: Clock) -> [Family; 3] {
    let mut pools = Family::gauge(
        "mikrotik_hotspot_pool_used_ratio",
        "Used share of the addresses of a hotspot's pool, from 0 to 1. Absent while it is unknown.",
    );
    for pool in site.pools().unwrap_or_default() {
        if let Some(ratio) = pool.ratio() {
            pools.set_once([("pool", &pool.pool)], ratio);
        }
    }
    let license = Family::gauge(
        "mikrotik_license_users_used_ratio",
        "Active hotspot users as a share of the limit of the router's license. Absent while it is unknown, and \
         if there is no limit.",
    );
    let clock_error = Family::gauge(
        "mikrotik_system_clock_error_seconds",
        "Seconds that the router's clock is ahead of the agent's, at the last read. Absent while it is unknown.",
    );
    let seconds = site.clock_error(clock).map(|seconds| seconds as f64);
    [pools, license.with_value(site.license_used()), clock_error.with_value(seconds)]
}

/// The state of each plugin's last read.
fn readings(site: &SiteState, has_room: bool) -> [Family; 3] {
    let mut success = Family::gauge(
        "mikrotik_plugin_success",
        "1 if a plugin's last read succeeded and its router responds, else 0. Absent before the first read.",
    );
    let mut duration = Family::gauge(
        "mikrotik_plugin_duration_seconds",
        "Duration of a plugin's last read, in seconds. Absent before the first.",
    );
    let mut partial = Family::gauge(
        "mikrotik_plugin_partial",
        "1 if a plugin's last answer is incomplete or has too many series, so that metrics are omitted, \
         else 0. Absent before the first answer and while the router does not respond.",
    );
    for reading in &site.readings {
        let plugin = || [("plugin", reading.plugin.name())];
        if site.is_online() && reading.at.is_some() {
            let is_omitted = !has_room && !is_built_in(reading);
            partial.add(plugin(), f64::from(reading.partial.is_some() || is_omitted));
        }
        if let Some(took) = reading.took {
            success.add(plugin(), f64::from(reading.state(site.is_online()) == ReadingState::Ok));
            duration.add(plugin(), took.as_secs_f64());
        }
    }
    [success, partial, duration]
}

/// The families that a site's plugins measure. `has_room`: those of declared plugins are included.
pub(super) fn plugin_families(site: &SiteState, has_room: bool) -> impl Iterator<Item = Family> {
    site.readings.iter().filter(move |reading| has_room || is_built_in(reading)).flat_map(|reading| {
        let is_current = reading.state(site.is_online()) == ReadingState::Ok;
        let families = reading.data.as_ref().map(|data| data.families()).unwrap_or_default();
        families.into_iter().filter(move |family| {
            !family.is_incomplete() && (is_current || family.kind == MetricKind::Counter)
        })
    })
}

/// Upper bound of the text of a site's declared plugins, in bytes.
pub(super) fn declared_length(site: &SiteState) -> usize {
    site.readings.iter().filter_map(|reading| reading.data.as_ref()).map(|data| data.series_length()).sum()
}

fn is_built_in(reading: &Reading) -> bool {
    reading.plugin.declaration().is_none()
}
