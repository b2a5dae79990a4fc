//! Metrics of alerts and their channels.

use std::collections::BTreeMap;

use crate::notify::ChannelStatus;
use crate::plugin::Family;

/// The families of alerts, by the kind of their rules, and of channels.
pub(super) fn families(firing: &BTreeMap<&'static str, usize>, channels: &[ChannelStatus]) -> Vec<Family> {
    let mut kinds = Family::gauge("phsweb_agent_alerts_firing", "Firing alerts, by the kind of their rule.");
    for (kind, count) in firing {
        kinds.add([("kind", *kind)], *count as f64);
    }
    let mut attempts = Family::counter(
        "phsweb_agent_notifications_total",
        "Attempts to send a message to a channel since the agent's start, by their result.",
    );
    let mut dropped = Family::counter(
        "phsweb_agent_notifications_dropped_total",
        "Messages that a channel dropped: too many waited, or the server refuses them.",
    );
    let mut queued =
        Family::gauge("phsweb_agent_notifications_queued", "Messages that wait to be sent to a channel.");
    for channel in channels {
        let name = channel.name.as_str();
        let results = [("delivered", channel.attempts.delivered), ("failed", channel.attempts.failed)];
        for (result, count) in results {
            attempts.add([("channel", name), ("result", result)], count as f64);
        }
        dropped.add([("channel", name)], channel.dropped as f64);
        queued.add([("channel", name)], channel.queued as f64);
    }
    vec![kinds, attempts, dropped, queued]
}
