use std::time::Duration;

use super::super::series::Series;
use super::super::site_history::Observation;
use super::*;
use crate::clock::Clock;

fn at(second: u64) -> Moment {
    Moment::START.after(Duration::from_secs(second))
}

/// An agent with this history. Moments of the past are a part of its run.
fn agent() -> StoredHistory {
    let history = History::new(Clock::system());
    history.configure(["a", "b"], 1 << 20, Moment::START);
    StoredHistory::new(Arc::new(history))
}

/// Records users for a time, in seconds since the start.
fn observe(agent: &StoredHistory, seconds: std::ops::Range<u64>, users: f64) {
    for second in seconds {
        let observation =
            Observation { connection: Some((true, at(0))), users: Some(users), ..Observation::default() };
        agent.history.observe("a", at(second * 60), &observation);
    }
}

/// The agent that follows one which left these records. Its clock is a day later, so that nothing is in its future.
fn restarted(records: &[Vec<u8>]) -> StoredHistory {
    let agent = agent();
    for record in records {
        let (site, content) = decode(record).unwrap();
        let end = at(1 << 20);
        match content {
            Content::Slots(resolution, start_s, slots) => {
                for (start_s, slot) in (start_s..).step_by(step_s(resolution)).zip(slots) {
                    agent.history.restore(site, resolution, start_s, slot, end);
                }
            }
            Content::Marks(marks) => agent.history.restore_marks(site, &marks, end),
        }
    }
    agent.restored().unwrap();
    agent
}

/// The known minutes of each resolution, and the largest number of users.
fn known(agent: &StoredHistory) -> [(f64, f64); 4] {
    Resolution::ALL.map(|resolution| {
        let slots = agent.history.stored("a", resolution, 0);
        let known =
            slots.iter().map(|slot| slot.slot.coverage(Series::Users) * resolution.step().as_secs_f64());
        let users = slots.iter().filter_map(|slot| slot.slot.figure(Series::Users));
        ((known.sum::<f64>() / 6.0).round() / 10.0, users.map(|users| users.max).fold(0.0, f64::max))
    })
}

#[test]
fn finished_slots_are_written_once_and_open_ones_at_the_end() {
    let agent = agent();
    observe(&agent, 0..91, 7.0);
    let mut file = agent.records(false);
    agent.written();
    assert!(agent.records(false).is_empty(), "everything is on disk");
    observe(&agent, 91..121, 9.0);
    let more = agent.records(false);
    let bytes = |records: &[Vec<u8>]| records.iter().map(Vec::len).sum::<usize>();
    assert!(bytes(&more) < 40 * Slot::SIZE, "{} bytes", bytes(&more));
    assert_eq!(agent.records(false), more, "what is not written stays pending");
    file.extend(more);
    agent.written();
    // Killed: what was finished is there, and the hours and days follow from the minutes.
    let expected = known(&agent);
    for (place, (minutes, users)) in known(&restarted(&file)).into_iter().enumerate() {
        assert!(expected[place].0 - minutes <= 1.1, "{place}: {minutes} of {expected:?}");
        assert_eq!(users.to_bits(), 9.0_f64.to_bits());
    }
    agent.finish();
    file.extend(agent.records(false));
    assert_eq!(known(&restarted(&file)), expected);
    assert_eq!(known(&restarted(&agent.records(true))), expected);
}

#[test]
fn an_open_slot_that_is_finished_later_counts_once() {
    let first = agent();
    observe(&first, 0..31, 7.0);
    first.finish();
    let mut file = first.records(false);
    let second = restarted(&file);
    observe(&second, 40..130, 8.0);
    let expected = known(&second);
    second.finish();
    file.extend(second.records(false));
    assert_eq!(known(&restarted(&file)), expected);
    file.extend(second.records(true));
    assert_eq!(known(&restarted(&file)), expected, "nothing counts twice");
    assert!((expected[0].0 - (30.0 + 89.0)).abs() < 0.2, "{expected:?}");
}

#[test]
fn marks_are_written_when_they_change() {
    let agent = agent();
    let marks = |agent: &StoredHistory| {
        agent.history.marks("a", 0).iter().map(|mark| mark.kind.name()).collect::<Vec<_>>()
    };
    let mut file = agent.records(false);
    agent.written();
    assert!(agent.records(false).is_empty());
    let offline = Observation { connection: Some((false, at(60))), ..Observation::default() };
    agent.history.observe("a", at(60), &offline);
    let changed = agent.records(false);
    assert_eq!(changed.iter().filter(|record| record[0] == MARKS).count(), 1, "those of the other site stay");
    file.extend(changed);
    assert_eq!(marks(&restarted(&file)), ["agent_start", "agent_start", "offline"]);
}

#[test]
fn slots_that_moved_with_the_clock_replace_the_file() {
    let agent = agent();
    agent.written();
    assert!(!agent.needs_rewrite());
    agent.history.lock().moves += 1;
    assert!(agent.needs_rewrite());
    agent.records(true);
    agent.written();
    assert!(!agent.needs_rewrite());
}

#[test]
fn nothing_is_stored_before_the_clock_is_set() {
    let agent = agent();
    for key in agent.history.keys() {
        agent.history.change_site(&key, |site| {
            site.follow(1000);
        });
    }
    observe(&agent, 0..200, 7.0);
    agent.finish();
    let records = agent.records(true);
    assert!(records.iter().all(|record| record.len() == 3 && record[0] == MARKS), "{records:?}");
}

#[test]
fn other_bytes_are_refused() {
    let agent = agent();
    observe(&agent, 0..10, 7.0);
    let records = agent.records(true);
    assert!(records.len() > 4);
    for record in &records {
        assert!(decode(record).is_some());
        for length in 0..record.len().min(60) {
            let _ = decode(&record[..length]);
            let mut changed = record.clone();
            changed[length] ^= 0x55;
            let _ = agent.restore(&changed, 1);
        }
    }
    for bytes in
        [&b""[..], &[0], &[9, 0], &[0, 1, b'a', 1, 0, 0, 0], &[4, 1, b'a', 0, 0, 0, 0, 0, 0, 0], &[1, 200]]
    {
        assert!(agent.restore(bytes, 1).is_err(), "{bytes:?}");
    }
}
