//! Devices on the network: the hotspot's hosts, their leases, and who is at the radios.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::hardware::{has_radios, radios};
use super::hotspot::{OnlineSession, SERVER};
use super::menus::{HOST, LEASE, USED, registrations};
use super::people::Person;
use super::row::{Row, Value, scramble};
use super::state::State;

/// How long a lease is good for. A device renews it once half of that is over, as RFC 2131 has it.
const LEASE_LIFE: Duration = Duration::from_secs(3600);

/// Most devices at the radios: RouterOS's default for `max-station-count`. Others are at an access point.
const MAX_STATIONS: usize = 2007;

/// What needs no login, at addresses that nobody is given: address, MAC address.
const BYPASSED: [([u8; 4], &str); 3] = [
    ([10, 5, 49, 2], "DC:2C:6E:4A:11:02"),
    ([10, 5, 49, 20], "C4:2F:90:7D:35:B8"),
    ([10, 5, 49, 30], "00:26:AB:91:0C:5E"),
];

/// The office's machines: address, MAC address, name, comment, and when each was last seen that is not there.
const OFFICE: [(&str, &str, &str, &str, Option<&str>); 3] = [
    ("192.168.88.20", "48:8F:5A:03:9D:21", "till-1", "the till", None),
    ("192.168.88.21", "00:1B:A9:5E:70:44", "BRW001BA95E7044", "printer in the office", Some("3w2d4h11m8s")),
    ("192.168.88.22", "28:57:BE:C1:08:F3", "", "camera, not mounted yet", Some("never")),
];

impl State {
    /// A device shows at the hotspot.
    pub(super) fn meet(&mut self, address: Ipv4Addr, mac: &str, age: Duration) {
        let text = address.to_string();
        if self.find(HOST, &[("address", &text), ("mac-address", mac)]).is_some() {
            return;
        }
        let start = self.clock.at().saturating_sub(age);
        let count = |per_second| Value::Count { from: 600, per_second, since: start };
        let host = Row::new()
            .with("mac-address", mac)
            .with("address", text.as_str())
            .with("to-address", text.as_str())
            .with("server", SERVER)
            .with("uptime", Value::Since(start))
            .with("idle-time", Value::Idle { below_s: 9 })
            .with("bytes-in", count(90))
            .with("bytes-out", count(400))
            .with("DHCP", true)
            .with("authorized", false)
            .with("bypassed", false)
            .with("found-by", format!("UDP :137 -> {}:137", Ipv4Addr::BROADCAST));
        let _ = self.insert(HOST, host);
    }

    /// The machines show that go past the hotspot.
    pub(super) fn meet_bypassed(&mut self) {
        for (address, mac) in BYPASSED {
            let address = Ipv4Addr::from(address);
            self.meet(address, mac, self.up());
            self.mark(address, &[("DHCP", false), ("bypassed", true)]);
        }
    }

    /// Whether whoever is at an address is logged in.
    pub(super) fn authorize(&mut self, address: Ipv4Addr, authorized: bool) {
        self.mark(address, &[("authorized", authorized)]);
    }

    fn mark(&mut self, address: Ipv4Addr, flags: &[(&str, bool)]) {
        if let Some(id) = self.find(HOST, &[("address", &address.to_string())]) {
            let values = flags.iter().map(|(key, flag)| ((*key).to_string(), (*flag).into())).collect();
            self.with(HOST, |table, now| table.set(&id, values, now));
        }
    }

    /// The lowest address from this one on that no device has: the next person gets the one that
    /// was left last.
    pub(super) fn free_address(&self, from: Ipv4Addr) -> Ipv4Addr {
        let free = |address: &Ipv4Addr| {
            !matches!(address.octets()[3], 0 | 255)
                && self.find(HOST, &[("address", &address.to_string())]).is_none()
        };
        (from.to_bits()..=u32::MAX).map(Ipv4Addr::from_bits).find(free).unwrap_or(from)
    }

    /// A person's device joins the network: it has a lease, and is at a radio where the board has one.
    pub(super) fn join(&mut self, address: Ipv4Addr, person: &Person, age: Duration) {
        let first = self.clock.at().saturating_sub(age);
        let text = address.to_string();
        let lease = lease(&text, &person.mac, "dhcp1", person.host_name);
        let lease = bound(lease, &text, &person.mac, "dhcp1", first).with("dynamic", true);
        self.replace(LEASE, ("address", &text), lease);
        self.use_address("hs-pool-1", &text, "DHCP", &person.mac);
        let menu = registrations(&self.settings.version);
        let is_full = self.tables.get(menu).is_none_or(|table| table.len() >= MAX_STATIONS);
        if has_radios(&self.settings.board) && !is_full {
            let station = self.station(&person.mac, &text, first);
            self.replace(menu, ("mac-address", &person.mac), station);
        }
    }

    /// The device of a session leaves the network.
    pub(super) fn leave(&mut self, session: &OnlineSession) {
        let address = session.address.to_string();
        let stations = registrations(&self.settings.version);
        for (menu, key, text) in [
            (HOST, "address", &address),
            (LEASE, "address", &address),
            (stations, "mac-address", &session.mac),
        ] {
            if let Some(id) = self.find(menu, &[(key, text)]) {
                self.remove(menu, &id);
            }
        }
    }

    /// The leases that somebody configured.
    pub(super) fn lease_office(&mut self) {
        for (address, mac, name, comment, away) in OFFICE {
            let row = lease(address, mac, "office", name);
            let row = match away {
                None => {
                    self.use_address("office", address, "DHCP", mac);
                    bound(row, address, mac, "office", self.clock.at())
                }
                Some(seen) => row.with("status", "waiting").with("last-seen", seen),
            };
            let _ = self.insert(LEASE, row.with("dynamic", false).with("comment", comment));
        }
    }

    /// An address of a pool is taken.
    pub(super) fn use_address(&mut self, pool: &str, address: &str, owner: &str, info: &str) {
        let used = Row::new().with("pool", pool).with("address", address);
        self.replace(USED, ("address", address), used.with("owner", owner).with("info", info));
    }

    /// Puts a row into a menu, in place of the one there with this text.
    pub(super) fn replace(&mut self, menu: &str, same: (&str, &str), row: Row) {
        let row = match self.find(menu, &[same]) {
            Some(id) => row.id(&id),
            None => row,
        };
        // A full menu takes no more, as it would on a router.
        let _ = self.insert(menu, row);
    }

    /// A device at a radio, as `/interface/wifi` or `/interface/wireless` shows it. Counts are what was
    /// sent to it and what it sent.
    fn station(&self, mac: &str, address: &str, since: Duration) -> Row {
        let random = mac.bytes().fold(self.settings.seed, |random, byte| scramble(random ^ u64::from(byte)));
        let is_fast = random.is_multiple_of(3);
        let radio = radios(&self.settings.version)[usize::from(is_fast)];
        let (to, from) = (9_000 + random % 300_000, 900 + (random >> 20) % 20_000);
        let count = |per_second| Value::Count { from: 1800, per_second, since };
        let both = |to, from| Value::pair(count(to), ",", count(from));
        let around = |middle, swing| Value::Around { middle, swing, decimals: 0 };
        let (bytes, packets) = (both(to, from), both(to / 900 + 1, from / 300 + 1));
        let middle = 48 + (random >> 40) % 32;
        let signal = Value::Joined(vec!["-".into(), around(middle, 3)]);
        let idle = Value::Joined(vec![around(300 + random % 200, 290), "ms".into()]);
        let row = Row::new().with("interface", radio);
        if self.settings.version.has_wifi() {
            // Rates in bits a second.
            let rate = if is_fast { "433300000" } else { "72200000" };
            return row
                .with("ssid", "Hotspot")
                .with("mac-address", mac)
                .with("uptime", Value::Since(since))
                .with("last-activity", idle)
                .with("signal", signal)
                .with("band", if is_fast { "5ghz-ac" } else { "2ghz-n" })
                .with("tx-rate", rate)
                .with("rx-rate", rate)
                .with("packets", packets)
                .with("bytes", bytes)
                .with("tx-bits-per-second", around(to * 8, to))
                .with("rx-bits-per-second", around(from * 8, from))
                .with("authorized", true);
        }
        let rate = if is_fast { "433.3Mbps-80MHz/1S/SGI" } else { "72.2Mbps-20MHz/1S/SGI" };
        row.with("mac-address", mac)
            .with("ap", false)
            .with("wds", false)
            .with("bridge", false)
            .with("rx-rate", rate)
            .with("tx-rate", rate)
            .with("packets", packets)
            .with("bytes", bytes)
            .with("uptime", Value::Since(since))
            .with("last-activity", idle)
            .with("signal-strength", Value::Joined(vec![signal, "@6Mbps".into()]))
            .with("signal-to-noise", around(105 - middle, 3))
            .with("tx-ccq", around(88, 9))
            .with("p-throughput", around(54_928, 3000))
            .with("last-ip", address)
            .with("wmm-enabled", true)
    }
}

fn lease(address: &str, mac: &str, server: &str, host_name: &str) -> Row {
    let row = Row::new()
        .with("address", address)
        .with("mac-address", mac)
        .with("client-id", format!("1:{}", mac.to_lowercase()))
        .with("server", server)
        .with("radius", false)
        .with("blocked", false)
        .with("disabled", false);
    if host_name.is_empty() { row } else { row.with("host-name", host_name) }
}

/// A lease that a device has had since then.
fn bound(lease: Row, address: &str, mac: &str, server: &str, first: Duration) -> Row {
    let every = LEASE_LIFE / 2;
    lease
        .with("status", "bound")
        .with("expires-after", Value::UntilLast { first, every, lasts: LEASE_LIFE })
        .with("last-seen", Value::SinceLast { first, every })
        .with("active-address", address)
        .with("active-mac-address", mac)
        .with("active-server", server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::settings::Settings;

    #[test]
    fn who_leaves_leaves_nothing() {
        for version in ["6.49.10", "7.20.7"] {
            let mut state = State::new(Settings { version: version.parse().unwrap(), ..Settings::default() });
            let stations = registrations(&state.settings.version);
            let session = state.sessions().remove(0);
            // A phone that changed its address shows a second time.
            let twice = state.find(HOST, &[("mac-address", &session.mac), ("authorized", "false")]).unwrap();
            state.remove(HOST, &twice);
            let address = session.address.to_string();
            let there = |state: &State| {
                let by =
                    [(HOST, "address"), (LEASE, "address"), (USED, "address"), (stations, "mac-address")];
                by.map(|(menu, key)| {
                    let text = if key == "address" { &address } else { &session.mac };
                    state.find(menu, &[(key, text)]).is_some()
                })
            };
            assert_eq!(there(&state), [true; 4], "{version}");
            state.leave(&session);
            assert_eq!(there(&state), [false; 4], "{version}");
        }
    }

    #[test]
    fn radios_take_so_many() {
        let settings = Settings { users: 2500, active: 2500, ..Settings::default() };
        let state = State::new(settings);
        assert_eq!(state.tables[registrations(&state.settings.version)].len(), MAX_STATIONS);
    }

    #[test]
    fn who_joins_again_is_there_once() {
        let mut state = State::new(Settings { active: 0, ..Settings::default() });
        let person = Person::nth(1, 3, 10);
        let count = |state: &State| {
            [LEASE, USED, "/interface/wifi/registration-table"].map(|menu| state.tables[menu].len())
        };
        let before = count(&state);
        for _ in 0..2 {
            state.join(Ipv4Addr::new(10, 5, 50, 99), &person, Duration::ZERO);
            assert_eq!(count(&state), before.map(|count| count + 1));
        }
    }
}
