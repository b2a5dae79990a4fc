//! The network around a hotspot: addresses, pools, queues, neighbours, PPP sessions and watched hosts.

use std::time::Duration;

use super::menus::{INTERFACE, NETWATCH, PPP};
use super::row::{Row, Value, scramble, unix_s};
use super::settings::Settings;
use super::state::State;

/// Who is connected by PPP: name, service, from where, address, and how it is encrypted.
const CALLERS: [(&str, &str, &str, &str, &str); 6] = [
    ("clinic", "pppoe", "48:A9:8A:3C:10:71", "10.20.0.11", ""),
    ("okafor-flat-2", "pppoe", "74:4D:28:9B:52:0E", "10.20.0.12", ""),
    ("school-lab", "pppoe", "2C:C8:1B:E7:44:93", "10.20.0.13", ""),
    ("cybercafe", "pppoe", "B8:69:F4:06:AD:38", "10.20.0.14", ""),
    ("manager", "l2tp", "203.0.113.77", "10.20.0.15", "cbc(aes) + hmac(sha1)"),
    ("branch", "ovpn", "198.51.100.9", "10.20.0.16", "AES-256-GCM"),
];

/// Watched hosts: host, type, interval, comment, and since how many seconds it is down, if it is.
const WATCHED: [(&str, &str, &str, &str, Option<u64>); 4] = [
    ("8.8.8.8", "icmp", "10s", "internet", None),
    ("10.5.49.2", "simple", "1m", "access point on the tower", None),
    ("192.168.88.20", "tcp-conn", "1m", "the till", None),
    ("10.5.49.30", "simple", "1m", "card terminal", Some(7200)),
];

impl State {
    /// All that connects by itself once the router is up.
    pub(super) fn connect_network(&mut self) {
        let (now, up) = (self.clock.at(), self.up());
        for (n, (name, service, from, address, encoding)) in (0u64..).zip(CALLERS) {
            // None was there before the boot, and each has been there for a time of its own.
            let dice = scramble(n ^ self.settings.seed);
            let since = now.saturating_sub(up.min(Duration::from_secs(dice % 300_000)));
            let row = Row::new()
                .with("name", name)
                .with("service", service)
                .with("caller-id", from)
                .with("address", address)
                .with("uptime", Value::Since(since))
                .with("encoding", encoding)
                .with("session-id", format!("0x{:x}", 0x8110_0000 + n))
                .with("limit-bytes-in", 0)
                .with("limit-bytes-out", 0)
                .with("radius", false);
            let _ = self.insert(PPP, row);
            self.use_address("ppp", address, "PPP", name);
            let called = caller_interface(service, name);
            let count = |per_second| Value::Count { from: 0, per_second, since };
            let interface = Row::new()
                .with("name", called.as_str())
                .with("type", format!("{service}-in"))
                .with("mtu", "1480")
                .with("link-downs", count(0))
                .with("rx-byte", count(900 + dice % 9_000))
                .with("tx-byte", count(9_000 + dice % 90_000))
                .with("running", true)
                .with("dynamic", true)
                .with("disabled", false);
            self.replace(INTERFACE, ("name", &called), interface);
        }
        for (host, kind, interval, comment, down) in WATCHED {
            let since = unix_s().saturating_sub(down.map_or(up.as_secs(), |down| down.min(up.as_secs())));
            let row = Row::new().with("host", host);
            let row = if self.settings.version.has_probe_types() { row.with("type", kind) } else { row };
            let row = row
                .with("interval", interval)
                .with("timeout", "1s")
                .with("since", Value::Date(since))
                .with("status", if down.is_some() { "down" } else { "up" })
                .with("up-script", "")
                .with("down-script", "")
                .with("comment", comment)
                .with("disabled", false);
            let _ = self.insert(NETWATCH, row);
        }
    }
}

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
