//! The section `http`: the address, access and certificate of the agent's page.

use std::net::SocketAddr;

use super::document::Node;
use super::host::is_host_name;
use super::https::{self, Https};
use super::network::Network;
use super::secret::Secret;
use super::secret_source;
use super::table::Section;
use super::validator::{Fields, Validator};

/// The section `http`.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The page's heading.
    pub title: String,
    /// The token that a viewer must send; `None`: everybody is a viewer.
    pub view: Option<Secret>,
    /// The token that the admin must send; `None`: nobody is the admin.
    pub admin: Option<Secret>,
    /// Whether `/login?token=TOKEN` logs in. An address is kept in the browser's history, so this is for the random token
    /// of a demo only, and no field of the file.
    pub accepts_login_link: bool,
    /// The page's certificate; `None`: plain HTTP.
    pub tls: Option<Https>,
    /// Maximum number of connections at once.
    pub max_connections: usize,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are used.
    pub trusted_proxies: Vec<Network>,
    /// Names of the agent besides addresses and local names, in lower case without a trailing dot.
    pub hosts: Vec<String>,
}

/// The warning about [`Http::sends_token_in_clear`], a message of `http.admin`.
pub(super) const TOKEN_IN_CLEAR: &str = "the token crosses the network in clear, for the page is reached from \
    elsewhere by plain HTTP: set http.tls; or listen at 127.0.0.1 behind a proxy that serves HTTPS; or name that proxy in \
    http.trusted_proxies";

impl Http {
    /// Whether the admin's token can be read on the network: without HTTPS here or at a proxy, from another machine.
    pub fn sends_token_in_clear(&self) -> bool {
        self.admin.is_some()
            && self.tls.is_none()
            && self.trusted_proxies.is_empty()
            && !self.listen.ip().is_loopback()
    }

    /// The address of a file without `http`.
    pub fn default_listen() -> SocketAddr {
        Self::default().listen
    }
}

impl Default for Http {
    fn default() -> Self {
        from_fields(&mut Validator::without_file(), &Fields::left_out(Section::Http))
    }
}

/// Reads the section. It reports problems; the result is then not used.
pub(super) fn read<'f>(check: &mut Validator<'f>, node: Node<'f>) -> Option<Http> {
    let fields = check.structure(Section::Http, "http", node)?;
    check.scoped("http", |check| {
        let http = from_fields(check, &fields);
        if let Some(admin) = fields.in_file("admin") {
            if http.admin.is_some() && http.admin == http.view {
                let message =
                    "the token is that of http.view, so every viewer is the admin; expected another one";
                check.deprecate(admin, message);
            }
            if http.sends_token_in_clear() {
                check.warn(admin, TOKEN_IN_CLEAR);
            }
        }
        Some(http)
    })
}

fn from_fields<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Http {
    let listen = fields.get("listen").and_then(|value| check.parsed(value, parse_listen));
    let max_connections = check.number(fields, "max_connections").unwrap_or_default();
    let proxies = check.list(fields, "trusted_proxies");
    let hosts = check.list(fields, "hosts");
    Http {
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        title: check.text(fields, "title").unwrap_or_default(),
        view: access_token(check, fields, "view"),
        admin: access_token(check, fields, "admin"),
        accepts_login_link: false,
        tls: fields.in_file("tls").and_then(|value| https::read(check, value)),
        max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX),
        trusted_proxies: proxies.into_iter().filter_map(|value| check.parsed(value, Network::read)).collect(),
        hosts: hosts.into_iter().filter_map(|value| check.parsed(value, parse_host)).collect(),
    }
}

fn parse_listen(text: &str) -> Option<SocketAddr> {
    // The zone of a link-local address is a number here, and is required to listen.
    text.parse().ok().filter(|address| match address {
        SocketAddr::V6(v6) => !v6.ip().is_unicast_link_local() || v6.scope_id() != 0,
        SocketAddr::V4(_) => true,
    })
}

fn parse_host(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    is_host_name(name).then(|| name.to_ascii_lowercase())
}

/// Reads `Token(…)`, or `Public` where the field allows it.
fn access_token<'f>(check: &mut Validator<'f>, fields: &Fields<'f>, name: &str) -> Option<Secret> {
    let value = fields.get(name)?;
    match value.node.variant() {
        ("Public", None) if name == "view" => None,
        ("Token", argument) => secret_source::token(check, value, argument),
        _ => {
            check.reject_kind(value, &value.field.expected());
            None
        }
    }
}
