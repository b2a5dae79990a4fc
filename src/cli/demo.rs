//! `demo`: runs the agent with simulated routers and users. Needs no file.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use phsweb_agent::agent::{Failure, Signals, run_restarting, serve};
use phsweb_agent::clock::{Clock, Moment};
use phsweb_agent::config::{Config, Diagnostic, Http, SHORT_TOKEN, Secret, Site, StateDirectory, is_short};
use phsweb_agent::history::History;
use phsweb_agent::simulator;
use phsweb_agent::text::print_line;
use phsweb_agent::timings::Timings;

use super::argument::{Argument, HELP, LOG, Options, Subcommand, VERSION, set_listen};
use super::demo_history;
use super::simulate::MAX_ROUTERS;
use super::simulated_site::{at_router, start_router};
use super::values::number;

const DEFAULT_SITES: usize = 3;

/// Short times, so that changes are visible during a demo.
const REFRESH: Duration = Duration::from_secs(2);

/// The user and the password of the simulated routers.
const LOGIN: (&str, &str) = ("api-user", "password");

pub(super) const COMMAND: Subcommand = Subcommand {
    name: "demo",
    summary: "Run the agent with simulated routers; needs no file",
    about: "Runs the agent with simulated routers, at which users log in and out. Needs no file.",
    options: &[
        LOG,
        Argument::value("--sites", "N", "Number of sites, 1 to 1000", |options, value| {
            number(value, 1..=MAX_ROUTERS.into()).map(|sites| options.sites = Some(sites))
        })
        .default(|| DEFAULT_SITES.to_string()),
        Argument::value("--listen", "ADDR", "Where to listen, as ADDRESS:PORT", set_listen)
            .default(|| Http::default_listen().to_string()),
        HELP,
        VERSION,
    ],
    operand: None,
    list: None,
    notes: "PHSWEB_ADMIN_TOKEN in the environment sets the admin token, which enables personal details and \
            actions.",
    execute: |options| run_restarting(|signals, timings| demo(&options, signals, timings)),
};

fn demo(options: &Options, signals: Signals, timings: Timings) -> Result<(), Failure> {
    let listen = options.listen.unwrap_or_else(Http::default_listen);
    let admin = env::var("PHSWEB_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
    let mut warnings = Vec::new();
    if admin.as_ref().is_some_and(|token| is_short(token.expose())) {
        warnings.push(Diagnostic::elsewhere("PHSWEB_ADMIN_TOKEN", SHORT_TOKEN));
    }
    if admin.is_none() {
        print_line("Personal details are off. Set PHSWEB_ADMIN_TOKEN to a token to turn them on.");
    }
    let http = Http { listen, title: "PHSWEB hotspots (demo)".into(), admin, ..Http::default() };
    let (mut sites, mut users) = (Vec::new(), Vec::new());
    let mut routers = Vec::new();
    let kinds = simulator::demo();
    for (number, kind) in (0..options.sites.unwrap_or(DEFAULT_SITES)).zip(kinds.iter().cycle()) {
        let key = match number / kinds.len() {
            0 => kind.identity.clone(),
            round => format!("{}-{}", kind.identity, round + 1),
        };
        let settings = simulator::Settings { seed: number as u64 + 1, identity: key.clone(), ..kind.clone() };
        let site = site(&key);
        users.push(settings.active);
        let router = start_router(&site, settings)?;
        sites.push(Arc::new(at_router(&site, &router)));
        routers.push(router);
    }
    let config = Config { http, sites, state: StateDirectory::Memory, warnings, ..Config::default() };
    let history = yesterday(&config, &users);
    serve(signals, timings, config, Arc::new(history), None)
}

/// A history with a generated day of each site, at which about so many users are online.
fn yesterday(config: &Config, users: &[usize]) -> History {
    let (clock, now) = (Clock::system(), Moment::now());
    let history = History::new(clock);
    history.configure(config.sites.iter().map(|site| site.key.as_str()), config.history.memory, now);
    for (site, users) in config.sites.iter().zip(users) {
        demo_history::generate(&history, &site.key, *users, clock, now);
    }
    history.complete_restored();
    history
}

fn site(key: &str) -> Site {
    let (user, password) = LOGIN;
    let mut name = key.to_string();
    name[..1].make_ascii_uppercase();
    Site { name, refresh: REFRESH, ..Site::new(key, Vec::new(), user, Secret::new(password.into())) }
}
