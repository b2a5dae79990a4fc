//! A router's host: a name or an address, with a port.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The API's port without TLS.
pub const API_PORT: u16 = 8728;

/// The API's port with TLS.
pub const API_TLS_PORT: u16 = 8729;

/// A host name or address, with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name or an address, without brackets.
    pub name: String,
    /// 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl Host {
    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address. Without a port it is `default_port`.
    /// A link-local IPv6 address is followed by its zone: `fe80::1%eth0`.
    pub fn read(text: &str, default_port: u16) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']')?;
                if !is_ipv6(name) {
                    return None;
                }
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
                (name, port)
            }
            None if is_ipv6(text) => (text, None),
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        if !is_ipv6(name) && name.parse::<Ipv4Addr>().is_err() && !is_host_name(name) {
            return None;
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|&port| port > 0)?,
            None => default_port,
        };
        Some(Self { name: name.into(), port })
    }
}

/// Longest name of a network interface in Linux, in bytes.
const MAX_ZONE: usize = 15;

/// Whether a text is an IPv6 address. A link-local one must have a zone, because connecting needs it.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let is_zone = |zone: &str| {
        (1..=MAX_ZONE).contains(&zone.len())
            && zone.bytes().all(|b| b.is_ascii_graphic() && !b"/%[]".contains(&b))
    };
    address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_unicast_link_local() == zone.is_some())
        && zone.is_none_or(is_zone)
}

/// Whether a host is a link-local address without its zone.
pub(super) fn lacks_zone(host: &str) -> bool {
    let address = host.trim_start_matches('[').split(']').next().unwrap_or_default();
    address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_unicast_link_local())
}

/// Whether a resolver accepts a name: labels of letters, digits, `-` and `_`, the last one not all digits.
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    // 10.0.0.256 is a mistyped address, not a name.
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for (text, expected) in [
            ("10.0.1.1", Some(("10.0.1.1", 8728, "10.0.1.1:8728"))),
            ("10.0.2.1:8729", Some(("10.0.2.1", 8729, "10.0.2.1:8729"))),
            ("router.lan", Some(("router.lan", 8728, "router.lan:8728"))),
            ("awka_1-a.example.:80", Some(("awka_1-a.example.", 80, "awka_1-a.example.:80"))),
            ("[fd00::1]:8729", Some(("fd00::1", 8729, "[fd00::1]:8729"))),
            ("[fd00::1]", Some(("fd00::1", 8728, "[fd00::1]:8728"))),
            ("fd00::1", Some(("fd00::1", 8728, "[fd00::1]:8728"))),
            ("[fe80::1%eth0]:8728", Some(("fe80::1%eth0", 8728, "[fe80::1%eth0]:8728"))),
            ("[fe80::1%2]", Some(("fe80::1%2", 8728, "[fe80::1%2]:8728"))),
            ("fe80::1%br-lan.10", Some(("fe80::1%br-lan.10", 8728, "[fe80::1%br-lan.10]:8728"))),
            ("fe80::1", None),
            ("[fe80::1]:8728", None),
            ("[fe80::1%]:8728", None),
            ("[fe80::1%a b]:8728", None),
            ("[fe80::1%a%b]:8728", None),
            ("[fe80::1%a-name-that-is-too-long]", None),
            ("[fd00::1%eth0]:8728", None),
            ("10.0.1.1%eth0", None),
            ("", None),
            (":8728", None),
            ("10.0.0.256", None),
            ("10.0.1.1:0", None),
            ("10.0.1.1:65536", None),
            ("10.0.1.1:api", None),
            ("10.0.1.1:", None),
            ("[fd00::1]8728", None),
            ("[10.0.1.1]:8728", None),
            ("http://10.0.1.1", None),
            ("10.0.1.1/24", None),
            ("two words", None),
            ("-a.example", None),
            ("a..b", None),
        ] {
            let host = Host::read(text, API_PORT);
            let got = host.as_ref().map(|host| (host.name.as_str(), host.port, host.to_string()));
            assert_eq!(got, expected.map(|(name, port, shown)| (name, port, shown.to_string())), "{text:?}");
        }
        assert_eq!(Host::read("router.lan", API_TLS_PORT).unwrap().to_string(), "router.lan:8729");
    }
}
