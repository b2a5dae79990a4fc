//! `run`: runs the agent.

use std::collections::BTreeMap;
use std::path;
use std::sync::Arc;
use std::time::Duration;

use phsweb_agent::agent::{ConfigReloader, Failure, Prepare, Signals, run_restarting, serve};
use phsweb_agent::clock::Clock;
use phsweb_agent::config::{self, Config, Site, StateDirectory, Watch};
use phsweb_agent::history::History;
use phsweb_agent::routeros::login::LoginMethod;
use phsweb_agent::simulator::{self, BadVersion, Login, Router, Settings};
use phsweb_agent::timings::Timings;

use super::argument::{Argument, CONFIG, Execute, FILE, HELP, LOG, Options, Subcommand, VERSION, set_listen};
use super::config_file::{self, FIRST_PLACE};
use super::simulated_site::{at_router, start_router};

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "run",
    summary: "Run the agent",
    about: "Runs the agent: queries the routers of sites.ron, serves the page, JSON and metrics.",
    options: &[
        LOG,
        CONFIG,
        Argument::value(
            "--listen",
            "ADDR",
            "Where to listen, as ADDRESS:PORT, or as :PORT or PORT for all IPv4 addresses; overrides http.listen of \
             the file",
            set_listen,
        ),
        Argument::switch(
            "--wait",
            "If there is no valid file yet, start anyway, show on the page what is missing or invalid, and \
             continue once it is valid; for services and containers",
            |options| options.wait = true,
        ),
        Argument::switch(
            "--simulate",
            "Use a simulated router for each site of the file: your configuration, no router is contacted and nothing is \
             stored. Messages about alerts and the heartbeat are sent as the file says",
            |options| options.simulate = true,
        ),
        HELP,
        VERSION,
    ],
    operand: Some(FILE),
    list: None,
    notes: "SIGTERM and SIGINT end it. If the file is invalid at the start, it prints all problems and exits \
            with code 1, unless --wait is given. While it runs it watches the file, and the secrets and \
            certificates that the file names. A valid change is applied within two seconds, or at once on \
            SIGHUP, and affects only what changed. An invalid one changes nothing, and is reported on the page \
            and in the log.",
    execute: Execute::Run(|options| run_restarting(|signals, timings| run(options, signals, timings))),
};

fn run(options: Options, signals: Signals, timings: Timings) -> Result<(), Failure> {
    let Options { config, listen, wait, simulate, .. } = options;
    let path = match config_file::find(config) {
        Err(Failure::Failed(_)) if wait => FIRST_PLACE.into(),
        path => path?,
    };
    // The page shows the path to people who do not know the working directory.
    let path = if wait { path::absolute(&path).unwrap_or(path) } else { path };
    let (watch, result) = Watch::first(path, &config::environment, timings.config_settle);
    let (config, problems) = match result {
        Ok(config) => (config, None),
        // A valid `http` section applies at once: it protects the page.
        Err(problems) if wait && watch.can_look_again() => {
            let http = problems.http().cloned().unwrap_or_default();
            (Config { http, ..Config::default() }, Some(problems))
        }
        Err(problems) => {
            return Err(config_file::invalid(&problems, watch.path(), "Nothing was started"));
        }
    };
    let mut simulated = simulate.then(SimulatedRouters::default);
    let mut prepare: Prepare = Box::new(move |mut config| {
        if let Some(listen) = listen {
            config.listen_at(listen);
        }
        if let Some(simulated) = &mut simulated {
            simulated.replace(&mut config.sites)?;
            // Simulated data must not be mixed with real data.
            config.state = StateDirectory::Memory;
        }
        Ok(config)
    });
    let config = prepare(config)?;
    let reloader = ConfigReloader::new(watch, prepare, problems.as_ref(), &timings);
    let history = Arc::new(History::new(Clock::system()));
    serve(signals, timings, config, history, Some(reloader))
}

/// Simulated routers for the sites of a file, by key. Each keeps running until the login of its site changes.
#[derive(Default)]
struct SimulatedRouters(BTreeMap<String, (Site, Arc<Router>)>);

impl SimulatedRouters {
    /// Gives each site the address of a simulated router.
    fn replace(&mut self, sites: &mut [Arc<Site>]) -> Result<(), Failure> {
        // The old routers keep running until all new ones have started.
        let mut routers = BTreeMap::new();
        for (site, kind) in sites.iter_mut().zip(simulator::demo().into_iter().cycle()) {
            let original = Site::clone(site);
            let login = |site: &Site| (site.user.clone(), site.password.clone(), site.login);
            let router = match self.0.get(&original.key).filter(|(old, _)| login(old) == login(&original)) {
                Some((_, router)) => router.clone(),
                None => Arc::new(start_router(&original, settings(&original, kind)?)?),
            };
            *site = Arc::new(at_router(&original, &router));
            routers.insert(original.key.clone(), (original, router));
        }
        self.0 = routers;
        Ok(())
    }
}

/// Settings of a router that accepts the site's user, password and login method.
fn settings(site: &Site, kind: Settings) -> Result<Settings, Failure> {
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
