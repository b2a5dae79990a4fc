//! The store: the current snapshot, and the only code that replaces it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, Weak};

use smol::Timer;
use smol::future::or;
use smol::stream::StreamExt;

use super::event::{SiteChange, StoreEvent};
use super::event_queue::{EventQueue, NextEvent};
use super::reload::Reload;
use super::room::make_room;
use super::site_state::SiteState;
use super::snapshot::Snapshot;
use super::storage::StorageState;
use crate::clock::{Clock, Moment};
use crate::memory::Budget;

/// The current snapshot, and the subscribers that receive each change.
#[derive(Debug)]
pub struct Store {
    current: RwLock<Arc<Snapshot>>,
    /// Locked during a change, so that changes and their events have the same order. Readers of `current` wait only
    /// while a pointer is replaced.
    subscribers: Mutex<Vec<Weak<EventQueue>>>,
    budget: Budget,
}

type Subscribers<'s> = MutexGuard<'s, Vec<Weak<EventQueue>>>;

/// A change of one site.
struct SiteUpdate {
    place: usize,
    old: Arc<SiteState>,
    new: SiteState,
    clock: Clock,
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
    pub fn new(reload: Reload) -> Self {
        Self {
            current: RwLock::new(Arc::new(Snapshot::new(reload, Vec::new()))),
            subscribers: Mutex::default(),
            budget: Budget::default(),
        }
    }

    /// The same store with another memory budget.
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The memory budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Subscribes to all changes. The first event is a [`StoreEvent::Resync`] with the current snapshot.
    ///
    /// Changes never wait for a subscriber. If its queue overflows because it is too slow, its events are dropped and
    /// it receives another `Resync`.
    pub fn subscribe(self: &Arc<Self>) -> EventReceiver {
        // The old states of one change of each site fit.
        let queue = Arc::new(EventQueue::new(self.budget.kept));
        self.lock().push(Arc::downgrade(&queue));
        EventReceiver { store: self.clone(), queue, snapshot_generation: 0, generation: 0 }
    }

    /// Changes one site and returns the result of `change`. If the site no longer exists, nothing changes and the
    /// result is `None`. `change` runs under a lock: it must not do I/O or log.
    pub fn update<T>(&self, key: &str, change: impl FnOnce(&mut SiteState) -> T) -> Option<T> {
        let subscribers = self.lock();
        let mut update = self.begin(key)?;
        let result = change(&mut update.new);
        self.finish(subscribers, update);
        Some(result)
    }

    /// Replaces the sites by those that `arrange` returns. It runs under the same lock as the changes of [`update`](Self::update).
    pub fn rearrange(&self, arrange: impl FnOnce(Vec<Arc<SiteState>>) -> Vec<Arc<SiteState>>) {
        self.change(|snapshot| {
            let sites = arrange(std::mem::take(&mut snapshot.sites));
            snapshot.arrange(sites);
        });
    }

    /// Changes the result of the last reload.
    pub fn note_reload(&self, note: impl FnOnce(&mut Reload)) {
        self.change(|snapshot| note(&mut snapshot.reload));
    }

    /// Replaces the result of the last attempt to store data.
    pub fn note_storage(&self, storage: StorageState) {
        self.change(|snapshot| snapshot.storage = storage);
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let subscribers = self.lock();
        let (old, mut new) = self.next();
        change(&mut new);
        self.publish(subscribers, &old, new);
    }

    /// The current snapshot, and a copy of it to be changed.
    fn next(&self) -> (Arc<Snapshot>, Snapshot) {
        let old = self.snapshot();
        let mut new = Snapshot::clone(&old);
        new.advance();
        (old, new)
    }

    fn publish(&self, subscribers: Subscribers, old: &Arc<Snapshot>, mut new: Snapshot) {
        make_room(&mut new, self.budget.kept);
        let new = Arc::new(new);
        *self.write() = new.clone();
        send(subscribers, new.generation, || StoreEvent::between(old, &new, Moment::now()));
    }

    /// The current state of a site, and a copy of it to be changed.
    fn begin(&self, key: &str) -> Option<SiteUpdate> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let place = current.place(key)?;
        let old = current.sites[place].clone();
        let clock = current.clock.follow(Clock::system());
        Some(SiteUpdate { place, new: SiteState::clone(&old), old, clock })
    }

    /// Changes the snapshot itself unless a reader has it: to copy the pointers to a thousand sites for each change of one
    /// takes a quarter of the CPU.
    fn finish(&self, subscribers: Subscribers, SiteUpdate { place, old, mut new, clock }: SiteUpdate) {
        let data = old.hotspot_reading().and_then(|reading| reading.data.as_ref());
        new.count_today(data, Moment::now(), clock);
        let new = Arc::new(new);
        let mut current = self.write();
        if current.cost - old.cost() + new.cost() > self.budget.kept {
            drop(current);
            let (before, mut after) = self.next();
            after.replace(place, new);
            return self.publish(subscribers, &before, after);
        }
        let snapshot = Arc::make_mut(&mut current);
        snapshot.advance();
        snapshot.replace(place, new.clone());
        let generation = snapshot.generation;
        drop(current);
        send(subscribers, generation, || {
            vec![StoreEvent::SiteChanged(SiteChange::between(old, new, Moment::now()).into())]
        });
    }

    fn write(&self) -> RwLockWriteGuard<'_, Arc<Snapshot>> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> Subscribers<'_> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the events of a change, if anybody subscribes to them.
fn send(mut subscribers: Subscribers, generation: u64, events: impl FnOnce() -> Vec<StoreEvent>) {
    subscribers.retain(|queue| queue.strong_count() > 0);
    if !subscribers.is_empty() {
        let events = events();
        for queue in subscribers.iter().filter_map(Weak::upgrade) {
            queue.push(generation, &events);
        }
    }
}

impl EventReceiver {
    /// Waits for the next event. No event is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> StoreEvent {
        let mut ready = None;
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            // An event may have come before this began to listen.
            match ready.take() {
                None => ready = Some(self.queue.ready()),
                Some(ready) => ready.await,
            }
        }
    }

    /// Waits for the next event, or for the next tick of an interval: `None`. Neither starves while the other one comes all
    /// the time.
    pub async fn next_or_tick(&mut self, ticks: &mut Timer) -> Option<StoreEvent> {
        let tick = async {
            ticks.next().await;
            None
        };
        or(tick, async { Some(self.next().await) }).await
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
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plugin::{Following, Plugin};
    use crate::routeros::client::Reply;
    use crate::routeros::codepage::Codepage;
    use crate::routeros::wire::Sentence;
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
    fn sites_are_found_in_any_order_of_the_file() {
        let store = store(&["c", "a", "d", "b"]);
        for key in ["a", "b", "c", "d"] {
            store.update(key, |site| site.kicks += 1);
        }
        store.rearrange(|mut sites| {
            sites.remove(1);
            sites.reverse();
            sites
        });
        let snapshot = store.snapshot();
        assert!(snapshot.sites.iter().map(|site| (&*site.key, site.kicks)).eq([
            ("b", 1),
            ("d", 1),
            ("c", 1)
        ]));
        for key in ["a", "b", "c", "d", "e"] {
            let found = snapshot.site(key).map(|site| &*site.key);
            assert_eq!(found, Some(key).filter(|key| !["a", "e"].contains(key)));
        }
    }

    #[test]
    fn a_change_above_the_memory_budget_is_an_event_of_each_truncated_site() {
        let store =
            Store::new(Reload::first(None, Vec::new())).within(Budget { kept: 100_000, ..Budget::default() });
        let site = |key: &str| SiteState::new(key, key, Duration::from_secs(30), [], [Plugin::Hotspot]);
        store.rearrange(|_| ["a", "b"].map(site).map(Arc::new).into());
        let store = Arc::new(store);
        let mut receiver = store.subscribe();
        received(&mut receiver);
        for (key, events) in [("a", &["changed a"][..]), ("b", &["changed a", "changed b"])] {
            let row = |n: usize| Sentence::from_words(["!re", &format!("=.id=*{n:04X}"), "=user=x"]);
            let answers = [Ok(Reply { rows: (0..400).map(row).collect(), ..Reply::default() })];
            let (now, codepage) = (Moment::now(), Codepage::named("windows-1252").unwrap());
            store.update(key, |site| {
                let reading = site.readings[0].clone().after(&answers, now, now, codepage, Following::No);
                site.put(reading);
            });
            assert_eq!(received(&mut receiver), events, "{}", store.snapshot().cost);
        }
        let snapshot = store.snapshot();
        assert!(
            snapshot.cost <= 100_000 && snapshot.sites.iter().all(|site| site.readings[0].partial.is_some())
        );
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
