//! One check of one file: each field against its rule, every problem noted.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::document::{Document, Fields, Node};
use super::fields::{COMMON, HTTP, ROOT, SITE};
use super::fingerprint::is_open_to_all;
use super::model::{
    API_PORT, API_TLS_PORT, Config, Host, Http, Site, TOKEN_IN_CLEAR, is_host_name, lacks_zone,
};
use super::plugins::Plugins;
use super::secret::{MAX_SECRET_FILE, SHORT_TOKEN, Secret, SecretSource, is_short, trimmed};
use super::{Environment, Network, https};
use crate::net::tls::{Authorities, Fingerprint, Tls};
use crate::plugin::Plugin;
use crate::routeros::codepage::Codepage;
use crate::routeros::login::LoginMethod;

/// Longest key of a site or name of a plugin, in characters.
pub(super) const MAX_KEY: usize = 40;

/// Least and most that each duration may be. A refresh more often than each second costs
/// a small router more than it shows; the upper ends only catch a mistyped unit.
const REFRESH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));

/// Longest file of a CA's certificates taken, in bytes: a bundle of all public ones has a quarter of it.
const MAX_CA_FILE: u64 = 1024 * 1024;

/// Range of `max_connections`: fewer could lock its own admin out, and each costs a descriptor.
const CONNECTIONS: (usize, usize) = (16, 65_536);

/// Most networks of trusted proxies: the address of each request is compared with all of them.
const MAX_PROXIES: usize = 64;

/// Most names that the agent is reached by: each request's is compared with all of them.
const MAX_HOSTS: usize = 64;

/// What may stand in `defaults` and on a site.
#[derive(Default)]
struct Common {
    user: Option<String>,
    /// Whether a user is named here, rightly or wrongly.
    has_user: bool,
    refresh: Option<Duration>,
    connect_timeout: Option<Duration>,
    query_timeout: Option<Duration>,
    live: Option<bool>,
    plugins: Option<Vec<Plugin>>,
}

const A_SECRET: &str = "Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")";

#[derive(Deserialize)]
enum View {
    Public,
    Token(SecretSource),
}

#[derive(Deserialize)]
enum Admin {
    Token(SecretSource),
}

#[derive(Deserialize)]
enum Login {
    Plain,
    Challenge,
}

#[derive(Deserialize)]
enum Security {
    Off,
    Pin(OneOrMore),
    Ca(PathBuf),
}

/// A text, or a list of them.
struct OneOrMore(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMore, E> {
                Ok(OneOrMore(vec![text.into()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMore(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

/// How a site's connections are secured, and each host's certificate where they differ.
type Secured = (Tls, Vec<Fingerprint>);

/// One check of one file.
pub(super) struct Validator<'f, 'e> {
    pub(super) reader: Document<'f>,
    pub(super) environment: Environment<'e>,
    /// What the file declares; it is read first, for `collect` may stand anywhere.
    pub(super) plugins: Plugins,
    /// Whether it was warned of secrets in the file itself, which once is enough.
    pub(super) is_warned: bool,
    /// The `http` part, or its defaults, where nothing is wrong with it whatever is with the rest.
    pub(super) http: Option<Http>,
}

impl<'f> Validator<'f, '_> {
    pub(super) fn config(&mut self) -> Option<Config> {
        let root = self.reader.root()?;
        let fields = self.reader.fields("the file", root, &ROOT)?;
        let http = fields.get("http").and_then(|node| self.scoped("http", |check| check.http(node)));
        // A name of a field of the file that is wrong may be meant to be `http`.
        if self.reader.count() == 0 {
            self.http = Some(http.clone().unwrap_or_default());
        }
        if let Some(node) = fields.get("plugins") {
            self.plugins(node);
        }
        let defaults = fields.get("defaults").and_then(|node| {
            let fields = self.reader.fields("defaults", node, &COMMON)?;
            Some(self.scoped("defaults", |check| check.common(&fields)))
        });
        let Some(sites) = fields.get("sites") else {
            if fields.lack("sites") {
                let message = "sites: missing; expected sites: { \"awka\": (hosts: [\"10.0.1.1\"], …) }";
                self.reader.missing(root, message);
            }
            return None;
        };
        let sites = self.sites(sites, &defaults.unwrap_or_default());
        Some(Config { http: http.unwrap_or_default(), sites, ..Config::default() })
    }

    /// Checks a part of the file, whose name stands before those of its fields in messages.
    pub(super) fn scoped<T>(&mut self, part: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.reader.scope.len();
        self.reader.scope.extend([part, "."]);
        let checked = check(self);
        self.reader.scope.truncate(outer);
        checked
    }

    fn http(&mut self, node: Node<'f>) -> Option<Http> {
        let fields = self.reader.fields("http", node, &HTTP)?;
        let default = Http::default();
        let listen = fields.get("listen").and_then(|node| {
            self.text("listen", node, "an IP address and a port, such as \"127.0.0.1:8080\"", |text| {
                // The zone of a link-local address is a number here, and nothing can listen without one.
                text.parse().ok().filter(|address| match address {
                    SocketAddr::V6(v6) => !v6.ip().is_unicast_link_local() || v6.scope_id() != 0,
                    SocketAddr::V4(_) => true,
                })
            })
        });
        let title = fields.get("title").and_then(|node| {
            let short = |text: &str| (text.chars().count() <= 100).then(|| text.to_string());
            self.text("title", node, "a text of up to 100 characters", short)
        });
        let max_connections = fields.get("max_connections").and_then(|node| {
            let (least, most) = CONNECTIONS;
            let expected = format!("a number from {least} to {most}");
            let count = self.reader.value::<usize>("max_connections", node, &expected)?;
            if count < least || count > most {
                self.reader.unexpected("max_connections", node, &expected);
            }
            Some(count)
        });
        let view = fields.get("view").and_then(|node| {
            let expected = format!("Public or Token({A_SECRET})");
            match self.reader.secret("view", node, &expected)? {
                View::Public => None,
                View::Token(source) => self.token("view", node, source),
            }
        });
        let admin = fields.get("admin").and_then(|node| {
            let Admin::Token(source) = self.reader.secret("admin", node, &format!("Token({A_SECRET})"))?;
            self.token("admin", node, source)
        });
        if let Some(node) = fields.get("admin")
            && admin.is_some()
            && admin == view
        {
            let message =
                "admin: the token is that of http.view, so every viewer is the admin; expected another one";
            self.reader.deprecate(node, message);
        }
        let tls = fields.get("tls").and_then(|node| https::read(&mut self.reader, node));
        let trusted_proxies = fields.get("trusted_proxies").map(|node| {
            const EXPECTED: &str = "an IP address or a network, such as \"127.0.0.1\" or \"10.0.0.0/8\"";
            let nodes = self.up_to(MAX_PROXIES, "trusted_proxies", node, "IP addresses and networks");
            let read = |node| self.text("trusted_proxies", node, EXPECTED, Network::read);
            nodes.into_iter().filter_map(read).collect()
        });
        let hosts = fields.get("hosts").map(|node| {
            const EXPECTED: &str =
                "a host name without a port, such as \"hotspots.example\"; addresses are always accepted";
            let nodes = self.up_to(MAX_HOSTS, "hosts", node, "host names");
            let name = |text: &str| {
                let name = text.strip_suffix('.').unwrap_or(text);
                is_host_name(name).then(|| name.to_ascii_lowercase())
            };
            nodes.into_iter().filter_map(|node| self.text("hosts", node, EXPECTED, name)).collect()
        });
        let http = Http {
            listen: listen.unwrap_or(default.listen),
            title: title.unwrap_or(default.title),
            view,
            admin,
            tls,
            max_connections: max_connections.unwrap_or(default.max_connections),
            trusted_proxies: trusted_proxies.unwrap_or(default.trusted_proxies),
            hosts: hosts.unwrap_or(default.hosts),
        };
        if let Some(node) = fields.get("admin").filter(|_| http.sends_token_in_clear()) {
            self.reader.warn(node, TOKEN_IN_CLEAR);
        }
        Some(http)
    }

    /// A token: a secret that is not empty, for an empty one would let everybody in.
    fn token(&mut self, name: &str, node: Node<'f>, source: SecretSource) -> Option<Secret> {
        let secret = self.fetch(name, node, source)?;
        // What could not stand behind `Authorization: Bearer` would never match.
        let sendable =
            !secret.expose().is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !sendable {
            let message = "expected a long random text of letters, digits and signs, with no space";
            self.reader.missing(node, format!("{name}: the token is empty or can't be sent; {message}"));
        } else if is_short(secret.expose()) {
            self.reader.deprecate(node, format!("{name}: {SHORT_TOKEN}"));
        }
        sendable.then_some(secret)
    }

    fn common(&mut self, fields: &Fields<'f>) -> Common {
        Common {
            has_user: !fields.lack("user"),
            user: fields.get("user").and_then(|node| {
                let filled = |text: &str| (!text.is_empty()).then(|| text.to_string());
                self.text("user", node, "the name of a RouterOS user, in quotes", filled)
            }),
            refresh: self.duration("refresh", fields, REFRESH),
            connect_timeout: self.duration("connect_timeout", fields, TIMEOUT),
            query_timeout: self.duration("query_timeout", fields, TIMEOUT),
            live: fields.get("live").and_then(|node| self.reader.value("live", node, "true or false")),
            plugins: fields.get("collect").map(|node| self.collect(node)),
        }
    }

    fn sites(&mut self, node: Node<'f>, defaults: &Common) -> Vec<Arc<Site>> {
        let mut sites = Vec::new();
        let mut keys = HashSet::new();
        // By what their variables begin with.
        let mut prefixes = HashMap::new();
        let expected = format!(
            "letters, digits, - and _, up to {MAX_KEY} of them, in quotes (\"stats\" is taken by /api/hotspot/stats)"
        );
        for (key, node) in self.reader.entries("sites", node, "{ \"awka\": (hosts: …) }") {
            let key_of = |text: &str| (is_name(text) && text != "stats").then(|| text.to_string());
            let name = self.text("site", key, &expected, key_of);
            if let Some(name) = &name
                && !keys.insert(name.clone())
            {
                self.reader.problem(key, format!("the site {name:?} stands twice; expected each key once"));
            }
            let twin = name.as_ref().and_then(|name| prefixes.insert(prefix(name), name.clone()));
            if let (Some(name), Some(twin)) = (&name, twin)
                && *name != twin
                && let Some((variable, _)) =
                    ["HOST", "PORT", "USER", "PASSWORD"].iter().find_map(|what| self.variable(name, what))
            {
                let message = format!("stands for both sites {twin:?} and {name:?}; rename one of them");
                self.reader.elsewhere(variable, message);
            }
            // Checked even where the key is wrong, so that all problems show at once.
            let part = format!("sites.{}", name.as_deref().unwrap_or("…"));
            let site = self.scoped(&part, |check| check.site(name.as_deref(), node, defaults));
            sites.extend(site.map(Arc::new));
        }
        sites
    }

    /// One site; its key may be wrong.
    fn site(&mut self, key: Option<&str>, node: Node<'f>, defaults: &Common) -> Option<Site> {
        let known: Vec<&str> = SITE.into_iter().chain(COMMON).collect();
        let of = key.map_or("this site".into(), |key| format!("the site {key:?}"));
        let key = key.unwrap_or_default();
        let fields = self.reader.fields(&of, node, &known)?;
        for (name, variable, example) in [
            ("hosts", "HOST", "the router's address, such as hosts: [\"10.0.1.1\"]"),
            ("password", "PASSWORD", &format!("password: {A_SECRET}")),
            ("user", "USER", "user: \"…\", here or in defaults"),
        ] {
            if self.variable(key, variable).is_none() && !(name == "user" && defaults.has_user) {
                self.reader.need(&of, node, &fields, name, example);
            }
        }
        let name = fields.get("name").and_then(|node| {
            let fits = |text: &str| (1..=100).contains(&text.chars().count()).then(|| text.to_string());
            self.text("name", node, "a text of 1 to 100 characters", fits)
        });
        let tls = fields.get("tls").map_or(Some((Tls::Off, Vec::new())), |node| self.tls(node));
        let is_off = tls.as_ref().is_some_and(|(tls, _)| *tls == Tls::Off);
        let hosts = self.hosts(key, &fields, if is_off { API_PORT } else { API_TLS_PORT });
        if let (Some(node), Some((_, pins)), Some(hosts)) = (fields.get("tls"), &tls, &hosts)
            && ![0, hosts.len()].contains(&pins.len())
        {
            let found = format!("found {} fingerprints for {} of hosts", pins.len(), hosts.len());
            self.reader.problem(
                node,
                format!("tls: {found}; expected one for each, in their order, or one for all"),
            );
        }
        let password = self.password(key, &fields);
        let login = fields.get("login").and_then(|node| {
            self.reader.value("login", node, "Plain, or Challenge for RouterOS before 6.43")
        });
        let codepage = fields.get("codepage").and_then(|node| {
            let expected = "one of \"windows-874\" and \"windows-1250\" to \"windows-1258\"";
            Some((node, self.text("codepage", node, expected, Codepage::named)?))
        });
        let common = self.common(&fields);
        let user = self.variable(key, "USER").map(|(_, user)| user).or(common.user).or(defaults.user.clone());
        if let Some((node, codepage)) = codepage {
            for (what, text) in
                [("user", user.as_deref()), ("password", password.as_ref().map(Secret::expose))]
            {
                if text.is_some_and(|text| codepage.encode(text).is_none()) {
                    let expected = "expected the code page that it was typed in, or none for UTF-8";
                    let message = format!("codepage: lacks a character of the {what}; {expected}");
                    self.reader.problem(node, message);
                }
            }
        }
        let codepage = codepage.map(|(_, codepage)| codepage);
        let (hosts, user, password, (tls, pins)) = (hosts?, user?, password?, tls?);
        let is_ascii = user.is_ascii() && password.expose().is_ascii();
        let default = Site::new(key, hosts, &user, password);
        Some(Site {
            name: name.unwrap_or(default.name),
            login: match login {
                Some(Login::Challenge) => LoginMethod::Challenge,
                Some(Login::Plain) | None => default.login,
            },
            tls,
            pins,
            codepage: codepage.unwrap_or(default.codepage),
            login_codepage: codepage.filter(|_| !is_ascii),
            refresh: common.refresh.or(defaults.refresh).unwrap_or(default.refresh),
            connect_timeout: common
                .connect_timeout
                .or(defaults.connect_timeout)
                .unwrap_or(default.connect_timeout),
            query_timeout: common.query_timeout.or(defaults.query_timeout).unwrap_or(default.query_timeout),
            live: common.live.or(defaults.live).unwrap_or(default.live),
            plugins: common.plugins.or_else(|| defaults.plugins.clone()).unwrap_or(default.plugins),
            ..default
        })
    }

    fn tls(&mut self, node: Node<'f>) -> Option<Secured> {
        const EXPECTED: &str = "Off, Pin(\"sha256:…\") with the 64 hexadecimal digits of the certificate's fingerprint, or Ca(\"ca.pem\")";
        match self.reader.value("tls", node, EXPECTED)? {
            Security::Off => Some((Tls::Off, Vec::new())),
            Security::Pin(OneOrMore(texts)) => {
                let pins: Option<Vec<Fingerprint>> = texts.iter().map(|text| text.parse().ok()).collect();
                let secured = pins.and_then(|mut pins| {
                    let tls = Tls::Pin(*pins.first()?);
                    // One is for all hosts.
                    pins.truncate(if pins.len() == 1 { 0 } else { pins.len() });
                    Some((tls, pins))
                });
                if secured.is_none() {
                    self.reader.unexpected("tls", node, EXPECTED);
                }
                secured
            }
            Security::Ca(path) => {
                let file = self.reader.relative(&path);
                let authorities = self.reader.contents.read_text(&file, MAX_CA_FILE);
                let authorities =
                    authorities.and_then(|text| Authorities::from_pem(&text)).map_err(|error| {
                        let message = |file: &str| format!("tls: the Ca file {file} {error}");
                        self.reader.problem_with_file(node, (&path, &file), message);
                    });
                authorities.ok().map(|authorities| (Tls::Ca(authorities), Vec::new()))
            }
        }
    }

    /// The hosts of the file, or the one of the environment, with the environment's port.
    fn hosts(&mut self, key: &str, fields: &Fields<'f>, default_port: u16) -> Option<Vec<Host>> {
        const EXPECTED: &str = "a host, host:port or [IPv6]:port, such as \"10.0.1.1\" or \"10.0.1.1:8728\"";
        /// Of a URL with a login in it nothing is repeated.
        const LOGIN: &str = "found an @, but user and password have fields of their own; expected";
        /// The address says nothing of the network that it is in.
        const ZONE: &str = "the address with its zone, such as \"[fe80::1%eth0]:8728\"";
        let mut hosts = Vec::new();
        if let Some((variable, host)) = self.variable(key, "HOST") {
            match Host::read(&host, default_port) {
                Some(host) => hosts.push(host),
                None if lacks_zone(&host) => {
                    self.reader.elsewhere(variable, format!("found {host:?}; expected {ZONE}"));
                }
                None if host.contains('@') => self.reader.elsewhere(variable, format!("{LOGIN} {EXPECTED}")),
                None => self.reader.elsewhere(variable, format!("found {host:?}; expected {EXPECTED}")),
            }
        } else if let Some(node) = fields.get("hosts") {
            for node in self.reader.list("hosts", node, "at least one host, such as [\"10.0.1.1\"]") {
                let Some(text) = self.reader.value::<String>("hosts", node, EXPECTED) else { continue };
                match Host::read(&text, default_port) {
                    Some(host) => hosts.push(host),
                    None if text.contains('@') => {
                        self.reader.missing(node, format!("hosts: {LOGIN} {EXPECTED}"));
                    }
                    None if lacks_zone(&text) => self.reader.unexpected("hosts", node, ZONE),
                    None => self.reader.unexpected("hosts", node, EXPECTED),
                }
            }
        }
        if let Some((variable, port)) = self.variable(key, "PORT") {
            match port.parse() {
                Ok(port) if port > 0 => hosts.iter_mut().for_each(|host| host.port = port),
                _ => self
                    .reader
                    .elsewhere(variable, format!("found {port:?}; expected a port from 1 to 65535")),
            }
        }
        (!hosts.is_empty()).then_some(hosts)
    }

    fn password(&mut self, key: &str, fields: &Fields<'f>) -> Option<Secret> {
        let source = match fields.get("password") {
            // Checked though the environment stands above it: elsewhere it may not.
            Some(node) => Some((node, self.reader.secret("password", node, A_SECRET)?)),
            None => None,
        };
        if let Some((_, password)) = self.variable(key, "PASSWORD") {
            return Some(Secret::new(password));
        }
        let (node, source) = source?;
        self.fetch("password", node, source)
    }

    /// Gets a secret from where the file says that it is.
    fn fetch(&mut self, name: &str, node: Node<'f>, source: SecretSource) -> Option<Secret> {
        let found = match source {
            SecretSource::Plain(secret) => {
                if !secret.is_empty() {
                    self.warn_of_open_file(name, node);
                }
                Ok(secret)
            }
            // It may be the secret itself, put in the wrong place.
            SecretSource::Env(variable) if !is_variable(&variable) => {
                let told = "what is in Env(…) is no name of a variable; expected letters, digits and _";
                self.reader.missing(node, format!("{name}: {told}"));
                return None;
            }
            SecretSource::Env(variable) => {
                let secret = match (self.environment)(&variable).as_deref().map(trimmed) {
                    None => Err("is not set"),
                    Some("") => Err("is empty"),
                    Some(secret) => Ok(secret.to_string()),
                };
                secret.map_err(|error| {
                    let message =
                        |variable: &str| format!("{name}: the environment variable {variable} {error}");
                    self.reader.problem_with_variable(node, &variable, message);
                })
            }
            SecretSource::File(path) => {
                let file: PathBuf = self.reader.relative(&path);
                let text = self.reader.contents.read_text(&file, MAX_SECRET_FILE);
                if text.is_ok() && is_open_to_all(&file) {
                    let file = file.display();
                    let told =
                        format!("every user of this machine can read the secret file {file}: chmod o-r it");
                    self.reader.warn(node, format!("{name}: {told}"));
                }
                let secret = match text.map(|text| trimmed(&text).to_string()) {
                    // One that is being written is empty for a moment, and would be a wrong password.
                    Ok(secret) if secret.is_empty() => Err("is empty".into()),
                    secret => secret,
                };
                secret.map_err(|error: String| {
                    let message = |file: &str| format!("{name}: the secret file {file} {error}");
                    self.reader.problem_with_file(node, (&path, &file), message);
                })
            }
        };
        found.ok().map(Secret::new)
    }

    /// Warns of a secret in a file that is not for all.
    fn warn_of_open_file(&mut self, name: &str, node: Node<'f>) {
        if !self.is_warned && self.reader.is_open_to_all() {
            self.is_warned = true;
            let told = "every user of this machine can read this file with its secrets: chmod o-r it, or use \
                File(…) or Env(…) instead of Plain(…)";
            self.reader.warn(node, format!("{name}: {told}"));
        }
    }

    /// The variable that overrides the file for this site, and its value.
    fn variable(&self, key: &str, what: &str) -> Option<(String, String)> {
        let name = format!("{}_{what}", prefix(key));
        // Set to nothing is what compose files give for a variable that is not set.
        let value = trimmed(&(self.environment)(&name)?).to_string();
        if value.is_empty() {
            return None;
        }
        // In each pod next to a Service `mikrotik-awka`, Kubernetes sets MIKROTIK_AWKA_PORT to its URL.
        if what == "PORT" && value.contains("://") {
            log::info!(
                "site={key} msg=\"{name} is ignored: its value is a URL, as Kubernetes sets it for a Service\""
            );
            return None;
        }
        Some((name, value))
    }

    pub(super) fn duration(
        &mut self,
        name: &str,
        fields: &Fields<'f>,
        (least, most): (Duration, Duration),
    ) -> Option<Duration> {
        let node = fields.get(name)?;
        let expected = format!(
            "a duration from {} to {}, such as \"10s\"",
            humantime::format_duration(least),
            humantime::format_duration(most)
        );
        self.text(name, node, &expected, |text| {
            humantime::parse_duration(text).ok().filter(|duration| (least..=most).contains(duration))
        })
    }

    /// A text in quotes that `read` can make something of.
    pub(super) fn text<T>(
        &mut self,
        name: &str,
        node: Node<'f>,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text: String = self.reader.value(name, node, expected)?;
        let value = read(&text);
        if value.is_none() {
            self.reader.unexpected(name, node, expected);
        }
        value
    }
}

fn is_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What the variables begin with that override a site.
fn prefix(key: &str) -> String {
    format!("MIKROTIK_{}", key.to_ascii_uppercase().replace('-', "_"))
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
