//! Today's totals of all sites in the state directory.
//!
//! A record has the totals of one site, and replaces the one before: the key of the site after its length (1 byte), and
//! numbers of 8 bytes, little-endian: the date, the UTC offset (the least number if it is unknown), upload, download,
//! logins, logouts, the peak of users, and its time in milliseconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::plugin::Counts;
use crate::state::{DayTotals, Store};
use crate::storage::{Persist, key_prefix, split_key};

/// Totals by the key of the site.
type Totals = HashMap<String, DayTotals>;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Today's totals as they are stored.
pub(super) struct TotalsStorage {
    store: Arc<Store>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Those that the sites do not have yet.
    restored: Totals,
    on_disk: Totals,
    offered: Totals,
}

impl TotalsStorage {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, progress: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives each site the totals that were restored. To be called once the sites are in the store. Other sites' are
    /// forgotten.
    pub(super) fn give_to_sites(&self) {
        let mut progress = self.lock();
        for (key, totals) in std::mem::take(&mut progress.restored) {
            if self.store.update(&key, |site| site.restore_today(totals)).is_none() {
                progress.on_disk.remove(&key);
            }
        }
    }
}

impl Persist for TotalsStorage {
    fn name(&self) -> &'static str {
        "today"
    }

    fn restore(&self, record: &[u8], _: u16) -> Result<(), String> {
        let (key, totals) = decode(record).ok_or("it is not a day's totals")?;
        let mut progress = self.lock();
        progress.restored.insert(key.into(), totals);
        progress.on_disk.insert(key.into(), totals);
        Ok(())
    }

    // The totals of the sites that are not on disk, or all. There are none of a day before the system's clock was set.
    fn records(&self, is_all: bool) -> Vec<Vec<u8>> {
        let mut progress = self.lock();
        let snapshot = self.store.snapshot();
        let today = |totals: &DayTotals| totals.day > i64::from(Clock::EARLIEST_S) / DAY_S;
        let mut offered = progress.on_disk.clone();
        offered.extend(snapshot.sites.iter().filter_map(|site| {
            let totals = site.today(Moment::now(), snapshot.clock).filter(today)?;
            Some((site.key.clone(), totals)).filter(|_| !progress.restored.contains_key(&site.key))
        }));
        let is_new =
            |(key, totals): &(&String, &DayTotals)| is_all || progress.on_disk.get(*key) != Some(totals);
        let records = offered.iter().filter(is_new).map(|(key, totals)| encode(key, totals)).collect();
        progress.offered = offered;
        records
    }

    fn written(&self) {
        let mut progress = self.lock();
        progress.on_disk = std::mem::take(&mut progress.offered);
    }
}

fn encode(key: &str, totals: &DayTotals) -> Vec<u8> {
    let DayTotals { day, utc_offset_s, counts, peak_users, peak_at } = totals;
    let offset = utc_offset_s.map_or(i64::MIN, Into::into);
    let peak_at = u64::try_from(peak_at.as_millis()).unwrap_or(u64::MAX);
    let Counts { logins, logouts, upload_bytes, download_bytes } = *counts;
    let mut record = key_prefix(key);
    let numbers = [
        day.cast_unsigned(),
        offset.cast_unsigned(),
        upload_bytes,
        download_bytes,
        logins,
        logouts,
        *peak_users,
        peak_at,
    ];
    record.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    record
}

fn decode(record: &[u8]) -> Option<(&str, DayTotals)> {
    let (key, numbers) = split_key(record)?;
    let (numbers, rest) = numbers.as_chunks();
    let numbers: Vec<u64> = numbers.iter().copied().map(u64::from_le_bytes).collect();
    let &[day, offset, upload_bytes, download_bytes, logins, logouts, peak_users, peak_at] = &*numbers else {
        return None;
    };
    let totals = DayTotals {
        day: day.cast_signed(),
        utc_offset_s: i32::try_from(offset.cast_signed()).ok(),
        counts: Counts { logins, logouts, upload_bytes, download_bytes },
        peak_users,
        peak_at: Duration::from_millis(peak_at),
    };
    rest.is_empty().then_some((key, totals))
}

#[cfg(test)]
mod tests;
