//! The journal that its recorder and its readers share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::entry::{EndTime, JournalEntry};
use super::log::{EntryLog, Retention};
use super::on_disk::OnDisk;
use super::query::{FoundEntries, JournalQuery, Position};
use super::reason::Reason;
use super::router_log::LoggedLogout;
use crate::clock::{Clock, Moment};

/// Entries that a search reads before it lets the recorder write: about a millisecond on a small board.
const SEARCH_BATCH: usize = 500;

/// Maximum number of lines of routers' logs whose sessions have not ended yet: the logouts of all users of a large site.
const MAX_EARLY: usize = 1000;

/// Ended sessions, or nothing if the configuration disables it.
#[derive(Debug, Default)]
pub struct Journal {
    state: Mutex<JournalState>,
    /// Notified when the entries on disk must be erased.
    pub(super) erased: Event,
}

#[derive(Debug, Default)]
pub(super) struct JournalState {
    /// `None`: disabled.
    pub(super) log: Option<EntryLog>,
    pub(super) on_disk: OnDisk,
    /// Logouts in routers' logs that were read before the agent noticed the end of the session, with the time until which
    /// they are kept. They contain names, so they are erased with the log.
    early: Vec<(LoggedLogout, Moment)>,
    /// Increases with each change.
    pub(super) version: u64,
}

/// What the journal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalStats {
    /// Kept entries.
    pub entries: usize,
    /// Entries that were dropped because there were too many, since the journal was enabled.
    pub dropped: u64,
    /// Bytes of memory that it takes.
    pub bytes: usize,
}

impl Journal {
    /// Applies the configured limits; `None` disables it and erases all entries.
    pub fn configure(&self, retention: Option<Retention>, now: Moment, clock: Clock) {
        let mut state = self.lock();
        match (retention, &mut state.log) {
            (Some(retention), Some(log)) => log.limit(retention, now, clock),
            (Some(retention), log) => *log = Some(EntryLog::new(retention)),
            (None, log) => {
                if log.take().is_some() {
                    state.on_disk.erase();
                    self.erased.notify(usize::MAX);
                }
                state.early = Vec::new();
            }
        }
        state.version += 1;
    }

    /// What it has; `None` if it is disabled.
    pub fn stats(&self) -> Option<JournalStats> {
        let state = self.lock();
        let log = state.log.as_ref()?;
        Some(JournalStats { entries: log.len(), dropped: log.dropped(), bytes: log.cost() })
    }

    /// A number that increases with each change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Whether it records anything.
    pub(super) fn is_enabled(&self) -> bool {
        self.lock().log.is_some()
    }

    /// Records a session whose end was noticed `now`. Its reason may be in a line of the router's log that was read before.
    pub(super) fn record(&self, mut entry: JournalEntry, now: Moment) {
        let mut state = self.lock();
        let JournalState { log: Some(log), early, version, .. } = &mut *state else { return };
        early.retain(|(_, until)| *until >= now);
        if let Some((logout, _)) = early.iter().rfind(|(logout, _)| logout.is_of(&entry)) {
            let reason = logout.reason;
            // Earlier lines are about sessions that the agent never saw.
            early.retain(|(logout, _)| !logout.is_of(&entry));
            if is_open(entry.reason) {
                entry.reason = Some(reason);
            }
        }
        log.insert(&entry);
        *version += 1;
    }

    /// Sets the reasons of entries that ended at or after `since`, from new lines of a router's log, oldest first. Lines
    /// about sessions that have not ended yet are kept `until` then.
    pub(super) fn explain(&self, logouts: Vec<LoggedLogout>, since: Moment, until: Moment) {
        let mut state = self.lock();
        let JournalState { log: Some(log), on_disk, early, version } = &mut *state else { return };
        let since = EndTime::of(since);
        // By address, the newest last.
        let mut recent: HashMap<String, Vec<(Position, JournalEntry)>> = HashMap::new();
        for (at, bytes) in log.before(None).take_while(|(at, _)| at.end >= since) {
            if let Some(entry) = JournalEntry::decode(bytes) {
                let address = entry.address.as_deref().unwrap_or_default().to_string();
                recent.entry(address).or_default().insert(0, (at, entry));
            }
        }
        let (mut reasons, mut unmatched) = (Vec::new(), Vec::new());
        // The newest line is about the newest session.
        for logout in logouts.into_iter().rev() {
            let entries = recent.get_mut(&logout.address);
            let found = entries.and_then(|entries| {
                let place = entries.iter().rposition(|(_, entry)| logout.is_of(entry))?;
                Some(entries.remove(place))
            });
            match found {
                Some((at, entry)) if is_open(entry.reason) => reasons.push((at, logout.reason)),
                Some(_) => {}
                None => unmatched.push((logout, until)),
            }
        }
        drop(recent);
        *version += u64::from(!reasons.is_empty());
        for (at, reason) in reasons {
            log.set_reason(at, reason);
            on_disk.change(at.number);
        }
        early.extend(unmatched.into_iter().rev());
        early.drain(..early.len().saturating_sub(MAX_EARLY));
    }

    /// Removes the entries that are older than they are kept.
    pub fn expire(&self, now: Moment, clock: Clock) {
        let mut state = self.lock();
        if state.log.as_mut().is_some_and(|log| log.expire(now, clock)) {
            state.version += 1;
        }
    }

    /// The entries that a query selects; `None` if the journal is disabled. The recorder never waits for the whole search.
    pub fn search(&self, query: &JournalQuery, now: Moment, clock: Clock) -> Option<FoundEntries> {
        self.expire(now, clock);
        let mut found = FoundEntries::default();
        let mut before: Option<Position> = None;
        loop {
            let state = self.lock();
            let mut read = 0;
            for (at, bytes) in state.log.as_ref()?.before(before).take(SEARCH_BATCH) {
                (read, before) = (read + 1, Some(at));
                let Some(entry) = JournalEntry::decode(bytes) else { continue };
                found.oldest = Some(entry.end.unix(clock));
                if query.matches(&entry, clock) {
                    found.add(at, bytes, query);
                }
            }
            if read < SEARCH_BATCH {
                break;
            }
        }
        Some(found)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FoundEntries {
    /// Adds a matching entry, which is older than those before.
    fn add(&mut self, at: Position, bytes: &[u8], query: &JournalQuery) {
        self.total += 1;
        if query.after.is_some_and(|after| at >= after) {
            return;
        }
        if self.entries.len() < query.limit {
            self.entries.push(bytes.into());
            self.last = Some(at);
        } else {
            self.next = self.last;
        }
    }
}

/// Whether the router's log may have a better reason than this one.
fn is_open(reason: Option<Reason>) -> bool {
    matches!(reason, None | Some(Reason::TimeLimit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::entry::tests::entry;
    use super::*;

    fn journal(rows: usize) -> Journal {
        let journal = Journal::default();
        let retention = Retention { rows, keep: Duration::from_secs(90 * 86_400) };
        journal.configure(Some(retention), Moment::START, Clock::system());
        journal
    }

    fn record(journal: &Journal, user: &str, end: u64) {
        journal.record(entry(user, end), Moment::START);
    }

    fn users(found: &FoundEntries) -> Vec<String> {
        let user = |bytes: &[u8]| JournalEntry::decode(bytes).unwrap().user.into_owned();
        found.entries.iter().map(|bytes| user(bytes)).collect()
    }

    #[test]
    fn pages_are_complete_while_sessions_end() {
        let journal = journal(10 * SEARCH_BATCH);
        let count = 2 * SEARCH_BATCH as u64 + 3;
        for n in 0..count {
            record(&journal, &format!("u{n}"), n / 2);
        }
        let (now, clock) = (Moment::START, Clock::system());
        let mut query = JournalQuery { limit: 300, ..JournalQuery::default() };
        let mut seen = Vec::new();
        for new in 0.. {
            let found = journal.search(&query, now, clock).unwrap();
            assert_eq!(found.total as u64, count + new);
            seen.extend(users(&found));
            query.after = found.next;
            if found.next.is_none() {
                break;
            }
            record(&journal, "new", count + new);
        }
        let expected: Vec<String> = (0..count).rev().map(|n| format!("u{n}")).collect();
        assert_eq!(seen, expected, "each of the first entries once, and none of the later ones");
    }

    #[test]
    fn a_page_that_is_just_full_has_no_next() {
        let (journal, clock) = (journal(100), Clock::system());
        record(&journal, "ada", 1);
        record(&journal, "chidi", 2);
        let search = |limit, text: &str| {
            let query = JournalQuery { limit, search: text.into(), ..JournalQuery::default() };
            journal.search(&query, Moment::START, clock).unwrap()
        };
        assert!(search(2, "").next.is_none() && search(1, "").next.is_some());
        assert!(search(1, "ada").next.is_none(), "the rest does not match");
        assert_eq!((search(1, "nobody").total, search(0, "").next), (0, None));
        let oldest = clock.unix(Moment::START.after(Duration::from_millis(1)));
        assert_eq!(search(1, "nobody").oldest, Some(oldest));
    }

    #[test]
    fn each_change_increases_the_version() {
        let journal = journal(1);
        let before = journal.version();
        record(&journal, "ada", 1);
        let recorded = journal.version();
        journal.expire(Moment::START.after(Duration::from_secs(91 * 86_400)), Clock::system());
        let expired = journal.version();
        journal.expire(Moment::START, Clock::system());
        assert!(before < recorded && recorded < expired && journal.version() == expired);
    }
}
