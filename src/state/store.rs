//! The store: the current snapshot, and how it changes.

use std::sync::{Arc, PoisonError, RwLock};

use event_listener::Event;

use super::reload::Reload;
use super::room::make_room;
use super::snapshot::{SiteState, Snapshot};
use crate::clock::{Clock, Moment};
use crate::memory::Budget;

/// The one place where the snapshot is replaced.
#[derive(Debug)]
pub struct Store {
    current: RwLock<Arc<Snapshot>>,
    changed: Event,
    budget: Budget,
}

impl Store {
    /// A store without sites, of an agent whose configuration was read so.
    #[must_use]
    pub fn new(reload: Reload) -> Self {
        let snapshot = Snapshot { generation: 0, clock: Clock::system(), reload, sites: Vec::new() };
        Self { current: RwLock::new(Arc::new(snapshot)), changed: Event::new(), budget: Budget::default() }
    }

    /// The same, with this much memory.
    #[must_use]
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// How much memory there is.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Waits until there is something newer than this generation.
    pub async fn changed(&self, generation: u64) {
        loop {
            let changed = self.changed.listen();
            if self.snapshot().generation != generation {
                return;
            }
            changed.await;
        }
    }

    /// What is known now. It stays as it is while the store goes on.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes one site and gives what `change` does; no change and `None` where the site is
    /// not there any more. It runs under the lock: no I/O, and that is logging, too.
    pub fn update<T>(&self, key: &str, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        self.change(|snapshot| {
            let site = snapshot.sites.iter_mut().find(|site| site.key == key)?;
            Some(change(Arc::make_mut(site)))
        })
    }

    /// Replaces the sites by those that `arrange` makes of them. It runs under the lock, too.
    pub fn rearrange(&self, arrange: impl FnOnce(Vec<Arc<SiteState>>) -> Vec<Arc<SiteState>>) {
        self.change(|snapshot| {
            snapshot.sites = arrange(std::mem::take(&mut snapshot.sites));
            Some(())
        });
    }

    /// Notes how reading the configuration went.
    pub fn note_reload(&self, note: impl FnOnce(&mut Reload)) {
        self.change(|snapshot| {
            note(&mut snapshot.reload);
            Some(())
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> Option<T>) -> Option<T> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&current);
        let done = change(&mut next)?;
        let cut = make_room(&mut next.sites, self.budget.kept, Moment::now());
        next.generation += 1;
        next.clock = next.clock.follow(Clock::system());
        *current = Arc::new(next);
        drop(current);
        self.changed.notify(usize::MAX);
        for line in cut {
            log::warn!("{line}");
        }
        Some(done)
    }
}
