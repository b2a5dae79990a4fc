//! The menus a router starts with, but for what its hotspot fills in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::row::{Now, Row, Value, scramble};
use super::settings::{Health, Settings};
use super::table::{Keys, Rules, Table};

pub(super) const ACTIVE: &str = "/ip/hotspot/active";
pub(super) const USER: &str = "/ip/hotspot/user";
pub(super) const HOST: &str = "/ip/hotspot/host";
pub(super) const COOKIE: &str = "/ip/hotspot/cookie";
pub(super) const SERVER: &str = "/ip/hotspot";
pub(super) const LEASE: &str = "/ip/dhcp-server/lease";
pub(super) const API_SESSION: &str = "/user/active";
pub(super) const LOG: &str = "/log";
pub(super) const RESOURCE: &str = "/system/resource";
const HEALTH: &str = "/system/health";

const READ_ONLY: Rules = Rules { single: false, add: false, remove: false, set: Keys::None, found_by: "" };
const SINGLE: Rules = Rules { single: true, ..READ_ONLY };
const REMOVE_ONLY: Rules = Rules { remove: true, ..READ_ONLY };

/// What a menu made by a test allows: everything.
pub(super) const ANYTHING: Rules = Rules { add: true, remove: true, set: Keys::Any, ..READ_ONLY };

const fn editable(set: &'static [&'static str]) -> Rules {
    Rules { add: true, remove: true, set: Keys::Only(set), ..READ_ONLY }
}

const USER_KEYS: &[&str] = &[
    "server",
    "name",
    "password",
    "profile",
    "address",
    "mac-address",
    "comment",
    "disabled",
    "limit-uptime",
    "limit-bytes-in",
    "limit-bytes-out",
    "limit-bytes-total",
    "email",
    "routes",
];
const QUEUE_KEYS: &[&str] = &["name", "target", "max-limit", "comment", "disabled"];
const POOL_KEYS: &[&str] = &["name", "ranges", "next-pool", "comment"];
const LEASE_KEYS: &[&str] = &["address", "mac-address", "server", "comment", "disabled"];

/// What a board is made of.
struct Board {
    architecture: &'static str,
    cpu: &'static str,
    cores: u64,
    mhz: u64,
    memory_mib: u64,
    flash_mib: u64,
}

fn board(name: &str) -> Board {
    let (architecture, cpu, cores, mhz, memory_mib, flash_mib) = match name {
        "hAP ac^2" => ("arm", "ARM", 4, 716, 128, 15),
        "RB4011iGS+" => ("arm", "ARM", 4, 1400, 1024, 512),
        _ => ("mmips", "MIPS 1004Kc V2.15", 4, 880, 256, 16),
    };
    Board { architecture, cpu, cores, mhz, memory_mib, flash_mib }
}

/// The menus of a router that has just been set up; `booted` is a moment of its clock.
pub(super) fn tables(settings: &Settings, booted: Duration, now: &Now<'_>) -> BTreeMap<String, Table> {
    let no_rows = Vec::new;
    let mut menus = vec![
        (ACTIVE, REMOVE_ONLY, no_rows()),
        (USER, Rules { found_by: "name", ..editable(USER_KEYS) }, no_rows()),
        (HOST, Rules { found_by: "address", ..REMOVE_ONLY }, no_rows()),
        (COOKIE, Rules { found_by: "user", ..REMOVE_ONLY }, no_rows()),
        (API_SESSION, READ_ONLY, no_rows()),
        (LOG, READ_ONLY, no_rows()),
        (LEASE, Rules { found_by: "address", ..editable(LEASE_KEYS) }, no_rows()),
        (SERVER, editable(&["name", "interface", "address-pool", "profile", "disabled"]), vec![server()]),
        (RESOURCE, SINGLE, vec![resource(settings, booted)]),
        (
            "/system/identity",
            Rules { set: Keys::Only(&["name"]), ..SINGLE },
            vec![Row::new().with("name", settings.identity.as_str())],
        ),
        (
            "/interface",
            Rules { set: Keys::Only(&["name", "comment", "disabled"]), ..READ_ONLY },
            interfaces(),
        ),
        ("/queue/simple", editable(QUEUE_KEYS), vec![queue()]),
        (
            "/ip/pool",
            editable(POOL_KEYS),
            vec![
                Row::new().with("name", "hs-pool-1").with("ranges", "10.5.50.2-10.5.57.254"),
                Row::new().with("name", "office").with("ranges", "192.168.88.10-192.168.88.254"),
            ],
        ),
    ];
    let v7 = settings.version.is_v7();
    let rules = if v7 { READ_ONLY } else { SINGLE };
    match settings.health {
        Health::Sensors => menus.push((HEALTH, rules, if v7 { sensors(settings) } else { vec![health()] })),
        Health::Empty => menus.push((HEALTH, rules, no_rows())),
        Health::Missing => {}
    }
    let mut tables = BTreeMap::new();
    for (menu, rules, rows) in menus {
        let mut table = Table::new(rules);
        for row in rows {
            // A menu of a few rows is never full.
            let _ = table.insert(row, now);
        }
        tables.insert(menu.to_string(), table);
    }
    tables
}

fn server() -> Row {
    Row::new()
        .with("name", "hotspot1")
        .with("interface", "bridge-hotspot")
        .with("address-pool", "hs-pool-1")
        .with("profile", "hsprof1")
        .with("idle-timeout", "5m")
        .with("keepalive-timeout", "none")
        .with("login-timeout", "none")
        .with("addresses-per-mac", "2")
        .with("proxy-status", "running")
        .with("invalid", false)
        .with("HTTPS", false)
        .with("disabled", false)
}

/// The one row of `/system/resource`.
fn resource(settings: &Settings, booted: Duration) -> Row {
    let board = board(&settings.board);
    let (memory, flash) = (board.memory_mib << 20, board.flash_mib << 20);
    // The month has a capital here, unlike in other dates before 7.10.
    let built = settings.version.date(1_756_900_000);
    let built = built[..1].to_uppercase() + &built[1..];
    let around = |middle, swing| Value::Around { middle, swing, decimals: 0 };
    // No two routers are as busy and as full.
    let (busy, full) = (8 + settings.seed.wrapping_mul(11) % 50, 2 + settings.seed.wrapping_mul(2) % 5);
    Row::new()
        .with("uptime", Value::Since(booted))
        .with("version", settings.version.to_string())
        .with("build-time", built)
        .with("factory-software", "6.44.6")
        .with("free-memory", around(memory / full, memory / 64))
        .with("total-memory", memory)
        .with("cpu", board.cpu)
        .with("cpu-count", board.cores)
        .with("cpu-frequency", board.mhz)
        .with("cpu-load", around(busy, 7))
        .with("free-hdd-space", flash / 5)
        .with("total-hdd-space", flash)
        .with("architecture-name", board.architecture)
        .with("board-name", settings.board.as_str())
        .with("platform", "MikroTik")
}

/// Health as RouterOS 6 has it: one row.
fn health() -> Row {
    Row::new()
        .with("voltage", Value::Around { middle: 240, swing: 2, decimals: 1 })
        .with("temperature", Value::Around { middle: 44, swing: 2, decimals: 0 })
        .with("cpu-temperature", Value::Around { middle: 51, swing: 3, decimals: 0 })
}

/// Health as RouterOS 7 has it: a row a sensor. A state has no `type`.
fn sensors(settings: &Settings) -> Vec<Row> {
    let sensor = |name: &str, kind: &str, middle, swing, decimals| {
        Row::new()
            .with("name", name)
            .with("value", Value::Around { middle, swing, decimals })
            .with("type", kind)
    };
    let mut rows = vec![sensor("voltage", "V", 240, 2, 1), sensor("temperature", "C", 44, 2, 0)];
    if settings.board == "RB4011iGS+" {
        rows.push(sensor("cpu-temperature", "C", 51, 3, 0));
        rows.push(Row::new().with("name", "psu1-state").with("value", "ok"));
    }
    rows
}

fn interfaces() -> Vec<Row> {
    let counted = |name: &str, kind: &str, per_second: u64| {
        let count = |part: u64| Value::Count {
            from: scramble(per_second + part) >> 28,
            per_second: per_second / part,
            since: super::row::Clock::START,
        };
        Row::new()
            .with("name", name)
            .with("type", kind)
            .with("mtu", "1500")
            .with("rx-byte", count(1))
            .with("tx-byte", count(7))
            .with("running", per_second > 0)
            .with("disabled", false)
    };
    vec![
        counted("ether1", "ether", 900_000).with("comment", "uplink – MTN fibre"),
        counted("ether2", "ether", 40_000),
        counted("ether3", "ether", 0),
        counted("wlan1", "wlan", 850_000),
        counted("bridge-hotspot", "bridge", 870_000),
    ]
}

fn queue() -> Row {
    Row::new()
        .with("name", "hs-<hotspot1>")
        .with("target", "bridge-hotspot")
        .with("max-limit", "5M/20M")
        .with("dynamic", true)
        .with("disabled", false)
}
