//! The history of all sites: figures in slots of a minute, five minutes, an hour and a day, and what happened.
//!
//! | file | its subject |
//! | --- | --- |
//! | `series` | what is recorded |
//! | `slot`, `accumulator` | the values of one span, packed and while they are added up |
//! | `ring`, `timeline`, `track` | the slots of one resolution; of one site; and those that are still open |
//! | `restored` | the slots of earlier runs, some of which may lie in the future |
//! | `mark` | outages, reboots, changes of the host, starts of the agent |
//! | `site_history` | one site: observations placed in time |
//! | `capacity` | how many slots fit the memory |
//! | `recorder` | observes the store |
//! | `stored` | the slots and marks in the state directory |
//!
//! Slots follow the monotonic clock. Their dates are those of the system's clock: if that is set, the slots of this run of
//! the agent move. A day is one in UTC, so daylight saving time does not exist here.

mod accumulator;
mod capacity;
mod mark;
mod recorder;
mod restored;
mod ring;
mod series;
mod site_history;
mod slot;
mod stored;
mod timeline;
mod track;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Moment};

pub use mark::{Mark, MarkKind};
pub use recorder::start;
pub use ring::Resolution;
pub use series::Series;
pub use site_history::{Availability, HistoryRange, Observation, StoredSlot};
pub use slot::{Figure, Slot};
pub use stored::StoredHistory;

use capacity::capacity;
use site_history::SiteHistory;

/// See [`Clock::EARLIEST_S`].
const EARLIEST_S: u32 = Clock::EARLIEST_S;

/// Bytes that a site takes before it has slots: itself, its key, and its entry in the table.
const FIXED: usize = size_of::<SiteHistory>() + 160;

/// The history of all sites. It is shared by the recorder and all readers; nobody holds its lock for longer than it takes
/// to copy the slots of one range.
#[derive(Debug)]
pub struct History {
    sites: Mutex<Sites>,
    /// Changes with each change of the data; it may wrap. The smallest boards have no atomic numbers of 64 bits.
    revision: AtomicUsize,
}

#[derive(Debug)]
struct Sites {
    by_key: HashMap<String, Box<SiteHistory>>,
    /// The date of the agent's start, in milliseconds since the Unix epoch.
    start_ms: i64,
    /// How often slots were moved because the system's clock was set.
    moves: u64,
}

impl History {
    /// An empty history. Dates are those of this clock until it follows another one.
    pub fn new(clock: Clock) -> Self {
        let sites = Sites { by_key: HashMap::new(), start_ms: start_ms(clock), moves: 0 };
        Self { sites: Mutex::new(sites), revision: AtomicUsize::new(0) }
    }

    /// Keeps the history of these sites in this many bytes of memory, and forgets other sites. Returns the number of
    /// sites for which there is no memory.
    pub fn configure<'s>(
        &self,
        keys: impl IntoIterator<Item = &'s str>,
        memory: usize,
        now: Moment,
    ) -> usize {
        let keys: Vec<&str> = keys.into_iter().collect();
        let most = keys.len().min(memory / FIXED);
        let kept: HashSet<&str> = keys[..most].iter().copied().collect();
        self.change(|sites| {
            sites.by_key.retain(|key, _| kept.contains(key.as_str()));
            let Some(capacity) = capacity(memory, most, FIXED) else { return };
            for site in sites.by_key.values_mut() {
                site.resize(capacity);
            }
            let start_ms = sites.start_ms;
            for key in kept {
                let new = || Box::new(SiteHistory::new(capacity, start_ms, now));
                sites.by_key.entry(key.to_string()).or_insert_with(new);
            }
        });
        keys.len() - most
    }

    /// The slots of the finest resolution that covers this range up to `now`; `None` if the site has no history.
    pub fn range(&self, site: &str, range: Duration, now: Moment) -> Option<HistoryRange> {
        self.read(site, |site| site.range(range, now))
    }

    /// The availability in this range up to `now`.
    pub fn availability(&self, site: &str, range: Duration, now: Moment) -> Option<Availability> {
        self.read(site, |site| site.availability(range, now))
    }

    /// Slots for the disk: those that start at `since_s` or later, oldest first. There are none before the system's clock
    /// was set.
    pub fn stored(&self, site: &str, resolution: Resolution, since_s: u32) -> Vec<StoredSlot> {
        let since_s = since_s.max(EARLIEST_S);
        self.read(site, |site| site.stored(resolution, since_s)).unwrap_or_default()
    }

    /// Marks for the disk, in the order in which they became known.
    pub fn marks(&self, site: &str) -> Vec<Mark> {
        self.read(site, SiteHistory::marks).unwrap_or_default()
    }

    /// Restores a slot of an earlier run. It replaces one that was restored before, and is added to what this run
    /// recorded in that span. A site without history is ignored, and so is a date from before the clock was set.
    pub fn restore(&self, site: &str, resolution: Resolution, start_s: u32, slot: Slot) {
        if start_s >= EARLIEST_S {
            self.change_site(site, |site| site.restore(resolution, start_s, slot));
        }
    }

    /// Restores the marks of earlier runs; the same applies. They replace all that were restored before.
    pub fn restore_marks(&self, site: &str, marks: &[Mark]) {
        let dated = marks.iter().copied().filter(|mark| mark.at_s >= EARLIEST_S);
        self.change_site(site, |site| site.restore_marks(dated));
    }

    /// The start of the last restored slot, in seconds since the Unix epoch, if it lies in the future of a clock that
    /// was set.
    fn future_s(&self, now: Moment) -> Option<u32> {
        let sites = self.lock();
        let is_set = sites.start_ms >= i64::from(EARLIEST_S) * 1000;
        sites.by_key.values().filter(|_| is_set).filter_map(|site| site.future_s(now)).max()
    }

    /// Must be called once after the last [`History::restore`]: computes hours and days that were not finished when the
    /// agent ended.
    pub fn complete_restored(&self) {
        self.change(|sites| sites.by_key.values_mut().for_each(|site| site.complete_restored()));
    }

    /// A number that changes with each change of the history.
    pub fn revision(&self) -> usize {
        self.revision.load(Ordering::Acquire)
    }

    /// Bytes of memory that it takes.
    pub fn cost(&self) -> usize {
        self.lock().by_key.values().map(|site| FIXED + site.cost()).sum()
    }

    /// Records the state of a site from `at` on, which is not before the last record.
    pub fn observe(&self, site: &str, at: Moment, observation: &Observation) {
        self.change_site(site, |site| site.observe(at, observation));
    }

    fn note_reboot(&self, site: &str, at: Moment) {
        self.change_site(site, |site| site.note_reboot(at));
    }

    /// Records that no site has changed until `at`, and follows the system's clock.
    fn advance(&self, at: Moment, clock: Clock) {
        self.change(|sites| {
            sites.start_ms = start_ms(clock);
            for site in sites.by_key.values_mut() {
                site.advance(at);
                sites.moves += u64::from(site.follow(start_ms(clock)));
            }
        });
    }

    /// Records that nothing is known about the time until `at`.
    fn skip(&self, at: Moment) {
        self.change(|sites| sites.by_key.values_mut().for_each(|site| site.skip(at)));
    }

    fn keys(&self) -> Vec<String> {
        self.lock().by_key.keys().cloned().collect()
    }

    fn read<T>(&self, site: &str, read: impl FnOnce(&SiteHistory) -> T) -> Option<T> {
        self.lock().by_key.get(site).map(|site| read(site))
    }

    fn change_site(&self, site: &str, change: impl FnOnce(&mut SiteHistory)) {
        self.change(|sites| {
            if let Some(site) = sites.by_key.get_mut(site) {
                change(site);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Sites)) {
        change(&mut self.lock());
        self.revision.fetch_add(1, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Sites> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The date of the agent's start, in milliseconds since the Unix epoch.
fn start_ms(clock: Clock) -> i64 {
    i64::try_from(clock.unix(Moment::START).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "maxima are exact")]
mod tests;
