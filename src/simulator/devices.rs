//! Devices on the network: hotspot hosts, DHCP leases and Wi-Fi clients.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::hardware::has_radios;
use super::menus::{HOST, HOTSPOT_NAME, HOTSPOT_POOL, LEASE, registrations};
use super::people::Person;
use super::row::Row;
use super::state::State;
use super::value::Value;
use super::wifi;

/// The lifetime of a lease. A device renews it after half of that (RFC 2131).
const LEASE_LIFETIME: Duration = Duration::from_secs(3600);

/// Upper bound of the Wi-Fi clients: RouterOS's default `max-station-count`. The other devices use an
/// access point.
const MAX_STATIONS: usize = 2007;

/// Address and MAC address of the devices that need no login. The addresses are outside the pool.
const BYPASSED: [([u8; 4], &str); 3] = [
    ([10, 5, 49, 2], "DC:2C:6E:4A:11:02"),
    ([10, 5, 49, 20], "C4:2F:90:7D:35:B8"),
    ([10, 5, 49, 30], "00:26:AB:91:0C:5E"),
];

/// Address, MAC address, name and comment of the office's devices, and when an absent one was last seen.
const OFFICE: [(&str, &str, &str, &str, Option<&str>); 3] = [
    ("192.168.88.20", "48:8F:5A:03:9D:21", "till-1", "the till", None),
    ("192.168.88.21", "00:1B:A9:5E:70:44", "BRW001BA95E7044", "printer in the office", Some("3w2d4h11m8s")),
    ("192.168.88.22", "28:57:BE:C1:08:F3", "", "camera, not mounted yet", Some("never")),
];

/// Adds a hotspot host, unless it exists.
pub(super) fn add_host(state: &mut State, address: Ipv4Addr, mac: &str, age: Duration) {
    let text = address.to_string();
    if state.find(HOST, &[("address", &text), ("mac-address", mac)]).is_some() {
        return;
    }
    let start = state.clock.at().saturating_sub(age);
    let count = |per_second| Value::Count { from: 600, per_second, since: start };
    // `Router::log_in` accepts any text as a MAC address.
    let host = Row::new()
        .with("mac-address", mac)
        .with_fields(&format!("address={text} to-address={text} server={HOTSPOT_NAME}"))
        .with("uptime", Value::Since(start))
        .with("idle-time", Value::Idle { below_s: 9 })
        .with("bytes-in", count(90))
        .with("bytes-out", count(400))
        .with_fields("DHCP=true authorized=false bypassed=false")
        .with("found-by", format!("UDP :137 -> {}:137", Ipv4Addr::BROADCAST));
    let _ = state.insert(HOST, host);
}

/// Adds the devices that bypass the hotspot.
pub(super) fn add_bypassed(state: &mut State) {
    let uptime = state.uptime();
    for (address, mac) in BYPASSED {
        let address = Ipv4Addr::from(address);
        add_host(state, address, mac, uptime);
        set_flags(state, address, &[("DHCP", false), ("bypassed", true)]);
    }
}

/// Sets whether the host at an address is logged in.
pub(super) fn authorize(state: &mut State, address: Ipv4Addr, authorized: bool) {
    set_flags(state, address, &[("authorized", authorized)]);
}

fn set_flags(state: &mut State, address: Ipv4Addr, flags: &[(&str, bool)]) {
    if let Some(id) = state.find(HOST, &[("address", &address.to_string())]).map(|row| row.id.clone()) {
        let values = flags.iter().map(|(key, flag)| ((*key).to_string(), (*flag).into())).collect();
        state.with(HOST, |table, now| table.set(&id, values, now));
    }
}

/// The lowest address from `first` on that no host has, so that addresses are reused.
pub(super) fn free_address(state: &State, first: Ipv4Addr) -> Ipv4Addr {
    let is_free = |address: &Ipv4Addr| {
        !matches!(address.octets()[3], 0 | 255)
            && state.find(HOST, &[("address", &address.to_string())]).is_none()
    };
    (first.to_bits()..=u32::MAX).map(Ipv4Addr::from_bits).find(is_free).unwrap_or(first)
}

/// Connects a person's device: it has a lease, and is a Wi-Fi client if the board has radios.
pub(super) fn connect(state: &mut State, address: Ipv4Addr, person: &Person, age: Duration) {
    let first = state.clock.at().saturating_sub(age);
    let address = address.to_string();
    let lease = lease(&address, &person.mac, "dhcp1", person.host_name);
    let lease = bound(lease, "dhcp1", first).with("dynamic", true);
    state.upsert(LEASE, "address", lease);
    state.use_address(HOTSPOT_POOL, &address, "DHCP", &person.mac);
    let menu = registrations(&state.settings.version);
    let is_full = state.tables.get(menu).is_none_or(|table| table.len() >= MAX_STATIONS);
    if has_radios(&state.settings.board) && !is_full {
        let station = wifi::station(&state.settings, &person.mac, &address, first);
        state.upsert(menu, "mac-address", station);
    }
}

/// Disconnects the device with this address and MAC address.
pub(super) fn disconnect(state: &mut State, address: Ipv4Addr, mac: &str) {
    let address = address.to_string();
    let stations = registrations(&state.settings.version);
    state.remove_by(HOST, "address", &address);
    state.remove_by(LEASE, "address", &address);
    state.remove_by(stations, "mac-address", mac);
}

/// Adds the static leases.
pub(super) fn add_office_leases(state: &mut State) {
    for (address, mac, name, comment, last_seen) in OFFICE {
        let row = lease(address, mac, "office", name);
        let row = if let Some(last_seen) = last_seen {
            row.with("status", "waiting").with("last-seen", last_seen)
        } else {
            state.use_address("office", address, "DHCP", mac);
            bound(row, "office", state.clock.at())
        };
        let _ = state.insert(LEASE, row.with("dynamic", false).with("comment", comment));
    }
}

fn lease(address: &str, mac: &str, server: &str, host_name: &str) -> Row {
    let row = Row::new().with_fields(&format!(
        "address={address} mac-address={mac} client-id=1:{} server={server} radius=false blocked=false \
         disabled=false",
        mac.to_lowercase()
    ));
    if host_name.is_empty() { row } else { row.with("host-name", host_name) }
}

/// A lease that a device has had since `first`.
fn bound(lease: Row, server: &str, first: Duration) -> Row {
    let every = LEASE_LIFETIME / 2;
    let active = format!(
        "active-address={} active-mac-address={} active-server={server}",
        lease.text("address"),
        lease.text("mac-address")
    );
    lease
        .with("status", "bound")
        .with("expires-after", Value::UntilLast { first, every, lasts: LEASE_LIFETIME })
        .with("last-seen", Value::SinceLast { first, every })
        .with_fields(&active)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::boot;
    use crate::simulator::hotspot::sessions;
    use crate::simulator::menus::POOL_USED;
    use crate::simulator::settings::Settings;

    #[test]
    fn disconnected_device_leaves_no_rows() {
        for version in ["6.49.10", "7.20.7"] {
            let mut state =
                boot::start(Settings { version: version.parse().unwrap(), ..Settings::default() });
            let stations = registrations(&state.settings.version);
            let session = sessions(&state).remove(0);
            // A phone that changed its address has a second row.
            let texts = [("mac-address", session.mac.as_str()), ("authorized", "false")];
            let second = state.find(HOST, &texts).unwrap().id.clone();
            state.remove(HOST, &second);
            let address = session.address.to_string();
            let exists = |state: &State| {
                let by = [
                    (HOST, "address"),
                    (LEASE, "address"),
                    (POOL_USED, "address"),
                    (stations, "mac-address"),
                ];
                by.map(|(menu, key)| {
                    let text = if key == "address" { &address } else { &session.mac };
                    state.find(menu, &[(key, text)]).is_some()
                })
            };
            assert_eq!(exists(&state), [true; 4], "{version}");
            disconnect(&mut state, session.address, &session.mac);
            assert_eq!(exists(&state), [false; 4], "{version}");
        }
    }

    #[test]
    fn wifi_clients_beyond_the_limit_are_not_listed() {
        let settings = Settings { users: 2500, active: 2500, ..Settings::default() };
        let state = boot::start(settings);
        assert_eq!(state.tables[registrations(&state.settings.version)].len(), MAX_STATIONS);
    }

    #[test]
    fn device_that_connects_again_is_listed_once() {
        let mut state = boot::start(Settings { active: 0, ..Settings::default() });
        let person = Person::nth(1, 3, 10);
        let count = |state: &State| {
            [LEASE, POOL_USED, "/interface/wifi/registration-table"].map(|menu| state.tables[menu].len())
        };
        let before = count(&state);
        for _ in 0..2 {
            connect(&mut state, Ipv4Addr::new(10, 5, 50, 99), &person, Duration::ZERO);
            assert_eq!(count(&state), before.map(|count| count + 1));
        }
    }
}
