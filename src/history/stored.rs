//! The history in the state directory: its records, and what of it is on disk.
//!
//! ```text
//! record    = kind (1 byte) · length of the key (1 byte) · key of the site · content
//! kind 0–3  = slots of a resolution: the start of the first one (4 bytes, little-endian), consecutive slots (42 bytes each)
//! kind 4    = all marks: what (1 byte), start and end in seconds since the Unix epoch (4 bytes each; no end: 0)
//! ```
//!
//! Records have the order in which they were recorded, as far as it is known: the dates of slots go back if the clock did.
//! A finished slot is written once. One that the agent did not finish is written when the agent ends, and again once it is
//! finished: the later record counts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mark::{Mark, MarkKind};
use super::ring::Resolution;
use super::site_history::StoredSlot;
use super::slot::Slot;
use super::{EARLIEST_S, History};
use crate::clock::{Moment, rfc3339};
use crate::storage::{Persist, key_prefix, split_key};

/// The kind of a record with marks.
const MARKS: u8 = 4;

/// Maximum number of slots in a record. It is above the number that is kept, so most runs of slots are one record.
const MAX_SLOTS: usize = 1000;

/// The history as it is stored.
pub struct StoredHistory {
    history: Arc<History>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    written: OnDisk,
    /// What will be on disk if the records that were returned last are written.
    offered: OnDisk,
    is_ending: bool,
}

#[derive(Default)]
struct OnDisk {
    sites: HashMap<String, SiteOnDisk>,
    /// [`History`]'s `moves` then: slots that have moved are elsewhere in the file.
    moves: u64,
}

/// What of a site is on disk.
#[derive(Debug, Clone, Copy, Default)]
struct SiteOnDisk {
    /// For each resolution, the start of the first slot that is not, or is not finished.
    next_s: [u32; 4],
    /// A hash of the marks.
    marks: u64,
}

impl StoredHistory {
    /// Stores this history.
    pub fn new(history: Arc<History>) -> Self {
        Self { history, progress: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Persist for StoredHistory {
    fn name(&self) -> &'static str {
        "history"
    }

    fn restore(&self, record: &[u8], _: u16) -> Result<(), String> {
        let (site, content) = decode(record).ok_or("it is not of the history")?;
        match content {
            Content::Slots(resolution, start_s, slots) => {
                for (start_s, slot) in (start_s..).step_by(step_s(resolution)).zip(slots) {
                    self.history.restore(site, resolution, start_s, slot);
                }
            }
            Content::Marks(marks) => self.history.restore_marks(site, &marks),
        }
        Ok(())
    }

    fn restored(&self) -> Result<(), String> {
        let last = |key: &str, resolution| {
            let slots = self.history.stored(key, resolution, 0);
            slots.iter().rfind(|slot| !slot.is_future).map_or(0, |last| last.start_s)
        };
        let on_disk = |key: String| {
            // The last slot may be unfinished. What is computed now is not on disk.
            let next_s = Resolution::ALL.map(|resolution| last(&key, resolution));
            (key, SiteOnDisk { next_s, marks: 0 })
        };
        self.lock().written.sites = self.history.keys().into_iter().map(on_disk).collect();
        self.history.complete_restored();
        Ok(())
    }

    // The records of what is not on disk, or of everything.
    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let mut progress = self.lock();
        let moves = self.history.lock().moves;
        let has_open = is_all || progress.is_ending;
        let (mut records, mut sites) = (Vec::new(), HashMap::new());
        for key in self.history.keys() {
            let written = if is_all { None } else { progress.written.sites.get(&key) };
            let mut site = written.copied().unwrap_or_default();
            for (resolution, next_s) in Resolution::ALL.into_iter().zip(&mut site.next_s) {
                let mut slots = self.history.stored(&key, resolution, *next_s);
                // What lies in the future is on disk already, and was recorded before this run.
                slots.retain(|slot| is_all || !slot.is_future);
                slots.sort_by_key(|slot| !slot.is_future);
                let finished = slots.iter().rfind(|slot| slot.is_finished);
                *next_s = finished.map_or(*next_s, |last| end_s(last, resolution));
                let slots: Vec<_> = slots.into_iter().filter(|slot| has_open || slot.is_finished).collect();
                records.extend(runs(&slots, resolution).map(|run| encode_slots(&key, resolution, run)));
            }
            let marks = encode_marks(&key, &self.history.marks(&key));
            let mut hasher = DefaultHasher::new();
            marks.hash(&mut hasher);
            if hasher.finish() != site.marks {
                site.marks = hasher.finish();
                records.push(marks);
            }
            sites.insert(key, site);
        }
        progress.offered = OnDisk { sites, moves };
        records
    }

    fn written(&self) {
        let mut progress = self.lock();
        progress.written = std::mem::take(&mut progress.offered);
    }

    fn needs_rewrite(&self) -> bool {
        self.history.lock().moves != self.lock().written.moves
    }

    fn finish(&self) {
        self.lock().is_ending = true;
    }

    fn warning(&self) -> Option<String> {
        let until = rfc3339(Duration::from_secs(self.history.future_s(Moment::now())?.into()));
        Some(format!(
            "its figures up to {until} lie in the future, so they are hidden until then: the system's clock is behind, \
             or it was ahead when they were stored. Check the clock. They stay unless newer ones need their memory"
        ))
    }
}

/// The content of a record.
#[derive(Debug, PartialEq)]
enum Content {
    /// Consecutive slots, and the start of the first one.
    Slots(Resolution, u32, Vec<Slot>),
    Marks(Vec<Mark>),
}

fn step_s(resolution: Resolution) -> usize {
    usize::try_from(resolution.step().as_secs()).unwrap_or(usize::MAX)
}

fn end_s(slot: &StoredSlot, resolution: Resolution) -> u32 {
    slot.start_s.saturating_add(u32::try_from(step_s(resolution)).unwrap_or(u32::MAX))
}

/// The slots in runs without a gap.
fn runs(slots: &[StoredSlot], resolution: Resolution) -> impl Iterator<Item = &[StoredSlot]> {
    let runs = slots.chunk_by(move |one, next| end_s(one, resolution) == next.start_s);
    runs.flat_map(|run| run.chunks(MAX_SLOTS))
}

fn head(kind: u8, site: &str) -> Vec<u8> {
    [vec![kind], key_prefix(site)].concat()
}

fn encode_slots(site: &str, resolution: Resolution, slots: &[StoredSlot]) -> Vec<u8> {
    let mut record = head(resolution as u8, site);
    let start_s = slots.first().map_or(0, |slot| slot.start_s);
    record.extend(start_s.to_le_bytes());
    record.extend(slots.iter().flat_map(|slot| slot.slot.to_bytes()));
    record
}

fn encode_marks(site: &str, marks: &[Mark]) -> Vec<u8> {
    let mut record = head(MARKS, site);
    for mark in marks.iter().filter(|mark| mark.at_s >= EARLIEST_S) {
        let place = MarkKind::ALL.iter().position(|kind| *kind == mark.kind);
        record.push(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX));
        record.extend(mark.at_s.to_le_bytes());
        record.extend(mark.until_s.unwrap_or(0).to_le_bytes());
    }
    record
}

/// The site and the content of a record; `None` if it is something else.
fn decode(record: &[u8]) -> Option<(&str, Content)> {
    let (&kind, rest) = record.split_first()?;
    let (site, rest) = split_key(rest)?;
    if kind == MARKS {
        let (marks, rest) = rest.as_chunks::<9>();
        let marks = marks.iter().map(decode_mark).collect::<Option<_>>()?;
        return rest.is_empty().then_some((site, Content::Marks(marks)));
    }
    let resolution = *Resolution::ALL.get(usize::from(kind))?;
    let (start_s, slots) = rest.split_first_chunk()?;
    let (start_s, (slots, rest)) = (u32::from_le_bytes(*start_s), slots.as_chunks());
    let is_whole = rest.is_empty() && usize::try_from(start_s).ok()? % step_s(resolution) == 0;
    let slots = slots.iter().copied().map(Slot::from_bytes).collect();
    is_whole.then_some((site, Content::Slots(resolution, start_s, slots)))
}

fn decode_mark(bytes: &[u8; 9]) -> Option<Mark> {
    let [kind, dates @ ..] = bytes;
    let (at_s, until_s) = dates.split_first_chunk()?;
    let (at_s, until_s) = (u32::from_le_bytes(*at_s), u32::from_le_bytes(until_s.try_into().ok()?));
    Some(Mark::restored(*MarkKind::ALL.get(usize::from(*kind))?, at_s, (until_s > 0).then_some(until_s)))
}

#[cfg(test)]
mod tests;
