//! `run`: the agent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Failure, configured, serve, simulated};
use crate::config;
use crate::routeros::login::Method;
use crate::simulator::{self, BadVersion, Login, Settings};

/// Options of `run`.
#[derive(Debug, Clone)]
pub struct Run {
    /// The file; without it `$PHSWEB_CONFIG`, then the usual places.
    pub config: Option<PathBuf>,
    /// Stands above `http.listen`.
    pub listen: Option<SocketAddr>,
    /// Whether simulated routers answer for those of the file.
    pub simulate: bool,
}

impl Run {
    /// Runs the agent until a signal ends it.
    ///
    /// # Errors
    ///
    /// When the file is wrong, all of its problems; when the address is taken, that.
    pub fn execute(self) -> Result<(), Failure> {
        let mut config = configured(self.config)?;
        if let Some(listen) = self.listen {
            config.http.listen = listen;
        }
        let mut routers = Vec::new();
        if self.simulate {
            for (site, kind) in config.sites.iter_mut().zip(simulator::demo().into_iter().cycle()) {
                let (at_simulator, router) = simulated(site, settings(site, kind)?)?;
                *site = Arc::new(at_simulator);
                routers.push(router);
            }
        }
        serve(&config)
    }
}

/// A router that takes the site's own user and password, in its own way.
fn settings(site: &config::Site, kind: Settings) -> Result<Settings, Failure> {
    let version = match site.login {
        Method::Plain => kind.version,
        Method::Challenge => "6.42.12 (long-term)".parse().map_err(|error: BadVersion| error.to_string())?,
    };
    Ok(Settings {
        identity: site.name.clone(),
        version,
        logins: vec![Login::new(&site.user, site.password.expose())],
        churn: Duration::from_secs(5),
        ..kind
    })
}
