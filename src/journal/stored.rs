//! The journal in the state directory: each record is an entry with its number (4 bytes, little-endian) and its date. An
//! entry whose reason became known later is written again with the same number. The last one counts.

use std::pin::Pin;
use std::time::Duration;

use super::entry::{EndTime, JournalEntry};
use super::log::EntryLog;
use super::shared::{Journal, JournalState};
use crate::clock::{Clock, Moment};
use crate::storage::Persist;

impl Persist for Journal {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn restore(&self, record: &[u8], _: u16) -> Result<(), String> {
        let entry = record.split_first_chunk().and_then(|(number, entry)| {
            let entry = JournalEntry::decode(entry).filter(|entry| matches!(entry.end, EndTime::Date(_)))?;
            Some((u32::from_le_bytes(*number), entry))
        });
        let (number, entry) = entry.ok_or("it is not an entry of the journal")?;
        let mut state = self.lock();
        let JournalState { log, on_disk, version, .. } = &mut *state;
        if let Some(log) = log {
            on_disk.found(entry.end.unix(Clock::system()));
            log.restore(number, &entry);
            *version += 1;
        } else {
            // The journal was disabled while the agent was not running.
            on_disk.erase();
        }
        Ok(())
    }

    fn restored(&self) -> Result<(), String> {
        let mut state = self.lock();
        let JournalState { log: Some(log), on_disk, .. } = &mut *state else { return Ok(()) };
        log.restored(Moment::now(), Clock::system());
        on_disk.restored(log);
        Ok(())
    }

    // The records of the entries that are not on disk, or of all. An entry of this run has no date before the system's
    // clock is set.
    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let (clock, now) = (Clock::system(), Moment::now());
        self.expire(now, clock);
        let mut state = self.lock();
        let JournalState { log, on_disk, .. } = &mut *state;
        let (mut entries, mut oldest): (Vec<(u32, Vec<u8>)>, Option<Duration>) = (Vec::new(), None);
        let all = log.iter().flat_map(|log| log.before(None));
        for (at, bytes) in all.filter(|(at, _)| is_all || on_disk.lacks(at.number)) {
            let has_date = clock.is_set() || matches!(at.end, EndTime::Date(_));
            let Some(entry) = JournalEntry::decode(bytes).filter(|_| has_date) else { continue };
            let end = entry.end.unix(clock);
            oldest = Some(oldest.map_or(end, |oldest| oldest.min(end)));
            entries.push((at.number, entry.dated(clock).encode()));
        }
        let next =
            if clock.is_set() { log.as_ref().map_or(0, EntryLog::next_number) } else { on_disk.next() };
        on_disk.offer(next, oldest, is_all);
        // In the order in which they are restored fastest.
        entries.sort_unstable_by_key(|(number, _)| *number);
        entries.into_iter().map(|(number, entry)| [&number.to_le_bytes()[..], &entry].concat()).collect()
    }

    fn written(&self) {
        self.lock().on_disk.written();
    }

    fn needs_rewrite(&self) -> bool {
        let state = self.lock();
        let keep = state.log.as_ref().map_or(Duration::ZERO, |log| log.retention().keep);
        state.on_disk.needs_rewrite(Clock::system().unix(Moment::now()), keep)
    }

    fn urgent(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            loop {
                let erased = self.erased.listen();
                if std::mem::take(&mut self.lock().on_disk.is_urgent) {
                    return;
                }
                erased.await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
