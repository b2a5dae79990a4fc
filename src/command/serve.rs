//! Starts the agent's parts and serves until a signal ends it.

use std::sync::Arc;

use async_net::TcpListener;
use smol::channel;
use smol::future::FutureExt;

use super::agent::{Agent, raise_descriptors};
use super::listener::Listener;
use super::reload::ConfigReloader;
use super::{Failure, Signals, nothing_to_reload, site_log};
use crate::action::SiteHandles;
use crate::config::Config;
use crate::http::server::{self, WorkerPool};
use crate::http::{Dispatcher, Events};
use crate::memory::Budget;
use crate::site::Sites;
use crate::state::{Reload, Store};
use crate::timings::Timings;

/// Serves a configuration until a signal ends it; one that comes from a `source` as that is by then.
pub(super) fn serve(
    signals: Signals,
    timings: Timings,
    config: Config,
    source: Option<ConfigReloader>,
) -> Result<(), Failure> {
    raise_descriptors(&config);
    let timings = Arc::new(timings);
    let reload = source.as_ref().map_or_else(|| Reload::first(None, Vec::new()), ConfigReloader::first);
    let store = Arc::new(Store::new(reload).within(Budget::of_process()));
    let desk = Arc::new(SiteHandles::new(timings.action_timeout));
    let events = Events::new(store.clone(), timings.clone());
    let http = config.http.clone();
    let routes = Arc::new(Dispatcher::new(store.clone(), desk.clone(), events.clone(), http, &timings));
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
        let (server_handle, control_messages) = server::control_channel();
        let unread = store.budget().answer.min(server::MAX_ANSWER);
        let limits = server::Limits { unread, ..server::Limits::new(config.http.max_connections, &timings) };
        let https = config.http.tls.clone();
        let http = config.http.clone();
        // All of it ends when it is dropped at the end of this block.
        let mut agent = Agent {
            listener: Listener::new(server_handle, http.clone(), bound, timings.rebind_retry),
            sites: Sites::new(store.clone(), desk, timings.clone()),
            config: Config { http, ..Config::default() },
            routes,
            store,
        };
        let _site_log = site_log::start(&agent.store);
        agent.apply_config(config).await;
        let _events = events.start();
        let serving =
            async { match server::serve(listener, workers, limits, https, control_messages).await {} };
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
