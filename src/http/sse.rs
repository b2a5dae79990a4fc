//! `/api/events`: what changes, told as it changes, as server-sent events.
//!
//! One task looks at the store and renders each change once; every [`Subscription`] is given the same
//! bytes. One that begins, or that was too slow for what is kept, is told how all sites are now, so
//! that nobody misses anything for good.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use serde::Serialize;
use smol::future::FutureExt;
use smol::stream;
use smol::{Task, Timer};

use super::api::{self, View};
use super::message::EventStream;
use crate::clock::Moment;
use crate::executor;
use crate::state::{SiteState, Snapshot, Store};
use crate::timings::Timings;

/// Bytes that are kept for slow followers: some seconds of changes at fifty sites.
const MAX_KEPT: usize = 256 * 1024;

/// How all is stays good for this long, where nothing changes: ages are told in whole seconds. When a thousand
/// pages come back at once it is rendered and held once.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// What is told, and all who are told.
#[derive(Debug)]
pub struct Events {
    store: Arc<Store>,
    timings: Arc<Timings>,
    backlog: Mutex<Backlog>,
    more: Event,
}

/// One or more events, or a comment.
#[derive(Debug, Clone)]
struct Batch {
    /// Up to which generation they tell; none of a comment.
    generation: Option<u64>,
    /// Shared by all who are sent them.
    bytes: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct Backlog {
    batches: VecDeque<Batch>,
    /// The number of the first of these.
    first: u64,
    /// How many are told.
    followers: usize,
    /// Counts how often all of them were dismissed.
    dismissals: u64,
    /// How all was, and when it was rendered.
    all: Option<(Instant, Batch)>,
}

impl Backlog {
    fn next(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    fn forget_first(&mut self) {
        self.first += u64::from(self.batches.pop_front().is_some());
    }
}

/// A client of the events.
#[derive(Debug)]
pub struct Subscription {
    events: Arc<Events>,
    /// The number of the next batch, once it has been told how all is.
    next: Option<u64>,
    /// Up to which generation it has been told.
    generation: Option<u64>,
    /// How often those before it were dismissed.
    dismissals: u64,
}

/// The data of a `site` event: what `/api/hotspot/{site}` says, and of which site.
#[derive(Serialize)]
struct SiteEvent<'s> {
    site: &'s str,
    #[serde(flatten)]
    stats: api::Stats<'s>,
}

impl Events {
    /// Events of what changes in this store.
    #[must_use]
    pub fn new(store: Arc<Store>, timings: Arc<Timings>) -> Arc<Self> {
        Arc::new(Self { store, timings, backlog: Mutex::default(), more: Event::new() })
    }

    /// Tells changes for as long as the task is held.
    pub fn start(self: &Arc<Self>) -> Task<()> {
        let events = self.clone();
        executor::spawn(async move { events.run().await })
    }

    /// Somebody who is to be told.
    #[must_use]
    pub fn follow(self: &Arc<Self>) -> Subscription {
        let mut backlog = self.lock();
        backlog.followers += 1;
        let dismissals = backlog.dismissals;
        drop(backlog);
        Subscription { events: self.clone(), next: None, generation: None, dismissals }
    }

    /// Tells nobody any more who is told now: others may have the right to it. They can come again, and are asked then.
    pub(super) fn disconnect_all(&self) {
        self.lock().dismissals += 1;
        self.more.notify(usize::MAX);
    }

    async fn run(&self) {
        let mut before = self.store.snapshot();
        let mut comment = Instant::now() + self.timings.event_comment;
        loop {
            let changed = async {
                self.store.changed(before.generation).await;
                Timer::after(self.timings.event_batch).await;
            };
            let silence = async {
                Timer::at(comment).await;
            };
            changed.or(silence).await;
            if Instant::now() >= comment {
                comment += self.timings.event_comment;
                self.publish(|| Batch { generation: None, bytes: b": alive\n\n".as_slice().into() });
            }
            let now = self.store.snapshot();
            if now.generation != before.generation {
                let old: HashSet<*const SiteState> = before.sites.iter().map(Arc::as_ptr).collect();
                let changed = now.sites.iter().filter(|site| !old.contains(&Arc::as_ptr(site)));
                self.publish(|| render(&now, changed, now.reload != before.reload));
                before = now;
            }
        }
    }

    /// How all is: rendered anew, unless what was rendered `before` still says it.
    fn all(&self, before: Option<(Instant, Batch)>) -> Batch {
        let now = self.store.snapshot();
        let is_good =
            |at: Instant, batch: &Batch| batch.generation == Some(now.generation) && at.elapsed() < GOOD_FOR;
        if let Some((_, batch)) = before.filter(|(at, batch)| is_good(*at, batch)) {
            return batch;
        }
        let batch = render(&now, &now.sites, false);
        self.lock().all = Some((Instant::now(), batch.clone()));
        batch
    }

    /// Tells what this makes, if there is anybody.
    fn publish(&self, batch: impl FnOnce() -> Batch) {
        if self.lock().followers == 0 {
            return;
        }
        let batch = batch();
        let mut backlog = self.lock();
        backlog.batches.push_back(batch);
        while backlog.batches.len() > 1
            && backlog.batches.iter().map(|batch| batch.bytes.len()).sum::<usize>() > MAX_KEPT
        {
            backlog.forget_first();
        }
        drop(backlog);
        self.more.notify(usize::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The events as a stream, which ends when the follower is dismissed.
    pub(super) fn into_stream(self) -> EventStream {
        Box::pin(stream::unfold(self, async |mut subscription| {
            let bytes = subscription.next().await?;
            Some((bytes, subscription))
        }))
    }

    /// What is to be sent next; nothing to who was dismissed.
    pub(super) async fn next(&mut self) -> Option<Arc<[u8]>> {
        loop {
            let more = self.events.more.listen();
            if self.events.lock().dismissals != self.dismissals {
                return None;
            }
            while let Some(Batch { generation, bytes }) = self.at_hand() {
                // How all is may be newer than what was under way to be told meanwhile.
                if generation.is_none() || generation > self.generation {
                    self.generation = generation.max(self.generation);
                    return Some(bytes);
                }
            }
            more.await;
        }
    }

    fn at_hand(&mut self) -> Option<Batch> {
        let backlog = self.events.lock();
        let place = self.next.and_then(|next| next.checked_sub(backlog.first));
        let place = place.and_then(|place| usize::try_from(place).ok());
        let Some(place) = place else {
            // What is told from here on, and how all is, which may have some of it already.
            self.next = Some(backlog.next());
            let before = backlog.all.clone();
            drop(backlog);
            return Some(self.events.all(before));
        };
        let batch = backlog.batches.get(place)?.clone();
        self.next = self.next.map(|next| next + 1);
        Some(batch)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut backlog = self.events.lock();
        backlog.followers -= 1;
        // Nobody is left who could still be sent these.
        if backlog.followers == 0 {
            backlog.first = backlog.next();
            backlog.batches.clear();
            backlog.all = None;
        }
    }
}

/// The events of these sites, and where it was `reloaded` of the configuration. Their id is the generation, by
/// which a page knows what it shows already.
fn render<'s>(
    snapshot: &Snapshot,
    sites: impl IntoIterator<Item = &'s Arc<SiteState>>,
    reloaded: bool,
) -> Batch {
    let view = View { snapshot, is_admin: false, now: Moment::now() };
    let mut text = String::new();
    // No map in what is told has keys that are not text.
    let mut put = |event: &str, data: serde_json::Result<String>| {
        let (id, data) = (snapshot.generation.to_string(), data.unwrap_or_default());
        text.extend(["id: ", &id, "\nevent: ", event, "\ndata: ", &data, "\n\n"]);
    };
    if reloaded {
        put("config", serde_json::to_string(&api::config(view, false)));
    }
    for site in sites {
        let event = SiteEvent { site: &site.key, stats: api::stats(view, site) };
        put("site", serde_json::to_string(&event));
    }
    Batch { generation: Some(snapshot.generation), bytes: text.into_bytes().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Reload;

    #[test]
    fn nobody_is_told_how_it_was_before_what_was_told() {
        let site = SiteState::new("awka", "Awka", Duration::from_secs(30), [], []);
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| vec![site.into()]);
        let events = Events::new(store.clone(), Arc::default());
        let mut subscription = events.follow();
        let mut next = || {
            let bytes = smol::block_on(subscription.next()).unwrap();
            String::from_utf8_lossy(&bytes).lines().next().map(str::to_string).unwrap_or_default()
        };
        let batch = |generation: Option<u64>, text: &str| Batch { generation, bytes: text.as_bytes().into() };
        assert_eq!(next(), "id: 1", "how all is, though nothing is known yet");
        events.publish(|| batch(Some(1), "from before"));
        events.publish(|| batch(None, "a comment"));
        events.publish(|| batch(Some(3), "from after"));
        events.publish(|| batch(Some(2), "from before"));
        events.publish(|| batch(None, "the end"));
        assert_eq!([next(), next(), next()], ["a comment", "from after", "the end"]);
    }

    #[test]
    fn who_is_dismissed_is_told_nothing_more() {
        let events = Events::new(Arc::new(Store::new(Reload::first(None, Vec::new()))), Arc::default());
        let mut before = events.follow();
        assert!(smol::block_on(before.next()).is_some());
        events.disconnect_all();
        let mut after = events.follow();
        assert!(smol::block_on(after.next()).is_some());
        assert!(smol::block_on(before.next()).is_none());
        events.publish(|| Batch { generation: None, bytes: b"more".as_slice().into() });
        assert!(smol::block_on(after.next()).is_some() && smol::block_on(before.next()).is_none());
    }

    #[test]
    fn those_who_begin_together_share_how_all_is_until_it_changes() {
        let site = SiteState::new("awka", "Awka", Duration::from_secs(30), [], []);
        let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
        store.rearrange(|_| vec![site.into()]);
        let events = Events::new(store.clone(), Arc::default());
        let next = |subscription: &mut Subscription| smol::block_on(subscription.next()).unwrap();
        let [mut first, mut second, mut third] = [(); 3].map(|()| events.follow());
        let all = next(&mut first);
        events.publish(|| Batch { generation: None, bytes: b"a comment".as_slice().into() });
        assert!(Arc::ptr_eq(&next(&mut second), &all), "the same bytes");
        store.update("awka", |site| site.name = "Akwa".into());
        let changed = next(&mut third);
        assert!(String::from_utf8_lossy(&changed).contains("Akwa") && !Arc::ptr_eq(&changed, &all));
        assert_eq!(*next(&mut first), *b"a comment");
        drop((first, second, third));
        let backlog = events.lock();
        assert!(backlog.batches.is_empty() && backlog.all.is_none(), "nobody is left to be told");
    }
}
