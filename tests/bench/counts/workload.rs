//! The counted work: one refresh of a site, and the responses about a fleet of such sites.

use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use phsweb_agent::clock::Moment;
use phsweb_agent::config::Http;
use phsweb_agent::history::History;
use phsweb_agent::http::{Dependencies, Dispatcher, HandlerOutput, HeaderField, Method, Request};
use phsweb_agent::net::proxy::ProxySettings;
use phsweb_agent::plugin::{BUILT_IN, Data, Following, Plugin};
use phsweb_agent::routeros::client::{self, Client, Command};
use phsweb_agent::routeros::codepage::Codepage;
use phsweb_agent::routeros::error::Error;
use phsweb_agent::routeros::rows::Rows;
use phsweb_agent::state::{Reload, SiteState, Store};
use phsweb_agent::timings::Timings;
use smol::future;

use super::router::{Router, SESSIONS};

/// The site that is refreshed; the others are copies of it.
const SITE: &str = "site-0";

/// The sites of the responses.
const SITES: usize = 50;

const REFRESH: Duration = Duration::from_secs(30);

/// All workloads in their order: a whole refresh, responses, and a refresh of figures.
pub(crate) const NAMES: [&str; 5] = ["refresh", "stats", "page", "metrics", "figures"];

const PATHS: [&str; 3] = ["/api/hotspot/stats", "/", "/metrics"];

/// Passes each workload to `measure`. Each has run before, and a refresh has changed its data since.
pub(crate) fn run_each(mut measure: impl FnMut(&str, &mut dyn FnMut())) {
    let (client, connection) = client::over(Box::new(Router::default()));
    let connection = pin!(connection.run());
    let (store, dispatcher) = parts();
    let mut agent = Agent { store, dispatcher, client, connection };
    // The first answer begins the sessions, the second one their rates.
    agent.refresh(whole);
    agent.refresh(whole);
    agent.add_copies();
    let [refresh, responses @ .., figures] = NAMES;
    measure(refresh, &mut || agent.refresh(whole));
    for (name, path) in responses.into_iter().zip(PATHS) {
        agent.respond(path);
        agent.refresh(whole);
        measure(name, &mut || agent.respond(path));
    }
    measure(figures, &mut || agent.refresh(figures_only));
}

/// The commands of a whole refresh.
fn whole(plugin: &Plugin, _: Option<&Data>) -> Vec<Command> {
    plugin.commands()
}

/// The commands of a refresh while a `listen` reports changes.
fn figures_only(plugin: &Plugin, data: Option<&Data>) -> Vec<Command> {
    data.and_then(|data| plugin.figures(data)).unwrap_or_else(|| plugin.commands())
}

/// The parts of an agent, and the connection to its router.
struct Agent<'c> {
    store: Arc<Store>,
    dispatcher: Dispatcher,
    client: Client,
    connection: Pin<&'c mut dyn Future<Output = Error>>,
}

impl Agent<'_> {
    /// Queries the site's plugins and applies their answers, as a site's session does.
    fn refresh(&mut self, commands_of: impl Fn(&Plugin, Option<&Data>) -> Vec<Command>) {
        let (client, asked, snapshot) = (&self.client, Moment::now(), self.store.snapshot());
        let reading = |plugin: &Plugin| snapshot.site(SITE).unwrap().reading_of(plugin).unwrap().clone();
        let commands = |plugin| commands_of(plugin, reading(plugin).data.as_deref());
        let queries: Vec<Vec<Command>> = BUILT_IN.iter().map(commands).collect();
        let commands = queries.concat();
        let query = async { Ok(client.call_all(&commands, REFRESH).await) };
        let ended = async { Err(self.connection.as_mut().await) };
        let answers = future::block_on(future::or(query, ended)).unwrap();
        let now = Moment::now();
        let codepage = Codepage::named("windows-1252").unwrap();
        let none = Rows::default();
        let (mut rest, mut readings) = (answers.as_slice(), Vec::new());
        for (plugin, commands) in BUILT_IN.iter().zip(queries) {
            let (own, others) = rest.split_at(commands.len());
            rest = others;
            let before = reading(plugin);
            let following = if before.is_live { Following::On } else { Following::Begun(&none) };
            readings.push(before.after(own, asked, now, codepage, following));
        }
        drop((answers, snapshot));
        let updated = self.store.update(SITE, |site| {
            for reading in readings {
                assert_eq!(reading.error, None);
                site.put(reading);
            }
        });
        updated.unwrap();
    }

    /// Adds the other sites, which share the data of the first.
    fn add_copies(&self) {
        self.store.rearrange(|sites| {
            let copy = |number| {
                let mut site = SiteState::clone(&sites[0]);
                site.key = format!("site-{number}");
                site.name.clone_from(&site.key);
                Arc::new(site)
            };
            (0..SITES).map(copy).collect()
        });
        let users =
            self.store.snapshot().sites[SITES - 1].hotspot_now().map(|hotspot| hotspot.sessions.len());
        assert_eq!(users, Some(SESSIONS as usize));
    }

    fn respond(&self, path: &str) {
        let request =
            Request::new(Method::Get, path, Ipv4Addr::LOCALHOST.into()).with(HeaderField::Host, "localhost");
        let HandlerOutput::Now(response) = self.dispatcher.answer(&request) else {
            panic!("{path}: expected a response at once")
        };
        assert_eq!(response.status, 200, "{path}");
        assert!(response.body.len() > SITES * 100, "{path}: {}", String::from_utf8_lossy(&response.body));
    }
}

/// The parts of an agent with one site, which is online.
fn parts() -> (Arc<Store>, Dispatcher) {
    let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
    let mut site = SiteState::new(SITE, SITE, REFRESH, ["10.0.1.1:8728".to_string()], BUILT_IN);
    site.connected(0, Moment::now());
    store.rearrange(|_| vec![Arc::new(site)]);
    let timings = Arc::<Timings>::default();
    let history = Arc::new(History::new(store.snapshot().clock));
    let dependencies = Dependencies::new(store.clone(), history, ProxySettings::default(), &timings);
    (store, Dispatcher::new(dependencies, Http::default(), &timings))
}
