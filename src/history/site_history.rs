//! The history of one site: what was observed, placed in time.

use std::time::Duration;

use super::capacity::Capacity;
use super::mark::{Mark, MarkKind, Marks, seconds};
use super::ring::Resolution;
use super::series::Series;
use super::slot::Slot;
use super::timeline::Timeline;
use super::track::Track;
use crate::clock::Moment;
use crate::plugin::Counts;

/// Smallest change of the system's clock that moves the slots: half of the shortest slot. Smaller ones correct a clock
/// that drifts, and earlier dates were right.
const LEAST_SHIFT_MS: i64 = 30_000;

/// The state of a site from a moment on. What is unknown is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observation<'s> {
    /// Whether the router answers, and since when; `None` before the first attempt.
    pub connection: Option<(bool, Moment)>,
    /// The address in use.
    pub host: Option<&'s str>,
    /// Active users.
    pub users: Option<f64>,
    /// The load of the router's CPU, in percent.
    pub cpu: Option<f64>,
    /// The used memory of the router, in percent.
    pub memory: Option<f64>,
    /// The counts of the hotspot, and the moment of its last read.
    pub counts: Option<(Counts, Moment)>,
}

/// The history of a site in a range of time.
#[derive(Debug)]
pub struct HistoryRange {
    /// The length of each slot.
    pub resolution: Resolution,
    /// The start of the first slot, in seconds since the Unix epoch.
    pub from_s: u32,
    /// The slots, oldest first. The last one contains the present.
    pub slots: Vec<Slot>,
    /// What happened in the range, oldest first.
    pub marks: Vec<Mark>,
    /// How far back the slots of each resolution can reach.
    pub reaches: [(Resolution, Duration); 4],
}

/// How much of a range the router was reachable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Availability {
    /// The part of the known time in which the router answered, from 0 to 1; `None` if nothing is known.
    pub share: Option<f64>,
    /// The part of the range in which that is known, because the agent was running, from 0 to 1.
    pub coverage: f64,
}

/// A slot for the disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredSlot {
    /// The start of the slot, in seconds since the Unix epoch.
    pub start_s: u32,
    /// The values.
    pub slot: Slot,
    /// Whether nothing will be added to it.
    pub is_finished: bool,
    /// Whether it lies in the future: it is of an earlier run.
    pub is_future: bool,
}

/// The history of one site.
#[derive(Debug)]
pub(super) struct SiteHistory {
    /// The date of the agent's start, in milliseconds since the Unix epoch.
    start_ms: i64,
    /// The date of the first observation with a known state.
    began_ms: Option<i64>,
    /// Values that are known up to the last event.
    presence: Track<5>,
    /// Rates, which are known up to the last read.
    traffic: Track<2>,
    timeline: Timeline,
    marks: Marks,
    /// The values of `presence` since the end of its recorded time.
    current: [Option<f64>; 5],
    /// The last counts, and the moment of their read.
    counts: Option<(Counts, Moment)>,
    logins: Option<u64>,
    host: Option<String>,
    /// When the current outage began.
    outage: Option<Moment>,
}

impl SiteHistory {
    pub(super) fn new(capacity: Capacity, start_ms: i64, now: Moment) -> Self {
        let from_ms = start_ms.saturating_add(since_start(now));
        let presence = [Series::Users, Series::Logins, Series::Cpu, Series::Memory, Series::Reachable];
        let mut marks = Marks::new(capacity.marks, seconds(start_ms));
        marks.add(MarkKind::AgentStart, seconds(start_ms));
        Self {
            start_ms,
            began_ms: None,
            presence: Track::new(presence, from_ms),
            traffic: Track::new([Series::Upload, Series::Download], from_ms),
            timeline: Timeline::new(capacity.slots, start_ms),
            marks,
            current: [None; 5],
            counts: None,
            logins: None,
            host: None,
            outage: None,
        }
    }

    pub(super) fn resize(&mut self, capacity: Capacity) {
        self.timeline.resize(capacity.slots);
        self.marks.resize(capacity.marks);
    }

    /// Bytes of memory that slots and marks take.
    pub(super) fn cost(&self) -> usize {
        self.timeline.cost() + self.marks.cost()
    }

    /// Records the state from `at` on.
    pub(super) fn observe(&mut self, at: Moment, observation: &Observation) {
        self.advance(at);
        if self.began_ms.is_none() && observation.connection.is_some() {
            self.began_ms = Some(self.date_ms(at));
        }
        let Observation { users, cpu, memory, connection, .. } = *observation;
        let reachable = connection.map(|(is_online, _)| f64::from(u8::from(is_online)));
        self.current = [users, users.map(|_| 0.0), cpu, memory, reachable];
        self.count_traffic(at, observation.counts);
        self.note_connection(at, observation);
    }

    /// Records that nothing has changed until `at`.
    pub(super) fn advance(&mut self, at: Moment) {
        let at_ms = self.date_ms(at);
        self.presence.advance(at_ms, self.current, &mut self.timeline);
        if self.counts.is_none() {
            self.traffic.advance(at_ms, [None; 2], &mut self.timeline);
        }
    }

    /// Records that nothing is known about the time until `at`, because the host was suspended.
    pub(super) fn skip(&mut self, at: Moment) {
        (self.current, self.counts) = ([None; 5], None);
        self.advance(at);
    }

    /// Records the reboot of the router.
    pub(super) fn note_reboot(&mut self, at: Moment) {
        self.marks.add(MarkKind::Reboot, seconds(self.date_ms(at)));
    }

    /// Follows the system's clock, according to which the agent started at `start_ms`. Returns whether slots moved.
    pub(super) fn follow(&mut self, start_ms: i64) -> bool {
        let by_ms = start_ms.saturating_sub(self.start_ms);
        if by_ms == 0 {
            return false;
        }
        self.presence.close(&mut self.timeline);
        self.traffic.close(&mut self.timeline);
        let is_move = by_ms.abs() >= LEAST_SHIFT_MS;
        if is_move {
            self.marks.shift(by_ms);
            if let Some(began_ms) = self.began_ms {
                self.timeline.shift(began_ms, by_ms);
            }
        }
        self.presence.shift(by_ms);
        self.traffic.shift(by_ms);
        self.began_ms = self.began_ms.map(|began_ms| began_ms.saturating_add(by_ms));
        self.start_ms = start_ms;
        is_move
    }

    /// Restores a slot of an earlier run.
    pub(super) fn restore(&mut self, resolution: Resolution, start_s: u32, slot: Slot) {
        let index = i64::from(start_s) * 1000 / resolution.step_ms();
        self.timeline.restore(resolution, index, slot);
    }

    /// Restores the marks of earlier runs. They replace those that were restored before.
    pub(super) fn restore_marks(&mut self, marks: impl Iterator<Item = Mark>) {
        self.marks.restore(marks);
    }

    /// Computes coarse slots that an earlier run did not finish.
    pub(super) fn complete_restored(&mut self) {
        self.timeline.complete_restored();
    }

    /// The slots from `since_s` on.
    pub(super) fn stored(&self, resolution: Resolution, since_s: u32) -> Vec<StoredSlot> {
        let step = resolution.step_ms();
        let known_ms = self.presence.until_ms().min(self.traffic.until_ms());
        let mut indexes = self.timeline.indexes(resolution, (i64::from(since_s) * 1000).div_euclid(step));
        let open = [self.traffic.until_ms(), self.presence.until_ms()].map(|ms| ms.div_euclid(step));
        indexes.extend(open);
        indexes.sort_unstable();
        indexes.dedup();
        let stored = |index: i64| StoredSlot {
            start_s: seconds(index * step),
            slot: self.slot(resolution, index),
            is_finished: (index + 1) * step <= known_ms,
            is_future: open.iter().all(|open| index > *open),
        };
        indexes
            .into_iter()
            .map(stored)
            .filter(|stored| stored.slot != Slot::EMPTY && stored.start_s >= since_s)
            .collect()
    }

    /// The start of the last slot of earlier runs, in seconds since the Unix epoch, if it lies in the future.
    pub(super) fn future_s(&self, now: Moment) -> Option<u32> {
        let last = |of: Resolution| Some(self.timeline.last_restored(of)? * of.step_ms());
        let now_s = seconds(self.date_ms(now));
        Resolution::ALL.into_iter().filter_map(last).max().map(seconds).filter(|last_s| *last_s > now_s)
    }

    /// All marks, in the order in which they became known.
    pub(super) fn marks(&self) -> Vec<Mark> {
        self.marks.all().collect()
    }

    /// How far back the slots of each resolution can reach.
    pub(super) fn reaches(&self) -> [(Resolution, Duration); 4] {
        Resolution::ALL.map(|resolution| {
            let slots = u32::try_from(self.timeline.capacity(resolution)).unwrap_or(u32::MAX);
            (resolution, resolution.step() * slots)
        })
    }

    /// The slots of the finest resolution that covers the range up to `now`.
    pub(super) fn range(&self, range: Duration, now: Moment) -> HistoryRange {
        let resolution = self.covering(range);
        let last = self.date_ms(now).div_euclid(resolution.step_ms());
        let count = range.as_secs().div_ceil(resolution.step().as_secs()).max(1);
        let first = last.saturating_add(1).saturating_sub_unsigned(count).max(0);
        let from_s = seconds(first * resolution.step_ms());
        HistoryRange {
            resolution,
            from_s,
            slots: (first..=last).map(|index| self.slot(resolution, index)).collect(),
            marks: self.marks.since(from_s, seconds(self.date_ms(now))),
            reaches: self.reaches(),
        }
    }

    /// The availability in the range up to `now`.
    pub(super) fn availability(&self, range: Duration, now: Moment) -> Availability {
        let resolution = self.covering(range);
        let (step, until) = (resolution.step_ms() as f64, self.date_ms(now));
        let from = until.saturating_sub_unsigned(range.as_millis().try_into().unwrap_or(u64::MAX)).max(0);
        let index = |ms: i64| ms.div_euclid(resolution.step_ms());
        let (mut known, mut reachable) = (0.0, 0.0);
        for index in index(from)..=index(until) {
            let slot = self.slot(resolution, index);
            // The range may begin in the middle of a slot.
            let inside = (((index + 1) * resolution.step_ms() - from) as f64).min(step);
            let time = slot.coverage(Series::Reachable) * inside;
            known += time;
            reachable += slot.figure(Series::Reachable).map_or(0.0, |figure| figure.avg * time);
        }
        Availability {
            share: (known > 0.0).then(|| reachable / known),
            coverage: (known / range.as_millis() as f64).min(1.0),
        }
    }

    /// The finest resolution that covers the range.
    fn covering(&self, range: Duration) -> Resolution {
        let covering = self.reaches().into_iter().find(|(_, reach)| *reach >= range);
        covering.map_or(Resolution::Day, |(resolution, _)| resolution)
    }

    /// A slot with the values that are not stored yet.
    fn slot(&self, resolution: Resolution, index: i64) -> Slot {
        let mut slot = self.timeline.slot(resolution, index);
        let open = self.presence.open(resolution, index).chain(self.traffic.open(resolution, index));
        slot.add(open, resolution.step());
        slot
    }

    /// Records logins, and the traffic between two reads, evenly over the time between them.
    fn count_traffic(&mut self, at: Moment, counts: Option<(Counts, Moment)>) {
        let Some((now, read_at)) = counts else {
            self.counts = None;
            self.advance(at);
            return;
        };
        let logins = self.logins.map_or(0, |before| now.logins.saturating_sub(before));
        self.logins = Some(now.logins);
        self.presence.count(Series::Logins, logins as f64);
        if self.counts.is_some_and(|(_, before)| before >= read_at) {
            return;
        }
        let rates = self.counts.map_or([None; 2], |(before, before_at)| {
            let ms = read_at.since(before_at).as_millis().max(1);
            let rate = |now: u64, before: u64| {
                // Smaller counts are those of another router.
                let bits = now.checked_sub(before)? as f64 * 8.0;
                Some(bits * 1000.0 / ms as f64)
            };
            [rate(now.upload_bytes, before.upload_bytes), rate(now.download_bytes, before.download_bytes)]
        });
        self.traffic.advance(self.date_ms(read_at), rates, &mut self.timeline);
        self.counts = Some((now, read_at));
    }

    /// Records outages, and changes of the host.
    fn note_connection(&mut self, at: Moment, observation: &Observation) {
        let since = observation.connection.map_or(at, |(_, since)| since);
        let outage = observation.connection.filter(|(is_online, _)| !is_online).map(|_| since);
        let since_s = seconds(self.date_ms(since));
        if outage != self.outage {
            self.marks.end_outage(since_s);
            if outage.is_some() {
                self.marks.add(MarkKind::Offline, since_s);
            }
            self.outage = outage;
        }
        if let Some(host) = observation.host
            && self.host.as_deref() != Some(host)
            && self.host.replace(host.to_string()).is_some()
        {
            self.marks.add(MarkKind::HostChange, since_s);
        }
    }

    /// The date of a moment, in milliseconds since the Unix epoch.
    pub(super) fn date_ms(&self, moment: Moment) -> i64 {
        self.start_ms.saturating_add(since_start(moment))
    }
}

/// Milliseconds from the agent's start to a moment; negative for an earlier one.
fn since_start(moment: Moment) -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    ms(moment.since(Moment::START)) - ms(Moment::START.since(moment))
}
