//! The menus that a router starts with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hardware;
use super::menus::{
    ACTIVE, ADMINISTRATOR, COOKIE, HEALTH, HOST, INTERFACE, LEASE, LOG, NETWATCH, PPP, QUEUE, READ_ONLY,
    REMOVE_ONLY, RESOURCE, SERVER, SERVICE, SINGLE, USED, USER, api, registrations,
};
use super::network;
use super::row::{Now, Row};
use super::settings::{HealthMenu, Settings};
use super::table::{Keys, MenuTable, Rules};

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
const QUEUE_KEYS: &[&str] =
    &["name", "target", "parent", "priority", "queue", "limit-at", "max-limit", "comment", "disabled"];
const POOL_KEYS: &[&str] = &["name", "ranges", "next-pool", "comment"];
const ADDRESS_KEYS: &[&str] = &["address", "network", "interface", "comment", "disabled"];
const CLOCK_KEYS: &[&str] = &["date", "time", "time-zone-autodetect", "time-zone-name"];
const NETWATCH_KEYS: &[&str] =
    &["host", "type", "interval", "timeout", "port", "up-script", "down-script", "comment", "disabled"];
const LEASE_KEYS: &[&str] = &["address", "mac-address", "server", "comment", "disabled"];

/// The menus of a router that has just been set up; `booted` is a moment of its clock.
pub(super) fn tables(settings: &Settings, booted: Duration, now: &Now<'_>) -> BTreeMap<String, MenuTable> {
    let no_rows = Vec::new;
    let found_by = |found_by, rules| Rules { found_by, ..rules };
    let mut menus = vec![
        (ACTIVE, REMOVE_ONLY, no_rows()),
        (USER, found_by("name", editable(USER_KEYS)), no_rows()),
        (HOST, found_by("address", REMOVE_ONLY), no_rows()),
        (COOKIE, found_by("user", REMOVE_ONLY), no_rows()),
        (SERVER, editable(&["name", "interface", "address-pool", "profile", "disabled"]), vec![server()]),
        (LEASE, found_by("address", editable(LEASE_KEYS)), no_rows()),
        (registrations(&settings.version), found_by("mac-address", REMOVE_ONLY), no_rows()),
        (PPP, REMOVE_ONLY, no_rows()),
        (NETWATCH, editable(NETWATCH_KEYS), no_rows()),
        (USED, found_by("address", READ_ONLY), no_rows()),
        (ADMINISTRATOR, READ_ONLY, no_rows()),
        (SERVICE, READ_ONLY, vec![service(settings, false), service(settings, true)]),
        (LOG, READ_ONLY, no_rows()),
        (RESOURCE, SINGLE, vec![hardware::resource(settings, booted)]),
        (
            "/system/identity",
            Rules { set: Keys::Only(&["name"]), ..SINGLE },
            vec![Row::new().with("name", settings.identity.as_str())],
        ),
        ("/system/clock", Rules { set: Keys::Only(CLOCK_KEYS), ..SINGLE }, vec![network::clock()]),
        (
            INTERFACE,
            Rules { set: Keys::Only(&["name", "comment", "disabled"]), ..READ_ONLY },
            hardware::interfaces(settings, booted),
        ),
        (QUEUE, editable(QUEUE_KEYS), network::queues(booted)),
        ("/ip/pool", editable(POOL_KEYS), network::pools()),
        ("/ip/address", editable(ADDRESS_KEYS), network::addresses(settings)),
        ("/ip/neighbor", READ_ONLY, network::neighbors(settings, booted)),
    ];
    let has_sensor_rows = settings.version.is_v7() && settings.board != hardware::X86;
    let rules = if has_sensor_rows { READ_ONLY } else { SINGLE };
    match settings.health {
        HealthMenu::Sensors => {
            let rows =
                if has_sensor_rows { hardware::sensors(settings) } else { vec![hardware::health(settings)] };
            menus.push((HEALTH, rules, rows));
        }
        HealthMenu::Empty => menus.push((HEALTH, rules, no_rows())),
        HealthMenu::Missing => {}
    }
    let mut tables = BTreeMap::new();
    for (menu, rules, rows) in menus {
        let mut table = MenuTable::new(rules);
        for row in rows {
            // A menu of a few rows is never full.
            let _ = table.insert(row, now);
        }
        tables.insert(menu.to_string(), table);
    }
    tables
}

fn service(settings: &Settings, tls: bool) -> Row {
    let Settings { version, allow_from, max_sessions, .. } = settings;
    let (name, port) = api(tls);
    let addresses: Vec<String> = allow_from.iter().map(ToString::to_string).collect();
    let row = Row::new()
        .with("name", name)
        .with("port", port)
        .with(version.allowed_addresses(), addresses.join(","))
        .with("invalid", false)
        .with("disabled", tls != settings.tls);
    let row = if version.lists_connections() { row.with("dynamic", false) } else { row };
    if version.has_max_sessions() { row.with("max-sessions", max_sessions.to_string()) } else { row }
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
