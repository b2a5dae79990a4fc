//! `demo`: runs the agent with simulated routers and users. Needs no file.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use phsweb_agent::agent::{Failure, Signals, run_restarting, serve};
use phsweb_agent::clock::{Clock, Moment};
use phsweb_agent::config::{Config, Diagnostic, Http, SHORT_TOKEN, Secret, Site, StateDirectory, is_short};
use phsweb_agent::executor;
use phsweb_agent::history::History;
use phsweb_agent::simulator::{self, Fault, Router};
use phsweb_agent::timings::Timings;

use super::argument::{Argument, Execute, HELP, LOG, Options, Subcommand, VERSION, set_listen};
use super::demo_history;
use super::simulate::MAX_ROUTERS;
use super::simulated_site::{at_router, start_router};
use super::values::number;

const DEFAULT_SITES: usize = 3;

/// Short times, so that changes are visible during a demo.
const REFRESH: Duration = Duration::from_secs(2);

/// The user and the password of the simulated routers.
const LOGIN: (&str, &str) = ("api-user", "password");

/// The sites of `--trouble`: the key, the fault, and how many commands the router answers before it. The first refresh has
/// about ten, so that a site is online before it fails. Address pools are read rarely.
const PROBLEMS: [(&str, Fault, u64); 3] =
    [("enugu", Fault::NoService, 10), ("jos", Fault::Reboot, 10), ("kano", Fault::Pool, 0)];

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
        Argument::value("--listen", "ADDR", "Where to listen, as ADDRESS:PORT, :PORT or PORT", set_listen)
            .default(|| Http::default_listen().to_string()),
        Argument::switch(
            "--trouble",
            "Add a site that is down, one that reboots, and one whose address pool is exhausted",
            |options| options.has_problems = true,
        ),
        HELP,
        VERSION,
    ],
    operand: None,
    list: None,
    notes: "Prints a link that logs in the admin, who sees personal details and may act. Its random token is \
            valid until the demo ends. PHSWEB_ADMIN_TOKEN in the environment sets the token instead; then enter \
            it at /login.",
    execute: Execute::Run(|options| run_restarting(|signals, timings| demo(&options, signals, timings))),
};

fn demo(options: &Options, signals: Signals, timings: Timings) -> Result<(), Failure> {
    let listen = options.listen.unwrap_or_else(Http::default_listen);
    let named = env::var("PHSWEB_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
    let accepts_login_link = named.is_none();
    let admin = named.map_or_else(Secret::random, |named| Ok(Secret::new(named)))?;
    let mut warnings = Vec::new();
    if is_short(admin.expose()) {
        warnings.push(Diagnostic::elsewhere("PHSWEB_ADMIN_TOKEN", SHORT_TOKEN));
    }
    let (title, admin) = ("PHSWEB hotspots (demo)".into(), Some(admin));
    let http = Http { listen, title, admin, accepts_login_link, ..Http::default() };
    let (mut sites, mut users) = (Vec::new(), Vec::new());
    let (mut routers, mut tasks) = (Vec::new(), Vec::new());
    let kinds = simulator::demo();
    let count = options.sites.unwrap_or(DEFAULT_SITES);
    let problems = if options.has_problems { PROBLEMS.as_slice() } else { &[] };
    for (number, kind) in (0..count + problems.len()).zip(kinds.iter().cycle()) {
        let problem = number.checked_sub(count).and_then(|number| problems.get(number));
        let key = match (problem, number / kinds.len()) {
            (Some((key, ..)), _) => (*key).to_string(),
            (None, 0) => kind.identity.clone(),
            (None, round) => format!("{}-{}", kind.identity, round + 1),
        };
        let settings = simulator::Settings { seed: number as u64 + 1, identity: key.clone(), ..kind.clone() };
        let site = site(&key);
        users.push(settings.active);
        let router = start_router(&site, settings)?;
        sites.push(Arc::new(at_router(&site, &router)));
        let router = Arc::new(router);
        tasks.extend(problem.map(|&(_, fault, after)| executor::spawn(fail(router.clone(), fault, after))));
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

/// Injects a fault once the router has answered so many commands.
async fn fail(router: Arc<Router>, fault: Fault, after: u64) {
    router.until(|router| router.counters().commands >= after).await;
    router.set_fault(Some(fault));
}

fn site(key: &str) -> Site {
    let (user, password) = LOGIN;
    let mut name = key.to_string();
    name[..1].make_ascii_uppercase();
    Site { name, refresh: REFRESH, ..Site::new(key, Vec::new(), user, Secret::new(password.into())) }
}
