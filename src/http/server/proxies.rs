//! Trusted proxies: their `X-Forwarded-For` and `X-Forwarded-Proto` name the client of a request and its scheme.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::config::Network;

/// Maximum number of addresses of one `X-Forwarded-For` that are checked, from the right: more than any chain of
/// proxies has.
const MAX_FORWARDED: usize = 16;

/// Whether the log has reported a proxy that is not trusted.
static IS_REPORTED: AtomicBool = AtomicBool::new(false);

/// The proxies that are currently trusted.
#[derive(Debug, Default)]
pub(super) struct TrustedProxies {
    networks: RwLock<Vec<Network>>,
}

/// The client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct ClientAddress {
    pub(super) address: IpAddr,
    /// Whether it reached the proxy over HTTPS, if a trusted proxy states the scheme.
    pub(super) is_https: Option<bool>,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks, and no others.
    pub(super) fn set(&self, networks: Vec<Network>) {
        *self.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.iter().any(|network| network.contains(address))
    }

    /// The client of a request from `peer` with these values of `X-Forwarded-For` and `X-Forwarded-Proto`.
    pub(super) fn client(&self, peer: IpAddr, forwarded_for: &str, forwarded_proto: &str) -> ClientAddress {
        let is_forwarded = !forwarded_for.is_empty() || !forwarded_proto.is_empty();
        if !is_forwarded || !self.contain(peer) {
            if is_forwarded && is_private(peer) && !IS_REPORTED.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "peer={peer} msg=\"X-Forwarded-For and X-Forwarded-Proto are ignored. If this is a proxy in front \
                     of the agent, add its address to http.trusted_proxies\""
                );
            }
            return ClientAddress { address: peer, is_https: None };
        }
        let address = origin(forwarded_for, |address| self.contain(address)).unwrap_or(peer);
        ClientAddress { address, is_https: is_https(forwarded_proto) }
    }
}

/// The client that an `X-Forwarded-For` names: the rightmost address that is not a trusted proxy's. Clients can send
/// anything left of it. If all are proxies, it is the leftmost. `None` if the entry is not an address.
fn origin(forwarded_for: &str, is_proxy: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let entries = forwarded_for.rsplit(',').map(str::trim).filter(|entry| !entry.is_empty());
    let mut found = None;
    for entry in entries.take(MAX_FORWARDED) {
        let address = address(entry)?;
        found = Some(address);
        if !is_proxy(address) {
            break;
        }
    }
    found
}

/// An address with or without brackets and a port. IPv4-mapped IPv6 becomes IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether an `X-Forwarded-Proto` is `https`. If several proxies added to it, the first one is the client's.
fn is_https(forwarded_proto: &str) -> Option<bool> {
    let scheme = forwarded_proto.split(',').next()?.trim();
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    (is("https") || is("http")).then(|| is("https"))
}

/// Whether the address is of this host or of a private network, as that of the operator's own proxy.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::head;
    use super::*;

    fn client(peer: &str, forwarded: &str) -> (String, Option<bool>) {
        let proxies = TrustedProxies::default();
        proxies.set(["10.0.0.0/8", "fd00::/8"].into_iter().filter_map(Network::read).collect());
        let peer = peer.parse().unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{forwarded}\r\n");
        let head = head::parse(head.as_bytes(), peer).unwrap();
        let client = proxies.client(peer, &head.forwarded_for, &head.forwarded_proto);
        (client.address.to_string(), client.is_https)
    }

    #[test]
    fn the_rightmost_address_that_is_not_a_proxy_is_the_client() {
        let many = |first: &str, count| format!("{first}{}", ", 10.0.0.2".repeat(count));
        for (forwarded, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:4711", "192.0.2.1"),
            // Proxies append to what the client sends.
            ("198.51.100.9, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.9,192.0.2.1,10.0.0.2 , fd00::2", "192.0.2.1"),
            ("192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1"),
            ("garbage, 192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, , ", "192.0.2.1"),
            // All are proxies.
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            (&many("192.0.2.1", 15), "192.0.2.1"),
            (&many("192.0.2.1", 16), "10.0.0.2"),
            // Not an address: the proxy's own counts.
            ("", "10.0.0.1"),
            (",", "10.0.0.1"),
            ("unknown", "10.0.0.1"),
            ("192.0.2.1, garbage", "10.0.0.1"),
            ("garbage, 10.0.0.2", "10.0.0.1"),
            ("192.0.2.1 198.51.100.9", "10.0.0.1"),
            ("192.0.2", "10.0.0.1"),
            ("192.0.2.1:x", "10.0.0.1"),
            ("[2001:db8::1", "10.0.0.1"),
            ("\"[2001:db8::1]\"", "10.0.0.1"),
            ("\u{e9}", "10.0.0.1"),
        ] {
            let fields = format!("X-Forwarded-For: {forwarded}\r\n");
            assert_eq!(client("10.0.0.1", &fields), (expected.into(), None), "{forwarded}");
        }
        // Several lines are one list.
        let fields =
            "X-Forwarded-For: 198.51.100.9\r\nx-forwarded-for: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n";
        assert_eq!(client("10.0.0.1", fields).0, "192.0.2.1");
    }

    #[test]
    fn the_scheme_is_the_first_one_of_the_list() {
        for (forwarded, expected) in [
            ("https", Some(true)),
            ("HTTPS", Some(true)),
            ("http", Some(false)),
            ("https, http", Some(true)),
            ("http,https", Some(false)),
            ("", None),
            ("wss", None),
            ("httpsx", None),
        ] {
            let fields = format!("X-Forwarded-Proto: {forwarded}\r\n");
            assert_eq!(client("10.0.0.1", &fields), ("10.0.0.1".into(), expected), "{forwarded}");
        }
    }

    #[test]
    fn forwarded_fields_of_other_peers_are_ignored() {
        let fields = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
        for peer in ["11.0.0.1", "127.0.0.1", "192.0.2.9", "2001:db8::1"] {
            assert_eq!(client(peer, fields), (peer.into(), None));
        }
        assert_eq!(client("fd00::1", fields), ("192.0.2.1".into(), Some(true)));
        assert_eq!(client("fd00::1", ""), ("fd00::1".into(), None));
    }
}
