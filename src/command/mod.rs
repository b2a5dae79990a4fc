//! The commands, one file each; `main` chooses one by the arguments.

pub mod demo;
pub mod run;
pub mod simulate;
pub mod test;

use std::env;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use async_net::TcpListener;
use async_signal::{Signal, Signals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::future::FutureExt;
use smol::stream::StreamExt;

use crate::action::Desk;
use crate::config::{self, Config, Host};
use crate::http::{self, Events, Routes, gate};
use crate::routeros::tls::Tls;
use crate::simulator::{Router, Settings};
use crate::site::{self, Site};
use crate::state::Store;

/// Why a command could not do what it was asked, in words for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The answer is no.
    No(String),
    /// It was called wrongly.
    Usage(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::No(message)
    }
}

/// Where the file is looked for when nothing names it.
const PLACES: [&str; 2] = ["./sites.ron", "/etc/phsweb-agent/sites.ron"];

/// Loads the file that is named, by the argument or `$PHSWEB_CONFIG`, or else lies in one of the usual places.
fn configured(named: Option<PathBuf>) -> Result<Config, Failure> {
    let named = named.or_else(|| env::var_os("PHSWEB_CONFIG").map(PathBuf::from));
    let usual = || PLACES.map(PathBuf::from).into_iter().find(|path| path.exists());
    let path = named.or_else(usual).ok_or_else(|| {
        format!(
            "no configuration: neither {} exists; name one with --config FILE or $PHSWEB_CONFIG, \
             or look around with `phsweb-agent demo`",
            PLACES.join(" nor ")
        )
    })?;
    let config = config::load(&path, &config::environment)
        .map_err(|problems| format!("{problems}\nNothing was started: mend {} first.", path.display()))?;
    Ok(config)
}

/// Serves a configuration until a signal ends it.
fn serve(config: &Config) -> Result<(), Failure> {
    let signals = signals()?;
    raise_descriptors(config);
    let store = Arc::new(Store::new(config.sites.iter().map(|site| site::initial_state(site))));
    let desk = Arc::new(Desk::default());
    let events = Events::new(store.clone());
    let routes = Routes::new(store.clone(), desk.clone(), events.clone(), config.http.clone());
    let engine = http::start(move |request| routes.answer(request))
        .map_err(|error| format!("the HTTP server can't be started: {error}"))?;
    smol::block_on(async {
        let listen = config.http.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            format!("can't listen at {listen}: {error}; choose another address with --listen or http.listen")
        })?;
        let bound = listener.local_addr().map_err(|error| error.to_string())?;
        let scheme = if config.http.tls.is_some() { "https" } else { "http" };
        say(&format!("The page is at {scheme}://{bound}/"));
        if config.http.view.is_none() && !bound.ip().is_loopback() {
            log::warn!("the figures are open to all who reach {bound}: give viewers a token with http.view");
        }
        // Each site's task ends when it is dropped at the end of this block.
        let _sites: Vec<_> =
            config.sites.iter().map(|site| Site::start(site.clone(), store.clone(), &desk)).collect();
        let _events = events.start();
        let limits = gate::Limits { max_connections: config.http.max_connections, ..gate::Limits::default() };
        let https = config.http.tls.clone();
        let serving = async { match gate::serve(listener, engine, limits, https).await {} };
        serving.or(until_ended(signals)).await;
        Ok(())
    })
}

/// Lets the process have a descriptor for each connection and router, as far as the system lets it: the
/// usual 1,024 are few.
fn raise_descriptors(config: &Config) {
    /// For the engine, the log, files, and a second way to some routers.
    const REST: usize = 128;
    let wanted = (config.http.max_connections + 2 * config.sites.len() + REST) as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let current = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
    if raised.is_err() || current < wanted {
        log::warn!(
            "this process may open {} files, and {wanted} are wanted: fewer than {} clients find room. \
             Raise LimitNOFILE= of the service, or ulimit -n, or lower http.max_connections",
            getrlimit(Resource::Nofile).current.unwrap_or_default(),
            config.http.max_connections
        );
    }
}

/// The signals that a command minds, received from now on.
fn signals() -> Result<Signals, Failure> {
    Signals::new([Signal::Term, Signal::Int, Signal::Hup])
        .map_err(|error| Failure::No(format!("signals can't be received: {error}")))
}

/// Waits for SIGTERM or SIGINT.
async fn until_ended(mut signals: Signals) {
    while let Some(signal) = signals.next().await {
        match signal {
            Ok(Signal::Hup) => {
                log::info!(
                    "SIGHUP: nothing is read again: this version takes its settings at the start only"
                );
            }
            Ok(signal) => return log::info!("ending: {signal:?}"),
            Err(error) => log::warn!("signals can't be received: {error}"),
        }
    }
}

/// Starts a simulated router on loopback and gives the site with that router's address for its own.
fn simulated(site: &config::Site, settings: Settings) -> Result<(config::Site, Router), Failure> {
    let router = Router::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings)
        .map_err(|error| format!("no simulated router for {}: {error}", site.key))?;
    let host = Host { name: router.addr().ip().to_string(), port: router.addr().port() };
    Ok((config::Site { hosts: vec![host], tls: Tls::Off, ..site.clone() }, router))
}

/// Tells the user at the terminal. Where nobody listens, nobody is told.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
