//! Traffic rates of sessions and of the whole hotspot.

use super::traffic::Next::{self, Answered, Begun, Changed, Polled, PolledInPart, Silence};
use super::*;

/// Rates in bit/s: the upload of the session `*1`, and that of the hotspot.
type Shown = (Option<u64>, Option<u64>);

/// Expects these rates after each step.
#[track_caller]
fn rates(case: &str, steps: &[(Next, Shown)]) {
    let mut scenario = Scenario::new();
    for (at, (next, expected)) in steps.iter().enumerate() {
        scenario.next(*next);
        let hotspot = scenario.hotspot.as_ref();
        let session =
            hotspot.and_then(|hotspot| hotspot.sessions.iter().find(|session| session.id() == "*1"));
        let session = session.and_then(Session::rates);
        let all = hotspot.and_then(Hotspot::rates);
        assert_eq!(
            (session.map(|rates| rates.upload), all.map(|rates| rates.upload)),
            *expected,
            "{case}, step {at}"
        );
    }
}

const NONE: Shown = (None, None);

#[test]
fn rates_are_not_capped_by_a_long_refresh_or_an_outage() {
    for (case, seconds, rate) in [
        ("the default refresh", 30, 4_000_000_000),
        ("five minutes", 300, 300_000_000),
        ("a day", 86_400, 800_000_000),
    ] {
        // The answer in between is incomplete.
        let [before, between, after] =
            [0, seconds / 2, seconds].map(|age| format!("*1 ada M1 {}s {}/0", 3600 + age, rate / 8 * age));
        let found = [
            (Polled(&[&before]), NONE),
            (Silence(seconds / 2 - 2), NONE),
            (PolledInPart(&[&between]), (Some(rate), None)),
            (Silence(seconds / 2 - 2), (Some(rate), None)),
            (Polled(&[&after]), both(rate)),
        ];
        rates(case, &found);
    }
}

fn both(rate: u64) -> Shown {
    (Some(rate), Some(rate))
}

#[test]
fn rates_span_two_answers() {
    rates(
        "a session that continues",
        &[
            (Polled(&["*1 ada M1 1h 1000/0"]), NONE),
            (Silence(8), NONE),
            (Polled(&["*1 ada M1 1h10s 3000/0"]), both(1600)),
            (Silence(8), both(1600)),
            (Polled(&["*1 ada M1 1h20s 3000/0"]), both(0)),
        ],
    );
    rates(
        "a session that logs in: from its second answer on, and for the hotspot at once",
        &[
            (Polled(&[]), NONE),
            (Silence(8), NONE),
            (Polled(&["*1 ada M1 5s 1000/0"]), (None, Some(800))),
            (Silence(8), (None, Some(800))),
            (Polled(&["*1 ada M1 15s 3000/0"]), both(1600)),
            (Silence(8), both(1600)),
            // The same id, but another session.
            (Polled(&["*1 ada M1 1s 100/0"]), (None, Some(80))),
        ],
    );
    rates(
        "a session that ended still counts for the hotspot",
        &[
            (Polled(&["*1 ada M1 1h 1000/0", "*2 chidi M2 1h 0/0"]), NONE),
            (Silence(8), NONE),
            (Polled(&["*1 ada M1 1h10s 1000/0", "*2 chidi M2 1h10s 0/0"]), both(0)),
            (Silence(2), both(0)),
            (Polled(&["*1 ada M1 1h14s 3500/0", "*2 chidi M2 1h14s 0/0"]), both(0)),
            (Silence(4), both(0)),
            (Polled(&["*2 chidi M2 1h20s 0/0"]), (None, Some(2000))),
        ],
    );
}

#[test]
fn counters_that_were_reset_have_no_rate() {
    rates(
        "a reset",
        &[
            (Polled(&["*1 ada M1 1h 1000/9"]), NONE),
            (Silence(8), NONE),
            (Polled(&["*1 ada M1 1h10s 3000/9"]), both(1600)),
            (Silence(8), both(1600)),
            (Polled(&["*1 ada M1 1h20s 500/9"]), (None, Some(0))),
            (Silence(8), (None, Some(0))),
            (Polled(&["*1 ada M1 1h30s 1500/9"]), both(800)),
        ],
    );
    rates(
        "counters that are not there",
        &[
            (Polled(&["*1 ada M1 1h -/-"]), NONE),
            (Silence(8), NONE),
            (Polled(&["*1 ada M1 1h10s -/-"]), (None, Some(0))),
        ],
    );
}

#[test]
fn rows_between_answers_do_not_change_a_rate() {
    rates(
        "a row that a change overtook",
        &[
            (Begun(&[], &["*1 ada M1 1h 1000/0"]), NONE),
            (Silence(8), NONE),
            (Answered(&["*1 ada M1 1h10s 3000/0"]), both(1600)),
            (Silence(8), both(1600)),
            (Answered(&["*1 ada M1 1h9s 2000/0"]), (Some(1600), Some(0))),
            (Silence(8), (Some(1600), Some(0))),
            (Answered(&["*1 ada M1 1h30s 7000/0"]), (Some(1600), Some(3200))),
        ],
    );
    rates(
        "changes without and with counters",
        &[
            (Begun(&[], &["*1 ada M1 1h 1000/0"]), NONE),
            (Silence(8), NONE),
            (Changed(&["*1 ada M1 - -/-"]), NONE),
            (Changed(&["*1 ada M1 1h10s 1700/0"]), NONE),
            (Silence(7), NONE),
            (Answered(&["*1 ada M1 1h20s 3500/0"]), both(1000)),
        ],
    );
    rates(
        "a part of an answer",
        &[
            (Polled(&["*1 ada M1 1h 1000/0", "*2 chidi M2 1h 0/0"]), NONE),
            (Silence(8), NONE),
            (PolledInPart(&["*1 ada M1 1h10s 3000/0"]), (Some(1600), None)),
            (Silence(8), (Some(1600), None)),
            (Polled(&["*1 ada M1 1h20s 5000/0", "*2 chidi M2 1h20s 1000/0"]), (Some(1600), Some(2000))),
        ],
    );
}

#[test]
fn rates_are_unknown_while_sessions_are_not_kept() {
    let mut scenario = Scenario::new();
    for (later, is_truncated) in [(1, false), (10, false), (10, true), (10, true)] {
        scenario.later(later);
        let is_first = scenario.hotspot.is_none();
        let extent = if is_truncated { Extent::Truncated } else { Extent::Whole };
        scenario.change(Following::No, |hotspot, context| {
            hotspot.reconcile([], extent, is_first, context).unwrap();
        });
        let rates = scenario.hotspot.as_ref().and_then(Hotspot::rates);
        assert_eq!(rates.is_some(), !is_first && !is_truncated, "{later}, {is_truncated}");
    }
}
