//! Traffic counters: each byte once, none from before the first read, and never decreasing.

use super::*;

/// The next event at a hotspot, a second after the previous one. Rows are `id user mac uptime in/out`, with `-` for an
/// absent property.
#[derive(Clone, Copy)]
pub(super) enum Next<'t> {
    /// An answer without a `listen`.
    Polled(&'t [&'t str]),
    /// A part of such an answer.
    PolledInPart(&'t [&'t str]),
    /// The changes since the start of a `listen`, and the first answer.
    Begun(&'t [&'t str], &'t [&'t str]),
    /// A later answer.
    Answered(&'t [&'t str]),
    /// Changes; a row with only an id is the end of the session.
    Changed(&'t [&'t str]),
    /// Nothing for some seconds.
    Silence(u64),
}

use Next::{Answered, Begun, Changed, Polled, PolledInPart, Silence};

fn sentence(text: &str) -> Sentence {
    let (id, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut sentence = Sentence::from_words(["!re", &format!("=.id={id}")]);
    let keys = ["user", "mac-address", "uptime", "bytes-in", "bytes-out"];
    for (key, value) in keys.into_iter().zip(rest.split([' ', '/'])) {
        if !["", "-"].contains(&value) {
            sentence.push_attribute(key.as_bytes(), value.as_bytes());
        }
    }
    if rest.is_empty() {
        sentence.push_attribute(b".dead", b"true");
    }
    sentence
}

impl Scenario {
    pub(super) fn next(&mut self, next: Next) {
        let sentences = |rows: &[&str]| rows.iter().map(|row| sentence(row)).collect::<Vec<_>>();
        self.later(1);
        let (following, rows, is_whole) = match next {
            Polled(rows) => (Following::No, rows, true),
            PolledInPart(rows) => (Following::No, rows, false),
            Begun(changes, rows) => {
                return self.reads(Following::Begun(&sentences(changes).into_iter().collect()), rows, true);
            }
            Answered(rows) => (Following::On, rows, true),
            Changed(rows) => return self.report(&sentences(rows)),
            Silence(seconds) => return self.later(seconds),
        };
        self.reads(following, rows, is_whole);
    }

    fn reads(&mut self, following: Following, rows: &[&str], is_whole: bool) {
        let is_first = self.hotspot.is_none();
        self.change(following, |hotspot, context| {
            let seen = rows.iter().map(|row| Session::read(&sentence(row), context));
            hotspot
                .reconcile(seen, if is_whole { Extent::Whole } else { Extent::Part }, is_first, context)
                .unwrap();
        });
    }

    fn traffic(&self) -> (u64, u64) {
        let Some(hotspot) = &self.hotspot else { return (0, 0) };
        let counts = hotspot.counts();
        (counts.upload_bytes, counts.download_bytes)
    }
}

/// Expects these counts, up and down, after each step.
#[track_caller]
fn counts(case: &str, steps: &[(Next, (u64, u64))]) {
    let mut scenario = Scenario::new();
    for (at, (next, expected)) in steps.iter().enumerate() {
        scenario.next(*next);
        assert_eq!(scenario.traffic(), *expected, "{case}, step {at}");
    }
}

#[test]
fn observed_traffic_counts() {
    counts(
        "the first answer is the baseline",
        &[
            (Polled(&["*1 ada M1 1h 100/5000", "*2 chidi M2 2h 7/70"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s 110/5900", "*2 chidi M2 2h1s 7/70"]), (10, 900)),
            (Polled(&["*1 ada M1 1h2s 110/5901", "*2 chidi M2 2h2s 8/70"]), (11, 901)),
        ],
    );
    counts(
        "a later login counts from the first byte, also at a reused address",
        &[
            (Polled(&["*1 ada M1 1h 100/5000"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s 100/5000", "*2 chidi M2 1s 3/40"]), (3, 40)),
            (Polled(&["*1 bola M3 1s 5/60", "*2 chidi M2 2s 3/41"]), (8, 101)),
            // The same user and device, recognizable by the age only.
            (Silence(60), (8, 101)),
            (Polled(&["*1 bola M3 1s 50/600"]), (58, 701)),
        ],
    );
    counts(
        "a logout does not reduce the counts",
        &[
            (Polled(&["*1 ada M1 1h 100/5000"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s 200/5000"]), (100, 0)),
            (Polled(&[]), (100, 0)),
            (Polled(&["*1 ada M1 1s 1/1"]), (101, 1)),
        ],
    );
    counts(
        "an outage, with a session that continues and one that began meanwhile",
        &[
            (Polled(&["*1 ada M1 1h 100/5000"]), (0, 0)),
            (Silence(3599), (0, 0)),
            (Polled(&["*1 ada M1 2h 700/9000", "*2 chidi M2 30m 3/40"]), (603, 4040)),
        ],
    );
    counts(
        "the largest count",
        &[
            (Polled(&[]), (0, 0)),
            (Polled(&["*1 ada M1 1s 18446744073709551615/9"]), (u64::MAX, 9)),
            (Polled(&["*1 ada M1 2s 18446744073709551615/9", "*2 chidi M2 1s 5/5"]), (u64::MAX, 14)),
        ],
    );
}

#[test]
fn a_decreasing_counter_counts_nothing_and_is_the_new_baseline() {
    counts(
        "reset, like a counter of 32 bits",
        &[
            (Polled(&["*1 ada M1 1h 4294967000/100"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s 500/150"]), (0, 50)),
            (Polled(&["*1 ada M1 1h2s 600/150"]), (100, 50)),
        ],
    );
    counts(
        "a router that reports no age, or always the same",
        &[
            (Polled(&["*1 ada M1 - 4000/100", "*2 chidi M2 5m 4000/100"]), (0, 0)),
            (Polled(&["*1 ada M1 - 500/150", "*2 chidi M2 5m 500/150"]), (0, 100)),
            (Polled(&["*1 ada M1 - 600/150", "*2 chidi M2 5m 600/150"]), (200, 100)),
        ],
    );
    counts(
        "absent for a while",
        &[
            (Polled(&["*1 ada M1 1h 4000/100"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s -/-"]), (0, 0)),
            (Polled(&["*1 ada M1 1h2s many/what"]), (0, 0)),
            (Polled(&["*1 ada M1 1h3s 4001/103"]), (1, 3)),
        ],
    );
    counts(
        "absent in the first answer",
        &[
            (Polled(&["*1 ada M1 1h -/-"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s 4000/100"]), (0, 0)),
            (Polled(&["*1 ada M1 1h2s 4001/101"]), (1, 1)),
        ],
    );
    counts(
        "absent in a new session",
        &[
            (Polled(&[]), (0, 0)),
            (Polled(&["*1 ada M1 1s -/-"]), (0, 0)),
            (Polled(&["*1 ada M1 2s 9/90"]), (9, 90)),
        ],
    );
}

#[test]
fn changes_that_carry_counters_count_once() {
    counts(
        "a change, and the answer that it has overtaken",
        &[
            (Begun(&[], &["*1 ada M1 1h 100/5000"]), (0, 0)),
            (Changed(&["*1 - - 1h5s 150/6000"]), (50, 1000)),
            (Answered(&["*1 ada M1 1h4s 140/5500"]), (50, 1000)),
            (Answered(&["*1 ada M1 1h6s 160/6001"]), (60, 1001)),
            (Changed(&["*1 - - - -/-", "*1"]), (60, 1001)),
        ],
    );
    counts(
        "logins and logouts between two answers",
        &[
            (Begun(&[], &[]), (0, 0)),
            (Changed(&["*1 ada M1 0s 0/0", "*1 - - 3s 5/50", "*1", "*1 bola M2 0s -/-"]), (5, 50)),
            (Answered(&["*1 bola M2 2s 7/70"]), (12, 120)),
        ],
    );
    counts(
        "changes before the first answer",
        &[
            (
                Begun(
                    &["*1 ada M1 1h 900/9000", "*2 chidi M2 2h -/-"],
                    &["*1 ada M1 1h 901/9000", "*2 chidi M2 2h 5/50"],
                ),
                (1, 0),
            ),
            (Answered(&["*1 ada M1 1h1s 902/9000", "*2 chidi M2 2h1s 6/60"]), (3, 10)),
        ],
    );
    counts(
        "a listen that starts again",
        &[
            (Begun(&[], &["*1 ada M1 1h 100/5000"]), (0, 0)),
            (Begun(&["*2 chidi M2 0s 0/0"], &["*1 ada M1 1h1s 101/5000", "*2 chidi M2 0s 4/0"]), (5, 0)),
        ],
    );
}

#[test]
fn a_partial_or_contradictory_answer_is_no_baseline() {
    counts(
        "sessions missing from a partial first answer were there before",
        &[
            (PolledInPart(&["*1 ada M1 1h 100/5000"]), (0, 0)),
            (Polled(&["*1 ada M1 1h1s 101/5001", "*2 chidi M2 2h 9000/9000"]), (1, 1)),
            (Polled(&["*1 ada M1 1h2s 101/5001", "*2 chidi M2 2h1s 9001/9001", "*3 bola M3 1s 5/5"]), (7, 7)),
        ],
    );
    counts(
        "later, a new session has logged in",
        &[
            (Polled(&["*1 ada M1 1h 100/5000"]), (0, 0)),
            (PolledInPart(&["*2 chidi M2 1s 5/50"]), (5, 50)),
            (Polled(&["*1 ada M1 1h2s 103/5000", "*2 chidi M2 2s 6/50"]), (9, 50)),
        ],
    );
    let there = "*1 ada M1 1h 9000/9000";
    counts(
        "a session whose end was reported, and that is still there",
        &[
            (Begun(&["*1 ada M1 1h 9000/9000", "*1"], &[there]), (0, 0)),
            (Answered(&[there]), (0, 0)),
            (Answered(&[there]), (0, 0)),
            (Answered(&["*1 ada M1 1h3s 9001/9000"]), (1, 0)),
        ],
    );
    counts(
        "a missed login counts from the first byte once it is confirmed",
        &[
            (Begun(&[], &[]), (0, 0)),
            (Answered(&["*1 ada M1 1s 5/50"]), (0, 0)),
            (Answered(&["*1 ada M1 2s 6/60"]), (0, 0)),
            (Answered(&["*1 ada M1 3s 7/70"]), (7, 70)),
        ],
    );
}

#[test]
fn a_server_that_had_a_session_keeps_its_counts() {
    let mut scenario = Scenario::new();
    let at = |server: &str, bytes: u64| {
        let mut row = sentence(&format!("*{server} ada M{server} 1h {bytes}/{bytes}"));
        row.push_attribute(b"server", format!("hs{server}").as_bytes());
        row
    };
    let answers = [vec![at("1", 5), at("2", 5)], vec![at("1", 6), at("2", 7)], vec![at("2", 9)], vec![]];
    for rows in answers {
        scenario.later(1);
        let is_first = scenario.hotspot.is_none();
        scenario.change(Following::No, |hotspot, context| {
            let seen = rows.iter().map(|row| Session::read(row, context));
            hotspot.reconcile(seen, Extent::Whole, is_first, context).unwrap();
        });
    }
    let Some(hotspot) = &scenario.hotspot else { panic!() };
    let counts = hotspot.servers.iter().map(|(name, counts)| (&**name, counts.upload_bytes, counts.logouts));
    assert_eq!(counts.collect::<Vec<_>>(), [("hs1", 1, 1), ("hs2", 4, 1)]);
}

/// Whatever a router sends, in whatever order: no count decreases.
#[test]
fn no_count_ever_goes_down() {
    let mut rng = fastrand::Rng::with_seed(42);
    for _ in 0..200 {
        let mut scenario = Scenario::new();
        let mut before: BTreeMap<String, Counts> = BTreeMap::new();
        for _ in 0..50 {
            let rows: Vec<String> = (0..rng.usize(..4))
                .map(|_| {
                    let mut pick = |of: &[&str]| of[rng.usize(..of.len())].to_string();
                    let (id, user) = (pick(&["*1", "*2", "*3"]), pick(&["ada", "chidi", "-"]));
                    let age = pick(&["1s", "1h", "2h", "-", "soon"]);
                    let (up, down) = (pick(&["0", "7", "900", "-", "x"]), pick(&["0", "7", "900", "-"]));
                    format!("{id} {user} M {age} {up}/{down}")
                })
                .collect();
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            let (changes, answer) = rows.split_at(rng.usize(..=rows.len()));
            scenario.next(match rng.u8(..6) {
                0 => Polled(&rows),
                1 => PolledInPart(&rows),
                2 => Begun(changes, answer),
                3 => Answered(&rows),
                4 if scenario.hotspot.is_some() => Changed(if rng.bool() { &rows } else { &["*1"] }),
                _ => Silence(rng.u64(..100)),
            });
            let Some(hotspot) = &scenario.hotspot else { continue };
            for (server, past) in &before {
                let now = hotspot.servers[server];
                assert!(now.logins >= past.logins && now.logouts >= past.logouts);
                assert!(now.upload_bytes >= past.upload_bytes && now.download_bytes >= past.download_bytes);
            }
            before = hotspot.servers.clone();
        }
    }
}
