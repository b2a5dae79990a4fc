//! The menus that a router has at the start, and what a reboot changes.

use super::menus::{
    ACTIVE, ADDRESS, ADMINISTRATOR, CLOCK, DHCP_SERVER, FIREWALL, HEALTH, HOST, HOTSPOT, IDENTITY, INTERFACE,
    LICENSE, LOG, NEIGHBOR, NETWATCH, POOL, PPP, QUEUE, READ_ONLY, REMOVE_ONLY, RESOURCE, ROUTERBOARD,
    SERVICE, SINGLE, registrations,
};
use super::settings::{HealthMenu, Settings, X86};
use super::state::State;
use super::table::MenuTable;
use super::value::Value;
use super::{administrators, churn, devices, hardware, network, ppp, replay};

/// A router that has been up for a while, with people online.
pub(super) fn start(settings: Settings) -> State {
    let mut state = State::new(settings);
    let stations = registrations(&state.settings.version);
    state.tables.insert(stations.to_string(), MenuTable::new(REMOVE_ONLY.indexed("mac-address")));
    let (settings, booted) = (&state.settings, state.booted);
    let menus = [
        (HOTSPOT, vec![network::hotspot()]),
        (SERVICE, vec![network::service(settings, false), network::service(settings, true)]),
        (RESOURCE, vec![hardware::resource(settings, booted)]),
        (IDENTITY, vec![hardware::identity(settings)]),
        (CLOCK, vec![hardware::clock(settings)]),
        (LICENSE, vec![hardware::license(settings)]),
        (INTERFACE, hardware::interfaces(settings, booted)),
        (QUEUE, network::queues(booted)),
        (POOL, network::pools()),
        (ADDRESS, network::addresses(settings)),
        (NEIGHBOR, network::neighbors(settings, booted)),
        (DHCP_SERVER, network::dhcp_servers()),
        (FIREWALL, network::firewall(booted)),
        (ROUTERBOARD, vec![hardware::routerboard(settings)]),
    ];
    for (menu, rows) in menus {
        state.set_rows(menu, rows);
    }
    add_health(&mut state);
    state.log("system,info", "router rebooted");
    churn::open_hotspot(&mut state);
    devices::add_bypassed(&mut state);
    devices::add_office_leases(&mut state);
    ppp::connect(&mut state);
    network::watch_hosts(&mut state);
    administrators::add(&mut state);
    replay::apply_capture(&mut state);
    state
}

/// RouterOS 7 has one row per sensor; RouterOS 6, and RouterOS 7 on x86, have one row for all sensors.
fn add_health(state: &mut State) {
    let settings = &state.settings;
    let has_sensor_rows = settings.version.is_v7() && settings.board != X86;
    let rules = if has_sensor_rows { READ_ONLY } else { SINGLE };
    let rows = match settings.health {
        HealthMenu::Missing => return,
        HealthMenu::Empty => Vec::new(),
        HealthMenu::Sensors if has_sensor_rows => hardware::sensors(settings),
        HealthMenu::Sensors => vec![hardware::health(settings)],
    };
    state.tables.insert(HEALTH.to_string(), MenuTable::new(rules));
    state.set_rows(HEALTH, rows);
}

/// Reboots: the configuration, leases and cookies stay, uptime starts at zero, and all hotspot users are
/// offline. PPP sessions reconnect.
pub(super) fn reboot(state: &mut State) {
    let stations = registrations(&state.settings.version);
    for menu in [ACTIVE, HOST, stations, PPP, NETWATCH, ADMINISTRATOR, LOG] {
        state.with(menu, |table, _| table.clear());
    }
    state.booted = state.clock.at();
    for menu in [INTERFACE, QUEUE, FIREWALL] {
        state.with(menu, |table, now| table.restart_counters(now.at));
    }
    let uptime = Value::Since(state.booted);
    // A menu of one row: its `.id` is empty.
    state.with(RESOURCE, |table, now| table.set("", vec![("uptime".to_string(), uptime)], now));
    state.log("system,info", "router rebooted");
    ppp::connect(state);
    network::watch_hosts(state);
}
