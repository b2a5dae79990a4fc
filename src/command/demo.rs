//! `demo`: the agent over simulated routers, with people coming and going. Needs no file.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::serve::serve;
use super::{Failure, Signals, at_simulator, say, simulated};
use crate::config::{Config, Diagnostic, Http, SHORT_TOKEN, Secret, Site, is_short};
use crate::simulator;
use crate::timings::Timings;

/// Options of `demo`.
#[derive(Debug, Clone)]
pub struct Demo {
    /// How many sites.
    pub sites: usize,
    /// Where to listen.
    pub listen: SocketAddr,
}

/// A demo shows something happening.
const REFRESH: Duration = Duration::from_secs(2);

/// The user and the password that simulated routers have.
const LOGIN: (&str, &str) = ("api-user", "password");

impl Demo {
    /// Runs the demo until a signal ends it.
    ///
    /// # Errors
    ///
    /// When the address is taken.
    pub fn execute(self, signals: Signals, timings: Timings) -> Result<(), Failure> {
        let admin = env::var("PHSWEB_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
        let mut warnings = Vec::new();
        if admin.as_ref().is_some_and(|token| is_short(token.expose())) {
            warnings.push(Diagnostic::elsewhere("PHSWEB_ADMIN_TOKEN", SHORT_TOKEN));
        }
        if admin.is_none() {
            say("Details of people are off; set PHSWEB_ADMIN_TOKEN to a token of yours to turn them on.");
        }
        let http =
            Http { listen: self.listen, title: "PHSWEB hotspots (demo)".into(), admin, ..Http::default() };
        let mut sites = Vec::new();
        let mut routers = Vec::new();
        for (number, kind) in simulator::demo().into_iter().cycle().take(self.sites).enumerate() {
            let turn = number / simulator::demo().len();
            let key =
                if turn == 0 { kind.identity.clone() } else { format!("{}-{}", kind.identity, turn + 1) };
            let settings = simulator::Settings { seed: number as u64 + 1, identity: key.clone(), ..kind };
            let site = site(&key);
            let router = simulated(&site, settings)?;
            sites.push(Arc::new(at_simulator(&site, &router)));
            routers.push(router);
        }
        serve(signals, timings, Config { http, sites, warnings }, None)
    }
}

fn site(key: &str) -> Site {
    let (user, password) = LOGIN;
    let mut name = key.to_string();
    name[..1].make_ascii_uppercase();
    Site { name, refresh: REFRESH, ..Site::new(key, Vec::new(), user, Secret::new(password.into())) }
}
