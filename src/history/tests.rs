use super::capacity::Capacity;
use super::*;
use crate::plugin::Counts;

/// 2026-05-28T20:26:40Z and a bit.
const START_MS: i64 = 1_780_000_000_123;

const FULL: Capacity = Capacity { slots: [180, 576, 840, 400], marks: 100 };

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn at(ms: i64) -> Moment {
    Moment::START.after(Duration::from_millis(ms.try_into().unwrap()))
}

fn site(start_ms: i64) -> SiteHistory {
    SiteHistory::new(FULL, start_ms, Moment::START)
}

/// An online site with this many users.
fn online(users: f64) -> Observation<'static> {
    Observation {
        connection: Some((true, Moment::START)),
        host: Some("10.0.1.1:8728"),
        users: Some(users),
        cpu: Some(users % 100.0),
        ..Observation::default()
    }
}

fn offline(since: Moment) -> Observation<'static> {
    Observation { connection: Some((false, since)), ..Observation::default() }
}

/// The shortest range that each resolution covers, finest first.
fn ranges() -> [Duration; 4] {
    Resolution::ALL.map(|resolution| resolution.step() * u32::try_from(resolution.slots()).unwrap())
}

/// A value that was valid for a time, in milliseconds since the epoch.
type Span = (Series, i64, i64, f64);

/// A random feed, and the same as spans.
struct Feed {
    site: SiteHistory,
    spans: Vec<Span>,
    now_ms: i64,
}

impl Feed {
    fn random(seed: u64, events: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut feed = Self { site: site(START_MS), spans: Vec::new(), now_ms: 0 };
        let (mut counts, mut read) = (Counts::default(), None::<(Counts, i64)>);
        let mut current: Vec<(Series, f64)> = Vec::new();
        for _ in 0..events {
            let before = feed.now_ms;
            feed.now_ms += random.i64(1..400_000);
            let held = current
                .iter()
                .map(|(series, value)| (*series, START_MS + before, START_MS + feed.now_ms, *value));
            feed.spans.extend(held);
            if random.u8(..) < 20 {
                feed.site.skip(at(feed.now_ms));
                let from = feed.spans.len() - current.len();
                feed.spans.truncate(from);
                (current, read) = (Vec::new(), None);
                continue;
            }
            let is_online = random.u8(..) > 40;
            let mut observation =
                if is_online { online(f64::from(random.u16(..9000))) } else { offline(at(feed.now_ms)) };
            observation.memory = observation.cpu.map(|_| random.f64() * 100.0);
            current = vec![(Series::Reachable, f64::from(u8::from(is_online)))];
            let gauges = [
                (Series::Users, observation.users),
                (Series::Cpu, observation.cpu),
                (Series::Memory, observation.memory),
            ];
            current.extend(gauges.iter().filter_map(|(series, value)| Some((*series, (*value)?))));
            if is_online {
                let logins = random.u64(..40);
                counts.logins += logins;
                counts.upload_bytes += random.u64(..1 << 28);
                counts.download_bytes += random.u64(..1 << 34);
                observation.counts = Some((counts, at(feed.now_ms)));
                let now = START_MS + feed.now_ms;
                // The first count is where it begins.
                if counts.logins > logins {
                    feed.spans.push((Series::Logins, now, now, logins as f64));
                }
                current.push((Series::Logins, 0.0));
                if let Some((last, from)) = read {
                    let rate =
                        |now: u64, last: u64| (now - last) as f64 * 8000.0 / (feed.now_ms - from) as f64;
                    let (from, to) = (START_MS + from, START_MS + feed.now_ms);
                    feed.spans.push((Series::Upload, from, to, rate(counts.upload_bytes, last.upload_bytes)));
                    feed.spans.push((
                        Series::Download,
                        from,
                        to,
                        rate(counts.download_bytes, last.download_bytes),
                    ));
                }
                read = Some((counts, feed.now_ms));
            } else {
                read = None;
            }
            feed.site.observe(at(feed.now_ms), &observation);
        }
        feed
    }

    /// What the spans say about a slot.
    fn naive(&self, series: Series, from: i64, to: i64) -> (f64, Option<Figure>) {
        let inside =
            self.spans.iter().filter(|span| span.0 == series && span.1 < to && span.2.max(span.1 + 1) > from);
        let (mut known, mut sum, mut min, mut max) = (0.0, 0.0, f64::MAX, f64::MIN);
        let mut is_known = false;
        for (_, begin, end, value) in inside {
            let ms = (end.min(&to) - begin.max(&from)) as f64;
            known += ms;
            sum += if series.is_sum() { *value } else { value * ms };
            (min, max) = (min.min(*value), max.max(*value));
            is_known |= ms > 0.0 || *value > 0.0;
        }
        let figure = if series.is_sum() {
            Figure { min: sum, avg: sum, max: sum }
        } else {
            Figure { min, avg: sum / known, max }
        };
        (known / (to - from) as f64, is_known.then_some(figure))
    }
}

/// The stated rounding of a value in a slot whose minimum and maximum differ by `spread`.
fn tolerance(series: Series, value: f64, spread: f64) -> f64 {
    match series {
        Series::Upload | Series::Download | Series::Logins => (value / 4096.0).max(0.5),
        Series::Users => spread / 100_000.0 + 1e-3,
        Series::Cpu | Series::Memory => spread / 100_000.0 + 2.0 / 600.0,
        Series::Reachable => 1.0 / 65_535.0,
    }
}

#[test]
fn figures_equal_a_naive_computation_and_peaks_are_the_same_in_every_range() {
    for seed in 0..2 {
        let feed = Feed::random(seed, 500);
        let mut peaks = [[0.0_f64; 4]; 7];
        for (at_range, range) in ranges().into_iter().enumerate() {
            let found = feed.site.range(range, at(feed.now_ms));
            let step = found.resolution.step_ms();
            for (index, slot) in found.slots.iter().enumerate() {
                let from = i64::from(found.from_s) * 1000 + i64::try_from(index).unwrap() * step;
                for (place, series) in Series::ALL.into_iter().enumerate() {
                    let (coverage, expected) = feed.naive(series, from, from + step);
                    let figure = slot.figure(series);
                    let context = format!("seed {seed}, {:?} {index}, {series:?}", found.resolution);
                    assert_eq!(figure.is_some(), expected.is_some(), "{context}: {expected:?}");
                    let Some((figure, expected)) = figure.zip(expected) else { continue };
                    assert!((slot.coverage(series) - coverage).abs() < 3e-5, "{context}: {coverage}");
                    let spread = expected.max - expected.min;
                    for (found, expected) in
                        [(figure.min, expected.min), (figure.avg, expected.avg), (figure.max, expected.max)]
                    {
                        let error = (found - expected).abs();
                        assert!(
                            error <= tolerance(series, expected, spread),
                            "{context}: {figure:?} {expected:?}"
                        );
                    }
                    // The last two hours are in every range.
                    if from >= START_MS + feed.now_ms - 7_200_000 {
                        peaks[place][at_range] = peaks[place][at_range].max(figure.max);
                    }
                }
            }
        }
        for (series, [minute, five, ..]) in Series::ALL.into_iter().zip(peaks) {
            assert!(series.is_sum() || minute >= five, "{series:?}");
        }
    }
}

#[test]
fn the_peak_of_a_coarse_slot_is_the_largest_of_its_fine_slots() {
    let feed = Feed::random(9, 60);
    let found = ranges().map(|range| feed.site.range(range, at(feed.now_ms)));
    for pair in found.windows(2) {
        let [fine, coarse] = pair else { panic!() };
        let begin = |range: &HistoryRange, index: usize| {
            u64::from(range.from_s) + index as u64 * range.resolution.step().as_secs()
        };
        for (index, slot) in coarse.slots.iter().enumerate() {
            let (from, to) = (begin(coarse, index), begin(coarse, index + 1));
            if from < u64::from(fine.from_s) {
                continue;
            }
            let inside =
                fine.slots.iter().enumerate().filter(|(at, _)| (from..to).contains(&begin(fine, *at)));
            for series in Series::ALL.into_iter().filter(|series| !series.is_sum()) {
                let figures = || inside.clone().filter_map(|(_, slot)| slot.figure(series));
                let edges = slot.figure(series).map(|figure| (figure.min, figure.max));
                let fine = figures()
                    .map(|figure| (figure.min, figure.max))
                    .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
                assert_eq!(edges, fine, "{series:?} in {:?} {index}", coarse.resolution);
            }
        }
    }
}

/// Users per slot of the finest resolution, `None` where unknown.
fn users(site: &SiteHistory, range: Duration, now: Moment) -> Vec<Option<f64>> {
    let slots = site.range(range, now).slots;
    slots.iter().map(|slot| slot.figure(Series::Users).map(|figure| figure.avg.round())).collect()
}

#[test]
fn an_outage_is_a_gap_with_a_mark_and_time_without_the_agent_is_unknown() {
    let mut site = site(START_MS - START_MS % 3_600_000);
    let minutes = |minutes: i64| at(minutes * 60_000);
    site.observe(minutes(1), &online(5.0));
    site.observe(minutes(2), &offline(minutes(2)));
    site.observe(minutes(3), &offline(minutes(2)));
    let other =
        Observation { host: Some("10.9.0.1:8728"), connection: Some((true, minutes(4))), ..online(7.0) };
    site.observe(minutes(4), &other);
    site.note_reboot(minutes(3));
    site.advance(minutes(5));
    site.skip(minutes(7));
    site.observe(minutes(7), &other);
    site.advance(minutes(8));
    let (range, now) = (Duration::from_secs(540), minutes(8));
    let [five, seven] = [Some(5.0), Some(7.0)];
    assert_eq!(users(&site, range, now), [None, five, None, None, seven, None, None, seven, None]);
    let slots = site.range(range, now).slots;
    let reachable = slots.iter().map(|slot| slot.figure(Series::Reachable).map(|figure| figure.avg));
    let [up, down] = [Some(1.0), Some(0.0)];
    assert!(reachable.eq([None, up, down, down, up, None, None, up, None]));
    let start_s = site.range(range, now).from_s;
    let marks = site.range(range, now).marks;
    let marks = marks.iter().map(|mark| {
        (mark.kind.name(), (mark.at_s - start_s) / 60, mark.until_s.map(|until| (until - start_s) / 60))
    });
    let expected =
        [("agent_start", 0, None), ("offline", 2, Some(4)), ("reboot", 3, None), ("host_change", 4, None)];
    assert!(marks.clone().eq(expected), "{:?}", marks.collect::<Vec<_>>());
    let available = site.availability(Duration::from_secs(480), now);
    assert!((available.share.unwrap() - 3.0 / 5.0).abs() < 1e-4, "{available:?}");
    assert!((available.coverage - 5.0 / 8.0).abs() < 1e-4, "{available:?}");
    assert_eq!(site.availability(HOUR, at(80_000_000)).share, None);
}

#[test]
fn traffic_is_spread_over_the_time_between_two_reads() {
    let mut site = site(START_MS - START_MS % 3_600_000);
    let read = |minutes: i64, bytes: u64| {
        let counts = Counts { upload_bytes: bytes, download_bytes: 2 * bytes, ..Counts::default() };
        Observation { counts: Some((counts, at(minutes * 60_000))), ..online(1.0) }
    };
    site.observe(at(0), &read(0, 1000));
    // A login between two reads does not end the interval.
    site.observe(at(90_000), &read(0, 1000));
    site.observe(at(180_000), &read(3, 4000));
    // Another router counts from zero.
    site.observe(at(240_000), &read(4, 500));
    site.observe(at(300_000), &read(5, 500));
    let slots = site.range(Duration::from_secs(360), at(300_000)).slots;
    let rates = |series| {
        slots.iter().map(move |slot| slot.figure(series).map(|figure| figure.avg)).collect::<Vec<_>>()
    };
    let rate = Some(3000.0 * 8.0 / 180.0);
    let close = |found: Vec<Option<f64>>, factor: f64| {
        let expected = [rate, rate, rate, None, Some(0.0), None];
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            let error = found.unwrap_or(0.0) - expected.unwrap_or(0.0) * factor;
            assert!(error.abs() <= 0.5, "{found:?} {expected:?}");
        }
    };
    close(rates(Series::Upload), 1.0);
    close(rates(Series::Download), 2.0);
}

/// Changes of the system's clock: the start of the agent according to it, and then for each change the minutes until it
/// and by how many seconds it is set.
type ClockCase = (&'static str, i64, &'static [(i64, i64)]);

#[test]
fn slots_follow_the_clock_without_loss_or_repetition() {
    let cases: [ClockCase; 9] = [
        ("the clock is right", START_MS, &[]),
        ("a board learns the date after minutes", 11_000, &[(7, 1_780_000_000)]),
        ("a board learns the date after hours", 11_000, &[(250, 1_780_000_000)]),
        ("set back an hour", START_MS, &[(300, -3600)]),
        ("set back an hour, and forth again", START_MS, &[(200, -3600), (40, 3600)]),
        ("set forth by half an hour", START_MS, &[(100, 1800)]),
        ("small corrections", START_MS, &[(50, 3), (50, -7), (50, 12)]),
        (
            "an hour that begins twice, as the end of daylight saving time on a clock in local time",
            START_MS,
            &[(400, -3600)],
        ),
        ("in the first minute", START_MS, &[(0, 86_400)]),
    ];
    for (case, start_ms, changes) in cases {
        let mut site = site(start_ms);
        let (mut minute, mut start_ms) = (0, start_ms);
        // A peak of one minute, whose place must follow the clock.
        let peak = 5;
        let run = |site: &mut SiteHistory, minute: &mut i64, minutes: i64| {
            for _ in 0..minutes {
                site.observe(at(*minute * 60_000), &online(if *minute == peak { 900.0 } else { 10.0 }));
                *minute += 1;
                site.advance(at(*minute * 60_000));
            }
        };
        for (minutes, by_s) in changes {
            run(&mut site, &mut minute, *minutes);
            start_ms += by_s * 1000;
            site.follow(start_ms);
        }
        run(&mut site, &mut minute, 60);
        let now = at(minute * 60_000);
        let elapsed = minute as f64 * 60.0;
        for range in ranges() {
            let found = site.range(range, now);
            let step = found.resolution.step().as_secs_f64();
            let known: f64 = found.slots.iter().map(|slot| slot.coverage(Series::Users) * step).sum();
            let reach = range.as_secs_f64().min(elapsed);
            // A ring that reaches back less than this run begins with a slot that is cut.
            let slack = if elapsed > range.as_secs_f64() { step + 60.0 } else { 60.0 };
            assert!((known - reach).abs() <= slack, "{case}, {:?}: {known} of {reach} s", found.resolution);
            let all = site.stored(found.resolution, 0);
            let now_s = (start_ms + minute * 60_000) / 1000;
            assert!(all.iter().all(|slot| i64::from(slot.start_s) <= now_s), "{case}: a slot in the future");
            let peaks = all
                .iter()
                .filter(|slot| slot.slot.figure(Series::Users).is_some_and(|figure| figure.max == 900.0));
            let peaks: Vec<i64> = peaks.map(|slot| i64::from(slot.start_s)).collect();
            let date = (start_ms + peak * 60_000) / 1000;
            let step = found.resolution.step_ms() / 1000;
            let is_kept = elapsed < range.as_secs_f64();
            // The minute may be in two slots.
            assert!(!is_kept || (1..=2).contains(&peaks.len()), "{case}, {:?}: {peaks:?}", found.resolution);
            let is_right = |start: &i64| (start - 90..start + step + 90).contains(&date);
            assert!(peaks.iter().all(is_right), "{case}, {:?}: {peaks:?} {date}", found.resolution);
        }
    }
}

#[test]
fn restored_slots_are_completed_and_merged_with_those_of_this_run() {
    let start_ms = START_MS - START_MS % 86_400_000;
    let mut before = site(start_ms);
    let hours = |hours: i64| at(hours * 3_600_000);
    before.observe(hours(0), &online(10.0));
    before.observe(hours(26), &online(70.0));
    before.observe(hours(27), &offline(hours(27)));
    before.advance(at(27 * 3_600_000 + 1_200_000));
    let mut after = site(start_ms + 28 * 3_600_000);
    // The agent was killed: only finished slots were stored.
    for resolution in [Resolution::FiveMinutes, Resolution::Hour, Resolution::Day] {
        for stored in before.stored(resolution, 0).into_iter().filter(|stored| stored.is_finished) {
            after.restore(resolution, stored.start_s, Slot::from_bytes(stored.slot.to_bytes()));
        }
    }
    let marks = before
        .marks()
        .iter()
        .map(|mark| Mark::restored(mark.kind, mark.at_s, mark.until_s))
        .collect::<Vec<_>>();
    // The last record of them counts.
    after.restore_marks(marks.iter().take(1).copied());
    after.restore_marks(marks.iter().copied());
    after.complete_restored();
    after.observe(hours(0), &online(20.0));
    after.advance(hours(4));
    let days = after.range(DAY * 40, hours(4));
    let day = |at: usize| days.slots[days.slots.len() - 2 + at];
    assert_eq!(day(0).figure(Series::Users).unwrap(), Figure { min: 10.0, avg: 10.0, max: 10.0 });
    let today = day(1).figure(Series::Users).unwrap();
    assert_eq!((today.min, today.max), (10.0, 70.0), "two hours with 10, one with 70, and four with 20");
    assert!((today.avg - (20.0 + 70.0 + 80.0) / 7.0).abs() < 0.01, "{today:?}");
    let known = day(1).coverage(Series::Reachable) * 24.0;
    assert!((known - (3.0 + 1.0 / 3.0 + 4.0)).abs() < 0.01, "{known}");
    let marks: Vec<(&str, bool)> =
        after.marks().iter().map(|mark| (mark.kind.name(), mark.until_s.is_some())).collect();
    assert_eq!(marks, [("agent_start", false), ("offline", true), ("agent_start", false)]);
    // The clock is corrected: what is restored stays, and what is new moves.
    after.follow(start_ms + 30 * 3_600_000);
    let hours_of = |site: &SiteHistory| {
        site.stored(Resolution::Hour, 0)
            .iter()
            .map(|slot| (i64::from(slot.start_s) - start_ms / 1000) / 3600)
            .collect::<Vec<_>>()
    };
    let expected: Vec<i64> = (0..=27).chain(30..34).collect();
    assert_eq!(hours_of(&after), expected);
}

#[test]
fn fifty_sites_with_four_hundred_days_fit_the_memory() {
    const MEMORY: usize = 4 * 1024 * 1024;
    let clock = Clock::system();
    let history = History::new(clock);
    let keys: Vec<String> = (0..50).map(|n| format!("site{n}")).collect();
    let configure =
        |count: usize| history.configure(keys[..count].iter().map(String::as_str), MEMORY, Moment::START);
    assert_eq!(configure(50), 0);
    let empty = history.cost();
    assert!(empty < MEMORY / 20, "memory is allocated as slots fill: {empty}");
    let end = Moment::START.after(DAY * 400);
    let start_s = u32::try_from(start_ms(clock) / 1000).unwrap();
    for (key, resolution) in
        keys.iter().take(2).flat_map(|key| Resolution::ALL.map(|resolution| (key, resolution)))
    {
        let slots = u32::try_from(resolution.slots()).unwrap();
        let step = u32::try_from(resolution.step().as_secs()).unwrap();
        for ago in (1..=slots).rev() {
            history.restore(key, resolution, start_s - ago * step, Slot::from_bytes([7; Slot::SIZE]));
        }
    }
    history.restore("site3", Resolution::Hour, EARLIEST_S - 1, Slot::from_bytes([7; Slot::SIZE]));
    assert!(history.stored("site3", Resolution::Hour, 0).is_empty(), "a date that can't be right");
    let of_days = |days: u32| {
        let at = Moment::START.after(DAY * days);
        for key in &keys[..2] {
            history.observe(key, at, &online(1.0));
        }
        history.cost()
    };
    // What is restored makes room as the present fills its slots.
    let fixed = 48 * FIXED + 48 * 10 * 16;
    let most = (1..40).map(of_days).max().unwrap();
    assert!(most <= fixed + 2 * MEMORY / 50, "{most}");
    for key in &keys {
        let mut counts = Counts::default();
        history.observe(
            key,
            Moment::START,
            &Observation { counts: Some((counts, Moment::START)), ..online(7.0) },
        );
        counts.upload_bytes = 1 << 50;
        history.observe(key, end, &Observation { counts: Some((counts, end)), ..online(8.0) });
        for _ in 0..200 {
            history.note_reboot(key, end);
        }
    }
    let full = history.cost();
    assert!(full <= MEMORY && full > MEMORY * 9 / 10, "{full} of {MEMORY}");
    let found = history.range("site7", DAY * 400, end).unwrap();
    assert_eq!(found.resolution, Resolution::Day);
    assert!(found.slots.iter().all(|slot| slot.figure(Series::Upload).is_some()));
    let [minutes, fives, hours, days] = found.reaches.map(|(_, reach)| reach);
    assert!(minutes < HOUR * 3 && (fives, hours, days) == (HOUR * 48, DAY * 35, DAY * 400));
    assert_eq!(configure(2), 0);
    assert!(history.range("site7", HOUR, end).is_none(), "a removed site is forgotten");
    assert_eq!(history.range("site1", HOUR, end).unwrap().reaches[0].1, HOUR * 3);
    assert!(history.cost() <= MEMORY / 10, "{}", history.cost());
    assert_eq!(history.configure(["a", "b", "c"], 2 * FIXED, end), 1, "no memory for the third");
}

#[test]
fn three_sites_take_less_than_400_kb_after_48_hours() {
    let history = History::new(Clock::system());
    let keys = ["awka", "lagos", "abuja"];
    history.configure(keys, 4 * 1024 * 1024, Moment::START);
    for key in keys {
        history.observe(key, Moment::START, &online(5.0));
        history.observe(key, Moment::START.after(DAY * 2), &online(6.0));
    }
    assert!(history.cost() < 400_000, "{}", history.cost());
}
