//! One check of one file: each field against its rule, every problem noted.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::file::{Fields, Node, Problem, Reader};
use super::model::{API_PORT, API_TLS_PORT, Config, Host, Http, Site};
use super::plugins::{self, Plugins};
use super::secret::{MAX_SECRET_FILE, Secret, Source};
use super::{Environment, https};
use crate::plugin::Plugin;
use crate::routeros::login::Method;
use crate::routeros::tls::{Authorities, Tls};
use crate::routeros::value::Encoding;

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

/// What may stand in `defaults` and on a site.
#[derive(Default)]
struct Common {
    user: Option<String>,
    refresh: Option<Duration>,
    connect_timeout: Option<Duration>,
    query_timeout: Option<Duration>,
    live: Option<bool>,
    plugins: Option<Vec<Arc<dyn Plugin>>>,
}

const COMMON: [&str; 6] = ["user", "refresh", "connect_timeout", "query_timeout", "live", "collect"];
const SITE: [&str; 6] = ["name", "hosts", "password", "login", "codepage", "tls"];
const HTTP: [&str; 6] = ["listen", "title", "view", "admin", "tls", "max_connections"];
const ROOT: [&str; 4] = ["http", "defaults", "sites", "plugins"];

/// The names of all fields.
pub(super) fn names() -> Vec<&'static str> {
    [ROOT.as_slice(), &HTTP, &https::FIELDS, &COMMON, &SITE, &plugins::PLUGIN, &plugins::METRIC].concat()
}

const A_SECRET: &str = "Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")";

#[derive(Deserialize)]
enum View {
    Public,
    Token(Source),
}

#[derive(Deserialize)]
enum Admin {
    Token(Source),
}

#[derive(Deserialize)]
enum Login {
    Plain,
    Challenge,
}

#[derive(Deserialize)]
enum Security {
    Off,
    Pin(String),
    Ca(PathBuf),
}

/// One check of one file.
pub(super) struct Check<'f, 'e> {
    pub(super) reader: Reader<'f>,
    pub(super) environment: Environment<'e>,
    /// What the file declares; it is read first, for `collect` may stand anywhere.
    pub(super) plugins: Plugins,
}

impl<'f> Check<'f, '_> {
    pub(super) fn config(&mut self) -> Option<Config> {
        let root = self.reader.root()?;
        let fields = self.reader.fields("the file", root, &ROOT);
        let http = fields.get("http").map(|node| self.http(node)).unwrap_or_default();
        if let Some(node) = fields.get("plugins") {
            self.plugins(node);
        }
        let defaults = fields.get("defaults").map(|node| {
            let fields = self.reader.fields("defaults", node, &COMMON);
            self.common(&fields)
        });
        let Some(sites) = fields.get("sites") else {
            self.reader
                .missing(root, "sites: missing; expected sites: { \"awka\": (hosts: [\"10.0.1.1\"], …) }");
            return None;
        };
        let sites = self.sites(sites, &defaults.unwrap_or_default());
        Some(Config { http, sites })
    }

    fn http(&mut self, node: Node<'f>) -> Http {
        let fields = self.reader.fields("http", node, &HTTP);
        let default = Http::default();
        let listen = fields.get("listen").and_then(|node| {
            self.text("listen", node, "an address and a port, such as \"127.0.0.1:8080\"", |text| {
                text.parse::<SocketAddr>().ok()
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
        let tls = fields.get("tls").and_then(|node| https::read(&mut self.reader, node));
        Http {
            listen: listen.unwrap_or(default.listen),
            title: title.unwrap_or(default.title),
            view,
            admin,
            tls,
            max_connections: max_connections.unwrap_or(default.max_connections),
        }
    }

    /// A token: a secret that is not empty, for an empty one would let everybody in.
    fn token(&mut self, name: &str, node: Node<'f>, source: Source) -> Option<Secret> {
        let secret = self.fetch(name, node, source)?;
        // What could not stand behind `Authorization: Bearer` would never match.
        let sendable =
            !secret.expose().is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !sendable {
            let message = "expected a long random text of letters, digits and signs, with no space";
            self.reader.missing(node, format!("{name}: the token is empty or can't be sent; {message}"));
        }
        sendable.then_some(secret)
    }

    fn common(&mut self, fields: &Fields<'f>) -> Common {
        Common {
            user: fields.get("user").and_then(|node| {
                let filled = |text: &str| (!text.is_empty()).then(|| text.to_string());
                self.text("user", node, "the name of a RouterOS user", filled)
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
        let expected = format!(
            "letters, digits, - and _, up to {MAX_KEY} of them, in quotes (\"stats\" is taken by /api/hotspot/stats)"
        );
        for (key, node) in self.reader.entries("sites", node) {
            let key_of = |text: &str| (is_name(text) && text != "stats").then(|| text.to_string());
            let name = self.text("site", key, &expected, key_of);
            if let Some(name) = &name
                && !keys.insert(name.clone())
            {
                self.reader.problem(key, format!("the site {name:?} stands twice; expected each key once"));
            }
            let twin = sites.iter().find(|site: &&Arc<Site>| {
                name.as_ref().is_some_and(|name| *name != site.key && prefix(name) == prefix(&site.key))
            });
            if let (Some(name), Some(twin)) = (&name, twin)
                && let Some((variable, _)) =
                    ["HOST", "PORT", "USER", "PASSWORD"].iter().find_map(|what| self.variable(name, what))
            {
                let message =
                    format!("stands for both sites {:?} and {name:?}; rename one of them", twin.key);
                self.elsewhere(variable, message);
            }
            // Checked even where the key is wrong, so that all problems show at once.
            let site = self.site(name.as_deref().unwrap_or_default(), node, defaults);
            sites.extend(site.map(Arc::new));
        }
        sites
    }

    fn site(&mut self, key: &str, node: Node<'f>, defaults: &Common) -> Option<Site> {
        let known: Vec<&str> = SITE.into_iter().chain(COMMON).collect();
        let fields = self.reader.fields(&format!("the site {key:?}"), node, &known);
        let name = fields.get("name").and_then(|node| {
            let fits = |text: &str| (1..=100).contains(&text.chars().count()).then(|| text.to_string());
            self.text("name", node, "a text of 1 to 100 characters", fits)
        });
        let tls = fields.get("tls").map_or(Some(Tls::Off), |node| self.tls(node));
        let port = if tls == Some(Tls::Off) { API_PORT } else { API_TLS_PORT };
        let hosts = self.hosts(key, node, &fields, port);
        let password = self.password(key, node, &fields);
        let login = fields.get("login").and_then(|node| {
            self.reader.value("login", node, "Plain, or Challenge for RouterOS before 6.43")
        });
        let codepage = fields.get("codepage").and_then(|node| {
            let expected = "the name of a code page, such as \"windows-1251\"";
            self.text("codepage", node, expected, |text| Encoding::for_label(text.as_bytes()))
        });
        let common = self.common(&fields);
        let user = self.variable(key, "USER").map(|(_, user)| user).or(common.user).or(defaults.user.clone());
        if user.is_none() && fields.get("user").is_none() {
            self.reader.missing(
                node,
                format!("the site {key:?} has no user; expected user: \"…\", here or in defaults"),
            );
        }
        let default = Site::new(key, hosts?, &user?, password?);
        Some(Site {
            name: name.unwrap_or(default.name),
            login: match login {
                Some(Login::Challenge) => Method::Challenge,
                Some(Login::Plain) | None => default.login,
            },
            tls: tls?,
            codepage: codepage.unwrap_or(default.codepage),
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

    fn tls(&mut self, node: Node<'f>) -> Option<Tls> {
        const EXPECTED: &str = "Off, Pin(\"sha256:…\") with the 64 hexadecimal digits of the certificate's fingerprint, or Ca(\"ca.pem\")";
        match self.reader.value("tls", node, EXPECTED)? {
            Security::Off => Some(Tls::Off),
            Security::Pin(text) => {
                let pin = text.parse().ok();
                if pin.is_none() {
                    self.reader.unexpected("tls", node, EXPECTED);
                }
                pin.map(Tls::Pin)
            }
            Security::Ca(path) => {
                let path = self.reader.relative(&path);
                let authorities = self.reader.contents.read_text(&path, MAX_CA_FILE);
                let authorities = authorities.and_then(|text| Authorities::from_pem(&text));
                let told = |error| format!("tls: the Ca file {} {error}", path.display());
                authorities.map_err(|error| self.reader.problem(node, told(error))).ok().map(Tls::Ca)
            }
        }
    }

    /// The hosts of the file, or the one of the environment, with the environment's port.
    fn hosts(
        &mut self,
        key: &str,
        site: Node<'f>,
        fields: &Fields<'f>,
        default_port: u16,
    ) -> Option<Vec<Host>> {
        const EXPECTED: &str = "a host, host:port or [IPv6]:port, such as \"10.0.1.1\" or \"10.0.1.1:8728\"";
        let mut hosts = Vec::new();
        if let Some((variable, host)) = self.variable(key, "HOST") {
            match Host::read(&host, default_port) {
                Some(host) => hosts.push(host),
                None => self.elsewhere(variable, format!("found {host:?}; expected {EXPECTED}")),
            }
        } else if let Some(node) = fields.get("hosts") {
            for node in self.reader.list("hosts", node, "at least one host, such as [\"10.0.1.1\"]") {
                hosts.extend(self.text("hosts", node, EXPECTED, |text| Host::read(text, default_port)));
            }
        } else {
            self.reader.missing(
                site,
                format!("the site {key:?} has no hosts; expected the router's address, such as hosts: [\"10.0.1.1\"]"),
            );
        }
        if let Some((variable, port)) = self.variable(key, "PORT") {
            match port.parse() {
                Ok(port) if port > 0 => hosts.iter_mut().for_each(|host| host.port = port),
                _ => self.elsewhere(variable, format!("found {port:?}; expected a port from 1 to 65535")),
            }
        }
        (!hosts.is_empty()).then_some(hosts)
    }

    fn password(&mut self, key: &str, site: Node<'f>, fields: &Fields<'f>) -> Option<Secret> {
        let source = match fields.get("password") {
            // Checked though the environment stands above it: elsewhere it may not.
            Some(node) => Some((node, self.reader.secret("password", node, A_SECRET)?)),
            None => None,
        };
        if let Some((_, password)) = self.variable(key, "PASSWORD") {
            return Some(Secret::new(password));
        }
        let Some((node, source)) = source else {
            self.reader
                .missing(site, format!("the site {key:?} has no password; expected password: {A_SECRET}"));
            return None;
        };
        self.fetch("password", node, source)
    }

    /// Gets a secret from where the file says that it is.
    fn fetch(&mut self, name: &str, node: Node<'f>, source: Source) -> Option<Secret> {
        let found = match source {
            Source::Plain(secret) => Ok(secret),
            Source::Env(variable) => (self.environment)(&variable)
                .ok_or_else(|| format!("{name}: the environment variable {variable} is not set")),
            Source::File(path) => {
                let path: PathBuf = self.reader.relative(&path);
                self.reader
                    .contents
                    .read_text(&path, MAX_SECRET_FILE)
                    .map(|text| text.trim_end_matches(['\n', '\r']).to_string())
                    .map_err(|error| format!("{name}: the secret file {} {error}", path.display()))
            }
        };
        match found {
            Ok(secret) => Some(Secret::new(secret)),
            Err(message) => {
                self.reader.problem(node, message);
                None
            }
        }
    }

    /// The variable that overrides the file for this site, and its value.
    fn variable(&self, key: &str, what: &str) -> Option<(String, String)> {
        let name = format!("{}_{what}", prefix(key));
        // Set to nothing is what compose files give for a variable that is not set.
        let value = (self.environment)(&name).filter(|value| !value.is_empty())?;
        Some((name, value))
    }

    fn elsewhere(&mut self, place: String, message: String) {
        self.reader.problems.push(Problem::elsewhere(place, message));
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

/// What the variables begin with that override a site.
fn prefix(key: &str) -> String {
    format!("MIKROTIK_{}", key.to_ascii_uppercase().replace('-', "_"))
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
