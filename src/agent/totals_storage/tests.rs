use super::*;
use crate::plugin::Plugin;
use crate::state::{Reload, SiteState};

/// The difference of the sites' time from UTC, in seconds.
const OFFSET_S: i32 = 3600;

fn totals(day: i64, upload_bytes: u64) -> DayTotals {
    let counts = Counts { upload_bytes, logins: 3, ..Counts::default() };
    DayTotals {
        day,
        utc_offset_s: Some(OFFSET_S),
        counts,
        peak_users: 9,
        peak_at: Duration::from_millis(1 << 40),
    }
}

fn today() -> i64 {
    let unix_s = i64::try_from(Clock::system().unix(Moment::now()).as_secs()).unwrap();
    (unix_s + i64::from(OFFSET_S)).div_euclid(DAY_S)
}

/// The storage of a process with these sites, after it has read this file.
fn started(sites: &[&str], file: &[Vec<u8>]) -> TotalsStorage {
    let store = Arc::new(Store::new(Reload::first(None, Vec::new())));
    let storage = TotalsStorage::new(store.clone());
    for record in file {
        storage.restore(record, 1).unwrap();
    }
    assert_eq!(storage.records(true).len(), file.len(), "a file is complete before the sites are there");
    let site = |key: &&str| SiteState::new(key, key, Duration::from_secs(30), [], [Plugin::Hotspot]);
    store.rearrange(|_| sites.iter().map(site).map(Arc::new).collect());
    storage.give_to_sites();
    storage
}

#[test]
fn totals_continue_after_a_restart_and_are_written_when_they_change() {
    let file = [encode("a", &totals(today(), 100)), encode("gone", &totals(today(), 7))];
    let storage = started(&["a", "b"], &file);
    let snapshot = storage.store.snapshot();
    let restored = snapshot.site("a").unwrap().today(Moment::now(), snapshot.clock).unwrap();
    assert_eq!((restored.counts.upload_bytes, restored.peak_users), (100, 9));
    storage.records(false);
    storage.written();
    assert!(storage.records(false).is_empty());
    storage.store.update("a", |site| site.restore_today(totals(today(), 11)));
    let pending = storage.records(false);
    assert_eq!(decode(&pending[0]).unwrap().1.counts.upload_bytes, 111);
    assert_eq!(storage.records(true).len(), 1, "removed sites are forgotten");
}

#[test]
fn a_record_is_decoded_as_it_was_encoded_and_others_are_refused() {
    for totals in [totals(-1, u64::MAX), DayTotals { utc_offset_s: None, ..totals(20_000, 0) }] {
        let record = encode("awka", &totals);
        assert_eq!(decode(&record), Some(("awka", totals)));
        for length in 0..record.len() {
            assert_eq!(decode(&record[..length]), None, "{length}");
            let mut changed = record.clone();
            changed[length] ^= 0xff;
            let _ = decode(&changed);
        }
        assert_eq!(decode(&[&record[..], &[0]].concat()), None);
    }
}
