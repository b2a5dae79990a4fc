//! The history of many sites over many days, which are simulated: moments are values.

use std::time::Duration;

use phsweb_agent::clock::{Clock, Moment};
use phsweb_agent::history::{History, Observation, Resolution, Series};
use phsweb_agent::plugin::Counts;

use super::{beside_others, is_own_process};

const MEMORY: usize = 4 * 1024 * 1024;
const SITES: usize = 50;
const DAYS: u64 = 400;
/// The last days, in which each hour differs, and those in which each day does.
const HOURLY: u64 = 1;
const DAILY: u64 = 6;
const HOUR: Duration = Duration::from_secs(3600);

/// The resident memory of this process without its code, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Users at a site from an hour on: a daily pattern in the last days, and an outage of a few hours or a whole day.
fn users(site: usize, hour: u64) -> Option<f64> {
    let (day, of_day) = (hour / 24, hour % 24);
    let is_out = if day >= DAYS - HOURLY { of_day < 3 } else { day % 5 == 1 };
    let count = (site as u64 * 7 + of_day * 5 + day % 11) % 90;
    (!is_out).then_some(count as f64)
}

#[test]
fn fifty_sites_fit_their_memory_for_four_hundred_days() {
    let _shared = beside_others();
    if !is_own_process("history::fifty_sites_fit_their_memory_for_four_hundred_days", "true") {
        return;
    }
    let keys: Vec<String> = (0..SITES).map(|site| format!("site{site}")).collect();
    let before = resident();
    let history = History::new(Clock::system());
    history.configure(keys.iter().map(String::as_str), MEMORY, Moment::START);
    // The fine slots of older days would be dropped again, so the feed is coarse there.
    let step = |day: u64| match DAYS - day {
        left if left <= HOURLY => 1,
        left if left <= DAILY => 24,
        _ => 24 * 40,
    };
    let hours = (0..DAYS * 24).filter(|hour| hour % step(hour / 24) == 0);
    for hour in hours {
        let at = Moment::START.after(HOUR * u32::try_from(hour).unwrap());
        for (site, key) in keys.iter().enumerate() {
            let users = users(site, hour);
            let counts = Counts { upload_bytes: hour * 450_000_000, ..Counts::default() };
            history.observe(
                key,
                at,
                &Observation {
                    connection: Some((users.is_some(), at)),
                    users,
                    cpu: users,
                    memory: users,
                    counts: users.map(|_| (counts, at)),
                    ..Observation::default()
                },
            );
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(history.cost() <= MEMORY, "{}", history.cost());
    assert!(grown <= MEMORY + MEMORY / 20, "the process has grown by {grown} bytes");
    let now = Moment::START.after(HOUR * u32::try_from(DAYS * 24 - 1).unwrap());
    let days = history.range("site7", HOUR * 24 * 400, now).unwrap();
    let hours = history.range("site7", HOUR * 24 * 30, now).unwrap();
    assert_eq!((days.resolution, hours.resolution), (Resolution::Day, Resolution::Hour));
    let start = u64::from(hours.from_s).next_multiple_of(86_400);
    let mut gaps = 0;
    for day in (start..start + 28 * 86_400).step_by(86_400) {
        let place = (day - u64::from(days.from_s)) / 86_400;
        let whole = &days.slots[usize::try_from(place).unwrap()];
        let first = usize::try_from((day - u64::from(hours.from_s)) / 3600).unwrap();
        let parts = &hours.slots[first..first + 24];
        for series in [Series::Users, Series::Upload, Series::Cpu, Series::Memory, Series::Reachable] {
            let figures =
                || parts.iter().filter_map(|slot| Some((slot.coverage(series), slot.figure(series)?)));
            let Some(figure) = whole.figure(series) else {
                assert_eq!(figures().count(), 0, "{series:?} of {day}");
                continue;
            };
            let max = figures().map(|(_, figure)| figure.max).reduce(f64::max);
            let known: f64 = figures().map(|(coverage, _)| coverage).sum();
            let avg = figures().map(|(coverage, figure)| coverage * figure.avg).sum::<f64>() / known;
            assert_eq!(Some(figure.max), max, "{series:?} of {day}");
            assert!(
                (figure.avg - avg).abs() <= avg / 2000.0 + 0.01,
                "{series:?} of {day}: {figure:?}, {avg}"
            );
            assert!((whole.coverage(series) - known / 24.0).abs() < 1e-3, "{series:?} of {day}");
        }
        gaps += parts.iter().filter(|slot| slot.figure(Series::Users).is_none()).count();
    }
    assert!(gaps >= 20, "expected outages to be gaps: {gaps} h");
}
