//! Trusted proxies: whose `X-Forwarded-For` and `X-Forwarded-Proto` are used, and which client they name.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::config::Network;

/// Most addresses of one `X-Forwarded-For` that are looked at, from the right: more than a request passes proxies.
const MAX_FORWARDED: usize = 16;

/// Whether the log has reported a proxy that is not trusted.
static IS_REPORTED: AtomicBool = AtomicBool::new(false);

/// The proxies that are trusted at present.
#[derive(Debug, Default)]
pub(super) struct TrustedProxies {
    networks: RwLock<Vec<Network>>,
}

/// Whom a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct ClientAddress {
    pub(super) address: IpAddr,
    /// Whether it reached the proxy over HTTPS, if a trusted proxy says so or otherwise.
    pub(super) is_https: Option<bool>,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks from now on, and no others.
    pub(super) fn set(&self, networks: Vec<Network>) {
        *self.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.iter().any(|network| network.contains(address))
    }

    /// Whom a request is from that came over a connection from `peer`, with the values of `X-Forwarded-For` and
    /// `X-Forwarded-Proto`.
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

/// The client that an `X-Forwarded-For` names: the rightmost address that is no trusted proxy. Anybody can write what
/// stands left of it. If all are proxies, it is the leftmost. There is none if what it should be is no address.
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

/// An address, which may have brackets and a port. IPv4 is never mapped IPv6.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether an `X-Forwarded-Proto` says `https`. If several proxies added to it, the first met the client.
fn is_https(forwarded_proto: &str) -> Option<bool> {
    let scheme = forwarded_proto.split(',').next()?.trim();
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    (is("https") || is("http")).then(|| is("https"))
}

/// Whether a proxy of the same owner may have this address: of this host or of a private network.
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
        let head = head::parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{forwarded}\r\n").as_bytes()).unwrap();
        let client = proxies.client(peer.parse().unwrap(), &head.forwarded_for, &head.forwarded_proto);
        (client.address.to_string(), client.is_https)
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        let many = |first: &str, count| format!("{first}{}", ", 10.0.0.2".repeat(count));
        for (forwarded, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:4711", "192.0.2.1"),
            // What a client writes itself stands left of what the proxies add.
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
    fn the_scheme_is_the_one_that_the_first_proxy_met() {
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
    fn nobody_else_is_believed() {
        let fields = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
        for peer in ["11.0.0.1", "127.0.0.1", "192.0.2.9", "2001:db8::1"] {
            assert_eq!(client(peer, fields), (peer.into(), None));
        }
        assert_eq!(client("fd00::1", fields), ("192.0.2.1".into(), Some(true)));
        assert_eq!(client("fd00::1", ""), ("fd00::1".into(), None));
    }
}
