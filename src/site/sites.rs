//! The tasks of all sites: starts and stops them as the configuration changes. Unchanged sites keep running.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol::Task;

use super::context::SiteContext;
use super::handle::{Mailbox, SiteHandles};
use super::supervisor;
use crate::config::{self, Change, Changes, Config};
use crate::executor;
use crate::state::{SiteState, Store};
use crate::timings::Timings;

/// The running sites. Dropping it ends them all.
#[derive(Debug)]
pub struct Sites {
    /// Dropped first: a site's task must not outlive the senders of its mailbox.
    running: BTreeMap<String, RunningSite>,
    store: Arc<Store>,
    handles: Arc<SiteHandles>,
    timings: Arc<Timings>,
}

impl Sites {
    /// Starts without sites. Sites write to this store and are reached through these handles.
    #[must_use]
    pub fn new(store: Arc<Store>, handles: Arc<SiteHandles>, timings: Arc<Timings>) -> Self {
        Self { running: BTreeMap::new(), store, handles, timings }
    }

    /// Applies the changes that lead to `new`. An unchanged site keeps its task, its connection and its state.
    pub async fn apply(&mut self, changes: &Changes<'_>, new: &Config) {
        let replaced = changes.changed.iter().filter(|(_, change)| *change == Change::Restart);
        let replaced: Vec<_> = replaced.map(|&(site, _)| site).collect();
        let ended = changes.removed.iter().copied().chain(replaced.iter().map(|site| site.key.as_str()));
        for key in ended {
            if let Some(site) = self.running.remove(key) {
                // The connection ends with the task. It must end before its state is removed. Otherwise it would write
                // the state again.
                site.task.cancel().await;
            }
        }
        if !(changes.removed.is_empty() && changes.added.is_empty() && changes.changed.is_empty())
            || changes.is_reordered
        {
            self.store.rearrange(|known| arrange(known, changes, new));
        }
        for (site, change) in &changes.changed {
            if let Some(running) = self.running.get(&site.key).filter(|_| *change != Change::Restart) {
                running.context.set_config((*site).clone());
            }
        }
        for key in &changes.removed {
            self.handles.close(key);
        }
        for site in changes.added.iter().copied().chain(replaced) {
            let mailbox = self.handles.open(&site.key);
            let running = RunningSite::start(site.clone(), self.store.clone(), mailbox, self.timings.clone());
            self.running.insert(site.key.clone(), running);
        }
    }

    /// Ends all sites, and waits until the actions that this interrupts are logged.
    pub async fn stop(&mut self) {
        let running = std::mem::take(&mut self.running);
        self.handles.stop(|| drop(running)).await;
    }
}

/// A site with its task. Dropping it ends the task and its connection.
#[derive(Debug)]
struct RunningSite {
    context: Arc<SiteContext>,
    task: Task<()>,
}

impl RunningSite {
    fn start(config: Arc<config::Site>, store: Arc<Store>, mailbox: Mailbox, timings: Arc<Timings>) -> Self {
        let context = Arc::new(SiteContext::new(config, store, timings));
        let task = executor::spawn(supervisor::run(context.clone(), mailbox));
        Self { context, task }
    }
}

/// The state of the sites of `new`, in its order.
fn arrange(known: Vec<Arc<SiteState>>, changes: &Changes, new: &Config) -> Vec<Arc<SiteState>> {
    let mut known: BTreeMap<String, Arc<SiteState>> =
        known.into_iter().map(|site| (site.key.clone(), site)).collect();
    let mut arranged = |config: &config::Site| {
        let change =
            changes.changed.iter().find(|(site, _)| site.key == config.key).map(|&(_, change)| change);
        match (known.remove(&config.key), change) {
            (Some(state), None) => state,
            (Some(mut state), Some(Change::InPlace | Change::Reconnect)) => {
                Arc::make_mut(&mut state).reconfigure(initial_state(config));
                state
            }
            (_, Some(Change::Restart)) | (None, _) => initial_state(config).into(),
        }
    };
    new.sites.iter().map(|config| arranged(config)).collect()
}

/// The state of a site whose task has not begun.
fn initial_state(config: &config::Site) -> SiteState {
    let hosts = config.hosts.iter().map(ToString::to_string);
    let mut state =
        SiteState::new(&config.key, &config.name, config.refresh, hosts, config.plugins.iter().cloned());
    state.group.clone_from(&config.group);
    state
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use smol::future::FutureExt;
    use smol::{Timer, channel};

    use super::*;
    use crate::config::{Host, Secret};
    use crate::simulator::{Fault, Router, Settings};
    use crate::state::Reload;

    /// Upper bound of a test's wait for something that normally happens at once.
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn config(router: &Router) -> Arc<config::Site> {
        let host = Host { name: "127.0.0.1".into(), port: router.addr().port() };
        Arc::new(config::Site::new("awka", vec![host], "api-user", Secret::new("password".into())))
    }

    fn store(config: &config::Site) -> Arc<Store> {
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| vec![initial_state(config).into()]);
        store
    }

    /// Waits on this thread, so that the test detects a task that blocks the executor.
    #[track_caller]
    fn wait(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < TIMEOUT, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the executor still runs other tasks.
    fn executor_is_responsive() -> bool {
        let (done, wait) = channel::bounded(1);
        executor::spawn(async move { done.send(()).await }).detach();
        let late = async {
            Timer::after(TIMEOUT).await;
            false
        };
        smol::block_on(async { wait.recv().await.is_ok() }.or(late))
    }

    /// The site is online and follows changes, or offline between two attempts: each loop of its task gets the closed
    /// channel.
    #[test]
    fn closed_channels_keep_no_site_busy() {
        for fault in [None, Some(Fault::Refuse)] {
            for closed in ["refreshes", "connection jobs", "separate jobs"] {
                let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
                router.set_fault(fault);
                let config = config(&router);
                let store = store(&config);
                let (refreshes, refreshes_receiver) = channel::bounded(1);
                let (connection_jobs, connection_receiver) = channel::bounded(1);
                let (separate_jobs, separate_receiver) = channel::bounded(1);
                let mailbox = Mailbox {
                    refreshes: refreshes_receiver,
                    connection_jobs: connection_receiver,
                    separate_jobs: separate_receiver,
                };
                let site = RunningSite::start(config, store.clone(), mailbox, Arc::default());
                wait("the site was tried", || !store.snapshot().sites[0].connection_events.is_empty());
                let mut kept = (Some(refreshes), Some(connection_jobs), Some(separate_jobs));
                match closed {
                    "refreshes" => kept.0 = None,
                    "connection jobs" => kept.1 = None,
                    _ => kept.2 = None,
                }
                assert!(executor_is_responsive(), "{closed}, {fault:?}");
                if closed != "refreshes" {
                    wait("the task has ended", || site.task.is_finished());
                }
            }
        }
    }

    /// This happens if the handles of all sites are dropped before the sites.
    #[test]
    fn a_site_whose_channels_are_all_closed_ends() {
        let router = Router::start(([127, 0, 0, 1], 0).into(), Settings::default()).unwrap();
        let config = config(&router);
        let store = store(&config);
        let handles = SiteHandles::new(TIMEOUT);
        let site = RunningSite::start(config, store.clone(), handles.open("awka"), Arc::default());
        wait("it is online", || store.snapshot().sites[0].is_online());
        drop(handles);
        wait("the task has ended", || site.task.is_finished());
        assert!(executor_is_responsive());
    }
}
