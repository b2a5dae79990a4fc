//! `sites.ron`: which routers, how to log in to them, how the agent is reached.
//!
//! [`load`] takes the whole file or nothing: every problem comes back at once, each
//! with its place, what was found and what was expected.

mod file;
mod model;
mod secret;

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::plugin;
use crate::routeros::login::Method;
use crate::routeros::value::Encoding;
pub use file::Problem;
use file::{Fields, Node, Reader, unknown};
pub use model::{API_PORT, Config, Host, Http, Site};
pub use secret::Secret;
use secret::{MAX_SECRET_FILE, Source};

/// Longest file taken, in bytes: a thousand sites take a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Longest site key, in characters.
const MAX_KEY: usize = 40;

/// Least and most that each duration may be. A refresh more often than each second costs
/// a small router more than it shows; the upper ends only catch a mistyped unit.
const REFRESH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));

/// Range of `max_connections`: fewer could lock its own admin out, and each costs a descriptor.
const CONNECTIONS: (usize, usize) = (16, 65_536);

/// Every problem of a configuration, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if at > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Where variables of the environment come from; a test has its own.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The process's own environment.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads, parses and checks a file.
///
/// # Errors
///
/// All that is wrong with it, and with the secrets and variables it names.
pub fn load(path: &Path, environment: Environment) -> Result<Config, Problems> {
    let text = read_text(path, MAX_FILE)
        .map_err(|message| Problems(vec![Problem::elsewhere(path.display().to_string(), message)]))?;
    parse(path, &text, environment)
}

/// Checks the text of a file that lies at `path`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(path: &Path, text: &str, environment: Environment) -> Result<Config, Problems> {
    let mut check = Check { reader: Reader::new(path, text), environment };
    let config = check.config();
    match config {
        Some(config) if check.reader.problems.is_empty() => Ok(config),
        _ => {
            let mut problems = check.reader.problems;
            problems.sort_by_key(|problem| problem.offset);
            Err(Problems(problems))
        }
    }
}

fn read_text(path: &Path, most: u64) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| format!("can't be read: {error}"))?;
    file.take(most + 1).read_to_string(&mut text).map_err(|error| format!("can't be read: {error}"))?;
    if text.len() as u64 > most {
        return Err(format!("is longer than the {most} bytes that are taken"));
    }
    Ok(text)
}

/// What may stand in `defaults` and on a site.
#[derive(Default)]
struct Common {
    user: Option<String>,
    refresh: Option<Duration>,
    connect_timeout: Option<Duration>,
    query_timeout: Option<Duration>,
    live: Option<bool>,
    collect: Option<Vec<String>>,
}

const COMMON: [&str; 6] = ["user", "refresh", "connect_timeout", "query_timeout", "live", "collect"];
const SITE: [&str; 6] = ["name", "hosts", "password", "login", "codepage", "tls"];
const HTTP: [&str; 6] = ["listen", "title", "view", "admin", "tls", "max_connections"];
const ROOT: [&str; 3] = ["http", "defaults", "sites"];

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

/// One check of one file.
struct Check<'f, 'e> {
    reader: Reader<'f>,
    environment: Environment<'e>,
}

impl<'f> Check<'f, '_> {
    fn config(&mut self) -> Option<Config> {
        let root = self.reader.root()?;
        let fields = self.reader.fields("the file", root, &ROOT);
        let http = fields.get("http").map(|node| self.http(node)).unwrap_or_default();
        let defaults = fields.get("defaults").map(|node| {
            let fields = self.reader.fields("defaults", node, &COMMON);
            self.common(&fields)
        });
        let Some(sites) = fields.get("sites") else {
            self.reader
                .problem(root, "sites: missing; expected sites: { \"awka\": (hosts: [\"10.0.1.1\"], …) }");
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
        if let Some(node) = fields.get("tls") {
            self.reader.problem(
                node,
                "tls: this version serves plain HTTP only; leave it out, and let a proxy in front serve HTTPS",
            );
        }
        Http {
            listen: listen.unwrap_or(default.listen),
            title: title.unwrap_or(default.title),
            view,
            admin,
            max_connections: max_connections.unwrap_or(default.max_connections),
        }
    }

    /// A token: a secret that is not empty, for an empty one would let everybody in.
    fn token(&mut self, name: &str, node: Node<'f>, source: Source) -> Option<Secret> {
        let secret = self.fetch(name, node, source)?;
        if secret.expose().is_empty() {
            self.reader.problem(node, format!("{name}: the token is empty; expected a long random text"));
            return None;
        }
        Some(secret)
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
            collect: fields.get("collect").map(|node| self.collect(node)),
        }
    }

    fn collect(&mut self, node: Node<'f>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let nodes = self.reader.list("collect", node);
        if nodes.is_empty() {
            self.reader.unexpected("collect", node, "at least one plugin, such as [\"hotspot\"]");
        }
        for node in nodes {
            let Some(name) =
                self.text("collect", node, "the name of a plugin", |text| Some(text.to_string()))
            else {
                continue;
            };
            if !plugin::BUILT_IN.contains(&name.as_str()) {
                let message =
                    unknown(&format!("collect: no plugin is named {name:?}"), &name, &plugin::BUILT_IN);
                self.reader.problem(node, message);
            } else if names.contains(&name) {
                self.reader.problem(node, format!("collect: {name:?} stands twice; expected it once"));
            }
            names.push(name);
        }
        names
    }

    fn sites(&mut self, node: Node<'f>, defaults: &Common) -> Vec<Arc<Site>> {
        let mut sites = Vec::new();
        let mut keys = HashSet::new();
        let expected = format!(
            "letters, digits, - and _, up to {MAX_KEY} of them, in quotes (\"stats\" is taken by /api/hotspot/stats)"
        );
        for (key, node) in self.reader.entries("sites", node) {
            let key_of = |text: &str| is_key(text).then(|| text.to_string());
            let name = self.text("site", key, &expected, key_of);
            if let Some(name) = &name
                && !keys.insert(name.clone())
            {
                self.reader.problem(key, format!("the site {name:?} stands twice; expected each key once"));
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
        let hosts = self.hosts(key, node, &fields);
        let password = self.password(key, node, &fields);
        let login = fields.get("login").and_then(|node| {
            self.reader.value("login", node, "Plain, or Challenge for RouterOS before 6.43")
        });
        let codepage = fields.get("codepage").and_then(|node| {
            let expected = "the name of a code page, such as \"windows-1251\"";
            self.text("codepage", node, expected, |text| Encoding::for_label(text.as_bytes()))
        });
        if let Some(node) = fields.get("tls")
            && !node.is("Off")
        {
            self.reader
                .problem(node, "tls: this version speaks the plain API only; expected Off, or nothing");
        }
        let common = self.common(&fields);
        let user = self.variable(key, "USER").map(|(_, user)| user).or(common.user).or(defaults.user.clone());
        if user.is_none() {
            self.reader
                .problem(node, "user: missing; expected the name of a RouterOS user, here or in `defaults`");
        }
        Some(Site {
            key: key.into(),
            name: name.unwrap_or_else(|| key.into()),
            hosts: hosts?,
            user: user?,
            password: password?,
            login: match login {
                Some(Login::Challenge) => Method::Challenge,
                Some(Login::Plain) | None => Method::Plain,
            },
            codepage: codepage.unwrap_or(encoding_rs::WINDOWS_1252),
            refresh: common.refresh.or(defaults.refresh).unwrap_or(Duration::from_secs(30)),
            connect_timeout: common
                .connect_timeout
                .or(defaults.connect_timeout)
                .unwrap_or(Duration::from_secs(10)),
            query_timeout: common.query_timeout.or(defaults.query_timeout).unwrap_or(Duration::from_secs(5)),
            live: common.live.or(defaults.live).unwrap_or(true),
            collect: common
                .collect
                .or_else(|| defaults.collect.clone())
                .unwrap_or_else(|| plugin::BUILT_IN.map(Into::into).into()),
        })
    }

    /// The hosts of the file, or the one of the environment, with the environment's port.
    fn hosts(&mut self, key: &str, site: Node<'f>, fields: &Fields<'f>) -> Option<Vec<Host>> {
        const EXPECTED: &str = "a host, host:port or [IPv6]:port, such as \"10.0.1.1\" or \"10.0.1.1:8728\"";
        let mut hosts = Vec::new();
        if let Some((variable, host)) = self.variable(key, "HOST") {
            match host.parse() {
                Ok(host) => hosts.push(host),
                Err(()) => self.elsewhere(variable, format!("found {host:?}; expected {EXPECTED}")),
            }
        } else if let Some(node) = fields.get("hosts") {
            let nodes = self.reader.list("hosts", node);
            if nodes.is_empty() {
                self.reader.unexpected("hosts", node, "at least one host, such as [\"10.0.1.1\"]");
            }
            for node in nodes {
                hosts.extend(self.text("hosts", node, EXPECTED, |text| text.parse::<Host>().ok()));
            }
        } else {
            self.reader.problem(
                site,
                "hosts: missing; expected the router's address, such as hosts: [\"10.0.1.1\"]",
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
        if let Some((_, password)) = self.variable(key, "PASSWORD") {
            return Some(Secret::new(password));
        }
        let Some(node) = fields.get("password") else {
            self.reader.problem(site, format!("password: missing; expected {A_SECRET}"));
            return None;
        };
        let source = self.reader.secret("password", node, A_SECRET)?;
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
                read_text(&path, MAX_SECRET_FILE)
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
        let name = format!("MIKROTIK_{}_{what}", key.to_ascii_uppercase().replace('-', "_"));
        let value = (self.environment)(&name)?;
        Some((name, value))
    }

    fn elsewhere(&mut self, place: String, message: String) {
        self.reader.problems.push(Problem::elsewhere(place, message));
    }

    fn duration(
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
    fn text<T>(
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

fn is_key(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && text != "stats"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment = |name: &str| {
            variables.iter().find_map(|(known, value)| (*known == name).then(|| (*value).to_string()))
        };
        parse(Path::new("sites.ron"), text, &environment).map_err(|problems| problems.to_string())
    }

    const AWKA: &str =
        r#"(sites: {"awka": (hosts: ["10.0.1.1"], user: "api-user", password: Plain("hunter2"))})"#;

    #[test]
    fn defaults_fill_in_what_is_left_out() {
        let config = parse_with(AWKA, &[]).unwrap();
        assert_eq!(config.http, Http::default());
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
        let site = &config.sites[0];
        assert_eq!((site.key.as_str(), site.name.as_str(), site.user.as_str()), ("awka", "awka", "api-user"));
        assert_eq!(site.hosts, [Host { name: "10.0.1.1".into(), port: 8728 }]);
        assert_eq!(site.password.expose(), "hunter2");
        assert_eq!((site.refresh, site.connect_timeout), (Duration::from_secs(30), Duration::from_secs(10)));
        assert_eq!(
            (site.query_timeout, site.live, site.login),
            (Duration::from_secs(5), true, Method::Plain)
        );
        assert_eq!(site.collect, ["hotspot", "resource", "health"]);
    }

    #[test]
    fn a_site_stands_over_defaults_and_the_environment_over_both() {
        let text = r#"
            // A comment first.
            (
                http: (listen: "[::1]:0", title: "Hotspots", view: Token(Env("VIEW")), admin: Token(Plain("t")),
                       max_connections: 64),
                defaults: (user: "a", refresh: "10s", query_timeout: "2s", live: false, collect: ["resource"]),
                sites: {
                    "one": (hosts: ["10.0.0.1", "10.0.0.2:1"], password: Plain(""), codepage: "windows-1251"),
                    "two-b": (hosts: ["r"], user: "b", password: Plain("x"), refresh: "1m", login: Challenge,
                              collect: ["hotspot"], tls: Off, name: "Two"),
                },
            )"#;
        let variables = [
            ("VIEW", "look"),
            ("MIKROTIK_TWO_B_HOST", "192.0.2.7"),
            ("MIKROTIK_TWO_B_PORT", "9"),
            ("MIKROTIK_TWO_B_USER", "c"),
            ("MIKROTIK_TWO_B_PASSWORD", "y"),
        ];
        let config = parse_with(text, &variables).unwrap();
        assert_eq!(config.http.view, Some(Secret::new("look".into())));
        assert_eq!(config.http.admin, Some(Secret::new("t".into())));
        assert_eq!((config.http.listen.to_string().as_str(), config.http.max_connections), ("[::1]:0", 64));
        let [one, two] = config.sites.as_slice() else { panic!() };
        assert_eq!((one.user.as_str(), one.refresh, one.live), ("a", Duration::from_secs(10), false));
        assert_eq!((one.hosts.len(), one.hosts[1].port, one.codepage.name()), (2, 1, "windows-1251"));
        assert_eq!(one.collect, ["resource"]);
        assert_eq!((two.user.as_str(), two.password.expose()), ("c", "y"));
        assert_eq!((two.refresh, two.query_timeout), (Duration::from_secs(60), Duration::from_secs(2)));
        assert_eq!((two.login, two.name.as_str()), (Method::Challenge, "Two"));
        assert_eq!(two.hosts, [Host { name: "192.0.2.7".into(), port: 9 }]);
    }

    #[test]
    fn every_problem_comes_at_once_with_its_place() {
        let text = r#"(
    http: (listn: "127.0.0.1:8080", admin: Token(Env("NOT_SET")), max_connections: 3),
    defaults: (refresh: "30x", collect: ["hotspt"], user: "api"),
    sites: {
        "awka": (hosts: ["10.0.1.1:x"], password: Env("GONE"), refresh: "10ms"),
        "awka": (hosts: [], password: 7, colour: "red", name: ""),
        "stats": (hosts: "10.0.1.1"),
        "lagos": 5,
    },
)"#;
        let expected = "\
sites.ron:2:12: unknown field `listn` in http; did you mean `listen`?
sites.ron:2:44: admin: the environment variable NOT_SET is not set
sites.ron:2:84: max_connections: found 3; expected a number from 16 to 65536
sites.ron:3:25: refresh: found \"30x\"; expected a duration from 1s to 1day, such as \"10s\"
sites.ron:3:42: collect: no plugin is named \"hotspt\"; did you mean `hotspot`?
sites.ron:5:26: hosts: found \"10.0.1.1:x\"; expected a host, host:port or [IPv6]:port, such as \"10.0.1.1\" or \"10.0.1.1:8728\"
sites.ron:5:51: password: the environment variable GONE is not set
sites.ron:5:73: refresh: found \"10ms\"; expected a duration from 1s to 1day, such as \"10s\"
sites.ron:6:9: the site \"awka\" stands twice; expected each key once
sites.ron:6:25: hosts: found []; expected at least one host, such as [\"10.0.1.1\"]
sites.ron:6:39: password: this value has another form; expected Plain(\"…\"), Env(\"VARIABLE\") or File(\"path\")
sites.ron:6:42: unknown field `colour` in the site \"awka\"; expected one of name, hosts, password, login, codepage, tls, user, refresh, connect_timeout, query_timeout, live, collect
sites.ron:6:63: name: found \"\"; expected a text of 1 to 100 characters
";
        let problems = parse_with(text, &[]).unwrap_err();
        let heads: String = problems
            .lines()
            .filter(|line| !line.starts_with("    "))
            .flat_map(|line| [line, "\n"])
            .take(2 * expected.lines().count())
            .collect();
        assert_eq!(heads, expected);
        for rest in [
            "sites.ron:7:9: site: found \"stats\"",
            "sites.ron:7:26: hosts: found",
            "sites.ron:8:18: the site",
        ] {
            assert!(problems.contains(rest), "{rest} in {problems}");
        }
        assert!(
            problems.contains("\n            \"lagos\": 5,\n                     ^"),
            "the line: {problems}"
        );
    }

    #[test]
    fn a_file_that_is_not_ron_says_where() {
        for (text, place) in [
            ("", "sites.ron:1:1: not RON"),
            ("(\n  sites: {\n", "sites.ron:2:11: not RON"),
            ("(sites: {\"a\": (hosts: [\"é\" \"b\"])})", "sites.ron:1:28: not RON"),
            ("(sites: {}) trailing", "sites.ron:1:13: not RON"),
            ("5", "sites.ron:1:1: the file: found 5; expected a structure"),
            ("()", "sites.ron:1:1: sites: missing"),
        ] {
            let problems = parse_with(text, &[]).unwrap_err();
            assert!(problems.starts_with(place), "{text:?}: {problems}");
        }
    }

    #[test]
    fn the_place_of_a_problem_is_marked() {
        let problems = parse_with(
            "(\n\tsites: {\n\t\t\"a b\": (hosts: [\"r\"], user: \"u\",\n\n\n password: Plain(\"\")),\n\t},\n)",
            &[],
        );
        let problems = problems.unwrap_err();
        let [_, line, caret] = problems.lines().collect::<Vec<_>>()[..] else { panic!("{problems}") };
        assert_eq!(caret, "    \t\t^");
        assert_eq!(line.find('"'), caret.find('^'));
    }

    #[test]
    fn secrets_come_from_files_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
        let text = AWKA.replace("Plain(\"hunter2\")", "File(\"secret\")");
        let path = folder.path().join("sites.ron");
        let config = parse(&path, &text, &|_| None).unwrap();
        assert_eq!(config.sites[0].password.expose(), "hunter2");
        std::fs::remove_file(folder.path().join("secret")).unwrap();
        let problems = parse(&path, &text, &|_| None).unwrap_err().to_string();
        assert!(
            problems.contains("password: the secret file") && problems.contains("can't be read"),
            "{problems}"
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let config = parse_with(AWKA, &[]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        for broken in ["Plain(hunter2)", "Plan(\"hunter2\")", "\"hunter2\"", "Plain(\"hunter2\", 1)"] {
            let problems = parse_with(&AWKA.replace("Plain(\"hunter2\")", broken), &[]).unwrap_err();
            assert!(!problems.contains("hunter2"), "{problems}");
        }
        let empty = AWKA.replace("(sites", "(http: (admin: Token(Plain(\"\"))), sites");
        assert!(parse_with(&empty, &[]).unwrap_err().contains("the token is empty"));
    }

    #[test]
    fn an_override_that_is_wrong_names_its_variable() {
        for (variable, value, expected) in [
            ("MIKROTIK_AWKA_PORT", "0", "MIKROTIK_AWKA_PORT: found \"0\"; expected a port"),
            ("MIKROTIK_AWKA_HOST", "a b", "MIKROTIK_AWKA_HOST: found \"a b\"; expected a host"),
        ] {
            let problems = parse_with(AWKA, &[(variable, value)]).unwrap_err();
            assert!(problems.starts_with(expected), "{problems}");
        }
    }
}
