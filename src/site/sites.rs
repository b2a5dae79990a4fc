//! The tasks of all sites: starts and stops them as the configuration changes. Unchanged sites keep running.

use std::collections::HashMap;
use std::sync::Arc;

use smol::Task;

use super::context::SiteContext;
use super::handle::SiteHandles;
use super::mailbox::Mailbox;
use super::supervisor;
use crate::config::{self, Change, Changes, Config};
use crate::executor;
use crate::state::{SiteState, Store};
use crate::timings::Timings;

/// The running sites. Dropping it ends them all.
#[derive(Debug)]
pub struct Sites {
    running: HashMap<String, RunningSite>,
    store: Arc<Store>,
    handles: Arc<SiteHandles>,
    timings: Arc<Timings>,
}

impl Sites {
    /// Starts without sites. Sites write to this store and are reached through these handles.
    pub fn new(store: Arc<Store>, handles: Arc<SiteHandles>, timings: Arc<Timings>) -> Self {
        Self { running: HashMap::new(), store, handles, timings }
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
    fn start(
        config: Arc<config::Site>,
        store: Arc<Store>,
        mailbox: Arc<Mailbox>,
        timings: Arc<Timings>,
    ) -> Self {
        let context = Arc::new(SiteContext::new(config, store, timings));
        let task = executor::spawn(supervisor::run(context.clone(), mailbox));
        Self { context, task }
    }
}

/// The state of the sites of `new`, in its order.
fn arrange(known: Vec<Arc<SiteState>>, changes: &Changes, new: &Config) -> Vec<Arc<SiteState>> {
    let mut known: HashMap<String, Arc<SiteState>> =
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
