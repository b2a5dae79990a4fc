//! The store: the current snapshot, and the only code that replaces it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use super::event::StoreEvent;
use super::event_queue::{EventQueue, NextEvent};
use super::reload::Reload;
use super::room::make_room;
use super::snapshot::{SiteState, Snapshot};
use super::storage::StorageState;
use crate::clock::{Clock, Moment};
use crate::memory::Budget;
use crate::plugin::Data;

/// The current snapshot, and the subscribers that receive each change.
#[derive(Debug)]
pub struct Store {
    current: RwLock<Arc<Snapshot>>,
    /// Locked during a change, so that changes and their events have the same order. Readers of `current` wait only
    /// while a pointer is replaced.
    subscribers: Mutex<Vec<Weak<EventQueue>>>,
    budget: Budget,
}

/// A subscriber's end of its event queue. Dropping it ends the subscription.
#[derive(Debug)]
pub struct EventReceiver {
    store: Arc<Store>,
    queue: Arc<EventQueue>,
    /// The generation of the last snapshot received. It includes all events up to it.
    snapshot_generation: u64,
    generation: u64,
}

impl Store {
    /// A store without sites.
    #[must_use]
    pub fn new(reload: Reload) -> Self {
        let snapshot = Snapshot {
            generation: 0,
            clock: Clock::system(),
            reload,
            storage: StorageState::default(),
            sites: Vec::new(),
        };
        Self {
            current: RwLock::new(Arc::new(snapshot)),
            subscribers: Mutex::default(),
            budget: Budget::default(),
        }
    }

    /// The same store with another memory budget.
    #[must_use]
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The memory budget.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The current snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Subscribes to all changes. The first event is a [`StoreEvent::Resync`] with the current snapshot.
    ///
    /// Changes never wait for a subscriber. If its queue overflows because it is too slow, its events are dropped and
    /// it receives another `Resync`.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>) -> EventReceiver {
        // The old states of one change of each site fit.
        let queue = Arc::new(EventQueue::new(self.budget.kept));
        self.lock().push(Arc::downgrade(&queue));
        EventReceiver { store: self.clone(), queue, snapshot_generation: 0, generation: 0 }
    }

    /// Changes one site and returns the result of `change`. If the site no longer exists, nothing changes and the
    /// result is `None`. `change` runs under a lock: it must not do I/O or log.
    pub fn update<T>(&self, key: &str, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        self.change(|snapshot| {
            let clock = snapshot.clock;
            let (site, before) = site_and_data(snapshot, key)?;
            let result = change(site);
            site.count_today(before.as_ref(), Moment::now(), clock);
            Some(result)
        })
    }

    /// Replaces the sites by those that `arrange` returns. It runs under the same lock as the changes of [`update`](Self::update).
    pub fn rearrange(&self, arrange: impl FnOnce(Vec<Arc<SiteState>>) -> Vec<Arc<SiteState>>) {
        self.change(|snapshot| {
            snapshot.sites = arrange(std::mem::take(&mut snapshot.sites));
            Some(())
        });
    }

    /// Changes the result of the last reload.
    pub fn note_reload(&self, note: impl FnOnce(&mut Reload)) {
        self.change(|snapshot| {
            note(&mut snapshot.reload);
            Some(())
        });
    }

    /// Replaces the result of the last attempt to store data.
    pub fn note_storage(&self, storage: StorageState) {
        self.change(|snapshot| {
            snapshot.storage = storage;
            Some(())
        });
    }

    /// Only this part exists once for each kind of change.
    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> Option<T>) -> Option<T> {
        let subscribers = self.lock();
        let (old, mut new) = self.next();
        let result = change(&mut new)?;
        self.publish(subscribers, &old, new);
        Some(result)
    }

    /// The current snapshot, and a copy of it to be changed.
    fn next(&self) -> (Arc<Snapshot>, Snapshot) {
        let old = self.snapshot();
        let mut new = Snapshot::clone(&old);
        new.clock = new.clock.follow(Clock::system());
        (old, new)
    }

    fn publish(
        &self,
        mut subscribers: MutexGuard<'_, Vec<Weak<EventQueue>>>,
        old: &Arc<Snapshot>,
        mut new: Snapshot,
    ) {
        make_room(&mut new.sites, self.budget.kept);
        new.generation += 1;
        let new = Arc::new(new);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
        subscribers.retain(|queue| queue.strong_count() > 0);
        if !subscribers.is_empty() {
            let events = StoreEvent::between(old, &new, Moment::now());
            for queue in subscribers.iter().filter_map(Weak::upgrade) {
                queue.push(new.generation, &events);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<EventQueue>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A site to be changed, and the data of its plugin `hotspot` before that.
fn site_and_data<'s>(
    snapshot: &'s mut Snapshot,
    key: &str,
) -> Option<(&'s mut SiteState, Option<Arc<Data>>)> {
    let site = Arc::make_mut(snapshot.sites.iter_mut().find(|site| site.key == key)?);
    let data = site.hotspot_reading().and_then(|reading| reading.data.clone());
    Some((site, data))
}

impl EventReceiver {
    /// Waits for the next event. No event is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> StoreEvent {
        loop {
            let ready = self.queue.ready();
            if let Some(event) = self.try_next() {
                return event;
            }
            ready.await;
        }
    }

    /// The next event, or `None`. The events of the last change are complete only after this has returned `None`.
    pub fn try_next(&mut self) -> Option<StoreEvent> {
        loop {
            match self.queue.pop()? {
                NextEvent::Snapshot => {
                    let snapshot = self.store.snapshot();
                    (self.snapshot_generation, self.generation) = (snapshot.generation, snapshot.generation);
                    return Some(StoreEvent::Resync(snapshot));
                }
                NextEvent::Event(generation, event) if generation > self.snapshot_generation => {
                    self.generation = generation;
                    return Some(event);
                }
                // The last snapshot includes it.
                NextEvent::Event(..) => {}
            }
        }
    }

    /// The generation of the snapshot to which the last event led.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::SiteEvent;

    fn store(keys: &[&str]) -> Arc<Store> {
        let store = Store::new(Reload::first(None, Vec::new()));
        let site = |key: &&str| SiteState::new(key, key, Duration::from_secs(30), ["h:8728".into()], []);
        store.rearrange(|_| keys.iter().map(site).map(Arc::new).collect());
        store.into()
    }

    /// The events that are ready, in short.
    fn received(receiver: &mut EventReceiver) -> Vec<String> {
        let events = std::iter::from_fn(|| receiver.try_next()).map(|event| match event {
            StoreEvent::SiteAdded(site) => format!("added {}", site.key),
            StoreEvent::SiteRemoved(site) => format!("removed {}", site.key),
            StoreEvent::SiteChanged(change) => format!("changed {}", change.new.key),
            StoreEvent::ConfigReloaded => "reloaded".into(),
            StoreEvent::Resync(snapshot) => format!("snapshot {}", snapshot.generation),
        });
        events.collect()
    }

    #[test]
    fn a_snapshot_does_not_change_and_shares_untouched_sites_with_the_next() {
        let store = store(&["a", "b"]);
        let before = store.snapshot();
        store.update("a", |site| site.connected(0, Moment::now()));
        let after = store.snapshot();
        assert!(!before.site("a").unwrap().is_online() && after.site("a").unwrap().is_online());
        assert!(after.generation > before.generation);
        assert!(Arc::ptr_eq(&before.sites[1], &after.sites[1]), "an untouched site is shared");
        assert!(store.update("gone", |_| ()).is_none());
        assert_eq!(store.snapshot().generation, after.generation);
    }

    #[test]
    fn a_subscriber_receives_a_snapshot_and_then_each_change() {
        let store = store(&["a", "b"]);
        let mut receiver = store.subscribe();
        store.update("a", |site| site.kicks += 1);
        assert_eq!(received(&mut receiver), ["snapshot 2"], "it includes the change");
        store.update("b", |site| site.kicks += 1);
        store.rearrange(|sites| {
            let new = SiteState::new("c", "c", Duration::from_secs(30), [], []);
            vec![new.into(), sites[1].clone()]
        });
        store
            .note_reload(|reload| reload.note(Moment::now().after(Duration::from_secs(1)), true, Vec::new()));
        assert_eq!(received(&mut receiver), ["changed b", "added c", "removed a", "reloaded"]);
        store.rearrange(|mut sites| {
            sites.reverse();
            sites
        });
        assert_eq!(received(&mut receiver), [""; 0], "no site changed");
    }

    #[test]
    fn a_change_carries_both_states_and_what_happened() {
        let store = store(&["a"]);
        let mut receiver = store.subscribe();
        received(&mut receiver);
        let now = Moment::now();
        store.update("a", |site| site.connected(0, now));
        let StoreEvent::SiteChanged(change) = smol::block_on(receiver.next()) else { panic!("no change") };
        assert!(!change.old.is_online() && Arc::ptr_eq(&change.new, &store.snapshot().sites[0]));
        assert_eq!(change.events, [SiteEvent::Online { host: "h:8728".into(), since: now }]);
    }

    #[test]
    fn a_slow_subscriber_gets_a_snapshot_instead_of_the_events_that_it_lost() {
        let store = store(&["a"]);
        let [mut slow, mut quick] = [(); 2].map(|()| store.subscribe());
        received(&mut slow);
        received(&mut quick);
        for n in 1..=1025 {
            store.update("a", |site| site.kicks += 1);
            assert_eq!(received(&mut quick), ["changed a"], "{n}");
        }
        assert_eq!(received(&mut slow), ["snapshot 1026"]);
        store.update("a", |site| site.kicks += 1);
        assert_eq!(received(&mut slow), ["changed a"]);
    }

    #[test]
    fn a_dropped_receiver_is_forgotten_at_the_next_change() {
        let store = store(&["a"]);
        drop(store.subscribe());
        assert_eq!(store.lock().len(), 1);
        store.update("a", |_| ());
        assert_eq!(store.lock().len(), 0);
    }
}
