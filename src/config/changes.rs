//! What is other in a configuration than in the one before: a pure function of the two.

use std::fmt;
use std::sync::Arc;

use super::{Config, Site};

/// Most sites that a line of the log names.
const NAMED: usize = 10;

/// What a site has to do about a change of its configuration: the least that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Go on over the connection that there is: another name, refresh time or time-out, other plugins.
    InPlace,
    /// Connect anew: the router is reached or logged in to in another way.
    Reconnect,
    /// Forget what was known: all hosts are others, and so may the router be.
    Anew,
}

impl Site {
    /// What it takes to become `new`; nothing where the two are the same.
    #[must_use]
    pub fn change_to(&self, new: &Self) -> Option<Change> {
        if !self.hosts.iter().any(|host| new.hosts.contains(host)) {
            Some(Change::Anew)
        } else if self.way() != new.way() {
            Some(Change::Reconnect)
        } else {
            (self != new).then_some(Change::InPlace)
        }
    }

    /// How its router is reached and logged in to.
    fn way(&self) -> impl PartialEq {
        (&self.hosts, self.credentials(), self.login, &self.tls, &self.pins)
    }
}

/// What is other in a configuration than in the one before.
#[derive(Debug, PartialEq)]
pub struct Changes<'c> {
    /// Whether anything of `http` is.
    pub http: bool,
    /// Keys of the sites that are gone.
    pub removed: Vec<&'c str>,
    /// Sites that were not there.
    pub added: Vec<&'c Arc<Site>>,
    /// Sites that were there and are others now.
    pub changed: Vec<(&'c Arc<Site>, Change)>,
    /// Whether the sites that stay stand in another order.
    pub is_reordered: bool,
}

impl<'c> Changes<'c> {
    /// What makes `new` of `old`.
    #[must_use]
    pub fn between(old: &'c Config, new: &'c Config) -> Self {
        let of = |config: &'c Config, key: &str| config.sites.iter().find(|site| site.key == key);
        let stay = |config: &'c Config, other: &'c Config| {
            let keys = config.sites.iter().map(|site| site.key.as_str());
            keys.filter(move |key| of(other, key).is_some()).collect::<Vec<_>>()
        };
        let changed = new.sites.iter().filter_map(|site| Some((site, of(old, &site.key)?.change_to(site)?)));
        Self {
            http: old.http != new.http,
            removed: old
                .sites
                .iter()
                .map(|site| site.key.as_str())
                .filter(|key| of(new, key).is_none())
                .collect(),
            added: new.sites.iter().filter(|site| of(old, &site.key).is_none()).collect(),
            changed: changed.collect(),
            is_reordered: stay(old, new) != stay(new, old),
        }
    }
}

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added: Vec<&str> = self.added.iter().map(|site| site.key.as_str()).collect();
        let changed: Vec<&str> = self.changed.iter().map(|(site, _)| site.key.as_str()).collect();
        let sites = [("added", &added), ("changed", &changed), ("removed", &self.removed)];
        let mut told: Vec<String> = sites
            .iter()
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(how, keys)| {
                let more = keys.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{how} {}{more}", keys[..keys.len().min(NAMED)].join(", "))
            })
            .collect();
        if self.http {
            told.push("changed http".into());
        }
        if told.is_empty() {
            told.push(if self.is_reordered { "another order of sites" } else { "nothing changed" }.into());
        }
        f.write_str(&told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Host, Http, Secret};
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
    fn each_field_asks_for_the_least_that_serves() {
        use Change::{Anew, InPlace, Reconnect};
        let of = site("awka");
        let pin: Fingerprint = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        for (new, expected) in [
            (of.clone(), None),
            (Site { name: "Awka".into(), ..of.clone() }, Some(InPlace)),
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
            (Site { hosts: vec![host("c")], ..of.clone() }, Some(Anew)),
            (Site { hosts: vec![Host { port: 1, ..host("a") }], ..of.clone() }, Some(Anew)),
        ] {
            assert_eq!(of.change_to(&new), expected, "{new:?}");
        }
        let in_utf_8 = Site { user: "é".into(), ..of };
        let in_1252 = Site { login_codepage: Some(in_utf_8.codepage), ..in_utf_8.clone() };
        assert_eq!(in_utf_8.change_to(&in_1252), Some(Reconnect), "the login sends other bytes");
    }

    #[test]
    fn what_is_other_is_told() {
        let [a, b, c] = ["a", "b", "c"].map(site);
        let renamed = Site { name: "B".into(), ..b.clone() };
        let moved = Site { hosts: vec![host("c")], ..c.clone() };
        let base = config(&[a.clone(), b.clone()]);
        for (new, told) in [
            (config(&[a.clone(), b.clone()]), "nothing changed"),
            (config(&[b.clone(), a.clone()]), "another order of sites"),
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
        ] {
            assert_eq!(Changes::between(&base, &new).to_string(), told);
        }
        let many: Vec<Site> = (0..12).map(|n| site(&format!("s{n}"))).collect();
        let told = Changes::between(&config(&[]), &config(&many)).to_string();
        assert_eq!(told, "added s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 2 more");
        let (old, new) = (config(&[a, b, c]), config(&[renamed, moved]));
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.changed.len(), 2);
        assert!(!changes.is_reordered);
    }
}
