//! The entries in the order of their ends, within the limits of their number, age and memory.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use super::entry::{EndTime, JournalEntry, end_of, set_reason};
use super::query::Position;
use super::reason::Reason;
use crate::clock::{Clock, Moment};
use crate::memory::ALLOCATION;

/// Maximum number of bytes per entry, on average over the configured number of entries. A typical one takes 110. If names
/// are longer, fewer entries fit.
const BYTES_PER_ENTRY: usize = 118;

/// Bytes of an entry's place in the queue: a pointer and a length, and a quarter for spare places.
const PLACE: usize = 20;

/// Spare places in the queue of a small journal.
const MIN_SPARE: usize = 64;

/// Bytes of the number before an encoded entry, which distinguishes entries that ended at the same time.
const NUMBER: usize = 4;

/// How much the journal keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Maximum number of entries.
    pub rows: usize,
    /// How long an entry is kept after its end.
    pub keep: Duration,
}

/// The kept entries.
#[derive(Debug)]
pub(super) struct EntryLog {
    retention: Retention,
    /// Each has a number of [`NUMBER`] bytes, followed by the encoded entry. The oldest is first.
    entries: VecDeque<Box<[u8]>>,
    /// The number of the next entry.
    next: u32,
    /// Bytes of memory of the entries, without their places in the queue.
    bytes: usize,
    /// Entries that were dropped because there were too many.
    dropped: u64,
}

impl EntryLog {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, entries: VecDeque::new(), next: 0, bytes: 0, dropped: 0 }
    }

    /// Applies other limits. The oldest entries above them are dropped.
    pub(super) fn limit(&mut self, retention: Retention, now: Moment, clock: Clock) {
        self.retention = retention;
        self.expire(now, clock);
        self.drop_oldest();
    }

    pub(super) fn retention(&self) -> Retention {
        self.retention
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        self.bytes + self.entries.capacity() * size_of::<Box<[u8]>>()
    }

    /// The number of the next entry.
    pub(super) fn next_number(&self) -> u32 {
        self.next
    }

    /// Inserts an entry of an earlier run, with its number. It replaces an entry that has that number.
    pub(super) fn restore(&mut self, number: u32, entry: &JournalEntry) {
        let is_it = |bytes: &[u8]| position(bytes).number == number;
        // The numbers ascend in a file, so most are new.
        if number < self.next
            && let Some(place) = self.entries.iter().rposition(|bytes| is_it(bytes))
            && let Some(old) = self.entries.remove(place)
        {
            self.bytes -= old.len() + ALLOCATION;
        }
        self.insert_numbered(number, entry);
    }

    /// Must be called after the last [`EntryLog::restore`].
    pub(super) fn restored(&mut self, now: Moment, clock: Clock) {
        self.expire(now, clock);
        self.dropped = 0;
    }

    /// Inserts an entry in the order of the ends. The oldest are dropped if there are too many.
    pub(super) fn insert(&mut self, entry: &JournalEntry) {
        self.insert_numbered(self.next, entry);
    }

    fn insert_numbered(&mut self, number: u32, entry: &JournalEntry) {
        let mut bytes = number.to_le_bytes().to_vec();
        self.next = self.next.max(number.wrapping_add(1));
        bytes.extend(entry.encode());
        let bytes = bytes.into_boxed_slice();
        if self.entries.len() == self.entries.capacity() {
            // By an eighth: doubling would leave half of the places empty.
            self.entries.reserve_exact((self.entries.len() / 8).max(MIN_SPARE));
        }
        self.bytes += bytes.len() + ALLOCATION;
        let place = self.place(position(&bytes));
        self.entries.insert(place, bytes);
        self.drop_oldest();
    }

    /// Drops entries above the limits.
    fn drop_oldest(&mut self) {
        let Retention { rows, .. } = self.retention;
        while self.entries.len() > rows || self.bytes + self.entries.len() * PLACE > rows * BYTES_PER_ENTRY {
            self.pop_front();
            self.dropped += 1;
        }
        let len = self.entries.len();
        if self.entries.capacity() > len + len / 4 + MIN_SPARE {
            self.entries.shrink_to(len + len / 8);
        }
    }

    /// Removes the entries that are older than they are kept.
    pub(super) fn expire(&mut self, now: Moment, clock: Clock) -> bool {
        let before = self.entries.len();
        let (now, keep) = (clock.unix(now), self.retention.keep);
        let is_expired = |bytes: &[u8]| now.saturating_sub(position(bytes).end.unix(clock)) > keep;
        while self.entries.front().is_some_and(|entry| is_expired(entry)) {
            self.pop_front();
        }
        self.entries.len() < before
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.len() + ALLOCATION;
        }
    }

    /// The number of entries before this position.
    fn place(&self, at: Position) -> usize {
        self.entries.partition_point(|entry| position(entry) < at)
    }

    /// Encoded entries before this position, newest first; without a position, all entries. Each has its position.
    pub(super) fn before(&self, at: Option<Position>) -> impl Iterator<Item = (Position, &[u8])> {
        let count = at.map_or(self.entries.len(), |at| self.place(at));
        self.entries
            .range(..count)
            .rev()
            .map(|entry| (position(entry), entry.get(NUMBER..).unwrap_or_default()))
    }

    /// Sets the reason of the entry at this position.
    pub(super) fn set_reason(&mut self, at: Position, reason: Reason) {
        let place = self.place(at);
        if let Some(entry) = self.entries.get_mut(place)
            && position(entry).cmp(&at) == Ordering::Equal
        {
            set_reason(&mut entry[NUMBER..], reason);
        }
    }
}

/// The position of an entry with its number.
fn position(bytes: &[u8]) -> Position {
    let (number, entry) = bytes.split_first_chunk::<NUMBER>().unwrap_or((&[0; NUMBER], &[]));
    // Always there, because `insert` has encoded it.
    let end = end_of(entry).unwrap_or(EndTime::Date(0));
    Position { end, number: u32::from_le_bytes(*number) }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn log(rows: usize) -> EntryLog {
        EntryLog::new(Retention { rows, keep: 90 * DAY })
    }

    /// The users, newest first.
    fn users(log: &EntryLog) -> Vec<String> {
        let users = log.before(None).map(|(_, bytes)| JournalEntry::decode(bytes).unwrap().user.into_owned());
        users.collect()
    }

    #[test]
    fn entries_are_ordered_by_their_end() {
        let mut log = log(10);
        for (user, end) in [("b", 20), ("d", 40), ("a", 10), ("c", 30), ("b2", 20)] {
            log.insert(&entry(user, end));
        }
        log.insert(&JournalEntry { end: EndTime::Date(u64::MAX), ..entry("earlier run", 0) });
        assert_eq!(users(&log), ["d", "c", "b2", "b", "a", "earlier run"]);
        let third = log.before(None).nth(2).unwrap().0;
        log.insert(&entry("between", 25));
        log.insert(&entry("newest", 50));
        let rest = log.before(Some(third)).map(|(_, bytes)| JournalEntry::decode(bytes).unwrap().user);
        assert_eq!(rest.collect::<Vec<_>>(), ["b", "a", "earlier run"], "the position is stable");
        log.set_reason(third, Reason::Idle);
        let reasons = log.before(None).map(|(_, bytes)| JournalEntry::decode(bytes).unwrap().reason);
        assert_eq!(reasons.flatten().collect::<Vec<_>>(), [Reason::Idle]);
    }

    #[test]
    fn the_oldest_are_dropped_above_the_limit() {
        let mut log = log(3);
        for n in 0..5 {
            log.insert(&entry(&format!("u{n}"), n));
        }
        assert_eq!((users(&log), log.dropped()), (["u4", "u3", "u2"].map(String::from).into(), 2));
        let (now, clock) = (Moment::START, Clock::system());
        log.limit(Retention { rows: 1, keep: DAY }, now, clock);
        assert_eq!((users(&log), log.dropped()), (vec!["u4".into()], 4));
        log.limit(Retention { rows: 3, keep: DAY }, now, clock);
        log.insert(&entry("next", 9));
        assert_eq!(users(&log), ["next", "u4"]);
    }

    #[test]
    fn entries_expire_by_their_age() {
        let (mut log, clock) = (log(10), Clock::system());
        for day in 0..5 {
            log.insert(&entry(&format!("day {day}"), day * 86_400_000));
        }
        let now = Moment::START.after(92 * DAY + Duration::from_secs(1));
        assert!(log.expire(now, clock));
        assert_eq!((users(&log), log.dropped()), (["day 4", "day 3"].map(String::from).into(), 0));
        assert!(!log.expire(now, clock));
    }

    #[test]
    fn memory_is_limited() {
        let (rows, most) = (10_000, 1_200_000);
        let mut log = log(rows);
        for n in 0..rows as u64 + 100 {
            log.insert(&entry(&format!("voucher-{n:04}"), n * 1000));
        }
        assert_eq!(log.len(), rows, "typical entries fit");
        assert!(log.cost() <= most, "{} bytes", log.cost());
        let all: usize = log.entries.iter().map(|entry| entry.len() + ALLOCATION).sum();
        assert_eq!(log.cost(), all + log.entries.capacity() * 16);
        let longest_name = "x".repeat(253);
        for n in 0..3000 {
            log.insert(&entry(&longest_name, 20_000_000 + n));
        }
        assert!(log.cost() <= most && log.len() > 3000, "{} bytes, {} entries", log.cost(), log.len());
        for n in 0..3000 {
            log.insert(&entry("x", 30_000_000 + n));
        }
        assert!(log.cost() <= most && log.len() > 3000, "{} bytes, {} entries", log.cost(), log.len());
    }
}
