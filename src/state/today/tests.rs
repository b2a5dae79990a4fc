use std::time::Duration;

use super::*;

/// A midnight in UTC, as a day since 1970.
const DAY: i64 = 20_000;

const HOUR: i64 = 60;

/// What happens in a scenario. Times are in minutes.
#[derive(Clone, Copy)]
enum Input {
    /// This much later, a read finds that many more bytes of upload.
    Read(i64, u64),
    /// Time passes.
    Wait(i64),
    /// The system's clock is set forward or back.
    Set(i64),
    /// The system's clock is set to a time since [`DAY`].
    SetTo(i64),
    /// The router reports its UTC offset.
    Offset(i32),
    /// A day that is stored, since [`DAY`], and its upload.
    Restore(i64, u64),
}

use Input::{Offset, Read, Restore, Set, SetTo, Wait};

struct Scenario {
    today: Today,
    time: LocalTime,
    /// The minutes from the epoch to the agent's start, according to the system's clock.
    start: i64,
    minutes: i64,
}

impl Scenario {
    /// The system's clock shows this many minutes since [`DAY`].
    fn new(wall: i64) -> Self {
        let start = DAY * 24 * HOUR + wall;
        let time =
            LocalTime { now: Moment::START, clock: Clock::starting_at(start * 60), utc_offset_s: None };
        Self { today: Today::default(), time, start, minutes: 0 }
    }

    fn input(&mut self, input: Input) {
        let counted = |upload_bytes| Counts { upload_bytes, ..Counts::default() };
        match input {
            Read(later, bytes) => {
                self.input(Wait(later));
                self.today.add(counted(bytes), 1, self.time);
            }
            Wait(later) => self.minutes += later,
            Set(minutes) => self.start += minutes,
            SetTo(wall) => self.start = DAY * 24 * HOUR + wall - self.minutes,
            Offset(minutes) => self.time.utc_offset_s = Some(minutes * 60),
            Restore(day, bytes) => {
                self.today.restore(DayTotals {
                    day: DAY + day,
                    counts: counted(bytes),
                    ..DayTotals::default()
                });
            }
        }
        self.time.clock = Clock::starting_at(self.start * 60);
        self.time.now = Moment::START.after(Duration::from_secs(self.minutes.unsigned_abs() * 60));
    }

    /// The day since [`DAY`], and its upload.
    fn total(&self) -> Option<(i64, u64)> {
        self.today.totals(self.time).map(|totals| (totals.day - DAY, totals.counts.upload_bytes))
    }
}

/// The clock at the start in minutes since [`DAY`], and steps with the day and the total after each.
type Case = (&'static str, i64, &'static [(Input, Option<(i64, u64)>)]);

#[track_caller]
fn check(cases: &[Case]) {
    for (case, wall, steps) in cases {
        let mut scenario = Scenario::new(*wall);
        assert_eq!(scenario.total(), None, "{case}: nothing was read yet");
        for (at, (input, expected)) in steps.iter().enumerate() {
            scenario.input(*input);
            assert_eq!(scenario.total(), *expected, "{case}, step {at}");
        }
    }
}

#[test]
fn a_day_lasts_from_midnight_to_midnight_at_the_site() {
    check(&[
        (
            "UTC while the offset is unknown",
            23 * HOUR,
            &[
                (Read(0, 1), Some((0, 1))),
                (Read(59, 2), Some((0, 3))),
                (Wait(1), None),
                (Read(0, 0), Some((1, 0))),
                (Read(1, 4), Some((1, 4))),
                (Read(24 * HOUR, 8), Some((2, 8))),
            ],
        ),
        (
            "east of Greenwich",
            22 * HOUR,
            &[
                (Offset(60), None),
                (Read(59, 1), Some((0, 1))),
                (Read(1, 2), Some((1, 2))),
                (Read(2 * HOUR, 4), Some((1, 6))),
            ],
        ),
        (
            "west of Greenwich",
            23 * HOUR,
            &[(Offset(-5 * 60), None), (Read(0, 1), Some((0, 1))), (Read(5 * HOUR + 59, 2), Some((0, 3)))],
        ),
        (
            "an outage over several midnights",
            0,
            &[
                (Read(0, 1), Some((0, 1))),
                (Wait(23 * HOUR), Some((0, 1))),
                (Wait(72 * HOUR), None),
                (Read(0, 2), Some((3, 2))),
            ],
        ),
    ]);
}

#[test]
fn a_clock_that_is_set_loses_and_repeats_nothing() {
    check(&[
        (
            "a board that starts in 1970",
            -DAY * 24 * HOUR,
            &[
                (Read(1, 1), Some((-DAY, 1))),
                (Read(1, 2), Some((-DAY, 3))),
                (SetTo(9 * HOUR), Some((0, 3))),
                (Read(1, 4), Some((0, 7))),
                (Read(15 * HOUR, 8), Some((1, 8))),
            ],
        ),
        (
            "a board that starts in 1970 just after midnight",
            -DAY * 24 * HOUR,
            &[
                (Read(1, 1), Some((-DAY, 1))),
                (Read(8, 2), Some((-DAY, 3))),
                (SetTo(5), None),
                (Read(1, 4), Some((0, 4))),
            ],
        ),
        (
            "an hour back at noon",
            0,
            &[
                (Read(0, 1), Some((0, 1))),
                (Read(12 * HOUR, 2), Some((0, 3))),
                (Set(-60), Some((0, 3))),
                (Read(1, 4), Some((0, 7))),
            ],
        ),
        (
            "an hour back after midnight",
            23 * HOUR,
            &[
                (Read(0, 1), Some((0, 1))),
                (Read(61, 2), Some((1, 2))),
                (Set(-60), Some((0, 3))),
                (Read(1, 4), Some((0, 7))),
                (Read(HOUR, 8), Some((1, 8))),
            ],
        ),
        (
            "a small correction over midnight",
            HOUR,
            &[
                (Read(0, 1), Some((0, 1))),
                (Read(22 * HOUR + 59, 2), Some((0, 3))),
                (Set(1), None),
                (Read(0, 4), Some((1, 4))),
            ],
        ),
        (
            "a wrong date for a while",
            HOUR,
            &[
                (Read(0, 1), Some((0, 1))),
                (Set(-30 * 24 * HOUR), Some((-30, 1))),
                (Set(30 * 24 * HOUR), Some((0, 1))),
                (Read(12 * HOUR, 2), Some((0, 3))),
                (Set(-30 * HOUR), None),
                (Read(0, 4), Some((-1, 4))),
                (Set(30 * HOUR), Some((0, 7))),
            ],
        ),
    ]);
}

#[test]
fn an_offset_that_changes_loses_and_repeats_nothing() {
    check(&[
        (
            "known later, on the next date",
            20 * HOUR,
            &[(Read(0, 1), Some((0, 1))), (Offset(5 * 60 + 30), Some((1, 1))), (Read(1, 2), Some((1, 3)))],
        ),
        (
            "known after a whole day, on the next date",
            0,
            &[
                (Read(0, 1), Some((0, 1))),
                (Read(23 * HOUR + 30, 2), Some((0, 3))),
                (Offset(60), None),
                (Read(1, 4), Some((1, 4))),
            ],
        ),
        (
            "known after midnight, on the previous date",
            20 * HOUR,
            &[
                (Read(0, 1), Some((0, 1))),
                (Read(5 * HOUR, 2), Some((1, 2))),
                (Offset(-8 * 60), Some((0, 3))),
                (Read(1, 4), Some((0, 7))),
                (Read(8 * HOUR, 8), Some((1, 8))),
            ],
        ),
        (
            "the end of summer time at midnight, noticed later",
            21 * HOUR,
            &[
                (Offset(120), None),
                (Read(30, 1), Some((0, 1))),
                (Read(60, 2), Some((1, 2))),
                (Offset(60), Some((0, 3))),
                (Read(29, 4), Some((0, 7))),
                (Read(1, 8), Some((1, 8))),
            ],
        ),
        (
            "the end of summer time at three",
            0,
            &[
                (Offset(120), None),
                (Read(0, 1), Some((0, 1))),
                (Read(HOUR, 2), Some((0, 3))),
                (Offset(60), Some((0, 3))),
                (Read(21 * HOUR + 59, 4), Some((0, 7))),
                (Read(1, 8), Some((1, 8))),
            ],
        ),
        (
            "the begin of summer time at two",
            0,
            &[
                (Offset(60), None),
                (Read(0, 1), Some((0, 1))),
                (Offset(120), Some((0, 1))),
                (Read(21 * HOUR + 59, 2), Some((0, 3))),
                (Read(1, 4), Some((1, 4))),
            ],
        ),
    ]);
}

#[test]
fn a_restored_day_continues() {
    check(&[
        (
            "on the same day",
            HOUR,
            &[(Restore(0, 1), Some((0, 1))), (Read(0, 2), Some((0, 3))), (Read(23 * HOUR, 4), Some((1, 4)))],
        ),
        ("on the next day", HOUR, &[(Restore(-1, 1), None), (Read(0, 2), Some((0, 2)))]),
        (
            "after the first read",
            HOUR,
            &[(Read(0, 2), Some((0, 2))), (Restore(0, 1), Some((0, 3))), (Read(0, 4), Some((0, 7)))],
        ),
        (
            "on a board that starts in 1970",
            -DAY * 24 * HOUR,
            &[
                (Restore(0, 1), None),
                (Read(1, 2), Some((-DAY, 2))),
                (SetTo(9 * HOUR), Some((0, 3))),
                (Read(1, 4), Some((0, 7))),
            ],
        ),
    ]);
    // The offset is known from the stored day until the router reports it.
    let totals = DayTotals { day: DAY + 1, utc_offset_s: Some(3600), ..DayTotals::default() };
    let mut today = Today::default();
    assert_eq!(today.utc_offset_s(), None);
    today.restore(totals);
    assert_eq!(today.utc_offset_s(), Some(3600));
}

#[test]
fn the_peak_is_the_first_of_the_highest() {
    let mut scenario = Scenario::new(0);
    let mut read = |later: i64, users: usize| {
        scenario.input(Wait(later));
        scenario.today.add(Counts::default(), users, scenario.time);
        let totals = scenario.today.totals(scenario.time).unwrap();
        (totals.peak_users, totals.peak_at.as_secs().cast_signed() / 60 - DAY * 24 * HOUR)
    };
    assert_eq!(read(1, 0), (0, 1), "nobody was online yet");
    for (later, users, peak) in
        [(1, 3, (3, 2)), (1, 3, (3, 2)), (1, 2, (3, 2)), (1, 5, (5, 5)), (24 * HOUR, 2, (2, 24 * HOUR + 5))]
    {
        assert_eq!(read(later, users), peak);
    }
    // A restored peak keeps its date, whatever the clock; the moment of another follows the clock.
    let mut scenario = Scenario::new(-DAY * 24 * HOUR);
    let peak_at = Duration::from_secs((DAY.unsigned_abs() * 24 + 7) * 3600);
    scenario.today.restore(DayTotals { day: DAY, peak_users: 3, peak_at, ..DayTotals::default() });
    scenario.today.add(Counts::default(), 2, scenario.time);
    scenario.input(SetTo(9 * HOUR));
    let totals = scenario.today.totals(scenario.time).unwrap();
    assert_eq!((totals.peak_users, totals.peak_at), (3, peak_at));
    scenario.today.add(Counts::default(), 4, scenario.time);
    let totals = scenario.today.totals(scenario.time).unwrap();
    assert_eq!((totals.peak_users, totals.peak_at), (4, peak_at + Duration::from_secs(2 * 3600)));
}
