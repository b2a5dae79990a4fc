//! Administrators who are logged in (`/user/active`), and open API connections (`/ip/service`).

use std::net::{IpAddr, SocketAddr};

use super::menus::{ADMINISTRATOR, SERVICE};
use super::network::api_service;
use super::row::Row;
use super::settings::Policies;
use super::state::State;
use super::value::Value;

/// Name, address and client of the administrators at the start, and for how many seconds they have been
/// logged in.
const ADMINISTRATORS: [(&str, &str, &str, u64); 2] =
    [("admin", "192.168.88.10", "winbox", 5400), ("admin", "192.168.88.11", "ssh", 260)];

/// Adds the administrators who are logged in at the start.
pub(super) fn add(state: &mut State) {
    for (name, from, via, age_s) in ADMINISTRATORS {
        let when = state.clock.unix_s().saturating_sub(age_s.min(state.uptime().as_secs()));
        insert(state, name, from, via, "full", when);
    }
}

fn insert(state: &mut State, name: &str, from: &str, via: &str, group: &str, when: u64) -> Option<String> {
    let row = Row::new()
        .with("when", Value::Date(when))
        .with("name", name)
        .with("address", from)
        .with("via", via)
        .with("group", group)
        .with("radius", false);
    state.insert(ADMINISTRATOR, row).ok()
}

/// Counts a login over the API and adds it to `/user/active`. Returns its `.id` there.
pub(super) fn log_in(state: &mut State, name: &str, policies: Policies, from: IpAddr) -> Option<String> {
    state.counters.logins += 1;
    state.log("system,info,account", &format!("user {name} logged in from {from} via api"));
    let group = if policies == Policies::ALL { "full" } else { "read" };
    insert(state, name, &from.to_string(), "api", group, state.clock.unix_s())
}

/// Removes a login over the API from `/user/active`.
pub(super) fn log_out(state: &mut State, id: &str) {
    if let Some(row) = state.remove(ADMINISTRATOR, id) {
        let (name, from) = (row.text("name"), row.text("address"));
        state.log("system,info,account", &format!("user {name} logged out from {from} via api"));
    }
}

/// Adds an open connection to `/ip/service`, if the version lists connections. Returns its `.id` there.
pub(super) fn add_connection(state: &mut State, peer: SocketAddr) -> Option<String> {
    if !state.settings.version.lists_connections() {
        return None;
    }
    let (name, port) = api_service(state.settings.tls);
    let row = Row::new().with_fields(&format!(
        "name={name} port={port} remote={peer} connection= disabled=false dynamic=true"
    ));
    state.insert(SERVICE, row).ok()
}
