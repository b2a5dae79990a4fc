use super::super::entry::tests::entry;
use super::super::log::Retention;
use super::super::query::JournalQuery;
use super::super::reason::Reason;
use super::*;

const KEEP: Duration = Duration::from_secs(90 * 86_400);

fn journal(rows: usize) -> Journal {
    let journal = Journal::default();
    journal.configure(Some(Retention { rows, keep: KEEP }), Moment::START, Clock::system());
    journal
}

fn record(journal: &Journal, user: &str, end: u64) {
    journal.record(entry(user, end), Moment::START);
}

/// What is kept, newest first: the users and the reasons.
fn kept(journal: &Journal) -> Vec<(String, Option<Reason>)> {
    let query = JournalQuery { limit: 100, ..JournalQuery::default() };
    let found = journal.search(&query, Moment::now(), Clock::system()).unwrap();
    let entry = |bytes: &[u8]| {
        let entry = JournalEntry::decode(bytes).unwrap();
        (entry.user.into_owned(), entry.reason)
    };
    found.entries.iter().map(|bytes| entry(bytes)).collect()
}

/// The journal of the next process.
fn restarted(rows: usize, file: &[Vec<u8>]) -> Journal {
    let journal = journal(rows);
    for record in file {
        journal.restore(record, 1).unwrap();
    }
    journal.restored().unwrap();
    journal
}

fn written(journal: &Journal) -> Vec<Vec<u8>> {
    let records = journal.records(false);
    journal.written();
    records
}

fn users(journal: &Journal) -> Vec<String> {
    kept(journal).into_iter().map(|(user, _)| user).collect()
}

#[test]
fn entries_are_written_once_and_restored_within_the_limits() {
    let first = journal(10);
    record(&first, "ada", 10);
    record(&first, "bola", 20);
    let mut file = written(&first);
    assert_eq!((file.len(), written(&first).len()), (2, 0));
    record(&first, "chidi", 15);
    let pending = || first.records(false).len();
    assert_eq!((pending(), pending()), (1, 1), "what is not written stays pending");
    file.extend(written(&first));
    let second = restarted(10, &file);
    assert_eq!(users(&second), ["bola", "chidi", "ada"]);
    assert!(second.records(false).is_empty(), "what was restored is on disk");
    record(&second, "dayo", 30);
    file.extend(written(&second));
    assert_eq!(users(&restarted(10, &file)), ["dayo", "bola", "chidi", "ada"]);
    let few = restarted(2, &file);
    assert_eq!((users(&few), few.stats().unwrap().dropped), (vec!["dayo".into(), "bola".into()], 0));
    let all = few.records(true);
    assert_eq!(users(&restarted(10, &all)), ["dayo", "bola"]);
}

#[test]
fn a_reason_that_is_learned_later_replaces_the_entry() {
    let journal = journal(10);
    record(&journal, "ada", 10);
    record(&journal, "bola", 20);
    let mut file = written(&journal);
    {
        let mut state = journal.lock();
        let JournalState { log: Some(log), on_disk, .. } = &mut *state else { panic!() };
        let at = log.before(None).nth(1).unwrap().0;
        log.set_reason(at, Reason::Idle);
        on_disk.change(at.number);
    }
    let changed = written(&journal);
    assert_eq!(changed.len(), 1);
    file.extend(changed);
    let expected = [("bola".to_string(), None), ("ada".to_string(), Some(Reason::Idle))];
    assert_eq!(kept(&restarted(10, &file)), expected);
    assert!(written(&journal).is_empty());
}

#[test]
fn a_disabled_journal_is_erased_from_the_file_at_once() {
    let file = {
        let journal = journal(10);
        record(&journal, "ada", 10);
        let file = written(&journal);
        journal.configure(None, Moment::START, Clock::system());
        smol::block_on(journal.urgent());
        assert!(journal.needs_rewrite() && journal.records(true).is_empty());
        journal.written();
        assert!(!journal.needs_rewrite());
        file
    };
    // It was disabled while the agent was not running.
    let journal = Journal::default();
    journal.restore(&file[0], 1).unwrap();
    journal.restored().unwrap();
    smol::block_on(journal.urgent());
    assert!(journal.needs_rewrite() && journal.records(true).is_empty());
    // It is enabled before the file could be replaced.
    journal.configure(Some(Retention { rows: 10, keep: KEEP }), Moment::START, Clock::system());
    record(&journal, "bola", 10);
    assert!(journal.needs_rewrite());
    assert_eq!(users(&restarted(10, &journal.records(true))), ["bola"]);
}

#[test]
fn expired_entries_leave_the_file() {
    let journal = journal(10);
    let date = Clock::system().unix(Moment::now().before(KEEP + Duration::from_secs(2 * 86_400)));
    let old = JournalEntry { end: EndTime::Date(date.as_millis().try_into().unwrap()), ..entry("old", 0) };
    let record = [&7_u32.to_le_bytes()[..], &old.encode()].concat();
    journal.restore(&record, 1).unwrap();
    journal.restored().unwrap();
    assert!(users(&journal).is_empty() && journal.needs_rewrite());
    assert!(journal.records(true).is_empty());
    journal.written();
    assert!(!journal.needs_rewrite());
}

#[test]
fn other_bytes_are_refused() {
    let journal = journal(10);
    record(&journal, "ada", 10);
    let record = written(&journal).remove(0);
    for length in 0..record.len() {
        assert!(journal.restore(&record[..length], 1).is_err(), "{length}");
        let mut changed = record.clone();
        changed[length] ^= 0xff;
        let _ = journal.restore(&changed, 1);
    }
    let undated = [&[0; 4][..], &entry("ada", 10).encode()].concat();
    assert!(journal.restore(&undated, 1).is_err());
}

#[test]
fn a_typical_record_is_small() {
    let journal = journal(10);
    record(&journal, "voucher-1234", 10);
    let bytes = written(&journal)[0].len();
    assert!(bytes <= 80, "docs/operations.md states the size of the file: {bytes}");
}
