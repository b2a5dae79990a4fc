//! The sections `sites` and `defaults`: the routers, their connections and logins, and the plugins to read.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::alerts::{SiteAlerts, read_site};
use super::document::Node;
use super::environment::{OVERRIDES, override_prefix, site_override};
use super::host::{API_PORT, API_TLS_PORT, Host, lacks_zone};
use super::plugin::Plugins;
use super::secret::Secret;
use super::secret_source;
use super::table::Section;
use super::validator::{FieldValue, Fields, Validator};
use crate::net::tls::{Authorities, Fingerprint, Tls};
use crate::plugin::Plugin;
use crate::routeros::codepage::Codepage;
use crate::routeros::login::LoginMethod;

/// Maximum size of a file of CA certificates, in bytes: a bundle of all public ones has a quarter of it.
const MAX_CA_FILE: u64 = 1024 * 1024;

/// One site: a router, by one address or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// The name in paths, JSON and metrics.
    pub key: String,
    /// The name for people.
    pub name: String,
    /// The heading under which it is on the page.
    pub group: Option<String>,
    /// The router's addresses, in the order to try.
    pub hosts: Vec<Host>,
    /// The RouterOS user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The login method of the router.
    pub login: LoginMethod,
    /// How the connection is secured.
    pub tls: Tls,
    /// The certificate of each host, if they differ; otherwise empty, and `tls` applies to all.
    pub pins: Vec<Fingerprint>,
    /// How to decode text that is not UTF-8.
    pub codepage: &'static Codepage,
    /// How to encode the user and the password; `None`: in UTF-8.
    pub login_codepage: Option<&'static Codepage>,
    /// The time between two refreshes.
    pub refresh: Duration,
    /// For resolving the name and connecting.
    pub connect_timeout: Duration,
    /// For each command, the login included.
    pub query_timeout: Duration,
    /// Whether to follow logins with `listen`.
    pub live: bool,
    /// The plugins to run, in the order of the page.
    pub plugins: Vec<Plugin>,
    /// What is reported.
    pub alerts: SiteAlerts,
}

impl Site {
    /// A site with the defaults for everything else.
    pub fn new(key: &str, hosts: Vec<Host>, user: &str, password: Secret) -> Self {
        let mut check = Validator::without_file();
        let site = from_fields(&mut check, key, &Fields::left_out(Section::Site), &Plugins::default());
        Self { hosts, user: user.into(), password, ..site }
    }

    /// How the connection to a host is secured.
    pub fn tls_of(&self, host: usize) -> Cow<'_, Tls> {
        self.pins.get(host).map_or(Cow::Borrowed(&self.tls), |pin| Cow::Owned(Tls::Pin(*pin)))
    }

    /// The user and the password as the bytes that a login sends. `WinBox` on Windows stores them in the code page of
    /// the computer where they were typed.
    pub fn credentials(&self) -> [Vec<u8>; 2] {
        [&self.user, self.password.expose()].map(|text| {
            // The validator rejects texts that the code page can't encode.
            let encoded = self.login_codepage.and_then(|codepage| codepage.encode(text));
            encoded.unwrap_or_else(|| text.as_bytes().to_vec())
        })
    }
}

/// Reads `defaults`. Problems in it are reported once here, not for each site.
pub(super) fn read_defaults<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    plugins: &Plugins,
) -> Option<Fields<'f>> {
    let before = check.document.count();
    let fields = check.structure(Section::Defaults, "defaults", value.node)?;
    check.scoped("defaults", |check| from_fields(check, "", &fields, plugins));
    Some(if check.document.count() == before { fields } else { fields.invalid() })
}

/// Reads `sites`.
pub(super) fn read_all<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    defaults: &Fields<'f>,
    plugins: &Plugins,
) -> Vec<Arc<Site>> {
    let mut sites = Vec::new();
    let mut keys = HashSet::new();
    let mut prefixes = HashMap::new();
    for (node, site) in check.map(value) {
        let key = check.key("site", node, "stats", " (\"stats\" is taken by /api/hotspot/stats)");
        if let Some(key) = &key {
            if !keys.insert(key.clone()) {
                let message = format!("the site {key:?} is repeated; expected each key once");
                check.document.report(node, &message);
            }
            let twin = prefixes.insert(override_prefix(key), key.clone());
            let variable = || OVERRIDES.iter().find_map(|what| site_override(check.environment, key, what));
            if let Some(twin) = twin.filter(|twin| twin != key)
                && let Some((variable, _)) = variable()
            {
                let message = format!("applies to both sites {twin:?} and {key:?}; rename one of them");
                check.document.report_elsewhere(variable, message);
            }
        }
        // A site with a wrong key is read too, so that all problems are reported at once.
        let part = format!("sites.{}", key.as_deref().unwrap_or("…"));
        let site = check.scoped(&part, |check| read(check, key.as_deref(), site, defaults, plugins));
        sites.extend(site.map(Arc::new));
    }
    sites
}

/// Reads one site, even if its key is wrong.
fn read<'f>(
    check: &mut Validator<'f>,
    key: Option<&str>,
    node: Node<'f>,
    defaults: &Fields<'f>,
    plugins: &Plugins,
) -> Option<Site> {
    let name = key.map_or("this site".into(), |key| format!("the site {key:?}"));
    let key = key.unwrap_or_default();
    let environment = check.environment;
    let overridden = |what: &str| site_override(environment, key, what);
    let is_overridden = |field: &str| match field {
        "hosts" => overridden("HOST").is_some(),
        field => overridden(&field.to_ascii_uppercase()).is_some(),
    };
    let fields = check.structure(Section::Site, &name, node)?.inheriting(defaults);
    check.require(&name, node, &fields, &is_overridden);
    let mut site = from_fields(check, key, &fields, plugins);
    let tls = read_tls(check, &fields);
    let default_port = if matches!(tls, Some((Tls::Off, _))) { API_PORT } else { API_TLS_PORT };
    site.hosts = read_hosts(check, key, &fields, default_port);
    (site.tls, site.pins) = tls.unwrap_or((Tls::Off, Vec::new()));
    if let Some(value) = fields.in_file("tls")
        && !site.hosts.is_empty()
        && ![0, site.hosts.len()].contains(&site.pins.len())
    {
        let found = format!("found {} fingerprints for {} of hosts", site.pins.len(), site.hosts.len());
        check.report(value, &format!("{found}; expected one for each, in their order, or one for all"));
    }
    if let Some(password) = read_password(check, key, &fields) {
        site.password = password;
    }
    if let Some((_, user)) = overridden("USER") {
        site.user = user;
    }
    site.login_codepage = read_login_codepage(check, &fields, &site);
    Some(site)
}

/// Reads the fields that are not needed to reach the router: the optional ones and the user. A value with a problem is
/// replaced by any valid one, because the file is rejected anyway.
fn from_fields<'f>(check: &mut Validator<'f>, key: &str, fields: &Fields<'f>, plugins: &Plugins) -> Site {
    let codepage = fields.get("codepage").and_then(|value| check.parsed(value, Codepage::named));
    Site {
        key: key.into(),
        name: fields.get("name").map_or(Some(key.into()), |value| check.text_of(value)).unwrap_or_default(),
        group: fields.get("group").and_then(|value| check.text_of(value)),
        hosts: Vec::new(),
        user: check.text(fields, "user").unwrap_or_default(),
        password: Secret::new(String::new()),
        login: read_login(check, fields),
        tls: Tls::Off,
        pins: Vec::new(),
        codepage: codepage.unwrap_or(Codepage::WESTERN),
        login_codepage: None,
        refresh: check.duration(fields, "refresh").unwrap_or_default(),
        connect_timeout: check.duration(fields, "connect_timeout").unwrap_or_default(),
        query_timeout: check.duration(fields, "query_timeout").unwrap_or_default(),
        live: check.flag(fields, "live").unwrap_or_default(),
        plugins: plugins.collect(check, fields),
        alerts: read_site(check, fields),
    }
}

/// The code page of the credentials, if the file sets one and they need it.
fn read_login_codepage<'f>(
    check: &mut Validator<'f>,
    fields: &Fields<'f>,
    site: &Site,
) -> Option<&'static Codepage> {
    let value = fields.in_file("codepage")?;
    let codepage = Codepage::named(&value.node.text()?)?;
    let (user, password) = (site.user.as_str(), site.password.expose());
    for (what, text) in [("user", user), ("password", password)] {
        if codepage.encode(text).is_none() {
            let expected = "expected the code page that it was typed in, or none for UTF-8";
            check.report(value, &format!("lacks a character of the {what}; {expected}"));
        }
    }
    Some(codepage).filter(|_| !(user.is_ascii() && password.is_ascii()))
}

fn read_login<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> LoginMethod {
    let Some(value) = fields.get("login") else { return LoginMethod::Plain };
    match value.node.variant() {
        ("Plain", None) => return LoginMethod::Plain,
        ("Challenge", None) => return LoginMethod::Challenge,
        _ => check.reject(value),
    }
    LoginMethod::Plain
}

/// How the connections are secured, and each host's certificate if they differ.
fn read_tls<'f>(check: &mut Validator<'f>, fields: &Fields<'f>) -> Option<(Tls, Vec<Fingerprint>)> {
    let value = fields.get("tls")?;
    match value.node.variant() {
        ("Off", None) => return Some((Tls::Off, Vec::new())),
        ("Pin", Some(argument)) => {
            if let Some(secured) = read_pins(check, argument) {
                return Some(secured);
            }
        }
        ("Ca", Some(argument)) => {
            if let Some(path) = argument.text() {
                let authorities = read_authorities(check, value, &path)?;
                return Some((Tls::Ca(authorities), Vec::new()));
            }
        }
        _ => {}
    }
    check.reject(value);
    None
}

/// Reads the authorities in the PEM file at a path.
pub(super) fn read_authorities<'f>(
    check: &mut Validator<'f>,
    value: FieldValue<'f>,
    path: &str,
) -> Option<Authorities> {
    let file = check.document.relative(Path::new(path));
    let pem = check.document.fingerprints.read_text(&file, MAX_CA_FILE);
    let authorities = pem.and_then(|pem| Authorities::from_pem(&pem));
    authorities.map_err(|error| check.report_file(value, (path, &file), "the Ca file", &error)).ok()
}

/// Reads a fingerprint, which is for all hosts, or a list of one for each.
fn read_pins<'f>(check: &mut Validator<'f>, node: Node<'f>) -> Option<(Tls, Vec<Fingerprint>)> {
    let is_list = node.source().starts_with('[');
    let nodes = if is_list { check.document.values(node) } else { vec![node] };
    let pins: Option<Vec<Fingerprint>> = nodes.iter().map(|node| node.text()?.parse().ok()).collect();
    let mut pins = pins?;
    let tls = Tls::Pin(*pins.first()?);
    if pins.len() == 1 {
        pins.clear();
    }
    Some((tls, pins))
}

/// The hosts of the file, or the one of the environment, with the environment's port. Empty if there was a problem.
fn read_hosts<'f>(check: &mut Validator<'f>, key: &str, fields: &Fields<'f>, default_port: u16) -> Vec<Host> {
    /// A link-local address without its zone is ambiguous.
    const ZONE: &str = "the address with its zone, such as \"[fe80::1%eth0]:8728\"";
    /// A URL is not quoted, because it may contain a password.
    const LOGIN: &str = "found an @, but user and password have fields of their own";
    let expected = |text: &str| match Section::Site.field("hosts") {
        Some(hosts) if !lacks_zone(text) => hosts.expected(),
        _ => ZONE.into(),
    };
    let mut hosts = Vec::new();
    if let Some((variable, text)) = site_override(check.environment, key, "HOST") {
        hosts.extend(Host::read(&text, default_port));
        if hosts.is_empty() {
            let found = if text.contains('@') { LOGIN.into() } else { format!("found {text:?}") };
            check.document.report_elsewhere(variable, format!("{found}; expected {}", expected(&text)));
        }
    } else {
        for value in check.list(fields, "hosts") {
            let Some(text) = check.text_of(value) else { continue };
            match Host::read(&text, default_port) {
                Some(host) => hosts.push(host),
                None if text.contains('@') => {
                    check.report_hidden(value, &format!("{LOGIN}; expected {}", expected(&text)));
                }
                None => check.reject_expecting(value, &expected(&text)),
            }
        }
    }
    if let Some((variable, port)) = site_override(check.environment, key, "PORT") {
        match port.parse() {
            Ok(port) if port > 0 => hosts.iter_mut().for_each(|host| host.port = port),
            _ => {
                let message = format!("found {port:?}; expected a port from 1 to 65535");
                check.document.report_elsewhere(variable, message);
            }
        }
    }
    hosts
}

fn read_password<'f>(check: &mut Validator<'f>, key: &str, fields: &Fields<'f>) -> Option<Secret> {
    let value = fields.get("password");
    // The source in the file is validated although the environment overrides it, because it may be used on another
    // machine.
    let source = value.map(|value| secret_source::read(check, value, Some(value.node)));
    match site_override(check.environment, key, "PASSWORD") {
        Some((_, password)) => Some(Secret::new(password)),
        None => secret_source::fetch(check, value?, source??),
    }
}
