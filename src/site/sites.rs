//! All sites at work: starts those that came, ends those that went, and leaves the rest alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Site, initial_state};
use crate::action::SiteHandles;
use crate::config::{self, Change, Changes, Config};
use crate::state::{SiteState, Store};
use crate::timings::Timings;

/// The sites at work. Dropping it ends them all.
#[derive(Debug)]
pub struct Sites {
    /// Dropped first: a site's task must not outlive the queues that it reads.
    at_work: BTreeMap<String, Site>,
    store: Arc<Store>,
    desk: Arc<SiteHandles>,
    timings: Arc<Timings>,
}

impl Sites {
    /// None yet: they write to this store, and serve what is asked at this desk.
    #[must_use]
    pub fn new(store: Arc<Store>, desk: Arc<SiteHandles>, timings: Arc<Timings>) -> Self {
        Self { at_work: BTreeMap::new(), store, desk, timings }
    }

    /// Makes the sites at work those of `new`, by what has changed to it. A site that has not is not touched:
    /// neither its task nor its connection nor what is known of it.
    pub async fn apply(&mut self, changes: &Changes<'_>, new: &Config) {
        let anew = changes.changed.iter().filter(|(_, change)| *change == Change::Restart);
        let anew: Vec<_> = anew.map(|&(site, _)| site).collect();
        let ended = changes.removed.iter().copied().chain(anew.iter().map(|site| site.key.as_str()));
        for key in ended {
            if let Some(site) = self.at_work.remove(key) {
                // Before what it knew is forgotten: it would write that anew.
                site.stop().await;
            }
        }
        if !(changes.removed.is_empty() && changes.added.is_empty() && changes.changed.is_empty())
            || changes.is_reordered
        {
            self.store.rearrange(|known| arrange(known, changes, new));
        }
        for (site, change) in &changes.changed {
            if let Some(at_work) = self.at_work.get(&site.key).filter(|_| *change != Change::Restart) {
                at_work.reconfigure((*site).clone());
            }
        }
        for key in &changes.removed {
            self.desk.close(key);
        }
        for site in changes.added.iter().copied().chain(anew) {
            let orders = self.desk.open(&site.key);
            let started = Site::start(site.clone(), self.store.clone(), orders, self.timings.clone());
            self.at_work.insert(site.key.clone(), started);
        }
    }
}

/// What is known of the sites of `new`, in its order.
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
