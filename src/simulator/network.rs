//! The network around a hotspot: addresses, pools, queues and neighbours.

use std::time::Duration;

use super::row::{Row, Value, scramble};
use super::settings::Settings;

/// The name of the interface that comes and goes with a session.
pub(super) fn caller_interface(service: &str, name: &str) -> String {
    format!("<{service}-{name}>")
}

/// The clock, which is set to UTC.
pub(super) fn clock() -> Row {
    Row::new()
        .with("time", Value::TimeOfDay)
        .with("date", Value::Today)
        .with("time-zone-autodetect", false)
        .with("time-zone-name", "UTC")
        .with("gmt-offset", "+00:00")
        .with("dst-active", false)
}

/// The pools that addresses are given from.
pub(super) fn pools() -> Vec<Row> {
    let pool = |name: &str, ranges: &str| Row::new().with("name", name).with("ranges", ranges);
    vec![
        pool("hs-pool-1", "10.5.50.2-10.5.57.254"),
        pool("office", "192.168.88.10-192.168.88.254"),
        pool("ppp", "10.20.0.11-10.20.0.30"),
    ]
}

/// The router's own addresses. The one of the uplink is of a range for documentation.
pub(super) fn addresses(settings: &Settings) -> Vec<Row> {
    let address = |address: &str, network: &str, interface: &str, dynamic: bool| {
        Row::new()
            .with("address", address)
            .with("network", network)
            .with("interface", interface)
            .with("actual-interface", interface)
            .with("invalid", false)
            .with("dynamic", dynamic)
            .with("disabled", false)
    };
    let uplink = format!("203.0.113.{}/24", 2 + settings.seed % 60);
    vec![
        address("192.168.88.1/24", "192.168.88.0", "ether2", false).with("comment", "office"),
        address("10.5.50.1/20", "10.5.48.0", "bridge-hotspot", false).with("comment", "hotspot network"),
        address(&uplink, "203.0.113.0", "ether1", true),
    ]
}

/// The queues, each way with upload first; rates and limits in bits a second.
pub(super) fn queues(booted: Duration) -> Vec<Row> {
    let queue = |name: &str, target: &str, limit: &str, dynamic: bool, (up, down): (u64, u64)| {
        let count =
            |per_second: u64| Value::Count { from: scramble(per_second) >> 30, per_second, since: booted };
        let around = |middle: u64| Value::Around { middle, swing: middle / 4, decimals: 0 };
        let both = |of: &dyn Fn(u64) -> Value, up, down| Value::pair(of(up), "/", of(down));
        Row::new()
            .with("name", name)
            .with("target", target)
            .with("parent", "none")
            .with("packet-marks", "")
            .with("priority", "8/8")
            .with("queue", "default-small/default-small")
            .with("limit-at", "0/0")
            .with("max-limit", limit)
            .with("bytes", both(&count, up, down))
            .with("packets", both(&count, up / 300, down / 900))
            .with("dropped", both(&count, 0, down / 90_000))
            .with("rate", both(&around, up * 8, down * 8))
            .with("packet-rate", both(&around, up / 300, down / 900))
            .with("queued-bytes", "0/0")
            .with("queued-packets", "0/0")
            .with("invalid", false)
            .with("dynamic", dynamic)
            .with("disabled", false)
    };
    vec![
        queue("hs-<hotspot1>", "bridge-hotspot", "5000000/20000000", true, (90_000, 780_000)),
        queue("office", "192.168.88.0/24", "2000000/10000000", false, (12_000, 40_000)),
        queue("<pppoe-cybercafe>", "<pppoe-cybercafe>", "4000000/8000000", true, (30_000, 210_000)),
    ]
}

/// Who tells of themselves in the networks at hand.
pub(super) fn neighbors(settings: &Settings, booted: Duration) -> Vec<Row> {
    let neighbor = |identity: &str, interface: &str, address: &str, mac: &str, board: &str| {
        Row::new()
            .with("interface", interface)
            .with("address", address)
            .with("address4", address)
            .with("mac-address", mac)
            .with("identity", identity)
            .with("platform", "MikroTik")
            .with("version", settings.version.to_string())
            .with("age", Value::Idle { below_s: 59 })
            .with("uptime", Value::Since(booted))
            .with("board", board)
            .with("interface-name", "ether1")
    };
    vec![
        neighbor("tower-ap", "bridge-hotspot", "10.5.49.2", "DC:2C:6E:4A:11:02", "RBGrooveA-52HPn"),
        neighbor("office-switch", "ether2", "192.168.88.2", "08:55:31:70:C2:9A", "CSS326-24G-2S+"),
    ]
}
