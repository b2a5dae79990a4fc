//! The configured network: hotspot server, API services, pools, addresses, queues, neighbors and watched
//! hosts.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::menus::{HOTSPOT_POOL, NETWATCH, POOL, POOL_USED};
use super::rng::mix;
use super::row::Row;
use super::settings::Settings;
use super::state::State;
use super::value::Value;

/// Name and ranges of each pool.
const POOLS: [(&str, &str); 3] = [
    (HOTSPOT_POOL, "10.5.50.2-10.5.57.254"),
    ("office", "192.168.88.10-192.168.88.254"),
    ("ppp", "10.20.0.11-10.20.0.30"),
];

/// Name, target, limits in bits per second (upload first), `dynamic`, and bytes per second of upload and download.
const QUEUES: [(&str, &str, &str, bool, u64, u64); 3] = [
    ("hs-<hotspot1>", "bridge-hotspot", "5000000/20000000", true, 90_000, 780_000),
    ("office", "192.168.88.0/24", "2000000/10000000", false, 12_000, 40_000),
    ("<pppoe-cybercafe>", "<pppoe-cybercafe>", "4000000/8000000", true, 30_000, 210_000),
];

/// Name, interface and pool of each DHCP server.
const DHCP_SERVERS: [(&str, &str, &str); 2] =
    [("dhcp1", "bridge-hotspot", HOTSPOT_POOL), ("dhcp2", "ether2", "office")];

/// Chain, action, comment and bytes per second of each rule.
const FILTER_RULES: [(&str, &str, &str, u64); 3] = [
    ("input", "accept", "established", 4_000),
    ("input", "drop", "all other from the internet", 900),
    ("forward", "drop", "guests to the office", 300),
];

/// Identity, interface, address, MAC address and board of each neighbor.
const NEIGHBORS: [(&str, &str, &str, &str, &str); 2] = [
    ("tower-ap", "bridge-hotspot", "10.5.49.2", "DC:2C:6E:4A:11:02", "RBGrooveA-52HPn"),
    ("office-switch", "ether2", "192.168.88.2", "08:55:31:70:C2:9A", "CSS326-24G-2S+"),
];

/// Host, type, interval, comment, and for how many seconds it has been down.
const WATCHED: [(&str, &str, &str, &str, Option<u64>); 4] = [
    ("8.8.8.8", "icmp", "10s", "internet", None),
    ("10.5.49.2", "simple", "1m", "access point on the tower", None),
    ("192.168.88.20", "tcp-conn", "1m", "the till", None),
    ("10.5.49.30", "simple", "1m", "card terminal", Some(7200)),
];

pub(super) fn hotspot() -> Row {
    Row::new().with_fields(
        "name=hotspot1 interface=bridge-hotspot address-pool=hs-pool-1 profile=hsprof1 idle-timeout=5m \
         keepalive-timeout=none login-timeout=none addresses-per-mac=2 proxy-status=running invalid=false \
         HTTPS=false disabled=false",
    )
}

/// The name and the port of the API's service.
pub(super) fn api_service(tls: bool) -> (&'static str, &'static str) {
    if tls { ("api-ssl", "8729") } else { ("api", "8728") }
}

pub(super) fn service(settings: &Settings, tls: bool) -> Row {
    let Settings { version, allow_from, max_sessions, .. } = settings;
    let (name, port) = api_service(tls);
    let addresses: Vec<String> = allow_from.iter().map(ToString::to_string).collect();
    let (key, addresses, disabled) =
        (version.allowed_addresses_key(), addresses.join(","), tls != settings.tls);
    let mut row = Row::new()
        .with_fields(&format!("name={name} port={port} {key}={addresses} invalid=false disabled={disabled}"));
    if version.lists_connections() {
        row.set("dynamic", false.into());
    }
    if version.has_max_sessions() {
        row.set("max-sessions", max_sessions.to_string().into());
    }
    row
}

/// Shrinks the hotspot's pool to its used addresses, so that it is exhausted, or restores it.
pub(super) fn set_exhausted(state: &mut State, is_exhausted: bool) {
    let used = state.rows(POOL_USED).filter(|row| row.bytes("pool") == HOTSPOT_POOL.as_bytes());
    let mut used: Vec<Ipv4Addr> = used.filter_map(|row| row.text("address").parse().ok()).collect();
    used.sort_unstable();
    let runs = used.chunk_by(|one, next| next.to_bits() - one.to_bits() == 1);
    let exhausted: Vec<_> =
        runs.filter_map(|run| Some(format!("{}-{}", run.first()?, run.last()?))).collect();
    let ranges = if is_exhausted { exhausted.join(",") } else { POOLS[0].1.to_string() };
    if let Some(id) = state.find(POOL, &[("name", HOTSPOT_POOL)]).map(|row| row.id.clone()) {
        state.with(POOL, |table, now| table.set(&id, vec![("ranges".to_string(), ranges.into())], now));
    }
}

pub(super) fn pools() -> Vec<Row> {
    POOLS.map(|(name, ranges)| Row::new().with("name", name).with("ranges", ranges)).to_vec()
}

/// The router's own addresses. The uplink's is from a range for documentation.
pub(super) fn addresses(settings: &Settings) -> Vec<Row> {
    let uplink = format!("203.0.113.{}/24", 2 + settings.seed % 60);
    let address = |address: &str, network: &str, interface: &str, dynamic: bool| {
        Row::new().with_fields(&format!(
            "address={address} network={network} interface={interface} actual-interface={interface} \
             invalid=false dynamic={dynamic} disabled=false"
        ))
    };
    vec![
        address("192.168.88.1/24", "192.168.88.0", "ether2", false).with("comment", "office"),
        address("10.5.50.1/20", "10.5.48.0", "bridge-hotspot", false).with("comment", "hotspot network"),
        address(&uplink, "203.0.113.0", "ether1", true),
    ]
}

pub(super) fn queues(booted: Duration) -> Vec<Row> {
    let count = |per_second: u64| Value::Count { from: mix(per_second) >> 30, per_second, since: booted };
    let around = |middle: u64| Value::around(middle, middle / 4);
    let queue = |(name, target, limit, dynamic, up, down)| {
        let counts = |up, down| Value::pair(count(up), "/", count(down));
        let rates = |up, down| Value::pair(around(up), "/", around(down));
        Row::new()
            .with_fields(&format!(
                "name={name} target={target} parent=none packet-marks= priority=8/8 \
                 queue=default-small/default-small limit-at=0/0 max-limit={limit}"
            ))
            .with("bytes", counts(up, down))
            .with("packets", counts(up / 300, down / 900))
            .with("dropped", counts(0, down / 90_000))
            .with("rate", rates(up * 8, down * 8))
            .with("packet-rate", rates(up / 300, down / 900))
            .with_fields(&format!(
                "queued-bytes=0/0 queued-packets=0/0 invalid=false dynamic={dynamic} disabled=false"
            ))
    };
    QUEUES.map(queue).to_vec()
}

pub(super) fn dhcp_servers() -> Vec<Row> {
    let server = |(name, interface, pool)| {
        Row::new().with_fields(&format!(
            "name={name} interface={interface} address-pool={pool} lease-time=1h invalid=false disabled=false"
        ))
    };
    DHCP_SERVERS.map(server).to_vec()
}

/// Rules of the filter, with their traffic.
pub(super) fn firewall(booted: Duration) -> Vec<Row> {
    let rule = |(chain, action, comment, per_second): (&str, &str, &str, u64)| {
        let count = |per_second| Value::Count { from: mix(per_second) >> 40, per_second, since: booted };
        Row::new()
            .with("chain", chain)
            .with("action", action)
            .with("bytes", count(per_second))
            .with("packets", count(per_second / 100))
            .with("comment", comment)
            .with_fields("invalid=false disabled=false")
    };
    FILTER_RULES.map(rule).to_vec()
}

pub(super) fn neighbors(settings: &Settings, booted: Duration) -> Vec<Row> {
    let neighbor = |(identity, interface, address, mac, board)| {
        Row::new()
            .with_fields(&format!(
                "interface={interface} address={address} address4={address} mac-address={mac} \
                 identity={identity} platform=MikroTik"
            ))
            .with("version", settings.version.to_string())
            .with("age", Value::Idle { below_s: 59 })
            .with("uptime", Value::Since(booted))
            .with("board", board)
            .with("interface-name", "ether1")
    };
    NEIGHBORS.map(neighbor).to_vec()
}

/// Adds the watched hosts, whose states begin at the boot.
pub(super) fn watch_hosts(state: &mut State) {
    let uptime_s = state.uptime().as_secs();
    for (host, kind, interval, comment, down_s) in WATCHED {
        let since = state.clock.unix_s().saturating_sub(down_s.unwrap_or(uptime_s).min(uptime_s));
        let mut row = Row::new().with("host", host);
        if state.settings.version.has_probe_types() {
            row.set("type", kind.into());
        }
        let row = row
            .with("interval", interval)
            .with("timeout", "1s")
            .with("since", Value::Date(since))
            .with("status", if down_s.is_some() { "down" } else { "up" })
            .with_fields("up-script= down-script=")
            .with("comment", comment)
            .with("disabled", false);
        let _ = state.insert(NETWATCH, row);
    }
}
