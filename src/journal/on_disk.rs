//! Which entries are in the file of the journal, and whether that must be replaced.

use std::time::Duration;

use super::log::EntryLog;

/// How much longer than in memory an entry may be kept in the file: it is replaced at most once a day for that.
const EXPIRY_SLACK: Duration = Duration::from_secs(86_400);

/// What is in the file.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    /// The number of the first entry that is not.
    next: u32,
    /// Entries whose reason was learned after they were written.
    changed: Vec<u32>,
    /// The earliest end of an entry, since 1970.
    oldest: Option<Duration>,
    /// How often the journal was erased, and how often before the file was last replaced.
    erasures: u64,
    erased: u64,
    /// What will be there if the entries that were asked for last are written.
    offered: Offer,
    pub(super) is_urgent: bool,
}

#[derive(Debug, Default)]
struct Offer {
    next: u32,
    changed: usize,
    oldest: Option<Duration>,
    /// Only if the file is replaced.
    erased: u64,
}

impl OnDisk {
    /// The entries in the file must be erased.
    pub(super) fn erase(&mut self) {
        (self.next, self.oldest) = (0, None);
        self.changed.clear();
        self.erasures += 1;
        self.is_urgent = true;
    }

    /// The reason of an entry changed.
    pub(super) fn change(&mut self, number: u32) {
        if number < self.next && !self.changed.contains(&number) {
            self.changed.push(number);
        }
    }

    /// An entry that ended then was found in the file.
    pub(super) fn found(&mut self, end: Duration) {
        self.oldest = Some(self.oldest.map_or(end, |oldest| oldest.min(end)));
    }

    /// All entries of the file were restored.
    pub(super) fn restored(&mut self, log: &EntryLog) {
        self.next = log.next_number();
    }

    pub(super) fn needs_rewrite(&self, now: Duration, keep: Duration) -> bool {
        let is_expired = |oldest: Duration| now.saturating_sub(oldest) > keep + EXPIRY_SLACK;
        self.erased < self.erasures || self.oldest.is_some_and(is_expired)
    }

    /// Whether an entry is not in the file as it is.
    pub(super) fn lacks(&self, number: u32) -> bool {
        number >= self.next || self.changed.contains(&number)
    }

    /// Entries up to this number are about to be written, the oldest of which ended then. They may replace the file.
    pub(super) fn offer(&mut self, next: u32, oldest: Option<Duration>, is_all: bool) {
        let kept = self.oldest.filter(|_| !is_all);
        self.offered = Offer {
            next,
            changed: self.changed.len(),
            oldest: kept.into_iter().chain(oldest).min(),
            erased: if is_all { self.erasures } else { self.erased },
        };
    }

    /// They were written.
    pub(super) fn written(&mut self) {
        let Offer { next, changed, oldest, erased } = std::mem::take(&mut self.offered);
        self.erased = erased;
        if self.erased == self.erasures {
            (self.next, self.oldest) = (next, oldest);
            self.changed.drain(..changed.min(self.changed.len()));
        }
    }

    /// The number of the first entry that is not in the file.
    pub(super) fn next(&self) -> u32 {
        self.next
    }
}
