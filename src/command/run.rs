//! `run`: the agent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{self, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::reload::{ConfigReloader, Prepare};
use super::serve::serve;
use super::{Failure, SYSTEM_FILE, Signals, at_simulator, file, not_started, simulated};
use crate::config::{self, Config, Watch};
use crate::routeros::login::LoginMethod;
use crate::simulator::{self, BadVersion, Login, Router, Settings};
use crate::timings::Timings;

/// Options of `run`.
#[derive(Debug, Clone)]
pub struct Run {
    /// The file; without it `$PHSWEB_CONFIG`, then the usual places.
    pub config: Option<PathBuf>,
    /// Stands above `http.listen`.
    pub listen: Option<SocketAddr>,
    /// Whether to begin without a file, or with one that is wrong, and wait until it is there and good.
    pub wait: bool,
    /// Whether simulated routers answer for those of the file.
    pub simulate: bool,
}

impl Run {
    /// Runs the agent until a signal ends it, and as the file says by then.
    ///
    /// # Errors
    ///
    /// When the file is wrong at the start, all of its problems; when the address is taken, that.
    pub fn execute(self, signals: Signals, timings: Timings) -> Result<(), Failure> {
        let path = match file(self.config) {
            Err(Failure::No(_)) if self.wait => SYSTEM_FILE.into(),
            path => path?,
        };
        // Who reads the page is elsewhere: all of its path says where it is waited for.
        let path = if self.wait { path::absolute(&path).unwrap_or(path) } else { path };
        let (watch, read) = Watch::first(path, &config::environment, timings.config_settle);
        let (config, problems) = match read {
            Ok(config) => (config, None),
            // Where it says who may see the page, that counts already.
            Err(problems) if self.wait && watch.can_look_again() => {
                let http = problems.http().cloned().unwrap_or_default();
                (Config { http, ..Config::default() }, Some(problems))
            }
            Err(problems) => return Err(not_started(&problems, watch.path())),
        };
        let (listen, mut simulated) = (self.listen, self.simulate.then(Simulated::default));
        let mut prepare: Prepare = Box::new(move |mut config| {
            if let Some(listen) = listen {
                config.listen_at(listen);
            }
            if let Some(simulated) = &mut simulated {
                simulated.stand_for(&mut config.sites)?;
            }
            Ok(config)
        });
        let config = prepare(config)?;
        let source = ConfigReloader::new(watch, prepare, problems.as_ref(), &timings);
        serve(signals, timings, config, Some(source))
    }
}

/// Simulated routers for the sites of a file. Each stays for as long as its site is logged in to as before.
#[derive(Default)]
struct Simulated(BTreeMap<String, (config::Site, Arc<Router>)>);

impl Simulated {
    fn stand_for(&mut self, sites: &mut [Arc<config::Site>]) -> Result<(), Failure> {
        // Those that are there stay so until all the others have been started.
        let mut routers = BTreeMap::new();
        for (site, kind) in sites.iter_mut().zip(simulator::demo().into_iter().cycle()) {
            let of_file = config::Site::clone(site);
            let is_same = |other: &config::Site| {
                (&other.user, &other.password, other.login)
                    == (&of_file.user, &of_file.password, of_file.login)
            };
            let router = match self.0.get(&of_file.key).filter(|(other, _)| is_same(other)) {
                Some((_, router)) => router.clone(),
                None => Arc::new(simulated(&of_file, settings(&of_file, kind)?)?),
            };
            *site = Arc::new(at_simulator(&of_file, &router));
            routers.insert(of_file.key.clone(), (of_file, router));
        }
        self.0 = routers;
        Ok(())
    }
}

/// A router that takes the site's own user and password, in its own way.
fn settings(site: &config::Site, kind: Settings) -> Result<Settings, Failure> {
    let version = match site.login {
        LoginMethod::Plain => kind.version,
        LoginMethod::Challenge => {
            "6.42.12 (long-term)".parse().map_err(|error: BadVersion| error.to_string())?
        }
    };
    let [user, password] = site.credentials();
    Ok(Settings {
        identity: site.name.clone(),
        version,
        logins: vec![Login::new(user, password)],
        churn: Duration::from_secs(5),
        ..kind
    })
}
