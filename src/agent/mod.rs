//! The running agent: connects its parts, and applies each new configuration to them in the main loop.

mod alert_storage;
mod alerting;
mod diagnostics;
mod failure;
mod listener;
mod reload;
mod restart;
mod signals;
mod site_log;
mod totals_storage;

use std::convert::Infallible;
use std::sync::Arc;

use async_net::TcpListener;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::Task;
use smol::channel::{self, Receiver};
use smol::future::FutureExt;

use crate::clock::Moment;
use crate::config::{Changes, Config, Diagnostic, StateDirectory};
use crate::executor;
use crate::history::{self, History, StoredHistory};
use crate::http::server::{self, WorkerPool};
use crate::http::{Dependencies, Dispatcher};
use crate::journal::{Journal, Recorder};
use crate::memory::Budget;
use crate::site::Sites;
use crate::state::{Reload, Store};
use crate::storage::{Persist, Storage};
use crate::timings::Timings;

pub use failure::Failure;
pub use reload::{ConfigReloader, Prepare};
pub use restart::{RESTARTS, disarm, run_restarting};
pub use signals::Signals;

use alerting::Alerting;
use diagnostics::{public, summary};
use listener::Listener;
use signals::nothing_to_reload;
use totals_storage::TotalsStorage;

/// The parts that depend on the configuration.
struct Agent {
    config: Config,
    store: Arc<Store>,
    history: Arc<History>,
    dispatcher: Arc<Dispatcher>,
    sites: Sites,
    journal: Arc<Journal>,
    listener: Listener,
    alerting: Alerting,
    totals: Arc<TotalsStorage>,
    /// `None` if data is in memory only.
    storage: Option<Storage>,
    timings: Arc<Timings>,
}

impl Agent {
    /// Changes only the parts whose configuration differs from `new`, and returns the changes in words.
    async fn apply_config(&mut self, mut new: Config) -> String {
        raise_descriptors(&new);
        if self.config.journal != new.journal {
            self.journal.configure(new.journal, Moment::now(), self.store.snapshot().clock);
        }
        let keys = new.sites.iter().map(|site| site.key.as_str());
        let left_out = self.history.configure(keys, new.history.memory, Moment::now());
        if left_out > 0 {
            log::warn!("sites_without_history={left_out} msg=\"raise history.memory\"");
        }
        // What is restored needs the limits of the journal and the sites of the history.
        self.open_storage(&mut new).await;
        let changes = Changes::between(&self.config, &new);
        // The rules first, so that they apply to what the sites do next.
        self.alerting.configure(&new);
        self.sites.apply(&changes, &new).await;
        self.totals.give_to_sites();
        if changes.http {
            self.dispatcher.configure(new.http.clone());
            self.listener.configure(new.http.clone());
        }
        let description = changes.to_string();
        let warnings = public(&new.warnings);
        if !warnings.is_empty() {
            log::warn!("config_warnings={} msg={:?}", warnings.len(), summary(&warnings));
        }
        self.store.note_reload(|reload| reload.warn(warnings));
        self.config = new;
        description
    }

    /// Restores stored data if this is the first valid configuration. Another directory is used after a restart only,
    /// because data can't be restored while it changes.
    async fn open_storage(&mut self, new: &mut Config) {
        let current = &self.config.state;
        if let (StateDirectory::Undecided, StateDirectory::At(directory)) = (current, &new.state) {
            let history = Arc::new(StoredHistory::new(self.history.clone()));
            let parts: Vec<Arc<dyn Persist>> = vec![
                self.dispatcher.persist_logins(),
                history,
                self.totals.clone(),
                self.journal.clone(),
                self.alerting.persist(),
            ];
            let storage = Storage::open(directory.clone(), parts, self.store.clone(), &self.timings);
            self.storage = Some(storage.await);
        } else if ![&StateDirectory::Undecided, &new.state].contains(&current) {
            let stays = match current {
                StateDirectory::At(directory) => directory.display().to_string(),
                _ => "in memory only".into(),
            };
            let message =
                format!("the directory changes when the agent is restarted; until then data is {stays}");
            new.warnings.push(Diagnostic::elsewhere("state", message));
            new.state = current.clone();
        }
    }

    /// The main loop: applies each configuration that the reloader finds.
    async fn follow(&mut self, mut reloader: ConfigReloader, requests: Receiver<()>) -> Infallible {
        loop {
            let mut check = reloader.next(&requests, &self.store).await;
            let changes = match check.config.take() {
                Some(config) => Some(self.apply_config(config).await),
                None => None,
            };
            let rebind_error = self.listener.rebind().await.err();
            reloader.report(check, changes.as_deref(), rebind_error, &self.store);
        }
    }
}

/// Runs the agent with this configuration until a signal ends it. It continues `history`. A `reloader` provides the later
/// configurations.
///
/// # Errors
///
/// If the server can't be started, or can't listen at its address.
pub fn serve(
    signals: Signals,
    timings: Timings,
    config: Config,
    history: Arc<History>,
    reloader: Option<ConfigReloader>,
) -> Result<(), Failure> {
    raise_descriptors(&config);
    let timings = Arc::new(timings);
    let reload = reloader.as_ref().map_or_else(|| Reload::first(None, Vec::new()), ConfigReloader::first);
    let store = Arc::new(Store::new(reload).within(Budget::of_process()));
    let http = config.http.clone();
    let parts = Dependencies::new(store.clone(), history.clone(), alerting::proxies(), &timings);
    let Dependencies { handles, events, journal, alerts, notifier, .. } = parts.clone();
    let dispatcher = Arc::new(Dispatcher::new(parts, http.clone(), &timings));
    let workers = WorkerPool::start({
        let dispatcher = dispatcher.clone();
        move |request| dispatcher.answer(request)
    })
    .map_err(|error| format!("can't start the HTTP server: {error}"))?;
    smol::block_on(async {
        let listen = http.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            format!("can't listen at {listen}: {error}; choose another address with --listen or http.listen")
        })?;
        let bound = listener.local_addr().map_err(|error| error.to_string())?;
        let (server_handle, control_messages) = server::control_channel();
        let unread = store.budget().answer.min(server::MAX_ANSWER);
        let limits =
            server::Limits { unread_bytes: unread, ..server::Limits::new(http.max_connections, &timings) };
        let https = http.tls.clone();
        // Leaving this block drops the agent, which ends all of its tasks.
        let mut agent = Agent {
            alerting: Alerting::start(alerts, notifier, &store, &timings),
            listener: Listener::new(server_handle, http.clone(), bound, timings.rebind_retry),
            sites: Sites::new(store.clone(), handles, timings.clone()),
            config: Config { http, journal: None, ..Config::default() },
            dispatcher,
            journal,
            totals: Arc::new(TotalsStorage::new(store.clone())),
            store,
            history,
            storage: None,
            timings: timings.clone(),
        };
        let _site_log = site_log::start(&agent.store);
        let _journal = record_journal(agent.store.clone(), agent.journal.clone());
        let _recorder = history::start(&agent.history, &agent.store);
        agent.apply_config(config).await;
        let _events = events.start();
        let serving =
            async { match server::serve(listener, workers, limits, https, control_messages).await {} };
        match reloader {
            None => serving.or(signals.until_ended(nothing_to_reload)).await,
            Some(reloader) => {
                // A pending request covers the next one.
                let (sender, requests) = channel::bounded(1);
                let ended = signals.until_ended(|| {
                    let _ = sender.try_send(());
                });
                let following = Box::pin(async { match agent.follow(reloader, requests).await {} });
                serving.or(following).or(ended).await;
            }
        }
        agent.sites.stop().await;
        if let Some(storage) = agent.storage.take() {
            agent.alerting.stop().await;
            storage.finish().await;
        }
        Ok(())
    })
}

/// Records ended sessions until the task is dropped.
fn record_journal(store: Arc<Store>, journal: Arc<Journal>) -> Task<()> {
    let events = store.subscribe();
    executor::spawn(async move { Recorder::new(journal).run(&store, events).await })
}

/// Raises the limit of open files to the number that connections and routers need, or to the system's maximum. The
/// usual 1,024 are too few.
fn raise_descriptors(config: &Config) {
    /// Descriptors for the log, files, and second connections to some routers.
    const OTHER: usize = 128;
    let required = (config.http.max_connections + 2 * config.sites.len() + OTHER) as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= required) {
        return;
    }
    let current = limit.maximum.map_or(required, |maximum| maximum.min(required));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
    if raised.is_err() || current < required {
        log::warn!(
            "open_files={} required={required} msg=\"the limit of open files is too low for {} clients. Raise \
             LimitNOFILE= of the service, or ulimit -n, or lower http.max_connections\"",
            getrlimit(Resource::Nofile).current.unwrap_or_default(),
            config.http.max_connections
        );
    }
}
