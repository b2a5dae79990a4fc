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

/// The agent that follows one which left these records.
fn restarted(records: &[Vec<u8>]) -> StoredHistory {
    let agent = agent();
    for record in records {
        agent.restore(record, 1).unwrap();
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
        agent.history.marks("a").iter().map(|mark| mark.kind.name()).collect::<Vec<_>>()
    };
    let mut file = agent.records(false);
    agent.written();
    assert!(agent.records(false).is_empty());
    let offline = Observation { connection: Some((false, at(60))), ..Observation::default() };
    agent.history.observe("a", at(60), &offline);
    let changed = agent.records(false);
    assert_eq!(changed.iter().filter(|record| record[0] == MARKS).count(), 1, "those of the other site stay");
    file.extend(changed);
    assert_eq!(marks(&restarted(&file)), ["agent_start", "offline", "agent_start"]);
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

/// A run of an agent: the true time of its start, by how much its clock is ahead then, its minutes, and after which of
/// them the clock is set right.
type Run = (i64, i64, i64, Option<i64>);

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// 2026-11-01T00:00:00Z
const NOVEMBER: i64 = 1_793_491_200;

fn clock(start_s: i64) -> Clock {
    Clock::starting_at(start_s)
}

/// The agent after these runs, the last of which still runs.
fn after(runs: &[Run], is_killed: bool) -> StoredHistory {
    let write = |agent: &StoredHistory, file: &mut Vec<Vec<u8>>| {
        let is_all = agent.needs_rewrite();
        if is_all {
            file.clear();
        }
        file.extend(agent.records(is_all));
        agent.written();
    };
    let (mut file, mut users) = (Vec::<Vec<u8>>::new(), 0.0);
    for (place, (start_s, ahead_s, minutes, set_after)) in runs.iter().copied().enumerate() {
        let history = History::new(clock(start_s + ahead_s));
        history.configure(["a"], 1 << 20, Moment::START);
        let agent = StoredHistory::new(Arc::new(history));
        for record in &file {
            agent.restore(record, 1).unwrap();
        }
        agent.restored().unwrap();
        users += 10.0;
        for minute in 0..=minutes {
            let is_set = set_after.is_some_and(|set_after| minute >= set_after);
            let now = at(minute.cast_unsigned() * 60);
            let observation =
                Observation { connection: Some((true, at(0))), users: Some(users), ..Observation::default() };
            agent.history.observe("a", now, &observation);
            agent.history.advance(now, clock(start_s + if is_set { 0 } else { ahead_s }));
            if minute % 5 == 4 {
                write(&agent, &mut file);
            }
        }
        if place + 1 == runs.len() {
            return agent;
        }
        if !is_killed {
            agent.finish();
            write(&agent, &mut file);
        }
    }
    panic!("no runs");
}

#[test]
fn slots_and_marks_survive_a_clock_that_is_wrong() {
    let month = 20 * DAY;
    let cases: [(&str, &[Run]); 10] = [
        ("a restart", &[(0, 0, 600, None), (11 * HOUR, 0, 30, None)]),
        ("hours behind", &[(0, 0, 600, None), (11 * HOUR, -5 * HOUR, 30, Some(10))]),
        ("weeks behind", &[(0, 0, 2880, None), (50 * HOUR, -month, 30, Some(10)), (51 * HOUR, 0, 30, None)]),
        (
            "years behind, and restarted in this state",
            &[(0, 0, 300, None), (6 * HOUR, -1000 * DAY, 15, None), (7 * HOUR, -1000 * DAY, 90, Some(7))],
        ),
        (
            "years behind to its end, then right",
            &[(0, 0, 300, None), (6 * HOUR, -1000 * DAY, 15, None), (7 * HOUR, 0, 30, None)],
        ),
        ("in 1970", &[(0, 0, 300, None), (6 * HOUR, -NOVEMBER - 6 * HOUR, 90, Some(7))]),
        (
            "an hour behind for good",
            &[(0, 0, 150, None), (4 * HOUR, -2 * HOUR, 15, None), (4 * HOUR + 2400, -2 * HOUR, 15, None)],
        ),
        (
            "ten years ahead, then right",
            &[
                (0, 0, 2880, None),
                (50 * HOUR, 3650 * DAY, 125, None),
                (53 * HOUR, 0, 600, None),
                (70 * HOUR, 0, 60, None),
            ],
        ),
        (
            "ten years ahead, then hours behind",
            &[
                (0, 0, 600, None),
                (11 * HOUR, 3650 * DAY, 65, None),
                (20 * HOUR, 0, 600, None),
                (31 * HOUR, -5 * HOUR, 60, Some(5)),
            ],
        ),
        (
            "set back an hour",
            &[(0, 0, 60, None), (HOUR, HOUR, 40, None), (2 * HOUR, 0, 50, None), (3 * HOUR, 0, 10, None)],
        ),
    ];
    for ((case, runs), is_killed) in cases.into_iter().flat_map(|case| [(case, false), (case, true)]) {
        let runs: Vec<Run> =
            runs.iter().map(|(start, ahead, long, set)| (NOVEMBER + start, *ahead, *long, *set)).collect();
        let agent = after(&runs, is_killed);
        // Of each run, the date of its start in the end.
        let starts = runs.iter().map(|(start, ahead, _, set)| start + set.map_or(*ahead, |_| 0));
        let starts: Vec<i64> = starts.collect();
        let now_s = starts.last().unwrap() + runs.last().unwrap().2 * 60;
        let now = at(runs.last().unwrap().2.cast_unsigned() * 60);
        for resolution in Resolution::ALL {
            let step = i64::try_from(step_s(resolution)).unwrap();
            let range = resolution.step() * u32::try_from(resolution.slots()).unwrap();
            let found = agent.history.range("a", range, now).unwrap();
            assert_eq!(found.resolution, resolution);
            for (place, slot) in found.slots.iter().enumerate() {
                let from = i64::from(found.from_s) + i64::try_from(place).unwrap() * step;
                let (mut known, mut sum) = (0.0, 0.0);
                let spans = || starts.iter().zip(&runs).map(|(start, run)| *start..start + run.2 * 60);
                for (number, (start, (_, _, minutes, _))) in (1_u32..).zip(starts.iter().zip(&runs)) {
                    let until = (start + minutes * 60).min(from + step);
                    let inside = (until - from.max(*start)).max(0) as f64;
                    (known, sum) = (known + inside, sum + inside * f64::from(number) * 10.0);
                }
                let context = format!("{case}, killed: {is_killed}, {resolution:?} at {}", from - NOVEMBER);
                let coverage = slot.coverage(Series::Users) * step as f64;
                // What a killed agent did not write is lost, and a minute that ran twice may be known once.
                let once = if known > 0.0 {
                    (from..from + step).step_by(60).filter(|at| spans().any(|span| span.contains(at))).count()
                } else {
                    0
                };
                let rounding = 1.0 + step as f64 / 30_000.0;
                let lost = if is_killed { 300.0 * runs.len() as f64 } else { rounding };
                let expected = once as f64 * 60.0 - lost..=f64::min(known, step as f64) + rounding;
                assert!(expected.contains(&coverage), "{context}: {coverage} s, expected {expected:?}");
                let average = slot.figure(Series::Users).map_or(0.0, |users| users.avg);
                let error = (average - sum / f64::max(known, 1.0)).abs();
                assert!(known < 3000.0 || error < 1.5, "{context}: {average}, expected {}", sum / known);
            }
            let marks = found.marks.iter().map(|mark| i64::from(mark.at_s)).collect::<Vec<_>>();
            let mut expected = starts.clone();
            expected.retain(|at| (i64::from(found.from_s)..=now_s).contains(at));
            expected.sort_unstable();
            assert_eq!(marks, expected, "{case}, killed: {is_killed}, {resolution:?}");
        }
    }
}

#[test]
fn figures_that_lie_in_the_future_are_reported() {
    let run = |start_s: i64| (NOVEMBER + start_s, 0, 10, None);
    let warning = |runs: &[Run]| after(runs, false).warning();
    assert_eq!(warning(&[run(0), run(HOUR)]), None);
    let found = warning(&[run(10 * DAY), run(0)]).unwrap();
    assert!(found.contains("up to 2026-11-11T00:09:00Z lie in the future"), "{found}");
    let unset = (NOVEMBER, -NOVEMBER, 10, None);
    assert_eq!(warning(&[run(10 * DAY), unset]), None, "a clock that is not set is normal on some boards");
}
