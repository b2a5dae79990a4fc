//! The agent at work: its parts, put together and kept as the configuration says.

use std::sync::Arc;

use async_net::TcpListener;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::channel;
use smol::future::FutureExt;

use super::front::Front;
use super::reload::Source;
use super::{Failure, Signals, nothing_to_reload};
use crate::action::Desk;
use crate::config::{Changes, Config};
use crate::http::gate::{self, WorkerPool};
use crate::http::{Events, Routes};
use crate::site::Sites;
use crate::state::{Problem, Reload, Store};
use crate::timings::Timings;

/// Serves a configuration until a signal ends it; one that comes from a `source` as that is by then.
pub(super) fn serve(
    signals: Signals,
    timings: Timings,
    config: Config,
    source: Option<Source>,
) -> Result<(), Failure> {
    raise_descriptors(&config);
    let timings = Arc::new(timings);
    let reload = source.as_ref().map_or_else(|| Reload::first(None, Vec::new()), Source::first);
    let store = Arc::new(Store::new(reload));
    let desk = Arc::new(Desk::new(timings.action_timeout));
    let events = Events::new(store.clone(), timings.clone());
    let routes = Arc::new(Routes::new(store.clone(), desk.clone(), events.clone(), config.http.clone()));
    let workers = WorkerPool::start({
        let routes = routes.clone();
        move |request| routes.answer(request)
    })
    .map_err(|error| format!("the HTTP server can't be started: {error}"))?;
    smol::block_on(async {
        let listen = config.http.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            format!("can't listen at {listen}: {error}; choose another address with --listen or http.listen")
        })?;
        let bound = listener.local_addr().map_err(|error| error.to_string())?;
        let (keeper, orders) = gate::keeper();
        let limits = gate::Limits::new(config.http.max_connections, &timings);
        let https = config.http.tls.clone();
        let http = config.http.clone();
        // All of it ends when it is dropped at the end of this block.
        let mut agent = Agent {
            front: Front::new(keeper, http.clone(), bound, timings.rebind_retry),
            sites: Sites::new(store.clone(), desk, timings.clone()),
            config: Config { http, sites: Vec::new() },
            routes,
            store,
        };
        agent.become_as(config).await;
        let _events = events.start();
        let serving = async { match gate::serve(listener, workers, limits, https, orders).await {} };
        match source {
            None => serving.or(signals.until_ended(nothing_to_reload)).await,
            Some(source) => {
                let (reload, wanted) = channel::bounded(1);
                let ended = signals.until_ended(|| {
                    // One that waits is enough.
                    let _ = reload.try_send(());
                });
                let following = Box::pin(async { match source.follow(agent, wanted).await {} });
                serving.or(following).or(ended).await;
            }
        }
        Ok(())
    })
}

/// The parts that go by the configuration.
pub(super) struct Agent {
    config: Config,
    store: Arc<Store>,
    routes: Arc<Routes>,
    sites: Sites,
    front: Front,
}

impl Agent {
    /// Makes all parts as `new` says, by what has changed, and gives that in words.
    pub(super) async fn become_as(&mut self, new: Config) -> String {
        raise_descriptors(&new);
        let changes = Changes::between(&self.config, &new);
        self.sites.apply(&changes, &new).await;
        if changes.http {
            self.routes.configure(new.http.clone());
            self.front.configure(new.http.clone());
        }
        let told = changes.to_string();
        self.config = new;
        told
    }

    /// Moves the page to where it should be, if it is not there.
    pub(super) async fn move_on(&mut self) -> Result<(), Problem> {
        self.front.move_on().await
    }

    pub(super) fn note_reload(&self, note: impl FnOnce(&mut Reload)) {
        self.store.note_reload(note);
    }
}

/// Lets the process have a descriptor for each connection and router, as far as the system lets it: the
/// usual 1,024 are few.
fn raise_descriptors(config: &Config) {
    /// For the log, files, and a second way to some routers.
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
