//! `/api/events`: changes of the sites as server-sent events.
//!
//! One task receives the store's events and renders each change once. Every [`Subscription`] sends the same bytes. A
//! new subscription, and one that was too slow for the backlog, first gets the state of all sites, so every client
//! receives the latest state of each site.
//!
//! The page needs no figures, because it fetches itself: it subscribes to the keys of changed sites alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use serde::Serialize;
use smol::{Task, stream};

use super::api::{self, View};
use super::message::EventStream;
use crate::clock::Moment;
use crate::deadline::within;
use crate::executor;
use crate::state::{EventReceiver, SiteState, Snapshot, Store, StoreEvent};
use crate::timings::Timings;

/// Bytes in the backlog for slow clients: some seconds of changes at fifty sites.
const MAX_BACKLOG: usize = 256 * 1024;

/// How long the state of all sites can be reused if nothing changes: ages are in whole seconds. When a thousand pages
/// reconnect at once, it is rendered and held once.
const REUSE_FOR: Duration = Duration::from_secs(1);

/// The data of the events of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventData {
    /// An event for each site with its figures, and one for the configuration.
    Figures,
    /// One event with the keys of all changed sites: a twentieth of the bytes. That for the configuration is empty.
    Keys,
}

impl EventData {
    const ALL: [Self; 2] = [Self::Figures, Self::Keys];
}

/// Publishes changes to all subscriptions.
#[derive(Debug)]
pub struct Events {
    store: Arc<Store>,
    timings: Arc<Timings>,
    figures: Mutex<Backlog>,
    keys: Mutex<Backlog>,
    more: Event,
}

/// One or more events, or a comment.
#[derive(Debug, Clone)]
struct Batch {
    /// The snapshot that the events show; `None` for a comment.
    generation: Option<u64>,
    /// Shared by all subscriptions.
    bytes: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct Backlog {
    batches: VecDeque<Batch>,
    /// The number of the first batch.
    first: u64,
    subscribers: usize,
    /// Incremented by each call of [`Events::disconnect_all`].
    disconnects: u64,
    /// The state of all sites, and when it was rendered.
    full_state: Option<(Instant, Batch)>,
}

impl Backlog {
    fn next(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    fn push(&mut self, batch: Batch) {
        self.batches.push_back(batch);
        let size = |backlog: &Self| backlog.batches.iter().map(|batch| batch.bytes.len()).sum::<usize>();
        while self.batches.len() > 1 && size(self) > MAX_BACKLOG {
            self.batches.pop_front();
            self.first += 1;
        }
    }
}

/// A client of the event stream.
#[derive(Debug)]
pub struct Subscription {
    events: Arc<Events>,
    data: EventData,
    /// The number of the next batch; `None` before the state of all sites is sent.
    next: Option<u64>,
    /// The last generation that was sent.
    generation: Option<u64>,
    /// The number of disconnects before this subscription.
    disconnects: u64,
}

/// The data of a `site` event: that of `/api/hotspot/{site}`, and the site's key.
#[derive(Serialize)]
struct SiteData<'s> {
    site: &'s str,
    #[serde(flatten)]
    stats: api::Stats<'s>,
}

/// Changes that are not rendered yet.
#[derive(Default)]
struct Pending {
    /// When to render them; `None` if there are none.
    due: Option<Instant>,
    has_reload: bool,
    sites: BTreeSet<String>,
}

impl Pending {
    fn add(&mut self, event: &StoreEvent) {
        let sites: &[Arc<SiteState>] = match event {
            StoreEvent::SiteAdded(site) => std::slice::from_ref(site),
            StoreEvent::SiteChanged(change) => std::slice::from_ref(&change.new),
            StoreEvent::Resync(snapshot) => &snapshot.sites,
            StoreEvent::SiteRemoved(_) | StoreEvent::ConfigReloaded => &[],
        };
        self.sites.extend(sites.iter().map(|site| site.key.clone()));
        self.has_reload |= matches!(event, StoreEvent::ConfigReloaded | StoreEvent::Resync(_));
    }

    /// Renders the current state of everything that changed up to this generation. The snapshot may be newer: its
    /// further changes are in a later batch, which must not have the same generation.
    fn render(&self, data: EventData, generation: u64, snapshot: &Snapshot) -> Batch {
        let changed = |site: &&Arc<SiteState>| self.sites.contains(&site.key);
        render(data, snapshot, generation, snapshot.sites.iter().filter(changed), self.has_reload)
    }
}

impl Events {
    /// A publisher of this store's changes.
    pub fn new(store: Arc<Store>, timings: Arc<Timings>) -> Arc<Self> {
        let [figures, keys] = [Mutex::default(), Mutex::default()];
        Arc::new(Self { store, timings, figures, keys, more: Event::new() })
    }

    /// Publishes changes until the task is dropped.
    pub fn start(self: &Arc<Self>) -> Task<()> {
        let (events, changes) = (self.clone(), self.store.subscribe());
        executor::spawn(async move { events.run(changes).await })
    }

    /// Adds a subscription.
    pub fn subscribe(self: &Arc<Self>, data: EventData) -> Subscription {
        let mut backlog = self.lock(data);
        backlog.subscribers += 1;
        let disconnects = backlog.disconnects;
        drop(backlog);
        Subscription { events: self.clone(), data, next: None, generation: None, disconnects }
    }

    /// Ends all current subscriptions, because the access rules changed. Clients may reconnect and are authenticated
    /// then.
    pub(super) fn disconnect_all(&self) {
        for data in EventData::ALL {
            self.lock(data).disconnects += 1;
        }
        self.more.notify(usize::MAX);
    }

    async fn run(&self, mut changes: EventReceiver) {
        // A new subscription gets the state of all sites, so the first snapshot is not published.
        changes.next().await;
        let mut pending = Pending::default();
        let mut comment_at = Instant::now() + self.timings.event_comment;
        loop {
            let wake_at = pending.due.map_or(comment_at, |due| due.min(comment_at));
            let left = wake_at.saturating_duration_since(Instant::now());
            if let Some(event) = within(left, changes.next()).await {
                pending.add(&event);
                pending.due.get_or_insert_with(|| Instant::now() + self.timings.event_batch);
            }
            let now = Instant::now();
            if now >= comment_at {
                comment_at += self.timings.event_comment;
                self.publish(|_| Batch { generation: None, bytes: b": alive\n\n".as_slice().into() });
            }
            if pending.due.is_some_and(|due| now >= due) {
                let mut pending = std::mem::take(&mut pending);
                while let Some(event) = changes.try_next() {
                    pending.add(&event);
                }
                let snapshot = self.store.snapshot();
                self.publish(|data| pending.render(data, changes.generation(), &snapshot));
            }
        }
    }

    /// The state of all sites: `rendered` if that is still current.
    fn full_state(&self, data: EventData, rendered: Option<(Instant, Batch)>) -> Batch {
        let now = self.store.snapshot();
        let is_current =
            |at: Instant, batch: &Batch| batch.generation == Some(now.generation) && at.elapsed() < REUSE_FOR;
        if let Some((_, batch)) = rendered.filter(|(at, batch)| is_current(*at, batch)) {
            return batch;
        }
        let batch = render(data, &now, now.generation, &now.sites, false);
        self.lock(data).full_state = Some((Instant::now(), batch.clone()));
        batch
    }

    /// Publishes a batch, which is rendered only with the data that there are subscriptions to.
    fn publish(&self, batch: impl Fn(EventData) -> Batch) {
        for data in EventData::ALL {
            if self.lock(data).subscribers > 0 {
                let batch = batch(data);
                self.lock(data).push(batch);
            }
        }
        self.more.notify(usize::MAX);
    }

    fn lock(&self, data: EventData) -> MutexGuard<'_, Backlog> {
        let backlog = if data == EventData::Keys { &self.keys } else { &self.figures };
        backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The events as a stream, which ends when the subscription is disconnected.
    pub(super) fn into_stream(self) -> EventStream {
        Box::pin(stream::unfold(self, async |mut subscription| {
            let bytes = subscription.next().await?;
            Some((bytes, subscription))
        }))
    }

    /// The next bytes to send; `None` once the subscription is disconnected.
    pub(super) async fn next(&mut self) -> Option<Arc<[u8]>> {
        loop {
            let more = self.events.more.listen();
            if self.events.lock(self.data).disconnects != self.disconnects {
                return None;
            }
            while let Some(Batch { generation, bytes }) = self.ready_batch() {
                // The state of all sites may be newer than a batch that was being rendered at that time.
                if generation.is_none() || generation > self.generation {
                    self.generation = generation.max(self.generation);
                    return Some(bytes);
                }
            }
            more.await;
        }
    }

    /// The next batch, if there is one. If the backlog no longer has it, the state of all sites.
    fn ready_batch(&mut self) -> Option<Batch> {
        let backlog = self.events.lock(self.data);
        let place = self.next.and_then(|next| next.checked_sub(backlog.first));
        let Some(place) = place.and_then(|place| usize::try_from(place).ok()) else {
            self.next = Some(backlog.next());
            let rendered = backlog.full_state.clone();
            drop(backlog);
            return Some(self.events.full_state(self.data, rendered));
        };
        let batch = backlog.batches.get(place)?.clone();
        self.next = self.next.map(|next| next + 1);
        Some(batch)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut backlog = self.events.lock(self.data);
        backlog.subscribers -= 1;
        if backlog.subscribers == 0 {
            backlog.first = backlog.next();
            backlog.batches.clear();
            backlog.full_state = None;
        }
    }
}

/// Renders the events of these sites, and one for the configuration if it was reloaded. Their id is the generation, by
/// which a page detects events that it already shows.
fn render<'s>(
    data: EventData,
    snapshot: &Snapshot,
    generation: u64,
    sites: impl IntoIterator<Item = &'s Arc<SiteState>>,
    has_reload: bool,
) -> Batch {
    let view = View { snapshot, is_admin: false, now: Moment::now() };
    let mut text = String::new();
    // Serializing can't fail: all maps have text as keys.
    let mut put = |event: &str, data: serde_json::Result<String>| {
        let (id, data) = (generation.to_string(), data.unwrap_or_default());
        text.extend(["id: ", &id, "\nevent: ", event, "\ndata: ", &data, "\n\n"]);
    };
    let has_figures = data == EventData::Figures;
    if has_reload {
        let config = has_figures.then(|| api::config(view, false));
        put("config", config.map_or_else(|| Ok("{}".into()), |config| serde_json::to_string(&config)));
    }
    if has_figures {
        for site in sites {
            let data = SiteData { site: &site.key, stats: api::stats(view, site) };
            put("site", serde_json::to_string(&data));
        }
    } else {
        let keys: Vec<&str> = sites.into_iter().map(|site| site.key.as_str()).collect();
        put("sites", serde_json::to_string(&keys));
    }
    Batch { generation: Some(generation), bytes: text.into_bytes().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Reload;

    #[test]
    fn stale_snapshot_is_not_sent_after_a_newer_event() {
        let site = SiteState::new("awka", "Awka", Duration::from_secs(30), [], []);
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| vec![site.into()]);
        let events = Events::new(store.clone(), Arc::default());
        let mut subscription = events.subscribe(EventData::Figures);
        let mut next = || {
            let bytes = smol::block_on(subscription.next()).unwrap();
            String::from_utf8_lossy(&bytes).lines().next().map(str::to_string).unwrap_or_default()
        };
        let batch = |generation: Option<u64>, text: &str| Batch { generation, bytes: text.as_bytes().into() };
        assert_eq!(next(), "id: 1", "the state of all sites, though none was tried yet");
        events.publish(|_| batch(Some(1), "older"));
        events.publish(|_| batch(None, "a comment"));
        events.publish(|_| batch(Some(3), "newer"));
        events.publish(|_| batch(Some(2), "older"));
        events.publish(|_| batch(None, "another comment"));
        assert_eq!([next(), next(), next()], ["a comment", "newer", "another comment"]);
    }

    #[test]
    fn a_batch_has_the_generation_of_its_last_event_and_not_of_a_newer_snapshot() {
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        let site = |key: &str| SiteState::new(key, key, Duration::from_secs(30), [], []).into();
        store.rearrange(|_| ["awka", "lagos"].map(site).into());
        let mut changes = store.subscribe();
        assert!(matches!(changes.try_next(), Some(StoreEvent::Resync(_))));
        let mut batch = || {
            let mut pending = Pending::default();
            pending.add(&changes.try_next().unwrap());
            pending.render(EventData::Figures, changes.generation(), &store.snapshot())
        };
        store.update("awka", |_| ());
        store.update("lagos", |_| ());
        assert_eq!([batch().generation, batch().generation], [Some(2), Some(3)]);
    }

    #[test]
    fn keys_are_published_without_figures() {
        let site = |key: &str| SiteState::new(key, key, Duration::from_secs(30), [], []).into();
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| ["awka", "lagos"].map(site).into());
        let events = Events::new(store.clone(), Arc::default());
        let mut subscription = events.subscribe(EventData::Keys);
        let mut next = || String::from_utf8_lossy(&smol::block_on(subscription.next()).unwrap()).into_owned();
        assert_eq!(next(), "id: 1\nevent: sites\ndata: [\"awka\",\"lagos\"]\n\n", "all sites first");
        store.update("lagos", |_| ());
        let pending = Pending { sites: ["lagos".into()].into(), has_reload: true, ..Pending::default() };
        let snapshot = store.snapshot();
        events.publish(|data| {
            assert_eq!(data, EventData::Keys, "nobody subscribes to figures");
            pending.render(data, snapshot.generation, &snapshot)
        });
        let expected = "id: 2\nevent: config\ndata: {}\n\nid: 2\nevent: sites\ndata: [\"lagos\"]\n\n";
        assert_eq!(next(), expected);
    }

    #[test]
    fn disconnected_subscriptions_receive_nothing_more() {
        let events = Events::new(Arc::new(Store::new(Reload::first(None, Vec::new()))), Arc::default());
        let mut before = events.subscribe(EventData::Figures);
        assert!(smol::block_on(before.next()).is_some());
        events.disconnect_all();
        let mut after = events.subscribe(EventData::Figures);
        assert!(smol::block_on(after.next()).is_some());
        assert!(smol::block_on(before.next()).is_none());
        events.publish(|_| Batch { generation: None, bytes: b"more".as_slice().into() });
        assert!(smol::block_on(after.next()).is_some() && smol::block_on(before.next()).is_none());
    }

    #[test]
    fn new_subscriptions_share_the_rendered_state_until_it_changes() {
        let site = SiteState::new("awka", "Awka", Duration::from_secs(30), [], []);
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| vec![site.into()]);
        let events = Events::new(store.clone(), Arc::default());
        let next = |subscription: &mut Subscription| smol::block_on(subscription.next()).unwrap();
        let [mut first, mut second, mut third] = [(); 3].map(|()| events.subscribe(EventData::Figures));
        let all = next(&mut first);
        events.publish(|_| Batch { generation: None, bytes: b"a comment".as_slice().into() });
        assert!(Arc::ptr_eq(&next(&mut second), &all), "the same bytes");
        store.update("awka", |site| site.name = "Akwa".into());
        let changed = next(&mut third);
        assert!(String::from_utf8_lossy(&changed).contains("Akwa") && !Arc::ptr_eq(&changed, &all));
        assert_eq!(*next(&mut first), *b"a comment");
        drop((first, second, third));
        let backlog = events.lock(EventData::Figures);
        assert!(backlog.batches.is_empty() && backlog.full_state.is_none(), "no subscription is left");
    }
}
