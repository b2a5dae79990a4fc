//! PPP sessions, which connect whenever the router is up.

use std::time::Duration;

use super::menus::{INTERFACE, PPP};
use super::rng::mix;
use super::row::Row;
use super::state::{State, ppp_interface};
use super::value::Value;

/// Name, service, caller, address and encryption of each session.
const SESSIONS: [(&str, &str, &str, &str, &str); 6] = [
    ("clinic", "pppoe", "48:A9:8A:3C:10:71", "10.20.0.11", ""),
    ("okafor-flat-2", "pppoe", "74:4D:28:9B:52:0E", "10.20.0.12", ""),
    ("school-lab", "pppoe", "2C:C8:1B:E7:44:93", "10.20.0.13", ""),
    ("cybercafe", "pppoe", "B8:69:F4:06:AD:38", "10.20.0.14", ""),
    ("manager", "l2tp", "203.0.113.77", "10.20.0.15", "cbc(aes) + hmac(sha1)"),
    ("branch", "ovpn", "198.51.100.9", "10.20.0.16", "AES-256-GCM"),
];

pub(super) fn connect(state: &mut State) {
    let (now, uptime) = (state.clock.at(), state.uptime());
    for (n, (name, service, caller, address, encoding)) in (0u64..).zip(SESSIONS) {
        // Each session has its own age, which is not above the router's uptime.
        let random = mix(n ^ state.settings.seed);
        let since = now.saturating_sub(uptime.min(Duration::from_secs(random % 300_000)));
        let session = Row::new()
            .with_fields(&format!("name={name} service={service} caller-id={caller} address={address}"))
            .with("uptime", Value::Since(since))
            .with("encoding", encoding)
            .with("session-id", format!("0x{:x}", 0x8110_0000 + n))
            .with_fields("limit-bytes-in=0 limit-bytes-out=0 radius=false");
        let _ = state.insert(PPP, session);
        state.use_address("ppp", address, "PPP", name);
        let count = |per_second| Value::Count { from: 0, per_second, since };
        let interface = Row::new()
            .with_fields(&format!("name={} type={service}-in mtu=1480", ppp_interface(service, name)))
            .with("link-downs", count(0))
            .with("rx-byte", count(900 + random % 9_000))
            .with("tx-byte", count(9_000 + random % 90_000))
            .with_fields("running=true dynamic=true disabled=false");
        state.upsert(INTERFACE, "name", interface);
    }
}
