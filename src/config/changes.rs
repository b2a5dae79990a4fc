//! The difference between two configurations, and how each site applies it.

use std::fmt;
use std::sync::Arc;

use super::load::Config;
use super::site::Site;

/// Maximum number of sites that a log line names.
const MAX_NAMED: usize = 10;

/// How a site applies a change of its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Keep the connection: another name, refresh time or timeout, other plugins.
    InPlace,
    /// Connect again: another order of hosts, other credentials or another kind of TLS.
    Reconnect,
    /// Forget all data and connect again: all hosts are new, so it may be another router.
    Restart,
}

impl Site {
    /// The change from this configuration to `new`; `None` if they are equal.
    pub fn change_to(&self, new: &Self) -> Option<Change> {
        if !self.hosts.iter().any(|host| new.hosts.contains(host)) {
            Some(Change::Restart)
        } else if self.connection() != new.connection() {
            Some(Change::Reconnect)
        } else {
            (self != new).then_some(Change::InPlace)
        }
    }

    /// The fields that a connection depends on.
    fn connection(&self) -> impl PartialEq {
        (&self.hosts, self.credentials(), self.login, &self.tls, &self.pins)
    }
}

/// The difference between two configurations.
#[expect(clippy::struct_excessive_bools, reason = "one for each section of the file")]
#[derive(Debug, PartialEq)]
pub struct Changes<'c> {
    /// Whether anything in `http` changed.
    pub http: bool,
    /// Whether anything in `history` changed.
    pub history: bool,
    /// Whether anything in `alerts` changed.
    pub alerts: bool,
    /// The keys of removed sites.
    pub removed: Vec<&'c str>,
    /// New sites.
    pub added: Vec<&'c Arc<Site>>,
    /// Changed sites, as they are now.
    pub changed: Vec<(&'c Arc<Site>, Change)>,
    /// Whether the sites in both configurations are in another order.
    pub is_reordered: bool,
    /// Whether the limits of the journal changed.
    pub journal: bool,
}

impl<'c> Changes<'c> {
    /// Compares two configurations.
    pub fn between(old: &'c Config, new: &'c Config) -> Self {
        let site = |config: &'c Config, key: &str| config.sites.iter().find(|site| site.key == key);
        let keys = |config: &'c Config| config.sites.iter().map(|site| site.key.as_str());
        let common = |config: &'c Config, other: &'c Config| {
            keys(config).filter(|key| site(other, key).is_some()).collect::<Vec<_>>()
        };
        let change = |new: &'c Arc<Site>| Some((new, site(old, &new.key)?.change_to(new)?));
        Self {
            http: old.http != new.http,
            history: old.history != new.history,
            alerts: old.alerts != new.alerts,
            removed: keys(old).filter(|key| site(new, key).is_none()).collect(),
            added: new.sites.iter().filter(|new| site(old, &new.key).is_none()).collect(),
            changed: new.sites.iter().filter_map(change).collect(),
            is_reordered: common(old, new) != common(new, old),
            journal: old.journal != new.journal,
        }
    }
}

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added: Vec<&str> = self.added.iter().map(|site| site.key.as_str()).collect();
        let changed: Vec<&str> = self.changed.iter().map(|(site, _)| site.key.as_str()).collect();
        let mut parts = Vec::new();
        for (verb, keys) in [("added", &added), ("changed", &changed), ("removed", &self.removed)] {
            let named = keys[..keys.len().min(MAX_NAMED)].join(", ");
            match keys.len().saturating_sub(MAX_NAMED) {
                _ if keys.is_empty() => {}
                0 => parts.push(format!("{verb} {named}")),
                more => parts.push(format!("{verb} {named} and {more} more")),
            }
        }
        let sections = [
            (self.http, "changed http"),
            (self.alerts, "changed alerts"),
            (self.history, "changed history"),
            (self.journal, "changed journal"),
        ];
        for (is_changed, section) in sections {
            if is_changed {
                parts.push(section.into());
            }
        }
        if parts.is_empty() {
            parts.push(if self.is_reordered { "sites reordered" } else { "nothing changed" }.into());
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{HistoryConfig, Host, Http, Secret};
    use crate::net::tls::{Fingerprint, Tls};
    use crate::routeros::login::LoginMethod;

    fn host(name: &str) -> Host {
        Host { name: name.into(), port: 8728 }
    }

    fn site(key: &str) -> Site {
        Site::new(key, vec![host("a"), host("b")], "user", Secret::new("secret".into()))
    }

    fn config(sites: &[Site]) -> Config {
        Config { sites: sites.iter().cloned().map(Arc::new).collect(), ..Config::default() }
    }

    #[test]
    fn a_change_causes_no_more_than_necessary() {
        use Change::{InPlace, Reconnect, Restart};
        let of = site("awka");
        let pin: Fingerprint = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        for (new, expected) in [
            (of.clone(), None),
            (Site { name: "Awka".into(), ..of.clone() }, Some(InPlace)),
            (Site { group: Some("East".into()), ..of.clone() }, Some(InPlace)),
            (Site { refresh: Duration::from_secs(1), ..of.clone() }, Some(InPlace)),
            (Site { connect_timeout: Duration::from_secs(1), ..of.clone() }, Some(InPlace)),
            (Site { query_timeout: Duration::from_secs(1), ..of.clone() }, Some(InPlace)),
            (Site { live: false, ..of.clone() }, Some(InPlace)),
            (
                Site {
                    codepage: crate::routeros::codepage::Codepage::named("cp1251").unwrap(),
                    ..of.clone()
                },
                Some(InPlace),
            ),
            (Site { plugins: Vec::new(), ..of.clone() }, Some(InPlace)),
            (Site { user: "other".into(), ..of.clone() }, Some(Reconnect)),
            (Site { password: Secret::new("other".into()), ..of.clone() }, Some(Reconnect)),
            (Site { login: LoginMethod::Challenge, ..of.clone() }, Some(Reconnect)),
            (Site { tls: Tls::Pin(pin), ..of.clone() }, Some(Reconnect)),
            (Site { pins: vec![pin, pin], ..of.clone() }, Some(Reconnect)),
            (Site { hosts: vec![host("b"), host("a")], ..of.clone() }, Some(Reconnect)),
            (Site { hosts: vec![host("b")], ..of.clone() }, Some(Reconnect)),
            (Site { hosts: vec![host("c")], ..of.clone() }, Some(Restart)),
            (Site { hosts: vec![Host { port: 1, ..host("a") }], ..of.clone() }, Some(Restart)),
        ] {
            assert_eq!(of.change_to(&new), expected, "{new:?}");
        }
        let in_utf_8 = Site { user: "é".into(), ..of };
        let in_1252 = Site { login_codepage: Some(in_utf_8.codepage), ..in_utf_8.clone() };
        assert_eq!(in_utf_8.change_to(&in_1252), Some(Reconnect), "the login sends other bytes");
    }

    #[test]
    fn changes_are_summarized() {
        let [a, b, c] = ["a", "b", "c"].map(site);
        let renamed = Site { name: "B".into(), ..b.clone() };
        let moved = Site { hosts: vec![host("c")], ..c.clone() };
        let base = config(&[a.clone(), b.clone()]);
        for (new, expected) in [
            (config(&[a.clone(), b.clone()]), "nothing changed"),
            (config(&[b.clone(), a.clone()]), "sites reordered"),
            (config(&[a.clone(), b.clone(), c.clone()]), "added c"),
            (config(&[c.clone(), b.clone(), a.clone()]), "added c"),
            (config(std::slice::from_ref(&b)), "removed a"),
            (config(&[]), "removed a, b"),
            (config(&[a.clone(), renamed.clone()]), "changed b"),
            (config(&[moved.clone(), renamed.clone()]), "added c; changed b; removed a"),
            (
                Config { http: Http { max_connections: 64, ..Http::default() }, ..base.clone() },
                "changed http",
            ),
            (Config { journal: None, ..base.clone() }, "changed journal"),
            (Config { history: HistoryConfig { memory: 1 }, ..base.clone() }, "changed history"),
        ] {
            assert_eq!(Changes::between(&base, &new).to_string(), expected);
        }
        let many: Vec<Site> = (0..12).map(|n| site(&format!("s{n}"))).collect();
        let summary = Changes::between(&config(&[]), &config(&many)).to_string();
        assert_eq!(summary, "added s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 2 more");
        let (old, new) = (config(&[a, b, c]), config(&[renamed, moved]));
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.changed.len(), 2);
        assert!(!changes.is_reordered);
    }
}
