//! What connects by itself once the router is up: PPP sessions and watched hosts.

use std::time::Duration;

use super::menus::{INTERFACE, NETWATCH, PPP};
use super::network::caller_interface;
use super::row::{Row, Value, scramble, unix_s};
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
            let random = scramble(n ^ self.settings.seed);
            let since = now.saturating_sub(up.min(Duration::from_secs(random % 300_000)));
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
                .with("rx-byte", count(900 + random % 9_000))
                .with("tx-byte", count(9_000 + random % 90_000))
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
