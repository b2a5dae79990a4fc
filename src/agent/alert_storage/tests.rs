use std::time::Duration;

use super::*;
use crate::config::{AlertsConfig, ChannelConfig, ChannelService, Secret, ServerTrust};
use crate::net::proxy::ProxySettings;
use crate::state::{Reload, Store};

/// The records of a state of this many bytes.
fn records(state: &mut StateRecords, revision: u64, bytes: usize) -> Vec<Vec<u8>> {
    let content = revision.to_le_bytes().iter().copied().cycle().take(bytes).collect();
    let records = state.records(1, revision, false, || Some(content));
    state.written = state.offered;
    records
}

/// The revision and the length of the state that a file has.
fn restored<'r>(file: impl IntoIterator<Item = &'r Vec<u8>>) -> Option<(u64, usize)> {
    let mut state = StateRecords::default();
    for record in file {
        let number = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
        let generation = u32::from_le_bytes(record[1..5].try_into().unwrap());
        state.restore(generation, [number(5), number(7)], &record[HEAD..]);
    }
    let bytes = state.restored()?;
    Some((u64::from_le_bytes(bytes[..8].try_into().unwrap()), bytes.len()))
}

#[test]
fn the_last_complete_state_counts() {
    let mut state = StateRecords::default();
    let first = records(&mut state, 1, 200_000);
    assert!(first.len() == 4 && first.iter().all(|record| record.len() <= MAX_RECORD));
    assert!(records(&mut state, 1, 200_000).is_empty(), "it is on disk");
    let second = records(&mut state, 2, 150_000);
    let file = || first.iter().chain(&second);
    assert_eq!(restored(file()), Some((2, 150_000)));
    for missing in 4..7 {
        let torn = file().enumerate().filter(|(at, _)| *at != missing).map(|(_, record)| record);
        assert_eq!(restored(torn), Some((1, 200_000)), "without {missing}");
    }
    for end in 4..7 {
        assert_eq!(restored(file().take(end)), Some((1, 200_000)), "of {end}");
    }
    for end in 0..4 {
        assert_eq!(restored(file().take(end)), None, "of {end}");
    }
    // The end of one and the rest of another are no state.
    assert_eq!(restored(first[..3].iter().chain(&second[2..])), None);
}

#[test]
fn records_that_are_not_a_state_are_bounded() {
    let mut state = StateRecords::default();
    for place in 0..=u16::MAX {
        state.restore(1, [place, 0], &[0; 100]);
        state.restore(1, [place, u16::MAX], &[0; 100]);
    }
    assert_eq!((state.parts.len(), state.restored()), (0, None));
}

/// The storage of a process that has read this file.
fn started(file: &[Vec<u8>]) -> AlertStorage {
    let alerts = Arc::new(Alerts::new(Duration::ZERO));
    let notifier = Notifier::new(alerts.clone(), Arc::default(), ProxySettings::default());
    let storage = AlertStorage::new(alerts, Arc::new(notifier));
    for record in file {
        storage.restore(record, 1).unwrap();
    }
    storage.restored().unwrap();
    storage
}

#[test]
fn a_mute_is_written_at_once_and_survives_a_restart() {
    let storage = started(&[]);
    assert!(storage.records(true).is_empty(), "there is nothing to store");
    storage.alerts.mute(Some("awka"), Duration::from_secs(3600), "admin");
    smol::block_on(storage.urgent());
    let file = storage.records(false);
    assert_eq!(storage.records(false).len(), file.len(), "what is not written stays pending");
    storage.written();
    assert!(storage.records(false).is_empty());
    let restarted = started(&file);
    assert_eq!(restarted.alerts.list().mutes, storage.alerts.list().mutes);
    assert_eq!(restarted.alerts.list().mutes.len(), 1);
    assert!(restarted.records(false).is_empty(), "it is on disk");
    assert_eq!(restarted.records(true).len(), 1, "a file that is replaced still has it");
}

#[test]
fn alerts_that_no_longer_fire_are_not_repeated() {
    let alert = r#"{"id":"awka-SiteDown-1","kind":"SiteDown","site":"awka","name":null,"since":0,
        "until":null,"value":null,"message":"","hint":null,"acknowledged":null}"#;
    let saved =
        format!(r#"{{"version":1,"channels":{{"am":{{"queued":[],"dropped":0,"firing":[{alert}]}}}}}}"#);
    let storage = started(&[]);
    storage.notifier.restore(SavedMessages::decode(saved.as_bytes()).unwrap());
    // Nothing is sent to a URL that is invalid.
    let service = ChannelService::Alertmanager { url: Secret::new("none".into()) };
    let channel = ChannelConfig { name: "am".into(), service, trust: ServerTrust::BuiltIn };
    storage.notifier.configure(&AlertsConfig { channels: vec![channel], ..AlertsConfig::default() });
    let is_saved = || {
        let saved = storage.notifier.saved().encode().unwrap();
        saved.windows(15).any(|bytes| bytes == b"awka-SiteDown-1")
    };
    assert!(is_saved());
    storage.advance(&Store::new(Reload::first(None, Vec::new())).snapshot());
    assert!(!is_saved());
}

#[test]
fn other_bytes_are_refused() {
    let storage = started(&[]);
    for record in [&b""[..], &[1; 8], &[2, 0, 0, 0, 0, 0, 0, 1, 0]] {
        assert!(storage.restore(record, 1).is_err(), "{record:?}");
    }
    let damaged = [&[1, 0, 0, 0, 0, 0, 0, 1, 0][..], b"{\"now\":"].concat();
    storage.restore(&damaged, 1).unwrap();
    assert!(storage.restored().is_err());
}
