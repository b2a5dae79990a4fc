//! What a good configuration holds, with defaults filled in and secrets fetched.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{Diagnostic, Https, Network, Secret};
use crate::net::tls::{Fingerprint, Tls};
use crate::plugin::{BUILT_IN, Plugin};
use crate::routeros::codepage::Codepage;
use crate::routeros::login::LoginMethod;

/// The whole of `sites.ron`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// How the agent itself is reached.
    pub http: Http,
    /// The sites, in the file's order.
    pub sites: Vec<Arc<Site>>,
    /// What is accepted, but should be changed, in the file's order.
    pub warnings: Vec<Diagnostic>,
}

/// The `http` part.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The page's heading.
    pub title: String,
    /// What a viewer must send; `None`: nothing.
    pub view: Option<Secret>,
    /// What the admin must send; `None`: nobody is.
    pub admin: Option<Secret>,
    /// The page's certificate; `None`: plain HTTP.
    pub tls: Option<Https>,
    /// Most connections at once.
    pub max_connections: usize,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are used.
    pub trusted_proxies: Vec<Network>,
    /// The names that the agent is reached by besides addresses and local names, in lower case without a dot at the
    /// end.
    pub hosts: Vec<String>,
}

/// The warning about [`Http::sends_token_in_clear`]; it belongs to `http`.
pub(super) const TOKEN_IN_CLEAR: &str = "admin: the token crosses the network in clear, for the page is reached from \
    elsewhere by plain HTTP: set http.tls; or listen at 127.0.0.1 behind a proxy that serves HTTPS; or name that proxy in \
    http.trusted_proxies";

impl Config {
    /// Serves the page at another address than the file says.
    pub fn listen_at(&mut self, listen: SocketAddr) {
        self.http.listen = listen;
        let warned = self.warnings.iter().position(|warning| warning.message().ends_with(TOKEN_IN_CLEAR));
        match (self.http.sends_token_in_clear(), warned) {
            (true, None) => {
                let message = format!("http.{TOKEN_IN_CLEAR}");
                self.warnings.push(Diagnostic::elsewhere("--listen", message).warning());
            }
            (false, Some(at)) => drop(self.warnings.remove(at)),
            _ => {}
        }
    }
}

impl Http {
    /// Whether the admin's token may be read on its way: without HTTPS here or at a proxy, from another machine.
    #[must_use]
    pub fn sends_token_in_clear(&self) -> bool {
        self.admin.is_some()
            && self.tls.is_none()
            && self.trusted_proxies.is_empty()
            && !self.listen.ip().is_loopback()
    }

    /// `http` left out of the file.
    #[must_use]
    pub fn default_listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 8080))
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Self::default_listen(),
            title: "PHSWEB hotspots".into(),
            view: None,
            admin: None,
            tls: None,
            max_connections: 512,
            trusted_proxies: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// One site: a router, by one address or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// The name in paths, JSON and metrics.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// Where the router is, in the order to try.
    pub hosts: Vec<Host>,
    /// The RouterOS user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// How the router takes it.
    pub login: LoginMethod,
    /// How the connection is secured.
    pub tls: Tls,
    /// Each host's certificate, in their order, where they differ; else none, and `tls` is that of all.
    pub pins: Vec<Fingerprint>,
    /// How to show text that is not UTF-8.
    pub codepage: &'static Codepage,
    /// How to send the user and the password; `None`: in UTF-8.
    pub login_codepage: Option<&'static Codepage>,
    /// From one refresh to the next.
    pub refresh: Duration,
    /// For resolving the name and connecting.
    pub connect_timeout: Duration,
    /// For each command, the login included.
    pub query_timeout: Duration,
    /// Whether to follow logins with `listen`.
    pub live: bool,
    /// The plugins to run, in the order that they are shown in.
    pub plugins: Vec<Plugin>,
}

impl Site {
    /// A site with the defaults of a file that says no more of it.
    #[must_use]
    pub fn new(key: &str, hosts: Vec<Host>, user: &str, password: Secret) -> Self {
        Self {
            key: key.into(),
            name: key.into(),
            hosts,
            user: user.into(),
            password,
            login: LoginMethod::Plain,
            tls: Tls::Off,
            pins: Vec::new(),
            codepage: Codepage::WESTERN,
            login_codepage: None,
            refresh: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(5),
            live: true,
            plugins: BUILT_IN.into(),
        }
    }

    /// How the connection to a host is secured.
    #[must_use]
    pub fn tls_of(&self, host: usize) -> Cow<'_, Tls> {
        self.pins.get(host).map_or(Cow::Borrowed(&self.tls), |pin| Cow::Owned(Tls::Pin(*pin)))
    }

    /// The user and the password as the bytes that a login sends. `WinBox` on Windows stores them in the code page of
    /// who typed them.
    #[must_use]
    pub fn credentials(&self) -> [Vec<u8>; 2] {
        [&self.user, self.password.expose()].map(|text| {
            // What the code page can't encode is a problem of the file.
            let encoded = self.login_codepage.and_then(|codepage| codepage.encode(text));
            encoded.unwrap_or_else(|| text.as_bytes().to_vec())
        })
    }
}

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
    /// A link-local IPv6 address has its zone behind it: `fe80::1%eth0`.
    #[must_use]
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

/// Whether it is an IPv6 address. A link-local one has the zone that it is in: only with that can it be connected to.
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

/// Whether a host would be right if it had a zone.
pub(super) fn lacks_zone(host: &str) -> bool {
    let address = host.trim_start_matches('[').split(']').next().unwrap_or_default();
    address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_unicast_link_local())
}

/// Whether a resolver could be asked for it: labels of letters, digits, `-` and `_`, not all digits.
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
    fn hosts() {
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
